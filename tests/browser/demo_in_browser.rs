//! The demo's page in headless Chromium: for each visitor the pictures that are theirs are shown, and no
//! other has a byte in the browser. The table is written by hand, so that neither the gate nor the page says
//! what is right.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::LazyLock;

use crate::support::browser::Browser;
use crate::support::gate;
use crate::support::leash::Leash;
use crate::support::sandbox::Sandbox;
use serde_json::Value;

/// Each picture of the page, and who sees it.
const SEEN_BY: [(&str, &str); 12] = [
    ("Morning at the lake", "guest alice bob carol admin"),
    ("Between the birches", "guest alice bob carol admin"),
    ("Poppies", "guest alice bob carol admin"),
    ("The orchard", "guest alice bob carol admin"), // on the page twice: in two albums
    ("Northern lights", "admin"),
    ("Behind the last ridge", "alice bob carol admin"),
    ("Dunes", "alice bob carol admin"),
    ("Evening at sea", "alice bob carol admin"),
    ("La tour", "guest alice bob carol admin"),
    ("Sur la Seine", "bob admin"),
    ("Fog", "admin"),
    ("Just uploaded", "admin"),
];

/// The guest again after each visitor who sees more: the browser has kept their pictures.
const VISITS: [&str; 8] = ["guest", "admin", "guest", "alice", "guest", "bob", "carol", "guest"];

/// The demo, one for all tests but that which changes its rights: its pictures take a while to draw. The
/// leashes end it and remove the sandbox.
struct Demo {
    sandbox: Sandbox,
    _child: Child,
    _leash: Leash,
    url: String,
}

static DEMO: LazyLock<Demo> = LazyLock::new(demo);

fn demo() -> Demo {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(gate::program_for(&sandbox))
        .args(["demo", "--port", "0"])
        .current_dir(sandbox.path())
        .env("TMPDIR", sandbox.path().join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let leash = Leash::on_process(child.id());
    let said = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let url = said.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    Demo { sandbox, _child: child, _leash: leash, url }
}

/// A new browser on the page that a visitor without a cookie gets.
fn guest() -> Browser {
    guest_of(&DEMO)
}

fn guest_of(demo: &Demo) -> Browser {
    let mut browser = Browser::start(&demo.sandbox);
    browser.open(&demo.url);
    browser
}

/// Becomes somebody by the page's own link, and waits until the page has checked its addresses.
fn become_visitor(browser: &mut Browser, name: &str) {
    browser.follow(&format!("nav a[href='/as/{name}']"));
    assert_eq!(checked(browser), "Just checked: all 58 answers are as they should be.", "{name}");
    assert_eq!(browser.evaluate("document.querySelector('.who b').textContent"), name);
}

/// What the page says once it has checked its addresses.
fn checked(browser: &mut Browser) -> Value {
    browser.evaluate(
        "new Promise((tell) => {
            const line = document.getElementById('checked');
            const look = () => line.textContent ? tell(line.textContent) : setTimeout(look, 20);
            look();
        })",
    )
}

/// Title -> whether its picture is shown, wherever it is on the page.
fn shown(browser: &mut Browser) -> BTreeMap<String, bool> {
    let cards = browser.evaluate(
        "(async () => {
            // A video that loads slowly does not hold the page's own event up.
            const begins = (video) => new Promise((go) => {
                video.onloadedmetadata = video.onerror = go;
                if (video.readyState || video.error) go();
            });
            await Promise.all([...document.querySelectorAll('video')].map(begins));
        })().then(() => [...document.querySelectorAll('article')].map((card) => {
            const [image, video] = [card.querySelector('img'), card.querySelector('video')];
            const there = image ? image.complete && image.naturalWidth > 0 : video.videoWidth > 0;
            return [card.querySelector('h3').textContent, there, (image ?? video).checkVisibility()];
        }))",
    );
    let mut shown = BTreeMap::new();
    for card in cards.as_array().unwrap() {
        let (title, is_shown) = (card[0].as_str().unwrap(), card[1].as_bool().unwrap());
        assert_eq!(card[2], is_shown, "{title}: a broken icon in place of the picture");
        let before = shown.insert(title.to_owned(), is_shown);
        assert!(before.is_none_or(|before| before == is_shown), "{title} is shown in one album only");
    }
    shown
}

fn expected(visitor: &str) -> BTreeMap<String, bool> {
    let sees = |who: &str| who.split(' ').any(|name| name == visitor);
    SEEN_BY.iter().map(|(title, who)| ((*title).to_owned(), sees(who))).collect()
}

#[test]
fn each_visitor_sees_their_own_pictures_and_no_others() {
    let mut browser = guest();
    for visitor in VISITS {
        become_visitor(&mut browser, visitor);
        assert_eq!(shown(&mut browser), expected(visitor), "{visitor}");
    }
}

#[test]
fn a_refused_picture_has_no_bytes_in_the_browser_even_if_another_visitor_saw_it_there() {
    let mut browser = guest();
    for visitor in VISITS {
        become_visitor(&mut browser, visitor);
        // Whatever the page names, asked for again, also where any answer that was kept would do.
        let answers = browser.evaluate(
            "Promise.all([...document.querySelectorAll('img, a.file')].flatMap((named) =>
                ['default', 'force-cache'].map(async (cache) => {
                    const answer = await fetch(named.src ?? named.href, { cache });
                    const body = await answer.blob();
                    const picture = await createImageBitmap(body).then((bitmap) => bitmap.width, () => 0);
                    const is_shown = named.naturalWidth;
                    const label = named.querySelector?.('b')?.textContent;
                    return { url: answer.url, status: answer.status, label, is_shown, picture, length: body.size };
                })))",
        );
        let answers = answers.as_array().unwrap();
        assert!(answers.len() > 100);
        let (mut given, mut refused) = (0, 0);
        for answer in answers {
            let about = format!("{visitor}: {answer}");
            let number = |name: &str| answer[name].as_u64();
            if number("status") == Some(200) {
                given += 1;
                assert!(number("length") > Some(1000) && number("is_shown") != Some(0), "{about}");
            } else {
                refused += 1;
                // nginx fills its own page of a 404 up to 548 bytes.
                assert!(number("picture") == Some(0) && number("length") < Some(600), "{about}");
                assert!(matches!(number("is_shown"), None | Some(0)), "{about}");
            }
            if let Some(label) = answer["label"].as_str() {
                assert_eq!(answer["status"].to_string(), label, "{about}");
            }
        }
        assert!(given > 0 && refused > 0, "{visitor}: {given} given, {refused} refused");
    }
}

#[test]
fn the_console_tells_of_refusals_and_of_nothing_else() {
    let mut browser = guest();
    for visitor in VISITS {
        browser.console();
        become_visitor(&mut browser, visitor);
        let refused: Vec<String> = serde_json::from_value(
            browser.evaluate("[...document.querySelectorAll('a.file.no')].map((link) => link.href)"),
        )
        .unwrap();
        let console = browser.console();
        for (text, url) in &console {
            let is_refusal = text.contains("status of 403 (") || text.contains("status of 404 (");
            assert!(is_refusal && refused.contains(url), "{visitor}: {text} {url}");
        }
        assert!(!console.is_empty(), "the console is not heard");
    }
}

#[test]
fn the_video_plays_and_can_be_wound_for_who_may_have_it_and_has_no_player_for_others() {
    let mut browser = guest();
    become_visitor(&mut browser, "guest");
    assert_eq!(browser.evaluate("document.querySelectorAll('video').length"), 0);
    for visitor in ["alice", "carol", "admin"] {
        become_visitor(&mut browser, visitor);
        let seen = browser.evaluate(
            "(async () => {
                const [video, poster] = [document.querySelector('video'), new Image()];
                poster.src = video.poster;
                await poster.decode();
                const wound = new Promise((done) => video.addEventListener('seeked', done, { once: true }));
                video.currentTime = video.duration / 2;
                await wound;
                const at = video.currentTime;
                const moved = new Promise((done) => video.addEventListener('timeupdate', () => video.currentTime > at && done()));
                await video.play();
                await moved;
                return [poster.naturalWidth, video.videoWidth, at > 0, video.error];
            })()",
        );
        assert_eq!(seen, serde_json::json!([480, 480, true, null]), "{visitor}");
    }
}

#[test]
fn links_lead_to_the_file_for_who_may_have_it_and_to_a_refusal_for_others() {
    const RIDGE: &str = "a.photo[aria-label='Original of Behind the last ridge']";
    let mut browser = guest();
    // A picture leads to its original, which carol may not have; width of the picture that is then alone in
    // the tab.
    for (visitor, width) in [("alice", 2400), ("carol", 0), ("admin", 2400), ("guest", 0)] {
        become_visitor(&mut browser, visitor);
        browser.follow(RIDGE);
        let alone = browser.evaluate("document.querySelector('img')?.naturalWidth ?? 0");
        assert_eq!(alone, width, "{visitor}");
        assert_eq!(browser.evaluate("document.contentType.startsWith('image/')"), width > 0, "{visitor}");
        browser.back();
    }
    for (visitor, may) in [("alice", true), ("carol", false), ("guest", false)] {
        become_visitor(&mut browser, visitor);
        // The RAW file by its own address, and by Piwigo's script.
        for link in ["li a[href$='.cr2']", ".doors a[href*='format=1']"] {
            if may {
                let name = browser.download(link);
                assert_eq!(name, "20260502194427-7cc85f01.cr2", "{link}");
                let saved = browser.downloads().join(name);
                assert!(std::fs::metadata(&saved).unwrap().len() > 1000, "{link}");
                std::fs::remove_file(saved).unwrap();
            } else {
                browser.follow(link);
                assert_eq!(status(&mut browser), 403, "{visitor}: {link}");
                browser.back();
            }
        }
    }
}

#[test]
fn without_the_gate_the_same_addresses_give_everything_to_everybody_and_with_it_again_nothing_is_left() {
    const ADDRESSES: &str = "[...document.querySelectorAll('article a.file')].map((link) => link.href)";
    let mut browser = guest();
    let addresses = browser.evaluate(ADDRESSES);
    for visitor in ["guest", "alice"] {
        browser.follow(&format!("nav a[href='/as/{visitor}']"));
        browser.follow("nav a[href='/gate/off']");
        assert_eq!(checked(&mut browser), "Just checked: all 48 answers are as they should be.", "{visitor}");
        let all_shown = browser.evaluate("[...document.images].every((image) => image.naturalWidth > 0)");
        assert_eq!(all_shown, true, "{visitor}");
        let statuses =
            "[...document.querySelectorAll('a.file b')].every((code) => code.textContent === '200')";
        assert_eq!(browser.evaluate(statuses), true, "{visitor}");
        if visitor == "guest" {
            assert_eq!(browser.evaluate(ADDRESSES), addresses);
        }
        browser.follow("nav a[href='/gate/on']");
        assert_eq!(checked(&mut browser), "Just checked: all 58 answers are as they should be.", "{visitor}");
        assert_eq!(shown(&mut browser), expected(visitor), "{visitor}");
    }
}

#[test]
fn a_right_that_is_taken_away_on_the_page_ends_with_the_next_request() {
    const FAMILY: [&str; 3] = ["Behind the last ridge", "Dunes", "Evening at sea"];
    let demo = demo();
    let mut browser = guest_of(&demo);
    browser.follow("nav a[href='/as/alice']");
    assert_eq!(shown(&mut browser), expected("alice"));
    for _ in 0..2 {
        browser.follow("form[action='/right/take'] button");
        assert_eq!(checked(&mut browser), "Just checked: all 58 answers are as they should be.");
        let mut without = expected("alice");
        for title in FAMILY {
            assert_eq!(without.insert(title.to_owned(), false), Some(true));
        }
        assert_eq!(shown(&mut browser), without);
        browser.follow("form[action='/right/give'] button");
        assert_eq!(checked(&mut browser), "Just checked: all 58 answers are as they should be.");
        assert_eq!(shown(&mut browser), expected("alice"));
    }
    // Only the button changes a right, no address that a page could embed.
    let by_link = "fetch('/right/take').then((answer) => answer.status)";
    assert_eq!(browser.evaluate(by_link), 403);
    browser.open(&demo.url);
    assert_eq!(shown(&mut browser), expected("alice"));
}

#[test]
fn on_a_phone_the_addresses_are_folded_and_open_at_a_touch() {
    let mut browser = guest();
    let visible =
        "[...document.querySelectorAll('article a.file')].filter((link) => link.checkVisibility()).length";
    assert_eq!(
        browser.evaluate(visible),
        browser.evaluate("document.querySelectorAll('article a.file').length")
    );
    browser.resize(390, 844);
    browser.open(&DEMO.url);
    assert_eq!(browser.evaluate(visible), 0);
    let wide = browser.evaluate("document.documentElement.scrollWidth");
    assert!(wide.as_u64() <= Some(390), "{wide}");
    browser.evaluate("document.querySelector('article summary').click()");
    assert!(browser.evaluate(visible).as_u64() > Some(1));
}

/// The status of the document in the tab.
fn status(browser: &mut Browser) -> Value {
    browser.evaluate("performance.getEntriesByType('navigation')[0].responseStatus")
}
