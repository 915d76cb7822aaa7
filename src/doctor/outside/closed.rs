//! Tries to get what a guest must not have: a private picture in all its forms, and what nobody needs from outside.

use std::path::{Path, PathBuf};

use super::curl::Method;
use super::leak::{Answer, Gist, Sample};
use super::samples::{Chooser, Closed, on_disk};
use super::{Tries, some, tries};
use crate::database::DatabaseError;

/// Files of which nobody needs the text, if they exist.
const SECRETS: [&str; 9] = [
    "local/config/gate.toml",
    "gate.toml",
    "local/config/database.inc.php",
    "local/config/config.inc.php",
    "gate.fcgi",
    ".htaccess",
    ".user.ini",
    ".git/config",
    "piwigo-gate",
];

/// Names below the data directory that are looked at to find a file for a try.
const MAX_NAMES: usize = 5_000;

/// Names of a directory by which a list of it is recognised.
const LISTED: usize = 50;

const GUARD: &str = "put the guard into the web server's configuration: the shipped file for your server, as its first lines; \
                     then give the configuration with --server-file to see what it lacks";

impl Tries<'_> {
    /// A private picture, its forms, and an open one.
    pub(super) async fn pictures(&mut self, chooser: &Chooser<'_>) -> Result<(), DatabaseError> {
        // Each directory is guarded by a line of its own.
        let mut all = Vec::new();
        for directory in &self.known.guarded.originals {
            all.extend(chooser.closed(&format!("{directory}/")).await?);
        }
        match all.split_first() {
            Some((closed, others)) => self.picture(closed, others).await,
            None => self.findings.warn(
                "outside-original",
                "not examined: there is no picture that a guest must not see",
                "make an album private, put a picture into it, and ask again",
            ),
        }
        let prefix = self.visitor.base.prefix.clone();
        if let Some((image, sample)) = chooser.representative().await? {
            let targets = [
                (Method::Get, format!("{prefix}{}", sample.uri)),
                (Method::Get, format!("{prefix}/action.php?id={image}&part=r")),
            ];
            self.must_not_come(
                "outside-representative",
                "the picture of a private film",
                &targets,
                Some(&sample),
                GUARD,
            )
            .await;
        }
        if let Some(sample) = chooser.format().await? {
            let targets = [(Method::Get, format!("{prefix}{}", sample.uri))];
            self.must_not_come(
                "outside-format",
                "a private photo's other format",
                &targets,
                Some(&sample),
                GUARD,
            )
            .await;
        }
        match chooser.open().await? {
            Some(sample) => self.open_picture(&sample).await,
            None => self.findings.advise(
                "outside-allowed",
                "not examined: there is no picture that a guest may see",
                "with one in a public album, caching and ranges can be examined too",
            ),
        }
        Ok(())
    }

    async fn picture(&mut self, closed: &Closed, others: &[Closed]) {
        let prefix = self.visitor.base.prefix.clone();
        let Closed { image, original, derivative, missing } = closed;
        let uri = &original.uri;
        let file = format!("{prefix}{uri}");
        let plain = [Method::Get, Method::Head, Method::Post].map(|method| (method, file.clone()));
        self.must_not_come("outside-original", "a private original", &plain, Some(original), GUARD).await;

        for other in others {
            let target = [(Method::Get, format!("{prefix}{}", other.original.uri))];
            self.must_not_come(
                "outside-original",
                "a private original",
                &target,
                Some(&other.original),
                GUARD,
            )
            .await;
        }

        let resized: Vec<_> = derivative.iter().map(|sample| &sample.uri).chain(missing).collect();
        let targets: Vec<_> = resized.iter().map(|uri| (Method::Get, format!("{prefix}{uri}"))).collect();
        if targets.is_empty() {
            self.findings.not_examined("outside-derivative", "that picture has no resized ones");
        } else {
            let what = "a private picture, resized,";
            self.must_not_come("outside-derivative", what, &targets, derivative.as_ref(), GUARD).await;
        }

        let directory = format!("/{}", self.known.guarded.derivatives);
        let shorts: Vec<&str> = resized.iter().filter_map(|uri| uri.strip_prefix(&*directory)).collect();
        let targets: Vec<_> = match shorts.split_first() {
            Some((first, others)) => {
                let more = others.iter().map(|short| format!("{prefix}/i.php?{short}"));
                tries::i_php(&prefix, first)
                    .into_iter()
                    .chain(more)
                    .map(|target| (Method::Get, target))
                    .collect()
            }
            None => Vec::new(),
        };
        if !targets.is_empty() {
            let remedy = "guard i.php (and /i, where $conf['php_extension_in_urls'] is false) as the shipped files do: it asks \
                          nobody for rights";
            self.must_not_come(
                "outside-i-php",
                "a private picture by i.php",
                &targets,
                derivative.as_ref(),
                remedy,
            )
            .await;
        }

        let actions = ["part=e", "part=e&download"]
            .map(|part| (Method::Get, format!("{prefix}/action.php?id={image}&{part}")));
        self.must_not_come(
            "outside-action-php",
            "a private original by action.php",
            &actions,
            Some(original),
            GUARD,
        )
        .await;

        let get = |targets: Vec<String>| {
            targets.into_iter().map(|target| (Method::Get, target)).collect::<Vec<_>>()
        };
        let spellings = get(tries::spellings(&prefix, uri, &self.known.guarded.data));
        self.must_not_come(
            "outside-spellings",
            "a private original, spelt otherwise,",
            &spellings,
            Some(original),
            "guard by the normalised path (a location, not a rule on the raw address), and refuse other spellings as the \
             shipped files do (\"spelt otherwise\")",
        )
        .await;
        let internals = get(tries::internals(&prefix, uri, shorts.first().copied()));
        self.must_not_come(
            "outside-internal",
            "a private original by the server's own inside",
            &internals,
            Some(original),
            "the locations below /_gate must be internal (nginx: internal;), and gate.fcgi must not be called by visitors",
        )
        .await;
        let links = get(tries::privacy(&prefix, *image, uri));
        self.must_not_come(
            "outside-privacy-links",
            "a private original by links of piwigo-privacy",
            &links,
            Some(original),
            GUARD,
        )
        .await;
        self.same_refusals(closed).await;
    }

    /// Whether what is denied looks like what does not exist.
    async fn same_refusals(&mut self, closed: &Closed) {
        const UNKNOWN: u32 = u32::MAX;
        let prefix = self.visitor.base.prefix.clone();
        let unknown = |uri: &str| {
            let (stem, extension) = uri.rsplit_once('.').unwrap_or((uri, "jpg"));
            format!("{stem}0.{extension}")
        };
        let mut pairs = vec![
            (
                format!("{prefix}{}", closed.original.uri),
                format!("{prefix}{}", unknown(&closed.original.uri)),
            ),
            (
                format!("{prefix}/action.php?id={}&part=e", closed.image),
                format!("{prefix}/action.php?id={UNKNOWN}&part=e"),
            ),
        ];
        if let Some(derivative) = &closed.derivative {
            // Of a photo that is none, in the same size.
            if let Some((stem, token)) = derivative.uri.rsplit_once('-') {
                pairs.push((format!("{prefix}{}", derivative.uri), format!("{prefix}{stem}0-{token}")));
            }
        }
        let (mut different, mut kept, mut seen) = (Vec::new(), Vec::new(), 0);
        for (denied, unknown) in pairs {
            let Some(denied_answer) = self.ask(Method::Get, &denied, &[]).await else { continue };
            let Some(unknown_answer) = self.ask(Method::Get, &unknown, &[]).await else { continue };
            let sample = Some(&closed.original);
            if [&denied_answer, &unknown_answer].iter().any(|answer| answer.gist(sample) != Gist::Closed) {
                continue;
            }
            seen += 1;
            if face(&denied_answer) != face(&unknown_answer) {
                different.push(format!(
                    "{denied} ({}) and {unknown} ({})",
                    denied_answer.status, unknown_answer.status
                ));
            }
            if may_be_kept(&denied_answer) {
                kept.push(denied);
            }
        }
        if !different.is_empty() {
            self.findings.problem(
                "outside-refusals",
                format!("what is denied looks different from what does not exist: {}", some(&different)),
                "let the gate answer for every file of the guarded directories, and no try_files or error_page of the server's \
                 own before it",
            );
        }
        if !kept.is_empty() {
            self.findings.problem(
                "outside-refusals",
                format!("a refusal may be kept by caches: {}", some(&kept)),
                "take expires and Cache-Control of the server's own out of the guarded locations",
            );
        }
        if different.is_empty() && kept.is_empty() && seen > 0 {
            self.findings.ok("outside-refusals", "denied and unknown look the same, and no cache keeps it");
        }
    }

    /// What nobody needs from outside, whatever album it belongs to.
    pub(super) async fn shut(&mut self) {
        let (prefix, root) = (self.visitor.base.prefix.clone(), self.known.root);
        let (mut texts, mut run) = (Vec::new(), Vec::new());
        let mut tried = 0;
        for path in SECRETS {
            let Some(sample) = on_disk(root, path) else { continue };
            let target = format!("{prefix}{}", sample.uri);
            let Some(answer) = self.ask(Method::Get, &target, &[]).await else { continue };
            tried += 1;
            if sample.is_in(&answer.body) {
                texts.push(target);
            } else if path.starts_with("local/config") && answer.status == 200 {
                run.push(target);
            }
        }
        if !texts.is_empty() {
            self.findings.problem(
                "outside-config",
                format!("everybody can read {}", some(&texts)),
                "close local/config, *.toml and dot files as the shipped server files do, and change the passwords in them: \
                 they are known",
            );
        } else if !run.is_empty() {
            self.findings.warn(
                "outside-config",
                format!("local/config is open, and only PHP hides what is in it: {}", some(&run)),
                "close local/config as the shipped server files do",
            );
        } else if tried > 0 {
            self.findings
                .ok("outside-config", format!("{tried} files with passwords and settings are closed"));
        }
        self.data(&prefix).await;
        self.lists(&prefix).await;
    }

    async fn data(&mut self, prefix: &str) {
        let guarded = self.known.guarded;
        let Some(sample) = find_data(self.known.root, &guarded.data, &guarded.derivatives) else {
            return self
                .findings
                .not_examined("outside-data", &format!("{} holds no file to try", guarded.data));
        };
        let target = format!("{prefix}{}", sample.uri);
        let Some(answer) = self.ask(Method::Get, &target, &[]).await else { return };
        if sample.is_in(&answer.body) {
            self.findings.problem(
                "outside-data",
                format!("everybody can read {target}: logs and compiled templates lie there"),
                format!("close {} but for combined/, as the shipped server files do", guarded.data),
            );
        } else {
            self.findings.ok("outside-data", format!("{} is closed", guarded.data));
        }
    }

    async fn lists(&mut self, prefix: &str) {
        let guarded = self.known.guarded;
        let (mut listed, mut tried) = (Vec::new(), 0);
        for directory in guarded.directories().iter().chain([&guarded.data]) {
            let names: Vec<String> = std::fs::read_dir(self.known.root.join(directory))
                .into_iter()
                .flatten()
                .flatten()
                .take(LISTED)
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| name.len() > 1)
                .collect();
            if names.is_empty() {
                continue;
            }
            let target = format!("{prefix}/{directory}/");
            let Some(answer) = self.ask(Method::Get, &target, &[]).await else { continue };
            tried += 1;
            if answer.lists(&names) {
                listed.push(target);
            }
        }
        if !listed.is_empty() {
            self.findings.problem(
                "outside-listing",
                format!("everybody can list {}", some(&listed)),
                "guard these directories; without a guard at least: autoindex off (nginx), Options -Indexes (Apache)",
            );
        } else if tried > 0 {
            self.findings.ok("outside-listing", "no guarded directory can be listed");
        }
    }
}

/// What of a refusal a visitor could tell it by.
fn face(answer: &Answer) -> (u16, &[u8], Option<&str>, String) {
    (answer.status, &answer.body, answer.header("content-type"), answer.joined("cache-control"))
}

/// Whether a cache may give this refusal to somebody who is allowed by then.
fn may_be_kept(answer: &Answer) -> bool {
    let says = |word| answer.says("cache-control", word);
    if says("no-store") {
        return false;
    }
    let lives = answer.joined("cache-control").contains("max-age") && !says("max-age=0")
        || answer.header("expires").is_some();
    // A 404 may be kept without a word, other refusals only if they say so.
    says("public") || lives && !says("no-cache") || answer.status == 404 && !says("no-cache")
}

/// A file below the data directory that is none of the resized pictures and none of the pages' own style sheets.
fn find_data(root: &Path, data: &str, derivatives: &str) -> Option<Sample> {
    let mut waiting = vec![PathBuf::from(data)];
    let mut names = 0;
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(root.join(&directory)).into_iter().flatten().flatten() {
            names += 1;
            if names > MAX_NAMES {
                return None;
            }
            let path = directory.join(entry.file_name());
            let Some(text) = path.to_str() else { continue };
            let is_open = text == derivatives || text == format!("{data}/combined");
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !is_open {
                waiting.push(path);
            } else if kind.is_file()
                && !text.ends_with(".php")
                && !text.ends_with("/index.htm")
                && let Some(sample) = on_disk(root, text)
            {
                return Some(sample);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_caches_may_keep() {
        let table = [
            (403, "cache-control", "no-store", false),
            (403, "x", "", false),
            (403, "cache-control", "max-age=600", true),
            (403, "cache-control", "public", true),
            (403, "cache-control", "private, no-cache, max-age=9", false),
            (403, "expires", "Thu, 31 Dec 2037 23:55:55 GMT", true),
            (404, "x", "", true),
            (404, "cache-control", "no-store", false),
        ];
        for (status, name, value, kept) in table {
            let answer = Answer { status, headers: vec![(name.into(), value.into())], body: Vec::new() };
            assert_eq!(may_be_kept(&answer), kept, "{status} {name}: {value}");
        }
    }

    #[test]
    fn a_log_is_found_and_no_resized_picture() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (path, text) in [
            ("_data/i/upload/a-th.jpg", "a picture"),
            ("_data/combined/a.css", "style"),
            ("_data/templates_c/x.tpl.php", "<?php"),
            ("_data/logs/index.htm", "Not allowed!"),
            ("_data/logs/empty.txt", ""),
        ] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        let find = || find_data(root, "_data", "_data/i").map(|sample| sample.uri);
        assert_eq!(find(), None);
        std::fs::write(root.join("_data/logs/log_2026.txt"), "SELECT").unwrap();
        assert_eq!(find().as_deref(), Some("/_data/logs/log_2026.txt"));
    }
}
