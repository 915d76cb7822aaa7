//! lighttpd: other addresses of the gallery's directory, because lighttpd knows no condition on a file's
//! path, and pages that read files by themselves.

use std::path::Path;

use super::{Found, Place};

/// Settings that let pages or clients read files without the gate, with the values that switch them off.
const READERS: [(&str, &[&str]); 2] =
    [("ssi.extension", &["()", "( )"]), ("webdav.activate", &["\"disable\""])];

pub(super) fn examine(text: &str, place: &Place<'_>) -> Found {
    let mut found = Found { known: text.contains("x-sendfile-encoded"), ..Found::default() };
    let includes = |line: &str| line.trim_start().starts_with("include ") && line.contains("piwigo-gate");
    found.known |= text.contains("server.document-root") && text.lines().any(includes);
    if !found.known {
        return found;
    }
    for (url, directory) in settings(text, "alias.url").flat_map(pairs) {
        let second = place.second_url(url, Path::new(directory.trim_end_matches('/')));
        found
            .open
            .extend(second.map(|second| format!("alias.url \"{url}\" => \"{directory}\" ({second}/…)")));
    }
    for (name, off) in READERS {
        let is_on = settings(text, name).any(|value| !off.iter().any(|off| value.starts_with(off)));
        found.doubtful.extend(is_on.then(|| format!("{name}, by which files are read without the gate")));
    }
    found
}

/// The values of a setting, each with the rest of the file behind it.
fn settings<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(name).filter_map(|(at, _)| {
        let behind = text[at + name.len()..].trim_start();
        behind
            .strip_prefix('=')
            .or_else(|| behind.strip_prefix("+="))
            .or_else(|| behind.strip_prefix(":="))
            .map(str::trim_start)
    })
}

/// The pairs `"key" => "value"` of a list.
fn pairs(value: &str) -> Vec<(&str, &str)> {
    let list = value.strip_prefix('(').and_then(|list| list.split(')').next()).unwrap_or_default();
    list.split(',')
        .filter_map(|pair| pair.split_once("=>"))
        .map(|(key, value)| (key.trim().trim_matches('"'), value.trim().trim_matches('"')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ROOT, found, printed};
    use super::*;

    #[test]
    fn lines_of_a_site() {
        let file = printed("lighttpd", "");
        for (own, signs) in [
            ("", ""),
            ("alias.url = ( \"/other\" => \"/var/www/piwigo\" )", "o"),
            ("alias.url += (\n\"/a\" => \"/srv/\",\n\"/logs/\" => \"/var/www/piwigo/_data/logs/\"\n)", "o"),
            ("alias.url += ( \"/a\" => \"/srv/\", \"/themes\" => \"/var/www/piwigo/themes\" )", ""),
            ("ssi.extension = ( \".shtml\" )", "?"),
            ("ssi.extension = ()", ""),
            ("webdav.activate = \"enable\"", "?"),
            ("webdav.activate = \"disable\"", ""),
        ] {
            let (found, what) = found(examine, &format!("{own}\n{file}"), Path::new(ROOT), "");
            assert!(found == signs, "{own}: {found} {what}");
        }
    }
}
