//! A real Apache that has the files this project ships in its virtual host.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;
use super::{config, gate, php};

/// The shipped `.htaccess` of the gallery's directory.
pub const HTACCESS: &str = include_str!("../../apache/htaccess");
/// The shipped `.htaccess` of the guarded directories.
pub const HTACCESS_GUARDED: &str = include_str!("../../apache/htaccess-guarded-dir");
/// The shipped script that mod_fcgid starts.
pub const GATE_SCRIPT: &str = include_str!("../../apache/gate.fcgi");

/// The modules that every Apache here loads: about those that Debian enables by default.
const USUAL: [&str; 9] =
    ["mpm_event", "alias", "authz_core", "authz_host", "dir", "env", "mime", "setenvif", "access_compat"];

/// A running Apache. Dropping it ends its workers and the processes that mod_fcgid started.
pub struct Apache {
    server: Server,
    address: SocketAddr,
}

impl Apache {
    /// Starts Apache with `host` as the content of its one virtual host, and loads these modules besides the
    /// usual ones (`fcgid`, `xsendfile`, `rewrite`, `actions`, `headers`, ...).
    pub fn start(sandbox: &Sandbox, host: &str, modules: &[&str]) -> Self {
        Self::start_with(sandbox, "", host, modules)
    }

    /// Does the same, with `outside` as text outside the virtual host.
    pub fn start_with(sandbox: &Sandbox, outside: &str, host: &str, modules: &[&str]) -> Self {
        let program = process::find_program(&["apache2", "httpd"]).expect("Apache");
        let (server, address) = process::start_on_a_port(process::free_port, |address| {
            let text = frame(sandbox, address, outside, host, modules);
            let conf = sandbox.write(&format!("apache-{}.conf", address.port()), text);
            let log = sandbox.path().join("log/apache-error.log");
            let pid_file = sandbox.path().join(format!("run/apache-{}.pid", address.port()));
            let mut command = Command::new(&program);
            command.arg("-DFOREGROUND").arg("-f").arg(&conf).current_dir(sandbox.path());
            Server::start("Apache", command, &log, &Endpoint::Tcp { address, pid_file })
        });
        Self { server, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// The log of Apache and of the processes that mod_fcgid started.
    pub fn log_text(&self) -> String {
        self.server.log_text()
    }

    /// Apache's workers and the processes that mod_fcgid started.
    pub fn helpers(&self) -> Vec<u32> {
        process::descendants(self.server.id())
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        let helpers = self.helpers();
        self.server.terminate();
        process::end_all(&helpers);
    }
}

/// The virtual host of an administrator who edits Apache's configuration: it includes the shipped file for
/// X-Sendfile.
///
/// Piwigo is at `prefix` of the site.
pub fn xsendfile_host(sandbox: &Sandbox, prefix: &str) -> String {
    xsendfile_host_with(sandbox, prefix, &[])
}

/// Does the same, with further options of `piwigo-gate config` in `more`.
pub fn xsendfile_host_with(sandbox: &Sandbox, prefix: &str, more: &[&str]) -> String {
    let program = fcgi_program(sandbox);
    let is_gallery = sandbox.gallery().join("local/config/database.inc.php").exists();
    let own = ["--url-prefix", prefix, "--program", &program];
    let more = if is_gallery { [&own, more].concat() } else { Vec::new() };
    host(sandbox, prefix, &config::print(sandbox, "apache-xsendfile", &more))
}

/// The path of a copy of the program that mod_fcgid starts from the server's own configuration.
pub fn fcgi_program(sandbox: &Sandbox) -> String {
    let program = sandbox.make_dir("bin").join("gate.fcgi");
    gate::copy_program(&gate::program_for(sandbox), &program);
    program.to_str().expect("UTF-8 path").to_owned()
}

/// A virtual host with `shipped` included in it, with Piwigo at `prefix` of the site and PHP by mod_fcgid.
///
/// `AllowOverride All` is on purpose: it is the worst case for the guard.
pub fn host(sandbox: &Sandbox, prefix: &str, shipped: &str) -> String {
    let root = sandbox.gallery();
    let site = if prefix.is_empty() {
        format!("DocumentRoot {}\n", root.display())
    } else {
        format!(
            "DocumentRoot {site}\n<Directory {site}>\nOptions FollowSymLinks\nRequire all granted\n</Directory>\n\
             Alias {prefix} {root}\n",
            site = sandbox.make_dir("site").display(),
            root = root.display()
        )
    };
    format!(
        "{shipped}\n{site}<Directory {root}>\nAllowOverride All\nOptions FollowSymLinks\n\
         Require all granted\n</Directory>\n{php}",
        root = root.display(),
        php = php_by_fcgid(sandbox),
    )
}

/// A shared host: PHP runs by mod_fcgid, and everything else is in `.htaccess` files, which may use the
/// directives that such hosts commonly allow.
///
/// Piwigo is at `prefix` of the site, which is empty or a path such as `/piwigo`.
pub fn shared_host(sandbox: &Sandbox, prefix: &str) -> String {
    let site = if prefix.is_empty() { sandbox.gallery() } else { sandbox.make_dir("site") };
    if !prefix.is_empty() {
        std::os::unix::fs::symlink(sandbox.gallery(), site.join(&prefix[1..])).expect("a link");
    }
    format!(
        "DocumentRoot {site}\n<Directory {root}>\nAllowOverride FileInfo Options Indexes\n\
         Options FollowSymLinks\nRequire all granted\n</Directory>\n{php}",
        root = sandbox.path().display(),
        site = site.display(),
        php = php_by_fcgid(sandbox),
    )
}

/// Puts the `.htaccess` files and `gate.fcgi` into the gallery; with `guarded_too` also the `.htaccess` files
/// of the guarded directories (`upload/` and so on).
pub fn write_htaccess(sandbox: &Sandbox, prefix: &str, guarded_too: bool) {
    let is_gallery = sandbox.gallery().join("local/config/database.inc.php").exists();
    let own = ["--url-prefix", prefix];
    let print = |kind: &str| config::print(sandbox, kind, if is_gallery { &own } else { &[] });
    // The replacements that the shipped file tells the administrator to make.
    let by_hand = |text: &str| {
        text.replace("/gate.fcgi", &format!("{prefix}/gate.fcgi"))
            .replace("RewriteBase \"/", &format!("RewriteBase \"{prefix}/"))
            .replace("m#^/", &format!("m#^{prefix}/"))
            .replace("GATE_URL_PREFIX \"/", &format!("GATE_URL_PREFIX \"{prefix}/"))
    };
    let commands = |text: &str| {
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
    };
    let (own, guarded) = (print("htaccess"), print("htaccess-guarded-dir"));
    // A setting that changes the file makes it differ from the example.
    let settings = fs::read_to_string(sandbox.gallery().join("local/config/gate.toml")).unwrap_or_default();
    if !settings.contains("action_php") {
        assert_eq!(commands(&own), commands(&by_hand(HTACCESS)));
    }
    assert_eq!(commands(&guarded), commands(&by_hand(HTACCESS_GUARDED)));
    sandbox.write("gallery/.htaccess", own);
    if guarded_too {
        for directory in ["upload", "galleries", "_data/i"] {
            sandbox.make_dir(&format!("gallery/{directory}"));
            sandbox.write(&format!("gallery/{directory}/.htaccess"), &guarded);
        }
    }
    write_gate_script(sandbox, "gallery/gate.fcgi", prefix);
}

/// Puts the program itself in place of the script that [`write_htaccess`] wrote: the only file that an
/// administrator uploads to a shared host.
pub fn upload_program(sandbox: &Sandbox) {
    let program = sandbox.gallery().join("gate.fcgi");
    let _ = fs::remove_file(&program);
    gate::copy_program(&gate::program_for(sandbox), &program);
    sandbox.hand_over(&program);
}

/// Apache's own configuration for PHP with mod_fcgid.
pub fn php_by_fcgid(sandbox: &Sandbox) -> String {
    let wrapper =
        sandbox.write_program("php-wrapper", format!("#!/bin/sh\nexec {} -n\n", php::program().display()));
    format!(
        "<FilesMatch \"\\.php$\">\nSetHandler fcgid-script\nOptions +ExecCGI\n\
         FcgidWrapper {} .php\n</FilesMatch>\nDirectoryIndex index.php\n",
        wrapper.display()
    )
}

/// Writes the script that mod_fcgid starts: the shipped one, with the program under test and this gallery in
/// it.
///
/// `name` is relative to the sandbox, and `prefix` is Piwigo's place in the site.
pub fn write_gate_script(sandbox: &Sandbox, name: &str, prefix: &str) -> PathBuf {
    let program = gate::program_for(sandbox).display().to_string();
    let gallery = sandbox.gallery().display().to_string();
    let text =
        GATE_SCRIPT.replace("/home/you/bin/piwigo-gate", &program).replace("/var/www/piwigo", &gallery);
    assert!(
        text.contains(&program) && text.contains(&gallery),
        "the shipped script has other example values"
    );
    let prefix = if prefix.is_empty() { String::new() } else { format!(" --url-prefix {prefix}") };
    sandbox.write_program(name, text.replace(" --listen fd:0", &format!(" --listen fd:0{prefix}")))
}

/// The directory of this machine's Apache modules.
fn modules_directory() -> &'static str {
    ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"]
        .into_iter()
        .find(|directory| Path::new(directory).is_dir())
        .expect("Apache's modules")
}

/// Whether this machine's mod_xsendfile percent-decodes the header by default. A version that does has a
/// directive to turn it off.
pub fn sendfile_decodes() -> bool {
    let module = fs::read(Path::new(modules_directory()).join("mod_xsendfile.so")).expect("mod_xsendfile");
    module.windows(17).any(|window| window == b"XSendFileUnescape")
}

fn frame(sandbox: &Sandbox, address: SocketAddr, outside: &str, host: &str, modules: &[&str]) -> String {
    let root = sandbox.path().display();
    let directory = modules_directory();
    let load = USUAL
        .iter()
        .copied()
        .chain(modules.iter().copied())
        .chain(sandbox.for_http2("http2").split_whitespace())
        .map(|name| format!("LoadModule {name}_module {directory}/mod_{name}.so"))
        .collect::<Vec<_>>()
        .join("\n");
    let user = sandbox.account().map(|a| format!("User {}\nGroup {}\n", a.user, a.group)).unwrap_or_default();
    let fcgid = if modules.contains(&"fcgid") {
        format!("FcgidIPCDir {root}/run/fcgid\nFcgidProcessTableFile {root}/run/fcgid_shm\n")
    } else {
        String::new()
    };
    format!(
        "ServerRoot {root}\nDefaultRuntimeDir {root}/run\nPidFile {root}/run/apache-{port}.pid\n{load}\n{http2}{user}\
         Listen {address}\nServerName localhost\nErrorLog {root}/log/apache-error.log\nLogLevel info\n\
         TypesConfig /etc/mime.types\nServerTokens Prod\n\
         StartServers 1\nServerLimit 2\nThreadsPerChild 25\nMaxRequestWorkers 50\n{fcgid}\
         <Directory />\nAllowOverride None\nRequire all denied\n</Directory>\n\
         {outside}\n<VirtualHost {address}>\n{host}\n</VirtualHost>\n",
        port = address.port(),
        http2 = sandbox.for_http2("Protocols h2c\n"),
    )
}
