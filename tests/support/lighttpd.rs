//! A real lighttpd with the file this project ships, loaded as Debian's configuration loads the files in
//! `conf-enabled`.

use std::net::SocketAddr;
use std::process::Command;

use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// Debian's settings for parsing URLs.
const PARSING: &str = r#"server.http-parseopts = (
    "header-strict" => "enable", "host-strict" => "enable", "host-normalize" => "enable",
    "url-normalize-unreserved" => "enable", "url-normalize-required" => "enable",
    "url-ctrls-reject" => "enable", "url-path-2f-decode" => "enable",
    "url-path-dotseg-remove" => "enable"
)"#;

/// A running lighttpd. Dropping it ends it.
pub struct Lighttpd {
    server: Server,
    address: SocketAddr,
}

impl Lighttpd {
    /// Starts lighttpd with `site` between its modules and the end of its configuration, where Debian
    /// includes `conf-enabled/*.conf`.
    pub fn start(sandbox: &Sandbox, site: &str) -> Self {
        Self::start_with(sandbox, site, &["mod_setenv", "mod_fastcgi"])
    }

    /// Does the same with `modules` besides those that Debian's configuration loads by default.
    pub fn start_with(sandbox: &Sandbox, site: &str, modules: &[&str]) -> Self {
        let program = process::find_program(&["lighttpd"]).expect("lighttpd");
        let (server, address) = process::start_on_a_port(process::free_port, |address| {
            let text = frame(sandbox, address, site, modules);
            let conf = sandbox.write(&format!("lighttpd-{}.conf", address.port()), text);
            let log = sandbox.path().join("log/lighttpd-error.log");
            let pid_file = sandbox.path().join(format!("run/lighttpd-{}.pid", address.port()));
            let mut command = Command::new(&program);
            command.arg("-D").arg("-f").arg(&conf).current_dir(sandbox.path());
            Server::start("lighttpd", command, &log, &Endpoint::Tcp { address, pid_file })
        });
        Self { server, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// lighttpd's log.
    pub fn log_text(&self) -> String {
        self.server.log_text()
    }
}

/// The PHP-FPM settings of Debian's `15-fastcgi-php-fpm.conf`.
pub fn php(sandbox: &Sandbox) -> String {
    format!(
        "fastcgi.server += ( \".php\" => (( \"socket\" => \"{}\", \"broken-scriptfilename\" => \"enable\" )) )\n",
        sandbox.php_socket().display()
    )
}

/// A Piwigo with PHP first and then the guard: the order in which Debian reads `conf-enabled`.
pub fn gallery(sandbox: &Sandbox, guard: &str) -> String {
    format!(
        "server.document-root = \"{root}\"\n{php}\n{guard}\n",
        root = sandbox.gallery().display(),
        php = php(sandbox)
    )
}

/// A site that has Piwigo in a sub-directory; `guard` was printed with that `--url-prefix`.
pub fn gallery_at(sandbox: &Sandbox, prefix: &str, guard: &str) -> String {
    format!(
        "server.document-root = \"{site}\"\nalias.url = ( \"{prefix}/\" => \"{root}/\" )\n{php}\n{guard}\n",
        site = sandbox.make_dir("site").display(),
        root = sandbox.gallery().display(),
        php = php(sandbox)
    )
}

/// `guard`, printed for a gallery with Piwigo's usual directories at the root of its site, with the condition
/// of its first version. lighttpd matches no URL that is not UTF-8, so that block did not apply to such a
/// URL.
pub fn with_the_first_condition(guard: &str) -> String {
    let condition = r#"$HTTP["url"] =~ "^(?i:)/(?!_data/combined/)(?:(?i:upload|galleries|_data|local/config|_data/i|(?:i|action)[.]php)[. ]*(?:/|$)|i(?:/|$)|plugins/piwigo_privacy/|[0-9]+/(?:upload|galleries|_data/i)/|(?:local/)?[^/]*[^\x00-\x7F])|(?i)[.]toml(?:/|$)|/[.](?!well-known(?:/|$))" {"#;
    let is_condition = |line: &&str| line.starts_with("$HTTP[\"url\"] !~ ");
    assert_eq!(guard.lines().filter(is_condition).count(), 1, "the shipped file has changed");
    let line = |line| if is_condition(&line) { condition } else { line };
    guard.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether this machine's lighttpd evaluates the conditions for a URL only once. Since 1.4.77 it evaluates
/// them again for the part of the URL that is a file, so that a tail that is not UTF-8 no longer keeps a
/// block from that file.
pub fn matches_once() -> bool {
    let program = process::find_program(&["lighttpd"]).expect("lighttpd");
    let output = Command::new(program).arg("-v").output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .strip_prefix("lighttpd/1.4.")
        .and_then(|rest| rest.split([' ', '-']).next()?.parse::<u32>().ok());
    version.unwrap_or_else(|| panic!("not a version: {text}")) < 77
}

fn frame(sandbox: &Sandbox, address: SocketAddr, site: &str, modules: &[&str]) -> String {
    let user = sandbox
        .account()
        .map(|a| format!("server.username = \"{}\"\nserver.groupname = \"{}\"\n", a.user, a.group))
        .unwrap_or_default();
    let parsing = if site.contains("server.http-parseopts") { "" } else { PARSING };
    let load = |list, name| format!("{list}server.modules += ( \"{name}\" )\n");
    let modules = modules.iter().fold(String::new(), load);
    format!(
        "server.modules = ( \"mod_indexfile\", \"mod_access\", \"mod_alias\", \"mod_redirect\" )\n\
         server.bind = \"{ip}\"\nserver.port = {port}\n{user}\
         server.pid-file = \"{root}/run/lighttpd-{port}.pid\"\nserver.upload-dirs = ( \"{root}/tmp\" )\n\
         {parsing}\n{http2}\
         index-file.names = ( \"index.php\", \"index.html\" )\nurl.access-deny = ( \"~\", \".inc\" )\n\
         static-file.exclude-extensions = ( \".php\", \".pl\", \".fcgi\" )\n\
         include_shell \"/usr/share/lighttpd/create-mime.conf.pl\"\n\
         {modules}{site}\n\
         server.modules += ( \"mod_dirlisting\", \"mod_staticfile\" )\n",
        ip = address.ip(),
        port = address.port(),
        root = sandbox.path().display(),
        http2 = sandbox.for_http2("server.feature-flags += ( \"server.h2c\" => \"enable\" )\n"),
    )
}
