//! The symbolic links of a gallery: one, as it lies on disk, and whether the gate follows it; and a search
//! for one that the gate follows and that web servers refuse by their own rule. Blocks on the file system.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Symlinks, Tree};

/// Names that a search looks at, at most.
const MAX_NAMES: usize = 20_000;

/// A search ends after this: a NAS may take long.
const MAX_TIME: Duration = Duration::from_secs(3);

/// A symbolic link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) path: PathBuf,
    pub(crate) owner: u32,
    /// What it leads to, without links, and the owner of that; `None`: it leads nowhere.
    pub(crate) target: Option<(PathBuf, u32)>,
    /// Whether the gate follows it, and every link that it leads to. A link that leads nowhere counts as
    /// followed.
    pub(crate) is_followed: bool,
}

impl Link {
    /// Describes the link `path` below the root of `tree`, or beside it; `None` if there is no link.
    pub(crate) fn read(tree: &Tree, path: &Path) -> Option<Self> {
        let owner = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_symlink)?.uid();
        let target = path.canonicalize().ok().zip(fs::metadata(path).ok().map(|metadata| metadata.uid()));
        let is_followed = match &target {
            None => true,
            Some(_) if *tree.symlinks() == Symlinks::SameOwner => tree.trusts_all(path),
            Some((target, _)) => tree.holds(target),
        };
        Some(Link { path: path.to_owned(), owner, target, is_followed })
    }

    /// Whether the gate follows the link and web servers refuse it that compare the owners of link and
    /// target: nginx by `disable_symlinks if_not_owner`, Apache by `SymLinksIfOwnerMatch`. They know no trust
    /// in root.
    pub(crate) fn is_refused_by_servers(&self) -> bool {
        self.is_followed && self.target.as_ref().is_some_and(|(_, owner)| *owner != self.owner)
    }
}

/// The links on the way from `root` to `directory`, which is relative to it: `_data` and `_data/i`.
pub(crate) fn on_the_way<'a>(
    tree: &'a Tree,
    root: &Path,
    directory: &'a str,
) -> impl Iterator<Item = Link> + 'a {
    let mut path = root.to_owned();
    directory.split('/').filter_map(move |part| {
        path.push(part);
        Link::read(tree, &path)
    })
}

/// The first link in these directories, or on the way to them, that web servers would refuse and the gate
/// follows. Each directory is a base and a path relative to it. The search enters no link, goes from the top
/// down, and ends after so many names or so much time: `doctor` looks at all.
pub(crate) fn refused_by_servers(tree: &Tree, directories: &[(&Path, &str)]) -> Option<PathBuf> {
    let begun = Instant::now();
    let mut names = 0;
    let mut waiting = VecDeque::new();
    for (base, directory) in directories {
        if let Some(link) = on_the_way(tree, base, directory).find(Link::is_refused_by_servers) {
            return Some(link.path);
        }
        waiting.push_back(base.join(directory));
    }
    while let Some(directory) = waiting.pop_front() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            names += 1;
            if names > MAX_NAMES || begun.elapsed() > MAX_TIME {
                return None;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push_back(entry.path()),
                Ok(kind) if kind.is_symlink() => {
                    let link = Link::read(tree, &entry.path());
                    if let Some(link) = link.filter(Link::is_refused_by_servers) {
                        return Some(link.path);
                    }
                }
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, lchown, symlink};

    use super::*;

    /// The gallery's directory belongs to this user, if root runs the test; else everything is the tester's
    /// own.
    const OWNER: u32 = 4_000_001;
    const THIRD: u32 = 4_000_002;

    /// A gallery with links of these owners (link, owner, target), and with files of these owners.
    fn scene(base: &Path, files: &[(&str, u32)], links: &[(&str, u32, &str)]) -> PathBuf {
        let is_root = fs::metadata(base).unwrap().uid() == 0;
        let root = base.join("gallery");
        fs::create_dir_all(root.join("upload")).unwrap();
        for (name, owner) in files {
            let path = base.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "12345").unwrap();
            if is_root {
                chown(path, Some(*owner), None).unwrap();
            }
        }
        for (name, owner, target) in links {
            symlink(target, base.join(name)).unwrap();
            if is_root {
                lchown(base.join(name), Some(*owner), None).unwrap();
            }
        }
        if is_root {
            chown(&root, Some(OWNER), None).unwrap();
        }
        root
    }

    #[test]
    fn where_a_link_leads_is_for_the_setting_to_say() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        let files = [("gallery/upload/a", OWNER), ("photos/a", OWNER), ("nas/a", OWNER), ("other/a", OWNER)];
        let links = [
            ("gallery/upload/in", OWNER, "a"),
            ("gallery/upload/beside", OWNER, "../../photos"),
            ("gallery/upload/nas", OWNER, "../../nas/a"),
            ("gallery/upload/other", OWNER, "../../other"),
            ("gallery/upload/up", OWNER, "../.."),
            ("gallery/upload/none", OWNER, "none"),
            ("photos/other", OWNER, "../other/a"),
        ];
        let root = scene(&base, &files, &links);
        // By same-owner, inside, the list, all.
        let table = [
            ("gallery/upload/in", [true, true, true, true]),
            ("gallery/upload/beside", [true, true, true, true]),
            ("gallery/upload/nas", [true, false, true, true]),
            ("gallery/upload/other", [true, false, false, true]),
            ("gallery/upload/up", [true, false, false, true]),
            ("gallery/upload/none", [true, true, true, true]),
            ("photos/other", [true, false, false, true]),
        ];
        let settings =
            [Symlinks::SameOwner, Symlinks::Inside, Symlinks::Roots(vec![base.join("nas")]), Symlinks::All];
        for (at, setting) in settings.into_iter().enumerate() {
            let tree = Tree::new(&root, setting, &["photos/".to_owned()]);
            for (name, expected) in table {
                let link = Link::read(&tree, &base.join(name)).unwrap();
                assert_eq!(link.is_followed, expected[at], "{:?} {link:?}", tree.symlinks());
            }
            assert!(Link::read(&tree, &base.join("gallery/upload/a")).is_none(), "a file");
        }
    }

    /// Links of other owners can only be made by root.
    #[test]
    fn root_and_the_owner_of_the_gallery_are_trusted_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        if fs::metadata(&base).unwrap().uid() != 0 {
            return;
        }
        let files = [("owners", OWNER), ("thirds", THIRD), ("roots", 0)];
        // The link, its owner, its target; whether the gate follows it, and whether a server would that
        // compares owners.
        let table = [
            ("root-to-owner", 0, "../../owners", true, false),
            ("root-to-third", 0, "../../thirds", true, false),
            ("root-to-root", 0, "../../roots", true, true),
            ("owner-to-owner", OWNER, "../../owners", true, true),
            ("owner-to-third", OWNER, "../../thirds", true, false),
            ("owner-to-root", OWNER, "../../roots", true, false),
            ("third-to-owner", THIRD, "../../owners", false, false),
            ("third-to-third", THIRD, "../../thirds", true, true),
            ("third-to-root", THIRD, "../../roots", false, false),
            // Each link of a chain counts for the gate; a server looks at the first and at the end.
            ("root-to-third-to-owner", 0, "third-to-owner", false, false),
            ("owner-to-third-to-owner", OWNER, "third-to-owner", false, true),
            ("third-to-root-to-owner", THIRD, "root-to-owner", false, false),
            ("third-to-root-to-third", THIRD, "root-to-third", true, true),
            ("root-to-owner-to-third", 0, "owner-to-third", true, false),
            // A second name of root's link may be anybody's doing.
            ("root-with-two-names", 0, "../../owners", false, false),
            ("owner-with-two-names", OWNER, "../../thirds", false, false),
            ("own-with-two-names", OWNER, "../../owners", true, true),
        ];
        let links = table.map(|(name, owner, target, ..)| (format!("gallery/upload/{name}"), owner, target));
        let links = links.each_ref().map(|(name, owner, target)| (name.as_str(), *owner, *target));
        let root = scene(&base, &files, &links);
        for (name, ..) in table.iter().filter(|(name, ..)| name.ends_with("two-names")) {
            fs::hard_link(root.join("upload").join(name), base.join(name)).unwrap();
        }
        let tree = Tree::new(&root, Symlinks::SameOwner, &[]);
        for (name, .., is_followed, is_servers) in table {
            let path = format!("upload/{name}");
            let link = Link::read(&tree, &root.join(&path)).unwrap();
            assert_eq!(link.is_followed, is_followed, "{name}");
            assert_eq!(link.is_refused_by_servers(), is_followed && !is_servers, "{name}");
            assert_eq!(
                (tree.look(&path).is_ok(), tree.open(&path).is_ok()),
                (is_followed, is_followed),
                "{name}"
            );
        }
        let refused = tree.look("upload/third-to-owner").unwrap_err().to_string();
        assert!(refused.contains("third-to-owner") && refused.contains("chown -h"), "{refused}");
        // A link of root's leads to no directory in which another user's links are followed.
        symlink("/", root.join("upload/top")).unwrap();
        assert!(tree.look(&format!("upload/top{}/third-to-owner", root.join("upload").display())).is_err());
        assert!(tree.look(&format!("upload/top{}/owners", base.display())).is_ok());
        // Whose the directory is counts when the link is read.
        chown(&root, Some(THIRD), None).unwrap();
        assert!(tree.look("upload/third-to-root").is_ok() && tree.look("upload/owner-to-third").is_err());
    }
}
