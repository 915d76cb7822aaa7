//! Evaluates a PHP expression of literals, arrays and settings that are already known. An expression that PHP
//! would have to run has no value here.

use super::token::{Token, TokenKind};
use super::value::{PhpArray, PhpKey, PhpValue};

/// The limit of nested arrays, brackets and signs.
const MAX_DEPTH: u32 = 64;

/// The limit of an array's elements. A longer array has no value here.
pub(super) const MAX_ELEMENTS: usize = 10_000;

/// The settings that an expression may refer to.
pub(super) trait KnownNames {
    /// Returns the value of `$conf[key]`.
    fn conf(&self, key: &[u8]) -> Option<&PhpValue>;
    /// Returns the value of a constant.
    fn constant(&self, name: &[u8]) -> Option<&PhpValue>;
    /// Returns the value of `$prefixeTable`.
    fn table_prefix(&self) -> Option<&PhpValue>;
}

/// The content of `[…]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Index {
    Key(PhpKey),
    /// Nothing: the next free key.
    Next,
}

/// Reads expressions from a list of tokens.
pub(super) struct Evaluator<'t, 's> {
    tokens: &'t [Token<'s>],
    known: &'t dyn KnownNames,
    at: usize,
    depth: u32,
    /// How much the expressions may still copy from earlier settings, in the units of `weight`.
    allowance: usize,
}

impl<'t, 's> Evaluator<'t, 's> {
    /// Starts at the token at that position. Copies at most `allowance` bytes and elements from earlier
    /// settings: otherwise a setting that doubles itself some forty times would fill the memory.
    pub(super) fn new(
        tokens: &'t [Token<'s>],
        known: &'t dyn KnownNames,
        at: usize,
        allowance: usize,
    ) -> Self {
        Self { tokens, known, at, depth: 0, allowance }
    }

    /// The rest of the allowance.
    pub(super) fn allowance(&self) -> usize {
        self.allowance
    }

    /// The position of the next token.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Consumes the next token if it is this operator.
    pub(super) fn eat(&mut self, op: &str) -> bool {
        let found = self.is(op);
        self.at += usize::from(found);
        found
    }

    /// Returns the value of the expression that begins here. Returns `None` if it cannot be determined; the
    /// position is then arbitrary.
    pub(super) fn expression(&mut self) -> Option<PhpValue> {
        self.nested(Self::chain)
    }

    /// Reads `[key]` or `[]`.
    pub(super) fn index(&mut self) -> Option<Index> {
        if !self.eat("[") {
            return None;
        }
        if self.eat("]") {
            return Some(Index::Next);
        }
        let key = as_key(self.expression()?)?;
        self.eat("]").then_some(Index::Key(key))
    }

    /// Reads operands joined by `.`, or integers joined by `+`, `-`, `*`. Refuses a mix of the two, because
    /// PHP versions differ about it.
    fn chain(&mut self) -> Option<PhpValue> {
        let first = self.product()?;
        if self.is(".") {
            let mut text = as_text(&first)?;
            while self.eat(".") {
                text.extend(as_text(&self.operand()?)?);
            }
            return (!self.is_arithmetic()).then_some(PhpValue::Bytes(text));
        }
        let mut sum = first;
        while self.is("+") || self.is("-") {
            let minus = self.is("-");
            self.at += 1;
            let (PhpValue::Int(left), PhpValue::Int(right)) = (sum, self.product()?) else { return None };
            sum = PhpValue::Int(if minus { left.checked_sub(right)? } else { left.checked_add(right)? });
        }
        (!self.is(".")).then_some(sum)
    }

    fn product(&mut self) -> Option<PhpValue> {
        let mut product = self.operand()?;
        while self.eat("*") {
            let (PhpValue::Int(left), PhpValue::Int(right)) = (product, self.operand()?) else { return None };
            product = PhpValue::Int(left.checked_mul(right)?);
        }
        Some(product)
    }

    fn operand(&mut self) -> Option<PhpValue> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        match &token.kind {
            TokenKind::Literal(value) => self.unindexed(value.clone()),
            TokenKind::Op("(") => {
                let value = self.nested(Self::chain)?;
                if self.eat(")") { self.unindexed(value) } else { None }
            }
            TokenKind::Op("[") => self.array("]"),
            TokenKind::Op("-") => match self.nested(Self::operand)? {
                PhpValue::Int(int) => int.checked_neg().map(PhpValue::Int),
                PhpValue::Float(float) => Some(PhpValue::Float(-float)),
                _ => None,
            },
            TokenKind::Variable(b"prefixeTable") => {
                let value = self.copy(self.known.table_prefix()?)?;
                self.unindexed(value)
            }
            TokenKind::Variable(b"conf") => self.conf(),
            TokenKind::Name(_) if token.is_name("array") && self.eat("(") => self.array(")"),
            TokenKind::Name(_) if token.is_name("array_merge") && self.eat("(") => self.array_merge(),
            TokenKind::Name(_) => {
                let value = self.constant(token.name()?)?;
                self.unindexed(value)
            }
            _ => None,
        }
    }

    fn constant(&mut self, name: &[u8]) -> Option<PhpValue> {
        match name.to_ascii_lowercase().as_slice() {
            b"true" => Some(PhpValue::Bool(true)),
            b"false" => Some(PhpValue::Bool(false)),
            b"null" => Some(PhpValue::Null),
            _ => self.copy(self.known.constant(name)?),
        }
    }

    fn conf(&mut self) -> Option<PhpValue> {
        let Index::Key(key) = self.index()? else { return None };
        let mut value = self.known.conf(&key_text(&key))?;
        while self.is("[") {
            let Index::Key(key) = self.index()? else { return None };
            let PhpValue::Array(array) = value else { return None };
            value = array.element(&key)?;
        }
        let value = self.copy(value)?;
        self.unindexed(value)
    }

    fn copy(&mut self, value: &PhpValue) -> Option<PhpValue> {
        self.allowance = self.allowance.checked_sub(weight(value, 0)?)?;
        Some(value.clone())
    }

    /// Reads elements up to the closing bracket and consumes it.
    fn array(&mut self, close: &str) -> Option<PhpValue> {
        let mut array = PhpArray::new();
        while !self.eat(close) {
            let value = self.expression()?;
            if self.eat("=>") {
                let key = as_key(value)?;
                let value = self.expression()?;
                array.insert(key, value);
            } else if !array.push(value) {
                return None;
            }
            let at_end = self.is(close);
            if array.len() > MAX_ELEMENTS || !(self.eat(",") || at_end) {
                return None;
            }
        }
        self.unindexed(PhpValue::Array(array))
    }

    /// Reads the arguments of `array_merge` and the closing bracket. String keys keep their place; integer
    /// keys are renumbered.
    fn array_merge(&mut self) -> Option<PhpValue> {
        let mut merged = PhpArray::new();
        loop {
            let PhpValue::Array(array) = self.expression()? else { return None };
            for (key, value) in array.iter() {
                match key {
                    PhpKey::Int(_) if merged.push(value.clone()) => {}
                    PhpKey::Int(_) => return None,
                    PhpKey::Bytes(_) => merged.insert(key.clone(), value.clone()),
                }
            }
            let comma = self.eat(",");
            if merged.len() > MAX_ELEMENTS {
                return None;
            }
            if self.eat(")") {
                return self.unindexed(PhpValue::Array(merged));
            }
            if !comma {
                return None;
            }
        }
    }

    /// Returns the value, unless the next token indexes or calls it.
    fn unindexed(&self, value: PhpValue) -> Option<PhpValue> {
        let goes_on = ["[", "(", "{", "->", "?->", "::"].into_iter().any(|op| self.is(op));
        (!goes_on).then_some(value)
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<PhpValue>) -> Option<PhpValue> {
        self.depth += 1;
        let value = if self.depth > MAX_DEPTH { None } else { read(self) };
        self.depth -= 1;
        value
    }

    fn is(&self, op: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token.is_op(op))
    }

    fn is_arithmetic(&self) -> bool {
        ["+", "-", "*"].into_iter().any(|op| self.is(op))
    }
}

/// The number of bytes and elements of a value; `None` if it is nested too deeply.
fn weight(value: &PhpValue, depth: u32) -> Option<usize> {
    match value {
        PhpValue::Bytes(bytes) => Some(1 + bytes.len()),
        PhpValue::Array(_) if depth >= MAX_DEPTH => None,
        PhpValue::Array(array) => array.iter().try_fold(1, |sum: usize, (key, value)| {
            let key = if let PhpKey::Bytes(key) = key { key.len() } else { 0 };
            Some(sum + key + weight(value, depth + 1)?)
        }),
        _ => Some(1),
    }
}

/// Converts a value to the key that it stands for in `[…]`; `None` if PHP versions differ or warn.
fn as_key(value: PhpValue) -> Option<PhpKey> {
    match value {
        PhpValue::Int(int) => Some(PhpKey::Int(int)),
        PhpValue::Bytes(bytes) => Some(PhpKey::from_bytes(&bytes)),
        _ => None,
    }
}

/// The text of a key of `$conf`.
pub(super) fn key_text(key: &PhpKey) -> Vec<u8> {
    match key {
        PhpKey::Int(int) => int.to_string().into_bytes(),
        PhpKey::Bytes(bytes) => bytes.clone(),
    }
}

/// Converts a value to text as `.` does. Refuses floats, because PHP versions write them differently.
fn as_text(value: &PhpValue) -> Option<Vec<u8>> {
    match value {
        PhpValue::Bytes(bytes) => Some(bytes.clone()),
        PhpValue::Int(int) => Some(int.to_string().into_bytes()),
        PhpValue::Bool(true) => Some(b"1".to_vec()),
        PhpValue::Bool(false) | PhpValue::Null => Some(Vec::new()),
        _ => None,
    }
}
