//! Records in, events out: the state of one connection, and every limit on what a peer may send.

use super::event::{Event, Head, ParamsState, Violation};
use super::params::{Malformed, Params};
use super::record::{
    ABORT_REQUEST, BEGIN_REQUEST, GET_VALUES, HEADER_LEN, Header, KEEP_CONN, NULL_ID, PARAMS, ProtocolStatus,
    Role, STDIN, VERSION,
};
use super::reply::{encode_end_request, encode_unknown_type, encode_values};

/// Bytes of parameters a request may have and still be read. nginx cannot send more (one record, 65,535
/// bytes); Apache and Caddy can, and mean no picture by it.
pub const PARAMS_MAX: usize = 64 * 1024;

/// Bytes of parameters that are read (and dropped beyond [`PARAMS_MAX`]) so that a request that is too large
/// still gets an answer instead of a broken connection.
pub const PARAMS_DISCARD_MAX: usize = 1024 * 1024;

/// Bytes of STDIN that are read and dropped: nothing this application answers depends on a request's body.
pub const STDIN_MAX: usize = 1024 * 1024;

/// Bytes of heap memory that a decoder holds, at most: the parameters of a request and, while it is received,
/// a `GET_VALUES` record of any length that a record can have.
pub const HEAP_MAX: usize = 2 * PARAMS_MAX;

/// Bytes of a `GET_VALUES` record that is received without memory of its own; the three names that the
/// specification knows take 48.
const SMALL_VALUES: usize = 512;

/// Bytes of buffer that a decoder keeps from one connection to the next: more than nearly all requests need.
pub const RETAINED_MAX: usize = 16 * 1024;

/// Content of `BEGIN_REQUEST` (FastCGI 1.0 §5.1).
const BEGIN_LEN: u16 = 8;

/// The receiving side of one connection. What it consumes and says depends on the bytes only, not on how they
/// were cut into reads.
#[derive(Debug)]
pub struct Decoder {
    max_connections: u32,
    stage: Stage,
    /// The header being collected, or the one whose content is being read.
    header: [u8; HEADER_LEN],
    /// Content of a record that only makes sense as a whole: `BEGIN_REQUEST` or `GET_VALUES`.
    small: [u8; SMALL_VALUES],
    /// Content of a `GET_VALUES` record of more than [`SMALL_VALUES`] bytes, until it is answered.
    values: Vec<u8>,
    /// Whether a request is handed out before its body has come, by its parameters.
    needs_no_body: Option<fn(&Params<'_>) -> bool>,
    active: Option<Active>,
    /// The PARAMS stream of the active or finished request, never more than [`PARAMS_MAX`] bytes.
    params: Vec<u8>,
    /// The request was handed out: `params` may be read, and belongs to the past at the next `decode`.
    handed_out: bool,
}

/// Where in a record the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Header { filled: usize },
    Content { body: Body, filled: usize },
    Padding { body: Body, left: usize },
    Closed(Violation),
}

/// What a record's content is good for, decided from its header.
#[derive(Clone, Copy, Debug)]
enum Body {
    Begin,
    Abort,
    Params,
    Stdin,
    GetValues,
    UnknownManagement,
    /// Of a request that is over or was refused, or of a type that means nothing here.
    Ignored,
}

/// The request being received.
#[derive(Clone, Copy, Debug)]
struct Active {
    id: u16,
    role: Role,
    keep_conn: bool,
    params: Stream,
    stdin: Stream,
    /// Known from the end of `params` on.
    state: Option<Judged>,
}

/// What is known of a request's parameters once they have ended.
#[derive(Clone, Copy, Debug)]
struct Judged {
    params: ParamsState,
    /// The request is handed out although its body has not ended.
    needs_no_body: bool,
}

/// A stream of records that an empty one ends (FastCGI 1.0 §3.3).
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    received: usize,
    ended: bool,
}

impl Decoder {
    /// A decoder at the beginning of a connection. `max_connections` is what `GET_VALUES` is told: how many
    /// connections, and so requests, this process takes at a time.
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

    /// The same decoder; it hands a request out without its body if its parameters are too large, malformed
    /// or such as `needs_no_body` names: what is refused by its head can be refused before a body of any
    /// length has come. What still comes of that body is dropped.
    #[must_use]
    pub fn handing_out_early(self, needs_no_body: fn(&Params<'_>) -> bool) -> Self {
        Self { needs_no_body: Some(needs_no_body), ..self }
    }

    /// Makes the decoder ready for another connection. Up to [`RETAINED_MAX`] bytes of buffer stay allocated.
    pub fn reset(&mut self) {
        self.stage = Stage::Header { filled: 0 };
        self.active = None;
        self.handed_out = false;
        self.params.clear();
        self.params.shrink_to(RETAINED_MAX);
        self.values = Vec::new();
    }

    /// Reads `input` up to the first event and says how many bytes of it were consumed; the rest is to be
    /// passed again. Answers of the protocol itself are appended to `out`, at most one a call.
    ///
    /// After [`Event::Request`] send the reply before the next call: that call begins with what follows the
    /// request. After [`Event::Close`] nothing more is consumed until [`Decoder::reset`].
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

    /// The parameters of the request that the last [`Decoder::decode`] reported; empty at any other time, and
    /// where [`Head::params`] is not [`ParamsState::Complete`].
    pub fn params(&self) -> Params<'_> {
        if self.handed_out { Params::parsed_before(&self.params) } else { Params::EMPTY }
    }

    /// Whether the connection rests between requests, with no byte of a record received: the peer may close
    /// it here, and this side may while it shuts down.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && matches!(self.stage, Stage::Header { filled: 0 })
    }

    /// Bytes of heap memory held, never more than [`HEAP_MAX`].
    pub fn heap_bytes(&self) -> usize {
        self.params.capacity() + self.values.capacity()
    }

    /// Takes bytes off `input` for one stage of one record. `None`: there is more to do.
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

    /// Decides from a header what its record is for, so that no limit is passed before it is noticed.
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

    /// Keeps what is worth keeping of a record's content; `taken` begins `at` bytes into it.
    fn receive(&mut self, body: Body, at: usize, taken: &[u8]) {
        match body {
            Body::GetValues if usize::from(Header::from_bytes(self.header).content_len) > SMALL_VALUES => {
                append(&mut self.values, taken);
            }
            Body::Begin | Body::GetValues => self.small[at..at + taken.len()].copy_from_slice(taken),
            Body::Params => {
                // `announce` has counted this record: a stream that will not fit is not worth its memory.
                let fits = self.active.is_some_and(|active| active.params.received <= PARAMS_MAX);
                if fits {
                    append(&mut self.params, taken);
                }
            }
            Body::Abort | Body::Stdin | Body::UnknownManagement | Body::Ignored => {}
        }
    }

    /// Acts on a record that is complete, padding included.
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

    /// `BEGIN_REQUEST` (FastCGI 1.0 §5.1): role in two bytes, flags in one, five reserved.
    fn begin(&mut self, id: u16, out: &mut Vec<u8>) -> Option<Event> {
        let [role1, role0, flags, ..] = self.small;
        let keep_conn = flags & KEEP_CONN != 0;
        if self.active.is_some() {
            // The flag of the refused one says nothing about the connection: another request is using it.
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

    /// Judges the parameters of the active request where they have just ended.
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

    /// Hands the active request out once all its streams have ended, or its body is not needed. An authorizer
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

/// Memory follows what has arrived, not what was announced, and doubles up to [`PARAMS_MAX`].
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

    /// The first example of FastCGI 1.0 appendix B: a responder, nothing on STDIN, connection closed after
    /// it.
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

    /// Wherever a connection broke off, the next one begins at its beginning.
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

    /// What a peer announces costs nothing; what it sends costs at most twice its size; a large request is
    /// not kept.
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
