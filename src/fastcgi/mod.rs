//! FastCGI 1.0, the application's side: bytes of a connection in, requests out; a reply in, its bytes out.
//!
//! No socket, no clock and no task lives here: the caller reads and writes, and keeps time. Whatever a peer
//! sends, a [`Decoder`] holds at most [`PARAMS_MAX`] bytes of it, and it allocates nothing once its buffers
//! are warm.
//!
//! | file | what it holds |
//! |---|---|
//! | `record` | the eight-byte record header, the numbers of the specification, roles |
//! | `params` | name-value pairs: [`Params`], borrowed from the decoder |
//! | `event` | what the decoder says: [`Event`], [`Head`], [`Violation`] |
//! | `decoder` | [`Decoder`]: records to events, one request at a time, and every limit |
//! | `reply` | STDOUT and `END_REQUEST` records, answers to management records |
//!
//! One connection, one request at a time (`FCGI_MPXS_CONNS` is 0): a caller reads bytes, calls
//! [`Decoder::decode`] until it says [`Event::NeedMore`], and for each [`Event::Request`] writes what
//! [`encode_reply`] made before it decodes what was already read behind that request.
//!
//! Who can write to the socket can claim anything (user, address, file): the socket is the trust boundary,
//! and this room only promises that no bytes can make it panic, grow or read two requests as one.

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
