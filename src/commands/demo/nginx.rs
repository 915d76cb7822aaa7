//! A private nginx in front of the gate: its configuration, its start and its end. It has its own directory
//! for everything it reads and writes, listens on 127.0.0.1 only, and knows nothing of the system's nginx.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::plan::Plan;
use super::{Error, grant};

/// How long nginx may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name of the gate's socket in the demo's directory.
pub(super) const SOCKET: &str = "gate.sock";

/// Name of Piwigo's session cookie.
pub(super) const COOKIE: &str = "pwg_id";

/// The cookie of a visitor who wants to see the gallery without the gate; its value is `off`.
pub(super) const SWITCH: &str = "demo_gate";

/// Where the pages lie in the demo's directory: those of the guarded gallery, and those of the unguarded one.
pub(super) const PAGES: [&str; 2] = ["www/on", "www/off"];

/// In the demo's directory, too: nginx's number, once it has its port.
const PID_FILE: &str = "nginx.pid";

/// The locations whose requests go to the gate. `^~` wins over any location with a regular expression.
const GUARDED: [&str; 5] = ["^~ /upload", "^~ /galleries", "^~ /_data/i", "= /i.php", "= /action.php"];

/// In front of [`GATE`]: a visitor who has switched the gate off gets what the web server has, as without a
/// gate. The number is nobody's status; it only names the way.
const WITHOUT_GATE: &str = "
            error_page 418 = @without_gate;
            if ($gate = off) { return 418; }";

const GATE: &str = "
            fastcgi_pass unix:gate.sock;
            fastcgi_param GATE_DELIVER x-accel-redirect;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param SCRIPT_NAME $fastcgi_script_name;
            fastcgi_param DOCUMENT_URI $document_uri;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
            fastcgi_param GATEWAY_INTERFACE CGI/1.1;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param REMOTE_PORT $remote_port;
            fastcgi_param SERVER_ADDR $server_addr;
            fastcgi_param SERVER_PORT $server_port;
            fastcgi_param SERVER_NAME $server_name;
            fastcgi_param REMOTE_USER \"\";
            fastcgi_param HTTP_PROXY \"\";
            fastcgi_param CONTENT_LENGTH \"\";
            fastcgi_param CONTENT_TYPE \"\";
            fastcgi_pass_request_body off;
            fastcgi_hide_header X-Sendfile;
";

/// The configuration, for nginx started with the demo's directory as prefix and working directory: every path
/// in it is relative, so that no name of a directory needs quoting and none is too long for a socket.
pub(super) fn configuration(plan: &Plan, port: u16) -> String {
    let (mut pages, mut switches, mut rights, mut guarded) =
        (String::new(), String::new(), String::new(), String::new());
    // Writing to a string cannot fail.
    for visitor in &plan.visitors {
        let name = visitor.name;
        let (value, age) = match &visitor.cookie {
            Some(cookie) => {
                let _ = writeln!(pages, "        {cookie} {name};");
                (cookie.as_str(), "")
            }
            None => ("", " Max-Age=0;"),
        };
        let _ = write!(
            switches,
            "
        location = /as/{name} {{
            add_header Set-Cookie \"{COOKIE}={value}; Path=/;{age} HttpOnly; SameSite=Lax\";
            add_header Cache-Control no-store;
            return 303 /;
        }}
"
        );
    }
    for change in ["take", "give"] {
        let _ = write!(
            rights,
            "
        location = /right/{change} {{
            limit_except POST {{ deny all; }}
            proxy_pass http://unix:{socket}:/{change};
            proxy_pass_request_headers off;
            proxy_pass_request_body off;
            proxy_set_header Content-Length \"\";
            proxy_redirect off;
        }}
",
            socket = grant::SOCKET
        );
    }
    for location in GUARDED {
        // The scripts, which have exact names, are PHP, and the demo has none: without the gate they could
        // only fail.
        let bypass = if location.starts_with('=') { "" } else { WITHOUT_GATE };
        let _ = write!(guarded, "\n        location {location} {{{bypass}{GATE}        }}\n");
    }
    format!(
        "# One process, so that nothing is left when it is ended.
daemon off;
master_process off;
worker_processes 1;
pid {PID_FILE};
error_log error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    server_tokens off;
    absolute_redirect off;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    default_type application/octet-stream;
    types {{
        text/html html;
        image/jpeg jpg;
        video/mp4 mp4;
    }}

    # The page of whoever the cookie belongs to.
    map_hash_bucket_size 128;
    map $cookie_{COOKIE} $visitor {{
        default guest;
{pages}    }}
    map $cookie_{SWITCH} $gate {{
        default on;
        off off;
    }}

    server {{
        listen 127.0.0.1:{port};
        server_name localhost;

        location / {{ return 404; }}

        location = / {{
            root www;
            try_files /$gate/$visitor.html =404;
            add_header Cache-Control no-store;
            add_header X-Content-Type-Options nosniff;
        }}
{switches}
        location = /gate/off {{
            add_header Set-Cookie \"{SWITCH}=off; Path=/; HttpOnly; SameSite=Lax\";
            add_header Cache-Control no-store;
            return 303 /;
        }}

        location = /gate/on {{
            add_header Set-Cookie \"{SWITCH}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax\";
            add_header Cache-Control no-store;
            return 303 /;
        }}
{rights}{guarded}
        # What a web server without a gate does. The browser keeps no copy: it asks again once the gate is back.
        location @without_gate {{
            root gallery;
            add_header Cache-Control no-store;
        }}

        # Where the gate sends an allowed request; nobody gets here from outside.
        location ^~ /_gate/file/ {{
            internal;
            alias gallery/;
            try_files $uri =404;
            add_header X-Content-Type-Options nosniff always;
            add_header Vary Cookie always;
        }}
    }}
}}
"
    )
}

/// Finds the program: in PATH, then where Debian and the BSDs have it but an ordinary user's PATH does not.
///
/// # Errors
/// `Error::NoNginx` when it is nowhere.
pub(super) fn find() -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"].map(PathBuf::from))
        .map(|directory| directory.join("nginx"))
        .find(|program| program.is_file())
        .ok_or(Error::NoNginx)
}

/// Checks that the port is free; 0 asks for any free one. Returns the port to use.
///
/// # Errors
/// `Error::Port` when somebody listens there, or when this user may not listen there.
pub(super) fn free_port(port: u16) -> Result<u16, Error> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| Error::Port { port, source })?;
    listener.local_addr().map(|address| address.port()).map_err(|source| Error::Port { port, source })
}

/// A running nginx; it is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Nginx {
    child: Child,
    directory: PathBuf,
}

impl Nginx {
    /// Starts `program` with `configuration` in `directory` and waits until it takes connections on `port`.
    ///
    /// # Errors
    /// `Error::Files` when its files cannot be written, `Error::Nginx` with nginx's own words when it does
    /// not start.
    pub(super) async fn start(
        program: &Path,
        configuration: &str,
        directory: &Path,
        port: u16,
    ) -> Result<Self, Error> {
        fs::create_dir_all(directory.join("tmp")).map_err(Error::Files)?;
        fs::write(directory.join("nginx.conf"), configuration).map_err(Error::Files)?;
        // Until it has read its configuration nginx complains to stderr; afterwards to error.log.
        let complaints = fs::File::create(directory.join("start.log")).map_err(Error::Files)?;
        let child = Command::new(program)
            // Relative, too: nginx takes a `$` in its prefix for a variable.
            .args(["-p", "./", "-c", "nginx.conf"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints)
            // Ctrl-C is for the demo, which ends nginx in its turn.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::Nginx(format!("{}: {error}", program.display())))?;
        let mut nginx = Self { child, directory: directory.to_owned() };
        nginx.wait_until_ready(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        Ok(nginx)
    }

    async fn wait_until_ready(&mut self, address: SocketAddr) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("nginx ended at once ({status})")));
            }
            // It writes the file once it has the port; before, somebody else may answer there.
            let has_the_port = fs::metadata(self.directory.join(PID_FILE)).is_ok_and(|file| file.len() > 0);
            if has_the_port && TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(self.failure("nginx does not answer"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nginx ends by itself, which it should not, and tells why.
    pub(super) async fn ended(&mut self) -> Error {
        let status = self.child.wait().await;
        self.failure(&format!("nginx ended by itself ({})", describe(status)))
    }

    /// `what`, followed by the last lines that nginx wrote.
    fn failure(&self, what: &str) -> Error {
        let log = ["start.log", "error.log"]
            .map(|name| fs::read_to_string(self.directory.join(name)).unwrap_or_default());
        let log = log.concat();
        // Every nginx says this of the system's log when an ordinary user starts it; it never matters.
        let lines: Vec<&str> =
            log.lines().filter(|line| !line.contains("could not open error log file")).collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
        Error::Nginx(format!("{what}. Its last words:\n  {last}"))
    }
}

impl Drop for Nginx {
    /// Waits until it is gone: while it lives it may put files into the directory that is removed next.
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::sample;
    use super::*;

    #[test]
    fn every_guarded_address_goes_to_the_gate_and_all_else_is_closed() {
        let text = configuration(&sample(), 8080);
        for location in GUARDED {
            let (_, block) = text.split_once(&format!("location {location} {{")).unwrap();
            let block = block.strip_prefix(WITHOUT_GATE).unwrap_or(block);
            assert!(block.trim_start().starts_with("fastcgi_pass unix:gate.sock;"), "{location}");
        }
        // The gate is left out for a visitor who has asked for that, and for nobody else.
        assert_eq!(text.matches("return 418").count(), text.matches("if ($gate = off)").count());
        assert!(text.contains("map $cookie_demo_gate $gate {\n        default on;\n        off off;\n    }"));
        assert_eq!(text.matches("fastcgi_pass unix:").count(), GUARDED.len());
        assert!(text.contains("location / { return 404; }"));
        assert!(text.contains("location ^~ /_gate/file/ {\n            internal;"));
        assert!(text.contains("listen 127.0.0.1:8080;"));
    }

    #[test]
    fn quotes_and_braces_are_balanced() {
        let text = configuration(&sample(), 8080);
        for line in text.lines() {
            assert_eq!(line.matches('"').count() % 2, 0, "{line}");
        }
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        assert!(!text.contains('\\') && text.is_ascii());
    }

    #[test]
    fn a_visitor_is_a_cookie_and_the_guest_is_none() {
        let text = configuration(&sample(), 8080);
        assert!(text.contains("\"pwg_id=aaaaaaaaaaaaaaaaaaaaaaaaaa; Path=/; HttpOnly; SameSite=Lax\""));
        assert!(text.contains("        aaaaaaaaaaaaaaaaaaaaaaaaaa alice;\n"));
        assert!(text.contains("\"pwg_id=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax\""));
        assert!(!text.contains(" guest;\n        guest"));
    }

    #[test]
    fn a_port_in_use_is_refused_and_zero_finds_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(free_port(port), Err(Error::Port { port: refused, .. }) if refused == port));
        assert_ne!(free_port(0).unwrap(), 0);
    }
}
