//! Which file a URL names, which rows own it, who asks, and whether that visitor may have it.
//!
//! | part | in → out | I/O |
//! |---|---|---|
//! | [`uri`] | a raw URI → the file that it names, or a refusal | none |
//! | [`owners`] | that file → the rows that own it | database |
//! | [`companion`] | a path → the videos whose subtitles or the like it may be | none |
//! | [`identity`] | cookies, keys, address → who asks | none |
//! | [`session_files`] | a cookie → a user, where PHP keeps the sessions in files | files |
//! | [`api_keys`] | a secret and a hash → whether they belong together | none |
//! | [`prefetch`] | a session → what its next request will probably need | none |
//! | [`access`] | visitor, rows, policy → `Verdict`; the only place that decides | none |

pub mod access;
pub mod api_keys;
pub mod companion;
pub mod identity;
pub mod owners;
pub mod prefetch;
pub mod session_files;
pub mod uri;
