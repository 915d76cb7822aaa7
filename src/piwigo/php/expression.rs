//! The value of a PHP expression that consists of literals, arrays and settings that are already known.
//! Anything that would have to be run has no value here.

use super::token::{Token, TokenKind};
use super::value::{PhpArray, PhpKey, PhpValue};

/// Arrays, brackets and signs within each other.
const MAX_DEPTH: u32 = 64;

/// Elements of one array; a longer one has no value here.
pub(super) const MAX_ELEMENTS: usize = 10_000;

/// What an expression may refer to.
pub(super) trait Known {
    /// The value of `$conf[key]`.
    fn conf(&self, key: &[u8]) -> Option<&PhpValue>;
    /// The value of a constant.
    fn constant(&self, name: &[u8]) -> Option<&PhpValue>;
    /// The value of `$prefixeTable`.
    fn table_prefix(&self) -> Option<&PhpValue>;
}

/// What stands between `[` and `]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Index {
    Key(PhpKey),
    /// Nothing: the next free key.
    Next,
}

/// Reads expressions from a list of tokens.
pub(super) struct Evaluator<'t, 's> {
    tokens: &'t [Token<'s>],
    known: &'t dyn Known,
    at: usize,
    depth: u32,
    /// How much may still be copied from earlier settings, in the units of `weight`.
    allowance: usize,
}

impl<'t, 's> Evaluator<'t, 's> {
    /// Starts at the token with that position. Of earlier settings no more than `allowance` bytes and
    /// elements are copied: else a setting that doubles itself some forty times would fill the memory.
    pub(super) fn new(tokens: &'t [Token<'s>], known: &'t dyn Known, at: usize, allowance: usize) -> Self {
        Self { tokens, known, at, depth: 0, allowance }
    }

    /// What is left of the allowance.
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

    /// The value of the expression that begins here; `None` if it cannot be told, wherever reading stopped
    /// then.
    pub(super) fn expression(&mut self) -> Option<PhpValue> {
        self.nested(Self::chain)
    }

    /// `[key]` or `[]`.
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

    /// Operands joined by `.`, or integers joined by `+`, `-`, `*`. PHP versions differ about mixing the two.
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

    /// Elements up to the closing bracket, which is consumed.
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

    /// The arguments of `array_merge` and the closing bracket: string keys keep their place, integer keys are
    /// counted anew.
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

    /// The value, unless what follows takes something out of it or calls it.
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

/// Bytes and elements of a value; `None` if it is nested too deeply.
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

/// The key that a value stands for in `[…]`; `None` where PHP versions differ or warn.
fn as_key(value: PhpValue) -> Option<PhpKey> {
    match value {
        PhpValue::Int(int) => Some(PhpKey::Int(int)),
        PhpValue::Bytes(bytes) => Some(PhpKey::from_bytes(&bytes)),
        _ => None,
    }
}

/// How a key of `$conf` is written.
pub(super) fn key_text(key: &PhpKey) -> Vec<u8> {
    match key {
        PhpKey::Int(int) => int.to_string().into_bytes(),
        PhpKey::Bytes(bytes) => bytes.clone(),
    }
}

/// What `.` makes of a value; floats are written differently by different PHP versions.
fn as_text(value: &PhpValue) -> Option<Vec<u8>> {
    match value {
        PhpValue::Bytes(bytes) => Some(bytes.clone()),
        PhpValue::Int(int) => Some(int.to_string().into_bytes()),
        PhpValue::Bool(true) => Some(b"1".to_vec()),
        PhpValue::Bool(false) | PhpValue::Null => Some(Vec::new()),
        _ => None,
    }
}
