//! Examines Piwigo's plugins: what the active ones mean for files, which scripts on the disk send files
//! past the gate, and which unknown plugins an administrator should read.

use std::fs;
use std::path::{Path, PathBuf};

use super::findings::{Findings, shown, some};
use super::read_start;
use super::tree::MAX_HTACCESS;
use crate::piwigo::plugins::{self, Active, KnownPlugin, Plugins, Stance};
use crate::settings::ActionPhp;

/// Most entries of a directory that are examined.
const MAX_ENTRIES: usize = 2_000;

/// Most PHP files of one plugin that are read, and most bytes of each.
const MAX_SOURCES: usize = 400;
const MAX_SOURCE: u64 = 128 * 1024;

/// Largest depth of a plugin's directories that are examined.
const MAX_DEPTH: usize = 4;

/// Words in the source of a plugin that sends or locks files.
const SIGNS: [&str; 6] =
    ["readfile(", "fpassthru(", "X-Sendfile", "X-Accel-Redirect", "enabled_high", ".htaccess"];

/// What `private_derivative_protection` writes into its `.htaccess` files.
const OVERWRITTEN: &str = "private_derivative_protection";

/// Whether Piwigo or the gate answers `action.php`.
#[derive(Clone, Copy)]
pub(super) struct Downloads {
    /// The setting in force.
    pub(super) in_force: ActionPhp,
    /// The setting that the administrator gave.
    pub(super) said: Option<ActionPhp>,
}

/// The plugin whose options [`batch_downloader`] reads.
pub(super) const BATCH_DOWNLOADER: &str = "BatchDownloader";

/// Reports what the option "direct" of the plugin Batch Downloader does. `options`: all its options, as
/// PHP's `serialize` writes them.
///
/// With this option the plugin's `download.php` does not send the zip but redirects the browser to the
/// zip's own address (the plugin's `download.php`: `header('Location: '.$file)`).
pub(super) fn batch_downloader(options: &str, findings: &mut Findings) {
    let id = "plugins-batch-downloader";
    if options.contains("s:6:\"direct\";b:1;") {
        findings.warn(
            id,
            "the option \"direct\" of Batch Downloader is on: it leads visitors to the zips' own addresses below \
             _data/download_archives. The printed server files close these, so no zip comes; a server that opens them gives a zip of \
             private photos to everybody who knows its address",
            "switch it off in Piwigo (Plugins, Batch Downloader, Configuration), and leave _data/download_archives closed",
        );
    } else {
        findings
            .ok(id, "the option \"direct\" of Batch Downloader is off: zips come by its download.php only");
    }
}

/// Reports what the active plugins mean for files.
pub(super) fn active(root: &Path, plugins: &Plugins, downloads: Downloads, findings: &mut Findings) {
    let id = "plugins";
    if *plugins == Plugins::Unreadable {
        return unreadable(downloads, findings);
    }
    let mut quiet = Vec::new();
    for (active, known) in plugins.known() {
        let what = format!("{} {}", plugins::name(active), known.files);
        match known.stance {
            Stance::Nothing => quiet.push(plugins::name(active)),
            Stance::Handled if known.advice.is_empty() => findings.ok(id, format!("{what}: handled")),
            Stance::Handled => findings.advise(id, what, known.advice),
            Stance::Advice => findings.warn(id, what, known.advice),
            Stance::LeftToPhp => findings.warn(id, format!("{what}: {}", answered(downloads)), known.advice),
            Stance::NotJudged if known.locks_action_php => {
                findings.problem(id, format!("{what}: {}", answered(downloads)), known.advice);
            }
            // [`doors`] reports each script that exists.
            Stance::SecondDoor if !has_script(root, active, known) => {
                findings.ok(id, format!("{what}: its scripts are not on the disk"));
            }
            Stance::NotJudged | Stance::SecondDoor => findings.problem(id, what, known.advice),
        }
    }
    if plugins.known().is_empty() {
        findings.ok(id, "no active plugin is known to serve, lock or move files");
    } else if !quiet.is_empty() {
        findings.ok(id, format!("nothing to do about {}", some(&quiet)));
    }
    let strange: Vec<String> =
        plugins.others().into_iter().filter_map(|active| signs(root, active)).collect();
    if !strange.is_empty() {
        findings.advise(
            "plugins-unknown",
            format!("plugins that the gate does not know, with words of sending or locking files: {}", some(&strange)),
            "read what they do with files (docs/plugins.md says what matters); if one refuses downloads in action.php, set \
             action_php = \"piwigo\"",
        );
    }
}

fn answered(downloads: Downloads) -> &'static str {
    match downloads.in_force {
        ActionPhp::Piwigo => "action.php is left to PHP (action_php = piwigo)",
        ActionPhp::Gate => "but action_php = gate, so its rule does not count there",
    }
}

fn unreadable(downloads: Downloads, findings: &mut Findings) {
    let what = "Piwigo's table of plugins cannot be read, and a plugin that sits in the way of downloads would be missed";
    let remedy = "grant the gate's user SELECT on it (docs/install.md, \"A database user of its own\"), or set action_php";
    match downloads.said {
        None => findings.warn("plugins", format!("{what}: {}", answered(downloads)), remedy),
        Some(_) => findings.advise("plugins", what, remedy),
    }
}

/// Reports scripts on the disk that lead past the gate. The plugin need not be active: PHP runs any script
/// by its name.
pub(super) fn doors(root: &Path, originals: &[String], findings: &mut Findings) {
    let id = "plugin-doors";
    let mut is_open = false;
    for (directory, known) in installed(root) {
        for script in known.scripts {
            let is_guarded = known.scripts_are_guarded && directory == known.id;
            let path = format!("plugins/{directory}/{script}");
            if is_guarded || !root.join(&path).is_file() {
                continue;
            }
            is_open = true;
            findings.problem(
                id,
                format!("{} can be asked for past the gate; its plugin {}", shown(&path), known.files),
                known.advice,
            );
        }
    }
    for directory in originals {
        let path = root.join(directory).join(".htaccess");
        if read_start(&path, MAX_HTACCESS).is_ok_and(|text| text.contains(OVERWRITTEN)) {
            is_open = true;
            findings.problem(
                id,
                format!(
                    "{}/.htaccess was written by the plugin {OVERWRITTEN}: with Apache nobody gets a picture there, \
                     and the gate's own file is gone",
                    shown(directory)
                ),
                "deactivate the plugin and delete its directory, then put there what piwigo-gate config \
                 htaccess-guarded-dir prints",
            );
        }
    }
    if !is_open {
        findings.ok(id, "no script or .htaccess file of a known plugin leads past the gate");
    }
}

/// The directories below `plugins/` whose plugins are known.
fn installed(root: &Path) -> Vec<(String, &'static KnownPlugin)> {
    let Ok(entries) = fs::read_dir(root.join("plugins")) else { return Vec::new() };
    let names = entries.take(MAX_ENTRIES).flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut known: Vec<_> = names.filter_map(|name| Some((plugins::find(&name)?, name))).collect();
    known.sort_by(|one, other| one.1.cmp(&other.1));
    known.into_iter().map(|(known, name)| (name, known)).collect()
}

/// Whether one of the scripts that send files lies in the plugin's directory.
fn has_script(root: &Path, active: &Active, known: &KnownPlugin) -> bool {
    let directory = root.join("plugins").join(&active.id);
    known.scripts.iter().any(|script| directory.join(script).is_file())
}

/// The name of an active plugin and the words in its source that make it worth reading.
fn signs(root: &Path, active: &Active) -> Option<String> {
    // The id comes from the database. It must be a single name, so that it cannot lead out of `plugins/`.
    if active.id.starts_with('.') || active.id.contains('/') {
        return None;
    }
    let mut found = Vec::new();
    for path in sources(&root.join("plugins").join(&active.id)) {
        let text = read_start(&path, MAX_SOURCE).unwrap_or_default();
        let new = SIGNS.into_iter().filter(|sign| text.contains(sign) && !found.contains(sign));
        let new: Vec<_> = new.collect();
        found.extend(new);
    }
    (!found.is_empty()).then(|| format!("{} ({})", plugins::name(active), found.join(", ")))
}

/// The PHP files of a plugin, without its translations.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    let mut waiting = vec![(directory.to_owned(), 0)];
    while let Some((directory, depth)) = waiting.pop() {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for entry in entries.take(MAX_ENTRIES).flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() && depth < MAX_DEPTH && entry.file_name() != "language" {
                waiting.push((path, depth + 1));
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "php") {
                sources.push(path);
            }
            if sources.len() >= MAX_SOURCES {
                return sources;
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Level;

    fn rows(ids: &[&str]) -> Plugins {
        let row = |id: &&str| Active { id: (*id).to_owned(), version: "1".into() };
        Plugins::Read(ids.iter().map(row).collect())
    }

    fn told(look: impl FnOnce(&mut Findings)) -> Vec<(&'static str, Level, String)> {
        let mut findings = Findings::default();
        look(&mut findings);
        for finding in &findings.0 {
            let is_silent = finding.remedy.as_deref().unwrap_or_default().is_empty();
            assert!(finding.level <= Level::Note || !is_silent, "{finding:?}");
        }
        findings.0.into_iter().map(|finding| (finding.id, finding.level, finding.what)).collect()
    }

    #[test]
    fn each_stance_has_its_level() {
        let root = tempfile::tempdir().unwrap();
        let script = |name: &str| {
            let path = root.path().join("plugins").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        script("private_derivative_protection/protect.php");
        let by_piwigo = Downloads { in_force: ActionPhp::Piwigo, said: None };
        let by_gate = Downloads { in_force: ActionPhp::Gate, said: Some(ActionPhp::Gate) };
        let table = [
            ("language_switch", by_piwigo, Level::Ok, "no active plugin"),
            ("gvideo", by_piwigo, Level::Ok, "nothing to do about gvideo 1"),
            ("two_factor", by_piwigo, Level::Ok, "handled"),
            ("piwigo-videojs", by_piwigo, Level::Note, "subtitles"),
            ("BatchDownloader", by_piwigo, Level::Warning, "download_archives"),
            ("prepaid_credits", by_piwigo, Level::Warning, "left to PHP"),
            ("prepaid_credits", by_gate, Level::Warning, "its rule does not count"),
            ("family_access", by_piwigo, Level::Problem, "left to PHP"),
            ("TFA", by_piwigo, Level::Problem, "second factor"),
            ("private_derivative_protection", by_piwigo, Level::Problem, "protect.php"),
            ("bratonien_tools", by_piwigo, Level::Ok, "not on the disk"),
        ];
        for (plugin, downloads, level, words) in table {
            let found = told(|findings| active(root.path(), &rows(&[plugin]), downloads, findings));
            let [(id, found_level, what)] = &found[..] else { panic!("{plugin}: {found:?}") };
            assert!(*id == "plugins" && *found_level == level && what.contains(words), "{plugin}: {found:?}");
        }
        for (downloads, level) in [(by_piwigo, Level::Warning), (by_gate, Level::Note)] {
            let found = told(|findings| active(root.path(), &Plugins::Unreadable, downloads, findings));
            assert!(
                found.len() == 1 && found[0].1 == level && found[0].2.contains("cannot be read"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn zips_by_their_own_address() {
        for (options, level) in [
            ("a:3:{s:4:\"what\";a:0:{}s:6:\"direct\";b:1;s:10:\"last_clean\";i:0;}", Level::Warning),
            ("a:3:{s:4:\"what\";a:0:{}s:6:\"direct\";b:0;s:10:\"last_clean\";i:1;}", Level::Ok),
            ("a:1:{s:11:\"one_archive\";b:1;}", Level::Ok),
        ] {
            let found = told(|findings| batch_downloader(options, findings));
            assert_eq!(found[0].1, level, "{options}");
        }
    }

    #[test]
    fn a_door_is_found_on_the_disk_whether_its_plugin_is_active_or_not() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let look = || told(|findings| doors(root.path(), &["upload".into(), "galleries".into()], findings));
        assert_eq!(look()[0].1, Level::Ok, "no plugins at all");
        write("plugins/piwigo_privacy/get.php", "");
        write("plugins/download_by_size/action.php", "");
        write("upload/.htaccess", "Require all denied\n");
        assert_eq!(look()[0].1, Level::Ok, "guarded by the server's file, and what asks for rights itself");
        let mut number = 0;
        for (name, text) in [
            ("plugins/piwigo-privacy/get.php", ""),
            ("plugins/private_derivative_protection/protect.php", ""),
            ("plugins/Private-derivative-protection-master/serve_original.php", ""),
            ("plugins/bratonien_tools/watermark.php", ""),
            ("galleries/.htaccess", "# private_derivative_protection\nRequire all denied\n"),
        ] {
            write(name, text);
            number += 1;
            let found = look();
            assert!(
                found.iter().all(|(id, level, _)| (*id, *level) == ("plugin-doors", Level::Problem)),
                "{found:?}"
            );
            assert!(
                found.len() == number && found.iter().any(|(.., what)| what.contains(name)),
                "{name}: {found:?}"
            );
        }
    }

    #[test]
    fn a_plugin_that_is_not_known_is_worth_reading_if_it_sends_files() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("plugins/strange/include");
        fs::create_dir_all(directory.join("language")).unwrap();
        let downloads = Downloads { in_force: ActionPhp::Gate, said: None };
        let look = |id: &str| told(|findings| active(root.path(), &rows(&[id]), downloads, findings));
        fs::write(directory.join("language/a.php"), "readfile(").unwrap();
        fs::write(directory.join("a.tpl"), "readfile(").unwrap();
        fs::write(directory.join("a.php"), "<?php echo 1;").unwrap();
        assert_eq!(look("strange").len(), 1);
        fs::write(directory.join("b.php"), "<?php readfile($file); $user['enabled_high'] = false;").unwrap();
        let found = look("strange");
        let (id, level, what) = &found[1];
        assert_eq!((*id, *level), ("plugins-unknown", Level::Note));
        assert!(what.contains("strange 1 (readfile(, enabled_high)"), "{what}");
        for outside in ["../plugins/strange", ".", "..", "strange/include", "none"] {
            assert_eq!(look(outside).len(), 1, "{outside}");
        }
    }
}
