//! A raw `REQUEST_URI` in, the one file it names out, or a reason to refuse (PIWIGO.md §3.6). Pure: no file and
//! no database is asked here, and no path in a [`Target`] is ever handed to the web server; it only finds rows.
//!
//! Every server passes `REQUEST_URI` raw, so only spellings that are already canonical pass: what is judged here
//! and what the server would serve for the same request are then the same file (DESIGN.md, Paths).

use crate::derivative::name::{self, Kind, NotADerivative};
use crate::piwigo::derivative_config::DerivativeConfig;

/// Longest path that can be a row of `images`, in bytes: the column holds 255 characters of up to 4 bytes.
pub const MAX_PATH: usize = 1024;

/// What the reading of a URI needs to know of the gallery.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Where the gallery is mounted: empty, or `/piwigo`.
    pub url_prefix: String,
    /// Piwigo's derivative directory with its trailing slash: `_data/i/`.
    pub derivative_dir: String,
    /// Piwigo's data directory with its trailing slash: `_data/`.
    pub data_dir: String,
}

/// The file that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An original, a representative or a format: which of them, the rows say.
    File(Source),
    /// A resized picture of a source.
    Derivative {
        /// The picture it is made from.
        source: Source,
        /// Its type.
        kind: Kind,
    },
    /// A picture of a file type, the same for everybody.
    Icon(Icon),
}

/// A path below the gallery's root, in the three ways in which a row of `images` can own it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path without `./`, byte for byte what `images.path` must hold behind its `./`.
    pub path: String,
    /// The rows that own it by its stem, if it lies in one of Piwigo's own folders.
    pub owner: Option<Owner>,
}

/// A file that belongs to a row through its folder and stem (PIWIGO.md §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `pwg_representative` or `pwg_format`.
    pub folder: Folder,
    /// The directory of the owning row's file, without `./` and without trailing slash; may be empty.
    pub directory: String,
    /// The owning file's name without its extension.
    pub stem: String,
    /// The extension of this file: the row's `representative_ext`, or its format's `ext`.
    pub extension: String,
}

/// Piwigo's folders for files that belong to another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// `pwg_representative/`: the picture that stands for a video or document.
    Representative,
    /// `pwg_format/`: the same photo as RAW, TIFF and so on.
    Format,
}

/// A derivative of a file-type icon: `themes/default/icon/mimetypes/pdf.png` as a thumb, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// The icon itself, relative to the root.
    pub source: String,
    /// Its type.
    pub kind: Kind,
}

/// Why a URI names no file that could be served. All are answered alike; the reason is for logs and `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not exactly one canonical spelling of one path.
    #[error("the path is not canonical")]
    Path,
    /// Outside the gallery's `url_prefix`.
    #[error("the path is outside the gallery")]
    Outside,
    /// A place below the root that never holds a picture.
    #[error("nothing below this folder is ever served by the gate")]
    Private,
    /// A file type that a web server might run.
    #[error("a file type that a server could execute is never served")]
    Script,
    /// A derivative's name without an extension.
    #[error("the derivative's name has no extension")]
    NoExtension,
    /// A derivative's name without `-`.
    #[error("the derivative's name has no size token")]
    NoDash,
    /// A size token that is unknown, disabled, not canonical or not registered.
    #[error("the derivative's size is unknown, disabled or not registered")]
    Token,
    /// More than one file named in one request.
    #[error("the request names more than one file")]
    Ambiguous,
}

impl Target {
    /// Reads `uri`.
    ///
    /// # Errors
    /// A [`Refusal`] for anything but one canonical spelling of one path that a row could own.
    pub fn read(uri: &[u8], layout: &Layout, derivatives: &DerivativeConfig) -> Result<Self, Refusal> {
        // nginx leaves `#…` in REQUEST_URI but cuts it off the file it serves.
        if uri.contains(&b'#') {
            return Err(Refusal::Path);
        }
        let (path, query) = match uri.iter().position(|&byte| byte == b'?') {
            Some(at) => (&uri[..at], Some(&uri[at + 1..])),
            None => (uri, None),
        };
        let path = decode_once(path)?;
        let path = path.strip_prefix(&layout.url_prefix).ok_or(Refusal::Outside)?;
        let path = path.strip_prefix('/').ok_or(Refusal::Outside)?;

        if let Some(requested) = i_php_request(path, query.unwrap_or_default())? {
            return derivative(&requested, layout, derivatives);
        }
        canonical(path)?;
        if let Some(name) = path.strip_prefix(&layout.derivative_dir) {
            return derivative(name, layout, derivatives);
        }
        file(path, layout).map(Target::File)
    }

    /// The size of the resized picture that it names, if it names one.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Target::File(_) => None,
            Target::Derivative { kind, .. } => Some(*kind),
            Target::Icon(icon) => Some(icon.kind),
        }
    }

    /// Whether the request came in the form `i.php?/…`, which only Piwigo can answer and an authorizer cannot.
    pub fn is_script_form(uri: &[u8], layout: &Layout) -> bool {
        let path = uri.split(|&byte| byte == b'?').next().unwrap_or_default();
        decode_once(path).ok().is_some_and(|path| {
            path.strip_prefix(&layout.url_prefix)
                .and_then(|path| path.strip_prefix('/'))
                .is_some_and(|path| is_script(path.split('/').next().unwrap_or_default()))
        })
    }
}

fn is_script(first_segment: &str) -> bool {
    matches!(first_segment, "i.php" | "i" | "action.php")
}

/// The derivative that a request for `i.php` or `i` names, in its four spellings (PIWIGO.md §3.5, §4.3), or
/// `None` where the path is not that script's.
fn i_php_request(path: &str, query: &[u8]) -> Result<Option<String>, Refusal> {
    let (script, tail) = match path.split_once('/') {
        Some((script, tail)) => (script, Some(tail)),
        None => (path, None),
    };
    if !is_script(script) {
        return Ok(None);
    }
    if script == "action.php" {
        return Err(Refusal::Private);
    }
    let (first, rest) = match query.iter().position(|&byte| byte == b'&') {
        Some(at) => (&query[..at], &query[at + 1..]),
        None => (query, &b""[..]),
    };
    let named_by_query = first.starts_with(b"/") || (!first.is_empty() && !first.contains(&b'='));
    let requested = match (tail, named_by_query) {
        (Some(_), true) => return Err(Refusal::Ambiguous),
        (Some(tail), false) => {
            parameters(query)?;
            tail.to_owned()
        }
        (None, true) => {
            parameters(rest)?;
            let decoded = decode(first)?;
            decoded.trim_start_matches('/').to_owned()
        }
        (None, false) => return Err(Refusal::Path),
    };
    canonical(&requested)?;
    Ok(Some(requested))
}

/// The parameters behind the path may only be Piwigo's own, each at most once: a second path would be a second
/// file in one request.
fn parameters(query: &[u8]) -> Result<(), Refusal> {
    let mut seen: Vec<&[u8]> = Vec::new();
    for parameter in query.split(|&byte| byte == b'&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split(|&byte| byte == b'=').next().unwrap_or_default();
        if name.contains(&b'/') || name.contains(&b'%') || seen.contains(&name) || seen.len() > 16 {
            return Err(Refusal::Ambiguous);
        }
        seen.push(name);
    }
    Ok(())
}

fn derivative(requested: &str, layout: &Layout, derivatives: &DerivativeConfig) -> Result<Target, Refusal> {
    let name = name::split(requested.as_bytes()).map_err(|error| match error {
        NotADerivative::NoExtension => Refusal::NoExtension,
        NotADerivative::NoToken | NotADerivative::NoBase => Refusal::NoDash,
        NotADerivative::UnknownToken => Refusal::Token,
    })?;
    let kind = name.kind;
    if derivatives.params(kind).is_none() {
        return Err(Refusal::Token);
    }
    let source = String::from_utf8(name.source()).map_err(|_| Refusal::Path)?;
    if source.starts_with("themes/") || source.starts_with("plugins/") {
        return if is_mime_icon(&source) {
            Ok(Target::Icon(Icon { source, kind }))
        } else {
            Err(Refusal::Private)
        };
    }
    Ok(Target::Derivative { source: file(&source, layout)?, kind })
}

/// `themes/<theme>/icon/mimetypes/<type>.png` and the like: the only files without a row that are ever served.
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

/// Folders of Piwigo's own code and secrets: no row below them is believed, whatever the table says.
const NEVER_PICTURES: [&str; 9] =
    ["local", "include", "admin", "install", "language", "plugins", "themes", "template-extension", "tools"];

fn file(path: &str, layout: &Layout) -> Result<Source, Refusal> {
    let (directory, file_name) = path.rsplit_once('/').unwrap_or(("", path));
    let first = path.split('/').next().unwrap_or_default();
    if NEVER_PICTURES.contains(&first) || path.starts_with(&layout.data_dir) {
        return Err(Refusal::Private);
    }
    if could_be_executed(file_name) {
        return Err(Refusal::Script);
    }
    Ok(Source { path: path.to_owned(), owner: owner(directory, file_name) })
}

fn owner(directory: &str, file_name: &str) -> Option<Owner> {
    let (stem, extension) = file_name.rsplit_once('.')?;
    let (parent, last) = directory.rsplit_once('/').unwrap_or(("", directory));
    let folder = match last {
        "pwg_representative" => Folder::Representative,
        "pwg_format" => Folder::Format,
        _ => return None,
    };
    Some(Owner {
        folder,
        directory: parent.to_owned(),
        stem: stem.to_owned(),
        extension: extension.to_owned(),
    })
}

/// Whether any part of the name is an extension that a badly set-up server would run: Apache's `mod_mime` looks
/// at every extension, so `a.php.jpg` counts.
fn could_be_executed(file_name: &str) -> bool {
    file_name.split('.').skip(1).any(|extension| {
        let extension = extension.to_ascii_lowercase();
        let php = extension.strip_prefix("php").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        php || matches!(
            extension.as_str(),
            "phtml"
                | "pht"
                | "phar"
                | "phps"
                | "inc"
                | "cgi"
                | "fcgi"
                | "pl"
                | "py"
                | "rb"
                | "sh"
                | "asp"
                | "aspx"
                | "jsp"
        )
    })
}

/// Percent-decodes a raw path once. An encoded slash is refused: servers disagree on whether it separates.
fn decode_once(raw: &[u8]) -> Result<String, Refusal> {
    if raw.first() != Some(&b'/') {
        return Err(Refusal::Path);
    }
    decode(raw)
}

fn decode(raw: &[u8]) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        let decoded = if byte == b'%' {
            let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                return Err(Refusal::Path);
            };
            let decoded = (high * 16 + low) as u8;
            if decoded == b'/' {
                return Err(Refusal::Path);
            }
            decoded
        } else {
            byte
        };
        if decoded < 0x20 || decoded == 0x7f || decoded == b'\\' {
            return Err(Refusal::Path);
        }
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map_err(|_| Refusal::Path)
}

/// A path below the root that is already in its one canonical spelling.
fn canonical(path: &str) -> Result<(), Refusal> {
    let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.');
    if path.len() <= MAX_PATH && path.split('/').all(plain) { Ok(()) } else { Err(Refusal::Path) }
}
