//! Turns the reason for a refusal into one line of the log and the URL of the sign-in page. The visitor does
//! not learn the reason. `docs/logs.md` documents the line's format, and `fail2ban/filter.d/piwigo-gate.conf`
//! matches it.

mod budget;

use std::fmt;
use std::net::IpAddr;

use budget::Allowance;
pub use budget::Budget;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::http::reply::encode_path;
use crate::http::request::Request;
use crate::piwigo::layout::Layout;
use crate::piwigo::visitor::Visitor;
use crate::verdict::access::Denial;
use crate::verdict::uri::{self, Target};

/// Why a request for a file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// Its URL names no file that the gate could serve.
    #[error(transparent)]
    Address(#[from] uri::BadUri),
    /// It is for a script, but the server would serve the file that it maps the URL to.
    #[error("a script cannot be authorized, only a file")]
    Script,
    /// Piwigo answers `action.php`, and this server cannot be sent there.
    #[error(
        "action.php is left to Piwigo (action_php), and the web server's file does not lead there: print it anew (piwigo-gate \
         config)"
    )]
    LeftToPiwigo,
    /// A query of `action.php` that is too long to be handed to Piwigo in a header.
    #[error("the query is too long to be handed to Piwigo's action.php")]
    LongQuery,
    /// There is no such icon of a file type.
    #[error("no such icon")]
    NoIcon,
    /// The visitor may not have the file.
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl RefusalReason {
    /// The word for programs that read the log. `malformed` and `unknown` are for URLs that no page of Piwigo
    /// contains, `denied` for files that exist.
    pub fn class(self) -> &'static str {
        match self {
            RefusalReason::Address(_) | RefusalReason::Script | RefusalReason::LongQuery => "malformed",
            RefusalReason::NoIcon | RefusalReason::Denied(Denial::Unknown) => "unknown",
            // A visitor who only follows a link must not be banned for it.
            RefusalReason::LeftToPiwigo | RefusalReason::Denied(_) => "denied",
        }
    }
}

/// Writes refusals to the log, within its [`Budget`].
#[derive(Default)]
pub struct Log {
    budget: Budget,
}

impl Log {
    /// Writes the line of one refusal. `visitor` is `None` if the gate has not looked for one. The line also
    /// says why a signed-in user counts as a guest.
    ///
    /// After each upload, Piwigo itself fetches a size of the photo as a guest, and tries again in two other
    /// ways. Such a line is written at level `debug`.
    pub fn refused(&self, request: &Request<'_>, visitor: Option<&Visitor>, status: u16, why: RefusalReason) {
        let client = request.remote_addr;
        if !request.is_piwigos_own && !self.has_room(client.parse().ok()) {
            return;
        }
        let user = visitor.map_or(0, |visitor| visitor.id);
        let reason = match visitor.and_then(|visitor| visitor.identity.why_guest()) {
            Some(why_guest) => format!("{why}; the visitor counts as a guest: {why_guest}"),
            None => why.to_string(),
        };
        let (class, path) = (why.class(), Path(request.uri));
        if request.is_piwigos_own {
            tracing::debug!(%client, user, %class, status, %path, reason, "refused");
        } else {
            tracing::info!(%client, user, %class, status, %path, reason, "refused");
        }
    }

    /// Writes the line of a request with neither a visitor nor a client address.
    pub fn malformed(&self, why: &dyn fmt::Display) {
        if self.has_room(None) {
            tracing::info!(class = "malformed", reason = why.to_string(), "refused");
        }
    }

    fn has_room(&self, client: Option<IpAddr>) -> bool {
        let Allowance { line, left_out } = self.budget.count(client);
        if let Some(count) = left_out {
            tracing::info!(
                count,
                "refusals are left out of the log: too many in a short time; said once a minute"
            );
        }
        line
    }
}

/// Longest path in a log line, in bytes before escaping.
const MAX_LOGGED: usize = 1024;

/// The part of a request's URI that the log may hold: its path, and its query only as far as that is a path
/// (`i.php?/…`), so keys (`?auth=…`) are left out. It is one word of printable ASCII, so that it can forge no
/// line, field or colour.
pub struct Path<'a>(pub &'a [u8]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.0.iter().position(|&byte| byte == b'?') {
            Some(at) if self.0.get(at + 1) == Some(&b'/') => {
                let rest = self.0[at + 1..].iter().position(|byte| b"&?".contains(byte));
                rest.map_or(self.0.len(), |length| at + 1 + length)
            }
            Some(at) => at,
            None => self.0.len(),
        };
        for &byte in &self.0[..end.min(MAX_LOGGED)] {
            match byte {
                b'"' | b'\\' | 0..=b' ' | 0x7f.. => write!(f, "\\x{byte:02x}")?,
                _ => write!(f, "{}", char::from(byte))?,
            }
        }
        if end > MAX_LOGGED { f.write_str("...") } else { Ok(()) }
    }
}

/// Everything but the characters that need no encoding anywhere.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// URL of Piwigo's sign-in page, with the way back to the file. It is built only from the canonical path, so
/// it cannot lead to another site. Piwigo decodes `redirect` twice (Piwigo: `redirect_http` callers and
/// identification.php) and requires it to begin with the gallery's own path.
pub fn sign_in_page(target: &Target, layout: &Layout) -> Option<String> {
    let prefix = encode_path(&layout.url_prefix).to_string();
    let path = match target {
        // Piwigo redirects only to paths below its own.
        Target::File(source) if source.beside_the_root => return None,
        Target::File(source) => source.path.clone(),
        Target::Derivative { source, kind } => layout.derivative(&source.path, *kind)?,
        Target::Icon(icon) => layout.derivative(&icon.source, icon.kind)?,
        // The ids in a URL of `action.php` are no path to return to.
        Target::Record(_) => return None,
    };
    let back = format!("{prefix}/{}", encode_path(&path));
    let once = utf8_percent_encode(&back, IN_QUERY).to_string();
    Some(format!("{prefix}/identification.php?redirect={}", utf8_percent_encode(&once, IN_QUERY)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piwigo::sizes::stored::DerivativeConfig;

    #[test]
    fn a_path_in_the_log_is_one_harmless_word() {
        let table: [(&[u8], &str); 9] = [
            (b"/upload/a.jpg", "/upload/a.jpg"),
            (b"/a%0aINFO%20refused", "/a%0aINFO%20refused"),
            (b"/a\nINFO refused\r\"", "/a\\x0aINFO\\x20refused\\x0d\\x22"),
            (b"/\x1b[31m\xc3\xa9\\", "/\\x1b[31m\\xc3\\xa9\\x5c"),
            (b"/upload/a.jpg?auth=s3cret", "/upload/a.jpg"),
            (b"/i.php?/upload/a-th.jpg", "/i.php?/upload/a-th.jpg"),
            (b"/i.php?/upload/a-th.jpg&auth=s3cret", "/i.php?/upload/a-th.jpg"),
            (b"/i.php?/upload/a-th.jpg?auth=s3cret", "/i.php?/upload/a-th.jpg"),
            (b"/action.php?id=1&auth=s3cret", "/action.php"),
        ];
        for (uri, expected) in table {
            assert_eq!(Path(uri).to_string(), expected);
        }
        let long = Path(&[b'a'; 2 * MAX_LOGGED]).to_string();
        assert_eq!(long.len(), MAX_LOGGED + 3);
    }

    #[test]
    fn the_way_back_from_the_sign_in_page_is_the_canonical_path() {
        let derivatives = DerivativeConfig::default();
        let table = [
            ("", "/upload/a%20b.jpg", "/upload/a%20b.jpg"),
            ("", "/upload/%61+.jpg?x=//evil.example", "/upload/a%2B.jpg"),
            ("/piwigo", "/piwigo/upload/a.jpg", "/piwigo/upload/a.jpg"),
            ("/piwigo", "/piwigo/i.php?/upload/a-th.jpg&b=1", "/piwigo/_data/i/upload/a-th.jpg"),
            ("", "/_data/i/upload/%C3%A9-th.jpg", "/_data/i/upload/%C3%A9-th.jpg"),
        ];
        for (prefix, uri, expected) in table {
            let layout = Layout {
                url_prefix: prefix.into(),
                derivative_dir: "_data/i/".into(),
                data_dir: "_data/".into(),
                parent_sites: Vec::new(),
            };
            let target = Target::read(uri.as_bytes(), &layout, &derivatives).unwrap();
            let page = sign_in_page(&target, &layout).unwrap();
            let redirect = page.strip_prefix(&format!("{prefix}/identification.php?redirect=")).unwrap();
            let decode =
                |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
            assert_eq!(decode(&decode(redirect)), expected, "{uri}");
            assert!(page.bytes().all(|byte| byte.is_ascii_graphic()), "{page}");
        }
        let layout = Layout {
            url_prefix: "/piwigo".into(),
            derivative_dir: "_data/i/".into(),
            data_dir: "_data/".into(),
            parent_sites: vec!["photos/".into()],
        };
        let beside = Target::read(b"/photos/a.jpg", &layout, &derivatives).unwrap();
        assert_eq!(sign_in_page(&beside, &layout), None);
    }
}
