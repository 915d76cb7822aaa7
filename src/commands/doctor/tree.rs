//! Walks through the guarded directories and looks for links, `.htaccess` files and a file system that
//! ignores case. The walk follows no link and ends after [`MAX_NAMES`] names or [`MAX_TIME`].

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::findings::{Findings, some};
use super::prefixes::Guarded;
use super::{closed, read_start};
use crate::commands::accounts::{Account, name_of};
use crate::files::links::{self, Link};
use crate::files::{Symlinks, Tree};

/// Most names that the walk examines.
const MAX_NAMES: usize = 500_000;

/// Longest time of the walk. A NAS may be slow.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Largest part of an `.htaccess` file that is read, in bytes.
pub(super) const MAX_HTACCESS: u64 = 64 * 1024;

/// What the walk has found.
#[derive(Debug, Default)]
struct Met {
    names: usize,
    ended_early: bool,
    links: Vec<Link>,
    htaccess: Vec<PathBuf>,
    unreadable: Vec<PathBuf>,
}

fn walk(tree: &Tree, directories: &[String]) -> Met {
    let mut met = Met::default();
    let begun = Instant::now();
    let mut waiting = Vec::new();
    for directory in directories {
        // The way to the directory may lead through a link, too: `_data` on another disk.
        met.links.extend(links::on_the_way(tree, tree.root(), directory));
        waiting.push(tree.root().join(directory));
    }
    while let Some(directory) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    met.unreadable.push(directory);
                }
                continue;
            }
        };
        for entry in entries.flatten() {
            met.names += 1;
            if met.names > MAX_NAMES || begun.elapsed() > MAX_TIME {
                met.ended_early = true;
                return met;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                waiting.push(entry.path());
                continue;
            }
            if kind.is_symlink() {
                met.links.extend(Link::read(tree, &entry.path()));
            }
            if entry.file_name() == ".htaccess" {
                met.htaccess.push(entry.path());
            }
        }
    }
    met
}

/// What the walk has found for other modules.
pub(super) struct Seen {
    /// Names of links that the gate follows and a web server that compares owners refuses.
    pub(super) beyond_servers: Vec<String>,
    /// The text of the `.htaccess` files.
    pub(super) htaccess: String,
}

/// Examines the guarded directories. `tried_outside`: other spellings are also tried from outside; `gate`:
/// the account that the gate runs as, if it is known.
pub(super) fn examine(
    tree: &Tree,
    guarded: &Guarded,
    tried_outside: bool,
    gate: Option<&Account>,
    findings: &mut Findings,
) -> Seen {
    let root = tree.root();
    let directories = guarded.directories();
    let mut met = walk(tree, &directories);
    let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    // A closed directory is reported once, and nothing else is reported about it.
    let told = closed::examine(tree, &directories, gate, findings);
    met.links.retain(|link| !told.contains(&link.path));
    met.unreadable.retain(|directory| !told.contains(directory));
    links(&met, tree, name, findings);
    htaccess(&met, name, findings);
    case(root, &directories, tried_outside, findings);
    let beyond = met.links.iter().filter(|link| link.is_refused_by_servers()).map(|link| name(&link.path));
    let read = |path: &PathBuf| read_start(path, MAX_HTACCESS).unwrap_or_default();
    Seen { beyond_servers: beyond.collect(), htaccess: met.htaccess.iter().map(read).collect() }
}

fn links(met: &Met, tree: &Tree, name: impl Fn(&Path) -> String, findings: &mut Findings) {
    let symlinks = tree.symlinks();
    let (followed, strangers): (Vec<&Link>, Vec<&Link>) = met.links.iter().partition(|link| link.is_followed);
    if !strangers.is_empty() {
        let told = |link: &&Link| match &link.target {
            Some((_, owner)) if *symlinks == Symlinks::SameOwner => {
                let owners = (name_of(link.owner), name_of(*owner));
                format!("{} (belongs to {}, leads to {}'s)", name(&link.path), owners.0, owners.1)
            }
            Some((target, _)) => format!("{} (leads to {})", name(&link.path), target.display()),
            None => name(&link.path),
        };
        let told: Vec<String> = strangers.iter().map(told).collect();
        findings.warn(
            "symlinks",
            format!("links that are not followed (symlinks is {}): {}", symlinks.name(), some(&told)),
            "what is behind them is answered 404: name the directories that links may lead to in the setting symlinks \
             (\"/mnt/nas/photos\"), give link and target the same owner (chown -h), or remove them",
        );
    }
    let counted = format!("{} names, {} links", met.names, met.links.len());
    if met.ended_early {
        findings.advise(
            "symlinks",
            format!("ended after {counted}: the rest was not examined"),
            "look for links yourself: find -L is slow, find upload galleries _data/i -type l is enough",
        );
    } else if let Some(directory) = met.unreadable.first() {
        findings.advise(
            "symlinks",
            format!(
                "{counted}; {} directories cannot be read, such as {}",
                met.unreadable.len(),
                name(directory)
            ),
            "run doctor as the gate's user",
        );
    } else if strangers.is_empty() {
        let all = if followed.is_empty() {
            String::new()
        } else {
            format!(", all followed (symlinks is {})", symlinks.name())
        };
        findings.ok("symlinks", format!("{counted} in the guarded directories{all}"));
    }
}

fn htaccess(met: &Met, name: impl Fn(&Path) -> String, findings: &mut Findings) {
    let mut found = Vec::new();
    for path in &met.htaccess {
        let directives = overriding(&read_start(path, MAX_HTACCESS).unwrap_or_default());
        if !directives.is_empty() {
            found.push(format!("{} ({})", name(path), directives.join(", ")));
        }
    }
    if found.is_empty() {
        findings.ok("htaccess", "no .htaccess file in the guarded directories overrides the guard");
    } else {
        findings.warn(
            "htaccess",
            format!("of importance to Apache only: {}", some(&found)),
            "with the guard in .htaccess files these lines can switch it off below them: remove them; with the guard in \
             Apache's own configuration set AllowOverride None for these directories",
        );
    }
}

/// The directives with which an `.htaccess` file changes which visitors get the files below it; none for
/// the printed file.
fn overriding(text: &str) -> Vec<String> {
    const DIRECTIVES: [&str; 13] = [
        "RewriteEngine",
        "RewriteRule",
        "SetHandler",
        "AddHandler",
        "RemoveHandler",
        "ForceType",
        "Action",
        "Require",
        "Satisfy",
        "Allow",
        "Deny",
        "Order",
        "FcgidAccessChecker",
    ];
    if text.contains("piwigo-gate") && text.contains("gate.fcgi") {
        return Vec::new();
    }
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let word = line.split_whitespace().next().unwrap_or_default();
        let known = DIRECTIVES.iter().find(|directive| directive.eq_ignore_ascii_case(word));
        if let Some(known) = known
            && !found.iter().any(|earlier| earlier == known)
        {
            found.push((*known).to_owned());
        }
    }
    found
}

/// Whether other spellings of a name open the same directory.
fn case(root: &Path, directories: &[String], tried_outside: bool, findings: &mut Findings) {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let folds = |directory: &&String| {
        let plain = identity(&root.join(directory));
        let upper = directory.to_uppercase();
        // A link of that name was made on purpose, and its target is guarded like any other.
        plain.is_some() && upper != ***directory && identity(&root.join(upper)) == plain
    };
    let folded: Vec<String> = directories.iter().filter(folds).cloned().collect();
    if folded.is_empty() {
        findings.ok(
            "case-folding",
            "other spellings of the guarded directories do not exist on this file system",
        );
        return;
    }
    let what = format!(
        "capitals make no difference on this file system: {} opens by other spellings",
        some(&folded)
    );
    let remedy = "the server's file must refuse them, as the shipped ones do (\"spelt otherwise\"); give --url to try it";
    if tried_outside {
        findings.note("case-folding", format!("{what}; see outside-spellings"));
    } else {
        findings.warn("case-folding", what, remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_follows_no_link_and_meets_those_on_its_way() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("disk/i/a")).unwrap();
        fs::create_dir_all(root.join("upload/x")).unwrap();
        fs::write(root.join("upload/x/.htaccess"), "").unwrap();
        std::os::unix::fs::symlink("disk", root.join("_data")).unwrap();
        std::os::unix::fs::symlink("..", root.join("upload/x/up")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("upload/gone")).unwrap();
        let tree = Tree::new(root, Symlinks::SameOwner, &[]);
        let met = walk(&tree, &["upload".into(), "galleries".into(), "_data/i".into()]);
        let mut links: Vec<_> = met
            .links
            .iter()
            .map(|link| link.path.strip_prefix(root).unwrap().display().to_string())
            .collect();
        links.sort();
        assert_eq!(links, ["_data", "upload/gone", "upload/x/up"]);
        assert_eq!((met.names, met.htaccess.len(), met.ended_early), (5, 1, false));
    }

    #[test]
    fn directives_that_override_the_guard() {
        let table = [
            ("RewriteEngine off\nrewriterule a b\n", "RewriteEngine RewriteRule"),
            ("  Require all granted\nRequire all denied", "Require"),
            ("# SetHandler x\nOptions -Indexes\nHeader set A b\n", ""),
            (include_str!("../../../apache/htaccess-guarded-dir"), ""),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(overriding(text).join(" "), expected, "{text:?}");
        }
    }
}
