//! What `doctor` wants to know of a database and no request does: version, rights, clock, indexes, samples of
//! pictures. All of it is read, on one connection of its own, so that it can be told also where a verdict's
//! statements cannot be asked.

use std::time::Duration;

use super::charset::Exact;
use super::engine::{Dialect, Engine, Row, Value};
use super::rows::image;
use super::statements::{Tables, quoted};
use super::{Address, DatabaseError};
use crate::piwigo::program_names::PROGRAMS;
use crate::piwigo::records::Image;

/// Longest wait for one answer: some of these statements read a whole table.
const PATIENCE: Duration = Duration::from_secs(15);

/// Samples in one answer, at most.
const SAMPLES: usize = 200;

/// One database, to be looked at.
pub struct Inspection {
    engine: Engine,
    tables: Tables,
    exact: Exact,
}

/// What a server says of itself.
#[derive(Debug)]
pub struct ServerFacts {
    /// `10.11.6-MariaDB`, say.
    pub version: String,
    /// The database's own character set.
    pub charset: Option<String>,
    /// The database's name.
    pub database: Option<String>,
}

/// In which character sets the paths of photos are stored and read.
#[derive(Debug)]
pub struct Paths {
    /// The connections' own.
    pub connection: String,
    /// The column's.
    pub column: String,
    /// Rows whose path the connections' character set cannot hold.
    pub unreadable: u64,
}

/// A server's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Seconds since 1970.
    pub now: i64,
    /// How far its sessions' time zone is ahead of UTC, in seconds.
    pub zone: i64,
}

/// Which pictures are wanted, as far as a statement can tell: what a visitor may see is decided elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Those that a guest can hardly see.
    Closed,
    /// Of these, those with a representative.
    ClosedWithRepresentative,
    /// Of these, those with another format.
    ClosedWithFormat,
    /// Of these, those in albums that were granted to this account or one of its groups.
    ClosedButGranted(u32),
    /// Those that a guest can see, most likely.
    Open,
    /// Those with a percent sign in their paths.
    WithPercent,
}

/// So many names are looked through, at most.
const MAX_NAMES: usize = 10_000;

/// A picture that may do as a sample.
#[derive(Debug)]
pub struct Sample {
    /// Its row, without albums.
    pub image: Image,
    /// The extension of one of its formats, where that was asked for.
    pub format: Option<String>,
}

impl Inspection {
    /// Makes no connection yet.
    pub fn new(address: &Address, tables: &Tables) -> Self {
        Inspection { engine: Engine::open(address, 1), tables: tables.clone(), exact: Exact::on(address) }
    }

    async fn rows(&self, statement: String, values: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        match tokio::time::timeout(PATIENCE, self.engine.rows(statement.into(), values)).await {
            Ok(answer) => answer,
            Err(_) => Err(DatabaseError::timeout(PATIENCE)),
        }
    }

    async fn first(&self, statement: &str) -> Result<Row, DatabaseError> {
        self.rows(statement.to_owned(), Vec::new())
            .await?
            .into_iter()
            .next()
            .ok_or_else(DatabaseError::no_answer)
    }

    /// Version and character set.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn server(&self) -> Result<ServerFacts, DatabaseError> {
        let row = match self.engine.dialect() {
            Dialect::MySql => self.first("SELECT VERSION(), @@character_set_database, DATABASE()").await?,
            Dialect::Sqlite => self.first("SELECT 'SQLite ' || sqlite_version(), NULL, NULL").await?,
        };
        Ok(ServerFacts {
            version: row.text(0).unwrap_or_default(),
            charset: row.text(1),
            database: row.text(2),
        })
    }

    /// The character sets of paths; `None` for SQLite, which has one for all.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn paths(&self) -> Result<Option<Paths>, DatabaseError> {
        if matches!(self.engine.dialect(), Dialect::Sqlite) {
            return Ok(None);
        }
        let images = quoted(&self.tables.images)?;
        let charsets = format!("SELECT @@character_set_client, (SELECT CHARSET(path) FROM {images} LIMIT 1)");
        let charsets = self.first(&charsets).await?;
        let unreadable = match self.exact.condition("i.path") {
            Some(unchanged) => {
                let row =
                    self.first(&format!("SELECT COUNT(*) FROM {images} i WHERE NOT {unchanged}")).await?;
                row.int(0).unwrap_or_default().max(0).unsigned_abs()
            }
            None => 0,
        };
        Ok(Some(Paths {
            connection: charsets.text(0).unwrap_or_default(),
            column: charsets.text(1).unwrap_or_else(|| "empty".into()),
            unreadable,
        }))
    }

    /// The lines of `SHOW GRANTS`, which hold a hash of the password: never to be shown. `None` for SQLite.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn grants(&self) -> Result<Option<Vec<String>>, DatabaseError> {
        match self.engine.dialect() {
            Dialect::MySql => {
                let rows = self.rows("SHOW GRANTS FOR CURRENT_USER".into(), Vec::new()).await?;
                Ok(Some(rows.iter().filter_map(|row| row.text(0)).collect()))
            }
            Dialect::Sqlite => Ok(None),
        }
    }

    /// Its clock and time zone; `None` for SQLite, whose clock is ours.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn clock(&self) -> Result<Option<Clock>, DatabaseError> {
        if matches!(self.engine.dialect(), Dialect::Sqlite) {
            return Ok(None);
        }
        let row =
            self.first("SELECT UNIX_TIMESTAMP(), TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())").await?;
        Ok(row.int(0).map(|now| Clock { now, zone: row.int(1).unwrap_or_default() }))
    }

    /// Piwigo's own number of its tables: `16`, say.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn piwigo_version(&self) -> Result<Option<String>, DatabaseError> {
        let config = quoted(&self.tables.config)?;
        let statement = format!("SELECT value FROM {config} WHERE param = 'piwigo_db_version'");
        Ok(self.rows(statement, Vec::new()).await?.first().and_then(|row| row.text(0)))
    }

    /// The options of the plugin Batch Downloader, as PHP's `serialize` writes them; `None`: it has none yet.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn batch_downloader(&self) -> Result<Option<String>, DatabaseError> {
        let config = quoted(&self.tables.config)?;
        let statement = format!("SELECT value FROM {config} WHERE param = 'batch_download'");
        Ok(self.rows(statement, Vec::new()).await?.first().and_then(|row| row.text(0)))
    }

    /// The directories of the table `sites`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn sites(&self) -> Result<Vec<String>, DatabaseError> {
        let sites = quoted(&self.tables.sites)?;
        let statement =
            format!("SELECT {} FROM {sites} ORDER BY id LIMIT 256", self.exact.column("galleries_url"));
        Ok(self.rows(statement, Vec::new()).await?.iter().filter_map(|row| row.text(0)).collect())
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn count(&self, table: &str) -> Result<u64, DatabaseError> {
        let row = self.first(&format!("SELECT COUNT(*) FROM {}", quoted(table)?)).await?;
        Ok(row.int(0).unwrap_or_default().max(0).unsigned_abs())
    }

    /// How many groups have grants.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn groups_with_grants(&self) -> Result<u64, DatabaseError> {
        let table = quoted(&self.tables.group_access)?;
        let row = self.first(&format!("SELECT COUNT(DISTINCT group_id) FROM {table}")).await?;
        Ok(row.int(0).unwrap_or_default().max(0).unsigned_abs())
    }

    /// Whether an index begins with this column. SQLite's tables are small: yes.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn is_indexed(&self, table: &str, column: &str) -> Result<bool, DatabaseError> {
        if matches!(self.engine.dialect(), Dialect::Sqlite) {
            return Ok(true);
        }
        let (schema, name) = match table.split_once('.') {
            Some((schema, name)) => ("?", vec![Value::text(schema), Value::text(name)]),
            None => ("DATABASE()", vec![Value::text(table)]),
        };
        let statement = format!(
            "SELECT 1 FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = ? AND COLUMN_NAME = ? AND SEQ_IN_INDEX = 1"
        );
        let values = name.into_iter().chain([Value::text(column)]).collect();
        Ok(!self.rows(statement, values).await?.is_empty())
    }

    /// Some paths of `images` that begin with none of these directories (`upload/`), as they are stored.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn paths_outside(&self, directories: &[String]) -> Result<Vec<String>, DatabaseError> {
        let images = quoted(&self.tables.images)?;
        let patterns: Vec<Value> = directories
            .iter()
            .map(|directory| Value::Text(super::statements::begins_with(&format!("./{directory}"))))
            .collect();
        let condition = vec!["i.path NOT LIKE ? ESCAPE '|'"; patterns.len()].join(" AND ");
        let condition = if condition.is_empty() { "1 = 1".to_owned() } else { condition };
        let path = self.exact.column("i.path");
        let statement =
            format!("SELECT {path} FROM {images} i WHERE {condition} AND i.path NOT LIKE '../%' LIMIT 5");
        Ok(self.rows(statement, patterns).await?.iter().filter_map(|row| row.text(0)).collect())
    }

    /// Paths of `images` in whose names an extension of programs may stand, and perhaps others, at most
    /// 10,000 of them.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn paths_like_programs(&self) -> Result<Vec<String>, DatabaseError> {
        let images = quoted(&self.tables.images)?;
        // `%.php%` is for `php5` and for `phps`; the others end the name or stand before a dot.
        let patterns: Vec<Value> = std::iter::once("%.php%".to_owned())
            .chain(
                PROGRAMS.iter().flat_map(|extension| [format!("%.{extension}"), format!("%.{extension}.%")]),
            )
            .map(Value::Text)
            .collect();
        let condition = vec!["i.path LIKE ?"; patterns.len()].join(" OR ");
        let statement = format!("SELECT i.path FROM {images} i WHERE {condition} LIMIT {MAX_NAMES}");
        Ok(self.rows(statement, patterns).await?.iter().filter_map(|row| row.text(0)).collect())
    }

    /// Where a replica has got to; `None`: it says nothing, and is none.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn replica_position(&self) -> Result<Option<String>, DatabaseError> {
        let row = self.first("SELECT @@GLOBAL.gtid_slave_pos").await?;
        Ok(row.text(0).filter(|position| !position.is_empty()))
    }

    /// What stands before this session id in the ids of the rows of `sessions` that end with it: of one
    /// visitor's session, as Piwigo has seen it from one address or from several.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn session_prefixes(&self, session_id: &str) -> Result<Vec<String>, DatabaseError> {
        let sessions = quoted(&self.tables.sessions)?;
        let statement = format!("SELECT id FROM {sessions} WHERE id LIKE ? LIMIT {SAMPLES}");
        let rows = self.rows(statement, vec![Value::Text(format!("%{session_id}"))]).await?;
        let ids = rows.iter().filter_map(|row| row.text(0));
        // The database compares without regard to case, and knows wildcards.
        Ok(ids.filter_map(|id| id.strip_suffix(session_id).map(str::to_owned)).collect())
    }

    /// Pictures of one sort whose path begins with `directory` (`upload/`, or nothing), the newest first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn samples(&self, sort: Sort, directory: &str) -> Result<Vec<Sample>, DatabaseError> {
        let images = quoted(&self.tables.images)?;
        let categories = quoted(&self.tables.categories)?;
        let image_category = quoted(&self.tables.image_category)?;
        let image_format = quoted(&self.tables.image_format)?;
        let (path, representative_ext) =
            (self.exact.column("i.path"), self.exact.column("i.representative_ext"));
        let format_ext = self.exact.column("f.ext");
        let closed = "(c.status = 'private' OR c.visible = 'false' OR i.level > 0 OR c.id IS NULL)";
        let (format, join, condition) = match sort {
            Sort::Closed => ("NULL", String::new(), closed.to_owned()),
            Sort::ClosedWithRepresentative => {
                ("NULL", String::new(), format!("{closed} AND i.representative_ext <> ''"))
            }
            Sort::ClosedWithFormat => {
                (&*format_ext, format!("JOIN {image_format} f ON f.image_id = i.id"), closed.to_owned())
            }
            Sort::ClosedButGranted(user) => {
                let user_access = quoted(&self.tables.user_access)?;
                let group_access = quoted(&self.tables.group_access)?;
                let user_group = quoted(&self.tables.user_group)?;
                let granted = format!(
                    "{closed} AND (c.id IN (SELECT cat_id FROM {user_access} WHERE user_id = {user}) OR c.id IN \
                     (SELECT ga.cat_id FROM {group_access} ga JOIN {user_group} ug ON ug.group_id = ga.group_id \
                     WHERE ug.user_id = {user}))"
                );
                ("NULL", String::new(), granted)
            }
            Sort::Open => (
                "NULL",
                String::new(),
                "c.status = 'public' AND c.visible = 'true' AND i.level = 0".to_owned(),
            ),
            Sort::WithPercent => ("NULL", String::new(), "i.path LIKE '%|%%' ESCAPE '|'".to_owned()),
        };
        let statement = format!(
            "SELECT i.id, {path}, i.level, {representative_ext}, i.width, i.height, i.rotation, {format} \
             FROM {images} i {join} LEFT JOIN {image_category} ic ON ic.image_id = i.id \
             LEFT JOIN {categories} c ON c.id = ic.category_id WHERE i.path LIKE ? ESCAPE '|' AND {condition} \
             ORDER BY i.id DESC LIMIT {SAMPLES}"
        );
        let pattern = Value::Text(super::statements::begins_with(&format!("./{directory}")));
        let rows = self.rows(statement, vec![pattern]).await?;
        Ok(rows.iter().filter_map(|row| Some(Sample { image: image(row)?, format: row.text(7) })).collect())
    }
}
