//! nginx: finds locations, directories and error pages that take precedence over the printed file or bypass
//! it.

use std::path::Path;

use super::blocks::{Blocks, Directive};
use super::{FoundLine, Place};

/// Errors that nginx answers before it has chosen a location. It uses the error pages of the `server`
/// block.
const EARLY_ERRORS: [&str; 7] = ["400", "421", "494", "495", "496", "497", "501"];

/// The variable with the file that the gate's answer allows (printed files: `auth_request_set`, `if`).
const GATES_WORD: &str = "$upstream_http_x_piwigo_gate_file";

/// The gate's own error page.
const AWAY: &str = "@piwigo_gate_away";

/// Reads words, `;` and blocks. From another server's configuration it makes blocks without a location.
fn parse(text: &str) -> Blocks {
    let mut blocks = Blocks::default();
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut quote, mut variable) = (None, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (_, '\\') => {
                word.push('\\');
                word.extend(letters.next());
            }
            (Some(end), letter) if letter == end => quote = None,
            (None, '"' | '\'') if word.is_empty() => quote = Some(letter),
            (None, '{') if word.ends_with('$') => {
                variable = true;
                word.push(letter);
            }
            (None, '}') if variable => {
                variable = false;
                word.push(letter);
            }
            (None, ';' | '{' | '}') => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                if letter == '{' {
                    let block = blocks.push(std::mem::take(&mut words));
                    blocks.enter(block);
                } else if !words.is_empty() {
                    blocks.push(std::mem::take(&mut words));
                }
                if letter == '}' {
                    blocks.leave();
                }
            }
            (None, letter) if letter.is_whitespace() => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            }
            (_, letter) => word.push(letter),
        }
    }
    blocks
}

/// The modifier and the path (or the name, or the expression) of a location.
fn location(directive: &Directive) -> Option<(&str, &str)> {
    match directive.words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["location", modifier, path] => Some((modifier, path)),
        ["location", path] => Some(("", path)),
        _ => None,
    }
}

/// A location that matches the beginning of a path.
fn path_location(directive: &Directive) -> Option<(&str, &str)> {
    location(directive).filter(|(modifier, path)| !modifier.starts_with('~') && path.starts_with('/'))
}

pub(super) fn examine(text: &str, place: &Place<'_>) -> FoundLine {
    let blocks = parse(text);
    let site = Site { blocks: &blocks, place };
    let mut found = FoundLine { known: site.is_guarded(None), ..FoundLine::default() };
    // A front end that only passes requests on has no location that leads to files.
    let is_front = |(_, directive): (usize, &Directive)| {
        location(directive).is_some_and(|(_, path)| path.starts_with("/_gate"))
    };
    let serves = blocks.iter().any(|(_, directive)| {
        path_location(directive).is_some_and(|(_, path)| path.starts_with("/_gate/file"))
    });
    found.known &= serves || !blocks.iter().any(is_front);
    if !found.known {
        return found;
    }
    for (index, directive) in blocks.iter() {
        found.old.extend(site.without_the_gates_word(index, directive));
        found.open.extend(site.second_url(index, directive));
        found.open.extend(site.site_without_the_gate(index, directive));
        if site.is_another_site(index) {
            continue;
        }
        found.refused.extend(site.twice(index, directive));
        found.open.extend(site.longer_path(index, directive));
        let error_pages =
            [site.early_error(index, directive), site.error_of_what_is_closed(index, directive)];
        for (certain, line) in error_pages.into_iter().flatten() {
            let list = if certain { &mut found.open } else { &mut found.doubtful };
            if !list.contains(&line) {
                list.push(line);
            }
        }
    }
    found
}

struct Site<'a> {
    blocks: &'a Blocks,
    place: &'a Place<'a>,
}

impl<'a> Site<'a> {
    /// Whether the block at `index` (`None`: any) contains or includes the gate's file.
    fn is_guarded(&self, index: Option<usize>) -> bool {
        let is_gates = |directive: &Directive| match directive.name() {
            "location" => path_location(directive).is_some_and(|(_, path)| path.starts_with("/_gate")),
            "include" => directive.values().iter().any(|path| path.contains("piwigo-gate")),
            _ => false,
        };
        match index {
            Some(index) => self.blocks.inside(index).any(is_gates),
            None => self.blocks.iter().any(|(_, directive)| is_gates(directive)),
        }
    }

    /// Whether the directive at `index` is in a `server { }` without the gate's file.
    fn is_another_site(&self, index: usize) -> bool {
        let mut around = self.blocks.around(index);
        around
            .find(|(_, block)| block.words == ["server"])
            .is_some_and(|(server, _)| !self.is_guarded(Some(server)))
    }

    /// A second location for the same path in one `server` block.
    fn twice(&self, index: usize, directive: &Directive) -> Option<String> {
        let same = |directive: &Directive| {
            path_location(directive).map(|(modifier, path)| (modifier == "=", path.to_owned()))
        };
        let own = same(directive)?;
        let (block, around) = self.blocks.around(index).next()?;
        let mut others = self.blocks.children(Some(block)).filter(|other| same(other).as_ref() == Some(&own));
        let is_first = others.next().is_some_and(|first| std::ptr::eq(first, directive));
        // Report the pair once.
        (around.words == ["server"] && is_first && others.next().is_some())
            .then(|| format!("location {}{}", if own.0 { "= " } else { "" }, own.1))
    }

    fn child(&self, index: usize, name: &str) -> Option<&'a Directive> {
        self.blocks.children(Some(index)).find(|directive| directive.name() == name)
    }

    /// The directives `name` that apply in the block at `index`: its own, or else those of the block around
    /// it.
    fn in_force(&self, index: usize, name: &str) -> Vec<&'a Directive> {
        let blocks = std::iter::once(Some(index))
            .chain(self.blocks.around(index).map(|(block, _)| Some(block)))
            .chain([None]);
        let mut all = blocks.map(|block| {
            self.blocks.children(block).filter(|directive| directive.name() == name).collect::<Vec<_>>()
        });
        all.find(|own| !own.is_empty()).unwrap_or_default()
    }

    /// An internal location of the printed file without the line that restricts it to the file that the
    /// gate has named. Only with that line can no part of a page, no rewrite rule and no header of another
    /// program lead there.
    fn without_the_gates_word(&self, index: usize, directive: &Directive) -> Option<String> {
        const INTERNAL: [&str; 4] = ["/_gate/file", "/_gate/derivative", "/_gate/parent", "/_gate/i.php"];
        let begins = |directive: &Directive| {
            path_location(directive)
                .is_some_and(|(_, path)| INTERNAL.iter().any(|begin| path.starts_with(begin)))
        };
        let is_internal = begins(directive)
            || location(directive).is_some_and(|(_, path)| path == "@piwigo_gate_make")
            || location(directive).is_some() && self.blocks.around(index).any(|(_, block)| begins(block));
        if !is_internal
            || self.child(index, "return").is_some_and(|_| {
                self.child(index, "try_files").is_none() && self.child(index, "if").is_none()
            })
        {
            return None;
        }
        let asks = !self.in_force(index, "auth_request").is_empty();
        let sets = |variable: &str| {
            let is_set = |line: &&Directive| matches!(line.values(), [name, value] if name == variable && value == GATES_WORD);
            variable == GATES_WORD
                || self.blocks.iter().any(|(_, line)| line.name() == "auth_request_set" && is_set(&line))
                || self.blocks.iter().any(|(_, line)| matches!(line.values(), [name, _] if line.name() == "set" && name == variable))
        };
        let is_locked = if asks {
            let first = self.child(index, "try_files").and_then(|line| line.values().first());
            first.is_some_and(|first| sets(first))
        } else {
            self.blocks
                .children(Some(index))
                .filter(|line| line.name() == "if")
                .any(|line| line.values().first().is_some_and(|word| sets(word.trim_start_matches('('))))
        };
        (!is_locked).then(|| {
            let parts = self.blocks.iter().any(|(_, line)| line.text() == "ssi on");
            let parts = if parts && asks { " (with `ssi on`, pages have its files as parts)" } else { "" };
            format!("{}{parts}", directive.text())
        })
    }

    /// A location that nginx prefers to a guarded one because its path is longer.
    fn longer_path(&self, index: usize, directive: &Directive) -> Option<String> {
        let (modifier, path) = path_location(directive)?;
        let holds_others = || self.child(index, "location").is_some();
        let refuses = self.child(index, "return").is_some()
            || self.blocks.children(Some(index)).any(|line| line.text() == "deny all");
        (self.place.is_inside(path) && !refuses && (!modifier.is_empty() || holds_others()))
            .then(|| directive.text())
    }

    /// An `alias` or `root` that gives the gallery's directory a second URL.
    fn second_url(&self, index: usize, directive: &Directive) -> Option<String> {
        let ("alias" | "root", [value]) = (directive.name(), directive.values()) else { return None };
        let (block, around) = self.blocks.around(index).next()?;
        let (_, path) = path_location(around)?;
        if path.starts_with("/_gate") || self.child(block, "return").is_some() {
            return None;
        }
        let url = if directive.name() == "alias" { path } else { "" };
        let second = self.place.second_url(url, Path::new(value.trim_end_matches('/')))?;
        let is_below = second.starts_with(path) || path.starts_with(&*second);
        is_below.then(|| format!("location {path} {{ {}; }} ({second}/…)", directive.text()))
    }

    /// A `server { }` that shows the gallery's directory, does not have the gate's file and includes no
    /// file that may be it.
    fn site_without_the_gate(&self, index: usize, directive: &Directive) -> Option<String> {
        const HARMLESS: [&str; 5] =
            ["fastcgi_params", "fastcgi.conf", "fastcgi-php.conf", "mime.types", "ssl"];
        if directive.words != ["server"] || self.is_guarded(Some(index)) {
            return None;
        }
        let may_be_it = |path: &String| !HARMLESS.iter().any(|known| path.contains(known));
        let includes = self
            .blocks
            .inside(index)
            .any(|line| line.name() == "include" && line.values().iter().any(may_be_it));
        if includes || self.child(index, "return").is_some() {
            return None;
        }
        let mut inside = self.blocks.inside(index).chain(self.in_force(index, "root"));
        let shows = inside.find(|line| {
            matches!((line.name(), line.values()), ("root" | "alias", [path])
                if self.place.leads_there(Path::new(path.trim_end_matches('/'))))
        })?;
        let name = self.child(index, "server_name").map(Directive::text).unwrap_or_default();
        Some(format!("server {{ {name}; {}; }}, which has no line of the gate's", shows.text()))
    }

    /// An `error_page` that sends a file, for errors that nginx answers before it chooses a location.
    fn early_error(&self, index: usize, directive: &Directive) -> Option<(bool, String)> {
        // In a location it applies to that location only.
        if self.blocks.around(index).any(|(_, block)| location(block).is_some()) {
            return None;
        }
        self.serves_files(directive, &EARLY_ERRORS)
    }

    /// The same for the 403 or 404 of a closed directory.
    fn error_of_what_is_closed(&self, index: usize, directive: &Directive) -> Option<(bool, String)> {
        let (_, path) = location(directive)?;
        let code = self.child(index, "return")?.values().first()?.as_str();
        let mut closed = self.place.shut();
        closed.extend(["toml", "/\\.("].map(str::to_owned));
        if !closed.iter().any(|name| path.contains(&**name)) || path.starts_with("/_gate") {
            return None;
        }
        self.in_force(index, "error_page").into_iter().find_map(|line| self.serves_files(line, &[code]))
    }

    /// Whether an `error_page` answers one of `codes` by a named location that sends the file that the
    /// request's address names: certainly (`true`) or perhaps (`false`).
    fn serves_files(&self, directive: &Directive, codes: &[&str]) -> Option<(bool, String)> {
        let ("error_page", [for_codes @ .., page]) = (directive.name(), directive.values()) else {
            return None;
        };
        if !page.starts_with('@') || page == AWAY || !for_codes.iter().any(|code| codes.contains(&&**code)) {
            return None;
        }
        let is_it = |line: &Directive| location(line).is_some_and(|(_, path)| path == page);
        let Some((index, _)) = self.blocks.iter().find(|(_, line)| is_it(line)) else {
            return Some((false, directive.text()));
        };
        let has =
            |is_one: &dyn Fn(&str) -> bool| self.blocks.children(Some(index)).any(|line| is_one(line.name()));
        let by_address = |word: &String| {
            let word = word.split('?').next().unwrap_or_default();
            ["$uri", "$document_uri", "$request_uri", "$request_filename"]
                .iter()
                .any(|name| word.contains(name))
        };
        let tries = self.child(index, "try_files");
        let sends = match tries {
            _ if has(&|name| name == "return") => return None,
            Some(tries) => tries.values().iter().any(by_address),
            None => !has(&|name| name.ends_with("_pass")),
        };
        // A rewrite rule may lead every request elsewhere.
        sends.then(|| (!has(&|name| name == "rewrite"), directive.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ROOT, found, printed};
    use super::*;

    #[test]
    fn lines_of_a_site() {
        let own = "location @own { try_files $uri $uri/ =404; }";
        for (kind, prefix) in
            [("nginx", "/piwigo"), ("nginx-auth-request", "/piwigo"), ("nginx-auth-cache", "/piwigo")]
        {
            let file = printed(kind, prefix);
            for (line, signs, words) in [
                ("", "", ""),
                ("location ^~ /piwigo/upload/2024/ { }", "o", "location ^~ /piwigo/upload/2024/"),
                ("location = \"/piwigo/_data/logs/x\" { }", "o", "location = /piwigo/_data/logs/x"),
                ("location /piwigo/upload/2024 { location ~ jpg$ { } }", "o", "/piwigo/upload/2024"),
                ("location ^~ /piwigo/upload/2024/ { deny all; }", "", ""),
                ("location ^~ /piwigo/upload/2024/ { return 403; }", "", ""),
                ("location /piwigo/upload/2024 { expires 30d; }", "", ""),
                ("location ^~ /piwigo/_data/combined/x/ { }", "", ""),
                ("location ^~ /piwigo/uploads/ { }", "", ""),
                ("location /old/ { alias /var/www/piwigo/; }", "o", "(/old/…)"),
                ("location /old/ { alias /var/www/piwigo/; return 301 /piwigo/; }", "", ""),
                ("location /logs { alias /var/www/piwigo/_data/logs; }", "o", "(/logs/…)"),
                ("location /www { alias /var/www; }", "o", "(/www/piwigo/…)"),
                ("location /look { alias /var/www/piwigo/themes/; }", "", ""),
                ("location /css { alias /var/www/piwigo/_data/combined/; }", "", ""),
                ("location /piwigo { alias /var/www/piwigo; }", "", ""),
                ("location /piwigo { root /var/www; }", "", ""),
                ("location /www { root /var; }", "o", "(/www/piwigo/…)"),
                ("location /other { root /var; }", "", ""),
                ("error_page 400 404 = @own;", "o", "error_page 400 404 = @own"),
                ("error_page 404 = @own;", "", ""),
                ("error_page 494 = @elsewhere;", "?", "@elsewhere"),
                ("error_page 400 = @page;\nlocation @page { return 302 /; }", "", ""),
                ("error_page 400 = @page;\nlocation @page { rewrite ^ /index.php; }", "?", "@page"),
                ("error_page 400 = @page;\nlocation @page { proxy_pass http://x; }", "", ""),
                ("error_page 400 = @page;\nlocation @page { try_files /400.html /e.php?$uri; }", "", ""),
                ("error_page 400 /400.html;", "", ""),
                ("location /x { error_page 400 = @own; }", "", ""),
                ("# location ^~ /piwigo/upload/2024/ { }", "", ""),
                ("if ($a = \"${b}\") { set $c \"}\"; }", "", ""),
                ("ssi on;", "", ""),
            ] {
                let text = format!("server {{\n{file}\n{line}\n{own}\n}}\n");
                let (found, what) = found(examine, &text, Path::new(ROOT), prefix);
                assert!(found == signs && what.contains(words), "{kind} {line}: {found} {what}");
            }
        }
    }

    #[test]
    fn the_same_path_twice_is_refused_by_nginx() {
        for (line, signs) in [
            ("location ^~ /piwigo/upload/ { }", "x"),
            ("location /piwigo/upload { expires 30d; }", "x"),
            ("location = /piwigo/i.php { }", "x"),
            ("location = /piwigo/upload/ { }", ""),
            ("location ^~ /piwigo/ { location ^~ /piwigo/x/ { } }", ""),
            ("location ^~ /upload/ { }", ""),
            ("location ~* \\.(jpg|png)$ { expires 30d; }", ""),
            ("location ^~ /x/ { location ~* jpg { } location ~* jpg { } }", ""),
        ] {
            let text = format!("server {{\n{line}\n{}\n}}", printed("nginx", "/piwigo"));
            let (found, what) = found(examine, &text, Path::new(ROOT), "/piwigo");
            assert!(
                found == signs && (signs.is_empty() || what.contains("/piwigo/")),
                "{line}: {found} {what}"
            );
        }
    }

    /// The whole configuration of a server has sites that have nothing to do with the gallery.
    #[test]
    fn lines_of_another_site_do_not_count() {
        let file = printed("nginx", "");
        for (outside, signs) in [
            (
                "server { root /srv; location ^~ /upload/2024/ { } error_page 400 = @x; location @x { try_files $uri =404; } }",
                "",
            ),
            ("server { root /srv; location /a { } location /a { } }", ""),
            ("error_page 400 = @x;", "?"),
            ("root /var/www; server { server_name _; }", "o"),
            ("root /var/www; server { root /srv; }", ""),
        ] {
            let text = format!("http {{ {outside}\nserver {{ root /var/www/piwigo;\n{file}\n}} }}");
            let (found, what) = found(examine, &text, Path::new(ROOT), "");
            assert!(found == signs, "{outside}: {found} {what}");
        }
    }

    #[test]
    fn locks_that_are_missing() {
        for (kind, from, to, signs, words) in [
            ("nginx", "x_piwigo_gate_file", "x_accel_redirect", "---", "/_gate/file/"),
            (
                "nginx-auth-request",
                "try_files $piwigo_gate_file ",
                "try_files $uri ",
                "---",
                "location ^~ /_gate/file/ (with `ssi on`",
            ),
            ("nginx-auth-cache", "x_piwigo_gate_file", "x_accel_redirect", "----", "@piwigo_gate_make"),
            ("nginx-auth-request", "if ($piwigo_gate_yes = \"\") { return 404; }", "", "-", "/_gate/i.php"),
        ] {
            let file = printed(kind, "");
            assert!(file.contains(from), "{kind} {from}");
            let text = format!("ssi on;\n{}", file.replace(from, to));
            let (found, what) = found(examine, &text, Path::new(ROOT), "");
            assert!(found == signs && what.contains(words), "{kind} {from}: {found} {what}");
        }
    }

    #[test]
    fn errors_of_what_is_closed() {
        let own = "error_page 403 404 = @own;\nlocation @own { try_files $uri =404; }";
        for kind in ["nginx", "nginx-auth-request", "nginx-auth-cache"] {
            let file = printed(kind, "");
            let without =
                file.replace("error_page 502 504 =503 @piwigo_gate_away; return 404;", "return 404;");
            assert_ne!(file, without);
            for (text, signs) in [(&file, ""), (&without, "o")] {
                let text = format!("server {{\n{text}\n{own}\n}}");
                let (found, what) = found(examine, &text, Path::new(ROOT), "");
                assert!(found == signs, "{kind}: {found} {what}");
            }
            let (found, what) = found(examine, &without, Path::new(ROOT), "");
            assert!(found.is_empty(), "no error page of the site's: {what}");
        }
    }

    #[test]
    fn a_second_site() {
        let file = printed("nginx", "");
        for (second, signs) in [
            ("listen 80; root /var/www/piwigo;", "o"),
            ("root /var/www; ssl_certificate x; include mime.types;", "o"),
            ("location /p { alias /var/www/piwigo/; }", "oo"),
            ("listen 80; root /var/www/piwigo; return 301 https://x$request_uri;", ""),
            ("root /var/www/piwigo; include snippets/piwigo-gate.conf;", ""),
            ("root /var/www/piwigo; include snippets/all.conf;", ""),
            ("root /var/www/piwigo/themes;", ""),
            ("root /srv;", ""),
        ] {
            let text = format!("server {{ root /var/www/piwigo;\n{file}\n}}\nserver {{ {second} }}");
            let (found, what) = found(examine, &text, Path::new(ROOT), "");
            assert!(found == signs, "{second}: {found} {what}");
        }
    }
}
