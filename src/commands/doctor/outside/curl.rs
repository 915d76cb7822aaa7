//! Sends one HTTP request with the program `curl`: a TLS library would add more than a megabyte to a binary
//! that needs none. It uses no shell, no configuration file and no proxy, follows no redirect, and limits
//! time and bytes. Cookies come only from [`Cookies`] and go to curl by standard input, because every user
//! of the machine can read arguments.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::leak::Fetched;
use crate::http::request::MAX_COOKIES;

/// Largest part of an answer that is read, in bytes; the start of a file is enough to recognise it.
const MAX_ANSWER: u64 = 128 * 1024;

/// Largest part of curl's error message that is read, in bytes.
const MAX_COMPLAINT: u64 = 2048;

/// Seconds for one request.
const PATIENCE: &str = "10";

/// Most requests of one examination.
const MAX_REQUESTS: usize = 200;

/// Longest time of all requests together: a server that sends slowly may take ten seconds for each.
const MAX_TIME: Duration = Duration::from_mins(5);

const AGENT: &str = concat!("piwigo-gate-doctor/", env!("CARGO_PKG_VERSION"));

/// The methods that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
}

/// The gallery's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// `https://photos.example.org:8443`.
    pub(super) origin: String,
    /// Empty, or `/piwigo`.
    pub(super) prefix: String,
}

impl Base {
    /// Reads an address as a browser shows it; `None`: it is not an address, or it contains a password.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split(['?', '#']).next()?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        // A redirect may contain any text, and the report shows it as an option to type.
        let name =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte));
        let is_usable =
            matches!(&*scheme, "http" | "https") && !authority.is_empty() && name(authority) && plain(path);
        // A last part with a dot, such as `index.php`, is the name of a page.
        let directory = match path.rsplit_once('/') {
            Some((directory, last)) if last.contains('.') => directory,
            None if path.contains('.') => "",
            _ => path,
        };
        let directory = directory.trim_matches('/');
        let prefix = if directory.is_empty() { String::new() } else { format!("/{directory}") };
        is_usable.then(|| Base { origin: format!("{scheme}://{}", authority.to_ascii_lowercase()), prefix })
    }
}

/// The cookies of a visitor's browser. Anyone who has them can act as that visitor, so they are never
/// printed.
#[derive(Clone)]
pub struct Cookies(String);

/// Why a text is not a valid `Cookie` header. The message repeats nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookiesError {
    /// The text is empty.
    #[error("--cookie says nothing: give it as a browser sends it, pwg_id=…")]
    Empty,
    /// The gate would refuse the request.
    #[error("the cookies are longer than {MAX_COOKIES} bytes, which the gate refuses")]
    Long,
    /// A line's end would begin another header.
    #[error("the cookies hold a line's end or another control character, which no browser sends")]
    Control,
}

impl Cookies {
    /// The value of a `Cookie` header.
    ///
    /// # Errors
    /// When no browser would send the text, or the gate would refuse it.
    pub fn new(text: String) -> Result<Self, CookiesError> {
        match text {
            text if text.trim().is_empty() => Err(CookiesError::Empty),
            text if text.len() > MAX_COOKIES => Err(CookiesError::Long),
            text if text.chars().any(char::is_control) => Err(CookiesError::Control),
            text => Ok(Cookies(text)),
        }
    }

    /// The value as it is sent.
    pub(super) fn value(&self) -> &str {
        &self.0
    }

    /// Whether `text` contains the value of a cookie that is as long as a session's id may be.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let mut values =
            self.0.split(';').filter_map(|cookie| cookie.split_once('=')).map(|(_, value)| value.trim());
        values.any(|value| value.len() >= 16 && text.contains(value))
    }

    /// The cookies as a line of curl's configuration. `cookie = …` is not used because curl may read its
    /// value as a file's name.
    fn line(&self) -> String {
        let mut line = "header = \"Cookie: ".to_owned();
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                line.push('\\');
            }
            line.push(character);
        }
        line.push_str("\"\n");
        line
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookies(…)")
    }
}

/// A client of the web server, without cookies or with those of a visitor.
pub(super) struct HttpVisitor {
    program: PathBuf,
    pub(super) base: Base,
    insecure: bool,
    resolve: Option<String>,
    asked: AtomicUsize,
    asked_with_cookies: AtomicUsize,
    since: Instant,
}

impl HttpVisitor {
    /// `None` if there is no curl.
    pub(super) fn new(base: Base, insecure: bool, resolve: Option<String>) -> Option<Self> {
        let paths = std::env::var_os("PATH")?;
        let program =
            std::env::split_paths(&paths).map(|path| path.join("curl")).find(|path| path.is_file())?;
        let (asked, asked_with_cookies) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let since = Instant::now();
        Some(HttpVisitor { program, base, insecure, resolve, asked, asked_with_cookies, since })
    }

    /// The number of requests so far.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The number of requests with cookies so far.
    pub(super) fn asked_with_cookies(&self) -> usize {
        self.asked_with_cookies.load(Ordering::Relaxed)
    }

    /// Asks for `target`, a path from the site's root, byte for byte.
    ///
    /// # Errors
    /// What curl complained about.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        headers: &[&str],
    ) -> Result<Fetched, String> {
        self.send(&self.base.origin, method, target, headers, None).await
    }

    /// GETs `target` of another origin, such as `http://photos.example.org`.
    ///
    /// # Errors
    /// What curl complained about.
    pub(super) async fn ask_at(&self, origin: &str, target: &str) -> Result<Fetched, String> {
        self.send(origin, Method::Get, target, &[], None).await
    }

    /// GETs `target` with cookies.
    ///
    /// # Errors
    /// What curl complained about.
    pub(super) async fn ask_with(&self, cookies: &Cookies, target: &str) -> Result<Fetched, String> {
        self.send(&self.base.origin, Method::Get, target, &[], Some(cookies)).await
    }

    async fn send(
        &self,
        origin: &str,
        method: Method,
        target: &str,
        headers: &[&str],
        cookies: Option<&Cookies>,
    ) -> Result<Fetched, String> {
        if self.since.elapsed() >= MAX_TIME {
            return Err(format!(
                "{} minutes are enough for a server that is so slow",
                MAX_TIME.as_secs() / 60
            ));
        }
        if self.asked() >= MAX_REQUESTS {
            return Err(format!("{MAX_REQUESTS} requests are enough"));
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        if cookies.is_some() {
            self.asked_with_cookies.fetch_add(1, Ordering::Relaxed);
        }
        let mut command = Command::new(&self.program);
        command
            .args(["-q", "--silent", "--show-error", "--include", "--path-as-is", "--globoff", "--http1.1"])
            .args([
                "--max-time",
                PATIENCE,
                "--noproxy",
                "*",
                "--proto",
                "=http,https",
                "--user-agent",
                AGENT,
            ]);
        match method {
            Method::Get => {}
            Method::Head => drop(command.arg("--head")),
            Method::Post => drop(command.args(["--request", "POST", "--data", "x=1"])),
        }
        for header in headers {
            command.args(["--header", header]);
        }
        if self.insecure {
            command.arg("--insecure");
        }
        if let Some(resolve) = &self.resolve {
            command.args(["--resolve", resolve]);
        }
        command.arg("--url").arg(format!("{origin}{target}"));
        let stdin = if cookies.is_some() { Stdio::piped() } else { Stdio::null() };
        if cookies.is_some() {
            command.args(["--config", "-"]);
        }
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let (Some(mut stdin), Some(cookies)) = (child.stdin.take(), cookies) {
            // The line fits into a pipe's buffer. If curl has already ended, its status says why.
            let _ = stdin.write_all(cookies.line().as_bytes()).await;
        }
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (answer, complaint) = tokio::join!(start(stdout, MAX_ANSWER), start(stderr, MAX_COMPLAINT));
        // Do not wait for the rest of a longer answer.
        let _ = child.start_kill();
        let _ = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
        Fetched::parse(&answer).ok_or_else(|| {
            let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
            if complaint.is_empty() { "no HTTP answer".to_owned() } else { complaint }
        })
    }
}

/// The first bytes of a stream, up to its end or to `most`.
async fn start(stream: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let _ = stream.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_as_in_the_browser() {
        let base = |origin: &str, prefix: &str| Some(Base { origin: origin.into(), prefix: prefix.into() });
        let table = [
            ("https://photos.example.org/", base("https://photos.example.org", "")),
            ("https://photos.example.org", base("https://photos.example.org", "")),
            ("HTTP://Photos.example.org:8080/piwigo/", base("http://photos.example.org:8080", "/piwigo")),
            ("https://h/a/b", base("https://h", "/a/b")),
            ("https://h/piwigo/index.php?/category/1", base("https://h", "/piwigo")),
            ("https://h/index.php", base("https://h", "")),
            ("https://[::1]:8443/#x", base("https://[::1]:8443", "")),
            ("https://me:secret@h/", None),
            ("ftp://h/", None),
            ("photos.example.org", None),
            ("https:///x", None),
            ("https://h/a b", None),
            ("https://h$(id)/", None),
            ("https://h;id/", None),
        ];
        for (url, expected) in table {
            assert_eq!(Base::parse(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_server_that_takes_its_time_is_left_alone() {
        let base = Base::parse("http://127.0.0.1:1/").unwrap();
        let mut visitor = HttpVisitor::new(base, false, None).expect("curl");
        visitor.since = Instant::now().checked_sub(MAX_TIME).expect("an earlier time");
        let complaint = visitor.ask(Method::Get, "/", &[]).await.err().unwrap();
        assert_eq!((complaint.starts_with("5 minutes"), visitor.asked()), (true, 0), "{complaint}");
    }

    #[test]
    fn cookies_are_one_line_of_curls_configuration_and_are_not_shown() {
        let cookies = Cookies::new(r#"pwg_id=abc; x="a\b""#.to_owned()).unwrap();
        assert_eq!(cookies.line(), "header = \"Cookie: pwg_id=abc; x=\\\"a\\\\b\\\"\"\n");
        assert_eq!(format!("{cookies:?}"), "Cookies(…)");
        for (text, expected) in [
            ("", CookiesError::Empty),
            (" ", CookiesError::Empty),
            ("a=b\r\nHost: x", CookiesError::Control),
            ("a=b\0", CookiesError::Control),
            (&"a".repeat(MAX_COOKIES + 1), CookiesError::Long),
        ] {
            assert_eq!(Cookies::new(text.to_owned()).err(), Some(expected));
        }
        assert!(Cookies::new("a".repeat(MAX_COOKIES)).is_ok());
        let cookies = Cookies::new("lang=en; pwg_id=0123456789abcdef".to_owned()).unwrap();
        assert!(cookies.are_in("x0123456789abcdefx") && !cookies.are_in("ben") && !cookies.are_in(""));
    }
}
