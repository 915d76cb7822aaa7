//! Many machines: two gates behind one nginx, a MariaDB that Piwigo writes to and two read replicas of it,
//! under load while rights change, replicas fall behind, and servers and gates die. Real servers throughout.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::mariadb::{self, MariaDb};
use crate::support::nginx::{self, Nginx};
use crate::support::process;
use crate::support::rows::Engine;
use crate::support::sandbox::Sandbox;
use crate::support::scene;
use crate::support::world::World;
use piwigo_gate::database::{Address, Database, IDS, Replicas, Tables};

/// `max_replica_lag`. No answer may be older, and there is no tolerance: all times are taken so that they
/// favour nobody.
const MAX_LAG: Duration = Duration::from_secs(1);

/// Far longer than anything here takes; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(90);

const CLIENTS: usize = 4;

/// Fields are dropped in this order: the servers before their directory.
struct Cluster {
    primary: MariaDb,
    replicas: [MariaDb; 2],
    world: World,
    sandbox: Sandbox,
}

impl Cluster {
    /// Starts the three servers and waits until the replicas have everything.
    fn start() -> Self {
        let sandbox = Sandbox::new();
        let world = World::load();
        let primary = MariaDb::start_on_port(&sandbox, "primary", &["--log-bin=log", "--server-id=1"]);
        primary.sql_as_root(
            "CREATE USER 'repl'@'127.0.0.1' IDENTIFIED BY 'repl';
             GRANT REPLICATION SLAVE ON *.* TO 'repl'@'127.0.0.1';",
        );
        allow_by_port(&primary);
        let replicas = [2, 3].map(|id| {
            let replica = MariaDb::start_on_port(
                &sandbox,
                &format!("replica-{id}"),
                &[&format!("--server-id={id}"), "--read-only=1"],
            );
            replica.sql_as_root(&format!(
                "CHANGE MASTER TO master_host='127.0.0.1', master_port={}, master_user='repl', master_password='repl',
                 master_use_gtid=slave_pos, master_connect_retry=1; START SLAVE;",
                primary.address().port(),
            ));
            replica
        });
        primary.sql(mariadb::SCHEMA);
        primary.sql(&world.sql(Engine::MariaDb));
        scene::write_gallery(&sandbox, &world);
        files::write_config(&sandbox.gallery(), &primary.socket());
        let cluster = Cluster { primary, replicas, world, sandbox };
        let position = cluster.primary.sql_as_root("SELECT @@GLOBAL.gtid_binlog_pos");
        for replica in &cluster.replicas {
            let waited = format!("SELECT MASTER_GTID_WAIT('{}', {})", position.trim(), PATIENCE.as_secs());
            let status = || replica.sql_as_root("SHOW ALL SLAVES STATUS");
            assert_eq!(replica.sql_as_root(&waited).trim(), "0", "{}", status());
        }
        cluster
    }
}

/// The gate's account, for who comes by the network.
fn allow_by_port(server: &MariaDb) {
    let password = mariadb::PASSWORD.replace('\\', "\\\\").replace('\'', "''");
    server.sql_as_root(&format!(
        "CREATE USER '{0}'@'127.0.0.1' IDENTIFIED BY '{password}'; GRANT SELECT ON piwigo.* TO '{0}'@'127.0.0.1';",
        mariadb::GATE,
    ));
}

fn url(server: &MariaDb) -> String {
    format!("mysql://{}:it%27s%20%5Csecret@{}/{}", mariadb::GATE, server.address(), mariadb::PIWIGO)
}

/// How many statements of gates a server has answered since it was started.
fn answered(server: &MariaDb) -> u64 {
    let row = server.sql_as_root("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'");
    row.split_whitespace().last().expect("a number").parse().expect("a number")
}

/// Statements a server answered in a second, where more than this are not questions for its position alone.
const A_FEW: u64 = 40;

fn answered_in_a_second(server: &MariaDb) -> u64 {
    let before = answered(server);
    std::thread::sleep(Duration::from_secs(1));
    answered(server) - before
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The one fact that changes: whether bob may see the picture.
struct Right {
    take: String,
    give: String,
    /// Before and after each change, and what it changed to.
    changes: Mutex<Vec<(Instant, Instant, bool)>>,
}

impl Right {
    fn of_bob(world: &World) -> Self {
        let bob = world.user("bob").id;
        let give = world.user_access.iter().filter(|grant| grant.user_id == bob).fold(
            String::new(),
            |sql, grant| {
                sql + &format!(
                    "INSERT INTO piwigo_user_access (user_id, cat_id) VALUES ({bob}, {});",
                    grant.cat_id
                )
            },
        );
        let now = Instant::now();
        let take = format!("DELETE FROM piwigo_user_access WHERE user_id = {bob}");
        Right { take, give, changes: Mutex::new(vec![(now, now, true)]) }
    }

    fn set(&self, primary: &MariaDb, has_it: bool) {
        let before = Instant::now();
        primary.sql(if has_it { &self.give } else { &self.take });
        self.changes.lock().unwrap().push((before, Instant::now(), has_it));
    }

    fn toggle_for(&self, primary: &MariaDb, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            for has_it in [false, true] {
                self.set(primary, has_it);
                std::thread::sleep(Duration::from_millis(250));
            }
        }
    }

    /// Whether bob had, or had not, the right at some time between `begin - MAX_LAG` and `end`.
    fn may_have_been(&self, has_it: bool, begin: Instant, end: Instant) -> bool {
        let changes = self.changes.lock().unwrap();
        changes.iter().enumerate().any(|(index, &(before, _, state))| {
            let ended = changes.get(index + 1).map(|&(_, after, _)| after);
            state == has_it && before <= end && ended.is_none_or(|ended| ended + MAX_LAG >= begin)
        })
    }
}

struct Answer {
    begin: Instant,
    end: Instant,
    status: u16,
    text: String,
}

fn ask(address: SocketAddr, url: &str, cookie: &str) -> Answer {
    let begin = Instant::now();
    let answer = http::request(address, "GET", url, &[("Cookie", cookie)]);
    Answer { begin, end: Instant::now(), status: answer.status, text: answer.text() }
}

/// Clients that ask for bob's picture over and over.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Vec<Answer>>>,
}

impl Load {
    fn start(address: SocketAddr, url: &str, cookie: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, url, cookie) = (stop.clone(), url.to_owned(), cookie.to_owned());
            std::thread::spawn(move || {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    answers.push(ask(address, &url, &cookie));
                    std::thread::sleep(Duration::from_millis(5));
                }
                answers
            })
        };
        let threads = (0..CLIENTS).map(client).collect();
        Load { stop, threads }
    }

    fn end(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect()
    }
}

#[test]
fn no_answer_is_older_than_the_bound_whoever_falls_behind_or_dies() {
    let Cluster { mut primary, replicas: [mut first, second], world, sandbox } = Cluster::start();
    let image = world.private_image("bob");
    let (picture, text) = (http::url(image.original()), files::original_text(image.id));
    let cookie = world.session("bob").cookie_header();

    // One gate is told by flags, and the primary by Piwigo; the other by the environment.
    let (url_1, url_2) = (url(&first), url(&second));
    let by_flags =
        ["--max-replica-lag", "1s", "--database", "piwigo", "--database", &url_1, "--database", &url_2];
    let all = format!("{}\n{url_1} {url_2}", url(&primary));
    let by_environment = [("PIWIGO_GATE_DATABASE", &*all), ("PIWIGO_GATE_MAX_REPLICA_LAG", "1000ms")];
    let mut gate = Gate::start_on(&sandbox, "gate-1", &by_flags, &[]);
    let other_gate = Gate::start_on(&sandbox, "gate-2", &[], &by_environment);
    let logs = || format!("{}\n{}", gate.log_text(), other_gate.log_text());
    let upstream = format!(
        "upstream piwigo_gate {{ server unix:{}; server unix:{}; }}",
        gate.socket().display(),
        other_gate.socket().display()
    );
    let guard = nginx::fill_in(&sandbox, nginx::ACCEL);
    let to_one = format!("fastcgi_pass \"unix:{}\";", sandbox.gate_socket().display());
    assert!(guard.contains(&to_one));
    let guard = guard.replace(&to_one, "fastcgi_pass piwigo_gate;");
    let nginx = Nginx::start_with(&sandbox, &upstream, &nginx::gallery(&sandbox, &guard));

    let right = Right::of_bob(&world);
    let load = Load::start(nginx.address(), &picture, &cookie);
    let is_served = || ask(nginx.address(), &picture, &cookie).status == 200;
    assert!(is_served(), "{}", logs());

    // In good health: replicas answer, the primary is left in peace (its settings are read once a second).
    for replica in [&first, &second] {
        wait_until("replicas are asked", || answered_in_a_second(replica) > A_FEW);
    }
    right.toggle_for(&primary, Duration::from_secs(2));
    wait_until("the primary is left in peace", || answered_in_a_second(&primary) < A_FEW);

    // Both replicas fall behind: they are left out, and taken back when they have caught up.
    for replica in [&first, &second] {
        replica.sql_as_root("STOP SLAVE SQL_THREAD");
    }
    right.toggle_for(&primary, 2 * MAX_LAG);
    for replica in [&first, &second] {
        wait_until("a replica that is behind is left out", || answered_in_a_second(replica) < A_FEW);
    }
    for replica in [&first, &second] {
        replica.sql_as_root("START SLAVE SQL_THREAD");
    }
    for replica in [&first, &second] {
        wait_until("a replica that has caught up is asked", || answered_in_a_second(replica) > A_FEW);
    }

    // A replica dies and comes back: nobody notices.
    first.kill();
    right.toggle_for(&primary, MAX_LAG);
    first.start_again();
    wait_until("a replica that is back is asked", || answered_in_a_second(&first) > A_FEW);

    // Another one keeps silent, with the connections open: those who wait for it are answered by somebody
    // else.
    process::signal("STOP", second.id().expect("it runs"));
    right.toggle_for(&primary, 3 * MAX_LAG);
    process::signal("CONT", second.id().expect("it runs"));
    wait_until("a replica that speaks again is asked", || answered_in_a_second(&second) > A_FEW);

    // The primary dies: its replicas answer while the bound allows it, then nobody does.
    let death_begins = Instant::now();
    primary.kill();
    let dead = Instant::now();
    std::thread::sleep(MAX_LAG + Duration::from_secs(1));
    // However slow the clients of the load are.
    let asked_while_dead: Vec<_> = (0..4).map(|_| ask(nginx.address(), &picture, &cookie)).collect();
    let birth_begins = Instant::now();
    primary.start_again();
    wait_until("service comes back by itself", || (0..6).all(|_| is_served()));
    let back = Instant::now();
    wait_until("replicas are asked again", || answered_in_a_second(&first) > A_FEW);
    right.toggle_for(&primary, MAX_LAG);

    // A gate dies: the other one answers.
    gate.kill();
    right.toggle_for(&primary, MAX_LAG);
    let _gate = Gate::start_on(&sandbox, "gate-1", &by_flags, &[]);
    right.toggle_for(&primary, MAX_LAG);

    let answers = load.end();
    let logs = format!("{}\n{}", gate.log_text(), other_gate.log_text());
    let mut without_reason = 0;
    let mut while_dead = 0;
    let mut on_borrowed_time = 0;
    for answer in answers.iter().chain(&asked_while_dead) {
        let Answer { begin, end, status, .. } = *answer;
        match status {
            200 => {
                assert!(right.may_have_been(true, begin, end), "an allow too late: {logs}");
                assert_eq!(answer.text, text);
            }
            403 => assert!(right.may_have_been(false, begin, end), "a refusal too late: {logs}"),
            503 => assert!(!answer.text.contains("original")),
            other => panic!("{other}: {}", answer.text),
        }
        if begin > dead + MAX_LAG && end < birth_begins {
            assert_eq!(status, 503, "nobody could tell the lag: {logs}");
            while_dead += 1;
        }
        on_borrowed_time += usize::from(begin > dead && end < birth_begins && status == 200);
        let is_excused = end > death_begins && begin < back;
        without_reason += usize::from(status == 503 && !is_excused);
    }
    println!(
        "{} answers; {on_borrowed_time} allowed and {while_dead} 503 without a primary; {without_reason} 503 beside that",
        answers.len()
    );
    assert!(while_dead > 0);
    // A replica and a gate died under load, and a replica fell silent.
    assert!(without_reason <= 3 * CLIENTS, "{without_reason} requests got 503: {logs}");
}

/// A server that holds other rows than the primary, and what it says of its replication.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_replica_of_this_primary_is_asked() {
    let sandbox = Sandbox::new();
    let primary = MariaDb::start_on_port(&sandbox, "primary", &["--log-bin=log", "--server-id=1"]);
    let stranger = MariaDb::start_on_port(&sandbox, "stranger", &["--server-id=2"]);
    let gate = mariadb::GATE;
    for server in [&primary, &stranger] {
        allow_by_port(server);
        server.sql(mariadb::SCHEMA);
        server.sql(
            "CREATE TABLE piwigo_history (date DATE, time TIME, user_id INT, IP CHAR(39), image_id INT,
             image_type CHAR(9), format_id INT)",
        );
        server.sql_as_root(&format!("GRANT INSERT ON piwigo.piwigo_history TO '{gate}'@'127.0.0.1'"));
    }
    stranger.sql("INSERT INTO piwigo_users (id, username) VALUES (7, 'stranger')");

    let position = primary.sql_as_root("SELECT @@GLOBAL.gtid_binlog_pos").trim().to_owned();
    let number: u64 = position.strip_prefix("0-1-").expect("one domain, one server").parse().unwrap();
    let (behind, ahead, other) =
        (format!("0-1-{}", number - 1), format!("0-1-{}", number + 1), format!("0-9-{number}"));
    let further = format!("{position},5-5-5");
    let table = [
        ("no position", "", false),
        ("less than the primary has", &behind, false),
        ("more than the primary has", &ahead, false),
        ("another server's transaction of the same number", &other, false),
        ("another domain", "1-1-1", false),
        ("all that the primary has", &position, true),
        ("all that the primary has, and a source of its own", &further, true),
    ];
    let mut last = None;
    let address = |server: &MariaDb| Address::from_url(&url(server)).unwrap();
    for (what, position, is_asked) in table {
        stranger.sql_as_root(&format!("SET GLOBAL gtid_slave_pos = '{position}'"));
        let replicas = Replicas { addresses: vec![address(&stranger)], max_lag: Duration::from_millis(400) };
        let tables = Tables::with_prefix("piwigo_");
        let mut database =
            Database::with_replicas(&address(&primary), &replicas, &tables, 2, Duration::ZERO).unwrap();
        database.verify().await.unwrap();
        let start = Instant::now();
        let mut was_asked = false;
        let limit = if is_asked { PATIENCE } else { Duration::from_secs(1) };
        while !was_asked && start.elapsed() < limit {
            was_asked = !database.users([7; IDS], false).await.unwrap().is_empty();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(was_asked, is_asked, "{what}");
        last = Some(database);
    }
    // Whoever answers, rows are written on the primary alone.
    last.unwrap().was_taken(7, "192.0.2.1", 1, None).await.unwrap();
    let count = |server: &MariaDb| server.sql("SELECT COUNT(*) FROM piwigo_history").trim().to_owned();
    assert_eq!((count(&primary), count(&stranger)), ("1".into(), "0".into()));
}
