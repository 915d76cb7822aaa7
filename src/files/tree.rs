//! The directories in which the gallery's files lie: a path in, the file it names or a description of it out.
//! Blocks on the file system. A link is followed only as the setting `symlinks` says.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::Symlinks;
use super::walk::{Lost, Walk};

/// A FIFO or a device in a file's place is not waited for.
const OPEN: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// The gallery's root, what lies beside it, and which links lead to its files.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    symlinks: Symlinks,
    /// Where a file must lie in the end; `None`: anywhere.
    bounds: Option<Vec<PathBuf>>,
}

/// A file that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sendable {
    /// Absolute path.
    pub path: String,
    /// Length in bytes.
    pub length: u64,
    /// Modification time.
    pub modified: SystemTime,
}

/// Why a file cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// It is not there, or cannot be looked at.
    #[error("{path}: {error}")]
    Missing {
        /// Relative to the root.
        path: String,
        /// What the system said.
        error: io::Error,
        /// It was looked for where a link leads.
        by_link: bool,
    },
    /// A directory, a device or the like.
    #[error("{0} is no regular file")]
    NotAFile(String),
    /// It is reached through a symbolic link that is not followed.
    #[error("{path} is reached through the symbolic link {link:?}, which {}", why(symlinks))]
    Link {
        /// Relative to the root.
        path: String,
        /// The link.
        link: PathBuf,
        /// By which setting.
        symlinks: Symlinks,
    },
}

impl Unsendable {
    /// Whether there is nothing under this name, not even a link: where that leads, a server may see what the
    /// gate does not.
    pub fn is_absent(&self) -> bool {
        matches!(self, Unsendable::Missing { error, by_link: false, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    fn missing(path: &str, error: io::Error) -> Self {
        Unsendable::Missing { path: path.to_owned(), error, by_link: false }
    }
}

fn why(symlinks: &Symlinks) -> &'static str {
    match symlinks {
        Symlinks::SameOwner => {
            "belongs neither to the owner of what it leads to, nor to root, nor to the owner of the gallery's directory \
             (or it has a second name, by a hard link): give it to one of them (chown -h), or change the setting symlinks \
             (now same-owner)"
        }
        Symlinks::Inside => {
            "leads out of the gallery: add where it leads to the setting symlinks (now inside)"
        }
        Symlinks::Roots(_) => {
            "leads neither into the gallery nor below a directory in the list of the setting symlinks"
        }
        Symlinks::All => "cannot be followed",
    }
}

impl Tree {
    /// The gallery in `root`, with the directories `sites` of the root's parent.
    pub fn new(root: &Path, symlinks: Symlinks, sites: &[String]) -> Self {
        let own = || {
            let sites =
                root.parent().into_iter().flat_map(|parent| sites.iter().map(|site| parent.join(site)));
            std::iter::once(root.to_owned()).chain(sites)
        };
        let bounds = match &symlinks {
            Symlinks::SameOwner | Symlinks::All => None,
            Symlinks::Inside => Some(own().collect()),
            Symlinks::Roots(roots) => Some(own().chain(roots.iter().cloned()).collect()),
        };
        Tree { root: root.to_owned(), symlinks, bounds }
    }

    /// The gallery's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn symlinks(&self) -> &Symlinks {
        &self.symlinks
    }

    /// Whether files may lie in this directory, whose path has no link in it.
    pub(crate) fn holds(&self, directory: &Path) -> bool {
        self.bounds.as_ref().is_none_or(|bounds| bounds.iter().any(|bound| directory.starts_with(bound)))
    }

    /// Whether a link is followed because of its owner alone: root, or the owner of the gallery's directory.
    /// Both may say `symlinks = "all"`. `link` describes the link itself.
    ///
    /// A link that has a second name is not trusted: where the kernel allows it (`fs.protected_hardlinks=0`),
    /// a user who may write to a directory of the gallery can give root's link to `/etc` a name there
    /// (`link(2)`).
    pub(crate) fn trusts(&self, link: &Stat) -> bool {
        let is_owner = || fs::metadata(&self.root).is_ok_and(|root| root.uid() == link.st_uid);
        link.st_nlink <= 1 && (link.st_uid == 0 || is_owner())
    }

    /// Whether each link on the way to `path` and at its end has an owner that is trusted: an absolute path
    /// below the root, or below the root's parent. The way may end for another reason, such as at a
    /// directory.
    pub(crate) fn trusts_all(&self, path: &Path) -> bool {
        let beside = || {
            let below = path.strip_prefix(self.root.parent()?).ok()?.to_str()?;
            Some(format!("../{below}"))
        };
        let below = || path.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned);
        let Some(path) = below().or_else(beside) else { return false };
        !matches!(self.arrive(&path, unopened), Err(Unsendable::Link { .. }))
    }

    /// Looks at a file without opening it: below the root, or beside it if `path` begins with `../`.
    ///
    /// # Errors
    /// [`Unsendable`]; the visitor may have the file, so its absence is no secret from them.
    pub fn look(&self, path: &str) -> Result<Sendable, Unsendable> {
        // Links that are all followed are the system's to follow.
        if self.symlinks == Symlinks::All {
            let (base, below) = self.base(path);
            let missing = |error| Unsendable::missing(path, error);
            return self.sendable_by(path, &fs::metadata(base.join(below)).map_err(missing)?);
        }
        let ((), stat) = self.arrive(path, unopened)?;
        self.sendable(path, length(&stat), modified(&stat))
    }

    /// Opens a file as [`Tree::look`] finds it.
    ///
    /// # Errors
    /// [`Unsendable`].
    pub fn open(&self, path: &str) -> Result<(File, Sendable), Unsendable> {
        if self.symlinks == Symlinks::All {
            let (base, below) = self.base(path);
            let missing = |error| Unsendable::missing(path, error);
            let flags = OPEN.bits().cast_signed();
            let file =
                File::options().read(true).custom_flags(flags).open(base.join(below)).map_err(missing)?;
            let metadata = file.metadata().map_err(missing)?;
            return Ok((file, self.sendable_by(path, &metadata)?));
        }
        let (file, stat) = self.arrive(path, |directory, name| {
            let flags = OPEN | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(directory, name, flags, Mode::empty())?;
            let stat = fstat(&file)?;
            Ok((File::from(file), stat))
        })?;
        Ok((file, self.sendable(path, length(&stat), modified(&stat))?))
    }

    /// Starts a way in the root.
    pub(crate) fn walk(&self) -> Result<Walk<'_>, Errno> {
        Walk::start(self, &self.root)
    }

    /// Where a path begins, and the rest of it.
    fn base<'p>(&self, path: &'p str) -> (&Path, &'p str) {
        match (path.strip_prefix("../"), self.root.parent()) {
            (Some(beside), Some(parent)) => (parent, beside),
            _ => (&self.root, path),
        }
    }

    fn sendable_by(&self, path: &str, metadata: &fs::Metadata) -> Result<Sendable, Unsendable> {
        if !metadata.is_file() {
            return Err(Unsendable::NotAFile(path.to_owned()));
        }
        let modified = metadata.modified().map_err(|error| Unsendable::missing(path, error))?;
        self.sendable(path, metadata.len(), modified)
    }

    fn sendable(&self, path: &str, length: u64, modified: SystemTime) -> Result<Sendable, Unsendable> {
        let (base, below) = self.base(path);
        match base.join(below).into_os_string().into_string() {
            Ok(path) => Ok(Sendable { path, length, modified }),
            Err(_) => Err(Unsendable::NotAFile(path.to_owned())),
        }
    }

    fn arrive<T>(
        &self,
        path: &str,
        arrive: impl Fn(BorrowedFd<'_>, &OsStr) -> Result<(T, Stat), Errno>,
    ) -> Result<(T, Stat), Unsendable> {
        let (base, below) = self.base(path);
        let mut walk = Walk::start(self, base).map_err(|errno| Unsendable::missing(path, errno.into()))?;
        walk.arrive(below, arrive).map_err(|lost| {
            let path = path.to_owned();
            match lost {
                Lost::System(errno) => {
                    Unsendable::Missing { path, error: errno.into(), by_link: walk.met_link() }
                }
                Lost::NotAFile => Unsendable::NotAFile(path),
                Lost::Link(link) => Unsendable::Link { path, link, symlinks: self.symlinks.clone() },
            }
        })
    }
}

/// Looks at what is there without opening it, and follows no link.
fn unopened(directory: BorrowedFd<'_>, name: &OsStr) -> Result<((), Stat), Errno> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode).is_symlink() {
        return Err(Errno::LOOP);
    }
    Ok(((), stat))
}

fn length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// The system's time as the library's `Metadata` would have it; a date that nobody can hold is 1970.
fn modified(stat: &Stat) -> SystemTime {
    let epoch = SystemTime::UNIX_EPOCH;
    let whole = match u64::try_from(stat.st_mtime) {
        Ok(since) => epoch.checked_add(Duration::from_secs(since)),
        Err(_) => epoch.checked_sub(Duration::from_secs(stat.st_mtime.unsigned_abs())),
    };
    let part = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    whole.and_then(|whole| whole.checked_add(Duration::from_nanos(part.into()))).unwrap_or(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A gallery with links of every kind; names of files say where they lie.
    fn scene(base: &Path) {
        for directory in ["gallery/upload/d", "gallery/_data", "nas/photos", "photos", "elsewhere"] {
            fs::create_dir_all(base.join(directory)).unwrap();
        }
        for file in ["gallery/upload/in.jpg", "gallery/upload/d/in.jpg", "nas/photos/nas.jpg", "photos/p.jpg"]
        {
            fs::write(base.join(file), "12345").unwrap();
        }
        fs::write(base.join("elsewhere/out.jpg"), "12345").unwrap();
        let absolute = |path: &str| base.join(path).to_str().unwrap().to_owned();
        for (link, target) in [
            ("gallery/upload/near.jpg", "in.jpg".to_owned()),
            ("gallery/upload/up.jpg", "d/../d/./../in.jpg".to_owned()),
            ("gallery/upload/absolute.jpg", absolute("gallery/upload/in.jpg")),
            ("gallery/upload/about.jpg", "../../gallery/upload/in.jpg".to_owned()),
            ("gallery/upload/out.jpg", absolute("elsewhere/out.jpg")),
            ("gallery/upload/up-and-out.jpg", "../../elsewhere/out.jpg".to_owned()),
            ("gallery/upload/chain.jpg", "chain2.jpg".to_owned()),
            ("gallery/upload/chain2.jpg", "out.jpg".to_owned()),
            ("gallery/upload/nas", absolute("nas/photos")),
            ("gallery/upload/dangling.jpg", "none.jpg".to_owned()),
            ("gallery/upload/loop.jpg", "loop.jpg".to_owned()),
            ("gallery/upload/dir.jpg", "d".to_owned()),
            ("gallery/upload/slash.jpg", "in.jpg/".to_owned()),
            ("gallery/upload/top.jpg", "/".to_owned()),
            (
                "gallery/upload/above-the-top.jpg",
                format!("{}{}", "../".repeat(30), &absolute("elsewhere/out.jpg")[1..]),
            ),
            ("photos/gone.jpg", absolute("elsewhere/out.jpg")),
            ("nas/photos/back.jpg", absolute("gallery/upload/in.jpg")),
        ] {
            symlink(target, base.join(link)).unwrap();
        }
    }

    fn found(tree: &Tree, path: &str) -> &'static str {
        let kind = |error: &Unsendable| match error {
            Unsendable::Missing { .. } => "missing",
            Unsendable::NotAFile(_) => "no file",
            Unsendable::Link { .. } => "link",
        };
        let looked = tree.look(path).as_ref().map_or_else(kind, |_| "yes");
        let opened = match tree.open(path) {
            Ok((file, sendable)) => {
                assert_eq!(sendable, tree.look(path).unwrap(), "{path}");
                assert_eq!(file.metadata().unwrap().len(), sendable.length);
                assert_eq!(file.metadata().unwrap().modified().unwrap(), sendable.modified);
                "yes"
            }
            Err(error) => kind(&error),
        };
        assert_eq!(looked, opened, "{path}");
        looked
    }

    #[test]
    fn links_lead_where_the_setting_says() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        scene(&base);
        let sites = ["photos/".to_owned()];
        let tree = |symlinks| Tree::new(&base.join("gallery"), symlinks, &sites);
        let trees = [
            tree(Symlinks::SameOwner),
            tree(Symlinks::Inside),
            tree(Symlinks::Roots(vec![base.join("nas")])),
            tree(Symlinks::All),
        ];
        for (path, expected) in [
            ("upload/in.jpg", ["yes"; 4]),
            ("upload/near.jpg", ["yes"; 4]),
            ("upload/up.jpg", ["yes"; 4]),
            ("upload/absolute.jpg", ["yes"; 4]),
            ("upload/about.jpg", ["yes"; 4]),
            ("upload/out.jpg", ["yes", "link", "link", "yes"]),
            ("upload/up-and-out.jpg", ["yes", "link", "link", "yes"]),
            ("upload/above-the-top.jpg", ["yes", "link", "link", "yes"]),
            ("upload/chain.jpg", ["yes", "link", "link", "yes"]),
            ("upload/nas/nas.jpg", ["yes", "link", "yes", "yes"]),
            ("upload/nas/back.jpg", ["yes"; 4]),
            ("upload/dangling.jpg", ["missing"; 4]),
            ("upload/loop.jpg", ["missing"; 4]),
            ("upload/none.jpg", ["missing"; 4]),
            ("upload/in.jpg/x", ["missing"; 4]),
            ("upload/slash.jpg", ["missing"; 4]),
            ("upload/dir.jpg", ["no file"; 4]),
            ("upload/top.jpg", ["no file", "no file", "no file", "no file"]),
            ("upload/d", ["no file"; 4]),
            ("../photos/p.jpg", ["yes"; 4]),
            ("../photos/gone.jpg", ["yes", "link", "link", "yes"]),
        ] {
            let seen = trees.each_ref().map(|tree| found(tree, path));
            assert_eq!(seen, expected, "{path}");
        }
    }

    /// Another user's link can only be made by root.
    #[test]
    fn every_link_on_the_way_belongs_to_the_owner_of_its_target() {
        use std::os::unix::fs::{MetadataExt as _, chown, lchown};
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        if fs::metadata(&base).unwrap().uid() != 0 {
            return;
        }
        scene(&base);
        let tree = Tree::new(&base.join("gallery"), Symlinks::SameOwner, &[]);
        let everybodys = Tree::new(&base.join("gallery"), Symlinks::All, &[]);
        let upload = base.join("gallery/upload");
        // A third user's: root is the owner here, too.
        lchown(upload.join("near.jpg"), Some(65534), None).unwrap();
        lchown(upload.join("chain2.jpg"), Some(65534), None).unwrap();
        lchown(upload.join("nas"), Some(65534), None).unwrap();
        for path in ["upload/near.jpg", "upload/chain.jpg", "upload/nas/nas.jpg"] {
            let refused = tree.look(path).unwrap_err();
            assert!(matches!(refused, Unsendable::Link { .. }), "{path}: {refused}");
            assert_eq!(found(&tree, path), "link");
            assert_eq!(found(&everybodys, path), "yes");
        }
        let text = tree.look("upload/chain.jpg").unwrap_err().to_string();
        assert!(text.contains("upload/chain2.jpg") && text.contains("same-owner"), "{text}");
        // What counts is the owner of the directory that the link names, not of the file below it.
        chown(base.join("nas/photos"), Some(65534), None).unwrap();
        assert_eq!(found(&tree, "upload/nas/nas.jpg"), "yes");
    }

    #[test]
    fn nothing_that_is_no_file_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, base.join("fifo.jpg"), FileType::Fifo, mode, 0).unwrap();
        symlink("fifo.jpg", base.join("link.jpg")).unwrap();
        symlink("/dev/null", base.join("null.jpg")).unwrap();
        for symlinks in [Symlinks::SameOwner, Symlinks::All] {
            let tree = Tree::new(&base, symlinks, &[]);
            for path in ["fifo.jpg", "link.jpg"] {
                assert_eq!(found(&tree, path), "no file", "{path}");
            }
            assert_ne!(found(&tree, "null.jpg"), "yes");
        }
        let _socket = std::os::unix::net::UnixListener::bind(base.join("socket.jpg")).unwrap();
        assert!(Tree::new(&base, Symlinks::SameOwner, &[]).open("socket.jpg").is_err());
    }

    /// A directory that takes turns with a link out of the gallery never lets a file of the outside through.
    #[test]
    fn what_is_swapped_under_way_is_never_outside() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        for (name, text) in [("gallery/u", "inside"), ("elsewhere", "outside")] {
            fs::create_dir_all(base.join(name).join("d")).unwrap();
            fs::write(base.join(name).join("d/a.jpg"), text).unwrap();
        }
        let (real, link, place) =
            (base.join("gallery/real"), base.join("gallery/link"), base.join("gallery/u"));
        symlink(base.join("elsewhere"), &link).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = fs::rename(&place, &real);
                    let _ = fs::rename(&link, &place);
                    let _ = fs::rename(&place, &link);
                    let _ = fs::rename(&real, &place);
                }
            });
            let tree = Tree::new(&base.join("gallery"), Symlinks::Inside, &[]);
            let (mut inside, mut refused, mut strange) = (0, 0, None);
            for _ in 0..200_000 {
                match tree.open("u/d/a.jpg") {
                    Ok((file, _)) => match io::read_to_string(file) {
                        Ok(text) if text == "inside" => inside += 1,
                        other => strange = Some(other),
                    },
                    Err(_) => refused += 1,
                }
                if strange.is_some() || inside > 200 && refused > 200 {
                    break;
                }
            }
            // Before anything is asserted: the scope waits for the other thread, also when this one panics.
            done.store(true, Ordering::Relaxed);
            assert!(strange.is_none() && inside > 0 && refused > 0, "{inside} {refused} {strange:?}");
        });
    }
}
