//! A source picture whose header was read and found within the limits, and which can now be decoded. Nothing of a
//! picture's size is allocated before this has been checked.

use super::format::Format;
use super::gif::OpenedGif;
use super::jpeg::OpenedJpeg;
use super::png::OpenedPng;
use super::webp::OpenedWebP;
use super::{Channels, Picture};
use crate::derivative::render::{Limits, RenderError};

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
    pub fn open(file: &'a [u8], limits: &Limits) -> Result<Self, RenderError> {
        match Format::of(file).ok_or(RenderError::UnknownFormat)? {
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

    /// The pixels. A picture of several frames gives the first. A JPEG may come smaller, by a factor of at most `shrink`
    /// (1: as it is), which saves most of the work.
    pub fn decode(self, shrink: u32) -> Result<Decoded, RenderError> {
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
    /// How many pixels of the file became one, in each direction; at the right and lower edge it may be fewer.
    pub shrink: u32,
    /// The ICC profile that the file carries.
    pub profile: Option<Vec<u8>>,
}

/// Refuses a picture that has no pixels, too many, or that would take too much memory: `bytes` is what its decoding takes.
pub(super) fn check_limits(
    (width, height): (u32, u32),
    bytes: u64,
    limits: &Limits,
) -> Result<(), RenderError> {
    if width == 0 || height == 0 {
        return Err(RenderError::Broken("it has no pixels".to_owned()));
    }
    if u64::from(width) * u64::from(height) > limits.pixels {
        let most = limits.pixels;
        return Err(RenderError::TooLarge(format!(
            "{width} x {height} pixels, where {most} in all are the limit"
        )));
    }
    if bytes > limits.decoded_bytes {
        let most = limits.decoded_bytes;
        return Err(RenderError::TooLarge(format!(
            "decoding takes {bytes} bytes, where {most} are the limit"
        )));
    }
    check_memory(bytes, limits)
}

/// Refuses a picture for which the process may not have enough memory. An allocation beyond the process's
/// limits would end it.
pub(super) fn check_memory(bytes: u64, limits: &Limits) -> Result<(), RenderError> {
    if bytes > limits.memory {
        return Err(RenderError::Memory(bytes, limits.memory));
    }
    Ok(())
}

/// Bytes of a picture in memory.
pub(super) fn decoded_bytes((width, height): (u32, u32), channels: Channels) -> u64 {
    u64::from(width) * u64::from(height) * channels.count() as u64
}
