//! Writes a report as aligned text, one rule a line.

use std::fmt::{self, Write};

use super::Report;
use super::report::{Person, Prediction, Record, Rule};

/// Whether to use colours: on a terminal only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Red and green words.
    On,
    /// Plain text.
    Off,
}

impl Colour {
    fn paint(self, good: bool, word: &str) -> String {
        match (self, good) {
            (Colour::Off, _) => word.to_owned(),
            (Colour::On, true) => format!("\x1b[32m{word}\x1b[0m"),
            (Colour::On, false) => format!("\x1b[31m{word}\x1b[0m"),
        }
    }
}

/// Writes one report.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, colour: Colour, out: &mut impl Write) -> fmt::Result {
    match report.photo {
        Some(photo) => writeln!(out, "{} (of photo {photo})", report.path)?,
        None => writeln!(out, "{}", report.path)?,
    }
    line(out, "read as", &reading(report))?;
    if let Some(person) = &report.visitor {
        line(out, "visitor", &visitor(person))?;
        line(out, "", &person.how)?;
    }
    if let Some(door) = &report.gallery {
        let words = match (door.locked_out, door.may_enter) {
            (true, _) => "locked: administrators alone get anything",
            (false, true) => "open to visitors of this status",
            (false, false) => {
                "closed to visitors of this status (guest_access is off, or the account is broken)"
            }
        };
        line(out, "gallery", words)?;
        if report.records.is_empty() {
            line(out, "record", "none: no image of Piwigo's owns this file")?;
            if let Some(charset) = &report.charset {
                line(
                    out,
                    "",
                    &format!("paths are compared in {charset}, the character set of Piwigo's DB_CHARSET"),
                )?;
            }
        }
    }
    for owner in &report.records {
        record(owner, report, colour, out)?;
    }
    let word = match (report.allowed, report.left_to_piwigo) {
        (true, _) => "ALLOWED",
        (false, true) => "NO VERDICT",
        (false, false) => "DENIED",
    };
    let verdict = format!("{}: {}", colour.paint(report.allowed, word), report.reason);
    line(out, "verdict", &verdict)?;
    if let Some(reason) = &report.out_of_reach {
        line(out, "file", &format!("out of reach: {}", shown(reason)))?;
    }
    answers(&report.answers, out)?;
    if let Some(location) = &report.sign_in {
        line(out, "", "who opens the address itself and is not signed in is sent to")?;
        line(out, "", location)?;
    }
    Ok(())
}

fn line(out: &mut impl Write, label: &str, text: &str) -> fmt::Result {
    writeln!(out, "  {label:<10}{text}")
}

fn reading(report: &Report) -> String {
    let read = &report.read_as;
    let source = read.source.as_deref().map(shown).unwrap_or_default();
    let size = read.size.as_deref().unwrap_or_default();
    match (read.what, &read.problem) {
        (_, Some(problem)) => format!("nothing: {problem}"),
        ("derivative", _) => format!("size {size:?} of {source}"),
        ("icon", _) => format!("size {size:?} of the file-type picture {source}"),
        ("record", _) => format!("the {source} (action.php)"),
        _ => format!("the file {source}"),
    }
}

fn visitor(person: &Person) -> String {
    let name = person.name.as_deref().map(|name| format!(" ({})", shown(name))).unwrap_or_default();
    let originals = if person.enabled_high { "may have originals" } else { "may not have originals" };
    format!("user {}{name}, status {}, level {}, {originals}", person.id, person.status, person.level)
}

fn record(record: &Record, report: &Report, colour: Colour, out: &mut impl Write) -> fmt::Result {
    let owns = match (record.owns_as, report.read_as.what) {
        ("original", "derivative") => "the source is its original",
        ("original", _) => "the file is its original",
        ("representative", "derivative") => "the source is its representative picture",
        ("representative", _) => "the file is its representative picture",
        ("companion", _) => "the file has no record and is judged as this one, beside which it lies",
        _ => "the file is one of its other formats",
    };
    line(out, "record", &format!("image {}, {}: {owns}", record.image, shown(&record.path)))?;
    let mut rule = |name: &str, words: [&str; 2], passes: bool, why: &str| {
        let word = format!("{:<8}", words[usize::from(passes)]);
        writeln!(out, "    {name:<14}{}{why}", colour.paint(passes, &word))
    };
    let test = ["fails", "passes"];
    let door = ["closed", "opens"];
    if record.administrator {
        return rule("administrator", test, true, "sees every file that has a record; nothing else is asked");
    }
    if record.albums.is_empty() {
        rule("albums", door, false, "the image is in no album")?;
    }
    for Rule { album, opens, why } in &record.albums {
        rule(&format!("album {album}"), door, *opens, why)?;
    }
    for Rule { album, opens, why } in &record.covers {
        rule(&format!("cover of {album}"), door, *opens, why)?;
    }
    let person = report.visitor.as_ref().map_or(0, |person| person.level);
    let compared = if record.level_passes { "is not above" } else { "is above" };
    let level = format!("the image's level {} {compared} the visitor's {person}", record.level);
    rule("level", test, record.level_passes, &level)?;
    match record.originals {
        "not needed" => rule("originals", test, true, "this file needs no right to originals"),
        "held" => rule("originals", test, true, "the right to originals is needed, and the visitor has it"),
        "not downloadable" => {
            let why =
                "the visitor has the right to originals, but no album that opens the image allows downloads";
            rule("originals", test, false, why)
        }
        _ => rule("originals", test, false, "the right to originals is needed, and the visitor has it not"),
    }
}

/// Writes the answers; servers with the same answer share a line.
fn answers(answers: &[Prediction], out: &mut impl Write) -> fmt::Result {
    let mut label = "answer";
    let alike =
        |a: &Prediction, b: &Prediction| (a.status, &a.header, a.meaning) == (b.status, &b.header, b.meaning);
    for (index, answer) in answers.iter().enumerate() {
        if answers[..index].iter().any(|earlier| alike(earlier, answer)) {
            continue;
        }
        let servers: Vec<&str> =
            answers[index..].iter().filter(|later| alike(later, answer)).map(|later| later.server).collect();
        let servers = if servers.len() == answers.len() { "every server".into() } else { servers.join("; ") };
        line(out, label, &format!("{servers}: {}, {}", answer.status, answer.meaning))?;
        if let Some(header) = &answer.header {
            line(out, "", &format!("  {}", shown(header)))?;
        }
        label = "";
    }
    Ok(())
}

/// Text from outside, with control characters and invisible characters escaped.
fn shown(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '"' | '\'' | '\\' => character.to_string(),
            _ => character.escape_debug().to_string(),
        })
        .collect()
}
