//! Where derivatives lie: a path below the derivatives' directory in, a finished file there out, whole or not
//! at all.
//!
//! Directories are entered one segment at a time, and none of them through a symbolic link: what is made
//! stays below the derivatives' directory. (That directory itself may be reached by links as the setting
//! `symlinks` allows: `_data` on another disk.)

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    Access, AtFlags, FileType, Mode, OFlags, accessat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::files::{Lost, Tree, Unsendable};

/// Unfinished files begin and end like this. No URL names them: no part of a path may begin with a dot.
const UNFINISHED: (&str, &str) = (".gate-", ".tmp");

/// An unfinished file of this age is a killed process's.
const ABANDONED: Duration = Duration::from_mins(10);

/// Longest file name that file systems hold, in bytes.
const MAX_NAME: usize = 255;

/// What Piwigo writes into the directories that it makes, against listings.
const INDEX: (&str, &[u8]) = ("index.htm", b"Not allowed!");

/// A file of a gallery as it was when it was looked at: another length or time is another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub length: u64,
    /// Modification time.
    pub modified: SystemTime,
}

/// The stamp of a file of the gallery.
///
/// # Errors
/// When it is not there, or is reached through a link that is not followed.
pub fn stamp(tree: &Tree, path: &str) -> Result<Stamp, Unsendable> {
    let file = tree.look(path)?;
    Ok(Stamp { length: file.length, modified: file.modified })
}

/// What a file of the gallery holds; `None` if that is more than `limit` bytes.
///
/// # Errors
/// When it is not there, is reached through a link that is not followed, or cannot be read.
pub fn read(tree: &Tree, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Unsendable> {
    let (file, _) = tree.open(path)?;
    read_bounded(file, limit).map_err(|error| Unsendable::Missing {
        path: path.to_owned(),
        error,
        by_link: false,
    })
}

fn read_bounded(file: File, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(file.metadata()?.len().min(limit) as usize);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Why a derivative cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// This user may not write there.
    #[error("{place}: {error}")]
    Denied {
        /// Relative to the root.
        place: String,
        /// What the system said.
        error: io::Error,
    },
    /// There is a link, or a file, where a directory should be.
    #[error("{0} is no directory of the gallery's own: derivatives are not written through symbolic links")]
    Link(String),
    /// The name is longer than file systems hold.
    #[error("the name is too long for a file")]
    Name,
    /// No room, or the disk failed.
    #[error("{place}: {error}")]
    Disk {
        /// Relative to the root.
        place: String,
        /// What the system said.
        error: io::Error,
    },
}

impl StoreError {
    fn new(place: &str, errno: Errno) -> Self {
        let place = place.to_owned();
        match errno {
            Errno::ACCESS | Errno::PERM | Errno::ROFS => StoreError::Denied { place, error: errno.into() },
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR => StoreError::Link(place),
            Errno::NAMETOOLONG => StoreError::Name,
            _ => StoreError::Disk { place, error: errno.into() },
        }
    }

    fn io(place: &str, error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => StoreError::new(place, errno),
            None => StoreError::Disk { place: place.to_owned(), error },
        }
    }
}

/// One derivative's directory, open, and its name in it.
#[derive(Debug)]
pub struct Place {
    directory: File,
    name: String,
    /// Of the directory, relative to the root, for messages.
    path: String,
}

impl Place {
    /// Finds the place of `derivative`, a path below `base` (`_data/i/`), which is relative to the root;
    /// makes the directories that are missing. They get permissions and, if this is root, the owner of the
    /// directory that they are made in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn make(tree: &Tree, base: &str, derivative: &str) -> Result<Self, StoreError> {
        let (below, name) = derivative.rsplit_once('/').unwrap_or(("", derivative));
        if name.len() > MAX_NAME {
            return Err(StoreError::Name);
        }
        let (directory, mut is_new) = base_directory(tree, base)?;
        let (mut path, mut directory) = (base.to_owned(), File::from(directory));
        for segment in below.split('/').filter(|segment| !segment.is_empty()) {
            path.extend([segment, "/"]);
            (directory, is_new) = enter(&directory, segment, &path)?;
        }
        let place = Place { directory, name: name.to_owned(), path };
        if is_new {
            place.write_index()?;
        }
        place.can_write()?;
        Ok(place)
    }

    /// Says before a picture is decoded for nothing that it could not be written: to a directory of somebody
    /// else, over a directory, to a full disk.
    fn can_write(&self) -> Result<(), StoreError> {
        if let Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) =
            accessat(&self.directory, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())
        {
            return Err(StoreError::new(&self.path, errno));
        }
        let there = statat(&self.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|there| FileType::from_raw_mode(there.st_mode).is_dir()) {
            return Err(StoreError::new(&format!("{}{}", self.path, self.name), Errno::ISDIR));
        }
        // File systems that do not count their blocks say 0 of 0.
        match rustix::fs::fstatvfs(&self.directory) {
            Ok(disk) if disk.f_blocks > 0 && disk.f_bfree == 0 => {
                Err(StoreError::new(&self.path, Errno::NOSPC))
            }
            _ => Ok(()),
        }
    }

    /// What another file in this directory holds and when it was modified; `None` where there is none, or one
    /// of more than `limit` bytes.
    pub fn neighbour(&self, name: &str, limit: u64) -> Option<(Vec<u8>, SystemTime)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, name, flags, Mode::empty()).ok()?);
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let modified = metadata.modified().ok()?;
        Some((read_bounded(file, limit).ok()??, modified))
    }

    /// Puts the derivative there, in the place of an older one, with this modification time. Others see the
    /// older one or nothing until all of it is there. It is not forced onto the disk: a power cut may cost
    /// it, and it is made again.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is left behind.
    pub fn write(&self, bytes: &[u8], modified: SystemTime) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(&format!("{}{}", self.path, self.name), error);
        let mut unfinished = Unfinished::create(&self.directory).map_err(failed)?;
        let file = &mut unfinished.file;
        file.write_all(bytes).map_err(failed)?;
        file.set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
        give_to_owner_of(&self.directory, file).map_err(failed)?;
        file.set_modified(modified).map_err(failed)?;
        unfinished.finish(&self.name).map_err(failed)
    }

    /// Removes what killed processes left unfinished in this directory.
    pub fn sweep(&self, now: SystemTime) {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let bytes = name.to_bytes();
            if !bytes.starts_with(UNFINISHED.0.as_bytes()) || !bytes.ends_with(UNFINISHED.1.as_bytes()) {
                continue;
            }
            let age = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).ok().and_then(|stat| {
                let modified = SystemTime::UNIX_EPOCH
                    .checked_add(Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0)))?;
                now.duration_since(modified).ok()
            });
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = unlinkat(&self.directory, name, AtFlags::empty());
            }
        }
    }

    /// The directory, relative to the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn write_index(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(&format!("{}{}", self.path, INDEX.0), error);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = match openat(&self.directory, INDEX.0, flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => File::from(file),
            Err(Errno::EXIST) => return Ok(()),
            Err(errno) => return Err(StoreError::new(&self.path, errno)),
        };
        file.write_all(INDEX.1).map_err(failed)?;
        file.set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
        give_to_owner_of(&self.directory, &file).map_err(failed)
    }
}

/// The derivatives' directory, and whether it had to be made. Links up to it are followed as the setting
/// `symlinks` says.
fn base_directory(tree: &Tree, base: &str) -> Result<(OwnedFd, bool), StoreError> {
    let lost = |path: &str, lost| match lost {
        Lost::System(errno) => StoreError::new(path, errno),
        Lost::NotAFile | Lost::Link(_) => StoreError::Link(path.to_owned()),
    };
    let mut walk = tree.walk().map_err(|errno| StoreError::new("", errno))?;
    let (mut path, mut is_new) = (String::new(), false);
    for segment in base.split('/').filter(|segment| !segment.is_empty()) {
        path.extend([segment, "/"]);
        is_new = false;
        match walk.enter(segment) {
            Err(Lost::System(Errno::NOENT)) => {
                let parent = walk.directory().and_then(|directory| {
                    Ok(File::from(directory.try_clone_to_owned().map_err(|_| Errno::MFILE)?))
                });
                (_, is_new) = enter(&parent.map_err(|why| lost(&path, why))?, segment, &path)?;
                walk.enter(segment)
            }
            entered => entered,
        }
        .map_err(|why| lost(&path, why))?;
    }
    Ok((walk.into_directory().map_err(|why| lost(&path, why))?, is_new))
}

/// Opens a directory in `parent`, and says whether it had to be made; `path` is its own, for messages. A link
/// is none.
fn enter(parent: &File, segment: &str, path: &str) -> Result<(File, bool), StoreError> {
    let failed = |errno| StoreError::new(path, errno);
    // What names a derivative was checked long before; here it would lead out.
    if matches!(segment, "." | "..") {
        return Err(StoreError::Link(path.to_owned()));
    }
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(parent, segment, flags, Mode::empty()).map(File::from)
    };
    match open() {
        Ok(directory) => Ok((directory, false)),
        Err(Errno::NOENT) => {
            match mkdirat(parent, segment, Mode::RWXU) {
                Ok(()) => {}
                // Somebody was faster, and sees to its permissions.
                Err(Errno::EXIST) => return Ok((open().map_err(failed)?, false)),
                Err(errno) => return Err(failed(errno)),
            }
            let directory = open().map_err(failed)?;
            let failed = |error| StoreError::io(path, error);
            let mode = parent.metadata().map_err(failed)?.mode() & 0o2777;
            directory.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
            give_to_owner_of(parent, &directory).map_err(failed)?;
            Ok((directory, true))
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// Gives what root has just made to the owner of the directory, so that Piwigo can delete it.
fn give_to_owner_of(directory: &File, made: &File) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = directory.metadata()?;
    fchown(made, Some(owner.uid()), Some(owner.gid()))
}

/// A file under a name that nobody asks for; gone when dropped, unless it is finished.
struct Unfinished<'a> {
    directory: &'a File,
    name: String,
    file: File,
}

impl<'a> Unfinished<'a> {
    fn create(directory: &'a File) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            // Another process in another container may have our number: its file exists, ours gets the next
            // name.
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}{}-{number}{}", UNFINISHED.0, std::process::id(), UNFINISHED.1);
            let opened: Result<OwnedFd, Errno> = openat(directory, &*name, flags, Mode::RUSR | Mode::WUSR);
            match opened {
                Ok(file) => return Ok(Unfinished { directory, name, file: file.into() }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn finish(mut self, name: &str) -> io::Result<()> {
        renameat(self.directory, &*self.name, self.directory, OsStr::new(name))?;
        self.name.clear();
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = unlinkat(self.directory, &*self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;
    use crate::files::Symlinks;

    fn make(root: &Path, derivative: &str) -> Result<Place, StoreError> {
        Place::make(&Tree::new(root, Symlinks::SameOwner, &[]), "_data/i/", derivative)
    }

    const TIME: Duration = Duration::from_secs(1_700_000_000);

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_derivative_is_whole_and_its_directories_are_as_piwigo_makes_them() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("_data")).unwrap();
        fs::set_permissions(root.join("_data"), Permissions::from_mode(0o775)).unwrap();
        let time = SystemTime::UNIX_EPOCH + TIME;
        let place = make(root, "upload/2024/a-th.jpg").unwrap();
        place.write(b"first", time).unwrap();
        place.write(b"second", time).unwrap();
        let made = root.join("_data/i/upload/2024");
        assert_eq!(names(&made), ["a-th.jpg", "index.htm"]);
        assert_eq!(names(&root.join("_data/i/upload")), ["2024"], "only the leaf");
        assert_eq!(fs::read(made.join("a-th.jpg")).unwrap(), b"second");
        assert_eq!(fs::read(made.join("index.htm")).unwrap(), b"Not allowed!");
        let permissions = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        for (path, expected) in
            [("_data/i", 0o775), ("_data/i/upload/2024", 0o775), ("_data/i/upload/2024/a-th.jpg", 0o644)]
        {
            assert_eq!(permissions(&root.join(path)), expected, "{path}");
        }
        assert_eq!(fs::metadata(made.join("a-th.jpg")).unwrap().modified().unwrap(), time);
        assert_eq!(place.neighbour("a-th.jpg", 6), Some((b"second".to_vec(), time)));
        assert_eq!(place.neighbour("a-th.jpg", 5), None);
        assert_eq!(place.neighbour("a-me.jpg", 5), None);
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        if fs::metadata(root).unwrap().uid() != 0 {
            return;
        }
        fs::create_dir(root.join("_data")).unwrap();
        std::os::unix::fs::chown(root.join("_data"), Some(65534), Some(65533)).unwrap();
        let place = make(root, "upload/a-th.jpg").unwrap();
        place.write(b"x", SystemTime::UNIX_EPOCH).unwrap();
        for path in ["_data/i", "_data/i/upload", "_data/i/upload/index.htm", "_data/i/upload/a-th.jpg"] {
            let metadata = fs::metadata(root.join(path)).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (65534, 65533), "{path}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("_data/i/upload")).unwrap();
        fs::create_dir_all(root.join("elsewhere/2024")).unwrap();
        symlink(root.join("elsewhere"), root.join("_data/i/galleries")).unwrap();
        symlink(root.join("elsewhere"), root.join("_data/i/upload/x")).unwrap();
        fs::write(root.join("_data/i/upload/file"), "").unwrap();
        for derivative in [
            "galleries/a-th.jpg",
            "galleries/2024/a-th.jpg",
            "upload/x/a-th.jpg",
            "upload/file/a-th.jpg",
            "../a-th.jpg",
        ] {
            let refused = make(root, derivative);
            assert!(matches!(refused, Err(StoreError::Link(_))), "{derivative}: {refused:?}");
        }
        assert_eq!(names(&root.join("elsewhere")), ["2024"]);
        // A link in the derivative's own place gives way to it.
        fs::write(root.join("elsewhere/target"), "as it was").unwrap();
        symlink(root.join("elsewhere/target"), root.join("_data/i/upload/a-th.jpg")).unwrap();
        let place = make(root, "upload/a-th.jpg").unwrap();
        assert_eq!(place.neighbour("a-th.jpg", 100), None);
        place.write(b"x", SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(fs::read(root.join("elsewhere/target")).unwrap(), b"as it was");
        assert!(fs::symlink_metadata(root.join("_data/i/upload/a-th.jpg")).unwrap().is_file());
    }

    #[test]
    fn the_owner_may_keep_the_whole_directory_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("gallery");
        fs::create_dir_all(directory.path().join("disk")).unwrap();
        fs::create_dir_all(&root).unwrap();
        symlink("../disk", root.join("_data")).unwrap();
        make(&root, "a-th.jpg").unwrap().write(b"x", SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(names(&directory.path().join("disk/i")), ["a-th.jpg", "index.htm"]);
        if fs::metadata(&root).unwrap().uid() == 0 {
            std::os::unix::fs::lchown(root.join("_data"), Some(65534), None).unwrap();
            assert!(matches!(make(&root, "a-th.jpg"), Err(StoreError::Link(_))));
        }
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let place = make(root, "u/a-th.jpg").unwrap();
        let now = SystemTime::now();
        for (name, age) in [
            (".gate-1-1.tmp", 601),
            (".gate-1-2.tmp", 10),
            (".gate-x", 9999),
            ("a.tmp", 9999),
            (".x.tmp", 9999),
        ] {
            let file = File::create(root.join("_data/i/u").join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        place.sweep(now);
        let left = names(&root.join("_data/i/u"));
        assert_eq!(left, [".gate-1-2.tmp", ".gate-x", ".x.tmp", "a.tmp", "index.htm"]);
    }

    #[test]
    fn a_name_longer_than_a_file_may_have_is_an_error_before_any_work() {
        let directory = tempfile::tempdir().unwrap();
        let long = format!("upload/{}-th.jpg", "x".repeat(250));
        assert!(matches!(make(directory.path(), &long), Err(StoreError::Name)));
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("_data/i")).unwrap();
        let place = make(root, "a-th.jpg").unwrap();
        fs::create_dir(root.join("_data/i/a-th.jpg")).unwrap();
        let failed = place.write(b"x", SystemTime::UNIX_EPOCH);
        assert!(matches!(failed, Err(StoreError::Link(_))), "{failed:?}");
        assert_eq!(names(&root.join("_data/i")), ["a-th.jpg"]);
    }

    #[test]
    fn what_cannot_be_written_is_known_before_the_work() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("_data/i/u/a-th.jpg")).unwrap();
        let over_a_directory = make(root, "u/a-th.jpg");
        assert!(matches!(over_a_directory, Err(StoreError::Link(_))), "{over_a_directory:?}");
        // Root may write everywhere.
        if !rustix::process::geteuid().is_root() {
            fs::set_permissions(root.join("_data/i/u"), Permissions::from_mode(0o555)).unwrap();
            let read_only = make(root, "u/a-sq.jpg");
            assert!(matches!(read_only, Err(StoreError::Denied { .. })), "{read_only:?}");
        }
    }
}
