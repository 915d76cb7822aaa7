//! The record header and the constants of FastCGI 1.0 §3.3 and §8, under the specification's own names.

/// Length of a record header in bytes (FastCGI 1.0 §3.3).
pub const HEADER_LEN: usize = 8;

/// The largest content of one record in bytes: its length field has 16 bits (FastCGI 1.0 §3.3).
pub const RECORD_CONTENT_MAX: usize = u16::MAX as usize;

/// The only version of the protocol (`FCGI_VERSION_1`).
pub(super) const VERSION: u8 = 1;

/// The id of management records; a request never has it (`FCGI_NULL_REQUEST_ID`, FastCGI 1.0 §3.3).
pub(super) const NULL_ID: u16 = 0;

// Record types (FastCGI 1.0 §8). A receiver does not need DATA (8) and the types that only an application
// sends.
pub(super) const BEGIN_REQUEST: u8 = 1;
pub(super) const ABORT_REQUEST: u8 = 2;
pub(super) const END_REQUEST: u8 = 3;
pub(super) const PARAMS: u8 = 4;
pub(super) const STDIN: u8 = 5;
pub(super) const STDOUT: u8 = 6;
pub(super) const GET_VALUES: u8 = 9;
pub(super) const GET_VALUES_RESULT: u8 = 10;
pub(super) const UNKNOWN_TYPE: u8 = 11;

/// Flag of `BEGIN_REQUEST`: the application must not close the connection after its reply (FastCGI 1.0 §5.1).
pub(super) const KEEP_CONN: u8 = 1;

/// The role in which the web server calls the application (FastCGI 1.0 §6). The decoder refuses filters (role
/// 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Role 1: produces an answer, as a CGI program does (FastCGI 1.0 §6.2).
    Responder,
    /// Role 2: tells the server whether to continue with a request (FastCGI 1.0 §6.3). Such a request has no
    /// STDIN.
    Authorizer,
}

impl Role {
    /// Returns the role with this number in `BEGIN_REQUEST`; `None` if this application does not support it.
    pub(super) fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Responder),
            2 => Some(Self::Authorizer),
            _ => None,
        }
    }
}

/// The end of a request at the level of the protocol (FastCGI 1.0 §5.5). `FCGI_OVERLOADED` (2) is missing:
/// servers ignore it, so the gate reports an overload as a 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ProtocolStatus {
    /// `FCGI_REQUEST_COMPLETE`: the normal end.
    RequestComplete = 0,
    /// `FCGI_CANT_MPX_CONN`: a second request on a connection that takes one at a time.
    CantMultiplex = 1,
    /// `FCGI_UNKNOWN_ROLE`: this application does not support the role.
    UnknownRole = 3,
}

/// A record header (FastCGI 1.0 §3.3). The caller checks the version; the reserved byte is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) id: u16,
    pub(super) content_len: u16,
    pub(super) padding_len: u8,
}

impl Header {
    /// Builds the header of a record of this application: version 1, no padding (FastCGI 1.0 §3.3 makes
    /// padding optional).
    pub(super) fn new(kind: u8, id: u16, content_len: u16) -> Self {
        Self { version: VERSION, kind, id, content_len, padding_len: 0 }
    }

    pub(super) fn from_bytes(bytes: [u8; HEADER_LEN]) -> Self {
        let [version, kind, id1, id0, len1, len0, padding_len, _reserved] = bytes;
        Self {
            version,
            kind,
            id: u16::from_be_bytes([id1, id0]),
            content_len: u16::from_be_bytes([len1, len0]),
            padding_len,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [id1, id0] = self.id.to_be_bytes();
        let [len1, len0] = self.content_len.to_be_bytes();
        [self.version, self.kind, id1, id0, len1, len0, self.padding_len, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_the_specification_lays_it_out() {
        let bytes = [1, 4, 0x12, 0x34, 0xff, 0xfe, 7, 99];
        let header = Header { version: 1, kind: PARAMS, id: 0x1234, content_len: 0xfffe, padding_len: 7 };
        assert_eq!(Header::from_bytes(bytes), header);
        // The value of the reserved byte is not repeated.
        assert_eq!(header.to_bytes(), [1, 4, 0x12, 0x34, 0xff, 0xfe, 7, 0]);
    }

    #[test]
    fn only_responder_and_authorizer_are_played() {
        for (number, role) in [
            (0, None),
            (1, Some(Role::Responder)),
            (2, Some(Role::Authorizer)),
            (3, None),
            (0x0101, None),
            (u16::MAX, None),
        ] {
            assert_eq!(Role::from_number(number), role, "{number}");
        }
    }
}
