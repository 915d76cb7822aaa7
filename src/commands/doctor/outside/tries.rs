//! Request targets with which an attacker would try to get a private file. Pure lists; each target is a
//! path from the site's root.

/// Other spellings of `uri` that a server, a file system or a careless guard may take for the same file.
/// The spellings that deceive a front end are in [`super::split`].
///
/// `uri` is a path below the gallery's own (`prefix`), such as `/upload/a/b.jpg`.
pub(super) fn spellings(prefix: &str, uri: &str, data: &str) -> Vec<String> {
    let Some((first, rest)) = uri.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return Vec::new();
    };
    [
        format!("/{}/{rest}", first.to_ascii_uppercase()),
        format!("{uri}?x=/index.php"),
        format!("/{first}//{rest}"),
        format!("/{first}/../{first}/{rest}"),
        format!("/themes/../{first}/{rest}"),
        format!("/themes/%2e%2e/{first}/{rest}"),
        format!("/themes/..%2f{first}/{rest}"),
        format!("/{data}/combined/../../{first}/{rest}"),
        format!("/index.php/../{first}/{rest}"),
        format!("/{first}./{rest}"),
        format!("/{first}%20/{rest}"),
        format!("{uri}."),
        format!("{uri}%20"),
        format!("{uri}/"),
        format!("{uri}/x.css"),
        format!("{uri};x.css"),
        format!("{uri}%00.css"),
    ]
    .map(|path| format!("{prefix}{path}"))
    .into()
}

/// Targets for a server that appends the rest of a path directly to a prefix: a location or alias with a
/// slash on one side only, such as nginx's `location /piwigo { alias /var/www/piwigo/; }`. Then
/// `/piwigo../` is the directory above; `directory` is the gallery's name in it.
pub(super) fn glued(prefix: &str, uri: &str, directory: Option<&str>) -> Vec<String> {
    if prefix.is_empty() {
        return Vec::new();
    }
    let mut targets = vec![format!("{prefix}{}", uri.trim_start_matches('/')), format!("{prefix}.{uri}")];
    targets.extend(directory.map(|directory| format!("{prefix}../{directory}{uri}")));
    targets
}

/// `uri` followed by bytes that are not UTF-8, and `uri` with a backslash in it.
///
/// lighttpd's expressions do not match an address that is not UTF-8, and it accepts a tail after a file's
/// name. A server that reads a backslash as an escape (Caddy's `try_files` before 2.11.1) finds the file
/// after its guard has seen another name.
pub(super) fn odd(prefix: &str, uri: &str) -> Vec<String> {
    let mut targets = vec![format!("{uri}/%80"), format!("{uri}/x%c3"), format!("{uri}/%e0%80%bf")];
    targets.extend(backslashes(uri));
    targets.iter().map(|target| format!("{prefix}{target}")).collect()
}

/// The two most likely of these targets, for kinds with many files, and a third for names that a guard
/// recognises by their end.
pub(super) fn oddest(prefix: &str, uri: &str) -> Vec<String> {
    let mut targets = vec![format!("{uri}/%80")];
    let backslashes = backslashes(uri);
    let is_known_by_its_end = uri.rsplit_once('.').is_some_and(|(_, end)| end == "toml");
    targets.extend(backslashes.first().cloned());
    // A guard may recognise such a file by its directory and by its end.
    let both = backslashes.last().filter(|_| is_known_by_its_end).map(|last| last.replacen('/', "/%5c", 1));
    targets.extend(both);
    targets.iter().map(|target| format!("{prefix}{target}")).collect()
}

/// A backslash before the first segment, behind it, and before the last character.
fn backslashes(uri: &str) -> Vec<String> {
    let Some(path) = uri.strip_prefix('/') else { return Vec::new() };
    let mut targets = vec![format!("/%5c{path}")];
    targets.extend(path.split_once('/').map(|(first, rest)| format!("/{first}%5c/{rest}")));
    // Do not split an escape.
    let last = path.char_indices().next_back().map(|(at, _)| path.split_at(at));
    let is_plain = !path.get(path.len().saturating_sub(3)..).is_some_and(|end| end.contains('%'));
    targets.extend(last.filter(|_| is_plain).map(|(before, last)| format!("/{before}%5c{last}")));
    targets
}

/// The targets of [`odd`] for Piwigo's script for resized pictures.
pub(super) fn odd_i_php(prefix: &str, short: &str) -> Vec<String> {
    ["/i.php/%80?", "/i.php/x%c3?", "/%5ci.php?", "/i.ph%5cp?"]
        .map(|script| format!("{prefix}{script}{short}"))
        .into()
}

/// The internal locations of the shipped server files, and the gate's own program.
pub(super) fn internals(prefix: &str, uri: &str, short: Option<&str>) -> Vec<String> {
    let mut targets = vec![
        format!("/_gate/file{uri}"),
        format!("/_gate//file{uri}"),
        format!("/_gate%2ffile{uri}"),
        format!("/_gate/ask{uri}"),
        format!("{prefix}/gate.fcgi{uri}"),
        format!("{prefix}/gate.fcgi?{uri}"),
    ];
    targets.extend(short.map(|short| format!("/_gate/i.php?{short}")));
    targets
}

/// The forms of a request to Piwigo's script for resized pictures. `short` is the derivative's path below
/// the derivatives' directory, with a leading slash.
pub(super) fn i_php(prefix: &str, short: &str) -> Vec<String> {
    ["/i.php?", "/i.php", "/i?", "/i", "/i.php/../i.php?"]
        .map(|script| format!("{prefix}{script}{short}"))
        .into()
}

/// The links of the plugin piwigo-privacy.
pub(super) fn privacy(prefix: &str, id: u32, uri: &str) -> Vec<String> {
    let file = uri.trim_start_matches('/');
    vec![
        format!("{prefix}/plugins/piwigo_privacy/get.php?img_id={id}&file={file}"),
        format!("{prefix}/{id}{uri}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_differ_from_the_file_and_stay_in_the_site() {
        let all = spellings("/p", "/upload/a/b.jpg", "_data");
        assert!(all.len() == 17 && all.iter().all(|target| target.starts_with("/p/")), "{all:?}");
        assert!(!all.iter().any(|target| target == "/p/upload/a/b.jpg"));
        for one in ["/p/UPLOAD/a/b.jpg", "/p/upload//a/b.jpg", "/p/themes/../upload/a/b.jpg"] {
            assert!(all.iter().any(|target| target == one), "{one}");
        }
        assert!(spellings("", "upload", "_data").is_empty());
    }

    #[test]
    fn a_prefix_is_glued_to_the_next_name() {
        assert_eq!(
            glued("/p", "/upload/b.jpg", Some("piwigo")),
            ["/pupload/b.jpg", "/p./upload/b.jpg", "/p../piwigo/upload/b.jpg"]
        );
        assert!(glued("", "/upload/b.jpg", Some("piwigo")).is_empty());
    }

    #[test]
    fn odd_bytes_are_behind_the_file_and_in_its_name() {
        assert_eq!(
            odd("/p", "/upload/a/b.jpg"),
            [
                "/p/upload/a/b.jpg/%80",
                "/p/upload/a/b.jpg/x%c3",
                "/p/upload/a/b.jpg/%e0%80%bf",
                "/p/%5cupload/a/b.jpg",
                "/p/upload%5c/a/b.jpg",
                "/p/upload/a/b.jp%5cg",
            ]
        );
        assert_eq!(backslashes("/upload/%C3%A9"), ["/%5cupload/%C3%A9", "/upload%5c/%C3%A9"]);
        assert_eq!(oddest("", "/gate.toml"), ["/gate.toml/%80", "/%5cgate.toml", "/%5cgate.tom%5cl"]);
        assert_eq!(oddest("/p", "/.git/config"), ["/p/.git/config/%80", "/p/%5c.git/config"]);
        assert_eq!(backslashes("no path"), [""; 0]);
    }

    #[test]
    fn the_internal_locations_are_at_the_sites_root() {
        let all = internals("/p", "/upload/b.jpg", Some("/upload/b-th.jpg"));
        assert!(all.contains(&"/_gate/file/upload/b.jpg".to_owned()));
        assert!(all.contains(&"/_gate/i.php?/upload/b-th.jpg".to_owned()));
        assert!(all.contains(&"/p/gate.fcgi/upload/b.jpg".to_owned()));
    }
}
