//! The usual scene of a test: the small gallery with its rows in MariaDB and its files on disk.

use std::net::SocketAddr;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::files;
use super::http::{self, Response};
use super::mariadb::{self, MariaDb};
use super::rows::{self, Engine};
use super::sandbox::Sandbox;
use super::world::World;

/// Rust drops the fields in this order: the server before its directory.
pub struct Scene {
    pub database: MariaDb,
    pub world: World,
    pub sandbox: Sandbox,
}

impl Scene {
    /// Starts MariaDB with the world's rows, and writes the gallery's files and Piwigo's `local/config`.
    pub fn start() -> Self {
        Self::start_with(mariadb::SCHEMA, World::load())
    }

    /// Does the same with more options on MariaDB's command line.
    pub fn start_with_options(options: &[&str]) -> Self {
        Self::start_as(mariadb::SCHEMA, World::load(), options)
    }

    /// Does the same with the tables of another Piwigo version, and with rows that fit these tables.
    pub fn start_with(schema: &str, world: World) -> Self {
        Self::start_as(schema, world, &[])
    }

    fn start_as(schema: &str, world: World, options: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let database = MariaDb::start_with(&sandbox, options);
        database.sql(schema);
        database.sql(&world.sql(Engine::MariaDb));
        write_gallery(&sandbox, &world);
        files::write_config(&sandbox.gallery(), &database.socket());
        Self { database, world, sandbox }
    }

    /// The answer to a guest, or to a visitor who has a session of this account.
    pub fn request(
        &self,
        address: SocketAddr,
        method: &str,
        target: &str,
        user: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Response {
        let cookie = user.map(|user| self.world.session(user).cookie_header());
        let mut headers = headers.to_vec();
        if let Some(cookie) = &cookie {
            headers.push(("Cookie", cookie));
        }
        http::request(address, method, target, &headers)
    }
}

/// Writes only the files, for tests that need no database: the guarded ones, and public ones.
pub fn write_gallery(sandbox: &Sandbox, world: &World) {
    world.write_files(&sandbox.gallery());
    sandbox.write("gallery/themes/default/theme.css", "public style\n");
    sandbox.write("gallery/_data/combined/a1.css", "combined style\n");
    sandbox.hand_over_tree(&sandbox.gallery());
}

/// Writes the gallery's files, puts the world's rows into an SQLite file, and returns the URL of that file.
pub async fn sqlite(sandbox: &Sandbox, world: &World) -> String {
    write_gallery(sandbox, world);
    sandbox.write(
        "gallery/local/config/database.inc.php",
        "<?php $prefixeTable = 'piwigo_'; define('PHPWG_INSTALLED', true);",
    );
    sandbox.write("gallery/local/config/config.inc.php", "<?php $conf['enable_formats'] = true;");
    let file = sandbox.path().join("piwigo.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("SQLite");
    connection.execute(rows::SQLITE_SCHEMA).await.expect("SQLite");
    let rows = format!("BEGIN; {} COMMIT;", world.sql(Engine::Sqlite));
    connection.execute(AssertSqlSafe(rows)).await.expect("SQLite");
    connection.close().await.expect("SQLite");
    format!("sqlite://{}", file.display())
}
