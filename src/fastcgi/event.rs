//! The results of a [`Decoder`](super::Decoder): a request, an answer of the protocol itself, or the reason
//! to close the connection.

#[cfg(doc)]
use super::decoder::{Decoder, PARAMS_MAX};
use super::decoder::{PARAMS_DISCARD_MAX, STDIN_MAX};
use super::record::Role;

/// The result of [`Decoder::decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// All input was consumed: read more.
    NeedMore,
    /// The decoder has answered at the level of the protocol and appended the bytes to `out`. Write them,
    /// then continue to decode; if `keep_conn` is false, close the connection instead.
    Answer {
        /// Whether the connection may be used further.
        keep_conn: bool,
    },
    /// A whole request. Its parameters are in [`Decoder::params`] until the next [`Decoder::decode`].
    Request(Head),
    /// The peer broke the protocol or a limit. Close the connection without an answer.
    Close(Violation),
}

/// A request, without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The id that every record of the reply must carry.
    pub id: u16,
    /// The role in which the web server calls the application.
    pub role: Role,
    /// If false, close the connection after the reply (FastCGI 1.0 §5.1). If true, the server closes it.
    pub keep_conn: bool,
    /// Whether [`Decoder::params`] holds the parameters.
    pub params: ParamsState,
}

/// The state of a request's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamsState {
    /// They are in [`Decoder::params`].
    Complete,
    /// More than [`PARAMS_MAX`] bytes: the decoder has dropped them. HTTP has 431 for it.
    TooLarge,
    /// They do not divide into pairs: the decoder has dropped them. HTTP has 400 for it.
    Malformed,
}

/// Why a connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Not FastCGI 1: in most cases a peer that speaks HTTP or another protocol to the FastCGI socket.
    #[error(
        "the peer does not speak FastCGI version 1 (first byte {0}): point the web server's FastCGI, not HTTP, settings here"
    )]
    Version(u8),
    /// `BEGIN_REQUEST` with the id of management records.
    #[error("the peer began a request with id 0, which FastCGI keeps for management records")]
    BeginWithoutId,
    /// `BEGIN_REQUEST` whose content is not eight bytes long.
    #[error("the peer began a request with {0} bytes where FastCGI has 8")]
    BeginLength(u16),
    /// `BEGIN_REQUEST` for the request that is being received.
    #[error("the peer began request {0} again before it had ended")]
    BegunTwice(u16),
    /// A record of PARAMS or STDIN after the empty record that ends that stream.
    #[error("the peer went on with a stream of request {0} after its end")]
    AfterEnd(u16),
    /// The parameters exceed the limit for reading and dropping.
    #[error(
        "the peer sent more than {PARAMS_DISCARD_MAX} bytes of parameters: lower the web server's limits on request headers"
    )]
    ParamsEndless,
    /// The request body exceeds the limit for reading and dropping.
    #[error(
        "the peer sent more than {STDIN_MAX} bytes of request body: keep bodies from the gate (nginx: fastcgi_pass_request_body off)"
    )]
    StdinTooLarge,
    /// A `GET_VALUES` record that does not divide into pairs.
    #[error("the peer asked for values with malformed name-value pairs")]
    GetValuesMalformed,
}
