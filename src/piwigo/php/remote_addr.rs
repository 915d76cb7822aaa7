//! Finds assignments in a configuration file that change the visitor's address for PHP alone:
//! `$_SERVER['REMOTE_ADDR'] = …`, which guides for Piwigo behind a proxy recommend.

use super::token::{Token, TokenKind, tokenize};
use super::value::PhpValue;

/// Returns the line of the first such assignment, counted from 1; `None` also for a file that cannot be
/// tokenized.
pub fn assignment_of_remote_addr(source: &[u8]) -> Option<u32> {
    let tokens = tokenize(source).ok()?;
    let is_server = |token: &Token<'_>| matches!(token.kind, TokenKind::Variable(b"_SERVER"));
    let mut servers = tokens.iter().enumerate().filter(|(_, token)| is_server(token));
    servers.find(|(at, _)| is_assigned(&tokens, at + 1)).map(|(_, token)| token.line)
}

/// Whether the tokens after `$_SERVER` assign to the whole array or to its `REMOTE_ADDR`, alone or in a list.
fn is_assigned(tokens: &[Token<'_>], at: usize) -> bool {
    let assigns =
        |at: usize| tokens.get(at).is_some_and(|token| ["=", "??=", ".="].iter().any(|op| token.is_op(op)));
    if assigns(at) {
        return true;
    }
    let is_remote_addr = |token: &Token<'_>| match &token.kind {
        TokenKind::Literal(PhpValue::Bytes(key)) => key == b"REMOTE_ADDR",
        _ => false,
    };
    let behind = at + 3;
    tokens.get(at).is_some_and(|token| token.is_op("["))
        && tokens.get(at + 1).is_some_and(is_remote_addr)
        && (assigns(behind)
            || tokens.get(behind).is_some_and(|token| [")", "]", ","].iter().any(|op| token.is_op(op)))
                && closes_a_list(tokens, behind))
}

/// Whether the next closing bracket ends a `list(…)` or `[…]` that is assigned to.
fn closes_a_list(tokens: &[Token<'_>], at: usize) -> bool {
    let end = tokens
        .iter()
        .enumerate()
        .skip(at)
        .find(|(_, token)| token.is_op(")") || token.is_op("]") || token.is_op(";"));
    end.is_some_and(|(end, _)| tokens.get(end + 1).is_some_and(|token| token.is_op("=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_and_what_looks_like_them() {
        let table = [
            ("$_SERVER['REMOTE_ADDR'] = $_SERVER['HTTP_X_FORWARDED_FOR'];", true),
            (
                "if (isset($_SERVER[\"HTTP_X_REAL_IP\"])) { $_SERVER[\"REMOTE_ADDR\"] = $_SERVER[\"HTTP_X_REAL_IP\"]; }",
                true,
            ),
            ("$_SERVER['REMOTE_ADDR']=trim(current(explode(',', $_SERVER['HTTP_X_FORWARDED_FOR'])));", true),
            ("list($_SERVER['REMOTE_ADDR']) = explode(',', $x);", true),
            ("[$_SERVER['REMOTE_ADDR'], $rest] = explode(',', $x, 2);", true),
            ("$_SERVER['REMOTE_ADDR'] ??= '127.0.0.1';", true),
            ("$_SERVER = array_merge($_SERVER, $x);", true),
            ("$ip = $_SERVER['REMOTE_ADDR'];", false),
            ("if ($_SERVER['REMOTE_ADDR'] == '127.0.0.1') { $conf['show_queries'] = true; }", false),
            ("f($_SERVER['REMOTE_ADDR']); $x = 1;", false),
            ("$x = [$_SERVER['REMOTE_ADDR']]; $y = 2;", false),
            ("// $_SERVER['REMOTE_ADDR'] = $x;\n$_SERVER['HTTPS'] = 'on';", false),
            ("$x = \"$_SERVER['REMOTE_ADDR'] = 1\";", false),
        ];
        for (code, expected) in table {
            let source = format!("<?php\n\n{code}\n");
            assert_eq!(assignment_of_remote_addr(source.as_bytes()), expected.then_some(3), "{code}");
        }
    }
}
