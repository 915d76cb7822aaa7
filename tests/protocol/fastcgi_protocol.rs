//! The rules of the FastCGI room, one row each: what a peer sends, what it is told, what the gate gets to
//! see.

use crate::webserver::*;
use piwigo_gate::fastcgi::{Decoder, Event, Head, ParamsState, Role, Violation};

fn answer(bytes: Vec<u8>, keep_conn: bool) -> Said {
    Said::Answer { bytes, keep_conn }
}

fn asked(id: u16, role: Role, keep_conn: bool, params: ParamsState, pairs: &[(&[u8], &[u8])]) -> Said {
    let params_owned = pairs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    Said::Request { head: Head { id, role, keep_conn, params }, params: params_owned }
}

/// What [`request`] with flags 1 comes out as.
fn responder(id: u16, name: &[u8], value: &[u8]) -> Said {
    asked(id, Role::Responder, true, ParamsState::Complete, &[(name, value)])
}

/// A rule: its name, what the peer sends, all that the decoder says, and whether it then rests between
/// requests.
type Row = (&'static str, Vec<Vec<u8>>, Vec<Said>, bool);

/// Every row is passed whole, byte by byte, and record by record.
fn check(rows: Vec<Row>) {
    for (rule, records, said, idle) in rows {
        let expected = Conversation { said, idle };
        let bytes = records.concat();
        assert_eq!(converse([bytes.as_slice()]), expected, "{rule}");
        assert_eq!(converse(bytes.chunks(1)), expected, "{rule} (byte by byte)");
        assert_eq!(converse(records.iter().map(Vec::as_slice)), expected, "{rule} (record by record)");
    }
}

#[test]
fn roles() {
    let pair_a = pair(b"A", b"1");
    check(vec![
        (
            "a responder's request ends with STDIN",
            vec![request(1, 1, b"A", b"1")],
            vec![responder(1, b"A", b"1")],
            true,
        ),
        (
            "a responder's request without the end of STDIN is not whole",
            vec![
                begin(1, RESPONDER, 1),
                record(PARAMS, 1, &pair_a),
                record(PARAMS, 1, b""),
                record(STDIN, 1, b"x"),
            ],
            vec![],
            false,
        ),
        (
            "an authorizer's request ends with PARAMS",
            vec![begin(9, AUTHORIZER, 1), record(PARAMS, 9, &pair_a), record(PARAMS, 9, b"")],
            vec![asked(9, Role::Authorizer, true, ParamsState::Complete, &[(b"A", b"1")])],
            true,
        ),
        (
            "an authorizer's request without parameters is a request",
            vec![begin(9, AUTHORIZER, 0), record(PARAMS, 9, b"")],
            vec![asked(9, Role::Authorizer, false, ParamsState::Complete, &[])],
            true,
        ),
        (
            "an empty STDIN after an authorizer's request belongs to no request",
            vec![
                begin(9, AUTHORIZER, 1),
                record(PARAMS, 9, b""),
                record(STDIN, 9, b""),
                request(9, 1, b"A", b"1"),
            ],
            vec![asked(9, Role::Authorizer, true, ParamsState::Complete, &[]), responder(9, b"A", b"1")],
            true,
        ),
        (
            "a filter is refused, its records are ignored, the connection goes on",
            vec![
                begin(2, FILTER, 1),
                record(PARAMS, 2, &pair_a),
                record(PARAMS, 2, b""),
                record(STDIN, 2, b""),
                record(DATA, 2, b"file"),
                record(DATA, 2, b""),
                request(3, 1, b"B", b"2"),
            ],
            vec![answer(end_request(2, UNKNOWN_ROLE), true), responder(3, b"B", b"2")],
            true,
        ),
        (
            "an unknown role on a connection that is not kept ends the connection",
            vec![begin(0x0203, 0x0101, 0)],
            vec![answer(end_request(0x0203, UNKNOWN_ROLE), false)],
            true,
        ),
        ("role 0 is unknown", vec![begin(1, 0, 1)], vec![answer(end_request(1, UNKNOWN_ROLE), true)], true),
    ]);
}

#[test]
fn keep_conn_is_the_lowest_flag() {
    for (flags, keep_conn) in [(0, false), (1, true), (0xfe, false), (0xff, true)] {
        let expected = asked(5, Role::Responder, keep_conn, ParamsState::Complete, &[(b"A", b"1")]);
        let rule = "the event says what BEGIN_REQUEST said";
        check(vec![(rule, vec![request(5, flags, b"A", b"1")], vec![expected], true)]);
    }
}

#[test]
fn parameters_may_be_cut_anywhere() {
    let value = [b'v'; 200];
    let pairs = [pair(b"HTTP_COOKIE", &value), pair(b"", b""), pair(&[b'n'; 130], b"x")].concat();
    for size in 1..=pairs.len() {
        check(vec![(
            "pairs may span records",
            vec![
                begin(1, RESPONDER, 1),
                stream(PARAMS, 1, &pairs, size),
                record(PARAMS, 1, b""),
                record(STDIN, 1, b""),
            ],
            vec![asked(
                1,
                Role::Responder,
                true,
                ParamsState::Complete,
                &[(b"HTTP_COOKIE", &value), (b"", b""), (&[b'n'; 130], b"x")],
            )],
            true,
        )]);
    }
}

#[test]
fn streams() {
    let pair_a = pair(b"A", b"1");
    check(vec![
        (
            "padding is skipped, in any record",
            vec![
                padded(BEGIN, 1, &[0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff], 255),
                padded(PARAMS, 1, &pair_a, 7),
                padded(PARAMS, 1, b"", 8),
                padded(STDIN, 1, b"body", 1),
                padded(STDIN, 1, b"", 255),
            ],
            vec![responder(1, b"A", b"1")],
            true,
        ),
        (
            "a request is whole when its last record is, padding included",
            vec![begin(1, AUTHORIZER, 1), padded(PARAMS, 1, b"", 8)[..15].to_vec()],
            vec![],
            false,
        ),
        (
            "STDIN may come before PARAMS has ended",
            vec![
                begin(1, RESPONDER, 1),
                record(STDIN, 1, b"x"),
                record(PARAMS, 1, &pair_a),
                record(STDIN, 1, b""),
                record(PARAMS, 1, b""),
            ],
            vec![responder(1, b"A", b"1")],
            true,
        ),
        (
            "PARAMS does not go on after its end",
            vec![begin(7, RESPONDER, 1), record(PARAMS, 7, b""), record(PARAMS, 7, &pair_a)[..8].to_vec()],
            vec![Said::Close(Violation::AfterEnd(7))],
            false,
        ),
        (
            "PARAMS does not end twice",
            vec![begin(7, RESPONDER, 1), record(PARAMS, 7, b""), record(PARAMS, 7, b"")],
            vec![Said::Close(Violation::AfterEnd(7))],
            false,
        ),
        (
            "STDIN does not go on after its end",
            vec![begin(7, RESPONDER, 1), record(STDIN, 7, b""), record(STDIN, 7, b"x")[..8].to_vec()],
            vec![Said::Close(Violation::AfterEnd(7))],
            false,
        ),
        (
            "requests that were sent without waiting are read one after another",
            vec![request(1, 1, b"A", b"1"), request(1, 1, b"B", b"2"), request(0xffff, 1, b"C", b"3")],
            vec![responder(1, b"A", b"1"), responder(1, b"B", b"2"), responder(0xffff, b"C", b"3")],
            true,
        ),
    ]);
}

#[test]
fn malformed_parameters_are_told_and_not_shown() {
    for pairs in [&[5, 1, b'A'][..], &[1, 1, b'A', b'1', 0xff], &[0xff; 8]] {
        check(vec![(
            "a length beyond the end",
            vec![
                begin(1, RESPONDER, 1),
                record(PARAMS, 1, pairs),
                record(PARAMS, 1, b""),
                record(STDIN, 1, b""),
                request(1, 1, b"A", b"1"),
            ],
            vec![asked(1, Role::Responder, true, ParamsState::Malformed, &[]), responder(1, b"A", b"1")],
            true,
        )]);
    }
}

#[test]
fn management() {
    let all =
        [pair(b"FCGI_MAX_CONNS", b""), pair(b"FCGI_MAX_REQS", b""), pair(b"FCGI_MPXS_CONNS", b"")].concat();
    let everything = values(&[("FCGI_MAX_CONNS", "150"), ("FCGI_MAX_REQS", "150"), ("FCGI_MPXS_CONNS", "0")]);
    let mpxs = [pair(b"FCGI_MPXS_CONNS", b""), pair(b"FCGI_COLOUR", b"")].concat();
    let half = request(4, 1, b"A", b"1");
    let (first, second) = half.split_at(16);
    check(vec![
        (
            "GET_VALUES tells the known names",
            vec![record(GET_VALUES, 0, &all)],
            vec![answer(everything.clone(), true)],
            true,
        ),
        (
            "GET_VALUES leaves unknown names out",
            vec![padded(GET_VALUES, 0, &mpxs, 3)],
            vec![answer(values(&[("FCGI_MPXS_CONNS", "0")]), true)],
            true,
        ),
        (
            "GET_VALUES for nothing gets nothing",
            vec![record(GET_VALUES, 0, b"")],
            vec![answer(values(&[]), true)],
            true,
        ),
        (
            "GET_VALUES asked twice for a name answers once",
            vec![record(GET_VALUES, 0, &[all.clone(), all.clone(), all.clone()].concat())],
            vec![answer(everything.clone(), true)],
            true,
        ),
        (
            "GET_VALUES may come within a request, of which it is no part",
            vec![first.to_vec(), record(GET_VALUES, 0, &all), second.to_vec()],
            vec![answer(everything, true), responder(4, b"A", b"1")],
            true,
        ),
        (
            "GET_VALUES of 512 bytes is read",
            vec![record(GET_VALUES, 0, &pair(&[b'n'; 507], b""))],
            vec![answer(values(&[]), true)],
            true,
        ),
        (
            "GET_VALUES of any length is answered, also within a request",
            vec![
                record(GET_VALUES, 0, &[pair(&[b'n'; 508], b""), mpxs.clone()].concat()),
                first.to_vec(),
                record(GET_VALUES, 0, &[mpxs.clone(), pair(&[b'n'; 65_000], b"v")].concat()),
                second.to_vec(),
            ],
            vec![
                answer(values(&[("FCGI_MPXS_CONNS", "0")]), true),
                answer(values(&[("FCGI_MPXS_CONNS", "0")]), true),
                responder(4, b"A", b"1"),
            ],
            true,
        ),
        (
            "GET_VALUES with malformed pairs ends the connection",
            vec![record(GET_VALUES, 0, &[14, 0, b'F'])],
            vec![Said::Close(Violation::GetValuesMalformed)],
            false,
        ),
        (
            "an unknown management type is named, whatever it carries",
            vec![padded(200, 0, &[0xaa; 3000], 5), record(12, 0, b""), record(0, 0, b"")],
            vec![
                answer(unknown_type(200), true),
                answer(unknown_type(12), true),
                answer(unknown_type(0), true),
            ],
            true,
        ),
        (
            "a record of a request needs a request's id",
            vec![record(PARAMS, 0, b"abc"), record(STDIN, 0, b""), record(ABORT, 0, b"")],
            vec![
                answer(unknown_type(PARAMS), true),
                answer(unknown_type(STDIN), true),
                answer(unknown_type(ABORT), true),
            ],
            true,
        ),
        (
            "a type that means nothing here is ignored, within a request and outside",
            vec![
                record(200, 4, b"x"),
                first.to_vec(),
                record(DATA, 4, b"x"),
                record(3, 4, &[0; 8]),
                record(6, 4, b"x"),
                record(GET_VALUES, 4, &all),
                record(0, 4, b""),
                record(255, 4, b"x"),
                second.to_vec(),
            ],
            vec![responder(4, b"A", b"1")],
            true,
        ),
    ]);
}

#[test]
fn aborts() {
    let pair_a = pair(b"A", b"1");
    let done = |id| answer(end_request(id, REQUEST_COMPLETE), true);
    check(vec![
        (
            "an aborted request ends, and the connection goes on",
            vec![
                begin(6, RESPONDER, 1),
                record(PARAMS, 6, &pair_a),
                record(ABORT, 6, b""),
                request(6, 1, b"B", b"2"),
            ],
            vec![done(6), responder(6, b"B", b"2")],
            true,
        ),
        (
            "an aborted request ends, and so does a connection that is not kept",
            vec![begin(6, RESPONDER, 0), record(ABORT, 6, b"")],
            vec![answer(end_request(6, REQUEST_COMPLETE), false)],
            true,
        ),
        (
            "a request that only waits for STDIN can be aborted",
            vec![
                begin(6, RESPONDER, 1),
                record(PARAMS, 6, b""),
                record(STDIN, 6, b"x"),
                padded(ABORT, 6, b"why", 2),
            ],
            vec![done(6)],
            true,
        ),
        (
            "what follows of an aborted request is ignored",
            vec![
                begin(6, RESPONDER, 1),
                record(ABORT, 6, b""),
                record(PARAMS, 6, &pair_a),
                record(STDIN, 6, b""),
            ],
            vec![done(6)],
            true,
        ),
        (
            "an abort of no request is ignored",
            vec![
                record(ABORT, 6, b""),
                begin(6, RESPONDER, 1),
                record(ABORT, 7, b""),
                record(PARAMS, 6, b""),
                record(STDIN, 6, b""),
                record(ABORT, 6, b""),
            ],
            vec![asked(6, Role::Responder, true, ParamsState::Complete, &[])],
            true,
        ),
    ]);
}

#[test]
fn one_request_at_a_time() {
    let pair_a = pair(b"A", b"1");
    check(vec![
        (
            "a second request is refused, the first goes on undisturbed, whatever the second one's flags say",
            vec![
                begin(1, RESPONDER, 1),
                record(PARAMS, 1, &pair_a[..2]),
                begin(2, RESPONDER, 0),
                record(PARAMS, 2, &pair(b"EVIL", b"1")),
                record(PARAMS, 1, &pair_a[2..]),
                record(PARAMS, 2, b""),
                record(STDIN, 2, b""),
                record(PARAMS, 1, b""),
                begin(2, FILTER, 1),
                record(ABORT, 2, b""),
                record(STDIN, 1, b""),
            ],
            vec![
                answer(end_request(2, CANT_MPX_CONN), true),
                answer(end_request(2, CANT_MPX_CONN), true),
                responder(1, b"A", b"1"),
            ],
            true,
        ),
        (
            "a refused id may be used once the first request is over",
            vec![
                begin(1, AUTHORIZER, 1),
                begin(2, RESPONDER, 1),
                record(PARAMS, 1, b""),
                request(2, 1, b"B", b"2"),
            ],
            vec![
                answer(end_request(2, CANT_MPX_CONN), true),
                asked(1, Role::Authorizer, true, ParamsState::Complete, &[]),
                responder(2, b"B", b"2"),
            ],
            true,
        ),
        (
            "a request does not begin twice",
            vec![begin(1, RESPONDER, 1), begin(1, RESPONDER, 1)[..8].to_vec()],
            vec![Said::Close(Violation::BegunTwice(1))],
            false,
        ),
        (
            "records of unknown requests are ignored",
            vec![
                record(PARAMS, 3, &pair_a),
                record(STDIN, 0xffff, b"x"),
                request(1, 1, b"A", b"1"),
                record(PARAMS, 1, &pair_a),
                record(STDIN, 1, b"late"),
                request(1, 1, b"B", b"2"),
            ],
            vec![responder(1, b"A", b"1"), responder(1, b"B", b"2")],
            true,
        ),
    ]);
}

#[test]
fn violations_close_the_connection() {
    let rows: [(&str, Vec<u8>, Violation); 9] = [
        ("version 0", vec![0, 1, 0, 1, 0, 8, 0, 0], Violation::Version(0)),
        ("version 2", vec![2, 1, 0, 1, 0, 8, 0, 0], Violation::Version(2)),
        ("HTTP", b"GET / HT".to_vec(), Violation::Version(b'G')),
        ("TLS", vec![22, 3, 1, 2, 0, 1, 0, 1], Violation::Version(22)),
        ("BEGIN_REQUEST of 0 bytes", record(BEGIN, 1, b""), Violation::BeginLength(0)),
        ("BEGIN_REQUEST of 7 bytes", record(BEGIN, 1, &[0; 7])[..8].to_vec(), Violation::BeginLength(7)),
        ("BEGIN_REQUEST of 9 bytes", record(BEGIN, 1, &[0; 9])[..8].to_vec(), Violation::BeginLength(9)),
        (
            "BEGIN_REQUEST of 65535 bytes",
            record(BEGIN, 1, &vec![0; 65_535])[..8].to_vec(),
            Violation::BeginLength(65_535),
        ),
        ("BEGIN_REQUEST with id 0", begin(0, RESPONDER, 1)[..8].to_vec(), Violation::BeginWithoutId),
    ];
    for (rule, bytes, violation) in rows {
        // On a new connection, and within a request on a used one.
        check(vec![(rule, vec![bytes.clone()], vec![Said::Close(violation)], false)]);
        let used = vec![request(8, 1, b"A", b"1"), begin(8, RESPONDER, 1), bytes];
        check(vec![(rule, used, vec![responder(8, b"A", b"1"), Said::Close(violation)], false)]);
    }
}

/// Parameters of exactly `len` bytes: one pair with a long name and a long value.
fn params_of(len: usize) -> Vec<u8> {
    let bytes = pair(&[b'n'; 200], &vec![b'v'; len - 208]);
    assert_eq!(bytes.len(), len);
    bytes
}

/// The events of a responder request with these streams (and a small request after it), read in pieces of
/// 10,000.
fn with_streams(params: &[u8], stdin: &[u8]) -> Vec<Said> {
    let bytes = [
        begin(1, RESPONDER, 1),
        stream(PARAMS, 1, params, 60_000),
        record(PARAMS, 1, b""),
        stream(STDIN, 1, stdin, 65_535),
        record(STDIN, 1, b""),
        request(2, 1, b"A", b"1"),
    ]
    .concat();
    converse(bytes.chunks(10_000)).said
}

#[test]
fn limits_are_where_they_are_said_to_be() {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    let whole = |len: usize| {
        let value = vec![b'v'; len - 208];
        vec![
            asked(1, Role::Responder, true, ParamsState::Complete, &[(&[b'n'; 200], &value)]),
            responder(2, b"A", b"1"),
        ]
    };
    let too_large =
        || vec![asked(1, Role::Responder, true, ParamsState::TooLarge, &[]), responder(2, b"A", b"1")];
    let rows = [
        ("parameters of 64 KiB", 64 * KIB, 0, whole(64 * KIB)),
        ("parameters of 64 KiB and a byte", 64 * KIB + 1, 0, too_large()),
        ("parameters of 1 MiB", MIB, 0, too_large()),
        ("parameters of 1 MiB and a byte", MIB + 1, 0, vec![Said::Close(Violation::ParamsEndless)]),
        ("a body of 1 MiB", 400, MIB, whole(400)),
        ("a body of 1 MiB and a byte", 400, MIB + 1, vec![Said::Close(Violation::StdinTooLarge)]),
        ("both", MIB, MIB, too_large()),
    ];
    for (rule, params, stdin, expected) in rows {
        assert!(with_streams(&params_of(params), &vec![0; stdin]) == expected, "{rule}");
    }
}

/// The limits are those of a request: a kept connection is not closed for what its earlier requests brought.
#[test]
fn limits_begin_anew_with_each_request() {
    let bytes = [
        begin(1, RESPONDER, 1),
        stream(PARAMS, 1, &params_of(900_000), 65_535),
        record(PARAMS, 1, b""),
        stream(STDIN, 1, &vec![0; 900_000], 65_535),
        record(STDIN, 1, b""),
    ]
    .concat();
    let said = converse([bytes.as_slice(), &bytes, &request(1, 1, b"A", b"1")]).said;
    let too_large = asked(1, Role::Responder, true, ParamsState::TooLarge, &[]);
    assert_eq!(said, [too_large.clone(), too_large, responder(1, b"A", b"1")]);
}

/// Bytes behind a request are for the time after its reply: they stay with the caller.
#[test]
fn reading_stops_at_the_end_of_a_request() {
    let first = request(1, 1, b"A", b"1");
    let bytes = [first.clone(), request(2, 1, b"B", b"2")].concat();
    let mut decoder = Decoder::new(MAX_CONNECTIONS);
    let (consumed, event) = decoder.decode(&bytes, &mut Vec::new());
    assert_eq!(consumed, first.len());
    assert!(matches!(event, Event::Request(head) if head.id == 1));
    assert_eq!(decoder.params().last(b"A"), Some(&b"1"[..]));
    assert_eq!(decoder.params().last(b"B"), None);
    let (consumed, event) = decoder.decode(&bytes[first.len()..], &mut Vec::new());
    assert_eq!(consumed, bytes.len() - first.len());
    assert!(matches!(event, Event::Request(head) if head.id == 2));
    assert_eq!(decoder.params().last(b"A"), None);
}
