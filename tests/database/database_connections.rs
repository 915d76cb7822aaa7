//! What the gate costs its database in round trips, and what it makes of connections that died, on a real
//! MariaDB.

use std::time::Duration;

use crate::support::inside;
use crate::support::mariadb::{self, MariaDb};
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;
use piwigo_gate::database::{Address, Database, IDS, Tables, Trouble};
use piwigo_gate::gate::Gate;
use piwigo_gate::http::request::{Request, Server};
use piwigo_gate::settings::{Options, Settings};

const CONNECTIONS: u32 = 4;

/// A database whose connections are all open.
async fn opened(server: &MariaDb) -> Database {
    let socket = server.socket();
    let address =
        Address::from_piwigo(socket.to_str().unwrap(), mariadb::GATE, mariadb::PASSWORD, mariadb::PIWIGO)
            .unwrap();
    let mut database =
        Database::new(&address, &Tables::with_prefix("piwigo_"), CONNECTIONS, Duration::ZERO).unwrap();
    database.verify().await.unwrap();
    let ask = || database.users([1; IDS], false);
    tokio::try_join!(ask(), ask(), ask(), ask()).unwrap();
    database
}

fn start() -> (MariaDb, Sandbox) {
    let sandbox = Sandbox::new();
    let server = MariaDb::start(&sandbox);
    server.sql(mariadb::SCHEMA);
    (server, sandbox)
}

fn count(server: &MariaDb, name: &str) -> u64 {
    let row = server.sql_as_root(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
    row.split_whitespace().last().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_statement_is_one_round_trip() {
    let (server, _sandbox) = start();
    let database = opened(&server).await;
    let pings = count(&server, "Com_admin_commands");
    let prepared = count(&server, "Com_stmt_prepare");
    let executed = count(&server, "Com_stmt_execute");
    for _ in 0..20 {
        database.users([1; IDS], false).await.unwrap();
    }
    assert_eq!(count(&server, "Com_stmt_execute") - executed, 20);
    assert_eq!(count(&server, "Com_stmt_prepare"), prepared, "a statement is prepared once a connection");
    assert_eq!(count(&server, "Com_admin_commands"), pings, "no pings");
}

#[tokio::test]
async fn connections_that_died_are_replaced_without_an_error() {
    let (mut server, _sandbox) = start();
    let database = opened(&server).await;
    server.stop();
    server.start_again();
    database.users([1; IDS], false).await.expect("after a new start");

    server.close_connections();
    database.users([1; IDS], false).await.expect("after its connection was killed");
}

#[tokio::test]
async fn an_error_in_sql_costs_no_connection() {
    let (server, _sandbox) = start();
    let database = opened(&server).await;
    let connections = count(&server, "Connections");
    server.sql("RENAME TABLE piwigo_users TO elsewhere");
    for _ in 0..5 {
        assert!(database.users([1; IDS], false).await.is_err());
    }
    server.sql("RENAME TABLE elsewhere TO piwigo_users");
    database.users([1; IDS], false).await.unwrap();
    // The three are this test's own client.
    assert_eq!(count(&server, "Connections") - connections, 3);
}

/// Piwigo's settings are read again once they are a second old; here reading them takes longer than that.
#[tokio::test]
async fn slow_settings_are_read_once_for_all_who_wait_for_them() {
    const WAITING: u64 = 12;
    let scene = Scene::start();
    scene.database.sql(
        "RENAME TABLE piwigo_config TO slow;
         INSERT IGNORE INTO slow (param, value) VALUES ('guest_access', 'true');
         CREATE VIEW piwigo_config AS SELECT * FROM slow WHERE IF(param = 'guest_access', SLEEP(1.1), 0) = 0",
    );
    let options = Options { gallery: Some(scene.sandbox.gallery()), ..Options::default() };
    let gate = Gate::open(Settings::resolve(options, None).unwrap()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    scene.database.sql_as_root("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON");
    let ask = || async {
        let request = Request { server: Server::Nginx, ..Request::new(b"/upload/none.jpg", "127.0.0.1") };
        gate.answer(&request).await.status()
    };
    let statuses = futures_util::future::join_all((0..WAITING).map(|_| ask())).await;
    assert!(statuses.iter().all(|&status| status == 403), "{statuses:?}");
    let settings = scene.database.sql_as_root(
        "SELECT COUNT(*) FROM mysql.general_log WHERE command_type = 'Execute' AND argument LIKE '%WHERE param IN%'",
    );
    let settings: u64 = settings.split_whitespace().last().unwrap().parse().unwrap();
    assert!((1..=2).contains(&settings), "the settings were read {settings} times");
}

/// With `covers` there is a third round for whatever is refused, whether or not it exists and whatever the
/// reason.
#[tokio::test]
async fn a_refusal_takes_as_many_questions_for_a_picture_that_exists() {
    let scene = Scene::start();
    scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path, level, width, height, rotation) VALUES
           (951, 'a.jpg', './upload/high.jpg', 8, 3000, 2000, 0), (952, 'a.jpg', './upload/shut.jpg', 0, 3000, 2000, 0);
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (951, 1), (952, 2)",
    );
    let options =
        Options { gallery: Some(scene.sandbox.gallery()), covers: Some(true), ..Options::default() };
    let gate = Gate::open(Settings::resolve(options, None).unwrap()).await.unwrap();
    // The first request teaches the gate what to guess of who has no session.
    let paths = ["high", "high", "shut", "none", "shut", "none"];
    for (number, path) in paths.into_iter().enumerate() {
        let path = format!("/_data/i/upload/{path}-th.jpg");
        let before = count(&scene.database, "Com_stmt_execute");
        let request = Request { server: Server::Nginx, ..Request::new(path.as_bytes(), "127.0.0.1") };
        assert_eq!(gate.answer(&request).await.status(), 403, "{path}");
        let asked = count(&scene.database, "Com_stmt_execute") - before;
        let expected = if number == 0 { 2 + 2 + 1 } else { 4 + 1 + 1 };
        // Once a second the settings and the plugins are read, too.
        assert!(asked == expected || asked == expected + 2, "{path}: {asked}");
    }
}

#[tokio::test]
async fn who_gets_no_turn_for_a_costly_look_up_makes_no_outage() {
    let (server, _sandbox) = start();
    let database = std::sync::Arc::new(opened(&server).await);
    // Formats are asked of a table that is locked for longer than anybody waits; one in four connections may
    // wait there.
    let mut root = inside::root(&server).await;
    inside::run(&mut root, "LOCK TABLES piwigo_image_format WRITE").await;
    let ask = || {
        let database = database.clone();
        tokio::spawn(async move { database.images_by_format(vec!["./a.".into()], "cr2").await.map(|_| ()) })
    };
    let asked = [ask(), ask(), ask(), ask()];
    // Meanwhile everybody else is answered.
    database.users([1; IDS], false).await.unwrap();
    let mut troubles = Vec::new();
    for one in asked {
        troubles.extend(one.await.unwrap().err().map(|error| error.trouble()));
    }
    assert!(troubles.contains(&Trouble::Busy), "{troubles:?}");
}

/// An account without a password, as local set-ups have it: PHP connects, and so does the gate. Piwigo's file
/// may hold the empty text, and an address in `gate.toml` none or an empty one.
#[tokio::test]
async fn an_account_without_a_password() {
    let (server, _sandbox) = start();
    server.sql_as_root(&format!("ALTER USER '{}'@'localhost' IDENTIFIED BY ''", mariadb::GATE));
    let socket = server.socket();
    let socket = socket.to_str().unwrap();
    let url = |password: &str| {
        let (user, name) = (mariadb::GATE, mariadb::PIWIGO);
        Address::from_url(&format!("mysql://{user}{password}@localhost/{name}?socket={socket}")).unwrap()
    };
    let by_piwigo = Address::from_piwigo(socket, mariadb::GATE, "", mariadb::PIWIGO).unwrap();
    for (number, address) in [by_piwigo, url(""), url(":")].iter().enumerate() {
        let answer = Database::probe(address).await;
        assert!(answer.is_ok(), "{number}: {answer:?}");
    }
    // A password that is none of this account's is refused, not left out.
    let wrong = Address::from_piwigo(socket, mariadb::GATE, " ", mariadb::PIWIGO).unwrap();
    assert_eq!(Database::probe(&wrong).await.unwrap_err().trouble(), Trouble::Refused);
}
