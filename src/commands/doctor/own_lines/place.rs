//! Says whether a URL or a directory in a web server's configuration leads to guarded or closed files.

use std::path::Path;

use crate::commands::doctor::prefixes::Guarded;

/// The gallery as the configuration names it.
pub(in crate::commands::doctor) struct Place<'a> {
    /// Its directory, with links resolved.
    pub(in crate::commands::doctor) root: &'a Path,
    /// Its URL path: empty, or `/piwigo`.
    pub(in crate::commands::doctor) prefix: &'a str,
    pub(in crate::commands::doctor) guarded: &'a Guarded,
}

impl Place<'_> {
    /// The guarded and the closed directories, relative to the gallery.
    pub(super) fn shut(&self) -> Vec<String> {
        let mut all = self.guarded.directories();
        all.extend([self.guarded.data.clone(), "local/config".to_owned()]);
        all
    }

    /// Whether the URL path `path` is inside of such a directory and is not the directory itself.
    pub(super) fn is_inside(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix(self.prefix).and_then(|path| path.strip_prefix('/')) else {
            return false;
        };
        let path = path.trim_end_matches('/');
        let shut = self.shut();
        let inside =
            |directory: &String| path.strip_prefix(&**directory).is_some_and(|rest| rest.starts_with('/'));
        let combined = format!("{}/combined", self.guarded.data);
        shut.iter().any(inside)
            && !shut.iter().any(|directory| directory == path)
            && !path.starts_with(&combined)
    }

    /// Whether a section for the URL path `path` applies to files in such a directory.
    pub(super) fn is_shut(&self, path: &str) -> bool {
        let path = format!("{}/", path.trim_end_matches('/'));
        self.is_inside(&path)
            || self.shut().iter().any(|shut| format!("{}/{shut}/", self.prefix).starts_with(&path))
    }

    /// Whether `directory` contains the gallery, is the gallery, or leads to a guarded or closed part of
    /// it.
    pub(super) fn leads_there(&self, directory: &Path) -> bool {
        let leads = |shut: &String| {
            let shut = self.root.join(shut);
            shut.starts_with(directory) || directory.starts_with(shut)
        };
        let is_open = directory.starts_with(self.root.join(&self.guarded.data).join("combined"));
        !is_open && self.shut().iter().any(leads)
    }

    /// The second URL path that the gallery, or a guarded or closed part of it, gets if the server shows
    /// `directory` at `url`.
    pub(super) fn second_url(&self, url: &str, directory: &Path) -> Option<String> {
        let url = url.trim_end_matches('/');
        if let Ok(below) = self.root.strip_prefix(directory) {
            let below = below.to_string_lossy();
            let slash = if below.is_empty() { "" } else { "/" };
            let found = format!("{url}{slash}{below}");
            return (found != self.prefix).then_some(found);
        }
        let part = directory.strip_prefix(self.root).ok()?.to_string_lossy().into_owned();
        (url != format!("{}/{part}", self.prefix) && self.leads_there(directory)).then(|| url.to_owned())
    }
}
