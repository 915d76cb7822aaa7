//! The visitor's address where the web server or PHP finds it otherwise than by the connection: real nginx on
//! a unix socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::support::examined::{Report, doctor};
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::nginx::{self, Nginx};
use crate::support::scene::Scene;

/// The status of an answer over nginx's unix socket.
fn status(socket: &std::path::Path, path: &str, cookie: &str, forwarded: &str) -> u16 {
    let mut stream = UnixStream::connect(socket).unwrap();
    let url = http::url(path);
    let request = format!(
        "GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    http::parse(&answer, false).unwrap().status
}

#[test]
fn nginx_on_a_unix_socket() {
    let scene = Scene::start();
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let socket = scene.sandbox.path().join("run/web.sock");
    let closed = scene.world.private_image("bob").original().to_owned();
    let open =
        scene.world.images.iter().find(|image| scene.world.verdict(2, image.id) == (true, true)).unwrap();
    let session = scene.world.session("bob");
    let cookie = session.cookie_header();
    let guard = nginx::gallery(&scene.sandbox, &nginx::fill_in(&scene.sandbox, nginx::ACCEL));
    // What is added to the server block; then whether bob's session counts, which was opened from 127.0.0.1.
    let real_ip = "set_real_ip_from unix:;\nreal_ip_header X-Forwarded-For;\n";
    for (more, counts) in [("", false), (real_ip, true)] {
        let text = format!("listen unix:{};\n{more}{guard}", socket.display());
        let web = Nginx::start(&scene.sandbox, &text);
        scene.sandbox.hand_over(&socket);
        assert_eq!(status(&socket, open.original(), "", "127.0.0.1"), 200, "{more}");
        assert_eq!(status(&socket, &closed, "", "127.0.0.1"), 403, "{more}");
        let expected = if counts { 200 } else { 403 };
        assert_eq!(status(&socket, &closed, &cookie, "127.0.0.1"), expected, "{more}");
        let file = scene.sandbox.write("site.conf", format!("server {{\n{text}}}\n"));
        let report =
            Report::read(&doctor(&scene.sandbox, &["--json", "--server-file", file.to_str().unwrap()]));
        if counts {
            assert!(!report.findings.contains_key("address"), "{}", report.text);
        } else {
            report.says("address", "warning", "unix socket");
            // Piwigo stores a session from there without a prefix (Piwigo: get_remote_addr_session_hash).
            scene.database.sql(
                "INSERT INTO piwigo_sessions (id, data, expiration)
                   SELECT SUBSTRING(id, 5), data, expiration FROM piwigo_sessions WHERE id LIKE '7F00%'",
            );
            assert_eq!(status(&socket, &closed, &cookie, "127.0.0.1"), 200);
            scene.database.sql("DELETE FROM piwigo_sessions WHERE id NOT LIKE '7F00%'");
            assert_eq!(gate.log_text().matches("set_real_ip_from unix:").count(), 1, "{}", gate.log_text());
        }
        drop(web);
        let _ = std::fs::remove_file(&socket);
    }
}

/// As Piwigo's pull request 2116 does it, on a server that tells no address of its own.
#[test]
fn sessions_bound_to_the_first_forwarded_address() {
    let scene = Scene::start();
    let arguments = ["--session-address", "x-forwarded-for"];
    let _gate = Gate::start(&scene.sandbox, &arguments, &[]);
    let socket = scene.sandbox.path().join("run/web.sock");
    let guard = nginx::gallery(&scene.sandbox, &nginx::fill_in(&scene.sandbox, nginx::ACCEL));
    let _web = Nginx::start(&scene.sandbox, &format!("listen unix:{};\n{guard}", socket.display()));
    scene.sandbox.hand_over(&socket);
    let closed = scene.world.private_image("bob").original().to_owned();
    // It was opened from 127.0.0.1.
    let cookie = scene.world.session("bob").cookie_header();
    for (forwarded, expected) in [
        ("127.0.0.1", 200),
        ("127.0.9.9, 10.0.0.5", 200),
        ("10.0.0.5, 127.0.0.1", 403),
        ("unknown, 127.0.0.1", 403),
        ("127.0.0.1, 2001:db8::1", 403),
        ("127.0", 403),
    ] {
        assert_eq!(status(&socket, &closed, &cookie, forwarded), expected, "{forwarded}");
    }
    let report = Report::read(&doctor(&scene.sandbox, &[&arguments[..], &["--json"]].concat()));
    report.says("address", "note", "x-forwarded-for");
}

#[test]
fn doctor_and_the_log_find_an_address_that_php_alone_knows() {
    let scene = Scene::start();
    let assignment = "$_SERVER['REMOTE_ADDR'] = $_SERVER['HTTP_X_FORWARDED_FOR'];";
    let unbound = format!("$conf['session_use_ip_address'] = false; {assignment}");
    let table = [
        ("", None),
        (assignment, Some("problem")),
        (unbound.as_str(), Some("note")),
        ("$conf['x'] = $_SERVER['REMOTE_ADDR'];", None),
    ];
    // The gates of one sandbox write to one log.
    let mut expected = 0;
    for (code, level) in table {
        scene.sandbox.write("gallery/local/config/config.inc.php", format!("<?php\n{code}\n"));
        let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
        match level {
            Some(level) => report.says("address", level, "config.inc.php, line 2"),
            None => assert!(!report.findings.contains_key("address"), "{}", report.text),
        }
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let lines = gate.log_text().matches("config.inc.php, line 2, changes").count();
        expected += usize::from(level == Some("problem"));
        assert_eq!(lines, expected, "{code}: {}", gate.log_text());
    }
}
