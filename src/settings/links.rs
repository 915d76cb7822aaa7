//! Turns the setting `symlinks`, a word or a list of directories, into the rule for the gallery's symbolic
//! links.

use std::path::{Path, PathBuf};

use super::SettingsError;
use crate::files::symlinks::Symlinks;

impl Symlinks {
    /// Reads the texts of the setting. The environment's one text may hold several directories: white space
    /// before a slash starts a new one, so a name may contain spaces.
    pub(super) fn resolve(texts: Option<&[String]>) -> Result<Self, SettingsError> {
        let texts: Vec<&str> = texts.unwrap_or_default().iter().flat_map(|text| split(text)).collect();
        match texts.as_slice() {
            [] | ["same-owner"] => Ok(Symlinks::SameOwner),
            ["inside"] => Ok(Symlinks::Inside),
            ["all"] => Ok(Symlinks::All),
            roots => roots.iter().map(|text| root(text)).collect::<Result<_, _>>().map(Symlinks::Roots),
        }
    }
}

fn split(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut before = None;
    for (at, character) in text.char_indices() {
        if character == '/' && before.is_some_and(char::is_whitespace) {
            starts.push(at);
        }
        before = Some(character);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| text[start..end].trim())
        .filter(|text| !text.is_empty())
        .collect()
}

fn root(text: &str) -> Result<PathBuf, SettingsError> {
    let wrong = |expected| SettingsError::Value { setting: "symlinks", value: text.to_owned(), expected };
    if !text.starts_with('/') {
        return Err(wrong(
            "same-owner, inside, all, or a list of absolute directories such as /mnt/nas/photos",
        ));
    }
    // The paths that are compared with it contain no links either.
    let path = Path::new(text);
    let path =
        path.canonicalize().map_err(|error| SettingsError::Unreadable { path: path.to_owned(), error })?;
    if path.parent().is_none() || !path.is_dir() {
        return Err(wrong("a directory below /; to follow every link, say all"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(texts: &[&str]) -> Result<Symlinks, SettingsError> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        Symlinks::resolve(Some(&texts))
    }

    #[test]
    fn a_word_or_a_list_of_directories() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        for name in ["nas", "a b"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        std::fs::write(base.join("file"), "").unwrap();
        std::os::unix::fs::symlink("nas", base.join("link")).unwrap();
        let at = |name: &str| base.join(name).to_str().unwrap().to_owned();
        let both = format!("{}\n {}", at("nas"), at("a b"));
        let roots =
            |names: &[&str]| Some(Symlinks::Roots(names.iter().map(|name| base.join(name)).collect()));
        let table: [(&[&str], Option<Symlinks>); 14] = [
            (&[], Some(Symlinks::SameOwner)),
            (&["same-owner"], Some(Symlinks::SameOwner)),
            (&["inside"], Some(Symlinks::Inside)),
            (&["all"], Some(Symlinks::All)),
            (&[&at("nas")], roots(&["nas"])),
            (&[&at("nas"), &at("a b")], roots(&["nas", "a b"])),
            (&[&both], roots(&["nas", "a b"])),
            (&[&at("link")], roots(&["nas"])),
            (&[&at("none")], None),
            (&[&at("file")], None),
            (&["/"], None),
            (&["nas"], None),
            (&["inside", &at("nas")], None),
            (&["inside", "all"], None),
        ];
        for (texts, expected) in table {
            assert_eq!(resolve(texts).ok(), expected, "{texts:?}");
        }
        assert_eq!(Symlinks::resolve(None).unwrap(), Symlinks::SameOwner);
    }
}
