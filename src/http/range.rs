//! Turns the header `Range` and a file's length into the bytes to send (RFC 9110 §14). Only a single range
//! gets a partial answer. For several ranges, or an unreadable header, the gate sends the whole file, as the
//! standard allows.

/// The longest header that is read, in bytes: two 64-bit numbers and some room.
const MAX_HEADER: usize = 256;

/// The part of a file to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The whole file.
    Whole,
    /// The bytes from `first` to `last`, both included.
    Part {
        /// Counted from 0.
        first: u64,
        /// Below the file's length.
        last: u64,
    },
    /// No byte of the file is in the range.
    Nowhere,
}

/// Parses a `Range` header for a file of `length` bytes.
pub fn wanted(header: &[u8], length: u64) -> Wanted {
    one(header).map_or(Wanted::Whole, |spec| spec.of(length))
}

#[derive(Clone, Copy)]
enum Spec {
    From { first: u64, last: Option<u64> },
    Last(u64),
}

impl Spec {
    fn of(self, length: u64) -> Wanted {
        match self {
            // The end of an empty file is the whole file, which no `Content-Range` can express.
            Spec::Last(count) if count > 0 && length == 0 => Wanted::Whole,
            Spec::Last(0) => Wanted::Nowhere,
            Spec::Last(count) => Wanted::Part { first: length.saturating_sub(count), last: length - 1 },
            Spec::From { first, .. } if first >= length => Wanted::Nowhere,
            Spec::From { first, last } => {
                Wanted::Part { first, last: last.unwrap_or(u64::MAX).min(length - 1) }
            }
        }
    }
}

/// Returns the range of a readable header with exactly one.
fn one(header: &[u8]) -> Option<Spec> {
    if header.len() > MAX_HEADER {
        return None;
    }
    let header = std::str::from_utf8(header).ok()?;
    let (unit, set) = header.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // An empty list element does not count (RFC 9110 §5.6.1).
    let blank = [' ', '\t'];
    let mut specs = set.split(',').map(|spec| spec.trim_matches(blank)).filter(|spec| !spec.is_empty());
    let (spec, None) = (specs.next()?, specs.next()) else { return None };
    match spec.split_once('-')? {
        ("", count) => number(count).map(Spec::Last),
        (first, "") => Some(Spec::From { first: number(first)?, last: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From { first, last: Some(last) })
        }
    }
}

/// Parses digits. A number beyond 64 bits becomes the largest one.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_range_is_answered_and_all_else_is_the_whole_file() {
        let part = |first, last| Wanted::Part { first, last };
        let table = [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=0-", 10, part(0, 9)),
            ("bytes=2-5", 10, part(2, 5)),
            ("bytes=2-99", 10, part(2, 9)),
            ("bytes=9-", 10, part(9, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-10", 10, part(0, 9)),
            ("bytes=-99", 10, part(0, 9)),
            ("Bytes=0-1", 10, part(0, 1)),
            ("bytes= 0-1 ,", 10, part(0, 1)),
            ("bytes=,\t0-1", 10, part(0, 1)),
            ("bytes=0-18446744073709551615", 10, part(0, 9)),
            ("bytes=1-99999999999999999999999", 10, part(1, 9)),
            ("bytes=-99999999999999999999999", 10, part(0, 9)),
            ("bytes=10-", 10, Wanted::Nowhere),
            ("bytes=10-20", 10, Wanted::Nowhere),
            ("bytes=99999999999999999999999-", 10, Wanted::Nowhere),
            ("bytes=-0", 10, Wanted::Nowhere),
            ("bytes=0-", 0, Wanted::Nowhere),
            ("bytes=0-0", 0, Wanted::Nowhere),
            ("bytes=-0", 0, Wanted::Nowhere),
            ("bytes=-5", 0, Wanted::Whole),
            ("bytes=0-1,3-4", 10, Wanted::Whole),
            ("bytes=0-1,99-", 10, Wanted::Whole),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("bytes=+1-2", 10, Wanted::Whole),
            ("bytes=1 - 2", 10, Wanted::Whole),
            ("bytes=0-1-2", 10, Wanted::Whole),
            ("bytes=--1", 10, Wanted::Whole),
            ("bytes =0-1", 10, Wanted::Whole),
            ("bytes:0-1", 10, Wanted::Whole),
            ("lines=0-1", 10, Wanted::Whole),
            ("0-1", 10, Wanted::Whole),
            ("", 10, Wanted::Whole),
            ("bytes=\u{661}-2", 10, Wanted::Whole),
        ];
        for (header, length, expected) in table {
            assert_eq!(wanted(header.as_bytes(), length), expected, "{header:?} of {length}");
        }
        let many = format!("bytes={}", "0-0,".repeat(5000));
        assert_eq!(wanted(many.as_bytes(), 10), Wanted::Whole);
        let padded = format!("bytes=0-1{}", " ".repeat(300));
        assert_eq!(wanted(padded.as_bytes(), 10), Wanted::Whole);
        assert_eq!(wanted(b"bytes=0-1\xff", 10), Wanted::Whole);
    }

    /// An independent definition: which bytes of the file, one by one, are in the range.
    fn naive(first: Option<u64>, last: Option<u64>, length: u64) -> Wanted {
        let is_named = |at: &u64| match (first, last) {
            (Some(first), Some(last)) => (first..=last).contains(at),
            (Some(first), None) => *at >= first,
            (None, Some(count)) => length - *at <= count,
            (None, None) => true,
        };
        let named: Vec<u64> = (0..length).filter(is_named).collect();
        match (named.first(), named.last()) {
            _ if matches!((first, last), (Some(first), Some(last)) if last < first) => Wanted::Whole,
            (Some(&first), Some(&last)) => Wanted::Part { first, last },
            _ if first.is_none() && last != Some(0) => Wanted::Whole,
            _ => Wanted::Nowhere,
        }
    }

    proptest! {
        #[test]
        fn a_range_is_the_bytes_that_it_names(
            first in proptest::option::of(0u64..40), last in proptest::option::of(0u64..40), length in 0u64..32
        ) {
            prop_assume!(first.is_some() || last.is_some());
            let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
            let header = format!("bytes={}-{}", text(first), text(last));
            prop_assert_eq!(wanted(header.as_bytes(), length), naive(first, last, length), "{}", header);
        }

        #[test]
        fn whatever_is_asked_stays_within_the_file(
            header in "(bytes=)?[-0-9, \tx]{0,24}", length in prop_oneof![0u64..9, any::<u64>()]
        ) {
            if let Wanted::Part { first, last } = wanted(header.as_bytes(), length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
