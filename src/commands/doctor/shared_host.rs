//! Examines the set-up for shared hosting: the program in the gallery's directory, and the `.htaccess`
//! files that lead to it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::findings::{Findings, some};
use super::prefixes::{Guarded, without_comments};
use super::read_start;
use super::tree::MAX_HTACCESS;

/// The program's name in this set-up (`docs/shared-hosting.md`).
const PROGRAM: &str = "gate.fcgi";

/// A condition that printed files contain since they close files to parts of pages (`mod_include`).
const KNOWS_PARTS: &str = "%{IS_SUBREQ} == 'true'";

/// Examines the program and its files, if there is one.
pub(super) fn examine(root: &Path, guarded: &Guarded, findings: &mut Findings) {
    let Ok(metadata) = fs::metadata(root.join(PROGRAM)) else { return };
    let text = |directory: &str| {
        let text = read_start(&root.join(directory).join(".htaccess"), MAX_HTACCESS);
        without_comments(&text.unwrap_or_default())
    };
    let leads_to_it = |directory: &str| text(directory).contains(PROGRAM);
    if !leads_to_it("") {
        return findings.warn(
            "gate-fcgi",
            format!("{PROGRAM} is there, and the .htaccess file beside it does not lead to it"),
            "put what piwigo-gate config htaccess prints at its beginning; or remove the program, if the server guards in another way",
        );
    }
    let mode = metadata.mode() & 0o7777;
    let directory = fs::metadata(root).map_or(0, |directory| directory.mode());
    if !metadata.is_file() || mode & 0o111 == 0 {
        findings.problem(
            "gate-fcgi",
            format!("{PROGRAM} is {mode:04o}: Apache cannot start it, and no picture comes"),
            "upload the program in binary mode, and chmod 755 gate.fcgi",
        );
    } else if mode & 0o022 != 0 || directory & 0o002 != 0 {
        findings.warn(
            "gate-fcgi",
            format!("others may put another program in the place of {PROGRAM} ({mode:04o}), and suexec does not start it"),
            "chmod 755 gate.fcgi, and the directory that it is in",
        );
    } else {
        findings.ok("gate-fcgi", format!("{PROGRAM} is {mode:04o}"));
    }
    let old: Vec<String> = std::iter::once(String::new())
        .chain(guarded.directories())
        .filter(|directory| leads_to_it(directory) && !text(directory).contains(KNOWS_PARTS))
        .map(|directory| format!("{directory}/.htaccess").trim_start_matches('/').to_owned())
        .collect();
    if !old.is_empty() {
        findings.problem(
            "gate-fcgi-htaccess",
            format!(
                "printed by an earlier version: {}. Where the host allows pages made of parts (mod_include), they have private \
                 pictures as parts",
                some(&old)
            ),
            "copy what piwigo-gate config htaccess and htaccess-guarded-dir print into their place",
        );
    }
    let bare: Vec<String> =
        guarded.directories().into_iter().filter(|directory| !leads_to_it(directory)).collect();
    if bare.is_empty() {
        findings
            .ok("gate-fcgi-htaccess", "the .htaccess files lead to it, in each guarded directory as well");
    } else {
        findings.advise(
            "gate-fcgi-htaccess",
            format!("the second lock is missing: no .htaccess file of the gate's in {}", some(&bare)),
            "put what piwigo-gate config htaccess-guarded-dir prints there: it holds when the first file is lost",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::commands::doctor::findings::Level;

    #[test]
    fn a_program_that_cannot_run_and_a_file_that_was_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let look = || {
            let mut findings = Findings::default();
            examine(root, &Guarded::default(), &mut findings);
            findings.0.iter().map(|finding| finding.level).collect::<Vec<_>>()
        };
        assert_eq!(look(), [], "not this set-up");
        fs::write(root.join(PROGRAM), "").unwrap();
        fs::write(root.join(".htaccess"), "# not gate.fcgi\n").unwrap();
        assert_eq!(look(), [Level::Warning]);
        let old = "Action piwigo-gate /gate.fcgi virtual";
        fs::write(root.join(".htaccess"), old).unwrap();
        assert!(look().contains(&Level::Problem), "of an earlier version");
        fs::write(root.join(".htaccess"), format!("{old}\n<If \"{KNOWS_PARTS}\">\n</If>\n")).unwrap();
        let table =
            [(0o644, Level::Problem), (0o775, Level::Warning), (0o755, Level::Ok), (0o700, Level::Ok)];
        for (mode, level) in table {
            fs::set_permissions(root.join(PROGRAM), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(look(), [level, Level::Note], "{mode:o}");
        }
        fs::set_permissions(root, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(look(), [Level::Warning, Level::Note]);
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        for name in Guarded::default().directories() {
            fs::create_dir_all(root.join(&name)).unwrap();
            fs::copy(root.join(".htaccess"), root.join(name).join(".htaccess")).unwrap();
        }
        assert_eq!(look(), [Level::Ok, Level::Ok]);
    }
}
