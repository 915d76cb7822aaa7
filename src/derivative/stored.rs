//! What lies on disk for a derivative: whether it exists and is newer than its source and than its type's
//! last change (docs/spec/piwigo.md §6.10).

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::files::{Tree, Unsendable};

/// The state of a derivative's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It can be served.
    Fresh,
    /// It is missing or stale, and could be made from its source.
    Absent,
    /// Its source is missing.
    NoSource,
    /// Its source is reached by a link that is not followed.
    Refused,
}

/// Looks at the files `derivative` and `source` of the gallery; `since` is the type's last change, in seconds
/// since 1970. A derivative that is reached by a link that is not followed is not there. Blocks on the file
/// system.
///
/// A source beside the root (`../x`) gives way to a file of the same name below the root, as in Piwigo's
/// `i.php`: then the derivative is that file's, for which no row was found.
pub fn look(tree: &Tree, derivative: &str, source: &str, since: i64) -> Stored {
    if source.strip_prefix("../").is_some_and(|inside| tree.root().join(inside).exists()) {
        return Stored::NoSource;
    }
    let changed = match tree.look(source) {
        Ok(source) => seconds(source.modified),
        Err(Unsendable::Link { .. }) => return Stored::Refused,
        Err(_) => return Stored::NoSource,
    };
    match tree.look(derivative) {
        Ok(derivative) if seconds(derivative.modified) >= changed.max(since) => Stored::Fresh,
        _ => Stored::Absent,
    }
}

/// Whole seconds since 1970, as Piwigo compares them.
fn seconds(time: SystemTime) -> i64 {
    let whole = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => {
            let before = before.duration();
            -whole(before) - i64::from(before.subsec_nanos() > 0)
        }
    }
}

/// A file from which Piwigo's `i.php` would make this derivative although it is another picture's.
///
/// To find a larger derivative to start from, `i.php` puts the larger size's token in the place of this one's
/// wherever that stands in the path, not only at its end (Piwigo: `i.php`, `try_switch_source`):
/// `p-th-th.jpg`, the thumb of `p-th.jpg`, would be made from `p-me-me.jpg`, a picture that nobody has
/// judged. `sizes` are the tokens of the enabled sizes, `directory` is that of the derivatives. Blocks on the
/// file system.
pub fn strange_source(
    directory: &Path,
    derivative: &str,
    token: &str,
    sizes: &[String],
) -> Option<std::path::PathBuf> {
    let written = format!("-{token}");
    let (before, after) = derivative.rsplit_once(&written)?;
    sizes.iter().filter(|size| *size != token).find_map(|size| {
        let wanted = format!("{before}-{size}{after}");
        let used = derivative.replace(&written, &format!("-{size}"));
        let path = directory.join(&used);
        (used != wanted && path.exists()).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Symlinks;
    use std::fs;

    fn write(path: &Path, seconds: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn fresh_means_newer_than_source_and_settings() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("gallery");
        write(&root.join("upload/a.jpg"), 1000);
        write(&root.join("_data/i/upload/a-th.jpg"), 2000);
        write(&root.join("_data/i/upload/gone-th.jpg"), 2000);
        let tree = Tree::new(&root, Symlinks::SameOwner, &[]);
        let table = [
            ("upload/a-th.jpg", "upload/a.jpg", 0, Stored::Fresh),
            ("upload/a-th.jpg", "upload/a.jpg", 2000, Stored::Fresh),
            ("upload/a-th.jpg", "upload/a.jpg", 2001, Stored::Absent),
            ("upload/a-sm.jpg", "upload/a.jpg", 0, Stored::Absent),
            ("upload/gone-th.jpg", "upload/gone.jpg", 0, Stored::NoSource),
        ];
        for (derivative, source, since, expected) in table {
            let derivative = format!("_data/i/{derivative}");
            assert_eq!(look(&tree, &derivative, source, since), expected, "{derivative:?}");
        }
        write(&root.join("upload/a.jpg"), 3000);
        let found = look(&tree, "_data/i/upload/a-th.jpg", "upload/a.jpg", 0);
        assert_eq!(found, Stored::Absent, "replaced source");
    }

    #[test]
    fn a_file_below_the_root_hides_the_one_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("gallery");
        write(&directory.path().join("ext/p.png"), 1000);
        write(&root.join("_data/i/ext/p-th.png"), 2000);
        let tree = Tree::new(&root, Symlinks::SameOwner, &["ext/".into()]);
        let look = || look(&tree, "_data/i/ext/p-th.png", "../ext/p.png", 0);
        assert_eq!(look(), Stored::Fresh);
        write(&root.join("ext/p.png"), 1000);
        assert_eq!(look(), Stored::NoSource);
    }

    #[test]
    fn a_derivative_is_not_made_from_another_pictures() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        write(&root.join("g/p-me-me.jpg"), 1000);
        write(&root.join("g/p-th-me.jpg"), 1000);
        write(&root.join("a-me/q-me.jpg"), 1000);
        let sizes = ["th", "me", "xx"].map(str::to_owned);
        for (derivative, expected) in [
            ("g/p-th-th.jpg", Some("g/p-me-me.jpg")),
            ("a-th/q-th.jpg", Some("a-me/q-me.jpg")),
            ("g/q-th-th.jpg", None),
            ("g/p-th.jpg", None),
            ("g/the-p-th.jpg", None),
        ] {
            let found = strange_source(root, derivative, "th", &sizes);
            assert_eq!(found, expected.map(|path| root.join(path)), "{derivative}");
        }
    }
}
