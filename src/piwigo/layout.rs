//! Where a gallery is mounted and where its directories are: what the reading of a URL needs to know of it.

use std::borrow::Cow;

/// What the reading of a URI needs to know of the gallery.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Where the gallery is mounted: empty, or `/piwigo`.
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
    /// This layout, but mounted at `url_prefix` if it does not say itself where.
    pub fn mounted_at(&self, url_prefix: Option<&str>) -> Cow<'_, Self> {
        match url_prefix {
            Some(url_prefix) if self.url_prefix.is_empty() => {
                Cow::Owned(Layout { url_prefix: url_prefix.to_owned(), ..self.clone() })
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// Whether a path relative to the root's parent is in a directory that Piwigo synchronises.
    pub fn is_in_parent_site(&self, path: &str) -> bool {
        self.parent_sites.iter().any(|site| path.starts_with(site))
    }

    /// The path relative to the root's parent, of a URL's path that is in such a directory: browsers make
    /// `/ext/p.png` of Piwigo's `/piwigo/../ext/p.png`.
    pub(crate) fn beside_the_root<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (above, _) = self.url_prefix.rsplit_once('/')?;
        let path = path.strip_prefix(above)?.strip_prefix('/')?;
        self.is_in_parent_site(path).then_some(path)
    }
}

/// Where a gallery may be mounted: nothing, or a path such as `/piwigo`; a slash at its end is taken off.
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
