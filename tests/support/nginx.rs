//! A real nginx that has the files this project ships in its server block.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::config;
use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// The shipped file for `X-Accel-Redirect`.
pub const ACCEL: &str = include_str!("../../nginx/piwigo-gate.conf");
/// The shipped file for `auth_request`.
pub const AUTH_REQUEST: &str = include_str!("../../nginx/piwigo-gate-auth_request.conf");

/// The shipped path of the directory in which nginx keeps decisions.
const CACHE: &str = "/run/nginx-piwigo-gate";

/// A running nginx. Dropping it ends the master and its workers.
pub struct Nginx {
    server: Server,
    address: SocketAddr,
}

impl Nginx {
    /// Starts nginx with `server` as the content of its one `server { }` (without `listen`).
    pub fn start(sandbox: &Sandbox, server: &str) -> Self {
        Self::start_with(sandbox, "", server)
    }

    /// Does the same, with `http` as text in `http { }`; `ADDRESS` in it stands for the address on which
    /// nginx listens.
    pub fn start_with(sandbox: &Sandbox, http: &str, server: &str) -> Self {
        let program = process::find_program(&["nginx"]).expect("nginx");
        let (server, address) = process::start_on_a_port(process::free_port, |address| {
            let text = frame(sandbox, address, http, server);
            let conf = sandbox.write(&format!("nginx-{}.conf", address.port()), text);
            let log = sandbox.path().join("log/nginx-error.log");
            let pid_file = sandbox.path().join(format!("run/nginx-{}.pid", address.port()));
            let mut command = Command::new(&program);
            command.arg("-p").arg(sandbox.path()).arg("-e").arg(&log).arg("-c").arg(&conf);
            Server::start("nginx", command, &log, &Endpoint::Tcp { address, pid_file })
        });
        Self { server, address }
    }

    /// Starts a gallery behind the shipped file; `guard` is [`ACCEL`] or [`AUTH_REQUEST`].
    pub fn start_gallery(sandbox: &Sandbox, guard: &str) -> Self {
        Self::start(sandbox, &gallery(sandbox, &fill_in(sandbox, guard)))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// nginx's log.
    pub fn log_text(&self) -> String {
        self.server.log_text()
    }
}

/// Replaces a shipped file's example values by this sandbox's directories and sockets. The result is the text
/// that `piwigo-gate config` prints for the sandbox; a test of the servers checks this.
pub fn fill_in(sandbox: &Sandbox, shipped: &str) -> String {
    config::in_place_of_the_example(sandbox, shipped)
}

/// The shipped line in `http { }` that lets nginx keep decisions, with a directory of this sandbox.
pub fn cache_path(sandbox: &Sandbox) -> String {
    cache_path_in(sandbox, &sandbox.path().join("tmp"))
}

/// Does the same with a directory inside `directory`.
pub fn cache_path_in(sandbox: &Sandbox, directory: &Path) -> String {
    let text = config::print(sandbox, "nginx-auth-cache-path", &[]);
    assert!(text.contains(CACHE));
    text.replace(CACHE, &directory.join("nginx-cache").display().to_string())
}

/// The server block of a site that has Piwigo in a sub-directory; `guard` was printed with that
/// `--url-prefix`.
pub fn gallery_at(sandbox: &Sandbox, prefix: &str, guard: &str) -> String {
    let site = sandbox.make_dir("site");
    std::os::unix::fs::symlink(sandbox.gallery(), site.join(prefix.trim_start_matches('/'))).expect("a link");
    let text = gallery(sandbox, guard);
    let root = format!("root {};", sandbox.gallery().display());
    assert!(text.contains(&root));
    text.replace(&root, &format!("root {};", site.display()))
}

/// A Piwigo without a guard, behind a front end that passes the visitor's address.
pub fn behind_a_front(sandbox: &Sandbox) -> String {
    format!("set_real_ip_from 127.0.0.1;\nreal_ip_header X-Forwarded-For;\n{}", gallery(sandbox, ""))
}

/// The server block of a front end that holds no files, with locations of its own that would let everything
/// through.
pub fn front(guard: &str) -> String {
    format!(
        "server_name localhost;\n{guard}\n\
         location / {{ return 200 \"original by a location of the site\\n\"; }}\n\
         location ~* \\.(jpg|jpeg|png|gif|webp|php)$ {{ return 200 \"original by a location of the site\\n\"; }}\n"
    )
}

/// The server block of a Piwigo as most guides write it, with the guard's text included in it.
///
/// The regular-expression locations are there on purpose: they must take no request from the guard.
pub fn gallery(sandbox: &Sandbox, guard: &str) -> String {
    format!(
        "server_name localhost;\nroot {root};\nindex index.php index.html;\n{guard}\n\
         location / {{ try_files $uri $uri/ =404; }}\n\
         location ~* \\.(jpg|jpeg|png|gif|webp|css|js)$ {{ expires 30d; }}\n\
         location ~ ^(?<script>.+?\\.php)(?<tail>/.*)?$ {{\n\
             include fastcgi_params.inc;\n\
             fastcgi_param SCRIPT_FILENAME $document_root$script;\n\
             fastcgi_param PATH_INFO $tail;\n\
             fastcgi_pass unix:{php};\n\
         }}\n",
        root = sandbox.gallery().display(),
        php = sandbox.php_socket().display(),
    )
    .replace("include fastcgi_params.inc;", "include fastcgi_params;")
}

fn frame(sandbox: &Sandbox, address: SocketAddr, http: &str, server: &str) -> String {
    let user = sandbox.account().map(|a| format!("user {} {};\n", a.user, a.group)).unwrap_or_default();
    let root = sandbox.path().display();
    let http = http.replace("ADDRESS", &address.to_string());
    format!(
        "daemon off;\nworker_processes 2;\n{user}pid {root}/run/nginx-{port}.pid;\n\
         error_log {root}/log/nginx-error.log info;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         include /etc/nginx/mime.types;\ndefault_type application/octet-stream;\n\
         access_log off;\nserver_tokens off;\n\
         client_body_temp_path {root}/tmp/nginx-body;\nproxy_temp_path {root}/tmp/nginx-proxy;\n\
         fastcgi_temp_path {root}/tmp/nginx-fastcgi;\nuwsgi_temp_path {root}/tmp/nginx-uwsgi;\n\
         scgi_temp_path {root}/tmp/nginx-scgi;\n\
         {http}\n\
         server {{\nlisten {address}{http2};\n{server}\n}}\n}}\n",
        port = address.port(),
        http2 = sandbox.for_http2(" http2"),
    )
    .replace("include fastcgi_params;", "include /etc/nginx/fastcgi_params;")
}
