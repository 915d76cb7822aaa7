//! nginx that uses the gate's decisions again for a second: never for another visitor or another address,
//! never for longer than the file says, and never when the gate is away.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::attacks;
use crate::support::config;
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::nginx::{self, Nginx};
use crate::support::php::PhpFcgi;
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;

/// What the file promises, from the gate's answer on.
const BOUND: Duration = Duration::from_secs(2);
/// nginx looks at the clock once for all that it finds to do.
const LEEWAY: Duration = Duration::from_millis(200);

const MAILED: &str = "abcdefghijABCDEFGHIJ0123456789";
const API: &str = "pkid-20260102-abcdefghij0123456789";
const SECRET: &str = "0123456789012345678901234567890123456789";
/// Its plain MD5, the other form that Piwigo accepts.
const HASH: &str = "9f0ae0380ed27dbf6b852843d2eece1f";

/// Headers of one request.
type Headers<'a> = Vec<(&'a str, &'a str)>;

/// nginx, gate, PHP and a private picture of bob's; dropped in this order, the directory last.
struct Setting {
    nginx: Nginx,
    gate: Gate,
    _php: PhpFcgi,
    /// The picture's address and bytes.
    url: String,
    text: String,
    scene: Scene,
}

impl Setting {
    fn start() -> Self {
        Self::start_with("", &[], |_, file| file)
    }

    /// `piwigo`: more lines for `local/config/config.inc.php`; `edit`: what an administrator changes in the
    /// printed file.
    fn start_with(piwigo: &str, arguments: &[&str], edit: impl Fn(&Sandbox, String) -> String) -> Self {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        // The recorded cookies are of one day; they count for a century here.
        let piwigo = format!("<?php\n$conf['remember_me_length'] = 3153600000;\n{piwigo}\n");
        sandbox.write("gallery/local/config/config.inc.php", piwigo);
        let php = PhpFcgi::start(sandbox);
        let usual = ["--derivatives", "piwigo", "--log", "debug"];
        let gate = Gate::start(sandbox, &[&usual, arguments].concat(), &[]);
        let guard = edit(sandbox, config::print(sandbox, "nginx-auth-cache", &[]));
        // As behind a proxy, which says where a visitor is.
        let server = format!(
            "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Test-Address;\n{}",
            nginx::gallery(sandbox, &guard)
        );
        let nginx = Nginx::start_with(sandbox, &nginx::cache_path(sandbox), &server);
        let image = scene.world.private_image("bob");
        let (url, text) = (http::url(image.original()), files::original_text(image.id));
        Setting { nginx, gate, _php: php, url, text, scene }
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        http::request(self.nginx.address(), "GET", target, headers)
    }

    /// The status for bob's picture, which is served whole or not at all.
    fn status(&self, query: &str, headers: &[(&str, &str)]) -> u16 {
        let answer = self.get(&format!("{}{query}", self.url), headers);
        if answer.status == 200 {
            assert_eq!(answer.text(), self.text);
        } else {
            assert!(!attacks::holds_guarded_bytes(&answer.body), "{}", answer.text());
        }
        answer.status
    }

    fn cookie(&self, user: &str) -> String {
        self.scene.world.session(user).cookie_header()
    }

    /// How often the gate has said yes to somebody.
    fn questions(&self) -> usize {
        self.gate.log_text().lines().filter(|line| line.contains(" allowed ")).count()
    }

    /// Who may see the picture, and those who resemble them and may not: one after another, then all at once,
    /// each again and again.
    fn keep_apart(&self, name: &str, owner: &Visitor, strangers: &[Visitor]) {
        for round in 0..3 {
            for stranger in strangers {
                assert_eq!(self.status(owner.query, &owner.headers), 200, "{name}, the owner, round {round}");
                assert_ne!(self.status(stranger.query, &stranger.headers), 200, "{name}: {stranger:?}");
            }
        }
        let before = self.questions();
        for _ in 0..10 {
            assert_eq!(self.status(owner.query, &owner.headers), 200, "{name}");
        }
        assert!(self.questions() - before < 10, "{name}: nothing was used again");
        thread::scope(|scope| {
            for visitor in [owner].into_iter().chain(strangers).chain([owner]) {
                scope.spawn(move || {
                    for _ in 0..40 {
                        let is_allowed = self.status(visitor.query, &visitor.headers) == 200;
                        assert_eq!(is_allowed, std::ptr::eq(visitor, owner), "{name}: {visitor:?}");
                    }
                });
            }
        });
    }

    /// Waits until bob's picture has this status for these headers; no request that began later than the
    /// bound after now may have another one.
    fn becomes(&self, name: &str, expected: u16, headers: &[(&str, &str)]) {
        let now = Instant::now();
        let mut longest = Duration::ZERO;
        loop {
            let began = Instant::now();
            let status = self.status("", headers);
            longest = longest.max(began.elapsed());
            if status == expected {
                return;
            }
            // An answer that was asked for before may have come as much later as an answer takes.
            let late = began - now;
            assert!(late <= BOUND + longest + LEEWAY, "{name}: {status} {late:?} later");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Who asks for bob's picture.
#[derive(Debug)]
struct Visitor<'a> {
    query: &'a str,
    headers: Headers<'a>,
}

fn with<'a>(headers: &[(&'a str, &'a str)]) -> Visitor<'a> {
    Visitor { query: "", headers: headers.to_vec() }
}

fn asking(query: &str) -> Visitor<'_> {
    Visitor { query, headers: Vec::new() }
}

#[test]
fn nobody_gets_the_answer_of_another_cookie() {
    let setting = Setting::start();
    let (bob, alice) = (setting.cookie("bob"), setting.cookie("alice"));
    let world = &setting.scene.world;
    let login = world.sessions.iter().find(|s| s.user == "bob_remember_me_login").expect("a recorded login");
    let remember = format!("pwg_remember={}", login.cookies["pwg_remember"]);
    let forged = remember.replace("pwg_remember=4-", "pwg_remember=1-");
    let gone = "pwg_id=aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let longer = format!("{bob}x");
    let shorter = &bob[..bob.len() - 1];
    let elsewhere = [("Cookie", bob.as_str()), ("X-Test-Address", "10.1.2.3")];
    setting.keep_apart(
        "session",
        &with(&[("Cookie", &bob)]),
        &[
            with(&[]),
            with(&[("Cookie", &alice)]),
            with(&[("Cookie", gone)]),
            with(&[("Cookie", &longer)]),
            with(&[("Cookie", shorter)]),
            with(&elsewhere),
            with(&[("X-Cookie", &bob)]),
        ],
    );
    setting.keep_apart(
        "remember-me",
        &with(&[("Cookie", &remember)]),
        &[with(&[]), with(&[("Cookie", &forged)]), with(&[("Cookie", &alice)]), with(&[("Cookie", gone)])],
    );
    let long = "a".repeat(7_500);
    let (ours, theirs) = (format!("theme={long}; {bob}"), format!("theme={long}; {alice}"));
    let without = format!("theme={long}");
    setting.keep_apart(
        "a long beginning that is the same",
        &with(&[("Cookie", &ours)]),
        &[with(&[("Cookie", &theirs)]), with(&[("Cookie", &without)])],
    );
}

/// nginx hands each line on, and the gate reads all of them.
#[test]
fn cookies_of_two_lines_are_two_cookies_for_all() {
    let setting = Setting::start();
    let (bob, alice) = (setting.cookie("bob"), setting.cookie("alice"));
    let dark = ("Cookie", "theme=dark");
    let strangers = [
        with(&[dark]),
        with(&[dark, dark]),
        with(&[]),
        with(&[dark, ("Cookie", &alice)]),
        with(&[("Cookie", &alice), ("Cookie", &bob)]),
    ];
    setting.keep_apart("the second", &with(&[dark, ("Cookie", &bob)]), &strangers);
    setting.keep_apart("the first", &with(&[("Cookie", &bob), dark]), &strangers);
    setting.keep_apart("the third", &with(&[dark, ("Cookie", ""), ("Cookie", &bob)]), &strangers);
}

#[test]
fn nobody_gets_the_answer_of_another_key() {
    let arguments = ["--auth-key-everywhere", "true", "--api-key-header", "true"];
    let setting = Setting::start_with("", &arguments, |_, file| file);
    let id = |user: &str| setting.scene.world.user(user).id;
    setting.scene.database.sql(&format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, user_id, created_on, expired_on) \
         VALUES ('{MAILED}', {}, NOW(), NOW() + INTERVAL 1 HOUR); \
         INSERT INTO piwigo_user_auth_keys (auth_key, apikey_secret, apikey_name, key_type, user_id, created_on, expired_on) \
         VALUES ('{API}', '{HASH}', 'app', 'api_key', {}, NOW(), NOW() + INTERVAL 1 HOUR)",
        id("bob"),
        id("adm8"),
    ));
    let folded = format!("?auth={}", MAILED.to_lowercase());
    let mailed = format!("?auth={MAILED}");
    let twice = format!("?auth={MAILED}&auth={MAILED}");
    setting.keep_apart(
        "mailed key",
        &asking(&mailed),
        &[asking(""), asking(&folded), asking(&twice), asking("?auth=")],
    );
    let alice = setting.cookie("alice");
    setting.keep_apart(
        "mailed key beside a session",
        &Visitor { query: &mailed, headers: vec![("Cookie", &alice)] },
        &[with(&[("Cookie", &alice)]), asking("")],
    );
    let key = format!("{API}:{SECRET}");
    let wrong = format!("{API}:{}", SECRET.replace('9', "8"));
    let strangers = [
        asking(""),
        with(&[("X-PIWIGO-API", &wrong)]),
        with(&[("Authorization", &key)]),
        with(&[("Cookie", &key)]),
    ];
    setting.keep_apart("API key", &with(&[("X-PIWIGO-API", &key)]), &strangers);
    // nginx hands two lines of this header on, but its variable holds the first alone: the gate must believe
    // no other.
    for first in ["a", "b", "c"] {
        setting.status("", &[("X-PIWIGO-API", first), ("X-PIWIGO-API", &key)]);
        assert_eq!(setting.status("", &[("X-PIWIGO-API", first)]), 403);
    }
}

/// A user of the web server's own, by the two lines that the printed file holds as comments.
#[test]
fn nobody_gets_the_answer_of_another_name() {
    let on = "$conf['apache_authentication'] = true;";
    let setting = Setting::start_with(on, &[], |sandbox, file| {
        let users = sandbox.write("users", "bob:{PLAIN}b\nalice:{PLAIN}a\n");
        let (user, verified) = ("fastcgi_param REMOTE_USER ", "fastcgi_param GATE_REMOTE_USER verified;");
        assert!([user, verified].iter().all(|line| file.contains(&format!("#{line}"))));
        let file = file.replace(&format!("#{user}"), user).replace(&format!("#{verified}"), verified);
        format!("auth_basic gallery;\nauth_basic_user_file {};\n{file}", users.display())
    });
    let (bob, alice) = (("Authorization", "Basic Ym9iOmI="), ("Authorization", "Basic YWxpY2U6YQ=="));
    let wrong_password = ("Authorization", "Basic Ym9iOng=");
    let cookie = setting.cookie("bob");
    setting.keep_apart(
        "the server's own user",
        &with(&[bob]),
        &[with(&[]), with(&[alice]), with(&[wrong_password]), with(&[alice, ("Cookie", &cookie)])],
    );
    let alices = setting.cookie("alice");
    setting.keep_apart(
        "the server's own user, with a cookie of somebody else",
        &with(&[bob, ("Cookie", &alices)]),
        &[with(&[("Cookie", &alices)]), with(&[alice, ("Cookie", &alices)])],
    );
}

/// Who chooses cookies and address must not be able to write two requests, one of them allowed, with one key:
/// with `$http_cookie|…|$request_uri` that is easy.
#[test]
fn no_two_requests_share_a_key() {
    let setting = Setting::start_with("", &["--api-key-header", "true"], |_, file| file);
    let public = http::url(setting.scene.world.image(1).original());
    let secret = &setting.url;
    let host = ("Host", "localhost");
    for separator in ["|", "\\n", "%0A", ";", ":", "&", "/", " "] {
        for fields in 1..=5 {
            for end in ["", "localhost", "localhostX", "GETXlocalhost", "GETXlocalhostX"] {
                // What may stand between a header and the address.
                let glue = format!("{}{}", separator.repeat(fields), end.replace('X', separator));
                let open = format!("{public}?x={}{secret}", glue.replace(' ', "%20"));
                let cut = format!("a{glue}{public}?x=");
                for name in ["Cookie", "X-PIWIGO-API"] {
                    assert_eq!(setting.get(&open, &[host, (name, "a")]).status, 200, "{open}");
                    assert_eq!(setting.status("", &[host, (name, &cut)]), 403, "{open}");
                }
            }
        }
    }
}

#[test]
fn another_host_or_spelling_opens_nothing() {
    let setting = Setting::start();
    let bob = setting.cookie("bob");
    let mut targets = attacks::spellings(&setting.url);
    targets.extend([
        setting.url.clone(),
        format!("http://localhost{}", setting.url),
        format!("{}?", setting.url),
    ]);
    for host in ["localhost", "other.example", "LOCALHOST", "localhost:1"] {
        for target in &targets {
            assert_eq!(setting.status("", &[("Cookie", &bob), ("Host", host)]), 200);
            let ours = setting.get(target, &[("Cookie", &bob), ("Host", host)]);
            for host in [host, "localhost"] {
                let answer = setting.get(target, &[("Host", host)]);
                assert!(
                    !attacks::holds_guarded_bytes(&answer.body),
                    "{target}: {}, {}",
                    ours.status,
                    answer.text()
                );
            }
        }
    }
}

#[test]
fn an_answer_is_used_for_all_requests_of_a_second_and_for_no_other_method() {
    let setting = Setting::start();
    let bob = setting.cookie("bob");
    let headers = [("Cookie", bob.as_str())];
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(setting.status("", &headers), 200);
    }
    // Each answer counts for more than a second.
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("few");
    assert!(setting.questions() <= seconds + 2, "{} questions in {seconds} s", setting.questions());
    let head = http::request(setting.nginx.address(), "HEAD", &setting.url, &headers);
    let length = setting.text.len().to_string();
    assert_eq!((head.status, head.header("content-length")), (200, Some(length.as_str())));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let answer =
            http::request_with_body(setting.nginx.address(), method, &setting.url, &headers, b"0123456789");
        assert!([403, 405].contains(&answer.status), "{method}: {}", answer.status);
        assert!(!attacks::holds_guarded_bytes(&answer.body), "{method}");
    }
    assert_eq!(setting.status("", &headers), 200);
    let answer = setting.get(&setting.url, &headers);
    for (name, value) in
        [("cache-control", "private, max-age=600"), ("vary", "Cookie"), ("x-content-type-options", "nosniff")]
    {
        assert_eq!(answer.all(name), [value]);
    }
}

#[test]
fn what_changes_is_known_within_two_seconds_and_refusals_are_no_exception() {
    let setting = Setting::start();
    let (bob, database) = (setting.cookie("bob"), &setting.scene.database);
    let headers = [("Cookie", bob.as_str())];
    let grants = &setting.scene.world;
    let id = grants.user("bob").id;
    let take = format!("DELETE FROM piwigo_user_access WHERE user_id = {id}");
    let rows = grants.user_access.iter().filter(|grant| grant.user_id == id);
    let rows: Vec<_> = rows.map(|grant| format!("({id}, {})", grant.cat_id)).collect();
    let give = format!("INSERT INTO piwigo_user_access (user_id, cat_id) VALUES {}", rows.join(", "));
    setting.becomes("at first", 200, &headers);
    for (sql, expected) in [
        (take.as_str(), 403),
        (&give, 200),
        ("UPDATE piwigo_config SET value = 'true' WHERE param = 'gallery_locked'", 503),
        ("UPDATE piwigo_config SET value = 'false' WHERE param = 'gallery_locked'", 200),
        ("UPDATE piwigo_images SET level = 8", 403),
        ("UPDATE piwigo_images SET level = 0", 200),
        ("DELETE FROM piwigo_sessions", 403),
    ] {
        let was_locked = setting.status("", &headers) == 503;
        database.sql(sql);
        if was_locked {
            // That is no answer to be used again.
            assert_eq!(setting.status("", &headers), expected, "{sql}");
        }
        setting.becomes(sql, expected, &headers);
    }
}

#[test]
fn a_gate_that_is_away_says_nothing_of_what_it_said() {
    let mut setting = Setting::start();
    let bob = setting.cookie("bob");
    let headers = [("Cookie", bob.as_str())];
    assert_eq!(setting.status("", &headers), 200);
    setting.gate.terminate();
    setting.becomes("the gate has ended", 503, &headers);
    for _ in 0..20 {
        assert_eq!(setting.status("", &headers), 503);
        assert_eq!(setting.status("", &[]), 503);
    }
    let answer = setting.get(&setting.url, &headers);
    assert_eq!((answer.header("retry-after"), answer.header("cache-control")), (Some("5"), Some("no-store")));
    let _gate = Gate::start(&setting.scene.sandbox, &[], &[]);
    assert_eq!(setting.status("", &headers), 200, "503 is not kept");
}

#[test]
fn a_missing_derivative_is_made_after_an_answer_that_was_kept() {
    let setting = Setting::start();
    let image = setting.scene.world.private_image("erin");
    let path = image.derivative("sq").expect("a picture");
    let erin = setting.cookie("erin");
    for _ in 0..5 {
        let answer = setting.get(&http::url(&path), &[("Cookie", &erin)]);
        let made = format!("made by i.php: {}\n", &path["_data/i".len()..]);
        assert!(answer.status == 200 && answer.text().starts_with(&made), "{}", answer.text());
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"]);
        assert_eq!(setting.get(&http::url(&path), &[]).status, 403);
    }
}

#[test]
fn cookies_of_any_length_are_judged_whole() {
    let setting = Setting::start();
    let bob = setting.cookie("bob");
    for length in [100, 3_900, 7_900] {
        let filler = format!("theme={}", "a".repeat(length));
        let lines = |last: &'static str| {
            vec![("Cookie", filler.clone()), ("Cookie", filler.clone()), (last, bob.clone())]
        };
        for (headers, expected) in [(lines("Cookie"), 200), (lines("X-Other"), 403), (lines("Cookie"), 200)] {
            let headers: Headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            // The gate takes 16 kB of cookies.
            assert_eq!(setting.status("", &headers), expected, "{length}");
        }
    }
}
