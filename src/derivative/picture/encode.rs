//! Pixels → a file of the wanted format.

use super::format::Format;
use super::gif::Writer;
use super::limits::PictureError;
use super::quality::Quality;
use super::{Picture, jpeg, png, webp};

/// Writes a file. `quality`, 1 to 100, is for JPEG and WebP. `profile` describes the colours; GIF cannot
/// carry it. What is transparent becomes white in a JPEG.
///
/// # Errors
/// If the format holds no picture of this size or with these channels.
pub fn encode(
    picture: Picture,
    profile: Option<&[u8]>,
    format: Format,
    quality: u8,
) -> Result<Vec<u8>, PictureError> {
    encode_as(picture, profile, format, Quality::exactly(quality))
}

/// The same with a quality that may have been taken from the source.
///
/// # Errors
/// If the format holds no picture of this size or with these channels.
pub fn encode_as(
    picture: Picture,
    profile: Option<&[u8]>,
    format: Format,
    quality: Quality,
) -> Result<Vec<u8>, PictureError> {
    match format {
        Format::Jpeg => jpeg::encode(&picture.on_white(), profile, quality),
        Format::Png => png::encode(&picture, profile),
        Format::WebP => webp::encode(picture, profile, quality.number()),
        Format::Gif => {
            let mut writer = Writer::new(picture.size(), None)?;
            writer.add(picture, 0)?;
            writer.finish()
        }
    }
}
