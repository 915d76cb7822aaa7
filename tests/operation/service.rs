//! The units of systemd that `piwigo-gate config` prints: what systemd itself says of them, and their command
//! line run as it stands there, with what systemd would hand to it.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use crate::support::config;
use crate::support::gate;
use crate::support::http;
use crate::support::nginx::{self, Nginx};
use crate::support::patience::PATIENCE;
use crate::support::process::{self, Program};
use crate::support::scene::Scene;

/// Prints the two units, for the program in the sandbox, into a directory of their own.
fn write_units(scene: &Scene, more: &[&str]) -> (PathBuf, PathBuf) {
    let program = gate::program_for(&scene.sandbox).display().to_string();
    // The web server's own account, whichever account runs the tests: no group is guessed then.
    let user = if more.contains(&"--user") { &[][..] } else { &["--user", "www-data"][..] };
    let more = [&["--program", &program], user, more].concat();
    let write = |kind: &str, name: &str| {
        scene.sandbox.write(&format!("units/{name}"), config::print(&scene.sandbox, kind, &more))
    };
    (write("systemd", "piwigo-gate.service"), write("systemd-socket", "piwigo-gate.socket"))
}

/// What a unit says for `key`, of several lines the last.
fn value(unit: &PathBuf, key: &str) -> String {
    let text = std::fs::read_to_string(unit).expect("a unit");
    let line = text.lines().rfind(|line| line.starts_with(&format!("{key}=")));
    line.unwrap_or_else(|| panic!("{key} is not in\n{text}"))[key.len() + 1..].to_owned()
}

#[test]
fn systemd_understands_the_units_and_finds_little_to_object_to() {
    let scene = Scene::start();
    let analyze = process::find_program(&["systemd-analyze"]).expect("systemd-analyze");
    let settings = scene.sandbox.write("my settings.toml", "");
    let (prefix, config) =
        (["--url-prefix", "/my piwigo"], ["--config", settings.to_str().expect("UTF-8 path")]);
    let tcp = ["--listen", "tcp:127.0.0.1:9800"];
    let by_socket = ["--listen", "systemd"];
    let group = ["--socket-group", "daemon"];
    for more in [&[] as &[&str], &[prefix, config].concat(), &tcp, &by_socket, &group] {
        let (service, socket) = write_units(&scene, more);
        let mut verify = Command::new(&analyze);
        verify.args(["verify", "--man=no"]).args([&service, &socket]);
        let said = process::run(&mut verify).expect("valid units");
        let ours: Vec<_> = said.lines().filter(|line| line.contains("piwigo-gate")).collect();
        assert!(ours.is_empty(), "{more:?}: {said}");
        let mut security = Command::new(&analyze);
        security.args(["security", "--offline=true", "--threshold=20"]).arg(&service);
        process::run(&mut security).expect("an exposure of 2.0 at most");
    }
}

#[test]
fn a_service_keeps_what_its_gallery_needs() {
    let scene = Scene::start();
    let (service, _) = write_units(&scene, &["--user", "games"]);
    let text = std::fs::read_to_string(&service).expect("a unit");
    // The sandbox, the database's socket among it, is in a directory for temporary files.
    let is_temporary =
        scene.sandbox.path().starts_with("/tmp") || scene.sandbox.path().starts_with("/var/tmp");
    assert_eq!(text.contains("\nPrivateTmp="), !is_temporary);
    assert_eq!(value(&service, "User"), "games");
    let data = scene.sandbox.gallery().join("_data");
    assert_eq!(value(&service, "ReadWritePaths"), format!("\"-{}\"", data.display()));
    for line in ["SystemCallFilter=@system-service", "NoNewPrivileges=yes", "RestartPreventExitStatus=2"] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}");
    }
}

/// A gate for other machines starts only if its command line names the web servers.
#[test]
fn a_service_for_other_machines_names_the_web_servers() {
    let scene = Scene::start();
    let listen =
        ["--listen", "tcp:192.0.2.11:9800", "--allow-remote", "--allow-from", "192.0.2.10 2001:db8::/64"];
    let (service, socket) = write_units(&scene, &listen);
    let words = " --listen \"tcp:192.0.2.11:9800\" --allow-remote --allow-from 192.0.2.10,2001:db8::/64";
    let line = value(&service, "ExecStart");
    assert!(line.contains(words), "{line}");
    // The steps at the top print the same again; those of the socket name one address for each file.
    let steps = words.replace('"', "");
    for unit in [&service, &socket] {
        let text = std::fs::read_to_string(unit).expect("a unit");
        let has_steps = |steps: &str| text.lines().any(|line| line.starts_with('#') && line.contains(steps));
        assert!(has_steps(&steps), "{text}");
        let by_systemd = steps.replace("tcp:192.0.2.11:9800", "systemd");
        assert_eq!(has_steps(&by_systemd), unit == &socket, "{text}");
        assert!(text.lines().all(|line| line.matches("--listen").count() < 2), "{text}");
    }
    let by_socket = ["--listen", "systemd", "--allow-from", "192.0.2.10"];
    let (service, _) = write_units(&scene, &by_socket);
    let line = value(&service, "ExecStart");
    assert!(line.ends_with(" --listen \"systemd\" --allow-from 192.0.2.10"), "{line}");
    // What gate.toml says need not be said again.
    let toml = "allow_remote = true\nallow_from = [\"192.0.2.10\"]\n";
    scene.sandbox.write("gallery/local/config/gate.toml", toml);
    let (service, _) = write_units(&scene, &["--listen", "tcp:192.0.2.11:9800"]);
    assert!(value(&service, "ExecStart").ends_with(" --listen \"tcp:192.0.2.11:9800\""));
}

/// The unit's command line, run by a shell, to which the quotation marks mean the same.
fn started(scene: &Scene, service: &PathBuf, before: &[&str], notify: &str) -> Program {
    let line = format!("exec \"$@\" {}", value(service, "ExecStart"));
    let mut command = scene.sandbox.command("/bin/sh");
    command.args(["-c", &line, "sh"]).args(before).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("NOTIFY_SOCKET", notify).current_dir("/");
    Program::start(&mut command)
}

fn heard(socket: &UnixDatagram) -> Option<String> {
    let mut buffer = [0; 64];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => return Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            // This process was stopped and goes on.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[test]
fn the_service_says_when_it_serves_and_when_it_stops() {
    let scene = Scene::start();
    let path = scene.sandbox.path().join("run/notify");
    let notify = UnixDatagram::bind(&path).expect("a socket");
    scene.sandbox.hand_over(&path);
    notify.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let (service, _) = write_units(&scene, &[]);
    let mut gate =
        started(&scene, &service, &["setpriv", "--no-new-privs"], path.to_str().expect("UTF-8 path"));
    assert_eq!(heard(&notify).as_deref(), Some("READY=1"));
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let url = http::url(scene.world.image(1).original());
    assert_eq!(http::get(nginx.address(), &url).status, 200, "at once");
    process::signal("TERM", gate.id());
    assert_eq!(heard(&notify).as_deref(), Some("STOPPING=1"));
    assert_eq!(gate.wait().code(), Some(0));
    // What `RestartPreventExitStatus` is for; and nobody is told that it serves.
    scene.sandbox.write("gallery/local/config/gate.toml", "nonsense = 1\n");
    let mut gate = started(&scene, &service, &["env"], path.to_str().expect("UTF-8 path"));
    let status = gate.wait().code().map(|code| code.to_string());
    assert_eq!(status, Some(value(&service, "RestartPreventExitStatus")));
    notify.set_nonblocking(true).expect("a socket");
    assert_eq!(heard(&notify), None);
}

#[test]
fn the_socket_is_for_the_group_that_was_named() {
    let scene = Scene::start();
    let (service, socket) = write_units(&scene, &["--socket-group", "daemon"]);
    assert_eq!(value(&socket, "SocketGroup"), "daemon");
    let supplementary = value(&service, "SupplementaryGroups");
    assert_eq!(supplementary, "daemon");
    // Only root may do what systemd does: take up the account with one group more.
    let Some(account) = scene.sandbox.account() else { return };
    let (uid, gid) = (account.uid.to_string(), account.gid.to_string());
    let mut gate = Program::start(
        Command::new("setpriv")
            .args(["--reuid", &uid, "--regid", &gid, "--groups", &supplementary, "/bin/sh", "-c"])
            .arg(format!("exec {}", value(&service, "ExecStart")))
            .env_clear(),
    );
    let place = scene.sandbox.gate_socket();
    process::wait_until("the socket accepts", || UnixStream::connect(&place).is_ok());
    let groups = std::fs::read_to_string("/etc/group").expect("the groups");
    let line = groups.lines().find(|line| line.starts_with("daemon:")).expect("it is everywhere");
    let socket = std::fs::metadata(&place).expect("the socket");
    assert_eq!(
        (socket.uid(), socket.gid().to_string()),
        (account.uid, line.split(':').nth(2).expect("a number").into())
    );
    process::signal("TERM", gate.id());
    assert_eq!(gate.wait().code(), Some(0));
}

#[test]
fn by_the_socket_unit_the_first_request_starts_it() {
    let scene = Scene::start();
    let (service, socket) = write_units(&scene, &["--listen", "systemd"]);
    assert_eq!(value(&service, "Requires"), "piwigo-gate.socket");
    assert!(!std::fs::read_to_string(&service).expect("a unit").contains("RuntimeDirectory"));
    // That of nginx's file, too.
    assert_eq!(value(&socket, "ListenStream"), "/run/piwigo-gate/gate.sock");
    let place = scene.sandbox.gate_socket();
    let activate = process::find_program(&["systemd-socket-activate"]).expect("systemd-socket-activate");
    let before = [activate.to_str().expect("UTF-8 path"), "-l", place.to_str().expect("UTF-8 path")];
    let mut gate = started(&scene, &service, &before, "");
    process::wait_until("the socket accepts", || UnixStream::connect(&place).is_ok());
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let bob = scene.world.session("bob").cookie_header();
    let url = http::url(scene.world.private_image("bob").original());
    assert_eq!(http::request(nginx.address(), "GET", &url, &[("Cookie", &bob)]).status, 200);
    assert_eq!(http::get(nginx.address(), &url).status, 403);
    process::signal("TERM", gate.id());
    assert_eq!(gate.wait().code(), Some(0));
}
