//! Findings: each has a stable name, a level, what was found, and what to do about it.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing. Also used for what could not be examined.
    Note,
    /// It works, but it is not as it should be.
    Warning,
    /// Something leaks, or does not work.
    Problem,
}

impl Level {
    /// The word that the report prints.
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of what was examined. It is stable, for scripts.
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The id of the finding that causes this one: once that is corrected, this one should be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows_from: Option<&'static str>,
    /// What was missing, if this could not be examined.
    #[serde(skip)]
    pub(super) without: Option<Without>,
}

/// What a part of the examination needs and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// Settings that the gate can use.
    Configuration,
    /// A database that answers.
    Database,
    /// An answer from the web server that is not a failure of the server.
    Answer,
}

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, id: &'static str, what: impl Into<String>) {
        self.push(id, Level::Ok, what.into(), None);
    }

    pub(super) fn note(&mut self, id: &'static str, what: impl Into<String>) {
        self.push(id, Level::Note, what.into(), None);
    }

    pub(super) fn advise(&mut self, id: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.push(id, Level::Note, what.into(), Some(remedy.into()));
    }

    pub(super) fn warn(&mut self, id: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.push(id, Level::Warning, what.into(), Some(remedy.into()));
    }

    pub(super) fn problem(&mut self, id: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.push(id, Level::Problem, what.into(), Some(remedy.into()));
    }

    /// Reports something that could not be examined because an earlier step failed.
    pub(super) fn not_examined(&mut self, id: &'static str, why: &str) {
        self.push(id, Level::Note, format!("not examined: {why}"), None);
    }

    /// The same, with what was missing. A finding that explains why it is missing becomes the cause of this
    /// one.
    pub(super) fn not_examined_without(&mut self, without: Without, id: &'static str, why: &str) {
        self.not_examined(id, why);
        if let Some(finding) = self.0.last_mut() {
            finding.without = Some(without);
        }
    }

    fn push(&mut self, id: &'static str, level: Level, what: String, remedy: Option<String>) {
        self.0.push(Finding { id, level, what, remedy, follows_from: None, without: None });
    }
}

/// The first few items and the number of the others, as a part of a sentence.
pub(super) fn some(items: &[String]) -> String {
    const SHOWN: usize = 4;
    let text = items.iter().take(SHOWN).map(|item| shown(item)).collect::<Vec<_>>().join(", ");
    match items.len().checked_sub(SHOWN) {
        Some(rest @ 1..) => format!("{text} and {rest} more"),
        _ => text,
    }
}

/// Text from outside, with control characters and invisible characters escaped.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '"' | '\'' | '\\' => character.to_string(),
            _ => character.escape_debug().to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_counted_and_control_characters_are_written_out() {
        let items = |count: usize| (1..=count).map(|number| format!("n{number}")).collect::<Vec<_>>();
        assert_eq!(some(&items(1)), "n1");
        assert_eq!(some(&items(6)), "n1, n2, n3, n4 and 2 more");
        assert_eq!(shown("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn problems_are_worse_than_warnings() {
        assert!(Level::Problem > Level::Warning && Level::Warning > Level::Note && Level::Note > Level::Ok);
    }
}
