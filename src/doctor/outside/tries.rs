//! Ways in which somebody would try to get a private file: pure lists of request targets, each from the site's root.

/// Other spellings of `uri` that a server, a file system or a careless guard might take for the same file.
///
/// `uri` is a path below the gallery's own (`prefix`), such as `/upload/a/b.jpg`.
pub(super) fn spellings(prefix: &str, uri: &str, data: &str) -> Vec<String> {
    let Some((first, rest)) = uri.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return Vec::new();
    };
    let hex = first.bytes().next().map(|byte| format!("%{byte:02x}")).unwrap_or_default();
    let others = first.get(1..).unwrap_or_default();
    [
        format!("/{}/{rest}", first.to_ascii_uppercase()),
        format!("{uri}?x=/index.php"),
        format!("/{hex}{others}/{rest}"),
        format!("//{first}/{rest}"),
        format!("/{first}//{rest}"),
        format!("/./{first}/{rest}"),
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

/// The forms in which Piwigo's script for resized pictures takes its request; `short` is the derivative's path below the
/// derivatives' directory, with a slash before it.
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
        assert!(all.len() == 20 && all.iter().all(|target| target.starts_with("/p/")), "{all:?}");
        assert!(!all.iter().any(|target| target == "/p/upload/a/b.jpg"));
        for one in ["/p/UPLOAD/a/b.jpg", "/p/%75pload/a/b.jpg", "/p//upload/a/b.jpg"] {
            assert!(all.iter().any(|target| target == one), "{one}");
        }
        assert!(spellings("", "upload", "_data").is_empty());
    }

    #[test]
    fn the_internal_locations_are_at_the_sites_root() {
        let all = internals("/p", "/upload/b.jpg", Some("/upload/b-th.jpg"));
        assert!(all.contains(&"/_gate/file/upload/b.jpg".to_owned()));
        assert!(all.contains(&"/_gate/i.php?/upload/b-th.jpg".to_owned()));
        assert!(all.contains(&"/p/gate.fcgi/upload/b.jpg".to_owned()));
    }
}
