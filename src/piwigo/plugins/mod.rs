//! Turns the list of active Piwigo plugins into their effect on files: which plugins are known, and whether
//! one of them restricts `action.php`. Pure.

mod known;

use std::collections::BTreeSet;

pub use known::KNOWN;

/// A plugin whose effect on files is known.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownPlugin {
    /// The name of the plugin's directory, as in Piwigo's table `plugins`.
    pub id: &'static str,
    /// What the gate does about it.
    pub stance: Stance,
    /// What the plugin does to files.
    pub files: &'static str,
    /// What an administrator should do; empty if nothing.
    pub advice: &'static str,
    /// Whether the plugin refuses downloads in `action.php` by a rule that the gate does not judge.
    pub locks_action_php: bool,
    /// Its scripts that send files directly to visitors.
    pub scripts: &'static [&'static str],
    /// Whether the printed server files route `plugins/<id>/` to the gate.
    pub scripts_are_guarded: bool,
}

/// What the gate does about a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// The gate follows the plugin's rule, or the plugin works through the gate.
    Handled,
    /// The gate leaves `action.php` to PHP, where the plugin's rule applies.
    LeftToPhp,
    /// The plugin works in part, or does what an administrator may not expect.
    Advice,
    /// The gate does not know the plugin's lock and delivers files in spite of it.
    NotJudged,
    /// The plugin delivers files that the gate refuses.
    SecondDoor,
    /// The plugin changes nothing for the gate.
    Nothing,
}

impl Stance {
    /// The stance's name in `docs/plugins.md`.
    pub fn word(self) -> &'static str {
        match self {
            Stance::Handled => "handled",
            Stance::LeftToPhp => "left to PHP",
            Stance::Advice => "advice",
            Stance::NotJudged => "not judged",
            Stance::SecondDoor => "second door",
            Stance::Nothing => "nothing to do",
        }
    }

    /// Whether the gate logs a line about the plugin at its start.
    fn is_told(self) -> bool {
        !matches!(self, Stance::Handled | Stance::Nothing)
    }
}

/// An active plugin: a row of Piwigo's table `plugins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// The name of the plugin's directory.
    pub id: String,
    /// The version that Piwigo recorded.
    pub version: String,
}

/// The active plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plugins {
    /// The rows of the table `plugins`.
    Read(Vec<Active>),
    /// The gate's user may not read the table, or it does not exist.
    Unreadable,
}

impl Plugins {
    /// Returns the active plugins that are known, with their row of [`KNOWN`].
    pub fn known(&self) -> Vec<(&Active, &'static KnownPlugin)> {
        self.all().iter().filter_map(|active| Some((active, find(&active.id)?))).collect()
    }

    /// Returns the active plugins that are not known.
    pub fn others(&self) -> Vec<&Active> {
        self.all().iter().filter(|active| find(&active.id).is_none()).collect()
    }

    /// Whether `action.php` must be left to PHP if the administrator did not decide: an active plugin
    /// restricts downloads there by a rule that the gate does not judge. An unreadable table may hold such a
    /// plugin.
    pub fn demand_piwigo(&self) -> bool {
        match self {
            Plugins::Read(_) => self.known().iter().any(|(_, known)| known.locks_action_php),
            Plugins::Unreadable => true,
        }
    }

    fn all(&self) -> &[Active] {
        match self {
            Plugins::Read(active) => active,
            Plugins::Unreadable => &[],
        }
    }
}

/// Returns what is known about the plugin in this directory.
///
/// Piwigo uses the directory's name as the id. An administrator who unpacks a plugin by hand may keep the
/// name of its repository, such as `Piwigo-download_permissions-master`. The comparison therefore ignores
/// case, `-` and `_`, a first word `piwigo`, and last words that name a branch or a version.
pub fn find(directory: &str) -> Option<&'static KnownPlugin> {
    let name = plain(directory);
    KNOWN.iter().find(|known| plain(known.id) == name)
}

/// Joins the words of a plugin's name that identify it.
fn plain(directory: &str) -> String {
    let name = directory.to_ascii_lowercase();
    let mut words: Vec<&str> = name.split(['-', '_', ' ']).filter(|word| !word.is_empty()).collect();
    let is_release = |word: &str| {
        let version = word.strip_prefix('v').unwrap_or(word);
        matches!(word, "master" | "main") || version.starts_with(|first: char| first.is_ascii_digit())
    };
    while words.len() > 1 && words.last().is_some_and(|word| is_release(word)) {
        words.pop();
    }
    if words.len() > 1 && words.first() == Some(&"piwigo") {
        words.remove(0);
    }
    words.concat()
}

/// Returns log lines about plugins that are active `now` and were not `before`, warnings first; each line
/// comes with whether it is a warning. `is_piwigo`: Piwigo answers `action.php`. `is_said`: the administrator
/// set that.
pub fn lines(before: Option<&Plugins>, now: &Plugins, is_piwigo: bool, is_said: bool) -> Vec<(bool, String)> {
    let old: BTreeSet<&str> =
        before.into_iter().flat_map(Plugins::all).map(|active| active.id.as_str()).collect();
    let mut lines = Vec::new();
    if *now == Plugins::Unreadable && before != Some(now) && !is_said {
        lines.push((
            true,
            "Piwigo's table of plugins cannot be read, and a plugin may sit in the way of downloads: action.php is \
             left to PHP (action_php = piwigo); grant the gate's user SELECT on it and reload the gate, or set action_php"
                .to_owned(),
        ));
    }
    for (active, known) in now.known() {
        if !known.stance.is_told() || old.contains(active.id.as_str()) {
            continue;
        }
        let name = name(active);
        let KnownPlugin { files, advice, .. } = known;
        lines.push(match (known.locks_action_php, is_piwigo) {
            (true, true) => (
                known.stance == Stance::NotJudged,
                format!(
                    "the plugin {name} {files}: action.php is left to PHP (action_php = piwigo); {advice}"
                ),
            ),
            (true, false) => (
                true,
                format!(
                    "the plugin {name} {files}, but action_php = gate: its rule does not count; {advice}"
                ),
            ),
            (false, _) => (true, format!("the plugin {name} {files}; {advice}")),
        });
    }
    lines.sort_by_key(|(is_warning, _)| !is_warning);
    lines
}

/// Returns id and version of a row, escaped and shortened: any client of the database may have written them.
pub fn name(active: &Active) -> String {
    let shown = |text: &str| text.chars().take(64).collect::<String>().escape_debug().to_string();
    // Many plugins have the version `auto`, and Piwigo's own updater writes 0.
    if matches!(active.version.as_str(), "" | "0" | "auto") {
        shown(&active.id)
    } else {
        format!("{} {}", shown(&active.id), shown(&active.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of the section "Plugins" of `docs/plugins.md`: the id and the stance of each.
    fn documented() -> Vec<(&'static str, &'static str)> {
        let text = include_str!("../../../docs/plugins.md");
        let section = text.lines().skip_while(|line| *line != "## Plugins").skip(1);
        let lines: Vec<_> = section.take_while(|line| !line.starts_with("## ")).collect();
        let ids = lines.iter().filter_map(|line| line.strip_prefix("- `")?.split('`').next());
        let stances =
            lines.iter().filter_map(|line| line.strip_prefix("  - The gate: **")?.split("**").next());
        assert_eq!(ids.clone().count(), stances.clone().count(), "a stance for each id");
        ids.zip(stances).collect()
    }

    fn active(ids: &[&str]) -> Plugins {
        let row = |id: &&str| Active { id: (*id).to_owned(), version: "1.0".into() };
        Plugins::Read(ids.iter().map(row).collect())
    }

    #[test]
    fn the_table_of_the_code_is_the_table_for_people() {
        let mut documented = documented();
        let mut known: Vec<_> = KNOWN.iter().map(|known| (known.id, known.stance.word())).collect();
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(documented, known);
    }

    #[test]
    fn each_row_is_whole() {
        let names: BTreeSet<String> = KNOWN.iter().map(|known| plain(known.id)).collect();
        assert_eq!(names.len(), KNOWN.len(), "two rows for one plugin");
        for known in KNOWN {
            let KnownPlugin { id, stance, files, advice, locks_action_php, scripts, .. } = known;
            let is_sentence = |text: &str| !text.ends_with(['.', ';']) && !text.contains("  ");
            assert!(!files.is_empty() && is_sentence(files) && is_sentence(advice), "{id}");
            let is_told = stance.is_told();
            assert!(!is_told || !advice.is_empty(), "{id}: a line in the log without advice");
            assert!(*stance != Stance::Nothing || advice.is_empty(), "{id}");
            assert!(*stance != Stance::LeftToPhp || *locks_action_php, "{id}");
            assert!(!locks_action_php || is_told, "{id}: action.php would go to PHP without a word");
            assert_eq!(
                *stance == Stance::SecondDoor,
                !scripts.is_empty() && !known.scripts_are_guarded,
                "{id}"
            );
        }
    }

    #[test]
    fn a_directory_may_have_the_name_of_the_repository() {
        let table = [
            ("download_permissions", "download_permissions"),
            ("Piwigo-download_permissions-master", "download_permissions"),
            ("piwigo-prepaid-credits", "prepaid_credits"),
            ("prepaid_credits-1.2.0", "prepaid_credits"),
            ("two_factor_v1.1_main", "two_factor"),
            ("Two-Factor", "two_factor"),
            ("piwigo_openstreetmap", "piwigo-openstreetmap"),
            ("privacy", "piwigo_privacy"),
            ("tfa", "TFA"),
        ];
        for (directory, id) in table {
            assert_eq!(find(directory).map(|known| known.id), Some(id), "{directory}");
        }
        for other in ["", "piwigo", "language_switch", "master", "factor", "two_factor_extra", "1.0"] {
            assert_eq!(find(other), None, "{other}");
        }
    }

    #[test]
    fn downloads_are_left_to_php_for_a_lock_that_the_gate_does_not_judge() {
        let table: &[(&[&str], bool)] = &[
            (&[], false),
            (&["download_permissions", "two_factor", "piwigo-videojs", "unknown"], false),
            (&["language_switch", "prepaid_credits"], true),
            (&["piwigo-prepaid-credits-master"], true),
            (&["lac"], true),
            (&["family_access"], true),
            (&["TFA"], false),
        ];
        for (ids, expected) in table {
            assert_eq!(active(ids).demand_piwigo(), *expected, "{ids:?}");
        }
        assert!(Plugins::Unreadable.demand_piwigo(), "a lock could be missed");
    }

    #[test]
    fn the_log_has_a_line_for_each_plugin_that_needs_one() {
        let told = |before: Option<&Plugins>, now: &Plugins, is_piwigo, is_said| {
            let lines = lines(before, now, is_piwigo, is_said);
            lines.into_iter().map(|(is_warning, line)| format!("{is_warning} {line}")).collect::<Vec<_>>()
        };
        let quiet = active(&["download_permissions", "gvideo", "language_switch", "piwigo-videojs"]);
        assert_eq!(told(None, &quiet, false, false), [""; 0]);

        let lines = told(None, &active(&["prepaid_credits", "TFA", "gvideo"]), true, false);
        let [first, second] = &lines[..] else { panic!("{lines:?}") };
        assert!(
            first.starts_with("true the plugin TFA 1.0 calls") && first.contains("two_factor"),
            "{first}"
        );
        assert!(second.starts_with("false the plugin prepaid_credits 1.0 takes"), "{second}");
        assert!(second.contains("action_php = piwigo") && second.contains("enabled_high"), "{second}");

        let (old, new) = (active(&["TFA"]), active(&["TFA", "lac"]));
        assert_eq!(told(Some(&old), &old, false, false), [""; 0]);
        let lines = told(Some(&old), &new, false, true);
        assert!(lines.len() == 1 && lines[0].starts_with("true the plugin lac 1.0"), "{lines:?}");
        assert!(lines[0].contains("action_php = gate"), "{lines:?}");

        let lines = told(Some(&old), &Plugins::Unreadable, true, false);
        assert!(lines.len() == 1 && lines[0].contains("SELECT"), "{lines:?}");
        assert_eq!(told(Some(&Plugins::Unreadable), &Plugins::Unreadable, true, false), [""; 0]);
        assert_eq!(told(None, &Plugins::Unreadable, false, true), [""; 0], "nothing is missed");
    }

    #[test]
    fn a_name_out_of_the_database_is_one_short_line() {
        let row = |id: &str, version: &str| Active { id: id.to_owned(), version: version.to_owned() };
        assert_eq!(name(&row("TFA", "16.a")), "TFA 16.a");
        assert_eq!(name(&row("TFA", "")), "TFA");
        assert_eq!(name(&row("TFA", "auto")), "TFA");
        assert_eq!(name(&row("a\n\x1b[2J", "1")), "a\\n\\u{1b}[2J 1");
        assert!(name(&row(&"x".repeat(900), &"y".repeat(900))).len() < 200);
    }
}
