//! The demo's page in headless Chromium: for each visitor the pictures that are theirs are shown, and no other has a byte
//! in the browser. The table is written by hand, so that neither the gate nor the page says what is right.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use support::browser::Browser;
use support::gate;
use support::leash::Leash;
use support::sandbox::Sandbox;

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

/// The demo, one for all tests: its pictures take a while to draw. The leashes end it and remove the sandbox.
struct Demo {
    sandbox: Sandbox,
    _child: Child,
    _leash: Leash,
    url: String,
}

static DEMO: LazyLock<Demo> = LazyLock::new(|| {
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
});

/// A new browser on the page that a visitor without a cookie gets.
fn guest() -> Browser {
    let mut browser = Browser::start(&DEMO.sandbox);
    browser.open(&DEMO.url);
    browser
}

/// Becomes somebody by the page's own link, and waits until the page has checked its addresses.
fn become_visitor(browser: &mut Browser, name: &str) {
    browser.follow(&format!("nav a[href='/as/{name}']"));
    let told = browser.evaluate(
        "new Promise((tell) => {
            const line = document.getElementById('checked');
            const look = () => line.textContent ? tell(line.textContent) : setTimeout(look, 20);
            look();
        })",
    );
    assert_eq!(told, "Just checked: all 58 answers are as they should be.", "{name}");
    assert_eq!(browser.evaluate("document.querySelector('.who b').textContent"), name);
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
    // A picture leads to its original, which carol may not have; width of the picture that is then alone in the tab.
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

/// The status of the document in the tab.
fn status(browser: &mut Browser) -> Value {
    browser.evaluate("performance.getEntriesByType('navigation')[0].responseStatus")
}
