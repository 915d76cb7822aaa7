//! The open database and the questions that a request asks it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::charset::Exact;
use super::engine::{Dialect, Engine, Row, Statement, Value};
use super::pictures::PictureStatements;
use super::questions::{Asker, GrantsKey, SessionKey, Turns, UsersKey};
use super::replicas::Servers;
use super::rows::{active_plugins, album, image_row};
use super::statements::{MAX_STEM_PREFIXES, Statements, begins_with, three};
use super::{
    Address, AuthKeyRow, Charset, CoverRow, DatabaseError, DoorAndSession, GrantRow, IDS, ImageRow, Replicas,
    Rows, Schema, Tables, Trouble, UserRow, schema,
};
use crate::piwigo::plugins::Plugins;
use crate::piwigo::session::{self, UnreadableSession};

/// Longest wait for one answer of the database before the request is answered 503.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// An open database with Piwigo's tables in it.
#[derive(Debug)]
pub struct Database {
    servers: Arc<Servers>,
    statements: Arc<Statements>,
    turns: Arc<Turns>,
    freshness: Duration,
    pub(super) pictures: PictureStatements,
    look: Statement,
    tables: Tables,
    schema: Schema,
    exact: Exact,
    /// Owners and covers are looked for with a few of the connections at most: see [`OWNER_SHARE`].
    owners: tokio::sync::Semaphore,
}

/// One in so many connections may be busy with looking for the owner of a representative, format or
/// companion, or for the albums whose cover a picture is. Unlike all other statements the former reads as
/// many keys as there are files whose path begins with the owner's name and a dot: all of `2024.01.31/` and
/// its like for a stranger who asks for `pwg_representative/2024.jpg`; the latter reads the table of albums.
const OWNER_SHARE: u32 = 4;

impl Database {
    /// Prepares the statements and a place for `connections` connections; none is made yet. Answers may be
    /// used again for `freshness`; zero: never.
    ///
    /// # Errors
    /// When a table's name cannot be part of a statement.
    pub fn new(
        address: &Address,
        tables: &Tables,
        connections: u32,
        freshness: Duration,
    ) -> Result<Self, DatabaseError> {
        Self::with_replicas(address, &Replicas::default(), tables, connections, freshness)
    }

    /// The same with read replicas, each with as many connections; they are asked once [`Database::verify`]
    /// has found the primary to be in order.
    ///
    /// # Errors
    /// When a table's name cannot be part of a statement.
    pub fn with_replicas(
        address: &Address,
        replicas: &Replicas,
        tables: &Tables,
        connections: u32,
        freshness: Duration,
    ) -> Result<Self, DatabaseError> {
        let servers = Arc::new(Servers::new(address, replicas, connections));
        let schema = Schema::default();
        let exact = Exact::on(address);
        let statements = Statements::build(tables, servers.dialect(), schema.downloadable, &exact)?;
        let statements = Arc::new(statements);
        let owners = tokio::sync::Semaphore::new((connections / OWNER_SHARE).max(1) as usize);
        let asker = Asker { servers: servers.clone(), statements: statements.clone() };
        Ok(Database {
            turns: Turns::new(asker, freshness),
            freshness,
            look: schema::statement(tables, servers.dialect())?,
            servers,
            statements,
            pictures: PictureStatements::build(tables, &exact)?,
            exact,
            tables: tables.clone(),
            schema,
            owners,
        })
    }

    /// Whether the database can be reached at all: one short attempt.
    ///
    /// # Errors
    /// Why not.
    pub async fn probe(address: &Address) -> Result<(), DatabaseError> {
        Engine::probe(address).await
    }

    /// Looks which tables and columns there are, and asks every statement once: what is missing, or kept from
    /// this user, is found at the start and not by a visitor.
    ///
    /// # Errors
    /// The first table or column that is missing, or what the database said.
    pub async fn verify(&mut self) -> Result<(), DatabaseError> {
        self.keep_within_the_accounts_limit().await?;
        let columns = in_time(self.servers.rows_of_primary(self.look.clone(), Vec::new())).await?;
        self.schema = Schema::read(&self.tables, &columns)?;
        if self.exact.charset().is_some() {
            // A character beyond U+FFFF is several of such a connection's characters, all of which the column
            // can hold.
            self.schema.path_charset = Charset::Other;
        }
        let Schema { downloadable, .. } = self.schema;
        let statements = Statements::build(&self.tables, self.servers.dialect(), downloadable, &self.exact)?;
        self.statements = Arc::new(statements);
        let asker = Asker { servers: self.servers.clone(), statements: self.statements.clone() };
        self.turns = Turns::new(asker, self.freshness);
        self.statements.has_groups_by_user.store(self.schema.groups_by_user, Ordering::Relaxed);
        self.door_and_session("", false).await?;
        self.images_by_path(vec![String::new()]).await?;
        self.images_by_id(0).await?;
        self.images_by_stem(vec!["?".into()]).await?;
        self.center_of_interest(0).await?;
        self.images_by_representative(vec!["?".into()], "").await?;
        self.users([0; IDS], true).await?;
        self.user_by_name("?").await?;
        self.grants(vec![0], [0; IDS]).await?;
        self.config().await?;
        if self.schema.auth_keys {
            self.auth_key("").await?;
        }
        if self.schema.formats {
            self.images_by_format_id(0).await?;
            self.images_by_format(vec!["?".into()], "").await?;
        }
        self.servers.watch();
        Ok(())
    }

    /// Asks how many connections this account may have at the same time; 0 stands for no limit.
    async fn keep_within_the_accounts_limit(&self) -> Result<(), DatabaseError> {
        if matches!(self.servers.dialect(), Dialect::Sqlite) {
            return Ok(());
        }
        let asked = self.servers.rows_of_primary("SELECT @@max_user_connections".into(), Vec::new());
        let rows = in_time(asked).await?;
        if let Some(allowed) = rows.first().and_then(|row| row.unsigned(0)).filter(|&allowed| allowed > 0) {
            self.servers.keep_within(allowed);
        }
        Ok(())
    }

    /// What these tables hold; before [`Database::verify`], what Piwigo 16 has.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The character set of the connections where it cannot hold every text: what Piwigo's `DB_CHARSET`
    /// names.
    pub fn narrow_charset(&self) -> Option<&str> {
        self.exact.charset()
    }

    /// The gallery's settings of the config table that the gate knows, as they are stored.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn config(&self) -> Result<Vec<(String, Vec<u8>)>, DatabaseError> {
        let rows = in_time(self.servers.newest_rows(self.statements.config.clone(), Vec::new())).await?;
        Ok(rows.iter().filter_map(|row| Some((row.text(0)?, row.bytes(1).unwrap_or_default()))).collect())
    }

    /// The directories that Piwigo synchronises with, as it stores them: `./galleries/`, `../photos/`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn sites(&self) -> Result<Vec<String>, DatabaseError> {
        let rows = in_time(self.servers.newest_rows(self.statements.sites.clone(), Vec::new())).await?;
        Ok(rows.iter().filter_map(|row| row.text(0)).collect())
    }

    /// The active plugins. A table that is missing, or that the gate's user may not read, makes them
    /// unreadable and is no error: the gallery's other tables are enough for verdicts.
    ///
    /// # Errors
    /// When the database did not answer in time.
    pub async fn plugins(&self) -> Result<Plugins, DatabaseError> {
        match in_time(self.servers.newest_rows(self.statements.plugins.clone(), Vec::new())).await {
            Ok(rows) => Ok(active_plugins(&rows).map_or(Plugins::Unreadable, Plugins::Read)),
            Err(error) if error.trouble() == Trouble::Schema => {
                tracing::debug!(%error, "the table of plugins cannot be read");
                Ok(Plugins::Unreadable)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the gallery is locked, the session with exactly this row id, and the gallery's secret if
    /// `with_secret`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn door_and_session(
        &self,
        session_row_id: &str,
        with_secret: bool,
    ) -> Result<DoorAndSession, DatabaseError> {
        let key = SessionKey { row_id: session_row_id.to_owned(), with_secret };
        let rows = self.turns.ask(|turns| &turns.sessions, key).await?;
        // The config row is optional, the line is not: its absence is no reason to open the door.
        let first = rows.first().ok_or_else(DatabaseError::no_answer)?;
        let sessions = rows.iter().filter_map(|row| row.session.as_ref());
        let session = sessions.into_iter().find(|(id, _)| id == session_row_id).map(|(_, row)| row.clone());
        let secret_key = first.secret_key.clone().filter(|_| with_secret);
        Ok(DoorAndSession { gallery_locked: first.gallery_locked, session, secret_key })
    }

    /// Why sessions of this gallery cannot be read, told by a few of them; `None` where one of them can, or
    /// there is none.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn unreadable_sessions(&self) -> Result<Option<UnreadableSession>, DatabaseError> {
        let rows =
            in_time(self.servers.newest_rows(self.statements.some_sessions.clone(), Vec::new())).await?;
        let read = rows.iter().filter_map(|row| row.bytes(0)).map(|data| session::sign_in(&data));
        let mut unreadable = None;
        for sign_in in read {
            match sign_in {
                Ok(_) => return Ok(None),
                Err(error) => unreadable = unreadable.or(Some(error)),
            }
        }
        Ok(unreadable)
    }

    /// Writes the row of `history` that Piwigo writes when an original or a format is taken from
    /// `action.php`; the only statement that writes, and only where `history` asks for it.
    ///
    /// # Errors
    /// When the database cannot be asked, or this user may not write there.
    pub async fn was_taken(
        &self,
        user: u32,
        address: &str,
        image: u32,
        format: Option<u32>,
    ) -> Result<(), DatabaseError> {
        // The column holds 39 characters, enough for any address.
        let address: String = address.chars().take(39).collect();
        let mut values = vec![Value::Int(user.into()), Value::Text(address), Value::Int(image.into())];
        let statement = match format {
            Some(format) => {
                values.push(Value::Int(format.into()));
                &self.statements.format_was_taken
            }
            None => &self.statements.original_was_taken,
        };
        in_time(self.servers.rows_of_primary(statement.clone(), values)).await.map(|_| ())
    }

    /// The id of the account with exactly this name.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<u32>, DatabaseError> {
        if name.is_empty() {
            return Ok(None);
        }
        let rows = self.turns.ask(|turns| &turns.names, name.to_owned()).await?;
        Ok(rows.iter().find(|(_, known)| known == name.as_bytes()).map(|&(id, _)| id))
    }

    /// The row of a mailed key or an API key with exactly this id; `None` too where this Piwigo has no such
    /// keys.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn auth_key(&self, id: &str) -> Result<Option<AuthKeyRow>, DatabaseError> {
        if !self.schema.auth_keys {
            return Ok(None);
        }
        let statement =
            if self.schema.api_keys { &self.statements.auth_key } else { &self.statements.mailed_key };
        let rows = self.rows(statement.clone(), vec![Value::text(id)]).await?;
        // The column's collation folds case: compare again.
        let row = rows.iter().find(|row| row.bytes(0).as_deref() == Some(id.as_bytes()));
        Ok(row.and_then(|row| {
            Some(AuthKeyRow { user: row.unsigned(1)?, valid: row.int(2) == Some(1), secret: row.bytes(3) })
        }))
    }

    /// The rows whose path is exactly one of `paths`, three at most.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn images_by_path(&self, paths: Vec<String>) -> Result<Vec<ImageRow>, DatabaseError> {
        let paths = three(paths);
        let rows = self.turns.ask(|turns| &turns.images, paths.clone()).await?;
        let is_asked_for = |row: &&ImageRow| {
            // As in the row: without `./`.
            paths.iter().any(|path| path.strip_prefix("./").unwrap_or(path) == row.image.path)
        };
        Ok(rows.iter().filter(is_asked_for).cloned().collect())
    }

    /// The rows whose path begins with one of `prefixes` and whose representative has this extension, in the
    /// eyes of the database.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn images_by_representative(
        &self,
        prefixes: Vec<String>,
        extension: &str,
    ) -> Result<Vec<ImageRow>, DatabaseError> {
        self.images_of_owner(self.statements.images_by_representative.clone(), prefixes, extension).await
    }

    /// The rows whose path begins with one of `prefixes` and that have a format with this extension.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn images_by_format(
        &self,
        prefixes: Vec<String>,
        extension: &str,
    ) -> Result<Vec<ImageRow>, DatabaseError> {
        self.images_of_owner(self.statements.images_by_format.clone(), prefixes, extension).await
    }

    /// The row of `images` with this id, and its `file`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn images_by_id(&self, id: u32) -> Result<Vec<ImageRow>, DatabaseError> {
        self.image_rows(self.statements.images_by_id.clone(), vec![Value::Int(id.into())]).await
    }

    /// The row of `images` whose format this is, and its `file`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn images_by_format_id(&self, format: u32) -> Result<Vec<ImageRow>, DatabaseError> {
        self.image_rows(self.statements.images_by_format_id.clone(), vec![Value::Int(format.into())]).await
    }

    /// The rows whose path begins with one of `prefixes` and lies in no folder below, in the eyes of the
    /// database.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn images_by_stem(&self, mut prefixes: Vec<String>) -> Result<Vec<ImageRow>, DatabaseError> {
        let Some(first) = prefixes.first().cloned() else { return Ok(Vec::new()) };
        prefixes.resize(MAX_STEM_PREFIXES, first);
        let in_folders = prefixes.iter().map(|prefix| format!("{}/%", begins_with(prefix)));
        let values =
            prefixes.iter().map(|prefix| begins_with(prefix)).chain(in_folders).map(Value::Text).collect();
        let _turn = self.turn().await?;
        self.image_rows(self.statements.images_by_stem.clone(), values).await
    }

    async fn images_of_owner(
        &self,
        statement: Statement,
        prefixes: Vec<String>,
        extension: &str,
    ) -> Result<Vec<ImageRow>, DatabaseError> {
        let prefixes = three(prefixes);
        let in_folders = prefixes.iter().map(|prefix| format!("{}/%", begins_with(prefix)));
        let mut values: Vec<Value> =
            prefixes.iter().map(|prefix| begins_with(prefix)).chain(in_folders).map(Value::Text).collect();
        values.push(Value::text(extension));
        let _turn = self.turn().await?;
        self.image_rows(statement, values).await
    }

    /// The accounts with these ids, with what their remember-me cookies are signed with if
    /// `with_credentials`; perhaps others with them.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn users(
        &self,
        ids: [u32; IDS],
        with_credentials: bool,
    ) -> Result<Rows<UserRow>, DatabaseError> {
        self.turns.ask(|turns| &turns.users, UsersKey { ids, with_credentials }).await
    }

    /// Which of these albums are granted to which of these users, by hand or by group; perhaps others with
    /// them.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn grants(&self, albums: Vec<u32>, users: [u32; IDS]) -> Result<Rows<GrantRow>, DatabaseError> {
        self.turns.ask(|turns| &turns.grants, GrantsKey { users, albums }).await
    }

    /// The same for albums that will perhaps matter; the answer may be as old as `freshness`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn guessed_grants(
        &self,
        albums: Vec<u32>,
        users: [u32; IDS],
    ) -> Result<Rows<GrantRow>, DatabaseError> {
        self.turns.ask(|turns| &turns.guessed_grants, GrantsKey { users, albums }).await
    }

    /// The albums whose cover is one of these images, with what is granted to the visitor. Piwigo has no
    /// index for it: this reads the table of albums.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn covers(&self, images: &[u32], visitor: u32) -> Result<Vec<CoverRow>, DatabaseError> {
        let (statement, length) = self.statements.covers.at_least(images.len());
        let _turn = self.turn().await?;
        let ids = (0..length).map(|index| images.get(index).or(images.last()).map_or(0, |&id| id));
        let values = [visitor, visitor].into_iter().chain(ids);
        let rows = self.rows(statement, values.map(|id| Value::Int(id.into())).collect()).await?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let album = album(row.unsigned(1)?, row.text(2).as_deref(), row.text(3).as_deref());
                Some(CoverRow { image: row.unsigned(0)?, album, granted: row.int(4) == Some(1) })
            })
            .collect())
    }

    /// A turn for a statement that reads much (see [`OWNER_SHARE`]); given back when it is dropped.
    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, DatabaseError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.owners.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(DatabaseError::busy()),
        }
    }

    async fn image_rows(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<ImageRow>, DatabaseError> {
        let rows = match self.rows(statement, values).await {
            // What the column's character set cannot hold is no row's path.
            Err(error) if error.is_conversion() => Vec::new(),
            answer => answer?,
        };
        Ok(rows.iter().filter_map(image_row).collect())
    }

    pub(super) fn rows(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, DatabaseError>> + Send {
        // Boxed: these questions are rare, and each would make the future of every request larger.
        in_time(Box::pin(self.servers.rows(statement, values)))
    }
}

/// An answer, or the error that a database which keeps silent is turned into. No `async fn`: that would hold
/// the future that it is given twice.
fn in_time<R>(
    asking: impl Future<Output = Result<R, DatabaseError>> + Send,
) -> impl Future<Output = Result<R, DatabaseError>> + Send {
    tokio::time::timeout(ANSWER_TIMEOUT, asking)
        .map(|answer| answer.unwrap_or_else(|_| Err(DatabaseError::timeout(ANSWER_TIMEOUT))))
}
