//! Apache: finds sections that apply after the printed ones, and other URLs of the gallery's directory.
//!
//! Apache merges `<Directory>`, `<Files>` and `<Location>` in this order, each kind in the order of the
//! file, and then the `<If>` sections in the same order. The printed files therefore lock with `<If>`, and
//! only an `<If>` in a later `<Location>` undoes that.

use std::path::Path;

use super::blocks::{Blocks, Directive};
use super::undoes::sets_handler;
use super::{FoundLine, Place};

/// Reads directives and sections. The name of a section begins with `<`; all names are in lower case.
fn parse(text: &str) -> Blocks {
    let mut blocks = Blocks::default();
    for line in text.replace("\\\n", " ").lines().map(str::trim) {
        let section = line.strip_prefix('<');
        if section.is_some_and(|rest| rest.starts_with('/')) {
            blocks.leave();
            continue;
        }
        let mut words = words(section.map_or(line, |rest| rest.trim_end().trim_end_matches('>')));
        let Some(name) = words.first_mut() else { continue };
        *name = format!("{}{}", if section.is_some() { "<" } else { "" }, name.to_ascii_lowercase());
        let index = blocks.push(words);
        if section.is_some() {
            blocks.enter(index);
        }
    }
    blocks
}

/// The words of a line. A word that begins with a quote ends at the next one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = rest.strip_prefix(first).filter(|_| matches!(first, '"' | '\''));
        let (word, behind) = match quoted {
            Some(inner) => inner.split_once(first).unwrap_or((inner, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

pub(super) fn examine(text: &str, place: &Place<'_>) -> FoundLine {
    let blocks = parse(text);
    let site = Site::new(&blocks, place);
    let mut found = FoundLine { known: site.is_known(), ..FoundLine::default() };
    if !found.known {
        return found;
    }
    found.old = site.missing_locks();
    let mut urls = Vec::new();
    for (_, directive) in blocks.iter() {
        let Some((url, directory)) = alias(directive) else { continue };
        let (second, by_link) = site.leads_to(&url, &directory);
        let Some(second) = second else { continue };
        let line = format!("{} ({second}/…)", shown(directive));
        if by_link {
            found.open.push(format!("{line}, which leads through a link"));
        } else if !site.has_all_directories() {
            found.open.push(line);
        }
        urls.push(second);
    }
    for (index, directive) in blocks.iter() {
        match site.undoes(index, directive, &urls) {
            Some(true) => found.open.push(shown(directive)),
            Some(false) => found.doubtful.push(shown(directive)),
            None => {}
        }
        found.open.extend(site.host_without_the_gate(index, directive));
    }
    found
}

/// A directive, written as in the file.
fn shown(directive: &Directive) -> String {
    const NAMES: [&str; 13] = [
        "<Location",
        "<LocationMatch",
        "<Directory",
        "<DirectoryMatch",
        "<Files",
        "<FilesMatch",
        "<VirtualHost",
        "Alias",
        "AliasMatch",
        "ScriptAlias",
        "ScriptAliasMatch",
        "UserDir",
        "DocumentRoot",
    ];
    let name = NAMES.iter().find(|name| name.eq_ignore_ascii_case(directive.name())).copied();
    let end = if directive.name().starts_with('<') { ">" } else { "" };
    format!("{} {}{end}", name.unwrap_or(directive.name()), directive.values().join(" "))
}

/// The URL and the directory of a directive that shows a directory.
fn alias(directive: &Directive) -> Option<(String, String)> {
    // The literal text at the beginning of an expression or a path.
    let literal = |text: &str| {
        text.trim_start_matches('^')
            .split(['(', '[', '.', '$', '*', '?', '\\'])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    match (directive.name(), directive.values()) {
        ("alias" | "scriptalias", [url, path]) => Some((url.clone(), path.clone())),
        ("documentroot", [path]) => Some((String::new(), path.clone())),
        ("aliasmatch" | "scriptaliasmatch", [expression, path]) => {
            Some((literal(expression), path.split('$').next().unwrap_or_default().to_owned()))
        }
        ("userdir", [path]) if path.starts_with('/') && !path.contains('*') => {
            Some(("/~".to_owned(), path.clone()))
        }
        _ => None,
    }
}

/// How Apache asks the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a handler: the gate answers.
    Handler,
    /// `FcgidAccessChecker`: Apache asks the gate, independent of `Require`, and sends the file itself.
    AccessChecker,
    /// `AuthnzFcgiCheckAuthnProvider`: `Require valid-user` makes Apache ask the gate.
    Authnz,
}

/// The configuration of a site that has the gate's file.
pub(super) struct Site<'a> {
    pub(super) blocks: &'a Blocks,
    pub(super) place: &'a Place<'a>,
    /// Indexes of the directives that make Apache ask the gate for a URL.
    pub(super) guards: Vec<usize>,
    pub(super) way: Way,
    /// The handlers are also set by rewrite rules.
    pub(super) has_rules: bool,
}

impl<'a> Site<'a> {
    fn new(blocks: &'a Blocks, place: &'a Place<'a>) -> Self {
        let has = |name: &str| blocks.iter().any(|(_, line)| line.name() == name);
        let way = match () {
            () if has("fcgidaccesschecker") => Way::AccessChecker,
            () if has("authnzfcgicheckauthnprovider") => Way::Authnz,
            () => Way::Handler,
        };
        let is_of_pictures = |block: &Directive| {
            block.name() == "<locationmatch" && block.text().contains(&*place.guarded.derivatives)
        };
        let by_url = |index: usize| blocks.around(index).any(|(_, block)| is_of_pictures(block));
        let is_guard = |directive: &Directive| match directive.name() {
            "fcgidaccesschecker" | "authnzfcgicheckauthnprovider" => true,
            "sethandler" => directive.values().first().is_some_and(|handler| is_gate(handler)),
            _ => false,
        };
        let guards =
            blocks.iter().filter(|(index, line)| is_guard(line) && by_url(*index)).map(|(index, _)| index);
        Site {
            blocks,
            place,
            guards: guards.collect(),
            way,
            has_rules: blocks.iter().any(|(_, line)| {
                line.name() == "rewriterule" && line.text().contains("[H=") && !sets_handler(line)
            }),
        }
    }

    fn is_known(&self) -> bool {
        let includes = |(_, line): (usize, &Directive)| {
            line.name().starts_with("include") && line.text().contains("piwigo-gate")
        };
        !self.guards.is_empty() || self.blocks.iter().any(includes)
    }

    /// Whether the printed file's handlers apply after every handler that is outside of an `<If>`.
    pub(super) fn has_last_word(&self) -> bool {
        self.guards.iter().all(|index| self.is_in_if(*index))
    }

    pub(super) fn is_in_if(&self, index: usize) -> bool {
        self.blocks.around(index).any(|(_, block)| matches!(block.name(), "<if" | "<elseif" | "<else"))
    }

    /// Whether the gallery's directories are locked by their paths, and not only by their URLs.
    fn has_all_directories(&self) -> bool {
        let has = |shut: String| {
            let path = self.place.root.join(shut);
            let is_it = |line: &Directive| {
                line.name() == "<directory" && line.values().first().is_some_and(|own| Path::new(own) == path)
            };
            self.blocks.iter().any(|(_, line)| is_it(line))
        };
        self.place.shut().into_iter().all(has)
    }

    /// Locks of the printed file that are missing.
    fn missing_locks(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.guards.is_empty() {
            return missing;
        }
        if !self.has_last_word() {
            missing.push("handlers that stand in no <If>".to_owned());
        }
        if !self.has_all_directories() {
            missing.push(format!(
                "no <Directory \"{}/…\"> for each closed directory",
                self.place.root.display()
            ));
        }
        missing
    }

    /// The second URL path that an alias gives the gallery, and whether a symbolic link leads there. Then
    /// the sections for directories do not apply.
    fn leads_to(&self, url: &str, directory: &str) -> (Option<String>, bool) {
        let path = Path::new(directory.trim_end_matches('/'));
        if let Some(second) = self.place.second_url(url, path) {
            return (Some(second), false);
        }
        let real = path.canonicalize().ok().filter(|real| real != path);
        (real.and_then(|real| self.place.second_url(url, &real)), true)
    }

    /// A `<VirtualHost>` that shows the gallery's directory without the printed file, if another
    /// `<VirtualHost>` contains that file.
    fn host_without_the_gate(&self, index: usize, directive: &Directive) -> Option<String> {
        let is_host = |line: &Directive| line.name() == "<virtualhost";
        let in_hosts = |guard: &usize| self.blocks.around(*guard).any(|(_, block)| is_host(block));
        if !is_host(directive) || self.guards.is_empty() || !self.guards.iter().all(in_hosts) {
            return None;
        }
        let is_guarded =
            self.guards.iter().any(|guard| self.blocks.around(*guard).any(|(block, _)| block == index));
        let mut inside = self.blocks.inside(index);
        let leads_elsewhere = |line: &Directive| {
            line.name().starts_with("include")
                || matches!(line.name(), "redirect" | "redirectmatch" | "rewriterule")
        };
        if is_guarded || self.blocks.inside(index).any(leads_elsewhere) {
            return None;
        }
        let shows = inside.find_map(|line| {
            let (_, path) = alias(line)?;
            let path = Path::new(path.trim_end_matches('/'));
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            (self.place.leads_there(path) || self.place.leads_there(&real)).then(|| line.values().join(" "))
        })?;
        Some(format!("{}, which shows {shows} without the gate's file", shown(directive)))
    }
}

/// Whether a handler leads to the gate.
pub(super) fn is_gate(handler: &str) -> bool {
    handler.contains("piwigo-gate") || handler.starts_with("proxy:fcgi://")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ROOT, found, printed};
    use super::*;

    const KINDS: [&str; 4] = ["apache-xsendfile", "apache-proxy", "apache-access-checker", "apache-authnz"];

    #[test]
    fn other_urls_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap().join("piwigo");
        let link = root.with_file_name("link");
        std::fs::create_dir_all(root.join("upload")).unwrap();
        std::os::unix::fs::symlink(&root, &link).unwrap();
        let fill_in =
            |text: &str| text.replace(ROOT, root.to_str().unwrap()).replace("LINK", link.to_str().unwrap());
        for kind in KINDS {
            let file = fill_in(&printed(kind, ""));
            for (own, signs, words) in [
                ("", "", ""),
                ("Alias /other /var/www/piwigo", "", ""),
                ("ScriptAlias /other /var/www/piwigo/upload", "", ""),
                ("DocumentRoot /var/www/piwigo", "", ""),
                ("DocumentRoot LINK", "", ""),
                ("Alias /other LINK", "o", "Alias /other "),
                ("Alias \"/pics/\" \"LINK/upload/\"", "o", "(/pics/…)"),
                ("AliasMatch ^/m(/.*)$ LINK$1", "o", "(/m/…)"),
                ("DocumentRoot LINK/upload", "o", "through a link"),
                ("Alias /x LINK/nothing", "", ""),
                (
                    "<LocationMatch \"\\.php$\">\nSetHandler proxy:fcgi://127.0.0.1:9000\n</LocationMatch>",
                    "",
                    "",
                ),
            ] {
                let (found, what) = found(examine, &format!("{file}\n{}", fill_in(own)), &root, "");
                let is_named = signs.is_empty() || what.contains(words);
                assert!(found == signs && is_named, "{kind} {own}: {found} {what}");
            }
        }
    }

    #[test]
    fn locks_that_are_missing() {
        let handler =
            "<Location /upload>\nSetHandler default-handler\nRequire all granted\nSatisfy Any\n</Location>\n";
        let alias = "Alias /other /var/www/piwigo\n";
        for kind in KINDS {
            let file = printed(kind, "");
            let no_directory = file.replace("<Directory \"/var/www/piwigo/_data\">", "<Directory /nowhere>");
            let plain: String = file
                .lines()
                .filter(|line| {
                    !line.contains("<If ") && !line.contains("</If>") && !line.contains("RewriteRule ^ - ")
                })
                .fold(String::new(), |text, line| text + line + "\n");
            for (text, own, signs) in [
                (&no_directory, "", "-"),
                (&no_directory, alias, "-o"),
                (&no_directory, handler, "-"),
                (&plain, "", "-"),
                (&plain, handler, "-o"),
                (&plain, "<Location /admin>\nSetHandler x\n</Location>", "-"),
            ] {
                let (found, what) = found(examine, &format!("{text}\n{own}"), Path::new(ROOT), "");
                assert!(found == signs, "{kind} {own}: {found} {what}");
            }
        }
    }

    #[test]
    fn a_second_host() {
        let file = printed("apache-xsendfile", "");
        for (second, signs) in [
            ("DocumentRoot \"/var/www/piwigo\"", "o"),
            ("DocumentRoot /srv\nAlias /p /var/www/piwigo/", "o"),
            ("DocumentRoot /var/www/piwigo\nRedirect permanent / https://x/", ""),
            ("DocumentRoot /var/www/piwigo\nInclude own.conf", ""),
            ("DocumentRoot /srv", ""),
        ] {
            let text = format!(
                "<VirtualHost *:443>\n{file}\n</VirtualHost>\n<VirtualHost *:80>\n{second}\n</VirtualHost>"
            );
            let (found, what) = found(examine, &text, Path::new(ROOT), "");
            assert!(found == signs, "{second}: {found} {what}");
        }
    }
}
