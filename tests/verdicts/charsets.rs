//! Piwigo's `DB_CHARSET`: a file is found by its name in every character set of the connection and of the
//! tables, exactly where Piwigo itself reads that name back from its row. Real MariaDB.

use std::fs;
use std::process::Stdio;

use crate::support::examined::{Report, doctor};
use crate::support::gate;
use crate::support::mariadb::MariaDb;
use crate::support::scene::Scene;
use crate::support::verdicts::ask;
use piwigo_gate::gate::Gate;
use piwigo_gate::http::reply::{Handover, Reply, SendMode};
use piwigo_gate::http::request::{Request, Server};
use piwigo_gate::settings::{Options, Settings};

/// Folders of one photo each. The last two are pairs that a collation takes for one and the same.
const NAMES: [&str; 9] =
    ["plain", "Été", "Москва", "日本語", "party 😀🎉", "İstanbul ẞ", "naïve", "where？", "where?"];

/// The first row of the test; the rows before it are the small gallery's.
const FIRST: usize = 5000;

fn path(name: &str) -> String {
    format!("./upload/{name}/photo.jpg")
}

const FORGET: &str =
    "DELETE FROM piwigo_images WHERE id >= 5000; DELETE FROM piwigo_image_category WHERE image_id >= 5000;";

/// Writes the rows as Piwigo does: the bytes of the name, in a statement of a connection that speaks
/// `charset`.
fn store(database: &MariaDb, charset: &str) {
    let row = |(id, name): (usize, &str)| {
        format!(
            "INSERT INTO piwigo_images (id, file, path, level, width, height, rotation)
               VALUES ({id}, 'photo.jpg', '{}', 0, 3000, 2000, 0);
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);",
            path(name)
        )
    };
    let rows: String = (FIRST..).zip(NAMES).map(row).collect();
    database.sql(&format!("{FORGET} SET NAMES {charset}; SET sql_mode = ''; {rows}"));
}

/// The path of each row in the bytes that Piwigo gets.
fn read_back(database: &MariaDb, charset: &str) -> Vec<Vec<u8>> {
    let rows = database.sql(&format!(
        "SELECT HEX(CONVERT(path USING {charset})) FROM piwigo_images WHERE id >= {FIRST} ORDER BY id"
    ));
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    rows.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

fn say_charset(scene: &Scene, charset: &str) {
    let file = scene.sandbox.gallery().join("local/config/database.inc.php");
    let text = fs::read_to_string(&file).unwrap();
    let new = format!("define('DB_CHARSET', '{charset}');");
    let new = |line| if str::starts_with(line, "define('DB_CHARSET'") { new.as_str() } else { line };
    let text: Vec<&str> = text.lines().map(new).collect();
    fs::write(&file, text.join("\n")).unwrap();
}

async fn opened(scene: &Scene) -> Gate {
    let options = Options { gallery: Some(scene.sandbox.gallery()), ..Options::default() };
    Gate::open(Settings::resolve(options, None).unwrap()).await.unwrap()
}

/// The file that the web server is told to send for a photo's number.
async fn sent_by_number(gate: &Gate, id: usize) -> Option<String> {
    let url = format!("/action.php?id={id}&part=e");
    let request = Request {
        server: Server::Nginx,
        deliver: Some(SendMode::XAccelRedirect),
        ..Request::new(url.as_bytes(), "127.0.0.1")
    };
    match gate.answer(&request).await {
        Reply::Allowed { handover: Handover::AccelFile { path }, .. } => Some(path),
        _ => None,
    }
}

#[tokio::test]
async fn a_file_is_found_exactly_where_piwigo_reads_its_name_back() {
    let scene = Scene::start();
    for name in NAMES {
        scene.sandbox.write(&format!("gallery/upload/{name}/photo.jpg"), name);
    }
    // What Piwigo speaks, and whether names of every kind survive in tables of latin1, utf8mb3, utf8mb4.
    let connections = [
        ("latin1", [true, true, true]),
        ("utf8", [false, false, false]),
        ("utf8mb4", [false, false, true]),
        ("cp1251", [false, false, false]),
        ("sjis", [false, false, false]),
    ];
    for (connection, survive) in connections {
        say_charset(&scene, connection);
        for (tables, all_survive) in ["latin1", "utf8mb3", "utf8mb4"].into_iter().zip(survive) {
            scene
                .database
                .sql(&format!("{FORGET} ALTER TABLE piwigo_images CONVERT TO CHARACTER SET {tables}"));
            store(&scene.database, connection);
            let stored = read_back(&scene.database, connection);
            let gate = opened(&scene).await;
            let mut found = 0;
            for ((id, name), stored) in (FIRST..).zip(NAMES).zip(&stored) {
                let context = format!("connection {connection}, tables {tables}, {name}");
                let survives = *stored == path(name).as_bytes();
                let asked = path(name);
                let reply = ask(&gate, asked.trim_start_matches("./"), "", "127.0.0.1").await;
                assert_eq!(reply.status(), if survives { 200 } else { 403 }, "{context}");
                let by_number = sent_by_number(&gate, id).await;
                // A row that lost its name when it was written names what Piwigo reads in it.
                let expected = std::str::from_utf8(stored).ok().map(|text| text[2..].to_owned());
                assert_eq!(by_number, expected, "{context}");
                found += usize::from(survives);
            }
            assert!(found >= 2 && (!all_survive || found == NAMES.len()), "{connection} {tables} {found}");
        }
    }
}

/// Rows of a table that was converted to real Unicode, read by a connection that cannot express their names:
/// nobody may get another file whose name has question marks in those places.
#[tokio::test]
async fn a_name_that_the_connection_cannot_express_is_nobody_elses() {
    let scene = Scene::start();
    scene
        .database
        .sql("ALTER TABLE piwigo_images CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci");
    store(&scene.database, "utf8mb4");
    let twins = ["??????", "party ??", "where?"];
    for name in NAMES.iter().chain(&twins) {
        scene.sandbox.write(&format!("gallery/upload/{name}/photo.jpg"), name);
    }
    // The row of the real question mark is gone: only its full-width twin is left, which that collation takes
    // for it.
    scene.database.sql(&format!("DELETE FROM piwigo_images WHERE id = {}", FIRST + NAMES.len() - 1));
    for connection in ["latin1", "cp1251", "ascii"] {
        say_charset(&scene, connection);
        let gate = opened(&scene).await;
        for name in NAMES.iter().chain(&twins) {
            let reply = ask(&gate, path(name).trim_start_matches("./"), "", "127.0.0.1").await;
            let expected = if *name == "plain" { 200 } else { 403 };
            assert_eq!(reply.status(), expected, "{connection} {name}");
        }
        for (id, name) in (FIRST..).zip(NAMES) {
            let sent = sent_by_number(&gate, id).await;
            let expected = (name == "plain").then(|| path(name).trim_start_matches("./").to_owned());
            assert_eq!(sent, expected, "{connection} {name}");
        }
    }
    // And in Unicode every one is itself.
    say_charset(&scene, "utf8mb4");
    let gate = opened(&scene).await;
    for name in &NAMES[..NAMES.len() - 1] {
        assert_eq!(
            ask(&gate, path(name).trim_start_matches("./"), "", "127.0.0.1").await.status(),
            200,
            "{name}"
        );
    }
    assert_eq!(ask(&gate, path("where?").trim_start_matches("./"), "", "127.0.0.1").await.status(), 403);
}

#[test]
fn doctor_and_check_say_which_character_set_is_in_force() {
    let scene = Scene::start();
    scene.database.sql("ALTER TABLE piwigo_images CONVERT TO CHARACTER SET utf8mb4");
    let table = [
        ("utf8", "ok", "connections speak utf8mb4"),
        ("utf8mb4", "ok", "images.path is utf8mb4"),
        ("latin1", "problem", "the paths of 5 photos"),
    ];
    store(&scene.database, "utf8mb4");
    for (charset, level, words) in table {
        say_charset(&scene, charset);
        Report::read(&doctor(&scene.sandbox, &["--json"])).says("charset", level, words);
    }
    // As Piwigo would have written them.
    store(&scene.database, "latin1");
    Report::read(&doctor(&scene.sandbox, &["--json"])).says("charset", "ok", "connections speak latin1");

    let check = |path: &str| {
        let output = std::process::Command::new(gate::program())
            .args(["check", "--gallery"])
            .arg(scene.sandbox.gallery())
            .arg(path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = check("/upload/%C3%89t%C3%A9/photo.jpg");
    assert!(said.contains("ALLOWED"), "{said}");
    let said = check("/upload/%C3%89t%C3%A8/photo.jpg");
    assert!(said.contains("paths are compared in latin1"), "{said}");
}

#[tokio::test]
async fn a_character_set_that_does_not_exist_is_said_at_the_start() {
    let scene = Scene::start();
    say_charset(&scene, "nonsense");
    let options = || Options { gallery: Some(scene.sandbox.gallery()), ..Options::default() };
    let Err(error) = Gate::open(Settings::resolve(options(), None).unwrap()).await else {
        panic!("it opened");
    };
    assert!(error.to_string().contains("DB_CHARSET"), "{error}");
    say_charset(&scene, "utf16");
    let error = Settings::resolve(options(), None).err().unwrap().to_string();
    assert!(error.contains("DB_CHARSET") && error.contains("gate.toml"), "{error}");
}
