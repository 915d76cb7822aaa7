//! Writes a report as text: one line for each finding, the remedy indented below it, and a count at the
//! end. A finding that follows from another one names that one instead of a remedy; the causes are repeated
//! before the count.

use std::fmt::{self, Write};

use super::Report;
use super::findings::{Finding, Level, some};
use crate::commands::check::Colour;

/// The column at which the sentences begin.
const INDENT: usize = 33;

/// Writes the report.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, colour: Colour, out: &mut impl Write) -> fmt::Result {
    for finding in &report.findings {
        let word = format!("{:<9}", finding.level.word());
        writeln!(out, "{}{:<24}{}", paint(colour, finding.level, &word), finding.id, finding.what)?;
        match (finding.follows_from, &finding.remedy) {
            (Some(cause), _) => writeln!(out, "{:INDENT$}(follows from {cause})", "")?,
            (None, Some(remedy)) => writeln!(out, "{:INDENT$}-> {remedy}", "")?,
            (None, None) => {}
        }
    }
    for cause in report.findings.iter().filter(|finding| finding.level == Level::Problem) {
        write_cause(report, cause, colour, out)?;
    }
    let count = |level| report.findings.iter().filter(|finding| finding.level == level).count();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let worst = report.worst();
    let verdict =
        format!("{}, {}", plural(count(Level::Problem), "problem"), plural(count(Level::Warning), "warning"));
    let rest = format!("{}, {} ok", plural(count(Level::Note), "note"), count(Level::Ok));
    writeln!(out, "{}, {rest}", paint(colour, worst, &verdict))
}

/// Writes which findings follow from this one and its remedy; nothing if no finding follows from it.
fn write_cause(report: &Report, cause: &Finding, colour: Colour, out: &mut impl Write) -> fmt::Result {
    let mut following: Vec<String> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.follows_from == Some(cause.id)) {
        if !following.iter().any(|id| id == finding.id) {
            following.push(finding.id.to_owned());
        }
    }
    let is_first = report
        .findings
        .iter()
        .find(|finding| finding.id == cause.id && finding.level == Level::Problem)
        .is_some_and(|first| std::ptr::eq(first, cause));
    if following.is_empty() || !is_first {
        return Ok(());
    }
    let word = paint(colour, Level::Problem, &format!("{:<9}", "cause"));
    writeln!(out, "{word}{:<24}{}", cause.id, cause.what)?;
    writeln!(out, "{:INDENT$}correct this first; from it follows: {}", "", some(&following))?;
    cause.remedy.iter().try_for_each(|remedy| writeln!(out, "{:INDENT$}-> {remedy}", ""))
}

fn paint(colour: Colour, level: Level, text: &str) -> String {
    let code = match (colour, level) {
        (Colour::Off, _) | (_, Level::Note) => return text.to_owned(),
        (Colour::On, Level::Ok) => 32,
        (Colour::On, Level::Warning) => 33,
        (Colour::On, Level::Problem) => 31,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::consequences;
    use crate::commands::doctor::findings::Findings;

    #[test]
    fn the_cause_of_several_findings_is_the_last_word() {
        let mut findings = Findings::default();
        findings.problem("gate", "nobody answers", "start it");
        findings.problem("outside-gate", "the server answers 502", "start the gate");
        findings.problem("permissions", "open to all", "chmod o-r");
        consequences::mark(&mut findings.0);
        let report = Report { version: "1", gallery: "/srv".into(), findings: findings.0 };
        let mut text = String::new();
        write(&report, Colour::Off, &mut text).unwrap();
        assert_eq!(
            text,
            "\
problem  gate                    nobody answers
                                 -> start it
problem  outside-gate            the server answers 502
                                 (follows from gate)
problem  permissions             open to all
                                 -> chmod o-r
cause    gate                    nobody answers
                                 correct this first; from it follows: outside-gate
                                 -> start it
3 problems, 0 warnings, 0 notes, 0 ok
"
        );
    }

    #[test]
    fn a_line_each_and_what_to_do_below() {
        let mut findings = Findings::default();
        findings.ok("gallery", "/srv holds Piwigo 16");
        findings.problem("outside-original", "it leaks", "close it");
        let report = Report { version: "1", gallery: "/srv".into(), findings: findings.0 };
        let mut text = String::new();
        write(&report, Colour::Off, &mut text).unwrap();
        assert_eq!(
            text,
            "\
ok       gallery                 /srv holds Piwigo 16
problem  outside-original        it leaks
                                 -> close it
1 problem, 0 warnings, 0 notes, 1 ok
"
        );
        let mut coloured = String::new();
        write(&report, Colour::On, &mut coloured).unwrap();
        assert!(
            coloured.contains("\x1b[31mproblem  \x1b[0m") && coloured.contains("\x1b[32mok"),
            "{coloured}"
        );
    }
}
