//! Turns FastCGI params into one [`Request`]: only the variables that an answer may depend on, borrowed from
//! the params buffer. No variable whose name begins with `HTTP_` configures the gate, because the visitor
//! writes those (CGI, RFC 3875 §4.1.18).

use std::borrow::Cow;
use std::net::IpAddr;

use super::Conditions;
use super::reply::SendMode;
use crate::fastcgi::{Params, Role};
use crate::piwigo::layout;

/// The longest accepted `REQUEST_URI`, in bytes. Piwigo's longest path has 255 characters; the rest is query.
pub const MAX_URI: usize = 8 * 1024;

/// The longest accepted `Cookie` header (all its lines joined), in bytes.
pub const MAX_COOKIES: usize = 16 * 1024;

/// The request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// Any other method, which gets a 405.
    Other,
}

impl Method {
    fn named(name: &[u8]) -> Self {
        match name {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            _ => Method::Other,
        }
    }
}

/// Whether the answer is known without the body: a request with another method than GET or HEAD gets a 405.
pub fn needs_no_body(params: &Params<'_>) -> bool {
    params.last(b"REQUEST_METHOD").map_or(Method::Other, Method::named) == Method::Other
}

/// The web server in front of the gate, if its quirks need a different treatment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// nginx: understands `X-Accel-Redirect`.
    Nginx,
    /// lighttpd: in its authorizer mode it serves the file if a reply is missing, so the gate never answers
    /// 200 there.
    Lighttpd,
    /// Caddy: each of its versions reads a path for `rewrite` in a header by different rules.
    Caddy,
    /// Any other server.
    Other,
}

/// One request for a file, as the web server describes it.
#[derive(Debug)]
pub struct Request<'a> {
    /// `REQUEST_METHOD`.
    pub method: Method,
    /// `REQUEST_URI`: raw and with its query, as the visitor sent it.
    pub uri: &'a [u8],
    /// `HTTP_COOKIE`, all lines joined with `; `.
    pub cookies: Cow<'a, [u8]>,
    /// `REMOTE_ADDR` as text. It must be the address that PHP sees (docs/spec/piwigo.md §2.2).
    pub remote_addr: &'a str,
    /// `SERVER_SOFTWARE`.
    pub server: Server,
    /// The FastCGI role in which the server calls the gate.
    pub role: Role,
    /// The params hold `FCGI_APACHE_ROLE`: an authorizer of Apache, which treats a missing answer as a
    /// refusal.
    pub by_apache_role: bool,
    /// `GATE_DELIVER`, set by the server's configuration.
    pub deliver: Option<SendMode>,
    /// Whether the server can hand a request over to `i.php` when the answer says so. Not with
    /// `GATE_LOCAL_REDIRECT=no`.
    pub hands_over: bool,
    /// `GATE_ACTION_PHP=hand-over`, set by the server's configuration: the server can hand a request over to
    /// Piwigo's `action.php` when the answer says so.
    pub hands_over_downloads: bool,
    /// `GATE_NAMES_FILE=yes`, set by nginx's configuration for a check: nginx serves the file that the gate's
    /// allow names.
    pub names_file: bool,
    /// `GATE_CACHE=apart`, set by nginx's configuration: the `Cache-Control` value goes into a header of its
    /// own. Otherwise nginx would also send the gate's `Cache-Control` with an error that follows the allow.
    pub cache_apart: bool,
    /// `GATE_SYMLINKS=same-owner`, set by nginx's configuration together with `disable_symlinks
    /// if_not_owner`.
    pub server_looks_at_links: bool,
    /// `GATE_XSENDFILE=raw`, set by the server's configuration: the server uses the path in `X-Sendfile`
    /// literally. Some versions of Apache's `mod_xsendfile` percent-decode it first (`XSendFileUnescape`).
    pub sendfile_is_raw: bool,
    /// `GATE_URL_PREFIX`, set by the server's configuration: where the gallery is mounted. It counts if the
    /// settings have no prefix, because shared hosting starts a program without arguments and environment.
    pub url_prefix: Option<&'a str>,
    /// `REMOTE_USER`, or else `REDIRECT_REMOTE_USER`, but only if the server's configuration sets
    /// `GATE_REMOTE_USER=verified` because the server has checked the password. nginx passes on the name of
    /// any `Authorization` header.
    pub remote_user: Option<&'a [u8]>,
    /// The header `X-PIWIGO-API`.
    pub api_key: Option<&'a [u8]>,
    /// The header `X-Forwarded-For`, which a client may have written. Only the setting `session_address`
    /// makes it count.
    pub forwarded_for: Option<&'a [u8]>,
    /// `Sec-Fetch-Dest: document`: the visitor opens the address itself, not a page with the picture.
    pub is_navigation: bool,
    /// `Range` begins after the first byte: a player seeks, or a download resumes.
    pub is_continuation: bool,
    /// Piwigo fetches a file from the web server's own machine: the client has that machine's address, the
    /// user agent of Piwigo's `fetchRemote`, and no cookie. Only the log depends on it, because any client
    /// can use that user agent.
    pub is_piwigos_own: bool,
    /// `Range` and the `If-` headers, for a file that the gate sends itself.
    pub conditions: Conditions<'a>,
}

/// Why the params do not make a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The server sent no `REQUEST_URI`.
    #[error("the web server sent no REQUEST_URI")]
    NoUri,
    /// `REQUEST_URI` is longer than [`MAX_URI`].
    #[error("REQUEST_URI is longer than {MAX_URI} bytes")]
    LongUri,
    /// The cookies are longer than [`MAX_COOKIES`].
    #[error("the Cookie header is longer than {MAX_COOKIES} bytes")]
    LongCookies,
    /// `REMOTE_ADDR` is missing or cannot be an address.
    #[error("the web server sent no usable REMOTE_ADDR")]
    NoAddress,
    /// `GATE_DELIVER` is not a known way to deliver.
    #[error("the web server's GATE_DELIVER is none of the known ways to deliver")]
    UnknownDeliver,
    /// `GATE_URL_PREFIX` cannot be the path of a gallery.
    #[error("the web server's GATE_URL_PREFIX is not a path such as /piwigo")]
    UrlPrefix,
}

/// The longest path of a unix socket, which some servers pass instead of an address.
const MAX_ADDRESS: usize = 108;

/// Whether the text can be a visitor's address. It need not be an IP address, because a unix socket has none:
/// the gate logs it, and otherwise treats it only as Piwigo does.
fn is_address(text: &str) -> bool {
    (1..=MAX_ADDRESS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

impl<'a> Request<'a> {
    /// Creates a guest's GET of `uri` from `remote_addr`, with defaults for all other fields.
    pub fn new(uri: &'a [u8], remote_addr: &'a str) -> Self {
        Request {
            method: Method::Get,
            uri,
            cookies: Cow::Borrowed(b""),
            remote_addr,
            server: Server::Other,
            role: Role::Responder,
            by_apache_role: false,
            deliver: None,
            hands_over: true,
            hands_over_downloads: false,
            names_file: false,
            cache_apart: false,
            server_looks_at_links: false,
            sendfile_is_raw: false,
            url_prefix: None,
            remote_user: None,
            api_key: None,
            forwarded_for: None,
            is_navigation: false,
            is_continuation: false,
            is_piwigos_own: false,
            conditions: Conditions::default(),
        }
    }

    /// Reads the variables from `params`.
    ///
    /// # Errors
    /// [`Malformed`] if a required variable is missing, malformed or over its limit. The caller refuses such
    /// a request.
    pub fn from_params(role: Role, params: &Params<'a>) -> Result<Self, Malformed> {
        let mut method = Method::Other;
        let mut uri: Option<&[u8]> = None;
        let mut remote_addr: &[u8] = b"";
        let mut server = Server::Other;
        let mut deliver: Option<&[u8]> = None;
        let mut hands_over = true;
        let mut hands_over_downloads = false;
        let mut names_file = false;
        let mut cache_apart = false;
        let mut server_looks_at_links = false;
        let mut sendfile_is_raw = false;
        let mut by_apache_role = false;
        let mut url_prefix: &[u8] = b"";
        let (mut user, mut redirect_user, mut user_is_verified) = (None, None, false);
        let mut api_key = None;
        let mut forwarded_for = None;
        let mut is_navigation = false;
        let mut is_continuation = false;
        let (mut server_addr, mut user_agent): (&[u8], &[u8]) = (b"", b"");
        let mut conditions = Conditions::default();
        // One pass; a repeated name overwrites, so the last one wins (docs/spec/servers.md §1.6).
        for (name, value) in params {
            match name {
                b"REQUEST_METHOD" => method = Method::named(value),
                b"REQUEST_URI" => uri = Some(value),
                b"REMOTE_ADDR" => remote_addr = value,
                b"SERVER_SOFTWARE" => server = Server::from_software(value),
                b"GATE_DELIVER" => deliver = Some(value),
                b"GATE_LOCAL_REDIRECT" => hands_over = value != b"no",
                b"GATE_ACTION_PHP" => hands_over_downloads = value == b"hand-over",
                b"FCGI_APACHE_ROLE" => by_apache_role = true,
                b"GATE_NAMES_FILE" => names_file = value == b"yes",
                b"GATE_CACHE" => cache_apart = value == b"apart",
                b"GATE_SYMLINKS" => server_looks_at_links = value == b"same-owner",
                b"GATE_XSENDFILE" => sendfile_is_raw = value == b"raw",
                b"GATE_URL_PREFIX" => url_prefix = value,
                b"REMOTE_USER" => user = Some(value),
                b"REDIRECT_REMOTE_USER" => redirect_user = Some(value),
                b"GATE_REMOTE_USER" => user_is_verified = value == b"verified",
                b"HTTP_X_PIWIGO_API" => api_key = Some(value),
                b"HTTP_X_FORWARDED_FOR" => forwarded_for = Some(value),
                b"HTTP_RANGE" => {
                    is_continuation = !value.starts_with(b"bytes=0-") && !value.is_empty();
                    conditions.range = given(value);
                }
                b"HTTP_IF_RANGE" => conditions.if_range = given(value),
                b"HTTP_IF_MATCH" => conditions.if_match = given(value),
                b"HTTP_IF_NONE_MATCH" => conditions.if_none_match = given(value),
                b"HTTP_IF_MODIFIED_SINCE" => conditions.if_modified_since = given(value),
                b"HTTP_IF_UNMODIFIED_SINCE" => conditions.if_unmodified_since = given(value),
                b"SERVER_ADDR" => server_addr = value,
                b"HTTP_USER_AGENT" => user_agent = value,
                b"HTTP_SEC_FETCH_DEST" => is_navigation = value == b"document",
                _ => {}
            }
        }
        let uri = uri.ok_or(Malformed::NoUri)?;
        if uri.len() > MAX_URI {
            return Err(Malformed::LongUri);
        }
        let cookies = params.cookie();
        if cookies.len() > MAX_COOKIES {
            return Err(Malformed::LongCookies);
        }
        let remote_addr = std::str::from_utf8(remote_addr).map_err(|_| Malformed::NoAddress)?;
        if !is_address(remote_addr) {
            return Err(Malformed::NoAddress);
        }
        let deliver = match deliver {
            None | Some(b"") => None,
            Some(word) => Some(SendMode::from_param(word).ok_or(Malformed::UnknownDeliver)?),
        };
        let url_prefix = std::str::from_utf8(url_prefix).ok().and_then(layout::url_prefix);
        let url_prefix = Some(url_prefix.ok_or(Malformed::UrlPrefix)?).filter(|prefix| !prefix.is_empty());
        let remote_user =
            if user_is_verified { user.or(redirect_user).filter(|user| !user.is_empty()) } else { None };
        Ok(Request {
            method,
            uri,
            remote_addr,
            server,
            role,
            by_apache_role,
            deliver,
            hands_over,
            hands_over_downloads,
            names_file,
            cache_apart,
            server_looks_at_links,
            sendfile_is_raw,
            url_prefix,
            remote_user,
            api_key,
            forwarded_for,
            is_navigation,
            is_continuation,
            is_piwigos_own: user_agent == b"Piwigo"
                && cookies.is_empty()
                && is_of_this_machine(remote_addr, server_addr),
            cookies,
            conditions,
        })
    }
}

/// The question that the server asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which file to send.
    Which,
    /// Whether to send a file. The server understands only the statuses 200, 403 and 503.
    Whether,
    /// Whether to send a file, and the visitor's name. Without a name, `mod_authnz_fcgi` treats an allow as
    /// an error (docs/spec/servers.md §3.5).
    Who,
}

impl Question {
    /// Works even on params that do not make a request.
    pub fn of(role: Role, params: &Params<'_>) -> Self {
        let is = |name: &[u8], value: &[u8]| params.last(name) == Some(value);
        // mod_fcgid also sends the first of these, in a mode that would show the name to the visitor.
        let wants_name = is(b"FCGI_APACHE_ROLE", b"AUTHENTICATOR") && is(b"FCGI_ROLE", b"AUTHORIZER");
        match role {
            Role::Authorizer if wants_name => Question::Who,
            Role::Authorizer => Question::Whether,
            Role::Responder if is(b"GATE_DELIVER", b"authorize") => Question::Whether,
            Role::Responder => Question::Which,
        }
    }
}

/// Whether a client's address is a loopback address, or the address of the web server that the client
/// reached.
fn is_of_this_machine(client: &str, server: &[u8]) -> bool {
    let Ok(client) = client.parse::<IpAddr>() else { return false };
    let server = std::str::from_utf8(server).ok().and_then(|server| server.parse::<IpAddr>().ok());
    let client = client.to_canonical();
    client.is_loopback() || server.is_some_and(|server| server.to_canonical() == client)
}

/// Returns a header's value; `None` if it is empty, because some servers pass an empty value for a missing
/// header.
fn given(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    (!value.is_empty()).then_some(value)
}

impl Server {
    fn from_software(value: &[u8]) -> Self {
        if value.starts_with(b"nginx/") || value == b"nginx" {
            Server::Nginx
        } else if value.starts_with(b"lighttpd") {
            Server::Lighttpd
        } else if value.starts_with(b"Caddy") {
            Server::Caddy
        } else {
            Server::Other
        }
    }
}

#[cfg(test)]
mod tests;
