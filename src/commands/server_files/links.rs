//! Finds links of the gallery for which a server's file must leave the check of links to the gate. Returns
//! the link's name, for a comment in that file.

use std::path::Path;

use super::public;
use crate::files::links::{self, Link};
use crate::files::{Symlinks, Tree};

/// Most characters of a link's name that a comment shows.
const MAX_NAME: usize = 100;

/// Links that the gate follows and that a web server would refuse because the owners of link and target
/// differ.
pub(super) struct BeyondServers<'a> {
    pub(super) tree: &'a Tree,
}

impl BeyondServers<'_> {
    /// The first such link in the guarded directories `below` the root and `beside` it, or on the way to
    /// one of them.
    pub(super) fn in_guarded<'a>(
        &self,
        below: impl Iterator<Item = &'a String>,
        beside: &'a [String],
    ) -> Option<String> {
        let root = self.tree.root();
        let parent = root.parent().unwrap_or(root);
        let directories: Vec<(&Path, &str)> = (below.map(|directory| (root, directory.as_str())))
            .chain(beside.iter().map(|directory| (parent, directory.as_str())))
            .collect();
        let find = || links::refused_by_servers(self.tree, &directories);
        self.is_needed().then(find).flatten().map(|link| self.name(&link))
    }

    /// The first such link on the way to a public folder.
    pub(super) fn in_public(&self, data: &str) -> Option<String> {
        let root = self.tree.root();
        let folders = public::folders(data);
        let find = || {
            let mut links = folders.iter().flat_map(|folder| links::on_the_way(self.tree, root, folder));
            links.find(Link::is_refused_by_servers)
        };
        self.is_needed().then(find).flatten().map(|link| self.name(&link.path))
    }

    /// With any other setting the printed file always leaves the check to the gate.
    fn is_needed(&self) -> bool {
        *self.tree.symlinks() == Symlinks::SameOwner
    }

    /// The link's name relative to the root, without characters that could end a comment or have a meaning
    /// in a server's file.
    fn name(&self, link: &Path) -> String {
        let name = link.strip_prefix(self.tree.root()).unwrap_or(link).to_string_lossy();
        let plain = |c: char| if c.is_alphanumeric() || " ._-~+@,=/".contains(c) { c } else { '?' };
        name.chars().take(MAX_NAME).map(plain).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, chown, lchown, symlink};

    use super::*;

    /// The link, its owner, its target, the target's owner; the name in guarded directories, in public
    /// folders.
    type Row<'a> = (&'a str, u32, &'a str, u32, Option<&'a str>, Option<&'a str>);

    /// Links of other owners can only be made by root.
    #[test]
    fn a_link_that_only_the_gate_follows_is_found() {
        const OWNER: u32 = 4_000_001;
        const THIRD: u32 = 4_000_002;
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        if fs::metadata(&base).unwrap().uid() != 0 {
            return;
        }
        let root = base.join("gallery");
        let guarded = ["upload".to_owned(), "galleries".to_owned(), "_data/i".to_owned()];
        let table: [Row; 12] = [
            ("upload", 0, "../disk", OWNER, Some("upload"), None),
            ("upload", OWNER, "../disk", OWNER, None, None),
            ("upload", OWNER, "../disk", THIRD, Some("upload"), None),
            ("upload", THIRD, "../disk", OWNER, None, None),
            ("upload", 0, "../none", OWNER, None, None),
            ("_data", 0, "../disk", OWNER, Some("_data"), Some("_data")),
            ("_data", THIRD, "../disk", OWNER, None, None),
            ("galleries/a/b/nas", 0, "../../../../disk", OWNER, Some("galleries/a/b/nas"), None),
            ("galleries/a/b/nas", 0, "../../../../disk", 0, None, None),
            ("galleries/a\nroot /;", 0, "../../../disk", OWNER, Some("galleries/a?root /?"), None),
            ("../photos/nas", 0, "../disk", OWNER, Some("photos/nas"), None),
            ("themes", 0, "../disk", OWNER, None, Some("themes")),
        ];
        for (name, owner, target, targets, in_guarded, in_public) in table {
            for name in ["gallery", "disk", "photos"] {
                let _ = fs::remove_dir_all(base.join(name));
                fs::create_dir(base.join(name)).unwrap();
            }
            chown(&root, Some(OWNER), None).unwrap();
            chown(base.join("disk"), Some(targets), None).unwrap();
            let link = root.join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, &link).unwrap();
            lchown(&link, Some(owner), None).unwrap();
            let found = |symlinks| {
                let sites = ["photos/".to_owned()];
                let tree = Tree::new(&root, symlinks, &sites);
                let beyond = BeyondServers { tree: &tree };
                let guarded = beyond.in_guarded(guarded.iter(), &["photos".to_owned()]);
                // A link beside the gallery has its whole path for a name.
                let parent = format!("{}/", base.display());
                (guarded.map(|name| name.replace(&parent, "")), beyond.in_public("_data"))
            };
            let expected = (in_guarded.map(str::to_owned), in_public.map(str::to_owned));
            assert_eq!(found(Symlinks::SameOwner), expected, "{name:?} {owner} {targets}");
            assert_eq!(found(Symlinks::All), (None, None), "{name:?}");
        }
    }
}
