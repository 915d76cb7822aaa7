//! The statements that the gate has executed, with their values, from MariaDB's general log, and how MariaDB
//! executes each of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::mariadb::{self, MariaDb};

/// How one statement reads one table.
#[derive(Debug, Clone)]
pub struct Access {
    /// The table, without Piwigo's prefix.
    pub table: String,
    /// MariaDB's access type: `const`, `eq_ref`, `ref`, `range`; `index` and `ALL` read everything.
    pub way: String,
    /// The index, if there is one.
    pub key: Option<String>,
    /// Rows read, summed over all look-ups in the table.
    pub rows: f64,
    /// Time spent with this table, in milliseconds.
    pub milliseconds: f64,
}

impl Access {
    /// Whether the whole table or a whole index is read.
    pub fn is_whole(&self) -> bool {
        matches!(&*self.way, "ALL" | "index")
    }

    /// Whether this is no table but rows that the statement itself has made.
    pub fn is_derived(&self) -> bool {
        self.table.starts_with('<')
    }
}

/// A statement with its values, and how MariaDB executed it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub statement: String,
    /// The tables that it names, without Piwigo's prefix.
    pub tables: BTreeSet<String>,
    pub accesses: Vec<Access>,
}

/// Begins to log. Call it before the gate starts, because a statement that was prepared without the log has
/// no values in it.
pub fn begin_log(server: &MariaDb) {
    server.sql_as_root("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON");
}

/// The distinct texts that the gate's account has executed since the log began or was last taken.
pub fn take_log(server: &MariaDb) -> BTreeSet<String> {
    let logged = server.sql_as_root(&format!(
        "SELECT DISTINCT argument FROM mysql.general_log
         WHERE command_type = 'Execute' AND user_host LIKE '{}[%'; TRUNCATE mysql.general_log",
        mariadb::GATE
    ));
    logged.lines().map(unescaped).collect()
}

/// Executes a statement again with the settings of the gate's connections, and returns its plan.
pub fn plan(server: &MariaDb, statement: &str) -> Plan {
    // The character set of the gate's own connections, because another one could keep MariaDB from using an
    // index on text.
    let answer =
        server.sql(&format!("SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci; ANALYZE FORMAT=JSON {statement}"));
    let answer: Value = serde_json::from_str(&unescaped(answer.trim_end())).expect("MariaDB's plan");
    let names = aliases(statement);
    let mut accesses = Vec::new();
    collect(&answer, &names, &mut accesses);
    Plan { statement: statement.to_owned(), tables: names.into_values().collect(), accesses }
}

/// Collects the plan's tables from every level.
fn collect(value: &Value, names: &BTreeMap<String, String>, accesses: &mut Vec<Access>) {
    match value {
        Value::Object(fields) => {
            if let (Some(name), Some(way)) = (text(fields.get("table_name")), text(fields.get("access_type")))
            {
                let number = |field| fields.get(field).and_then(Value::as_f64).unwrap_or(0.0);
                accesses.push(Access {
                    table: names.get(&name).cloned().unwrap_or(name),
                    way,
                    key: text(fields.get("key")),
                    // A look-up that finds nothing counts as one row. A table that MariaDB did not get to has
                    // no loops.
                    rows: number("r_rows").max(1.0) * number("r_loops"),
                    milliseconds: number("r_table_time_ms") + number("r_other_time_ms"),
                });
            }
            fields.values().for_each(|value| collect(value, names, accesses));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names, accesses)),
        _ => {}
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// The tables of a statement by their names in its plan: `` `piwigo_images` i `` is `i`.
fn aliases(statement: &str) -> BTreeMap<String, String> {
    const PREFIX: &str = "`piwigo_";
    let mut names = BTreeMap::new();
    for (at, _) in statement.match_indices(PREFIX) {
        let behind = &statement[at + PREFIX.len()..];
        let Some((table, behind)) = behind.split_once('`') else { continue };
        let mut words = behind.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ' ');
        let words: Vec<&str> = words.next().unwrap_or_default().split_whitespace().collect();
        let alias = match words[..] {
            ["AS" | "as", alias, ..] => alias,
            [alias, ..] if alias.chars().all(|c| !c.is_ascii_uppercase()) => alias,
            _ => {
                names.insert(format!("{}{table}", &PREFIX[1..]), table.to_owned());
                continue;
            }
        };
        names.insert(alias.to_owned(), table.to_owned());
    }
    names
}

/// Decodes a column as the client's `--batch` writes it.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => plain.push(match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            }),
            (other, false) => plain.push(other),
        }
    }
    plain
}
