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
    DenyWith(Denial),
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
        return Verdict::DenyWith(Denial::NoAccess);
    }
    let mut nearest = Denial::Unknown;
    for (index, claim) in claims.iter().enumerate() {
        match judge(visitor, claim, derivative, gallery, policy) {
            Ok(because) => return Verdict::Allow { claim: index, because },
            Err(denial) => nearest = nearest.max(denial),
        }
    }
    Verdict::DenyWith(nearest)
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
mod tests {
    use super::*;
    use crate::piwigo::sizes::name::CustomSize;
    use crate::piwigo::visitor::{Identity, Status};

    pub(super) const ALL: Policy = Policy { admins: Admins::All, formats_need_high: true, covers: false };
    pub(super) const STRICT: Policy = Policy { admins: Admins::Strict, ..ALL };

    pub(super) fn visitor(status: Status, level: u32, enabled_high: bool) -> Visitor {
        Visitor { id: 10, status, level, enabled_high, identity: Identity::Session }
    }

    pub(super) fn album(id: u32, private: bool, locked: bool, granted: bool) -> Album {
        Album { id, private, locked, granted, downloadable: true }
    }

    pub(super) fn claim(path: &str, level: u32, albums: &[Album], ownership: Ownership) -> Claim {
        let image = Image {
            id: 1,
            path: path.into(),
            level,
            representative_ext: None,
            width: Some(3000),
            height: Some(2000),
            rotation: Some(0),
            albums: albums.to_vec(),
        };
        Claim { image, ownership, file: path.into(), name: None, cover_of: Vec::new() }
    }

    pub(super) fn picture(albums: &[Album]) -> Claim {
        claim("upload/a.jpg", 0, albums, Ownership::Original)
    }

    fn decide_with(
        visitor: &Visitor,
        claims: &[Claim],
        kind: Option<Kind>,
        locked: bool,
        guest_access: bool,
        policy: &Policy,
    ) -> Verdict {
        let pictures = ["jpg".to_owned(), "png".to_owned()];
        let derivatives = DerivativeConfig::default();
        let state =
            GalleryState { locked, guest_access, picture_extensions: &pictures, derivatives: &derivatives };
        decide(visitor, claims, kind, &state, policy)
    }

    pub(super) fn verdict(
        visitor: &Visitor,
        claims: &[Claim],
        kind: Option<Kind>,
        policy: &Policy,
    ) -> Verdict {
        decide_with(visitor, claims, kind, false, true, policy)
    }

    pub(super) fn opens(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Allow { .. })
    }

    /// docs/spec/piwigo.md §3.3: rows are visitors, columns are images 1 to 7; `adm` and `webmaster` send no
    /// token.
    #[test]
    fn the_worked_example() {
        const PUBLIC: u32 = 1;
        const FAMILY: u32 = 2;
        const LOCKED: u32 = 3;
        const CLUB: u32 = 4;
        let images: [(u32, &[u32]); 7] = [
            (0, &[PUBLIC]),
            (8, &[PUBLIC]),
            (0, &[FAMILY]),
            (0, &[LOCKED]),
            (4, &[CLUB]),
            (0, &[]),
            (0, &[PUBLIC, FAMILY]),
        ];
        let visitors = [
            ("guest", Status::Guest, 0, &[][..], "YnnnnnY"),
            ("ann", Status::Normal, 0, &[FAMILY], "YnYnnnY"),
            ("bob", Status::Normal, 4, &[CLUB], "YnnnYnY"),
            ("adm", Status::Admin, 8, &[], "YYnYnnY"),
            ("webmaster", Status::Webmaster, 8, &[], "YYnYnnY"),
        ];
        for (name, status, level, grants, expected) in visitors {
            let visitor = visitor(status, level, true);
            let got: String = images
                .iter()
                .map(|(level, albums)| {
                    let albums: Vec<Album> = albums
                        .iter()
                        .map(|&id| album(id, id == FAMILY || id == CLUB, id == LOCKED, grants.contains(&id)))
                        .collect();
                    let claim = claim("upload/a.jpg", *level, &albums, Ownership::Original);
                    if opens(verdict(&visitor, &[claim], None, &STRICT)) { 'Y' } else { 'n' }
                })
                .collect();
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn admins_see_every_record_but_nothing_without_one() {
        let admin = visitor(Status::Admin, 0, false);
        let orphan = claim("upload/a.jpg", 8, &[], Ownership::Original);
        assert_eq!(
            verdict(&admin, std::slice::from_ref(&orphan), None, &ALL),
            Verdict::Allow { claim: 0, because: Grant::Administrator }
        );
        assert!(!opens(verdict(&admin, &[orphan], None, &STRICT)));
        assert_eq!(verdict(&admin, &[], None, &ALL), Verdict::DenyWith(Denial::Unknown));
    }

    #[test]
    fn a_locked_album_is_closed_even_with_a_grant() {
        let claims = [picture(&[album(1, true, true, true)])];
        assert_eq!(
            verdict(&visitor(Status::Normal, 8, true), &claims, None, &ALL),
            Verdict::DenyWith(Denial::Album)
        );
        assert!(opens(verdict(&visitor(Status::Admin, 8, true), &claims, None, &STRICT)));
    }

    #[test]
    fn a_locked_gallery_and_a_gallery_without_guests() {
        let claims = [picture(&[album(1, false, false, false)])];
        let table = [
            (Status::Guest, true, true, Verdict::GalleryLocked),
            (Status::Normal, true, true, Verdict::GalleryLocked),
            (Status::Guest, false, false, Verdict::DenyWith(Denial::NoAccess)),
            (Status::Unknown, false, true, Verdict::DenyWith(Denial::NoAccess)),
        ];
        for (status, locked, guests, expected) in table {
            let got = decide_with(&visitor(status, 8, true), &claims, None, locked, guests, &ALL);
            assert_eq!(got, expected, "{status:?}");
        }
        assert!(opens(decide_with(&visitor(Status::Admin, 0, true), &claims, None, true, true, &ALL)));
        assert!(opens(decide_with(&visitor(Status::Generic, 0, true), &claims, None, false, false, &ALL)));
    }

    /// docs/spec/piwigo.md §5.1: the originals that a visitor without the right to originals gets
    /// nevertheless.
    #[test]
    fn originals_without_enabled_high() {
        let table = [
            (Some(1656), Some(1242), Some(0), true),
            (Some(1657), Some(1242), Some(0), false),
            (Some(1242), Some(1656), Some(0), false),
            (Some(1656), Some(1242), Some(1), false),
            (Some(1000), Some(1000), Some(2), false),
            (Some(1000), Some(1000), Some(3), false),
            (Some(1000), Some(1000), Some(4), true),
            (Some(1000), Some(1000), None, true),
            (Some(100), Some(80), Some(0), true),
            (None, Some(80), Some(0), false),
            (Some(100), None, Some(0), false),
        ];
        for (width, height, rotation, expected) in table {
            let mut claim = picture(&[album(1, false, false, false)]);
            (claim.image.width, claim.image.height, claim.image.rotation) = (width, height, rotation);
            let verdict = verdict(&visitor(Status::Normal, 0, false), &[claim], None, &ALL);
            assert_eq!(opens(verdict), expected, "{width:?} x {height:?}, rotation {rotation:?}");
        }
    }

    #[test]
    fn the_right_to_originals_by_kind_of_file() {
        let public = [album(1, false, false, false)];
        let low = visitor(Status::Normal, 0, false);
        let lax = Policy { formats_need_high: false, ..ALL };
        let table = [
            ("upload/a.jpg", Ownership::Original, None, &ALL, false),
            ("upload/a.JPG", Ownership::Original, None, &ALL, false),
            ("upload/a.mp4", Ownership::Original, None, &ALL, true),
            ("upload/a.mp4", Ownership::Representative, None, &ALL, true),
            ("upload/a.jpg", Ownership::Format, None, &ALL, false),
            ("upload/a.jpg", Ownership::Format, None, &lax, true),
            ("upload/a.jpg", Ownership::Original, Some(Kind::Thumb), &ALL, true),
            ("upload/a.jpg", Ownership::Original, Some(Kind::XxLarge), &ALL, true),
        ];
        for (path, ownership, kind, policy, expected) in table {
            let claims = [claim(path, 0, &public, ownership)];
            assert_eq!(
                opens(verdict(&low, &claims, kind, policy)),
                expected,
                "{path} {ownership:?} {kind:?}"
            );
        }
    }

    #[test]
    fn the_hd_version_of_a_film_needs_what_the_film_needs() {
        let public = [album(1, false, false, false)];
        let hidden = [album(1, true, false, false)];
        let low = visitor(Status::Normal, 0, false);
        for (path, file, albums, expected) in [
            ("upload/a.mp4", "upload/pwg_format/a.hd.mp4", &public, true),
            ("upload/a.WebM", "upload/pwg_format/a.hd.WebM", &public, true),
            ("upload/a.mp4", "upload/pwg_format/a.hd.mp4", &hidden, false),
            // Other formats of a film, and formats of a picture.
            ("upload/a.mp4", "upload/pwg_format/a.hd.webm", &public, false),
            ("upload/a.mp4", "upload/pwg_format/a.mp4", &public, false),
            ("upload/a.mp4", "upload/pwg_format/a.uhd.mp4", &public, false),
            ("upload/a.mp4", "upload/pwg_format/a.mov", &public, false),
            ("upload/a.jpg", "upload/pwg_format/a.hd.jpg", &public, false),
            ("upload/a.jpg", "upload/pwg_format/a.hd.mp4", &public, false),
        ] {
            let claims = [Claim { file: file.into(), ..claim(path, 0, albums, Ownership::Format) }];
            assert_eq!(opens(verdict(&low, &claims, None, &ALL)), expected, "{file} of {path}");
        }
    }

    #[test]
    fn a_custom_size_larger_than_the_original_is_the_original() {
        let mut derivatives = DerivativeConfig::default();
        let (large, small) = (CustomSize::from_key("s9999").unwrap(), CustomSize::from_key("s500").unwrap());
        derivatives.customs.extend([large, small]);
        let pictures = ["jpg".to_owned()];
        let state = GalleryState {
            locked: false,
            guest_access: true,
            picture_extensions: &pictures,
            derivatives: &derivatives,
        };
        let claims = [picture(&[album(1, false, false, false)])];
        for (enabled_high, size, expected) in
            [(false, large, false), (true, large, true), (false, small, true), (true, small, true)]
        {
            let visitor = visitor(Status::Normal, 0, enabled_high);
            let verdict = decide(&visitor, &claims, Some(Kind::Custom(size)), &state, &ALL);
            assert_eq!(opens(verdict), expected, "{size:?} with enabled_high {enabled_high}");
        }
    }

    /// docs/spec/piwigo.md §5.4: a custom size with all the pixels of the original needs the right to
    /// originals, also if it is turned, watermarked or of unknown dimensions.
    #[test]
    fn no_custom_size_shows_the_whole_original_without_the_right() {
        let size = |key| CustomSize::from_key(key).unwrap();
        let (huge, large, small) = (size("s9999"), size("s2000"), size("s500"));
        let (plain, mut marked) = (DerivativeConfig::default(), DerivativeConfig::default());
        marked.watermark.file = b"local/watermarks/a.png".to_vec();
        let pictures = ["jpg".to_owned()];
        let big = (Some(3000), Some(2000));
        for (config, (width, height), rotation, size, expected) in [
            (&plain, big, Some(1), huge, false),
            (&plain, big, Some(2), huge, false),
            (&marked, big, Some(0), huge, false),
            (&plain, (None, None), Some(0), huge, false),
            (&plain, (None, None), Some(0), large, false),
            (&plain, (None, None), Some(0), small, true),
            (&plain, big, Some(1), large, true),
            (&marked, big, Some(0), large, true),
            (&plain, (Some(1600), Some(1200)), Some(2), huge, true),
            (&plain, (Some(1600), Some(1200)), Some(1), huge, false),
            (&plain, (Some(1200), Some(1656)), Some(0), huge, false),
            (&plain, (Some(1200), Some(1656)), Some(1), huge, true),
        ] {
            let mut derivatives = config.clone();
            derivatives.customs.extend([huge, large, small]);
            let state = GalleryState {
                locked: false,
                guest_access: true,
                picture_extensions: &pictures,
                derivatives: &derivatives,
            };
            let mut claim = picture(&[album(1, false, false, false)]);
            (claim.image.width, claim.image.height, claim.image.rotation) = (width, height, rotation);
            let visitor = visitor(Status::Normal, 0, false);
            let verdict = decide(&visitor, &[claim], Some(Kind::Custom(size)), &state, &ALL);
            assert_eq!(opens(verdict), expected, "{width:?}x{height:?} {rotation:?} {size:?}");
        }
    }

    #[test]
    fn a_cover_opens_its_resized_pictures_and_nothing_else() {
        use Ownership::{Format, Original, Representative};
        type Row<'a> =
            (&'a str, Ownership, Option<Kind>, Album, u32, Option<u32>, &'a Policy, Result<Grant, Denial>);
        let covers = Policy { covers: true, ..ALL };
        let (open, locked, closed) =
            (album(7, false, false, false), album(7, false, true, false), album(7, true, false, false));
        let granted = album(7, true, false, true);
        let custom = Some(Kind::Custom(CustomSize::from_key("s9999").unwrap()));
        let (cover, album_denied) = (Ok(Grant::Cover(7)), Err(Denial::Album));
        let thumb = Some(Kind::Thumb);
        #[rustfmt::skip]
        let table: [Row; 13] = [
            ("a.jpg", Original, thumb, open, 0, Some(3000), &covers, cover),
            ("a.jpg", Original, thumb, granted, 0, Some(3000), &covers, cover),
            ("a.mp4", Representative, thumb, open, 0, Some(3000), &covers, cover),
            ("a.jpg", Original, thumb, open, 0, Some(3000), &ALL, album_denied),
            ("a.jpg", Original, thumb, closed, 0, Some(3000), &covers, album_denied),
            ("a.jpg", Original, thumb, locked, 0, Some(3000), &covers, album_denied),
            ("a.jpg", Original, thumb, open, 1, Some(3000), &covers, Err(Denial::Level)),
            ("a.jpg", Original, None, open, 0, Some(3000), &covers, album_denied),
            ("a.mp4", Original, None, open, 0, Some(3000), &covers, album_denied),
            ("a.mp4", Representative, None, open, 0, Some(3000), &covers, album_denied),
            ("a.jpg", Format, None, open, 0, Some(3000), &covers, album_denied),
            // The picture is so small that its thumb is the original itself.
            ("a.jpg", Original, thumb, open, 0, Some(10), &covers, album_denied),
            ("a.jpg", Original, custom, open, 0, Some(3000), &covers, album_denied),
        ];
        let mut derivatives = DerivativeConfig::default();
        derivatives.customs.extend([CustomSize::from_key("s9999").unwrap()]);
        let pictures = ["jpg".to_owned()];
        let state = GalleryState {
            locked: false,
            guest_access: true,
            picture_extensions: &pictures,
            derivatives: &derivatives,
        };
        let private = [album(1, true, false, false)];
        for (path, ownership, kind, cover_of, level, width, policy, expected) in table {
            let mut claim = claim(path, level, &private, ownership);
            (claim.image.width, claim.image.height) = (width, width);
            claim.cover_of = vec![cover_of];
            let expected = match expected {
                Ok(because) => Verdict::Allow { claim: 0, because },
                Err(denial) => Verdict::DenyWith(denial),
            };
            let visitor = visitor(Status::Normal, 0, true);
            let got = decide(&visitor, &[claim], kind, &state, policy);
            assert_eq!(got, expected, "{path} {ownership:?} {kind:?} {cover_of:?} level {level}");
        }
    }

    #[test]
    fn one_row_must_pass_every_test_by_itself() {
        let open_but_high = claim("a.mp4", 8, &[album(1, false, false, false)], Ownership::Representative);
        let low_but_closed = claim("a.mov", 0, &[album(2, true, false, false)], Ownership::Representative);
        let open = claim("a.avi", 0, &[album(3, false, false, false)], Ownership::Representative);
        let visitor = visitor(Status::Normal, 0, true);
        assert_eq!(
            verdict(&visitor, &[open_but_high.clone(), low_but_closed.clone()], None, &ALL),
            Verdict::DenyWith(Denial::Level)
        );
        assert_eq!(
            verdict(&visitor, &[open_but_high, low_but_closed, open], None, &ALL),
            Verdict::Allow { claim: 2, because: Grant::Album(3) }
        );
    }
}
