//! Caddy: finds error pages, and blocks that rewrite the URL and send files before any line of the printed
//! file applies.

use std::path::Path;

use super::blocks::{Blocks, Directive};
use super::{FoundLine, Place};

/// Reads a Caddyfile. A directive is one line, and a block opens at the end of a line.
fn parse(text: &str) -> Blocks {
    let mut blocks = Blocks::default();
    for line in text.lines().map(str::trim) {
        let opens = line == "{" || line.ends_with(" {");
        let words = line.trim_end_matches('{').split_whitespace();
        let words: Vec<String> = words.map(|word| word.trim_matches(['"', '`']).to_owned()).collect();
        if line == "}" {
            blocks.leave();
        } else if opens || !words.is_empty() {
            let index = blocks.push(words);
            if opens {
                blocks.enter(index);
            }
        }
    }
    blocks
}

pub(super) fn examine(text: &str, place: &Place<'_>) -> FoundLine {
    let blocks = parse(text);
    let is_printed = |line: &Directive| {
        line.name() == "@piwigo_gate" || line.name() == "import" && line.text().contains("piwigo-gate")
    };
    let known = blocks.iter().any(|(_, line)| is_printed(line));
    let mut found = FoundLine { known, ..FoundLine::default() };
    if known {
        let site = Site { blocks: &blocks, place };
        for (index, directive) in blocks.iter() {
            found.open.extend(site.second_address(index, directive));
            found.open.extend(site.error_pages(index, directive));
        }
    }
    found
}

struct Site<'a> {
    blocks: &'a Blocks,
    place: &'a Place<'a>,
}

impl Site<'_> {
    /// The directory whose files a `file_server` in the block at `index` sends, and whether the block
    /// itself names it. A Caddyfile with a single site may name it without braces.
    fn root(&self, index: usize) -> Option<(&Path, bool)> {
        let is_for_all = |line: &&Directive| {
            line.name() == "root" && matches!(line.values(), [_] | [_, _]) && !line.text().contains('@')
        };
        let around = self.blocks.around(index).map(|(block, _)| Some(block));
        let mut all = std::iter::once(Some(index)).chain(around).chain([None]);
        let (block, line) =
            all.find_map(|block| Some((block, self.blocks.children(block).find(is_for_all)?)))?;
        Some((Path::new(line.values().last()?.trim_end_matches('/')), block == Some(index)))
    }

    /// The directive in the block at `index` that sends files of the gallery, unless the line `hide`
    /// prevents that.
    fn sender(&self, index: usize) -> Option<&str> {
        let hides = self
            .blocks
            .inside(index)
            .any(|line| line.name() == "hide" && line.text().contains(&*self.place.guarded.data));
        let sends =
            |line: &&Directive| line.name() == "php_fastcgi" || line.name() == "file_server" && !hides;
        self.blocks.inside(index).find(sends).map(Directive::name)
    }

    /// A block that removes a part of the URL and then sends files of the gallery.
    fn second_address(&self, index: usize, directive: &Directive) -> Option<String> {
        let takes_off = |line: &Directive| match line.values() {
            [what, url] if line.name() == "uri" && what == "strip_prefix" => Some(url.clone()),
            _ => None,
        };
        let url = match directive.name() {
            "handle_path" => directive.values().first()?.trim_end_matches('*').to_owned(),
            "handle" | "route" => self.blocks.children(Some(index)).find_map(takes_off)?,
            _ => return None,
        };
        let second = self.place.second_url(&url, self.root(index)?.0)?;
        let sender = self.sender(index)?;
        Some(format!("{} {{ {sender} }} ({second}/…)", directive.text()))
    }

    /// `handle_errors` gets the URL that the visitor sent. With the gallery's directory it would send every
    /// file while the gate does not answer, so the printed file of the kind `caddy` names another directory
    /// for guarded URLs.
    fn error_pages(&self, index: usize, directive: &Directive) -> Option<String> {
        if directive.name() != "handle_errors" {
            return None;
        }
        let has_own = self.blocks.iter().any(|(_, line)| {
            line.words.first().is_some_and(|name| name == "root") && line.text().contains("@piwigo_gate ")
        });
        let (root, is_named_here) = self.root(index)?;
        let sender = self.sender(index)?;
        let is_open = self.place.leads_there(root) && (is_named_here || !has_own);
        is_open.then(|| {
            format!("handle_errors {{ {sender} }} with the gallery's directory, while the gate is away")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ROOT, found, printed};
    use super::*;

    #[test]
    fn blocks_of_a_site() {
        let hide = "file_server {\nhide *.toml /var/www/piwigo/upload /var/www/piwigo/_data\n}";
        for (kind, errors) in [("caddy", ""), ("caddy-forward-auth", "o")] {
            let file = printed(kind, "");
            for (own, signs) in [
                (String::new(), ""),
                ("handle_path /x/* {\nfile_server\n}".to_owned(), "o"),
                (format!("handle_path /x/* {{\n{hide}\n}}"), ""),
                (format!("handle_path /x/* {{\nphp_fastcgi unix//run/x\n{hide}\n}}"), "o"),
                ("handle_path /x/* {\nroot * /srv\nfile_server\n}".to_owned(), ""),
                ("handle_path /x/* {\nrespond 404\n}".to_owned(), ""),
                ("route /x/y/* {\nuri strip_prefix /x/y\nfile_server\n}".to_owned(), "o"),
                ("route /x/y/* {\nfile_server\n}".to_owned(), ""),
                ("uri strip_prefix /x".to_owned(), ""),
                ("handle_errors {\nfile_server\n}".to_owned(), errors),
                (format!("handle_errors {{\n{hide}\n}}"), ""),
                ("handle_errors {\nroot * /var/www/piwigo\nfile_server\n}".to_owned(), "o"),
                ("handle_errors {\nroot * /srv/errors\nfile_server\n}".to_owned(), ""),
                ("handle_errors {\nrespond \"sorry\"\n}".to_owned(), ""),
            ] {
                let text =
                    format!("photos.example.org {{\n{file}\nroot * \"/var/www/piwigo\"\n{own}\n{hide}\n}}");
                let (found, what) = found(examine, &text, Path::new(ROOT), "");
                assert!(found == signs, "{kind} {own}: {found} {what}");
            }
        }
    }
}
