//! A real Caddy that imports the files this project ships into its site.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use super::http;
use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// Number of Caddys that this test program has started.
static STARTED: AtomicU8 = AtomicU8::new(0);

/// A running Caddy. Dropping it ends it.
pub struct Caddy {
    server: Server,
    address: SocketAddr,
}

impl Caddy {
    /// Starts Caddy with `site` as the content of its one site block.
    pub fn start(sandbox: &Sandbox, site: &str) -> Self {
        let program = process::find_program(&["caddy"]).expect("Caddy");
        let home = sandbox.make_dir("caddy");
        let (server, address) = process::start_on_a_port(own_address, |address| {
            let text = frame(sandbox, address, site);
            let conf = sandbox.write(&format!("Caddyfile-{}", address.port()), text);
            let log = sandbox.path().join("log/caddy.log");
            let pid_file = sandbox.path().join(format!("run/caddy-{}.pid", address.port()));
            let mut command = sandbox.command(&program);
            command
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(&conf)
                .arg("--pidfile")
                .arg(&pid_file)
                .env("HOME", &home)
                .env("XDG_DATA_HOME", &home)
                .env("XDG_CONFIG_HOME", &home)
                .current_dir(sandbox.path());
            Server::start("Caddy", command, &log, &Endpoint::Tcp { address, pid_file })
        });
        Self { server, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Caddy's log.
    pub fn log_text(&self) -> String {
        self.server.log_text()
    }
}

/// An address of the loopback network that no other test takes, because Caddy shares a port with any process
/// that has bound it.
fn own_address() -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let count = STARTED.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from((Ipv4Addr::new(127, high.max(1), low, count), process::free_port().port()))
}

/// Whether this Caddy takes a backslash for an escape when it looks for files. The function tries it, because
/// the version does not tell: 2.11.1 does not, and Debian 13's 2.6.2 has that change, too.
pub fn drops_backslashes(sandbox: &Sandbox) -> bool {
    sandbox.write("looked-for/plain.txt", "");
    let root = sandbox.path().join("looked-for");
    let site =
        format!("root * \"{}\"\n@found file {{path}}\nrespond @found 200\nrespond 404", root.display());
    let caddy = Caddy::start(sandbox, &site);
    let found = |target: &str| http::get(caddy.address(), target).status == 200;
    assert!(found("/plain.txt") && !found("/plai.txt"), "the question itself");
    found("/pla%5cin.txt")
}

/// The content of the site block that the printed file itself shows, with the guard imported at the place it
/// names.
pub fn gallery(sandbox: &Sandbox, guard: &str) -> String {
    sandbox.write("piwigo-gate.caddy", guard);
    shown_block(guard)
}

/// The example of a site block in the first lines of a printed file, without its first and its last line.
pub fn shown_block(guard: &str) -> String {
    let mut lines = guard.lines().skip_while(|line| !line.ends_with("photos.example.org {"));
    let first = lines.next().expect("a site block in the first lines");
    let indent = first.strip_suffix("photos.example.org {").expect("its name");
    let end = format!("{indent}}}");
    let block: Vec<_> = lines.take_while(|line| *line != end).collect();
    block
        .iter()
        .map(|line| line.strip_prefix(indent).expect("a line of the block"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The site block without the line that keeps the file server from the private files, so that only the guard
/// protects them.
pub fn without_hide(site: &str) -> String {
    let lines: Vec<_> = site.lines().filter(|line| !line.trim_start().starts_with("hide ")).collect();
    lines.join("\n")
}

/// A site that has Piwigo in a sub-directory; `guard` was printed with that `--url-prefix`. Caddy tries a
/// `handle` with a longer path first.
pub fn gallery_at(sandbox: &Sandbox, prefix: &str, guard: &str) -> String {
    sandbox.write("piwigo-gate.caddy", guard);
    format!(
        "handle_path {prefix}/* {{\nroot * \"{root}\"\nphp_fastcgi \"unix/{php}\"\nfile_server\n}}\n\
         handle {{\nroot * \"{site}\"\nfile_server\n}}\nimport piwigo-gate.caddy\n",
        site = sandbox.make_dir("site").display(),
        root = sandbox.gallery().display(),
        php = sandbox.php_socket().display(),
    )
}

fn frame(sandbox: &Sandbox, address: SocketAddr, site: &str) -> String {
    format!(
        "{{\nadmin off\nauto_https off\n{http2}storage file_system \"{home}\"\n}}\n\
         http://:{port} {{\nbind {ip}\n{site}\n}}\n",
        home = sandbox.path().join("caddy").display(),
        port = address.port(),
        ip = address.ip(),
        http2 = sandbox.for_http2("servers {\nprotocols h1 h2c\n}\n"),
    )
}
