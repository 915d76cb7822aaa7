//! The guarded directories as they lie on disk: links, `.htaccess` files, a file system that folds case. A walk that
//! follows no link and ends after so many names or so much time.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::findings::{Findings, some};
use super::prefixes::Guarded;
use super::read_start;
use crate::accounts::name_of;
use crate::send::Tree;
use crate::settings::Symlinks;

/// Names that are looked at, at most.
const MAX_NAMES: usize = 500_000;

/// The walk ends after this: a NAS may take long.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Bytes of an `.htaccess` file that are read.
pub(super) const MAX_HTACCESS: u64 = 64 * 1024;

/// What a walk has met.
#[derive(Debug, Default)]
struct Met {
    names: usize,
    ended_early: bool,
    links: Vec<Link>,
    htaccess: Vec<PathBuf>,
    unreadable: Vec<PathBuf>,
}

/// A symbolic link.
#[derive(Debug)]
struct Link {
    path: PathBuf,
    owner: u32,
    /// What it leads to, without links, and that one's owner; `None`: it leads nowhere.
    target: Option<(PathBuf, u32)>,
}

impl Link {
    fn read(path: &Path) -> Option<Self> {
        let owner = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_symlink)?.uid();
        let target = path.canonicalize().ok().zip(fs::metadata(path).ok().map(|metadata| metadata.uid()));
        Some(Link { path: path.to_owned(), owner, target })
    }

    /// Whether it is followed in this gallery, by its setting.
    fn is_followed(&self, tree: &Tree) -> bool {
        let Some((target, owner)) = &self.target else { return true };
        match tree.symlinks() {
            Symlinks::SameOwner => *owner == self.owner,
            Symlinks::All | Symlinks::Inside | Symlinks::Roots(_) => tree.holds(target),
        }
    }
}

fn walk(root: &Path, directories: &[String]) -> Met {
    let mut met = Met::default();
    let begun = Instant::now();
    let mut waiting = Vec::new();
    for directory in directories {
        // The way there may lead through a link, too: `_data` on another disk.
        let mut path = root.to_owned();
        for part in directory.split('/') {
            path.push(part);
            met.links.extend(Link::read(&path));
        }
        waiting.push(path);
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
                met.links.extend(Link::read(&entry.path()));
            }
            if entry.file_name() == ".htaccess" {
                met.htaccess.push(entry.path());
            }
        }
    }
    met
}

/// Looks at the guarded directories. `tried_outside`: other spellings are asked for from outside as well.
pub(super) fn examine(tree: &Tree, guarded: &Guarded, tried_outside: bool, findings: &mut Findings) {
    let root = tree.root();
    let directories = guarded.directories();
    let met = walk(root, &directories);
    let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    ways(&met, tree, &directories, name, findings);
    links(&met, tree, name, findings);
    htaccess(&met, name, findings);
    case(root, &directories, tried_outside, findings);
}

/// Links on the way to a guarded directory that are not followed: nobody gets anything below.
fn ways(
    met: &Met,
    tree: &Tree,
    directories: &[String],
    name: impl Fn(&Path) -> String,
    findings: &mut Findings,
) {
    let is_way =
        |link: &Link| directories.iter().any(|directory| tree.root().join(directory).starts_with(&link.path));
    for link in met.links.iter().filter(|link| is_way(link) && !link.is_followed(tree)) {
        let Some((target, owner)) = &link.target else { continue };
        let (link_name, target) = (name(&link.path), target.display());
        let (theirs, its) = (name_of(*owner), name_of(link.owner));
        let same_owner = if *tree.symlinks() == Symlinks::SameOwner {
            format!(", or give the link the owner of its target: chown -h {theirs} {}", link.path.display())
        } else {
            String::new()
        };
        findings.problem(
            "symlinks",
            format!(
                "{link_name} is a link of {its}'s to {target}, which belongs to {theirs}, and is not followed (symlinks is {}): \
                 everything below is answered 404",
                tree.symlinks().name()
            ),
            format!(
                "symlinks = \"{target}\" in gate.toml, and print the web server's file anew{same_owner}"
            ),
        );
    }
}

fn links(met: &Met, tree: &Tree, name: impl Fn(&Path) -> String, findings: &mut Findings) {
    let symlinks = tree.symlinks();
    let (followed, strangers): (Vec<&Link>, Vec<&Link>) =
        met.links.iter().partition(|link| link.is_followed(tree));
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

/// The directives with which an `.htaccess` file changes who gets what below it; none for the shipped one.
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
        // A link of that name is somebody's wish, and leads to the same place under any guard.
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
    fn which_links_are_followed() {
        let nas = || Symlinks::Roots(vec!["/mnt/nas".into()]);
        let table = [
            (Symlinks::SameOwner, 1, Some(("/mnt/nas/a", 1)), true),
            (Symlinks::SameOwner, 1, Some(("/mnt/nas/a", 2)), false),
            (Symlinks::SameOwner, 0, Some(("/srv/piwigo/upload/a", 1)), false),
            (Symlinks::SameOwner, 1, None, true),
            (Symlinks::Inside, 1, Some(("/srv/piwigo/upload/a", 2)), true),
            (Symlinks::Inside, 1, Some(("/srv/photos/a", 2)), true),
            (Symlinks::Inside, 1, Some(("/srv/piwigo2/upload/a", 1)), false),
            (nas(), 1, Some(("/mnt/nas/a", 2)), true),
            (nas(), 1, Some(("/mnt/other", 1)), false),
            (Symlinks::All, 1, Some(("/etc/hostname", 0)), true),
        ];
        for (symlinks, owner, target, followed) in table {
            let target = target.map(|(path, owner)| (PathBuf::from(path), owner));
            let link = Link { path: PathBuf::new(), owner, target };
            let tree = Tree::new(Path::new("/srv/piwigo"), symlinks, &["photos".to_owned()]);
            assert_eq!(link.is_followed(&tree), followed, "{:?} {link:?}", tree.symlinks());
        }
    }

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
        let met = walk(root, &["upload".into(), "galleries".into(), "_data/i".into()]);
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
            (include_str!("../../apache/htaccess-guarded-dir"), ""),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(overriding(text).join(" "), expected, "{text:?}");
        }
    }
}
