//! A database that allows the account one to three connections, as shared hosts do (`max_user_connections`):
//! requests wait for their turn, and Piwigo gets its share. Real MariaDB.

use crate::support::examined::doctor;
use crate::support::mariadb;
use crate::support::patience::PATIENCE;
use crate::support::scene::Scene;
use crate::support::verdicts::ask;
use futures_util::future::join_all;
use piwigo_gate::gate::Gate;
use piwigo_gate::settings::{Options, Settings};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions as _, Connection as _};

/// The account's own limit, and the server's for every account.
const LIMITS: [&str; 2] = [
    "GRANT USAGE ON *.* TO 'gate'@'localhost' WITH MAX_USER_CONNECTIONS",
    "SET GLOBAL max_user_connections =",
];

/// A server that has a limit for every account takes changes of it.
fn scene() -> Scene {
    Scene::start_with_options(&["--max-user-connections=100"])
}

async fn opened(scene: &Scene) -> Gate {
    let options = Options { gallery: Some(scene.sandbox.gallery()), ..Options::default() };
    Gate::open(Settings::resolve(options, None).unwrap()).await.unwrap()
}

/// A connection of Piwigo's, which shares the account.
async fn piwigos(scene: &Scene) -> Result<MySqlConnection, sqlx::Error> {
    let options = MySqlConnectOptions::new().socket(scene.database.socket());
    options.username(mariadb::GATE).password(mariadb::PASSWORD).database(mariadb::PIWIGO).connect().await
}

fn connections(scene: &Scene) -> u32 {
    let count = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'gate'";
    scene.database.sql_as_root(count).trim().parse().unwrap()
}

/// Waits until the account has no more connections than this, and lets the gate go on meanwhile.
async fn at_most(scene: &Scene, expected: u32) {
    let started = std::time::Instant::now();
    while connections(scene) > expected {
        assert!(started.elapsed() < PATIENCE, "more than {expected} connections are open");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Many requests at once, of all visitors; each gets Piwigo's own verdict.
async fn every_request_is_answered(gate: &Gate, scene: &Scene, context: &str) {
    let cases: Vec<_> = scene.world.cases().into_iter().step_by(5).collect();
    assert!(cases.len() > 50, "{}", cases.len());
    let answers = join_all(cases.iter().map(|case| async {
        let cookie = case.cookie_of.as_ref().map(|user| scene.world.session(user).cookie_header());
        ask(gate, &case.path, &cookie.unwrap_or_default(), "127.0.0.1").await.status()
    }))
    .await;
    for (case, status) in cases.iter().zip(answers) {
        assert_eq!(status, if case.allowed { 200 } else { 403 }, "{context}: {case:?}");
    }
}

#[tokio::test]
async fn every_request_gets_its_verdict_and_piwigo_its_connections() {
    let scene = scene();
    for limit in LIMITS {
        for allowed in 1..=3 {
            scene.database.sql_as_root(&format!("{limit} {allowed}"));
            let context = format!("{limit} {allowed}");
            let gate = opened(&scene).await;
            every_request_is_answered(&gate, &scene, &context).await;
            // What rests is no more than one, and where there is only one, nothing.
            at_most(&scene, u32::from(allowed > 1)).await;
            let mut connection = piwigos(&scene).await.unwrap_or_else(|error| panic!("{context}: {error}"));
            // While Piwigo holds one, the gate lives with the rest.
            if allowed > 1 {
                every_request_is_answered(&gate, &scene, &context).await;
            }
            connection.ping().await.unwrap();
            connection.close().await.unwrap();
            // The settings are read again, as after SIGHUP, while the old gate still has its connections.
            let again = opened(&scene).await;
            every_request_is_answered(&again, &scene, &context).await;
            every_request_is_answered(&gate, &scene, &context).await;
            drop((gate, again));
            at_most(&scene, 0).await;
        }
        scene.database.sql_as_root(&format!("{limit} {}", if limit.starts_with("SET") { 100 } else { 0 }));
    }
}

/// The gate waits as long as somebody else has the only connection, and not for ever.
#[tokio::test]
async fn a_request_waits_for_piwigos_connection() {
    let scene = scene();
    scene.database.sql_as_root(&format!("{} 1", LIMITS[0]));
    let gate = opened(&scene).await;
    at_most(&scene, 0).await;
    let held = piwigos(&scene).await.unwrap();
    let asked = ask(&gate, "upload/none.jpg", "", "127.0.0.1");
    let given_back = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        held.close().await.unwrap();
    };
    let (reply, ()) = tokio::join!(asked, given_back);
    assert_eq!(reply.status(), 403);
    at_most(&scene, 0).await;
    let _held = piwigos(&scene).await.unwrap();
    assert_eq!(ask(&gate, "upload/none.jpg", "", "127.0.0.1").await.status(), 503);
}

#[test]
fn doctor_lives_with_one_connection() {
    let scene = scene();
    let findings = |scene: &Scene| {
        let output = doctor(&scene.sandbox, &["--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["findings"].clone()
    };
    let before = findings(&scene);
    scene.database.sql_as_root(&format!("{} 1", LIMITS[0]));
    let after = findings(&scene);
    let ids = |findings: &serde_json::Value| -> Vec<(String, String)> {
        let word = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
        findings.as_array().unwrap().iter().map(|found| (word(found, "id"), word(found, "level"))).collect()
    };
    assert_eq!(ids(&before), ids(&after), "{after}");
}
