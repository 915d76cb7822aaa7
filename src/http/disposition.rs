//! Turns the name that a photo's owner gave it into the value of `Content-Disposition` (RFC 6266, RFC 8187),
//! so that a browser saves `Été à Paris.jpg` and not `action.php` (Piwigo: action.php).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::piwigo::records::{Claim, Ownership};

/// The longest name that is sent, in bytes. With a path of 255 characters, both percent-encoded, the header
/// still fits nginx's 4 KiB.
const MAX_NAME: usize = 160;

/// The longest extension that survives when a name is cut, in bytes.
const MAX_EXTENSION: usize = 16;

/// The characters that `filename*` percent-encodes: all but the common ones of `attr-char` (RFC 8187 §3.2.1).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether the browser shows or saves a file, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    attachment: bool,
    name: String,
}

impl Disposition {
    /// Builds the value for the file of `claim`: the row's own name with this file's extension, or else the
    /// file's name on disk.
    pub fn of(claim: &Claim, download: bool) -> Self {
        let on_disk = claim.file.rsplit_once('/').map_or(claim.file.as_str(), |(_, name)| name);
        let Some(given) = claim.name.as_deref().map(decoded).filter(|name| !tidy(name).is_empty()) else {
            return Self::named(on_disk, download);
        };
        match (claim.ownership, on_disk.rsplit_once('.')) {
            (Ownership::Representative | Ownership::Format, Some((_, extension))) => {
                let stem = given.rsplit_once('.').map_or(given.as_str(), |(stem, _)| stem);
                Self::named(&format!("{stem}.{extension}"), download)
            }
            _ => Self::named(&given, download),
        }
    }

    /// Builds the value with this name. Replaces characters that a header or a file system cannot hold.
    pub fn named(name: &str, download: bool) -> Self {
        Disposition { attachment: download, name: bounded(tidy(name)) }
    }

    /// Returns the header's value; an attachment if `must_be_saved` is set.
    pub fn value(&self, must_be_saved: bool) -> String {
        let kind = if self.attachment || must_be_saved { "attachment" } else { "inline" };
        let plain = |c: char| if c.is_ascii() && !matches!(c, '"' | '%') { c } else { '_' };
        let fallback: String = self.name.chars().map(plain).collect();
        if fallback == self.name {
            return format!("{kind}; filename=\"{fallback}\"");
        }
        let exact = utf8_percent_encode(&self.name, ENCODED);
        format!("{kind}; filename=\"{fallback}\"; filename*=UTF-8''{exact}")
    }
}

/// Decodes HTML entities, because Piwigo stores names as HTML (PHP: `htmlspecialchars_decode` with its
/// default flags). Decodes each entity once.
fn decoded(name: &str) -> String {
    const ENTITIES: [(&str, char); 6] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#039;", '\''), ("&#39;", '\'')];
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        let (length, character) = ENTITIES
            .iter()
            .find(|(entity, _)| rest[at..].starts_with(entity))
            .map_or((1, '&'), |(entity, character)| (entity.len(), *character));
        text.push(character);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}

/// Removes control characters and those that change the direction of writing (`gpj.exe` read backwards), and
/// replaces slashes.
fn tidy(name: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let name: String = name.chars().filter(|&c| !c.is_control() && !turns(c)).collect();
    name.trim().replace(['/', '\\'], "_")
}

/// Cuts a name that is too long, but keeps its extension.
fn bounded(name: String) -> String {
    if name.len() <= MAX_NAME {
        return name;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let ending =
        if (1..=MAX_EXTENSION).contains(&extension.len()) { format!(".{extension}") } else { String::new() };
    let end = name.floor_char_boundary(MAX_NAME - ending.len());
    format!("{}{ending}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piwigo::records::Image;

    fn claim(file: &str, name: Option<&str>, ownership: Ownership) -> Claim {
        let image = Image {
            id: 1,
            path: "upload/x.jpg".into(),
            level: 0,
            representative_ext: None,
            width: None,
            height: None,
            rotation: None,
            albums: Vec::new(),
        };
        Claim { image, ownership, file: file.into(), name: name.map(Into::into), cover_of: Vec::new() }
    }

    #[test]
    fn names_as_browsers_read_them() {
        let table = [
            ("a.jpg", "inline; filename=\"a.jpg\""),
            ("a b (1).jpg", "inline; filename=\"a b (1).jpg\""),
            ("Été.jpg", "inline; filename=\"_t_.jpg\"; filename*=UTF-8''%C3%89t%C3%A9.jpg"),
            (
                "say &quot;hi&quot;.jpg",
                "inline; filename=\"say _hi_.jpg\"; filename*=UTF-8''say%20%22hi%22.jpg",
            ),
            ("a &amp;lt; b.jpg", "inline; filename=\"a &lt; b.jpg\""),
            (
                "l&#039;été & co.jpg",
                "inline; filename=\"l'_t_ & co.jpg\"; filename*=UTF-8''l%27%C3%A9t%C3%A9%20%26%20co.jpg",
            ),
            ("100%.jpg", "inline; filename=\"100_.jpg\"; filename*=UTF-8''100%25.jpg"),
            ("a\r\nSet-Cookie: b.jpg", "inline; filename=\"aSet-Cookie: b.jpg\""),
            ("../../etc/passwd", "inline; filename=\".._.._etc_passwd\""),
            ("C:\\a.jpg", "inline; filename=\"C:_a.jpg\""),
            ("a\u{202e}gpj.exe", "inline; filename=\"agpj.exe\""),
            ("\r\n", "inline; filename=\"on-disk.jpg\""),
        ];
        for (name, expected) in table {
            let claim = claim("upload/on-disk.jpg", Some(name), Ownership::Original);
            assert_eq!(Disposition::of(&claim, false).value(false), expected, "{name:?}");
        }
    }

    #[test]
    fn the_extension_is_that_of_the_file_which_is_sent() {
        let table = [
            (Ownership::Original, "upload/x.mp4", "clip.mp4", "clip.mp4"),
            (Ownership::Representative, "upload/pwg_representative/x.jpg", "clip.v2.mp4", "clip.v2.jpg"),
            (Ownership::Format, "upload/pwg_format/x.cr2", "IMG_1.JPG", "IMG_1.cr2"),
            (Ownership::Format, "upload/pwg_format/x.cr2", "no extension", "no extension.cr2"),
        ];
        for (ownership, file, name, expected) in table {
            let value = Disposition::of(&claim(file, Some(name), ownership), true).value(false);
            assert_eq!(value, format!("attachment; filename=\"{expected}\""));
        }
        let unnamed = claim("upload/x.jpg", None, Ownership::Original);
        assert_eq!(Disposition::of(&unnamed, false).value(true), "attachment; filename=\"x.jpg\"");
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        for name in [format!("{}.jpeg", "é".repeat(300)), format!("{}.jpeg", "x".repeat(300))] {
            let kept = Disposition::named(&name, false).name;
            assert!(
                kept.len() <= MAX_NAME && kept.rsplit_once('.').is_some_and(|(_, end)| end == "jpeg"),
                "{kept}"
            );
        }
        assert_eq!(Disposition::named(&"x".repeat(300), false).name.len(), MAX_NAME);
    }
}
