//! Apache: whether a section that the printed file does not contain undoes its locks. Each row of the table
//! in the tests was tried with Apache 2.4.

use std::path::Path;

use super::apache::{Site, Way, is_gate};
use super::blocks::Directive;

/// Where a section applies.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    /// The section applies to the usual URLs of guarded files.
    pictures: bool,
    /// The section applies to Piwigo's script for resized pictures.
    script: bool,
    /// The section applies to a second URL, where of the printed file only the sections for directories
    /// apply.
    second: bool,
}

/// What a section's directives do.
#[derive(Clone, Copy, Debug)]
struct Effect {
    /// `SetHandler`.
    handler: bool,
    /// A rewrite rule that sets a handler.
    rule: bool,
    /// The rewrite rules of the printed file do not apply.
    no_rules: bool,
    /// A `Require` that admits somebody.
    admits: bool,
    /// `Satisfy Any`.
    any: bool,
    /// The gate's refusal is not final.
    not_binding: bool,
}

impl Site<'_> {
    /// Whether the section at `index` undoes the locks: certainly (`true`) or perhaps (`false`). `urls`:
    /// the other URL paths of the gallery.
    pub(super) fn undoes(&self, index: usize, section: &Directive, urls: &[String]) -> Option<bool> {
        let is_gates = |url: &String| url.trim_start_matches('^').starts_with("/_gate");
        if self.guards.is_empty() || section.values().first().is_some_and(is_gates) {
            return None;
        }
        let reach = self.reach(section, urls)?;
        let effect = self.effect(index, section)?;
        let is_reached = reach.pictures || reach.script || reach.second;
        let admits = effect.admits || effect.any;
        let (sure, perhaps) = match self.way {
            Way::Handler => (
                is_reached && (effect.rule || effect.handler && effect.no_rules) || reach.second && admits,
                // Without mod_rewrite the rules do not exist.
                is_reached && effect.handler,
            ),
            Way::AccessChecker => {
                let unasked = effect.any || effect.not_binding;
                (
                    reach.pictures && unasked
                        || reach.script && admits
                        || reach.second && (unasked || admits),
                    false,
                )
            }
            Way::Authnz => (is_reached && admits, false),
        };
        (sure || perhaps).then_some(sure)
    }

    fn reach(&self, section: &Directive, urls: &[String]) -> Option<Reach> {
        let first = section.values().first()?;
        let shut = self.place.shut();
        let script = format!("{}/i.php", self.place.prefix);
        let by_alias = !urls.is_empty();
        Some(match section.name() {
            "<location" if first != "~" => {
                let url = first.trim_end_matches('/');
                Reach {
                    pictures: self.place.is_shut(url),
                    script: script.starts_with(url),
                    second: urls.iter().any(|second| second.starts_with(url) || url.starts_with(&**second)),
                }
            }
            "<location" | "<locationmatch" => {
                let expression = section.values().last()?;
                let is_for_all = expression.trim_matches(|letter| "^/.*$()".contains(letter)).is_empty();
                Reach {
                    pictures: is_for_all || shut.iter().any(|shut| expression.contains(&**shut)),
                    script: is_for_all || expression.contains("i\\.php") || expression.contains("i.php"),
                    second: by_alias,
                }
            }
            "<directory" if first != "~" => {
                let is_there = self.place.leads_there(Path::new(first.trim_end_matches('/')));
                Reach { second: by_alias && is_there, ..Reach::default() }
            }
            "<directory" | "<directorymatch" | "<files" | "<filesmatch" => {
                Reach { second: by_alias, ..Reach::default() }
            }
            _ => return None,
        })
    }

    /// The effect of a section. Its directives inside an `<If>` count; if the printed file's handlers are
    /// outside of any `<If>`, all directives of a `<Location>` count. `None`: the section belongs to the
    /// printed file.
    fn effect(&self, index: usize, section: &Directive) -> Option<Effect> {
        let all_count = section.name().starts_with("<location") && !self.has_last_word();
        let lines = self.blocks.iter().filter(|(own, _)| {
            self.blocks.around(*own).any(|(block, _)| block == index) && (all_count || self.is_in_if(*own))
        });
        let lines: Vec<&Directive> = lines.map(|(_, line)| line).collect();
        let has = |name: &str, is_one: &dyn Fn(&str) -> bool| {
            lines
                .iter()
                .any(|line| line.name() == name && is_one(&line.values().join(" ").to_ascii_lowercase()))
        };
        let is_printed = has("sethandler", &is_gate)
            || has("fcgidaccesschecker", &|_| true)
            || has("authnzfcgicheckauthnprovider", &|_| true);
        (!is_printed).then(|| Effect {
            handler: has("sethandler", &|_| true),
            rule: lines.iter().any(|line| line.name() == "rewriterule" && sets_handler(line)),
            no_rules: !self.has_rules || has("rewriteengine", &|value| value == "off"),
            admits: has("require", &|value| value != "all denied" && !value.starts_with("not ")),
            any: has("satisfy", &|value| value == "any"),
            not_binding: has("fcgidaccesscheckerauthoritative", &|value| value == "off"),
        })
    }
}

/// Whether a rewrite rule sets a handler that is not the gate.
pub(super) fn sets_handler(rule: &Directive) -> bool {
    let flags = rule.values().last().map(|flags| flags.trim_matches(['[', ']'])).unwrap_or_default();
    let handler = |flag: &str| {
        let (name, handler) = flag.split_once('=')?;
        matches!(&*name.to_ascii_lowercase(), "h" | "handler").then(|| handler.to_owned())
    };
    flags.split(',').filter_map(handler).any(|handler| !is_gate(&handler))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::apache::examine;
    use super::super::tests::{ROOT, found, printed};

    /// For each way of asking: `o` opens something, `?` may, nothing: the printed file holds.
    #[test]
    fn sections_of_a_site() {
        let handlers = &["apache-xsendfile", "apache-proxy"][..];
        let (checker, authnz) = (&["apache-access-checker"][..], &["apache-authnz"][..]);
        let all = "SetHandler default-handler\nRewriteEngine Off\nRequire all granted\nSatisfy Any";
        let (table, second) = (
            [
                ("Location /upload", "SetHandler default-handler", "?", "", ""),
                ("Location /upload", "SetHandler default-handler\nRewriteEngine Off", "o", "", ""),
                ("Location /i.php", "SetHandler fcgid-script\nRewriteEngine Off", "o", "", ""),
                ("Location /upload", "RewriteEngine Off", "", "", ""),
                ("Location \"/\"", "<IfModule a>\nSetHandler x\nRewriteEngine Off\n</IfModule>", "o", "", ""),
                ("LocationMatch ^/upload", "RewriteRule ^ - [L,H=default-handler]", "o", "", ""),
                ("LocationMatch ^/.*", "RewriteRule ^ - [H=default-handler]", "o", "", ""),
                ("Location /upload", "RewriteRule ^ - [L]", "", "", ""),
                ("Location /", "Require all granted", "", "o", "o"),
                ("Location /upload", "Require all granted", "", "", "o"),
                ("Location /upload", "Satisfy Any", "", "o", "o"),
                ("Location /upload", "FcgidAccessCheckerAuthoritative Off", "", "o", ""),
                ("Location /upload", "Require all denied\nSatisfy All", "", "", ""),
                ("Location /admin", all, "", "", ""),
                ("LocationMatch \\.css$", all, "", "", ""),
                ("Files x", all, "", "", ""),
                ("Directory /var/www/piwigo/upload", all, "", "", ""),
            ],
            [
                ("FilesMatch jpg$", all, "o", "o", "o"),
                ("Directory /var/www/piwigo/_data", "Require all granted", "o", "o", "o"),
                ("Directory /srv", all, "", "", ""),
                ("Location /other", "Require all granted", "o", "o", "o"),
                ("Location /admin", all, "", "", ""),
            ],
        );
        let table = table.map(|row| ("", row)).into_iter();
        let alias = "Alias /other /var/www/piwigo";
        for (before, (section, lines, by_handler, by_checker, by_authnz)) in
            table.chain(second.map(|row| (alias, row)))
        {
            for (kinds, signs) in [(handlers, by_handler), (checker, by_checker), (authnz, by_authnz)] {
                for kind in kinds {
                    let file = printed(kind, "");
                    let name = section.split(' ').next().unwrap();
                    let own = |inside: &str| format!("{file}\n{before}\n<{section}>\n{inside}\n</{name}>");
                    let look = |text: &str| found(examine, text, Path::new(ROOT), "");
                    let (in_if, what) = look(&own(&format!("<If 1>\n{lines}\n</If>")));
                    assert_eq!(in_if, signs, "{kind} {section} {lines}: {what}");
                    assert!(signs.is_empty() || what.contains(&format!("<{name} ")), "{what}");
                    let (plain, what) = look(&own(lines));
                    assert_eq!(
                        plain, "",
                        "{kind}: the printed <If> has the last word over {section}: {what}"
                    );
                }
            }
        }
    }
}
