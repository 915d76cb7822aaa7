//! One HTTP request as a stranger sends it, by the program `curl`: TLS of our own would cost more than a megabyte of a
//! binary that has none. No shell, no configuration file, no proxy, no cookie; time and bytes are bounded.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::leak::Answer;

/// Bytes of an answer that are read; the start of a file is enough to know it by.
const MAX_ANSWER: u64 = 128 * 1024;

/// Bytes of curl's own complaint.
const MAX_COMPLAINT: u64 = 2048;

/// Seconds for one request.
const PATIENCE: &str = "10";

/// Requests of one examination, at most.
const MAX_REQUESTS: usize = 90;

const AGENT: &str = concat!("piwigo-gate-doctor/", env!("CARGO_PKG_VERSION"));

/// The method, as far as a stranger's tries go.
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
    /// Reads an address as it stands in a browser; `None` if it is none, or holds a password.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split(['?', '#']).next()?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_usable = matches!(&*scheme, "http" | "https")
            && !authority.is_empty()
            && !authority.contains('@')
            && plain(authority)
            && plain(path);
        // `index.php` and what else stands behind the last slash is a page's name.
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

/// A stranger at the door.
pub(super) struct Visitor {
    program: PathBuf,
    pub(super) base: Base,
    insecure: bool,
    resolve: Option<String>,
    asked: AtomicUsize,
}

impl Visitor {
    /// `None` if there is no curl.
    pub(super) fn new(base: Base, insecure: bool, resolve: Option<String>) -> Option<Self> {
        let paths = std::env::var_os("PATH")?;
        let program =
            std::env::split_paths(&paths).map(|path| path.join("curl")).find(|path| path.is_file())?;
        Some(Visitor { program, base, insecure, resolve, asked: AtomicUsize::new(0) })
    }

    /// How many requests there were.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Asks for `target`, a path from the site's root, byte for byte.
    ///
    /// # Errors
    /// What curl complained about.
    pub(super) async fn ask(&self, method: Method, target: &str, headers: &[&str]) -> Result<Answer, String> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS {
            return Err(format!("{MAX_REQUESTS} requests are enough"));
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
        command.arg("--url").arg(format!("{}{target}", self.base.origin));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (answer, complaint) = tokio::join!(start(stdout, MAX_ANSWER), start(stderr, MAX_COMPLAINT));
        // What is longer is not waited for.
        let _ = child.start_kill();
        let _ = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
        Answer::parse(&answer).ok_or_else(|| {
            let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
            if complaint.is_empty() { "no HTTP answer".to_owned() } else { complaint }
        })
    }
}

/// The first bytes that come, up to the end or to `most`.
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
        ];
        for (url, expected) in table {
            assert_eq!(Base::parse(url), expected, "{url}");
        }
    }
}
