//! Which parts of the site must be guarded: computed from the gallery's settings, and looked for in the text of a web
//! server's configuration.

use crate::target::Layout;

/// Directories and scripts that lead to pictures, relative to the gallery, without slashes at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guarded {
    /// Where originals are.
    pub(super) originals: Vec<String>,
    /// Where resized pictures are.
    pub(super) derivatives: String,
    /// What holds logs and templates, and must be closed.
    pub(super) data: String,
    /// Directories beside the gallery's own: `photos` for the site `../photos/`.
    pub(super) beside: Vec<String>,
    /// Sites that nobody can guard: on other machines, or absolute.
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
    /// By the gallery's settings and the table of its sites.
    pub(super) fn of(layout: &Layout, upload_dir: &str, sites: &[String]) -> Self {
        let bare = |directory: &str| directory.trim_matches('/').to_owned();
        let mut guarded = Guarded {
            originals: vec![bare(upload_dir)],
            derivatives: bare(&layout.derivative_dir),
            data: bare(&layout.data_dir),
            ..Guarded::default()
        };
        for site in ["./galleries/"].into_iter().chain(sites.iter().map(String::as_str)) {
            let list = match site.strip_prefix("../") {
                Some(beside) if !beside.starts_with("..") => (&mut guarded.beside, bare(beside)),
                None if !site.starts_with('/') && !site.contains("://") && !site.starts_with("..") => {
                    (&mut guarded.originals, bare(site.trim_start_matches("./")))
                }
                _ => (&mut guarded.elsewhere, site.to_owned()),
            };
            if !list.0.contains(&list.1) && !list.1.is_empty() {
                list.0.push(list.1);
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
        // Not action.php: Piwigo's own asks for rights, too.
        let scripts = ["i.php", "local/config"].map(str::to_owned);
        let mut names = self.directories();
        names.extend(self.beside.iter().cloned());
        names.extend(scripts);
        names.push(self.data.clone());
        names
    }

    /// Of these, what `text` never mentions outside of its comments.
    pub(super) fn missing_from(&self, text: &str) -> Vec<String> {
        // A comment begins a line or stands behind a blank; elsewhere `#` is part of an expression.
        let code = |line: &str| {
            let line = line.trim_start();
            if line.starts_with('#') {
                String::new()
            } else {
                line.split(" #").next().unwrap_or_default().to_owned()
            }
        };
        let text = text.lines().map(code).collect::<Vec<_>>().join("\n");
        // The ways in which regular expressions write a dot and a group.
        let text = text.replace("\\.", ".").replace("(?:", "(");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(derivatives: &str, data: &str) -> Layout {
        Layout {
            url_prefix: String::new(),
            derivative_dir: derivatives.into(),
            data_dir: data.into(),
            parent_sites: Vec::new(),
        }
    }

    #[test]
    fn prefixes_come_from_the_settings_and_the_sites() {
        let sites = ["./galleries/", "./more/", "../photos/", "http://else.example/g/", "/abs/", "../../up/"];
        let guarded = Guarded::of(&layout("d/i/", "d/"), "photos/", &sites.map(str::to_owned));
        assert_eq!(guarded.originals, ["photos", "galleries", "more"]);
        assert_eq!((guarded.derivatives.as_str(), guarded.data.as_str()), ("d/i", "d"));
        assert_eq!(guarded.beside, ["photos"]);
        assert_eq!(guarded.elsewhere, ["http://else.example/g/", "/abs/", "../../up/"]);
        assert_eq!(Guarded::of(&layout("_data/i/", "_data/"), "upload/", &[]), Guarded::default());
    }

    #[test]
    fn every_shipped_file_mentions_all_of_a_stock_gallery() {
        let shipped = [
            include_str!("../../nginx/piwigo-gate.conf"),
            include_str!("../../nginx/piwigo-gate-auth_request.conf"),
            include_str!("../../apache/piwigo-gate-xsendfile.conf"),
            include_str!("../../apache/htaccess"),
        ];
        for text in shipped {
            assert_eq!(Guarded::default().missing_from(text), [""; 0]);
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
