//! Finds the settings that PHP code may change although the gate does not evaluate it: keys of `$conf`,
//! `$prefixeTable`, constants. It reports a setting in case of doubt: a reported setting cannot be read from
//! the file any more.

use super::expression::key_text;
use super::token::{Token, TokenKind};
use super::value::{PhpKey, PhpValue};

/// An effect that skipped code may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touch {
    pub(super) what: Touched,
    pub(super) line: u32,
    /// The effect may happen again later, through a function call or a reference.
    pub(super) lasting: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Touched {
    /// `$conf[key]` or something within it.
    Conf(Vec<u8>),
    /// Any key of `$conf`.
    AnyConf,
    /// `$prefixeTable`.
    TablePrefix,
    /// This constant.
    Constant(Vec<u8>),
    /// Any constant.
    AnyConstant,
    /// `include` or `require`, with the range of the included expression in the source text.
    Include(std::ops::Range<usize>),
    /// `return` outside a function: the rest of the file may not run.
    Return,
    /// `goto`: the statements may run in any order.
    Goto,
}

/// Returns the possible effects of the code between two positions.
pub(super) fn touches(tokens: &[Token<'_>], range: std::ops::Range<usize>) -> Vec<Touch> {
    let mut scan = Scan {
        tokens,
        end: range.end,
        frames: Vec::new(),
        body_follows: false,
        arrow: false,
        found: Vec::new(),
    };
    for at in range {
        scan.token(at);
    }
    scan.found
}

/// What a bracket means for a variable directly within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// The variable is only read.
    Plain,
    /// The variable is assigned to or unset: `list(…)`, `[…] = `, `unset(…)`, `catch (…)`.
    Written,
    /// The variable is passed to a function, which may take it by reference.
    Argument,
    /// `foreach (… as …)` before the `as`. It iterates by reference if it contains a `&`.
    Foreach { by_reference: bool },
    /// The body of a function or class.
    Body,
}

/// Words that do not call a function when they precede `(`.
const KEYWORDS: [&str; 32] = [
    "if",
    "elseif",
    "while",
    "for",
    "switch",
    "match",
    "isset",
    "empty",
    "array",
    "declare",
    "function",
    "fn",
    "use",
    "return",
    "echo",
    "print",
    "and",
    "or",
    "xor",
    "exit",
    "die",
    "case",
    "else",
    "include",
    "include_once",
    "require",
    "require_once",
    "yield",
    "throw",
    "clone",
    "do",
    "instanceof",
];

/// Functions that do not change their arguments. Any other function might.
const HARMLESS: [&str; 48] = [
    "in_array",
    "array_key_exists",
    "array_keys",
    "array_values",
    "array_merge",
    "array_diff",
    "array_search",
    "array_unique",
    "array_flip",
    "array_intersect",
    "array_filter",
    "array_map",
    "implode",
    "join",
    "explode",
    "count",
    "sizeof",
    "strlen",
    "substr",
    "strpos",
    "strtolower",
    "strtoupper",
    "ucfirst",
    "trim",
    "rtrim",
    "ltrim",
    "is_array",
    "is_string",
    "is_numeric",
    "is_bool",
    "is_null",
    "is_int",
    "intval",
    "strval",
    "boolval",
    "file_exists",
    "is_dir",
    "is_file",
    "dirname",
    "basename",
    "realpath",
    "date",
    "sprintf",
    "var_dump",
    "error_log",
    "ini_set",
    "defined",
    "define",
];

const ASSIGNMENTS: [&str; 16] =
    ["=", "+=", "-=", "*=", "/=", ".=", "%=", "**=", "??=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"];

struct Scan<'t, 's> {
    tokens: &'t [Token<'s>],
    end: usize,
    frames: Vec<Frame>,
    /// The scan has passed `function` or `class`; the next `{` opens its body.
    body_follows: bool,
    /// The scan has passed `fn`, whose body ends at an unknown position.
    arrow: bool,
    found: Vec<Touch>,
}

impl Scan<'_, '_> {
    fn token(&mut self, at: usize) {
        let Some(token) = self.tokens.get(at) else { return };
        match &token.kind {
            TokenKind::Op("(") => self.frames.push(self.parenthesis(at)),
            TokenKind::Op("[") => self.frames.push(self.bracket(at)),
            TokenKind::Op("{") => {
                let frame = if self.body_follows { Frame::Body } else { Frame::Plain };
                self.body_follows = false;
                self.frames.push(frame);
            }
            TokenKind::Op(")" | "]" | "}") => {
                self.frames.pop();
            }
            TokenKind::Op(";") => self.body_follows = false,
            // `$$name` and `${…}` may be any variable.
            TokenKind::Op("$") => self.anything(at),
            TokenKind::Variable(b"GLOBALS") => self.globals(at),
            TokenKind::Variable(b"conf") => self.conf(at),
            TokenKind::Variable(b"prefixeTable") if self.is_written(at, self.after_indices(at + 1)) => {
                self.touch(at, Touched::TablePrefix);
            }
            TokenKind::Name(_) if !self.is_member(at) => self.name(at, token),
            _ => {}
        }
    }

    fn name(&mut self, at: usize, token: &Token<'_>) {
        let is_call = self.is_op(at + 1, "(");
        let is = |names: &[&str]| names.iter().any(|name| token.is_name(name));
        let declares = is(&["function"])
            || (is(&["class"]) && !self.is_op(at + 1, ";"))
            || (is(&["trait", "interface", "enum"]) && self.name_at(at + 1).is_some());
        if declares {
            self.body_follows = true;
        } else if is(&["fn"]) {
            self.arrow = true;
        } else if is(&["as"]) {
            if let Some(frame @ Frame::Foreach { .. }) = self.frames.last_mut() {
                *frame = Frame::Written;
            }
        } else if is(&["return"]) && !self.in_body() {
            self.touch(at, Touched::Return);
        } else if is(&["goto"]) {
            self.touch(at, Touched::Goto);
        } else if is(&["include", "include_once", "require", "require_once"]) {
            self.touch(at, Touched::Include(self.text_to_end(at + 1)));
        } else if is(&["define"]) && is_call {
            let constant = match self.tokens.get(at + 2).map(|token| &token.kind) {
                Some(TokenKind::Literal(PhpValue::Bytes(name))) if self.is_op(at + 3, ",") => {
                    Touched::Constant(name.clone())
                }
                _ => Touched::AnyConstant,
            };
            self.touch(at, constant);
        } else if is(&["const"]) {
            self.constants(at);
        } else if is_call && is(&["eval", "extract", "parse_str", "mb_parse_str", "create_function"]) {
            self.anything(at);
        }
    }

    /// `const A = …, B = …;`
    fn constants(&mut self, at: usize) {
        for place in at + 1..self.end {
            if self.is_op(place, ";") {
                break;
            }
            if let Some(name) = self.name_at(place).filter(|_| self.is_op(place + 1, "=")) {
                let name = name.to_vec();
                self.touch(place, Touched::Constant(name));
            }
        }
    }

    fn conf(&mut self, at: usize) {
        if self.is_member(at) || !self.is_written(at, self.after_indices(at + 1)) {
            return;
        }
        let what = self.literal_index(at + 1).map_or(Touched::AnyConf, |key| Touched::Conf(key_text(&key)));
        self.touch(at, what);
        let after = self.after_indices(at + 1);
        if let (true, true, Some(touch)) =
            (self.is_op(after, "="), self.is_op(after + 1, "&"), self.found.last_mut())
        {
            touch.lasting = true;
        }
    }

    fn globals(&mut self, at: usize) {
        match self.literal_index(at + 1) {
            Some(PhpKey::Bytes(name)) if name == b"conf" => {
                let key = self.literal_index(at + 4).map(|key| key_text(&key));
                self.touch(at, key.map_or(Touched::AnyConf, Touched::Conf));
            }
            Some(PhpKey::Bytes(name)) if name == b"prefixeTable" => self.touch(at, Touched::TablePrefix),
            Some(_) => {}
            None => self.anything(at),
        }
    }

    fn anything(&mut self, at: usize) {
        for what in [Touched::AnyConf, Touched::TablePrefix, Touched::AnyConstant] {
            let Some(token) = self.tokens.get(at) else { continue };
            self.found.push(Touch { what, line: token.line, lasting: true });
        }
    }

    fn touch(&mut self, at: usize, what: Touched) {
        let Some(token) = self.tokens.get(at) else { return };
        let lasting =
            self.in_body() || self.arrow || self.before_is_op(at, "&") || self.iterates_by_reference();
        self.found.push(Touch { what, line: token.line, lasting });
    }

    /// Whether the variable at `at`, whose indices end before `after`, may be written to.
    fn is_written(&self, at: usize, after: usize) -> bool {
        let assigned = ASSIGNMENTS.iter().any(|op| self.is_op(after, op));
        let changed = ["&", "++", "--"].iter().any(|op| self.before_is_op(at, op));
        let old_index = self.is_op(after, "{");
        assigned
            || changed
            || old_index
            || match self.frames.last() {
                Some(Frame::Written | Frame::Argument) => true,
                Some(Frame::Foreach { by_reference }) => *by_reference,
                Some(Frame::Plain | Frame::Body) | None => false,
            }
    }

    fn iterates_by_reference(&self) -> bool {
        self.frames.last() == Some(&Frame::Foreach { by_reference: true })
    }

    fn parenthesis(&self, at: usize) -> Frame {
        let Some(before) = at.checked_sub(1).and_then(|before| self.tokens.get(before)) else {
            return Frame::Plain;
        };
        match &before.kind {
            TokenKind::Name(_) => {
                let is = |names: &[&str]| names.iter().any(|name| before.is_name(name));
                let is_member = self.is_member(at - 1);
                let declared =
                    at >= 2 && self.tokens.get(at - 2).is_some_and(|token| token.is_name("function"));
                let made = at >= 2 && self.tokens.get(at - 2).is_some_and(|token| token.is_name("new"));
                if is_member || made {
                    Frame::Argument
                } else if is(&["list", "unset", "catch"]) {
                    Frame::Written
                } else if is(&["foreach"]) {
                    Frame::Foreach { by_reference: self.holds_reference(at) }
                } else if declared || is(&KEYWORDS) || is(&HARMLESS) {
                    Frame::Plain
                } else {
                    Frame::Argument
                }
            }
            TokenKind::Variable(_)
            | TokenKind::Literal(_)
            | TokenKind::Opaque
            | TokenKind::Op(")" | "]" | "}") => Frame::Argument,
            TokenKind::Op(_) => Frame::Plain,
        }
    }

    fn bracket(&self, at: usize) -> Frame {
        let closes = self.tokens.get(at).map_or(at, |token| token.partner);
        let before = at.checked_sub(1).and_then(|before| self.tokens.get(before)).map(|token| &token.kind);
        let is_index =
            matches!(before, Some(TokenKind::Variable(_) | TokenKind::Literal(_) | TokenKind::Op(")" | "]")));
        let unpacks = self.is_op(closes + 1, "=") || self.frames.last() == Some(&Frame::Written);
        if unpacks && !is_index { Frame::Written } else { Frame::Plain }
    }

    fn holds_reference(&self, open: usize) -> bool {
        let close = self.tokens.get(open).map_or(open, |token| token.partner);
        (open..close).any(|at| self.is_op(at, "&"))
    }

    /// Returns the key in `['key']` or `[5]`.
    fn literal_index(&self, at: usize) -> Option<PhpKey> {
        if !self.is_op(at, "[") || !self.is_op(at + 2, "]") {
            return None;
        }
        match &self.tokens.get(at + 1)?.kind {
            TokenKind::Literal(PhpValue::Bytes(bytes)) => Some(PhpKey::from_bytes(bytes)),
            TokenKind::Literal(PhpValue::Int(int)) => Some(PhpKey::Int(*int)),
            _ => None,
        }
    }

    fn after_indices(&self, mut at: usize) -> usize {
        while self.is_op(at, "[") {
            at = self.tokens.get(at).map_or(at, |token| token.partner) + 1;
        }
        at
    }

    /// The range of source text from this token to the end of the statement.
    fn text_to_end(&self, at: usize) -> std::ops::Range<usize> {
        /// The path of an include is a few names and strings.
        const MAX_TOKENS: usize = 32;
        let end = self.end.min(at + MAX_TOKENS);
        let end = (at..end).find(|&at| self.is_op(at, ";")).unwrap_or(end);
        let start = self.tokens.get(at).map_or(0, |token| token.span.start);
        let last =
            end.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(start, |token| token.span.end);
        start..last.max(start)
    }

    fn in_body(&self) -> bool {
        self.frames.contains(&Frame::Body)
    }

    /// Whether the token is a member of an object or class: `->name`, `::$name`.
    fn is_member(&self, at: usize) -> bool {
        ["->", "?->", "::"].iter().any(|op| self.before_is_op(at, op))
    }

    fn before_is_op(&self, at: usize, op: &str) -> bool {
        at.checked_sub(1).is_some_and(|before| self.is_op(before, op))
    }

    fn is_op(&self, at: usize, op: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_op(op))
    }

    fn name_at(&self, at: usize) -> Option<&[u8]> {
        self.tokens.get(at)?.name()
    }
}
