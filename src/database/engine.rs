//! Connections to MySQL/MariaDB or SQLite behind one function: a statement and its values in, rows
//! out.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::Address;
use super::connect::Open as _;
use super::full::has_no_place;
use super::pool::{CONNECT_TIMEOUT, Pool};

/// Prepared statements that a connection keeps, at most.
const MAX_PREPARED: usize = 256;

#[derive(Debug)]
pub(super) enum Engine {
    MySql(Pool<MySqlConnection>),
    Sqlite(Pool<SqliteConnection>),
}

/// What differs between the two in a statement's text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialect {
    MySql,
    Sqlite,
}

/// A bound parameter.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(i64),
    Text(String),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

/// A row of an answer; its columns are read by position.
#[derive(Debug)]
pub(super) enum Row {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

/// Why the database gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct DatabaseError {
    message: String,
    trouble: Trouble,
}

/// What kind of trouble it is, and so whether waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be reached or did not answer in time: it may be back soon.
    Away,
    /// It refuses this user, or has no such database.
    Refused,
    /// A table, a column or a right is missing.
    Schema,
    /// A text that the column's character set cannot hold.
    Conversion,
    /// Too many questions of one costly kind wait already: this one is given up, the database is there.
    Busy,
}

impl Engine {
    pub(super) fn open(address: &Address, connections: u32) -> Self {
        match address {
            Address::MySql(options) => {
                // One text for each length of each list: more than the driver's hundred.
                let options = options.as_ref().clone().statement_cache_capacity(MAX_PREPARED);
                Engine::MySql(Pool::new(&options, connections))
            }
            Address::Sqlite(options) => Engine::Sqlite(Pool::new(options.as_ref(), connections)),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Engine::MySql(_) => Dialect::MySql,
            Engine::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Opens a connection of its own and closes it: one attempt, where the pool would go on trying.
    pub(super) async fn probe(address: &Address) -> Result<(), DatabaseError> {
        let attempt = async {
            match address {
                Address::MySql(options) => MySqlConnection::open(options).await?.close().await,
                Address::Sqlite(options) => SqliteConnection::open(options).await?.close().await,
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            // It answers, and the next statement waits for a connection.
            Ok(Err(error)) if has_no_place(&error) => Ok(()),
            Ok(outcome) => outcome.map_err(DatabaseError::from),
            Err(_) => Err(DatabaseError::timeout(CONNECT_TIMEOUT)),
        }
    }

    /// Asks once; if the connection turns out to be dead (the database was started anew), once more on a new
    /// one. A ping before each use would find that out, too, but would be a round trip of its own.
    pub(super) async fn rows(
        &self,
        statement: Arc<str>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        match self.ask(statement.clone(), values.clone()).await {
            Err(error) if is_dead(&error) => {
                self.forget();
                self.ask(statement, values).await
            }
            answer => answer,
        }
        .map_err(DatabaseError::from)
    }

    /// Asks once; a connection that turns out to be dead is an error.
    pub(super) async fn rows_at_once(
        &self,
        statement: Arc<str>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        self.ask(statement, values).await.map_err(|error| {
            if is_dead(&error) {
                self.forget();
            }
            error.into()
        })
    }

    /// Hears how many connections the database allows this account.
    pub(super) fn keep_within(&self, allowed: u32) {
        match self {
            Engine::MySql(pool) => pool.keep_within(allowed),
            Engine::Sqlite(pool) => pool.keep_within(allowed),
        }
    }

    fn forget(&self) {
        match self {
            Engine::MySql(pool) => pool.forget(),
            Engine::Sqlite(pool) => pool.forget(),
        }
    }

    async fn ask(&self, statement: Arc<str>, values: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        /// The same few lines for both drivers, whose query types have nothing in common.
        macro_rules! fetch {
            ($pool:expr, $row:path) => {{
                let mut query = sqlx::query(AssertSqlSafe(statement));
                for value in values {
                    query = match value {
                        Value::Int(number) => query.bind(number),
                        Value::Text(text) => query.bind(text),
                    };
                }
                let mut lease = $pool.lease().await?;
                let answer = query.fetch_all(&mut lease.connection).await;
                // An error in SQL is an answer, too: the connection is none the worse for it.
                match &answer {
                    Err(error @ sqlx::Error::Database(_)) if !is_dead(error) => lease.give_back(),
                    Ok(_) => lease.give_back(),
                    Err(_) => drop(lease),
                }
                Ok(answer?.into_iter().map($row).collect())
            }};
        }
        match self {
            Engine::MySql(pool) => fetch!(pool, Row::MySql),
            Engine::Sqlite(pool) => fetch!(pool, Row::Sqlite),
        }
    }
}

/// Whether nothing more can be expected of the connection that this came from.
fn is_dead(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(reply) => reply
            .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            // The server shuts down, the connection was killed, or it rested for too long.
            .is_some_and(|reply| matches!(reply.number(), 1053 | 1927 | 4031)),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

impl Row {
    /// A column as text; `None` for NULL and for bytes that are not UTF-8.
    pub(super) fn text(&self, column: usize) -> Option<String> {
        String::from_utf8(self.bytes(column)?).ok()
    }

    /// A column's bytes; `None` for NULL.
    pub(super) fn bytes(&self, column: usize) -> Option<Vec<u8>> {
        match self {
            Row::MySql(row) => row.try_get_unchecked(column).ok(),
            Row::Sqlite(row) => row.try_get_unchecked(column).ok(),
        }
    }

    /// A column as a number; `None` for NULL.
    pub(super) fn int(&self, column: usize) -> Option<i64> {
        match self {
            Row::MySql(row) => row
                .try_get::<i64, _>(column)
                .ok()
                .or_else(|| row.try_get::<u64, _>(column).ok().and_then(|number| number.try_into().ok())),
            // The driver reads NULL as 0 unless it is asked for an option.
            Row::Sqlite(row) => row.try_get::<Option<i64>, _>(column).ok().flatten(),
        }
    }

    /// A column as a number that cannot be negative; `None` for NULL and for what does not fit.
    pub(super) fn unsigned(&self, column: usize) -> Option<u32> {
        self.int(column)?.try_into().ok()
    }
}

impl DatabaseError {
    /// The kind of trouble.
    pub fn trouble(&self) -> Trouble {
        self.trouble
    }

    pub(super) fn is_conversion(&self) -> bool {
        self.trouble == Trouble::Conversion
    }

    pub(super) fn timeout(after: Duration) -> Self {
        DatabaseError {
            message: format!("the database did not answer within {} s", after.as_secs()),
            trouble: Trouble::Away,
        }
    }

    /// No turn came for a costly question.
    pub(super) fn busy() -> Self {
        DatabaseError { message: "too many look-ups of this kind are waiting".into(), trouble: Trouble::Busy }
    }

    /// The last attempt failed a moment ago; it is not repeated for every request.
    pub(crate) fn still_away() -> Self {
        DatabaseError { message: "the database was away a moment ago".into(), trouble: Trouble::Away }
    }

    /// The config table holds a setting that cannot be used.
    pub(crate) fn settings(message: String) -> Self {
        DatabaseError { message, trouble: Trouble::Away }
    }

    pub(super) fn no_answer() -> Self {
        DatabaseError {
            message: "the database sent no line where one was due".into(),
            trouble: Trouble::Away,
        }
    }

    #[cfg(test)]
    pub(super) fn conversion() -> Self {
        DatabaseError { message: "no such character".into(), trouble: Trouble::Conversion }
    }

    pub(super) fn missing(message: String) -> Self {
        DatabaseError { message, trouble: Trouble::Schema }
    }

    pub(super) fn name(name: &str) -> Self {
        DatabaseError { message: format!("{name:?} cannot be a table's name"), trouble: Trouble::Schema }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let mut message = error.to_string();
        let trouble = match &error {
            sqlx::Error::Database(reply) => match reply.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            {
                Some(reply) => {
                    if reply.number() == UNKNOWN_CHARSET {
                        message.push_str(" (Piwigo's DB_CHARSET in local/config/database.inc.php)");
                    }
                    mysql_trouble(reply.number())
                }
                None if message.contains("unable to open database file") => Trouble::Refused,
                None => Trouble::Schema,
            },
            // The driver says it only so. Waiting will not teach it another way to sign in.
            sqlx::Error::Protocol(reason) if reason.contains("unknown authentication plugin") => {
                Trouble::Refused
            }
            _ => Trouble::Away,
        };
        DatabaseError { message, trouble }
    }
}

/// A statement's text, shared with the driver without copying.
pub(super) type Statement = std::sync::Arc<str>;

/// The server has no character set of that name.
const UNKNOWN_CHARSET: u16 = 1115;

/// MySQL's and MariaDB's error numbers, by what an administrator can do about them.
fn mysql_trouble(number: u16) -> Trouble {
    match number {
        // Access denied, no or unknown database, unknown character set, host not allowed, unknown
        // authentication plugin, TLS demanded, password expired, account locked.
        1044 | 1045 | 1046 | 1049 | UNKNOWN_CHARSET | 1130 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118
        | 3159 | 4151 => Trouble::Refused,
        // Unknown column, no such table, no right on table or column.
        1054 | 1142 | 1143 | 1146 => Trouble::Schema,
        // Illegal mix of collations, cannot convert between character sets.
        1267 | 1270 | 1271 | 1366 | 3854 | 3988 => Trouble::Conversion,
        _ => Trouble::Away,
    }
}
