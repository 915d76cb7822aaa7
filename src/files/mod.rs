//! A path below the gallery in, an open file out, by the rule for symbolic links.

pub mod blocking;
pub(crate) mod links;
pub mod symlinks;
pub mod told;
pub mod tree;

mod walk;

pub use symlinks::Symlinks;
pub use told::LinksTold;
pub use tree::{Sendable, Tree, Unsendable};
pub(crate) use walk::Lost;
