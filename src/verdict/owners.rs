//! Turns a target into the rows of `images` that own its file, with the albums they are in. MySQL compares
//! paths without regard to case, accents and trailing spaces, so this module compares every row again byte
//! for byte.

use super::companion::{self, Candidate, Pattern};
use super::uri::{self, Owner, Part, Source, Target};
use crate::database::{Database, DatabaseError, ImageRow};
use crate::piwigo::gallery::Gallery;
use crate::piwigo::records::{Claim, Folder, Image, Ownership};

/// Most rows that are considered for one file. Piwigo creates one row; a few rows can share a representative.
pub const MAX_CLAIMS: usize = 64;

impl Image {
    /// The file from which Piwigo makes this row's derivatives, as a claim to it: the picture itself, or the
    /// representative of a file that is no picture. `None` if Piwigo shows an icon instead, or if the path is
    /// one that the gate never serves.
    pub fn source_picture(self, gallery: &Gallery) -> Option<Claim> {
        let (ownership, file) = if self.is_picture(&gallery.picture_extensions) {
            (Ownership::Original, self.path.clone())
        } else {
            let extension = self.representative_ext.as_deref()?;
            (Ownership::Representative, self.belonging(Folder::Representative, extension)?)
        };
        uri::servable(&file, &gallery.layout).ok()?;
        Some(Claim { ownership, file, image: self, name: None, cover_of: Vec::new() })
    }

    /// This row's claim to the file `source`, if the row owns it. `formats` holds the extensions of those of
    /// the row's formats that the request may mean.
    fn claim(self, source: &Source, formats: &[String]) -> Option<Claim> {
        // A row that begins with `../` belongs to a gallery beside the root; its derivatives have the same
        // names as those of a path below the root.
        if self.path == source.path || self.path.strip_prefix("../") == Some(&source.path) {
            let file = self.path.clone();
            return Some(Claim {
                image: self,
                ownership: Ownership::Original,
                file,
                name: None,
                cover_of: Vec::new(),
            });
        }
        let path = self.path.strip_prefix("../").unwrap_or(&self.path);
        let (directory, file_name) = path.rsplit_once('/').unwrap_or(("", path));
        let (stem, _) = file_name.rsplit_once('.')?;
        let owner = source.owners.iter().find(|owner| {
            let has_it = match owner.folder {
                Folder::Representative => self.representative_ext.as_ref() == Some(&owner.extension),
                Folder::Format => formats.contains(&owner.extension),
            };
            has_it && directory == owner.directory && stem == owner.stem
        })?;
        let ownership = match owner.folder {
            Folder::Representative => Ownership::Representative,
            Folder::Format => Ownership::Format,
        };
        let file = self.belonging(owner.folder, &owner.extension)?;
        Some(Claim { ownership, file, image: self, name: None, cover_of: Vec::new() })
    }
}

/// The spellings of `path` in `images.path` (docs/spec/piwigo.md §4.2): with `./`, bare if `upload_dir` has
/// no dot, and with `../` for a derivative, which may belong to a gallery beside the root.
fn spellings_of(source: &Source, path: &str, of_derivative: bool) -> Vec<String> {
    if source.beside_the_root { vec![format!("../{path}")] } else { spellings(path, of_derivative) }
}

/// The spellings of a path below the root; with `with_parent`, also of the same path beside the root.
pub fn spellings(path: &str, with_parent: bool) -> Vec<String> {
    let mut spellings = vec![format!("./{path}"), path.to_owned()];
    if with_parent {
        spellings.push(format!("../{path}"));
    }
    spellings
}

/// Finds the rows that own the file of `target`; an icon has none.
///
/// # Errors
/// If the database cannot be queried.
pub async fn of_target(
    database: &Database,
    target: &Target,
    gallery: &Gallery,
    companions: &[Pattern],
) -> Result<Vec<Claim>, DatabaseError> {
    match target {
        Target::File(source) => {
            let candidates = companion::candidates(companions, &source.path);
            if candidates.is_empty() {
                return find(database, source, false, gallery).await;
            }
            // Both queries run in one round, so that the answer for an unknown file takes no longer.
            let (own, owners) = tokio::try_join!(
                find(database, source, false, gallery),
                find_owners(database, source, &candidates, gallery)
            )?;
            // A file with a row of its own is judged by that row alone.
            Ok(if own.is_empty() { owners } else { own })
        }
        Target::Derivative { source, .. } => find(database, source, true, gallery).await,
        Target::Record(record) => find_part(database, record.part, gallery).await,
        Target::Icon(_) => Ok(Vec::new()),
    }
}

/// Finds the rows of films, sounds and documents (not pictures) that `source` is a companion of. If it could
/// belong to several, only the longest name counts: `film.en.vtt` belongs to `film.en.mp4` if that exists,
/// and then no longer to `film.mp4`, which other visitors may be allowed to see.
async fn find_owners(
    database: &Database,
    source: &Source,
    candidates: &[Candidate],
    gallery: &Gallery,
) -> Result<Vec<Claim>, DatabaseError> {
    if !database.schema().can_hold(&source.path) {
        return Ok(Vec::new());
    }
    let prefix = |candidate: &Candidate| {
        spellings_of(source, &format!("{}{}.", candidate.directory, candidate.stem), false)
    };
    let rows = database.images_by_stem(candidates.iter().flat_map(prefix).collect()).await?;
    let claim = |(image, _): (Image, Vec<String>)| {
        let above = if source.beside_the_root { "../" } else { "" };
        let path = image.path.strip_prefix(above)?;
        let name_at = path.rfind('/').map_or(0, |at| at + 1);
        let (directory, file_name) = path.split_at(name_at);
        let (stem, _) = file_name.rsplit_once('.')?;
        let Candidate { folder, rest, .. } =
            candidates.iter().find(|candidate| candidate.directory == directory && candidate.stem == stem)?;
        let file = format!("{above}{directory}{folder}{stem}{rest}");
        (!image.is_picture(&gallery.picture_extensions)).then_some(Claim {
            image,
            ownership: Ownership::Companion,
            file,
            name: None,
            cover_of: Vec::new(),
        })
    };
    let mut claims: Vec<Claim> = group(rows.into_iter()).into_iter().filter_map(claim).collect();
    let name_ends = |claim: &Claim| claim.image.path.rfind('.');
    let longest = claims.iter().map(name_ends).max().flatten();
    claims.retain(|claim| name_ends(claim) == longest);
    claims.truncate(MAX_CLAIMS);
    keep_if_named(&mut claims, source);
    Ok(claims)
}

/// Drops all claims if the request names a row beside the path and that row is not among them.
fn keep_if_named(claims: &mut Vec<Claim>, source: &Source) {
    if source.row.is_some_and(|row| !claims.iter().any(|claim| claim.image.id == row)) {
        claims.clear();
    }
}

/// Finds the row that the ids of an `action.php` request name, if the gate would also serve its file by path.
async fn find_part(database: &Database, part: Part, gallery: &Gallery) -> Result<Vec<Claim>, DatabaseError> {
    let rows = match part {
        Part::Element(id) | Part::Representative(id) => database.images_by_id(id).await?,
        Part::Format { format, .. } if gallery.formats => database.images_by_format_id(format).await?,
        Part::Format { .. } => Vec::new(),
    };
    let name = rows.first().and_then(|row| row.file.clone());
    let claim = |(image, formats): (Image, Vec<String>)| {
        let format = formats.first().map(String::as_str).filter(|extension| !extension.is_empty());
        let (ownership, file) = match part {
            Part::Element(_) => (Ownership::Original, image.path.clone()),
            Part::Representative(_) => {
                let extension = image.representative_ext.as_deref()?;
                (Ownership::Representative, image.belonging(Folder::Representative, extension)?)
            }
            Part::Format { image: Some(id), .. } if id != image.id => return None,
            Part::Format { .. } => (Ownership::Format, image.belonging(Folder::Format, format?)?),
        };
        let source = uri::servable(&file, &gallery.layout).ok()?;
        let claim = image.claim(&source, &formats)?;
        (claim.ownership == ownership && claim.file == file).then_some(claim)
    };
    let mut claims: Vec<Claim> = group(rows.into_iter()).into_iter().filter_map(claim).collect();
    for claim in &mut claims {
        claim.name.clone_from(&name);
    }
    Ok(claims)
}

/// Finds the rows that own `source`.
///
/// For a derivative (`of_derivative`), only those rows count whose source picture the file is: an original
/// that is a picture, or the representative of a file that is none.
///
/// # Errors
/// If the database cannot be queried.
pub async fn find(
    database: &Database,
    source: &Source,
    of_derivative: bool,
    gallery: &Gallery,
) -> Result<Vec<Claim>, DatabaseError> {
    if !database.schema().can_hold(&source.path) {
        return Ok(Vec::new());
    }
    let by_path = database.images_by_path(spellings_of(source, &source.path, of_derivative));
    let by_owner = async {
        let ask = async |owner: Option<&Owner>| match owner {
            Some(owner) if owner.folder == Folder::Format && !gallery.formats => Ok(Vec::new()),
            Some(owner) => images_of_owner(database, source, owner, of_derivative).await,
            None => Ok(Vec::new()),
        };
        let (rows, more) = tokio::try_join!(ask(source.owners.first()), ask(source.owners.get(1)))?;
        Ok(rows.into_iter().chain(more).collect::<Vec<_>>())
    };
    let (by_path, by_owner) = tokio::try_join!(by_path, by_owner)?;
    let mut claims = Vec::new();
    for image in group(by_path.into_iter().chain(by_owner)) {
        let (image, formats) = image;
        let Some(claim) = image.claim(source, &formats) else { continue };
        let is_source_picture = match claim.ownership {
            Ownership::Original => claim.image.is_picture(&gallery.picture_extensions),
            Ownership::Representative => !claim.image.is_picture(&gallery.picture_extensions),
            Ownership::Format | Ownership::Companion => false,
        };
        if (!of_derivative || is_source_picture) && claims.len() < MAX_CLAIMS {
            claims.push(claim);
        }
    }
    // The derivatives of `./x` and `../x` have the same names; the row below the root owns them
    // (docs/spec/piwigo.md §4.6, step 5).
    if source.beside_the_root {
        claims.retain(|claim| claim.file.starts_with("../"));
    } else if claims.iter().any(|claim| !claim.file.starts_with("../")) {
        claims.retain(|claim| !claim.file.starts_with("../"));
    }
    keep_if_named(&mut claims, source);
    Ok(claims)
}

async fn images_of_owner(
    database: &Database,
    source: &Source,
    owner: &Owner,
    of_derivative: bool,
) -> Result<Vec<ImageRow>, DatabaseError> {
    let directory = if owner.directory.is_empty() { String::new() } else { format!("{}/", owner.directory) };
    let prefixes = spellings_of(source, &format!("{directory}{}.", owner.stem), of_derivative);
    match owner.folder {
        Folder::Representative => database.images_by_representative(prefixes, &owner.extension).await,
        Folder::Format => database.images_by_format(prefixes, &owner.extension).await,
    }
}

/// Groups the rows, of which there is one per album and format, into one image each.
fn group(rows: impl Iterator<Item = ImageRow>) -> Vec<(Image, Vec<String>)> {
    let mut images: Vec<(Image, Vec<String>)> = Vec::new();
    for row in rows {
        let place = images.iter().position(|(image, _)| image.id == row.image.id).unwrap_or_else(|| {
            images.push((row.image, Vec::new()));
            images.len() - 1
        });
        let (image, formats) = &mut images[place];
        if let Some(album) = row.album
            && !image.albums.iter().any(|known| known.id == album.id)
        {
            image.albums.push(album);
        }
        if let Some(format) = row.format
            && !formats.contains(&format)
        {
            formats.push(format);
        }
    }
    images
}
