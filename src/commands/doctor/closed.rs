//! Finds guarded directories that the gate cannot enter: because of a link that is not followed or leads
//! nowhere, because of permissions, or because a file is in the directory's place. Each reason is one
//! problem, with the command that corrects it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, getxattr};
use rustix::io::Errno;

use super::findings::{Findings, shown, some};
use crate::commands::accounts::{Account, Right, name_of};
use crate::files::links::{self, Link};
use crate::files::{Symlinks, Tree};

/// The name under which Linux keeps a file's access list.
const ACCESS_LIST: &str = "system.posix_acl_access";

/// Why the gate cannot enter.
struct Reason {
    id: &'static str,
    /// The place that stops the gate. It may close several directories.
    place: PathBuf,
    what: String,
    remedy: String,
}

/// Examines the guarded `directories`. Returns the paths that need no further finding: the directories that
/// the gate cannot enter and the links that close them. `gate`: the account that the gate runs as, if it is
/// known.
pub(super) fn examine(
    tree: &Tree,
    directories: &[String],
    gate: Option<&Account>,
    findings: &mut Findings,
) -> Vec<PathBuf> {
    let mut reasons: Vec<(Reason, Vec<String>)> = Vec::new();
    let mut told = Vec::new();
    for directory in directories {
        let Some(reason) = reason(tree, directory, gate) else { continue };
        told.extend([reason.place.clone(), tree.root().join(directory)]);
        match reasons.iter_mut().find(|(known, _)| known.place == reason.place) {
            Some((_, closed)) => closed.push(directory.clone()),
            None => reasons.push((reason, vec![directory.clone()])),
        }
    }
    for (reason, closed) in reasons {
        let what = format!("{}: everything below {} is answered 404", reason.what, some(&closed));
        findings.problem(reason.id, what, reason.remedy);
    }
    told
}

fn reason(tree: &Tree, directory: &str, gate: Option<&Account>) -> Option<Reason> {
    let path = tree.root().join(directory);
    let links: Vec<Link> = links::on_the_way(tree, tree.root(), directory).collect();
    if let Some(link) = links.iter().find(|link| !link.is_followed) {
        return not_followed(tree, link);
    }
    let error = match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => return no_right(&path, gate?),
        Ok(_) => return Some(no_directory(tree, path)),
        Err(error) => error,
    };
    match Errno::from_io_error(&error)? {
        // This account may not look. The rights of the gate's account say whether the gate may.
        Errno::ACCESS => no_right(&path, gate?),
        // A gallery need not have every directory. A link, however, was made on purpose.
        Errno::NOENT | Errno::LOOP => {
            links.into_iter().find(|link| link.target.is_none()).map(|link| Reason {
                id: "symlinks",
                what: format!(
                    "{} is a link to {}, which is not there",
                    name(tree, &link.path),
                    shown(&fs::read_link(&link.path).unwrap_or_default().to_string_lossy())
                ),
                remedy: format!(
                    "mount or make what it leads to; or let it lead elsewhere: ln -sfn DIRECTORY {}",
                    link.path.display()
                ),
                place: link.path,
            })
        }
        Errno::NOTDIR => Some(no_directory(tree, path)),
        _ => None,
    }
}

fn no_directory(tree: &Tree, path: PathBuf) -> Reason {
    Reason {
        id: "readable",
        what: format!("{} is no directory", name(tree, &path)),
        remedy: format!("ls -ld {}, and put the directory in its place", path.display()),
        place: path,
    }
}

fn not_followed(tree: &Tree, link: &Link) -> Option<Reason> {
    let (target, owner) = link.target.as_ref()?;
    let (link_name, target) = (name(tree, &link.path), target.display());
    let (theirs, its) = (name_of(*owner), name_of(link.owner));
    let same_owner = if *tree.symlinks() == Symlinks::SameOwner {
        format!(", or give the link to its target's owner: chown -h {theirs} {}", link.path.display())
    } else {
        String::new()
    };
    Some(Reason {
        id: "symlinks",
        what: format!(
            "{link_name} is a link of {its}'s to {target}, which belongs to {theirs}, and is not followed (symlinks is {})",
            tree.symlinks().name()
        ),
        remedy: format!(
            "symlinks = \"{target}\" in gate.toml, and print the web server's file anew{same_owner}"
        ),
        place: link.path.clone(),
    })
}

/// The first directory on the way to `path`, or `path` itself, that the gate's account may not enter.
fn no_right(path: &Path, gate: &Account) -> Option<Reason> {
    let place = if gate.uid == Account::mine().uid {
        stopped_here(path)?
    } else {
        // Owner, group and mode decide only if the file has no access list.
        let place = gate.may(Right::Enter, path).err()?;
        fs::metadata(&place).ok().filter(|_| getxattr(&place, ACCESS_LIST, &mut [0_u8; 0][..]).is_err())?;
        place
    };
    let metadata = fs::metadata(&place).ok()?;
    let (mode, owner) = (metadata.permissions().mode() & 0o7777, name_of(metadata.uid()));
    // The first class that applies decides alone.
    let class = match () {
        () if metadata.uid() == gate.uid => "u",
        () if gate.is_in(metadata.gid()) => "g",
        () => "o",
    };
    Some(Reason {
        id: "readable",
        what: format!("{} may not enter {} ({mode:04o}, belongs to {owner})", gate.name, place.display()),
        remedy: format!("chmod {class}+x {}", place.display()),
        place,
    })
}

/// The first directory on the way to `path` that the system does not let this process enter.
fn stopped_here(path: &Path) -> Option<PathBuf> {
    let mut real = PathBuf::new();
    for part in path.components() {
        real.push(part);
        // The directories on the way to a link's target count, too.
        if let Ok(canonical) = real.canonicalize() {
            real = canonical;
        }
        if fs::metadata(&real).is_ok_and(|metadata| metadata.is_dir())
            && access(&real, Access::EXEC_OK).is_err()
        {
            return Some(real);
        }
    }
    None
}

fn name(tree: &Tree, path: &Path) -> String {
    shown(&path.strip_prefix(tree.root()).unwrap_or(path).to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is done to the gallery and what doctor says of it.
    type Row<'a> = (&'a str, &'a dyn Fn(), &'a [(&'static str, &'a [&'a str])]);

    /// The problems that are found, as their names and words; the directories of the gallery are `upload` and
    /// `_data/i`.
    fn problems(root: &Path, gate: Option<&Account>) -> Vec<(&'static str, String)> {
        let tree = Tree::new(root, Symlinks::SameOwner, &[]);
        let mut findings = Findings::default();
        examine(&tree, &["upload".to_owned(), "_data/i".to_owned()], gate, &mut findings);
        let words = |finding: &super::super::Finding| {
            format!("{} {}", finding.what, finding.remedy.as_deref().unwrap_or_default())
        };
        findings.0.iter().map(|finding| (finding.id, words(finding))).collect()
    }

    #[test]
    fn each_reason_is_one_problem_with_the_line_to_write() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let base = directory.path().canonicalize().unwrap();
        let root = base.join("gallery");
        let open = |name: &str, mode| {
            fs::set_permissions(base.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        let stranger = Account::find("stranger", "stranger:x:4000000:4000000::", "").unwrap();
        let link = |target: &str, name: &str| {
            fs::remove_dir_all(root.join(name)).unwrap();
            symlink(target, root.join(name)).unwrap();
        };
        let table: [Row; 8] = [
            ("nothing", &|| {}, &[]),
            ("a missing directory", &|| fs::remove_dir_all(root.join("upload")).unwrap(), &[]),
            (
                "permissions",
                &|| open("gallery/upload", 0o700),
                &[("readable", &["stranger may not enter", "0700", "below upload is", "chmod o+x"])],
            ),
            (
                "permissions above",
                &|| open("gallery", 0o750),
                &[("readable", &["below upload, _data/i is", "gallery (0750"])],
            ),
            (
                "permissions behind a link",
                &|| {
                    link("../disk", "upload");
                    open("disk", 0o700);
                },
                &[("readable", &["disk (0700", "below upload is"])],
            ),
            (
                "a link that leads nowhere",
                &|| link("../none", "_data"),
                &[("symlinks", &["_data is a link to ../none", "below _data/i is", "ln -sfn"])],
            ),
            ("a loop", &|| link("upload", "upload"), &[("symlinks", &["upload is a link to upload"])]),
            (
                "a file",
                &|| {
                    link("../file", "_data");
                    fs::write(base.join("file"), "").unwrap();
                },
                &[("readable", &["_data/i is no directory"])],
            ),
        ];
        for (name, change, expected) in table {
            let _ = fs::remove_dir_all(&root);
            for name in ["gallery/upload", "gallery/_data/i", "disk"] {
                fs::create_dir_all(base.join(name)).unwrap();
                open(name, 0o755);
            }
            change();
            let found = problems(&root, Some(&stranger));
            assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
            for ((id, words), (expected_id, expected_words)) in found.iter().zip(expected) {
                assert_eq!(id, expected_id, "{name}");
                assert!(expected_words.iter().all(|word| words.contains(word)), "{name}: {words}");
            }
            let by_permissions =
                expected.iter().any(|(_, words)| words.iter().any(|word| word.contains("07")));
            let unknown = problems(&root, None);
            assert_eq!(unknown.is_empty(), expected.is_empty() || by_permissions, "{name}: {unknown:?}");
        }
    }
}
