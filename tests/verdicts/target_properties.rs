//! What holds for every request that names a file, whatever its bytes: the path is the one that was asked
//! for, and there is only one.

use percent_encoding::percent_decode;
use piwigo_gate::database;
use piwigo_gate::piwigo::layout::Layout;
use piwigo_gate::piwigo::sizes::name;
use piwigo_gate::piwigo::sizes::stored::DerivativeConfig;
use piwigo_gate::verdict::companion::{self, Pattern};
use piwigo_gate::verdict::uri::{Part, Target};
use proptest::prelude::*;

fn layout() -> Layout {
    Layout {
        url_prefix: "/p".into(),
        derivative_dir: "_data/i/".into(),
        data_dir: "_data/".into(),
        parent_sites: vec!["ext/".into()],
    }
}

fn read(uri: &[u8]) -> Option<Target> {
    Target::read(uri, &layout(), &DerivativeConfig::default()).ok()
}

/// Pieces of which requests that are nearly right are made.
const PIECES: [&str; 34] = [
    "/p/",
    "/",
    "upload",
    "galleries",
    "_data/i/",
    "ext",
    "a",
    "b.jpg",
    "film.mp4",
    "pwg_representative/",
    "-th",
    "-th.jpg",
    "i.php",
    "i",
    "?",
    "&",
    "=",
    "%2f",
    "%41",
    "%",
    "..",
    ".",
    "#",
    "8",
    "action.php",
    "id=1",
    "id=2",
    "part=e",
    "part=r",
    "format=3",
    "plugins/piwigo_privacy/get.php",
    "img_id=1",
    "file=",
    "é",
];

fn request() -> impl Strategy<Value = Vec<u8>> {
    let likely = proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..12)
        .prop_map(|pieces| format!("/p/{}", pieces.concat()).into_bytes());
    prop_oneof![4 => likely, 1 => proptest::collection::vec(any::<u8>(), 0..40)]
}

/// What a request asks for, decoded, where its path alone names the file; `None` for the forms with a script.
fn asked_for(uri: &[u8]) -> Option<String> {
    let path = uri.split(|&byte| byte == b'?').next()?;
    let path = percent_decode(path).decode_utf8().ok()?.into_owned();
    if let Some(beside) = path.strip_prefix("/ext/") {
        return Some(format!("../ext/{beside}"));
    }
    let path = path.strip_prefix("/p/")?;
    let first = path.split('/').next()?;
    let is_file = !matches!(first, "i.php" | "i" | "action.php" | "plugins")
        && !first.bytes().all(|byte| byte.is_ascii_digit());
    is_file.then(|| path.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn an_accepted_path_rebuilds_to_the_bytes_asked_for(uri in request()) {
        let rebuilt = match read(&uri) {
            Some(Target::File(source)) if source.beside_the_root => format!("../{}", source.path),
            Some(Target::File(source)) => source.path,
            Some(Target::Derivative { source, kind }) => {
                let name = name::derivative_path(source.path.as_bytes(), kind).expect("a source has an extension");
                format!("_data/i/{}", String::from_utf8(name).expect("UTF-8"))
            }
            Some(Target::Icon(icon)) => {
                let name = name::derivative_path(icon.source.as_bytes(), icon.kind).expect("an extension");
                format!("_data/i/{}", String::from_utf8(name).expect("UTF-8"))
            }
            Some(Target::Record(_)) | None => return Ok(()),
        };
        prop_assert!(!rebuilt.split('/').skip_while(|&segment| segment == "..").any(|s| s.is_empty() || s.starts_with('.')));
        if let Some(asked) = asked_for(&uri) {
            prop_assert_eq!(rebuilt, asked);
        }
    }

    #[test]
    fn a_request_with_two_answers_is_none(parameters in proptest::collection::vec(
        proptest::sample::select(vec![
            "id=1", "id=2", "id=", "part=e", "part=r", "part=f", "format=3", "format=4", "download", "b=1", "i%64=2",
            "id[]=2", "auth=x", "/upload/a.jpg", "file=upload/a.jpg", "",
        ]), 0..6)) {
        let uri = format!("/p/action.php?{}", parameters.join("&"));
        let values = |name: &str| -> Vec<&str> {
            parameters.iter().filter_map(|parameter| parameter.strip_prefix(name)).collect()
        };
        if let Some(Target::Record(record)) = read(uri.as_bytes()) {
            let (ids, parts, formats) = (values("id="), values("part="), values("format="));
            prop_assert!(values("i%64=").is_empty() && values("id[]=").is_empty() && values("/").is_empty());
            let expected = match (&*formats, &*ids, &*parts) {
                ([format], [], [] | ["f"]) => Part::Format { format: format.parse().unwrap(), image: None },
                ([format], [id], [] | ["f"]) => {
                    Part::Format { format: format.parse().unwrap(), image: Some(id.parse().unwrap()) }
                }
                ([], [id], ["e"]) => Part::Element(id.parse().unwrap()),
                ([], [id], ["r"]) => Part::Representative(id.parse().unwrap()),
                other => return Err(TestCaseError::fail(format!("{uri}: {other:?}"))),
            };
            prop_assert_eq!(record.part, expected);
            prop_assert_eq!(record.download, parameters.contains(&"download"));
        }
    }

    #[test]
    fn a_companion_rebuilds_to_its_path(path in "[a-z]{1,3}(/pwg_representative)?/[a-zé.%_-]{1,12}(-th_[0-9a-]{1,4}\\.jpg|\\.[a-z]{2}\\.vtt|\\.vtt)") {
        let patterns: Vec<Pattern> = ["{stem}.vtt", "{stem}.*.vtt", "pwg_representative/{stem}-th_*.jpg"]
            .into_iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect();
        let found = companion::candidates(&patterns, &path);
        prop_assert!(found.len() <= database::MAX_STEMS);
        for found in found {
            prop_assert_eq!(format!("{}{}{}{}", found.directory, found.folder, found.stem, found.rest), path.clone());
        }
    }
}
