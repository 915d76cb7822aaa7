//! Lists of request targets with one or a few odd bytes at some place of a guarded file's URL.

/// How many places of a URL get the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// Before and after the path, and as a segment of its own after it; no letters and digits.
    Ends,
    /// The places of [`Places::Ends`]; the beginning, middle and end of the first segment and of the file's
    /// name; before and in its extension; in the query.
    Parts,
    /// Each position of the path, and many tails.
    Every,
}

impl Places {
    fn has(self, byte: u8) -> bool {
        self != Places::Ends || !byte.is_ascii_alphanumeric()
    }
}

/// Several bytes at once: bytes that are not UTF-8 (cut short, overlong, surrogates, beyond the last
/// character), odd characters, and escapes that a server might decode twice or in its own way.
#[rustfmt::skip]
const SEQUENCES: [&[u8]; 34] = [
    b"\xc3\x28", b"\xe0\x80\xbf", b"\xff\xfe", b"\xc0\xaf", b"\xc0\x80", b"\xc1\x9c",
    b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80\x80\x80", b"\xc3\xa9",
    b"\xcc\x81", b"\xc2\x85", b"\xc2\xa0", b"\xc2\xad", b"\xe2\x80\x8b", b"\xe2\x80\xa8",
    b"\xe2\x80\xae", b"\xe2\x88\x95", b"\xef\xbb\xbf", b"\xef\xbc\x8f", b"\xef\xbc\xbc",
    b"\xef\xbf\xbd", b"\xef\xbf\xbf", b"\xf0\x9f\x98\x80", b"\\\\", b"\\.", b"\\/", b"..\\",
];

/// Texts that go into the URL without encoding.
#[rustfmt::skip]
const ESCAPES: [&str; 12] = [
    "%", "%2", "%zz", "%u002f", "%u0080", "%2580", "%255c", "%252f", "%%35%63", "%5c%2e", "%c3%5c",
    "%5c%80",
];

/// Texts that go after each guarded path.
#[rustfmt::skip]
const TAILS: [&str; 33] = [
    "/", "/x", "/x.css", "/x.php", "/index.php", "/.", "/..", "/x/..", "/%2e", "/%80", "/%c3",
    "/x%c3", "/%e0%80%bf", "/%ff%fe", "/%80/x.css", "/x/%80", "/%5c", "%5c", "\\", "%5c%80", ".",
    "%20", "%00", "%0a", "%0d", "~", ";x", ";%80", "::$DATA", "?%80", "?x=%80", "#%80",
    "/x.php/%80",
];

/// Targets for a path such as `/upload/a/b.jpg` with odd bytes in it. The first is the path itself.
pub fn targets(path: &str, places: Places) -> Vec<Vec<u8>> {
    let mut all = vec![path.as_bytes().to_vec()];
    all.extend(TAILS.iter().map(|tail| format!("{path}{tail}").into_bytes()));
    all.extend(respelled(path, places));
    for (before, after) in cuts(path, places) {
        all.extend(with_bytes(before.as_bytes(), after.as_bytes(), places));
    }
    all
}

/// Targets for a script such as `i.php` whose query says which file is meant.
pub fn script_targets(prefix: &str, script: &str, query: &str, places: Places) -> Vec<Vec<u8>> {
    let plain = format!("{prefix}/{script}?{query}");
    let mut all = vec![plain.clone().into_bytes()];
    all.extend(TAILS.iter().map(|tail| format!("{prefix}/{script}{tail}?{query}").into_bytes()));
    all.extend(TAILS.iter().map(|tail| format!("{plain}{tail}").into_bytes()));
    let (path, query) = (format!("{prefix}/{script}"), format!("?{query}"));
    let mut cuts = vec![
        (format!("{prefix}/"), format!("{script}{query}")),
        (path.clone(), query.clone()),
        (format!("{path}/"), query.clone()),
        (format!("{path}?"), query[1..].to_owned()),
    ];
    if places == Places::Every {
        let all = (prefix.len() + 1..plain.len()).map(|at| (plain[..at].to_owned(), plain[at..].to_owned()));
        cuts.extend(all);
        cuts.push((plain.clone(), String::new()));
        cuts.push((format!("{path}/x"), query));
        cuts.push((format!("{plain}&"), String::new()));
        cuts.push((format!("{plain}/"), String::new()));
    }
    for (before, after) in cuts {
        all.extend(with_bytes(before.as_bytes(), after.as_bytes(), places));
    }
    all
}

/// `before` and `after` with each byte between them, raw and encoded, and with each of the sequences.
fn with_bytes(before: &[u8], after: &[u8], places: Places) -> Vec<Vec<u8>> {
    let around = |middle: &[u8]| [before, middle, after].concat();
    let mut all = Vec::new();
    for byte in (0..=0xff).filter(|byte| places.has(*byte)) {
        all.push(around(&[byte]));
        all.push(around(encoded(&[byte]).as_bytes()));
    }
    for sequence in SEQUENCES {
        all.push(around(sequence));
        all.push(around(encoded(sequence).as_bytes()));
    }
    all.extend(ESCAPES.map(|escape| around(escape.as_bytes())));
    all
}

/// The path with one of its own characters written differently.
fn respelled(path: &str, places: Places) -> Vec<Vec<u8>> {
    let slashes = ["\\", "%5c", "%5C", "%c0%af", "%e0%80%af", "%ef%bc%8f", "%252f", "/%80/..", "/%c3/../"];
    let mut all = vec![format!("/{}", encoded(&path.as_bytes()[1..]))];
    for (at, byte) in path.bytes().enumerate().skip(1).filter(|(_, byte)| byte.is_ascii_graphic()) {
        let (before, after) = (&path[..at], &path[at + 1..]);
        let mut forms = vec![encoded(&[byte])];
        if byte == b'/' {
            forms.extend(slashes.map(str::to_owned));
        } else if places != Places::Ends {
            let letter = char::from(byte);
            // The wide character that looks the same.
            let wide = char::from_u32(0xff00 + u32::from(byte) - 0x20).expect("U+FF01 to U+FF5E");
            let wide = encoded(wide.to_string().as_bytes());
            forms.extend([format!("\\{letter}"), format!("%5c{letter}"), format!("%25{byte:02x}"), wide]);
        }
        all.extend(forms.iter().map(|form| format!("{before}{form}{after}")));
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// The places at which `path` is cut in two for the bytes.
fn cuts(path: &str, places: Places) -> Vec<(String, String)> {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name..].rfind('.').map_or(path.len(), |dot| name + dot);
    let first = path[1..].find('/').map_or(path.len(), |slash| slash + 1);
    let mut positions = vec![1, path.len()];
    match places {
        Places::Ends => {}
        Places::Parts => {
            positions.extend([0, usize::midpoint(1, first), first, (first + 1).min(path.len()), name]);
            positions.extend([usize::midpoint(name, dot), dot, usize::midpoint(dot, path.len())]);
        }
        Places::Every => positions.extend(0..=path.len()),
    }
    positions.retain(|position| path.is_char_boundary(*position));
    positions.sort_unstable();
    positions.dedup();
    let mut cuts: Vec<_> =
        positions.into_iter().map(|at| (path[..at].to_owned(), path[at..].to_owned())).collect();
    let mut behind = |tail: &str, after: &str| cuts.push((format!("{path}{tail}"), after.to_owned()));
    behind("/", "");
    if places != Places::Ends {
        behind("?", "");
    }
    if places == Places::Every {
        for (tail, after) in [
            ("/x", ""),
            ("/", "x.css"),
            ("/", "/x.php"),
            ("//", ""),
            ("/.", ""),
            ("/x/", ""),
            ("/x.php", ""),
            (";", ""),
            (".", ""),
            ("?x=", ""),
            ("#", ""),
        ] {
            behind(tail, after);
        }
    }
    cuts
}

fn encoded(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02x}").expect("a String grows");
        text
    })
}
