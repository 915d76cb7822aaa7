//! A picture and a size in, the ways to make the one of the other out, the best first: from a larger
//! derivative that may lie on disk already, at last from the picture itself (docs/spec/piwigo.md §6.5). Pure:
//! whether a file exists is asked elsewhere.

use crate::piwigo::sizes::definition::DerivativeParams;
use crate::piwigo::sizes::geometry::CenterOfInterest;
use crate::piwigo::sizes::name::Kind;
use crate::piwigo::sizes::stored::DerivativeConfig;

/// Quality of the two largest sizes, at most (Piwigo: `i.php`).
const QUALITY_OF_THE_LARGEST: u8 = 75;

/// The file name extensions of which the gate makes derivatives itself; the rest is left to Piwigo.
const KNOWN: [&str; 5] = ["jpg", "jpeg", "png", "gif", "webp"];

/// What derivatives are made from: an original, or what stands for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its path relative to the root, without `./`; begins with `../` for a gallery beside the root.
    pub file: String,
    /// Its width and height in pixels as stored, before it is turned; `None`: unknown.
    pub size: Option<(u32, u32)>,
    /// Quarter turns counter-clockwise; `None`: as its EXIF says.
    pub rotation: Option<u8>,
    /// What cropping should spare.
    pub coi: Option<CenterOfInterest>,
}

impl Picture {
    /// An original, with the columns of its row.
    pub fn original(
        file: String,
        (width, height): (Option<u32>, Option<u32>),
        rotation: Option<u32>,
        coi: Option<CenterOfInterest>,
    ) -> Self {
        Picture { file, size: width.zip(height), rotation: rotation.map(|turns| (turns % 4) as u8), coi }
    }

    /// A representative or an icon: Piwigo looks up no row for these, and what a row says is of the film.
    pub fn stand_in(file: String) -> Self {
        Picture { file, size: None, rotation: Some(0), coi: None }
    }

    /// Its size as it is shown; `None`: unknown.
    fn shown_size(&self) -> Option<(u32, u32)> {
        let (width, height) = self.size?;
        Some(if self.rotation? % 2 == 1 { (height, width) } else { (width, height) })
    }
}

/// Whether the gate makes derivatives of a file of this name.
pub fn can_make(file: &str) -> bool {
    extension(file).is_some_and(|extension| KNOWN.contains(&extension.as_str()))
}

/// What a file's name ends with, in lower case.
pub fn extension(file: &str) -> Option<String> {
    let (_, extension) = file.rsplit_once('.').filter(|(_, extension)| !extension.contains('/'))?;
    Some(extension.to_ascii_lowercase())
}

/// The quality of a size where the gallery's setting is applied. (Piwigo 16 means the same and never sets it:
/// docs/spec/piwigo.md §6.9.)
pub fn quality(kind: Kind, configured: u8) -> u8 {
    match kind {
        Kind::ThreeXLarge | Kind::FourXLarge => configured.min(QUALITY_OF_THE_LARGEST),
        _ => configured,
    }
}

/// One way to make a derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The larger derivative to start from, if that is fresh, with its size's last change; `None`: the
    /// picture itself.
    pub from: Option<(Kind, i64)>,
    /// As [`Picture::rotation`].
    pub rotation: Option<u8>,
    /// 0 to 100.
    pub sharpen: u8,
    /// Whether the watermark is drawn, if the result is large enough for it.
    pub watermark: bool,
}

/// The ways to make `params` of `picture`; the last is always from the picture itself.
pub fn steps(params: &DerivativeParams, config: &DerivativeConfig, picture: &Picture) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(size) = picture.shown_size() {
        let larger =
            config.enabled.iter().rev().filter(|larger| can_start_from(larger, params, config, size));
        // What it starts from is turned, marked and sharpened.
        steps.extend(larger.map(|larger| Step {
            from: Some((larger.kind, larger.last_mod_time)),
            rotation: Some(0),
            sharpen: params.sharpen.min(1),
            watermark: false,
        }));
    }
    steps.push(Step {
        from: None,
        rotation: picture.rotation,
        sharpen: params.sharpen,
        watermark: config.watermark.is_used_by(params),
    });
    steps
}

/// Whether the result is the same from the derivative `larger` as from the picture, whose size is `size`
/// (Piwigo: `i.php`, `try_switch_source`).
fn can_start_from(
    larger: &DerivativeParams,
    params: &DerivativeParams,
    config: &DerivativeConfig,
    size: (u32, u32),
) -> bool {
    let (from, to) = (&larger.sizing, &params.sizing);
    let result = to.final_size(size);
    let marked = config.watermark.applies(params, result);
    let start = from.final_size(size);
    let crops = to.max_crop > 0.0;
    larger.kind != params.kind
        && config.watermark.is_used_by(larger) == marked
        && from.ideal_size.0 >= to.ideal_size.0
        && from.ideal_size.1 >= to.ideal_size.1
        && to.final_size(start) == result
        && from.max_crop == 0.0
        // A mark that is not in the middle would be cut.
        && (!crops || !marked && start.0 >= to.min_size.0 && start.1 >= to.min_size.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piwigo::sizes::definition::Watermark;
    use crate::piwigo::sizes::name::CustomSize;

    fn picture(size: Option<(u32, u32)>, rotation: Option<u32>) -> Picture {
        let (width, height) = size.unzip();
        Picture::original("upload/a.jpg".into(), (width, height), rotation, None)
    }

    /// The tokens of the sizes to start from, in order.
    fn starts(token: &str, config: &DerivativeConfig, picture: &Picture) -> String {
        let params = config.params(Kind::from_token(token.as_bytes()).unwrap()).unwrap();
        let steps = steps(&params, config, picture);
        let (last, larger) = steps.split_last().unwrap();
        assert_eq!((last.from, last.rotation), (None, picture.rotation));
        assert!(larger.iter().all(|step| step.rotation == Some(0) && !step.watermark && step.sharpen <= 1));
        larger.iter().map(|step| step.from.unwrap().0.token()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_derivative_starts_from_the_largest_one_that_leads_to_the_same_size() {
        let key = |key| CustomSize::from_key(key).unwrap();
        let customs = ["s100x200", "e200x150", "300x200_n_150x100", "s2000"].map(key).into_iter().collect();
        let plain = DerivativeConfig { customs, ..DerivativeConfig::default() };
        let mark = |min_size| Watermark { file: b"w.png".to_vec(), min_size, ..Watermark::default() };
        let marked = DerivativeConfig { watermark: mark((500, 500)), ..plain.clone() };
        let large = Some((4000, 3000));
        let table = [
            ("th", &plain, large, Some(0), "xx xl la me sm xs 2s"),
            ("xx", &plain, large, Some(0), ""),
            ("xl", &plain, large, Some(0), "xx"),
            // On its side: 445 x 594 would become 107 wide, not 108.
            ("th", &plain, large, Some(1), "la sm xs 2s"),
            ("me", &plain, large, Some(1), "xx xl la"),
            ("th", &plain, Some((793, 594)), Some(0), "xx xl la me sm xs 2s"),
            // A square needs a start with both sides as large as its own.
            ("sq", &plain, large, Some(0), "xx xl la me sm xs 2s"),
            ("sq", &plain, Some((6000, 400)), Some(0), ""),
            ("sq", &plain, Some((4000, 500)), Some(0), "xx xl la"),
            ("cu_s100x200", &plain, large, Some(0), "xx xl la me sm xs 2s"),
            ("cu_e200x150", &plain, large, Some(0), "xx xl la me sm xs 2s"),
            ("cu_s2000", &plain, large, Some(0), ""),
            // Unknown: only the picture itself.
            ("th", &plain, None, Some(0), ""),
            ("th", &plain, large, None, ""),
            // Only like from like: without the mark where it gets none, with it where it gets one.
            ("th", &marked, large, Some(0), "xs 2s"),
            ("me", &marked, large, Some(0), "xx xl la"),
            ("xs", &marked, large, Some(0), ""),
        ];
        for (token, config, size, rotation, expected) in table {
            let got = starts(token, config, &picture(size, rotation));
            assert_eq!(got, expected, "{token} {size:?} {rotation:?} {:?}", config.watermark.min_size);
        }
        let all_marked = DerivativeConfig { watermark: mark((1, 1)), ..plain };
        assert_eq!(starts("sq", &all_marked, &picture(large, Some(0))), "", "a mark would be cut");
        assert_eq!(starts("th", &all_marked, &picture(large, Some(0))), "xx xl la me sm xs 2s");
    }

    #[test]
    fn a_picture_itself_is_turned_marked_and_sharpened() {
        let mut config = DerivativeConfig::default();
        config.enabled.iter_mut().for_each(|params| params.sharpen = 40);
        config.watermark =
            Watermark { file: b"w.png".to_vec(), min_size: (500, 500), ..Watermark::default() };
        for (kind, watermark) in [(Kind::Thumb, false), (Kind::Small, true)] {
            let params = config.params(kind).unwrap();
            let last = *steps(&params, &config, &picture(None, Some(7))).last().unwrap();
            assert_eq!(last, Step { from: None, rotation: Some(3), sharpen: 40, watermark });
        }
        let stand_in = Picture::stand_in("a/pwg_representative/f.jpg".into());
        let step = steps(&config.params(Kind::Thumb).unwrap(), &config, &stand_in);
        assert_eq!(step.len(), 1);
        assert_eq!(step[0].rotation, Some(0));
    }

    #[test]
    fn the_two_largest_sizes_are_of_lower_quality() {
        for (kind, configured, expected) in [
            (Kind::ThreeXLarge, 95, 75),
            (Kind::FourXLarge, 60, 60),
            (Kind::XxLarge, 95, 95),
            (Kind::Custom(CustomSize::from_key("s5000").unwrap()), 95, 95),
        ] {
            assert_eq!(quality(kind, configured), expected, "{kind:?}");
        }
    }

    #[test]
    fn other_formats_are_left_to_piwigo() {
        for (file, known) in [
            ("a/b.jpg", true),
            ("a/b.JPEG", true),
            ("b.x.WebP", true),
            ("b.heic", false),
            ("b.svg", false),
            ("b", false),
            ("a.jpg/b", false),
        ] {
            assert_eq!(can_make(file), known, "{file}");
        }
    }
}
