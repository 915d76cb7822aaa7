//! The web server's half of FastCGI, for tests: it builds records from the specification alone (nothing of
//! the crate's own encoding is used), and it holds a conversation with a decoder and writes down what was
//! said.

#![allow(dead_code, reason = "each test file needs its own part of this")]

use piwigo_gate::fastcgi::{Decoder, Event, HEAP_MAX, Head, Violation};

pub const BEGIN: u8 = 1;
pub const ABORT: u8 = 2;
pub const PARAMS: u8 = 4;
pub const STDIN: u8 = 5;
pub const DATA: u8 = 8;
pub const GET_VALUES: u8 = 9;

pub const RESPONDER: u16 = 1;
pub const AUTHORIZER: u16 = 2;
pub const FILTER: u16 = 3;

pub const REQUEST_COMPLETE: u8 = 0;
pub const CANT_MPX_CONN: u8 = 1;
pub const UNKNOWN_ROLE: u8 = 3;

/// How many connections the decoders of a conversation say they take.
pub const MAX_CONNECTIONS: u32 = 150;

/// A record with `padding` bytes of padding that no reader may take for anything else.
pub fn padded(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let Ok(len) = u16::try_from(content.len()) else { panic!("a record holds 65535 bytes") };
    let mut bytes = vec![1, kind, (id >> 8) as u8, id as u8, (len >> 8) as u8, len as u8, padding, 0xee];
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + usize::from(padding), 0xee);
    bytes
}

pub fn record(kind: u8, id: u16, content: &[u8]) -> Vec<u8> {
    padded(kind, id, content, 0)
}

pub fn begin(id: u16, role: u16, flags: u8) -> Vec<u8> {
    record(BEGIN, id, &[(role >> 8) as u8, role as u8, flags, 0, 0, 0, 0, 0])
}

/// `stream` cut into records of at most `size` bytes, without the empty one that ends a stream.
pub fn stream(kind: u8, id: u16, stream: &[u8], size: usize) -> Vec<u8> {
    stream.chunks(size).flat_map(|content| record(kind, id, content)).collect()
}

pub fn pair(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [name, value] {
        match u8::try_from(part.len()) {
            Ok(len) if len < 128 => bytes.push(len),
            _ => bytes.extend((part.len() as u32 | 0x8000_0000).to_be_bytes()),
        }
    }
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(value);
    bytes
}

/// A responder request with one pair, each stream in one record, nothing on STDIN.
pub fn request(id: u16, flags: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    [
        begin(id, RESPONDER, flags),
        record(PARAMS, id, &pair(name, value)),
        record(PARAMS, id, b""),
        record(STDIN, id, b""),
    ]
    .concat()
}

/// `END_REQUEST`, application status 0 (FastCGI 1.0 §5.5).
pub fn end_request(id: u16, status: u8) -> Vec<u8> {
    vec![1, 3, (id >> 8) as u8, id as u8, 0, 8, 0, 0, 0, 0, 0, 0, status, 0, 0, 0]
}

/// `UNKNOWN_TYPE` (FastCGI 1.0 §4.2).
pub fn unknown_type(kind: u8) -> Vec<u8> {
    vec![1, 11, 0, 0, 0, 8, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0]
}

/// `GET_VALUES_RESULT` (FastCGI 1.0 §4.1).
pub fn values(pairs: &[(&str, &str)]) -> Vec<u8> {
    let content: Vec<u8> =
        pairs.iter().flat_map(|(name, value)| pair(name.as_bytes(), value.as_bytes())).collect();
    vec![1, 10, 0, 0, 0, content.len() as u8, 0, 0].into_iter().chain(content).collect()
}

pub type OwnedPairs = Vec<(Vec<u8>, Vec<u8>)>;

/// One thing a decoder said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Answer { bytes: Vec<u8>, keep_conn: bool },
    Request { head: Head, params: OwnedPairs },
    Close(Violation),
}

/// All a decoder said on one connection, and whether it rested between requests at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub said: Vec<Said>,
    pub idle: bool,
}

/// Passes `chunks` to a new decoder as the reads of a connection, and checks on the way what holds for any
/// input.
pub fn converse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Conversation {
    let mut decoder = Decoder::new(MAX_CONNECTIONS);
    let mut said = Vec::new();
    'connection: for mut input in chunks {
        loop {
            let mut out = Vec::new();
            let (consumed, event) = decoder.decode(input, &mut out);
            input = &input[consumed..];
            assert!(decoder.heap_bytes() <= HEAP_MAX);
            assert!(out.len() <= 80, "an answer is bounded");
            assert_eq!(out.is_empty(), !matches!(event, Event::Answer { .. }), "answers only are written");
            match event {
                Event::NeedMore => {
                    assert!(input.is_empty(), "all input is consumed before more is asked for");
                    break;
                }
                Event::Answer { keep_conn } => said.push(Said::Answer { bytes: out, keep_conn }),
                Event::Request(head) => {
                    let params = decoder.params().iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
                    said.push(Said::Request { head, params });
                }
                Event::Close(violation) => {
                    said.push(Said::Close(violation));
                    break 'connection;
                }
            }
        }
    }
    Conversation { said, idle: decoder.is_idle() }
}
