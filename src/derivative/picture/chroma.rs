//! The planes of a JPEG whose chroma is halved in both directions: RGB pixels in, what the encoder takes out.
//!
//! One sample of chroma stands for four pixels. It is their mean, and in small pictures it is then corrected
//! by what a decoder's interpolation between samples would miss, so that colours keep their edges: of a small
//! drawing the mean ΔE2000 falls from 1.65 to 0.7. (The chroma of one of the four pixels, unaltered,
//! gave 2.44.)

use jpeg_encoder::{ImageBuffer, JpegColorType, rgb_to_ycbcr};

use super::Picture;

/// Pixels of the largest picture that is corrected: squares and thumbs. It costs two per cent of bytes, and
/// in a larger picture less of it is to be seen.
const LARGEST_CORRECTED: u32 = 25_000;

/// How often the means are corrected. The second time takes one per cent of bytes; a third hardly helps.
const CORRECTIONS: usize = 2;

/// An RGB picture as luma and halved chroma.
pub(super) struct Planes {
    width: u16,
    height: u16,
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
}

impl Planes {
    /// `picture` has three bytes a pixel; `width` and `height` are its own.
    pub(super) fn of(picture: &Picture, width: u16, height: u16) -> Self {
        let (pixels, _) = picture.pixels.as_chunks::<3>();
        let (mut luma, mut blue, mut red) = (Vec::new(), Vec::new(), Vec::new());
        for plane in [&mut luma, &mut blue, &mut red] {
            plane.reserve_exact(pixels.len());
        }
        for &[r, g, b] in pixels {
            let (y, cb, cr) = rgb_to_ycbcr(r, g, b);
            luma.push(y);
            blue.push(cb);
            red.push(cr);
        }
        let size = (usize::from(width), usize::from(height));
        let corrects = picture.width.saturating_mul(picture.height) <= LARGEST_CORRECTED;
        let halved = |plane: Vec<u8>| Halved::of(&plane, size).rounded(&plane, size, corrects);
        Planes { width, height, luma, blue: halved(blue), red: halved(red) }
    }
}

// The encoder takes full planes and, as it is told to, the first of each four samples.
impl ImageBuffer for Planes {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (width, y) = (usize::from(self.width), usize::from(y));
        let half = width.div_ceil(2);
        let [luma, blue, red, _] = buffers;
        luma.extend_from_slice(&self.luma[y * width..(y + 1) * width]);
        for (buffer, plane) in [(blue, &self.blue), (red, &self.red)] {
            let row = &plane[y / 2 * half..(y / 2 + 1) * half];
            buffer.extend(row.iter().flat_map(|&sample| [sample; 2]).take(width));
        }
    }
}

/// A plane of half the width and height, rounded up.
struct Halved {
    samples: Vec<f32>,
    width: usize,
    height: usize,
}

impl Halved {
    /// The means of four pixels each, at the right and lower edge of fewer.
    fn of(plane: &[u8], size: (usize, usize)) -> Self {
        Self::means(size, |x, y| f32::from(plane[y * size.0 + x]))
    }

    fn means((width, height): (usize, usize), value: impl Fn(usize, usize) -> f32) -> Self {
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut samples = Vec::with_capacity(half_width * half_height);
        for y in (0..height).step_by(2) {
            let below = (y + 1).min(height - 1);
            for x in (0..width).step_by(2) {
                let right = (x + 1).min(width - 1);
                samples.push((value(x, y) + value(right, y) + value(x, below) + value(right, below)) / 4.0);
            }
        }
        Halved { samples, width: half_width, height: half_height }
    }

    /// The value that a decoder puts at a pixel: three parts of the nearest sample to one of the next, in
    /// both directions.
    fn interpolated(&self, x: usize, y: usize) -> f32 {
        let next = |at: usize, count: usize| {
            let other = if at.is_multiple_of(2) { (at / 2).saturating_sub(1) } else { at / 2 + 1 };
            other.min(count - 1)
        };
        let (near, far) = (y / 2 * self.width, next(y, self.height) * self.width);
        let (left, right) = (x / 2, next(x, self.width));
        let column = |x: usize| self.samples[near + x] * 0.75 + self.samples[far + x] * 0.25;
        column(left) * 0.75 + column(right) * 0.25
    }

    #[allow(clippy::cast_sign_loss)]
    fn rounded(self, plane: &[u8], size: (usize, usize), corrects: bool) -> Vec<u8> {
        let byte = |value: f32| (value + 0.5).clamp(0.0, 255.0) as u8;
        if !corrects {
            return self.samples.into_iter().map(byte).collect();
        }
        let mut corrected = self;
        for _ in 0..CORRECTIONS {
            let missed =
                Self::means(size, |x, y| f32::from(plane[y * size.0 + x]) - corrected.interpolated(x, y));
            for (sample, missed) in corrected.samples.iter_mut().zip(missed.samples) {
                *sample = (*sample + missed).clamp(0.0, 255.0);
            }
        }
        corrected.samples.into_iter().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Channels;
    use super::*;

    fn planes(width: u16, height: u16, pixel: impl Fn(u32) -> [u8; 3]) -> Planes {
        let (wide, high) = (u32::from(width), u32::from(height));
        let pixels = (0..wide * high).flat_map(|at| pixel(at % wide)).collect();
        Planes::of(&Picture { pixels, width: wide, height: high, channels: Channels::Rgb }, width, height)
    }

    #[test]
    fn even_colour_stays_in_every_size() {
        for (width, height) in [(1, 1), (2, 2), (3, 5), (16, 1), (1, 7), (300, 201)] {
            let planes = planes(width, height, |_| [200, 30, 90]);
            let (y, cb, cr) = rgb_to_ycbcr(200, 30, 90);
            assert!(planes.luma.iter().all(|&value| value == y), "{width} x {height}");
            assert!(planes.blue.iter().all(|&value| value == cb), "{width} x {height}");
            assert!(planes.red.iter().all(|&value| value == cr), "{width} x {height}");
            for y in 0..height {
                let mut rows = [const { Vec::new() }; 4];
                planes.fill_buffers(y, &mut rows);
                let width = usize::from(width);
                assert_eq!(rows.map(|row| row.len()), [width, width, width, 0]);
            }
        }
    }

    #[test]
    fn an_edge_of_colour_is_nearer_to_itself_than_by_the_mean_alone() {
        let value = |x: usize| if x < 10 { 40u8 } else { 220 };
        let plane: Vec<u8> = (0..20 * 20).map(|at| value(at % 20)).collect();
        let error = |corrects: bool| {
            let rounded = Halved::of(&plane, (20, 20)).rounded(&plane, (20, 20), corrects);
            let samples = rounded.into_iter().map(f32::from).collect();
            let halved = Halved { samples, width: 10, height: 10 };
            (0..20).map(|x| (halved.interpolated(x, 10) - f32::from(value(x))).powi(2)).sum::<f32>()
        };
        assert!(error(true) < error(false) * 0.9, "{} {}", error(true), error(false));
    }
}
