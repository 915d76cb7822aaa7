//! The links that the log has been told of: a page of sixty thumbnails behind one link is one line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// So many links are remembered; of more nothing is said at all.
const MOST: usize = 64;

/// Links that are not followed, each told once.
#[derive(Debug, Default)]
pub struct LinksTold(Mutex<BTreeSet<PathBuf>>);

impl LinksTold {
    /// Whether the log has not heard of this link yet; from now on it has.
    pub fn is_new(&self, link: &Path) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < MOST && known.insert(link.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_is_new_once_and_there_are_not_too_many() {
        let told = LinksTold::default();
        assert!(told.is_new(Path::new("a")) && told.is_new(Path::new("b")));
        assert!(!told.is_new(Path::new("a")));
        let more = (0..2 * MOST).filter(|number| told.is_new(Path::new(&number.to_string()))).count();
        assert_eq!(more, MOST - 2);
    }
}
