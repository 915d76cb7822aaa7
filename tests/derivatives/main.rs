//! Resized pictures: the verb `derive`, pixels, hostile pictures and the memory that they take.

mod colour;
mod derivative_hostile;
mod derivative_pixels;
mod derivatives_made;
mod derive;
mod memory_limits;
mod pictures;
#[path = "../support/mod.rs"]
mod support;
