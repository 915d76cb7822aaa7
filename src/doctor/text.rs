//! A report as text for a person: one line a finding, what to do indented below it, a count at the end.

use std::fmt::{self, Write};

use super::Report;
use super::findings::Level;
use crate::check::Colour;

/// Where the sentences begin.
const INDENT: usize = 33;

/// Writes the report.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, colour: Colour, out: &mut impl Write) -> fmt::Result {
    for finding in &report.findings {
        let word = format!("{:<9}", finding.level.word());
        writeln!(out, "{}{:<24}{}", paint(colour, finding.level, &word), finding.id, finding.what)?;
        if let Some(remedy) = &finding.remedy {
            writeln!(out, "{:INDENT$}-> {remedy}", "")?;
        }
    }
    let count = |level| report.findings.iter().filter(|finding| finding.level == level).count();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let worst = report.worst();
    let verdict =
        format!("{}, {}", plural(count(Level::Problem), "problem"), plural(count(Level::Warning), "warning"));
    let rest = format!("{}, {} ok", plural(count(Level::Note), "note"), count(Level::Ok));
    writeln!(out, "{}, {rest}", paint(colour, worst, &verdict))
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
    use crate::doctor::findings::Findings;

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
