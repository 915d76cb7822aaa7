//! Piwigo's sharpening: one 3x3 kernel whose centre grows with the amount (docs/spec/piwigo.md §6.7).

use super::{Channels, Picture};

/// Sharpens by 0 (not at all) to 100. Beyond the edge the nearest pixel counts. Opacity stays as it is.
#[must_use]
pub fn sharpen(picture: Picture, amount: u8) -> Picture {
    if amount == 0 {
        return picture;
    }
    let (center, around) = kernel(amount);
    match picture.channels {
        Channels::Gray => convolve::<1>(picture, center, around, 1),
        Channels::Rgb => convolve::<3>(picture, center, around, 3),
        Channels::Rgba => convolve::<4>(picture, center, around, 3),
        Channels::Cmyk => convolve::<4>(picture, center, around, 4),
    }
}

/// The weight of the pixel itself and that of each of its eight neighbours.
fn kernel(amount: u8) -> (f32, f32) {
    let center = (f64::from(amount.min(100)).mul_add(0.38, -48.0).abs() * 100.0).round() / 100.0;
    let sum = center - 8.0;
    ((center / sum) as f32, (-1.0 / sum) as f32)
}

/// Applies the kernel to the first `colors` bytes of each pixel of `N` bytes.
fn convolve<const N: usize>(mut picture: Picture, center: f32, around: f32, colors: usize) -> Picture {
    let (source, _) = picture.pixels.as_chunks::<N>();
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut result = source.to_vec();
    // Sums of three rows for each column; a pixel's neighbourhood is then three of them.
    let mut columns = vec![[0u16; N]; width];
    for (y, row) in result.chunks_exact_mut(width.max(1)).enumerate() {
        let (above, below) = (y.saturating_sub(1) * width, (y + 1).min(height - 1) * width);
        for (x, column) in columns.iter_mut().enumerate() {
            let (a, b, c) = (source[above + x], source[y * width + x], source[below + x]);
            *column = std::array::from_fn(|i| u16::from(a[i]) + u16::from(b[i]) + u16::from(c[i]));
        }
        for (x, pixel) in row.iter_mut().enumerate() {
            let (left, right) = (columns[x.saturating_sub(1)], columns[(x + 1).min(width - 1)]);
            for i in 0..colors {
                let all = f32::from(left[i] + columns[x][i] + right[i]);
                // The pixel itself is in the sum, so its weight is less by that much.
                let value = all.mul_add(around, f32::from(pixel[i]) * (center - around));
                pixel[i] = clamped(value);
            }
        }
    }
    picture.pixels = result.into_flattened();
    picture
}

#[allow(clippy::cast_sign_loss)]
fn clamped(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_piwigos() {
        for (amount, center, around) in
            [(1, 1.201_918, -0.025_240), (50, 1.380_952, -0.047_619), (100, 5.0, -0.5)]
        {
            let kernel = kernel(amount);
            assert!(
                (kernel.0 - center).abs() < 1e-5 && (kernel.1 - around).abs() < 1e-5,
                "{amount} {kernel:?}"
            );
        }
    }

    fn spot(channels: Channels) -> Picture {
        let mut pixels = vec![100; 9 * channels.count()];
        pixels[4 * channels.count()] = 120;
        Picture { pixels, width: 3, height: 3, channels }
    }

    #[test]
    fn a_spot_gets_stronger_and_its_neighbours_weaker() {
        let sharp = sharpen(spot(Channels::Gray), 100);
        assert_eq!(sharp.pixels, [90, 90, 90, 90, 200, 90, 90, 90, 90]);
        assert_eq!(sharpen(spot(Channels::Gray), 0), spot(Channels::Gray));
    }

    #[test]
    fn opacity_and_even_areas_stay() {
        let sharp = sharpen(spot(Channels::Rgba), 100);
        assert_eq!(sharp.pixels[16..20], [200, 100, 100, 100]);
        assert!(sharp.pixels.chunks(4).all(|pixel| pixel[3] == 100));
    }

    #[test]
    fn a_picture_of_one_pixel_stays() {
        let dot = Picture { pixels: vec![9, 8, 7], width: 1, height: 1, channels: Channels::Rgb };
        assert_eq!(sharpen(dot.clone(), 100), dot);
    }
}
