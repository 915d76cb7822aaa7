//! FastCGI 1.0, the application's side: turns the bytes of a connection into requests and a reply into bytes.
//!
//! This room has no socket, no clock and no task: the caller reads, writes and keeps time. A [`Decoder`]
//! holds at most [`HEAP_MAX`] bytes of a peer's data, and allocates nothing once its buffers are warm.
//!
//! | file | contents |
//! |---|---|
//! | `record` | the eight-byte record header, the constants of the specification, roles |
//! | `params` | name-value pairs: [`Params`], borrowed from the decoder |
//! | `event` | the decoder's results: [`Event`], [`Head`], [`Violation`] |
//! | `decoder` | [`Decoder`]: records to events, one request at a time, and every limit |
//! | `reply` | STDOUT and `END_REQUEST` records, answers to management records |
//!
//! A connection carries one request at a time (`FCGI_MPXS_CONNS` is 0). The caller reads bytes and calls
//! [`Decoder::decode`] until it returns [`Event::NeedMore`]. For each [`Event::Request`] it writes the result
//! of [`encode_reply`] before it decodes the bytes after that request.
//!
//! A program that can write to the socket can claim any user, address or file: the socket is the trust
//! boundary. This room only promises that no bytes make it panic, grow, or read two requests as one.

mod decoder;
mod event;
mod params;
mod record;
mod reply;

pub use decoder::{Decoder, HEAP_MAX, PARAMS_DISCARD_MAX, PARAMS_MAX, RETAINED_MAX, STDIN_MAX};
pub use event::{Event, Head, ParamsState, Violation};
pub use params::{Malformed, Pairs, Params};
pub use record::{HEADER_LEN, RECORD_CONTENT_MAX, Role};
pub use reply::{encode_end, encode_reply, encode_stdout, stdout_header};
