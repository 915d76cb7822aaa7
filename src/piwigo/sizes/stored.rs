//! Turns the value `derivatives` of Piwigo's `config` table into the enabled sizes. The value
//! `disabled_derivatives` is not needed: a size that is missing from `derivatives` is disabled.

use std::collections::HashSet;

use super::definition::{DerivativeParams, Watermark};
use super::geometry::{SizingParams, same_as_source};
use super::name::{CustomSize, Kind};
use crate::piwigo::php::unserialize::{UnserializeError, unserialize};
use crate::piwigo::php::value::{PhpArray, PhpKey, PhpValue};

/// Piwigo's JPEG quality if the settings name none.
const DEFAULT_QUALITY: u8 = 95;

/// The derivatives of a gallery and how they are made (Piwigo: `ImageStdParams`).
#[derive(Debug, Clone, PartialEq)]
pub struct DerivativeConfig {
    /// The enabled named sizes in their stored order, which is small to large.
    pub enabled: Vec<DerivativeParams>,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// The watermark that all sizes share.
    pub watermark: Watermark,
    /// The custom sizes that themes and plugins have requested.
    pub customs: HashSet<CustomSize>,
}

impl DerivativeConfig {
    /// Parses the stored value; pass `None` if the table has no such row. Skips a single unusable size. If
    /// the whole value is unusable, returns Piwigo's defaults. The second part of the result describes the
    /// problem for the log.
    pub fn from_stored(value: Option<&[u8]>) -> (Self, Option<DerivativeConfigProblem>) {
        let Some(value) = value else { return (Self::default(), Some(DerivativeConfigProblem::Missing)) };
        let stored = match unserialize(value) {
            Ok(stored) => stored,
            Err(error) => return (Self::default(), Some(DerivativeConfigProblem::NotSerialized(error))),
        };
        let (enabled, problem) = enabled_sizes(stored.element("d"));
        if enabled.is_empty() {
            return (Self::default(), Some(DerivativeConfigProblem::NoSizes));
        }
        let quality = stored.element("q").and_then(PhpValue::as_float);
        let config = Self {
            enabled,
            quality: quality.map_or(DEFAULT_QUALITY, |quality| percent(quality).max(1)),
            watermark: stored.element("w").map(watermark).unwrap_or_default(),
            customs: customs(stored.element("c")),
        };
        (config, problem)
    }

    /// Returns the definition of this size if the gallery has it: a named size that is enabled, or a custom
    /// size that a theme or plugin has requested. A custom size gets the mean sharpening of the named ones
    /// (Piwigo: `i.php`).
    pub fn params(&self, kind: Kind) -> Option<DerivativeParams> {
        match kind {
            Kind::Custom(size) => {
                self.customs.contains(&size).then(|| DerivativeParams::custom(size, self.mean_sharpen()))
            }
            named => self.enabled.iter().find(|params| params.kind == named).copied(),
        }
    }

    /// Returns the definition that Piwigo's pages use for this named size: the size itself or, if it is
    /// disabled, the next smaller enabled one (Piwigo: `ImageStdParams::build_maps`).
    pub fn params_or_smaller(&self, kind: Kind) -> Option<DerivativeParams> {
        Kind::NAMED
            .into_iter()
            .rev()
            .filter(|&smaller| smaller <= kind)
            .find_map(|smaller| self.params(smaller))
    }

    /// Whether a page shows the picture itself in place of `XXLARGE`. `action.php` checks this before it
    /// gives an original to a user without `enabled_high`. The arguments are the columns of the same name,
    /// `None` for `NULL`.
    pub fn xxlarge_is_source(&self, width: Option<u32>, height: Option<u32>, rotation: Option<u32>) -> bool {
        self.params_or_smaller(Kind::XxLarge)
            .is_some_and(|params| same_as_source(&params, &self.watermark, width, height, rotation))
    }

    /// The same check for any enabled size: with `3xlarge` enabled, pages show originals that `action.php`
    /// refuses.
    pub fn any_size_is_source(&self, width: Option<u32>, height: Option<u32>, rotation: Option<u32>) -> bool {
        self.enabled.iter().any(|params| same_as_source(params, &self.watermark, width, height, rotation))
    }

    fn mean_sharpen(&self) -> u8 {
        let sum: usize = self.enabled.iter().map(|params| usize::from(params.sharpen)).sum();
        let count = self.enabled.len().max(1);
        ((2 * sum + count) / (2 * count)) as u8
    }
}

/// The sizes of a new gallery (Piwigo: `ImageStdParams::get_enabled_default_sizes`), with a modification time
/// of 0.
impl Default for DerivativeConfig {
    fn default() -> Self {
        let sizes = [
            (Kind::Square, SizingParams::square(120)),
            (Kind::Thumb, SizingParams::classic(144, 144)),
            (Kind::TwoSmall, SizingParams::classic(240, 240)),
            (Kind::XSmall, SizingParams::classic(432, 324)),
            (Kind::Small, SizingParams::classic(576, 432)),
            (Kind::Medium, SizingParams::classic(792, 594)),
            (Kind::Large, SizingParams::classic(1008, 756)),
            (Kind::XLarge, SizingParams::classic(1224, 918)),
            (Kind::XxLarge, SizingParams::classic(1656, 1242)),
        ];
        let params = |(kind, sizing)| DerivativeParams { kind, last_mod_time: 0, sizing, sharpen: 0 };
        Self {
            enabled: sizes.map(params).to_vec(),
            quality: DEFAULT_QUALITY,
            watermark: Watermark::default(),
            customs: HashSet::new(),
        }
    }
}

/// What is wrong with the stored settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DerivativeConfigProblem {
    /// There is no row `derivatives`.
    #[error("the config table has no `derivatives`: Piwigo's default sizes are used")]
    Missing,
    /// PHP's `serialize` did not write the value.
    #[error("`derivatives` in the config table cannot be read ({0}): Piwigo's default sizes are used")]
    NotSerialized(UnserializeError),
    /// The value has no usable size.
    #[error("`derivatives` in the config table defines no size: Piwigo's default sizes are used")]
    NoSizes,
    /// One size is unknown or incomplete; the gate treats it as disabled.
    #[error(
        "size `{0}` in `derivatives` of the config table is unknown or incomplete: it counts as disabled"
    )]
    Size(String),
}

fn enabled_sizes(stored: Option<&PhpValue>) -> (Vec<DerivativeParams>, Option<DerivativeConfigProblem>) {
    let (mut enabled, mut problem) = (Vec::new(), None);
    for (key, value) in stored.and_then(PhpValue::as_array).into_iter().flat_map(PhpArray::iter) {
        let name = match key {
            PhpKey::Bytes(name) => String::from_utf8_lossy(name).into_owned(),
            PhpKey::Int(number) => number.to_string(),
        };
        match Kind::from_type_name(&name).and_then(|kind| derivative_params(kind, value)) {
            Some(params) => enabled.push(params),
            None => problem = problem.or(Some(DerivativeConfigProblem::Size(name))),
        }
    }
    (enabled, problem)
}

fn derivative_params(kind: Kind, stored: &PhpValue) -> Option<DerivativeParams> {
    let sizing = stored.element("sizing")?;
    let ideal_size = size(sizing.element("ideal_size")?)?;
    let max_crop = sizing.element("max_crop").map_or(Some(0.0), PhpValue::as_float)?;
    let min_size = sizing.element("min_size").and_then(size);
    let usable = ideal_size.0 > 0 && ideal_size.1 > 0 && (0.0..=1.0).contains(&max_crop);
    let sizing = SizingParams {
        ideal_size,
        max_crop,
        min_size: if max_crop > 0.0 { min_size? } else { min_size.unwrap_or_default() },
    };
    let sharpen = stored.element("sharpen").and_then(PhpValue::as_float).unwrap_or(0.0);
    let last_mod_time = stored.element("last_mod_time").map_or(Some(0), PhpValue::as_int)?;
    usable.then(|| DerivativeParams { kind, last_mod_time, sizing, sharpen: percent(sharpen) })
}

fn watermark(stored: &PhpValue) -> Watermark {
    let default = Watermark::default();
    let percent_of =
        |name, default: u8| stored.element(name).and_then(PhpValue::as_float).map_or(default, percent);
    Watermark {
        file: stored.element("file").and_then(PhpValue::as_bytes).unwrap_or_default().to_vec(),
        min_size: stored.element("min_size").and_then(size).unwrap_or(default.min_size),
        xpos: percent_of("xpos", default.xpos),
        ypos: percent_of("ypos", default.ypos),
        xrepeat: percent_of("xrepeat", default.xrepeat),
        yrepeat: percent_of("yrepeat", default.yrepeat),
        opacity: percent_of("opacity", default.opacity),
    }
}

/// Reads the custom sizes. Skips a key that is not canonical (`300_a_100`): no request can name it.
fn customs(stored: Option<&PhpValue>) -> HashSet<CustomSize> {
    let keys = stored.and_then(PhpValue::as_array).into_iter().flat_map(PhpArray::iter);
    keys.filter_map(|(key, _)| match key {
        PhpKey::Bytes(key) => CustomSize::from_key(std::str::from_utf8(key).ok()?),
        PhpKey::Int(_) => None,
    })
    .collect()
}

/// Parses `[width, height]`.
fn size(stored: &PhpValue) -> Option<(u32, u32)> {
    let side = |index| u32::try_from(stored.as_array()?.element(&PhpKey::Int(index))?.as_int()?).ok();
    Some((side(0)?, side(1)?))
}

#[allow(clippy::cast_sign_loss)]
fn percent(value: f64) -> u8 {
    value.round().clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Piwigo 16.4.0 wrote this, with the default sizes and three custom ones.
    const STORED: &[u8] = include_bytes!("../../../tests/data/derivatives-16.4.txt");
    /// The same with all named sizes, other customs and a repeated watermark.
    const STORED_WITH_WATERMARK: &[u8] = include_bytes!("../../../tests/data/derivatives-16.4-watermark.txt");

    fn custom(key: &str) -> CustomSize {
        CustomSize::from_key(key).unwrap()
    }

    #[test]
    fn the_stored_value_of_a_new_gallery_is_the_default() {
        let (config, problem) = DerivativeConfig::from_stored(Some(STORED));
        assert_eq!(problem, None);
        let mut expected = DerivativeConfig::default();
        for params in &mut expected.enabled {
            params.last_mod_time = 1_795_285_277;
        }
        expected.customs = ["s250x180", "e240", "300x200_n_150x100"].map(custom).into();
        // Piwigo stores no minimum for a size that crops nothing.
        assert_eq!(config, expected);
    }

    #[test]
    fn all_sizes_and_the_watermark_are_read() {
        let (config, problem) = DerivativeConfig::from_stored(Some(STORED_WITH_WATERMARK));
        assert_eq!(problem, None);
        let kinds: Vec<Kind> = config.enabled.iter().map(|params| params.kind).collect();
        assert_eq!(kinds, Kind::NAMED);
        let watermark = Watermark {
            file: b"local/watermarks/wm.png".to_vec(),
            min_size: (300, 300),
            xpos: 0,
            ypos: 0,
            xrepeat: 2,
            yrepeat: 2,
            opacity: 60,
        };
        assert_eq!(config.watermark, watermark);
        assert_eq!(config.customs, ["e200x150", "300x200_n_150x100", "s640x480"].map(custom).into());
    }

    #[test]
    fn a_value_that_cannot_be_used_gives_the_defaults_and_says_why() {
        use DerivativeConfigProblem::{Missing, NoSizes};
        let table = [
            (None, Missing),
            (Some("a:0:{}"), NoSizes),
            (Some("i:5;"), NoSizes),
            (Some("a:1:{s:1:\"d\";a:0:{}}"), NoSizes),
            (Some("a:1:{s:1:\"d\";a:1:{s:5:\"thumb\";i:5;}}"), NoSizes),
        ];
        for (stored, problem) in table {
            let found = DerivativeConfig::from_stored(stored.map(str::as_bytes));
            assert_eq!(found, (DerivativeConfig::default(), Some(problem)), "{stored:?}");
        }
        let (config, problem) = DerivativeConfig::from_stored(Some(&STORED[..1000]));
        assert_eq!(config, DerivativeConfig::default());
        assert!(matches!(problem, Some(DerivativeConfigProblem::NotSerialized(_))));
    }

    /// A size as Piwigo stores it; the caller gives its numbers in serialized form.
    fn stored_size(name: &str, width: &str, max_crop: &str, min_size: &str, sharpen: &str) -> String {
        format!(
            "s:{}:\"{name}\";O:16:\"DerivativeParams\":3:{{s:13:\"last_mod_time\";i:7;s:6:\"sizing\";O:12:\"SizingParams\":3:{{\
             s:10:\"ideal_size\";a:2:{{i:0;{width}i:1;i:90;}}s:8:\"max_crop\";{max_crop}s:8:\"min_size\";{min_size}}}\
             s:7:\"sharpen\";{sharpen}}}",
            name.len()
        )
    }

    fn stored(sizes: &[String]) -> Vec<u8> {
        format!("a:1:{{s:1:\"d\";a:{}:{{{}}}}}", sizes.len(), sizes.concat()).into_bytes()
    }

    #[test]
    fn numbers_may_be_stored_as_any_kind_of_number() {
        let nulls = "a:2:{i:0;N;i:1;N;}";
        let sizes = [
            stored_size("thumb", "d:120;", "d:0;", nulls, "i:30;"),
            stored_size("small", "s:3:\"120\";", "d:0.5;", "a:2:{i:0;i:10;i:1;d:20;}", "d:200;"),
        ];
        let (config, problem) = DerivativeConfig::from_stored(Some(&stored(&sizes)));
        assert_eq!(problem, None);
        let params = |kind, max_crop, min_size, sharpen| DerivativeParams {
            kind,
            last_mod_time: 7,
            sizing: SizingParams { ideal_size: (120, 90), max_crop, min_size },
            sharpen,
        };
        assert_eq!(
            config.enabled,
            [params(Kind::Thumb, 0.0, (0, 0), 30), params(Kind::Small, 0.5, (10, 20), 100)]
        );
        assert_eq!((config.quality, config.watermark), (95, Watermark::default()));
    }

    #[test]
    fn a_size_that_cannot_be_used_counts_as_disabled() {
        let good = stored_size("thumb", "i:120;", "i:0;", "N;", "i:0;");
        for (name, width, max_crop, min_size) in [
            ("gigantic", "i:120;", "i:0;", "N;"),
            ("custom", "i:120;", "i:0;", "N;"),
            ("small", "i:0;", "i:0;", "N;"),
            ("small", "i:-1;", "i:0;", "N;"),
            ("small", "N;", "i:0;", "N;"),
            ("small", "i:120;", "i:2;", "N;"),
            ("small", "i:120;", "d:NAN;", "N;"),
            ("small", "i:120;", "i:1;", "N;"),
        ] {
            let sizes = [stored_size(name, width, max_crop, min_size, "i:0;"), good.clone()];
            let (config, problem) = DerivativeConfig::from_stored(Some(&stored(&sizes)));
            assert_eq!(
                problem,
                Some(DerivativeConfigProblem::Size(name.to_owned())),
                "{width} {max_crop} {min_size}"
            );
            assert_eq!(config.enabled.iter().map(|params| params.kind).collect::<Vec<_>>(), [Kind::Thumb]);
        }
    }

    #[test]
    fn only_enabled_sizes_and_known_customs_exist() {
        let (config, _) = DerivativeConfig::from_stored(Some(STORED));
        let table = [
            ("th", true),
            ("xx", true),
            ("3x", false),
            ("cu_s250x180", true),
            ("cu_e240", true),
            ("cu_s240", false),
            ("cu_300x200_n_150x100", true),
        ];
        for (token, exists) in table {
            let kind = Kind::from_token(token.as_bytes()).unwrap();
            assert_eq!(config.params(kind).map(|params| params.kind), exists.then_some(kind), "{token}");
        }
    }

    #[test]
    fn a_disabled_size_is_replaced_by_the_next_smaller_one() {
        let mut config = DerivativeConfig::default();
        config.enabled.retain(|params| matches!(params.kind, Kind::Thumb | Kind::Medium | Kind::XLarge));
        let table = [
            (Kind::Square, None),
            (Kind::Thumb, Some(Kind::Thumb)),
            (Kind::Small, Some(Kind::Thumb)),
            (Kind::Large, Some(Kind::Medium)),
            (Kind::XxLarge, Some(Kind::XLarge)),
            (Kind::FourXLarge, Some(Kind::XLarge)),
        ];
        for (kind, used) in table {
            assert_eq!(config.params_or_smaller(kind).map(|params| params.kind), used, "{kind:?}");
        }
        assert!(config.xxlarge_is_source(Some(1224), Some(918), None));
        assert!(!config.xxlarge_is_source(Some(1225), Some(918), None));
    }

    #[test]
    fn with_3xlarge_an_original_may_stand_in_for_it_though_not_for_xxlarge() {
        let (config, _) = DerivativeConfig::from_stored(Some(STORED_WITH_WATERMARK));
        let plain = DerivativeConfig { watermark: Watermark::default(), ..config.clone() };
        let size = (Some(2000), Some(1500), Some(0));
        assert!(!plain.xxlarge_is_source(size.0, size.1, size.2));
        assert!(plain.any_size_is_source(size.0, size.1, size.2));
        assert!(!config.any_size_is_source(size.0, size.1, size.2), "a watermark is due");
    }

    #[test]
    fn a_custom_size_has_the_mean_sharpening_rounded() {
        for (sharpen, mean) in
            [([0, 0, 0], 0), ([30, 30, 30], 30), ([1, 0, 0], 0), ([1, 1, 0], 1), ([100, 100, 99], 100)]
        {
            let mut config = DerivativeConfig::default();
            config.enabled.truncate(3);
            for (params, sharpen) in config.enabled.iter_mut().zip(sharpen) {
                params.sharpen = sharpen;
            }
            config.customs.insert(custom("s100"));
            let params = config.params(Kind::Custom(custom("s100"))).unwrap();
            assert_eq!(params.sharpen, mean, "{sharpen:?}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_value_never_panics(at in 0usize..2000, byte in any::<u8>(), cut in 0usize..2000) {
            let mut value = STORED.to_vec();
            if let Some(slot) = value.get_mut(at) {
                *slot = byte;
            }
            let (config, _) = DerivativeConfig::from_stored(Some(&value));
            prop_assert!(!config.enabled.is_empty());
            value.truncate(cut);
            prop_assert!(DerivativeConfig::from_stored(Some(&value)).1.is_some());
        }
    }
}
