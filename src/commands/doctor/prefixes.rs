//! Computes from the gallery's settings which parts of the site must be guarded, and looks for them in a
//! web server's configuration.

use crate::commands::server_files::{self, Values};

/// Directories and scripts that lead to pictures, relative to the gallery, without slashes at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guarded {
    /// The directories of originals.
    pub(super) originals: Vec<String>,
    /// The directory of resized pictures.
    pub(super) derivatives: String,
    /// The data directory with logs and templates, which must be closed.
    pub(super) data: String,
    /// Directories beside the gallery's own: `photos` for the site `../photos/`.
    pub(super) beside: Vec<String>,
    /// Sites that no server file can guard: on other machines, or with absolute paths.
    pub(super) elsewhere: Vec<String>,
}

/// What a stock gallery has.
impl Default for Guarded {
    fn default() -> Self {
        Guarded {
            originals: vec!["upload".into(), "galleries".into()],
            derivatives: "_data/i".into(),
            data: "_data".into(),
            beside: Vec::new(),
            elsewhere: Vec::new(),
        }
    }
}

impl Guarded {
    /// What a printed server file guards, and the sites of the gallery that it does not guard.
    pub(super) fn of(values: &Values, sites: &[String]) -> Self {
        let mut guarded = Guarded {
            originals: values.originals.clone(),
            derivatives: values.derivatives.clone(),
            data: values.data.clone(),
            beside: Vec::new(),
            elsewhere: Vec::new(),
        };
        for site in sites {
            match site.strip_prefix("../") {
                Some(beside) if !beside.starts_with("..") => {
                    guarded.beside.push(beside.trim_matches('/').to_owned());
                }
                None if server_files::below_the_root(site).is_some() => {}
                _ => guarded.elsewhere.push(site.clone()),
            }
        }
        guarded
    }

    /// Directories below the gallery whose files the gate decides about.
    pub(super) fn directories(&self) -> Vec<String> {
        self.originals.iter().chain([&self.derivatives]).cloned().collect()
    }

    /// What a server's configuration must mention.
    fn mentioned(&self) -> Vec<String> {
        // Not action.php: Piwigo's own script checks rights, too.
        let scripts = ["i.php", "local/config"].map(str::to_owned);
        let mut names = self.directories();
        names.extend(self.beside.iter().cloned());
        names.extend(scripts);
        names.push(self.data.clone());
        names
    }

    /// The parts of [`Guarded::mentioned`] that `text` never mentions outside of its comments.
    pub(super) fn missing_from(&self, text: &str) -> Vec<String> {
        let text = without_comments(text);
        // Undo the ways in which the printed regular expressions write a dot, a group, and a name's end
        // that some disks ignore.
        let text = text.replace("[.\\x20]*", "").replace("\\.", ".").replace("[.]", ".").replace("(?:", "(");
        let is_mentioned = |name: &String| {
            text.contains(name.as_str())
                || name.strip_suffix(".php").is_some_and(|stem| {
                    let forms = [format!("{stem}(.php)"), format!("({stem}|"), format!("|{stem})")];
                    forms.iter().any(|form| text.contains(form.as_str()))
                })
        };
        self.mentioned().into_iter().filter(|name| !is_mentioned(name)).collect()
    }
}

/// The configuration without its comments.
pub(super) fn without_comments(text: &str) -> String {
    // A comment is at the beginning of a line or follows a blank; elsewhere `#` is part of an expression.
    let code = |line: &str| {
        let line = line.trim_start();
        if line.starts_with('#') {
            String::new()
        } else {
            line.split(" #").next().unwrap_or_default().to_owned()
        }
    };
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_guarded_beside_or_elsewhere() {
        let sites =
            ["./galleries/", "more/", "../photos/", "http://else.example/g/", "/abs/", "../../up/", "./.x/"];
        let guarded = Guarded::of(&Values::example(), &sites.map(str::to_owned));
        assert_eq!(guarded.beside, ["photos"]);
        assert_eq!(guarded.elsewhere, ["http://else.example/g/", "/abs/", "../../up/", "./.x/"]);
        assert_eq!(Guarded::of(&Values::example(), &[]), Guarded::default());
    }

    #[test]
    fn every_shipped_file_mentions_all_of_a_stock_gallery() {
        let parts =
            ["nginx-auth-cache-path", "htaccess-guarded-dir", "haproxy-files", "fail2ban", "fail2ban-jail"];
        for kind in server_files::KINDS {
            if parts.contains(&kind.name) || kind.name.starts_with("systemd") {
                continue;
            }
            let values = Values { gate: kind.example_gate(), ..Values::example() };
            let text = server_files::print(kind, &values).unwrap();
            assert_eq!(Guarded::default().missing_from(&text), [""; 0], "{}", kind.name);
        }
    }

    #[test]
    fn what_is_not_mentioned_is_named() {
        let table: [(&str, &[&str]); 3] = [
            (
                "location ^~ /upload { }  # and galleries\nlocation ~ ^/(i|action)\\.php { }\n\
                 location ^~ /_data { }\n  #location /local/config { }\n",
                &["galleries", "_data/i", "local/config"],
            ),
            ("<If \"m#^/(?:upload|galleries|_data/i)/# && m#^/i(?:\\.php)?#\">", &["local/config"]),
            ("", &["upload", "galleries", "_data/i", "i.php", "local/config", "_data"]),
        ];
        for (text, missing) in table {
            assert_eq!(Guarded::default().missing_from(text), missing, "{text}");
        }
    }
}
