//! JPEG. Reading goes through `jpeg-decoder`, which can leave the fine detail out while decoding (a "shrink"
//! of 2, 4 or 8): of a 12-megapixel photo that is to become a thumbnail, most of the work is never done.

use std::io::ErrorKind;

use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};
use jpeg_encoder::{ColorType, Encoder, QuantizationTableType, SamplingFactor};
use memchr::memchr;

use super::chroma::Planes;
use super::jpeg_cut::{self, Completed, Whole};
use super::limits::{PictureError, PictureLimits, check_limits, check_memory};
use super::opened::Decoded;
use super::orientation::quarter_turns_of_exif;
use super::quality::{self, Quality};
use super::{Channels, Picture};

/// Scans of a progressive picture, at most: encoders write about 10. Each costs time, but needs next to no
/// bytes.
const MOST_SCANS: usize = 50;
/// Scans of another picture, at most: one for each component.
const MOST_BASELINE_SCANS: usize = 4;

/// Scans of each component in a JPEG that is written: the mean, then the rest. Each more would cost two per
/// cent of bytes.
const SCANS_WRITTEN: u8 = 2;

/// A JPEG whose header has been read.
pub struct OpenedJpeg<'a> {
    decoder: Decoder<Completed<'a>>,
    /// What of it is there, if it is cut.
    whole: Option<Whole>,
    size: (u32, u32),
    format: PixelFormat,
    is_progressive: bool,
    is_adobe: bool,
    /// Samples of all components for 100 pixels.
    planes: u64,
    quality: Option<u8>,
    limits: PictureLimits,
}

impl<'a> OpenedJpeg<'a> {
    pub fn open(file: &'a [u8], limits: &PictureLimits) -> Result<Self, PictureError> {
        let structure = Structure::of(file);
        let (completed, whole) = if structure.is_complete {
            (Completed::as_it_is(file), None)
        } else {
            jpeg_cut::complete(file)
                .ok_or_else(|| PictureError::Broken("the file ends too early".to_owned()))?
        };
        let mut decoder = Decoder::new(completed);
        decoder.read_info().map_err(broken)?;
        let info = decoder.info().ok_or_else(|| PictureError::Broken("it has no frame".to_owned()))?;
        let size = (u32::from(info.width), u32::from(info.height));
        check_limits(size, 0, limits)?;
        let is_progressive = info.coding_process == CodingProcess::DctProgressive;
        let most = if is_progressive { MOST_SCANS } else { MOST_BASELINE_SCANS };
        if structure.scans > most {
            return Err(PictureError::TooLarge(format!(
                "{} scans, where {most} are the limit",
                structure.scans
            )));
        }
        // Every block of 8x8 pixels takes a bit at least; a decoder would fill in what is not there.
        if (file.len() as u64) * 8 < u64::from(size.0) * u64::from(size.1) / 64 {
            return Err(PictureError::Broken("the file is too short for its dimensions".to_owned()));
        }
        let (format, is_adobe) = (info.pixel_format, structure.is_adobe);
        let quality = structure.table_sum.map(quality::of_table);
        let planes = structure.samples_of_100.unwrap_or(format.pixel_bytes() as u64 * 100);
        Ok(OpenedJpeg {
            decoder,
            whole,
            size,
            format,
            is_progressive,
            is_adobe,
            planes,
            quality,
            limits: *limits,
        })
    }

    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// How fine it was written.
    pub fn quality(&self) -> Option<u8> {
        self.quality
    }

    pub fn quarter_turns(&self) -> u8 {
        self.decoder.exif_data().map_or(0, quarter_turns_of_exif)
    }

    pub fn decode(mut self, shrink: u32) -> Result<Decoded, PictureError> {
        let shrink = [8, 4, 2].into_iter().find(|&factor| factor <= shrink).unwrap_or(1);
        self.check_memory(shrink)?;
        // The decoder stops at the first side that is large enough, so only the longer one is named.
        let (width, height) = (self.size.0.div_ceil(shrink) as u16, self.size.1.div_ceil(shrink) as u16);
        let (width, height) = if width >= height { (width, u16::MAX) } else { (u16::MAX, height) };
        let (width, height) = self.decoder.scale(width, height).map_err(broken)?;
        let most = usize::try_from(self.limits.decoded_bytes).unwrap_or(usize::MAX);
        self.decoder.set_max_decoding_buffer_size(most);
        let pixels = self.decoder.decode().map_err(broken)?;
        let (pixels, channels) = match self.format {
            PixelFormat::L8 => (pixels, Channels::Gray),
            // Lossless JPEG of 16 bits, in the machine's order of bytes.
            PixelFormat::L16 => {
                let (samples, _) = pixels.as_chunks::<2>();
                (
                    samples.iter().map(|&sample| (u16::from_ne_bytes(sample) >> 8) as u8).collect(),
                    Channels::Gray,
                )
            }
            PixelFormat::RGB24 => (pixels, Channels::Rgb),
            // The decoder takes all ink for inverted, as Adobe writes it. Others do not.
            PixelFormat::CMYK32 if self.is_adobe => (pixels, Channels::Cmyk),
            PixelFormat::CMYK32 => (pixels.into_iter().map(|ink| 255 - ink).collect(), Channels::Cmyk),
        };
        let mut picture = Picture { pixels, width: u32::from(width), height: u32::from(height), channels };
        if let Some(whole) = self.whole {
            whole.paint_rest(&mut picture, shrink);
        }
        Ok(Decoded { picture, shrink, profile: self.decoder.icc_profile() })
    }

    /// The decoder holds the planes and the picture made of them; a progressive JPEG's coefficients as well,
    /// whole. Its threads have queues without a bound: at the worst all coefficients are in them, once more.
    fn check_memory(&self, shrink: u32) -> Result<(), PictureError> {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let (picture, planes) = (pixels * self.format.pixel_bytes() as u64, pixels * self.planes / 100);
        let decoded = (picture + planes) / u64::from(shrink * shrink);
        let coefficients = planes * 2;
        let held = if self.is_progressive { coefficients } else { 0 };
        check_limits(self.size, decoded + held, &self.limits)?;
        check_memory(decoded + held + coefficients, &self.limits)
    }
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn broken(error: jpeg_decoder::Error) -> PictureError {
    match error {
        // The file is in memory and can only end: the rest is of the threads that the decoder starts.
        jpeg_decoder::Error::Io(error) if error.kind() != ErrorKind::UnexpectedEof => {
            PictureError::Resources(error.to_string())
        }
        error => PictureError::Broken(error.to_string()),
    }
}

/// What a walk over the file's markers tells before anything is decoded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Structure {
    /// It says that Adobe wrote it.
    is_adobe: bool,
    scans: usize,
    /// The marker of the end is there.
    is_complete: bool,
    /// Samples of all components for 100 pixels: 300, or 150 where chroma is halved in both directions.
    samples_of_100: Option<u64>,
    /// Of the first quantization table.
    table_sum: Option<u32>,
}

impl Structure {
    fn of(file: &[u8]) -> Self {
        let mut structure = Structure::default();
        let mut rest = file.get(2..).unwrap_or_default();
        while let Some(at) = memchr(0xFF, rest) {
            rest = &rest[at + 1..];
            let Some(&marker) = rest.first() else { break };
            match marker {
                0xD9 => {
                    structure.is_complete = true;
                    break;
                }
                // A byte of data, markers without a length, and the filler before a marker.
                0x00 | 0x01 | 0xD0..=0xD8 => rest = &rest[1..],
                0xFF => {}
                _ => {
                    let [_, high, low, ..] = *rest else { break };
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let segment = rest.get(3..1 + length).unwrap_or_default();
                    structure.is_adobe |= marker == 0xEE && segment.starts_with(b"Adobe");
                    structure.scans += usize::from(marker == 0xDA);
                    if marker == 0xDB && structure.table_sum.is_none() {
                        structure.table_sum = quality::sum_of_first(segment);
                    }
                    if matches!(marker, 0xC0..=0xC3) {
                        structure.samples_of_100 = samples_of_100(segment);
                    }
                    rest = rest.get(1 + length..).unwrap_or_default();
                }
            }
        }
        structure
    }
}

/// By a frame's header: precision, height, width, number of components, and three bytes for each.
fn samples_of_100(frame: &[u8]) -> Option<u64> {
    let (components, _) = frame.get(6..)?.as_chunks::<3>();
    let factors =
        || components.iter().map(|&[_, factors, _]| (u64::from(factors >> 4), u64::from(factors & 15)));
    let across = factors().map(|(across, _)| across).max()?.max(1);
    let down = factors().map(|(_, down)| down).max()?.max(1);
    Some(factors().map(|(one, other)| one * other * 100).sum::<u64>().div_ceil(across * down))
}

/// Writes a progressive JPEG of gray or RGB pixels, chroma halved in both directions, as Piwigo with Imagick
/// does.
pub(super) fn encode(
    picture: &Picture,
    profile: Option<&[u8]>,
    quality: Quality,
) -> Result<Vec<u8>, PictureError> {
    let failed = |error: jpeg_encoder::EncodingError| PictureError::Encode(error.to_string());
    let color = match picture.channels {
        Channels::Gray => ColorType::Luma,
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
        Channels::Cmyk => ColorType::Cmyk,
    };
    let side = |side: u32| {
        u16::try_from(side).map_err(|_| PictureError::Encode(format!("a JPEG has no sides of {side} pixels")))
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality.number());
    let [luma, chroma] = quality.tables().map(|table| QuantizationTableType::Custom(Box::new(table)));
    encoder.set_quantization_tables(luma, chroma);
    encoder.set_progressive_scans(SCANS_WRITTEN);
    encoder.set_optimized_huffman_tables(true);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    if let Some(profile) = profile {
        encoder.add_icc_profile(profile).map_err(failed)?;
    }
    let (width, height) = (side(picture.width)?, side(picture.height)?);
    if picture.channels == Channels::Rgb {
        encoder.encode_image(Planes::of(picture, width, height)).map_err(failed)?;
    } else {
        encoder.encode(&picture.pixels, width, height, color).map_err(failed)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_over_the_markers_sees_scans_the_writer_and_the_end() {
        let adobe: &[u8] = b"\xFF\xEE\x00\x07Adobe";
        let scan: &[u8] = b"\xFF\xDA\x00\x03\x01data\xFF\x00more\xFF\xD0rest";
        let hidden: &[u8] = b"\xFF\xE1\x00\x06\xFF\xDA\xFF\xD9";
        let (start, end): (&[u8], &[u8]) = (b"\xFF\xD8", b"\xFF\xD9");
        let table: [(&[&[u8]], _, _, _); 6] = [
            (&[start, adobe, scan, end], true, 1, true),
            (&[start, hidden, scan, scan, end], false, 2, true),
            (&[start, scan, end, adobe, scan], false, 1, true),
            (&[start, scan], false, 1, false),
            (&[start, b"\xFF\xE1\xFF\xFF"], false, 0, false),
            (&[start, b"\xFF"], false, 0, false),
        ];
        for (parts, is_adobe, scans, is_complete) in table {
            let found = Structure::of(&parts.concat());
            let expected = Structure { is_adobe, scans, is_complete, samples_of_100: None, table_sum: None };
            assert_eq!(found, expected, "{parts:?}");
        }
    }

    #[test]
    fn samples_are_counted_by_the_frames_header() {
        let table: [(&[u8], Option<u64>); 5] = [
            (b"\x08\0\x10\0\x10\x01\x01\x22\0", Some(100)),
            (b"\x08\0\x10\0\x10\x03\x01\x22\0\x02\x11\x01\x03\x11\x01", Some(150)),
            (b"\x08\0\x10\0\x10\x03\x01\x21\0\x02\x11\x01\x03\x11\x01", Some(200)),
            (b"\x08\0\x10\0\x10\x03\x01\x11\0\x02\x11\x01\x03\x11\x01", Some(300)),
            (b"\x08\0", None),
        ];
        for (frame, samples) in table {
            assert_eq!(samples_of_100(frame), samples, "{frame:?}");
        }
    }

    #[test]
    fn a_thread_that_cannot_be_started_is_no_fault_of_the_picture() {
        let io = |kind: ErrorKind| broken(jpeg_decoder::Error::Io(kind.into()));
        assert!(matches!(io(ErrorKind::WouldBlock), PictureError::Resources(_)));
        assert!(matches!(io(ErrorKind::UnexpectedEof), PictureError::Broken(_)));
    }

    #[test]
    fn a_thin_picture_is_not_shrunk_further_than_asked() {
        let thin = Picture { pixels: vec![50; 5000], width: 1, height: 5000, channels: Channels::Gray };
        let file = encode(&thin, None, Quality::exactly(90)).unwrap();
        for (shrink, height) in [(1, 5000), (2, 2500), (3, 2500), (4, 1250), (8, 625), (100, 625)] {
            let decoded = OpenedJpeg::open(&file, &PictureLimits::default()).unwrap().decode(shrink).unwrap();
            assert_eq!(decoded.picture.size(), (1, height), "{shrink}");
        }
    }
}
