//! Turns an open file and the conditions of a request into status, headers and the bytes to send.

use std::fmt::Write as _;
use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use super::body::Body;
use super::conditional::{Conditions, Precondition};
use super::media;
use super::range::{self, Wanted};
use super::validators::Validators;
use crate::files::tree::Sendable;

/// An allowed file that the gate sends itself, or the reason why it sends no bytes of it.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// Stays open, so that the gate sends the same file that it examined.
    handle: Arc<File>,
    file: Sendable,
    validators: Validators,
    outcome: Outcome,
}

/// Two values are equal if they send the same bytes of the same file.
impl PartialEq for Streamed {
    fn eq(&self, other: &Self) -> bool {
        (&self.file, self.outcome) == (&other.file, other.outcome)
    }
}

impl Eq for Streamed {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    Part { first: u64, last: u64 },
    NotModified,
    Failed,
    Nowhere,
}

impl Streamed {
    /// Builds the answer to a GET or HEAD request. A HEAD ignores `Range` (RFC 9110 §14.2).
    pub fn new(
        handle: File,
        file: Sendable,
        conditions: &Conditions<'_>,
        head_only: bool,
        now: SystemTime,
    ) -> Self {
        let validators = Validators::of(file.length, file.modified);
        let outcome = match conditions.judge(&validators) {
            Precondition::Failed => Outcome::Failed,
            Precondition::NotModified => Outcome::NotModified,
            Precondition::Holds => {
                let range = conditions.range_of(&validators, now).filter(|_| !head_only);
                match range.map_or(Wanted::Whole, |header| range::wanted(header, file.length)) {
                    Wanted::Whole => Outcome::Whole,
                    Wanted::Part { first, last } => Outcome::Part { first, last },
                    Wanted::Nowhere => Outcome::Nowhere,
                }
            }
        };
        Streamed { handle: Arc::new(handle), file, validators, outcome }
    }

    /// Returns the status code.
    pub fn status(&self) -> u16 {
        match self.outcome {
            Outcome::Whole => 200,
            Outcome::Part { .. } => 206,
            Outcome::NotModified => 304,
            Outcome::Failed => 412,
            Outcome::Nowhere => 416,
        }
    }

    /// Whether the browser gets something to show or to keep, so that the headers about that are needed.
    pub fn is_success(&self) -> bool {
        matches!(self.outcome, Outcome::Whole | Outcome::Part { .. } | Outcome::NotModified)
    }

    /// Whether a browser must save the file and not show it.
    pub fn must_be_saved(&self) -> bool {
        media::content_type(&self.file.path).is_none() || media::is_active(&self.file.path)
    }

    /// Returns the bytes to send; `None` if there are none.
    pub fn body(&self) -> Option<Body> {
        let (first, end) = match self.outcome {
            Outcome::Whole => (0, self.file.length),
            Outcome::Part { first, last } => (first, last + 1),
            Outcome::NotModified | Outcome::Failed | Outcome::Nowhere => return None,
        };
        (first < end).then(|| Body::new(self.handle.clone(), first, end))
    }

    /// Appends the status and the headers that describe the content.
    pub fn write(&self, text: &mut String) {
        let Sendable { path, length, .. } = &self.file;
        let kind = media::content_type(path).unwrap_or(media::UNKNOWN);
        let _ = match self.outcome {
            Outcome::Whole => {
                write!(text, "Status: 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n")
            }
            Outcome::Part { first, last } => write!(
                text,
                "Status: 206 Partial Content\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
                 Content-Range: bytes {first}-{last}/{length}\r\n",
                last - first + 1
            ),
            Outcome::NotModified => write!(text, "Status: 304 Not Modified\r\n"),
            Outcome::Failed => write!(text, "Status: 412 Precondition Failed\r\nContent-Length: 0\r\n"),
            Outcome::Nowhere => write!(
                text,
                "Status: 416 Range Not Satisfiable\r\nContent-Length: 0\r\nContent-Range: bytes */{length}\r\n"
            ),
        };
        text.push_str("Accept-Ranges: bytes\r\n");
        if self.is_success() {
            self.validators.write(text);
            text.push_str(media::sandbox(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Conditions, whether it is a HEAD, the file's length; status, header lines, number of body bytes.
    type Row = (Conditions<'static>, bool, u64, u16, &'static str, Option<u64>);

    fn answer(path: &str, length: u64, conditions: Conditions<'_>, head_only: bool) -> Streamed {
        let handle = File::open("/dev/null").unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let file = Sendable { path: path.into(), length, modified };
        Streamed::new(handle, file, &conditions, head_only, SystemTime::now())
    }

    #[test]
    fn status_headers_and_bytes_belong_together() {
        let range = |range: &'static [u8]| Conditions { range: Some(range), ..Conditions::default() };
        let none = |tag: &'static [u8]| Conditions { if_none_match: Some(tag), ..Conditions::default() };
        let other = Conditions { if_match: Some(b"\"other\""), ..Conditions::default() };
        let table: [Row; 10] = [
            (Conditions::default(), false, 10, 200, "Content-Length: 10\r\n", Some(10)),
            (Conditions::default(), true, 10, 200, "Content-Length: 10\r\n", Some(10)),
            (Conditions::default(), false, 0, 200, "Content-Length: 0\r\n", None),
            (
                range(b"bytes=2-4"),
                false,
                10,
                206,
                "Content-Length: 3\r\nContent-Range: bytes 2-4/10\r\n",
                Some(3),
            ),
            (range(b"bytes=2-4"), true, 10, 200, "Content-Length: 10\r\n", Some(10)),
            (range(b"bytes=10-"), false, 10, 416, "Content-Range: bytes */10\r\n", None),
            (range(b"bytes=0-"), false, 0, 416, "Content-Range: bytes */0\r\n", None),
            (none(b"\"f4240-a\""), false, 10, 304, "ETag: \"f4240-a\"\r\n", None),
            (none(b"*"), true, 10, 304, "Last-Modified: Thu, 01 Jan 1970 00:00:01 GMT\r\n", None),
            (other, false, 10, 412, "Content-Length: 0\r\n", None),
        ];
        for (conditions, head_only, length, status, line, bytes) in table {
            let answer = answer("/g/a.jpg", length, conditions, head_only);
            let mut text = String::new();
            answer.write(&mut text);
            assert_eq!(answer.status(), status, "{conditions:?}");
            assert!(text.starts_with(&format!("Status: {status} ")) && text.contains(line), "{text}");
            assert_eq!(text.contains("Content-Type"), status < 300, "{text}");
            assert_eq!(text.contains("ETag"), status < 400, "{text}");
            assert_eq!(answer.body().map(|body| body.remaining()), bytes, "{conditions:?}");
        }
    }

    #[test]
    fn what_could_run_as_a_page_is_sandboxed() {
        for (path, kind, sandboxed) in [
            ("/g/a.svg", "image/svg+xml", true),
            ("/g/a.html", "application/octet-stream", true),
            ("/g/a.cr2", "application/octet-stream", false),
            ("/g/a.PNG", "image/png", false),
        ] {
            let answer = answer(path, 1, Conditions::default(), false);
            let mut text = String::new();
            answer.write(&mut text);
            assert!(text.contains(&format!("Content-Type: {kind}\r\n")), "{text}");
            assert_eq!(text.contains("Content-Security-Policy: sandbox"), sandboxed, "{text}");
        }
    }
}
