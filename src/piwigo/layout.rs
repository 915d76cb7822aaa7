//! Where a gallery is mounted and where its directories are. The code that reads a URL needs this.

use std::borrow::Cow;

use super::sizes::name::{self, Kind};

/// The part of a gallery's settings that the reading of a URI needs.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The URL prefix of the gallery: empty, or for example `/piwigo`.
    pub url_prefix: String,
    /// Piwigo's derivative directory with its trailing slash: `_data/i/`.
    pub derivative_dir: String,
    /// Piwigo's data directory with its trailing slash: `_data/`.
    pub data_dir: String,
    /// Directories beside the gallery's own, each with a trailing slash: `photos/` for the site `../photos/`
    /// (docs/spec/piwigo.md §4.5). Empty unless the setting `parent_sites` is on.
    pub parent_sites: Vec<String>,
}

impl Layout {
    /// Returns this layout, mounted at `url_prefix` unless it has a prefix of its own.
    pub fn mounted_at(&self, url_prefix: Option<&str>) -> Cow<'_, Self> {
        match url_prefix {
            Some(url_prefix) if self.url_prefix.is_empty() => {
                Cow::Owned(Layout { url_prefix: url_prefix.to_owned(), ..self.clone() })
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// The path, relative to the root, of the file `name` below the derivatives' directory.
    pub fn in_derivative_dir(&self, name: &str) -> String {
        format!("{}{name}", self.derivative_dir)
    }

    /// The path, relative to the root, of the derivative `kind` of `source`; `None` as for
    /// [`name::derivative_name`].
    pub fn derivative(&self, source: &str, kind: Kind) -> Option<String> {
        name::derivative_name(source, kind).map(|name| self.in_derivative_dir(&name))
    }

    /// Whether a path, relative to the root's parent, is in a directory of [`Layout::parent_sites`].
    pub fn is_in_parent_site(&self, path: &str) -> bool {
        self.parent_sites.iter().any(|site| path.starts_with(site))
    }

    /// Returns a URL path relative to the root's parent if it is in a directory of [`Layout::parent_sites`].
    /// Browsers turn Piwigo's link `/piwigo/../ext/p.png` into `/ext/p.png`.
    pub(crate) fn beside_the_root<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (above, _) = self.url_prefix.rsplit_once('/')?;
        let path = path.strip_prefix(above)?.strip_prefix('/')?;
        self.is_in_parent_site(path).then_some(path)
    }
}

/// Checks a URL prefix: empty, or a path such as `/piwigo`. Returns it without its trailing slash, or `None`
/// if it is no such path.
pub fn url_prefix(text: &str) -> Option<&str> {
    let trimmed = text.trim_end_matches('/');
    let segment = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.contains(|c: char| c.is_control() || matches!(c, '\\' | '?' | '#' | '%'))
    };
    match trimmed.strip_prefix('/') {
        None => trimmed.is_empty().then_some(trimmed),
        Some(path) => path.split('/').all(segment).then_some(trimmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_prefixes() {
        let table = [
            ("", Some("")),
            ("/", Some("")),
            ("/piwigo", Some("/piwigo")),
            ("/piwigo/", Some("/piwigo")),
            ("/a/b", Some("/a/b")),
            ("piwigo", None),
            ("/a//b", None),
            ("/../x", None),
            ("/a%20b", None),
            ("/a\r\nX: y", None),
        ];
        for (text, expected) in table {
            assert_eq!(url_prefix(text), expected, "{text:?}");
        }
    }
}
