//! What the statements answer: rows as a verdict needs them, without passwords in any `Debug` text.

use super::engine::Row;
use super::statements::MAX_PLUGINS;
use crate::piwigo::plugins::Active;
use crate::piwigo::records::{Album, Image};
use crate::piwigo::session;

/// A row of `images` with one of its albums and one of its formats.
#[derive(Clone, Debug)]
pub struct ImageRow {
    /// The image, without albums.
    pub image: Image,
    /// One of its albums, if any.
    pub album: Option<Album>,
    /// The extension of one of its formats, if asked for.
    pub format: Option<String>,
    /// `images.file`, if asked for.
    pub file: Option<String>,
}

/// A row of the users table with its `user_infos`. Its `Debug` text holds no password hash.
#[derive(Clone)]
pub struct UserRow {
    /// `users.id`.
    pub id: u32,
    /// The columns of `user_infos`, if that row exists.
    pub infos: Option<UserInfos>,
    /// `users.username` and `users.password`, if they were asked for.
    pub credentials: Option<Credentials>,
}

/// What a remember-me cookie is signed with, beside the gallery's secret.
#[derive(Clone)]
pub struct Credentials {
    /// `users.username`.
    pub username: Vec<u8>,
    /// `users.password`: a hash; empty for NULL.
    pub password: Vec<u8>,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("UserRow")
            .field("id", &self.id)
            .field("infos", &self.infos)
            .finish_non_exhaustive()
    }
}

/// A row of `user_auth_keys`, by the database's own clock.
#[derive(Clone)]
pub struct AuthKeyRow {
    /// `user_id`.
    pub user: u32,
    /// Not expired and not revoked.
    pub valid: bool,
    /// `apikey_secret`: a hash, for API keys only.
    pub secret: Option<Vec<u8>>,
}

/// A row of `user_infos`.
#[derive(Clone, Debug)]
pub struct UserInfos {
    /// `status`.
    pub status: String,
    /// `level`.
    pub level: u32,
    /// `enabled_high`.
    pub enabled_high: bool,
}

/// What one statement says of the gallery's door and of the visitor's session.
#[derive(Debug)]
pub struct DoorAndSession {
    /// `gallery_locked` is `true` in the config table.
    pub gallery_locked: bool,
    /// The session's row, if it exists.
    pub session: Option<SessionRow>,
    /// `secret_key`, if it was asked for.
    pub secret_key: Option<Vec<u8>>,
}

/// A row of `sessions`.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// What `data` says of the visitor.
    pub sign_in: Result<session::SignIn, session::UnreadableSession>,
    /// Seconds since the last write, by the database's own clock.
    pub age: Option<i64>,
}

/// An album granted to a user, by hand or by group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// `user_id`.
    pub user: u32,
    /// `cat_id`.
    pub album: u32,
}

/// An album and the image that is its cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoverRow {
    /// `representative_picture_id`.
    pub image: u32,
    /// The album, not yet granted to anybody.
    pub album: Album,
    /// Whether the visitor holds a grant for it.
    pub granted: bool,
}

/// The columns `id, path, level, representative_ext, width, height, rotation`, which come first.
pub(super) fn image(row: &Row) -> Option<Image> {
    let path = row.text(1)?;
    let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
    Some(Image {
        id: row.unsigned(0)?,
        path,
        // A level that cannot be read is above everybody's.
        level: row.unsigned(2).unwrap_or(u32::MAX),
        representative_ext: row.text(3).filter(|extension| !extension.is_empty()),
        width: row.unsigned(4),
        height: row.unsigned(5),
        rotation: row.unsigned(6),
        albums: Vec::new(),
    })
}

pub(super) fn image_row(row: &Row) -> Option<ImageRow> {
    let image = image(row)?;
    let album = row.unsigned(7).map(|id| Album {
        // Only the word that opens them opens originals (Piwigo: download_permissions,
        // `dlperms_is_photo_downloadable`).
        downloadable: row.text(10).as_deref() == Some("true"),
        ..album(id, row.text(8).as_deref(), row.text(9).as_deref())
    });
    Some(ImageRow { image, album, format: row.text(11), file: row.text(12) })
}

/// Only the two words that open an album open it. Its resized pictures are all that a cover shows, so whether
/// its originals may be downloaded is for the rows of images to say.
pub(super) fn album(id: u32, status: Option<&str>, visible: Option<&str>) -> Album {
    Album {
        id,
        private: status != Some("public"),
        locked: visible != Some("true"),
        granted: false,
        downloadable: true,
    }
}
/// The rows of active plugins; `None` if there are too many, or one that is no text: it could be the one that
/// matters.
pub(super) fn active_plugins(rows: &[Row]) -> Option<Vec<Active>> {
    if rows.len() > MAX_PLUGINS {
        return None;
    }
    rows.iter()
        .map(|row| Some(Active { id: row.text(0)?, version: row.text(1).unwrap_or_default() }))
        .collect()
}
