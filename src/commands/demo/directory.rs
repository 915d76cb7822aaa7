//! A directory of one's own below the system's temporary directory, that is gone when the value is dropped,
//! and the random letters that its name and the sample sessions need.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Removed, with everything in it, on drop.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes `<temporary directory>/piwigo-gate-demo-<random>`, for this user only (mode 0700).
    ///
    /// # Errors
    /// When it cannot be made; a directory that is already there is never taken over.
    pub(super) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("piwigo-gate-demo-{}", letters(12)?));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// So many random letters of `0-9a-v`, which is how PHP writes a session's name (five bits each).
///
/// # Errors
/// When the system has no random bytes to give.
pub(super) fn letters(count: usize) -> io::Result<String> {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes
        .into_iter()
        .map(|byte| char::from(b"0123456789abcdefghijklmnopqrstuv"[usize::from(byte & 31)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_owner_gets_in_and_nothing_is_left() {
        let directory = Directory::new().unwrap();
        let path = directory.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(path.join("inner")).unwrap();
        fs::write(path.join("inner/file"), "x").unwrap();
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn session_names_look_like_phps_and_differ() {
        let (one, other) = (letters(26).unwrap(), letters(26).unwrap());
        assert_eq!(one.len(), 26);
        assert!(one.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'v')));
        assert_ne!(one, other);
    }
}
