//! A source picture whose header was read and found within the limits, and which can now be decoded. Nothing
//! of a picture's size is allocated before this has been checked.

use super::Picture;
use super::format::Format;
use super::gif::OpenedGif;
use super::jpeg::OpenedJpeg;
use super::limits::{PictureError, PictureLimits};
use super::png::OpenedPng;
use super::webp::OpenedWebP;

/// A source picture, not yet decoded.
pub enum Opened<'a> {
    /// A JPEG.
    Jpeg(Box<OpenedJpeg<'a>>),
    /// A PNG.
    Png(Box<OpenedPng<'a>>),
    /// A GIF.
    Gif(Box<OpenedGif<'a>>),
    /// A WebP.
    WebP(Box<OpenedWebP<'a>>),
}

impl<'a> Opened<'a> {
    /// Reads the header of a file and checks it.
    pub fn open(file: &'a [u8], limits: &PictureLimits) -> Result<Self, PictureError> {
        match Format::of(file).ok_or(PictureError::UnknownFormat)? {
            Format::Jpeg => OpenedJpeg::open(file, limits).map(Box::new).map(Opened::Jpeg),
            Format::Png => OpenedPng::open(file, limits).map(Box::new).map(Opened::Png),
            Format::Gif => OpenedGif::open(file, limits).map(Box::new).map(Opened::Gif),
            Format::WebP => OpenedWebP::open(file, limits).map(Box::new).map(Opened::WebP),
        }
    }

    /// Width and height in pixels, as stored (before rotation).
    pub fn size(&self) -> (u32, u32) {
        match self {
            Opened::Jpeg(jpeg) => jpeg.size(),
            Opened::Png(png) => png.size(),
            Opened::Gif(gif) => gif.size(),
            Opened::WebP(webp) => webp.size(),
        }
    }

    /// Whether it is a WebP of several frames, which the gate cannot write.
    pub fn is_animated_webp(&self) -> bool {
        matches!(self, Opened::WebP(webp) if webp.is_animated())
    }

    /// Quarter turns counter-clockwise that show the picture upright; only JPEG says so, as in Piwigo.
    pub fn quarter_turns(&self) -> u8 {
        match self {
            Opened::Jpeg(jpeg) => jpeg.quarter_turns(),
            _ => 0,
        }
    }

    /// The quality, 1 to 100, with which a JPEG was written; other formats do not say.
    pub fn quality(&self) -> Option<u8> {
        match self {
            Opened::Jpeg(jpeg) => jpeg.quality(),
            _ => None,
        }
    }

    /// The pixels. A picture of several frames gives the first. A JPEG may come smaller, by a factor of at
    /// most `shrink` (1: as it is), which saves most of the work.
    pub fn decode(self, shrink: u32) -> Result<Decoded, PictureError> {
        match self {
            Opened::Jpeg(jpeg) => jpeg.decode(shrink),
            Opened::Png(png) => png.decode(),
            Opened::Gif(gif) => gif.decode().map(|picture| Decoded { picture, shrink: 1, profile: None }),
            Opened::WebP(webp) => webp.decode(),
        }
    }
}

/// A decoded source.
pub struct Decoded {
    /// Its pixels.
    pub picture: Picture,
    /// How many pixels of the file became one, in each direction; at the right and lower edge it may be
    /// fewer.
    pub shrink: u32,
    /// The ICC profile that the file carries.
    pub profile: Option<Vec<u8>>,
}
