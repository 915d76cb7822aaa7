//! Turns a [`Reply`] into the CGI header block and body for one web server (RFC 3875 §6). Only this file
//! enforces two rules: a redirect header goes out alone and with an explicit `Status: 200`, and every refusal
//! has the same bytes whatever its reason (docs/spec/servers.md §1.1 to §1.4).

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};
use std::fmt::Write as _;
use std::time::SystemTime;

use super::disposition::Disposition;
use super::picture_address::PictureAddress;
use super::validators::Validators;
use super::{Body, Streamed, media};

/// The prefix of nginx's internal location for files; `nginx/*.conf` uses the same.
pub const ACCEL_FILE_PREFIX: &str = "/_gate/file/";

/// The prefix of nginx's internal location for files beside the gallery's root (`../` sites).
pub const ACCEL_PARENT_PREFIX: &str = "/_gate/parent/";

/// nginx's internal location for a derivative that Piwigo's `i.php` makes.
pub const ACCEL_I_PHP: &str = "/_gate/i.php";

/// nginx's internal location for a download that Piwigo's `action.php` answers.
pub const ACCEL_ACTION_PHP: &str = "/_gate/action.php";

/// The header by which nginx's locations recognise the gate's allow: another program behind nginx can also
/// send `X-Accel-Redirect`. For a server that only asks for a verdict, it names the judged file.
pub const JUDGED_FILE: &str = "X-Piwigo-Gate-File";

/// The header that tells nginx's file the `Cache-Control` value for browsers (`GATE_CACHE=apart`).
pub const CACHE: &str = "X-Piwigo-Gate-Cache";

/// The characters to encode in a path: all but those that every server accepts unencoded
/// (docs/spec/servers.md §1.7).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The characters to encode in a query that goes into a header. All others stay as the visitor sent them.
const NOT_IN_A_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'#');

/// The picture of a refusal (`deny = "image"`): a grey padlock.
const REFUSED_PNG: &[u8] = include_bytes!("refused.png");

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
const SIGN_IN: &str = "Please sign in\n";

/// The end of a header block that no browser may keep.
const NOT_KEPT: &str = "Cache-Control: no-store\r\nVary: Cookie\r\nX-Content-Type-Options: nosniff\r\n\r\n";

/// How the gate tells the web server to send an allowed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendMode {
    /// `X-Accel-Redirect: /_gate/file/<path>` (nginx).
    XAccelRedirect,
    /// `X-Sendfile: <absolute path>` (Apache with `mod_xsendfile`, Caddy).
    XSendfile,
    /// `X-Sendfile` with a percent-encoded path (lighttpd, which decodes it).
    XSendfileEncoded,
    /// `Location: /<path>`, a local redirect (Apache with `mod_fcgid` alone).
    Location,
    /// An empty 200: the server only asks for a verdict (nginx `auth_request`, FastCGI authorizers).
    Authorize,
    /// The file's bytes: for any server that speaks FastCGI.
    Stream,
}

impl SendMode {
    /// Parses the value of the FastCGI param `GATE_DELIVER`.
    pub fn from_param(word: &[u8]) -> Option<Self> {
        match word {
            b"x-accel-redirect" => Some(SendMode::XAccelRedirect),
            b"x-sendfile" => Some(SendMode::XSendfile),
            b"x-sendfile-encoded" => Some(SendMode::XSendfileEncoded),
            b"location" => Some(SendMode::Location),
            b"authorize" => Some(SendMode::Authorize),
            b"stream" => Some(SendMode::Stream),
            _ => None,
        }
    }
}

/// The status of a refusal, the same for denied, unknown and malformed requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyStatus {
    /// `403 Forbidden`, the default.
    Forbidden,
    /// `401 Unauthorized`.
    Unauthorized,
    /// `404 Not Found`.
    NotFound,
}

impl DenyStatus {
    fn line(self) -> &'static str {
        match self {
            DenyStatus::Forbidden => "403 Forbidden",
            DenyStatus::Unauthorized => "401 Unauthorized",
            DenyStatus::NotFound => "404 Not Found",
        }
    }

    fn words(self) -> &'static str {
        match self {
            DenyStatus::Forbidden => "Forbidden\n",
            DenyStatus::Unauthorized => "Unauthorized\n",
            DenyStatus::NotFound => "Not found\n",
        }
    }

    /// A 401 must name a scheme; no browser asks for a password because of this one.
    fn extra(self) -> &'static str {
        match self {
            DenyStatus::Unauthorized => "WWW-Authenticate: Piwigo realm=\"gallery\"\r\n",
            DenyStatus::Forbidden | DenyStatus::NotFound => "",
        }
    }

    /// Returns the status code.
    pub fn code(self) -> u16 {
        match self {
            DenyStatus::Forbidden => 403,
            DenyStatus::Unauthorized => 401,
            DenyStatus::NotFound => 404,
        }
    }
}

/// An allowed file, in the form that the web server needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// nginx serves `<gallery>/<path>` through its internal location.
    AccelFile {
        /// Relative to the gallery's root, without a leading slash; or beginning with one `../`.
        path: String,
    },
    /// nginx asks PHP to make a derivative.
    AccelIPhp {
        /// The derivative's path relative to `_data/i`.
        derivative: String,
        /// Piwigo answers with the derivative's address, not with the derivative.
        asks_for_address: bool,
    },
    /// Apache or Caddy sends this file.
    Sendfile {
        /// Absolute path.
        path: String,
        /// Length in bytes; with `modified`, the basis of the file's validators.
        length: u64,
        /// Modification time.
        modified: SystemTime,
    },
    /// lighttpd sends this file with its own validators.
    SendfileEncoded {
        /// Absolute path.
        path: String,
    },
    /// Apache serves this local path through an internal redirect.
    LocalFile {
        /// `url_prefix`, empty or `/piwigo`.
        prefix: String,
        /// Relative to the gallery's root, without a leading slash.
        path: String,
    },
    /// Apache asks PHP to make a derivative.
    LocalIPhp {
        /// `url_prefix`, empty or `/piwigo`.
        prefix: String,
        /// The derivative's path relative to `_data/i`.
        derivative: String,
        /// Piwigo answers with the derivative's address, not with the derivative.
        asks_for_address: bool,
    },
    /// nginx calls PHP's `action.php`, which makes its own decision.
    AccelActionPhp {
        /// The query as the visitor sent it.
        query: Vec<u8>,
    },
    /// Apache or Caddy calls PHP's `action.php`, which makes its own decision.
    LocalActionPhp {
        /// `url_prefix`, empty or `/piwigo`.
        prefix: String,
        /// The query as the visitor sent it.
        query: Vec<u8>,
    },
    /// The server serves the file itself; it asked only for a verdict.
    Authorized {
        /// The judged file, for a server that serves exactly the named file (`GATE_NAMES_FILE`): relative to
        /// the gallery's root, without a leading slash. A header can hold it ([`fits_a_header`]).
        file: Option<String>,
    },
    /// The same for a server that also needs a name for the visitor.
    Authenticated,
    /// The gate sends the bytes.
    Stream(Streamed),
    /// The gate sends only the picture's address.
    Address(PictureAddress),
}

/// What a browser may keep of an allowed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The value of `Cache-Control`.
    pub control: String,
    /// Whether the value goes into the header [`CACHE`]. nginx's file then sends it with a file, but not with
    /// an error.
    pub is_apart: bool,
}

impl From<&str> for Cache {
    fn from(control: &str) -> Self {
        Self { control: control.to_owned(), is_apart: false }
    }
}

/// One answer. Only [`Reply::Allowed`] carries a file's path or a header that makes the server send a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The visitor may have the file.
    Allowed {
        /// How the bytes are sent.
        handover: Handover,
        /// The `Cache-Control` value for the browser.
        cache: Cache,
        /// The name under which the browser saves the file, if it is not the URL's last part.
        disposition: Option<Disposition>,
    },
    /// Denied, unknown or malformed: the answer is the same for all.
    Refused(DenyStatus),
    /// The same refusal with a picture instead of text.
    RefusedByPicture(DenyStatus),
    /// The visitor is refused and not signed in, and is sent to the sign-in page.
    SignIn {
        /// Path and query of Piwigo's sign-in page, percent-encoded.
        location: String,
    },
    /// The visitor may have the file, but it is not on disk.
    Missing,
    /// The method is neither GET nor HEAD.
    MethodNotAllowed,
    /// The database does not answer, or something failed: no verdict, no bytes.
    Unavailable,
    /// The gallery is locked (Piwigo: `gallery_locked`).
    GalleryLocked,
    /// The params exceed their limit.
    HeadersTooLarge,
    /// The params could not be parsed.
    BadRequest,
}

impl Reply {
    /// Appends the header block to `head` and returns the body. The body is empty for a HEAD request and for
    /// a file that the gate sends: [`Reply::streamed`] gives its bytes. A picture's address goes into `head`,
    /// after the block.
    pub fn encode(&self, head_only: bool, head: &mut Vec<u8>) -> &'static [u8] {
        let (status, extra, body): (&str, &str, &'static str) = match self {
            Reply::Allowed { handover, cache, disposition } => {
                encode_allowed(handover, cache, disposition.as_ref(), head);
                if let Handover::Address(address) = handover
                    && !head_only
                {
                    head.extend_from_slice(address.json().as_bytes());
                }
                return b"";
            }
            Reply::Refused(status) => (status.line(), status.extra(), status.words()),
            Reply::RefusedByPicture(status) => {
                encode_refusal(status.line(), status.extra(), "image/png", REFUSED_PNG.len(), head);
                return if head_only { b"" } else { REFUSED_PNG };
            }
            // This is never a local redirect: those have status 200 or none (RFC 3875 §6.2.2,
            // docs/spec/servers.md §3.2).
            Reply::SignIn { location } => {
                let location = format!("Location: {location}\r\n");
                encode_refusal("302 Found", &location, PLAIN_TEXT, SIGN_IN.len(), head);
                return if head_only { b"" } else { SIGN_IN.as_bytes() };
            }
            Reply::Missing => ("404 Not Found", "", "Not found\n"),
            Reply::MethodNotAllowed => {
                ("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "Method not allowed\n")
            }
            Reply::Unavailable => ("503 Service Unavailable", "Retry-After: 5\r\n", "Try again later\n"),
            Reply::GalleryLocked => {
                ("503 Service Unavailable", "Retry-After: 900\r\n", "The gallery is locked\n")
            }
            Reply::HeadersTooLarge => {
                ("431 Request Header Fields Too Large", "", "Request header fields too large\n")
            }
            Reply::BadRequest => ("400 Bad Request", "", "Bad request\n"),
        };
        encode_refusal(status, extra, PLAIN_TEXT, body.len(), head);
        if head_only { b"" } else { body.as_bytes() }
    }

    /// Returns the status code, for logs and tests.
    pub fn status(&self) -> u16 {
        match self {
            Reply::Allowed { handover: Handover::Stream(file), .. } => file.status(),
            Reply::Allowed { .. } => 200,
            Reply::Refused(status) | Reply::RefusedByPicture(status) => status.code(),
            Reply::SignIn { .. } => 302,
            Reply::Missing => 404,
            Reply::MethodNotAllowed => 405,
            Reply::Unavailable | Reply::GalleryLocked => 503,
            Reply::HeadersTooLarge => 431,
            Reply::BadRequest => 400,
        }
    }

    /// Returns the bytes of a file that the gate sends itself. They follow the header block of a GET.
    pub fn streamed(&self) -> Option<Body> {
        match self {
            Reply::Allowed { handover: Handover::Stream(file), .. } => file.body(),
            _ => None,
        }
    }

    /// Sets the name of the file if the answer sends one.
    #[must_use]
    pub fn named(self, name: Disposition) -> Self {
        match self {
            Reply::Allowed { handover, cache, .. } => {
                Reply::Allowed { handover, cache, disposition: Some(name) }
            }
            other => other,
        }
    }

    /// Reduces the answer for a server that only asks for a verdict: it understands only 200, 403 and 503
    /// (nginx turns any other status of an `auth_request` into a 500).
    #[must_use]
    pub fn for_authorizer(self) -> Self {
        match self {
            Reply::Allowed { handover, cache, .. } => {
                let file = if let Handover::Authorized { file } = handover { file } else { None };
                Reply::Allowed { handover: Handover::Authorized { file }, cache, disposition: None }
            }
            Reply::Unavailable | Reply::GalleryLocked => self,
            _ => Reply::Refused(DenyStatus::Forbidden),
        }
    }

    /// Adds a name for the visitor, which Apache's `mod_authnz_fcgi` reads from the answer. All visitors get
    /// the same name, because only Apache's log uses it.
    #[must_use]
    pub fn for_authenticator(self) -> Self {
        match self.for_authorizer() {
            Reply::Allowed { cache, .. } => {
                Reply::Allowed { handover: Handover::Authenticated, cache, disposition: None }
            }
            other => other,
        }
    }
}

/// Writes every answer that is not an allowed file.
fn encode_refusal(status: &str, extra: &str, content_type: &str, length: usize, head: &mut Vec<u8>) {
    let mut text = String::with_capacity(256);
    let _ = write!(
        text,
        "Status: {status}\r\n{extra}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\
         {NOT_KEPT}"
    );
    head.extend_from_slice(text.as_bytes());
}

fn encode_allowed(handover: &Handover, cache: &Cache, name: Option<&Disposition>, head: &mut Vec<u8>) {
    let mut text = String::with_capacity(320);
    // Only one `Content-Disposition` may go out: browsers refuse an answer with two different ones.
    let mut must_be_saved = false;
    if let Handover::Stream(file) = handover {
        file.write(&mut text);
        if !file.is_success() {
            text.push_str(NOT_KEPT);
            head.extend_from_slice(text.as_bytes());
            return;
        }
    } else {
        text.push_str("Status: 200 OK\r\n");
    }
    match handover {
        Handover::AccelFile { path } => {
            let (prefix, path) = match path.strip_prefix("../") {
                Some(beside) => (ACCEL_PARENT_PREFIX, beside),
                None => (ACCEL_FILE_PREFIX, path.as_str()),
            };
            let _ = write!(text, "X-Accel-Redirect: {prefix}{}\r\n{JUDGED_FILE}: yes\r\n", encode_path(path));
            // nginx's own location adds the rest: it drops a sandbox header that comes from here.
            must_be_saved = media::is_active(path);
        }
        Handover::AccelIPhp { derivative, asks_for_address } => {
            let _ = write!(
                text,
                "X-Accel-Redirect: {ACCEL_I_PHP}?/{}{}\r\n{JUDGED_FILE}: yes\r\n",
                encode_path(derivative),
                address_parameter(*asks_for_address)
            );
        }
        Handover::Sendfile { path, length, modified } => {
            let _ = write!(text, "X-Sendfile: {path}\r\n");
            must_be_saved = push_type(path, &mut text);
            // Without these, mod_xsendfile answers conditional requests with the validators of the gate's own
            // file (docs/spec/servers.md §3.3).
            Validators::of(*length, *modified).write(&mut text);
        }
        Handover::SendfileEncoded { path } => {
            let _ = write!(text, "X-Sendfile: {}\r\n", encode_path(path));
            must_be_saved = push_type(path, &mut text);
        }
        Handover::LocalFile { prefix, path } => {
            let _ = write!(text, "Location: {}/{}\r\n", encode_path(prefix), encode_path(path));
            text.push_str(media::sandbox(path));
            must_be_saved = media::is_active(path);
        }
        Handover::LocalIPhp { prefix, derivative, asks_for_address } => {
            let _ = write!(
                text,
                "Location: {}/i.php?/{}{}\r\n",
                encode_path(prefix),
                encode_path(derivative),
                address_parameter(*asks_for_address)
            );
        }
        // The server's configuration for the script sets what browsers may keep.
        Handover::AccelActionPhp { query } => {
            let _ = write!(text, "X-Accel-Redirect: {ACCEL_ACTION_PHP}{}\r\n\r\n", encode_query(query));
            head.extend_from_slice(text.as_bytes());
            return;
        }
        Handover::LocalActionPhp { prefix, query } => {
            let _ =
                write!(text, "Location: {}/action.php{}\r\n\r\n", encode_path(prefix), encode_query(query));
            head.extend_from_slice(text.as_bytes());
            return;
        }
        Handover::Authorized { file } => {
            text.push_str("Content-Length: 0\r\n");
            if let Some(file) = file {
                let _ = write!(text, "{JUDGED_FILE}: {file}\r\n");
            }
        }
        // Apache's file reads the name: UserExpr "%{reqenv:PIWIGO_GATE_USER}".
        Handover::Authenticated => {
            text.push_str("Content-Length: 0\r\nVariable-PIWIGO_GATE_USER: visitor\r\n");
        }
        Handover::Stream(file) => must_be_saved = file.must_be_saved(),
        Handover::Address(address) => address.write_headers(&mut text),
    }
    match name {
        Some(name) => {
            let _ = write!(text, "Content-Disposition: {}\r\n", name.value(must_be_saved));
        }
        None if must_be_saved => text.push_str("Content-Disposition: attachment\r\n"),
        None => {}
    }
    let is_accel = matches!(handover, Handover::AccelFile { .. } | Handover::AccelIPhp { .. });
    let header = if is_accel && cache.is_apart { CACHE } else { "Cache-Control" };
    let control = &cache.control;
    let _ = write!(text, "{header}: {control}\r\nVary: Cookie\r\nX-Content-Type-Options: nosniff\r\n\r\n");
    head.extend_from_slice(text.as_bytes());
}

/// Returns the parameter that makes Piwigo's `i.php` answer with an address.
fn address_parameter(asks_for_address: bool) -> &'static str {
    if asks_for_address { "&ajaxload=true" } else { "" }
}

/// Appends the file's type, for a server that does not determine it (`mod_fcgid`). Returns whether the
/// browser must save the file.
fn push_type(path: &str, text: &mut String) -> bool {
    let known = media::content_type(path);
    let _ = write!(text, "Content-Type: {}\r\n{}", known.unwrap_or(media::UNKNOWN), media::sandbox(path));
    known.is_none() || media::is_active(path)
}

/// Whether a header can hold this name byte for byte. Servers strip blanks at both ends.
pub fn fits_a_header(name: &str) -> bool {
    !name.starts_with(' ') && !name.ends_with(' ') && !name.contains(char::is_control)
}

/// Percent-encodes a path for a header; a slash stays a slash.
pub fn encode_path(path: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encode(path.as_bytes(), ENCODED)
}

/// Encodes a query for a header, with its `?`; empty if there is no query.
fn encode_query(query: &[u8]) -> String {
    if query.is_empty() { String::new() } else { format!("?{}", percent_encode(query, NOT_IN_A_HEADER)) }
}

#[cfg(test)]
mod tests;
