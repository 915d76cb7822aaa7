//! Reads the lines of `SHOW GRANTS` and returns the rights that an account has on Piwigo's tables. Pure.
//! The lines contain password hashes, so only names of rights leave this module.

use std::collections::BTreeSet;

/// Rights that cannot change anything.
const HARMLESS: [&str; 5] = ["USAGE", "SELECT", "SHOW VIEW", "SHOW DATABASES", "PROCESS"];

/// The right to act as another account. It is granted on accounts and not on tables.
const PROXY: &str = "GRANT PROXY ON ";

/// What the gate may do to the gallery's database.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// The rights that can change something in any table.
    pub(super) writes: BTreeSet<String>,
    /// The account may add rows to the history table.
    pub(super) adds_history: bool,
    /// The account also has roles, whose rights these lines do not list.
    pub(super) by_role: bool,
}

/// One line: the rights and what they apply to, `*.*`, `db.*` or `db.table`.
struct Grant {
    rights: Vec<String>,
    database: String,
    table: String,
}

/// Reads the lines as far as they concern `database`; `history` is the full name of that table.
pub(super) fn rights(lines: &[String], database: &str, history: &str) -> Rights {
    let mut all = Rights::default();
    let (history_database, history_table) = history.split_once('.').unwrap_or((database, history));
    for line in lines.iter().filter(|line| !line.starts_with(PROXY)) {
        let Some(grant) = parse(line) else {
            all.by_role |= line.trim_start().to_ascii_uppercase().starts_with("GRANT ");
            continue;
        };
        let everywhere = grant.database == "*";
        let here = everywhere || matches(&grant.database, database);
        let of_history = everywhere || matches(&grant.database, history_database);
        let table_fits = grant.table == "*" || grant.table == history_table;
        all.adds_history |= of_history
            && table_fits
            && grant.rights.iter().any(|right| right == "INSERT" || right.starts_with("ALL"));
        if here {
            let writes = grant.rights.into_iter().filter(|right| !HARMLESS.contains(&right.as_str()));
            all.writes.extend(writes);
        }
    }
    all
}

/// Whether a grant's database applies to `name`: in a grant it is a `LIKE` pattern.
fn matches(pattern: &str, name: &str) -> bool {
    fn like(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'%', rest @ ..] => (0..=name.len()).any(|at| like(rest, &name[at..])),
            [b'\\', byte, rest @ ..] => name.first() == Some(byte) && like(rest, &name[1..]),
            [byte, rest @ ..] => {
                name.first().is_some_and(|first| *byte == b'_' || first == byte) && like(rest, &name[1..])
            }
        }
    }
    pattern.len() <= 192 && like(pattern.as_bytes(), name.as_bytes())
}

/// Reads one line; `None`: it grants a role, or is not a grant.
fn parse(line: &str) -> Option<Grant> {
    let rest = line.trim().strip_prefix("GRANT ")?;
    let (rights, rest) = rest.split_once(" ON ")?;
    let rest =
        ["TABLE ", "PROCEDURE ", "FUNCTION "].iter().find_map(|kind| rest.strip_prefix(kind)).unwrap_or(rest);
    let (database, rest) = name(rest)?;
    let (table, rest) = name(rest.strip_prefix('.')?)?;
    let mut rights = split(rights);
    if rest.ends_with(" WITH GRANT OPTION") {
        rights.push("GRANT OPTION".to_owned());
    }
    Some(Grant { rights, database, table })
}

/// A name, in backquotes or without, and the text after it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('`') else {
        let end = text.find(['.', ' ']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('`')?;
        name.push_str(part);
        match after.strip_prefix('`') {
            Some(after) => {
                name.push('`');
                rest = after;
            }
            None => return Some((name, after)),
        }
    }
}

/// The rights of a list, without the columns that may follow a right: `SELECT (a, b), INSERT`.
fn split(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut rights = vec![String::new()];
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => rights.push(String::new()),
            _ if depth == 0 => rights.last_mut().into_iter().for_each(|right| right.push(character)),
            _ => {}
        }
    }
    rights.iter().map(|right| right.trim().to_ascii_uppercase()).filter(|right| !right.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_account_could_change() {
        let all = "GRANT ALL PRIVILEGES ON `piwigo`.* TO `piwigo`@`localhost`";
        let hash = "GRANT USAGE ON *.* TO `gate`@`localhost` IDENTIFIED BY PASSWORD '*0123456789ABCDEF'";
        let read = "GRANT SELECT ON `piwigo`.* TO `gate`@`localhost`";
        let table: [(&[&str], &str, bool, bool); 14] = [
            (&[hash], "", false, false),
            (&[hash, read], "", false, false),
            (&[hash, all], "ALL PRIVILEGES", true, false),
            (
                &[
                    "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
                    "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
                ],
                "ALL PRIVILEGES GRANT OPTION",
                true,
                false,
            ),
            (&["GRANT SELECT, INSERT, UPDATE ON `piwigo`.* TO `u`@`%`"], "INSERT UPDATE", true, false),
            (
                &[read, "GRANT INSERT ON `piwigo`.`piwigo_history` TO `gate`@`localhost`"],
                "INSERT",
                true,
                false,
            ),
            (
                &["GRANT INSERT (a, b), SELECT (c) ON `piwigo`.`piwigo_images` TO `u`@`%`"],
                "INSERT",
                false,
                false,
            ),
            (&["GRANT ALL PRIVILEGES ON `other`.* TO `u`@`%`"], "", false, false),
            (&["GRANT ALL PRIVILEGES ON `piwi%`.* TO `u`@`%`"], "ALL PRIVILEGES", true, false),
            (&["GRANT UPDATE ON `pi_igo`.* TO `u`@`%`"], "UPDATE", false, false),
            (&[r"GRANT UPDATE ON `pi\_igo`.* TO `u`@`%`"], "", false, false),
            (&["GRANT `reader`@`%` TO `u`@`%`"], "", false, true),
            (&["GRANT EXECUTE ON PROCEDURE `piwigo`.`p` TO `u`@`%`"], "EXECUTE", false, false),
            (&["nonsense", ""], "", false, false),
        ];
        for (lines, writes, adds_history, by_role) in table {
            let owned: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            let got = rights(&owned, "piwigo", "piwigo_history");
            let got = (got.writes.into_iter().collect::<Vec<_>>().join(" "), got.adds_history, got.by_role);
            assert_eq!(got, (writes.to_owned(), adds_history, by_role), "{lines:?}");
        }
    }

    #[test]
    fn names_may_hold_backquotes_and_dots() {
        let read = |text| name(text).map(|(name, rest)| (name, rest.to_owned()));
        assert_eq!(read("`a``b.c`.* TO"), Some(("a`b.c".into(), ".* TO".into())));
        assert_eq!(read("*.* TO"), Some(("*".into(), ".* TO".into())));
        assert_eq!((read("`open"), read("")), (None, None));
    }
}
