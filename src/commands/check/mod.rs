//! Explains the verdict on a URL for a visitor, step by step: `piwigo-gate check`. The report comes from
//! the functions that serve requests: [`Gate::consider`] and [`Gate::reply`]. It contains no cookie, key or
//! password, and of a URL only the path.

mod page;
mod report;
mod text;

use std::net::IpAddr;

pub use report::Report;
pub use text::{Colour, write};

use crate::database::DatabaseError;
use crate::gate::Gate;
use crate::http::request::{MAX_COOKIES, MAX_URI, Request};

/// The visitor for whom the verdict is asked.
#[derive(Clone)]
pub enum Who {
    /// A visitor who is not signed in.
    Guest,
    /// The account with this name, or else this number.
    User(String),
    /// The visitor who sends these cookies from this address.
    Cookies {
        /// The value of a `Cookie` header.
        cookies: String,
        /// The address that PHP would see.
        ip: IpAddr,
    },
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is no URL that a browser could ask this gallery for.
    #[error("argument {0} is no address of a file: give https://host/path as in the browser, or /path")]
    NotAUrl(usize),
    /// The web server would not pass it on.
    #[error("argument {0} is longer than {MAX_URI} bytes, which the gate refuses")]
    LongUrl(usize),
    /// The cookies are too long.
    #[error("the cookies are longer than {MAX_COOKIES} bytes, which the gate refuses")]
    LongCookies,
    /// The page of a photo that does not exist.
    #[error(
        "argument {0} is the page of photo {1}, and there is no photo of that number (or its file is never served)"
    )]
    NoPhoto(usize, u32),
    /// There is no such account.
    #[error("no account has the name or number {0:?}; names are compared letter by letter, capitals count")]
    NoUser(String),
    /// The database did not answer.
    #[error("no verdict: {0}")]
    Database(#[from] DatabaseError),
}

/// Reports on each of `urls`, in order. The URL of a photo's page stands for the URLs of the photo's files.
///
/// # Errors
/// The first [`CheckError`]; then there is no report at all.
pub async fn reports(gate: &Gate, who: &Who, urls: &[String]) -> Result<Vec<Report>, CheckError> {
    let as_user = match who {
        Who::User(name) => Some(gate.user(name).await?.ok_or_else(|| CheckError::NoUser(name.clone()))?),
        Who::Guest | Who::Cookies { .. } => None,
    };
    let (cookies, ip) = match who {
        Who::Cookies { cookies, ip } => (cookies.as_bytes(), ip.to_string()),
        Who::Guest | Who::User(_) => (&b""[..], "127.0.0.1".to_owned()),
    };
    if cookies.len() > MAX_COOKIES {
        return Err(CheckError::LongCookies);
    }
    let mut reports = Vec::with_capacity(urls.len());
    for (index, url) in urls.iter().enumerate() {
        let uri = address(url).ok_or(CheckError::NotAUrl(index + 1))?;
        if uri.len() > MAX_URI {
            return Err(CheckError::LongUrl(index + 1));
        }
        let photo = page::photo(uri, &gate.settings().url_prefix);
        let files = match photo {
            Some(photo) => page::files(gate, photo).await?,
            None => vec![uri.to_owned()],
        };
        if let (Some(photo), true) = (photo, files.is_empty()) {
            return Err(CheckError::NoPhoto(index + 1, photo));
        }
        for file in files {
            let request = Request { cookies: cookies.into(), ..Request::new(file.as_bytes(), &ip) };
            reports.push(Report { photo, ..report::report(gate, who, as_user, &request).await? });
        }
    }
    Ok(reports)
}

/// The request target that a browser would send: without scheme, host and `#…`.
fn address(url: &str) -> Option<&str> {
    let url = url.split('#').next().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            match rest.find(['/', '?']) {
                Some(at) => &rest[at..],
                None => "/",
            }
        }
        _ => url,
    };
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_host_are_cut_off() {
        let table = [
            ("https://photos.example.org/upload/a.jpg?x=1", Some("/upload/a.jpg?x=1")),
            ("HTTP://user:s3cret@[::1]:8080/i.php?/upload/a-th.jpg", Some("/i.php?/upload/a-th.jpg")),
            ("/upload/a.jpg#top", Some("/upload/a.jpg")),
            ("https://photos.example.org", Some("/")),
            ("/i.php?/http://x/a-th.jpg", Some("/i.php?/http://x/a-th.jpg")),
            ("https://photos.example.org?x", None),
            ("ftp://photos.example.org/a.jpg", None),
            ("upload/a.jpg", None),
            ("", None),
        ];
        for (url, expected) in table {
            assert_eq!(address(url), expected, "{url}");
        }
    }
}
