//! Explains the decision of [`decide`](super::decide) rule by rule, so that `check` can show it to an
//! administrator. A property test compares both on random visitors, rows and policies.

use super::{
    Admins, Denial, GalleryState, Grant, Policy, Verdict, downloads::is_downloadable, needs_high,
    shows_covers,
};
use crate::piwigo::records::{Album, Claim};
use crate::piwigo::sizes::name::Kind;
use crate::piwigo::visitor::Visitor;

/// The outcome of every rule that affects a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The gallery is locked for this visitor.
    pub locked_out: bool,
    /// Why a signed-in user is judged as a guest, as a phrase.
    pub why_guest: Option<&'static str>,
    /// The visitor's status may see anything at all.
    pub may_enter: bool,
    /// Each row that owns the file.
    pub claims: Vec<ClaimRules>,
}

/// The outcome of every rule for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// The visitor is an administrator who may see every record; no other rule applies.
    pub administrator: bool,
    /// The rule for each album that the image is in, by album id.
    pub albums: Vec<(u32, AlbumRule)>,
    /// The rule for each album whose cover the image is, by album id. Empty unless the policy `covers` is on
    /// and the request is for a resized picture that may be shown as a cover.
    pub covers: Vec<(u32, AlbumRule)>,
    /// The image's level.
    pub level: u32,
    /// The image's level is at most the visitor's.
    pub level_passes: bool,
    /// Whether the right to originals is needed and held.
    pub high: HighRule,
}

/// Why an album is open or closed to a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlbumRule {
    /// It is public.
    Public,
    /// It is private and granted to the visitor, or to one of the visitor's groups.
    Granted,
    /// It is locked, but the visitor is an administrator; it is also public or granted.
    LockedButAdmin,
    /// It is private and not granted to the visitor.
    Private,
    /// It is locked.
    Locked,
}

/// Whether a file needs the right to originals, and whether the visitor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HighRule {
    /// This file does not need the right.
    NotNeeded,
    /// The file needs the right, and the visitor has it.
    Held,
    /// The file needs the right, and the visitor does not have it.
    Lacking,
    /// The visitor has the right, but no album that is open to the visitor allows downloads.
    NotDownloadable,
}

impl AlbumRule {
    fn of(album: Album, visitor: &Visitor) -> Self {
        match (album.locked, album.private && !album.granted) {
            (true, _) if !visitor.status.is_admin() => AlbumRule::Locked,
            (_, true) => AlbumRule::Private,
            (true, false) => AlbumRule::LockedButAdmin,
            (false, false) if album.private => AlbumRule::Granted,
            (false, false) => AlbumRule::Public,
        }
    }

    /// Whether the album makes its images visible to the visitor.
    pub fn opens(self) -> bool {
        matches!(self, AlbumRule::Public | AlbumRule::Granted | AlbumRule::LockedButAdmin)
    }
}

impl ClaimRules {
    /// The verdict for this row alone.
    ///
    /// # Errors
    /// The first rule that the visitor fails.
    pub fn outcome(&self) -> Result<Grant, Denial> {
        let opening =
            |albums: &[(u32, AlbumRule)]| albums.iter().find(|(_, rule)| rule.opens()).map(|(id, _)| *id);
        if self.administrator {
            return Ok(Grant::Administrator);
        }
        let grant = match (opening(&self.albums), opening(&self.covers)) {
            (Some(album), _) => Grant::Album(album),
            (None, Some(album)) => Grant::Cover(album),
            (None, None) => return Err(Denial::Album),
        };
        if !self.level_passes {
            Err(Denial::Level)
        } else if self.high == HighRule::Lacking {
            Err(Denial::High)
        } else if self.high == HighRule::NotDownloadable {
            Err(Denial::NotDownloadable)
        } else {
            Ok(grant)
        }
    }
}

impl Explanation {
    /// The verdict that follows from these rules.
    pub fn verdict(&self) -> Verdict {
        if self.locked_out {
            return Verdict::GalleryLocked;
        }
        if !self.may_enter {
            return Verdict::Deny(Denial::NoAccess);
        }
        let outcomes: Vec<_> = self.claims.iter().map(ClaimRules::outcome).collect();
        let allowed = outcomes
            .iter()
            .enumerate()
            .find_map(|(claim, outcome)| outcome.ok().map(|because| Verdict::Allow { claim, because }));
        allowed.unwrap_or_else(|| {
            let denials = outcomes.into_iter().filter_map(Result::err);
            Verdict::Deny(denials.max().unwrap_or(Denial::Unknown))
        })
    }
}

/// Returns the outcome of every rule that [`decide`](super::decide) applies, for the same arguments.
pub fn explain(
    visitor: &Visitor,
    claims: &[Claim],
    derivative: Option<Kind>,
    gallery: &GalleryState<'_>,
    policy: &Policy,
) -> Explanation {
    let rules = |albums: &[Album]| {
        albums.iter().map(|&album| (album.id, AlbumRule::of(album, visitor))).collect::<Vec<_>>()
    };
    let claims = claims.iter().map(|claim| ClaimRules {
        administrator: visitor.status.is_admin() && policy.admins == Admins::All,
        albums: rules(&claim.image.albums),
        covers: if shows_covers(claim, derivative, gallery, policy) {
            rules(&claim.cover_of)
        } else {
            Vec::new()
        },
        level: claim.image.level,
        level_passes: claim.image.level <= visitor.level,
        high: match needs_high(claim, derivative, gallery, policy) {
            false => HighRule::NotNeeded,
            true if !visitor.enabled_high => HighRule::Lacking,
            true if !is_downloadable(&claim.image, visitor) => HighRule::NotDownloadable,
            true => HighRule::Held,
        },
    });
    Explanation {
        locked_out: gallery.locked && !visitor.status.is_admin(),
        why_guest: visitor.identity.why_guest(),
        may_enter: visitor.status.may_enter(gallery.guest_access),
        claims: claims.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piwigo::records::{Image, Ownership};
    use crate::piwigo::sizes::name::CustomSize;
    use crate::piwigo::sizes::stored::DerivativeConfig;
    use crate::piwigo::visitor::{Identity, Status};
    use crate::verdict::access::{decide, is_open};
    use proptest::prelude::*;

    fn statuses() -> impl Strategy<Value = Status> {
        use Status::{Admin, Generic, Guest, Normal, Unknown, Webmaster};
        proptest::sample::select(vec![Webmaster, Admin, Normal, Generic, Guest, Unknown])
    }

    fn albums() -> impl Strategy<Value = Vec<Album>> {
        let album =
            (1..9u32, any::<[bool; 4]>()).prop_map(|(id, [private, locked, granted, downloadable])| Album {
                id,
                private,
                locked,
                granted,
                downloadable,
            });
        proptest::collection::vec(album, 0..4)
    }

    fn claims() -> impl Strategy<Value = Claim> {
        use Ownership::{Format, Original, Representative};
        let size = || proptest::option::of(proptest::sample::select(vec![0, 100, 1600, 3000]));
        let ownership = proptest::sample::select(vec![Original, Representative, Format]);
        let path = proptest::sample::select(vec!["upload/a.jpg", "upload/a.mp4"]);
        (ownership, path, 0..3u32, albums(), albums(), size(), size(), proptest::option::of(0..5u32))
            .prop_map(|(ownership, path, level, albums, cover_of, width, height, rotation)| Claim {
                image: Image {
                    id: 1,
                    path: path.into(),
                    level,
                    representative_ext: None,
                    width,
                    height,
                    rotation,
                    albums,
                },
                name: None,
                ownership,
                file: path.into(),
                cover_of,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn what_is_explained_is_what_was_decided(
            (status, level, enabled_high) in (statuses(), 0..3u32, any::<bool>()),
            claims in proptest::collection::vec(claims(), 0..4),
            kind in 0..4usize,
            (locked, guest_access) in (proptest::bool::weighted(0.1), any::<bool>()),
            (strict, formats_need_high, covers) in (any::<bool>(), any::<bool>(), any::<bool>()),
        ) {
            let custom = CustomSize::from_key("s9999").unwrap();
            let kind = [None, Some(Kind::Thumb), Some(Kind::XxLarge), Some(Kind::Custom(custom))][kind];
            let mut derivatives = DerivativeConfig::default();
            derivatives.customs.extend([custom]);
            let pictures = ["jpg".to_owned()];
            let gallery =
                GalleryState { locked, guest_access, picture_extensions: &pictures, derivatives: &derivatives };
            let admins = if strict { Admins::Strict } else { Admins::All };
            let policy = Policy { admins, formats_need_high, covers };
            let visitor = Visitor { id: 10, status, level, enabled_high, identity: Identity::Session };
            let explained = explain(&visitor, &claims, kind, &gallery, &policy);
            prop_assert_eq!(explained.verdict(), decide(&visitor, &claims, kind, &gallery, &policy));
            for (claim, rules) in claims.iter().zip(&explained.claims) {
                for (album, (_, rule)) in claim.image.albums.iter().zip(&rules.albums) {
                    prop_assert_eq!(rule.opens(), is_open(*album, &visitor));
                }
            }
        }
    }
}
