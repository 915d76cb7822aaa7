//! What is in the sample gallery: its visitors, albums, grants, pictures, and the addresses that lead
//! nowhere.

use super::plan::{Album, DemoPicture, DemoVisitor, File, url};
use super::right::rows;
use super::scenes::Scene;

/// Name, `users.id` and note, in the order of the columns of every `Row`.
const VISITORS: [(&str, u32, &str); 5] = [
    ("guest", 2, "not signed in"),
    ("alice", 3, "was granted the album “Family” by name"),
    ("bob", 4, "is in the group “relatives”, which was granted “Family” and “La nuit”"),
    ("carol", 5, "was granted “Family”, but has no right to high definition"),
    ("admin", 1, "is the webmaster"),
];

/// The visitors with these session cookies (alice, bob, carol, admin).
pub(super) fn visitors(cookies: [String; 4]) -> Vec<DemoVisitor> {
    let cookies = std::iter::once(None).chain(cookies.into_iter().map(Some));
    let visitor = |((name, user_id, note), cookie)| DemoVisitor { name, user_id, cookie, note };
    VISITORS.into_iter().zip(cookies).map(visitor).collect()
}

/// The albums, parents first.
pub(super) const ALBUMS: [Album; 5] = [
    Album {
        id: 1,
        name: "At the lake",
        parent: None,
        private: false,
        locked: false,
        directory: None,
        about: "A public album: everybody, signed in or not.",
    },
    Album {
        id: 2,
        name: "Family",
        parent: None,
        private: true,
        locked: false,
        directory: None,
        about: "A private album: only users and groups that were granted it.",
    },
    Album {
        id: 3,
        name: "Été à Paris",
        parent: None,
        private: false,
        locked: false,
        directory: Some("Été à Paris"),
        about: "A public album that was read from the directory galleries/.",
    },
    Album {
        id: 4,
        name: "La nuit",
        parent: Some(3),
        private: true,
        locked: false,
        directory: Some("La nuit"),
        about: "A private album inside the public album “Été à Paris”.",
    },
    Album {
        id: 5,
        name: "Still sorting",
        parent: None,
        private: false,
        locked: true,
        directory: None,
        about: "A locked album: administrators only, even though alice was granted it.",
    },
];

/// Rows of `user_access`: user, album. Alice's second one is for the locked album and must not open it.
pub(super) const GRANTS: [(u32, u32); 3] = [(3, 2), (3, 5), (5, 2)];

/// Rows of `group_access` for the group that bob is in: albums.
pub(super) const GROUP_GRANTS: [u32; 2] = [2, 4];

const UPLOAD: &str = "upload/2026/05/02";

/// The images, album by album, with who gets the files of each: what pages show, and the original.
pub(super) fn pictures() -> Vec<DemoPicture> {
    let base = DemoPicture {
        id: 0,
        title: "",
        about: "",
        scene: Scene::Lake,
        directory: UPLOAD,
        stem: "",
        extension: "jpg",
        size: (1500, 1000),
        level: 0,
        albums: &[],
        raw: false,
        files: Vec::new(),
    };
    vec![
        DemoPicture {
            id: 1,
            title: "Morning at the lake",
            about: "A picture like any other.",
            scene: Scene::Lake,
            stem: "20260502094512-3fa1c07e",
            size: (1600, 1067),
            albums: &[1],
            ..base.clone()
        }
        .with(rows::PUBLIC, rows::PUBLIC_ORIGINAL),
        DemoPicture {
            id: 2,
            title: "Between the birches",
            about: "Upright.",
            scene: Scene::Birches,
            stem: "20260502101733-91d4be20",
            size: (800, 1200),
            albums: &[1],
            ..base.clone()
        }
        .with(rows::PUBLIC, rows::PUBLIC_ORIGINAL),
        DemoPicture {
            id: 3,
            title: "Poppies",
            about: "So small that pages show the original itself.",
            scene: Scene::Poppies,
            stem: "20260502103009-c70e55aa",
            size: (640, 427),
            albums: &[1],
            ..base.clone()
        }
        .with(rows::PUBLIC, rows::PUBLIC_ORIGINAL),
        DemoPicture {
            id: 4,
            title: "The orchard",
            about: "In two albums: “At the lake” and the private “Family”.",
            scene: Scene::Orchard,
            stem: "20260502112240-0b6f13d9",
            albums: &[1, 2],
            ..base.clone()
        }
        .with(rows::BOTH, rows::BOTH_ORIGINAL),
        DemoPicture {
            id: 5,
            title: "Northern lights",
            about: "In a public album, but with privacy level 8: administrators only.",
            scene: Scene::NorthernLights,
            stem: "20260502230155-e8a2476c",
            size: (1200, 800),
            level: 8,
            albums: &[1],
            ..base.clone()
        }
        .with(rows::LEVEL, rows::LEVEL),
        DemoPicture {
            id: 6,
            title: "Behind the last ridge",
            about: "Large: its original needs the right to high definition.",
            scene: Scene::Peaks,
            stem: "20260502074102-5d19ab44",
            size: (2400, 1600),
            albums: &[2],
            ..base.clone()
        }
        .with(rows::FAMILY, rows::FAMILY_HIGH),
        DemoPicture {
            id: 7,
            title: "Dunes",
            about: "With a RAW file beside it, which counts as an original.",
            scene: Scene::Dunes,
            stem: "20260502194427-7cc85f01",
            size: (2000, 1333),
            albums: &[2],
            raw: true,
            ..base.clone()
        }
        .with(rows::FAMILY, rows::FAMILY_HIGH),
        DemoPicture {
            id: 8,
            title: "Evening at sea",
            about: "A video with a poster. The right to high definition is about pictures: carol may play it.",
            scene: Scene::Sea,
            stem: "20260502205816-f2307be3",
            extension: "mp4",
            size: (480, 320),
            albums: &[2],
            ..base.clone()
        }
        .with(rows::FAMILY, rows::FAMILY),
        DemoPicture {
            id: 9,
            title: "La tour",
            about: "A file name with spaces, accents and brackets.",
            scene: Scene::IronTower,
            directory: "galleries/Été à Paris",
            stem: "tour eiffel (1)",
            size: (1200, 800),
            albums: &[3],
            ..base.clone()
        }
        .with(rows::PUBLIC, rows::PUBLIC_ORIGINAL),
        DemoPicture {
            id: 10,
            title: "Sur la Seine",
            about: "A public album does not open the private one inside it.",
            scene: Scene::River,
            directory: "galleries/Été à Paris/La nuit",
            stem: "sur la Seine",
            albums: &[4],
            ..base.clone()
        }
        .with(rows::NIGHT, rows::NIGHT),
        DemoPicture {
            id: 11,
            title: "Fog",
            about: "Alice was granted this album, too, but a lock is stronger than a grant.",
            scene: Scene::Fog,
            stem: "20260502065930-28e6d0b7",
            size: (1200, 800),
            albums: &[5],
            ..base.clone()
        }
        .with(rows::LOCKED, rows::LOCKED),
        DemoPicture {
            id: 12,
            title: "Just uploaded",
            about: "Nobody has put it into an album yet.",
            scene: Scene::Autumn,
            stem: "20260502213344-a45b9e16",
            size: (1200, 800),
            ..base
        }
        .with(rows::ORPHAN, rows::ORPHAN),
    ]
}

/// Other addresses of the same files, and addresses where there is nothing to get.
pub(super) fn doors() -> Vec<File> {
    let large = "20260502074102-5d19ab44";
    let original = format!("{UPLOAD}/{large}.jpg");
    let derivative = |token: &str| format!("_data/i/{UPLOAD}/{large}-{token}.jpg");
    vec![
        File::door(
            "i.php: thumbnail of “Behind the last ridge”",
            format!("/i.php?/{UPLOAD}/{large}-th.jpg"),
            Some(derivative("th")),
            rows::FAMILY,
        ),
        File::door(
            "action.php: “Behind the last ridge”",
            "/action.php?id=6&part=e".to_owned(),
            Some(original.clone()),
            rows::FAMILY_HIGH,
        ),
        File::door(
            "action.php: RAW file of “Dunes”, to save",
            "/action.php?format=1&download".to_owned(),
            Some(format!("{UPLOAD}/pwg_format/20260502194427-7cc85f01.cr2")),
            rows::FAMILY_HIGH,
        ),
        File::door("a size that was never made", url(&derivative("xx")), None, rows::FAMILY_NOT_MADE),
        File::door("a size that does not exist", url(&derivative("zz")), None, rows::NO_RECORD),
        File::door(
            "a file that does not exist",
            url(&format!("{UPLOAD}/nothing.jpg")),
            None,
            rows::NO_RECORD,
        ),
        File::door("a file without a record", url(&format!("{UPLOAD}/index.htm")), None, rows::NO_RECORD),
        File::door(
            "a doubled slash in the path",
            url(&original).replacen("upload/", "upload//", 1),
            None,
            rows::NOT_PLAIN,
        ),
        File::door(
            "the inner address of the original",
            format!("/_gate/file/{original}"),
            None,
            rows::NOT_SERVED,
        ),
        File::door("the gate's settings", "/local/config/gate.toml".to_owned(), None, rows::NOT_SERVED),
    ]
}
