//! Which peers may connect over TCP: `--allow-from` and `FCGI_WEB_SERVER_ADDRS` (FastCGI §3.2), by a real
//! gate on sockets of its own and on inherited ones, and by connections from several addresses of the
//! loopback network.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::files;
use crate::support::gate::{Gate, program_for};
use crate::support::patience::PATIENCE;
use crate::support::process::{self, Program};
use crate::support::sandbox::Sandbox;
use socket2::{Domain, Socket, Type};

const VARIABLE: &str = "FCGI_WEB_SERVER_ADDRS";

/// `FCGI_GET_VALUES` without a name (FastCGI §4.1).
const QUESTION: [u8; 8] = [1, 9, 0, 0, 0, 0, 0, 0];

/// A gallery whose database is away: the gate answers management records all the same.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    files::write_config(&sandbox.gallery(), Path::new("/nowhere/db.sock"));
    sandbox
}

/// A connection to `address` from another address of this machine.
fn connect(address: SocketAddr, from: &str) -> TcpStream {
    let from: IpAddr = from.parse().expect("an address");
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("an address of this machine");
    socket.connect(&address.into()).expect("a gate listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Whether the gate answers a peer with this address.
fn is_answered(address: SocketAddr, from: &str) -> bool {
    let mut stream = connect(address, from);
    let mut answer = [0; 8];
    match stream.write_all(&QUESTION).and_then(|()| stream.read_exact(&mut answer)) {
        Ok(()) => answer[1] == 10,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("neither an answer nor the end")
        }
        Err(_) => false,
    }
}

/// Whether the gate closes the connection of a peer that has sent nothing yet.
fn is_closed_at_once(address: SocketAddr, from: &str) -> bool {
    matches!(connect(address, from).read(&mut [0]), Ok(0))
}

#[test]
fn only_peers_on_every_list_stay_connected() {
    type Row = (&'static str, &'static [&'static str], Option<&'static str>, &'static [(&'static str, bool)]);
    let table: [Row; 8] = [
        ("127.0.0.1", &[], None, &[("127.0.0.1", true), ("127.0.0.2", true)]),
        (
            "127.0.0.1",
            &["--allow-from", "127.0.0.2,192.0.2.0/24"],
            None,
            &[("127.0.0.1", false), ("127.0.0.2", true)],
        ),
        (
            "127.0.0.1",
            &["--allow-from", "127.0.0.2/31"],
            None,
            &[("127.0.0.1", false), ("127.0.0.2", true), ("127.0.0.3", true), ("127.0.0.4", false)],
        ),
        ("127.0.0.1", &[], Some("127.0.0.2,127.0.0.3"), &[("127.0.0.1", false), ("127.0.0.3", true)]),
        (
            "127.0.0.1",
            &["--allow-from", "127.0.0.1,127.0.0.2"],
            Some("127.0.0.2,127.0.0.3"),
            &[("127.0.0.1", false), ("127.0.0.2", true), ("127.0.0.3", false)],
        ),
        ("::1", &["--allow-from", "::1"], None, &[("::1", true)]),
        ("::1", &["--allow-from", "127.0.0.1"], None, &[("::1", false)]),
        // The system says of these peers that they are ::ffff:127.0.0.1 and ::ffff:127.0.0.2.
        (
            "::ffff:127.0.0.1",
            &["--allow-from", "127.0.0.2"],
            Some("::ffff:127.0.0.2"),
            &[("::ffff:127.0.0.1", false), ("::ffff:127.0.0.2", true)],
        ),
    ];
    for (ip, arguments, variable, peers) in table {
        let sandbox = sandbox();
        let environment: Vec<_> = variable.iter().map(|value| (VARIABLE, *value)).collect();
        let ip = ip.parse().expect("an address");
        let (gate, address) = Gate::start_tcp_at(&sandbox, ip, arguments, &environment);
        for &(peer, admitted) in peers {
            let case = format!("{peer} with {arguments:?} and {variable:?}");
            assert_eq!(is_answered(address, peer), admitted, "{case}");
            if !admitted {
                assert!(is_closed_at_once(address, peer), "{case}");
            }
        }
        // The first is logged, the others are only counted.
        let refused = peers.iter().any(|(_, admitted)| !admitted);
        let log = gate.log_text();
        assert_eq!(log.matches("disconnected").count(), usize::from(refused), "{log}");
    }
}

/// Runs `serve` with a listening socket of the test's on descriptor 0.
fn command(
    sandbox: &Sandbox,
    listen: &str,
    socket: OwnedFd,
    more: &[&str],
    variable: Option<&str>,
) -> std::process::Command {
    let mut command = sandbox.command(process::find_program(&["timeout"]).expect("coreutils"));
    command.arg("300");
    if listen == "systemd" {
        // As systemd would: the descriptor is number 3, and the process is named.
        command.args(["sh", "-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh"]);
    }
    command
        .arg(program_for(sandbox))
        .args(["serve", "--listen", listen, "--gallery"])
        .arg(sandbox.gallery())
        .args(more)
        .stdin(Stdio::from(socket))
        .current_dir(sandbox.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(variable.map(|value| (VARIABLE, value)));
    command
}

#[test]
fn an_inherited_socket_has_the_same_peers() {
    for listen in ["fd:0", "systemd"] {
        for (more, variable) in [(&["--allow-from", "127.0.0.2"] as &[&str], None), (&[], Some("127.0.0.2"))]
        {
            let sandbox = sandbox();
            let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = socket.local_addr().expect("its number");
            let log = sandbox.path().join("log/gate.log");
            let output = std::fs::File::create(&log).expect("a log");
            let mut command = command(&sandbox, listen, socket.into(), more, variable);
            let mut gate = Program::start(command.stdout(Stdio::null()).stderr(output));
            assert!(is_answered(address, "127.0.0.2"), "{listen} {more:?} {variable:?}");
            assert!(!is_answered(address, "127.0.0.1"), "{listen} {more:?} {variable:?}");
            assert!(is_closed_at_once(address, "127.0.0.1"), "{listen} {more:?} {variable:?}");
            assert!(gate.ended().is_none());
            process::signal("TERM", gate.id());
            gate.wait();
        }
    }
}

/// The one sentence of a refusal to start.
fn sentence(output: &Output, what: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().last().unwrap_or_default().to_owned();
    assert_eq!(output.status.code(), Some(2), "{what}: {said}");
    assert!(last.starts_with("piwigo-gate: "), "{what}: {said}");
    last
}

#[test]
fn sockets_that_cannot_be_served_end_the_program() {
    let sandbox = sandbox();
    let remote = || OwnedFd::from(TcpListener::bind("0.0.0.0:0").expect("a port"));
    let local = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").expect("a port"));
    let unix = |name: &str| OwnedFd::from(UnixListener::bind(sandbox.path().join(name)).expect("a socket"));
    let own = format!("unix:{}", sandbox.gate_socket().display());
    let file = || OwnedFd::from(std::fs::File::open("/dev/null").expect("it is there"));
    let datagrams = || OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let connected = || OwnedFd::from(std::os::unix::net::UnixStream::pair().expect("a pair").0);
    let table: [(&str, OwnedFd, Option<&str>, &str); 15] = [
        ("fd:0", file(), None, "mod_fcgid"),
        ("fd:0", datagrams(), None, "mod_fcgid"),
        ("fd:0", connected(), None, "mod_fcgid"),
        ("systemd", file(), None, "ListenStream="),
        ("systemd", datagrams(), None, "ListenStream="),
        ("systemd", connected(), None, "ListenStream="),
        ("fd:0", remote(), None, "--allow-from"),
        ("systemd", remote(), None, "--allow-from"),
        ("fd:0", local(), Some(""), "addresses of web servers"),
        ("fd:0", local(), Some("127.0.0.1,web"), "addresses of web servers"),
        ("tcp:127.0.0.1:0", local(), Some("127.0.0.1 or so"), "addresses of web servers"),
        // FastCGI §3.2: a connection that did not use TCP/IP fails the check, too.
        ("fd:0", unix("a.sock"), Some("127.0.0.1"), "unix socket"),
        ("systemd", unix("b.sock"), Some("127.0.0.1"), "unix socket"),
        (&own, local(), Some("127.0.0.1"), "unix socket"),
        (&own, local(), Some(""), "addresses of web servers"),
    ];
    for (listen, socket, variable, advice) in table {
        let case = format!("{listen} {variable:?}");
        let output = command(&sandbox, listen, socket, &[], variable).output().expect("the program runs");
        let said = sentence(&output, &case);
        assert!(said.contains(advice), "{case}: {said}");
    }
    assert!(!sandbox.gate_socket().exists());
}
