//! A part of a picture in another size, by Lanczos, as `ImageMagick` does for Piwigo.

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::{U8, U8x3, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::limits::PictureError;
use super::{Channels, Picture};

/// A rectangle of a picture in fractions of pixels, since a picture may have been decoded smaller than it is
/// stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Distance from the left edge.
    pub left: f64,
    /// Distance from the upper edge.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// Scales `part` of a picture to `size` (width and height in pixels, at least 1).
///
/// # Errors
/// If `part` does not lie within the picture.
pub fn resample(picture: Picture, part: Part, size: (u32, u32)) -> Result<Picture, PictureError> {
    let (cut, part) = cut_out(&picture, part);
    let picture = cut.unwrap_or(picture);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .crop(part.left, part.top, part.width, part.height)
        .use_alpha(picture.channels == Channels::Rgba);
    match picture.channels {
        Channels::Gray => scale::<U8>(picture, size, &options),
        Channels::Rgb => scale::<U8x3>(picture, size, &options),
        Channels::Rgba | Channels::Cmyk => scale::<U8x4>(picture, size, &options),
    }
}

/// For one type of pixel: the call that takes any would bring the code for all that there are, which is a
/// megabyte. Both pictures are of the type that lies between two passes, for the same reason.
fn scale<P: PixelTrait>(
    mut picture: Picture,
    size: (u32, u32),
    options: &ResizeOptions,
) -> Result<Picture, PictureError> {
    let failed = |error: &dyn std::fmt::Display| PictureError::Broken(error.to_string());
    let (width, height) = size;
    let mut pixels = vec![0; width as usize * height as usize * picture.channels.count()];
    let source = TypedImage::<P>::from_buffer(picture.width, picture.height, &mut picture.pixels);
    let mut target =
        TypedImage::<P>::from_buffer(width, height, &mut pixels).map_err(|error| failed(&error))?;
    let source = source.map_err(|error| failed(&error))?;
    Resizer::new().resize_typed(&source, &mut target, options).map_err(|error| failed(&error))?;
    Ok(Picture { pixels, width, height, channels: picture.channels })
}

/// The pixels of a part and the part within them, so that nothing from beyond the borders shows at the edges;
/// `None` if that is the whole picture.
#[allow(clippy::cast_sign_loss)]
fn cut_out(picture: &Picture, part: Part) -> (Option<Picture>, Part) {
    let (left, top) = (part.left.floor(), part.top.floor());
    let right = (part.left + part.width).ceil().min(f64::from(picture.width)) as u32;
    let bottom = (part.top + part.height).ceil().min(f64::from(picture.height)) as u32;
    let (first, above) = (left as u32, top as u32);
    if (first, above, right, bottom) == (0, 0, picture.width, picture.height)
        || first >= right
        || above >= bottom
    {
        return (None, part);
    }
    let count = picture.channels.count();
    let rows = picture.pixels.chunks_exact(picture.width as usize * count);
    let rows = rows.skip(above as usize).take((bottom - above) as usize);
    let (width, height) = (right - first, bottom - above);
    let mut pixels = Vec::with_capacity(width as usize * height as usize * count);
    rows.for_each(|row| pixels.extend_from_slice(&row[first as usize * count..right as usize * count]));
    let cut = Picture { pixels, width, height, channels: picture.channels };
    (Some(cut), Part { left: part.left - left, top: part.top - top, ..part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripes() -> Picture {
        let pixels = (0..64).map(|i| if i % 8 < 4 { 40 } else { 200 }).collect();
        Picture { pixels, width: 8, height: 8, channels: Channels::Gray }
    }

    #[test]
    fn a_part_is_scaled_from_within_its_borders() {
        let left =
            resample(stripes(), Part { left: 0.0, top: 2.0, width: 4.0, height: 4.0 }, (2, 2)).unwrap();
        assert_eq!((left.size(), left.pixels), ((2, 2), vec![40; 4]));
        let right =
            resample(stripes(), Part { left: 4.0, top: 0.0, width: 4.0, height: 8.0 }, (1, 3)).unwrap();
        assert_eq!(right.pixels, [200; 3]);
    }

    #[test]
    fn colours_of_transparent_pixels_do_not_show() {
        let pixels = [[255, 0, 0, 255], [0, 255, 0, 0]].concat();
        let picture = Picture { pixels, width: 2, height: 1, channels: Channels::Rgba };
        let one = resample(picture, Part { left: 0.0, top: 0.0, width: 2.0, height: 1.0 }, (1, 1)).unwrap();
        assert_eq!(one.pixels[..3], [255, 0, 0]);
        assert!(one.pixels[3].abs_diff(128) < 2);
    }

    #[test]
    fn a_part_outside_is_refused() {
        assert!(resample(stripes(), Part { left: 5.0, top: 0.0, width: 4.0, height: 8.0 }, (1, 1)).is_err());
    }
}
