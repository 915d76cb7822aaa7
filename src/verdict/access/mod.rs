//! The only code that decides: turns a visitor, the rows that own the requested file and the gallery's state
//! into a [`Verdict`] with its reason. Pure, and written so that a reader who does not know Rust can check it
//! against docs/spec/piwigo.md §3.2 and §5.1.

mod downloads;
mod explain;

use downloads::is_downloadable;
pub use explain::{AlbumRule, ClaimRules, Explanation, HighRule, explain};

use crate::piwigo::gallery::Gallery;
use crate::piwigo::records::{Album, Claim, Image, Ownership};
use crate::piwigo::sizes::geometry;
use crate::piwigo::sizes::name::Kind;
use crate::piwigo::sizes::stored::DerivativeConfig;
use crate::piwigo::visitor::Visitor;

/// The rules that the gallery's administrator can choose (docs/design.md §4).
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether admins and webmasters see every file that has a record (`all`) or are judged like other
    /// visitors (`strict`).
    pub admins: Admins,
    /// Whether RAW and other formats need the right to originals.
    pub formats_need_high: bool,
    /// Whether a visitor who may see an album may also see the resized pictures of its cover, whatever albums
    /// the cover itself is in.
    pub covers: bool,
}

/// The `admins` setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admins {
    /// A visitor with status admin or webmaster gets every file that has a record.
    All,
    /// Admins and webmasters get what `action.php` gives them when they send no token.
    Strict,
}

/// The gallery's settings that affect a verdict.
#[derive(Clone, Debug)]
pub struct GalleryState<'a> {
    /// `gallery_locked` in the config table.
    pub locked: bool,
    /// `$conf['guest_access']`.
    pub guest_access: bool,
    /// `$conf['picture_ext']`, lower case.
    pub picture_extensions: &'a [String],
    /// The enabled sizes.
    pub derivatives: &'a DerivativeConfig,
}

impl Gallery {
    /// The state that a verdict depends on, apart from visitor and image. The caller reads `locked` anew for
    /// each request.
    pub fn state(&self, locked: bool) -> GalleryState<'_> {
        GalleryState {
            locked,
            guest_access: self.guest_access,
            picture_extensions: &self.picture_extensions,
            derivatives: &self.derivatives,
        }
    }
}

/// The decision. The gate sends a file only on [`Verdict::Allow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The visitor may have the file because of the claim with this index.
    Allow {
        /// Index into the claims.
        claim: usize,
        /// Why.
        because: Grant,
    },
    /// The visitor may not.
    Deny(Denial),
    /// The gallery is locked, and the visitor is no administrator.
    GalleryLocked,
}

/// Why a file is open to a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Status admin or webmaster, policy `admins = all`.
    Administrator,
    /// The album with this id is open to the visitor.
    Album(u32),
    /// The image is the cover of the album with this id, which is open to the visitor; policy `covers`.
    Cover(u32),
}

/// Why a file is closed to a visitor. The visitor does not learn the reason: every denial gets the same
/// answer. Ordered: the greatest denial among several claims is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Denial {
    /// No row owns such a file.
    #[error("no image record owns this file")]
    Unknown,
    /// `guest_access` is off and the visitor is not signed in, or the account has no usable status.
    #[error("the visitor's status may see nothing")]
    NoAccess,
    /// The image is in no album that is open to the visitor.
    #[error("none of the image's albums is open to the visitor")]
    Album,
    /// The image's privacy level is above the visitor's.
    #[error("the image's level is above the visitor's")]
    Level,
    /// The visitor may see the picture but lacks the right to originals (`enabled_high`).
    #[error("the visitor has no right to originals")]
    High,
    /// The visitor has that right, but no album that is open to the visitor allows downloads of the image.
    #[error("none of the image's albums that are open to the visitor allows downloads (column downloadable)")]
    NotDownloadable,
}

/// Decides whether `visitor` may have the file that each of `claims` owns, as the derivative `derivative`, or
/// unchanged if that is `None`. One claim that passes every rule by itself is enough, because several rows
/// may share a file (docs/spec/piwigo.md §4.7).
pub fn decide(
    visitor: &Visitor,
    claims: &[Claim],
    derivative: Option<Kind>,
    gallery: &GalleryState<'_>,
    policy: &Policy,
) -> Verdict {
    if gallery.locked && !visitor.status.is_admin() {
        return Verdict::GalleryLocked;
    }
    if !visitor.status.may_enter(gallery.guest_access) {
        return Verdict::Deny(Denial::NoAccess);
    }
    let mut nearest = Denial::Unknown;
    for (index, claim) in claims.iter().enumerate() {
        match judge(visitor, claim, derivative, gallery, policy) {
            Ok(because) => return Verdict::Allow { claim: index, because },
            Err(denial) => nearest = nearest.max(denial),
        }
    }
    Verdict::Deny(nearest)
}

fn judge(
    visitor: &Visitor,
    claim: &Claim,
    derivative: Option<Kind>,
    gallery: &GalleryState<'_>,
    policy: &Policy,
) -> Result<Grant, Denial> {
    let image = &claim.image;
    if visitor.status.is_admin() && policy.admins == Admins::All {
        return Ok(Grant::Administrator);
    }
    let grant = opening(visitor, claim, derivative, gallery, policy).ok_or(Denial::Album)?;
    if image.level > visitor.level {
        return Err(Denial::Level);
    }
    if needs_high(claim, derivative, gallery, policy) {
        if !visitor.enabled_high {
            return Err(Denial::High);
        }
        if !is_downloadable(image, visitor) {
            return Err(Denial::NotDownloadable);
        }
    }
    Ok(grant)
}

/// The album that opens the image to the visitor: one that the image is in, or else one whose cover it is.
fn opening(
    visitor: &Visitor,
    claim: &Claim,
    derivative: Option<Kind>,
    gallery: &GalleryState<'_>,
    policy: &Policy,
) -> Option<Grant> {
    let open = |albums: &[Album]| albums.iter().find(|album| is_open(**album, visitor)).map(|album| album.id);
    open(&claim.image.albums).map(Grant::Album).or_else(|| {
        let shown = shows_covers(claim, derivative, gallery, policy);
        if shown { open(&claim.cover_of).map(Grant::Cover) } else { None }
    })
}

/// Whether this file may be opened as an album's cover. Piwigo shows a cover whatever albums the cover itself
/// is in (docs/spec/piwigo.md §3.6). The rule covers only resized pictures, and none that shows the whole
/// source.
fn shows_covers(
    claim: &Claim,
    derivative: Option<Kind>,
    gallery: &GalleryState<'_>,
    policy: &Policy,
) -> bool {
    policy.covers
        && claim.ownership != Ownership::Format
        && derivative.is_some_and(|kind| {
            !is_same_as_source(kind, &claim.image, gallery)
                && !is_as_large_as_source(kind, &claim.image, gallery)
        })
}

/// Whether one album is open to the visitor. Each album is judged by its own row, because Piwigo inherits
/// nothing when it checks (docs/spec/piwigo.md §3.1).
fn is_open(album: Album, visitor: &Visitor) -> bool {
    (!album.private || album.granted) && (!album.locked || visitor.status.is_admin())
}

/// Whether this format is the better version of a film that the plugin `VideoJS` plays instead of it, such as
/// `x.hd.mp4` for `x.mp4`. The film is not a picture, so its original needs no right to originals; neither
/// does this version.
fn is_hd_version(claim: &Claim, gallery: &GalleryState<'_>) -> bool {
    let original = claim.image.path.rsplit_once('.').map(|(_, extension)| extension);
    !claim.image.is_picture(gallery.picture_extensions)
        && original
            .and_then(|extension| claim.file.strip_suffix(extension))
            .is_some_and(|rest| rest.ends_with(".hd."))
}

/// Whether only a visitor with `enabled_high` may have this file (docs/spec/piwigo.md §5.1).
fn needs_high(claim: &Claim, derivative: Option<Kind>, gallery: &GalleryState<'_>, policy: &Policy) -> bool {
    let image = &claim.image;
    match claim.ownership {
        Ownership::Representative | Ownership::Companion => false,
        Ownership::Format => policy.formats_need_high && !is_hd_version(claim, gallery),
        Ownership::Original if !image.is_picture(gallery.picture_extensions) => false,
        Ownership::Original => {
            // Piwigo answers some derivatives with the source itself; such a derivative needs the right that
            // the source needs.
            let is_the_source = derivative.is_none_or(|kind| {
                is_same_as_source(kind, image, gallery) || is_as_large_as_source(kind, image, gallery)
            });
            is_the_source && !a_page_shows_the_original(image, gallery)
        }
    }
}

/// Whether a derivative of this type is the source itself, because the source is small enough, upright and
/// gets no watermark.
pub fn is_same_as_source(kind: Kind, image: &Image, gallery: &GalleryState<'_>) -> bool {
    let watermark = &gallery.derivatives.watermark;
    gallery.derivatives.params(kind).is_some_and(|params| {
        geometry::same_as_source(&params, watermark, image.width, image.height, image.rotation)
    })
}

/// Whether a custom size holds all the pixels of the original, possibly turned or watermarked
/// (docs/spec/piwigo.md §5.4): it does not make the picture smaller, and no enabled named size shows the
/// picture as large. Named sizes do not count, because Piwigo shows them to every visitor.
fn is_as_large_as_source(kind: Kind, image: &Image, gallery: &GalleryState<'_>) -> bool {
    let Some(params) = gallery.derivatives.params(kind).filter(|_| matches!(kind, Kind::Custom(_))) else {
        return false;
    };
    let on_its_side = image.rotation.is_some_and(|rotation| !rotation.is_multiple_of(2));
    // If the record has no dimensions, the size counts as the original unless an enabled named size is at
    // least as large.
    let shown = match (image.width, image.height) {
        (Some(width), Some(height)) => {
            let size = if on_its_side { (height, width) } else { (width, height) };
            if params.sizing.compute(size, None).scaled.is_some() {
                return false;
            }
            size
        }
        _ => params.sizing.ideal_size,
    };
    !gallery.derivatives.enabled.iter().any(|named| named.sizing.is_identity(shown))
}

/// Whether Piwigo's page shows the original itself, as it does for a small picture, also to visitors without
/// the right to originals.
fn a_page_shows_the_original(image: &Image, gallery: &GalleryState<'_>) -> bool {
    gallery.derivatives.any_size_is_source(image.width, image.height, image.rotation)
}

#[cfg(test)]
mod tests;
