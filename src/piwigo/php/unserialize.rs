//! Reads the output of PHP's `serialize`. Lengths count bytes. A length in the input never causes an
//! allocation: memory use follows the actual input.

use super::value::{PhpArray, PhpKey, PhpValue};

/// The limit of nested arrays. Piwigo's own values need 5.
const MAX_DEPTH: u32 = 64;

/// The limit of values kept in memory. Piwigo's derivative settings have some 200.
const MAX_VALUES: u64 = 1 << 16;

/// Why a serialized value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a value serialized by PHP: {reason} at byte {at}")]
pub struct UnserializeError {
    /// Where reading stopped, in bytes from the start.
    pub at: usize,
    /// What is wrong at that position.
    pub reason: &'static str,
}

/// Reads one serialized value that spans the whole input (PHP: `unserialize`).
///
/// # Errors
/// Malformed input, input after the value, or an exceeded limit.
pub fn unserialize(input: &[u8]) -> Result<PhpValue, UnserializeError> {
    let mut reader = Reader::new(input);
    let value = reader.value(Keep::All)?;
    if reader.at_end() { Ok(value) } else { Err(reader.error("something follows the value")) }
}

/// Whether the caller needs a value or only its validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Build the value.
    All,
    /// Check the value, allocate nothing, return `Null`.
    Nothing,
}

/// Reads serialized values in a row. References may point at earlier values of the same input.
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    /// The number of values read so far. A reference may name no higher number.
    values: u64,
    kept: u64,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, values: 0, kept: 0 }
    }

    /// Whether all input has been read.
    pub(crate) fn at_end(&self) -> bool {
        self.at == self.input.len()
    }

    /// Returns the bytes before the next `delimiter` and consumes both; `None` if there is no delimiter.
    pub(crate) fn until(&mut self, delimiter: u8) -> Option<&'a [u8]> {
        let rest = self.input.get(self.at..)?;
        let length = rest.iter().position(|&b| b == delimiter)?;
        self.at += length + 1;
        rest.get(..length)
    }

    /// Reads one byte; `None` at the end.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.next().ok()
    }

    /// Reads `length` bytes; `None` if fewer are left.
    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.input.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(bytes)
    }

    /// Reads an array (`a:N:{key value …}`). `each` gets each key and reads its value; an integer key is
    /// passed as an empty name.
    pub(crate) fn array(
        &mut self,
        mut each: impl FnMut(&mut Self, &[u8]) -> Result<(), UnserializeError>,
    ) -> Result<(), UnserializeError> {
        self.values += 1;
        self.expect(b"a:")?;
        let count = self.number(b':')?;
        self.expect(b"{")?;
        for _ in 0..count {
            match self.next()? {
                b'i' => {
                    self.int()?;
                    each(self, b"")?;
                }
                b's' => {
                    let name = self.string(b'"', b"\";")?;
                    each(self, name)?;
                }
                _ => return Err(self.error("a key that is neither an integer nor a string")),
            }
        }
        self.expect(b"}")
    }

    /// Reads one value.
    pub(crate) fn value(&mut self, keep: Keep) -> Result<PhpValue, UnserializeError> {
        self.nested(keep, 0)
    }

    fn nested(&mut self, keep: Keep, depth: u32) -> Result<PhpValue, UnserializeError> {
        if depth > MAX_DEPTH {
            return Err(self.error("too deeply nested"));
        }
        let earlier_values = self.values;
        self.values += 1;
        if keep == Keep::All {
            self.kept += 1;
            if self.kept > MAX_VALUES {
                return Err(self.error("too many values"));
            }
        }
        let kind = self.next()?;
        match kind {
            b'N' => self.expect(b";").map(|()| PhpValue::Null),
            b'b' => match self.scalar()? {
                b"0" => Ok(PhpValue::Bool(false)),
                b"1" => Ok(PhpValue::Bool(true)),
                _ => Err(self.error("neither 0 nor 1")),
            },
            b'i' => self.int().map(PhpValue::Int),
            b'd' => self.float().map(PhpValue::Float),
            b's' => {
                let bytes = self.string(b'"', b"\";")?;
                Ok(kept(keep, || PhpValue::Bytes(bytes.to_vec())))
            }
            b'E' => {
                let name = self.string(b'"', b"\";")?;
                Ok(kept(keep, || PhpValue::Enum(name.to_vec())))
            }
            b'a' => {
                self.expect(b":")?;
                let array = self.elements(keep, depth)?;
                Ok(kept(keep, || PhpValue::Array(array)))
            }
            b'O' => {
                let class = self.class("\":")?;
                let fields = self.elements(keep, depth)?;
                Ok(kept(keep, || PhpValue::Object { class: class.to_vec(), fields }))
            }
            b'C' => {
                let class = self.class("\"")?;
                let data = self.string(b'{', b"}")?;
                Ok(kept(keep, || PhpValue::Custom { class: class.to_vec(), data: data.to_vec() }))
            }
            b'r' | b'R' => {
                let number = self.int()?;
                match u64::try_from(number) {
                    Ok(number @ 1..) if number <= earlier_values => {
                        Ok(PhpValue::Reference { number, alias: kind == b'R' })
                    }
                    _ => Err(self.error("a reference to no earlier value")),
                }
            }
            _ => {
                self.at -= 1;
                Err(self.error("no known type"))
            }
        }
    }

    /// `N:{key value …}`.
    fn elements(&mut self, keep: Keep, depth: u32) -> Result<PhpArray, UnserializeError> {
        let count = self.number(b':')?;
        self.expect(b"{")?;
        let mut elements = Vec::new();
        for _ in 0..count {
            let key = self.key(keep)?;
            let value = self.nested(keep, depth + 1)?;
            if keep == Keep::All {
                elements.push((key, value));
            }
        }
        self.expect(b"}")?;
        Ok(PhpArray::from_elements(elements))
    }

    fn key(&mut self, keep: Keep) -> Result<PhpKey, UnserializeError> {
        match self.next()? {
            b'i' => self.int().map(PhpKey::Int),
            b's' => {
                let bytes = self.string(b'"', b"\";")?;
                Ok(if keep == Keep::All { PhpKey::from_bytes(bytes) } else { PhpKey::Int(0) })
            }
            _ => Err(self.error("a key that is neither an integer nor a string")),
        }
    }

    /// `:LEN:` `open`, LEN bytes, `close`.
    fn string(&mut self, open: u8, close: &[u8]) -> Result<&'a [u8], UnserializeError> {
        self.expect(b":")?;
        let length = self.number(b':')?;
        self.expect(&[open])?;
        let bytes = usize::try_from(length).ok().and_then(|length| {
            let end = self.at.checked_add(length)?;
            self.input.get(self.at..end)
        });
        let bytes = bytes.ok_or_else(|| self.error("a length beyond the end"))?;
        self.at += bytes.len();
        self.expect(close)?;
        Ok(bytes)
    }

    /// Reads the quoted name of a class, then `close`.
    fn class(&mut self, close: &str) -> Result<&'a [u8], UnserializeError> {
        let class = self.string(b'"', close.as_bytes())?;
        let is_name = class.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'\\' | 0x80..));
        if is_name { Ok(class) } else { Err(self.error("not the name of a class")) }
    }

    fn int(&mut self) -> Result<i64, UnserializeError> {
        let text = self.scalar()?;
        let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(text)
            .ok()
            .filter(|_| all_digits)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.error("not an integer"))
    }

    fn float(&mut self) -> Result<f64, UnserializeError> {
        let text = match self.scalar()? {
            b"NAN" => return Ok(f64::NAN),
            b"INF" => return Ok(f64::INFINITY),
            b"-INF" => return Ok(f64::NEG_INFINITY),
            text => text,
        };
        let plain = text.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        std::str::from_utf8(text)
            .ok()
            .filter(|_| plain)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.error("not a number"))
    }

    /// Reads `:` and the text before the next `;`.
    fn scalar(&mut self) -> Result<&'a [u8], UnserializeError> {
        /// Longer than any number PHP writes.
        const MAX_SCALAR_LEN: usize = 64;
        self.expect(b":")?;
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(MAX_SCALAR_LEN).position(|&b| b == b';');
        let text = length
            .and_then(|length| rest.get(..length))
            .ok_or_else(|| self.error("no `;` after a number"))?;
        self.at += text.len() + 1;
        Ok(text)
    }

    /// Reads an unsigned number and consumes the `end` after it.
    fn number(&mut self, end: u8) -> Result<u64, UnserializeError> {
        let start = self.at;
        let mut number = 0_u64;
        loop {
            let byte = self.next()?;
            if byte == end && self.at > start + 1 {
                return Ok(number);
            }
            let digit = char::from(byte).to_digit(10).ok_or_else(|| self.error("not a length"))?;
            number = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit)))
                .ok_or_else(|| self.error("a length beyond the end"))?;
        }
    }

    fn next(&mut self) -> Result<u8, UnserializeError> {
        let byte = self.input.get(self.at).copied().ok_or_else(|| self.error("the value is cut off"))?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), UnserializeError> {
        for &byte in wanted {
            if self.next()? != byte {
                self.at -= 1;
                return Err(self.error("an unexpected character"));
            }
        }
        Ok(())
    }

    fn error(&self, reason: &'static str) -> UnserializeError {
        UnserializeError { at: self.at, reason }
    }
}

fn kept(keep: Keep, value: impl FnOnce() -> PhpValue) -> PhpValue {
    if keep == Keep::All { value() } else { PhpValue::Null }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn array(elements: Vec<(PhpKey, PhpValue)>) -> PhpValue {
        PhpValue::Array(PhpArray::from_elements(elements))
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let key = |text: &str| PhpKey::from_bytes(text.as_bytes());
        let table = [
            ("N;", PhpValue::Null),
            ("b:1;", PhpValue::Bool(true)),
            ("b:0;", PhpValue::Bool(false)),
            ("i:-5;", PhpValue::Int(-5)),
            ("i:+5;", PhpValue::Int(5)),
            ("d:0.5;", PhpValue::Float(0.5)),
            ("d:1.0E+25;", PhpValue::Float(1e25)),
            ("d:-INF;", PhpValue::Float(f64::NEG_INFINITY)),
            ("d:5;", PhpValue::Float(5.0)),
            ("s:0:\"\";", "".into()),
            ("s:4:\"Zoé\";", "Zoé".into()),
            ("s:4:\"a\";b\";", "a\";b".into()),
            ("a:0:{}", array(vec![])),
            (
                "a:2:{i:0;N;s:1:\"k\";b:1;}",
                array(vec![(PhpKey::Int(0), PhpValue::Null), (key("k"), PhpValue::Bool(true))]),
            ),
            ("a:2:{s:1:\"7\";i:1;i:7;i:2;}", array(vec![(PhpKey::Int(7), PhpValue::Int(2))])),
            (
                "O:8:\"stdClass\":1:{s:1:\"a\";i:1;}",
                PhpValue::Object {
                    class: b"stdClass".to_vec(),
                    fields: PhpArray::from_elements(vec![(key("a"), PhpValue::Int(1))]),
                },
            ),
            ("C:1:\"X\":3:{a}b}", PhpValue::Custom { class: b"X".to_vec(), data: b"a}b".to_vec() }),
            ("E:3:\"A:B\";", PhpValue::Enum(b"A:B".to_vec())),
            (
                "a:2:{i:0;i:1;i:1;R:2;}",
                array(vec![
                    (PhpKey::Int(0), PhpValue::Int(1)),
                    (PhpKey::Int(1), PhpValue::Reference { number: 2, alias: true }),
                ]),
            ),
        ];
        for (text, value) in table {
            assert_eq!(unserialize(text.as_bytes()), Ok(value), "{text}");
        }
        assert!(matches!(unserialize(b"d:NAN;"), Ok(PhpValue::Float(float)) if float.is_nan()));
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in [
            "",
            "x",
            "N",
            "N:",
            "b:2;",
            "b:;",
            "i:;",
            "i:-;",
            "i:1.5;",
            "i: 1;",
            "i:1 ;",
            "i:99999999999999999999;",
            "d:;",
            "d:1x;",
            "d:inf;",
            "d:nan;",
            "s:1:\"\";",
            "s:2:\"é\"",
            "s:3:\"é\";",
            "s:-1:\"\";",
            "s::\"\";",
            "s:99999999999999999999:\"\";",
            "s:18446744073709551615:\"\";",
            "s:+1:\"a\";",
            "a:1:{}",
            "a:0:{",
            "a:0:{};",
            "a:1:{N;N;}",
            "a:1:{i:0;}",
            "a:2:{i:0;N;}",
            "a:1:{i:0;N;i:1;N;}",
            "a:-1:{}",
            "O:1:\"X\":0:{",
            "O:1:\"X\"0:{}",
            "C:1:\"X\":9:{}",
            "E:1:\"X\"",
            "O:3:\"X\"Y\":0:{}",
            "C:1:\"-\":0:{}",
            "r:1;",
            "R:0;",
            "a:1:{i:0;R:2;}",
            "S:1:\"\\61\";",
            "i:1;i:2;",
            " i:1;",
            "i:1;\n",
        ] {
            assert!(unserialize(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_says_where() {
        let error = unserialize(b"a:1:{i:0;x}").unwrap_err();
        assert_eq!(error.to_string(), "not a value serialized by PHP: no known type at byte 9");
    }

    #[test]
    fn depth_and_number_of_values_are_limited() {
        let nested = |depth| "a:1:{i:0;".repeat(depth) + "N;" + &"}".repeat(depth);
        assert!(unserialize(nested(64).as_bytes()).is_ok());
        assert_eq!(unserialize(nested(65).as_bytes()).unwrap_err().reason, "too deeply nested");
        assert_eq!(unserialize(nested(100_000).as_bytes()).unwrap_err().reason, "too deeply nested");
        let wide = format!("a:70000:{{{}}}", "i:0;N;".repeat(70_000));
        assert_eq!(unserialize(wide.as_bytes()).unwrap_err().reason, "too many values");
        assert_eq!(unserialize(b"a:4294967295:{i:0;N;").unwrap_err().reason, "the value is cut off");
    }

    /// PHP's `serialize`, for the tests only.
    fn serialize(value: &PhpValue, out: &mut Vec<u8>) {
        match value {
            PhpValue::Null => out.extend(b"N;"),
            PhpValue::Bool(bool) => out.extend(format!("b:{};", u8::from(*bool)).bytes()),
            PhpValue::Int(int) => out.extend(format!("i:{int};").bytes()),
            PhpValue::Float(float) => out.extend(format!("d:{float:E};").bytes()),
            PhpValue::Bytes(bytes) => string("s", bytes, "\";", out),
            PhpValue::Enum(name) => string("E", name, "\";", out),
            PhpValue::Array(array) => {
                out.push(b'a');
                elements(array, out);
            }
            PhpValue::Object { class, fields } => {
                string("O", class, "\"", out);
                elements(fields, out);
            }
            PhpValue::Custom { class, data } => {
                string("C", class, "\"", out);
                out.extend(format!(":{}:{{", data.len()).bytes());
                out.extend(data);
                out.push(b'}');
            }
            PhpValue::Reference { number, alias } => {
                out.extend(format!("{}:{number};", if *alias { 'R' } else { 'r' }).bytes());
            }
        }
    }

    fn string(letter: &str, bytes: &[u8], close: &str, out: &mut Vec<u8>) {
        out.extend(format!("{letter}:{}:\"", bytes.len()).bytes());
        out.extend(bytes);
        out.extend(close.bytes());
    }

    fn elements(array: &PhpArray, out: &mut Vec<u8>) {
        out.extend(format!(":{}:{{", array.len()).bytes());
        for (key, value) in array.iter() {
            match key {
                PhpKey::Int(int) => serialize(&PhpValue::Int(*int), out),
                PhpKey::Bytes(bytes) => string("s", bytes, "\";", out),
            }
            serialize(value, out);
        }
        out.push(b'}');
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..12)
    }

    fn value() -> impl Strategy<Value = PhpValue> {
        let leaf = prop_oneof![
            Just(PhpValue::Null),
            any::<bool>().prop_map(PhpValue::Bool),
            any::<i64>().prop_map(PhpValue::Int),
            proptest::num::f64::NORMAL.prop_map(PhpValue::Float),
            bytes().prop_map(PhpValue::Bytes),
            bytes().prop_map(PhpValue::Enum),
            ("[A-Za-z_]{0,6}", bytes())
                .prop_map(|(class, data)| PhpValue::Custom { class: class.into(), data }),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let key = prop_oneof![
                any::<i64>().prop_map(PhpKey::Int),
                bytes().prop_map(|bytes| PhpKey::from_bytes(&bytes)),
            ];
            let array = proptest::collection::vec((key, inner), 0..6).prop_map(PhpArray::from_elements);
            prop_oneof![
                array.clone().prop_map(PhpValue::Array),
                ("[A-Za-z_]{0,6}", array)
                    .prop_map(|(class, fields)| PhpValue::Object { class: class.into(), fields }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_serialized_is_read_back(value in value()) {
            let mut out = Vec::new();
            serialize(&value, &mut out);
            prop_assert_eq!(unserialize(&out), Ok(value));
            let mut reader = Reader::new(&out);
            prop_assert!(reader.value(Keep::Nothing).is_ok() && reader.at_end());
        }

        #[test]
        fn a_cut_value_is_an_error(value in value(), cut in 1usize..40) {
            let mut out = Vec::new();
            serialize(&value, &mut out);
            out.truncate(out.len().saturating_sub(cut));
            prop_assert!(unserialize(&out).is_err());
        }

        #[test]
        fn no_input_panics(
            input in proptest::collection::vec(any::<u8>(), 0..80),
            text in "([NbidsaOCErR][:;][0-9+.E-]{0,3}[:;]?[{\"]?[a-z]{0,3}[\"}]?;?){0,12}",
        ) {
            let _ = unserialize(&input);
            let _ = unserialize(text.as_bytes());
        }
    }
}
