//! Name-value pairs (FastCGI 1.0 §3.4): reads a request's parameters in place, from the bytes of their
//! stream.

use std::borrow::Cow;

/// The bytes do not divide into name-value pairs: a length reaches beyond their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("FastCGI parameters are malformed: a name or value reaches beyond the end of the parameters")]
pub struct Malformed;

/// The parameters of one request, borrowed. Every pair is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    bytes: &'a [u8],
}

impl<'a> Params<'a> {
    /// No parameters at all.
    pub const EMPTY: Params<'static> = Params { bytes: &[] };

    /// Checks that `bytes`, a whole PARAMS stream, divides into pairs.
    ///
    /// # Errors
    /// [`Malformed`] if a length field is cut off, or a name or value reaches beyond the end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, _, rest) = split_pair(rest).ok_or(Malformed)?;
        }
        Ok(Self { bytes })
    }

    /// Wraps bytes that [`Params::parse`] has already accepted.
    pub(super) fn parsed_before(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Iterates over the pairs in the order in which the server sent them, including repeated names. Use it
    /// to read several parameters in one pass. [`Params::last`] and [`Params::cookie`] say what a repeated
    /// name means.
    pub fn iter(&self) -> Pairs<'a> {
        Pairs { rest: self.bytes }
    }

    /// Returns the value of `name`, compared byte for byte. The last value of a repeated name counts: nginx
    /// sends every `fastcgi_param` line of a location, and administrators write those lines for PHP, which
    /// takes the last.
    pub fn last(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().filter(|(n, _)| *n == name).last().map(|(_, value)| value)
    }

    /// Joins all `HTTP_COOKIE` values with `; ` (RFC 9113 §8.2.3); empty if there is none. Every value of
    /// this name counts, because nginx passes two `Cookie` lines of a client as two parameters. Copies only
    /// if there are several.
    pub fn cookie(&self) -> Cow<'a, [u8]> {
        let mut values = self.iter().filter(|(n, v)| *n == b"HTTP_COOKIE" && !v.is_empty()).map(|(_, v)| v);
        let mut joined = Cow::Borrowed(values.next().unwrap_or_default());
        for value in values {
            let owned = joined.to_mut();
            owned.extend_from_slice(b"; ");
            owned.extend_from_slice(value);
        }
        joined
    }
}

impl<'a> IntoIterator for &Params<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}

/// The pairs of [`Params`], as (name, value).
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value, rest) = split_pair(self.rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

/// Splits off the first name and value of `bytes`; `None` if they are incomplete.
fn split_pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name_len, rest) = split_length(bytes)?;
    let (value_len, rest) = split_length(rest)?;
    let (name, rest) = rest.split_at_checked(name_len)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some((name, value, rest))
}

/// Reads a length: one byte up to 127, else four bytes with the top bit set. A small length may have the long
/// form.
fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (long, rest) = bytes.split_first_chunk::<4>()?;
    Some(((u32::from_be_bytes(*long) & 0x7fff_ffff) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encoded bytes in parts; name; value.
    type Row<'a> = (&'a [&'a [u8]], &'a [u8], &'a [u8]);

    /// Every combination of short and long lengths (FastCGI 1.0 §3.4 names them 11, 14, 41 and 44).
    #[test]
    fn pairs_read_as_the_specification_lays_them_out() {
        let long_name = [b'n'; 128];
        let long_value = [b'v'; 300];
        let rows: [Row; 7] = [
            (&[&[1, 2], b"abc"], b"a", b"bc"),
            (&[&[1, 0x80, 0, 1, 44], b"a", &long_value], b"a", &long_value),
            (&[&[0x80, 0, 0, 128, 1], &long_name, b"b"], &long_name, b"b"),
            (&[&[0x80, 0, 0, 128, 0x80, 0, 1, 44], &long_name, &long_value], &long_name, &long_value),
            (&[&[0x80, 0, 0, 1, 0x80, 0, 0, 0], b"a"], b"a", b""),
            (&[&[0, 0]], b"", b""),
            (&[&[0, 1, 0]], b"", &[0]),
        ];
        for (parts, name, value) in rows {
            let bytes = parts.concat();
            let pairs: Vec<_> = Params::parse(&bytes).unwrap().iter().collect();
            assert_eq!(pairs, [(name, value)]);
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        let rows: [&[u8]; 9] = [
            &[1],
            &[1, 1, b'a'],
            &[2, 0, b'a'],
            &[0x80],
            &[0x80, 0, 0],
            &[1, 0x80, 0, 0],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xff, 0, b'a', b'b'],
            // The first pair is complete, but the second is not.
            &[1, 1, b'a', b'b', 1, 9, b'c'],
        ];
        for bytes in rows {
            assert_eq!(Params::parse(bytes), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Params::parse(b""), Ok(Params::EMPTY));
    }

    type StrPairs<'a> = &'a [(&'a str, &'a str)];

    fn encode(pairs: StrPairs) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in pairs {
            bytes.extend([name.len() as u8, value.len() as u8]);
            bytes.extend(name.bytes());
            bytes.extend(value.bytes());
        }
        bytes
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
        let bytes = encode(&[("REMOTE_USER", "foo"), ("remote_user", "x"), ("REMOTE_USER", ""), ("A", "1")]);
        let params = Params::parse(&bytes).unwrap();
        for (name, value) in [
            (&b"REMOTE_USER"[..], Some(&b""[..])),
            (b"remote_user", Some(b"x")),
            (b"A", Some(b"1")),
            (b"", None),
            (b"REMOTE", None),
        ] {
            assert_eq!(params.last(name), value);
        }
    }

    #[test]
    fn cookies_of_several_lines_are_joined() {
        let rows: [(StrPairs, &str, bool); 6] = [
            (&[("A", "b")], "", true),
            (&[("HTTP_COOKIE", "a=b")], "a=b", true),
            (&[("HTTP_COOKIE", "")], "", true),
            (&[("HTTP_COOKIE", "a=b"), ("X", "y"), ("HTTP_COOKIE", "c=d")], "a=b; c=d", false),
            (&[("HTTP_COOKIE", ""), ("HTTP_COOKIE", "c=d"), ("HTTP_COOKIE", "")], "c=d", true),
            (&[("HTTP_COOKIE", "1"), ("HTTP_COOKIE", "2"), ("HTTP_COOKIE", "3")], "1; 2; 3", false),
        ];
        for (pairs, cookie, borrowed) in rows {
            let bytes = encode(pairs);
            let joined = Params::parse(&bytes).unwrap().cookie();
            assert_eq!(joined, cookie.as_bytes(), "{pairs:?}");
            assert_eq!(matches!(joined, Cow::Borrowed(_)), borrowed, "{pairs:?}");
        }
    }
}
