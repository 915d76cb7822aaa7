//! The rule of Piwigo's plugin Download Permissions: turns an image and a visitor into whether an album
//! allows downloads of the original. Pure.

use super::is_open;
use crate::piwigo::records::Image;
use crate::piwigo::visitor::Visitor;

/// Whether an album that is open to the visitor allows downloads of the image; one such album is enough
/// (Piwigo: `download_permissions`, `dlperms_is_photo_downloadable`). The plugin enforces this in
/// `action.php` and on the picture's page. Without the right, Piwigo's pages link to no original, so the gate
/// applies the rule to every URL of an original.
pub(super) fn is_downloadable(image: &Image, visitor: &Visitor) -> bool {
    image.albums.iter().any(|&album| album.downloadable && is_open(album, visitor))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ALL, STRICT, album, claim, opens, picture, verdict, visitor};
    use super::super::{Denial, Policy, Verdict};
    use crate::piwigo::records::{Album, Ownership};
    use crate::piwigo::sizes::name::Kind;
    use crate::piwigo::visitor::{Identity, Status, Visitor};

    /// The rule of the plugin Download Permissions.
    #[test]
    fn originals_come_only_from_an_open_album_that_allows_downloads() {
        const LOW: Visitor = Visitor {
            id: 10,
            status: Status::Normal,
            level: 8,
            enabled_high: false,
            identity: Identity::Session,
        };
        let (bob, admin) = (Visitor { enabled_high: true, ..LOW }, visitor(Status::Admin, 8, true));
        let shut = |album: Album| Album { downloadable: false, ..album };
        let public = album(1, false, false, false);
        let (hidden, granted) = (album(2, true, false, false), album(2, true, false, true));
        let locked = album(3, false, true, false);
        let none = Err(Denial::NotDownloadable);
        let table = [
            (&bob, &STRICT, vec![public], Ok(())),
            (&bob, &STRICT, vec![shut(public)], none),
            (&bob, &STRICT, vec![shut(public), granted], Ok(())),
            (&bob, &STRICT, vec![granted, shut(public)], Ok(())),
            (&bob, &STRICT, vec![shut(public), hidden], none),
            (&bob, &STRICT, vec![shut(public), locked], none),
            (&admin, &STRICT, vec![shut(public), locked], Ok(())),
            (&admin, &STRICT, vec![shut(public)], none),
            (&admin, &ALL, vec![shut(public)], Ok(())),
            (&LOW, &STRICT, vec![shut(public)], Err(Denial::High)),
            (&bob, &STRICT, vec![shut(hidden)], Err(Denial::Album)),
        ];
        for (visitor, policy, albums, expected) in table {
            let got = match verdict(visitor, &[picture(&albums)], None, policy) {
                Verdict::Allow { .. } => Ok(()),
                Verdict::Deny(denial) => Err(denial),
                Verdict::GalleryLocked => unreachable!(),
            };
            assert_eq!(got, expected, "{visitor:?} {albums:?}");
        }
        // The rule applies only to files that need the right to originals. It does not apply to resized
        // pictures, films, posters and originals that pages show as they are.
        let everybody = Policy { formats_need_high: false, ..STRICT };
        let of = |path: &str, ownership| claim(path, 0, &[shut(public)], ownership);
        let mut small = of("upload/a.jpg", Ownership::Original);
        (small.image.width, small.image.height) = (Some(100), Some(80));
        for (claim, kind, policy, open) in [
            (of("upload/a.jpg", Ownership::Original), Some(Kind::XxLarge), &STRICT, true),
            (of("upload/a.mp4", Ownership::Original), None, &STRICT, true),
            (of("upload/a.mp4", Ownership::Representative), None, &STRICT, true),
            (of("upload/a.jpg", Ownership::Format), None, &STRICT, false),
            (of("upload/a.jpg", Ownership::Format), None, &everybody, true),
            (small, None, &STRICT, true),
        ] {
            let got = verdict(&bob, std::slice::from_ref(&claim), kind, policy);
            assert_eq!(opens(got), open, "{claim:?} {kind:?}");
        }
    }
}
