//! Names of derivative files: converts between sizes and the tokens in file names.
//!
//! `./upload/a.jpg` in size thumb is `_data/i/upload/a-th.jpg`. Paths are bytes here because a gallery's file
//! names need not be UTF-8. The caller validates a path (empty segments, `..`).

use std::fmt;

/// Prefix of the token of a custom size.
const CUSTOM_PREFIX: &str = "cu_";

/// The smallest side of a custom size (Piwigo: `i.php`, "Invalid size").
const MIN_CUSTOM_SIDE: u32 = 20;

/// The longest accepted token. `cu_` and two pairs of ten-digit sides with their separators need 50 bytes.
const MAX_TOKEN_LEN: usize = 64;

/// A size of derivative: one of Piwigo's named sizes or a custom one. The variants follow Piwigo's order,
/// small to large, which decides what replaces a disabled size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `square`, token `sq`.
    Square,
    /// `thumb`, token `th`.
    Thumb,
    /// `2small`, token `2s`.
    TwoSmall,
    /// `xsmall`, token `xs`.
    XSmall,
    /// `small`, token `sm`.
    Small,
    /// `medium`, token `me`.
    Medium,
    /// `large`, token `la`.
    Large,
    /// `xlarge`, token `xl`.
    XLarge,
    /// `xxlarge`, token `xx`.
    XxLarge,
    /// `3xlarge`, token `3x` (Piwigo 16 and later).
    ThreeXLarge,
    /// `4xlarge`, token `4x` (Piwigo 16 and later).
    FourXLarge,
    /// A size that a theme or plugin asked for, token `cu_…`.
    Custom(CustomSize),
}

impl Kind {
    /// All named sizes, small to large (Piwigo: `ImageStdParams::get_all_types`).
    pub const NAMED: [Self; 11] = [
        Self::Square,
        Self::Thumb,
        Self::TwoSmall,
        Self::XSmall,
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::XLarge,
        Self::XxLarge,
        Self::ThreeXLarge,
        Self::FourXLarge,
    ];

    /// The name under which Piwigo stores this size, `custom` for every custom size.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Thumb => "thumb",
            Self::TwoSmall => "2small",
            Self::XSmall => "xsmall",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::XLarge => "xlarge",
            Self::XxLarge => "xxlarge",
            Self::ThreeXLarge => "3xlarge",
            Self::FourXLarge => "4xlarge",
            Self::Custom(_) => "custom",
        }
    }

    /// Returns the named size that Piwigo stores under `name`; `None` for any other name, including `custom`.
    pub fn from_type_name(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|kind| kind.type_name() == name)
    }

    /// Returns the size that `token` stands for. Accepts only the canonical spelling: Piwigo's `i.php` also
    /// takes `th_anything` and `cu_s0100`, which fill its cache with copies.
    pub fn from_token(token: &[u8]) -> Option<Self> {
        if token.len() > MAX_TOKEN_LEN {
            return None;
        }
        let token = std::str::from_utf8(token).ok()?;
        if let Some(key) = token.strip_prefix(CUSTOM_PREFIX) {
            return CustomSize::from_key(key).map(Self::Custom);
        }
        Self::NAMED.into_iter().find(|kind| kind.type_name().get(..2) == Some(token))
    }

    /// Returns the token of this size: the first two letters of its name, or `cu_` and the key of a custom
    /// size.
    pub fn token(self) -> String {
        match self {
            Self::Custom(size) => format!("{CUSTOM_PREFIX}{size}"),
            named => named.type_name().chars().take(2).collect(),
        }
    }
}

/// A custom size. Its `Display` text is its canonical key (`s100x200`, `e260x180`, `520x360_z_260x180`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomSize {
    ideal: (u32, u32),
    /// The share that may be cut away, in 25ths: 0 is nothing, 25 is everything.
    crop: u8,
    /// Present exactly when `crop` is not 0.
    min: Option<(u32, u32)>,
}

impl CustomSize {
    /// Parses a canonical key (Piwigo: `SizingParams::add_url_tokens`, `i.php: parse_custom_params`). Returns
    /// `None` for a key that is not canonical or has a side below 20 pixels.
    pub fn from_key(key: &str) -> Option<Self> {
        let size = if let Some(ideal) = key.strip_prefix('s') {
            Self { ideal: parse_size(ideal)?, crop: 0, min: None }
        } else if let Some(ideal) = key.strip_prefix('e') {
            let ideal = parse_size(ideal)?;
            Self { ideal, crop: 25, min: Some(ideal) }
        } else {
            let mut parts = key.split('_');
            let (ideal, letter, min) = (parts.next()?, parts.next()?, parts.next()?);
            let [letter @ b'a'..=b'z'] = letter.as_bytes() else { return None };
            if parts.next().is_some() {
                return None;
            }
            Self { ideal: parse_size(ideal)?, crop: letter - b'a', min: Some(parse_size(min)?) }
        };
        let large_enough = size.ideal.0 >= MIN_CUSTOM_SIDE && size.ideal.1 >= MIN_CUSTOM_SIDE;
        (large_enough && size.to_string() == key).then_some(size)
    }

    /// The largest width and height of the result, in pixels.
    pub fn ideal_size(self) -> (u32, u32) {
        self.ideal
    }

    /// The share of a side that may be cut away, 0 to 1, from the letter in the key (`n` is 0.52).
    pub fn max_crop(self) -> f64 {
        f64::from(self.crop) / 25.0
    }

    /// If scaling would make a side smaller than this, the picture is cropped instead; `None` if nothing may
    /// be cropped.
    pub fn min_size(self) -> Option<(u32, u32)> {
        self.min
    }
}

impl fmt::Display for CustomSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.crop, self.min) {
            (0, _) | (_, None) => write!(f, "s{}", Side(self.ideal)),
            (25, Some(min)) if min == self.ideal => write!(f, "e{}", Side(self.ideal)),
            (crop, Some(min)) => write!(f, "{}_{}_{}", Side(self.ideal), char::from(b'a' + crop), Side(min)),
        }
    }
}

/// One size in a key: `W` if both sides are equal, else `WxH`.
struct Side((u32, u32));

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self((width, height)) = self;
        if width == height { write!(f, "{width}") } else { write!(f, "{width}x{height}") }
    }
}

fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x').unwrap_or((text, text));
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// The parts of a derivative's file name: `galleries/x/p-th.jpg` is the picture `galleries/x/p.jpg` in size
/// `th`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DerivativeName<'a> {
    /// The picture's path up to the last dot of its name, without a leading `./` or `../`.
    pub base: &'a [u8],
    /// The size.
    pub kind: Kind,
    /// The extension without the dot, as written.
    pub ext: &'a [u8],
}

impl DerivativeName<'_> {
    /// Returns the picture's path: base, dot, extension.
    pub fn source(&self) -> Vec<u8> {
        [self.base, b".", self.ext].concat()
    }
}

/// Why a path is not the name of a derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADerivative {
    /// The file name has no dot, or ends with one.
    #[error("the file name has no extension")]
    NoExtension,
    /// The file name has no `-` before the extension.
    #[error("the file name has no size token")]
    NoToken,
    /// Nothing precedes the `-`.
    #[error("the file name is nothing but a size token")]
    NoBase,
    /// Piwigo writes no such token.
    #[error("the size token is unknown")]
    UnknownToken,
}

/// Splits a path relative to the derivatives' folder (Piwigo: `i.php: parse_request`) at the last dot and the
/// last `-` of its last segment. The caller checks whether the size is enabled.
pub fn split(path: &[u8]) -> Result<DerivativeName<'_>, NotADerivative> {
    let name_start = path.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
    let in_name = |wanted: u8, end: usize| {
        path.get(name_start..end)?.iter().rposition(|&b| b == wanted).map(|at| name_start + at)
    };
    let dot = in_name(b'.', path.len()).ok_or(NotADerivative::NoExtension)?;
    let ext = path.get(dot + 1..).filter(|ext| !ext.is_empty()).ok_or(NotADerivative::NoExtension)?;
    let dash = in_name(b'-', dot).ok_or(NotADerivative::NoToken)?;
    let token = path.get(dash + 1..dot).ok_or(NotADerivative::NoToken)?;
    let kind = Kind::from_token(token).ok_or(NotADerivative::UnknownToken)?;
    let base = path.get(..dash).filter(|_| dash > name_start).ok_or(NotADerivative::NoBase)?;
    Ok(DerivativeName { base, kind, ext })
}

/// Returns the path of a picture's derivative relative to the derivatives' folder (Piwigo:
/// `DerivativeImage::build`): removes one leading `./` or else one leading `../`, and inserts `-TOKEN` before
/// the last dot. Returns `None` if the file name has no dot: Piwigo mangles such names, and the gate serves
/// no such row.
pub fn derivative_path(source: &[u8], kind: Kind) -> Option<Vec<u8>> {
    let path = source.strip_prefix(b"./").or_else(|| source.strip_prefix(b"../")).unwrap_or(source);
    let dot = path.iter().rposition(|&b| b == b'.')?;
    let (stem, dot_ext) = path.split_at_checked(dot)?;
    if dot_ext.contains(&b'/') {
        return None;
    }
    Some([stem, b"-", kind.token().as_bytes(), dot_ext].concat())
}

/// As [`derivative_path`], for a path that is text.
pub fn derivative_name(source: &str, kind: Kind) -> Option<String> {
    String::from_utf8(derivative_path(source.as_bytes(), kind)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_named_size_has_the_first_two_letters_of_its_name() {
        let tokens: Vec<String> = Kind::NAMED.into_iter().map(Kind::token).collect();
        assert_eq!(tokens, ["sq", "th", "2s", "xs", "sm", "me", "la", "xl", "xx", "3x", "4x"]);
        for kind in Kind::NAMED {
            assert_eq!(Kind::from_token(kind.token().as_bytes()), Some(kind));
            assert_eq!(Kind::from_type_name(kind.type_name()), Some(kind));
        }
        assert_eq!(Kind::from_type_name("custom"), None);
    }

    #[test]
    fn custom_tokens_say_their_size_crop_and_minimum() {
        type Sizing = ((u32, u32), f64, Option<(u32, u32)>);
        let table: [(&str, Sizing); 9] = [
            ("cu_s100x200", ((100, 200), 0.0, None)),
            ("cu_s250", ((250, 250), 0.0, None)),
            ("cu_e100", ((100, 100), 1.0, Some((100, 100)))),
            ("cu_e260x180", ((260, 180), 1.0, Some((260, 180)))),
            ("cu_520x360_z_260x180", ((520, 360), 1.0, Some((260, 180)))),
            ("cu_300x200_n_150x100", ((300, 200), 0.52, Some((150, 100)))),
            ("cu_400_g_200x300", ((400, 400), 0.24, Some((200, 300)))),
            ("cu_s9999x50", ((9999, 50), 0.0, None)),
            ("cu_120_b_60", ((120, 120), 0.04, Some((60, 60)))),
        ];
        for (token, (ideal, crop, min)) in table {
            let Some(Kind::Custom(size)) = Kind::from_token(token.as_bytes()) else { panic!("{token}") };
            assert_eq!((size.ideal_size(), size.max_crop(), size.min_size()), (ideal, crop, min), "{token}");
            assert_eq!(Kind::Custom(size).token(), token);
        }
    }

    #[test]
    fn only_the_canonical_token_of_a_size_is_known() {
        for token in [
            "",
            "t",
            "thu",
            "TH",
            "th_foo",
            "zz",
            "custom",
            "cu",
            "cu_",
            "cu_s",
            "cu_s100x100",
            "cu_s0100",
            "cu_s+100",
            "cu_s100x",
            "cu_sx100",
            "cu_s100x200x3",
            "cu_s19",
            "cu_s19x200",
            "cu_s200x19",
            "cu_e100x100",
            "cu_e0",
            "cu_300_a_100",
            "cu_300_z_300",
            "cu_300x200_nn_150",
            "cu_300x200__150",
            "cu_300x200_n",
            "cu_300x200_N_150",
            "cu_300x200_n_150_1",
            "cu_300x200_{_150",
            "cu_300x300_n_150",
            "cu_s99999999999",
            "cu_s-100",
            "cu_S100",
            "cu_s100 ",
            "cu_s\u{661}00",
        ] {
            assert_eq!(Kind::from_token(token.as_bytes()), None, "{token}");
        }
        assert_eq!(Kind::from_token(b"cu_s1\xff0"), None);
        assert_eq!(Kind::from_token(&[b'1'; 10_000]), None);
    }

    #[test]
    fn a_derivative_name_is_cut_at_its_last_dash_and_dot() {
        let table = [
            ("galleries/al-bum/a-b-c-xx.JPG", "galleries/al-bum/a-b-c", "xx", "JPG"),
            ("galleries/x/pic-th-th.jpg", "galleries/x/pic-th", "th", "jpg"),
            (
                "galleries/x/pwg_representative/v.tar-th.png",
                "galleries/x/pwg_representative/v.tar",
                "th",
                "png",
            ),
            ("galleries/x/pic-cu_s100.jpg", "galleries/x/pic", "cu_s100", "jpg"),
            ("ext/p-th.png", "ext/p", "th", "png"),
            ("p-th.png", "p", "th", "png"),
        ];
        for (path, base, token, ext) in table {
            let name = split(path.as_bytes()).unwrap();
            assert_eq!(
                (name.base, name.kind.token().as_str(), name.ext),
                (base.as_bytes(), token, ext.as_bytes()),
                "{path}"
            );
            assert_eq!(name.source(), format!("{base}.{ext}").as_bytes(), "{path}");
        }
    }

    #[test]
    fn other_names_are_refused_with_their_reason() {
        use NotADerivative::{NoBase, NoExtension, NoToken, UnknownToken};
        let table = [
            ("", NoExtension),
            ("galleries/x/pic-th", NoExtension),
            ("galleries/x.y/pic-th", NoExtension),
            ("galleries/x/pic-th.", NoExtension),
            ("galleries/x/pic-th.jpg/", NoExtension),
            ("galleries/x-th/pic.jpg", NoToken),
            ("galleries/x/pic.th-x", NoToken),
            ("galleries/al-bum/a-b-c.JPG", UnknownToken),
            ("galleries/x/pic-cu_s100x100.jpg", UnknownToken),
            ("galleries/x/pic-th_foo.jpg", UnknownToken),
            ("galleries/x/-th.jpg", NoBase),
            ("-th.jpg", NoBase),
        ];
        for (path, reason) in table {
            assert_eq!(split(path.as_bytes()), Err(reason), "{path}");
        }
    }

    #[test]
    fn the_derivative_path_drops_one_leading_dot_segment() {
        let table = [
            ("./galleries/al-bum/a-b-c.JPG", Some("galleries/al-bum/a-b-c-th.JPG")),
            (
                "./galleries/x/pwg_representative/movie.jpg",
                Some("galleries/x/pwg_representative/movie-th.jpg"),
            ),
            ("../ext/p.png", Some("ext/p-th.png")),
            ("./../ext/p.png", Some("../ext/p-th.png")),
            ("upload/a.jpg", Some("upload/a-th.jpg")),
            (
                "themes/default/icon/mimetypes/unknown.png",
                Some("themes/default/icon/mimetypes/unknown-th.png"),
            ),
            ("./galleries/my.dir/noext", None),
            ("noext", None),
            ("", None),
        ];
        for (source, path) in table {
            let path = path.map(|path| path.as_bytes().to_vec());
            assert_eq!(derivative_path(source.as_bytes(), Kind::Thumb), path, "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_or_refused(path in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(name) = split(&path) {
                prop_assert_eq!(derivative_path(&name.source(), name.kind), Some(path));
            }
        }

        #[test]
        fn any_token_that_is_known_is_written_as_it_was_read(
            token in "(cu_)?[se]?[0-9]{1,3}(x[0-9]{1,3})?(_[a-z]_[0-9]{1,3}(x[0-9]{1,3})?)?"
        ) {
            if let Some(kind) = Kind::from_token(token.as_bytes()) {
                prop_assert_eq!(kind.token(), token);
            }
        }
    }
}
