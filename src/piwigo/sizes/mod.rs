//! The sizes of resized pictures: their names in paths, their definitions, their geometry, and how Piwigo
//! stores them.

pub mod definition;
pub mod geometry;
pub mod name;
pub mod stored;
