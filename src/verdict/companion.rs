//! Turns a path and the patterns of the setting `companions` into the videos that the path may belong to. A
//! companion is a file without a row of its own that lies beside a video: subtitles, another encoding,
//! pictures of a player's time line.

use crate::database::MAX_STEMS;
use crate::piwigo::program_names;

/// Most patterns in the setting.
pub const MAX_PATTERNS: usize = 16;

/// The word in the setting that stands for [`VIDEOJS`].
pub const VIDEOJS_WORD: &str = "videojs";

/// The files that the plugin `VideoJS` makes of a video or looks for: other encodings (with extensions in
/// lower or upper case), subtitles, and pictures of the time line. The poster is not in the list because it
/// has a record.
pub const VIDEOJS: [&str; 15] = [
    "pwg_representative/{stem}.mp4",
    "pwg_representative/{stem}.m4v",
    "pwg_representative/{stem}.webm",
    "pwg_representative/{stem}.webmv",
    "pwg_representative/{stem}.ogg",
    "pwg_representative/{stem}.ogv",
    "pwg_representative/{stem}.MP4",
    "pwg_representative/{stem}.M4V",
    "pwg_representative/{stem}.WEBM",
    "pwg_representative/{stem}.WEBMV",
    "pwg_representative/{stem}.OGG",
    "pwg_representative/{stem}.OGV",
    "pwg_representative/{stem}.vtt",
    "pwg_representative/{stem}-th_*.jpg",
    "pwg_representative/{stem}-th_*.png",
];

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 128;

const STEM: &str = "{stem}";

/// One pattern, such as `pwg_representative/{stem}-th_*.jpg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The folder below the video's directory, with a trailing slash, or empty.
    directory: String,
    /// The text between the stem and the `*`, or all text after the stem if there is no `*`.
    before: String,
    /// The text after the `*`, if there is one.
    after: Option<String>,
}

/// One way to read a path as another file's companion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The other file's directory, with a trailing slash; empty for the root.
    pub directory: String,
    /// The other file's name without its extension.
    pub stem: String,
    /// The companion's folder below that directory, with a trailing slash, or empty.
    pub folder: String,
    /// The end of the companion's name, after the stem.
    pub rest: String,
}

impl Pattern {
    /// Reads a pattern; `*` stands for one or more of `A-Z a-z 0-9 _ -`.
    ///
    /// # Errors
    /// What a pattern must look like, as a phrase.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (directory, name) = match text.rsplit_once('/') {
            Some((directory, name)) => (format!("{directory}/"), name),
            None => (String::new(), text),
        };
        let Some(rest) = name.strip_prefix(STEM) else {
            return Err("the file's name in it must begin with {stem}, as in {stem}.vtt");
        };
        let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.');
        let strange = |c: char| c.is_control() || matches!(c, '\\' | '{' | '}');
        if text.len() > MAX_PATTERN
            || directory.contains('*')
            || !directory
                .trim_end_matches('/')
                .split('/')
                .all(|segment| directory.is_empty() || plain(segment))
            || directory.ends_with("//")
            || directory.contains(strange)
            || rest.contains(strange)
        {
            return Err("it may have plain directories before {stem}, one * behind it, and 128 bytes");
        }
        let (before, after) = match rest.split_once('*') {
            Some((before, after)) => (before.to_owned(), Some(after.to_owned())),
            None => (rest.to_owned(), None),
        };
        let ending = after.as_ref().unwrap_or(&before);
        if ending.contains('*') || ending.rsplit_once('.').is_none_or(|(_, extension)| extension.is_empty()) {
            return Err("it may have one *, and must end in an extension");
        }
        if program_names::could_be_executed(&format!("x{before}x{}", after.as_deref().unwrap_or_default()))
            || program_names::could_be_executed(&format!("x{before}{}", after.as_deref().unwrap_or_default()))
        {
            return Err("a file type that a server could execute is never served");
        }
        Ok(Pattern { directory, before, after })
    }

    /// The files whose companion `path` is by this pattern: at most [`MAX_STEMS`], longest stem first.
    fn candidates(&self, path: &str) -> Vec<Candidate> {
        let (directory, name) =
            path.rsplit_once('/').map_or(("", path), |(_, name)| path.split_at(path.len() - name.len()));
        // The folder must match whole segments: `x/pwg_representative/`, not `xpwg_representative/`.
        let Some(directory) = directory.strip_suffix(&self.directory) else { return Vec::new() };
        if !(directory.is_empty() || directory.ends_with('/')) {
            return Vec::new();
        }
        let candidate = |at: usize| Candidate {
            directory: directory.to_owned(),
            stem: name[..at].to_owned(),
            folder: self.directory.clone(),
            rest: name[at..].to_owned(),
        };
        let Some(after) = &self.after else {
            let stem = name.strip_suffix(&self.before).filter(|stem| !stem.is_empty());
            return stem.map(|stem| candidate(stem.len())).into_iter().collect();
        };
        let Some(body) = name.strip_suffix(after.as_str()) else { return Vec::new() };
        let starred = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let run = body.bytes().rev().take_while(starred).count();
        // The `*` can begin anywhere in the run of its characters at the end of the name.
        (body.len() - run..body.len())
            .rev()
            .filter(|&star| body[..star].ends_with(&self.before))
            .map(|star| star - self.before.len())
            .filter(|&at| at > 0)
            .take(MAX_STEMS)
            .map(candidate)
            .collect()
    }
}

/// The files whose companion `path` may be by any pattern: at most [`MAX_STEMS`], the longest path first.
pub fn candidates(patterns: &[Pattern], path: &str) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for candidate in patterns.iter().flat_map(|pattern| pattern.candidates(path)) {
        if !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.directory.len() + candidate.stem.len()));
    found.truncate(MAX_STEMS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_may_be() {
        let table = [
            ("{stem}.vtt", true),
            ("{stem}.*.vtt", true),
            ("{stem}-*.webm", true),
            ("pwg_representative/{stem}-th_*.jpg", true),
            ("a/b/{stem}.vtt", true),
            ("*.vtt", false),
            ("x{stem}.vtt", false),
            ("{stem}", false),
            ("{stem}*", false),
            ("{stem}.", false),
            ("{stem}.*", false),
            ("{stem}.*.*", false),
            ("{stem}{stem}.vtt", false),
            ("{stem}.php", false),
            ("{stem}.ph*.php", false),
            ("{stem}.php.*.vtt", false),
            ("../{stem}.vtt", false),
            ("a//{stem}.vtt", false),
            ("/{stem}.vtt", false),
            (".hidden/{stem}.vtt", false),
            ("*/{stem}.vtt", false),
            ("", false),
        ];
        for (text, good) in table {
            assert_eq!(Pattern::parse(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn what_videojs_makes_is_its_videos() {
        let patterns: Vec<Pattern> = VIDEOJS.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        for (name, stem) in [
            ("film.webm", Some("film")),
            ("film.MP4", Some("film")),
            ("film.vtt", Some("film")),
            ("film-th_0.jpg", Some("film")),
            ("film.cut-th_120.png", Some("film.cut")),
            ("film-th_.png", None),
            ("film.jpg", None),
            ("film.srt", None),
        ] {
            let found = candidates(&patterns, &format!("g/pwg_representative/{name}"));
            let stems: Vec<&str> = found.iter().map(|found| &*found.stem).collect();
            assert_eq!(stems, stem.map_or(vec![], |stem| vec![stem]), "{name}");
            assert!(candidates(&patterns, &format!("g/{name}")).is_empty(), "{name}");
        }
    }

    #[test]
    fn which_video_a_companion_belongs_to() {
        let patterns: Vec<Pattern> = ["{stem}.vtt", "{stem}.*.vtt", "pwg_representative/{stem}-th_*.jpg"]
            .map(|text| Pattern::parse(text).unwrap())
            .into();
        let table: [(&str, &[(&str, &str)]); 11] = [
            ("g/film.vtt", &[("g/", "film")]),
            ("film.vtt", &[("", "film")]),
            ("g/film.en.vtt", &[("g/", "film.en"), ("g/", "film")]),
            ("g/film.pt-BR.vtt", &[("g/", "film.pt-BR"), ("g/", "film")]),
            ("g/film.é.vtt", &[("g/", "film.é")]),
            ("g/.vtt", &[]),
            ("g/film.VTT", &[]),
            ("g/pwg_representative/film-th_0012.jpg", &[("g/", "film")]),
            ("g/pwg_representative/a-th_b-th_1.jpg", &[("g/", "a-th_b"), ("g/", "a")]),
            ("g/xpwg_representative/film-th_1.jpg", &[]),
            ("g/pwg_representative/film-th_.jpg", &[]),
        ];
        for (path, expected) in table {
            let found = candidates(&patterns, path);
            let owners: Vec<(&str, &str)> =
                found.iter().map(|found| (&*found.directory, &*found.stem)).collect();
            assert_eq!(owners, expected, "{path}");
            for Candidate { directory, stem, folder, rest } in &found {
                assert_eq!(format!("{directory}{folder}{stem}{rest}"), path);
            }
        }
    }

    #[test]
    fn a_name_that_can_be_read_in_many_ways_is_read_in_a_few() {
        let pattern = Pattern::parse("{stem}-*.jpg").unwrap();
        let found = candidates(&[pattern], &format!("g/{}.jpg", "-a".repeat(400)));
        assert_eq!(found.len(), MAX_STEMS);
        assert_eq!(found[0].rest, "-a.jpg", "the nearest is among them");
    }
}
