//! Piwigo's sessions: turns the visitor's cookie into the id of a row of the table `sessions`, and that row's
//! data into the id of the signed-in user and the state of the sign-in.

use std::net::Ipv4Addr;

use super::cookie::cookie_value;
use super::php::unserialize::{Keep, Reader, UnserializeError};
use super::php::value::PhpValue;

/// The capacity of the column `sessions.data`, a MEDIUMTEXT. Reading takes linear time and no memory.
const MAX_SESSION_BYTES: usize = 1 << 24;

/// Lengths of a session id. PHP makes ids of 22 to 256 characters, by default 26 or 32; the table's column
/// holds 50.
const SESSION_ID_LEN: std::ops::RangeInclusive<usize> = 16..=128;

/// Returns the session id in the cookie called `cookie_name` (Piwigo: `$conf['session_name']`); `None`
/// without such a cookie or if PHP could not have made the value.
pub fn session_id(cookie_header: &[u8], cookie_name: &str) -> Option<String> {
    let value = cookie_value(cookie_header, cookie_name)?;
    let is_id = SESSION_ID_LEN.contains(&value.len())
        && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b',' | b'-'));
    String::from_utf8(value.into_owned()).ok().filter(|_| is_id)
}

/// Returns the id of the session's row (Piwigo: `get_remote_addr_session_hash`). If `use_ip_address`
/// (`$conf['session_use_ip_address']`) is set, the first two octets of an IPv4 address precede the session
/// id.
///
/// An address with a colon gives no prefix. Nor does one without any dot, such as the path of a socket
/// (Piwigo: pull request 2463; without that change PHP 8 stops with an error, and PHP 7 continues without a
/// prefix). Any other address that is not IPv4 gives `None`. Compare the row's id byte for byte: the database
/// ignores trailing spaces.
pub fn session_row_id(use_ip_address: bool, address: BoundTo<'_>, session_id: &str) -> Option<String> {
    if !use_ip_address {
        return Some(session_id.to_owned());
    }
    let (text, address) = match address {
        BoundTo::RemoteAddr(text) if !text.contains('.') => return Some(session_id.to_owned()),
        BoundTo::RemoteAddr(text) => (text, text),
        BoundTo::ForwardedFor(text) => (text, text.split(',').next().unwrap_or_default()),
    };
    // Piwigo looks for a colon in the whole text, so one IPv6 address in a list is enough.
    if text.contains(':') {
        return Some(session_id.to_owned());
    }
    let [first, second, ..] = address.parse::<Ipv4Addr>().ok()?.octets();
    Some(format!("{first:02X}{second:02X}{session_id}"))
}

/// The address to which a session is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundTo<'a> {
    /// `REMOTE_ADDR` as PHP sees it.
    RemoteAddr(&'a str),
    /// The value of the header X-Forwarded-For. Its first address counts (Piwigo: pull request 2116).
    ForwardedFor(&'a str),
}

/// The sign-in that a session records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// The account whose password the visitor gave.
    pub user: Option<u32>,
    /// The second factor is still missing: Piwigo answers this session with its sign-in page.
    pub is_unfinished: bool,
}

/// The variable that Piwigo's plugin `two_factor` sets to `false` after the password and removes after the
/// code (Piwigo: `two_factor`, `tf_try_log_user` and `tf_init`).
const SECOND_FACTOR: &[u8] = b"tf_tries_validated";

/// The format of a session's variables: `session.serialize_handler` in php.ini.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    /// `name|value` pairs in a row: PHP's default.
    Php,
    /// One array of all variables.
    PhpSerialize,
    /// Each name follows a byte that holds its length.
    PhpBinary,
    /// The format of the extension igbinary, which the gate does not read.
    Igbinary,
}

/// The longest name with which `php_binary` data may begin. No variable's name begins with a byte below the
/// blank, so the data of PHP's other handlers is never mistaken for it.
const MAX_FIRST_NAME: u8 = 0x1f;

impl Handler {
    /// Tells from the first bytes which handler wrote `data`. It does not try the handlers in turn: a visitor
    /// who chooses the text of a variable could write text that another handler reads as a sign-in.
    fn of(data: &[u8]) -> Self {
        let is_array = data.strip_prefix(b"a:").is_some_and(|rest| {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && rest.get(digits..).is_some_and(|rest| rest.starts_with(b":{"))
        });
        match data {
            [0, 0, 0, 1 | 2, ..] => Handler::Igbinary,
            [1..=MAX_FIRST_NAME, ..] => Handler::PhpBinary,
            _ if is_array => Handler::PhpSerialize,
            _ => Handler::Php,
        }
    }
}

/// Reads `sessions.data` as PHP's handlers `php` (the default), `php_serialize` and `php_binary` write it.
/// The user is the last `pwg_uid`, if it is a positive integer or a string of digits with such a value. The
/// sign-in is unfinished if the variable of the second factor exists and is not `true`.
///
/// # Errors
/// Data that does not parse to its last byte, and data of another `session.serialize_handler`. As in PHP,
/// such a session signs nobody in.
pub fn sign_in(data: &[u8]) -> Result<SignIn, UnreadableSession> {
    if data.len() > MAX_SESSION_BYTES {
        return Err(UnreadableSession::Other);
    }
    let mut reader = Reader::new(data);
    let mut sign_in = SignIn::default();
    match Handler::of(data) {
        Handler::Igbinary => return Err(UnreadableSession::Igbinary),
        Handler::PhpSerialize => reader.array(|reader, name| sign_in.variable(reader, name))?,
        Handler::PhpBinary => {
            while let Some(byte) = reader.byte() {
                let name =
                    reader.bytes(usize::from(byte & !WITHOUT_VALUE)).ok_or(UnreadableSession::Other)?;
                if byte & WITHOUT_VALUE == 0 {
                    sign_in.variable(&mut reader, name)?;
                }
            }
        }
        Handler::Php => {
            let mut is_first = true;
            while !reader.at_end() {
                let name = reader.until(b'|').ok_or(UnreadableSession::Other)?;
                // A quotation mark before the `|` means that it stands in a text of another handler.
                if is_first && name.contains(&b'"') {
                    return Err(UnreadableSession::Other);
                }
                is_first = false;
                sign_in.variable(&mut reader, name)?;
            }
        }
    }
    if reader.at_end() { Ok(sign_in) } else { Err(UnreadableSession::Other) }
}

/// The bit of a name's length in `php_binary` data which says that no value follows.
const WITHOUT_VALUE: u8 = 0x80;

impl SignIn {
    /// Reads the value of the variable `name` and keeps it if it concerns the sign-in.
    fn variable(&mut self, reader: &mut Reader<'_>, name: &[u8]) -> Result<(), UnserializeError> {
        let is_wanted = name == b"pwg_uid" || name == SECOND_FACTOR;
        let value = reader.value(if is_wanted { Keep::All } else { Keep::Nothing })?;
        if name == b"pwg_uid" {
            self.user = positive(&value);
        } else if name == SECOND_FACTOR {
            // PHP writes a variable once. If it occurs twice, one `false` is enough.
            self.is_unfinished |= value != PhpValue::Bool(true);
        }
        Ok(())
    }
}

/// PHP's own handlers did not write the session's data. Its visitor counts as a guest. If this holds for
/// every session, the administrator must set `session.serialize_handler` of the gallery's PHP to `php`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableSession {
    /// The extension igbinary wrote the data.
    #[error(
        "session data is written by igbinary, which the gate does not read: set session.serialize_handler of the gallery's PHP \
         to `php`; visitors then have to sign in again"
    )]
    Igbinary,
    /// Another handler wrote the data, or it is damaged.
    #[error("session data not readable: is session.serialize_handler of the gallery's PHP set to `php`?")]
    Other,
}

impl From<UnserializeError> for UnreadableSession {
    fn from(_: UnserializeError) -> Self {
        UnreadableSession::Other
    }
}

fn positive(value: &PhpValue) -> Option<u32> {
    let id = match value {
        PhpValue::Int(id) => u32::try_from(*id).ok()?,
        PhpValue::Bytes(digits) if digits.iter().all(u8::is_ascii_digit) => value.as_str()?.parse().ok()?,
        _ => return None,
    };
    (id > 0).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_row_id_begins_with_two_octets_of_an_ipv4_address() {
        let table = [
            ("192.168.1.2", Some("C0A8")),
            ("10.0.0.5", Some("0A00")),
            ("127.0.0.1", Some("7F00")),
            ("1.2.3.4", Some("0102")),
            ("203.0.113.9", Some("CB00")),
            ("255.255.255.255", Some("FFFF")),
            ("::1", Some("")),
            ("2001:db8::1", Some("")),
            ("::ffff:1.2.3.4", Some("")),
            ("unix:", Some("")),
            ("/srv/mp/socket", Some("")),
            ("localhost", Some("")),
            ("/srv/mp.2/socket", None),
            ("1.2.3", None),
            ("1.2.3.4.5", None),
        ];
        for (addr, prefix) in table {
            let id = prefix.map(|prefix| format!("{prefix}jtovfh7e4j5ba84nc25hca04tj"));
            let addr = BoundTo::RemoteAddr(addr);
            assert_eq!(session_row_id(true, addr, "jtovfh7e4j5ba84nc25hca04tj"), id, "{addr:?}");
            assert_eq!(session_row_id(false, addr, "x").as_deref(), Some("x"), "{addr:?}");
        }
    }

    /// The addresses of Piwigo's pull request 2116.
    #[test]
    fn of_forwarded_addresses_the_first_counts() {
        let table = [
            ("192.168.1.2", Some("C0A8")),
            ("192.168.1.2, 10.0.0.5", Some("C0A8")),
            ("192.168.1.2,10.0.0.5,127.0.0.1", Some("C0A8")),
            ("2001:db8::1", Some("")),
            ("192.168.1.2, 2001:db8::1", Some("")),
            ("", None),
            ("unknown", None),
            ("unknown, 192.168.1.2", None),
            (", 192.168.1.2", None),
            ("192.168", None),
        ];
        for (text, prefix) in table {
            let id = prefix.map(|prefix| format!("{prefix}jtovfh7e4j5ba84nc25hca04tj"));
            let address = BoundTo::ForwardedFor(text);
            assert_eq!(session_row_id(true, address, "jtovfh7e4j5ba84nc25hca04tj"), id, "{text}");
            assert_eq!(session_row_id(false, address, "x").as_deref(), Some("x"), "{text}");
        }
    }

    #[test]
    fn a_session_id_is_16_to_128_letters_digits_commas_and_dashes() {
        let table = [
            ("pwg_id=jtovfh7e4j5ba84nc25hca04tj", Some("jtovfh7e4j5ba84nc25hca04tj")),
            ("a=b; pwg.id=%6Atovfh7e4j5ba84nc25hca04tj", Some("jtovfh7e4j5ba84nc25hca04tj")),
            ("pwg_id=ABCDEFGHabcdefgh,-09", Some("ABCDEFGHabcdefgh,-09")),
            ("pwg_id=123456789012345", None),
            ("pwg_id=", None),
            ("pwg_id=jtovfh7e4j5ba84nc25hca04tj%20", None),
            ("pwg_id=jtovfh7e4j5ba84nc25hca04tj ", None),
            ("pwg_id=jtovfh7e4j5ba84nc25hca04t'", None),
            ("pwg_id=jtovfh7e4j5ba84nc25hca04t%00", None),
            ("pwg_id=jtovfh7e4j5ba84nc25hca04té", None),
            ("pwg_id=bad; pwg_id=jtovfh7e4j5ba84nc25hca04tj", None),
            ("PHPSESSID=jtovfh7e4j5ba84nc25hca04tj", None),
        ];
        for (header, id) in table {
            assert_eq!(session_id(header.as_bytes(), "pwg_id").as_deref(), id, "{header}");
        }
        for (length, known) in [(128, true), (129, false)] {
            let header = format!("pwg_id={}", "a".repeat(length));
            assert_eq!(session_id(header.as_bytes(), "pwg_id").is_some(), known, "{length}");
        }
    }

    #[test]
    fn the_last_pwg_uid_of_well_formed_data_is_the_user() {
        let table = [
            ("", None),
            ("pwg_uid|i:1;", Some(1)),
            ("a|s:12:\"pwg_uid|i:1;\";pwg_uid|i:7;", Some(7)),
            ("a|s:12:\"pwg_uid|i:1;\";", None),
            ("pwg_filter_enabled|b:0;pwg_uid|i:42;pwg_x|a:2:{i:0;s:1:\"}\";s:1:\"k\";d:0.5;}", Some(42)),
            ("pwg_uid|i:1;pwg_uid|i:2;", Some(2)),
            ("pwg_uid|i:1;pwg_uid|N;", None),
            ("x|N;pwg_uid|s:1:\"5\";", Some(5)),
            ("n|s:4:\"Zoé\";pwg_uid|i:9;", Some(9)),
            ("o|O:8:\"stdClass\":1:{s:1:\"a\";i:1;}pwg_uid|i:6;", Some(6)),
            ("|i:3;pwg_uid|i:4;", Some(4)),
            ("pwg_uid|i:5;connected_with|s:6:\"pwg_ui\";", Some(5)),
            ("pwg_uid|i:0;", None),
            ("pwg_uid|i:-1;", None),
            ("pwg_uid|i:4294967296;", None),
            ("pwg_uid|b:1;", None),
            ("pwg_uid|d:5;", None),
            ("pwg_uid|s:0:\"\";", None),
            ("pwg_uid|s:2:\"5x\";", None),
            ("pwg_uid|s:2:\"+5\";", None),
            ("pwg_uid|s:1:\"0\";", None),
            ("pwg_uid|a:1:{i:0;i:5;}", None),
            ("PWG_UID|i:5;", None),
        ];
        for (data, user) in table {
            let expected = SignIn { user, is_unfinished: false };
            assert_eq!(sign_in(data.as_bytes()), Ok(expected), "{data}");
        }
    }

    #[test]
    fn a_second_factor_is_owed_until_its_variable_is_true_or_gone() {
        let table = [
            ("pwg_uid|i:3;", false),
            ("pwg_uid|i:3;tf_tries_validated|b:1;", false),
            // After the password: the plugin has written both variables, in this order.
            ("pwg_uid|i:3;connected_with|s:6:\"pwg_ui\";tf_tries_validated|b:0;tf_tries_left|i:3;", true),
            ("tf_tries_validated|b:0;pwg_uid|i:3;", true),
            ("pwg_uid|i:3;tf_tries_validated|b:0;pwg_tf_mail_codes|s:6:\"123456\";", true),
            ("pwg_uid|i:3;tf_tries_validated|N;", true),
            ("pwg_uid|i:3;tf_tries_validated|i:1;", true),
            ("pwg_uid|i:3;tf_tries_validated|i:0;", true),
            ("pwg_uid|i:3;tf_tries_validated|d:1;", true),
            ("pwg_uid|i:3;tf_tries_validated|s:1:\"1\";", true),
            ("pwg_uid|i:3;tf_tries_validated|s:4:\"true\";", true),
            ("pwg_uid|i:3;tf_tries_validated|a:0:{}", true),
            ("pwg_uid|i:3;tf_tries_validated|a:1:{i:0;b:1;}", true),
            ("pwg_uid|i:3;tf_tries_validated|O:8:\"stdClass\":0:{}", true),
            ("x|b:1;pwg_uid|i:3;tf_tries_validated|R:1;", true),
            ("pwg_uid|i:3;tf_tries_validated|b:0;tf_tries_validated|b:1;", true),
            ("pwg_uid|i:3;tf_tries_validated|b:1;tf_tries_validated|b:0;", true),
            // Other variables, and the name inside a value.
            ("pwg_uid|i:3;tf_tries_left|i:0;", false),
            ("pwg_uid|i:3;TF_TRIES_VALIDATED|b:0;", false),
            ("pwg_uid|i:3;xtf_tries_validated|b:0;", false),
            ("pwg_uid|i:3;x|s:23:\"tf_tries_validated|b:0;\";", false),
        ];
        for (data, is_unfinished) in table {
            let expected = SignIn { user: Some(3), is_unfinished };
            assert_eq!(sign_in(data.as_bytes()), Ok(expected), "{data}");
        }
        let nobody = SignIn { user: None, is_unfinished: true };
        assert_eq!(sign_in(b"tf_tries_validated|b:0;"), Ok(nobody));
    }

    #[test]
    fn an_error_anywhere_signs_nobody_in() {
        for data in [
            "pwg_uid|i:1",
            "junk",
            "pwg_uid|i:5;junk",
            "pwg_uid|i:5;junk|",
            "pwg_uid|i:5; ",
            "pwg_uid|i:5;\n",
            "pwg_uid|i:5;x|i:;",
            "pwg_uid|i:5;tf_tries_validated|b:2;",
            "pwg_uid|i:5;tf_tries_validated|b:0",
            "a:1:{s:7:\"pwg_uid\";i:1;",
            "a:1:{s:7:\"pwg_uid\";i:1;} ",
            "a:2:{s:7:\"pwg_uid\";i:1;}",
            "a:1:{s:7:\"pwg_uid\";i:1;}pwg_uid|i:1;",
            "\u{7}pwg_uidi:1",
            "\u{7}pwg_uid",
            "\u{7}pwg_ui",
            "\u{7}pwg_uidi:1;x",
            "\u{7}pwg_uidi:1;pwg_uid|i:1;",
        ] {
            assert_eq!(sign_in(data.as_bytes()), Err(UnreadableSession::Other), "{data}");
        }
    }

    /// The output of PHP 8.2 for these variables, by each handler.
    #[test]
    fn each_of_phps_own_handlers_is_read() {
        let table: [(&[u8], Option<u32>, bool); 11] = [
            (b"a:0:{}", None, false),
            (b"a:1:{s:7:\"pwg_uid\";i:1;}", Some(1), false),
            (b"a:2:{s:7:\"pwg_uid\";i:5;s:18:\"tf_tries_validated\";b:0;}", Some(5), true),
            (b"a:3:{i:0;i:9;s:1:\"x\";a:1:{s:7:\"pwg_uid\";i:1;}s:7:\"pwg_uid\";s:1:\"6\";}", Some(6), false),
            (b"a:2:{s:7:\"pwg_uid\";i:5;s:1:\"x\";R:2;}", Some(5), false),
            (b"\x07pwg_uidi:1;", Some(1), false),
            (b"\x07pwg_uidi:5;\x12tf_tries_validatedb:0;", Some(5), true),
            (b"\x01xs:12:\"\x07pwg_uidi:1;\";\x07pwg_uidi:7;", Some(7), false),
            (b"\x01xN;\x81y\x07pwg_uidi:7;", Some(7), false),
            (b"\x01xN;\x29a_name_that_is_forty_characters_long_xxxxi:1;\x07pwg_uidi:7;", Some(7), false),
            (b"\x01xs:11:\"a|b:1;c|N;d\";\x07pwg_uidi:7;", Some(7), false),
        ];
        for (data, user, is_unfinished) in table {
            let shown = String::from_utf8_lossy(data);
            assert_eq!(sign_in(data), Ok(SignIn { user, is_unfinished }), "{shown}");
        }
        for data in [&b"\x00\x00\x00\x02\x14\x01\x11\x07pwg_uid\x06\x05"[..], b"\x00\x00\x00\x01"] {
            assert_eq!(sign_in(data), Err(UnreadableSession::Igbinary));
        }
    }

    /// A visitor who chooses the text of a variable writes text that another handler would read as a sign-in.
    #[test]
    fn a_text_in_a_session_is_not_read_by_another_handler() {
        let forged = "|i:0;pwg_uid|i:1;z|a:1:{i:0;s:0:\"";
        let length = forged.len();
        let table: [(String, Result<Option<u32>, UnreadableSession>); 6] = [
            (format!("a:2:{{s:7:\"pwg_uid\";i:5;s:1:\"x\";s:{length}:\"{forged}\";}}"), Ok(Some(5))),
            (format!("\u{7}pwg_uidi:5;\u{1}xa:1:{{i:0;s:{length}:\"{forged}\";}}"), Ok(Some(5))),
            // A first name of 41 bytes, whose length is a printable character.
            (
                format!(")a_name_that_is_forty_characters_long_xxxxa:1:{{i:0;s:{length}:\"{forged}\";}}"),
                Err(UnreadableSession::Other),
            ),
            ("pwg_uid|i:5;x|s:12:\"\u{7}pwg_uidi:1;\";".into(), Ok(Some(5))),
            ("x|s:24:\"a:1:{s:7:\"pwg_uid\";i:1;}\";pwg_uid|i:5;".into(), Ok(Some(5))),
            // msgpack: a map whose last text reads as names after their lengths.
            ("\u{82}xs:1:\"a\";\u{7}pwg_uidi:1;".into(), Err(UnreadableSession::Other)),
        ];
        for (data, user) in table {
            assert_eq!(sign_in(data.as_bytes()).map(|sign_in| sign_in.user), user, "{data}");
        }
        let msgpack = b"\x82\xa1xw\x07pwg_uidi:1;";
        assert_eq!(sign_in(msgpack), Err(UnreadableSession::Other));
    }

    #[test]
    fn other_variables_cost_no_memory_whatever_they_hold() {
        let wide = "i:0;N;".repeat(100_000);
        let data = format!("big|a:100000:{{{wide}}}pwg_uid|i:3;");
        assert_eq!(sign_in(data.as_bytes()).map(|sign_in| sign_in.user), Ok(Some(3)));
    }

    proptest! {
        #[test]
        fn no_data_panics(
            data in proptest::collection::vec(any::<u8>(), 0..100),
            text in "((pwg_uid|tf_tries_validated|a)\\|([is]:[0-9]:?\"?[0-9]\"?;|N;)){0,6}",
            array in "a:[0-9]:\\{(s:[17]:\"(pwg_uid|x)\";([is]:[0-9]:?\"?[0-9]\"?;|N;)){0,6}\\}?",
            binary in "([\x01\x07\u{81}](pwg_uid|x)([is]:[0-9]:?\"?[0-9]\"?;|N;)){0,6}",
        ) {
            let _ = sign_in(&data);
            let _ = sign_in(text.as_bytes());
            let _ = sign_in(array.as_bytes());
            let _ = sign_in(binary.as_bytes());
            let _ = session_id(&data, "pwg_id");
            let _ = session_row_id(true, BoundTo::RemoteAddr(&text), "id");
            let _ = session_row_id(true, BoundTo::ForwardedFor(&text), "id");
        }
    }
}
