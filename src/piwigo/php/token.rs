//! Cuts PHP source text into tokens, as far as a configuration file needs it. Text that cannot be cut with
//! certainty makes the whole file unreadable; PHP would mostly refuse it, too.

use super::literal::{float, int, unescape};
use super::value::PhpValue;

/// A token and its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    /// The line, counted from 1.
    pub(super) line: u32,
    /// The range of the token's text, in bytes from the start of the file.
    pub(super) span: std::ops::Range<usize>,
    /// For a bracket, the index of its counterpart in the list of tokens; otherwise the token's own index.
    pub(super) partner: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind<'a> {
    /// `$name`, without the `$`.
    Variable(&'a [u8]),
    /// A keyword or the name of a constant, function or class; it may hold `\`.
    Name(&'a [u8]),
    /// A string or number literal.
    Literal(PhpValue),
    /// A string or number whose value only PHP can determine: a string with variables, a heredoc, a number
    /// out of range.
    Opaque,
    /// An operator, bracket or separator. `?>` counts as `;`.
    Op(&'static str),
}

impl Token<'_> {
    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.kind, TokenKind::Op(own) if own == op)
    }

    /// Whether this is the given keyword or function name. PHP ignores its case.
    pub(super) fn is_name(&self, name: &str) -> bool {
        self.name().is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Returns the name without a leading `\`, which marks the global namespace.
    pub(super) fn name(&self) -> Option<&[u8]> {
        match self.kind {
            TokenKind::Name(name) => Some(name.strip_prefix(b"\\").unwrap_or(name)),
            _ => None,
        }
    }
}

/// The file cannot be cut into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untokenizable {
    pub(super) line: u32,
}

/// Returns all tokens of a file. Skips text outside `<?php … ?>`.
pub(super) fn tokenize(source: &[u8]) -> Result<Vec<Token<'_>>, Untokenizable> {
    let mut cutter = Cutter { source, at: 0, start: 0, line: 1, counted_to: 0, tokens: Vec::new() };
    if cutter.all().is_none() {
        return Err(Untokenizable { line: cutter.line_of(cutter.start) });
    }
    pair_brackets(&mut cutter.tokens)?;
    Ok(cutter.tokens)
}

/// Operators; a longer one precedes its own prefixes.
const OPERATORS: &[&str] = &[
    "<<=", ">>=", "**=", "...", "<=>", "===", "!==", "??=", "?->", "=>", "->", "::", "==", "!=", "<>", "<=",
    ">=", "&&", "||", "??", "++", "--", "+=", "-=", "*=", "/=", ".=", "%=", "&=", "|=", "^=", "<<", ">>",
    "**", "(", ")", "[", "]", "{", "}", ";", ",", "=", "+", "-", "*", "/", ".", "%", "&", "|", "^", "~", "!",
    "?", ":", "<", ">", "@", "$",
];

/// The limit of nested brackets.
const MAX_BRACKET_DEPTH: usize = 256;

/// The limit of nested strings (a string within `{$…}` within a string).
const MAX_STRING_DEPTH: u32 = 16;

struct Cutter<'a> {
    source: &'a [u8],
    at: usize,
    /// The start of the current token.
    start: usize,
    line: u32,
    /// The position up to which `line` has been counted.
    counted_to: usize,
    tokens: Vec<Token<'a>>,
}

/// A method returns `None` if it cannot go on.
impl<'a> Cutter<'a> {
    fn all(&mut self) -> Option<()> {
        while self.outside()? && self.inside()? {}
        Some(())
    }

    /// Skips text up to the next opening tag; `false` at the end of the file.
    fn outside(&mut self) -> Option<bool> {
        let Some(tag) = find(self.rest(), b"<?") else { return Some(false) };
        self.at += tag;
        let start = self.at;
        self.start = start;
        let rest = self.rest();
        let word = rest.get(2..5).unwrap_or_default();
        if rest.get(2) == Some(&b'=') {
            self.at += 3;
            self.push(start, TokenKind::Name(b"echo"));
            Some(true)
        } else if word.eq_ignore_ascii_case(b"php") && rest.get(5).is_none_or(u8::is_ascii_whitespace) {
            self.at += 5;
            Some(true)
        } else {
            // php.ini decides whether `<?` alone begins code or is text.
            None
        }
    }

    /// Cuts code up to the closing tag; `false` at the end of the file.
    fn inside(&mut self) -> Option<bool> {
        while let Some(&byte) = self.rest().first() {
            let start = self.at;
            self.start = start;
            let rest = self.rest();
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.at += 1,
                b'?' if rest.starts_with(b"?>") => {
                    self.at += 2;
                    self.push(start, TokenKind::Op(";"));
                    return Some(true);
                }
                b'#' => self.skip_line_comment(),
                b'/' if rest.starts_with(b"//") => self.skip_line_comment(),
                b'/' if rest.starts_with(b"/*") => {
                    let end = rest.get(2..).and_then(|body| find(body, b"*/"))?;
                    self.at += end + 4;
                }
                b'\'' => self.single_quoted(start)?,
                b'"' | b'`' => self.double_quoted(start, byte)?,
                b'b' | b'B' if rest.get(1) == Some(&b'\'') => {
                    self.at += 1;
                    self.single_quoted(start)?;
                }
                b'b' | b'B' if rest.get(1) == Some(&b'"') => {
                    self.at += 1;
                    self.double_quoted(start, b'"')?;
                }
                b'<' if rest.starts_with(b"<<<") && self.heredoc(start)? => {}
                b'$' if rest.get(1).copied().is_some_and(begins_name) => {
                    self.at += 1;
                    let name = self.take_while(continues_name);
                    self.push(start, TokenKind::Variable(name));
                }
                b'0'..=b'9' => self.number(start),
                b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => self.number(start),
                _ if begins_name(byte)
                    || (byte == b'\\' && rest.get(1).copied().is_some_and(begins_name)) =>
                {
                    let name = self.take_while(|b| continues_name(b) || b == b'\\');
                    if name.eq_ignore_ascii_case(b"__halt_compiler") {
                        self.at = self.source.len();
                        return Some(false);
                    }
                    self.push(start, TokenKind::Name(name));
                }
                _ => {
                    let op = OPERATORS.iter().find(|op| rest.starts_with(op.as_bytes()));
                    let op = op?;
                    self.at += op.len();
                    self.push(start, TokenKind::Op(op));
                }
            }
        }
        Some(false)
    }

    /// Skips to the end of the line or to `?>`, whichever comes first, and consumes neither.
    fn skip_line_comment(&mut self) {
        let rest = self.rest();
        let line = rest.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(rest.len());
        let tag = find(rest.get(..line).unwrap_or_default(), b"?>");
        self.at += tag.unwrap_or(line);
    }

    fn single_quoted(&mut self, start: usize) -> Option<()> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            let (byte, next) = (self.peek(0), self.peek(1));
            self.at += 1;
            match (byte, next) {
                (Some(b'\''), _) => break,
                (Some(b'\\'), Some(escaped @ (b'\'' | b'\\'))) => {
                    self.at += 1;
                    value.push(escaped);
                }
                (Some(byte), _) => value.push(byte),
                (None, _) => return None,
            }
        }
        self.push(start, TokenKind::Literal(PhpValue::Bytes(value)));
        Some(())
    }

    /// Cuts a string in double quotes or a shell command in backticks.
    fn double_quoted(&mut self, start: usize, quote: u8) -> Option<()> {
        let content = self.quoted(quote, 0)?;
        let value = if quote == b'"' { unescape(content) } else { None };
        self.push(start, value.map_or(TokenKind::Opaque, |value| TokenKind::Literal(PhpValue::Bytes(value))));
        Some(())
    }

    /// Returns the text between two quotes, including any `{$…}` and `${…}` in it.
    fn quoted(&mut self, quote: u8, depth: u32) -> Option<&'a [u8]> {
        if depth > MAX_STRING_DEPTH {
            return None;
        }
        self.at += 1;
        let start = self.at;
        let mut braces = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return None,
                (Some(b'\\'), _) if braces == 0 => self.at += 2,
                (Some(b'{'), Some(b'$')) | (Some(b'$'), Some(b'{')) if braces == 0 => {
                    braces = 1;
                    self.at += 2;
                }
                (Some(b'{'), _) if braces > 0 => {
                    braces += 1;
                    self.at += 1;
                }
                (Some(b'}'), _) if braces > 0 => {
                    braces -= 1;
                    self.at += 1;
                }
                (Some(b'\''), _) if braces > 0 => {
                    self.at += 1;
                    while self.peek(0)? != b'\'' {
                        self.at += if self.peek(0) == Some(b'\\') { 2 } else { 1 };
                    }
                    self.at += 1;
                }
                (Some(inner @ (b'"' | b'`')), _) if braces > 0 => {
                    self.quoted(inner, depth + 1)?;
                }
                (Some(byte), _) if byte == quote => break,
                (Some(_), _) => self.at += 1,
            }
        }
        let content = self.source.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Some(content)
    }

    /// Cuts a heredoc or nowdoc; `false` if `<<<` does not begin one.
    fn heredoc(&mut self, start: usize) -> Option<bool> {
        let rest = self.rest();
        let after = rest.get(3..).unwrap_or_default();
        let blanks = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let after = after.get(blanks..).unwrap_or_default();
        let quote = after.first().copied().filter(|b| matches!(b, b'"' | b'\''));
        let after = after.get(usize::from(quote.is_some())..).unwrap_or_default();
        let label_len = after.iter().take_while(|&&b| continues_name(b)).count();
        let (label, after) = after.split_at_checked(label_len).unwrap_or_default();
        let closed = quote.is_none_or(|quote| after.first() == Some(&quote));
        let after = after.get(usize::from(quote.is_some())..).unwrap_or_default();
        let starts_line = matches!(after.first(), Some(b'\r' | b'\n'));
        if !label.first().copied().is_some_and(begins_name) || !closed || !starts_line {
            return Some(false);
        }
        let mut at = self.source.len() - after.len();
        loop {
            let line_end =
                self.source.get(at..).and_then(|rest| rest.iter().position(|b| matches!(b, b'\r' | b'\n')));
            let line_start = at + line_end? + 1;
            let line = self.source.get(line_start..).unwrap_or_default();
            let indent = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            let text = line.get(indent..).unwrap_or_default();
            if text.starts_with(label) && !text.get(label_len).copied().is_some_and(continues_name) {
                self.at = line_start + indent + label_len;
                self.push(start, TokenKind::Opaque);
                return Some(true);
            }
            at = line_start;
        }
    }

    fn number(&mut self, start: usize) {
        let digits = |cutter: &mut Self| cutter.take_while(|b| b.is_ascii_digit() || b == b'_').len();
        let prefix = (self.peek(0), self.peek(1).map(|b| b.to_ascii_lowercase()));
        let radix = match prefix {
            (Some(b'0'), Some(b'x')) => Some(16),
            (Some(b'0'), Some(b'b')) => Some(2),
            (Some(b'0'), Some(b'o')) => Some(8),
            _ => None,
        };
        let value = if let Some(radix) = radix {
            self.at += 2;
            let text = self.take_while(|b| b.is_ascii_alphanumeric() || b == b'_');
            int(text, radix)
        } else {
            let whole = digits(self);
            let mut is_float = false;
            if self.peek(0) == Some(b'.') && (whole > 0 || self.peek(1).is_some_and(|b| b.is_ascii_digit())) {
                is_float = true;
                self.at += 1;
                digits(self);
            }
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if matches!(self.peek(0), Some(b'e' | b'E'))
                && self.peek(1 + sign).is_some_and(|b| b.is_ascii_digit())
            {
                is_float = true;
                self.at += 1 + sign;
                digits(self);
            }
            let text = self.source.get(start..self.at).unwrap_or_default();
            match text {
                _ if is_float => float(text),
                [b'0', octal @ ..] if !octal.is_empty() => int(octal, 8),
                _ => int(text, 10).or_else(|| float(text)),
            }
        };
        self.push(start, value.map_or(TokenKind::Opaque, TokenKind::Literal));
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.source.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn push(&mut self, start: usize, kind: TokenKind<'a>) {
        let line = self.line_of(start);
        self.tokens.push(Token { kind, line, span: start..self.at, partner: self.tokens.len() });
    }

    fn line_of(&mut self, at: usize) -> u32 {
        let passed = self.source.get(self.counted_to..at).unwrap_or_default();
        let before = self.counted_to.checked_sub(1).and_then(|before| self.source.get(before));
        let mut after_cr = before == Some(&b'\r');
        for &byte in passed {
            if byte == b'\r' || (byte == b'\n' && !after_cr) {
                self.line += 1;
            }
            after_cr = byte == b'\r';
        }
        self.counted_to = at.max(self.counted_to);
        self.line
    }

    fn rest(&self) -> &'a [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.get(self.at + ahead).copied()
    }
}

/// Records the counterpart of each bracket.
fn pair_brackets(tokens: &mut [Token<'_>]) -> Result<(), Untokenizable> {
    let mut open: Vec<(usize, &'static str)> = Vec::new();
    let mut pairs = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let TokenKind::Op(op) = token.kind else { continue };
        if open.len() > MAX_BRACKET_DEPTH {
            return Err(Untokenizable { line: token.line });
        }
        match op {
            "(" => open.push((at, ")")),
            "[" => open.push((at, "]")),
            "{" => open.push((at, "}")),
            ")" | "]" | "}" => match open.pop() {
                Some((opened, closer)) if closer == op => pairs.push((opened, at)),
                _ => return Err(Untokenizable { line: token.line }),
            },
            _ => {}
        }
    }
    if let Some(&(opened, _)) = open.last() {
        return Err(Untokenizable { line: tokens.get(opened).map_or(1, |token| token.line) });
    }
    for (opened, closed) in pairs {
        for (at, partner) in [(opened, closed), (closed, opened)] {
            if let Some(token) = tokens.get_mut(at) {
                token.partner = partner;
            }
        }
    }
    Ok(())
}

/// Whether a name may begin with this byte.
pub(super) fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of one line of code: one letter for each kind, and the value.
    fn cut(code: &str) -> Result<String, u32> {
        let source = format!("<?php {code}");
        let tokens = tokenize(source.as_bytes()).map_err(|error| error.line)?;
        let words = tokens.iter().map(|token| match &token.kind {
            TokenKind::Variable(name) => format!("${}", String::from_utf8_lossy(name)),
            TokenKind::Name(name) => String::from_utf8_lossy(name).into_owned(),
            TokenKind::Literal(PhpValue::Bytes(bytes)) => format!("'{}'", bytes.escape_ascii()),
            TokenKind::Literal(PhpValue::Int(int)) => int.to_string(),
            TokenKind::Literal(PhpValue::Float(float)) => format!("{float:?}"),
            TokenKind::Literal(other) => format!("{other:?}"),
            TokenKind::Opaque => "?".to_owned(),
            TokenKind::Op(op) => (*op).to_owned(),
        });
        Ok(words.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_string_ends_where_phps_ends() {
        let table = [
            (r"'a\'b\\c\n$x {$y}' 1", r"'a\'b\\c\\n$x {$y}' 1"),
            (r#""a\"b\\" 1"#, r#"'a\"b\\' 1"#),
            (r#"b'a' B"c""#, "'a' 'c'"),
            (r#""$x" 1"#, "? 1"),
            (r#""a{$x['b"c']} " . 'd'"#, "? . 'd'"),
            (r#""a{$x["b}\"c"]}e" . 'd'"#, "? . 'd'"),
            (r#""${x["y"]}" . 'd'"#, "? . 'd'"),
            ("`ls \"` 1", "? 1"),
        ];
        for (code, tokens) in table {
            assert_eq!(cut(code).as_deref(), Ok(tokens), "{code}");
        }
    }

    #[test]
    fn a_number_ends_where_phps_ends() {
        let table = [
            ("0 7 1_000 0x1F 0X1f 017 0o17 0b101", "0 7 1000 31 31 15 15 5"),
            ("1.5 .5 6. 1e3 1.5E-3 1e", "1.5 0.5 6.0 1000.0 0.0015 1 e"),
            ("9223372036854775807 9223372036854775808", "9223372036854775807 9.223372036854776e18"),
            ("089 0xG 0x 0xFFFFFFFFFFFFFFFFF 1__0 1_ 1e999", "? ? ? ? ? ? ?"),
            ("-5", "- 5"),
        ];
        for (code, tokens) in table {
            assert_eq!(cut(code).as_deref(), Ok(tokens), "{code}");
        }
    }

    #[test]
    fn comments_and_heredocs_are_passed_over() {
        let table = [
            ("1 // '2\n3", "1 3"),
            ("1 # '2\r3", "1 3"),
            ("1 /* '2\n */ 3", "1 3"),
            ("1 // ?> text <?php 2", "1 ; 2"),
            ("<<<EOT\n it's $x\nEOTX\n  EOT; 2", "? ; 2"),
            ("<<<'EOT'\n\"\nEOT\n. 2", "? . 2"),
            ("<<< \"EOT\"\nEOT;", "? ;"),
            ("1 <<< 2", "1 << < 2"),
            ("1; __halt_compiler(); '\" { junk", "1 ;"),
        ];
        for (code, tokens) in table {
            assert_eq!(cut(code).as_deref(), Ok(tokens), "{code}");
        }
    }

    #[test]
    fn only_code_between_the_tags_counts() {
        let table = [
            ("\u{feff}<?php $a; ?> it's <?PHP\n$b", Some(4)),
            ("#!/x\n<?php", Some(0)),
            ("<?= $a ?>", Some(3)),
            ("no code at all '", Some(0)),
            ("<? $a", None),
            ("<?xml ?>", None),
            ("<?phpx", None),
        ];
        for (source, count) in table {
            assert_eq!(tokenize(source.as_bytes()).ok().map(|tokens| tokens.len()), count, "{source}");
        }
    }

    #[test]
    fn what_cannot_be_cut_names_its_line() {
        let table = [
            ("1;\n'open", 2),
            ("1;\n\n\"open", 3),
            ("1;\n2 /* open", 2),
            ("<<<EOT\n open", 1),
            ("1;\n(2", 2),
            ("(\n]", 2),
            ("}", 1),
            ("1\n\u{1}", 2),
        ];
        for (code, line) in table {
            assert_eq!(cut(code), Err(line), "{code}");
        }
    }

    #[test]
    fn lines_are_counted_with_any_line_end() {
        let tokens = tokenize(b"<?php 1\n2\r\n3\r4\n\n'a\nb' 5").unwrap();
        let lines: Vec<u32> = tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 6, 7]);
    }
}
