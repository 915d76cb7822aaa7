//! A target in, the rows of `images` that own its file out, with the albums they are in. MySQL compares paths
//! without regard to case, accents and trailing spaces, so every row is compared again here, byte for byte.

use super::companion::{self, Candidate, Pattern};
use super::uri::{self, Owner, Part, Source, Target};
use crate::database::{Database, DatabaseError, ImageRow};
use crate::piwigo::gallery::Gallery;
use crate::piwigo::records::{Claim, Folder, Image, Ownership};

/// Rows that are looked at for one file, at most; Piwigo makes one, and a handful share a representative.
pub const MAX_CLAIMS: usize = 64;

impl Image {
    /// The file of which this row's derivatives are made, as a claim to it: the picture itself, or the
    /// representative of what is none. `None`: Piwigo shows an icon, or the path is one that is never served.
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

    /// The claim of this row to the file `source`, if it has one.
    /// `formats`: the extensions of those of its formats that may be meant.
    fn claim(self, source: &Source, formats: &[String]) -> Option<Claim> {
        // One leading `../` is a gallery beside the root, which shares its derivatives' names with the root.
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

/// What a file of the root and its name may look like in `images.path` (docs/spec/piwigo.md §4.2): with `./`,
/// bare where `upload_dir` has no dot, and with `../` where a derivative may belong to a gallery beside the
/// root.
fn spellings_of(source: &Source, path: &str, of_derivative: bool) -> Vec<String> {
    if source.beside_the_root { vec![format!("../{path}")] } else { spellings(path, of_derivative) }
}

/// The same for a path below the root; `with_parent`: or perhaps beside it.
pub fn spellings(path: &str, with_parent: bool) -> Vec<String> {
    let mut spellings = vec![format!("./{path}"), path.to_owned()];
    if with_parent {
        spellings.push(format!("../{path}"));
    }
    spellings
}

/// Finds the rows that own what `target` names; an icon has none.
///
/// # Errors
/// When the database cannot be asked.
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
            // In the same round, so that an unknown file takes no longer.
            let (own, owners) = tokio::try_join!(
                find(database, source, false, gallery),
                find_owners(database, source, &candidates, gallery)
            )?;
            // What has a row of its own is judged by that row alone.
            Ok(if own.is_empty() { owners } else { own })
        }
        Target::Derivative { source, .. } => find(database, source, true, gallery).await,
        Target::Record(record) => find_part(database, record.part, gallery).await,
        Target::Icon(_) => Ok(Vec::new()),
    }
}

/// Finds the rows beside whose file `source` lies as a companion: films, sounds and documents, no pictures.
/// Of several names that it could belong to only the longest counts: `film.en.vtt` is `film.en.mp4`'s if
/// there is such a film, and then no longer `film.mp4`'s, which others may see.
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

/// Where the request names a row beside the path, that row must be one of those that own it.
fn keep_if_named(claims: &mut Vec<Claim>, source: &Source) {
    if source.row.is_some_and(|row| !claims.iter().any(|claim| claim.image.id == row)) {
        claims.clear();
    }
}

/// Finds the row that these numbers name, if the file is one that could be asked for by its path, too.
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
/// For a derivative (`of_derivative`) only those rows count whose source picture the file is: an original
/// that is a picture, or the representative of a file that is none.
///
/// # Errors
/// When the database cannot be asked.
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
    // `./x` and `../x` share the derivative's name; the row below the root owns it
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

/// Joins the rows, one per album and format, to one image each.
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
