//! Turns records into events: the state of one connection, and every limit on what a peer may send.

use super::event::{Event, Head, ParamsState, Violation};
use super::params::{Malformed, Params};
use super::record::{
    ABORT_REQUEST, BEGIN_REQUEST, GET_VALUES, HEADER_LEN, Header, KEEP_CONN, NULL_ID, PARAMS, ProtocolStatus,
    Role, STDIN, VERSION,
};
use super::reply::{encode_end_request, encode_unknown_type, encode_values};

/// The limit, in bytes, of the parameters that a request may have to be read. nginx cannot send more (one
/// record, 65,535 bytes). Apache and Caddy can, but no request for a picture needs it.
pub const PARAMS_MAX: usize = 64 * 1024;

/// The limit, in bytes, of the parameters that the decoder receives. It drops those beyond [`PARAMS_MAX`], so
/// that a request that is too large gets an answer instead of a broken connection.
pub const PARAMS_DISCARD_MAX: usize = 1024 * 1024;

/// The limit, in bytes, of STDIN. The decoder drops it all: no answer of this application depends on a
/// request's body.
pub const STDIN_MAX: usize = 1024 * 1024;

/// The most heap memory that a decoder holds, in bytes: the parameters of a request and, during its receipt,
/// a `GET_VALUES` record of any possible length.
pub const HEAP_MAX: usize = 2 * PARAMS_MAX;

/// The largest `GET_VALUES` record, in bytes, that needs no heap memory. The three names of the specification
/// take 48.
const SMALL_VALUES: usize = 512;

/// The buffer, in bytes, that a decoder keeps from one connection to the next. Nearly all requests need less.
pub const RETAINED_MAX: usize = 16 * 1024;

/// Length of the content of `BEGIN_REQUEST` in bytes (FastCGI 1.0 §5.1).
const BEGIN_LEN: u16 = 8;

/// The receiving side of one connection. Its results depend only on the bytes, not on how the reads divided
/// them.
#[derive(Debug)]
pub struct Decoder {
    max_connections: u32,
    stage: Stage,
    /// The header that is being collected, or that of the current content.
    header: [u8; HEADER_LEN],
    /// The content of a `BEGIN_REQUEST` or `GET_VALUES` record, which only makes sense as a whole.
    small: [u8; SMALL_VALUES],
    /// The content of a `GET_VALUES` record of more than [`SMALL_VALUES`] bytes, until the decoder answers
    /// it.
    values: Vec<u8>,
    /// Tells from a request's parameters whether the decoder hands it out before its body has arrived.
    needs_no_body: Option<fn(&Params<'_>) -> bool>,
    active: Option<Active>,
    /// The PARAMS stream of the active or finished request, at most [`PARAMS_MAX`] bytes.
    params: Vec<u8>,
    /// The decoder has handed the request out. `params` is readable until the next `decode`.
    handed_out: bool,
}

/// The position of the next byte within a record.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Header { filled: usize },
    Content { body: Body, filled: usize },
    Padding { body: Body, left: usize },
    Closed(Violation),
}

/// The purpose of a record's content, decided from its header.
#[derive(Clone, Copy, Debug)]
enum Body {
    Begin,
    Abort,
    Params,
    Stdin,
    GetValues,
    UnknownManagement,
    /// A record of a request that is over or was refused, or of a type without meaning here.
    Ignored,
}

/// The request that is being received.
#[derive(Clone, Copy, Debug)]
struct Active {
    id: u16,
    role: Role,
    keep_conn: bool,
    params: Stream,
    stdin: Stream,
    /// Set at the end of `params`.
    state: Option<Judged>,
}

/// The result of reading a request's parameters after their end.
#[derive(Clone, Copy, Debug)]
struct Judged {
    params: ParamsState,
    /// The decoder hands the request out before its body has ended.
    needs_no_body: bool,
}

/// A stream of records that ends with an empty one (FastCGI 1.0 §3.3).
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    received: usize,
    ended: bool,
}

impl Decoder {
    /// Creates a decoder at the beginning of a connection. `max_connections` is the answer to `GET_VALUES`:
    /// the number of connections, and so of requests, that this process takes at a time.
    pub fn new(max_connections: u32) -> Self {
        Self {
            max_connections,
            stage: Stage::Header { filled: 0 },
            header: [0; HEADER_LEN],
            small: [0; SMALL_VALUES],
            values: Vec::new(),
            needs_no_body: None,
            active: None,
            params: Vec::new(),
            handed_out: false,
        }
    }

    /// Returns the same decoder, but one that hands a request out without its body if its parameters are too
    /// large or malformed, or if `needs_no_body` accepts them. The gate can then refuse it before a long body
    /// has arrived. The decoder drops the rest of that body.
    #[must_use]
    pub fn handing_out_early(self, needs_no_body: fn(&Params<'_>) -> bool) -> Self {
        Self { needs_no_body: Some(needs_no_body), ..self }
    }

    /// Prepares the decoder for another connection. Keeps up to [`RETAINED_MAX`] bytes of buffer allocated.
    pub fn reset(&mut self) {
        self.stage = Stage::Header { filled: 0 };
        self.active = None;
        self.handed_out = false;
        self.params.clear();
        self.params.shrink_to(RETAINED_MAX);
        self.values = Vec::new();
    }

    /// Reads `input` up to the first event. Returns the number of bytes consumed; pass the rest again.
    /// Appends answers of the protocol itself to `out`, at most one per call.
    ///
    /// After [`Event::Request`], send the reply before the next call, which continues with the bytes after
    /// the request. After [`Event::Close`] the decoder consumes nothing until [`Decoder::reset`].
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Event) {
        self.handed_out = false;
        let mut rest = input;
        let event = loop {
            match self.step(&mut rest, out) {
                Ok(Some(event)) => break event,
                Ok(None) => {}
                Err(violation) => {
                    self.stage = Stage::Closed(violation);
                    break Event::Close(violation);
                }
            }
        };
        (input.len() - rest.len(), event)
    }

    /// Returns the parameters of the request that the last [`Decoder::decode`] reported. Empty at any other
    /// time, and if [`Head::params`] is not [`ParamsState::Complete`].
    pub fn params(&self) -> Params<'_> {
        if self.handed_out { Params::parsed_before(&self.params) } else { Params::EMPTY }
    }

    /// Whether the connection is between two requests, with no byte of a record received. The peer may close
    /// it in this state, and this side may during its shutdown.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && matches!(self.stage, Stage::Header { filled: 0 })
    }

    /// The heap memory in use, in bytes, never more than [`HEAP_MAX`].
    pub fn heap_bytes(&self) -> usize {
        self.params.capacity() + self.values.capacity()
    }

    /// Takes bytes off `input` for one stage of one record. Returns `None` if the next stage can follow at
    /// once.
    fn step(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Option<Event>, Violation> {
        match self.stage {
            Stage::Header { filled } => {
                let taken = take(input, HEADER_LEN - filled);
                let filled_now = filled + taken.len();
                self.header[filled..filled_now].copy_from_slice(taken);
                if filled_now < HEADER_LEN {
                    self.stage = Stage::Header { filled: filled_now };
                    return Ok(Some(Event::NeedMore));
                }
                let body = self.classify(Header::from_bytes(self.header))?;
                self.stage = Stage::Content { body, filled: 0 };
                Ok(None)
            }
            Stage::Content { body, filled } => {
                let header = Header::from_bytes(self.header);
                let taken = take(input, usize::from(header.content_len) - filled);
                self.receive(body, filled, taken);
                let filled = filled + taken.len();
                if filled < usize::from(header.content_len) {
                    self.stage = Stage::Content { body, filled };
                    return Ok(Some(Event::NeedMore));
                }
                self.stage = Stage::Padding { body, left: usize::from(header.padding_len) };
                Ok(None)
            }
            Stage::Padding { body, left } => {
                let left = left - take(input, left).len();
                if left > 0 {
                    self.stage = Stage::Padding { body, left };
                    return Ok(Some(Event::NeedMore));
                }
                self.stage = Stage::Header { filled: 0 };
                self.finish(body, Header::from_bytes(self.header), out)
            }
            Stage::Closed(violation) => Err(violation),
        }
    }

    /// Decides from a header what its record is for, so that a limit is checked before its content is read.
    fn classify(&mut self, header: Header) -> Result<Body, Violation> {
        if header.version != VERSION {
            return Err(Violation::Version(header.version));
        }
        if header.id == NULL_ID {
            return match header.kind {
                BEGIN_REQUEST => Err(Violation::BeginWithoutId),
                GET_VALUES => Ok(Body::GetValues),
                _ => Ok(Body::UnknownManagement),
            };
        }
        let active = self.active.as_mut().filter(|active| active.id == header.id);
        match (header.kind, active) {
            (BEGIN_REQUEST, _) if header.content_len != BEGIN_LEN => {
                Err(Violation::BeginLength(header.content_len))
            }
            (BEGIN_REQUEST, Some(_)) => Err(Violation::BegunTwice(header.id)),
            (BEGIN_REQUEST, None) => Ok(Body::Begin),
            (ABORT_REQUEST, Some(_)) => Ok(Body::Abort),
            (PARAMS, Some(active)) => {
                active.params.announce(header, PARAMS_DISCARD_MAX, Violation::ParamsEndless)?;
                Ok(Body::Params)
            }
            (STDIN, Some(active)) => {
                active.stdin.announce(header, STDIN_MAX, Violation::StdinTooLarge)?;
                Ok(Body::Stdin)
            }
            _ => Ok(Body::Ignored),
        }
    }

    /// Keeps the useful part of a record's content. `taken` begins `at` bytes into it.
    fn receive(&mut self, body: Body, at: usize, taken: &[u8]) {
        match body {
            Body::GetValues if usize::from(Header::from_bytes(self.header).content_len) > SMALL_VALUES => {
                append(&mut self.values, taken);
            }
            Body::Begin | Body::GetValues => self.small[at..at + taken.len()].copy_from_slice(taken),
            Body::Params => {
                // `announce` has already counted this record, so a stream that will not fit takes no memory.
                let fits = self.active.is_some_and(|active| active.params.received <= PARAMS_MAX);
                if fits {
                    append(&mut self.params, taken);
                }
            }
            Body::Abort | Body::Stdin | Body::UnknownManagement | Body::Ignored => {}
        }
    }

    /// Acts on a complete record, including its padding.
    fn finish(&mut self, body: Body, header: Header, out: &mut Vec<u8>) -> Result<Option<Event>, Violation> {
        match body {
            Body::Begin => Ok(self.begin(header.id, out)),
            Body::Abort => Ok(self.active.take().map(|aborted| {
                encode_end_request(aborted.id, ProtocolStatus::RequestComplete, out);
                Event::Answer { keep_conn: aborted.keep_conn }
            })),
            Body::Params => {
                self.judge_params();
                Ok(self.complete())
            }
            Body::Stdin => Ok(self.complete()),
            Body::GetValues => {
                let values = std::mem::take(&mut self.values);
                let query =
                    if values.is_empty() { &self.small[..usize::from(header.content_len)] } else { &values };
                encode_values(query, self.max_connections, out)
                    .map_err(|Malformed| Violation::GetValuesMalformed)?;
                Ok(Some(Event::Answer { keep_conn: true }))
            }
            Body::UnknownManagement => {
                encode_unknown_type(header.kind, out);
                Ok(Some(Event::Answer { keep_conn: true }))
            }
            Body::Ignored => Ok(None),
        }
    }

    /// Handles `BEGIN_REQUEST` (FastCGI 1.0 §5.1): role in two bytes, flags in one, five reserved.
    fn begin(&mut self, id: u16, out: &mut Vec<u8>) -> Option<Event> {
        let [role1, role0, flags, ..] = self.small;
        let keep_conn = flags & KEEP_CONN != 0;
        if self.active.is_some() {
            // The flag of the refused request does not apply: another request is using the connection.
            encode_end_request(id, ProtocolStatus::CantMultiplex, out);
            return Some(Event::Answer { keep_conn: true });
        }
        let Some(role) = Role::from_number(u16::from_be_bytes([role1, role0])) else {
            encode_end_request(id, ProtocolStatus::UnknownRole, out);
            return Some(Event::Answer { keep_conn });
        };
        self.params.clear();
        self.active = Some(Active {
            id,
            role,
            keep_conn,
            params: Stream::default(),
            stdin: Stream::default(),
            state: None,
        });
        None
    }

    /// Reads the parameters of the active request if they have just ended.
    fn judge_params(&mut self) {
        let Some(active) = self.active.as_mut().filter(|active| active.params.ended) else { return };
        let parsed = Params::parse(&self.params);
        let params = match &parsed {
            _ if active.params.received > PARAMS_MAX => ParamsState::TooLarge,
            Err(Malformed) => ParamsState::Malformed,
            Ok(_) => ParamsState::Complete,
        };
        let needs_no_body = self.needs_no_body.is_some_and(|needs_no_body| {
            params != ParamsState::Complete || parsed.is_ok_and(|params| needs_no_body(&params))
        });
        active.state = Some(Judged { params, needs_no_body });
    }

    /// Hands the active request out once all its streams have ended, or if it needs no body. An authorizer
    /// has no STDIN (FastCGI 1.0 §6.3).
    fn complete(&mut self) -> Option<Event> {
        let active = self.active.as_ref()?;
        let Judged { params, needs_no_body } = active.state?;
        if !active.stdin.ended && active.role != Role::Authorizer && !needs_no_body {
            return None;
        }
        let active = self.active.take()?;
        if params != ParamsState::Complete {
            self.params.clear();
        }
        self.handed_out = true;
        Some(Event::Request(Head { id: active.id, role: active.role, keep_conn: active.keep_conn, params }))
    }
}

impl Stream {
    /// Counts a record of this stream before its content is read.
    fn announce(&mut self, header: Header, max: usize, too_large: Violation) -> Result<(), Violation> {
        if self.ended {
            return Err(Violation::AfterEnd(header.id));
        }
        self.received += usize::from(header.content_len);
        self.ended = header.content_len == 0;
        if self.received > max { Err(too_large) } else { Ok(()) }
    }
}

/// Splits up to `max` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], max: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(max.min(input.len()));
    *input = rest;
    taken
}

/// Appends `taken`. The capacity follows the received bytes, not an announced length, and doubles up to
/// [`PARAMS_MAX`].
fn append(bytes: &mut Vec<u8>, taken: &[u8]) {
    let needed = bytes.len() + taken.len();
    if needed > bytes.capacity() {
        const { assert!(PARAMS_MAX.is_power_of_two(), "doubling ends at the limit") };
        let capacity = needed.next_power_of_two().max(2048);
        bytes.reserve_exact(capacity - bytes.len());
    }
    bytes.extend_from_slice(taken);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of FastCGI 1.0 appendix B: a responder with an empty STDIN; the connection closes
    /// after it.
    const SPEC_REQUEST: &[u8] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0\
        \x01\x04\0\x01\0\x2a\0\0\x0b\x02SERVER_PORT80\x0b\x0eSERVER_ADDR199.170.183.42\
        \x01\x04\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0";

    #[test]
    fn a_request_is_read_as_in_the_specification() {
        let mut decoder = Decoder::new(10);
        let mut out = Vec::new();
        let (consumed, event) = decoder.decode(SPEC_REQUEST, &mut out);
        let head = Head { id: 1, role: Role::Responder, keep_conn: false, params: ParamsState::Complete };
        assert_eq!((consumed, event), (SPEC_REQUEST.len(), Event::Request(head)));
        let pairs: Vec<_> = decoder.params().iter().collect();
        assert_eq!(pairs, [(&b"SERVER_PORT"[..], &b"80"[..]), (b"SERVER_ADDR", b"199.170.183.42")]);
        assert_eq!(out, b"");
    }

    #[test]
    fn parameters_are_gone_with_the_next_call() {
        let mut decoder = Decoder::new(10);
        let mut out = Vec::new();
        decoder.decode(SPEC_REQUEST, &mut out);
        assert_ne!(decoder.params(), Params::EMPTY);
        assert_eq!(decoder.decode(b"", &mut out), (0, Event::NeedMore));
        assert_eq!(decoder.params(), Params::EMPTY);
    }

    #[test]
    fn parameters_cannot_be_read_before_they_are_whole() {
        let mut decoder = Decoder::new(10);
        let unfinished = &SPEC_REQUEST[..SPEC_REQUEST.len() - 1];
        assert_eq!(decoder.decode(unfinished, &mut Vec::new()), (unfinished.len(), Event::NeedMore));
        assert_eq!(decoder.params(), Params::EMPTY);
    }

    #[test]
    fn idle_is_only_between_requests() {
        for len in 0..=SPEC_REQUEST.len() {
            let mut decoder = Decoder::new(10);
            decoder.decode(&SPEC_REQUEST[..len], &mut Vec::new());
            assert_eq!(decoder.is_idle(), len == 0 || len == SPEC_REQUEST.len(), "{len}");
        }
    }

    #[test]
    fn a_closed_decoder_reads_nothing_until_reset() {
        let mut decoder = Decoder::new(10);
        let mut out = Vec::new();
        let violation = Violation::Version(b'G');
        assert_eq!(decoder.decode(b"GET / HTTP/1.1\r\n", &mut out), (8, Event::Close(violation)));
        assert_eq!(decoder.decode(SPEC_REQUEST, &mut out), (0, Event::Close(violation)));
        assert!(!decoder.is_idle());
        decoder.reset();
        assert!(decoder.is_idle());
        assert!(matches!(decoder.decode(SPEC_REQUEST, &mut out).1, Event::Request(_)));
    }

    /// Wherever a connection breaks off, the next one starts afresh.
    #[test]
    fn reset_forgets_a_connection() {
        let fresh = Decoder::new(10).decode(SPEC_REQUEST, &mut Vec::new());
        for len in 0..=SPEC_REQUEST.len() {
            let mut decoder = Decoder::new(10);
            decoder.decode(&SPEC_REQUEST[..len], &mut Vec::new());
            decoder.reset();
            assert!(decoder.is_idle());
            assert_eq!(decoder.params(), Params::EMPTY, "{len}");
            assert_eq!(decoder.decode(SPEC_REQUEST, &mut Vec::new()), fresh, "{len}");
            assert_eq!(decoder.params().iter().count(), 2, "{len}");
        }
    }

    /// A length that a peer announces costs nothing; the bytes that it sends cost at most twice their size.
    /// The decoder does not keep a large request.
    #[test]
    fn memory_follows_what_was_received() {
        let mut decoder = Decoder::new(10);
        let mut out = Vec::new();
        decoder.decode(&SPEC_REQUEST[..16], &mut out);
        decoder.decode(b"\x01\x04\0\x01\xff\xff\0\0", &mut out);
        assert_eq!(decoder.heap_bytes(), 0);
        for (sent, held) in [(10, 2048), (2038, 2048), (1, 4096), (40_000, PARAMS_MAX)] {
            decoder.decode(&vec![0; sent], &mut out);
            assert_eq!(decoder.heap_bytes(), held, "{sent}");
        }
        decoder.reset();
        assert_eq!(decoder.heap_bytes(), RETAINED_MAX);
        assert_eq!(decoder.params(), Params::EMPTY);
    }
}
