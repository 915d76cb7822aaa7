//! The statements that the making of derivatives needs, beside a verdict's: what a row says of its picture,
//! one row or all of them in turn.

use std::sync::Arc;

use super::charset::Exact;
use super::engine::Value;
use super::rows::image;
use super::statements::{Tables, quoted};
use super::{Database, DatabaseError};
use crate::piwigo::records::Image;
use crate::piwigo::sizes::geometry::CenterOfInterest;

/// Rows of one answer of [`Database::pictures_after`].
const ROWS: usize = 256;

/// Of which pictures derivatives are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those of this album.
    Album(u32),
    /// Those of this album and of the albums in it, however deep.
    AlbumAndBelow(u32),
}

/// A row of `images` as far as its picture goes: without albums.
#[derive(Clone, Debug)]
pub struct PictureRow {
    /// The row.
    pub image: Image,
    /// `images.coi`.
    pub coi: Option<CenterOfInterest>,
}

#[derive(Debug)]
pub(super) struct PictureStatements {
    coi: Arc<str>,
    album: Arc<str>,
    count_all: Arc<str>,
    count_of_album: Arc<str>,
    all: Arc<str>,
    of_album: Arc<str>,
}

impl PictureStatements {
    pub(super) fn build(tables: &Tables, exact: &Exact) -> Result<Self, DatabaseError> {
        let images = quoted(&tables.images)?;
        let categories = quoted(&tables.categories)?;
        let image_category = quoted(&tables.image_category)?;
        let (path, representative_ext) = (exact.column("i.path"), exact.column("i.representative_ext"));
        let columns =
            format!("i.id, {path}, i.level, {representative_ext}, i.width, i.height, i.rotation, i.coi");
        // The album itself, and those that name it among their ancestors.
        let of_album = format!(
            "FROM {image_category} ic JOIN {categories} c ON c.id = ic.category_id \
             WHERE (c.id = ? OR c.uppercats LIKE ? OR c.uppercats LIKE ?)"
        );
        Ok(PictureStatements {
            coi: format!("SELECT i.coi FROM {images} i WHERE i.id = ?").into(),
            album: format!("SELECT c.id FROM {categories} c WHERE c.id = ?").into(),
            count_all: format!("SELECT COUNT(*) FROM {images} i").into(),
            count_of_album: format!("SELECT COUNT(DISTINCT ic.image_id) {of_album}").into(),
            all: format!("SELECT {columns} FROM {images} i WHERE i.id > ? ORDER BY i.id LIMIT {ROWS}").into(),
            of_album: format!(
                "SELECT {columns} FROM {images} i JOIN (SELECT DISTINCT ic.image_id AS id {of_album} \
                 AND ic.image_id > ? ORDER BY ic.image_id LIMIT {ROWS}) a ON a.id = i.id ORDER BY i.id"
            )
            .into(),
        })
    }
}

impl Which {
    /// The values that stand for the album in the statements; `None` for all.
    fn album(self) -> Option<Vec<Value>> {
        let (id, below) = match self {
            Which::All => return None,
            Which::Album(id) => (id, false),
            Which::AlbumAndBelow(id) => (id, true),
        };
        // `uppercats` is `1,5,9`: the album's ancestors, and itself.
        let pattern = |pattern: String| Value::Text(if below { pattern } else { String::new() });
        Some(vec![Value::Int(id.into()), pattern(format!("{id},%")), pattern(format!("%,{id},%"))])
    }
}

impl Database {
    /// `images.coi` of a row.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn center_of_interest(&self, image: u32) -> Result<Option<CenterOfInterest>, DatabaseError> {
        let rows = self.rows(self.pictures.coi.clone(), vec![Value::Int(image.into())]).await?;
        Ok(rows.first().and_then(|row| CenterOfInterest::from_column(&row.bytes(0)?)))
    }

    /// Whether there is such an album.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn has_album(&self, album: u32) -> Result<bool, DatabaseError> {
        let rows = self.rows(self.pictures.album.clone(), vec![Value::Int(album.into())]).await?;
        Ok(!rows.is_empty())
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn count_pictures(&self, which: Which) -> Result<u64, DatabaseError> {
        let (statement, values) = match which.album() {
            None => (&self.pictures.count_all, Vec::new()),
            Some(album) => (&self.pictures.count_of_album, album),
        };
        let rows = self.rows(statement.clone(), values).await?;
        Ok(rows.first().and_then(|row| row.int(0)).map_or(0, |count| count.max(0).unsigned_abs()))
    }

    /// The next rows whose id is larger than `id`, by their ids; none: there are no more.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn pictures_after(&self, which: Which, id: u32) -> Result<Vec<PictureRow>, DatabaseError> {
        let (statement, mut values) = match which.album() {
            None => (&self.pictures.all, Vec::new()),
            Some(album) => (&self.pictures.of_album, album),
        };
        values.push(Value::Int(id.into()));
        let rows = self.rows(statement.clone(), values).await?;
        let picture = |row: &super::engine::Row| {
            let image = image(row)?;
            let coi = row.bytes(7).and_then(|coi| CenterOfInterest::from_column(&coi));
            Some(PictureRow { image, coi })
        };
        Ok(rows.iter().filter_map(picture).collect())
    }
}
