//! The test environment itself, and the shipped server files with no gate behind them: nothing may come out.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::fs;
use std::net::SocketAddr;

use crate::support::apache::{self, Apache};
use crate::support::mariadb::{self, MariaDb};
use crate::support::nginx::{self, Nginx};
use crate::support::php::{self, PhpFcgi};
use crate::support::rows::{self, Engine};
use crate::support::sandbox::Sandbox;
use crate::support::world::World;
use crate::support::{attacks, http, process, scene};

#[test]
fn mariadb_holds_the_world_and_survives_a_restart() {
    let sandbox = Sandbox::new();
    let mut database = MariaDb::start_in_time_zone(&sandbox, "+05:30");
    let world = World::load();
    database.sql(mariadb::SCHEMA);
    database.sql(&world.sql(Engine::MariaDb));
    assert_eq!(database.sql("SELECT COUNT(*) FROM piwigo_images"), "49\n");
    assert_eq!(
        database.sql("SELECT path FROM piwigo_images WHERE id = 48"),
        "./galleries/Été à Paris/Privé - 2019/secret é.jpg\n"
    );
    assert_eq!(database.sql("SELECT @@session.time_zone"), "+05:30\n");
    let collation =
        "SELECT TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_NAME = 'piwigo_images'";
    // That of `DEFAULT CHARSET=utf8mb3` where nothing else is said: the second since MariaDB 11.5. Both take
    // paths that differ in case and accents for equal, and hold three bytes a character.
    let found = database.sql(collation);
    assert!(["utf8mb3_general_ci\n", "utf8mb3_uca1400_ai_ci\n"].contains(&found.as_str()), "{found}");
    database.stop();
    assert_eq!(database.id(), None);
    database.start_again();
    assert_eq!(database.sql("SELECT COUNT(*) FROM piwigo_sessions"), "20\n");
}

#[test]
fn the_read_only_account_cannot_write() {
    let sandbox = Sandbox::new();
    let database = MariaDb::start(&sandbox);
    database.sql(mariadb::SCHEMA);
    let grants = database.sql_as_root("SHOW GRANTS FOR 'gate'@'localhost'");
    assert!(grants.contains("GRANT SELECT ON `piwigo`.*") && !grants.contains("ALL"), "{grants}");
}

#[test]
fn the_world_fits_the_sqlite_tables() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        use sqlx::Connection;
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.expect("SQLite");
        for text in [rows::SQLITE_SCHEMA.to_owned(), World::load().sql(Engine::Sqlite)] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await.expect("rows");
        }
        let (count, longest): (i64, i64) =
            sqlx::query_as("SELECT COUNT(*), MAX(LENGTH(data)) FROM piwigo_sessions")
                .fetch_one(&mut connection)
                .await
                .expect("rows");
        assert_eq!(count, 20);
        assert!(longest > 100);
        let derivatives: String =
            sqlx::query_scalar("SELECT value FROM piwigo_config WHERE param = 'derivatives'")
                .fetch_one(&mut connection)
                .await
                .expect("rows");
        assert_eq!(derivatives, World::load().derivatives);
    });
}

#[test]
fn without_a_gate_nginx_answers_503_and_no_spelling_gives_bytes() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let sandbox = Sandbox::new();
        let world = World::load();
        scene::write_gallery(&sandbox, &world);
        let _php = PhpFcgi::start(&sandbox);
        let nginx = Nginx::start_gallery(&sandbox, file);
        let image = world.image(1);
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            let url = http::url(&path);
            for method in ["GET", "HEAD", "POST"] {
                let answer = http::request(nginx.address(), method, &url, &[]);
                assert_eq!(answer.status, 503, "{method} {url}");
                assert_eq!(answer.all("cache-control"), ["no-store"], "{method} {url}");
                assert_eq!(answer.all("retry-after"), ["5"], "{method} {url}");
            }
            nothing_comes_out(nginx.address(), &url);
        }
        public_files_come_out(nginx.address());
    }
}

#[test]
fn without_a_gate_apache_gives_no_bytes_for_any_spelling() {
    for with_htaccess in [false, true] {
        let sandbox = Sandbox::new();
        let world = World::load();
        scene::write_gallery(&sandbox, &world);
        php::write_scripts(&sandbox);
        let (host, modules, gate) = if with_htaccess {
            let host = apache::shared_host(&sandbox, "");
            apache::write_htaccess(&sandbox, "", true);
            (host, ["fcgid", "rewrite", "actions", "headers"], "gallery/gate.fcgi")
        } else {
            (
                apache::xsendfile_host(&sandbox, ""),
                ["fcgid", "xsendfile", "actions", "headers"],
                "bin/gate.fcgi",
            )
        };
        let apache = Apache::start(&sandbox, &host, &modules);
        fs::remove_file(sandbox.path().join(gate)).expect("the gate was there");
        let image = world.image(1);
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            nothing_comes_out(apache.address(), &http::url(&path));
        }
        public_files_come_out(apache.address());
    }
}

/// Shows that the two tests above ask for something that is there: without the guard, it comes out.
#[test]
fn without_the_shipped_file_everything_comes_out() {
    let sandbox = Sandbox::new();
    let world = World::load();
    scene::write_gallery(&sandbox, &world);
    let _php = PhpFcgi::start(&sandbox);
    let nginx = Nginx::start(&sandbox, &nginx::gallery(&sandbox, ""));
    let path = world.image(1).original();
    let answer = http::get(nginx.address(), http::url(path));
    assert!(attacks::holds_guarded_bytes(&answer.body));
    let script = http::get(nginx.address(), format!("/i.php?/{}", http::url(path)));
    assert!(attacks::holds_guarded_bytes(&script.body), "{}", script.text());
}

#[test]
fn nothing_is_left_running_when_a_test_panics() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let sandbox = Sandbox::new();
        let database = MariaDb::start(&sandbox);
        let php = PhpFcgi::start(&sandbox);
        let _nginx = Nginx::start(&sandbox, &nginx::gallery(&sandbox, ""));
        let host = apache::shared_host(&sandbox, "");
        let apache = Apache::start(&sandbox, &host, &["fcgid", "rewrite", "actions", "headers"]);
        let page = http::get(apache.address(), "/index.php");
        assert_eq!(page.text(), php::INDEX_PHP.split('"').nth(1).expect("its text").replace("\\n", "\n"));
        let mut ids = process::all_that_name(sandbox.path());
        ids.extend([database.id().expect("it runs"), php.id()]);
        ids.extend(apache.helpers());
        sender.send((sandbox.path().to_owned(), ids)).expect("receiver waits");
        std::panic::resume_unwind(Box::new("as a failing test does"));
    });
    let (directory, ids) = receiver.recv().expect("servers started");
    assert!(thread.join().is_err());
    assert!(ids.len() >= 5, "{ids:?}"); // MariaDB, PHP, nginx, Apache, and what mod_fcgid started
    assert!(!directory.exists());
    for id in ids {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        assert!(!command.contains(directory.to_str().expect("UTF-8")), "{id} still runs: {command}");
    }
}

fn nothing_comes_out(address: SocketAddr, path: &str) {
    for target in attacks::spellings(path) {
        let answer = http::get(address, &target);
        assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {} {}", answer.status, answer.text());
    }
}

fn public_files_come_out(address: SocketAddr) {
    assert_eq!(http::get(address, "/themes/default/theme.css").text(), "public style\n");
    assert_eq!(http::get(address, "/_data/combined/a1.css").text(), "combined style\n");
}
