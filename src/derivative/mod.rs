//! Resized pictures ("derivatives"): how Piwigo names them and how large they are.
//!
//! `name` turns a file name into (picture, size) and back, `params` says what one size is, `size` computes what
//! becomes of a picture of given dimensions; `stored` looks at what lies on disk. Only the last one touches a file.

pub mod name;
pub mod params;
pub mod render;
pub mod size;
pub mod stored;
