//! The gate inside the test program, without a web server: thousands of requests a second, each of which
//! begins at a moment that the test knows.

use std::borrow::Cow;

use super::mariadb::{self, MariaDb};
use super::scene::Scene;
use piwigo_gate::gate::Gate;
use piwigo_gate::http::request::{Request, Server};
use piwigo_gate::settings::{Options, Settings};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, MySqlConnection};

/// The gate for this scene's gallery.
pub async fn open(scene: &Scene, options: Options) -> Gate {
    let options = Options { gallery: Some(scene.sandbox.gallery()), ..options };
    Gate::open(Settings::resolve(options, None).expect("settings")).await.expect("a gate")
}

/// The gate's status for nginx, for a request from 127.0.0.1 for `target` with this `Cookie` header.
pub async fn status(gate: &Gate, target: &str, cookies: &str) -> u16 {
    let request = Request {
        server: Server::Nginx,
        cookies: Cow::Borrowed(cookies.as_bytes()),
        ..Request::new(target.as_bytes(), "127.0.0.1")
    };
    gate.answer(&request).await.status()
}

/// A connection with all rights. Its statements travel as text and do not count as executed statements.
pub async fn root(server: &MariaDb) -> MySqlConnection {
    let options =
        MySqlConnectOptions::new().username("root").database(mariadb::PIWIGO).socket(server.socket());
    options.disable_statement_logging().connect().await.expect("a connection")
}

/// Runs statements; each is committed when this returns.
pub async fn run(connection: &mut MySqlConnection, text: &str) {
    connection.execute(AssertSqlSafe(text.to_owned())).await.expect("SQL runs");
}

/// The texts that the gate's account has executed since the log ([`super::plans::begin_log`]) began or was
/// last taken, one for each execution, without the reads of Piwigo's settings and plugins once a second.
pub fn take_executed(server: &MariaDb) -> Vec<String> {
    let logged = server.sql_as_root(&format!(
        "SELECT argument FROM mysql.general_log WHERE command_type = 'Execute' AND user_host LIKE '{}[%'
         AND argument NOT LIKE '%WHERE param IN%' AND argument NOT LIKE '%`piwigo_plugins`%'; TRUNCATE mysql.general_log",
        mariadb::GATE
    ));
    logged.lines().map(str::to_owned).collect()
}
