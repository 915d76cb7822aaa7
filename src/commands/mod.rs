//! One folder for each verb of the command line that is not `serve`.
//!
//! | verb | in → out | I/O |
//! |---|---|---|
//! | [`check`] | a URL and a visitor → why they may or may not have it, in words | all |
//! | [`server_files`] | a gallery's settings → a web server's file, filled in (`config`) | files |
//! | [`derive`](mod@derive) | a gallery → all its resized pictures, made beforehand | all |
//! | [`doctor`] | a set-up → what is wrong with it, from inside and as a visitor sees it | all |
//! | `demo` | a sample gallery behind a private nginx | all |

mod accounts;
pub mod check;
#[cfg(feature = "demo")]
pub mod demo;
pub mod derive;
pub mod doctor;
pub mod server_files;
