//! Resized pictures ("derivatives"): how Piwigo names them and how large they are.
//!
//! `name` turns a file name into (picture, size) and back, `params` says what one size is, `size` computes
//! what becomes of a picture of given dimensions; `stored` looks at what lies on disk. `plan` says what one
//! is best made from, `render` makes its bytes, `store` puts them in their place; `making` joins the first
//! two for one derivative, `maker` does so for many, a few at a time, within what `memory` says is free.

pub mod maker;
mod making;
mod memory;
pub mod order;
pub mod picture;
pub mod plan;
pub mod render;
pub mod store;
pub mod stored;
