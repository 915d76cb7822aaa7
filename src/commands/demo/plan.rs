//! The sample gallery as data: visitors, albums, pictures, and for every file its address and what each
//! visitor is to get there. That last part is written by hand from Piwigo's rules (`right`, `contents`), so
//! that the answers of a gate are compared with something it did not compute itself.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::contents::{doors, pictures, visitors};
use super::right::Row;
use super::scenes::Scene;
use super::situation::Situation;

/// Bytes that stand for themselves in the path of a URL.
pub(super) const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Somebody who looks at the gallery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DemoVisitor {
    /// User name, also the last part of `/as/NAME`.
    pub name: &'static str,
    /// `users.id`.
    pub user_id: u32,
    /// Value of the session cookie; the guest has none.
    pub cookie: Option<String>,
    /// One phrase that tells what sets this visitor apart.
    pub note: &'static str,
}

/// An album (a row of `categories`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Album {
    /// `categories.id`.
    pub id: u32,
    /// `categories.name`.
    pub name: &'static str,
    /// `id_uppercat`: the album that contains it.
    pub parent: Option<u32>,
    /// `status = 'private'`.
    pub private: bool,
    /// `visible = 'false'`.
    pub locked: bool,
    /// `dir`: its directory, for an album that was read from `galleries/`.
    pub directory: Option<&'static str>,
    /// One sentence about who may see it.
    pub about: &'static str,
}

/// What kind of file an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DemoKind {
    /// The uploaded file.
    Original,
    /// A resized picture.
    Derivative,
    /// The poster of a video.
    Representative,
    /// Another format of a picture: here a RAW file.
    Format,
    /// Nothing that a page of the gallery would ask for.
    Other,
}

/// An address, and what each visitor is to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// A few words for the table.
    pub label: String,
    /// What kind of file it is.
    pub kind: DemoKind,
    /// Path and query, percent-encoded, as it is sent.
    pub url: String,
    /// Where the bytes lie, relative to the gallery; `None` where there are none to get.
    pub path: Option<String>,
    /// Width and height in pixels, where it is a drawn picture.
    pub size: Option<(u16, u16)>,
    /// The reason for each visitor, in the order of `Plan::visitors`.
    pub row: Row,
}

/// An image (a row of `images`) with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DemoPicture {
    /// `images.id`.
    pub id: u32,
    /// `images.name`.
    pub title: &'static str,
    /// One phrase about what is special here.
    pub about: &'static str,
    /// What it shows.
    pub scene: Scene,
    /// Directory below the gallery, without slashes at its ends.
    pub directory: &'static str,
    /// File name without extension.
    pub stem: &'static str,
    /// `jpg`, or `mp4` for the video.
    pub extension: &'static str,
    /// Width and height in pixels; of the poster where it is a video.
    pub size: (u16, u16),
    /// `images.level`.
    pub level: u8,
    /// `image_category`: ids of its albums.
    pub albums: &'static [u32],
    /// Whether there is a RAW file beside it.
    pub raw: bool,
    /// Its files: the first is the one a page shows.
    pub files: Vec<File>,
}

/// The sample gallery, before and after it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// What its rows are true of.
    pub situation: Situation,
    /// Who looks at it.
    pub visitors: Vec<DemoVisitor>,
    /// Its images, album by album.
    pub pictures: Vec<DemoPicture>,
    /// Other addresses of the same files, and addresses where there is nothing to get.
    pub doors: Vec<File>,
}

impl Plan {
    /// The gallery for visitors with these session cookies (alice, bob, carol, admin).
    pub(super) fn new(cookies: [String; 4]) -> Self {
        let (visitors, pictures, doors) = (visitors(cookies), pictures(), doors());
        Self { situation: Situation::Guarded, visitors, pictures, doors }
    }

    /// Every address of the table, with the headline it stands under.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        let pictures =
            self.pictures.iter().flat_map(|picture| picture.files.iter().map(|file| (picture.title, file)));
        pictures.chain(self.doors.iter().map(|file| ("Other doors", file)))
    }
}

/// The sizes that are made for every picture: token, label, largest width and height. Piwigo: `square`,
/// `thumb`, `medium`.
pub(super) const SIZES: [(&str, &str, (u16, u16)); 3] =
    [("me", "medium", (792, 594)), ("th", "thumbnail", (144, 144)), ("sq", "square", (120, 120))];

impl DemoPicture {
    /// Whether it is the video.
    pub(super) fn is_video(&self) -> bool {
        self.extension == "mp4"
    }

    /// The file from which derivatives are made, without extension: the original, or a video's poster.
    fn source(&self) -> String {
        let (directory, stem) = (self.directory, self.stem);
        if self.is_video() {
            format!("{directory}/pwg_representative/{stem}")
        } else {
            format!("{directory}/{stem}")
        }
    }

    /// The RAW file, where it has one.
    pub(super) fn format(&self) -> Option<String> {
        self.raw.then(|| format!("{}/pwg_format/{}.cr2", self.directory, self.stem))
    }

    /// The original, relative to the gallery.
    pub(super) fn original(&self) -> String {
        format!("{}/{}.{}", self.directory, self.stem, self.extension)
    }

    /// Fills in the files: `shown` is who sees it, `high` who gets the original and the RAW file.
    pub(super) fn with(mut self, shown: Row, high: Row) -> Self {
        let (width, height) = self.size;
        let source = self.source();
        let mut files = Vec::new();
        for (token, name, most) in SIZES {
            // Piwigo: a picture that fits as it is gets no derivative; its own file is shown instead.
            if width > most.0 || height > most.1 {
                let size = resized(self.size, token, most);
                let path = format!("_data/i/{source}-{token}.jpg");
                files.push(File::drawn(name, DemoKind::Derivative, path, size, shown));
            }
        }
        if self.is_video() {
            let poster = format!("{source}.jpg");
            files.insert(0, File::drawn("poster", DemoKind::Representative, poster, self.size, shown));
            files.push(File::at("video", DemoKind::Original, self.original(), high));
        } else {
            let original = File::drawn("original", DemoKind::Original, self.original(), self.size, high);
            let shown_by_pages = !files.iter().any(|file| file.label.starts_with("medium"));
            files.insert(if shown_by_pages { 0 } else { files.len() }, original);
        }
        files.extend(self.format().map(|path| File::at("RAW (cr2)", DemoKind::Format, path, high)));
        self.files = files;
        self
    }
}

/// Piwigo: `SizingParams::compute` for a size without cropping, and for the square.
fn resized((width, height): (u16, u16), token: &str, (most_wide, most_high): (u16, u16)) -> (u16, u16) {
    if token == "sq" {
        return (most_wide.min(width).min(height), most_high.min(width).min(height));
    }
    let (w, h) = (u32::from(width), u32::from(height));
    let (mw, mh) = (u32::from(most_wide), u32::from(most_high));
    let side = |length: u32| u16::try_from(length.max(1)).unwrap_or(u16::MAX);
    if w <= mw && h <= mh {
        (width, height)
    } else if w * mh > h * mw {
        (most_wide, side(h * mw / w))
    } else {
        (side(w * mh / h), most_high)
    }
}

impl File {
    pub(super) fn at(label: &str, kind: DemoKind, path: String, row: Row) -> Self {
        Self { label: label.to_owned(), kind, url: url(&path), path: Some(path), size: None, row }
    }

    pub(super) fn drawn(name: &str, kind: DemoKind, path: String, size: (u16, u16), row: Row) -> Self {
        Self { size: Some(size), ..Self::at(&format!("{name}, {} × {}", size.0, size.1), kind, path, row) }
    }

    pub(super) fn door(label: &str, url: String, path: Option<String>, row: Row) -> Self {
        Self { label: label.to_owned(), kind: DemoKind::Other, url, path, size: None, row }
    }
}

/// The address of a file of the gallery.
pub(super) fn url(path: &str) -> String {
    format!("/{}", utf8_percent_encode(path, PLAIN))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::right::RightReason;
    use super::*;

    /// Piwigo's largest size on pages without the optional ones (`xxlarge`): up to here the original of a
    /// picture is the page's own picture, whoever has no right to high definition.
    const LARGEST_ON_PAGES: (u16, u16) = (1656, 1242);

    /// A plan with cookies that are easy to recognise.
    pub(crate) fn sample() -> Plan {
        Plan::new(["a", "b", "c", "d"].map(|letter| letter.repeat(26)))
    }

    fn statuses(row: Row) -> [u16; 5] {
        row.map(RightReason::status)
    }

    #[test]
    fn who_gets_what() {
        let plan = sample();
        let status = |picture: &str, label: &str| {
            let file = plan.files().find(|(title, file)| *title == picture && file.label.starts_with(label));
            statuses(file.unwrap_or_else(|| panic!("{picture}: {label}")).1.row)
        };
        for (picture, label, wanted) in [
            ("Morning at the lake", "original", [200, 200, 200, 200, 200]),
            ("Behind the last ridge", "medium", [403, 200, 200, 200, 200]),
            ("Behind the last ridge", "original", [403, 200, 200, 403, 200]),
            ("Dunes", "RAW", [403, 200, 200, 403, 200]),
            ("Evening at sea", "video", [403, 200, 200, 200, 200]),
            ("Sur la Seine", "thumbnail", [403, 403, 200, 403, 200]),
            ("Fog", "square", [403, 403, 403, 403, 200]),
            ("Northern lights", "medium", [403, 403, 403, 403, 200]),
            ("Just uploaded", "original", [403, 403, 403, 403, 200]),
            ("Other doors", "a size that was never", [403, 404, 404, 404, 404]),
            ("Other doors", "a file without", [403; 5]),
        ] {
            assert_eq!(status(picture, label), wanted, "{picture}: {label}");
        }
    }

    #[test]
    fn addresses_are_plain_ascii_and_lead_back_to_their_files() {
        for (_, file) in sample().files() {
            assert!(file.url.is_ascii() && file.url.starts_with('/'), "{}", file.url);
            assert!(!file.url.contains([' ', '"', '<', '(']), "{}", file.url);
            if file.kind != DemoKind::Other {
                let decoded = percent_encoding::percent_decode_str(&file.url[1..]).decode_utf8().unwrap();
                assert_eq!(Some(decoded.as_ref()), file.path.as_deref());
            }
        }
        assert_eq!(url("galleries/Été/a (1).jpg"), "/galleries/%C3%89t%C3%A9/a%20%281%29.jpg");
    }

    #[test]
    fn a_page_shows_a_small_picture_itself_and_a_large_one_resized() {
        let plan = sample();
        for picture in &plan.pictures {
            let (width, height) = picture.size;
            let first = &picture.files[0];
            match first.kind {
                DemoKind::Derivative => assert!(width > 792 || height > 594, "{}", picture.title),
                DemoKind::Original => assert!(width <= 792 && height <= 594, "{}", picture.title),
                kind => assert_eq!(kind, DemoKind::Representative),
            }
        }
    }

    #[test]
    fn without_high_definition_only_originals_that_pages_could_show() {
        let (width, height) = LARGEST_ON_PAGES;
        let carol = 3;
        for picture in sample().pictures.iter().filter(|picture| !picture.is_video()) {
            let small = picture.size.0 <= width && picture.size.1 <= height;
            for file in picture.files.iter().filter(|file| file.kind == DemoKind::Original) {
                match file.row[carol] {
                    RightReason::Small => assert!(small, "{}", picture.title),
                    RightReason::NoHigh => assert!(!small, "{}", picture.title),
                    why => assert_eq!(why.status(), 403, "{}", picture.title),
                }
            }
        }
    }

    #[test]
    fn sizes_are_piwigos() {
        for (from, token, wanted) in [
            ((4000, 3000), "th", (144, 108)),
            ((3000, 4000), "th", (108, 144)),
            ((1000, 999), "th", (144, 143)),
            ((793, 594), "me", (792, 593)),
            ((3000, 4000), "me", (445, 594)),
            ((640, 427), "me", (640, 427)),
            ((4000, 3000), "sq", (120, 120)),
            ((100, 500), "sq", (100, 100)),
        ] {
            let (_, _, most) = SIZES.into_iter().find(|(name, ..)| *name == token).unwrap();
            assert_eq!(resized(from, token, most), wanted, "{from:?} {token}");
        }
    }
}
