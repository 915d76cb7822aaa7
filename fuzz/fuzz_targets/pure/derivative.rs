//! The rooms of `src/derivative` that touch neither files nor pixels.

#[path = "../../../src/derivative/name.rs"]
pub mod name;
#[path = "../../../src/derivative/params.rs"]
pub mod params;
#[path = "../../../src/derivative/size.rs"]
pub mod size;
