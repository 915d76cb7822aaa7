//! Turns the web server's FastCGI parameters into requests, and answers into status, headers and body.
//!
//! | part | in → out | I/O |
//! |---|---|---|
//! | [`request`] | FastCGI parameters → `Request` | none |
//! | [`reply`] | an answer → status, headers and body for this web server | none |
//! | [`disposition`] | a photo's own name → how a browser saves it | none |
//! | [`picture_address`] | an allowed picture → the answer to a script that requests its address | none |
//! | [`media`] | a file's name → its media type | none |
//! | [`validators`] | length and time → `ETag` and `Last-Modified` | none |
//! | [`conditional`] | `If-*` headers → whether the client already has the file | none |
//! | [`range`] | `Range` → the bytes to send | none |
//! | [`answer`] | all of these → status and headers of a file that the gate sends | none |
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
