//! Finds lines in a web server's configuration that undo the printed file, and locks that the printed file
//! should contain and does not: somebody removed them, or an earlier version printed the file.
//!
//! This module reads directives and the blocks around them, as far as `--server-file` gives them. It names
//! the line; whether a file really leaks is what `doctor --url` tries.

mod apache;
mod blocks;
mod caddy;
mod lighttpd;
mod nginx;
mod place;
mod undoes;

pub(super) use place::Place;

use super::findings::{Findings, some};
use super::prefixes::without_comments;

const ID: &str = "server-file-lines";

/// What was found in the configuration of one kind of web server.
#[derive(Debug, Default, PartialEq, Eq)]
struct FoundLine {
    /// The text is a configuration of this server, and the gate is in it.
    known: bool,
    /// What the server refuses. It then keeps the configuration that it has read before.
    refused: Vec<String>,
    /// Places where the printed file lacks a lock.
    old: Vec<String>,
    /// Lines that open something.
    open: Vec<String>,
    /// Lines that may open something.
    doubtful: Vec<String>,
}

/// Examines the configuration `text`.
pub(super) fn examine(text: &str, place: &Place<'_>, findings: &mut Findings) {
    let text = without_comments(text);
    let readers = [nginx::examine, apache::examine, caddy::examine, lighttpd::examine];
    for found in readers.map(|read| read(&text, place)).into_iter().filter(|found| found.known) {
        if !found.refused.is_empty() {
            findings.problem(
                ID,
                format!(
                    "nginx refuses this configuration, and goes on with the one that it has read before: the gate's file has {} as well",
                    some(&found.refused)
                ),
                "take these locations of your own out; what else they say (client_max_body_size and the like) can stand in the \
                 server's block, and how long browsers keep a picture is the gate's to say (browser_cache). Then nginx -t",
            );
        }
        if !found.old.is_empty() {
            findings.problem(
                ID,
                format!(
                    "the gate's file lacks a lock, and lines of the site's own can undo it (parts of pages, error pages, handlers, another URL of \
                     the directory): {}",
                    some(&found.old)
                ),
                "an earlier version printed it, or somebody has changed it: print it anew (piwigo-gate config); restart the gate before \
                 the server reads it",
            );
        }
        if !found.open.is_empty() {
            findings.problem(
                ID,
                format!("the server does not ask the gate because of {}", some(&found.open)),
                "take these lines out; try it with --url",
            );
        }
        if !found.doubtful.is_empty() {
            findings.warn(
                ID,
                format!("these lines may open what the printed file guards: {}", some(&found.doubtful)),
                "see the first lines of the printed file for what they can do, and try it with --url",
            );
        }
        if found == (FoundLine { known: true, ..FoundLine::default() }) {
            findings.ok(ID, "no line of the site's own is known to undo the printed file");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::commands::doctor::findings::Level;
    use crate::commands::doctor::prefixes::Guarded;
    use crate::commands::server_files;

    /// Where the example values of a printed file have the gallery.
    pub(super) const ROOT: &str = "/var/www/piwigo";

    pub(super) fn printed(kind: &str, prefix: &str) -> String {
        let kind = server_files::ServerFile::find(kind).unwrap();
        let values = server_files::Values {
            gate: kind.example_gate(),
            prefix: prefix.into(),
            ..server_files::Values::example()
        };
        server_files::print(kind, &values).unwrap()
    }

    /// What `read` finds in the lines `own` beside a printed file: an `o` for each that opens, a `?` for each
    /// doubtful one, a `-` for each missing lock, and the words of all.
    pub(super) fn found(
        read: fn(&str, &Place<'_>) -> FoundLine,
        text: &str,
        root: &Path,
        prefix: &str,
    ) -> (String, String) {
        let found = read(&without_comments(text), &Place { root, prefix, guarded: &Guarded::default() });
        assert!(found.known, "{text}");
        let signs = [("x", &found.refused), ("-", &found.old), ("o", &found.open), ("?", &found.doubtful)];
        let signs = signs.map(|(sign, lines)| sign.repeat(lines.len())).concat();
        (signs, [found.refused, found.old, found.open, found.doubtful].concat().join("; "))
    }

    #[test]
    fn every_printed_file_holds_against_itself() {
        for kind in server_files::KINDS {
            for prefix in ["", "/piwigo"] {
                let mut findings = Findings::default();
                let guarded = Guarded::default();
                let text = printed(kind.name, prefix);
                examine(&text, &Place { root: Path::new(ROOT), prefix, guarded: &guarded }, &mut findings);
                let levels: Vec<Level> = findings.0.iter().map(|finding| finding.level).collect();
                let is_known = kind.name == "nginx"
                    || kind.name.starts_with("nginx-auth") && !kind.name.ends_with("path")
                    || ["apache", "caddy", "lighttpd"].iter().any(|server| kind.name.starts_with(server));
                let expected = if is_known { &[Level::Ok][..] } else { &[] };
                assert_eq!(levels, expected, "{} {:?}", kind.name, findings.0);
            }
        }
    }

    #[test]
    fn each_list_has_its_level() {
        let file = printed("nginx", "");
        for (text, expected) in [
            (file.clone(), Level::Ok),
            (format!("{file}\nlocation ^~ /upload/2024/ {{ }}"), Level::Problem),
            (format!("{file}\nerror_page 400 = @away;"), Level::Warning),
            (file.replace("x_piwigo_gate_file", "x_accel_redirect"), Level::Problem),
        ] {
            let mut findings = Findings::default();
            let guarded = Guarded::default();
            examine(&text, &Place { root: Path::new(ROOT), prefix: "", guarded: &guarded }, &mut findings);
            let levels: Vec<Level> = findings.0.iter().map(|finding| finding.level).collect();
            assert_eq!(levels, [expected], "{:?}", findings.0);
        }
        let mut findings = Findings::default();
        let guarded = Guarded::default();
        examine(
            "server { root /srv; }",
            &Place { root: Path::new(ROOT), prefix: "", guarded: &guarded },
            &mut findings,
        );
        assert!(findings.0.is_empty(), "nothing of the gate's: {:?}", findings.0);
    }
}
