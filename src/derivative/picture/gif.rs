//! GIF: the first frame or all of them, each as the whole canvas with what was drawn before it.

use std::num::NonZeroU64;

use gif::{
    ColorOutput, DecodeOptions, Decoder, DecodingError, DisposalMethod, Encoder, Frame, MemoryLimit, Repeat,
};

use super::limits::{PictureError, PictureLimits, check_limits, decoded_bytes};
use super::{Channels, Picture};

/// Pixels of a frame for which the search for its 256 colours looks at every pixel; of a larger one it looks
/// at some.
const SMALL: u32 = 250_000;

/// How hard that search tries, 1 (most) to 30.
fn palette_speed((width, height): (u32, u32)) -> i32 {
    if width.saturating_mul(height) <= SMALL { 1 } else { 10 }
}

/// A GIF whose header has been read.
pub struct OpenedGif<'a> {
    decoder: Decoder<&'a [u8]>,
    size: (u32, u32),
    limits: PictureLimits,
}

impl<'a> OpenedGif<'a> {
    pub fn open(file: &'a [u8], limits: &PictureLimits) -> Result<Self, PictureError> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        options.set_memory_limit(match NonZeroU64::new(limits.decoded_bytes) {
            Some(most) => MemoryLimit::Bytes(most),
            None => return Err(PictureError::TooLarge("no memory is allowed".to_owned())),
        });
        let decoder = options.read_info(file).map_err(broken)?;
        let size = (u32::from(decoder.width()), u32::from(decoder.height()));
        check_limits(size, decoded_bytes(size, Channels::Rgba), limits)?;
        Ok(OpenedGif { decoder, size, limits: *limits })
    }

    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The first frame.
    pub fn decode(self) -> Result<Picture, PictureError> {
        let mut frames = self.frames();
        frames
            .next()
            .map(|(picture, _)| picture)?
            .ok_or_else(|| PictureError::Broken("it has no frame".to_owned()))
    }

    /// All frames.
    pub fn frames(self) -> Frames<'a> {
        let (width, height) = self.size;
        let pixels = vec![0; decoded_bytes(self.size, Channels::Rgba) as usize];
        let canvas = Picture { pixels, width, height, channels: Channels::Rgba };
        Frames {
            decoder: self.decoder,
            canvas,
            left: self.limits.pixels.saturating_mul(2),
            limits: self.limits,
            has_frame: false,
            is_cut: false,
        }
    }
}

/// The frames of a GIF, one after the other.
pub struct Frames<'a> {
    decoder: Decoder<&'a [u8]>,
    canvas: Picture,
    /// Pixels that may still be read and drawn: each frame costs its own and the canvas's.
    left: u64,
    limits: PictureLimits,
    has_frame: bool,
    /// The file ended within the last frame.
    is_cut: bool,
}

impl Frames<'_> {
    /// How often the animation runs.
    pub fn repeat(&self) -> Repeat {
        self.decoder.repeat()
    }

    /// The next frame and how long it is shown, in hundredths of a second.
    pub fn next(&mut self) -> Result<(Option<Picture>, u16), PictureError> {
        let info = match self.decoder.next_frame_info() {
            // A file that was cut short between two frames.
            Err(DecodingError::UnexpectedEof) if self.has_frame => None,
            info => info.map_err(broken)?,
        };
        let Some(info) = info.filter(|_| !self.is_cut) else { return Ok((None, 0)) };
        self.has_frame = true;
        let frame = Placed::of(info);
        let cost = u64::from(self.canvas.width) * u64::from(self.canvas.height)
            + frame.width as u64 * frame.height as u64;
        self.left = self
            .left
            .checked_sub(cost.min(self.left + 1))
            .ok_or_else(|| PictureError::TooLarge("its frames have too many pixels in all".to_owned()))?;
        // A frame may be larger than the canvas, which it then exceeds, and the decoder's own limit is not
        // for buffers that it is given. Beside it there are the canvas, and what was on it before.
        let bytes = self.decoder.buffer_size() as u64 + self.canvas.pixels.len() as u64 * 2;
        check_limits(self.canvas.size(), bytes, &self.limits)?;
        let mut pixels = vec![0; self.decoder.buffer_size()];
        match self.decoder.read_into_buffer(&mut pixels) {
            // What is missing of a file that was cut short stays transparent.
            Err(DecodingError::UnexpectedEof) => self.is_cut = true,
            read => read.map_err(broken)?,
        }
        let before = (frame.disposal == DisposalMethod::Previous).then(|| self.canvas.pixels.clone());
        frame.draw(&pixels, &mut self.canvas);
        drop(pixels);
        let shown = self.canvas.clone();
        match (frame.disposal, before) {
            (_, Some(before)) => self.canvas.pixels = before,
            (DisposalMethod::Background, _) => frame.clear(&mut self.canvas),
            _ => {}
        }
        Ok((Some(shown), frame.delay))
    }
}

/// Where a frame lies on the canvas, which it may exceed.
struct Placed {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    disposal: DisposalMethod,
    delay: u16,
}

impl Placed {
    fn of(frame: &Frame<'_>) -> Self {
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        Placed { left, top, width, height, disposal: frame.dispose, delay: frame.delay }
    }

    /// The canvas's pixels that lie under the frame, row by row.
    fn rows<'c>(&self, canvas: &'c mut Picture) -> impl Iterator<Item = &'c mut [[u8; 4]]> {
        let width = canvas.width as usize;
        let (from, to) = (self.left.min(width), (self.left + self.width).min(width));
        let (pixels, _) = canvas.pixels.as_chunks_mut::<4>();
        pixels.chunks_exact_mut(width).skip(self.top).take(self.height).map(move |row| &mut row[from..to])
    }

    fn draw(&self, frame: &[u8], canvas: &mut Picture) {
        let (frame, _) = frame.as_chunks::<4>();
        for (row, drawn) in self.rows(canvas).zip(frame.chunks_exact(self.width.max(1))) {
            for (pixel, drawn) in row.iter_mut().zip(drawn) {
                if drawn[3] != 0 {
                    *pixel = *drawn;
                }
            }
        }
    }

    fn clear(&self, canvas: &mut Picture) {
        self.rows(canvas).for_each(|row| row.fill([0; 4]));
    }
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn broken(error: DecodingError) -> PictureError {
    PictureError::Broken(error.to_string())
}

/// Writes a GIF frame by frame; each has its own 256 colours.
pub(crate) struct Writer {
    encoder: Encoder<Vec<u8>>,
}

impl Writer {
    /// A GIF of `size`; `repeat` is how often it runs, for a picture of one frame `None`.
    pub(crate) fn new(size: (u32, u32), repeat: Option<Repeat>) -> Result<Self, PictureError> {
        let (width, height) = sides(size)?;
        let mut encoder = Encoder::new(Vec::new(), width, height, &[]).map_err(|error| failed(&error))?;
        if let Some(repeat) = repeat {
            encoder.set_repeat(repeat).map_err(|error| failed(&error))?;
        }
        Ok(Writer { encoder })
    }

    /// Adds a frame of the whole size, shown for `delay` hundredths of a second.
    pub(crate) fn add(&mut self, picture: Picture, delay: u16) -> Result<(), PictureError> {
        let (width, height) = sides(picture.size())?;
        let speed = palette_speed(picture.size());
        let mut frame = match picture.in_color() {
            Picture { pixels, channels: Channels::Rgb, .. } => {
                Frame::from_rgb_speed(width, height, &pixels, speed)
            }
            Picture { mut pixels, .. } => {
                // A pixel is there or it is not.
                let (rgba, _) = pixels.as_chunks_mut::<4>();
                for pixel in rgba {
                    pixel[3] = if pixel[3] < 128 { 0 } else { 255 };
                }
                Frame::from_rgba_speed(width, height, &mut pixels, speed)
            }
        };
        frame.delay = delay;
        // The next frame is whole, too, and where it is transparent nothing of this one may show.
        frame.dispose = DisposalMethod::Background;
        self.encoder.write_frame(&frame).map_err(|error| failed(&error))
    }

    /// The finished file.
    pub(crate) fn finish(self) -> Result<Vec<u8>, PictureError> {
        self.encoder.into_inner().map_err(|error| failed(&error))
    }
}

fn sides((width, height): (u32, u32)) -> Result<(u16, u16), PictureError> {
    match (u16::try_from(width), u16::try_from(height)) {
        (Ok(width), Ok(height)) => Ok((width, height)),
        _ => Err(PictureError::Encode(format!("a GIF is not {width} x {height} pixels"))),
    }
}

fn failed(error: &gif::EncodingError) -> PictureError {
    PictureError::Encode(error.to_string())
}
