//! `history = true`: the rows that Piwigo's own `action.php` would write, and nothing else; through real
//! nginx.

use crate::support::gate::Gate;
use crate::support::http;
use crate::support::mariadb;
use crate::support::nginx::{self, Nginx};
use crate::support::scene::Scene;

const HISTORY: &str = "CREATE TABLE piwigo_history (
    id INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    date DATE NOT NULL DEFAULT '1970-01-01',
    time TIME NOT NULL DEFAULT '00:00:00',
    user_id MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
    IP CHAR(39) NOT NULL DEFAULT '',
    image_id MEDIUMINT(8) DEFAULT NULL,
    image_type ENUM('picture','high','other') DEFAULT NULL,
    format_id INT(11) UNSIGNED DEFAULT NULL
) ENGINE=MyISAM";

/// Who asks for what: method, target, cookie, more headers; and the rows that it adds.
type Row<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], String);

fn allow_inserts(scene: &Scene) {
    scene.database.sql(HISTORY);
    let gate = mariadb::GATE;
    scene.database.sql_as_root(&format!("GRANT INSERT ON piwigo.piwigo_history TO '{gate}'@'localhost'"));
}

#[test]
fn downloads_of_originals_and_formats_are_recorded_as_piwigo_does() {
    let scene = Scene::start();
    allow_inserts(&scene);
    scene.database.sql("INSERT INTO piwigo_config (param, value) VALUES ('log', 'true')");
    let _gate = Gate::start(&scene.sandbox, &["--history", "true"], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let world = &scene.world;
    let (bob, admin) = (world.session("bob").cookie_header(), world.session("adm8").cookie_header());
    let private = world.private_image("bob").id;
    let bob_id = world.user("bob").id;
    let row =
        |user: u32, image: u32, format: &str| format!("{user}\t127.0.0.1\t{image}\thigh\t{format}\t1\n");
    let original = format!("/action.php?id={private}&part=e");
    let table: [Row; 10] = [
        ("GET", &original, &bob, &[], row(bob_id, private, "NULL")),
        ("GET", &original, &bob, &[("Range", "bytes=0-")], row(bob_id, private, "NULL")),
        ("GET", &original, &bob, &[("Range", "bytes=5-")], String::new()),
        ("HEAD", &original, &bob, &[], String::new()),
        ("GET", &original, "", &[], String::new()),
        ("GET", &original, &admin, &[], String::new()),
        ("GET", "/action.php?id=1&part=e", "", &[], row(2, 1, "NULL")),
        ("GET", "/action.php?format=2&download", "", &[], row(2, 2, "2")),
        ("GET", "/action.php?id=42&part=r", "", &[], String::new()),
        ("GET", "/upload/2026/11/21/20261121182446-39731010.jpg", "", &[], String::new()),
    ];
    for (method, target, cookie, headers, expected) in table {
        scene.database.sql("DELETE FROM piwigo_history");
        let mut headers = headers.to_vec();
        headers.push(("Cookie", cookie));
        http::request(nginx.address(), method, target, &headers);
        let columns = "user_id, IP, image_id, image_type, format_id, date >= CURRENT_DATE - INTERVAL 1 DAY";
        let rows = scene.database.sql(&format!("SELECT {columns} FROM piwigo_history"));
        assert_eq!(rows, expected, "{method} {target} {headers:?}");
    }
}

#[test]
fn nothing_is_written_unless_it_is_asked_for_and_a_row_that_cannot_be_written_harms_nobody() {
    let scene = Scene::start();
    scene.database.sql("INSERT INTO piwigo_config (param, value) VALUES ('log', 'true')");
    let mut gate = Gate::start(&scene.sandbox, &["--history", "true"], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let get = || http::get(nginx.address(), "/action.php?id=1&part=e").status;
    // No such table, no right to it.
    for _ in 0..3 {
        assert_eq!(get(), 200, "{}", gate.log_text());
    }
    assert_eq!(gate.log_text().matches("history row").count(), 1, "{}", gate.log_text());
    gate.terminate();
    allow_inserts(&scene);
    let _gate = Gate::start(&scene.sandbox, &[], &[]);
    assert_eq!(get(), 200);
    assert_eq!(scene.database.sql("SELECT COUNT(*) FROM piwigo_history"), "0\n");
}
