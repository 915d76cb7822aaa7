//! PNG: every colour type and depth in, 8 bits a channel out.

use std::borrow::Cow;
use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Encoder, Info, Limits as PngLimits, Reader, Transformations};

use super::limits::{PictureError, PictureLimits, check_limits};
use super::opened::Decoded;
use super::{Channels, Picture};

/// What the decoder may allocate beside two rows: its window, and the chunks that are kept, which is the ICC
/// profile.
const WORKSPACE: usize = 8 << 20;

/// A PNG whose header has been read.
pub struct OpenedPng<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    size: (u32, u32),
    bytes: usize,
}

impl<'a> OpenedPng<'a> {
    pub fn open(file: &'a [u8], limits: &PictureLimits) -> Result<Self, PictureError> {
        // Signature, length and name of the first chunk, then width and height: looked at before the decoder
        // does. Apple's tools write another chunk before the header, and what follows is no PNG for other
        // programs.
        if file.get(12..16).is_some_and(|name| name != b"IHDR") {
            return Err(PictureError::Broken(
                "its first chunk is not the header (CgBI, of Apple's tools?)".to_owned(),
            ));
        }
        let side = |at: usize| {
            file.get(at..at + 4).and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)))
        };
        let (Some(width), Some(height)) = (side(16), side(20)) else {
            return Err(PictureError::Broken("the file ends too early".to_owned()));
        };
        check_limits((width, height), 0, limits)?;
        let row = usize::try_from(width).unwrap_or(usize::MAX).saturating_mul(8);
        let bytes = WORKSPACE.saturating_add(row.saturating_mul(4));
        let mut decoder = Decoder::new_with_limits(Cursor::new(file), PngLimits { bytes });
        decoder.set_transformations(Transformations::normalize_to_color8());
        decoder.set_ignore_text_chunk(true);
        let reader = decoder.read_info().map_err(broken)?;
        let bytes = reader.output_buffer_size().unwrap_or(usize::MAX);
        // Gray with opacity becomes RGBA in a second step.
        let (color, _) = reader.output_color_type();
        let wide = if color == ColorType::GrayscaleAlpha { 3 } else { 1 };
        check_limits((width, height), (bytes as u64).saturating_mul(wide), limits)?;
        Ok(OpenedPng { reader, size: (width, height), bytes })
    }

    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    pub fn decode(mut self) -> Result<Decoded, PictureError> {
        let mut pixels = vec![0; self.bytes];
        let info = self.reader.next_frame(&mut pixels).map_err(broken)?;
        if (info.width, info.height) != self.size {
            return Err(PictureError::Broken("the first frame is not the whole picture".to_owned()));
        }
        let (pixels, channels) = match info.color_type {
            ColorType::Grayscale => (pixels, Channels::Gray),
            ColorType::GrayscaleAlpha => {
                let (pairs, _) = pixels.as_chunks::<2>();
                (pairs.iter().flat_map(|&[gray, alpha]| [gray, gray, gray, alpha]).collect(), Channels::Rgba)
            }
            ColorType::Rgb => (pixels, Channels::Rgb),
            ColorType::Rgba => (pixels, Channels::Rgba),
            ColorType::Indexed => return Err(PictureError::Broken("its palette is missing".to_owned())),
        };
        let profile = self.reader.info().icc_profile.as_ref().map(|profile| profile.to_vec());
        let picture = Picture { pixels, width: self.size.0, height: self.size.1, channels };
        Ok(Decoded { picture, shrink: 1, profile })
    }
}

fn broken(error: png::DecodingError) -> PictureError {
    match error {
        png::DecodingError::LimitsExceeded => PictureError::TooLarge("the file's other contents".to_owned()),
        error => PictureError::Broken(with_chunk_names(&error.to_string())),
    }
}

/// The decoder's message with a chunk's name (`IDAT`) in the place of the decoder's own value for it
/// (`ChunkType { … }`).
fn with_chunk_names(message: &str) -> String {
    let Some((before, rest)) = message.split_once("ChunkType {") else { return message.to_owned() };
    let Some((value, after)) = rest.split_once('}') else { return message.to_owned() };
    let name = value.split_once("type: ").and_then(|(_, rest)| rest.split([',', ' ']).next());
    format!("{before}{}{after}", name.unwrap_or("a chunk"))
}

/// Writes gray, RGB or RGBA pixels.
pub(super) fn encode(picture: &Picture, profile: Option<&[u8]>) -> Result<Vec<u8>, PictureError> {
    let failed = |error: png::EncodingError| PictureError::Encode(error.to_string());
    let mut info = Info::with_size(picture.width, picture.height);
    info.bit_depth = BitDepth::Eight;
    info.color_type = match picture.channels {
        Channels::Gray => ColorType::Grayscale,
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
        Channels::Cmyk => return Err(PictureError::Encode("a PNG has no ink".to_owned())),
    };
    info.icc_profile = profile.map(Cow::Borrowed);
    let mut file = Vec::new();
    let mut writer = Encoder::with_info(&mut file, info).and_then(Encoder::write_header).map_err(failed)?;
    writer.write_image_data(&picture.pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(file: &[u8]) -> String {
        match OpenedPng::open(file, &PictureLimits::default()).and_then(OpenedPng::decode) {
            Ok(_) => "a picture".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_in_words() {
        let picture = Picture { pixels: vec![7; 3 * 64], width: 8, height: 8, channels: Channels::Rgb };
        let whole = encode(&picture, None).unwrap();
        assert_eq!(said(&whole), "a picture");
        // The checksum of the header, the data, and their end.
        for at in [29, whole.len() - 20, whole.len() - 14] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let said = said(&damaged);
            assert!(!said.contains(['{', '}']) && said != "a picture", "{at}: {said}");
        }
        let mut apples = whole[..8].to_vec();
        apples.extend(b"\0\0\0\x04CgBI\x50\0\x20\x02\x2b\xd5\xb3\x7f");
        apples.extend(&whole[8..]);
        assert!(said(&apples).contains("CgBI"), "{}", said(&apples));
        assert_eq!(
            with_chunk_names("CRC error while decoding ChunkType { type: IDAT, critical: true }."),
            "CRC error while decoding IDAT."
        );
    }
}
