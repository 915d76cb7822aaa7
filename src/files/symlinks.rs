//! The rule for the gallery's symbolic links: which of them lead to files that may be served.

use std::path::PathBuf;

/// Which symbolic links lead to files that may be served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Those that belong to the owner of what they lead to, to root, or to the owner of the gallery's
    /// directory, wherever they lead.
    #[default]
    SameOwner,
    /// Those that do not lead out of the gallery (and of the directories of its sites beside it).
    Inside,
    /// Those and the ones that lead below one of these directories: absolute, without links themselves.
    Roots(Vec<PathBuf>),
    /// All.
    All,
}

impl Symlinks {
    /// The setting in words, for the log.
    pub fn name(&self) -> &'static str {
        match self {
            Symlinks::SameOwner => "same-owner",
            Symlinks::Inside => "inside",
            Symlinks::Roots(_) => "a list of directories",
            Symlinks::All => "all",
        }
    }
}
