//! A Piwigo whose sessions PHP keeps in files: files written by a real PHP, asked for through a real nginx.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::nginx::{self, Nginx};
use crate::support::php;
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;

/// Signs a user in as Piwigo does (`log_user`), in a session of PHP's own; gives back the session's id.
fn sign_in(sandbox: &Sandbox, save_path: &str, user: u32, settings: &[&str]) -> String {
    let script = format!(
        "<?php\nsession_start();\n$_SESSION['pwg_filter_enabled'] = false;\n$_SESSION['note'] = \"a|b;Zo\\u{{e9}}\";\n\
         $_SESSION['pwg_uid'] = (int){user};\n$_SESSION['connected_with'] = 'pwg_ui';\n\
         session_write_close();\necho session_id();\n"
    );
    let script = sandbox.write("tmp/sign_in.php", script);
    let mut command = sandbox.command(php::program());
    // PHP 8.4 prints a warning about the settings of an id's length behind the answer.
    command.args(["-n", "-d", "display_errors=0", "-d"]).arg(format!("session.save_path=\"{save_path}\""));
    for setting in settings {
        command.arg("-d").arg(setting);
    }
    let output = command.arg(&script).env_clear().output().expect("PHP runs");
    let answer = String::from_utf8(output.stdout).expect("text");
    let id = answer.lines().last().unwrap_or_default().to_owned();
    assert!(answer.contains(&format!("={id}; path=/")), "PHP sets no cookie: {answer}");
    id
}

/// A scene whose Piwigo leaves its sessions to PHP.
fn scene() -> (Scene, PathBuf) {
    let scene = Scene::start();
    scene.sandbox.write(
        "gallery/local/config/config.inc.php",
        "<?php\n$conf['enable_formats'] = true;\n$conf['session_save_handler'] = 'files';\n",
    );
    let directory = scene.sandbox.make_dir("sessions");
    // As Debian has it: everybody may make files, and nobody may list them.
    fs::set_permissions(&directory, Permissions::from_mode(0o1733)).unwrap();
    (scene, directory)
}

/// The plugin `two_factor` keeps its variable in the same session.
#[test]
fn a_session_file_that_owes_the_second_factor_is_a_guests() {
    let (scene, directory) = scene();
    let (world, sandbox) = (&scene.world, &scene.sandbox);
    let id = sign_in(sandbox, directory.to_str().unwrap(), world.user("bob").id, &[]);
    let path = file_of(&directory, &id);
    let gate = Gate::start(sandbox, &["--session-files", directory.to_str().unwrap()], &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let url = http::url(world.private_image("bob").original());
    let cookie = format!("PHPSESSID={id}");
    let written = fs::read_to_string(&path).unwrap();
    for (more, expected) in
        [("", 200), ("tf_tries_validated|b:0;tf_tries_left|i:3;", 403), ("tf_tries_validated|b:1;", 200)]
    {
        fs::write(&path, format!("{written}{more}")).unwrap();
        let answer = http::request(nginx.address(), "GET", &url, &[("Cookie", &cookie)]);
        assert_eq!(answer.status, expected, "{more}");
    }
    assert!(gate.log_text().contains("the second factor of the session's sign-in is missing"));
}

/// The file of a session; a debugging aid as much as a path.
fn file_of(directory: &Path, id: &str) -> PathBuf {
    let path = directory.join(format!("sess_{id}"));
    assert!(path.is_file(), "no {}", path.display());
    path
}

#[test]
fn a_session_written_by_php_signs_its_user_in_until_it_is_gone() {
    let (scene, directory) = scene();
    let (world, sandbox) = (&scene.world, &scene.sandbox);
    let image = world.private_image("bob");
    let id = sign_in(sandbox, directory.to_str().unwrap(), world.user("bob").id, &[]);
    let file = file_of(&directory, &id);
    let setting = ["--session-files", directory.to_str().unwrap()];
    let gate = Gate::start(sandbox, &setting, &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let ask = |cookie: &str| {
        http::request(nginx.address(), "GET", http::url(image.original()), &[("Cookie", cookie)])
    };
    let cookie = format!("PHPSESSID={id}");
    let answer = ask(&cookie);
    assert_eq!((answer.status, answer.text()), (200, files::original_text(image.id)), "{}", gate.log_text());
    // Neither Piwigo's own cookie nor a session in its table means anything now.
    let other = world.session("bob").cookie_header();
    for cookie in [&format!("pwg_id={id}"), &other, &other.replace("pwg_id", "PHPSESSID"), ""] {
        assert_eq!(ask(cookie).status, 403, "{cookie}");
    }
    assert_eq!(ask(&cookie.to_ascii_uppercase()).status, 403, "the id in capitals");
    assert_eq!(ask(&cookie).status, 200);
    assert!(!gate.log_text().contains("session file"), "{}", gate.log_text());
    fs::remove_file(&file).unwrap();
    assert_eq!(ask(&cookie).status, 403, "signed out");
    assert!(!gate.log_text().contains("session file"), "{}", gate.log_text());
}

#[test]
fn a_directory_that_cannot_be_read_makes_guests_and_one_line_in_the_log() {
    let (scene, directory) = scene();
    let (world, sandbox) = (&scene.world, &scene.sandbox);
    let image = world.private_image("bob");
    let public = world.images.iter().find(|image| world.verdict(2, image.id).0).unwrap();
    let id = sign_in(sandbox, directory.to_str().unwrap(), world.user("bob").id, &[]);
    let gate = Gate::start(sandbox, &["--session-files", directory.to_str().unwrap()], &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let cookie = format!("PHPSESSID={id}");
    let ask =
        |path: &str| http::request(nginx.address(), "GET", http::url(path), &[("Cookie", &cookie)]).status;
    assert_eq!(ask(image.original()), 200);
    fs::set_permissions(&directory, Permissions::from_mode(0o0)).unwrap();
    for _ in 0..3 {
        assert_eq!((ask(image.original()), ask(public.original())), (403, 200));
    }
    let log = gate.log_text();
    assert_eq!(log.matches("a session file cannot be used").count(), 1, "{log}");
    assert!(log.contains("run as the user that the gallery's PHP runs as") && !log.contains(&id), "{log}");
    fs::set_permissions(&directory, Permissions::from_mode(0o1733)).unwrap();
    assert_eq!(ask(image.original()), 200);
}

#[test]
fn depth_cookie_and_age_are_those_of_php_ini_and_of_the_gate() {
    let (scene, directory) = scene();
    let (world, sandbox) = (&scene.world, &scene.sandbox);
    let url = http::url(world.private_image("bob").original());
    for letter in (b'0'..=b'9').chain(b'a'..=b'v') {
        sandbox.make_dir(&format!("sessions/{}", char::from(letter)));
    }
    let settings = ["session.name=gallery", "session.sid_bits_per_character=5", "session.sid_length=26"];
    let save_path = format!("1;{}", directory.display());
    let id = sign_in(sandbox, &save_path, world.user("bob").id, &settings);
    let file = file_of(&directory.join(&id[..1]), &id);
    sandbox.write(
        "gallery/local/config/gate.toml",
        format!(
            "session_files = '{}'\nsession_files_depth = 1\nsession_files_cookie = 'gallery'\nsession_max_age = 3600\n",
            directory.display()
        ),
    );
    let gate = Gate::start(sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let ask = |name: &str| {
        http::request(nginx.address(), "GET", &url, &[("Cookie", &format!("{name}={id}"))]).status
    };
    assert_eq!((ask("gallery"), ask("PHPSESSID")), (200, 403), "{}", gate.log_text());
    for (age, expected) in [(7200, 403), (600, 200)] {
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        fs::File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
        assert_eq!(ask("gallery"), expected, "{age}");
    }
}

#[test]
fn a_setting_for_sessions_that_are_in_the_database_is_said_to_mean_nothing() {
    let (scene, directory) = scene();
    let (world, sandbox) = (&scene.world, &scene.sandbox);
    sandbox.write("gallery/local/config/config.inc.php", "<?php\n");
    let url = http::url(world.private_image("bob").original());
    let id = sign_in(sandbox, directory.to_str().unwrap(), world.user("bob").id, &[]);
    let gate = Gate::start(sandbox, &["--session-files", directory.to_str().unwrap()], &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let ask = |cookie: &str| http::request(nginx.address(), "GET", &url, &[("Cookie", cookie)]).status;
    assert_eq!(ask(&world.session("bob").cookie_header()), 200);
    assert_eq!(ask(&format!("PHPSESSID={id}")), 403);
    assert!(gate.log_text().contains("session_files means nothing"), "{}", gate.log_text());
}
