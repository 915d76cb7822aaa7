//! Reads PHP source text and PHP's serialised values without running PHP.

pub mod config;
pub mod remote_addr;
pub mod unserialize;
pub mod value;

mod expression;
mod literal;
mod skipped;
mod statement;
mod token;
