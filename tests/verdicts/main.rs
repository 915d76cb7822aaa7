//! Which visitor may have which file: verdicts, identities, sessions, plugins, charsets and Piwigo's
//! versions.

mod charsets;
mod history;
mod identities;
mod php_config;
mod plugins;
mod revocation;
mod session_files;
#[path = "../support/mod.rs"]
mod support;
mod target_properties;
mod users_table;
mod verdicts;
mod versions;
