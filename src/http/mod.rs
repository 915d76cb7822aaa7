//! Requests as the web server passes them, and answers as it takes them: status, headers, body.
//!
//! | part | in → out | I/O |
//! |---|---|---|
//! | [`request`] | FastCGI parameters → `Request` | none |
//! | [`reply`] | an answer → status, headers and body for this web server | none |
//! | [`disposition`] | a photo's own name → how a browser saves it | none |
//! | [`picture_address`] | an allowed picture → the answer to a script that asks where it lies | none |
//! | [`media`] | a file's name → its media type | none |
//! | [`validators`] | length and time → `ETag` and `Last-Modified` | none |
//! | [`conditional`] | `If-*` headers → whether the visitor has the file already | none |
//! | [`range`] | `Range` → which bytes | none |
//! | [`answer`] | all of that → status and headers of a file that the gate sends | none |
//! | [`body`] | an open file → its bytes, in pieces | files |

pub mod answer;
pub mod body;
pub mod conditional;
pub mod disposition;
pub mod media;
pub mod picture_address;
pub mod range;
pub mod reply;
pub mod request;
pub mod validators;

pub use answer::Streamed;
pub use body::Body;
pub use conditional::Conditions;
