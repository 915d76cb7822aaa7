//! Piwigo's own formats, read as text or bytes: configuration files, PHP's serialized values, session data, cookies,
//! the stored derivative settings. Nothing here opens a file or asks the database.

pub mod auth_key;
pub mod cookie;
pub mod derivative_config;
pub mod gallery;
pub mod layout;
pub mod php_config;
pub mod php_remote_addr;
pub mod php_unserialize;
pub mod php_value;
pub mod phpass;
pub mod program_names;
pub mod records;
pub mod remember_me;
pub mod session;
pub mod visitor;

mod php_expression;
mod php_literal;
mod php_skipped;
mod php_statement;
mod php_token;
