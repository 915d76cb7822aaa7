//! What this Piwigo's tables hold, looked up once when the database is opened: versions 2.7 to 17 differ in a
//! few tables and columns (docs/spec/piwigo.md §7.4). What every version has must be there; what came later
//! switches a feature on.

use std::collections::BTreeMap;

use super::DatabaseError;
use super::engine::{Dialect, Row, Statement};
use super::statements::{Tables, quoted};

/// Which of the optional tables and columns exist, and what `images.path` is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The table `image_format` (2.8).
    pub formats: bool,
    /// The table `user_auth_keys` (2.8): keys in `?auth=`.
    pub auth_keys: bool,
    /// Its columns for API keys (16).
    pub api_keys: bool,
    /// An index that begins with `images.path` (11); without one each request reads the whole table.
    pub path_index: bool,
    /// The column `categories.downloadable` of the plugin Download Permissions.
    pub downloadable: bool,
    /// An index that begins with `user_group.user_id`, which no version has: an administrator's.
    pub groups_by_user: bool,
    /// Which characters `images.path` can hold.
    pub path_charset: Charset,
    /// The version that such tables belong to.
    pub version: &'static str,
}

/// Which characters the column `images.path` can hold. Asking for others is an SQL error on MySQL (1267), not
/// an empty answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Any.
    Unicode,
    /// Up to U+FFFF: MySQL's `utf8`.
    Utf8mb3,
    /// Anything else: ASCII is safe, the rest is tried, and an error of conversion means no such row.
    Other,
}

/// Before a database was looked at: Piwigo 16 as its installer makes it.
impl Default for Schema {
    fn default() -> Self {
        Schema {
            formats: true,
            auth_keys: true,
            api_keys: true,
            path_index: true,
            downloadable: false,
            groups_by_user: false,
            path_charset: Charset::Utf8mb3,
            version: "16 or later",
        }
    }
}

/// A table of Piwigo's with the columns that the gate reads.
struct Wanted<'a> {
    table: &'a str,
    columns: &'a [&'a str],
}

/// What every version has.
fn needed<'a>(tables: &'a Tables, users_columns: &'a [&'a str]) -> [Wanted<'a>; 10] {
    let wanted = |table, columns| Wanted { table, columns };
    [
        wanted(&tables.config, &["param", "value"]),
        wanted(
            &tables.images,
            &["id", "path", "level", "representative_ext", "width", "height", "rotation", "coi"],
        ),
        wanted(&tables.image_category, &["image_id", "category_id"]),
        wanted(&tables.categories, &["id", "status", "visible"]),
        wanted(&tables.sessions, &["id", "data", "expiration"]),
        wanted(&tables.users, users_columns),
        wanted(&tables.user_infos, &["user_id", "status", "level", "enabled_high"]),
        wanted(&tables.user_access, &["user_id", "cat_id"]),
        wanted(&tables.user_group, &["user_id", "group_id"]),
        wanted(&tables.group_access, &["group_id", "cat_id"]),
    ]
}

/// What stands in the place of a column's name for the index by user: a column of a primary key says nothing
/// of others.
const BY_USER: &str = "index by user_id";

/// The column that a plugin adds to `categories`.
pub(super) const DOWNLOADABLE: &str = "downloadable";

const FORMAT_COLUMNS: [&str; 2] = ["image_id", "ext"];
const AUTH_KEY_COLUMNS: [&str; 3] = ["auth_key", "user_id", "expired_on"];
const API_KEY_COLUMNS: [&str; 3] = ["apikey_secret", "key_type", "revoked_on"];

/// The tables that are looked at: the needed ones, then the two optional ones.
fn looked_at(tables: &Tables) -> Vec<&str> {
    let optional = [tables.image_format.as_str(), tables.user_auth_keys.as_str()];
    needed(tables, &[]).iter().map(|wanted| wanted.table).chain(optional).collect()
}

/// The database and the name of a table that is written as `database.name`.
fn in_parts(table: &str) -> (Option<&str>, &str) {
    table.split_once('.').map_or((None, table), |(schema, name)| (Some(schema), name))
}

/// The statement that lists the columns of all these tables: the table's place in the list, the column, its
/// character set, and something if an index begins with it.
///
/// A part for each table, because MariaDB opens only those tables whose names it can read off the statement.
pub(super) fn statement(tables: &Tables, dialect: Dialect) -> Result<Statement, DatabaseError> {
    let mut parts = Vec::new();
    for (place, table) in looked_at(tables).into_iter().enumerate() {
        // Names that can be quoted hold no quotation mark.
        quoted(table)?;
        let (schema, name) = in_parts(table);
        parts.push(match dialect {
            Dialect::MySql => {
                let schema = schema.map_or_else(|| "DATABASE()".to_owned(), |schema| format!("'{schema}'"));
                format!(
                    "SELECT {place}, COLUMN_NAME, CHARACTER_SET_NAME, COLUMN_KEY FROM information_schema.COLUMNS \
                     WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = '{name}'"
                )
            }
            Dialect::Sqlite => {
                let schema = schema.unwrap_or("main");
                format!(
                    "SELECT {place}, t.name, 'utf8mb4', \
                     (SELECT 'MUL' FROM pragma_index_list('{name}', '{schema}') l \
                      JOIN pragma_index_info(l.name, '{schema}') c WHERE c.seqno = 0 AND c.name = t.name LIMIT 1) \
                     FROM pragma_table_info('{name}', '{schema}') t"
                )
            }
        });
    }
    let Some(place) = looked_at(tables).iter().position(|table| *table == tables.user_group) else {
        return Ok(parts.join(" UNION ALL ").into());
    };
    let (schema, name) = in_parts(&tables.user_group);
    parts.push(match dialect {
        Dialect::MySql => {
            let schema = schema.map_or_else(|| "DATABASE()".to_owned(), |schema| format!("'{schema}'"));
            format!(
                "SELECT {place}, '{BY_USER}', NULL, 'MUL' FROM information_schema.STATISTICS \
                 WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = '{name}' AND SEQ_IN_INDEX = 1 AND COLUMN_NAME = 'user_id'"
            )
        }
        Dialect::Sqlite => {
            let schema = schema.unwrap_or("main");
            format!(
                "SELECT {place}, '{BY_USER}', NULL, 'MUL' FROM pragma_index_list('{name}', '{schema}') l \
                 JOIN pragma_index_info(l.name, '{schema}') c WHERE c.seqno = 0 AND c.name = 'user_id'"
            )
        }
    });
    Ok(parts.join(" UNION ALL ").into())
}

/// A column that exists.
#[derive(Clone, Debug)]
struct Column {
    charset: Option<String>,
    indexed: bool,
}

/// The columns that exist, by the place of their table in [`looked_at`] and their name in lower case.
#[derive(Default)]
struct FoundColumns(BTreeMap<(usize, String), Column>);

impl FoundColumns {
    fn has_table(&self, place: usize) -> bool {
        self.0.keys().any(|(table, _)| *table == place)
    }

    fn column(&self, place: usize, name: &str) -> Option<&Column> {
        self.0.get(&(place, name.to_ascii_lowercase()))
    }

    fn has_all(&self, place: usize, names: &[&str]) -> bool {
        names.iter().all(|name| self.column(place, name).is_some())
    }
}

impl Schema {
    /// Reads the answer to [`statement`].
    pub(super) fn read(tables: &Tables, rows: &[Row]) -> Result<Self, DatabaseError> {
        let mut found = FoundColumns::default();
        for row in rows {
            let (Some(place), Some(name)) = (row.unsigned(0), row.text(1)) else { continue };
            let indexed = row.text(3).is_some_and(|key| !key.is_empty());
            let column = Column { charset: row.text(2), indexed };
            found.0.insert((place as usize, name.to_ascii_lowercase()), column);
        }
        Self::judge(tables, &found)
    }

    fn judge(tables: &Tables, found: &FoundColumns) -> Result<Self, DatabaseError> {
        let users_columns =
            [tables.users_id.as_str(), tables.users_username.as_str(), tables.users_password.as_str()];
        let needed = needed(tables, &users_columns);
        for (place, Wanted { table, columns }) in needed.iter().enumerate() {
            if !found.has_table(place) {
                return Err(DatabaseError::missing(format!(
                    "there is no table {table} that this user may read"
                )));
            }
            if let Some(column) = columns.iter().find(|column| found.column(place, column).is_none()) {
                return Err(DatabaseError::missing(format!(
                    "the table {table} has no column {column} that this user may read"
                )));
            }
        }
        let place =
            |name: &str| needed.iter().position(|wanted| wanted.table == name).unwrap_or(needed.len());
        let (formats_place, keys_place) = (needed.len(), needed.len() + 1);
        let path = found.column(place(&tables.images), "path");
        let mut schema = Schema {
            formats: found.has_all(formats_place, &FORMAT_COLUMNS),
            auth_keys: found.has_all(keys_place, &AUTH_KEY_COLUMNS),
            api_keys: found.has_all(keys_place, &AUTH_KEY_COLUMNS)
                && found.has_all(keys_place, &API_KEY_COLUMNS),
            path_index: path.is_some_and(|path| path.indexed),
            downloadable: found.column(place(&tables.categories), DOWNLOADABLE).is_some(),
            groups_by_user: found.column(place(&tables.user_group), BY_USER).is_some(),
            path_charset: match path.and_then(|path| path.charset.as_deref()) {
                Some("utf8mb4") => Charset::Unicode,
                Some("utf8" | "utf8mb3") => Charset::Utf8mb3,
                _ => Charset::Other,
            },
            version: "",
        };
        let infos = |column| found.column(place(&tables.user_infos), column).is_some();
        // The newest trace counts: an administrator may have added an index to an old Piwigo, or kept a table
        // from us.
        schema.version = if schema.api_keys {
            "16 or later"
        } else if infos("preferences") {
            "13 to 15"
        } else if schema.path_index && infos("last_visit") {
            "11 or 12"
        } else if infos("last_visit") {
            "2.9 or 2.10"
        } else if schema.formats || schema.auth_keys {
            "2.8"
        } else {
            "2.7"
        };
        Ok(schema)
    }

    /// Whether `images.path` could hold this path at all.
    pub fn can_hold(&self, path: &str) -> bool {
        match self.path_charset {
            Charset::Utf8mb3 => path.chars().all(|character| character <= '\u{ffff}'),
            Charset::Unicode | Charset::Other => true,
        }
    }

    /// Says in the log what these tables do not allow, and what an administrator can do about it.
    pub fn tell(&self, tables: &Tables) {
        let Schema { version, .. } = self;
        tracing::debug!("the tables are those of Piwigo {version}");
        if self.downloadable {
            tracing::info!(
                "{}.{DOWNLOADABLE} (plugin Download Permissions) counts: an original or another format comes only from an album in \
                 which it is true, also while the plugin is not active. Uninstalling the plugin takes the column away",
                tables.categories,
            );
        }
        for sentence in self.unsupported(tables) {
            tracing::info!("{sentence}");
        }
        if !self.path_index {
            tracing::warn!(
                "{images}.path has no index (Piwigo before 11 made none), so that each request reads the whole table; \
                 run: CREATE INDEX gate_path ON {images} (path);",
                images = tables.images,
            );
        }
    }

    /// A sentence for each feature that these tables do not allow.
    fn unsupported(&self, tables: &Tables) -> Vec<String> {
        let Schema { version, .. } = self;
        let mut sentences = Vec::new();
        if !self.formats {
            sentences.push(format!(
                "this Piwigo ({version}) has no table {} (before 2.8), or this user may not read it: other formats of \
                 photos are not known",
                tables.image_format
            ));
        }
        if !self.auth_keys {
            sentences.push(format!(
                "this Piwigo ({version}) has no table {} (before 2.8), or this user may not read it: ?auth= keys are \
                 not known",
                tables.user_auth_keys
            ));
        } else if !self.api_keys {
            sentences.push(format!(
                "this Piwigo ({version}) has no API keys in its table {} (before 16): they are not known",
                tables.user_auth_keys
            ));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Piwigo 16 has, as [`FoundColumns`].
    fn sixteen(tables: &Tables) -> FoundColumns {
        let mut found = FoundColumns::default();
        let mut add = |place: usize, names: &[&str]| {
            for name in names {
                let charset = Some("utf8mb3".into());
                found.0.insert((place, (*name).into()), Column { charset, indexed: *name == "path" });
            }
        };
        for (place, wanted) in needed(tables, &["id", "username", "password"]).iter().enumerate() {
            add(place, wanted.columns);
        }
        add(6, &["last_visit", "preferences"]);
        add(10, &FORMAT_COLUMNS);
        add(11, &AUTH_KEY_COLUMNS);
        add(11, &API_KEY_COLUMNS);
        found
    }

    #[test]
    fn a_plugins_column_is_found() {
        let tables = Tables::with_prefix("p_");
        let mut found = sixteen(&tables);
        assert!(!Schema::judge(&tables, &found).unwrap().downloadable);
        // Of another table it says nothing.
        for (place, expected) in [(1, false), (3, true)] {
            found.0.insert((place, DOWNLOADABLE.to_owned()), Column { charset: None, indexed: false });
            assert_eq!(Schema::judge(&tables, &found).unwrap().downloadable, expected, "{place}");
        }
    }

    #[test]
    fn what_a_version_lacks_is_told_by_its_columns() {
        let tables = Tables::with_prefix("p_");
        let none: &[(usize, &str)] = &[];
        let revoked: &[(usize, &str)] = &[(11, "revoked_on")];
        let key: &[(usize, &str)] = &[(11, "auth_key")];
        let preferences: &[(usize, &str)] = &[(6, "preferences")];
        let last_visit: &[(usize, &str)] = &[(6, "preferences"), (6, "last_visit")];
        // What is taken away from 16, whether the path keeps its index, then formats, auth keys, API keys,
        // version.
        let table = [
            (none, true, true, true, true, "16 or later"),
            (revoked, true, true, true, false, "13 to 15"),
            (key, true, true, false, false, "13 to 15"),
            (preferences, true, true, true, false, "11 or 12"),
            (preferences, false, true, true, false, "2.9 or 2.10"),
            (last_visit, false, true, true, false, "2.8"),
            (last_visit, false, false, false, false, "2.7"),
        ];
        for (number, (gone, path_index, formats, auth_keys, api_keys, version)) in
            table.into_iter().enumerate()
        {
            let mut found = sixteen(&tables);
            for (place, name) in gone {
                assert!(found.0.remove(&(*place, (*name).to_owned())).is_some());
            }
            found.0.get_mut(&(1, "path".to_owned())).unwrap().indexed = path_index;
            found.0.retain(|(place, name), _| match place {
                10 => formats,
                11 => auth_keys && (api_keys || !API_KEY_COLUMNS.contains(&name.as_str())),
                _ => true,
            });
            let schema = Schema::judge(&tables, &found).unwrap();
            let expected = Schema {
                formats,
                auth_keys,
                api_keys,
                path_index,
                downloadable: false,
                groups_by_user: false,
                path_charset: Charset::Utf8mb3,
                version,
            };
            assert_eq!(schema, expected, "line {number}");
            let said = schema.unsupported(&tables).join("\n");
            assert_eq!(said.contains("p_image_format"), !formats, "{said}");
            assert_eq!(said.contains("p_user_auth_keys"), !api_keys, "{said}");
        }
    }

    #[test]
    fn a_missing_table_or_column_is_named() {
        let tables =
            Tables { users: "forum.members".into(), users_id: "no".into(), ..Tables::with_prefix("p_") };
        let error = Schema::judge(&tables, &sixteen(&tables)).unwrap_err().to_string();
        assert_eq!(error, "the table forum.members has no column no that this user may read");
        let tables = Tables::with_prefix("p_");
        let mut found = sixteen(&tables);
        found.0.retain(|(place, _), _| *place != 9);
        let error = Schema::judge(&tables, &found).unwrap_err().to_string();
        assert_eq!(error, "there is no table p_group_access that this user may read");
    }

    #[test]
    fn names_of_tables_stand_in_the_statement_and_nothing_else_can() {
        let tables = Tables { users: "forum.members".into(), ..Tables::with_prefix("p_") };
        let text = statement(&tables, Dialect::MySql).unwrap();
        assert!(text.contains("TABLE_SCHEMA = 'forum' AND TABLE_NAME = 'members'"), "{text}");
        let tables = Tables { users: "x' OR '1'='1".into(), ..tables };
        assert!(statement(&tables, Dialect::MySql).is_err());
    }
}
