//! Files of the gallery that the gate itself looks at, opens or sends (`deliver = "stream"`): found without a link that the
//! setting `symlinks` does not allow, answered with what the visitor's browser has already in mind, read piece by piece.
//! Whether a visitor may have the file is no question here.
//!
//! | part | in → out | I/O |
//! |---|---|---|
//! | [`tree`] | a path below the gallery → the file, or why not | files |
//! | `links` | a directory → its links, and whether the gate and web servers follow them | files |
//! | [`told`] | links that are not followed → whether the log has heard of them | none |
//! | `walk` | the way to it, segment by segment | files |
//! | [`media`] | a file's name → what a browser may take it for | none |
//! | [`validators`] | length and time → `ETag` and `Last-Modified` | none |
//! | [`conditional`] | `If-*` headers → whether the visitor has it already | none |
//! | [`range`] | `Range` → which bytes | none |
//! | [`answer`] | all of that → status and headers | none |
//! | [`body`] | an open file → its bytes, in pieces | files |

pub mod answer;
pub mod body;
pub mod conditional;
pub mod media;
pub mod range;
pub mod validators;

pub use answer::Streamed;
pub use body::Body;
pub use conditional::Conditions;
