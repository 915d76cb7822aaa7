//! Tries to get files that no visitor needs: passwords, logs, lists of files.

use std::path::{Path, PathBuf};

use super::curl::Method;
use super::leak::Sample;
use super::samples::on_disk;
use super::{Tries, some, tries};

/// Files whose text no visitor needs, if they exist.
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

/// Most of them that are tried with the spellings that deceive a front end.
const SPLIT: usize = 2;

/// Most names below the data directory that are examined to find a file for a try.
const MAX_NAMES: usize = 5_000;

/// Most names by which the list of a directory is recognised.
const LISTED: usize = 50;

impl Tries<'_> {
    /// Runs all tries of this module.
    pub(super) async fn shut(&mut self) {
        let (prefix, root) = (self.visitor.base.prefix.clone(), self.known.root);
        let (mut texts, mut run) = (Vec::new(), Vec::new());
        let (mut tried, mut first) = (0, Vec::new());
        for path in SECRETS {
            let Some(sample) = on_disk(root, path) else { continue };
            if first.len() < SPLIT {
                first.push(sample.clone());
            }
            let target = format!("{prefix}{}", sample.uri);
            let Some(answer) = self.ask(Method::Get, &target, &[]).await else { continue };
            tried += 1;
            if sample.is_in(&answer.body) {
                self.came.insert(target.clone());
                texts.push(target);
            } else if let Some(target) = self.hidden_behind(&target, &sample).await {
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
        } else {
            self.findings.not_examined("outside-config", "no answer, or no such file");
        }
        for sample in &first {
            self.split("a file with settings, spelt for a front end,", sample).await;
        }
        self.data(&prefix).await;
        self.lists(&prefix).await;
    }

    /// The URL at which the server sends the file although its guard does not recognise it: with a suffix,
    /// or with odd bytes.
    async fn hidden_behind(&mut self, target: &str, sample: &Sample) -> Option<String> {
        let mut targets = tries::oddest(&self.visitor.base.prefix, &sample.uri);
        if Path::new(target).extension().is_some_and(|extension| extension == "toml") {
            // Caddy's file server; lighttpd, and PHP if it may read any file.
            targets.extend(["/.", "/x.php"].map(|behind| format!("{target}{behind}")));
        }
        for target in targets {
            let answer = self.ask(Method::Get, &target, &[]).await;
            if answer.is_some_and(|answer| sample.is_in(&answer.body)) {
                return Some(target);
            }
        }
        None
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
        let mut open = sample.is_in(&answer.body).then(|| target.clone());
        self.came.extend(open.clone());
        if open.is_none() {
            open = self.hidden_behind(&target, &sample).await;
        }
        self.split("a log or a compiled template, spelt for a front end,", &sample).await;
        if let Some(target) = open {
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
        } else {
            self.findings.not_examined("outside-listing", "no answer, or nothing to list");
        }
    }
}

/// A file below the data directory that is neither a resized picture nor a style sheet of the pages.
pub(super) fn find_data(root: &Path, data: &str, derivatives: &str) -> Option<Sample> {
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
                && path.extension().is_none_or(|extension| extension != "php")
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
