//! The definition of one size of derivative (dimensions and sharpening) and of the watermark that all sizes
//! share.

use super::geometry::SizingParams;
use super::name::{CustomSize, Kind};

/// One size of derivative as the gallery defines it (Piwigo: `DerivativeParams`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DerivativeParams {
    /// The size's name or custom key.
    pub kind: Kind,
    /// Unix time of the last change of this definition; older derivative files are stale. 0 for custom sizes.
    pub last_mod_time: i64,
    /// The dimensions of the result.
    pub sizing: SizingParams,
    /// Sharpening, 0 (none) to 100.
    pub sharpen: u8,
}

impl DerivativeParams {
    /// Builds the definition of a custom size, which takes its sharpening from the named sizes.
    pub fn custom(size: CustomSize, sharpen: u8) -> Self {
        let sizing = SizingParams {
            ideal_size: size.ideal_size(),
            max_crop: size.max_crop(),
            min_size: size.min_size().unwrap_or_default(),
        };
        Self { kind: Kind::Custom(size), last_mod_time: 0, sizing, sharpen }
    }
}

/// The gallery's watermark (Piwigo: `WatermarkParams`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// Path of the PNG relative to the gallery's root, as stored; empty if there is no watermark.
    pub file: Vec<u8>,
    /// A picture gets the mark if it has at least this width or this height, in pixels.
    pub min_size: (u32, u32),
    /// Horizontal position, 0 (left) to 100 (right).
    pub xpos: u8,
    /// Vertical position, 0 (top) to 100 (bottom).
    pub ypos: u8,
    /// How many times the mark is repeated to each side.
    pub xrepeat: u8,
    /// How many times the mark is repeated up and down (Piwigo 2.8 and later).
    pub yrepeat: u8,
    /// Opacity, 0 (invisible) to 100.
    pub opacity: u8,
}

impl Watermark {
    /// Whether derivatives of a size may carry the mark (Piwigo: `ImageStdParams::apply_global`).
    pub fn is_used_by(&self, params: &DerivativeParams) -> bool {
        !self.file.is_empty() && self.reaches(params.sizing.ideal_size)
    }

    /// Whether a derivative of `out` pixels (width and height) carries the mark (Piwigo:
    /// `DerivativeParams::will_watermark`).
    pub fn applies(&self, params: &DerivativeParams, out: (u32, u32)) -> bool {
        self.is_used_by(params) && self.reaches(out)
    }

    fn reaches(&self, (width, height): (u32, u32)) -> bool {
        self.min_size.0 <= width || self.min_size.1 <= height
    }
}

impl Default for Watermark {
    fn default() -> Self {
        let min_size = (500, 500);
        Self { file: Vec::new(), min_size, xpos: 50, ypos: 50, xrepeat: 0, yrepeat: 0, opacity: 100 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_needs_one_side_of_the_size_and_of_the_picture() {
        let params = |width, height| DerivativeParams {
            kind: Kind::Medium,
            last_mod_time: 0,
            sizing: SizingParams::classic(width, height),
            sharpen: 0,
        };
        let mark = |file: &str, min_size| Watermark { file: file.into(), min_size, ..Watermark::default() };
        let table = [
            ("", (1, 1), (792, 594), (792, 594), false),
            ("wm.png", (500, 500), (792, 594), (792, 594), true),
            ("wm.png", (500, 500), (792, 594), (499, 499), false),
            ("wm.png", (500, 500), (792, 594), (500, 1), true),
            ("wm.png", (500, 500), (792, 594), (1, 500), true),
            ("wm.png", (793, 595), (792, 594), (2000, 2000), false),
            ("wm.png", (793, 594), (792, 594), (2000, 2000), true),
        ];
        for (file, min, (width, height), out, applies) in table {
            assert_eq!(
                mark(file, min).applies(&params(width, height), out),
                applies,
                "{file} {min:?} {out:?}"
            );
        }
    }

    #[test]
    fn a_custom_size_is_what_its_key_says() {
        let size = CustomSize::from_key("300x200_n_150x100").unwrap();
        let params = DerivativeParams::custom(size, 7);
        let sizing = SizingParams { ideal_size: (300, 200), max_crop: 0.52, min_size: (150, 100) };
        assert_eq!((params.sizing, params.sharpen, params.kind), (sizing, 7, Kind::Custom(size)));
    }
}
