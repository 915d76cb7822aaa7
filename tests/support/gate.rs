//! The program of this project, run as a FastCGI server on a unix socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// A running gate.
pub struct Gate {
    server: Server,
    socket: PathBuf,
}

impl Gate {
    /// Runs `piwigo-gate serve` for the sandbox's gallery on [`Sandbox::gate_socket`].
    ///
    /// The environment holds only `PATH` and `environment`, so that the machine's own settings have no
    /// effect.
    pub fn start(sandbox: &Sandbox, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::try_start(sandbox, arguments, environment).unwrap_or_else(|log| panic!("{log}"))
    }

    /// Does the same; the error is the gate's log up to its end.
    pub fn try_start(
        sandbox: &Sandbox,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        Self::try_start_on(sandbox, "gate", arguments, environment)
    }

    /// Starts one of several gates in a sandbox, on `run/<name>.sock`.
    pub fn start_on(sandbox: &Sandbox, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::try_start_on(sandbox, name, arguments, environment).unwrap_or_else(|log| panic!("{log}"))
    }

    fn try_start_on(
        sandbox: &Sandbox,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let socket = sandbox.path().join(format!("run/{name}.sock"));
        let listen = format!("unix:{}", socket.display());
        let ready = Endpoint::Unix(socket.clone());
        let server = Self::server(sandbox, name, &listen, &ready, arguments, environment)?;
        Ok(Self { server, socket })
    }

    /// Starts one of several gates in a sandbox, at a TCP address that was free a moment ago.
    pub fn start_on_tcp(sandbox: &Sandbox, name: &str, address: SocketAddr) -> Self {
        let ready = Endpoint::Says { word: "serving", log: sandbox.path().join(format!("log/{name}.log")) };
        let server = Self::server(sandbox, name, &format!("tcp:{address}"), &ready, &[], &[]);
        Self { server: server.unwrap_or_else(|log| panic!("{log}")), socket: PathBuf::new() }
    }

    /// Starts a gate on a free port of the loopback interface; returns the gate and its address.
    pub fn start_tcp(sandbox: &Sandbox, arguments: &[&str]) -> (Self, SocketAddr) {
        Self::start_tcp_at(sandbox, Ipv4Addr::LOCALHOST.into(), arguments, &[])
    }

    /// Starts a gate on a free port of another address of this machine.
    pub fn start_tcp_at(
        sandbox: &Sandbox,
        ip: IpAddr,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (Self, SocketAddr) {
        let choose = || SocketAddr::new(ip, process::free_port().port());
        let (server, address) = process::start_on_a_port(choose, |address| {
            let log = sandbox.path().join("log/gate.log");
            let ready = Endpoint::Says { word: "serving", log };
            Self::server(sandbox, "gate", &format!("tcp:{address}"), &ready, arguments, environment)
        });
        (Self { server, socket: PathBuf::new() }, address)
    }

    fn server(
        sandbox: &Sandbox,
        name: &str,
        listen: &str,
        ready: &Endpoint,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Server, String> {
        let mut command = sandbox.command(program_for(sandbox));
        command
            .arg("serve")
            .arg("--gallery")
            .arg(sandbox.gallery())
            .arg("--listen")
            .arg(listen)
            .args(arguments)
            .current_dir(sandbox.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(environment.iter().copied());
        let log = sandbox.path().join(format!("log/{name}.log"));
        Server::start("piwigo-gate", command, &log, ready)
    }

    pub fn id(&self) -> u32 {
        self.server.id()
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The text that the gate has written to standard error.
    pub fn log_text(&self) -> String {
        self.server.log_text()
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.server.terminate()
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.server.kill();
    }
}

/// The program under test: `PIWIGO_GATE_TEST_BINARY`, otherwise the one that cargo has just built.
pub fn program() -> PathBuf {
    std::env::var_os("PIWIGO_GATE_TEST_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_piwigo-gate")), PathBuf::from)
}

/// Makes the sandbox's gates run under a resource limit, which is an argument of the shell's `ulimit` (`-v
/// 400000`). Call it before the first gate starts.
pub fn limit(sandbox: &Sandbox, limit: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let limited = sandbox.path().join("piwigo-gate-limited");
    copy_program(&program(), &limited);
    let script = format!("#!/bin/sh\nulimit {limit} && exec {} \"$@\"\n", limited.display());
    let script = sandbox.write("piwigo-gate", script);
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// A copy of the program inside the sandbox, where the servers' account can run it.
pub fn program_for(sandbox: &Sandbox) -> PathBuf {
    let copy = sandbox.path().join("piwigo-gate");
    if !copy.exists() {
        copy_program(&program(), &copy);
    }
    copy
}

/// Copies a program in another process. A process that another test starts in the meantime would inherit a
/// descriptor that is open for writing here, and then the copy could not run ("text file busy").
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "no copy of {}", from.display());
}
