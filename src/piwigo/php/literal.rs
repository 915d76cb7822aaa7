//! Turns the source text of PHP's string and number literals into their values.

use super::token::begins_name;
use super::value::PhpValue;

/// Returns the value of a double-quoted string; `None` if it holds a variable or a malformed escape.
pub(super) fn unescape(content: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.first().copied()) {
            (b'$', Some(next)) if begins_name(next) || next == b'{' => return None,
            (b'{', Some(b'$')) => return None,
            (b'\\', Some(escaped)) => {
                rest = after.get(1..).unwrap_or_default();
                match escaped {
                    b'n' => value.push(b'\n'),
                    b't' => value.push(b'\t'),
                    b'r' => value.push(b'\r'),
                    b'v' => value.push(0x0b),
                    b'e' => value.push(0x1b),
                    b'f' => value.push(0x0c),
                    b'\\' | b'$' | b'"' => value.push(escaped),
                    b'0'..=b'7' => {
                        let digits = after.iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
                        let code =
                            after.iter().take(digits).fold(0_u32, |code, &b| code * 8 + u32::from(b - b'0'));
                        value.push(code as u8);
                        rest = after.get(digits..)?;
                    }
                    b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                        let digits = rest.iter().take(2).take_while(|b| b.is_ascii_hexdigit()).count();
                        let text = std::str::from_utf8(rest.get(..digits)?).ok()?;
                        value.push(u8::from_str_radix(text, 16).ok()?);
                        rest = rest.get(digits..)?;
                    }
                    b'u' if rest.first() == Some(&b'{') => {
                        let end = rest.iter().position(|&b| b == b'}')?;
                        let text = std::str::from_utf8(rest.get(1..end)?).ok()?;
                        let code = u32::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))?;
                        value.extend(char::from_u32(code)?.to_string().bytes());
                        rest = rest.get(end + 1..)?;
                    }
                    _ => value.extend([b'\\', escaped]),
                }
            }
            _ => value.push(byte),
        }
    }
    Some(value)
}

/// Parses an integer of that radix; `None` if a digit is wrong or PHP would make it a float.
pub(super) fn int(digits: &[u8], radix: u32) -> Option<PhpValue> {
    i64::from_str_radix(&number_text(digits)?, radix).ok().map(PhpValue::Int)
}

/// Parses a float in decimal notation.
pub(super) fn float(text: &[u8]) -> Option<PhpValue> {
    number_text(text)?.parse().ok().filter(|float: &f64| float.is_finite()).map(PhpValue::Float)
}

/// Removes each `_` between two digits; `None` if one stands elsewhere.
fn number_text(text: &[u8]) -> Option<String> {
    let misplaced = text.split(|&b| b == b'_').any(|part| {
        !part.first().is_some_and(u8::is_ascii_alphanumeric)
            || !part.last().is_some_and(u8::is_ascii_alphanumeric)
    });
    if text.contains(&b'_') && misplaced {
        return None;
    }
    String::from_utf8(text.iter().copied().filter(|&b| b != b'_').collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_quoted_string_has_phps_escapes() {
        let table = [
            (r#"a\"b\\c"#, Some(r#"a\"b\\c"#)),
            (r"\n\t\r\v\e\f", Some(r"\n\t\r\x0b\x1b\x0c")),
            (r"\x41\101\u{e9}\xfg\0", Some(r"AA\xc3\xa9\x0fg\x00")),
            (r"\400\8\x\q", Some(r"\x00\\8\\x\\q")),
            (r"a$ $1 {x} \{$", Some(r"a$ $1 {x} \\{$")),
            (r"\$x \{\$x}", Some(r"$x \\{$x}")),
            ("$x", None),
            ("a{$x}", None),
            ("a${x}", None),
            (r"a\\$x", None),
            (r"\{$x}", None),
            (r"\u{110000}", None),
            (r"\u{}", None),
            (r"\u{+e9}", None),
            (r"\u{e9", None),
        ];
        for (content, value) in table {
            let found = unescape(content.as_bytes()).map(|bytes| bytes.escape_ascii().to_string());
            assert_eq!(found.as_deref(), value, "{content}");
        }
    }
}
