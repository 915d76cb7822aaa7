//! Piwigo's plugins as the gate reads them from their table: what the log and `doctor` say of each, who
//! answers `action.php` because of them, that a change is noticed while the gate runs, and that a table that
//! cannot be read stops nobody.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::examined::{Report, doctor};
use crate::support::gate::Gate;
use crate::support::inside;
use crate::support::patience::PATIENCE;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{self, Scene};
use crate::support::setup::Setup;
use crate::support::world::World;
use piwigo_gate::gate::snapshot::Readiness;
use piwigo_gate::piwigo::plugins::{KNOWN, Plugins, Stance};
use piwigo_gate::settings::{ActionPhp, Options, Settings};

fn settings(scene: &Scene, action_php: Option<ActionPhp>) -> Arc<Settings> {
    let options = Options { gallery: Some(scene.sandbox.gallery()), action_php, ..Options::default() };
    Arc::new(Settings::resolve(options, None).expect("settings"))
}

/// `INSERT` for plugins of this state.
fn rows(state: &str, ids: &[&str]) -> String {
    let values: Vec<String> = ids.iter().map(|id| format!("('{id}', '{state}', '1.2')")).collect();
    format!("INSERT INTO piwigo_plugins (id, state, version) VALUES {}", values.join(", "))
}

/// Waits until who answers `action.php` is `expected`. The gate looks again when it is asked, a second after
/// the last look.
async fn wait_for(readiness: &Readiness, settings: &Settings, expected: ActionPhp, why: &str) {
    let started = Instant::now();
    while readiness.ready().await.unwrap().action_php(settings) != expected {
        assert!(started.elapsed() < PATIENCE, "{why}: still not {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every known plugin at once: a line for each that needs one, none for the others, and the same from
/// `doctor`.
#[test]
fn the_log_and_doctor_name_each_active_plugin() {
    let scene = Scene::start();
    let ids: Vec<&str> = KNOWN.iter().map(|known| known.id).collect();
    scene.database.sql(&rows("active", &ids));
    for known in KNOWN {
        for script in known.scripts {
            scene.sandbox.write(&format!("gallery/plugins/{}/{script}", known.id), "<?php");
        }
    }
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let log = gate.log_text();
    let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
    for known in KNOWN {
        let name = format!("{} 1.2", known.id);
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains(&format!("the plugin {name} "))).collect();
        let (level, found) = match known.stance {
            Stance::Handled if known.advice.is_empty() => (None, "ok"),
            Stance::Handled => (None, "note"),
            Stance::Nothing => (None, "ok"),
            Stance::LeftToPhp => (Some(" INFO "), "warning"),
            Stance::Advice => (Some(" WARN "), "warning"),
            Stance::NotJudged | Stance::SecondDoor => (Some(" WARN "), "problem"),
        };
        assert_eq!(lines.len(), usize::from(level.is_some()), "{name}: {log}");
        for line in lines {
            assert!(line.contains(level.unwrap()) && line.contains(known.advice), "{line}");
            assert_eq!(line.contains("action_php = piwigo"), known.locks_action_php, "{line}");
        }
        // Those that there is nothing to do about share a line, which names a few.
        if known.stance != Stance::Nothing {
            report.says("plugins", found, &name);
        }
    }
    report.says("plugins", "ok", "nothing to do about");
    for script in ["protect.php", "serve_original.php"] {
        report.says("plugin-doors", "problem", &format!("plugins/private_derivative_protection/{script}"));
    }
    scene.database.sql(
        "INSERT INTO piwigo_config (param, value) VALUES ('batch_download', 'a:1:{s:6:\"direct\";b:1;}')",
    );
    let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
    report.says("plugins-batch-downloader", "warning", "\"direct\"");
}

#[test]
fn plugins_that_are_not_active_or_not_known_have_no_line() {
    let scene = Scene::start();
    let all: Vec<&str> = KNOWN.iter().map(|known| known.id).collect();
    scene.database.sql(&rows("inactive", &all));
    scene.database.sql(&rows("active", &["language_switch", "strange"]));
    scene.sandbox.write("gallery/plugins/strange/main.inc.php", "<?php readfile($_GET['x']);");
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    assert!(!gate.log_text().contains("plugin"), "{}", gate.log_text());
    let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
    report.says("plugins", "ok", "no active plugin is known");
    report.says("plugins-unknown", "note", "strange 1.2 (readfile()");
    report.says("plugin-doors", "ok", "no script or .htaccess file");
}

#[test]
fn an_administrator_who_says_gate_is_told_what_does_not_count() {
    let scene = Scene::start();
    scene.database.sql(&rows("active", &["prepaid_credits"]));
    let gate = Gate::start(&scene.sandbox, &["--action-php", "gate"], &[]);
    let log = gate.log_text();
    let line = log.lines().find(|line| line.contains("the plugin prepaid_credits 1.2")).expect("a line");
    assert!(line.contains(" WARN ") && line.contains("action_php = gate"), "{line}");
    let report = Report::read(&doctor(&scene.sandbox, &["--json", "--action-php", "gate"]));
    report.says("plugins", "warning", "action_php = gate, so its rule does not count");
    let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
    report.says("plugins", "warning", "action.php is left to PHP");
}

/// A plugin that is switched on while the gate runs counts without a restart, and no longer when it is
/// switched off.
#[tokio::test]
async fn a_plugin_counts_as_soon_as_it_is_active() {
    let scene = Scene::start();
    let silent = settings(&scene, None);
    let readiness = Readiness::open(silent.clone()).await.unwrap();
    let first = readiness.ready().await.unwrap();
    assert_eq!(first.action_php(&silent), ActionPhp::Gate);
    for id in ["prepaid_credits", "Piwigo-prepaid-credits-master", "lac", "family_access"] {
        scene.database.sql(&rows("inactive", &[id]));
        scene.database.sql("UPDATE piwigo_plugins SET state = 'active'");
        wait_for(&readiness, &silent, ActionPhp::Piwigo, id).await;
        scene.database.sql("UPDATE piwigo_plugins SET state = 'inactive'");
        wait_for(&readiness, &silent, ActionPhp::Gate, id).await;
        scene.database.sql("DELETE FROM piwigo_plugins");
    }
    // The tables were looked at anew: a plugin may have brought a column with it.
    assert!(!Arc::ptr_eq(&first.database, &readiness.ready().await.unwrap().database));

    // What the gate judges by itself, or does not know, changes nothing; nor what the administrator has said.
    scene.database.sql(&rows("active", &["download_permissions", "two_factor", "strange"]));
    let ready = Readiness::open(silent.clone()).await.unwrap().ready().await.unwrap();
    assert_eq!(ready.action_php(&silent), ActionPhp::Gate);
    scene.database.sql(&rows("active", &["prepaid_credits"]));
    for said in [ActionPhp::Gate, ActionPhp::Piwigo] {
        let settings = settings(&scene, Some(said));
        let ready = Readiness::open(settings.clone()).await.unwrap().ready().await.unwrap();
        assert_eq!(ready.action_php(&settings), said);
    }
}

/// A server's file that was printed before: where the server follows, PHP answers downloads from then on, and
/// where it does not, nobody. It never is the gate any more.
#[test]
fn a_server_whose_file_asks_the_gate_obeys_the_plugin_too() {
    for setup in [Setup::Nginx, Setup::ApacheXsendfile, Setup::Htaccess, Setup::Caddy, Setup::Lighttpd] {
        let scene = Scene::start();
        let server = setup.start(&scene, &[]);
        let id = scene.world.private_image("bob").id;
        let target = format!("/action.php?id={id}&part=e");
        let get = || scene.request(server.address(), "GET", &target, Some("bob"), &[]);
        let (answer, original) = (get(), crate::support::files::original_text(id));
        assert_eq!((answer.status, &*answer.text()), (200, &*original), "{setup:?}");
        scene.database.sql(&rows("active", &["prepaid_credits"]));
        let started = Instant::now();
        let answer = loop {
            let answer = get();
            if answer.text() != original {
                break answer;
            }
            assert!(started.elapsed() < PATIENCE, "{setup:?}: still the gate");
            std::thread::sleep(Duration::from_millis(50));
        };
        let expected = match setup {
            Setup::Lighttpd => (403, "Forbidden\n"),
            _ => (200, "action.php of Piwigo\n"),
        };
        assert_eq!((answer.status, &*answer.text()), expected, "{setup:?}");
    }
}

/// Each way in which the table cannot be read: files are served as before, and `action.php` is PHP's, because
/// a lock could be missed.
#[tokio::test]
async fn a_table_that_cannot_be_read_stops_nobody_and_leaves_downloads_to_php() {
    let scene = Scene::start();
    let image = scene.world.private_image("bob");
    let cookie = scene.world.session("bob").cookie_header();
    let target = crate::support::http::url(image.original());
    let all = "categories config group_access groups image_category image_format images sessions sites user_access \
               user_auth_keys user_group user_infos users";
    let grants: Vec<String> = all
        .split_whitespace()
        .map(|table| format!("GRANT SELECT ON piwigo.piwigo_{table} TO gate@localhost"))
        .collect();
    let too_many: Vec<String> = (0..1_100).map(|number| format!("p{number}")).collect();
    let too_many: Vec<&str> = too_many.iter().map(String::as_str).collect();
    let table = [
        (
            "no such table",
            "RENAME TABLE piwigo_plugins TO elsewhere".to_owned(),
            "RENAME TABLE elsewhere TO piwigo_plugins".to_owned(),
        ),
        (
            "no column state",
            "ALTER TABLE piwigo_plugins CHANGE state x INT".into(),
            "ALTER TABLE piwigo_plugins CHANGE x state ENUM('inactive','active') NOT NULL DEFAULT 'inactive'".into(),
        ),
        (
            "no right to read it",
            format!("REVOKE SELECT ON piwigo.* FROM gate@localhost; {}", grants.join("; ")),
            "GRANT SELECT ON piwigo.* TO gate@localhost".into(),
        ),
        ("too many rows", rows("active", &too_many), "DELETE FROM piwigo_plugins".into()),
        (
            "a name that is no text",
            "ALTER TABLE piwigo_plugins MODIFY id VARBINARY(64); INSERT INTO piwigo_plugins VALUES (x'ff80', 'active', '1')"
                .into(),
            "DELETE FROM piwigo_plugins; ALTER TABLE piwigo_plugins MODIFY id VARCHAR(64) COLLATE utf8mb3_bin NOT NULL"
                .into(),
        ),
    ];
    let silent = settings(&scene, None);
    let running = Readiness::open(silent.clone()).await.unwrap();
    for (number, (why, change, undo)) in table.into_iter().enumerate() {
        scene.database.sql_as_root(&format!("USE piwigo; {change}"));
        let gate = inside::open(&scene, Options::default()).await;
        assert_eq!(inside::status(&gate, &target, &cookie).await, 200, "{why}");
        assert_eq!(inside::status(&gate, &target, "").await, 403, "{why}");
        let ready = Readiness::open(silent.clone()).await.unwrap().ready().await.unwrap();
        assert_eq!(ready.plugins, Plugins::Unreadable, "{why}");
        assert_eq!(ready.action_php(&silent), ActionPhp::Piwigo, "{why}");
        let process = Gate::start_on(&scene.sandbox, &format!("gate{number}"), &[], &[]);
        let log = process.log_text();
        assert_eq!(log.matches("table of plugins cannot be read").count(), 1, "{why}: {log}");
        assert!(log.contains(" WARN ") && log.contains("action_php = piwigo"), "{why}: {log}");
        drop(process);
        let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
        report.says("plugins", "warning", "cannot be read");
        // The gate that ran meanwhile hears of both; but MariaDB lets an open connection keep its rights on a
        // database.
        if why == "no right to read it" {
            scene.database.sql_as_root(&format!("USE piwigo; {undo}"));
            continue;
        }
        wait_for(&running, &silent, ActionPhp::Piwigo, why).await;
        scene.database.sql_as_root(&format!("USE piwigo; {undo}"));
        wait_for(&running, &silent, ActionPhp::Gate, why).await;
    }
}

/// The same on SQLite, where the table may be missing, too.
#[tokio::test]
async fn plugins_are_read_from_sqlite_as_well() {
    use sqlx::{Connection as _, Executor as _};
    let (sandbox, world) = (Sandbox::new(), World::load());
    let address = scene::sqlite(&sandbox, &world).await;
    let options = Options {
        gallery: Some(sandbox.gallery()),
        database: Some(vec![address.clone()]),
        ..Options::default()
    };
    let settings = Arc::new(Settings::resolve(options, None).expect("settings"));
    let readiness = Readiness::open(settings.clone()).await.unwrap();
    wait_for(&readiness, &settings, ActionPhp::Gate, "no plugin").await;
    let mut connection = sqlx::SqliteConnection::connect(&address).await.unwrap();
    for (change, expected) in [
        ("INSERT INTO piwigo_plugins VALUES ('prepaid_credits', 'active', '1')", ActionPhp::Piwigo),
        ("UPDATE piwigo_plugins SET state = 'inactive'", ActionPhp::Gate),
        ("DROP TABLE piwigo_plugins", ActionPhp::Piwigo),
    ] {
        connection.execute(change).await.unwrap();
        wait_for(&readiness, &settings, expected, change).await;
    }
}

/// What `private_derivative_protection` leaves on the disk is found when the plugin is no longer active, too.
#[test]
fn what_a_plugin_wrote_over_the_gates_own_file_is_a_problem() {
    let scene = Scene::start();
    let gallery = scene.sandbox.gallery();
    let written = "# private_derivative_protection\nRequire all denied\n";
    for directory in ["upload", "galleries"] {
        fs::create_dir_all(gallery.join(directory)).unwrap();
        scene.sandbox.write(&format!("gallery/{directory}/.htaccess"), written);
    }
    let report = Report::read(&doctor(&scene.sandbox, &["--json"]));
    for directory in ["upload", "galleries"] {
        report.says("plugin-doors", "problem", &format!("{directory}/.htaccess was written by"));
    }
}
