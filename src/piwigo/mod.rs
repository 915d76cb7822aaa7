//! Piwigo's own formats and rules as pure values and functions: PHP literals, settings, sizes, rows, sessions
//! and keys.

pub mod auth_key;
pub mod conf_keys;
pub mod cookie;
pub mod gallery;
pub mod layout;
pub mod php;
pub mod phpass;
pub mod plugins;
pub mod program_names;
pub mod records;
pub mod remember_me;
pub mod session;
pub mod sizes;
pub mod visitor;
