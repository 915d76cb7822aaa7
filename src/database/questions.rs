//! The questions that nearly every request asks, each for many requests in one statement.
//!
//! The database compares texts without regard to case, accents or trailing spaces, and an answer holds the
//! rows of others: whoever asked picks their own by exact value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::batch::{Batches, Question, Rows};
use super::engine::{Row, Value};
use super::replicas::Servers;
use super::rows::{Credentials, GrantRow, ImageRow, SessionRow, UserInfos, UserRow, image_row};
use super::statements::{MAX_ALBUMS, MAX_SPELLINGS, Statements};
use super::{DatabaseError, IDS};
use crate::piwigo::session;

/// All of them, asked turn by turn: what waits is asked at the same time, one statement a kind; what comes
/// meanwhile waits until all of these are answered.
///
/// A kind could go on as soon as its own statement is answered. Measured with 16 connections, that takes 1.3
/// statements a request instead of 0.8: each request needs all kinds, so nobody is ready any sooner.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) sessions: Batches<Sessions>,
    pub(super) images: Batches<Images>,
    pub(super) users: Batches<Users>,
    pub(super) names: Batches<Names>,
    pub(super) grants: Batches<Grants>,
    /// The same, asked before the image is known.
    pub(super) guessed_grants: Batches<Grants>,
    /// A task is asking, and takes what waits when it is done.
    is_asking: AtomicBool,
}

impl Turns {
    pub(super) fn new(asker: Asker, freshness: Duration) -> Arc<Self> {
        Arc::new(Turns {
            sessions: Batches::new(Sessions(asker.clone()), freshness),
            images: Batches::new(Images(asker.clone()), freshness),
            users: Batches::new(Users(asker.clone()), freshness),
            names: Batches::new(Names(asker.clone()), freshness),
            // Never kept: all unknown files ask for the grants on no album, so that the clock would tell them
            // from those that are refused.
            grants: Batches::new(Grants(asker.clone()), Duration::ZERO),
            guessed_grants: Batches::new(Grants(asker), freshness),
            is_asking: AtomicBool::new(false),
        })
    }

    /// The rows of the statement that asks for `key`, perhaps among others; `kind` picks the kind of
    /// question.
    pub(super) async fn ask<Q: Question>(
        self: &Arc<Self>,
        kind: impl Fn(&Self) -> &Batches<Q>,
        key: Q::Key,
    ) -> Result<Rows<Q::Row>, DatabaseError> {
        let kind = kind(self);
        let answer = kind.join(key);
        // Nothing waits if an answer that was kept will do, or if it was taken at once.
        if kind.has_waiting() && !self.is_asking.swap(true, Ordering::AcqRel) {
            let turns = self.clone();
            tokio::spawn(async move { turns.ask_all().await });
        }
        answer.await
    }

    async fn ask_all(&self) {
        loop {
            while self.has_waiting() {
                // Whoever is ready to ask by now shares this turn.
                tokio::task::yield_now().await;
                tokio::join!(
                    self.sessions.ask_next(),
                    self.images.ask_next(),
                    self.users.ask_next(),
                    self.names.ask_next(),
                    self.grants.ask_next(),
                    self.guessed_grants.ask_next(),
                );
            }
            self.is_asking.store(false, Ordering::Release);
            // Who came after the last look and before this line relies on us.
            if !self.has_waiting() || self.is_asking.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }

    fn has_waiting(&self) -> bool {
        self.sessions.has_waiting()
            || self.images.has_waiting()
            || self.users.has_waiting()
            || self.names.has_waiting()
            || self.grants.has_waiting()
            || self.guessed_grants.has_waiting()
    }
}

/// What every question needs.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) servers: Arc<Servers>,
    pub(super) statements: Arc<Statements>,
}

/// Whether the gallery is locked, and sessions by the id of their row.
pub(super) struct Sessions(pub(super) Asker);

/// A session's row id, and whether the gallery's secret is asked for, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionKey {
    pub(super) row_id: String,
    pub(super) with_secret: bool,
}

/// The gallery's door, once per session and at least once.
#[derive(Debug)]
pub(super) struct DoorRow {
    pub(super) gallery_locked: bool,
    pub(super) secret_key: Option<Vec<u8>>,
    pub(super) session: Option<(String, SessionRow)>,
}

impl Question for Sessions {
    type Key = SessionKey;
    type Row = DoorRow;

    async fn ask(&self, keys: &[SessionKey]) -> Result<Vec<DoorRow>, DatabaseError> {
        let with_secret = keys.iter().any(|key| key.with_secret);
        let secret_param = if with_secret { "secret_key" } else { "" };
        let (statement, length) = self.0.statements.door_and_sessions.at_least(keys.len());
        let mut values = vec![Value::text(secret_param)];
        values.extend(padded(keys, length).map(|key| Value::text(&key.row_id)));
        let rows = self.0.servers.rows(statement, values).await?;
        let door = |row: &Row| DoorRow {
            // Piwigo reads `true` and `false` as such and takes the truth of any other text as PHP does.
            gallery_locked: row.bytes(0).is_some_and(|value| !matches!(&*value, b"" | b"0" | b"false")),
            session: row.text(1).filter(|id| !id.is_empty()).map(|id| {
                let sign_in = session::sign_in(&row.bytes(2).unwrap_or_default());
                (id, SessionRow { sign_in, age: row.int(3) })
            }),
            secret_key: row.bytes(4),
        };
        Ok(rows.iter().map(door).collect())
    }
}

/// Rows of `images` by their path.
pub(super) struct Images(pub(super) Asker);

impl Question for Images {
    /// The spellings of one file's path.
    type Key = [String; MAX_SPELLINGS];
    type Row = ImageRow;

    async fn ask(&self, keys: &[Self::Key]) -> Result<Vec<ImageRow>, DatabaseError> {
        let paths = distinct_paths(keys.iter());
        let (statement, length) = self.0.statements.images_by_path.at_least(paths.len());
        let values = padded(&paths, length).map(|path| Value::text(path)).collect();
        let rows = self.0.servers.rows(statement, values).await?;
        Ok(rows.iter().filter_map(image_row).collect())
    }
}

/// Accounts by id.
pub(super) struct Users(pub(super) Asker);

/// The accounts that one request concerns, and whether what a remember-me cookie is signed with is asked for,
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UsersKey {
    pub(super) ids: [u32; IDS],
    pub(super) with_credentials: bool,
}

impl Question for Users {
    type Key = UsersKey;
    type Row = UserRow;

    async fn ask(&self, keys: &[UsersKey]) -> Result<Vec<UserRow>, DatabaseError> {
        let ids = distinct(keys.iter().flat_map(|key| key.ids));
        let with_credentials = keys.iter().any(|key| key.with_credentials);
        let Statements { users, users_with_credentials, .. } = &*self.0.statements;
        let (statement, length) =
            if with_credentials { users_with_credentials } else { users }.at_least(ids.len());
        let values = padded(&ids, length).map(|&id| Value::Int(id.into())).collect();
        let rows = self.0.servers.rows(statement, values).await?;
        let user = |row: &Row| {
            let infos = row.text(1).map(|status| UserInfos {
                status,
                level: row.unsigned(2).unwrap_or(0),
                enabled_high: row.text(3).as_deref() == Some("true"),
            });
            let credentials = with_credentials.then(|| Credentials {
                username: row.bytes(4).unwrap_or_default(),
                password: row.bytes(5).unwrap_or_default(),
            });
            Some(UserRow { id: row.unsigned(0)?, infos, credentials })
        };
        Ok(rows.iter().filter_map(user).collect())
    }
}

/// Accounts by name.
pub(super) struct Names(pub(super) Asker);

impl Question for Names {
    type Key = String;
    /// An id, and the name's bytes.
    type Row = (u32, Vec<u8>);

    async fn ask(&self, keys: &[String]) -> Result<Vec<Self::Row>, DatabaseError> {
        let (statement, length) = self.0.statements.users_by_name.at_least(keys.len());
        let values = padded(keys, length).map(|name| Value::text(name)).collect();
        let rows = self.0.servers.rows(statement, values).await?;
        Ok(rows.iter().filter_map(|row| Some((row.unsigned(0)?, row.bytes(1)?))).collect())
    }
}

/// Grants by user and album.
pub(super) struct Grants(pub(super) Asker);

/// The accounts that one request concerns, and albums.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GrantsKey {
    pub(super) users: [u32; IDS],
    pub(super) albums: Vec<u32>,
}

impl Question for Grants {
    type Key = GrantsKey;
    type Row = GrantRow;

    async fn ask(&self, keys: &[GrantsKey]) -> Result<Vec<GrantRow>, DatabaseError> {
        let users = distinct(keys.iter().flat_map(|key| key.users));
        let mut albums = distinct(keys.iter().flat_map(|key| key.albums.iter().copied()));
        if albums.is_empty() {
            // Asked all the same, so that an unknown file takes as long as one that is refused; no album has
            // this id.
            albums.push(0);
        }
        let mut grants = Vec::new();
        for albums in albums.chunks(MAX_ALBUMS) {
            let (statement, user_count, album_count) =
                self.0.statements.grants().at_least(users.len(), albums.len());
            let users = padded(&users, user_count);
            let ids = users.clone().chain(padded(albums, album_count));
            // Each of the statement's two halves has both lists.
            let values = ids.clone().chain(ids).map(|&id| Value::Int(id.into())).collect();
            let rows = self.0.servers.rows(statement, values).await?;
            let grant = |row: &Row| Some(GrantRow { user: row.unsigned(0)?, album: row.unsigned(1)? });
            grants.extend(rows.iter().filter_map(grant));
        }
        Ok(grants)
    }
}

fn distinct_paths<'a>(keys: impl Iterator<Item = &'a [String; MAX_SPELLINGS]>) -> Vec<&'a str> {
    let mut paths: Vec<&str> = keys.flatten().map(String::as_str).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

fn distinct(ids: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// `items` with the last one repeated to make `length`; a statement's list has room for so many.
fn padded<T>(items: &[T], length: usize) -> impl Iterator<Item = &T> + Clone {
    (0..length).filter_map(move |index| items.get(index).or(items.last()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_filled_with_their_last_item() {
        let table: [(&[u32], usize, &[u32]); 3] =
            [(&[7], 1, &[7]), (&[1, 2, 3], 4, &[1, 2, 3, 3]), (&[9], 4, &[9, 9, 9, 9])];
        for (items, length, expected) in table {
            assert_eq!(padded(items, length).copied().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_asked_twice_is_asked_once() {
        assert_eq!(distinct([2, 5, 2, 2, 1].into_iter()), [1, 2, 5]);
    }
}
