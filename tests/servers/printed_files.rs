//! What `config` does beside printing: the file that it writes whole or not at all, and what it says of a
//! gallery that no file can guard completely. (That the printed files guard is what the tests of the servers
//! show.)

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::support::gate;
use crate::support::scene::Scene;

fn config(scene: &Scene, arguments: &[&str]) -> Output {
    std::process::Command::new(gate::program())
        .args(["config", "--gallery"])
        .arg(scene.sandbox.gallery())
        .args(arguments)
        .current_dir(scene.sandbox.path())
        .env_clear()
        .output()
        .expect("the program runs")
}

/// What is printed, and what is said beside it.
fn printed(scene: &Scene, arguments: &[&str]) -> (String, String) {
    let output = config(scene, arguments);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    assert!(output.status.success(), "{arguments:?}: {}", text(output.stderr));
    (text(output.stdout), text(output.stderr))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("its name").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// An empty file that a server includes would guard nothing.
#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let scene = Scene::start();
    let directory = scene.sandbox.make_dir("etc");
    let file = directory.join("gate.conf");
    let path = file.to_str().expect("UTF-8");

    let (text, _) = printed(&scene, &["nginx"]);
    let (nothing, _) = printed(&scene, &["nginx", "--output", path]);
    assert_eq!(nothing, "");
    assert_eq!(fs::read_to_string(&file).expect("it was written"), text);
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o644);

    for arguments in [
        // mod_authnz_fcgi speaks TCP only; a quotation mark would end a word of the file.
        &["apache-authnz", "--listen", "unix:/run/gate.sock", "--output", path] as &[&str],
        &["nginx", "--program", "/opt/a\"b", "--output", path],
        &["nginx", "--config", "nowhere.toml", "--output", path],
        &["nginx", "--output", "nowhere/gate.conf"],
    ] {
        let output = config(&scene, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
        assert_eq!(fs::read_to_string(&file).expect("the old one"), text, "{arguments:?}");
        assert_eq!(names(&directory), ["gate.conf"], "{arguments:?}");
    }

    // Not every server reads its files as root.
    let careful = std::process::Command::new("sh")
        .args(["-c", "umask 077; exec \"$0\" \"$@\""])
        .arg(gate::program())
        .args(["config", "nginx", "--example", "--output", path])
        .env_clear()
        .status();
    assert!(careful.expect("a shell").success());
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o644);

    let (shorter, _) = printed(&scene, &["systemd-socket", "--output", path]);
    assert_eq!(shorter, "");
    assert!(fs::read_to_string(&file).expect("the new one").starts_with('#'));
    assert_eq!(names(&directory), ["gate.conf"]);
}

/// PHP with an account of its own, and a web server that would not get to that account's socket.
#[test]
fn the_accounts_of_a_service_are_taken_from_the_gallery_and_told() {
    let scene = Scene::start();
    let data = scene.sandbox.make_dir("gallery/_data");
    let told = |arguments: &[&str]| printed(&scene, arguments);
    let chown = std::process::Command::new("chown").arg("games").arg(&data).status();
    // An ordinary user gives nothing away.
    if chown.is_ok_and(|status| status.success()) {
        for listen in ["unix:/run/piwigo-gate/gate.sock", "systemd"] {
            let (service, said) = told(&["systemd", "--listen", listen]);
            assert!(
                service.contains("\nUser=games\n") && service.contains("--socket-group \"www-data\""),
                "{service}"
            );
            for words in [
                "PHP is taken to run as games, which owns /",
                "whose group www-data may write to the gate's socket",
            ] {
                assert!(said.contains(words), "{said}");
            }
            let (socket, _) = told(&["systemd-socket", "--listen", listen]);
            assert!(socket.contains("\nSocketUser=games\nSocketGroup=www-data\n"), "{socket}");
        }
        let (service, said) = told(&["systemd", "--user", "www-data"]);
        assert!(service.contains("\nUser=www-data\n") && !service.contains("--socket-group \""), "{service}");
        assert_eq!(said, "");
        let (service, _) = told(&["systemd", "--listen", "tcp:127.0.0.1:9800"]);
        assert!(!service.contains("--socket-group \""), "{service}");
    }
    let (socket, said) = told(&["systemd-socket", "--user", "games", "--socket-group", "daemon"]);
    assert!(socket.contains("\nSocketUser=games\nSocketGroup=daemon\n"), "{socket}");
    assert_eq!(said, "");
    for (arguments, words) in [
        (&["systemd", "--user", "nobody-has-this-name"][..], "there is no account \"nobody-has-this-name\""),
        (&["systemd", "--output", "nowhere/x.service"], "sudo mkdir -p nowhere"),
    ] {
        let output = config(&scene, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
    }
    let file = scene.sandbox.path().join("x.service");
    let (_, said) = told(&[
        "systemd",
        "--user",
        "games",
        "--socket-group",
        "daemon",
        "--output",
        file.to_str().expect("UTF-8"),
    ]);
    assert!(said.ends_with("x.service is written; its first lines say what comes next\n"), "{said}");
}

#[test]
fn what_a_file_cannot_guard_is_said() {
    let scene = Scene::start();
    scene.database.sql("DELETE FROM piwigo_sites;");
    // Of this machine: how PHP's place was found. What has no PHP in it says nothing, nor where the place is
    // given.
    let (_, said) = printed(&scene, &["nginx"]);
    assert!(said.contains("--php-socket") || said.contains("PHP is taken to be at"), "{said}");
    assert_eq!(printed(&scene, &["nginx", "--php-socket", "127.0.0.1:9000"]).1, "");
    assert_eq!(printed(&scene, &["htaccess"]).1, "");
    scene.database.sql(
        "INSERT INTO piwigo_sites (galleries_url) VALUES
         ('./more/'), ('../photos/'), ('./.hidden/'), ('/srv/photos/'), ('https://photos.example.org/g/');",
    );
    let (text, said) = printed(&scene, &["nginx"]);
    assert!(text.contains("more"), "{text}");
    for (site, is_said) in [
        ("./more/", false),
        ("../photos/", true),
        ("./.hidden/", true),
        ("/srv/photos/", true),
        // Another machine's photos are not this one's to guard.
        ("https://photos.example.org/g/", false),
    ] {
        assert_eq!(said.contains(&format!("{site:?}")), is_said, "{site}: {said}");
    }
    let (text, said) = printed(&scene, &["nginx", "--url-prefix", "/piwigo", "--parent-sites"]);
    assert!(text.contains("photos") && !said.contains("\"../photos/\""), "{said}");
}

/// Rows may still lie in it.
#[test]
fn upload_is_guarded_after_piwigo_was_told_to_use_another_directory() {
    let scene = Scene::start();
    let settings = scene.sandbox.gallery().join("local/config/config.inc.php");
    fs::write(&settings, "<?php\n$conf['upload_dir'] = './fotos';\n").expect("it is written");
    let guards = |name: &str| printed(&scene, &["htaccess"]).0.contains(name);
    assert!(guards("fotos") && guards("upload"));
    fs::remove_dir_all(scene.sandbox.gallery().join("upload")).expect("it is removed");
    assert!(guards("fotos") && !guards("upload"));
    fs::write(&settings, "<?php\n$conf['upload_dir'] = '/srv/fotos';\n").expect("it is written");
    let (_, said) = printed(&scene, &["nginx"]);
    assert!(said.contains("upload_dir is not below its directory"), "{said}");
}

#[test]
fn without_the_database_it_says_what_it_has_assumed() {
    let scene = Scene::start();
    scene.database.sql("INSERT INTO piwigo_sites (galleries_url) VALUES ('./more/');");
    crate::support::files::write_config(&scene.sandbox.gallery(), &scene.sandbox.path().join("nobody.sock"));
    let (text, said) = printed(&scene, &["htaccess"]);
    assert!(text.contains("upload|galleries") && !text.contains("more"), "{text}");
    assert!(
        said.contains("the database does not answer") && said.contains("galleries/ is guarded"),
        "{said}"
    );
}
