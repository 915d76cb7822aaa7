//! Where the database is: from Piwigo's own settings, or from a URL in `gate.toml`.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::sqlite::SqliteConnectOptions;

use super::charset::{UNICODE, connection_charset};

/// Where MySQL's and MariaDB's packages put their socket; PHP's own default is one of these.
const SOCKETS: [&str; 5] = [
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/run/mysql/mysql.sock",
    "/tmp/mysql.sock",
];

/// A database to connect to. Its `Debug` text holds no password.
#[derive(Clone)]
pub enum Address {
    /// MySQL or MariaDB.
    MySql(Box<MySqlConnectOptions>),
    /// SQLite, opened read-only.
    Sqlite(Box<SqliteConnectOptions>),
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL of a known kind.
    #[error("the database address is neither mysql://user:password@host/name nor sqlite:///path: {0}")]
    Url(String),
    /// TLS was asked for.
    #[error(
        "the database address asks for TLS, which the gate does not speak yet: use a unix socket, or a tunnel such as \
         ssh -L or stunnel"
    )]
    Tls,
    /// `DB_CHARSET` is no character set that a connection can have.
    #[error(
        "DB_CHARSET is {0:?}, which is no character set of a connection: correct it in local/config/database.inc.php, or set \
         [piwigo] DB_CHARSET in gate.toml"
    )]
    Charset(String),
    /// `db_host` names a port that is no number.
    #[error("db_host is {0:?}: its port is not a number")]
    Port(String),
}

impl Address {
    /// Reads `mysql://…`, `mariadb://…` or `sqlite://…`. `localhost` without a port means the socket, as in
    /// Piwigo's `db_host`; `?socket=/path` names another one.
    ///
    /// # Errors
    /// [`AddressError::Url`], [`AddressError::Tls`].
    pub fn from_url(url: &str) -> Result<Self, AddressError> {
        // The message of a failed parse must not repeat the URL: it may hold a password.
        if url.starts_with("mysql://") || url.starts_with("mariadb://") {
            let options = MySqlConnectOptions::from_str(url)
                .map_err(|_| AddressError::Url(format!("it cannot be parsed; {ENCODING}")))?;
            // An unencoded `#`, `?` or `/` in the password ends the host's part of a URL: what follows is no
            // name of a database.
            let is_whole = |name: &str| !name.contains(['/', '@']) && !url.contains('#');
            if !options.get_database().is_some_and(is_whole) {
                return Err(AddressError::Url(format!("it names no database; {ENCODING}")));
            }
            // Whoever asks for TLS must not get a connection without it.
            if !matches!(options.get_ssl_mode(), MySqlSslMode::Disabled | MySqlSslMode::Preferred) {
                return Err(AddressError::Tls);
            }
            let options = match host_of(url) {
                Some(host) if is_local(host) && options.get_socket().is_none() => {
                    local_or(MYSQL_PORT).reached_by(options)
                }
                _ => options,
            };
            Ok(Address::MySql(Box::new(as_piwigo(options))))
        } else if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)
                .map_err(|_| AddressError::Url("it cannot be parsed".into()))?;
            Ok(Address::Sqlite(Box::new(options.read_only(true).immutable(false))))
        } else {
            Err(AddressError::Url("it begins with neither".into()))
        }
    }

    /// The same database with connections in the character set that Piwigo's `DB_CHARSET` names: Piwigo
    /// stores and reads the bytes of a file's name as if they were text in it. SQLite has none.
    ///
    /// # Errors
    /// [`AddressError::Charset`].
    pub fn speaking(self, db_charset: &str) -> Result<Self, AddressError> {
        let charset =
            connection_charset(db_charset).ok_or_else(|| AddressError::Charset(db_charset.to_owned()))?;
        Ok(match self {
            Address::MySql(options) => Address::MySql(Box::new(options.charset(&charset))),
            Address::Sqlite(options) => Address::Sqlite(options),
        })
    }

    /// The character set of the connections, as in `SET NAMES`; `None` for SQLite.
    pub fn charset(&self) -> Option<&str> {
        match self {
            Address::MySql(options) => Some(options.get_charset()),
            Address::Sqlite(_) => None,
        }
    }

    /// The socket or the file, if it is reached by one of this machine.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Address::MySql(options) => options.get_socket().map(PathBuf::as_path),
            Address::Sqlite(options) => Some(options.get_filename()),
        }
    }

    /// A SQLite file.
    pub fn sqlite(file: &Path) -> Self {
        Address::Sqlite(Box::new(SqliteConnectOptions::new().filename(file).read_only(true)))
    }

    /// Piwigo's `db_host` (`host`, `host:port`, `/path/of/socket`), user, password and database. As for PHP,
    /// `localhost` means the socket.
    ///
    /// # Errors
    /// [`AddressError::Port`].
    pub fn from_piwigo(host: &str, user: &str, password: &str, database: &str) -> Result<Self, AddressError> {
        let options = MySqlConnectOptions::new().username(user).database(database);
        // The driver would send the hash of an empty password; an account that has none demands nothing at
        // all, as PHP sends it.
        let options = if password.is_empty() { options } else { options.password(password) };
        Ok(Address::MySql(Box::new(as_piwigo(place(host)?.reached_by(options)))))
    }
}

/// The session as Piwigo has it: the server's own time zone (or `NOW()` would be hours off), and text
/// compared as the columns say.
fn as_piwigo(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options
        .timezone(None::<String>)
        .charset(UNICODE)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .ssl_mode(MySqlSslMode::Disabled)
        .statement_cache_capacity(64)
}

#[derive(Debug, PartialEq, Eq)]
enum ServerPlace {
    Socket(PathBuf),
    Tcp(String, u16),
}

impl ServerPlace {
    fn reached_by(self, options: MySqlConnectOptions) -> MySqlConnectOptions {
        match self {
            ServerPlace::Socket(path) => options.socket(path),
            ServerPlace::Tcp(host, port) => options.host(&host).port(port),
        }
    }
}

const MYSQL_PORT: u16 = 3306;

/// How to write what an address cannot hold as it is, and where its socket stands.
const ENCODING: &str = "in user, password and name, write % as %25, @ as %40, : as %3A, / as %2F, ? as %3F and # as %23; a \
                        unix socket stands at the end: mysql://user:password@localhost/name?socket=/run/mysqld/mysqld.sock";

/// The host of a URL as it is written, with its port; `None`: it is no URL with a host's part.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// PHP's driver takes the socket for this name.
fn is_local(host: &str) -> bool {
    host.is_empty() || host.eq_ignore_ascii_case("localhost")
}

/// The server's socket on this machine, or the port where there is none.
fn local_or(port: u16) -> ServerPlace {
    match SOCKETS.iter().find(|path| Path::new(path).exists()) {
        Some(path) => ServerPlace::Socket(path.into()),
        None => ServerPlace::Tcp("127.0.0.1".into(), port),
    }
}

fn place(host: &str) -> Result<ServerPlace, AddressError> {
    let port = |text: &str| text.parse().map_err(|_| AddressError::Port(host.to_owned()));
    if host.starts_with('/') {
        return Ok(ServerPlace::Socket(host.into()));
    }
    if is_local(host) {
        return Ok(local_or(MYSQL_PORT));
    }
    if let Some(bracketed) = host.strip_prefix('[') {
        return match bracketed.split_once("]:") {
            Some((host, text)) => Ok(ServerPlace::Tcp(host.into(), port(text)?)),
            None => Ok(ServerPlace::Tcp(bracketed.trim_end_matches(']').into(), MYSQL_PORT)),
        };
    }
    match host.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok(ServerPlace::Tcp(host.into(), MYSQL_PORT)),
        Some((_, socket)) if socket.starts_with('/') => Ok(ServerPlace::Socket(socket.into())),
        // PHP's driver takes the socket for this name, whatever port comes with it.
        Some((host, text)) if is_local(host) => Ok(local_or(port(text)?)),
        Some((host, text)) => Ok(ServerPlace::Tcp(host.into(), port(text)?)),
        None => Ok(ServerPlace::Tcp(host.into(), MYSQL_PORT)),
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::MySql(options) => match options.get_socket() {
                Some(path) => write!(formatter, "MySQL at {}", path.display()),
                None => write!(formatter, "MySQL at {}:{}", options.get_host(), options.get_port()),
            },
            Address::Sqlite(options) => write!(formatter, "SQLite in {}", options.get_filename().display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn db_host_as_php_reads_it() {
        let tcp = |host: &str, port| Ok(ServerPlace::Tcp(host.into(), port));
        let table = [
            ("db.example.org", tcp("db.example.org", 3306)),
            ("db.example.org:3307", tcp("db.example.org", 3307)),
            ("127.0.0.1", tcp("127.0.0.1", 3306)),
            ("[::1]:3307", tcp("::1", 3307)),
            ("::1", tcp("::1", 3306)),
            ("/run/my.sock", Ok(ServerPlace::Socket("/run/my.sock".into()))),
            ("localhost:/run/my.sock", Ok(ServerPlace::Socket("/run/my.sock".into()))),
            ("db:port", Err(AddressError::Port("db:port".into()))),
            ("localhost:port", Err(AddressError::Port("localhost:port".into()))),
            // The port is the fallback of a machine without the socket.
            ("localhost:3306", place("localhost")),
            ("LocalHost", place("localhost")),
            ("", place("localhost")),
        ];
        for (host, expected) in table {
            assert_eq!(place(host), expected, "{host}");
        }
    }

    #[test]
    fn localhost_is_never_a_name_to_be_looked_up() {
        for host in ["localhost", "localhost:3307"] {
            let place = place(host).unwrap();
            let socket = matches!(&place, ServerPlace::Socket(path) if SOCKETS.iter().any(|socket| path == Path::new(socket)));
            assert!(
                socket || matches!(&place, ServerPlace::Tcp(host, _) if host == "127.0.0.1"),
                "{place:?}"
            );
        }
    }

    #[test]
    fn localhost_in_a_url_is_piwigos_localhost() {
        let by_piwigo = format!("{:?}", Address::from_piwigo("localhost", "u", "p", "x").unwrap());
        let table = [
            ("mysql://u:p@localhost/x", by_piwigo.as_str()),
            ("mysql://u:p@LOCALHOST/x", by_piwigo.as_str()),
            ("mariadb://u@localhost/x", by_piwigo.as_str()),
            ("mysql:///x", by_piwigo.as_str()),
            // A port that was written is meant, and so is an address.
            ("mysql://u:p@localhost:3307/x", "MySQL at localhost:3307"),
            ("mysql://u:p@127.0.0.1/x", "MySQL at 127.0.0.1:3306"),
            ("mysql://u:p%40localhost@db/x", "MySQL at db:3306"),
            ("mysql://u:p@localhost/x?socket=/run/other.sock", "MySQL at /run/other.sock"),
            ("mysql://u:p@db/x?socket=/run/other.sock", "MySQL at /run/other.sock"),
        ];
        for (url, expected) in table {
            assert_eq!(format!("{:?}", Address::from_url(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn an_address_that_is_misread_says_how_to_write_it() {
        // An unencoded character in the password; the last names no database at all.
        let table = ["se/cret", "se#cret", "12#34", "12?34", "1/2", "se?cret"];
        let urls = table.map(|password| format!("mysql://u:{password}@localhost/x"));
        for url in urls.iter().map(String::as_str).chain(["mysql://u:p@localhost", "mysql://u:p@localhost/"])
        {
            let error = Address::from_url(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(error.contains("%23") && error.contains("?socket="), "{error}");
            assert!(!error.contains("cret") && !error.contains("34"), "{error}");
        }
    }

    #[test]
    fn tls_is_refused_and_not_dropped() {
        let table = [
            ("", true),
            ("?ssl-mode=disabled", true),
            ("?ssl-mode=required", false),
            ("?ssl-mode=VERIFY_CA", false),
        ];
        for (query, good) in table {
            let address = Address::from_url(&format!("mysql://u:p@db/x{query}"));
            assert_eq!(address.is_ok(), good, "{query}");
            assert!(good || matches!(address, Err(AddressError::Tls)), "{query}");
        }
    }

    #[test]
    fn no_password_is_ever_shown() {
        let address = Address::from_url("mysql://piwigo:s3cret@db/piwigo").unwrap();
        assert!(!format!("{address:?}").contains("s3cret"));
        let error = Address::from_url("mysql://piwigo:s3cret@db:notaport/x").unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
    }
}
