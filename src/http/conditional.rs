//! Turns the conditions of a request and a file's validators into the decision whether to send the file (RFC
//! 9110 §13). A date or list that cannot be parsed does not match.

use std::time::{Duration, SystemTime};

use super::validators::Validators;

/// The longest list of entity tags that is read, in bytes. A longer one does not match.
const MAX_HEADER: usize = 4096;

/// A modification date identifies a file only after the second in which the file was written (RFC 9110
/// §8.8.2.2). The client must know that its own copy is from the end of that second (RFC 9110 §13.1.5).
const SETTLED: Duration = Duration::from_secs(1);

/// The conditions of a request: unparsed header values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// `If-Match`.
    pub if_match: Option<&'a [u8]>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a [u8]>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a [u8]>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a [u8]>,
    /// `If-Range`.
    pub if_range: Option<&'a [u8]>,
    /// `Range`.
    pub range: Option<&'a [u8]>,
}

/// The result of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The gate sends the file.
    Holds,
    /// The client already has the file.
    NotModified,
    /// The client wants another version of the file.
    Failed,
}

impl Conditions<'_> {
    /// Evaluates the conditions of a GET or HEAD in the order of RFC 9110 §13.2.2.
    pub fn judge(&self, file: &Validators) -> Precondition {
        let goes_on = match (self.if_match, self.if_unmodified_since.and_then(date)) {
            (Some(list), _) => lists(list, &file.etag, Comparison::Strong),
            (None, Some(date)) => file.modified.is_some_and(|modified| modified <= date),
            (None, None) => true,
        };
        if !goes_on {
            return Precondition::Failed;
        }
        let has_it = match (self.if_none_match, self.if_modified_since.and_then(date)) {
            (Some(list), _) => lists(list, &file.etag, Comparison::Weak),
            (None, Some(date)) => file.modified.is_some_and(|modified| modified <= date),
            (None, None) => false,
        };
        if has_it { Precondition::NotModified } else { Precondition::Holds }
    }

    /// Returns the `Range` header if it applies: without `If-Range`, or if `If-Range` names exactly this
    /// version.
    pub fn range_of(&self, file: &Validators, now: SystemTime) -> Option<&[u8]> {
        let range = self.range?;
        let same = match self.if_range {
            None => true,
            Some(tag) if tag.starts_with(b"\"") || tag.starts_with(b"W/") => tag == file.etag.as_bytes(),
            Some(text) => {
                let settled = |modified| now.duration_since(modified).is_ok_and(|age| age >= SETTLED);
                file.modified.is_some_and(|modified| date(text) == Some(modified) && settled(modified))
            }
        };
        same.then_some(range)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags contains `etag`, or is `*`.
fn lists(list: &[u8], etag: &str, comparison: Comparison) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    if rest.len() > MAX_HEADER {
        return false;
    }
    let mut found = false;
    loop {
        rest = rest.trim_ascii_start();
        while let Some(behind) = rest.strip_prefix(b",") {
            rest = behind.trim_ascii_start();
        }
        if rest.is_empty() {
            return found;
        }
        let (weak, tag) = rest.strip_prefix(b"W/").map_or((false, rest), |tag| (true, tag));
        // A tag may contain a comma but no quotation mark.
        let Some(length) = tag.strip_prefix(b"\"").and_then(|tag| memchr::memchr(b'"', tag)) else {
            return false;
        };
        let (tag, behind) = tag.split_at(length + 2);
        found |= tag == etag.as_bytes() && (comparison == Comparison::Weak || !weak);
        rest = behind.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return false;
        }
    }
}

fn date(text: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(text).ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const TAG: &str = "\"2ee5e-10\"";

    fn file() -> Validators {
        let then = httpdate::parse_http_date(THEN).unwrap();
        Validators { etag: TAG.into(), modified: Some(then) }
    }

    #[test]
    fn whether_the_file_is_sent() {
        use Precondition::{Failed, Holds, NotModified};
        let weak = format!("W/{TAG}");
        let among = format!("\"a,b\", W/\"x\" ,{TAG}");
        let in_another = format!("\"x{TAG}\"");
        let long = format!("{TAG}{}", ", \"x\"".repeat(1000));
        let asctime = "Sun Nov  6 08:49:37 1994";
        let rfc850 = "Sunday, 06-Nov-94 08:49:37 GMT";
        let table: [(&[(&str, &str)], Precondition); 32] = [
            (&[], Holds),
            (&[("none", TAG)], NotModified),
            (&[("none", &weak)], NotModified),
            (&[("none", "*")], NotModified),
            (&[("none", &among)], NotModified),
            (&[("none", "\"other\"")], Holds),
            (&[("none", "")], Holds),
            (&[("none", "2ee5e-10")], Holds),
            (&[("none", &in_another)], Holds),
            (&[("none", "\"2ee5e-10")], Holds),
            (&[("none", "\"a\" \"2ee5e-10\"")], Holds),
            (&[("none", &long)], Holds),
            (&[("none", "\"other\""), ("since", AFTER)], Holds),
            (&[("none", TAG), ("since", BEFORE)], NotModified),
            (&[("since", THEN)], NotModified),
            (&[("since", AFTER)], NotModified),
            (&[("since", asctime)], NotModified),
            (&[("since", rfc850)], NotModified),
            (&[("since", BEFORE)], Holds),
            (&[("since", "yesterday")], Holds),
            (&[("match", TAG)], Holds),
            (&[("match", "*")], Holds),
            (&[("match", &among)], Holds),
            (&[("match", &weak)], Failed),
            (&[("match", "\"other\"")], Failed),
            (&[("match", "")], Failed),
            (&[("match", TAG), ("unmodified", BEFORE)], Holds),
            (&[("unmodified", THEN)], Holds),
            (&[("unmodified", BEFORE)], Failed),
            (&[("unmodified", "yesterday")], Holds),
            (&[("match", "\"other\""), ("none", TAG)], Failed),
            (&[("match", TAG), ("none", TAG)], NotModified),
        ];
        for (headers, expected) in table {
            let mut conditions = Conditions::default();
            for (name, value) in headers {
                let field = match *name {
                    "none" => &mut conditions.if_none_match,
                    "since" => &mut conditions.if_modified_since,
                    "match" => &mut conditions.if_match,
                    _ => &mut conditions.if_unmodified_since,
                };
                *field = Some(value.as_bytes());
            }
            assert_eq!(conditions.judge(&file()), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_date_is_no_match_where_the_file_has_none() {
        let dateless = Validators { modified: None, ..file() };
        let since = Conditions { if_modified_since: Some(THEN.as_bytes()), ..Conditions::default() };
        assert_eq!(since.judge(&dateless), Precondition::Holds);
        let unmodified = Conditions { if_unmodified_since: Some(AFTER.as_bytes()), ..Conditions::default() };
        assert_eq!(unmodified.judge(&dateless), Precondition::Failed);
    }

    #[test]
    fn a_range_counts_for_exactly_this_state() {
        let weak = format!("W/{TAG}");
        let then = httpdate::parse_http_date(THEN).unwrap();
        let table = [
            (None, 60, true),
            (Some(TAG), 0, true),
            (Some(&*weak), 60, false),
            (Some("\"other\""), 60, false),
            (Some("W/\"other\""), 60, false),
            (Some(THEN), 60, true),
            (Some(THEN), 0, false),
            (Some(BEFORE), 60, false),
            (Some(AFTER), 60, false),
            (Some("*"), 60, false),
            (Some(""), 60, false),
        ];
        for (if_range, age, counts) in table {
            let if_range = if_range.map(str::as_bytes);
            let conditions = Conditions { range: Some(b"bytes=0-1"), if_range, ..Conditions::default() };
            let now = then + Duration::from_secs(age);
            assert_eq!(conditions.range_of(&file(), now).is_some(), counts, "{if_range:?} after {age} s");
        }
    }
}
