//! Tries to get past a front end that chooses a server by the undecoded URL (`path_beg`, `paths`, a rule on
//! the raw address), with spellings of guarded names that such a rule does not know and that the server
//! behind it resolves. Each kind of private file is tried, because each is guarded by a line of its own.

use super::Tries;
use super::curl::Method;
use super::leak::Sample;

const ID: &str = "outside-split";

const REMEDY: &str = "a front end decides by the address as it was sent, and the server behind it resolves that: let everything go to \
                      the gate but named public folders (piwigo-gate config haproxy or nginx-front; docs/servers.md, \"Front ends \
                      that hold no files\"), or put the gate into the server that holds the files";

/// `uri` (a path below the gallery's, with or without a query) with an extra slash, with the segment `.`,
/// and with its first letter encoded.
fn spellings(prefix: &str, uri: &str) -> Vec<String> {
    let Some(path) = uri.strip_prefix('/') else { return Vec::new() };
    let encoded = path.bytes().next().filter(u8::is_ascii_graphic).map(|first| format!("%{first:02x}"));
    let mut targets = vec![format!("{prefix}//{path}"), format!("{prefix}/./{path}")];
    targets.extend(encoded.map(|first| format!("{prefix}/{first}{}", &path[1..])));
    targets
}

impl Tries<'_> {
    /// Tries a file of one kind. If its plain address already sends it, nothing guards it, which is another
    /// finding.
    pub(super) async fn split(&mut self, what: &str, sample: &Sample) {
        let prefix = self.visitor.base.prefix.clone();
        if !self.came.contains(&format!("{prefix}{}", sample.uri)) {
            self.ask_split(what, spellings(&prefix, &sample.uri), Some(sample)).await;
        }
    }

    /// Tries the same for the gallery's own path in the site, if it has one.
    pub(super) async fn split_prefix(&mut self, what: &str, sample: &Sample) {
        let prefix = self.visitor.base.prefix.clone();
        if !prefix.is_empty() && !self.came.contains(&format!("{prefix}{}", sample.uri)) {
            self.ask_split(what, spellings("", &format!("{prefix}{}", sample.uri)), Some(sample)).await;
        }
    }

    /// Tries Piwigo's script for resized pictures; `short` is the resized picture's path below their
    /// directory.
    pub(super) async fn split_i_php(&mut self, short: &str, sample: Option<&Sample>) {
        let prefix = self.visitor.base.prefix.clone();
        if !self.came.contains(&format!("{prefix}/i.php?{short}")) {
            let targets = spellings(&prefix, &format!("/i.php?{short}"));
            self.ask_split("a private picture by i.php, spelt for a front end,", targets, sample).await;
        }
    }

    async fn ask_split(&mut self, what: &str, targets: Vec<String>, sample: Option<&Sample>) {
        let targets: Vec<_> = targets.into_iter().map(|target| (Method::Get, target)).collect();
        self.must_not_come(ID, what, &targets, sample, REMEDY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_that_a_server_resolves() {
        for (prefix, uri, expected) in [
            ("", "/upload/a.jpg", ["//upload/a.jpg", "/./upload/a.jpg", "/%75pload/a.jpg"]),
            ("/p", "/_data/i/a.jpg", ["/p//_data/i/a.jpg", "/p/./_data/i/a.jpg", "/p/%5fdata/i/a.jpg"]),
            ("", "/i.php?/a", ["//i.php?/a", "/./i.php?/a", "/%69.php?/a"]),
            ("", "/.git/config", ["//.git/config", "/./.git/config", "/%2egit/config"]),
        ] {
            assert_eq!(spellings(prefix, uri), expected);
        }
        assert!(spellings("", "upload").is_empty());
    }
}
