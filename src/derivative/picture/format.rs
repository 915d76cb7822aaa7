//! Which of the four formats a file is in (its first bytes) or is to be in (its name).

/// A format that is read and written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG: read in every kind but arithmetic coding and 12 bits, written progressive.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP: read lossy and lossless, written lossy.
    WebP,
}

impl Format {
    /// The format of a file, by its first bytes: names lie.
    pub fn of(file: &[u8]) -> Option<Self> {
        match file {
            [0xFF, 0xD8, 0xFF, ..] => Some(Format::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Format::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
            _ => None,
        }
    }

    /// The format that a name's ending, in lower case and without the dot, stands for.
    pub fn named(extension: &str) -> Option<Self> {
        match extension {
            "jpg" | "jpeg" => Some(Format::Jpeg),
            "png" => Some(Format::Png),
            "gif" => Some(Format::Gif),
            "webp" => Some(Format::WebP),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_first_bytes() {
        let table: [(&[u8], Option<Format>); 9] = [
            (b"\xFF\xD8\xFF\xE0", Some(Format::Jpeg)),
            (b"\xFF\xD8", None),
            (b"\x89PNG\r\n\x1A\n", Some(Format::Png)),
            (b"GIF89a", Some(Format::Gif)),
            (b"GIF87a", Some(Format::Gif)),
            (b"GIF88a", None),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", Some(Format::WebP)),
            (b"RIFF\x01\x02\x03\x04WAVE", None),
            (b"<svg", None),
        ];
        for (bytes, format) in table {
            assert_eq!(Format::of(bytes), format, "{bytes:?}");
        }
    }

    #[test]
    fn a_format_is_asked_for_by_a_name() {
        let table = [
            ("jpg", Some(Format::Jpeg)),
            ("jpeg", Some(Format::Jpeg)),
            ("webp", Some(Format::WebP)),
            ("JPG", None),
            ("", None),
        ];
        for (extension, format) in table {
            assert_eq!(Format::named(extension), format, "{extension}");
        }
    }
}
