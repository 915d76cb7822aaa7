//! Files that the gate itself must look at before the web server sends them (`X-Sendfile`): a regular file below
//! the gallery's root, reached through no symbolic link of a stranger.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

/// A file that may be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Sendable {
    /// Absolute path.
    pub path: String,
    /// Length in bytes.
    pub length: u64,
    /// Modification time.
    pub modified: SystemTime,
    /// Device and number of the file that was looked at.
    identity: (u64, u64),
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
    },
    /// A directory, a device or the like.
    #[error("{0} is no regular file")]
    NotAFile(String),
    /// A symbolic link that belongs to another user than its target.
    #[error("{0} is reached through a symbolic link whose owner is not its target's")]
    StrangersLink(String),
}

/// Opens a file of the gallery: below `root`, or beside it if `path` begins with `../`. Blocks on the file system.
///
/// What is opened is what [`inspect`] allows: a link that somebody changes in between is noticed.
///
/// # Errors
/// [`Unsendable`].
pub fn open(root: &Path, path: &str) -> Result<(File, Sendable), Unsendable> {
    let missing = |error| Unsendable::Missing { path: path.to_owned(), error };
    // First opened, then looked at: a FIFO or a device is not waited for.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(root.join(path)).map_err(missing)?;
    let sendable = inspect_beside(root, path)?;
    let opened = file.metadata().map_err(missing)?;
    if (opened.dev(), opened.ino()) != sendable.identity {
        return Err(Unsendable::StrangersLink(path.to_owned()));
    }
    Ok((file, sendable))
}

/// As [`inspect`], for a `path` that may begin with one `../`: a gallery beside the root.
///
/// # Errors
/// [`Unsendable`].
pub fn inspect_beside(root: &Path, path: &str) -> Result<Sendable, Unsendable> {
    match (path.strip_prefix("../"), root.parent()) {
        (Some(beside), Some(parent)) => inspect(parent, beside),
        _ => inspect(root, path),
    }
}

/// Looks at `<root>/<path>`. Blocks on the file system.
///
/// Links are followed only where link and target have one owner, as nginx's `disable_symlinks if_not_owner` and
/// Apache's `SymLinksIfOwnerMatch` do; `mod_xsendfile` itself follows any.
///
/// # Errors
/// [`Unsendable`]; the visitor may have the file, so its absence is no secret from them.
pub fn inspect(root: &Path, path: &str) -> Result<Sendable, Unsendable> {
    let missing = |error| Unsendable::Missing { path: path.to_owned(), error };
    let mut whole = root.to_owned();
    for segment in path.split('/') {
        whole.push(segment);
        let link = fs::symlink_metadata(&whole).map_err(missing)?;
        if link.is_symlink() && fs::metadata(&whole).map_err(missing)?.uid() != link.uid() {
            return Err(Unsendable::StrangersLink(path.to_owned()));
        }
    }
    let metadata = fs::metadata(&whole).map_err(missing)?;
    if !metadata.is_file() {
        return Err(Unsendable::NotAFile(path.to_owned()));
    }
    let modified = metadata.modified().map_err(missing)?;
    match whole.into_os_string().into_string() {
        Ok(path) => {
            let identity = (metadata.dev(), metadata.ino());
            Ok(Sendable { path, length: metadata.len(), modified, identity })
        }
        Err(_) => Err(Unsendable::NotAFile(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_and_own_links_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("upload/dir")).unwrap();
        fs::write(root.join("upload/a.jpg"), "12345").unwrap();
        std::os::unix::fs::symlink("a.jpg", root.join("upload/own.jpg")).unwrap();
        assert_eq!(inspect(root, "upload/a.jpg").unwrap().length, 5);
        assert_eq!(inspect(root, "upload/own.jpg").unwrap().length, 5);
        assert!(matches!(inspect(root, "upload/dir"), Err(Unsendable::NotAFile(_))));
        assert!(matches!(inspect(root, "upload/none"), Err(Unsendable::Missing { .. })));
        assert_eq!(open(root, "upload/own.jpg").unwrap().1.length, 5);
        assert_eq!(open(&root.join("upload"), "../upload/a.jpg").unwrap().1.length, 5);
        assert!(matches!(open(root, "upload/dir"), Err(Unsendable::NotAFile(_))));
        // Another user's link can only be made by root.
        if fs::metadata(root).unwrap().uid() == 0 {
            std::os::unix::fs::lchown(root.join("upload/own.jpg"), Some(65534), None).unwrap();
            assert!(matches!(inspect(root, "upload/own.jpg"), Err(Unsendable::StrangersLink(_))));
            assert!(matches!(open(root, "upload/own.jpg"), Err(Unsendable::StrangersLink(_))));
        }
    }
}
