//! Turns a raw `REQUEST_URI` into the one file that it names, or a reason to refuse (docs/spec/piwigo.md
//! §4.6). Pure: it reads no file and queries no database. A path in a [`Target`] only finds rows; the gate
//! never hands it to the web server.
//!
//! Every server passes `REQUEST_URI` raw, so the gate accepts only canonical spellings: then the gate judges
//! the same file that the server would serve for the request (docs/design.md §5).

mod script;

use crate::piwigo::layout::Layout;
use crate::piwigo::program_names::names_a_program;
use crate::piwigo::records::Folder;
use crate::piwigo::sizes::name::{self, Kind, NotADerivative};
use crate::piwigo::sizes::stored::DerivativeConfig;

/// Longest path that a row of `images` can hold, in bytes: the column holds 255 characters of up to 4 bytes.
pub const MAX_PATH: usize = 1024;

/// The file that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An original, a representative or a format; the rows tell which.
    File(Source),
    /// A resized picture of a source.
    Derivative {
        /// The picture that it is made from.
        source: Source,
        /// Its type.
        kind: Kind,
    },
    /// The icon of a file type, which is the same for every visitor.
    Icon(Icon),
    /// A file that `action.php` names by ids.
    Record(Record),
}

/// The file that a request for `action.php` asks for (docs/spec/piwigo.md §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which file of which row.
    pub part: Part,
    /// The query has `download`: the browser saves the file instead of showing it.
    pub download: bool,
}

/// A file of a row, named by ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `id=N&part=e`: the original of this row of `images`.
    Element(u32),
    /// `id=N&part=r`: its representative.
    Representative(u32),
    /// `format=F`.
    Format {
        /// `image_format.format_id`.
        format: u32,
        /// `id=N`, if the request has it; the format must then belong to that row.
        image: Option<u32>,
    },
}

/// A path below the gallery's root, with the three ways in which a row of `images` can own it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path without `./`; `images.path` must hold exactly these bytes after its `./`.
    pub path: String,
    /// The owners by folder and stem, if the path lies in one of Piwigo's own folders. There are two where
    /// the extension of a format may contain a dot (`hd.mp4`).
    pub owners: Vec<Owner>,
    /// The row that the request names beside the path. If it does not own the path, no row is found.
    pub row: Option<u32>,
    /// The path is relative to the root's parent; only rows that begin with `../` can own it.
    pub beside_the_root: bool,
}

/// A file that belongs to a row through its folder and stem (docs/spec/piwigo.md §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `pwg_representative` or `pwg_format`.
    pub folder: Folder,
    /// The directory of the owning row's file, without `./` and trailing slash; may be empty.
    pub directory: String,
    /// The owning file's name without its extension.
    pub stem: String,
    /// The extension of this file: the owner's `representative_ext`, or the `ext` of one of its formats.
    pub extension: String,
}

/// A derivative of a file-type icon, such as the thumb of `themes/default/icon/mimetypes/pdf.png`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// The icon itself, relative to the root.
    pub source: String,
    /// Its type.
    pub kind: Kind,
}

/// Why a URI names no file that the gate could serve. All of them get the same answer; the reason is for logs
/// and `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUri {
    /// It is not the canonical spelling of one path.
    #[error("the path is not canonical")]
    Path,
    /// It is outside the gallery's `url_prefix`.
    #[error("the path is outside the gallery")]
    Outside,
    /// It is in a folder below the root that never holds pictures.
    #[error("nothing below this folder is ever served by the gate")]
    Private,
    /// It has a file type that a web server might run.
    #[error("a name that ends as a program's does is never served")]
    Script,
    /// A derivative's name without an extension.
    #[error("the derivative's name has no extension")]
    NoExtension,
    /// A derivative's name without `-`.
    #[error("the derivative's name has no size token")]
    NoDash,
    /// The size token is unknown, disabled, not canonical or not registered.
    #[error("the derivative's size is unknown, disabled or not registered")]
    Token,
    /// The request names more than one file.
    #[error("the request names more than one file")]
    Ambiguous,
    /// A request for `action.php` lacks an id and a part, or a format.
    #[error("action.php without a number of a photo and a part, or of a format")]
    Record,
}

impl Target {
    /// Reads a raw `REQUEST_URI`.
    ///
    /// # Errors
    /// A [`BadUri`] unless `uri` is the canonical spelling of one path that a row could own.
    pub fn read(uri: &[u8], layout: &Layout, derivatives: &DerivativeConfig) -> Result<Self, BadUri> {
        // nginx leaves `#…` in REQUEST_URI but cuts it off the path that it serves.
        if uri.contains(&b'#') {
            return Err(BadUri::Path);
        }
        let (path, query) = match uri.iter().position(|&byte| byte == b'?') {
            Some(at) => (&uri[..at], Some(&uri[at + 1..])),
            None => (uri, None),
        };
        let path = decode_once(path)?;
        if let Some(path) = layout.beside_the_root(&path) {
            return servable(&format!("../{path}"), layout).map(Target::File);
        }
        let path = path.strip_prefix(&layout.url_prefix).ok_or(BadUri::Outside)?;
        let path = path.strip_prefix('/').ok_or(BadUri::Outside)?;

        if path == "action.php" {
            return script::record(query.unwrap_or_default()).map(Target::Record);
        }
        if let Some(requested) = script::i_php_request(path, query.unwrap_or_default())? {
            return derivative(&requested, layout, derivatives);
        }
        if let Some((row, named)) = script::privacy_request(path, query.unwrap_or_default(), layout)? {
            let target = match named.strip_prefix("i.php?/") {
                Some(requested) => {
                    canonical(requested)?;
                    derivative(requested, layout, derivatives)
                }
                None => Self::named(&named, layout, derivatives),
            };
            return Ok(target?.of_row(row));
        }
        Self::named(path, layout, derivatives)
    }

    /// Reads a path below the root.
    fn named(path: &str, layout: &Layout, derivatives: &DerivativeConfig) -> Result<Self, BadUri> {
        canonical(path)?;
        if let Some(name) = path.strip_prefix(&layout.derivative_dir) {
            return derivative(name, layout, derivatives);
        }
        file(path, layout).map(Target::File)
    }

    fn of_row(mut self, row: u32) -> Self {
        match &mut self {
            Target::File(source) | Target::Derivative { source, .. } => source.row = Some(row),
            Target::Icon(_) | Target::Record(_) => {}
        }
        self
    }

    /// The requested size; `None` for a file that is not resized.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Target::Derivative { kind, .. } => Some(*kind),
            Target::File(_) | Target::Icon(_) | Target::Record(_) => None,
        }
    }

    /// Whether the URL's path differs from the file's (`i.php?/…`, `action.php?…`, the forms of
    /// piwigo-privacy). An authorizer cannot answer such a request, because the web server would serve the
    /// file that it maps the path to.
    pub fn is_script_form(uri: &[u8], layout: &Layout) -> bool {
        let path = uri.split(|&byte| byte == b'?').next().unwrap_or_default();
        decode_once(path).ok().is_some_and(|path| {
            path.strip_prefix(&layout.url_prefix).and_then(|path| path.strip_prefix('/')).is_some_and(
                |path| {
                    script::is_script(path.split('/').next().unwrap_or_default())
                        || script::is_privacy_link(path, layout)
                },
            )
        })
    }
}

fn derivative(requested: &str, layout: &Layout, derivatives: &DerivativeConfig) -> Result<Target, BadUri> {
    let name = name::split(requested.as_bytes()).map_err(|error| match error {
        NotADerivative::NoExtension => BadUri::NoExtension,
        NotADerivative::NoToken | NotADerivative::NoBase => BadUri::NoDash,
        NotADerivative::UnknownToken => BadUri::Token,
    })?;
    let kind = name.kind;
    if derivatives.params(kind).is_none() {
        return Err(BadUri::Token);
    }
    let source = String::from_utf8(name.source()).map_err(|_| BadUri::Path)?;
    if source.starts_with("themes/") || source.starts_with("plugins/") {
        return if is_mime_icon(&source) {
            Ok(Target::Icon(Icon { source, kind }))
        } else {
            Err(BadUri::Private)
        };
    }
    Ok(Target::Derivative { source: file(&source, layout)?, kind })
}

/// Whether the path has the form `themes/<theme>/icon/mimetypes/<type>.png`. Such icons are the only files
/// without a row that the gate serves.
fn is_mime_icon(path: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    let segments: Vec<&str> = path.split('/').collect();
    let [_, owner, "icon", "mimetypes", file] = segments[..] else { return false };
    let Some((stem, extension)) = file.rsplit_once('.') else { return false };
    word(owner) && word(stem) && matches!(extension, "png" | "gif" | "jpg" | "svg")
}

/// Folders of Piwigo's own code and secrets; the gate serves no file below them, whatever a row says.
const NEVER_PICTURES: [&str; 9] =
    ["local", "include", "admin", "install", "language", "plugins", "themes", "template-extension", "tools"];

/// The rule for every path, whether a request or only a row names it. `path` is relative to the root, without
/// `./`.
///
/// # Errors
/// A [`BadUri`] for a path that is not canonical (`http://…`, absolute, `../…`), lies in a private folder or
/// names a program.
pub fn servable(path: &str, layout: &Layout) -> Result<Source, BadUri> {
    if path.bytes().any(is_forbidden) {
        return Err(BadUri::Path);
    }
    let beside = path.strip_prefix("../").filter(|path| layout.is_in_parent_site(path));
    let path = beside.unwrap_or(path);
    canonical(path)?;
    Ok(Source { beside_the_root: beside.is_some(), ..file(path, layout)? })
}

fn file(path: &str, layout: &Layout) -> Result<Source, BadUri> {
    let (directory, file_name) = path.rsplit_once('/').unwrap_or(("", path));
    let first = path.split('/').next().unwrap_or_default();
    if NEVER_PICTURES.contains(&first) || path.starts_with(&layout.data_dir) {
        return Err(BadUri::Private);
    }
    if names_a_program(file_name) {
        return Err(BadUri::Script);
    }
    Ok(Source {
        path: path.to_owned(),
        owners: owners(directory, file_name),
        row: None,
        beside_the_root: false,
    })
}

fn owners(directory: &str, file_name: &str) -> Vec<Owner> {
    let (parent, last) = directory.rsplit_once('/').unwrap_or(("", directory));
    let folder = match last {
        "pwg_representative" => Folder::Representative,
        "pwg_format" => Folder::Format,
        _ => return Vec::new(),
    };
    let Some(last_dot) = file_name.rfind('.') else { return Vec::new() };
    // The plugin VideoJS stores the better version of a video as the format `hd.mp4`.
    let dot_before = match folder {
        Folder::Format => file_name[..last_dot].rfind('.').filter(|&at| at > 0 && at + 1 < last_dot),
        Folder::Representative => None,
    };
    let owner = |at: usize| Owner {
        folder,
        directory: parent.to_owned(),
        stem: file_name[..at].to_owned(),
        extension: file_name[at + 1..].to_owned(),
    };
    std::iter::once(last_dot).chain(dot_before).map(owner).collect()
}

/// Percent-decodes a raw path once. An encoded slash is refused, because servers disagree on whether it
/// separates segments.
fn decode_once(raw: &[u8]) -> Result<String, BadUri> {
    if raw.first() != Some(&b'/') {
        return Err(BadUri::Path);
    }
    decode(raw)
}

fn decode(raw: &[u8]) -> Result<String, BadUri> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        let decoded = if byte == b'%' {
            let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                return Err(BadUri::Path);
            };
            let decoded = (high * 16 + low) as u8;
            if decoded == b'/' {
                return Err(BadUri::Path);
            }
            decoded
        } else {
            byte
        };
        if is_forbidden(decoded) {
            return Err(BadUri::Path);
        }
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map_err(|_| BadUri::Path)
}

/// Whether no path may contain this byte.
fn is_forbidden(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f || byte == b'\\'
}

/// Accepts a path below the root only in its canonical spelling.
fn canonical(path: &str) -> Result<(), BadUri> {
    let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.');
    if path.len() <= MAX_PATH && path.split('/').all(plain) { Ok(()) } else { Err(BadUri::Path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            url_prefix: String::new(),
            derivative_dir: "_data/i/".into(),
            data_dir: "_data/".into(),
            parent_sites: Vec::new(),
        }
    }

    fn read(uri: &str) -> Result<Target, BadUri> {
        Target::read(uri.as_bytes(), &layout(), &DerivativeConfig::default())
    }

    #[test]
    fn action_php_names_one_file_by_its_numbers() {
        let ok = |part, download| Ok(Target::Record(Record { part, download }));
        let (malformed, ambiguous) = (Err(BadUri::Record), Err(BadUri::Ambiguous));
        let format = |format, image| Part::Format { format, image };
        let table = [
            ("?id=8&part=e", ok(Part::Element(8), false)),
            ("?part=r&id=8", ok(Part::Representative(8), false)),
            ("?id=8&part=e&download", ok(Part::Element(8), true)),
            ("?id=8&part=e&download=", ok(Part::Element(8), true)),
            ("?id=8&part=e&pwg_token=0a&auth=x%2f/&b=17", ok(Part::Element(8), false)),
            ("?format=3", ok(format(3, None), false)),
            ("?format=3&download", ok(format(3, None), true)),
            ("?format=3&id=8&part=f", ok(format(3, Some(8)), false)),
            ("?format=3&id=8&part=e", ambiguous.clone()),
            ("?id=8&part=f", malformed.clone()),
            ("?id=8", malformed.clone()),
            ("?part=e", malformed.clone()),
            ("", malformed.clone()),
            ("?", malformed.clone()),
            ("?id=8&part=E", malformed.clone()),
            ("?id=&part=e", malformed.clone()),
            ("?id=+8&part=e", malformed.clone()),
            ("?id=-8&part=e", malformed.clone()),
            ("?id=%38&part=e", malformed.clone()),
            ("?id=1e0&part=e", malformed.clone()),
            ("?id=1.0&part=e", malformed.clone()),
            ("?id=0x1&part=e", malformed.clone()),
            ("?id=4294967296&part=e", malformed.clone()),
            ("?id=00000000008&part=e", malformed.clone()),
            ("?id=8%20OR%201&part=e", malformed.clone()),
            ("?format=&id=8&part=f", malformed),
            ("?id=8&id=9&part=e", ambiguous.clone()),
            ("?id=8&i%64=9&part=e", ambiguous.clone()),
            ("?id=8&id[]=9&part=e", ambiguous.clone()),
            ("?id=8&part=e&amp;download", ambiguous.clone()),
            ("?id=8&part=e&part=r", ambiguous.clone()),
            ("/upload/a.jpg?id=8&part=e", ambiguous.clone()),
            ("/?id=8&part=e", ambiguous),
            ("?id=8&part=e#", Err(BadUri::Path)),
        ];
        for (tail, expected) in table {
            assert_eq!(read(&format!("/action.php{tail}")), expected, "{tail}");
        }
        assert!(Target::is_script_form(b"/action.php?id=8&part=e", &layout()));
    }

    #[test]
    fn links_of_piwigo_privacy_name_a_path_and_a_row() {
        let with_row = |uri: &str, row| read(uri).map(|target| target.of_row(row));
        let plain = with_row("/upload/a b.jpg", 8);
        let thumb = with_row("/_data/i/upload/a-th.jpg", 8);
        let table = [
            ("/8/upload/a b.jpg", plain.clone()),
            ("/8/_data/i/upload/a-th.jpg", thumb.clone()),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=upload/a%20b.jpg", plain.clone()),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=./upload/a b.jpg", plain),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=_data/i/upload/a-th.jpg", thumb.clone()),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=i.php?/upload/a-th.jpg", thumb),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=upload/a+b.jpg", with_row("/upload/a+b.jpg", 8)),
            // A directory of the gallery.
            ("/2019/a.jpg", read("/2019/a.jpg")),
            ("/99999999999/upload/a.jpg", Err(BadUri::Record)),
            ("/plugins/piwigo_privacy/get.php?img_id=8", Err(BadUri::Record)),
            ("/plugins/piwigo_privacy/get.php?file=upload/a.jpg", Err(BadUri::Record)),
            ("/plugins/piwigo_privacy/get.php?img_id=8%20OR%201&file=upload/a.jpg", Err(BadUri::Record)),
            ("/plugins/piwigo_privacy/get.php?img_id=8&img_id=9&file=upload/a.jpg", Err(BadUri::Ambiguous)),
            (
                "/plugins/piwigo_privacy/get.php?img_id=8&file=upload/a.jpg&file=upload/b.jpg",
                Err(BadUri::Ambiguous),
            ),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=upload/../a.jpg", Err(BadUri::Path)),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=/upload/a.jpg", Err(BadUri::Path)),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=8/upload/a.php", Err(BadUri::Script)),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=local/a.jpg", Err(BadUri::Private)),
            ("/plugins/piwigo_privacy/get.php/8/upload/a.jpg", Err(BadUri::Private)),
            ("/plugins/piwigo_privacy/main.inc.php", Err(BadUri::Private)),
        ];
        for (uri, expected) in table {
            assert_eq!(read(uri), expected, "{uri}");
        }
        for (uri, other_path) in [
            ("/8/upload/a.jpg", true),
            ("/plugins/piwigo_privacy/get.php?img_id=8&file=upload/a.jpg", true),
            ("/i.php?/upload/a-th.jpg", true),
            ("/upload/a.jpg", false),
            ("/2019/a.jpg", false),
        ] {
            assert_eq!(Target::is_script_form(uri.as_bytes(), &layout()), other_path, "{uri}");
        }
    }

    #[test]
    fn a_directory_beside_the_gallery_has_its_url_beside_the_gallerys() {
        let sites = vec!["ext/".to_owned(), "more photos/2019/".to_owned()];
        let table = [
            ("/piwigo", "/ext/p.png", Some("ext/p.png")),
            ("/a/piwigo", "/a/ext/p.png", Some("ext/p.png")),
            ("/piwigo", "/more%20photos/2019/p.png", Some("more photos/2019/p.png")),
            ("/piwigo", "/more%20photos/2020/p.png", None),
            ("/piwigo", "/piwigo/../ext/p.png", None),
            ("/piwigo", "/extra/p.png", None),
            ("/piwigo", "/ext/../etc/p.png", None),
            ("/piwigo", "/ext//p.png", None),
            ("/piwigo", "/ext/", None),
            ("/piwigo", "/ext/p.php", None),
            ("/piwigo", "/x/ext/p.png", None),
            ("", "/ext/p.png", None),
        ];
        for (prefix, uri, expected) in table {
            let layout = Layout { url_prefix: prefix.into(), parent_sites: sites.clone(), ..layout() };
            let beside = match Target::read(uri.as_bytes(), &layout, &DerivativeConfig::default()) {
                Ok(Target::File(source)) if source.beside_the_root => Some(source.path),
                _ => None,
            };
            assert_eq!(beside.as_deref(), expected, "{prefix} {uri}");
        }
        let layout = Layout { parent_sites: sites, ..layout() };
        for (path, is_served) in [("../ext/p.png", true), ("../etc/p.png", false), ("../../ext/p.png", false)]
        {
            assert_eq!(servable(path, &layout).is_ok(), is_served, "{path}");
        }
    }

    #[test]
    fn a_row_is_served_by_the_rule_for_paths() {
        for (path, servable_) in [
            ("upload/2024/a b.jpg", true),
            ("galleries/x/50%.JPG", true),
            ("http://elsewhere/a.jpg", false),
            ("/etc/passwd", false),
            ("../ext/p.png", false),
            ("upload/../local/config/x.jpg", false),
            ("upload/.hidden", false),
            ("upload/a\n.jpg", false),
            ("upload\\a.jpg", false),
            ("upload/a.php", false),
            ("upload/a.PHP8", false),
            ("upload/a.jpg.pl", false),
            ("upload/a.php.", false),
            ("upload/a.php ", false),
            ("upload/a.php .", false),
            // Whether the web server could run such a file is checked later, with the server's own rules.
            ("upload/a.php.jpg", true),
            ("upload/allegro.pl.jpg", true),
            ("local/config/database.inc.php", false),
            ("_data/logs/log.txt", false),
            ("include/a.jpg", false),
            ("", false),
        ] {
            assert_eq!(servable(path, &layout()).is_ok(), servable_, "{path:?}");
        }
    }
}
