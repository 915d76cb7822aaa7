//! The program as an administrator meets it: exit codes, which setting counts, where it listens, and the
//! demo.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::fastcgi;
use crate::support::gate;
use crate::support::mariadb::{self, MariaDb};
use crate::support::process::{self, Program};
use crate::support::rows::Engine;
use crate::support::sandbox::Sandbox;
use crate::support::world::World;

/// Runs the program with nothing of the machine's own environment.
fn run(sandbox: &Sandbox, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    sandbox
        .command(gate::program_for(sandbox))
        .args(arguments)
        .current_dir(sandbox.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/bin")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Runs `serve` on a set-up that cannot work: exit code 2, and one sentence with all of `parts`.
fn refuses(sandbox: &Sandbox, arguments: &[&str], environment: &[(&str, &str)], parts: &[&str]) {
    let gallery = sandbox.gallery();
    let listen = format!("unix:{}", sandbox.gate_socket().display());
    let mut all = vec!["serve"];
    if !arguments.contains(&"--gallery") {
        all.extend(["--gallery", gallery.to_str().unwrap()]);
    }
    if !arguments.contains(&"--listen") {
        all.extend(["--listen", &listen]);
    }
    all.extend(arguments);
    let output = run(sandbox, &all, environment);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    let said: Vec<&str> = errors.lines().filter(|line| line.starts_with("piwigo-gate: ")).collect();
    assert_eq!(said.len(), 1, "{arguments:?}: {errors}");
    for part in parts {
        assert!(said[0].contains(part), "{arguments:?}: {} lacks {part:?}", said[0]);
    }
    assert!(!errors.contains("s3cret"), "{errors}");
}

/// A database with Piwigo's tables, and its settings files.
fn scene() -> (MariaDb, Sandbox) {
    let sandbox = Sandbox::new();
    let database = MariaDb::start(&sandbox);
    database.sql(mariadb::SCHEMA);
    database.sql(&World::load().sql(Engine::MariaDb));
    sandbox.write(
        "gallery/local/config/database.inc.php",
        mariadb::database_inc_php(&database.socket(), mariadb::GATE),
    );
    sandbox.hand_over_tree(&sandbox.gallery());
    (database, sandbox)
}

#[test]
fn usage_errors_have_exit_code_2_and_help_has_0() {
    let sandbox = Sandbox::new();
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["serve", "--help"], 0),
        (&["serve", "--no-such-flag"], 2),
        (&["no-such-command"], 2),
        (&["serve", "--admins", "some"], 2),
        (&[], 2),
    ] {
        let output = run(&sandbox, arguments, &[]);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

/// A server that runs it as CGI makes arguments of the visitor's query.
#[test]
fn started_as_a_cgi_program_it_does_nothing() {
    let sandbox = Sandbox::new();
    let environment = [("GATEWAY_INTERFACE", "CGI/1.1"), ("REQUEST_METHOD", "GET")];
    for arguments in [&[][..], &["--help"], &["serve", "--listen", "unix:/nowhere"], &["--version"]] {
        let output = run(&sandbox, arguments, &environment);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("Status: 503 ") && said.ends_with("\r\n\r\n"), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn flag_before_environment_before_file() {
    let (_database, sandbox) = scene();
    let file = sandbox.write("gate.toml", "deny_status = 200\n");
    let path = file.to_str().unwrap();
    // Each layer holds a value that cannot work: the one that is complained about is the one that counts.
    refuses(&sandbox, &["--config", path], &[], &["deny_status is \"200\""]);
    refuses(
        &sandbox,
        &["--config", path],
        &[("PIWIGO_GATE_DENY_STATUS", "201")],
        &["deny_status is \"201\""],
    );
    refuses(&sandbox, &[], &[("PIWIGO_GATE_CONFIG", path)], &["deny_status is \"200\""]);
    refuses(
        &sandbox,
        &["--config", path, "--deny-status", "202"],
        &[("PIWIGO_GATE_DENY_STATUS", "201")],
        &["deny_status is \"202\""],
    );
    let own = sandbox.write("gallery/local/config/gate.toml", "deny_status = 203\n");
    sandbox.hand_over(&own);
    refuses(&sandbox, &[], &[], &["deny_status is \"203\""]);
    refuses(&sandbox, &["--config", path], &[], &["deny_status is \"200\""]);
}

#[test]
fn a_live_socket_is_left_alone_and_a_stale_one_replaced() {
    let (_database, sandbox) = scene();
    let mut gate = gate::Gate::start(&sandbox, &[], &[]);
    refuses(&sandbox, &[], &[], &["is in use", "stop it first"]);
    gate.kill();
    assert!(sandbox.gate_socket().exists(), "a killed gate leaves its socket");
    let mut gate = gate::Gate::start(&sandbox, &["--socket-mode", "0600"], &[]);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(sandbox.gate_socket()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let told = format!("serving listen=unix:{} 0600 gallery=/", sandbox.gate_socket().display());
    let log = gate.log_text();
    assert!(log.contains(&told), "the first line names the place as the setting does: {log}");
    assert_eq!(gate.terminate().code(), Some(0));
    assert!(!sandbox.gate_socket().exists());
}

#[test]
fn the_demo_shows_each_visitor_what_is_right_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let temporary = sandbox.make_dir("tmp-of-the-demo");
    sandbox.hand_over(&temporary);
    let output =
        run(&sandbox, &["demo", "--once", "--port", "0"], &[("TMPDIR", temporary.to_str().unwrap())]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("290 answers, all as they should be."), "{text}");
    assert!(is_empty(&temporary));
    assert!(process::all_that_name(&temporary).is_empty());
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn without_arguments_and_with_a_listening_socket_on_descriptor_0_it_serves() {
    let (_database, sandbox) = scene();
    let socket = sandbox.path().join("inherited.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut child = Program::start(
        Command::new(gate::program_for(&sandbox))
            .env_clear()
            .env("PIWIGO_GATE_GALLERY", sandbox.gallery())
            .stdin(std::os::fd::OwnedFd::from(listener)),
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let text =
        runtime.block_on(async { answer(tokio::net::UnixStream::connect(&socket).await.unwrap()).await });
    assert!(text.starts_with("Status: 403 Forbidden\r\n"), "{text}");
    process::signal("TERM", child.id());
    assert_eq!(child.wait().code(), Some(0));
}

#[test]
fn config_without_a_kind_names_them_and_with_a_wrong_one_the_nearest() {
    let sandbox = Sandbox::new();
    for (arguments, part) in [
        (&["config"] as &[&str], "\n  nginx "),
        (&["config", "ngnix"], "a similar value exists: 'nginx'"),
        (&["config", "ngnix", "--example"], "a similar value exists: 'nginx'"),
    ] {
        let output = run(&sandbox, arguments, &[]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        assert!(errors.contains(part), "{errors}");
    }
    let output = run(&sandbox, &["config", "--list"], &[]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("\n  systemd "));
}

/// What an administrator of fail2ban types may be on another machine than the gallery.
#[test]
fn files_for_fail2ban_need_no_gallery() {
    let sandbox = Sandbox::new();
    for (kind, expected) in [("fail2ban", "\nfailregex = "), ("fail2ban-jail", "\nmaxretry = ")] {
        let output = run(&sandbox, &["config", kind], &[]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains(expected) && !text.contains("--gallery"), "{text}");
    }
    assert_eq!(run(&sandbox, &["config", "nginx"], &[]).status.code(), Some(2));
}

#[test]
fn a_socket_from_systemd_and_a_tcp_address_are_served() {
    let (_database, sandbox) = scene();
    let socket = sandbox.path().join("activated.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let program = gate::program_for(&sandbox);
    // As systemd does it: the socket is descriptor 3, and LISTEN_PID is the process that gets it.
    let mut by_systemd = Program::start(
        Command::new("/bin/sh")
            .arg("-c")
            .arg("exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --listen systemd")
            .arg(&program)
            .env_clear()
            .env("PIWIGO_GATE_GALLERY", sandbox.gallery())
            .stdin(std::os::fd::OwnedFd::from(listener)),
    );
    let (mut by_tcp, address) = gate::Gate::start_tcp(&sandbox, &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let unix = tokio::net::UnixStream::connect(&socket).await.unwrap();
        assert!(answer(unix).await.starts_with("Status: 403 Forbidden\r\n"));
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        assert!(answer(tcp).await.starts_with("Status: 403 Forbidden\r\n"));
    });
    process::signal("TERM", by_systemd.id());
    assert_eq!(by_systemd.wait().code(), Some(0));
    assert_eq!(by_tcp.terminate().code(), Some(0));
}

/// The reply to a request for a file that does not exist.
async fn answer(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
    let params = fastcgi_client::Params::default()
        .request_method("GET")
        .request_uri("/upload/none.jpg")
        .remote_addr("127.0.0.1")
        .server_software("nginx/1.22.1");
    fastcgi::ask(stream, params).await
}

/// In a real bash, with nothing of the machine's own set-up.
#[test]
fn bash_completes_verbs_flags_and_kinds() {
    let sandbox = Sandbox::new();
    let script = run(&sandbox, &["completions", "bash"], &[]);
    assert!(script.status.success());
    let file = sandbox.write("completions.bash", script.stdout);
    let table: [(&[&str], &str); 4] = [
        (&["piwigo-gate", "se"], "serve"),
        (&["piwigo-gate", "derive", "--recu"], "--recursive"),
        (&["piwigo-gate", "config", "nginx-auth-r"], "nginx-auth-request"),
        (&["piwigo-gate", "completions", "po"], "powershell"),
    ];
    for (words, expected) in table {
        let ask = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; \
             by=$(complete -p piwigo-gate); by=${{by#*-F }}; ${{by%% *}} piwigo-gate {} {}; echo \"${{COMPREPLY[*]}}\"",
            file.display(),
            words.join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let output =
            sandbox.command("bash").args(["--norc", "--noprofile", "-c", &ask]).env_clear().output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.trim(), expected, "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
