//! Turns a request into a verdict: which file the URL names, which rows own it, who the visitor is, and
//! whether that visitor may have the file.
//!
//! | part | in → out | I/O |
//! |---|---|---|
//! | [`uri`] | a raw URI → the file that it names, or a refusal | none |
//! | [`owners`] | that file → the rows that own it | database |
//! | [`companion`] | a path → the videos that it may be a companion of | none |
//! | [`identity`] | cookies, keys, address → the visitor | none |
//! | [`session_files`] | a cookie → a user, if PHP keeps its sessions in files | files |
//! | [`api_keys`] | a secret and a hash → whether they match | none |
//! | [`prefetch`] | a session → what its next request will probably need | none |
//! | [`access`] | visitor, rows, policy → `Verdict`; the only code that decides | none |

pub mod access;
pub mod api_keys;
pub mod companion;
pub mod identity;
pub mod owners;
pub mod prefetch;
pub mod session_files;
pub mod uri;
