//! The gate in service: its database stopped and started, signals under load, a strange clock, hostile keys
//! amid honest load. Real nginx and MariaDB throughout.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::examined::{Report, doctor};
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::mariadb::{self, MariaDb};
use crate::support::nginx::{self, Nginx};
use crate::support::patience::PATIENCE;
use crate::support::process::{self, Program};
use crate::support::rows::Engine;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{self, Scene};
use crate::support::world::World;

fn get(address: SocketAddr, url: &str, cookie: &str) -> Response {
    http::request(address, "GET", url, &[("Cookie", cookie)])
}

/// A picture that bob may have and a guest may not: its URL and bytes, and his cookie.
fn private_picture(world: &World) -> (String, String, String) {
    let image = world.private_image("bob");
    let cookie = world.session("bob").cookie_header();
    (http::url(image.original()), files::original_text(image.id), cookie)
}

/// Clients that ask for one picture over and over, until [`Load::end`].
struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<(u16, String)>>>,
}

impl Load {
    fn start(address: SocketAddr, url: &str, cookie: &str, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let threads = (0..clients)
            .map(|_| {
                let (stop, count) = (stop.clone(), count.clone());
                let (url, cookie) = (url.to_owned(), cookie.to_owned());
                std::thread::spawn(move || {
                    let mut answers = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let answer = get(address, &url, &cookie);
                        answers.push((answer.status, answer.text()));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    answers
                })
            })
            .collect();
        Load { stop, count, threads }
    }

    /// Waits until `more` further answers have come.
    fn wait_for(&self, more: usize) {
        let goal = self.count.load(Ordering::Relaxed) + more;
        let start = Instant::now();
        while self.count.load(Ordering::Relaxed) < goal {
            assert!(start.elapsed() < PATIENCE, "the load stands still");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(mut self) -> Vec<(u16, String)> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).flat_map(|thread| thread.join().expect("a client")).collect()
    }
}

/// A test that fails leaves nobody asking.
impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_database_that_is_away_gives_503_and_service_comes_back_by_itself() {
    let mut scene = Scene::start();
    let (url, text, cookie) = private_picture(&scene.world);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let load = Load::start(nginx.address(), &url, &cookie, 4);
    load.wait_for(50);
    for _ in 0..2 {
        scene.database.stop();
        load.wait_for(50);
        let away = get(nginx.address(), &url, &cookie);
        assert_eq!((away.status, away.header("retry-after")), (503, Some("5")), "{}", gate.log_text());
        assert_eq!(get(nginx.address(), &http::url("upload/none.jpg"), "").status, 503);
        scene.database.start_again();
        let start = Instant::now();
        while get(nginx.address(), &url, &cookie).status != 200 {
            assert!(start.elapsed() < PATIENCE, "service does not come back: {}", gate.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
        load.wait_for(50);
    }
    let answers = load.end();
    for (status, body) in &answers {
        match status {
            200 => assert_eq!(*body, text),
            503 => assert!(!body.contains("original"), "{body}"),
            other => panic!("{other}: {body}"),
        }
    }
    for expected in [200, 503] {
        assert!(answers.iter().any(|(status, _)| *status == expected), "no {expected} among them");
    }
}

/// Asks for a guest's picture so many times at once.
fn burst(address: SocketAddr, url: &str, count: usize) -> Vec<u16> {
    let one = || {
        let url = url.to_owned();
        std::thread::spawn(move || http::get(address, &url).status)
    };
    let threads: Vec<_> = (0..count).map(|_| one()).collect();
    threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
}

#[test]
fn connections_that_the_database_has_closed_are_opened_anew_unnoticed() {
    let scene = Scene::start();
    let url = http::url(scene.world.image(1).original());
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    for round in 0..3 {
        assert_eq!(burst(nginx.address(), &url, 32), [200; 32], "round {round}: {}", gate.log_text());
        scene.database.close_connections();
    }
}

#[test]
fn connections_that_fall_silent_are_given_up() {
    let scene = Scene::start();
    let url = http::url(scene.world.image(1).original());
    let path = scene.database.socket();
    let proxy = SilentProxy::start(&path);
    let config = scene.sandbox.gallery().join("local/config/database.inc.php");
    let text = std::fs::read_to_string(&config).expect("it is there");
    let text = text.replace(&path.display().to_string(), &proxy.address.to_string());
    std::fs::write(&config, text).expect("written");
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    assert_eq!(burst(nginx.address(), &url, 16), [200; 16], "{}", gate.log_text());
    proxy.silence();
    let start = Instant::now();
    while burst(nginx.address(), &url, 8) != [200; 8] {
        assert!(start.elapsed() < PATIENCE, "service does not come back: {}", gate.log_text());
    }
}

/// Between the gate and the database: a network that can lose every connection without a word, as a firewall
/// does, or a host that is gone. New ones work.
struct SilentProxy {
    address: SocketAddr,
    generation: Arc<AtomicUsize>,
}

impl SilentProxy {
    fn start(database: &Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let generation = Arc::new(AtomicUsize::new(0));
        let (database, shared) = (database.to_owned(), generation.clone());
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Ok(server) = UnixStream::connect(&database) else { continue };
                let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                let generation = shared.load(Ordering::Relaxed);
                for (from, to) in [
                    (
                        Box::new(from_client) as Box<dyn Read + Send>,
                        Box::new(server) as Box<dyn Write + Send>,
                    ),
                    (Box::new(from_server), Box::new(client)),
                ] {
                    let shared = shared.clone();
                    std::thread::spawn(move || forward(from, to, generation, &shared));
                }
            }
        });
        SilentProxy { address, generation }
    }

    /// From now on nothing passes on the connections there are, and none of them ends.
    fn silence(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }
}

fn forward(mut from: impl Read, mut to: impl Write, generation: usize, current: &AtomicUsize) {
    let mut buffer = [0; 4096];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 || current.load(Ordering::Relaxed) != generation {
            break;
        }
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    while current.load(Ordering::Relaxed) != generation {
        std::thread::park();
    }
}

#[test]
fn a_gate_that_starts_before_its_database_serves_once_it_is_there() {
    let mut scene = Scene::start();
    let (url, text, cookie) = private_picture(&scene.world);
    scene.database.stop();
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    assert_eq!(get(nginx.address(), &url, &cookie).status, 503);
    scene.database.start_again();
    let start = Instant::now();
    loop {
        let answer = get(nginx.address(), &url, &cookie);
        if answer.status == 200 {
            assert_eq!(answer.text(), text);
            break;
        }
        assert_eq!(answer.status, 503);
        assert!(start.elapsed() < PATIENCE, "{}", gate.log_text());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_right_that_is_taken_away_is_gone_on_the_next_answer() {
    let scene = Scene::start();
    let world = &scene.world;
    let (url, _, cookie) = private_picture(world);
    let _gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let status = || get(nginx.address(), &url, &cookie).status;
    let bob = world.user("bob").id;
    let row = &world.session("bob").row.as_ref().unwrap();
    let changes = [
        (format!("DELETE FROM piwigo_user_access WHERE user_id = {bob}"), 403),
        (
            world.user_access.iter().filter(|grant| grant.user_id == bob).fold(
                String::new(),
                |sql, grant| {
                    sql + &format!(
                        "INSERT INTO piwigo_user_access (user_id, cat_id) VALUES ({bob}, {});",
                        grant.cat_id
                    )
                },
            ),
            200,
        ),
        ("UPDATE piwigo_config SET value = 'true' WHERE param = 'gallery_locked'".into(), 503),
        ("UPDATE piwigo_config SET value = 'false' WHERE param = 'gallery_locked'".into(), 200),
        ("UPDATE piwigo_config SET value = '1' WHERE param = 'gallery_locked'".into(), 503),
        ("UPDATE piwigo_config SET value = '0' WHERE param = 'gallery_locked'".into(), 200),
        ("UPDATE piwigo_categories SET visible = 'false'".into(), 403),
        ("UPDATE piwigo_categories SET visible = 'true'".into(), 200),
        (format!("UPDATE piwigo_user_infos SET status = 'guest' WHERE user_id = {bob}"), 403),
        (format!("UPDATE piwigo_user_infos SET status = 'normal' WHERE user_id = {bob}"), 200),
        ("UPDATE piwigo_images SET level = 8".into(), 403),
        ("UPDATE piwigo_images SET level = 0".into(), 200),
        (format!("DELETE FROM piwigo_sessions WHERE id = '{}'", row.id), 403),
    ];
    assert_eq!(status(), 200);
    for (sql, expected) in changes {
        scene.database.sql(&sql);
        assert_eq!(status(), expected, "{sql}");
    }
}

#[test]
fn sessions_age_by_the_databases_own_clock() {
    for zone in ["+11:00", "-09:30"] {
        let sandbox = Sandbox::new();
        let database = MariaDb::start_in_time_zone(&sandbox, zone);
        let world = World::load();
        database.sql(mariadb::SCHEMA);
        database.sql(&world.sql(Engine::MariaDb));
        scene::write_gallery(&sandbox, &world);
        files::write_config(&sandbox.gallery(), &database.socket());
        let (url, _, cookie) = private_picture(&world);
        let _gate = Gate::start(&sandbox, &["--session-max-age", "3600"], &[]);
        let nginx = Nginx::start_gallery(&sandbox, nginx::ACCEL);
        for (age, expected) in [("0 MINUTE", 200), ("50 MINUTE", 200), ("70 MINUTE", 403), ("10 HOUR", 403)] {
            database.sql(&format!("UPDATE piwigo_sessions SET expiration = NOW() - INTERVAL {age}"));
            assert_eq!(get(nginx.address(), &url, &cookie).status, expected, "{age} at {zone}");
        }
    }
}

#[test]
fn hostile_keys_amid_honest_requests_harm_nobody() {
    let scene = Scene::start();
    let (url, text, cookie) = private_picture(&scene.world);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let honest = Load::start(nginx.address(), &url, &cookie, 4);
    let long = format!("/upload/{}.jpg", "a".repeat(2000));
    let hostile = [
        "/upload/%F0%9F%98%80.jpg",
        "/upload/pwg_representative/%F0%9F%98%80.jpg",
        "/_data/i/upload/%F0%9F%98%80-th.jpg",
        "/upload/%FF%FE.jpg",
        "/upload/%C3%28.jpg",
        "/upload/%27%20OR%201=1%20--%20.jpg",
        "/upload/100%25_.jpg",
        &long,
    ];
    for target in hostile.iter().cycle().take(200) {
        let answer = http::get(nginx.address(), target);
        assert_eq!(answer.status, 403, "{target}: {}", gate.log_text());
    }
    honest.wait_for(100);
    let answers = honest.end();
    assert!(answers.len() >= 100);
    assert!(answers.iter().all(|answer| *answer == (200, text.clone())), "an honest request was harmed");
}

#[test]
fn sigterm_under_load_loses_no_request() {
    let scene = Scene::start();
    let (url, text, cookie) = private_picture(&scene.world);
    let mut gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let load = Load::start(nginx.address(), &url, &cookie, 8);
    load.wait_for(100);
    let status = gate.terminate();
    assert_eq!(status.code(), Some(0), "{}", gate.log_text());
    assert!(!gate.socket().exists(), "the socket's name goes with it");
    // Whoever had connected was answered; whoever came later found no socket: 503 at once, by our nginx file.
    load.wait_for(10);
    let log = nginx.log_text();
    let answers = load.end();
    let first_away = answers.iter().filter(|(status, _)| *status == 503).count();
    assert!(answers.iter().all(|(status, body)| *status == 503 || (*status, body) == (200, &text)));
    assert!(first_away > 0);
    for lost in ["prematurely closed", "reset by peer", "Broken pipe"] {
        assert!(!log.contains(lost), "nginx says: {log}");
    }
    // A new gate takes over.
    let _gate = Gate::start(&scene.sandbox, &[], &[]);
    assert_eq!(get(nginx.address(), &url, &cookie).text(), text);
}

/// The `upstream` that a printed file for nginx proposes for several gates, with these addresses in place of
/// its own.
fn printed_upstream(guard: &str, addresses: [&str; 2]) -> String {
    let line =
        guard.lines().find(|line| line.contains("upstream piwigo_gate {")).expect("the file proposes one");
    let (_, text) = line.split_once('#').expect("it is a comment");
    let (begin, end) = (text.find("upstream").unwrap(), text.rfind('}').unwrap());
    let text = &text[begin..=end];
    assert_eq!(text.matches("192.0.2.1").count(), 2, "{text}");
    text.replace("192.0.2.11:9800", addresses[0]).replace("192.0.2.12:9800", addresses[1])
}

#[test]
fn two_gates_that_are_restarted_one_after_another_lose_no_request() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let (url, text, cookie) = private_picture(&scene.world);
    let ports = [process::free_port(), process::free_port()];
    for (guard, is_tcp) in [(nginx::ACCEL, false), (nginx::ACCEL, true), (nginx::AUTH_REQUEST, false)] {
        let start = |index: usize| {
            let name = format!("gate-{index}");
            if is_tcp {
                Gate::start_on_tcp(sandbox, &name, ports[index])
            } else {
                Gate::start_on(sandbox, &name, &[], &[])
            }
        };
        let mut gates = [start(0), start(1)];
        let address = |index: usize| {
            if is_tcp {
                ports[index].to_string()
            } else {
                format!("unix:{}", gates[index].socket().display())
            }
        };
        let upstream = printed_upstream(guard, [&address(0), &address(1)]);
        let guard = nginx::fill_in(sandbox, guard);
        let to_one = format!("fastcgi_pass \"unix:{}\";", sandbox.gate_socket().display());
        assert!(guard.contains(&to_one));
        let guard = guard.replace(&to_one, "fastcgi_pass piwigo_gate;");
        let nginx = Nginx::start_with(sandbox, &upstream, &nginx::gallery(sandbox, &guard));
        let load = Load::start(nginx.address(), &url, &cookie, 8);
        load.wait_for(100);
        for _ in 0..2 {
            for (index, gate) in gates.iter_mut().enumerate() {
                assert_eq!(gate.terminate().code(), Some(0), "{}", gate.log_text());
                load.wait_for(50);
                *gate = start(index);
                load.wait_for(50);
            }
        }
        let answers = load.end();
        let lost: Vec<_> = answers.iter().filter(|answer| **answer != (200, text.clone())).collect();
        let reason = nginx.log_text().lines().rev().find(|line| line.contains("upstream")).map(str::to_owned);
        assert!(lost.is_empty(), "{} of {} with {upstream}: {reason:?}", lost.len(), answers.len());
    }
}

#[test]
fn visitors_who_vanish_cost_nothing() {
    let scene = Scene::start();
    let (url, text, cookie) = private_picture(&scene.world);
    let gate = Gate::start(&scene.sandbox, &["--max-connections", "4"], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    for _ in 0..200 {
        let mut stream = TcpStream::connect(nginx.address()).unwrap();
        write!(stream, "GET {url} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n").unwrap();
    }
    assert_eq!(get(nginx.address(), &url, &cookie).text(), text);
    assert!(!gate.log_text().contains("panic"), "{}", gate.log_text());
}

/// A flood of refusals writes no flood of lines; but of each address as many as fail2ban needs (`maxretry`).
#[test]
fn a_flood_of_refusals_is_counted_where_it_is_not_written() {
    const FLOOD: usize = 1000;
    let scene = Scene::start();
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    for number in 0..FLOOD {
        assert_eq!(http::get(nginx.address(), format!("/upload/{number}.jpg")).status, 403);
    }
    let log = gate.log_text();
    let lines = log.matches(" refused client=").count();
    assert!((200..FLOOD).contains(&lines), "{lines} lines");
    let left_out = log.lines().find(|line| line.contains("refusals are left out of the log"));
    assert!(left_out.is_some_and(|line| line.contains("count=")), "{left_out:?}");
}

/// A visitor may ask for the same file of the gallery that is gone as often as he likes.
#[test]
fn a_flood_of_files_that_cannot_be_sent_is_one_line() {
    let scene = Scene::start();
    let gate = Gate::start(&scene.sandbox, &["--deliver", "stream"], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let (url, text, cookie) = private_picture(&scene.world);
    assert_eq!(get(nginx.address(), &url, &cookie).text(), text);
    let image = scene.world.images.iter().find(|image| http::url(image.original()) == url).unwrap();
    std::fs::remove_file(scene.sandbox.gallery().join(image.original())).unwrap();
    for _ in 0..20 {
        assert_eq!(get(nginx.address(), &url, &cookie).status, 404);
    }
    let log = gate.log_text();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("an allowed file cannot be sent")).collect();
    assert!(matches!(lines[..], [line] if line.contains("count=1")), "{log}");
}

/// It is tried again twenty times a second.
#[test]
fn a_gate_that_can_accept_nobody_says_so_once_and_goes_on_when_it_can() {
    let scene = Scene::start();
    let url = http::url(scene.world.image(1).original());
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    assert_eq!(http::get(nginx.address(), &url).status, 200);
    let limit = |descriptors: usize| {
        let pid = gate.id().to_string();
        let limit = format!("--nofile={descriptors}:");
        process::run(scene.sandbox.command("prlimit").args(["--pid", &pid, &limit])).expect("prlimit");
    };
    limit(3);
    let held = UnixStream::connect(gate.socket()).expect("the system accepts it");
    process::wait_until("the gate says why", || gate.log_text().contains("cannot accept a connection"));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(gate.log_text().matches("cannot accept a connection").count(), 1, "{}", gate.log_text());
    limit(1024);
    assert_eq!(http::get(nginx.address(), &url).status, 200);
    drop(held);
}

#[test]
fn sighup_reads_the_configuration_again_and_keeps_the_old_one_if_it_cannot_work() {
    let scene = Scene::start();
    let (url, _, cookie) = private_picture(&scene.world);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let guest = || get(nginx.address(), &url, "").status;
    let settle = |text: &str, log: &str, expected: u16| {
        scene.sandbox.write("gallery/local/config/gate.toml", text);
        let before = gate.log_text().matches(log).count();
        process::signal("HUP", gate.id());
        let start = Instant::now();
        while gate.log_text().matches(log).count() == before {
            assert!(start.elapsed() < PATIENCE, "{}", gate.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(guest(), expected, "{text}");
        assert_eq!(get(nginx.address(), &url, &cookie).status, 200, "{text}");
    };
    assert_eq!(guest(), 403);
    settle("deny_status = 404\n", "configuration was read again\n", 404);
    settle("deny_status = 200\n", "the old one stays", 404);
    settle("deny_status = 401\n", "configuration was read again\n", 401);
}

#[test]
fn gate_toml_says_what_is_logged_and_sighup_changes_it() {
    let scene = Scene::start();
    scene.sandbox.write("gallery/local/config/gate.toml", "log = \"error\"\n");
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    assert_eq!(gate.log_text(), "");
    scene.sandbox.write("gallery/local/config/gate.toml", "log = \"info\"\n");
    process::signal("HUP", gate.id());
    let start = Instant::now();
    while !gate.log_text().contains("configuration was read again") {
        assert!(start.elapsed() < PATIENCE, "{}", gate.log_text());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_session_that_cannot_be_read_makes_a_guest_and_one_line_in_the_log() {
    let scene = Scene::start();
    let (url, _, cookie) = private_picture(&scene.world);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    scene.database.sql("UPDATE piwigo_sessions SET data = 'pwg_uid|i:1;junk'");
    for _ in 0..3 {
        assert_eq!(get(nginx.address(), &url, &cookie).status, 403);
    }
    assert_eq!(gate.log_text().matches("session.serialize_handler").count(), 1, "{}", gate.log_text());
}

/// `session.serialize_handler` of PHP: its own three are read. What igbinary wrote is named at the start, and
/// by `doctor`.
#[test]
fn sessions_of_each_of_phps_handlers() {
    let scene = Scene::start();
    let (url, _, cookie) = private_picture(&scene.world);
    // `DATA` is rewritten as the handler has it; MariaDB takes the variable's one name and number apart.
    let uid = "SUBSTRING_INDEX(SUBSTRING_INDEX(data, 'pwg_uid|', -1), ';', 1)";
    let serialize = format!("CONCAT('a:1:{{s:7:\"pwg_uid\";', {uid}, ';}}')");
    let binary = format!("CONCAT(CHAR(7), 'pwg_uid', {uid}, ';')");
    let igbinary = "CONCAT(UNHEX('00000002'), UNHEX('1401'), UNHEX('1107'), 'pwg_uid', UNHEX('0601'))";
    let plain = scene.database.sql("SELECT CONCAT(HEX(id), ' ', HEX(data)) FROM piwigo_sessions");
    for (data, status, warnings) in [(&*serialize, 200, 0), (&*binary, 200, 0), (igbinary, 403, 1)] {
        for row in plain.lines() {
            let (id, data) = row.split_once(' ').unwrap();
            scene
                .database
                .sql(&format!("UPDATE piwigo_sessions SET data = UNHEX('{data}') WHERE id = UNHEX('{id}')"));
        }
        scene.database.sql(&format!("UPDATE piwigo_sessions SET data = {data} WHERE data LIKE '%pwg_uid|%'"));
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let named = gate.log_text().matches("igbinary").count();
        assert_eq!(named, warnings, "{data}: {}", gate.log_text());
        let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
        assert_eq!(get(nginx.address(), &url, &cookie).status, status, "{data}");
        let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
        let (level, words) =
            if status == 200 { ("ok", "in Piwigo's database") } else { ("problem", "igbinary") };
        report.says("sessions", level, words);
    }
}

/// Decoded pictures are large; glibc keeps such memory unless it is told not to, when a program starts.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn the_allocator_is_told_to_give_memory_back_unless_somebody_has_told_it_something() {
    let scene = Scene::start();
    for (environment, expected) in [(&[][..], true), (&[("MALLOC_ARENA_MAX", "2")][..], false)] {
        let gate = Gate::start(&scene.sandbox, &[], environment);
        let environ = std::fs::read(format!("/proc/{}/environ", gate.id())).expect("its environment");
        let is_told = environ.split(|&byte| byte == 0).any(|variable| variable.starts_with(b"MALLOC_MMAP_"));
        assert_eq!(is_told, expected, "{environment:?}");
        let name = std::fs::read_to_string(format!("/proc/{}/comm", gate.id())).expect("its name");
        assert!(name.starts_with("piwigo-gate"), "{name}");
    }
}

#[test]
fn signals_are_heard_while_the_database_keeps_the_gate_waiting() {
    let sandbox = Sandbox::new();
    files::write_config(&sandbox.gallery(), &sandbox.path().join("unused.sock"));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let database = format!("mysql://gate:x@{}/piwigo", silent.local_addr().unwrap());
    let mut command = sandbox.command(crate::support::gate::program_for(&sandbox));
    command
        .args(["serve", "--gallery"])
        .arg(sandbox.gallery())
        .arg("--listen")
        .arg(format!("unix:{}", sandbox.gate_socket().display()))
        .args(["--database", &database]);
    let mut gate = Program::start(&mut command);
    silent.set_nonblocking(true).unwrap();
    let mut asked = None;
    process::wait_until("the gate asks its database", || {
        assert_eq!(gate.ended(), None);
        asked = silent.accept().ok();
        asked.is_some()
    });
    process::signal("HUP", gate.id());
    process::signal("TERM", gate.id());
    assert_eq!(gate.wait().code(), Some(0));
    drop(asked);
}
