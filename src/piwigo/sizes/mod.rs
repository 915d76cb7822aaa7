//! The sizes of resized pictures: their names in paths, their definitions, their geometry and their stored
//! form.

pub mod definition;
pub mod geometry;
pub mod name;
pub mod stored;
