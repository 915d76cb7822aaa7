//! Tries other URLs of the gallery's directory. The web server's configuration may lead to it by a path
//! that the printed file does not know, such as `Alias /other /var/www/piwigo`, `location /other/ { alias
//! …; }` or `handle_path /other/* { … }`.

use super::curl::Method;
use super::leak::Sample;
use super::shut::find_data;
use super::{Gist, Tries, some};
use crate::commands::doctor::prefixes::without_comments;

/// Most paths of the configuration that are tried.
const MAX_PATHS: usize = 12;

/// Most parts of such a path; the names of files and sockets have more.
const MAX_PARTS: usize = 2;

impl Tries<'_> {
    /// Reports whether the server sends a private original or a log below a path of its configuration, or
    /// the resized picture `derivative` by an `i.php` there. `short`: the path of a resized picture below
    /// the derivatives' directory.
    pub(super) async fn aliases(
        &mut self,
        original: &Sample,
        short: Option<&str>,
        derivative: Option<&Sample>,
    ) {
        let prefix = self.visitor.base.prefix.clone();
        let paths = paths_in(self.known.server_text, &prefix);
        if paths.is_empty() {
            return;
        }
        let mut prefixes = vec![""];
        prefixes.extend(Some(&*prefix).filter(|prefix| !prefix.is_empty()));
        let guarded = self.known.guarded;
        let log = find_data(self.known.root, &guarded.data, &guarded.derivatives);
        let mut open = Vec::new();
        for place in
            paths.iter().flat_map(|path| prefixes.iter().map(move |prefix| format!("{path}{prefix}")))
        {
            let file = format!("{place}{}", original.uri);
            let script = short.map(|short| format!("{place}/i.php?{short}"));
            let data = log.as_ref().map(|log| format!("{place}{}", log.uri));
            for (target, sample) in [(Some(file), Some(original)), (script, derivative), (data, log.as_ref())]
            {
                let Some(target) = target else { continue };
                let Some(answer) = self.ask(Method::Get, &target, &[]).await else { continue };
                if self.gist(&answer, sample) == Gist::Leak {
                    open.push(target);
                }
            }
        }
        if open.is_empty() {
            let what = format!("no private picture and no log comes below {}", some(&paths));
            self.findings.ok("outside-aliases", what);
        } else {
            self.findings.problem(
                "outside-aliases",
                format!("private files come to everybody by another address of the gallery: {}", some(&open)),
                "let nothing but the gallery's own address lead to its directory; with Apache, print the server's file anew: it locks the \
                 directory by its name as well",
            );
        }
    }
}

/// The URL paths in a web server's configuration, as far as they can be told from file names, without those
/// that the printed files guard.
fn paths_in(text: &str, prefix: &str) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    let text = without_comments(text);
    let words = text.split(|letter: char| letter.is_whitespace() || "\"'{}();,=".contains(letter));
    for word in words {
        let path = word.trim_start_matches(['^', '~']).trim_end_matches(['*', '$', '/']);
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let plain = |part: &&str| {
            let letters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte));
            letters && !part.is_empty()
        };
        let is_usable = path.starts_with('/')
            && (1..=MAX_PARTS).contains(&parts.len())
            && parts.iter().all(plain)
            && path != prefix
            && !SHIPPED.contains(&path.strip_prefix(prefix).unwrap_or(path));
        if is_usable && !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    paths.truncate(MAX_PATHS);
    paths
}

/// Paths in the printed files.
const SHIPPED: [&str; 15] = [
    "/upload",
    "/galleries",
    "/_data",
    "/_data/i",
    "/_data/combined",
    "/i",
    "/local/config",
    "/plugins/piwigo_privacy",
    "/_gate",
    "/_gate/ask",
    "/_gate/closed",
    "/_gate/derivative",
    "/_gate/file",
    "/_gate/parent",
    "/nonexistent",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_site_are_told_from_names_of_files() {
        let table: [(&str, &[&str]); 7] = [
            ("handle_path /x/* {\n    file_server\n}\nuri strip_prefix /y", &["/x", "/y"]),
            ("Alias /other /var/www/piwigo\n# Alias /not /here\n", &["/other"]),
            ("location ^~ /old/ { alias /var/www/piwigo/; }", &["/old"]),
            ("alias.url += ( \"/pics/\" => \"/var/www/piwigo/\" )", &["/pics"]),
            ("uri path_regexp ^/z/ /\nrewrite * /upload{path}", &["/z"]),
            ("import piwigo-gate.caddy\nroot * \"/var/www/piwigo\"\nphp_fastcgi unix//run/php/x.sock", &[]),
            ("/a /b /a /piwigo/ /piwigo/upload/* /a.html", &["/a", "/b"]),
        ];
        for (text, expected) in table {
            assert_eq!(paths_in(text, "/piwigo"), expected, "{text}");
        }
        let many = (0..99).map(|number| format!("/p{number}")).collect::<Vec<_>>().join(" ");
        assert_eq!(paths_in(&many, "").len(), MAX_PATHS);
    }

    #[test]
    fn a_shipped_file_has_no_path_that_leads_to_another_place() {
        for kind in ["caddy", "caddy-forward-auth"] {
            let kind = crate::commands::server_files::ServerFile::find(kind).unwrap();
            let text =
                crate::commands::server_files::print(kind, &crate::commands::server_files::Values::example())
                    .unwrap();
            assert_eq!(paths_in(&text, ""), [""; 0], "{}", kind.name);
        }
    }
}
