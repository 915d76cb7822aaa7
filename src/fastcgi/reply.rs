//! Turns replies into records for the web server: STDOUT, `END_REQUEST`, and the answers to management
//! records.

use super::params::{Malformed, Params};
use super::record::{
    END_REQUEST, GET_VALUES_RESULT, HEADER_LEN, Header, NULL_ID, ProtocolStatus, RECORD_CONTENT_MAX, STDOUT,
    UNKNOWN_TYPE,
};

/// The reply that replaces an empty header block. Every server treats a reply without a status as a 200,
/// which is an allow for an access check (lighttpd's authorizer even grants on an empty STDOUT), so an empty
/// block must become a refusal.
const EMPTY_IS_REFUSED: &[u8] = b"Status: 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// Appends a whole reply to `out`: `header_block` (with its closing empty line) and `body` as STDOUT records,
/// the end of STDOUT, `END_REQUEST`. One buffer lets the caller send it in one write. The format is the same
/// for both roles (FastCGI 1.0 §6.2, §6.3).
///
/// An empty `header_block` is a defect of the caller. It becomes a 503 without body, never an implicit 200.
pub fn encode_reply(id: u16, header_block: &[u8], body: &[u8], out: &mut Vec<u8>) {
    let (head, body) =
        if header_block.is_empty() { (EMPTY_IS_REFUSED, &[][..]) } else { (header_block, body) };
    let len = head.len() + body.len();
    // Space for the headers of all STDOUT records and the 24 bytes of `encode_end`.
    out.reserve(len + (len.div_ceil(RECORD_CONTENT_MAX) + 4) * HEADER_LEN);

    // Nearly every reply fits in one record.
    if len <= RECORD_CONTENT_MAX {
        out.extend_from_slice(&stdout_header(id, len as u16));
        out.extend_from_slice(head);
        out.extend_from_slice(body);
    } else {
        encode_stdout(id, head, out);
        encode_stdout(id, body, out);
    }
    encode_end(id, out);
}

/// Appends `data` as STDOUT records. Appends nothing if `data` is empty, because an empty record would end
/// the stream.
pub fn encode_stdout(id: u16, data: &[u8], out: &mut Vec<u8>) {
    for content in data.chunks(RECORD_CONTENT_MAX) {
        out.extend_from_slice(&stdout_header(id, content.len() as u16));
        out.extend_from_slice(content);
    }
}

/// Returns the header of a STDOUT record of `len` bytes, for a caller that sends a body in pieces of its own.
/// Do not pass 0: an empty record ends the stream, which is [`encode_end`]'s task.
pub fn stdout_header(id: u16, len: u16) -> [u8; HEADER_LEN] {
    Header::new(STDOUT, id, len).to_bytes()
}

/// Appends the end of a reply: the empty STDOUT record and `END_REQUEST` (FastCGI 1.0 §5.3, §5.5).
pub fn encode_end(id: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&stdout_header(id, 0));
    encode_end_request(id, ProtocolStatus::RequestComplete, out);
}

/// Appends `END_REQUEST` alone, with application status 0: the whole answer to a request that was not carried
/// out.
pub(super) fn encode_end_request(id: u16, status: ProtocolStatus, out: &mut Vec<u8>) {
    out.extend_from_slice(&Header::new(END_REQUEST, id, 8).to_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, status as u8, 0, 0, 0]);
}

/// Appends `FCGI_UNKNOWN_TYPE` for a management record of type `kind` (FastCGI 1.0 §4.2).
pub(super) fn encode_unknown_type(kind: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&Header::new(UNKNOWN_TYPE, NULL_ID, 8).to_bytes());
    out.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
}

/// Appends `GET_VALUES_RESULT` for the names in `query`, the content of a `GET_VALUES` record (FastCGI 1.0
/// §4.1). Leaves unknown names out, and answers each known name once even if it is repeated.
///
/// # Errors
/// [`Malformed`] if `query` does not divide into pairs; `out` is then unchanged.
pub(super) fn encode_values(query: &[u8], max_connections: u32, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let query = Params::parse(query)?;
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    for (name, value) in
        [("FCGI_MAX_CONNS", max_connections), ("FCGI_MAX_REQS", max_connections), ("FCGI_MPXS_CONNS", 0)]
    {
        if query.last(name.as_bytes()).is_some() {
            encode_number(name, value, out);
        }
    }
    let len = out.len() - start - HEADER_LEN;
    out[start..start + HEADER_LEN]
        .copy_from_slice(&Header::new(GET_VALUES_RESULT, NULL_ID, len as u16).to_bytes());
    Ok(())
}

/// Appends one pair with a decimal value. Both lengths are below 128, so each takes one byte.
fn encode_number(name: &str, value: u32, out: &mut Vec<u8>) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&[name.len() as u8, (digits.len() - at) as u8]);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reply in FastCGI 1.0 appendix B.
    #[test]
    fn a_reply_is_stdout_its_end_and_end_request() {
        let mut out = b"kept".to_vec();
        encode_reply(0x0102, b"Status: 200 OK\r\n\r\n", b"ok", &mut out);
        let expected: &[&[u8]] = &[
            b"kept",
            &[1, 6, 1, 2, 0, 20, 0, 0],
            b"Status: 200 OK\r\n\r\nok",
            &[1, 6, 1, 2, 0, 0, 0, 0],
            &[1, 3, 1, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(out, expected.concat());
    }

    /// Returns the content lengths of the STDOUT records in `bytes`, and their joined content.
    fn stdout_of(mut bytes: &[u8]) -> (Vec<usize>, Vec<u8>) {
        let (mut lengths, mut content) = (Vec::new(), Vec::new());
        while let Some((header, rest)) = bytes.split_first_chunk() {
            let header = Header::from_bytes(*header);
            let (own, rest) = rest.split_at(usize::from(header.content_len));
            if header.kind == STDOUT {
                lengths.push(own.len());
                content.extend_from_slice(own);
            } else {
                assert_eq!((header.kind, own, rest), (END_REQUEST, &[0; 8][..], &[][..]));
            }
            bytes = rest;
        }
        (lengths, content)
    }

    #[test]
    fn a_record_holds_no_more_than_65535_bytes() {
        let rows: [(usize, usize, &[usize]); 7] = [
            (20, 0, &[20, 0]),
            (20, 65_515, &[65_535, 0]),
            (20, 65_516, &[20, 65_516, 0]),
            (65_535, 0, &[65_535, 0]),
            (65_536, 0, &[65_535, 1, 0]),
            (65_535, 65_535, &[65_535, 65_535, 0]),
            (20, 200_000, &[20, 65_535, 65_535, 65_535, 3_395, 0]),
        ];
        for (head_len, body_len, records) in rows {
            let (head, body) = (vec![b'h'; head_len], vec![b'b'; body_len]);
            let mut out = Vec::new();
            encode_reply(7, &head, &body, &mut out);
            let (lengths, content) = stdout_of(&out);
            assert_eq!(lengths, records, "{head_len} + {body_len}");
            assert_eq!(content, [head, body].concat());
        }
    }

    /// lighttpd's authorizer grants on an empty STDOUT, and every server treats a missing status as 200.
    #[test]
    fn an_empty_header_block_refuses() {
        for body in [&b""[..], b"body"] {
            let mut out = Vec::new();
            encode_reply(1, b"", body, &mut out);
            let (lengths, content) = stdout_of(&out);
            assert_eq!(content, EMPTY_IS_REFUSED);
            assert_eq!(lengths, [EMPTY_IS_REFUSED.len(), 0]);
        }
    }

    #[test]
    fn pieces_make_the_same_reply_as_a_whole() {
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        let (head, body) = (b"Status: 200 OK\r\n\r\n", vec![7; 70_000]);
        encode_reply(9, head, &body, &mut whole);
        encode_stdout(9, head, &mut pieces);
        encode_stdout(9, b"", &mut pieces);
        encode_stdout(9, &body, &mut pieces);
        encode_end(9, &mut pieces);
        assert_eq!(whole, pieces);
    }

    #[test]
    fn get_values_answers_the_known_names_once() {
        let rows: [(&[u8], u32, &[u8]); 6] = [
            (b"\x0e\0FCGI_MAX_CONNS", 200, b"\x01\x0a\0\0\0\x13\0\0\x0e\x03FCGI_MAX_CONNS200"),
            (b"\x0d\0FCGI_MAX_REQS", 0, b"\x01\x0a\0\0\0\x10\0\0\x0d\x01FCGI_MAX_REQS0"),
            (
                b"\x0f\0FCGI_MPXS_CONNS\x0e\0FCGI_MAX_CONNS\x0f\x01FCGI_MPXS_CONNS1",
                u32::MAX,
                b"\x01\x0a\0\0\0\x2c\0\0\x0e\x0aFCGI_MAX_CONNS4294967295\x0f\x01FCGI_MPXS_CONNS0",
            ),
            (b"", 1, b"\x01\x0a\0\0\0\0\0\0"),
            (b"\x0e\0fcgi_max_conns", 1, b"\x01\x0a\0\0\0\0\0\0"),
            (b"\x04\0PATH", 1, b"\x01\x0a\0\0\0\0\0\0"),
        ];
        for (query, max_connections, expected) in rows {
            let mut out = Vec::new();
            assert_eq!(encode_values(query, max_connections, &mut out), Ok(()));
            assert_eq!(out, expected, "{:?}", query.escape_ascii().to_string());
        }
        let mut out = Vec::new();
        assert_eq!(encode_values(b"\x0e\0FCGI_MAX", 1, &mut out), Err(Malformed));
        assert_eq!(out, b"");
    }
}
