//! Lays a mark over a picture: where Piwigo puts it, as often, as strongly (docs/spec/piwigo.md §6.8).

use super::limits::PictureError;
use super::resample::{Part, resample};
use super::{Channels, Picture};
use crate::piwigo::sizes::definition::Watermark;
use crate::piwigo::sizes::geometry::SizingParams;

/// Draws `mark` on a picture as `params` says; a mark that is larger than the picture is scaled to fit. A
/// gray picture comes back in colour.
///
/// # Errors
/// If the mark cannot be scaled.
pub fn draw(picture: Picture, mark: &Picture, params: &Watermark) -> Result<Picture, PictureError> {
    let size = picture.size();
    let mark = in_rgba(fitting(mark, size)?);
    let mut picture = picture.in_color();
    for place in places(size, mark.size(), params) {
        match picture.channels {
            Channels::Rgba => blend::<4>(&mut picture, &mark, place, params.opacity),
            _ => blend::<3>(&mut picture, &mark, place, params.opacity),
        }
    }
    Ok(picture)
}

/// The mark, no larger than the picture.
fn fitting(mark: &Picture, (width, height): (u32, u32)) -> Result<Picture, PictureError> {
    match SizingParams::classic(width, height).compute(mark.size(), None).scaled {
        Some(size) => {
            let (width, height) = (f64::from(mark.width), f64::from(mark.height));
            resample(mark.clone(), Part { left: 0.0, top: 0.0, width, height }, size)
        }
        None => Ok(mark.clone()),
    }
}

fn in_rgba(mark: Picture) -> Picture {
    let mark = mark.in_color();
    if mark.channels == Channels::Rgba {
        return mark;
    }
    let (pixels, _) = mark.pixels.as_chunks::<3>();
    let pixels = pixels.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
    Picture { pixels, channels: Channels::Rgba, ..mark }
}

/// Where the mark's upper left corner goes, each time. The mark fits into the picture.
fn places(picture: (u32, u32), mark: (u32, u32), params: &Watermark) -> Vec<(u32, u32)> {
    let (across, down) =
        (Axis::new(picture.0, mark.0, params.xpos), Axis::new(picture.1, mark.1, params.ypos));
    let mut places = vec![(across.first, down.first)];
    let (columns, rows) = (i64::from(params.xrepeat), i64::from(params.yrepeat));
    for column in -columns..=columns {
        for row in -rows..=rows {
            if let (false, Some(x), Some(y)) =
                ((column, row) == (0, 0), across.repeated(column), down.repeated(row))
            {
                places.push((x, y));
            }
        }
    }
    places
}

/// Where marks go along one side.
struct Axis {
    picture: u32,
    mark: u32,
    first: u32,
}

impl Axis {
    /// `position` is 0 to 100.
    fn new(picture: u32, mark: u32, position: u8) -> Self {
        let free = picture.saturating_sub(mark);
        let first = (u64::from(free) * u64::from(position.min(100)) + 50) / 100;
        Axis { picture, mark, first: first as u32 }
    }

    /// The place of the mark `steps` further on; none if it would not lie within the picture.
    fn repeated(&self, steps: i64) -> Option<u32> {
        let gap = ((self.mark + 2) / 4).max(30);
        let place = i64::from(self.first) + steps * (i64::from(self.mark) + i64::from(gap));
        let place = u32::try_from(place).ok()?;
        (place.checked_add(self.mark)? < self.picture).then_some(place)
    }
}

/// Lays the mark over the picture's pixels of `N` bytes, at a place where it fits.
fn blend<const N: usize>(picture: &mut Picture, mark: &Picture, (left, top): (u32, u32), opacity: u8) {
    let (marks, _) = mark.pixels.as_chunks::<4>();
    let (pixels, _) = picture.pixels.as_chunks_mut::<N>();
    let rows = pixels.chunks_exact_mut(picture.width as usize).skip(top as usize);
    for (row, mark) in rows.zip(marks.chunks_exact(mark.width as usize)) {
        for (pixel, mark) in row.iter_mut().skip(left as usize).zip(mark) {
            over(pixel, *mark, opacity);
        }
    }
}

/// One pixel of the mark over one of the picture; the fourth byte, if there is one, is the picture's opacity.
fn over<const N: usize>(pixel: &mut [u8; N], mark: [u8; 4], opacity: u8) {
    let strength = f32::from(mark[3]) / 255.0 * f32::from(opacity.min(100)) / 100.0;
    let below = pixel.get(3).map_or(1.0, |&alpha| f32::from(alpha) / 255.0);
    let alpha = strength + below * (1.0 - strength);
    if alpha <= 0.0 {
        return;
    }
    for (color, mark) in pixel.iter_mut().zip(&mark[..3]) {
        let mixed = f32::from(*mark) * strength + f32::from(*color) * below * (1.0 - strength);
        *color = byte(mixed / alpha);
    }
    if let Some(last) = pixel.get_mut(3) {
        *last = byte(alpha * 255.0);
    }
}

#[allow(clippy::cast_sign_loss)]
fn byte(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(xpos: u8, ypos: u8, xrepeat: u8, yrepeat: u8) -> Watermark {
        Watermark { xpos, ypos, xrepeat, yrepeat, ..Watermark::default() }
    }

    #[test]
    fn the_mark_goes_where_the_settings_say() {
        for (params, place) in [
            (params(0, 0, 0, 0), (0, 0)),
            (params(50, 50, 0, 0), (266, 252)),
            (params(100, 100, 0, 0), (532, 504)),
            (params(30, 70, 0, 0), (160, 353)),
        ] {
            assert_eq!(places((792, 594), (260, 90), &params), [place], "{params:?}");
        }
    }

    #[test]
    fn the_mark_is_repeated_where_it_fits_strictly() {
        // Steps of 100 + 30 pixels: columns 0, 130, 260; 390 would end at 490.
        let table = [((490, 200), 2 + 1), ((491, 200), 3 + 1)];
        for (picture, marks) in table {
            assert_eq!(places(picture, (100, 100), &params(0, 0, 5, 0)).len(), marks, "{picture:?}");
        }
        assert_eq!(places((400, 400), (100, 100), &params(50, 50, 1, 1)).len(), 9);
        assert_eq!(places((400, 400), (100, 100), &params(50, 50, 0, 1)).len(), 3);
    }

    #[test]
    fn opacity_weakens_the_mark() {
        for (opacity, value) in [(0, 0), (40, 102), (100, 255)] {
            let mut pixel = [0, 0, 0];
            over(&mut pixel, [255, 255, 255, 255], opacity);
            assert_eq!(pixel, [value; 3], "{opacity}");
        }
        let mut clear = [9, 9, 9, 0];
        over(&mut clear, [200, 100, 50, 255], 50);
        assert_eq!(clear, [200, 100, 50, 128]);
    }

    #[test]
    fn a_mark_that_is_too_large_is_scaled() {
        let mark =
            Picture { pixels: vec![255; 400 * 100 * 4], width: 400, height: 100, channels: Channels::Rgba };
        let picture =
            Picture { pixels: vec![0; 100 * 100], width: 100, height: 100, channels: Channels::Gray };
        let marked = draw(picture, &mark, &params(50, 50, 3, 3)).unwrap();
        let sum: usize = marked.pixels.iter().map(|&value| usize::from(value)).sum();
        assert_eq!((marked.channels, sum), (Channels::Rgb, 100 * 25 * 3 * 255));
    }
}
