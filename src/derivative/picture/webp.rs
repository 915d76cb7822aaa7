//! WebP: lossy and lossless in (`image-webp`), lossy out. The encoder is libwebp, in C, for want of a free
//! one that is memory-safe; all it is given are pixels and a number.

use std::io::Cursor;

use image_webp::WebPDecoder;

use super::limits::{PictureError, PictureLimits, check_limits, check_memory, decoded_bytes};
use super::opened::Decoded;
use super::{Channels, Picture};

/// A WebP whose header has been read.
pub struct OpenedWebP<'a> {
    decoder: WebPDecoder<Cursor<&'a [u8]>>,
    channels: Channels,
}

impl<'a> OpenedWebP<'a> {
    pub fn open(file: &'a [u8], limits: &PictureLimits) -> Result<Self, PictureError> {
        let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(broken)?;
        let channels = if decoder.has_alpha() { Channels::Rgba } else { Channels::Rgb };
        let size = decoder.dimensions();
        // The picture, and as much again for its planes; a lossless one without opacity is decoded with it,
        // and opacity has a plane of its own.
        check_limits(size, decoded_bytes(size, channels) * 2, limits)?;
        check_memory(decoded_bytes(size, Channels::Rgba) * 3, limits)?;
        decoder.set_memory_limit(usize::try_from(limits.decoded_bytes).unwrap_or(usize::MAX));
        Ok(OpenedWebP { decoder, channels })
    }

    pub fn size(&self) -> (u32, u32) {
        self.decoder.dimensions()
    }

    pub fn is_animated(&self) -> bool {
        self.decoder.is_animated()
    }

    pub fn decode(mut self) -> Result<Decoded, PictureError> {
        let (width, height) = self.size();
        let mut pixels = vec![0; decoded_bytes((width, height), self.channels) as usize];
        if self.decoder.is_animated() {
            self.decoder.read_frame(&mut pixels).map_err(broken)?;
        } else {
            self.decoder.read_image(&mut pixels).map_err(broken)?;
        }
        let profile = self.decoder.icc_profile().unwrap_or_default();
        Ok(Decoded {
            picture: Picture { pixels, width, height, channels: self.channels },
            shrink: 1,
            profile,
        })
    }
}

fn broken(error: image_webp::DecodingError) -> PictureError {
    match error {
        image_webp::DecodingError::MemoryLimitExceeded => {
            PictureError::TooLarge("the file's contents".to_owned())
        }
        error => PictureError::Broken(error.to_string()),
    }
}

/// Writes gray, RGB or RGBA pixels, lossy.
pub(super) fn encode(picture: Picture, profile: Option<&[u8]>, quality: u8) -> Result<Vec<u8>, PictureError> {
    let picture = picture.in_color();
    let (width, height) = picture.size();
    let encoder = match picture.channels {
        Channels::Rgba => webp::Encoder::from_rgba(&picture.pixels, width, height),
        _ => webp::Encoder::from_rgb(&picture.pixels, width, height),
    };
    let file = encoder
        .encode_simple(false, f32::from(quality.clamp(1, 100)))
        .map_err(|error| PictureError::Encode(format!("{error:?}")))?;
    Ok(match profile {
        Some(profile) => with_profile(&file, profile, &picture),
        None => file.to_vec(),
    })
}

/// Puts an ICC profile into a WebP of one frame: the extended header, the profile, then the picture's own
/// chunks.
fn with_profile(file: &[u8], profile: &[u8], picture: &Picture) -> Vec<u8> {
    const HAS_PROFILE: u8 = 0x20;
    const HAS_ALPHA: u8 = 0x10;
    let chunks = file.get(12..).unwrap_or_default();
    // The encoder writes an extended header itself where there is transparency: 8 + 10 bytes.
    let chunks = if chunks.starts_with(b"VP8X") { chunks.get(18..).unwrap_or_default() } else { chunks };
    let alpha = if picture.channels == Channels::Rgba { HAS_ALPHA } else { 0 };
    let side = |side: u32| side.saturating_sub(1).to_le_bytes();
    let ([w0, w1, w2, _], [h0, h1, h2, _]) = (side(picture.width), side(picture.height));
    let header = [HAS_PROFILE | alpha, 0, 0, 0, w0, w1, w2, h0, h1, h2];
    let mut body = b"WEBP".to_vec();
    for (name, data) in [(b"VP8X", &header[..]), (b"ICCP", profile)] {
        body.extend_from_slice(name);
        body.extend_from_slice(&(data.len() as u32).to_le_bytes());
        body.extend_from_slice(data);
        body.resize(body.len() + data.len() % 2, 0);
    }
    body.extend_from_slice(chunks);
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_survives_in_a_file_with_and_without_transparency() {
        for channels in [Channels::Rgb, Channels::Rgba] {
            let pixels = (0..40 * 30 * channels.count()).map(|i| (i * 7 % 251) as u8).collect();
            let picture = Picture { pixels, width: 40, height: 30, channels };
            let file = encode(picture, Some(b"a profile"), 90).unwrap();
            let opened = OpenedWebP::open(&file, &PictureLimits::default()).unwrap();
            assert_eq!((opened.size(), opened.channels), ((40, 30), channels));
            assert_eq!(opened.decode().unwrap().profile.as_deref(), Some(&b"a profile"[..]));
        }
    }
}
