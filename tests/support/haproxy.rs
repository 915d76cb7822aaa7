//! A real HAProxy with the file this project ships, and the file server behind it.

use std::net::SocketAddr;

use super::config;
use super::nginx::Nginx;
use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// The line of the printed file that the administrator sets.
const BIND: &str = "    bind :80\n";

/// The address of the file server in a file that was printed without `--backend`.
const FILES: &str = "127.0.0.1:8080";

/// A running HAProxy. Dropping it ends it.
pub struct Haproxy {
    server: Server,
    address: SocketAddr,
}

impl Haproxy {
    /// Starts HAProxy with `text` as its configuration; `BIND_ADDRESS` in it stands for the address on which
    /// HAProxy listens.
    pub fn start(sandbox: &Sandbox, text: &str) -> Self {
        let program = process::find_program(&["haproxy"]).expect("HAProxy");
        let (server, address) = process::start_on_a_port(process::free_port, |address| {
            // Otherwise two programs could get the same port, if both ask to share it.
            let frame = "global\n    noreuseport\ndefaults\n    timeout connect 60s\n    timeout client 60s\n    timeout server 60s\n";
            let text = format!("{frame}{}", text.replace("BIND_ADDRESS", &address.to_string()));
            let conf = sandbox.write(&format!("haproxy-{}.cfg", address.port()), text);
            let log = sandbox.path().join("log/haproxy.log");
            let pid_file = sandbox.path().join(format!("run/haproxy-{}.pid", address.port()));
            let mut command = sandbox.command(&program);
            command.arg("-W").arg("-f").arg(&conf).arg("-p").arg(&pid_file).current_dir(sandbox.path());
            Server::start("HAProxy", command, &log, &Endpoint::Tcp { address, pid_file })
        });
        Self { server, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// HAProxy's log.
    pub fn log_text(&self) -> String {
        self.server.log_text()
    }
}

/// The printed file, with the administrator's own lines as a test needs them.
pub fn site(sandbox: &Sandbox, printed: &str) -> String {
    assert_eq!(printed.matches(BIND).count(), 1, "one place to come in");
    let proto = sandbox.for_http2(" proto h2");
    printed.replace(BIND, &format!("    bind BIND_ADDRESS{proto}\n"))
}

/// The shipped file server for the public folders, in an nginx of its own.
pub fn files(sandbox: &Sandbox, more: &[&str]) -> Nginx {
    let printed = config::print(sandbox, "haproxy-files", more);
    let (before, server) = printed.split_once("server {").expect("a server block");
    assert!(before.lines().all(|line| line.is_empty() || line.starts_with('#')), "{before}");
    let server = server.trim_end().strip_suffix('}').expect("its end");
    let listen = format!("    listen {FILES};\n");
    assert!(server.contains(&listen), "{server}");
    Nginx::start(sandbox, &server.replace(&listen, ""))
}
