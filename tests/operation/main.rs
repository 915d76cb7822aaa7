//! The gate as a process: command line, start, stop, peers, wrong settings, the service and the static
//! program.

mod addresses;
mod command_line;
mod layout;
mod operation;
mod peers;
mod service;
mod static_binary;
#[path = "../support/mod.rs"]
mod support;
mod wrong_settings;
