//! Turns names of directories into regular expressions that nginx, Apache, lighttpd and Caddy read alike:
//! no backslash except in `\x20` and the like, no look-ahead.

/// A regular expression that matches exactly this text, without a backslash, because some of the
/// configuration languages would interpret it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('.', "[.]").replace('+', "[+]")
}

/// A regular expression that matches each of these texts.
pub(super) fn alternatives(texts: &[String]) -> String {
    texts.iter().map(|text| escaped(text)).collect::<Vec<_>>().join("|")
}

/// The guarded directories in all spellings that a case-folding file system may accept, without an end
/// anchor.
pub(super) fn spellings(guarded: &[String], data: &str) -> String {
    let inside = |directory: &&String| !directory.starts_with(&format!("{data}/"));
    let guarded = guarded.iter().filter(inside).map(String::as_str);
    guarded.chain([data, "local/config"]).map(spelled).collect::<Vec<_>>().join("|")
}

/// A path in all spellings that a case-folding file system may accept: with dots and blanks after a part,
/// and with the short names of VFAT, NTFS and SMB shares. The surrounding expression must ignore case.
pub(super) fn spelled(path: &str) -> String {
    spelled_with(path, "/")
}

/// The same with any number of slashes for each slash, for servers that merge slashes after matching.
pub(super) fn spelled_with_slashes(path: &str) -> String {
    spelled_with(path, "/+")
}

fn spelled_with(path: &str, slash: &str) -> String {
    let part = |part: &str| match short(part) {
        Some(short) => format!("(?:{}|{short})", escaped(part)),
        None => escaped(part),
    };
    let (begin, path) = path.strip_prefix('/').map_or(("", path), |path| (slash, path));
    let parts: Vec<_> = path.split('/').map(part).collect();
    let end = if begin.is_empty() { "" } else { "[.\\x20]*" };
    match path {
        "" => String::new(),
        _ => format!("{begin}{}{end}", parts.join(&format!("[.\\x20]*{slash}"))),
    }
}

/// The short names (`GALLER~1`, `GA12AB~1.202`) that a file system may give to a long name, and many more:
/// file systems choose all letters but the first two in their own way.
fn short(name: &str) -> Option<String> {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@');
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_short = (1..=8).contains(&stem.len())
        && ending.len() <= 3
        && stem.chars().chain(ending.chars()).all(|c| plain(&c));
    let begin: String = stem.chars().take(2).take_while(plain).collect();
    (!is_short).then(|| format!("{begin}[^/~]*~[0-9]+[^/]*"))
}

/// A path with the same number of parts and a non-ASCII letter in one of them: some file systems fold such
/// letters to ASCII.
pub(super) fn with_a_letter(path: &str) -> String {
    let count = path.matches('/').count();
    let one = |at| format!("(?:/[^/]*){{{at}}}/[^/]*[^\\x00-\\x7F][^/]*(?:/[^/]*){{{}}}", count - 1 - at);
    format!("(?:{})", (0..count).map(one).collect::<Vec<_>>().join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_the_names() {
        assert_eq!(alternatives(&["upload".into(), "galleries".into()]), "upload|galleries");
        assert_eq!(
            spellings(&["upload".into(), "galleries".into(), "_data/i".into()], "_data"),
            "upload|(?:galleries|ga[^/~]*~[0-9]+[^/]*)|_data|local[.\\x20]*/config"
        );
        for (name, expected) in [
            ("upload", None),
            ("fotos.24", None),
            ("12345678.abc", None),
            ("123456789", Some("12")),
            ("fotos.2024", Some("fo")),
            ("my pics", Some("my")),
            ("a.b.c", Some("a")),
            ("a+b", Some("a")),
            ("été", Some("")),
            (".x", Some("")),
        ] {
            let expected = expected.map(|begin| format!("{begin}[^/~]*~[0-9]+[^/]*"));
            assert_eq!(short(name), expected, "{name}");
        }
        assert_eq!(escaped("a.b+c"), "a[.]b[+]c");
        assert_eq!(spelled(""), "");
        assert_eq!(spelled("/my/photos"), "/my[.\\x20]*/photos[.\\x20]*");
        assert_eq!(spelled_with_slashes("/my/photos"), "/+my[.\\x20]*/+photos[.\\x20]*");
        assert_eq!(spelled_with_slashes(""), "");
        assert_eq!(with_a_letter("/p"), "(?:(?:/[^/]*){0}/[^/]*[^\\x00-\\x7F][^/]*(?:/[^/]*){0})");
    }
}
