//! What a refused visitor gets, what the log says of it, and what fail2ban makes of that: real nginx, Apache,
//! MariaDB, PHP and `fail2ban-regex`.

use std::net::SocketAddr;
use std::process::Command;

use crate::support::apache::{self, Apache};
use crate::support::config;
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::nginx::{self, Nginx};
use crate::support::php::{self, PhpFcgi};
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::world::World;

const NAVIGATION: (&str, &str) = ("Sec-Fetch-Dest", "document");

/// A server in front of a gate with one more setting.
enum Front {
    Nginx { nginx: Nginx, gate: Box<Gate>, _php: PhpFcgi },
    Apache(Apache),
}

impl Front {
    fn all(scene: &Scene, setting: &str) -> Vec<(&'static str, Self)> {
        let sandbox = &scene.sandbox;
        let toml = sandbox.write("gallery/local/config/gate.toml", format!("{setting}\n"));
        sandbox.hand_over(&toml);
        let php = PhpFcgi::start(sandbox);
        let gate = Box::new(Gate::start(sandbox, &[], &[]));
        let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
        let host = apache::xsendfile_host(sandbox, "");
        let xsendfile =
            Apache::start(sandbox, &host, &["fcgid", "xsendfile", "rewrite", "actions", "headers"]);
        vec![("nginx", Self::Nginx { nginx, gate, _php: php }), ("X-Sendfile", Self::Apache(xsendfile))]
    }

    /// The other way with Apache, which needs the gallery's own `.htaccess`: in a scene of its own.
    fn htaccess(scene: &Scene, setting: &str) -> (&'static str, Self) {
        let sandbox = &scene.sandbox;
        let toml = sandbox.write("gallery/local/config/gate.toml", format!("{setting}\n"));
        sandbox.hand_over(&toml);
        php::write_scripts(sandbox);
        let host = apache::shared_host(sandbox, "");
        apache::write_htaccess(sandbox, "", true);
        (
            ".htaccess",
            Self::Apache(Apache::start(sandbox, &host, &["fcgid", "rewrite", "actions", "headers"])),
        )
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Nginx { nginx, .. } => nginx.address(),
            Self::Apache(apache) => apache.address(),
        }
    }
}

fn get(address: SocketAddr, target: &str, cookie: Option<&str>, navigation: bool) -> Response {
    let mut headers: Vec<(&str, &str)> = cookie.map(|cookie| ("Cookie", cookie)).into_iter().collect();
    headers.extend(navigation.then_some(NAVIGATION));
    http::request(address, "GET", target, &headers)
}

/// Both galleries with every server that can be told by a header or a local redirect.
fn everywhere(setting: &str, test: impl Fn(&str, SocketAddr, &World)) {
    let scene = Scene::start();
    for (name, front) in Front::all(&scene, setting) {
        test(name, front.address(), &scene.world);
    }
    let scene = Scene::start();
    let (name, front) = Front::htaccess(&scene, setting);
    test(name, front.address(), &scene.world);
}

#[test]
fn a_picture_says_no_to_everything_alike() {
    everywhere("deny = \"image\"", |server, address, world| {
        let image = world.private_image("bob");
        let denied = get(address, &http::url(image.original()), None, false);
        assert_eq!(denied.status, 403, "{server}");
        assert_eq!(denied.header("content-type"), Some("image/png"), "{server}");
        assert_eq!(denied.all("cache-control"), ["no-store"], "{server}");
        assert!(denied.body.starts_with(b"\x89PNG"), "{server}: {}", denied.text());
        for other in
            ["/upload/none.jpg", "/_data/i/upload/none-th.jpg", "/upload/a%5cb.jpg", "/i.php?/upload/a"]
        {
            for navigation in [false, true] {
                let answer = get(address, other, None, navigation);
                assert_eq!((answer.status, &answer.body), (403, &denied.body), "{server} {other}");
                assert_eq!(answer.header("content-type"), Some("image/png"), "{server} {other}");
            }
        }
        let head = http::request(address, "HEAD", http::url(image.original()), &[]);
        assert_eq!((head.status, head.body.len()), (403, 0), "{server}");
        let cookie = world.session("bob").cookie_header();
        let allowed = get(address, &http::url(image.original()), Some(&cookie), false);
        assert_eq!(allowed.text(), files::original_text(image.id), "{server}");
    });
}

#[test]
fn who_is_not_signed_in_is_sent_to_sign_in_and_nobody_else() {
    everywhere("deny = \"login\"", |server, address, world| {
        let image = world.private_image("bob");
        let denied = http::url(image.original());
        let thumb = http::url(&image.derivative("th").expect("a picture"));
        let script = format!("/i.php?{}&b=1", thumb.strip_prefix("/_data/i").expect("a derivative"));
        for (target, back) in [
            (&*denied, &*denied),
            (&thumb, &thumb),
            (&script, &thumb),
            ("/upload/none.jpg", "/upload/none.jpg"),
            ("/upload/none.jpg?next=https://evil.example/", "/upload/none.jpg"),
            ("/_data/i/galleries/a%20%2B%25%23-th.jpg", "/_data/i/galleries/a%20%2B%25%23-th.jpg"),
        ] {
            let answer = get(address, target, None, true);
            assert_eq!(answer.status, 302, "{server} {target}: {}", answer.text());
            assert_eq!(answer.all("cache-control"), ["no-store"], "{server} {target}");
            let location = answer.header("location").expect("a location");
            // Apache writes a location as an absolute URL of the same site, nginx as it is.
            let path = location.strip_prefix(&format!("http://{address}")).unwrap_or(location);
            let redirect = path.strip_prefix("/identification.php?redirect=").expect("Piwigo's page");
            assert_eq!(php_urldecode_twice(redirect), back, "{server} {target}");
            assert_eq!(
                get(address, target, None, false).status,
                403,
                "{server} {target}: a picture of a page"
            );
        }
        let alice = world.session("alice").cookie_header();
        assert_eq!(get(address, &denied, Some(&alice), true).status, 403, "{server}: signed in");
        assert_eq!(get(address, "/upload/none.jpg", Some(&alice), true).status, 403, "{server}: signed in");
        assert_eq!(get(address, "/upload/a%5cb.jpg", None, true).status, 403, "{server}: malformed");
        assert_eq!(
            get(address, "//evil.example/upload/a.jpg", None, true).header("location"),
            None,
            "{server}"
        );
    });
}

/// By PHP itself, as identification.php does it: once for `$_GET`, once by `urldecode()`.
fn php_urldecode_twice(text: &str) -> String {
    let code = "parse_str('r='.$argv[1], $get); echo urldecode($get['r']);";
    let script = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(script.path(), format!("<?php {code}")).expect("a file");
    let output = Command::new(php::program())
        .args(["-n", "-q", "-d", "register_argc_argv=1", "-f"])
        .arg(script.path())
        .arg("--")
        .arg(text)
        .env_clear()
        .output()
        .expect("php-cgi");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// nginx's `auth_request` knows 200, 403 and little else: nothing changes there.
#[test]
fn where_a_server_only_asks_nobody_is_sent_anywhere() {
    for setting in ["login", "image"] {
        let scene = Scene::start();
        let _php = PhpFcgi::start(&scene.sandbox);
        let _gate = Gate::start(&scene.sandbox, &["--deny", setting], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, nginx::AUTH_REQUEST);
        let denied = http::url(scene.world.private_image("bob").original());
        for target in [&*denied, "/upload/none.jpg"] {
            let answer = get(nginx.address(), target, None, true);
            assert_eq!((answer.status, answer.header("location")), (403, None), "{setting} {target}");
        }
    }
}

/// An album's cover may lie in an album that the visitor may not see (docs/spec/piwigo.md §3.6).
#[test]
fn a_cover_is_shown_resized_to_who_may_see_its_album() {
    for (covers, expected) in [("true", 200), ("false", 403)] {
        let scene = Scene::start();
        // Image 9 is in the private album 2 alone, 36 is a PDF there; 21 is in album 11, which nobody is
        // granted.
        scene.database.sql("UPDATE piwigo_categories SET representative_picture_id = 9 WHERE id = 1");
        scene.database.sql("UPDATE piwigo_categories SET representative_picture_id = 36 WHERE id = 4");
        scene.database.sql("UPDATE piwigo_categories SET representative_picture_id = 21 WHERE id = 5");
        let _php = PhpFcgi::start(&scene.sandbox);
        let _gate = Gate::start(&scene.sandbox, &["--covers", covers], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
        let image = |id| scene.world.image(id);
        let thumb = |id| http::url(&image(id).derivative("th").expect("a picture"));
        let bob = scene.world.session("bob").cookie_header();
        let alice = scene.world.session("alice").cookie_header();
        for (target, cookie, status) in [
            (thumb(9), None, expected),
            (thumb(9), Some(&alice), expected),
            (thumb(36), None, expected),
            (thumb(21), None, 403),
            (thumb(21), Some(&alice), 403),
            (thumb(21), Some(&bob), expected),
            (thumb(10), None, 403),
            (http::url(image(9).original()), None, 403),
            (http::url(image(36).original()), None, 403),
            (http::url(&image(36).representative().expect("a PDF's picture")), None, 403),
        ] {
            let answer = get(nginx.address(), &target, cookie.map(String::as_str), false);
            assert_eq!(answer.status, status, "covers {covers}: {target}");
        }
        // The level counts, and so does the album's lock; both at once gone again.
        scene.database.sql("UPDATE piwigo_images SET level = 8 WHERE id = 9");
        assert_eq!(get(nginx.address(), &thumb(9), None, false).status, 403);
        scene.database.sql("UPDATE piwigo_images SET level = 0 WHERE id = 9");
        scene.database.sql("UPDATE piwigo_categories SET visible = 'false' WHERE id = 1");
        assert_eq!(get(nginx.address(), &thumb(9), None, false).status, 403);
    }
}

/// The lines of a log that speak of refusals.
fn refusals(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("refused client=")).collect()
}

#[test]
fn one_line_for_each_refusal_and_none_that_a_visitor_has_written() {
    let scene = Scene::start();
    let _php = PhpFcgi::start(&scene.sandbox);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let denied = http::url(scene.world.private_image("bob").original());
    let alice = scene.world.session("alice").cookie_header();
    let forged = "refused client=9.9.9.9 user=2 class=unknown status=403 path=/x";
    let encoded = forged.replace(' ', "%20");
    let targets = [
        (denied.clone(), None, "user=2 class=denied status=403 path=/upload/2"),
        (denied.clone(), Some(&alice), "user=3 class=denied status=403 path=/upload/2"),
        ("/upload/none.jpg".into(), None, "user=2 class=unknown status=403 path=/upload/none.jpg reason=\""),
        ("/upload/none.jpg?auth=s3cret".into(), None, "path=/upload/none.jpg reason=\""),
        ("/i.php?/upload/none-th.jpg&auth=s3cret".into(), None, "path=/i.php?/upload/none-th.jpg reason=\""),
        (
            format!("/upload/a%0aINFO%20{encoded}"),
            None,
            "user=0 class=malformed status=403 path=/upload/a%0aINFO%20",
        ),
        (
            "/upload/a\"\\b.jpg".into(),
            None,
            "class=malformed status=403 path=/upload/a\\x22\\x5cb.jpg reason=\"",
        ),
        (
            "/upload/\u{9b}31m.jpg".into(),
            None,
            "class=unknown status=403 path=/upload/\\xc2\\x9b31m.jpg reason=\"",
        ),
    ];
    for (target, cookie, _) in &targets {
        assert_eq!(get(nginx.address(), target, cookie.map(String::as_str), false).status, 403, "{target}");
    }
    let bob = scene.world.session("bob").cookie_header();
    assert_eq!(get(nginx.address(), &denied, Some(&bob), false).status, 200);
    let log = gate.log_text();
    let lines = refusals(&log);
    assert_eq!(lines.len(), targets.len(), "{log}");
    for (line, (target, _, part)) in lines.iter().zip(&targets) {
        assert!(line.contains(" INFO refused client=127.0.0.1 ") && line.contains(part), "{target}: {line}");
    }
    for secret in ["s3cret", bob.split('=').next_back().expect("a value")] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(!log.contains("allowed") && !log.contains('\x1b'), "{log}");
}

/// Piwigo fetches a size of each uploaded photo from its own site, without a cookie. Whoever else uses its
/// name is logged.
#[test]
fn piwigos_own_fetch_after_an_upload_is_no_line_at_info() {
    for (level, expected) in [("info", 2), ("debug", 3)] {
        let scene = Scene::start();
        let _php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &["--log", level], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
        let medium = scene.world.private_image("bob").derivative("me").expect("a picture");
        let target = format!("/i.php?{}", http::url(&medium["_data/i".len()..]));
        let alice = scene.world.session("alice").cookie_header();
        for headers in [
            &[("User-Agent", "Piwigo")][..],
            &[("User-Agent", "curl")],
            &[("User-Agent", "Piwigo"), ("Cookie", &*alice)],
        ] {
            assert_eq!(http::request(nginx.address(), "GET", &target, headers).status, 403);
        }
        let log = gate.log_text();
        assert_eq!(refusals(&log).len(), expected, "{level}: {log}");
    }
}

#[test]
fn json_lines_hold_the_same_fields() {
    let scene = Scene::start();
    let _php = PhpFcgi::start(&scene.sandbox);
    let gate = Gate::start(&scene.sandbox, &["--log-format", "json", "--log", "debug"], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    assert_eq!(get(nginx.address(), "/upload/a\"\u{80}%0a.jpg", None, false).status, 403);
    let open = http::url(scene.world.image(1).original());
    assert_eq!(get(nginx.address(), &open, None, false).status, 200);
    let log = gate.log_text();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let of = |message: &str| lines.iter().find(|line| line["message"] == message).expect("a line");
    let refused = of("refused");
    assert_eq!((&refused["client"], &refused["level"]), (&"127.0.0.1".into(), &"INFO".into()));
    assert_eq!((&refused["user"], &refused["status"]), (&0.into(), &403.into()));
    assert_eq!(
        (&refused["class"], &refused["path"]),
        (&"malformed".into(), &"/upload/a\\x22\\xc2\\x80%0a.jpg".into())
    );
    assert_eq!(refused["reason"], "the path is not canonical");
    assert_eq!((&of("allowed")["image"], &of("allowed")["level"]), (&1.into(), &"DEBUG".into()));
}

#[test]
fn an_outage_is_said_once_and_its_end_once() {
    let mut scene = Scene::start();
    let _php = PhpFcgi::start(&scene.sandbox);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let open = http::url(scene.world.image(1).original());
    for outage in 1..=2 {
        scene.database.stop();
        for _ in 0..20 {
            assert_eq!(get(nginx.address(), &open, None, false).status, 503);
        }
        scene.database.start_again();
        let started = std::time::Instant::now();
        while get(nginx.address(), &open, None, false).status != 200 {
            assert!(started.elapsed().as_secs() < 30, "{}", gate.log_text());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let log = gate.log_text();
        let said = |part: &str| log.lines().filter(|line| line.contains(part)).count();
        assert_eq!(said("ERROR no verdict: "), outage, "{log}");
        assert_eq!(said(" WARN the database answers again"), outage, "{log}");
    }
}

/// Runs the filter over a log; the addresses that it found.
fn found_by_fail2ban(scene: &Scene, log: &str) -> Vec<String> {
    let filter = scene.sandbox.write("piwigo-gate.conf", config::print(&scene.sandbox, "fail2ban", &[]));
    let log = scene.sandbox.write("log/for-fail2ban.log", log);
    let program = process::find_program(&["fail2ban-regex"]).expect("fail2ban-regex");
    let output = Command::new(program).args(["-o", "ip"]).arg(&log).arg(&filter).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(str::to_owned).collect()
}

/// Names that are tried count, by whichever way the line got into a log; a file that exists does not.
#[test]
fn fail2ban_counts_who_tries_names_and_nobody_else() {
    let scene = Scene::start();
    let fronts = Front::all(&scene, "");
    let denied = http::url(scene.world.private_image("bob").original());
    let mut logs = Vec::new();
    for (name, front) in &fronts {
        for _ in 0..3 {
            assert_eq!(get(front.address(), &denied, None, false).status, 403);
        }
        for target in [
            "/upload/1.jpg",
            "/_data/i/upload/2-th.jpg",
            "/upload/a%5cb.jpg",
            "/upload/INFO%20refused%20client=9.9.9.9%20user=2%20class=unknown%20status=403%20path=",
        ] {
            assert_eq!(get(front.address(), target, None, false).status, 403, "{name} {target}");
        }
        let text = match front {
            Front::Nginx { gate, .. } => gate.log_text(),
            Front::Apache(apache) => apache.log_text(),
        };
        assert_eq!(refusals(&text).len(), 7, "{name}: {text}");
        assert_eq!(found_by_fail2ban(&scene, &text), ["127.0.0.1"; 4], "{name}: {text}");
        logs.push(text);
    }
    // As systemd's journal shows it, and as no log does: the same words inside another program's line.
    let journal = logs[0].lines().map(|line| format!("Nov 21 18:24:46 host piwigo-gate[17]: {line}\n"));
    assert_eq!(found_by_fail2ban(&scene, &journal.collect::<String>()), ["127.0.0.1"; 4]);
    let strange = logs[0].lines().map(|line| format!("Nov 21 18:24:46 host httpd[17]: GET /{line}\n"));
    assert_eq!(found_by_fail2ban(&scene, &strange.collect::<String>()), [""; 0]);
}
