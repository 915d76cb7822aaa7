//! FastCGI params in, one [`Request`] out: only the variables that a verdict may depend on, borrowed from
//! the params buffer. Nothing whose name begins with `HTTP_` ever configures the gate, because such
//! variables are the visitor's own words (CGI, RFC 3875 §4.1.18).

use std::borrow::Cow;
use std::net::IpAddr;

use super::Conditions;
use super::reply::SendMode;
use crate::fastcgi::{Params, Role};
use crate::piwigo::layout;

/// Longest accepted `REQUEST_URI`, in bytes. Piwigo's longest path is 255 characters; the rest is query.
pub const MAX_URI: usize = 8 * 1024;

/// Longest accepted `Cookie` header (all its lines joined), in bytes.
pub const MAX_COOKIES: usize = 16 * 1024;

/// The request method, as far as the gate cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// Anything else; answered 405.
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

/// Whether the answer to a request with these params is known without its body, which only other methods than
/// GET and HEAD have: it is 405.
pub fn needs_no_body(params: &Params<'_>) -> bool {
    params.last(b"REQUEST_METHOD").map_or(Method::Other, Method::named) == Method::Other
}

/// The web server that speaks to us, where its own traps need different treatment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// nginx: understands `X-Accel-Redirect`.
    Nginx,
    /// lighttpd: its authorizer mode serves the file when a reply is missing, so it is never answered 200
    /// there.
    Lighttpd,
    /// Caddy: `rewrite` reads a path in a header by other rules in each of its versions.
    Caddy,
    /// Any other.
    Other,
}

/// One request for a file, as the web server described it.
#[derive(Debug)]
pub struct Request<'a> {
    /// `REQUEST_METHOD`.
    pub method: Method,
    /// `REQUEST_URI`: raw, with its query, exactly as the visitor sent it.
    pub uri: &'a [u8],
    /// `HTTP_COOKIE`, all lines joined with `; `.
    pub cookies: Cow<'a, [u8]>,
    /// `REMOTE_ADDR` as text: it must be the one that PHP sees (docs/spec/piwigo.md §2.2).
    pub remote_addr: &'a str,
    /// `SERVER_SOFTWARE`.
    pub server: Server,
    /// The FastCGI role the server asked for.
    pub role: Role,
    /// `FCGI_APACHE_ROLE` came: an authorizer of Apache's, which takes silence for a no.
    pub by_apache_role: bool,
    /// `GATE_DELIVER`, set by the server's own file.
    pub deliver: Option<SendMode>,
    /// The server sends a visitor on to `i.php` where the answer says so; not by `GATE_LOCAL_REDIRECT=no`.
    pub hands_over: bool,
    /// `GATE_ACTION_PHP=hand-over`, set by the server's own file: the server sends a visitor on to Piwigo's
    /// `action.php` where the answer says so.
    pub hands_over_downloads: bool,
    /// `GATE_NAMES_FILE=yes`, set by nginx's file where it only asks: nginx serves the file that the yes
    /// names.
    pub names_file: bool,
    /// `GATE_CACHE=apart`, set by nginx's file: what browsers may keep is said in a header of its own. nginx
    /// would show the gate's `Cache-Control` with errors that come after the yes, too.
    pub cache_apart: bool,
    /// `GATE_SYMLINKS=same-owner`, set by nginx's file where it says `disable_symlinks if_not_owner`.
    pub server_looks_at_links: bool,
    /// `GATE_XSENDFILE=raw`, set by the server's own file: the server takes the path in `X-Sendfile` as it
    /// stands. Some versions of Apache's `mod_xsendfile` percent-decode it first (`XSendFileUnescape`).
    pub sendfile_is_raw: bool,
    /// `GATE_URL_PREFIX`, set by the server's own file: where the gallery is mounted. Counts where the
    /// settings do not say so; a program on shared hosting is started without arguments and environment.
    pub url_prefix: Option<&'a str>,
    /// `REMOTE_USER`, or else `REDIRECT_REMOTE_USER`, but only where the server's own file says by
    /// `GATE_REMOTE_USER=verified` that somebody checked the password: nginx passes on the name of any
    /// `Authorization` header.
    pub remote_user: Option<&'a [u8]>,
    /// The header `X-PIWIGO-API`.
    pub api_key: Option<&'a [u8]>,
    /// The header `X-Forwarded-For`, which a client may have written. It counts with the setting
    /// `session_address` only.
    pub forwarded_for: Option<&'a [u8]>,
    /// `Sec-Fetch-Dest: document`: a person opens the address itself, it is no picture of a page.
    pub is_navigation: bool,
    /// `Range` of something behind the first byte: a player that seeks, or a download that goes on.
    pub is_continuation: bool,
    /// Piwigo on the web server's machine fetches a file: from that machine's own address, by the name that
    /// Piwigo's `fetchRemote` gives itself, and without a cookie. Only the log depends on it, because anybody
    /// can use that name.
    pub is_piwigos_own: bool,
    /// `Range` and the `If-` headers: what a file that the gate sends itself is answered by.
    pub conditions: Conditions<'a>,
}

/// Why params do not make a request.
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
    /// `GATE_DELIVER` holds a word that is not a way to deliver.
    #[error("the web server's GATE_DELIVER is none of the known ways to deliver")]
    UnknownDeliver,
    /// `GATE_URL_PREFIX` is no place where a gallery could be.
    #[error("the web server's GATE_URL_PREFIX is not a path such as /piwigo")]
    UrlPrefix,
}

/// The longest path of a unix socket, which some servers tell in the place of an address.
const MAX_ADDRESS: usize = 108;

/// Whether this can be a visitor's address. It stands in the log and is never believed to be more than Piwigo
/// makes of it, so it need not be an IP address: behind a unix socket there is none.
fn is_address(text: &str) -> bool {
    (1..=MAX_ADDRESS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

impl<'a> Request<'a> {
    /// A guest's GET of `uri` from `remote_addr`, before anything else is known.
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

    /// Reads the variables out of `params`.
    ///
    /// # Errors
    /// [`Malformed`] when one that a verdict needs is missing or over its limit; the caller refuses.
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
        // One pass; a name that comes twice overwrites, so the last one wins (docs/spec/servers.md §1.6).
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

/// What the server wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which file it is to send.
    Which,
    /// Whether it may send one: it understands no status but 200, 403 and 503.
    Whether,
    /// Whether it may, and who is asking: without a name `mod_authnz_fcgi` takes a yes for an error
    /// (docs/spec/servers.md §3.5).
    Who,
}

impl Question {
    /// Known even of params that make no request.
    pub fn of(role: Role, params: &Params<'_>) -> Self {
        let is = |name: &[u8], value: &[u8]| params.last(name) == Some(value);
        // mod_fcgid says the first of these, too, in a mode that would show the name to the visitor.
        let wants_name = is(b"FCGI_APACHE_ROLE", b"AUTHENTICATOR") && is(b"FCGI_ROLE", b"AUTHORIZER");
        match role {
            Role::Authorizer if wants_name => Question::Who,
            Role::Authorizer => Question::Whether,
            Role::Responder if is(b"GATE_DELIVER", b"authorize") => Question::Whether,
            Role::Responder => Question::Which,
        }
    }
}

/// Whether a client's address is a loopback address or the one at which it has reached the web server.
fn is_of_this_machine(client: &str, server: &[u8]) -> bool {
    let Ok(client) = client.parse::<IpAddr>() else { return false };
    let server = std::str::from_utf8(server).ok().and_then(|server| server.parse::<IpAddr>().ok());
    let client = client.to_canonical();
    client.is_loopback() || server.is_some_and(|server| server.to_canonical() == client)
}

/// A header's value; some servers pass an empty one for a header that did not come.
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
