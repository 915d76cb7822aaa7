//! Rights that are taken away under load are gone: for every request that begins after the commit, thousands
//! of times over; with `freshness`, for every one that begins later than that after it. And a session is
//! judged by whose it is now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::inside;
use crate::support::nginx::{self, Nginx};
use crate::support::patience::PATIENCE;
use crate::support::plans;
use crate::support::scene::Scene;
use piwigo_gate::gate::Gate;
use piwigo_gate::settings::Options;

/// A right of bob's to one picture: how he comes to have it and no other, how it is taken away and given
/// back.
struct Right {
    name: &'static str,
    prepare: String,
    take: String,
    give: String,
}

const BOB: u32 = 4;
const ALICE: u32 = 3;
const BOBS_SESSION: &str = "7F007c181gfqj1hbergm38t712fs9k";
const BOBS_COOKIE: &str = "pwg_id=7c181gfqj1hbergm38t712fs9k";
const ALBUM: u32 = 2;
const IMAGE: u32 = 9;

fn session_of(user: u32) -> String {
    format!(
        "REPLACE INTO piwigo_sessions (id, data, expiration) VALUES ('{BOBS_SESSION}', 'pwg_uid|i:{user};', NOW())"
    )
}

/// Every way in which a right goes, on picture [`IMAGE`] in album [`ALBUM`], which is private and granted to
/// bob by hand.
fn rights() -> Vec<Right> {
    let by_hand = format!("REPLACE INTO piwigo_user_access (user_id, cat_id) VALUES ({BOB}, {ALBUM})");
    let not_by_hand = format!("DELETE FROM piwigo_user_access WHERE user_id = {BOB} AND cat_id = {ALBUM}");
    let member = format!("REPLACE INTO piwigo_user_group (user_id, group_id) VALUES ({BOB}, 2)");
    let no_member = format!("DELETE FROM piwigo_user_group WHERE user_id = {BOB} AND group_id = 2");
    let by_group = format!("REPLACE INTO piwigo_group_access (group_id, cat_id) VALUES (2, {ALBUM})");
    let not_by_group = format!("DELETE FROM piwigo_group_access WHERE group_id = 2 AND cat_id = {ALBUM}");
    let level = |level: u32| format!("UPDATE piwigo_images SET level = {level} WHERE id = {IMAGE}");
    let users_level =
        |level: u32| format!("UPDATE piwigo_user_infos SET level = {level} WHERE user_id = {BOB}");
    let album = |column: &str, value: &str| {
        format!("UPDATE piwigo_categories SET {column} = '{value}' WHERE id = {ALBUM}")
    };
    let moved = |from: u32, to: u32| {
        format!(
            "UPDATE piwigo_image_category SET category_id = {to} WHERE image_id = {IMAGE} AND category_id = {from}"
        )
    };
    let status =
        |status: &str| format!("UPDATE piwigo_user_infos SET status = '{status}' WHERE user_id = {BOB}");
    let locked =
        |locked: &str| format!("UPDATE piwigo_config SET value = '{locked}' WHERE param = 'gallery_locked'");
    let no_session = format!("DELETE FROM piwigo_sessions WHERE id = '{BOBS_SESSION}'");
    let no_account = format!("DELETE FROM piwigo_users WHERE id = {BOB}");
    let account = format!("REPLACE INTO piwigo_users (id, username) VALUES ({BOB}, 'bob')");
    let right = |name, prepare: &[&str], take: &str, give: &str| Right {
        name,
        prepare: [prepare, &[give]].concat().join("; "),
        take: take.into(),
        give: give.into(),
    };
    vec![
        right("a grant by hand", &[], &not_by_hand, &by_hand),
        right("a membership", &[&not_by_hand, &by_group], &no_member, &member),
        right("a group's grant", &[&not_by_hand], &not_by_group, &by_group),
        right("an open album", &[&not_by_group], &album("status", "private"), &album("status", "public")),
        right(
            "an album unlocked",
            &[&album("status", "private"), &by_hand],
            &album("visible", "false"),
            &album("visible", "true"),
        ),
        right("a place in the album", &[], &moved(ALBUM, 11), &moved(11, ALBUM)),
        right("the picture's level", &[], &level(8), &level(0)),
        right("the visitor's level", &[&level(4), &users_level(4)], &users_level(0), &users_level(4)),
        right("a session", &[&level(0)], &no_session, &session_of(BOB)),
        right("a session's owner", &[], &session_of(ALICE), &session_of(BOB)),
        right("an account in use", &[], &status("guest"), &status("normal")),
        right("an account", &[], &no_account, &account),
        right("an open gallery", &[], &locked("true"), &locked("false")),
    ]
}

/// What the database holds, told by a number that grows: 0 mod 4, the right is given; 1, it is being taken
/// away; 2, it is gone; 3, it is being given back.
#[derive(Default)]
struct Phase {
    number: AtomicU64,
    /// Requests that began and ended in this phase.
    whole: AtomicU64,
    over: AtomicBool,
}

impl Phase {
    fn now(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    fn next(&self) {
        self.whole.store(0, Ordering::SeqCst);
        self.number.fetch_add(1, Ordering::SeqCst);
    }

    /// Until so many requests began and ended in this phase.
    async fn seen(&self, requests: u64) {
        let begun = Instant::now();
        while self.whole.load(Ordering::SeqCst) < requests && !self.over.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < PATIENCE, "nobody asks any more");
            tokio::task::yield_now().await;
        }
    }
}

/// Ends the workers when the test fails, too.
struct Over(Arc<Phase>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// Asks for the picture again and again; how many requests were judged strictly.
async fn ask_until_over(gate: Arc<Gate>, phase: Arc<Phase>, target: String) -> u64 {
    let (mut strict, mut late) = (0, 0);
    while !phase.over.load(Ordering::SeqCst) {
        let begin = phase.now();
        let status = inside::status(&gate, &target, BOBS_COOKIE).await;
        if phase.now() != begin {
            continue;
        }
        match begin % 4 {
            // The machine stood still for longer than the gate waits for the database, which is no verdict.
            0 if status == 503 && late < 5 => {
                late += 1;
                continue;
            }
            0 => assert_eq!(status, 200, "phase {begin}: refused after it was given"),
            2 => assert_ne!(status, 200, "phase {begin}: allowed after it was taken away"),
            _ => continue,
        }
        strict += 1;
        phase.whole.fetch_add(1, Ordering::SeqCst);
    }
    strict
}

fn target(scene: &Scene) -> String {
    http::url(scene.world.image(IMAGE).original())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_is_allowed_after_the_commit() {
    const WORKERS: usize = 12;
    const TIMES: usize = 80;
    let scene = Scene::start();
    let gate = Arc::new(inside::open(&scene, Options::default()).await);
    let mut root = inside::root(&scene.database).await;
    let (mut toggles, mut strict) = (0, 0);
    for right in rights() {
        inside::run(&mut root, &right.prepare).await;
        let phase = Arc::new(Phase::default());
        let _over = Over(phase.clone());
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| tokio::spawn(ask_until_over(gate.clone(), phase.clone(), target(&scene))))
            .collect();
        for _ in 0..TIMES {
            for statement in [&right.take, &right.give] {
                phase.next();
                inside::run(&mut root, statement).await;
                phase.next();
                phase.seen(WORKERS as u64 / 2).await;
                assert!(!workers.iter().any(tokio::task::JoinHandle::is_finished), "{}", right.name);
                toggles += 1;
            }
        }
        phase.over.store(true, Ordering::SeqCst);
        for worker in workers {
            strict += worker.await.unwrap_or_else(|error| panic!("{}: {error}", right.name));
        }
    }
    assert!(toggles >= 2000 && strict > 10_000, "{toggles} toggles, {strict} requests");
}

/// How late the last allow may be that began before the bound was over: none at all after it.
async fn check_bound(freshness: &str, bound: Duration, rights: Vec<Right>) {
    const WORKERS: usize = 4;
    let scene = Scene::start();
    let options = Options { freshness: Some(freshness.into()), ..Options::default() };
    let gate = Arc::new(inside::open(&scene, options).await);
    let mut root = inside::root(&scene.database).await;
    let target = target(&scene);
    let mut stale = 0;
    for right in rights {
        inside::run(&mut root, &right.prepare).await;
        tokio::time::sleep(bound + Duration::from_millis(20)).await;
        // These answers are kept; after the first of them the session's owner is known.
        for _ in 0..2 {
            assert_eq!(inside::status(&gate, &target, BOBS_COOKIE).await, 200, "{}", right.name);
        }
        inside::run(&mut root, &right.take).await;
        let committed = Instant::now();
        let ask = async || {
            let mut stale = 0;
            while committed.elapsed() < bound + Duration::from_millis(120) {
                let began = Instant::now();
                let is_allowed = inside::status(&gate, &target, BOBS_COOKIE).await == 200;
                let late = began - committed;
                assert!(!is_allowed || late <= bound, "{}: allowed {late:?} after the commit", right.name);
                stale += u64::from(is_allowed);
            }
            stale
        };
        stale += futures_util::future::join_all((0..WORKERS).map(|_| ask())).await.iter().sum::<u64>();
        inside::run(&mut root, &right.give).await;
    }
    assert!(stale > 0, "no answer was used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_freshness_nobody_is_allowed_later_than_that_after_the_commit() {
    check_bound("300ms", Duration::from_millis(300), rights()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_of_freshness_is_a_second() {
    let mut rights = rights();
    rights.truncate(2);
    check_bound("1s", Duration::from_secs(1), rights).await;
}

/// With `freshness`, a page's requests ask each question once, and those after them nothing.
#[tokio::test]
async fn what_is_fresh_is_not_asked_again() {
    const FRESHNESS: Duration = Duration::from_mins(1);
    let scene = Scene::start();
    plans::begin_log(&scene.database);
    let options = Options { freshness: Some("60s".into()), ..Options::default() };
    let gate = inside::open(&scene, options).await;
    let target = target(&scene);
    let ask = || inside::status(&gate, &target, BOBS_COOKIE);
    let all = |count: usize| futures_util::future::join_all((0..count).map(|_| ask()));
    inside::take_executed(&scene.database);
    assert!(all(32).await.iter().all(|&status| status == 200));
    assert_eq!(inside::take_executed(&scene.database).len(), 4, "one of each kind");
    // Now the session's owner is known, and the grants are asked for by the path.
    assert_eq!(ask().await, 200);
    assert_eq!(inside::take_executed(&scene.database).len(), 1);
    for _ in 0..10 {
        assert!(all(10).await.iter().all(|&status| status == 200));
    }
    assert_eq!(inside::take_executed(&scene.database).len(), 0);
    // An outage is over as soon as the database is back, not when what it failed to answer is no longer
    // fresh.
    scene.database.sql("RENAME TABLE piwigo_image_category TO elsewhere");
    let other = http::url(scene.world.image(10).original());
    assert_eq!(inside::status(&gate, &other, BOBS_COOKIE).await, 503);
    scene.database.sql("RENAME TABLE elsewhere TO piwigo_image_category");
    let back = Instant::now();
    while inside::status(&gate, &other, BOBS_COOKIE).await != 200 {
        assert!(back.elapsed() < FRESHNESS / 2, "no service");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_session_is_judged_by_whose_it_is_now() {
    let scene = Scene::start();
    let gate = inside::open(&scene, Options::default()).await;
    let target = target(&scene);
    let changes = [
        (String::new(), 200),
        (session_of(ALICE), 403),
        (session_of(BOB), 200),
        (format!("DELETE FROM piwigo_sessions WHERE id = '{BOBS_SESSION}'"), 403),
        (session_of(ALICE), 403),
        (format!("DELETE FROM piwigo_sessions WHERE id = '{BOBS_SESSION}'; {}", session_of(BOB)), 200),
        // In other spellings it is no session, whatever the database thinks of case.
        (format!("UPDATE piwigo_sessions SET id = UPPER(id) WHERE id = '{BOBS_SESSION}'"), 403),
        (session_of(BOB), 200),
        ("UPDATE piwigo_sessions SET data = 'pwg_uid|i:1;'".into(), 200),
        ("UPDATE piwigo_sessions SET data = ''".into(), 403),
        ("UPDATE piwigo_sessions SET data = 'pwg_uid|i:4'".into(), 403),
    ];
    for (change, expected) in changes {
        scene.database.sql(&change);
        for time in 1..=2 {
            assert_eq!(
                inside::status(&gate, &target, BOBS_COOKIE).await,
                expected,
                "{change}, request {time}"
            );
        }
    }
}

/// Whatever is guessed and kept, the number of questions tells nobody whether a file exists.
#[tokio::test]
async fn a_refusal_takes_as_many_questions_whatever_is_guessed() {
    for freshness in ["0", "60s"] {
        let scene = Scene::start();
        plans::begin_log(&scene.database);
        // Denied or unknown, named by the file, by another file's name, and by a number.
        let movie = http::url(scene.world.image(41).original());
        let pairs = [
            (http::url(scene.world.image(21).original()), "/upload/2026/11/21/none.jpg".to_owned()),
            (
                http::url(&scene.world.image(45).derivative("th").unwrap()),
                "/_data/i/galleries/secretdir/none-th.jpg".into(),
            ),
            (
                movie.replace("movie.2.mp4", "pwg_representative/movie.2.jpg"),
                "/x/pwg_representative/y.jpg".into(),
            ),
            ("/action.php?id=26&part=e".into(), "/action.php?id=260&part=e".into()),
        ];
        let mut number = 0;
        for (denied, unknown) in pairs {
            // What this one keeps stays fresh to the end of its pair, on a slow machine too.
            let options = Options { freshness: Some(freshness.into()), ..Options::default() };
            let gate = inside::open(&scene, options).await;
            let asked = async |target: &str, cookie: &str| {
                inside::take_executed(&scene.database);
                assert_eq!(inside::status(&gate, target, cookie).await, 403, "{target}");
                inside::take_executed(&scene.database).len()
            };
            // Alice's rights do not reach; what does not depend on the file is known after another.
            let alice = scene.world.session("alice").cookie_header();
            for cookie in ["", &alice] {
                // The second is the first with a guess.
                asked("/upload/another.jpg", cookie).await;
                asked("/upload/one-more.jpg", cookie).await;
                for time in 1..=2 {
                    let counts = (asked(&denied, cookie).await, asked(&unknown, cookie).await);
                    assert_eq!(
                        counts.0, counts.1,
                        "freshness {freshness}, {denied}, {cookie:?}, time {time}"
                    );
                }
            }
            // Sessions that nobody has heard of: nothing is guessed.
            let mut strangers = Vec::new();
            for target in [&denied, &unknown, &denied, &unknown] {
                number += 1;
                strangers.push(asked(target, &format!("pwg_id=aaaaaaaaaaaaaaaaaaaa{number:06}")).await);
            }
            strangers.remove(0);
            assert!(
                strangers[1] == strangers[0] && strangers[1] == strangers[2],
                "{freshness} {denied} {strangers:?}"
            );
        }
    }
}

/// The same through nginx and the program itself, with visitors who keep asking.
#[test]
fn through_nginx_the_next_request_knows() {
    use std::thread;
    let scene = Scene::start();
    let gate = crate::support::gate::Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let (address, target) = (nginx.address(), target(&scene));
    let ask = || http::request(address, "GET", &target, &[("Cookie", BOBS_COOKIE)]).status;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    ask();
                }
            });
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for right in rights() {
                scene.database.sql(&right.prepare);
                for _ in 0..4 {
                    scene.database.sql(&right.take);
                    assert_ne!(ask(), 200, "{}", right.name);
                    scene.database.sql(&right.give);
                    assert_eq!(ask(), 200, "{}", right.name);
                }
            }
        }));
        over.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert!(!gate.log_text().contains("no verdict"), "{}", gate.log_text());
}
