//! Questions that requests share: a key that the database cannot hold, or takes for another, spoils no
//! neighbour's answer; statements are few; and what arrives while a statement is under way shares the next
//! one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::inside;
use crate::support::mariadb::{self, MariaDb};
use crate::support::nginx::{self, Nginx};
use crate::support::patience::PATIENCE;
use crate::support::plans;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use piwigo_gate::database::{Address, Database, Tables};
use piwigo_gate::settings::Options;

use crate::support::scene::Scene;
use crate::support::world::Case;
use sqlx::MySqlConnection;
use tokio::time::timeout;

/// Waits until a statement of the gate's account waits for a lock, which `root` holds. It must not take long:
/// the gate gives up after a few seconds.
async fn wait_for_a_lock(root: &mut MySqlConnection) {
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'gate' AND state LIKE 'Waiting for %lock'";
    let started = Instant::now();
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *root).await.unwrap() == 0 {
        assert!(started.elapsed() < PATIENCE, "no statement waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn opened(server: &MariaDb) -> Database {
    let socket = server.socket();
    let (socket, tables) = (socket.to_str().unwrap(), Tables::with_prefix("piwigo_"));
    let address = Address::from_piwigo(socket, mariadb::GATE, mariadb::PASSWORD, mariadb::PIWIGO).unwrap();
    let mut database = Database::new(&address, &tables, 8, Duration::ZERO).unwrap();
    database.verify().await.unwrap();
    database
}

/// Texts that are another's in the eyes of the database, or that a column cannot hold.
fn twins(text: &str) -> Vec<String> {
    let mut twins = vec![
        text.to_uppercase(),
        format!("{text} "),
        format!("{text}\u{301}"),
        format!("{text}\u{200d}"),
        format!("{text}\u{0}"),
        format!("{text}%"),
        format!("{text}' OR '1'='1"),
        text.replace('e', "é"),
        text.replace('o', "ö"),
    ];
    twins.retain(|twin| twin != text);
    twins
}

/// Honest keys and hostile ones in the same statement, for `images.path` and `users.username` in three
/// character sets.
#[tokio::test]
async fn a_key_that_cannot_be_held_spoils_no_neighbours() {
    // The set, a character that it can hold and one that it cannot.
    for (charset, held, not_held) in
        [("utf8mb3", 'é', Some('😀')), ("latin1", 'é', Some('漢')), ("utf8mb4", '😀', None)]
    {
        let scene = Scene::start();
        for table in ["images", "users"] {
            scene.database.sql(&format!("ALTER TABLE piwigo_{table} CONVERT TO CHARACTER SET {charset}"));
        }
        scene.database.sql(&format!(
            "SET NAMES utf8mb4; UPDATE piwigo_images SET path = './upload/{held}.jpg' WHERE id = 1;
             UPDATE piwigo_users SET username = 'z{held}' WHERE id = 15"
        ));
        plans::begin_log(&scene.database);
        let database = opened(&scene.database).await;
        let mut images: BTreeMap<String, u32> =
            scene.world.images[1..8].iter().map(|image| (image.path.clone(), image.id)).collect();
        images.insert(format!("./upload/{held}.jpg"), 1);
        let mut names: BTreeMap<String, u32> =
            scene.world.users[1..8].iter().map(|user| (user.username.clone(), user.id)).collect();
        names.insert(format!("z{held}"), 15);
        for hostile in [not_held, None] {
            let more = |text: &String| hostile.map(|character| text.replace('l', &character.to_string()));
            let hostile_paths =
                images.keys().take(2).flat_map(|path| twins(path).into_iter().chain(more(path)));
            let long = |text: &str| text.repeat(2000);
            let paths: Vec<String> =
                images.keys().cloned().chain(hostile_paths).chain([long("./upload/")]).collect();
            let hostile_names = ["alice", "bob"].iter().flat_map(|name| {
                twins(name).into_iter().chain(hostile.map(|character| format!("{name}{character}")))
            });
            let asked_names: Vec<String> =
                names.keys().cloned().chain(hostile_names).chain([long("alice")]).collect();
            inside::take_executed(&scene.database);
            let (by_path, by_name) = tokio::join!(
                join_all(paths.iter().map(|path| database.images_by_path(vec![path.clone()]))),
                join_all(asked_names.iter().map(|name| database.user_by_name(name))),
            );
            for (path, answer) in paths.iter().zip(by_path) {
                let ids: Vec<u32> = answer.unwrap().iter().map(|row| row.image.id).collect();
                assert_eq!(ids.first(), images.get(path), "{charset} {path:?}");
            }
            for (name, answer) in asked_names.iter().zip(by_name) {
                assert_eq!(answer.unwrap(), names.get(name).copied(), "{charset} {name:?}");
            }
            let executed = inside::take_executed(&scene.database);
            let by_path = executed.iter().filter(|text| text.contains("i.path IN")).count();
            let by_name = executed.iter().filter(|text| text.contains("username` IN")).count();
            let one_by_one =
                if hostile.is_some() { (1 + paths.len(), 1 + asked_names.len()) } else { (1, 1) };
            // Where other characters than those of latin1 are among the twins, they are asked for one by one,
            // too.
            if charset == "latin1" {
                assert!(by_path > 1 && by_name > 1);
            } else {
                assert_eq!((by_path, by_name), one_by_one, "{charset} {hostile:?}");
            }
        }
    }
}

/// Through nginx and the program: who asks for what they may have gets it, whatever others send meanwhile.
#[test]
fn hostile_requests_make_no_outage_for_the_others() {
    use std::thread;
    for charset in ["utf8mb3", "latin1"] {
        let scene = Scene::start();
        for table in ["images", "users", "sessions"] {
            scene.database.sql(&format!("ALTER TABLE piwigo_{table} CONVERT TO CHARACTER SET {charset}"));
        }
        scene.sandbox.write(
            "gallery/local/config/config.inc.php",
            "<?php\n$conf['enable_formats'] = true; $conf['apache_authentication'] = true;",
        );
        let gate = crate::support::gate::Gate::start(&scene.sandbox, &[], &[]);
        let shipped = nginx::ACCEL.lines().find(|line| line.contains("fastcgi_param REMOTE_USER")).unwrap();
        let shipped = shipped.split('#').next().unwrap().trim();
        let verified =
            "fastcgi_param REMOTE_USER $http_x_test_user; fastcgi_param GATE_REMOTE_USER verified;";
        let nginx = Nginx::start_gallery(&scene.sandbox, &nginx::ACCEL.replace(shipped, verified));
        let cases: Vec<Case> = scene.world.cases();
        let (next, hostile) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        send_hostile(&scene, nginx.address(), hostile.fetch_add(1, Ordering::Relaxed));
                    }
                });
            }
            let honest: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        // Every seventh: all visitors and all pictures come up.
                        while let Some(case) = cases.get(7 * next.fetch_add(1, Ordering::Relaxed)) {
                            let cookie =
                                case.cookie_of.as_ref().map(|user| scene.world.session(user).cookie_header());
                            let headers: Vec<_> = cookie.iter().map(|cookie| ("Cookie", &**cookie)).collect();
                            let answer =
                                http::request(nginx.address(), "GET", http::url(&case.path), &headers);
                            let expected = if case.allowed { 200 } else { 403 };
                            if answer.status != expected || (case.allowed && answer.text() != case.text) {
                                return Some(format!("{charset}: {case:?}: {}", answer.status));
                            }
                        }
                        None
                    })
                })
                .collect();
            let wrong: Vec<_> = honest.into_iter().map(thread::ScopedJoinHandle::join).collect();
            over.store(true, Ordering::Relaxed);
            for one in wrong {
                assert_eq!(one.unwrap(), None);
            }
        });
        assert!(hostile.load(Ordering::Relaxed) > 50, "{hostile:?}");
        assert!(!gate.log_text().contains("no verdict"), "{}", gate.log_text());
    }
}

/// One of many requests that nobody should send; whatever the answer is, it is neither a file nor "no
/// verdict".
fn send_hostile(scene: &Scene, address: std::net::SocketAddr, number: usize) {
    let private = http::url(scene.world.private_image("bob").original());
    let (folder, _) = private.rsplit_once('/').unwrap();
    let long = "x".repeat(990);
    let paths = [
        format!("{folder}/%F0%9F%98%80.jpg"),
        format!("{folder}/%E6%BC%A2{number}.jpg"),
        format!("/_data/i{folder}/%F0%9F%98%80{number}-th.jpg"),
        format!("{folder}/{long}.jpg"),
        format!("{folder}/{}.jpg", "%F0%9F%98%80".repeat(200)),
        format!("{folder}/%FF%FE%C3.jpg"),
        format!("{folder}/a%00b.jpg"),
        private.to_uppercase(),
        private.replace("upload", "%C3%BCpload"),
        format!("{private}%20"),
        format!("{private}%CC%81"),
        format!("{folder}/pwg_representative/%F0%9F%98%80.jpg"),
        format!("{folder}/pwg_format/%E6%BC%A2.cr2"),
        private.clone(),
    ];
    let bob = scene.world.session("bob").cookie_header();
    let headers: [&[(&str, &str)]; 9] = [
        &[],
        &[("Cookie", "pwg_id=\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}")],
        &[("Cookie", &bob.to_uppercase().replace("PWG_ID", "pwg_id"))],
        &[("Cookie", &format!("pwg_id=aaaaaaaaaaaaaaaaaaaa{number}"))],
        &[("Cookie", "pwg_remember=4294967295-9999999999-xxxx")],
        &[("Cookie", "pwg_remember=4-1795282807-%F0%9F%98%80")],
        &[("X-Test-User", "\u{1f600}")],
        &[("X-Test-User", "BOB")],
        &[("X-Test-User", "漢é")],
    ];
    // Every path with every header, in some order.
    let (path, headers) = (&paths[number % paths.len()], headers[number / 2 % headers.len()]);
    let answer = http::request(address, "GET", path, headers);
    assert!(!matches!(answer.status, 200 | 503), "{path} {headers:?}: {}", answer.status);
}

#[tokio::test]
async fn requests_that_come_together_share_a_handful_of_statements() {
    let scene = Scene::start();
    plans::begin_log(&scene.database);
    let gate = inside::open(&scene, Options::default()).await;
    // Each of eight visitors asks for the same four files: their owners are known after the first time.
    let visitors = ["alice", "bob", "carol", "dave", "erin", "lvl2", "gen", "zoe"];
    let cookies = visitors.map(|name| scene.world.session(name).cookie_header());
    let asked: Vec<(String, &String, bool)> = (0..32)
        .map(|number| {
            let (visitor, image) = (number / 4, 9 + number as u32 % 4 * 2);
            let may = scene.world.verdict(scene.world.user(visitors[visitor]).id, image).1;
            (http::url(scene.world.image(image).original()), &cookies[visitor], may)
        })
        .collect();
    let ask = async || {
        inside::take_executed(&scene.database);
        let statuses =
            join_all(asked.iter().map(|(url, cookie, _)| inside::status(&gate, url, cookie))).await;
        for ((url, cookie, may), status) in asked.iter().zip(statuses) {
            assert_eq!(status, if *may { 200 } else { 403 }, "{url} {cookie}");
        }
        inside::take_executed(&scene.database).len()
    };
    assert_eq!(ask().await, 4, "two rounds of two questions");
    assert_eq!(ask().await, 5, "one round of four, and the grants once more before a no");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_requests_share_statements() {
    const ROUNDS: usize = 20;
    let scene = Scene::start();
    plans::begin_log(&scene.database);
    let gate = Arc::new(inside::open(&scene, Options::default()).await);
    let cases = Arc::new(scene.world.cases());
    let world = Arc::new(scene.world.clone());
    inside::take_executed(&scene.database);
    let tasks = (0..32).map(|task| {
        let (gate, cases, world) = (gate.clone(), cases.clone(), world.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let case = &cases[(task * 131 + round * 17) % cases.len()];
                let cookie = case.cookie_of.as_ref().map(|user| world.session(user).cookie_header());
                let status =
                    inside::status(&gate, &http::url(&case.path), cookie.as_deref().unwrap_or_default())
                        .await;
                assert_eq!(status == 200, case.allowed, "{case:?}: {status}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let executed = inside::take_executed(&scene.database).len();
    let requests = 32 * ROUNDS;
    assert!(executed <= 2 * requests, "{executed} statements for {requests} requests");
}

/// A statement waits for a lock: those who come meanwhile share the next one, and everybody gets their own
/// answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_a_statement_is_slow_shares_the_next() {
    let scene = Scene::start();
    plans::begin_log(&scene.database);
    let database = Arc::new(opened(&scene.database).await);
    let mut root = inside::root(&scene.database).await;
    inside::run(
        &mut root,
        "LOCK TABLES piwigo_images WRITE, piwigo_image_category WRITE, piwigo_categories WRITE",
    )
    .await;
    inside::run(&mut root, "SET @before = 1").await;
    let ask = |id: u32| {
        let (database, path) = (database.clone(), scene.world.image(id).path.clone());
        async move {
            let rows = database.images_by_path(vec![path]).await.unwrap();
            assert!(!rows.is_empty() && rows.iter().all(|row| row.image.id == id), "{id}: {rows:?}");
        }
    };
    let first = tokio::spawn(ask(1));
    wait_for_a_lock(&mut root).await;
    let mut others = join_all((0..100).map(|number| ask(1 + number % 25)));
    assert!((&mut others).now_or_never().is_none(), "each has asked, and waits");
    assert!(!first.is_finished());
    inside::run(&mut root, "UNLOCK TABLES").await;
    first.await.unwrap();
    others.await;
    let executed = inside::take_executed(&scene.database);
    // The look at all statements when the database was opened is the first.
    let by_path =
        executed.iter().filter(|text| text.contains("i.path IN") && !text.contains("ua.cat_id")).count();
    assert_eq!(by_path, 3, "{executed:#?}");
}

/// The database dies while requests wait for a statement: they are answered, and so is everybody once it is
/// back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_in_mid_batch_leaves_nobody_waiting() {
    let mut scene = Scene::start();
    let gate = Arc::new(inside::open(&scene, Options::default()).await);
    let bob = scene.world.session("bob").cookie_header();
    let url = http::url(scene.world.private_image("bob").original());
    let mut root = inside::root(&scene.database).await;
    inside::run(&mut root, "LOCK TABLES piwigo_images WRITE").await;
    let ask = |number: usize| {
        let (gate, bob, url) = (gate.clone(), bob.clone(), url.clone());
        // Others ask for files of their own: more than one statement holds.
        let url = if number.is_multiple_of(2) { url } else { format!("/upload/{number}.jpg") };
        tokio::spawn(async move { inside::status(&gate, &url, &bob).await })
    };
    let asked: Vec<_> = (0..150).map(ask).collect();
    wait_for_a_lock(&mut root).await;
    assert!(asked.iter().all(|one| !one.is_finished()));
    tokio::task::block_in_place(|| scene.database.kill());
    for answer in timeout(PATIENCE, join_all(asked)).await.expect("all are answered") {
        assert_eq!(answer.unwrap(), 503);
    }
    tokio::task::block_in_place(|| scene.database.start_again());
    let back = Instant::now();
    while inside::status(&gate, &url, &bob).await != 200 {
        assert!(back.elapsed() < PATIENCE, "no service");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(inside::status(&gate, "/upload/1.jpg", &bob).await, 403);
}

/// A table that is locked for good: nobody waits for one time-out after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_before_a_silent_database_ends_in_time() {
    let scene = Scene::start();
    let database = Arc::new(opened(&scene.database).await);
    let mut root = inside::root(&scene.database).await;
    inside::run(&mut root, "LOCK TABLES piwigo_users WRITE").await;
    let ask = |number: usize| {
        let database = database.clone();
        tokio::spawn(async move { database.user_by_name(&format!("name{number}")).await.is_err() })
    };
    // Twenty statements' worth: five seconds for each would be more than this patience.
    for is_error in timeout(PATIENCE, join_all((0..640).map(ask))).await.expect("all are answered") {
        assert!(is_error.unwrap());
    }
    inside::run(&mut root, "UNLOCK TABLES").await;
    assert_eq!(database.user_by_name("bob").await.unwrap(), Some(4));
}
