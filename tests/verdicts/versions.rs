//! The tables of Piwigo 2.7 to 16, and Piwigo being upgraded while the gate serves. Real MariaDB throughout.

use std::time::Duration;

use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::mariadb::{self, MariaDb};
use crate::support::nginx::{self, Nginx};
use crate::support::scene::Scene;
use crate::support::verdicts::{ask, every_verdict, gate};
use crate::support::world::World;
use piwigo_gate::database::{Address, Database, Schema, Tables};
use piwigo_gate::settings::Options;
use piwigo_gate::verdict::access::Admins;

/// A version's tables, and whether it has formats, auth keys, API keys and an index on `images.path`.
struct Version {
    name: &'static str,
    tables: &'static str,
    features: [bool; 4],
}

const VERSIONS: [Version; 4] = [
    Version {
        name: "2.7",
        tables: include_str!("../data/schema-2.7.sql"),
        features: [false, false, false, false],
    },
    Version {
        name: "2.10",
        tables: include_str!("../data/schema-2.10.sql"),
        features: [true, true, false, false],
    },
    Version {
        name: "13",
        tables: include_str!("../data/schema-13.sql"),
        features: [true, true, false, true],
    },
    Version { name: "16", tables: mariadb::SCHEMA, features: [true, true, true, true] },
];

/// The small gallery in the tables of a version; a version without formats has none of those rows.
fn scene(version: &Version) -> Scene {
    let mut world = World::load();
    if !version.features[0] {
        world.image_format.clear();
    }
    Scene::start_with(version.tables, world)
}

async fn looked_at(server: &MariaDb) -> Database {
    let socket = server.socket();
    let socket = socket.to_str().unwrap();
    let address = Address::from_piwigo(socket, mariadb::GATE, mariadb::PASSWORD, mariadb::PIWIGO).unwrap();
    let mut database = Database::new(&address, &Tables::with_prefix("piwigo_"), 2, Duration::ZERO).unwrap();
    database.verify().await.unwrap();
    database
}

#[tokio::test]
async fn every_verdict_of_piwigo_in_the_tables_of_each_version() {
    for version in VERSIONS {
        let scene = scene(&version);
        let Schema { formats, auth_keys, api_keys, path_index, version: told, .. } =
            *looked_at(&scene.database).await.schema();
        assert_eq!([formats, auth_keys, api_keys, path_index], version.features, "{}", version.name);
        assert!(told.contains(version.name), "{} was taken for {told}", version.name);
        let options = Options { admins: Some(Admins::Strict), ..Options::default() };
        every_verdict(&gate(&scene.sandbox, options).await, &scene.world).await;
    }
}

/// What the log says at the start about tables that lack something.
#[test]
fn what_a_version_lacks_is_said_once_at_the_start() {
    for (version, said) in VERSIONS.iter().zip([
        &["other formats of photos are not known", "?auth= keys are not known", "CREATE INDEX gate_path"][..],
        &["no API keys in its table", "CREATE INDEX gate_path"],
        &["no API keys in its table"],
        &[],
    ]) {
        let scene = scene(version);
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let log = gate.log_text();
        for sentence in [
            "other formats of photos are not known",
            "?auth= keys are not known",
            "no API keys in its table",
            "CREATE INDEX gate_path ON piwigo_images (path);",
        ] {
            let expected = said.iter().any(|said| sentence.starts_with(said));
            assert_eq!(log.matches(sentence).count(), usize::from(expected), "{}: {log}", version.name);
        }
    }
}

/// The remedy that the warning names works, and ends the warning.
#[tokio::test]
async fn the_remedy_for_paths_without_index_is_one_statement() {
    let scene = scene(&VERSIONS[1]);
    assert!(!looked_at(&scene.database).await.schema().path_index);
    scene.database.sql("CREATE INDEX gate_path ON piwigo_images (path);");
    assert!(looked_at(&scene.database).await.schema().path_index);
    // Piwigo's own upgrade to 11 still finds its name free.
    scene.database.sql("ALTER TABLE piwigo_images ADD INDEX images_i7 (path)");
}

/// 2.7 has sessions without a date, and `enable_formats` means nothing to it.
#[tokio::test]
async fn zero_dates_and_missing_formats_harm_nobody() {
    let scene = scene(&VERSIONS[0]);
    scene.database.sql("UPDATE piwigo_sessions SET expiration = '0000-00-00 00:00:00'");
    let world = &scene.world;
    let (image, cookie) = (world.private_image("bob"), world.session("bob").cookie_header());
    let options = Options::default();
    let any_age = gate(&scene.sandbox, options.clone()).await;
    assert_eq!(ask(&any_age, image.original(), &cookie, "127.0.0.1").await.status(), 200);
    assert_eq!(ask(&any_age, &image.format("cr2"), &cookie, "127.0.0.1").await.status(), 403);
    let young = gate(&scene.sandbox, Options { session_max_age: Some(3600), ..options }).await;
    assert_eq!(
        ask(&young, image.original(), &cookie, "127.0.0.1").await.status(),
        403,
        "a session of no age"
    );
}

/// Up to 2.8 the list of picture extensions is spelt in both cases.
#[tokio::test]
async fn picture_extensions_in_both_cases() {
    let scene = scene(&VERSIONS[0]);
    scene.sandbox.write(
        "gallery/include/config_default.inc.php",
        "<?php\n$conf['picture_ext'] = array('jpg','JPG','jpeg','JPEG','png','PNG','gif','GIF');\n\
         $conf['file_ext'] = array_merge($conf['picture_ext'], array('tiff','mpg','zip','avi','mp3','ogg','pdf'));\n",
    );
    let world = &scene.world;
    let without_webp = gate(&scene.sandbox, Options::default()).await;
    for image in world.images.iter().filter(|image| world.verdict(2, image.id).0 && image.is_picture()) {
        let Some(path) = image.derivative("th") else { continue };
        let expected = if path.to_ascii_lowercase().ends_with(".webp") { 403 } else { 200 };
        assert_eq!(ask(&without_webp, &path, "", "127.0.0.1").await.status(), expected, "{path}");
    }
}

/// The row id of a session with the longest id that each column can hold.
#[tokio::test]
async fn session_ids_of_any_length_that_a_column_holds() {
    for (version, length) in [(&VERSIONS[2], 128), (&VERSIONS[3], 46)] {
        let scene = scene(version);
        let world = &scene.world;
        let id = "a".repeat(length);
        let bob = &world.session("bob").row.as_ref().unwrap().id;
        scene.database.sql(&format!("UPDATE piwigo_sessions SET id = '7F00{id}' WHERE id = '{bob}'"));
        let gate = gate(&scene.sandbox, Options::default()).await;
        let path = world.private_image("bob").original();
        for (cookie, expected) in [(id.clone(), 200), (format!("{id}a"), 403), ("A".repeat(length), 403)] {
            let reply = ask(&gate, path, &format!("pwg_id={cookie}"), "127.0.0.1").await;
            assert_eq!(reply.status(), expected, "{cookie} in {}", version.name);
        }
    }
}

/// A statement that no longer fits the tables is no 503: the same request looks at them anew.
#[test]
fn tables_that_change_while_the_gate_serves() {
    let scene = scene(&VERSIONS[3]);
    let world = &scene.world;
    let format = &world.image_format[0];
    let format = http::url(&world.image(format.image_id).format(&format.ext));
    let bob = world.private_image("bob");
    let (url, cookie) = (http::url(bob.original()), world.session("bob").cookie_header());
    let webmaster = world.users.iter().find(|user| user.status == "webmaster").unwrap();
    let webmaster = world.session(&webmaster.username).cookie_header();
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let get = |url: &str, cookie: &str| {
        let answer = http::request(nginx.address(), "GET", url, &[("Cookie", cookie)]);
        if answer.status == 200 && url.ends_with(&http::url(bob.original())) {
            assert_eq!(answer.text(), files::original_text(bob.id));
        }
        answer.status
    };
    let settle = |url: &str, cookie: &str, expected: u16| {
        let start = std::time::Instant::now();
        while get(url, cookie) != expected {
            assert!(start.elapsed().as_secs() < 30, "never {expected}: {}", gate.log_text());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    assert_eq!((get(&url, &cookie), get(&format, &webmaster)), (200, 200));

    // An optional table goes: its files are refused at once, everything else is served.
    scene.database.sql("RENAME TABLE piwigo_image_format TO elsewhere");
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..16).map(|_| scope.spawn(|| (get(&format, &webmaster), get(&url, &cookie)))).collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), (403, 200), "{}", gate.log_text());
        }
    });
    let log = gate.log_text();
    assert!(log.contains("looking at them anew"), "{log}");
    assert_eq!(log.matches("other formats of photos are not known").count(), 1, "one looks for all: {log}");
    // It comes with an upgrade, which ends by writing its version down: found when the settings are next
    // read.
    scene.database.sql(
        "RENAME TABLE elsewhere TO piwigo_image_format;
         INSERT INTO piwigo_config (param, value) VALUES ('piwigo_db_version', '2.8')",
    );
    settle(&format, &webmaster, 200);

    // A needed table goes: no verdict without it, and service comes back with it.
    scene.database.sql("RENAME TABLE piwigo_user_access TO elsewhere");
    assert_eq!(get(&url, &cookie), 503);
    assert!(gate.log_text().contains("there is no table piwigo_user_access"), "{}", gate.log_text());
    scene.database.sql("RENAME TABLE elsewhere TO piwigo_user_access");
    settle(&url, &cookie, 200);

    // New columns harm nobody, wherever they stand.
    scene.database.sql("ALTER TABLE piwigo_images ADD COLUMN first INT DEFAULT 7 FIRST");
    scene.database.sql("ALTER TABLE piwigo_user_infos ADD COLUMN first INT DEFAULT 7 FIRST");
    assert_eq!((get(&url, &cookie), get(&url, "")), (200, 403));
}
