//! Names that look like those of programs: `allegro.pl.jpg` is a picture. Every server gets a site that runs
//! programs by any extension, as `AddHandler` of Apache does, and no file of the gallery is ever run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::scene::Scene;
use crate::support::setup::{Own, Setup};
use crate::support::{http, pictures};

/// A program whose text does not hold what it says when it runs.
const PROGRAM: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nit has'\necho ' run'\n";
const RUN: &str = "it has run";

/// Pictures and films with an extension of programs in the middle.
const PICTURES: [&str; 6] = [
    "allegro.pl.jpg",
    "Monsters.Inc.2001.mp4",
    "shell.php.jpg",
    "shell.PHP5.b.png",
    "a.cgi.gif",
    "x.phtml.pdf",
];

/// These end as programs do.
const PROGRAMS: [&str; 7] =
    ["shell.php", "shell.pl", "shell.jpg.cgi", "shell.PHTML", "shell.php.", "shell.php ", "Monsters.inc"];

/// The lines of a host that runs programs wherever they lie.
const HANDLERS: &str = "AddHandler cgi-script .php .php5 .phtml .pl .cgi .inc\n<Directory \"ROOT\">\nOptions +ExecCGI\n</Directory>\n";

fn write_program(path: &Path) {
    fs::write(path, PROGRAM).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

fn is_apache(setup: Setup) -> bool {
    setup.kind().starts_with("apache") || setup == Setup::Htaccess
}

/// Whether the server serves the URL in its own way after the gate's yes, with handlers that look at every
/// extension.
fn could_run(setup: Setup) -> bool {
    matches!(setup, Setup::Htaccess | Setup::ApacheAccessChecker | Setup::ApacheAuthnz)
}

fn a_name_with_an_extension_of_programs(setup: Setup) {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let below = sandbox.make_dir("gallery/upload/names");
    let open = sandbox.make_dir("gallery/open");
    for (id, name) in (9001..).zip(PICTURES.into_iter().chain(PROGRAMS)) {
        scene.database.sql(&format!(
            "INSERT INTO piwigo_images (id, file, path, width, height, rotation)
             VALUES ({id}, 'x', './upload/names/{name}', 300, 200, 0);
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);"
        ));
        write_program(&below.join(name));
        write_program(&open.join(name));
    }
    // A picture, for the sizes that are made of it.
    scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path, width, height, rotation)
         VALUES (9101, 'x', './upload/names/real.pl.jpg', 300, 200, 0), (9102, 'x', './upload/names/real.php.b.jpg', 300, 200, 0);
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (9101, 1), (9102, 1);",
    );
    for name in ["real.pl.jpg", "real.php.b.jpg"] {
        pictures::write(sandbox, &format!("upload/names/{name}"), &pictures::jpeg(300, 200, 1));
    }
    sandbox.hand_over_tree(&sandbox.gallery().join("upload/names"));
    sandbox.hand_over_tree(&open);
    let own = Own { site: HANDLERS, modules: &["cgi"], ..Own::default() };
    let server =
        if is_apache(setup) { setup.start_with(&scene, &[], &own) } else { setup.start(&scene, &[]) };
    let get = |path: &str| http::get(server.address(), http::url(path));
    if is_apache(setup) {
        for name in ["allegro.pl.jpg", "shell.php.jpg", "shell.php."] {
            assert_eq!(get(&format!("open/{name}")).text().trim(), RUN, "{setup:?}: the site runs {name}");
        }
    }
    let mut wrong = Vec::new();
    for name in PICTURES {
        let answer = get(&format!("upload/names/{name}"));
        let expected = if could_run(setup) { setup.refusal() } else { 200 };
        if answer.status != expected || (answer.status == 200) != (answer.text() == PROGRAM) {
            wrong.push(format!("{name}: {} {}", answer.status, answer.text()));
        }
    }
    for name in PROGRAMS {
        let answer = get(&format!("upload/names/{name}"));
        if answer.status == 200 || answer.text().contains(RUN) {
            wrong.push(format!("{name}: {} {}", answer.status, answer.text()));
        }
    }
    for (name, is_served) in [("real.pl-th.jpg", true), ("real.php.b-th.jpg", !could_run(setup))] {
        let answer = get(&format!("_data/i/upload/names/{name}"));
        let expected = if is_served { 200 } else { setup.refusal() };
        if answer.status != expected || is_served != answer.body.starts_with(b"\xff\xd8") {
            wrong.push(format!("{name}: {}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{setup:?}\n{}", wrong.join("\n"));
}

crate::for_every_setup!(a_name_with_an_extension_of_programs);
