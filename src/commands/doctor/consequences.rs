//! Marks each finding that has its cause in another finding with that cause. A single fault, such as a gate
//! that does not run, is then a single thing to correct. Pure.

use super::findings::{Finding, Level, Without};

/// The finding that the web server never asks the gate.
const NO_GUARD: &str = "outside-guard";

/// The findings about what a web server gives away if its configuration does not include the printed file.
const OPEN_WITHOUT_GUARD: [&str; 19] = [
    "server-file",
    "outside-original",
    "outside-derivative",
    "outside-i-php",
    "outside-action-php",
    "outside-representative",
    "outside-format",
    "outside-spellings",
    "outside-split",
    "outside-odd-bytes",
    "outside-percent",
    "outside-glued",
    "outside-privacy-links",
    "outside-refusals",
    "outside-config",
    "outside-data",
    "outside-listing",
    "outside-cache",
    "outside-session-denied",
];

/// The three ways to a private photo. If all that were tried are open, nothing guards them.
const DOORS: [&str; 3] = ["outside-original", "outside-derivative", "outside-i-php"];

/// Whether a finding follows from a cause that is present.
type Follows = fn(&Finding) -> bool;

/// The causes; one from which another follows comes first. A finding belongs to the first cause that
/// applies.
const CAUSES: [(&str, Follows); 9] = [
    ("configuration", of_no_start),
    ("sessions", of_no_start),
    ("socket", of_no_gate),
    ("gate", of_no_gate),
    ("database", of_no_database),
    ("schema", of_no_database),
    ("outside-gate", of_no_answer),
    ("outside-requests", of_no_answer),
    (NO_GUARD, of_no_guard),
];

/// Whether the finding follows from a `serve` that does not start.
fn of_no_start(finding: &Finding) -> bool {
    of_no_gate(finding)
        || of_no_database(finding)
        || finding.without == Some(Without::Configuration)
        || is_problem(finding, &["socket"])
}

fn of_no_gate(finding: &Finding) -> bool {
    of_no_answer(finding) || is_problem(finding, &["gate", "outside-gate", "outside-requests"])
}

/// Whether the finding follows from a database that does not answer: the gate then answers 503.
fn of_no_database(finding: &Finding) -> bool {
    of_no_answer(finding)
        || finding.without == Some(Without::Database)
        || is_problem(finding, &["outside-gate"])
}

fn of_no_answer(finding: &Finding) -> bool {
    finding.without == Some(Without::Answer)
}

fn of_no_guard(finding: &Finding) -> bool {
    is_problem(finding, &OPEN_WITHOUT_GUARD)
        || finding.level == Level::Warning && matches!(finding.id, "outside-nosniff" | "outside-cache")
}

fn is_problem(finding: &Finding, ids: &[&str]) -> bool {
    finding.level == Level::Problem && ids.contains(&finding.id)
}

/// Adds the finding [`NO_GUARD`] if the guard is missing completely, and marks each finding that follows
/// from another one.
pub(super) fn mark(findings: &mut Vec<Finding>) {
    if is_unguarded(findings) {
        findings.push(Finding {
            id: NO_GUARD,
            level: Level::Problem,
            what: "the web server asks the gate for nothing: a private photo comes to everybody by each address that was \
                   tried"
                .to_owned(),
            remedy: Some(
                "print the file for your server (piwigo-gate config), include it in the site that answers at this address, \
                 and load the server's configuration again"
                    .to_owned(),
            ),
            without: None,
            follows_from: None,
        });
    }
    for (cause, follows) in CAUSES {
        if !findings.iter().any(|finding| is_root(finding) && is_problem(finding, &[cause])) {
            continue;
        }
        for finding in findings.iter_mut() {
            if is_root(finding) && finding.id != cause && follows(finding) {
                finding.follows_from = Some(cause);
            }
        }
    }
}

fn is_root(finding: &Finding) -> bool {
    finding.follows_from.is_none()
}

/// Whether a private original and at least one of the other doors are open, and none of them is closed.
fn is_unguarded(findings: &[Finding]) -> bool {
    let has = |id, level| findings.iter().any(|finding| finding.id == id && finding.level == level);
    let open = DOORS.iter().filter(|id| has(**id, Level::Problem)).count();
    has("outside-original", Level::Problem) && open > 1 && !DOORS.iter().any(|id| has(*id, Level::Ok))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Findings;

    /// What follows from what, by name.
    fn marked(made: impl Fn(&mut Findings)) -> Vec<(&'static str, Option<&'static str>)> {
        let mut findings = Findings::default();
        made(&mut findings);
        mark(&mut findings.0);
        findings.0.into_iter().map(|finding| (finding.id, finding.follows_from)).collect()
    }

    #[test]
    fn a_gate_that_does_not_run_is_one_cause() {
        let found = marked(|findings| {
            findings.problem("socket", "there is none", "start it");
            findings.problem("permissions", "too open", "close them");
            findings.not_examined_without(Without::Answer, "outside-original", "the server was in trouble");
            findings.ok("outside-config", "closed");
            findings.problem("outside-gate", "503", "start it");
        });
        let socket = Some("socket");
        assert_eq!(
            found,
            [
                ("socket", None),
                ("permissions", None),
                ("outside-original", socket),
                ("outside-config", None),
                ("outside-gate", socket)
            ]
        );
    }

    #[test]
    fn the_first_cause_of_a_row_of_them_is_named() {
        let found = marked(|findings| {
            findings.problem("configuration", "wrong", "correct it");
            findings.not_examined_without(Without::Configuration, "database", "configuration");
            findings.problem("socket", "there is none", "start it");
            findings.problem("outside-gate", "502", "start it");
            findings.not_examined_without(
                Without::Database,
                "outside-original",
                "configuration and database",
            );
        });
        assert!(found[1..].iter().all(|(_, cause)| *cause == Some("configuration")), "{found:?}");
    }

    #[test]
    fn a_database_that_is_away_is_the_cause_of_503_and_of_what_is_not_examined() {
        let found = marked(|findings| {
            findings.problem("database", "refused", "start it");
            findings.not_examined_without(Without::Database, "schema", "the database must answer first");
            findings.ok("gate", "answers");
            findings.problem("outside-listing", "upload", "close it");
            findings.problem("outside-gate", "503", "start it");
        });
        let database = Some("database");
        assert_eq!(
            found.iter().map(|(_, cause)| *cause).collect::<Vec<_>>(),
            [None, database, None, None, database]
        );
    }

    #[test]
    fn a_guard_that_is_missing_altogether_is_a_cause_of_its_own() {
        let leaks = |ids: &'static [&'static str]| {
            move |findings: &mut Findings| {
                findings.problem("server-file", "never mentions upload", "guard it");
                findings.problem("outside-head", "other headers", "correct it");
                for id in ids {
                    findings.problem(id, "comes to everybody", "close it");
                }
            }
        };
        let found = marked(leaks(&["outside-original", "outside-i-php", "outside-listing"]));
        let guard = Some(NO_GUARD);
        assert_eq!(
            found.iter().map(|(_, cause)| *cause).collect::<Vec<_>>(),
            [guard, None, guard, guard, guard, None]
        );
        assert_eq!(found.last(), Some(&(NO_GUARD, None)));
        // One door alone is a fault of its own, and so is one that is open beside a closed one.
        for made in [leaks(&["outside-original"]), leaks(&["outside-derivative", "outside-i-php"])] {
            assert!(marked(made).iter().all(|(_, cause)| cause.is_none()));
        }
        let found = marked(|findings| {
            leaks(&["outside-original", "outside-i-php"])(findings);
            findings.ok("outside-derivative", "refused");
        });
        assert!(found.iter().all(|(_, cause)| cause.is_none()), "{found:?}");
    }

    #[test]
    fn without_a_cause_nothing_is_marked() {
        let found = marked(|findings| {
            findings.ok("socket", "there");
            findings.warn("database", "slow", "look");
            findings.not_examined_without(Without::Answer, "outside-original", "no answer");
        });
        assert!(found.iter().all(|(_, cause)| cause.is_none()), "{found:?}");
    }
}
