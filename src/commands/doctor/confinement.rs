//! Whether `SELinux` or `AppArmor` is on: they refuse accesses that the permissions of files and sockets
//! allow, so that what `doctor` computes from permissions is not all of it.

use std::path::Path;

use super::findings::{Findings, shown};

const ID: &str = "confinement";

const PAGE: &str = "docs/selinux-apparmor.md";

/// Says which of them is on, at most as a note: what they refuse shows in what is tried from outside.
pub(super) fn examine(findings: &mut Findings) {
    examine_at(Path::new("/"), findings);
}

/// The same for another root, in which `sys` and `proc` are.
fn examine_at(root: &Path, findings: &mut Findings) {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    // The file is there while SELinux is on (selinuxfs).
    let selinux = read("sys/fs/selinux/enforce").map(|text| text.trim() == "1");
    let has_apparmor = read("sys/module/apparmor/parameters/enabled").is_some_and(|text| text.trim() == "Y");
    let context = read("proc/self/attr/current").unwrap_or_default();
    let context = context.trim_end_matches(['\0', '\n']);
    let own = if context.is_empty() {
        String::new()
    } else {
        format!(" (doctor itself runs as {})", shown(context))
    };
    match (selinux, has_apparmor) {
        (Some(true), _) => findings.advise(
            ID,
            format!(
                "SELinux is on and enforces{own}: it may keep the web server from the gate's socket and the gate from files although \
                 the permissions allow it"
            ),
            format!("{PAGE} has the commands for the program, the socket and the gallery; ausearch -m AVC -ts recent shows refusals"),
        ),
        (Some(false), _) => findings.advise(
            ID,
            format!("SELinux is on and permissive{own}: it refuses nothing, and logs what it would refuse"),
            format!("see {PAGE} before it is set to enforce"),
        ),
        (None, true) => findings.advise(
            ID,
            format!("AppArmor is on{own}; programs without a profile are not confined, and the gate has none"),
            format!("if a profile for the web server, PHP or the database is enforced (aa-status), see {PAGE}"),
        ),
        (None, false) => findings.ok(ID, "neither SELinux nor AppArmor is on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Level;

    /// Paths below the root, each with its text.
    type Files<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn which_of_them_is_on() {
        let (enforce, enabled) = ("sys/fs/selinux/enforce", "sys/module/apparmor/parameters/enabled");
        let own = "proc/self/attr/current";
        let table: [(Files<'_>, Level, &str); 7] = [
            (&[], Level::Ok, "neither"),
            (&[(enforce, "1")], Level::Note, "SELinux is on and enforces:"),
            (
                &[(enforce, "1"), (own, "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0")],
                Level::Note,
                "(doctor itself runs as unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023)",
            ),
            (&[(enforce, "0"), (enabled, "Y\n")], Level::Note, "permissive"),
            (
                &[(enabled, "Y\n"), (own, "unconfined\n")],
                Level::Note,
                "AppArmor is on (doctor itself runs as unconfined)",
            ),
            (&[(enabled, "N\n")], Level::Ok, "neither"),
            (&[(own, "a\x1b[2Jb\n"), (enabled, "Y\n")], Level::Note, "a\\u{1b}[2Jb"),
        ];
        for (files, level, words) in table {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let mut findings = Findings::default();
            examine_at(root.path(), &mut findings);
            let [found] = &findings.0[..] else { panic!("{findings:?}") };
            assert_eq!(found.level, level, "{files:?}");
            assert!(found.what.contains(words), "{files:?}: {}", found.what);
            let names_the_page = found.remedy.as_ref().is_some_and(|remedy| remedy.contains(PAGE));
            assert_eq!(names_the_page, level == Level::Note, "{files:?}");
        }
    }
}
