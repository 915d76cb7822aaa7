//! `piwigo-gate doctor --cookie`: whether Piwigo and the gate know a visitor alike, and why not. The cookie
//! is shown to nobody.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::examined::{Setting, doctor, doctor_command, without, write_ws_php};
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::nginx::{self, Nginx};

#[test]
fn a_visitor_whom_piwigo_and_the_gate_know() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::new().with_guard(file, |file| file);
        if file == nginx::AUTH_REQUEST {
            setting.link_to_plain_paths();
        }
        for (user, allowed, denied) in [
            (
                "erin",
                ("ok", "what erin may see, and no guest, comes: /"),
                ("ok", "what erin must not see is"),
            ),
            ("bob", ("ok", "what bob may see, and no guest, comes: /"), ("ok", "what bob must not see is")),
            ("alice", ("note", "no picture that alice may see"), ("ok", "what alice must not see is")),
            ("admin", ("ok", "what admin may see"), ("note", "no picture that admin must not see")),
        ] {
            let report = setting.report(&["--cookie", &format!("a=b; {}", setting.cookie(user))]);
            let found = (report.all("problem"), report.all("warning"));
            assert_eq!(found, (vec![], vec![]), "{user} {}", report.text);
            report.says("outside-session", "ok", &format!("PHP knows this visitor as {user}"));
            report.says("outside-session-allowed", allowed.0, allowed.1);
            report.says("outside-session-denied", denied.0, denied.1);
            report.says("outside", "note", "of them with the cookies");
        }
        let report = setting.report(&[]);
        assert!(
            !report.text.contains("outside-session") && !report.text.contains("with the cookies"),
            "{}",
            report.text
        );
    }
}

/// Then the account has nothing to do with it.
#[test]
fn wrong_server_that_refuses_everything_or_reaches_no_gate() {
    let mut setting = Setting::new().with_guard(nginx::ACCEL, |_| {
        ["/upload", "/galleries", "/_data/i", "/i.php"]
            .map(|path| format!("location ^~ {path} {{ return 403; }}\n"))
            .concat()
    });
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-allowed", "problem", "an open picture does not come");
    report.says("outside-session-allowed", "note", "not even an open picture comes");
    assert!(!report.text.contains("outside-links"), "{}", report.text);
    setting = setting.with_guard(nginx::ACCEL, |file| file);
    drop(setting.gate.take());
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session-allowed", "note", "what erin may see: the server was in trouble");
}

#[test]
fn wrong_address_that_the_gate_is_told_and_php_is_not() {
    let include = "location = /_gate/ask {\n    internal;\n    include fastcgi_params;";
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        assert!(file.contains(include));
        file.replace(include, &format!("{include}\n    fastcgi_param REMOTE_ADDR 10.9.8.7;"))
    });
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "ok", "PHP knows this visitor as erin");
    let cause = "likely causes: the address (PHP sees an address that begins with 127.0, and the gate is told another one); \
                 session handler or cookie name";
    report.says("outside-session-allowed", "problem", cause);
    assert_eq!(report.all("problem"), ["outside-session-allowed"], "{}", report.text);
    assert!(report.text.contains("set_real_ip_from") && report.text.contains("client=…"), "{}", report.text);
    let log = setting.gate.as_ref().unwrap().log_text();
    assert!(log.contains("client=10.9.8.7"), "{log}");
}

#[test]
fn wrong_address_that_php_is_told_and_the_gate_is_not() {
    let setting = Setting::right();
    let moved = |row: &str| row.replacen("7F00", "0A09", 1);
    setting
        .scene
        .database
        .sql("UPDATE piwigo_sessions SET id = CONCAT('0A09', SUBSTRING(id, 5)) WHERE id LIKE '7F00%'");
    write_ws_php(setting.sandbox(), &setting.scene.world, moved);
    // From here neither knows it.
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says(
        "outside-session",
        "note",
        "a session of account 7, opened from an address that begins with 10.9;",
    );
    assert_eq!(report.all("problem"), Vec::<&str>::new(), "{}", report.text);
    let server = nginx::gallery(setting.sandbox(), &nginx::fill_in(setting.sandbox(), nginx::ACCEL));
    let php = "fastcgi_param PATH_INFO $tail;";
    assert!(server.contains(php));
    let server = server.replace(php, &format!("{php} fastcgi_param REMOTE_ADDR 10.9.8.7;"));
    let nginx = Nginx::start(setting.sandbox(), &server);
    let url = format!("http://{}/", nginx.address());
    let report = setting.report(&["--url", &url, "--cookie", &setting.cookie("erin")]);
    report.says(
        "outside-session-allowed",
        "problem",
        "PHP sees an address that begins with 10.9, and the gate",
    );
    // And one that the gate takes for somebody's, and PHP does not.
    setting
        .scene
        .database
        .sql("UPDATE piwigo_sessions SET id = CONCAT('7F00', SUBSTRING(id, 5)) WHERE id LIKE '0A09%'");
    write_ws_php(setting.sandbox(), &setting.scene.world, str::to_owned);
    let report = setting.report(&["--url", &url, "--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "warning", "the gate knows this visitor as account 7, and PHP as a guest");
}

#[test]
fn wrong_session_handler_and_cookie_name() {
    let setting = Setting::right();
    let cookie = setting.cookie("erin");
    let named = |setting: &Setting, line: &str| {
        fs::write(setting.sandbox().gallery().join("local/config/gate.toml"), line).unwrap();
    };
    // The gate that runs goes by what it read before: here and now all would be right.
    named(&setting, "[piwigo]\nsession_name = \"other\"\n");
    let report = setting.report(&["--cookie", &cookie]);
    report.says("outside-session-allowed", "ok", "comes");
    let mut setting = setting;
    drop(setting.gate.take());
    setting.gate = Some(Gate::start(setting.sandbox(), &[], &[]));
    let report = setting.report(&["--cookie", &cookie]);
    report.says(
        "outside-session-allowed",
        "problem",
        "likely cause: cookie name (there is no session's id in a cookie called \"other\")",
    );
    named(&setting, "");
    let report = setting.report(&["--cookie", &cookie]);
    report.says("outside-session-allowed", "problem", "(PHP sees an address that begins with 127.0");
    drop(setting.gate.take());
    setting.gate = Some(Gate::start(setting.sandbox(), &[], &[]));
    setting.report(&["--cookie", &cookie]).says("outside-session-allowed", "ok", "comes");
    // PHP's own sessions, in another directory than is said.
    let config = setting.sandbox().gallery().join("local/config/config.inc.php");
    fs::write(&config, "<?php\n$conf['session_save_handler'] = 'files';\n").unwrap();
    let directory = setting.sandbox().make_dir("sessions");
    let files = ["--session-files", directory.to_str().unwrap()];
    drop(setting.gate.take());
    setting.gate = Some(Gate::start(setting.sandbox(), &files, &[]));
    let report = setting.report(&[&["--cookie", &cookie], &files[..]].concat());
    let cause = "likely causes: session handler (PHP keeps sessions by \"files\"";
    report.says("outside-session-allowed", "problem", cause);
    let file = directory.join("sess_abcdefghijabcdefghij");
    fs::write(&file, "pwg_uid|i:7;").unwrap();
    setting.sandbox().hand_over(&file);
    let both = format!("{cookie}; PHPSESSID=abcdefghijabcdefghij");
    let report = setting.report(&[&["--cookie", &both], &files[..]].concat());
    report.says("outside-session-allowed", "ok", "comes");
    fs::write(&config, "<?php\n").unwrap();
    setting.scene.database.sql("DELETE FROM piwigo_sessions");
    let report = setting.report(&["--cookie", &cookie]);
    report.says(
        "outside-session-allowed",
        "problem",
        "likely causes: session handler (there is no such session",
    );
}

#[test]
fn a_cookie_that_is_no_session() {
    let setting = Setting::right();
    let ended = setting.scene.world.sessions.iter().find(|session| session.row.is_none()).unwrap();
    for (cookie, why) in [
        (ended.cookie_header(), "nobody is signed in with it"),
        (setting.cookie("anon"), "nobody is signed in with it"),
        ("other=abc".to_owned(), "there is no session's id in a cookie called pwg_id"),
    ] {
        let report = setting.report(&["--cookie", &cookie]);
        report.says("outside-session", "note", &format!("this cookie is no session (any more): {why}"));
        let found = (report.all("problem"), report.all("warning"));
        assert_eq!(found, (vec![], vec![]), "{}", report.text);
        assert!(!report.text.contains("outside-session-"), "{}", report.text);
    }
}

#[test]
fn a_piwigo_that_does_not_say_who_it_is() {
    let setting = Setting::right();
    fs::remove_file(setting.sandbox().gallery().join("ws.php")).unwrap();
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "note", "PHP does not say who this visitor is: ws.php?");
    report.says("outside-session-allowed", "ok", "what account 7 may see");
    report.says("outside-session-denied", "ok", "what account 7 must not see");
    // A page that repeats what it was sent.
    let echo = "<?php echo json_encode(['stat' => 'ok', 'result' => ['username' => $_SERVER['HTTP_COOKIE'], 'status' => 'x']]);";
    setting.sandbox().write("gallery/ws.php", echo);
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "note", "answers 200 with the cookie in the place of a name");
    assert!(!report.text.contains(&setting.scene.world.session("erin").cookies["pwg_id"]), "{}", report.text);
    setting.sandbox().write("gallery/ws.php", "<?php header('Location: http://elsewhere.test/'); echo '{}';");
    let report = setting.report(&["--cookie", "pwg_id=abcdefghijabcdefghij"]);
    report.says("outside-session", "note", "answers 302 without saying who it is; and nobody is signed in");
    setting.scene.database.sql("UPDATE piwigo_sessions SET id = CONCAT('CB00', SUBSTRING(id, 5))");
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session-allowed", "note", "opened from an address that begins with 203.0");
    // With the gate away nothing is said about sessions.
    let mut setting = setting;
    drop(setting.gate.take());
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-gate", "problem", "503");
    report.says("outside-session-allowed", "note", "not examined");
    report.says("outside-session-denied", "note", "not examined");
}

/// The server block of a proxy that keeps pictures, in front of `behind`.
fn cache(behind: &str, how: &str) -> String {
    format!(
        "location / {{\n proxy_pass {behind};\n proxy_set_header Host $http_host;\n proxy_cache photos;\n {how}\n \
         add_header X-Cache-Status $upstream_cache_status;\n }}\n"
    )
}

#[test]
fn wrong_cache_that_looks_at_no_cookie() {
    const BLIND: &str =
        "proxy_cache_valid 200 10m; proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;";
    let setting = Setting::right();
    let behind = format!("http://{}", setting.nginx.as_ref().unwrap().address());
    let zone = |number: usize| {
        let place = setting.sandbox().path().join(format!("tmp/photos-{number}"));
        format!("proxy_cache_path {} keys_zone=photos:1m;", place.display())
    };
    for (number, (how, kept)) in [
        (BLIND.to_owned(), true),
        // One that leaves the query out.
        (format!("{BLIND} proxy_cache_key $uri;"), true),
        // One that obeys what the gate says.
        (String::new(), false),
        ("proxy_cache_valid 200 10m;".to_owned(), false),
        // One that asks each cookie by itself.
        (format!("{BLIND} proxy_cache_key $request_uri$http_cookie;"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let front = Nginx::start_with(setting.sandbox(), &zone(number), &cache(&behind, &how));
        let url = format!("http://{}/", front.address());
        let report = setting.report(&["--url", &url, "--cookie", &setting.cookie("erin")]);
        if !kept {
            report.says("outside-kept", "ok", "refused without them afterwards");
            // nginx asks for whole files where it could keep them: that is a trouble of its own.
            let problems = report.all("problem");
            assert!(problems.iter().all(|id| *id == "outside-range"), "{how}: {}", report.text);
            continue;
        }
        report.says("outside-kept", "problem", "x-cache-status: HIT");
        assert!(report.text.contains("then empty it"), "{}", report.text);
        // A cache that goes by whole addresses was not filled by this examination.
        let probe = report.text.split_once("afterwards: ").unwrap().1.split_whitespace().next().unwrap();
        let (picture, _) = probe.split_once("?piwigo-gate-doctor=").unwrap();
        let expected = if how == BLIND { 403 } else { 200 };
        assert_eq!(http::get(front.address(), picture).status, expected, "{how}: {picture}");
    }
    // Where everything is open, that is no cache's doing.
    let open = Setting::new().with_guard(nginx::ACCEL, |_| String::new());
    let report = open.report(&["--cookie", &open.cookie("erin")]);
    report.says("outside-original", "problem", "comes to everybody");
    assert!(!report.text.contains("outside-kept"), "{}", report.text);
}

/// They would know the visitor's session.
#[test]
fn cookies_go_to_no_other_host() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = elsewhere.local_addr().unwrap();
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let to = |place: &str| format!("location {place} {{ return 302 http://{address}$request_uri; }}\n");
        let guards = without(&file, &["location ^~ \"/upload"], true);
        format!("{}{}{guards}", to("= /ws.php"), to("^~ /upload"))
    });
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "note", "answers 302");
    report.says("outside", "note", "of them with the cookies");
    let heard = elsewhere.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(heard, Err(std::io::ErrorKind::WouldBlock));
}

#[test]
fn what_is_no_cookie_is_said_before_anything_is_asked() {
    let setting = Setting::right();
    let long = "a".repeat(17 * 1024);
    for (arguments, words) in [
        (&["--cookie", " "][..], "--cookie says nothing"),
        (&["--cookie", "pwg_id=s3cret\r\nHost: x"], "control character"),
        (&["--cookie", &long], "longer than 16384 bytes"),
        (&["--cookie", "-"], "--cookie says nothing"),
    ] {
        let output = setting.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{errors}");
        assert!(errors.contains(words) && !errors.contains("s3cret"), "{errors}");
    }
    let alone = doctor(setting.sandbox(), &["--cookie", "pwg_id=s3cret"]);
    let errors = String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.code() == Some(2) && errors.contains("--url"), "{errors}");
}

/// A curl that writes down what everybody on the machine can read of it stands before the real one.
#[test]
fn the_cookie_is_printed_nowhere_and_is_no_programs_argument() {
    let mut setting = Setting::right();
    let url = format!("http://{}/", setting.nginx.as_ref().unwrap().address());
    let seen = setting.sandbox().write("log/curl.txt", "");
    setting.sandbox().hand_over(&seen);
    let curl = setting.sandbox().write_program(
        "own/curl",
        format!(
            "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/cmdline >>{seen}\nenv >>{seen}\nexec /usr/bin/curl \"$@\"\n",
            seen = seen.display()
        ),
    );
    let path = format!("{}:/usr/bin:/bin", curl.parent().unwrap().display());
    let secret = setting.scene.world.session("erin").cookies["pwg_id"].clone();
    let odd = "z%22qu\"ote\\d";
    let cookies = format!("pwg_id={secret}; odd={odd}");
    let listen = format!("unix:{}", setting.sandbox().gate_socket().display());
    for gate_runs in [true, false] {
        if !gate_runs {
            drop(setting.gate.take());
        }
        for json in [&["--json"][..], &[]] {
            let arguments = [&["--listen", &listen, "--url", &url, "--cookie", "-"], json].concat();
            let mut doctor = doctor_command(setting.sandbox(), &arguments)
                .env("PATH", &path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            writeln!(doctor.stdin.take().unwrap(), "{cookies}").unwrap();
            let output = doctor.wait_with_output().unwrap();
            let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
            assert!(said.contains("PHP knows this visitor as erin"), "{said}");
            let token = "a37b7c71d3e6df0d3f8808e247c6ca7e";
            for word in [&*secret, odd, "qu\"ote", token] {
                assert!(!said.contains(word), "{word} in\n{said}");
            }
        }
    }
    let seen = fs::read_to_string(&seen).unwrap();
    assert!(seen.matches("--config\n-\n").count() > 8 && seen.contains("PATH="), "{seen}");
    assert!(!seen.contains(&secret) && !seen.contains("ote"), "{seen}");
}
