//! The test environment: real servers in a temporary directory, never the machine's own.
//!
//! Everything that a test starts lives inside one [`sandbox::Sandbox`] and listens on a unix socket or a free
//! loopback port. Dropping a value ends its processes by their process ids; a [`leash`] does the same when
//! the test program itself is killed. If root runs the tests, servers run as `www-data` (or `nobody`);
//! otherwise they run as the user who runs the tests.
// Every test program uses only a part of this. A panic reports what a test could not set up, and the names of
// server modules are no code.
#![allow(dead_code, missing_docs, clippy::expect_used, clippy::doc_markdown, clippy::missing_panics_doc)]

pub mod apache;
pub mod attack_table;
pub mod attacks;
pub mod browser;
pub mod caddy;
pub mod config;
pub mod every_byte;
pub mod examined;
pub mod fastcgi;
pub mod files;
pub mod folding_disk;
pub mod gate;
pub mod haproxy;
pub mod http;
pub mod http2;
pub mod inside;
pub mod large_gallery;
pub mod leash;
pub mod lighttpd;
pub mod many_requests;
pub mod mariadb;
pub mod markers;
pub mod nginx;
pub mod patience;
pub mod php;
pub mod pictures;
pub mod plans;
pub mod process;
pub mod rows;
pub mod sandbox;
pub mod scene;
pub mod setup;
pub mod site;
pub mod stream;
pub mod verdicts;
pub mod world;
