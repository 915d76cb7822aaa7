//! `piwigo-gate`: one FastCGI process between a web server and the files of a Piwigo photo gallery. For each
//! request it finds the image record that the file belongs to, checks the visitor's access in Piwigo's own
//! database, and tells the web server by a header to send the file, or refuses.
//!
//! # The data path, in the order in which to read it
//! ```text
//! listen ─ serve ─ fastcgi ─ request ─ target ─┬─ visitor ─┐
//!                                              └─ image ───┴─ access ─ deliver ─ reply
//! ```
//! | room | in → out | I/O |
//! |---|---|---|
//! | [`gate`] | the one function that joins the rooms: `Request` → `Reply` | – |
//! | [`listen`] | address → listening socket | sockets |
//! | [`serve`] | accepts, one task per connection, timeouts, cap, drain | sockets |
//! | [`fastcgi`] | bytes → events, reply → bytes; sans-IO | none |
//! | [`request`] | FastCGI params → `Request` | none |
//! | [`target`] | raw URI → the file it names, or a refusal | none |
//! | [`visitor`] | cookies, keys, address → who is asking | none |
//! | [`api_keys`] | secret and hash → whether they belong together | none |
//! | [`session_files`] | cookie → user, where PHP keeps the sessions | files |
//! | [`image`] | target → the rows that own the file | database |
//! | [`halves`] | a map that forgets what is old | none |
//! | [`throttle`] | events of one kind → how many, when the log is to hear of them | none |
//! | [`guess`] | a session → what its next request will probably need | none |
//! | [`companion`] | a path → the videos whose subtitles or the like it may be | none |
//! | [`access`] | visitor, rows, policy → `Verdict`; the only place that decides | none |
//! | [`deliver`] | allowed file → how this server is told to send it | files |
//! | [`disk`] | a look at files → its result, in place or on a thread apart | files |
//! | [`address`] | an allowed picture → the answer for a script that asks where it lies | none |
//! | [`disposition`] | a photo's own name → how a browser is to save it | none |
//! | [`reply`] | answer → status, headers, body for this server | none |
//! | [`refusal`] | what is not allowed → one log line, one answer | none |
//! | [`send`] | finds a file by the rule for links, looks at it, sends its bytes | files |
//! | [`derivative`] | names, sizes and state of resized pictures, and their making | files |
//! | [`picture`] | a picture's file → pixels → a file in another size | none |
//! | [`piwigo`] | Piwigo's own formats: PHP literals, sessions, settings | none |
//! | [`plugins`] | active plugins of Piwigo → what they mean for files | none |
//! | [`database`] | the statements, on MySQL/MariaDB and SQLite | database |
//! | [`names`] | host name → addresses, without the C library | files, sockets |
//! | [`ready`] | the database and Piwigo's settings, at most a second old | database |
//! | [`settings`] | flags, environment, `gate.toml`, Piwigo's files → one checked configuration | files |
//! | [`notify`] | "requests can come" → systemd, where it waits for that | a socket |
//! | [`config`] | a gallery's settings → a web server's file, filled in | none |
//! | [`check`] | a URL and a visitor → why they may or may not have it, in words | – |
//! | [`derive`](mod@derive) | a gallery → all its resized pictures, made beforehand | all |
//! | [`doctor`] | a set-up → what is wrong with it, from inside and as a visitor sees it | all |
//! | [`demo`] | a sample gallery behind a private nginx | all |

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

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
