//! `piwigo-gate`: one FastCGI process between a web server and the files of a Piwigo photo gallery. For each
//! request it finds the image record that the file belongs to, checks the visitor's access in Piwigo's own
//! database, and tells the web server by a header to send the file, or refuses.
//!
//! # The way of a request
//! ```text
//! server::{listen, serve} ─ fastcgi ─ http::request ─ verdict::uri
//!     ─┬─ verdict::identity ─┬─ verdict::access ─ gate::deliver ─ http::reply
//!      └─ verdict::owners ───┘
//! ```
//! [`gate`] joins these steps: read it first.
//!
//! # The house
//! Each room is a folder. A room imports only from floors below its own; `tests/operation/layout.rs`
//! holds the list of the imports that are allowed.
//!
//! | floor | room | what it turns into what | I/O |
//! |---|---|---|---|
//! | 8 | [`cli`] | words of the command line → one command; logging, runtime, manual, completions | – |
//! | 7 | [`commands`] | each verb but `serve`: `check`, `config`, `derive`, `doctor`, `demo` | all |
//! | 6 | [`gate`] | `Request` → `Reply`: questions, verdict, delivery or refusal | – |
//! | 5 | [`settings`] | flags, environment, `gate.toml`, Piwigo's files → one checked configuration | files |
//! | 4 | [`verdict`] | which file, which rows, who asks; [`verdict::access`] alone decides | database |
//! | 4 | [`server`] | sockets, connections, their limits, systemd | sockets |
//! | 3 | [`derivative`] | an order for a resized picture → a finished file | files |
//! | 3 | [`database`] | the statements, on MySQL, MariaDB and SQLite; replicas; host names | database |
//! | 2 | [`http`] | FastCGI parameters → `Request`; an answer → status, headers, body | – |
//! | 1 | [`piwigo`] | Piwigo's own formats and values: PHP literals, rows, sessions, sizes | none |
//! | 1 | [`files`] | a path below the gallery → an open file, by the rule for symbolic links | files |
//! | 1 | [`fastcgi`] | bytes → events, reply → bytes; sans-IO | none |
//! | 1 | [`bounded_map`] | a map that forgets what is old | none |
//! | 1 | [`throttle`] | events of one kind → how many, when the log is to hear of them | none |
//!
//! This library is no public interface. An item is `pub` for the program, the tests, the benchmarks or the
//! fuzz targets, and may change with any version.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

pub mod bounded_map;
pub mod cli;
pub mod commands;
pub mod database;
pub mod derivative;
pub mod fastcgi;
pub mod files;
pub mod gate;
pub mod http;
pub mod piwigo;
pub mod server;
pub mod settings;
pub mod throttle;
pub mod verdict;
