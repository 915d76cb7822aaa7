//! The character set of a connection: Piwigo's constant `DB_CHARSET` in, the name for `SET NAMES` and the
//! form in which a column of text is read out. Not for the character set of a table's column: that is
//! [`super::Charset`].

use super::Address;

/// Holds every text, so nothing is lost on the way.
pub(super) const UNICODE: &str = "utf8mb4";

/// The character sets that no client can speak: the server refuses `SET NAMES` with them.
const NOT_FOR_CLIENTS: [&str; 4] = ["ucs2", "utf16", "utf16le", "utf32"];

/// The name for `SET NAMES` that belongs to a value of `DB_CHARSET`; `None`: no connection can have it.
///
/// Piwigo takes `utf8` where the constant is empty (Piwigo: `pwg_db_check_charset`). The gate says `utf8mb4`
/// for all spellings of UTF-8: it gives the same bytes for every text that `utf8` can hold.
pub(super) fn connection_charset(db_charset: &str) -> Option<String> {
    let name = db_charset.to_ascii_lowercase();
    match name.as_str() {
        "" | "utf8" | "utf8mb3" | UNICODE => Some(UNICODE.to_owned()),
        _ if NOT_FOR_CLIENTS.contains(&name.as_str()) => None,
        _ => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name),
    }
}

/// Reads columns of text so that what a connection's character set cannot hold is NULL and not `?`: with `?`
/// in its place a path would be that of another file.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    /// `None`: the connection can hold everything.
    charset: Option<String>,
}

impl Exact {
    /// For connections to this address.
    pub(super) fn on(address: &Address) -> Self {
        Exact { charset: address.charset().filter(|charset| *charset != UNICODE).map(str::to_owned) }
    }

    /// The connection's character set, if that cannot hold everything.
    pub(super) fn charset(&self) -> Option<&str> {
        self.charset.as_deref()
    }

    /// The expression that reads this column.
    pub(super) fn column(&self, column: &str) -> String {
        match self.condition(column) {
            Some(unchanged) => format!("IF({unchanged}, {column}, NULL)"),
            None => column.to_owned(),
        }
    }

    /// The condition that this column's text comes over the connection unchanged; `None`: it always does.
    pub(super) fn condition(&self, column: &str) -> Option<String> {
        let charset = self.charset.as_deref()?;
        Some(format!(
            "CAST(CONVERT(CONVERT({column} USING {charset}) USING {UNICODE}) AS BINARY) = \
             CAST(CONVERT({column} USING {UNICODE}) AS BINARY)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn db_charset_becomes_the_name_of_a_connections_charset() {
        let table = [
            ("", Some("utf8mb4")),
            ("utf8", Some("utf8mb4")),
            ("UTF8", Some("utf8mb4")),
            ("utf8mb3", Some("utf8mb4")),
            ("utf8mb4", Some("utf8mb4")),
            ("latin1", Some("latin1")),
            ("Latin1", Some("latin1")),
            ("koi8r", Some("koi8r")),
            ("utf16", None),
            ("UCS2", None),
            ("utf-8", None),
            ("latin1; DROP TABLE x", None),
            ("latin1'", None),
        ];
        for (constant, name) in table {
            assert_eq!(connection_charset(constant).as_deref(), name, "{constant}");
        }
    }

    #[test]
    fn only_a_connection_that_cannot_hold_everything_checks_what_it_reads() {
        let address = Address::from_url("mysql://u:p@db/x").unwrap();
        assert_eq!(Exact::on(&address).column("i.path"), "i.path");
        let latin1 = Exact::on(&address.speaking("latin1").unwrap()).column("i.path");
        assert!(latin1.starts_with("IF(") && latin1.contains("USING latin1"), "{latin1}");
        let sqlite = Address::from_url("sqlite:///x").unwrap().speaking("latin1").unwrap();
        assert_eq!(Exact::on(&sqlite).column("i.path"), "i.path");
    }
}
