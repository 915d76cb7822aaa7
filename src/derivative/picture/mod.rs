//! Pictures in memory: decodes files of four formats, changes the pixels, and encodes them to files. It knows
//! no gallery and opens no file; of Piwigo's sizes it knows crops and watermarks.
//!
//! | room | in → out |
//! |---|---|
//! | [`format`](mod@format) | first bytes, or a name's ending → the format |
//! | [`opened`] | bytes → dimensions, checked against the limits before anything is decoded → pixels |
//! | `jpeg`, `png`, `gif`, `webp` | one format each, both ways |
//! | `chroma` | pixels → luma and halved chroma, for a JPEG |
//! | `jpeg_cut` | a JPEG without its end → one that can be decoded, and how much of it is there |
//! | [`orientation`] | quarter turns: of pixels, of a rectangle, from EXIF |
//! | [`resample`] | a part of a picture → the same in another size |
//! | [`sharpen`], [`watermark`] | Piwigo's two effects |
//! | [`profile`] | colours of an ICC profile → sRGB |
//! | [`quality`] | a JPEG's quantization tables ↔ how fine it is |
//! | [`encode`] | pixels → a file |

mod chroma;
pub mod encode;
pub mod format;
pub(crate) mod gif;
mod jpeg;
mod jpeg_cut;
pub mod limits;
pub mod opened;
pub mod orientation;
mod png;
pub mod profile;
pub mod quality;
pub mod resample;
pub mod sharpen;
pub mod watermark;
mod webp;

/// What the bytes of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// One byte, 0 is black.
    Gray,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, opacity (0 is transparent); not premultiplied.
    Rgba,
    /// Ink: cyan, magenta, yellow, black; 255 is full.
    Cmyk,
}

impl Channels {
    /// Bytes of a pixel.
    pub fn count(self) -> usize {
        match self {
            Channels::Gray => 1,
            Channels::Rgb => 3,
            Channels::Rgba | Channels::Cmyk => 4,
        }
    }
}

/// A decoded picture: 8 bits a channel, rows from top to bottom without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `width * height * channels.count()` bytes.
    pub pixels: Vec<u8>,
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What a pixel is made of.
    pub channels: Channels,
}

impl Picture {
    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The same picture in colour: gray becomes RGB; RGB and RGBA stay. Ink is for [`profile`].
    #[must_use]
    pub fn in_color(self) -> Self {
        if self.channels != Channels::Gray {
            return self;
        }
        let pixels = self.pixels.iter().flat_map(|&gray| [gray; 3]).collect();
        Picture { pixels, channels: Channels::Rgb, ..self }
    }

    /// The same picture without transparency, on white, for formats that have none.
    #[must_use]
    pub fn on_white(self) -> Self {
        if self.channels != Channels::Rgba {
            return self;
        }
        let over = |color: u8, alpha: u8| {
            let mixed = u32::from(color) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
            ((mixed + 127) / 255) as u8
        };
        let (pixels, _) = self.pixels.as_chunks::<4>();
        let pixels = pixels.iter().flat_map(|&[r, g, b, a]| [over(r, a), over(g, a), over(b, a)]).collect();
        Picture { pixels, channels: Channels::Rgb, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_transparent_becomes_white() {
        let pixels = vec![10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128];
        let picture = Picture { pixels, width: 3, height: 1, channels: Channels::Rgba }.on_white();
        assert_eq!(
            (picture.channels, &picture.pixels[..]),
            (Channels::Rgb, &[10, 20, 30, 255, 255, 255, 127, 127, 127][..])
        );
    }

    #[test]
    fn gray_becomes_colour() {
        let picture =
            Picture { pixels: vec![7, 9], width: 2, height: 1, channels: Channels::Gray }.in_color();
        assert_eq!((picture.channels, picture.pixels), (Channels::Rgb, vec![7, 7, 7, 9, 9, 9]));
    }
}
