//! The demo's page in a real browser: for each visitor the right pictures appear, and the others do not.

#![allow(clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::browser::Browser;
use support::gate;
use support::process::{Endpoint, Server};
use support::sandbox::Sandbox;

/// Who gets the files of each picture on the page. It is written by hand, and not taken from the demo's own table.
#[rustfmt::skip]
const PICTURES: [(&str, [bool; 3]); 12] = [
    //                         guest  alice  admin
    ("Morning at the lake",   [true,  true,  true]),
    ("Between the birches",   [true,  true,  true]),
    ("Poppies",               [true,  true,  true]),
    ("The orchard",           [true,  true,  true]),
    ("Northern lights",       [false, false, true]),
    ("Behind the last ridge", [false, true,  true]),
    ("Dunes",                 [false, true,  true]),
    ("Evening at sea",        [false, true,  true]),
    ("La tour",               [true,  true,  true]),
    ("Sur la Seine",          [false, false, true]),
    ("Fog",                   [false, false, true]),
    ("Just uploaded",         [false, false, true]),
];

const VISITORS: [&str; 3] = ["guest", "alice", "admin"];

/// For each card of the page: its title, whether what it shows has arrived, and the answers to its links.
const CARDS: &str = r#"
const arrived = (url) => new Promise((done) => {
  const picture = new Image();
  picture.onload = picture.onerror = () => done(picture.naturalWidth > 0);
  picture.src = url;
});
const shown = async (card) => {
  const video = card.querySelector("video");
  return video ? video.videoWidth > 0 && await arrived(video.poster) : card.querySelector("img").naturalWidth > 0;
};
return Promise.all([...document.querySelectorAll("article")].map(async (card) => ({
  title: card.querySelector("h3").textContent,
  shown: await shown(card),
  answers: Object.fromEntries(await Promise.all([...card.querySelectorAll("a.file")].map(
    async (link) => [link.getAttribute("href"), (await fetch(link.href)).status]))),
})));"#;

/// The answers that the page itself expects, doors without a picture among them.
const EXPECTED: &str = r#"return Object.fromEntries([...document.querySelectorAll("a.file")].map(
  (link) => [link.getAttribute("href"), Number(link.querySelector("b").textContent)]));"#;

/// The demo draws all its pictures first: some 20 million pixels, by a program that is not optimised.
const DRAWING: Duration = Duration::from_mins(8);

struct Demo {
    _server: Server,
    url: String,
}

impl Demo {
    fn start(sandbox: &Sandbox) -> Self {
        let temporary = sandbox.make_dir("demo");
        let mut command = sandbox.command(gate::program_for(sandbox));
        command
            .args(["demo", "--port", "0"])
            .current_dir(&temporary)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("TMPDIR", &temporary);
        let log = sandbox.path().join("log/demo.log");
        let ready = Endpoint::Announced { log: log.clone(), before: "http://127.0.0.1:" };
        let server = Server::start_within(DRAWING, "demo", command, &log, &ready)
            .unwrap_or_else(|log| panic!("{log}"));
        Self { _server: server, url: format!("http://{}", ready.address().expect("it was read already")) }
    }
}

/// The first visit to each, then back: what the browser has kept from one visitor must not appear for the next.
#[test]
fn each_visitor_sees_the_right_pictures_and_no_others() {
    let sandbox = Sandbox::new();
    let demo = Demo::start(&sandbox);
    let browser = Browser::start(&sandbox);
    browser.open(&demo.url);
    settled(&browser, "guest");
    look(&browser, &demo.url, "guest");
    for visitor in ["alice", "admin", "guest", "admin", "alice", "guest"] {
        browser.click(&format!("nav a[href='/as/{visitor}']"));
        settled(&browser, visitor);
        look(&browser, &demo.url, visitor);
    }
}

/// Waits for this visitor's page, for all that it loads, and for its script.
fn settled(browser: &Browser, visitor: &str) {
    let who = format!("document.querySelector('nav a[aria-current]')?.textContent === '{visitor}'");
    browser.wait_for(&format!(
        "{who} && document.readyState === 'complete' && document.getElementById('checked').textContent"
    ));
}

fn look(browser: &Browser, origin: &str, visitor: &str) {
    let column = VISITORS.iter().position(|name| *name == visitor).expect("a column of the table");
    let cards = browser.run(CARDS);
    let cards = cards.as_array().expect("a list of cards");
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for card in cards {
        let title = card["title"].as_str().expect("a title");
        let (_, row) = PICTURES.iter().find(|(name, _)| *name == title).expect("a picture of the table");
        assert_eq!(card["shown"], json!(row[column]), "{title} for {visitor}");
        let answers = card["answers"].as_object().expect("answers");
        assert!(answers.len() >= 3, "{title} for {visitor}: {answers:?}");
        for (address, status) in answers {
            assert_eq!(*status, json!(if row[column] { 200 } else { 403 }), "{address} for {visitor}");
        }
        *seen.entry(title).or_default() += 1;
    }
    assert_eq!(seen.len(), PICTURES.len(), "pictures on the page for {visitor}: {seen:?}");
    let checked = browser.run("return document.getElementById('checked').textContent;");
    assert!(
        checked.as_str().is_some_and(|text| text.starts_with("Just checked: all")),
        "{visitor}: {checked}"
    );
    only_refusals_on_the_console(browser, origin, visitor);
}

/// The browser writes a line for each answer above 399. Anything else there is a mistake of the page.
fn only_refusals_on_the_console(browser: &Browser, origin: &str, visitor: &str) {
    let expected = browser.run(EXPECTED);
    let refused: Vec<(String, &Value)> = expected
        .as_object()
        .expect("addresses with answers")
        .iter()
        .filter(|(_, status)| **status != json!(200))
        .map(|(address, status)| (format!("{origin}{address} "), status))
        .collect();
    for line in browser.console_errors() {
        let explained = refused.iter().any(|(address, status)| {
            line.starts_with(address.as_str()) && line.contains(&format!("with a status of {status} "))
        });
        assert!(explained, "console, for {visitor}: {line}");
    }
}
