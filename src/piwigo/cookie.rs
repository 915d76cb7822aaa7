//! Finds one cookie's value in a request's `Cookie` header as PHP finds it. If the two readings differed, a
//! client could be one account for Piwigo and another for the gate.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Returns the value of the cookie `name` as `$_COOKIE[name]` would hold it, percent-decoded once (`+` stays
/// `+`).
///
/// PHP splits the header at `;`, turns `.` and space in a cookie's name into `_`, and takes the first of two
/// cookies with the same name. A cookie `name[…]` anywhere in the header turns the variable into an array.
/// The result is then `None`, as it is without any such cookie.
pub fn cookie_value<'a>(header: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    let mut first = None;
    for cookie in header.split(|&b| b == b';') {
        let cookie = trim_start(cookie);
        let mut parts = cookie.splitn(2, |&b| b == b'=');
        let (Some(written), value) = (parts.next(), parts.next().unwrap_or_default()) else { continue };
        match named(written, name.as_bytes()) {
            Named::Plain => first = first.or(Some(value)),
            Named::Array => return None,
            Named::Other => {}
        }
    }
    first.map(|value| Cow::from(percent_decode(value)))
}

/// How a cookie's name in the header relates to the wanted name.
enum Named {
    Plain,
    Array,
    Other,
}

/// Compares names as PHP's `php_register_variable_ex` does. `name[` without a `]` is another name, `name_`.
fn named(written: &[u8], name: &[u8]) -> Named {
    let bracket = written.iter().position(|&b| b == b'[');
    let (plain, index) = written.split_at_checked(bracket.unwrap_or(written.len())).unwrap_or((written, b""));
    let same = plain.len() == name.len()
        && plain.iter().zip(name).all(|(&w, &n)| n == if matches!(w, b'.' | b' ') { b'_' } else { w });
    match (same && !name.is_empty(), index.is_empty(), index.contains(&b']')) {
        (true, true, _) => Named::Plain,
        (true, false, true) => Named::Array,
        _ => Named::Other,
    }
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, rest)) = bytes.split_first() {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cookie_is_found_as_php_finds_it() {
        let table = [
            ("pwg_id=abc", Some("abc")),
            ("a=1;pwg_id=g,h", Some("g,h")),
            ("a=1; pwg_id=abc; b=2", Some("abc")),
            (" \tpwg.id=g", Some("g")),
            ("pwg id=g", Some("g")),
            ("pwg_id=a=b", Some("a=b")),
            ("pwg_id=\"g\"", Some("\"g\"")),
            ("pwg_id= g", Some(" g")),
            ("pwg_id=%67%zz+%2", Some("g%zz+%2")),
            ("pwg_id=%2567", Some("%67")),
            ("pwg_id=a, pwg_id=b", Some("a, pwg_id=b")),
            ("pwg_id", Some("")),
            ("pwg_id=a;pwg_id=b", Some("a")),
            ("pwg_id;pwg_id=g", Some("")),
            ("pwg.id=a;pwg_id=b", Some("a")),
            ("=x;pwg_id=g", Some("g")),
            ("[pwg_id=x;pwg_id=g", Some("g")),
            ("pwg_id]=g;pwg.id=h", Some("h")),
            ("pwg_id[=x; pwg_id=good", Some("good")),
            ("pwg_id=good; pwg_id[a=x", Some("good")),
            ("", None),
            (";;;", None),
            ("pwg_id =g", None),
            ("pwg_id.=1", None),
            ("pwg%5fid=g", None),
            ("PWG_ID=g", None),
            ("xpwg_id=g", None),
            ("pwg_idx=g", None),
            ("pwg_id[]=x", None),
            ("pwg_id[x]=1", None),
            ("pwg_id[]=x; pwg_id=good", None),
            ("pwg_id=good; pwg_id[]=x", None),
        ];
        for (header, value) in table {
            let found = cookie_value(header.as_bytes(), "pwg_id");
            assert_eq!(found.as_deref(), value.map(str::as_bytes), "{header}");
        }
    }

    #[test]
    fn a_cookie_name_that_php_cannot_produce_is_never_found() {
        assert_eq!(cookie_value(b"pwg.id=a; pwg_id=b", "pwg.id"), None);
        assert_eq!(cookie_value(b"=a; b", ""), None);
    }

    proptest! {
        #[test]
        fn no_header_panics(header in proptest::collection::vec(any::<u8>(), 0..200), text in "[pwg_id.\\[\\]=; %a0]{0,60}") {
            let _ = cookie_value(&header, "pwg_id");
            let _ = cookie_value(text.as_bytes(), "pwg_id");
        }
    }
}
