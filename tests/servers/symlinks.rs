//! The setting `symlinks` in every way of delivery: a table of links, each of which leads where its name
//! says; for originals, representatives, resized pictures and what they are made from.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Instant;

use crate::support::apache::{self, Apache};
use crate::support::config;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::nginx::{self, Nginx};
use crate::support::patience::PATIENCE;
use crate::support::php;
use crate::support::pictures;
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;
use crate::support::stream::{Front, Kind};
use crate::support::verdicts;
use piwigo_gate::http::reply::{Handover, Reply, SendMode};
use piwigo_gate::http::request::{Request, Server};
use piwigo_gate::settings::{Derivatives, Options, Settings};

/// Names of links in `upload/test`, and whether each setting follows them: same-owner, inside, the list, all.
/// A link whose name begins with `strangers` belongs to a third user, one with `roots` to root, one with
/// `owners` to the owner of the gallery's directory, and what it leads to to another user; only root can
/// arrange that.
const LINKS: [(&str, [bool; 4]); 20] = [
    ("plain.jpg", [true; 4]),
    ("inside.jpg", [true; 4]),
    ("outside.jpg", [true, false, false, true]),
    ("listed.jpg", [true, false, true, true]),
    ("chain.jpg", [true, false, false, true]),
    ("directory/below.jpg", [true, false, false, true]),
    ("listed-directory/below.jpg", [true, false, true, true]),
    ("dangling.jpg", [false; 4]),
    ("loop.jpg", [false; 4]),
    ("strangers-inside.jpg", [false, true, true, true]),
    ("strangers-outside.jpg", [false, false, false, true]),
    ("strangers-directory/below.jpg", [false, true, true, true]),
    ("strangers-chain.jpg", [false, true, true, true]),
    ("roots-inside.jpg", [true; 4]),
    ("roots-outside.jpg", [true, false, false, true]),
    ("roots-directory/below.jpg", [true; 4]),
    ("roots-chain.jpg", [false, true, true, true]),
    ("roots-with-two-names.jpg", [false, true, true, true]),
    ("owners-to-another.jpg", [true, false, false, true]),
    ("owners-chain.jpg", [false, true, true, true]),
];

/// Beginnings of the names of links that only root can make.
const BY_ROOT: [&str; 3] = ["strangers", "roots", "owners"];

const SETTINGS: [&str; 4] = ["same-owner", "inside", "list", "all"];

fn is_root(sandbox: &Sandbox) -> bool {
    sandbox.account().is_some()
}

/// The links that can be made here, and what is to be expected of each.
fn links(sandbox: &Sandbox) -> impl Iterator<Item = (&'static str, [bool; 4])> {
    let all = is_root(sandbox);
    LINKS.into_iter().filter(move |(name, _)| all || !BY_ROOT.iter().any(|begin| name.starts_with(begin)))
}

/// The setting as it is given to the gate.
fn given(sandbox: &Sandbox, setting: &str) -> String {
    if setting == "list" { sandbox.path().join("listed").display().to_string() } else { setting.to_owned() }
}

fn test_file(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.gallery().join("upload/test").join(name)
}

/// The gallery with its links, a row for each, in a public album. All files hold the same text.
fn scene() -> Scene {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    for name in [
        "gallery/upload/test/plain.jpg",
        "gallery/upload/test/real/below.jpg",
        "outside/outside.jpg",
        "outside/below.jpg",
        "listed/listed.jpg",
        "listed/below.jpg",
    ] {
        sandbox.write(name, "bytes\n");
    }
    for name in ["gallery", "outside", "listed"] {
        sandbox.hand_over_tree(&sandbox.path().join(name));
    }
    let at = |name: &str| sandbox.path().join(name);
    for (link, target) in [
        ("inside.jpg", PathBuf::from("../test/./plain.jpg")),
        ("outside.jpg", at("outside/outside.jpg")),
        ("listed.jpg", at("listed/listed.jpg")),
        ("chain.jpg", "outside.jpg".into()),
        ("directory", "../../../outside".into()),
        ("listed-directory", at("listed")),
        ("dangling.jpg", "none.jpg".into()),
        ("loop.jpg", "loop.jpg".into()),
        ("strangers-inside.jpg", "plain.jpg".into()),
        ("strangers-outside.jpg", at("outside/outside.jpg")),
        ("strangers-directory", "real".into()),
        ("strangers-chain.jpg", "roots-inside.jpg".into()),
        ("roots-inside.jpg", "plain.jpg".into()),
        ("roots-outside.jpg", at("outside/outside.jpg")),
        ("roots-directory", "real".into()),
        ("roots-chain.jpg", "strangers-inside.jpg".into()),
        ("roots-with-two-names.jpg", "plain.jpg".into()),
        ("owners-to-another.jpg", at("others.jpg")),
        ("owners-chain.jpg", "strangers-inside.jpg".into()),
    ] {
        let path = test_file(sandbox, link);
        symlink(target, &path).expect("a link");
        match link {
            _ if link.starts_with("strangers") => {
                sandbox.give_link_to_a_third_user(&path);
            }
            // As root makes them in this test.
            _ if link.starts_with("roots") => {}
            _ => sandbox.hand_over_link(&path),
        }
    }
    // It belongs to the tester: to root, or there is no other user.
    sandbox.write("others.jpg", "bytes\n");
    fs::hard_link(test_file(sandbox, "roots-with-two-names.jpg"), at("second-name")).expect("a second name");
    for (id, name) in (901..).zip(LINKS.map(|(name, _)| name).into_iter().chain(["gone.jpg"])) {
        scene.database.sql(&format!(
            "INSERT INTO piwigo_images (id, file, path, width, height, rotation)
               VALUES ({id}, 'x.jpg', './upload/test/{name}', 1600, 1200, 0);
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);"
        ));
    }
    scene
}

/// Every setting in every way of delivery, asked of the gate alone; the ways are those in which it must look
/// by itself.
#[tokio::test]
async fn the_gate_looks_wherever_no_server_does() {
    let scene = scene();
    let sandbox = &scene.sandbox;
    let ways = [
        (SendMode::XSendfile, Server::Other),
        (SendMode::Stream, Server::Other),
        (SendMode::Location, Server::Other),
        (SendMode::Authorize, Server::Nginx),
        (SendMode::XAccelRedirect, Server::Other),
        (SendMode::XAccelRedirect, Server::Nginx),
    ];
    // nginx looks itself where its file says so, and says that it does.
    let ways =
        ways.map(|way| (way, false)).into_iter().chain([((SendMode::XAccelRedirect, Server::Nginx), true)]);
    let ways: Vec<_> = ways.collect();
    for (at, setting) in SETTINGS.into_iter().enumerate() {
        let symlinks = Some(vec![given(sandbox, setting)]);
        let gate = verdicts::gate(sandbox, Options { symlinks, ..Options::default() }).await;
        for &((deliver, server), nginx_looks) in &ways {
            for (name, followed) in links(sandbox) {
                let url = http::url(&format!("upload/test/{name}"));
                let request = Request {
                    server,
                    deliver: Some(deliver),
                    server_looks_at_links: nginx_looks,
                    ..Request::new(url.as_bytes(), "127.0.0.1")
                };
                let reply = gate.answer(&request).await;
                let by_server = match setting {
                    "same-owner" => nginx_looks,
                    // Whether what is followed in any case is there is for the server to see.
                    "all" => !matches!(deliver, SendMode::XSendfile | SendMode::Stream),
                    _ => false,
                };
                let expected = match (followed[at] || by_server, deliver) {
                    (true, _) => 200,
                    (false, SendMode::Authorize) => 403,
                    (false, _) => 404,
                };
                assert_eq!(reply.status(), expected, "{setting} {deliver:?} {server:?} {name}");
                if let Reply::Allowed { handover: Handover::Sendfile { path, length, .. }, .. } = reply {
                    assert_eq!((PathBuf::from(path), length), (test_file(sandbox, name), 6), "{name}");
                }
            }
            // What is not there, without any link, is the server's to miss.
            let request = Request {
                server,
                deliver: Some(deliver),
                ..Request::new(b"/upload/test/gone.jpg", "127.0.0.1")
            };
            let by_gate = matches!(deliver, SendMode::XSendfile | SendMode::Stream);
            let expected = if by_gate { 404 } else { 200 };
            assert_eq!(gate.answer(&request).await.status(), expected, "{setting} {deliver:?} {server:?}");
        }
    }
}

/// A page of sixty pictures behind one link is one line.
#[test]
fn the_log_is_told_of_a_link_once() {
    let scene = scene();
    let gate = Gate::start(&scene.sandbox, &["--symlinks", "inside"], &[]);
    let front = Front::start(&scene.sandbox, Kind::Nginx);
    for name in ["outside.jpg", "listed.jpg"] {
        for _ in 0..3 {
            let url = http::url(&format!("upload/test/{name}"));
            assert_eq!(http::get(front.address(), &url).status, 404, "{name}");
        }
    }
    let log = gate.log_text();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("an allowed file is not sent")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("outside.jpg") && lines[1].contains("listed.jpg"), "{log}");
}

/// The same through servers that send the bytes; the text of nginx's file is the shipped one.
#[test]
fn no_server_sends_what_the_setting_does_not_allow() {
    for (at, setting) in SETTINGS.into_iter().enumerate() {
        let scene = scene();
        let sandbox = &scene.sandbox;
        php::write_scripts(sandbox);
        let symlinks = given(sandbox, setting);
        sandbox.write("gallery/local/config/gate.toml", format!("symlinks = {symlinks:?}\n"));
        let gate = Gate::start(sandbox, &[], &[]);
        // It knows the setting from gate.toml.
        let guard = config::print(sandbox, "nginx", &[]);
        // nginx itself would refuse root's links: then only the gate looks.
        let is_nginxs = setting == "same-owner" && !is_root(sandbox);
        assert_eq!(guard.contains("disable_symlinks if_not_owner"), is_nginxs);
        assert_eq!(guard.contains("GATE_SYMLINKS"), is_nginxs);
        let nginx = Nginx::start(sandbox, &nginx::gallery(sandbox, &guard));
        let stream = Front::start(sandbox, Kind::Lighttpd);
        let modules = ["fcgid", "xsendfile", "rewrite", "actions", "headers"];
        let apache = Apache::start(sandbox, &apache::xsendfile_host(sandbox, ""), &modules);
        for (name, followed) in links(sandbox) {
            let url = http::url(&format!("upload/test/{name}"));
            for (server, address) in
                [("nginx", nginx.address()), ("stream", stream.address()), ("X-Sendfile", apache.address())]
            {
                let answer = http::get(address, &url);
                let seen = answer.text() == "bytes\n";
                assert_eq!(
                    (answer.status == 200, seen),
                    (followed[at], followed[at]),
                    "{setting} {server} {name} {answer:?}"
                );
                assert!(followed[at] || matches!(answer.status, 403 | 404), "{setting} {server} {name}");
            }
        }
        let log = gate.log_text();
        match setting {
            "inside" => assert!(
                log.contains("upload/test/outside.jpg") && log.contains("symlinks (now inside)"),
                "{log}"
            ),
            "all" => assert!(!log.contains("is reached through"), "{log}"),
            _ => {}
        }
        if setting == "same-owner" && is_root(sandbox) {
            assert!(log.contains("strangers-inside.jpg") && log.contains("chown -h"), "{log}");
        }
    }
}

/// A resized picture and its source, a representative, and the derivatives' own directory.
#[tokio::test]
async fn derivatives_and_their_sources_are_held_to_it() {
    let scene = scene();
    let sandbox = &scene.sandbox;
    let picture = pictures::jpeg(1600, 1200, 1);
    for name in ["outside/outside.jpg", "listed/listed.jpg", "gallery/upload/test/plain.jpg"] {
        let path = sandbox.write(name, &picture);
        pictures::date(&path, std::time::SystemTime::now() - std::time::Duration::from_hours(1));
    }
    scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path, representative_ext) VALUES
           (951, 'film.mp4', './upload/test/film.mp4', 'jpg');
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (951, 1)",
    );
    sandbox.write("gallery/upload/test/film.mp4", "a film");
    fs::create_dir(test_file(sandbox, "pwg_representative")).expect("a directory");
    let poster = test_file(sandbox, "pwg_representative/film.jpg");
    symlink(sandbox.path().join("outside/outside.jpg"), &poster).expect("a link");
    sandbox.hand_over_link(&poster);
    sandbox.hand_over_tree(&sandbox.gallery());
    for (setting, outside, listed) in
        [("same-owner", true, true), ("inside", false, false), ("list", false, true), ("all", true, true)]
    {
        let symlinks = Some(vec![given(sandbox, setting)]);
        let gate = verdicts::gate(sandbox, Options { symlinks, ..Options::default() }).await;
        for (path, followed) in [
            ("_data/i/upload/test/plain-th.jpg", true),
            ("_data/i/upload/test/inside-th.jpg", true),
            ("_data/i/upload/test/outside-th.jpg", outside),
            ("_data/i/upload/test/chain-th.jpg", outside),
            ("_data/i/upload/test/listed-th.jpg", listed),
            ("_data/i/upload/test/pwg_representative/film-th.jpg", outside),
            ("upload/test/pwg_representative/film.jpg", outside),
        ] {
            // First it is made, then it is there.
            for _ in 0..2 {
                let url = http::url(path);
                let request =
                    Request { deliver: Some(SendMode::Stream), ..Request::new(url.as_bytes(), "127.0.0.1") };
                let expected = if followed { 200 } else { 404 };
                assert_eq!(gate.answer(&request).await.status(), expected, "{setting} {path}");
            }
            let made = sandbox.gallery().join(path);
            assert_eq!(made.exists(), followed || path.starts_with("upload"), "{setting} {path}");
            if path.starts_with("_data") && followed {
                // One that leads elsewhere is a link like any other.
                let elsewhere = sandbox.path().join("outside/derivative.jpg");
                fs::rename(&made, &elsewhere).expect("moved");
                symlink(&elsewhere, &made).expect("a link");
                sandbox.hand_over(&elsewhere);
                sandbox.hand_over_link(&made);
                let url = http::url(path);
                let request = Request {
                    deliver: Some(SendMode::XSendfile),
                    ..Request::new(url.as_bytes(), "127.0.0.1")
                };
                assert_eq!(gate.answer(&request).await.status(), 200, "{setting} {path}");
                let still_a_link = fs::symlink_metadata(&made).expect("it is there").is_symlink();
                // Where it is not followed, the gate makes a file of its own in its place.
                assert_eq!(still_a_link, matches!(setting, "same-owner" | "all"), "{setting} {path}");
                fs::remove_file(&made).expect("it was there");
            }
        }
    }
    // The whole directory on another disk.
    let data = sandbox.gallery().join("_data");
    fs::rename(&data, sandbox.path().join("listed/data")).expect("moved");
    symlink("../listed/data", &data).expect("a link");
    sandbox.hand_over_link(&data);
    for (setting, followed) in [("same-owner", true), ("inside", false), ("list", true), ("all", true)] {
        let symlinks = Some(vec![given(sandbox, setting)]);
        let gate = verdicts::gate(sandbox, Options { symlinks, ..Options::default() }).await;
        let url = "/_data/i/upload/test/plain-sm.jpg";
        let request =
            Request { deliver: Some(SendMode::Stream), ..Request::new(url.as_bytes(), "127.0.0.1") };
        let expected = if followed { 200 } else { 404 };
        assert_eq!(gate.answer(&request).await.status(), expected, "{setting}");
        let _ = fs::remove_file(sandbox.path().join("listed/data/i/upload/test/plain-sm.jpg"));
    }
}

/// Piwigo's `i.php` follows every link, and a server that only asks serves what lies there.
#[tokio::test]
async fn nothing_is_handed_on_to_whoever_would_follow_the_link() {
    let scene = scene();
    let sandbox = &scene.sandbox;
    let derivative = sandbox.write("outside/derivative.jpg", "bytes\n");
    pictures::date(&derivative, std::time::SystemTime::now());
    let place = sandbox.gallery().join("_data/i/upload/test/plain-th.jpg");
    fs::create_dir_all(place.parent().expect("a directory")).expect("made");
    symlink(&derivative, place).expect("a link");
    for (setting, followed) in [("inside", false), ("all", true)] {
        let options = Options {
            symlinks: Some(vec![setting.into()]),
            derivatives: Some(Derivatives::Piwigo),
            ..Options::default()
        };
        let gate = verdicts::gate(sandbox, options).await;
        for deliver in
            [SendMode::Location, SendMode::Authorize, SendMode::XSendfile, SendMode::XAccelRedirect]
        {
            for path in ["_data/i/upload/test/outside-th.jpg", "_data/i/upload/test/plain-th.jpg"] {
                let url = http::url(path);
                let request = Request {
                    server: Server::Nginx,
                    deliver: Some(deliver),
                    ..Request::new(url.as_bytes(), "127.0.0.1")
                };
                let reply = gate.answer(&request).await;
                assert_eq!(reply.status() == 200, followed, "{setting} {deliver:?} {path} {reply:?}");
            }
        }
    }
}

/// A link out of the gallery that takes turns with a file, asked for all the while: only the file's bytes
/// ever come.
#[test]
fn a_link_that_is_swapped_in_opens_nothing() {
    use std::sync::atomic::{AtomicBool, Ordering};
    /// The scope waits for the other thread, also when this one panics.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let scene = scene();
    let sandbox = &scene.sandbox;
    sandbox.write("outside/outside.jpg", "a secret\n");
    let gate = Gate::start(sandbox, &["--symlinks", "inside"], &[]);
    let stream = Front::start(sandbox, Kind::Nginx);
    let (place, file, link) =
        (test_file(sandbox, "plain.jpg"), test_file(sandbox, "file"), test_file(sandbox, "link"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = Done(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::write(&file, "bytes\n").expect("a file");
                fs::rename(&file, &place).expect("renamed");
                symlink(sandbox.path().join("outside/outside.jpg"), &link).expect("a link");
                fs::rename(&link, &place).expect("renamed");
            }
        });
        let mut seen = std::collections::BTreeMap::<u16, usize>::new();
        let start = Instant::now();
        while [200, 404].iter().any(|status| seen.get(status).is_none_or(|&count| count <= 100)) {
            assert!(start.elapsed() < PATIENCE, "{seen:?}");
            let answer = http::get(stream.address(), "/upload/test/plain.jpg");
            assert!(answer.status != 200 || answer.text() == "bytes\n", "{answer:?}");
            *seen.entry(answer.status).or_default() += 1;
        }
        drop(over);
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [200, 404], "{seen:?}");
    });
    assert!(!gate.log_text().contains("panic"));
}

#[test]
fn a_setting_that_cannot_work_says_what_it_may_be() {
    let sandbox = Sandbox::new();
    crate::support::scene::write_gallery(&sandbox, &crate::support::world::World::load());
    crate::support::files::write_config(&sandbox.gallery(), &sandbox.path().join("none.sock"));
    for (texts, expected) in [
        (vec!["sometimes"], "same-owner, inside, all"),
        (vec!["inside", "/srv"], "same-owner, inside, all"),
        (vec!["/"], "say all"),
        (vec!["/none/such"], "/none/such"),
    ] {
        let options = Options {
            gallery: Some(sandbox.gallery()),
            symlinks: Some(texts.iter().map(ToString::to_string).collect()),
            ..Options::default()
        };
        let Err(error) = Settings::resolve(options, None) else { panic!("{texts:?} works") };
        assert!(error.to_string().contains(expected), "{texts:?}: {error}");
    }
}
