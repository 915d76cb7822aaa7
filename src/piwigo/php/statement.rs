//! Walks through the statements of a configuration file. Carries out plain assignments and definitions, and
//! searches all other statements for settings that they may change.

use std::ops::Range;
use std::sync::Arc;

use super::config::{PhpConfig, Setting, SourcePosition, Unknown};
use super::expression::{Evaluator, Index};
use super::skipped::{Touched, touches};
use super::token::{Token, TokenKind};
use super::value::PhpValue;

/// The limit of indices after `$conf` in an assignment.
const MAX_INDICES: usize = 16;

/// How much the expressions of one file may copy from earlier settings, in bytes and elements.
const MAX_COPIED: usize = 1 << 20;

/// Reads one file into a [`PhpConfig`].
pub(super) struct FileReader<'c, 't, 's> {
    config: &'c mut PhpConfig,
    file: Arc<str>,
    source: &'s [u8],
    tokens: &'t [Token<'s>],
    /// The number of open blocks of the form `if (…): … endif;`.
    open_blocks: u32,
    /// The reader has passed a `return` that may have run.
    may_have_returned: bool,
    /// The rest of `MAX_COPIED`.
    allowance: usize,
}

impl<'c, 't, 's> FileReader<'c, 't, 's> {
    /// Prepares to read a tokenized file.
    pub(super) fn new(
        config: &'c mut PhpConfig,
        file: Arc<str>,
        source: &'s [u8],
        tokens: &'t [Token<'s>],
    ) -> Self {
        Self { config, file, source, tokens, open_blocks: 0, may_have_returned: false, allowance: MAX_COPIED }
    }

    /// Reads the file to its end.
    pub(super) fn read(mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            let unconditional = self.open_blocks == 0 && !self.may_have_returned;
            let understood = if unconditional { self.understood(at) } else { None };
            at = understood.unwrap_or_else(|| self.skip(at));
        }
    }

    /// Carries out the statement at this token if it is of a form that is always understood. Returns the
    /// position after it.
    fn understood(&mut self, at: usize) -> Option<usize> {
        match self.tokens.get(at)?.kind {
            TokenKind::Op(";") => Some(at + 1),
            TokenKind::Variable(b"conf") => self.conf_assignment(at),
            TokenKind::Variable(b"prefixeTable") => self.prefix_assignment(at),
            TokenKind::Op("@") => self.definition(at + 1),
            TokenKind::Name(_) if self.is_name(at, "define") => self.definition(at),
            TokenKind::Name(_) if self.is_name(at, "const") => self.constant(at),
            TokenKind::Name(_) if self.is_name(at, "defined") => self.definition_unless_defined(at),
            TokenKind::Name(_) if self.is_name(at, "if") => self.definition_if_not_defined(at),
            _ => None,
        }
    }

    /// `$conf['key']['sub'][] = expression;`
    fn conf_assignment(&mut self, at: usize) -> Option<usize> {
        let mut evaluator = self.evaluator(at + 1);
        let Index::Key(key) = evaluator.index()? else { return None };
        let mut path = Vec::new();
        while !evaluator.eat("=") {
            if path.len() > MAX_INDICES {
                return None;
            }
            path.push(evaluator.index()?);
        }
        let value = evaluator.expression()?;
        let after = evaluator.eat(";").then(|| evaluator.position())?;
        self.allowance = evaluator.allowance();
        if path.is_empty() {
            self.config.assign_conf(&key, Setting::Known(value));
        } else {
            let place = self.place(at);
            self.config.assign_within_conf(&key, &path, value, place);
        }
        Some(after)
    }

    /// `$prefixeTable = expression;`
    fn prefix_assignment(&mut self, at: usize) -> Option<usize> {
        let mut evaluator = self.evaluator(at + 1);
        let value = if evaluator.eat("=") { evaluator.expression()? } else { return None };
        let after = evaluator.eat(";").then(|| evaluator.position())?;
        self.allowance = evaluator.allowance();
        let place = self.place(at);
        self.config.assign_table_prefix(value, place);
        Some(after)
    }

    /// `define('NAME', expression);`
    fn definition(&mut self, at: usize) -> Option<usize> {
        let (name, value, after) = self.parse_definition(at)?;
        self.config.define(&name, value);
        Some(after)
    }

    /// `const NAME = expression;`
    fn constant(&mut self, at: usize) -> Option<usize> {
        let name = self.tokens.get(at + 1)?.name()?.to_vec();
        let mut evaluator = self.evaluator(at + 2);
        let value = if evaluator.eat("=") { evaluator.expression()? } else { return None };
        let after = evaluator.eat(";").then(|| evaluator.position())?;
        self.allowance = evaluator.allowance();
        self.config.define(&name, value);
        Some(after)
    }

    /// `defined('NAME') or define('NAME', expression);`
    fn definition_unless_defined(&mut self, at: usize) -> Option<usize> {
        let (tested, after) = self.parse_defined(at)?;
        let or = self.is_name(after, "or") || self.is_op(after, "||");
        let (name, value, after) = if or { self.parse_definition(after + 1)? } else { return None };
        if tested != name {
            return None;
        }
        self.config.define(&name, value);
        Some(after)
    }

    /// `if (!defined('NAME')) define('NAME', expression);`, the definition with or without braces.
    fn definition_if_not_defined(&mut self, at: usize) -> Option<usize> {
        if !self.is_op(at + 1, "(") || !self.is_op(at + 2, "!") {
            return None;
        }
        let (tested, after) = self.parse_defined(at + 3)?;
        if !self.is_op(after, ")") {
            return None;
        }
        let in_braces = self.is_op(after + 1, "{");
        let (name, value, after) = self.parse_definition(after + 1 + usize::from(in_braces))?;
        let closed = !in_braces || self.is_op(after, "}");
        let after = after + usize::from(in_braces);
        let goes_on = ["else", "elseif"].into_iter().any(|word| self.is_name(after, word));
        if tested != name || !closed || goes_on {
            return None;
        }
        self.config.define(&name, value);
        Some(after)
    }

    /// Reads `[@] define('NAME', expression);`. Returns the name, the value and the position after it.
    fn parse_definition(&mut self, at: usize) -> Option<(Vec<u8>, PhpValue, usize)> {
        let at = at + usize::from(self.is_op(at, "@"));
        if !self.is_name(at, "define") || !self.is_op(at + 1, "(") || !self.is_op(at + 3, ",") {
            return None;
        }
        let name = self.string(at + 2)?.to_vec();
        let mut evaluator = self.evaluator(at + 4);
        let value = evaluator.expression()?;
        let complete = evaluator.eat(")") && evaluator.eat(";");
        let (after, allowance) = (evaluator.position(), evaluator.allowance());
        self.allowance = allowance;
        complete.then_some((name, value, after))
    }

    /// Reads `defined('NAME')`. Returns the name and the position after it.
    fn parse_defined(&self, at: usize) -> Option<(Vec<u8>, usize)> {
        let complete = self.is_name(at, "defined") && self.is_op(at + 1, "(") && self.is_op(at + 3, ")");
        let name = self.string(at + 2).filter(|_| complete)?;
        Some((name.to_vec(), at + 4))
    }

    /// Skips the statement at this token and records its possible effects.
    fn skip(&mut self, at: usize) -> usize {
        let use_of_names = self.is_name(at, "use")
            && ["function", "const"].into_iter().any(|word| self.is_name(at + 1, word));
        if self.is_name(at, "namespace") || use_of_names {
            // After this statement, names may have another meaning.
            let place = self.place(at);
            self.config.refuse(place);
        }
        let end = self.end_of_statement(at).max(at + 1);
        self.note_touches(at..end);
        end
    }

    fn note_touches(&mut self, range: Range<usize>) {
        for touch in touches(self.tokens, range) {
            let place = SourcePosition { file: Arc::clone(&self.file), line: touch.line };
            match &touch.what {
                Touched::Return => self.may_have_returned = true,
                Touched::Include(text) => {
                    let text = self.source.get(text.clone()).unwrap_or_default();
                    self.config.include(&place, text);
                }
                what => self.config.touched(what, Unknown { place, lasting: touch.lasting }),
            }
        }
    }

    /// Returns the position after the statement at this token: after its `;` or its block. `if (…)` and its
    /// body are one statement, `else` begins another.
    fn end_of_statement(&mut self, mut at: usize) -> usize {
        loop {
            let is = |words: &[&str]| words.iter().any(|word| self.is_name(at, word));
            if is(&["if", "elseif", "while", "for", "foreach", "switch", "catch", "declare"])
                && self.is_op(at + 1, "(")
            {
                let opens = !is(&["elseif"]);
                at = self.partner(at + 1) + 1;
                if self.is_op(at, ":") {
                    self.open_blocks += u32::from(opens);
                    return at + 1;
                }
            } else if is(&["else"]) {
                at += 1;
                if self.is_op(at, ":") {
                    return at + 1;
                }
            } else if is(&["do", "try", "finally"]) {
                at += 1;
            } else if is(&["endif", "endwhile", "endfor", "endforeach", "endswitch", "enddeclare"]) {
                self.open_blocks = self.open_blocks.saturating_sub(1);
                return self.semicolon(at);
            } else if self.declares(at) {
                return self.body(at);
            } else if self.is_op(at, "{") {
                return self.partner(at) + 1;
            } else {
                return self.semicolon(at);
            }
        }
    }

    /// Whether a named function or class is declared here.
    fn declares(&self, at: usize) -> bool {
        let named = |at: usize| self.tokens.get(at).is_some_and(|token| token.name().is_some());
        let words = ["class", "interface", "trait", "enum", "abstract", "final", "readonly"];
        if self.is_name(at, "function") {
            return named(at + 1) || (self.is_op(at + 1, "&") && named(at + 2));
        }
        words.into_iter().any(|word| self.is_name(at, word)) && named(at + 1)
    }

    /// Returns the position after the first block in braces.
    fn body(&self, mut at: usize) -> usize {
        while at < self.tokens.len() {
            if self.is_op(at, "{") {
                return self.partner(at) + 1;
            }
            if self.is_op(at, ";") {
                return at + 1;
            }
            at = self.partner(at) + 1;
        }
        at
    }

    /// Returns the position after the next `;` outside brackets.
    fn semicolon(&self, mut at: usize) -> usize {
        while at < self.tokens.len() {
            if self.is_op(at, ";") {
                return at + 1;
            }
            at = self.partner(at).max(at) + 1;
        }
        at
    }

    fn evaluator(&self, at: usize) -> Evaluator<'_, 's> {
        Evaluator::new(self.tokens, self.config, at, self.allowance)
    }

    fn place(&self, at: usize) -> SourcePosition {
        SourcePosition {
            file: Arc::clone(&self.file),
            line: self.tokens.get(at).map_or(1, |token| token.line),
        }
    }

    fn partner(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(at, |token| token.partner)
    }

    fn string(&self, at: usize) -> Option<&[u8]> {
        match &self.tokens.get(at)?.kind {
            TokenKind::Literal(PhpValue::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    fn is_op(&self, at: usize, op: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_op(op))
    }

    fn is_name(&self, at: usize, name: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_name(name))
    }
}
