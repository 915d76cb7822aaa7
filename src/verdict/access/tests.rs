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

pub(super) fn verdict(visitor: &Visitor, claims: &[Claim], kind: Option<Kind>, policy: &Policy) -> Verdict {
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
    assert_eq!(verdict(&admin, &[], None, &ALL), Verdict::Deny(Denial::Unknown));
}

#[test]
fn a_locked_album_is_closed_even_with_a_grant() {
    let claims = [picture(&[album(1, true, true, true)])];
    assert_eq!(verdict(&visitor(Status::Normal, 8, true), &claims, None, &ALL), Verdict::Deny(Denial::Album));
    assert!(opens(verdict(&visitor(Status::Admin, 8, true), &claims, None, &STRICT)));
}

#[test]
fn a_locked_gallery_and_a_gallery_without_guests() {
    let claims = [picture(&[album(1, false, false, false)])];
    let table = [
        (Status::Guest, true, true, Verdict::GalleryLocked),
        (Status::Normal, true, true, Verdict::GalleryLocked),
        (Status::Guest, false, false, Verdict::Deny(Denial::NoAccess)),
        (Status::Unknown, false, true, Verdict::Deny(Denial::NoAccess)),
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
        assert_eq!(opens(verdict(&low, &claims, kind, policy)), expected, "{path} {ownership:?} {kind:?}");
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
            Err(denial) => Verdict::Deny(denial),
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
        Verdict::Deny(Denial::Level)
    );
    assert_eq!(
        verdict(&visitor, &[open_but_high, low_but_closed, open], None, &ALL),
        Verdict::Allow { claim: 2, because: Grant::Album(3) }
    );
}
