//! lighttpd: finds other URLs of the gallery's directory, because lighttpd has no condition on a file's
//! path, and settings with which a page can read files.

use std::path::Path;

use super::{FoundLine, Place};

/// Settings that let pages or clients read files without the gate.
const READERS: [Reader; 2] = [
    // `<!--#include file=…-->` and `virtual=…` insert any file of the site into the page (mod_ssi).
    Reader { name: "ssi.extension", off: &["()", "( )"], opens: true },
    // The gate answers WebDAV requests for guarded URLs. Whether other URLs lead to a file depends on the
    // site.
    Reader { name: "webdav.activate", off: &["\"disable\""], opens: false },
];

struct Reader {
    name: &'static str,
    /// The values that switch the setting off.
    off: &'static [&'static str],
    /// Whether it certainly opens files if somebody can write a page, and not only perhaps.
    opens: bool,
}

pub(super) fn examine(text: &str, place: &Place<'_>) -> FoundLine {
    let mut found = FoundLine { known: text.contains("x-sendfile-encoded"), ..FoundLine::default() };
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
    for Reader { name, off, opens } in READERS {
        let is_on = settings(text, name).any(|value| !off.iter().any(|off| value.starts_with(off)));
        let list = if opens { &mut found.open } else { &mut found.doubtful };
        list.extend(is_on.then(|| format!("{name}, by which files are read without the gate")));
    }
    found
}

/// The values of a setting, each with the rest of the file after it.
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
            ("ssi.extension = ( \".shtml\" )", "o"),
            ("ssi.extension += ( \".htm\" )", "o"),
            ("ssi.extension = ()", ""),
            ("webdav.activate = \"enable\"", "?"),
            ("webdav.activate = \"disable\"", ""),
        ] {
            let (found, what) = found(examine, &format!("{own}\n{file}"), Path::new(ROOT), "");
            assert!(found == signs, "{own}: {found} {what}");
        }
    }
}
