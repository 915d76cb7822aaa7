//! PHP's values, as configuration files write them and as `serialize` stores them. Strings are bytes.

use std::collections::HashMap;

/// A PHP value.
#[derive(Debug, Clone, PartialEq)]
pub enum PhpValue {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string of any bytes.
    Bytes(Vec<u8>),
    /// An array.
    Array(PhpArray),
    /// An object: its class and its properties. Private properties have PHP's mangled names.
    Object {
        /// Name of the class.
        class: Vec<u8>,
        /// Properties in order.
        fields: PhpArray,
    },
    /// An object that serializes itself (`C:`): its class and its own data.
    Custom {
        /// Name of the class.
        class: Vec<u8>,
        /// The data in the class's own encoding.
        data: Vec<u8>,
    },
    /// A case of an enumeration, `Class:Case`.
    Enum(Vec<u8>),
    /// A repetition of an earlier value, by its number. The gate does not resolve it.
    Reference {
        /// The number of the earlier value, counted from 1.
        number: u64,
        /// Whether it is `R:` (the same variable) rather than `r:` (the same object).
        alias: bool,
    },
}

impl PhpValue {
    /// Returns the bytes of a string; `None` for any other value.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the text of a string; `None` for any other value and for a string that is not UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// Returns the integer. As in PHP, a string with an integer (`"-5"`) and a float without a fraction count
    /// as one.
    pub fn as_int(&self) -> Option<i64> {
        #[allow(clippy::cast_precision_loss)]
        match self {
            Self::Int(int) => Some(*int),
            Self::Float(float) if float.fract() == 0.0 && float.abs() < (1_i64 << 53) as f64 => {
                Some(*float as i64)
            }
            Self::Bytes(_) => self.as_str()?.parse().ok(),
            _ => None,
        }
    }

    /// Returns the number as a float, from an integer, a float or a numeric string.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            Self::Bytes(_) => self.as_str()?.parse().ok().filter(|float: &f64| float.is_finite()),
            _ => None,
        }
    }

    /// Whether `if ($value)` is true. Configurations write booleans as `true`, `1`, `'1'`. As in PHP, the
    /// string `'false'` is true.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(bool) => *bool,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Bytes(bytes) => !matches!(bytes.as_slice(), b"" | b"0"),
            Self::Array(array) => !array.is_empty(),
            Self::Object { .. } | Self::Custom { .. } | Self::Enum(_) | Self::Reference { .. } => true,
        }
    }

    /// Returns the array, or an object's properties.
    pub fn as_array(&self) -> Option<&PhpArray> {
        match self {
            Self::Array(array) | Self::Object { fields: array, .. } => Some(array),
            _ => None,
        }
    }

    /// Returns the element or property called `name`.
    pub fn element(&self, name: &str) -> Option<&Self> {
        self.as_array()?.element(&PhpKey::from_bytes(name.as_bytes()))
    }
}

impl From<&str> for PhpValue {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// A key of an array. PHP has integer and string keys; a string that is a plain decimal integer becomes an
/// integer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PhpKey {
    /// An integer key.
    Int(i64),
    /// A string key that is not a plain integer.
    Bytes(Vec<u8>),
}

impl PhpKey {
    /// Returns the key that a string stands for: `"7"` and `"-7"` are integers, `"07"`, `"+7"`, `"-0"` and `"
    /// 7"` are not.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let int = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<i64>().ok());
        match int {
            Some(int) if int.to_string().as_bytes() == bytes && int != i64::MIN => Self::Int(int),
            _ => Self::Bytes(bytes.to_vec()),
        }
    }
}

/// An ordered PHP array. No two elements have the same key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhpArray {
    elements: Vec<(PhpKey, PhpValue)>,
    next_index: NextIndex,
}

impl PhpArray {
    /// Returns an empty array.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds an array of these elements. If a key repeats, the last value replaces the first in its place.
    pub fn from_elements(elements: Vec<(PhpKey, PhpValue)>) -> Self {
        let mut array = Self::new();
        let mut places: HashMap<PhpKey, usize> = HashMap::with_capacity(elements.len());
        for (key, value) in elements {
            if let Some(slot) = places.get(&key).and_then(|&place| array.elements.get_mut(place)) {
                slot.1 = value;
            } else {
                places.insert(key.clone(), array.elements.len());
                array.push_new(key, value);
            }
        }
        array
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether the array has no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Iterates over keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&PhpKey, &PhpValue)> {
        self.elements.iter().map(|(key, value)| (key, value))
    }

    /// Iterates over the values in order.
    pub fn values(&self) -> impl Iterator<Item = &PhpValue> {
        self.elements.iter().map(|(_, value)| value)
    }

    /// Returns the element with this key.
    pub fn element(&self, key: &PhpKey) -> Option<&PhpValue> {
        self.elements.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Returns the element with this key for modification.
    pub fn element_mut(&mut self, key: &PhpKey) -> Option<&mut PhpValue> {
        self.elements.iter_mut().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Sets an element; an existing key keeps its place.
    pub fn insert(&mut self, key: PhpKey, value: PhpValue) {
        match self.element_mut(&key) {
            Some(slot) => *slot = value,
            None => self.push_new(key, value),
        }
    }

    /// Appends an element as `[]` does. Returns `false` and appends nothing if no key is left or PHP versions
    /// differ about the key.
    pub fn push(&mut self, value: PhpValue) -> bool {
        let NextIndex::Known(index) = self.next_index else { return false };
        self.push_new(PhpKey::Int(index), value);
        true
    }

    fn push_new(&mut self, key: PhpKey, value: PhpValue) {
        if let PhpKey::Int(index) = key {
            self.next_index = self.next_index.after(index);
        }
        self.elements.push((key, value));
    }
}

/// The key that `[]` would use.
#[derive(Debug, Clone, Copy, PartialEq)]
enum NextIndex {
    Known(i64),
    /// After a negative key, because PHP versions differ: after a negative first key, `[]` uses 0 up to PHP
    /// 8.2 and the next integer since 8.3. Also after the largest integer.
    Unclear,
}

impl NextIndex {
    fn after(self, index: i64) -> Self {
        match self {
            Self::Known(next) if index < next && index >= 0 => self,
            _ if index < 0 => Self::Unclear,
            Self::Known(_) => index.checked_add(1).map_or(Self::Unclear, Self::Known),
            Self::Unclear => Self::Unclear,
        }
    }
}

impl Default for NextIndex {
    fn default() -> Self {
        Self::Known(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_key_that_is_a_plain_integer_becomes_one() {
        for (text, int) in [("0", 0), ("7", 7), ("-7", -7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(PhpKey::from_bytes(text.as_bytes()), PhpKey::Int(int), "{text}");
        }
        for text in [
            "",
            "07",
            "+7",
            "-0",
            " 7",
            "7 ",
            "1.0",
            "1e3",
            "9223372036854775808",
            "-9223372036854775808",
            "x",
        ] {
            assert_eq!(PhpKey::from_bytes(text.as_bytes()), PhpKey::Bytes(text.into()), "{text}");
        }
    }

    #[test]
    fn truth_is_phps() {
        let array = PhpArray::from_elements(vec![(PhpKey::Int(0), PhpValue::Null)]);
        let table = [
            (PhpValue::Null, false),
            (PhpValue::Bool(false), false),
            (PhpValue::Bool(true), true),
            (PhpValue::Int(0), false),
            (PhpValue::Int(-1), true),
            (PhpValue::Float(0.0), false),
            (PhpValue::Float(0.1), true),
            ("".into(), false),
            ("0".into(), false),
            ("0.0".into(), true),
            ("false".into(), true),
            (PhpValue::Array(PhpArray::new()), false),
            (PhpValue::Array(array), true),
        ];
        for (value, truth) in table {
            assert_eq!(value.is_truthy(), truth, "{value:?}");
        }
    }

    #[test]
    fn numbers_are_read_from_strings_and_whole_floats() {
        let table = [
            (PhpValue::Int(5), Some(5), Some(5.0)),
            (PhpValue::Float(5.0), Some(5), Some(5.0)),
            (PhpValue::Float(5.5), None, Some(5.5)),
            (PhpValue::Float(1e300), None, Some(1e300)),
            (PhpValue::Float(f64::NAN), None, None),
            ("-5".into(), Some(-5), Some(-5.0)),
            ("0.5".into(), None, Some(0.5)),
            ("inf".into(), None, None),
            ("five".into(), None, None),
            (PhpValue::Null, None, None),
            (PhpValue::Bool(true), None, None),
        ];
        for (value, int, float) in table {
            assert_eq!(value.as_int(), int, "{value:?}");
            assert_eq!(value.as_float().filter(|f| !f.is_nan()), float, "{value:?}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_wins_at_the_place_of_the_first() {
        let key = |text: &str| PhpKey::from_bytes(text.as_bytes());
        let int = PhpValue::Int;
        let array = PhpArray::from_elements(vec![(key("a"), int(1)), (key("b"), int(2)), (key("a"), int(3))]);
        let elements: Vec<_> = array.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(elements, [(key("a"), int(3)), (key("b"), int(2))]);
    }

    #[test]
    fn appending_continues_after_the_largest_integer_key() {
        let table: [(&[i64], Option<i64>); 7] = [
            (&[], Some(0)),
            (&[0, 1], Some(2)),
            (&[5, 3], Some(6)),
            (&[-1], None),
            (&[5, -1], None),
            (&[i64::MAX], None),
            (&[0, i64::MAX], None),
        ];
        for (keys, appended) in table {
            let elements = keys.iter().map(|&key| (PhpKey::Int(key), PhpValue::Null)).collect();
            let mut array = PhpArray::from_elements(elements);
            let pushed = array.push(PhpValue::Null);
            let key = pushed.then(|| array.iter().last().map(|(key, _)| key.clone()).unwrap());
            assert_eq!(key, appended.map(PhpKey::Int), "{keys:?}");
        }
    }
}
