//! A shared host: nothing but `.htaccess` files and the program itself, uploaded to Piwigo's directory as
//! `gate.fcgi`. No argument, no environment, no settings file tells it anything.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::apache::{self, Apache};
use crate::support::files;
use crate::support::http::{self, Response};
use crate::support::php;
use crate::support::pictures;
use crate::support::process;
use crate::support::scene::Scene;

const USUAL: &[&str] = &["fcgid", "rewrite", "actions", "headers"];
const POOR: &[&str] = &["fcgid", "rewrite"];

/// What hosts allow, their modules, and where in the site Piwigo is.
const HOSTS: [(&str, &[&str], &str); 4] = [
    ("FileInfo Options Indexes", USUAL, ""),
    ("FileInfo Options Indexes", POOR, "/piwigo"),
    ("All", USUAL, "/piwigo"),
    ("All", POOR, ""),
];

const PATIENCE: Duration = Duration::from_mins(1);

struct Host {
    apache: Apache,
    prefix: &'static str,
    scene: Scene,
}

impl Host {
    fn start((allowed, modules, prefix): (&str, &[&str], &'static str)) -> Self {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        php::write_scripts(sandbox);
        let host = apache::shared_host(sandbox, prefix);
        let usual = "AllowOverride FileInfo Options Indexes";
        assert!(host.contains(usual));
        let host = host.replace(usual, &format!("AllowOverride {allowed}"));
        apache::write_htaccess(sandbox, prefix, true);
        apache::upload_program(sandbox);
        let apache = Apache::start(sandbox, &host, modules);
        Self { apache, prefix, scene }
    }

    fn usual() -> Self {
        Self::start(HOSTS[0])
    }

    fn address(&self) -> SocketAddr {
        self.apache.address()
    }

    fn get(&self, target: &str, user: Option<&str>) -> Response {
        let cookie = user.map(|user| self.scene.world.session(user).cookie_header());
        let headers: Vec<_> = cookie.iter().map(|cookie| ("Cookie", cookie.as_str())).collect();
        http::request(self.address(), "GET", format!("{}{target}", self.prefix), &headers)
    }

    /// The gates that mod_fcgid has started, lowest number first.
    fn gates(&self) -> Vec<u32> {
        let is_gate = |id: &u32| {
            std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| {
                line.split(|&byte| byte == 0).next().is_some_and(|name| name.ends_with(b"gate.fcgi"))
            })
        };
        let mut gates: Vec<_> = self.apache.helpers().into_iter().filter(is_gate).collect();
        gates.sort_unstable();
        gates
    }
}

#[test]
fn the_program_and_the_htaccess_files_are_enough() {
    for kind in HOSTS {
        let host = Host::start(kind);
        let world = &host.scene.world;
        let image = world.private_image("erin");
        let (original, small) =
            (http::url(image.original()), http::url(&image.derivative("th").expect("a picture")));
        let script = format!("/i.php?{}", &small["/_data/i".len()..]);
        let download = format!("/action.php?id={}&part=e", image.id);
        for target in [&original, &small, &script, &download] {
            let allowed = host.get(target, Some("erin"));
            assert_eq!(allowed.status, 200, "{kind:?} {target}: {}", host.apache.log_text());
            let text = if *target == small || *target == script {
                files::derivative_text(image.id, "th")
            } else {
                files::original_text(image.id)
            };
            assert_eq!(allowed.text(), text, "{kind:?} {target}");
            assert_eq!(host.get(target, None).status, 403, "{kind:?} {target}");
        }
        for target in ["/gate.fcgi", "/gate.fcgi/upload/x.jpg", "/gate.fcgi?serve"] {
            assert_eq!(host.get(target, None).status, 404, "{kind:?} {target}");
        }
        assert_eq!(host.get("/index.php", None).text(), "a page of Piwigo\n");
        assert_eq!(host.get("/upload/nothing.jpg", Some("erin")).status, 403, "{kind:?}");
    }
}

#[test]
fn a_missing_size_is_made_by_the_gate() {
    for kind in [HOSTS[0], HOSTS[2]] {
        let host = Host::start(kind);
        let world = &host.scene.world;
        let image = world.private_image("erin");
        pictures::write(&host.scene.sandbox, image.original(), &pictures::jpeg(1200, 900, 0));
        let small = http::url(&image.derivative("sq").expect("a picture"));
        assert_eq!(host.get(&small, None).status, 403, "{kind:?}");
        let answer = host.get(&small, Some("erin"));
        assert_eq!(answer.status, 200, "{kind:?} {}", host.apache.log_text());
        assert!(answer.body.starts_with(b"\xff\xd8\xff"), "{kind:?} {}", answer.text());
        assert_eq!(answer.header("x-made-by"), None, "{kind:?}");
    }
}

#[test]
fn many_at_once_are_all_answered() {
    let host = Host::usual();
    let url = http::url(host.scene.world.image(1).original());
    let address = host.address();
    for round in 0..3 {
        let ask = || {
            let url = url.clone();
            std::thread::spawn(move || http::get(address, &url).status)
        };
        let threads: Vec<_> = (0..10).map(|_| ask()).collect();
        let statuses: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("a client")).collect();
        let log = host.apache.log_text();
        // Where ten that start at once keep the database from answering in time, they say so; the next round
        // finds them ready.
        let is_late = |status| round == 0 && status == 503 && log.contains("did not answer within");
        assert!(statuses.iter().all(|&status| status == 200 || is_late(status)), "{statuses:?} {log}");
        assert!(statuses.contains(&200), "{log}");
    }
}

#[test]
fn it_stays_between_requests_and_one_that_was_killed_is_replaced_unnoticed() {
    let host = Host::usual();
    let url = http::url(host.scene.world.image(1).original());
    assert_eq!(host.get(&url, None).status, 200);
    let gates = host.gates();
    assert_eq!(gates.len(), 1, "{gates:?}");
    // By this name the gate knows that nobody else accepts from its socket.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", gates[0])).unwrap();
    let manager = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(1)).unwrap();
    let sockets = std::fs::read_dir(host.scene.sandbox.path().join("run/fcgid")).unwrap();
    let names: Vec<_> = sockets.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let is_its_own = |name: &String| name.strip_prefix(manager).is_some_and(|rest| rest.starts_with('.'));
    assert!(names.iter().any(is_its_own), "{manager} {names:?}");
    for _ in 0..20 {
        assert_eq!(host.get(&url, None).status, 200);
    }
    assert_eq!(host.gates(), gates, "one after another they are all answered by one process");
    for name in ["KILL", "TERM"] {
        let gates = host.gates();
        for &gate in &gates {
            process::signal(name, gate);
        }
        // Not until its socket is closed: a request that got in before is lost with the process, whoever ends
        // it.
        process::wait_until("the gates have ended", || gates.iter().all(|&gate| process::has_ended(gate)));
        assert_eq!(host.get(&url, None).status, 200, "SIG{name}: {}", host.apache.log_text());
        assert!(!host.gates().is_empty());
    }
}

/// As mod_fcgid ends a process that has been idle or has served for long: never one that is still starting.
/// (What Apache does while it restarts itself is its own: a worker of before then waits for a process that
/// nobody starts any more.)
#[test]
fn a_gate_that_is_asked_to_end_answers_what_it_has() {
    let host = Host::usual();
    let url = http::url(host.scene.world.image(1).original());
    let address = host.address();
    let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visitor = || {
        let (url, ends, answered) = (url.clone(), ends.clone(), answered.clone());
        std::thread::spawn(move || {
            let mut statuses = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                statuses.push(http::get(address, &url).status);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            statuses
        })
    };
    let visitors: Vec<_> = (0..3).map(|_| visitor()).collect();
    for _ in 0..5 {
        let (start, from) = (Instant::now(), answered.load(Ordering::Relaxed));
        while answered.load(Ordering::Relaxed) < from + 30 {
            assert!(start.elapsed() < PATIENCE, "{}", host.apache.log_text());
            std::thread::sleep(Duration::from_millis(10));
        }
        let gates = host.gates().into_iter().filter(|&gate| process::catches_sigterm(gate));
        gates.for_each(|gate| process::signal("TERM", gate));
    }
    ends.store(true, Ordering::Relaxed);
    let statuses: Vec<_> =
        visitors.into_iter().flat_map(|visitor| visitor.join().expect("a visitor")).collect();
    let log = host.apache.log_text();
    assert!(statuses.len() > 100 && statuses.iter().all(|status| *status == 200), "{statuses:?}\n{log}");
    for lost in ["before headers", "reset by peer"] {
        assert!(!log.contains(lost), "{log}");
    }
}

/// The `.htaccess` files are gone, and the host runs every `.fcgi`: what they guarded is open, as it would be
/// without a gate; but the program gives nobody anything.
#[test]
fn without_its_htaccess_the_program_is_no_way_in() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let host = apache::shared_host(sandbox, "");
    apache::upload_program(sandbox);
    let host = format!(
        "{host}<Directory {}>\nOptions +ExecCGI\nAddHandler fcgid-script .fcgi\n</Directory>\n",
        sandbox.gallery().display()
    );
    let apache = Apache::start(sandbox, &host, USUAL);
    let url = http::url(scene.world.private_image("erin").original());
    for target in [
        "/gate.fcgi".to_owned(),
        format!("/gate.fcgi{url}"),
        format!("/gate.fcgi?{url}"),
        "/gate.fcgi?serve+--listen+tcp:127.0.0.1:9".to_owned(),
        "/gate.fcgi?--help".to_owned(),
    ] {
        let answer = http::request(apache.address(), "GET", &target, &[("GATE-DELIVER", "location")]);
        assert!([403, 503].contains(&answer.status), "{target}: {} {}", answer.status, answer.text());
        for leak in ["location", "x-sendfile", "x-accel-redirect"] {
            assert_eq!(answer.header(leak), None, "{target}");
        }
        assert!(!answer.text().contains("original"), "{target}: {}", answer.text());
    }
}
