//! What holds for any bytes: how they are cut into reads changes nothing, and a peer that keeps to the
//! protocol is understood whatever it mixes.

use crate::webserver::*;
use piwigo_gate::fastcgi::{Head, ParamsState, Role};
use proptest::collection::vec;
use proptest::prelude::*;

/// Cuts `bytes` at reads of these sizes, over and over.
fn cut<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    sizes.iter().cycle().map_while(move |size| {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..=3_usize, 1..4), vec(1..=40_usize, 1..10), vec(1..=5_000_usize, 1..5)]
}

/// A record as a peer might send it: mostly of few ids, known types and sensible contents, so that requests
/// come about, but also any.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof![20 => 1..=2_u16, 2 => Just(0_u16), 1 => any::<u16>()];
    let kind = prop_oneof![6 => Just(PARAMS), 6 => Just(STDIN), 2 => 0..=12_u8, 1 => any::<u8>()];
    let pairs = vec((vec(any::<u8>(), 0..5), vec(any::<u8>(), 0..200)), 0..4)
        .prop_map(|pairs| pairs.iter().flat_map(|(n, v)| pair(n, v)).collect::<Vec<u8>>());
    let content = prop_oneof![
        4 => Just(Vec::new()),
        4 => pairs,
        1 => vec(any::<u8>(), 0..30),
        1 => (0..=65_535_usize).prop_map(|len| vec![0; len]),
    ];
    let whole = (id.clone(), kind, content, 0..=9_u8)
        .prop_map(|(id, kind, content, pad)| padded(kind, id, &content, pad));
    let begins = (id, prop_oneof![8 => 1..=2_u16, 1 => any::<u16>()], any::<u8>())
        .prop_map(|(id, role, flags)| begin(id, role, flags));
    prop_oneof![3 => whole, 1 => begins]
}

/// Bytes with a few of them changed, left out or doubled.
fn mutated(bytes: Vec<u8>, changes: Vec<(usize, u8, u8)>) -> Vec<u8> {
    let mut bytes = bytes;
    for (at, how, value) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match how % 4 {
            0 => bytes[at] = value,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, value),
        }
    }
    bytes
}

/// One thing a well-behaved peer does on a kept connection.
#[derive(Clone, Debug)]
enum Act {
    Request {
        id: u16,
        role: Role,
        keep_conn: bool,
        pairs: OwnedPairs,
        params_size: usize,
        stdin: usize,
        between: Between,
    },
    AskValues,
    AskUnknown(u8),
    Stray(u8, u16),
    Aborted {
        id: u16,
        keep_conn: bool,
    },
    Filter {
        id: u16,
    },
}

/// What happens in the middle of a request.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    AskUnknown(u8),
    SecondRequest,
}

impl Act {
    /// The bytes of this act, and what must be said to them.
    fn play(&self, bytes: &mut Vec<u8>, said: &mut Vec<Said>) {
        match self {
            Self::Request { id, role, keep_conn, pairs, params_size, stdin, between } => {
                let number = if *role == Role::Responder { RESPONDER } else { AUTHORIZER };
                bytes.extend(begin(*id, number, u8::from(*keep_conn)));
                match between {
                    Between::Nothing => {}
                    Between::AskUnknown(kind) => {
                        bytes.extend(record(*kind, 0, b"x"));
                        said.push(Said::Answer { bytes: unknown_type(*kind), keep_conn: true });
                    }
                    Between::SecondRequest => {
                        let other = id.wrapping_add(1).max(1);
                        bytes.extend(request(other, 0, b"OTHER", b"request"));
                        said.push(Said::Answer { bytes: end_request(other, CANT_MPX_CONN), keep_conn: true });
                    }
                }
                let params: Vec<u8> = pairs.iter().flat_map(|(name, value)| pair(name, value)).collect();
                bytes.extend(stream(PARAMS, *id, &params, *params_size));
                bytes.extend(record(PARAMS, *id, b""));
                if *role == Role::Responder {
                    bytes.extend(stream(STDIN, *id, &vec![0; *stdin], 1000));
                    bytes.extend(record(STDIN, *id, b""));
                }
                let head =
                    Head { id: *id, role: *role, keep_conn: *keep_conn, params: ParamsState::Complete };
                said.push(Said::Request { head, params: pairs.clone() });
            }
            Self::AskValues => {
                bytes.extend(record(GET_VALUES, 0, &pair(b"FCGI_MPXS_CONNS", b"")));
                said.push(Said::Answer { bytes: values(&[("FCGI_MPXS_CONNS", "0")]), keep_conn: true });
            }
            Self::AskUnknown(kind) => {
                bytes.extend(padded(*kind, 0, b"abc", 5));
                said.push(Said::Answer { bytes: unknown_type(*kind), keep_conn: true });
            }
            Self::Stray(kind, id) => bytes.extend(record(*kind, *id, b"stray")),
            Self::Aborted { id, keep_conn } => {
                bytes.extend(begin(*id, RESPONDER, u8::from(*keep_conn)));
                bytes.extend(record(PARAMS, *id, &pair(b"GONE", b"1")));
                bytes.extend(record(ABORT, *id, b""));
                let bytes = end_request(*id, REQUEST_COMPLETE);
                said.push(Said::Answer { bytes, keep_conn: *keep_conn });
            }
            Self::Filter { id } => {
                bytes.extend(begin(*id, FILTER, 1));
                bytes.extend(record(PARAMS, *id, b""));
                said.push(Said::Answer { bytes: end_request(*id, UNKNOWN_ROLE), keep_conn: true });
            }
        }
    }
}

fn any_act() -> impl Strategy<Value = Act> {
    let id = 1..=u16::MAX;
    let between = prop_oneof![
        3 => Just(Between::Nothing),
        1 => (12..=255_u8).prop_map(Between::AskUnknown),
        1 => Just(Between::SecondRequest),
    ];
    let pairs = vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..300)), 0..12);
    let role = prop_oneof![Just(Role::Responder), Just(Role::Authorizer)];
    let whole = (id.clone(), role, any::<bool>(), pairs, 1..2_000_usize, 0..3_000_usize, between).prop_map(
        |(id, role, keep_conn, pairs, params_size, stdin, between)| Act::Request {
            id,
            role,
            keep_conn,
            pairs,
            params_size,
            stdin,
            between,
        },
    );
    prop_oneof![
        4 => whole,
        1 => Just(Act::AskValues),
        1 => (10..=255_u8).prop_map(Act::AskUnknown),
        1 => (2..=255_u8, id.clone()).prop_map(|(kind, id)| Act::Stray(kind, id)),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, keep_conn)| Act::Aborted { id, keep_conn }),
        1 => id.prop_map(|id| Act::Filter { id }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutting_changes_nothing(
        records in vec(any_record(), 0..25),
        changes in prop_oneof![2 => Just(Vec::new()), 1 => vec(any::<(usize, u8, u8)>(), 1..4)],
        sizes in sizes(),
    ) {
        let bytes = mutated(records.concat(), changes);
        prop_assert_eq!(converse(cut(&bytes, &sizes)), converse([bytes.as_slice()]));
    }

    #[test]
    fn cutting_noise_changes_nothing(bytes in vec(any::<u8>(), 0..300), sizes in sizes()) {
        let mut bytes = bytes;
        for version in bytes.iter_mut().step_by(8) {
            *version = 1;
        }
        prop_assert_eq!(converse(cut(&bytes, &sizes)), converse([bytes.as_slice()]));
    }

    #[test]
    fn a_peer_that_keeps_to_the_protocol_is_understood(acts in vec(any_act(), 0..8), sizes in sizes()) {
        let (mut bytes, mut said) = (Vec::new(), Vec::new());
        for act in &acts {
            act.play(&mut bytes, &mut said);
        }
        prop_assert_eq!(converse(cut(&bytes, &sizes)), Conversation { said, idle: true });
    }
}
