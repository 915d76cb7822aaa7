//! The dimensions of a derivative: turns a picture's size and a size's definition into the crop and the scale
//! (Piwigo: `SizingParams`, `ImageRect`), and tells when a picture is small enough to need no derivative.

use super::definition::{DerivativeParams, Watermark};

/// Dimensions of one size of derivative (Piwigo: `SizingParams`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizingParams {
    /// The largest width and height of the result, in pixels.
    pub ideal_size: (u32, u32),
    /// The share of a side that may be cut away, 0 to 1.
    pub max_crop: f64,
    /// If scaling would make a side smaller than this, the picture is cropped instead. Without effect if
    /// `max_crop` is 0.
    pub min_size: (u32, u32),
}

impl SizingParams {
    /// Returns a size that fits the picture into a box and never crops.
    pub fn classic(width: u32, height: u32) -> Self {
        Self { ideal_size: (width, height), max_crop: 0.0, min_size: (0, 0) }
    }

    /// Returns a size that crops the picture to a square.
    pub fn square(side: u32) -> Self {
        Self { ideal_size: (side, side), max_crop: 1.0, min_size: (side, side) }
    }

    /// Computes crop and scale for a picture of `size` (width and height in pixels, after rotation) with the
    /// centre of interest `coi`. Never enlarges. Piwigo fails if its arithmetic gives a side of 0 pixels; the
    /// gate makes that side 1.
    pub fn compute(&self, size: (u32, u32), coi: Option<CenterOfInterest>) -> Sizing {
        let mut area = Area { left: 0.0, top: 0.0, right: f64::from(size.0), bottom: f64::from(size.1) };
        if self.max_crop > 0.0 {
            self.crop(&mut area, coi);
        }
        let (ideal_width, ideal_height) = (f64::from(self.ideal_size.0), f64::from(self.ideal_size.1));
        let (ratio_w, ratio_h) = (area.width() / ideal_width, area.height() / ideal_height);
        let scaled = (ratio_w > 1.0 || ratio_h > 1.0).then(|| {
            let (width, height) = if ratio_w > ratio_h {
                (ideal_width, (1e-6 + area.height() / ratio_w).floor())
            } else {
                ((1e-6 + area.width() / ratio_h).floor(), ideal_height)
            };
            (pixels(width).max(1), pixels(height).max(1))
        });
        let crop = area.to_crop();
        let is_whole = (crop.width, crop.height) == size;
        Sizing { crop: (!is_whole).then_some(crop), scaled }
    }

    /// Returns the size that Piwigo uses when it decides on watermarks (Piwigo:
    /// `DerivativeParams::compute_final_size`): the scaled size, or the size of the picture if it is not
    /// scaled, even if it is cropped.
    pub fn final_size(&self, size: (u32, u32)) -> (u32, u32) {
        self.compute(size, None).scaled.unwrap_or(size)
    }

    /// Whether a picture of `size` (after rotation) fits into the ideal size without scaling.
    pub fn is_identity(&self, size: (u32, u32)) -> bool {
        size.0 <= self.ideal_size.0 && size.1 <= self.ideal_size.1
    }

    fn crop(&self, area: &mut Area, coi: Option<CenterOfInterest>) {
        let (ideal_width, ideal_height) = (f64::from(self.ideal_size.0), f64::from(self.ideal_size.1));
        let (min_width, min_height) = (f64::from(self.min_size.0), f64::from(self.min_size.1));
        let (width, height) = (area.width(), area.height());
        let (ratio_w, ratio_h) = (width / ideal_width, height / ideal_height);
        if ratio_w <= 1.0 && ratio_h <= 1.0 {
            return;
        }
        if ratio_w > ratio_h {
            if height / ratio_w < min_height {
                let ideal = width - (height * ideal_width / min_height).floor();
                let cut = ideal.min(php_round(self.max_crop * width));
                let interest = coi.map(|coi| (coi.left, coi.right));
                (area.left, area.right) = cut_span(area.left, area.right, cut, interest);
            }
        } else if width / ratio_h < min_width {
            let ideal = height - (width * ideal_height / min_width).floor();
            let cut = ideal.min(php_round(self.max_crop * height));
            let interest = coi.map(|coi| (coi.top, coi.bottom));
            (area.top, area.bottom) = cut_span(area.top, area.bottom, cut, interest);
        }
    }
}

/// The steps that a picture goes through, first the crop, then the scale; `None` means that a step is not
/// needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// The part that is kept, in pixels of the rotated picture.
    pub crop: Option<Crop>,
    /// The width and height to which the kept part is scaled down, in pixels.
    pub scaled: Option<(u32, u32)>,
}

/// A rectangle of a picture, in pixels of the rotated picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// Columns left of the rectangle.
    pub left: u32,
    /// Rows above the rectangle.
    pub top: u32,
    /// Its width, at least 1.
    pub width: u32,
    /// Its height, at least 1.
    pub height: u32,
}

/// The part of a picture that cropping should spare, in 25ths of the displayed picture (Piwigo:
/// `images.coi`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CenterOfInterest {
    left: u8,
    top: u8,
    right: u8,
    bottom: u8,
}

impl CenterOfInterest {
    /// Parses the column `coi`: four letters `a` to `z` for left, top, right, bottom. Returns `None` for any
    /// other text.
    pub fn from_column(coi: &[u8]) -> Option<Self> {
        let letter = |&b: &u8| b.is_ascii_lowercase().then(|| b - b'a');
        let [left, top, right, bottom] = coi else { return None };
        Some(Self { left: letter(left)?, top: letter(top)?, right: letter(right)?, bottom: letter(bottom)? })
    }
}

/// Whether a page shows the picture itself in place of this size (Piwigo: `DerivativeImage::build`,
/// `same_as_source`): it fits, is not rotated and needs no watermark. `width` and `height` are the columns,
/// the file's size before rotation; if one is `NULL`, the answer is no. A `rotation` of `NULL` counts as 0.
pub fn same_as_source(
    params: &DerivativeParams,
    watermark: &Watermark,
    width: Option<u32>,
    height: Option<u32>,
    rotation: Option<u32>,
) -> bool {
    let (Some(width), Some(height)) = (width, height) else { return false };
    let upright = rotation.unwrap_or(0).is_multiple_of(4);
    upright && params.sizing.is_identity((width, height)) && !watermark.applies(params, (width, height))
}

/// Whether a derivative of a picture of `size` (in pixels, after rotation) carries the watermark: its size
/// may carry one, and the derivative itself is large enough (Piwigo: `i.php`).
pub fn watermark_applies(params: &DerivativeParams, watermark: &Watermark, size: (u32, u32)) -> bool {
    watermark.applies(params, params.sizing.final_size(size))
}

/// Piwigo's rectangle. PHP computes its sides as floats after a crop.
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn width(&self) -> f64 {
        self.right - self.left
    }

    fn height(&self) -> f64 {
        self.bottom - self.top
    }

    fn to_crop(&self) -> Crop {
        let (left, top) = (pixels(self.left), pixels(self.top));
        Crop { left, top, width: pixels(self.width()), height: pixels(self.height()) }
    }
}

/// Cuts `cut` pixels off a span: half at each end, or so that the interest (from and to, in 25ths) survives
/// if possible.
fn cut_span(start: f64, end: f64, cut: f64, interest: Option<(u8, u8)>) -> (f64, f64) {
    if end - start <= cut {
        return (start, end);
    }
    let mut first = (cut / 2.0).floor();
    if let Some((from, to)) = interest {
        let before = ((end * (f64::from(from) / 25.0)).floor() - start).max(0.0);
        let after = (end - (end * (f64::from(to) / 25.0)).ceil()).max(0.0);
        if before + after >= cut {
            if before < first {
                first = before;
            } else if after < first {
                first = cut - after;
            }
        }
    }
    (start + first, end - (cut - first))
}

/// PHP's `round()`. It first rounds to 15 digits, so 0.29 × 50, which is a little below 14.5 in binary, gives
/// 15.
fn php_round(value: f64) -> f64 {
    format!("{value:.14e}").parse::<f64>().unwrap_or(value).round()
}

/// Converts a side to pixels. Callers pass whole numbers below 2^32.
#[allow(clippy::cast_sign_loss)]
fn pixels(side: f64) -> u32 {
    side as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::piwigo::sizes::name::Kind;

    /// Left, top, width, height.
    type CropRow = Option<(u32, u32, u32, u32)>;

    fn compute(params: SizingParams, source: (u32, u32), coi: &str) -> (CropRow, Option<(u32, u32)>) {
        let sizing = params.compute(source, CenterOfInterest::from_column(coi.as_bytes()));
        (sizing.crop.map(|crop| (crop.left, crop.top, crop.width, crop.height)), sizing.scaled)
    }

    fn cropping(ideal_size: (u32, u32), max_crop: f64, min_size: (u32, u32)) -> SizingParams {
        SizingParams { ideal_size, max_crop, min_size }
    }

    #[test]
    fn a_square_is_cut_from_the_middle_or_around_the_centre_of_interest() {
        let table = [
            ((4000, 3000), "", Some((500, 0, 3000, 3000)), Some((120, 120))),
            ((3000, 4000), "", Some((0, 500, 3000, 3000)), Some((120, 120))),
            ((121, 120), "", Some((0, 0, 120, 120)), None),
            ((120, 120), "", None, None),
            ((100, 80), "", None, None),
            ((100, 500), "", Some((0, 200, 100, 100)), None),
            ((6000, 100), "", Some((2950, 0, 100, 100)), None),
            ((241, 120), "", Some((60, 0, 120, 120)), None),
            ((4000, 3000), "aaee", Some((0, 0, 3000, 3000)), Some((120, 120))),
            ((4000, 3000), "vvzz", Some((1000, 0, 3000, 3000)), Some((120, 120))),
            ((3000, 4000), "fcui", Some((0, 320, 3000, 3000)), Some((120, 120))),
            ((3000, 4000), "azaz", Some((0, 1000, 3000, 3000)), Some((120, 120))),
        ];
        for (source, coi, crop, scaled) in table {
            assert_eq!(compute(SizingParams::square(120), source, coi), (crop, scaled), "{source:?} {coi}");
        }
    }

    #[test]
    fn a_box_is_filled_without_cropping_and_without_enlarging() {
        let table = [
            ((144, 144), (4000, 3000), Some((144, 108))),
            ((144, 144), (3000, 4000), Some((108, 144))),
            ((144, 144), (1000, 999), Some((144, 143))),
            ((144, 144), (793, 594), Some((144, 107))),
            ((432, 324), (3000, 4000), Some((243, 324))),
            ((432, 324), (1000, 999), Some((324, 324))),
            ((792, 594), (4000, 3000), Some((792, 594))),
            ((792, 594), (3000, 4000), Some((445, 594))),
            ((792, 594), (793, 594), Some((792, 593))),
            ((1656, 1242), (3000, 4000), Some((931, 1242))),
            ((1656, 1242), (6000, 1000), Some((1656, 276))),
            ((1656, 1242), (1000, 999), None),
        ];
        for ((width, height), source, scaled) in table {
            let params = SizingParams::classic(width, height);
            assert_eq!(compute(params, source, "aaee"), (None, scaled), "{width}x{height} {source:?}");
        }
    }

    #[test]
    fn a_custom_size_crops_no_more_than_it_may() {
        let half = cropping((300, 200), 0.5, (150, 100));
        let exact = cropping((260, 180), 1.0, (260, 180));
        let loose = cropping((520, 360), 1.0, (260, 180));
        let table = [
            (half, (4000, 3000), None, Some((266, 200))),
            (half, (3000, 4000), None, Some((150, 200))),
            (half, (4000, 500), Some((1000, 0, 2000, 500)), Some((300, 75))),
            (half, (500, 4000), Some((0, 1000, 500, 2000)), Some((50, 200))),
            (exact, (4000, 3000), Some((0, 115, 4000, 2769)), Some((260, 179))),
            (exact, (3000, 4000), Some((0, 962, 3000, 2076)), Some((260, 179))),
            (exact, (261, 180), Some((0, 0, 260, 180)), None),
            (loose, (8000, 1000), Some((2556, 0, 2888, 1000)), Some((520, 180))),
            (cropping((20, 20), 0.29, (20, 20)), (50, 20), Some((7, 0, 35, 20)), Some((20, 11))),
        ];
        for (params, source, crop, scaled) in table {
            assert_eq!(compute(params, source, ""), (crop, scaled), "{params:?} {source:?}");
        }
    }

    #[test]
    fn a_side_of_no_pixels_becomes_one() {
        assert_eq!(compute(SizingParams::classic(144, 144), (1, 5000), ""), (None, Some((1, 144))));
    }

    #[test]
    fn a_centre_of_interest_is_four_letters() {
        for coi in ["", "aae", "aaeee", "AAEE", "aa e", "aaé"] {
            assert_eq!(CenterOfInterest::from_column(coi.as_bytes()), None, "{coi}");
        }
    }

    #[test]
    fn the_final_size_ignores_a_crop_without_scaling() {
        assert_eq!(SizingParams::square(120).final_size((100, 500)), (100, 500));
        assert_eq!(SizingParams::square(120).final_size((4000, 3000)), (120, 120));
        assert_eq!(SizingParams::classic(144, 144).final_size((100, 80)), (100, 80));
    }

    #[test]
    fn the_picture_itself_is_shown_if_it_fits_upright_and_unmarked() {
        let marked = Watermark { file: b"wm.png".to_vec(), min_size: (500, 500), ..Watermark::default() };
        let none = Watermark::default();
        let table = [
            (Some(1656), Some(1242), Some(0), &none, true),
            (Some(1657), Some(1242), Some(0), &none, false),
            (Some(1242), Some(1656), Some(0), &none, false),
            (Some(1656), Some(1242), Some(1), &none, false),
            (Some(1000), Some(1000), Some(2), &none, false),
            (Some(1000), Some(1000), Some(3), &none, false),
            (Some(1000), Some(1000), Some(4), &none, true),
            (Some(1000), Some(1000), Some(5), &none, false),
            (Some(100), Some(80), Some(0), &none, true),
            (Some(100), Some(80), None, &none, true),
            (None, Some(80), Some(0), &none, false),
            (Some(100), None, Some(0), &none, false),
            (Some(100), Some(80), Some(0), &marked, true),
            (Some(500), Some(80), Some(0), &marked, false),
            (Some(499), Some(499), Some(0), &marked, true),
        ];
        let params = params(SizingParams::classic(1656, 1242));
        for (width, height, rotation, watermark, same) in table {
            assert_eq!(
                same_as_source(&params, watermark, width, height, rotation),
                same,
                "{width:?} {height:?} {rotation:?} {watermark:?}"
            );
        }
    }

    #[test]
    fn a_watermark_goes_by_the_size_of_the_derivative() {
        let mark = Watermark { file: b"wm.png".to_vec(), min_size: (140, 140), ..Watermark::default() };
        let table = [
            (SizingParams::classic(144, 144), (4000, 3000), true),
            (SizingParams::classic(139, 139), (4000, 3000), false),
            (SizingParams::classic(792, 594), (139, 139), false),
            (SizingParams::classic(792, 594), (140, 139), true),
        ];
        for (sizing, size, applies) in table {
            assert_eq!(watermark_applies(&params(sizing), &mark, size), applies, "{sizing:?} {size:?}");
        }
    }

    fn params(sizing: SizingParams) -> DerivativeParams {
        DerivativeParams { kind: Kind::XxLarge, last_mod_time: 0, sizing, sharpen: 0 }
    }

    proptest! {
        #[test]
        fn the_result_lies_within_the_picture_and_the_ideal_size(
            source in (0u32..70_000, 0u32..70_000),
            ideal in (0u32..5_000, 0u32..5_000),
            min in (0u32..5_000, 0u32..5_000),
            max_crop in -1.0f64..2.0,
            coi in proptest::option::of("[a-z]{4}"),
        ) {
            let coi = coi.and_then(|coi| CenterOfInterest::from_column(coi.as_bytes()));
            let sizing = cropping(ideal, max_crop, min).compute(source, coi);
            if let Some(crop) = sizing.crop {
                prop_assert!(crop.left + crop.width <= source.0 && crop.top + crop.height <= source.1);
            }
            if let Some((width, height)) = sizing.scaled {
                prop_assert!((1..=ideal.0.max(1)).contains(&width) && (1..=ideal.1.max(1)).contains(&height));
            }
        }
    }
}
