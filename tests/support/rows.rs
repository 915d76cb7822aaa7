//! The rows of the small gallery as SQL text for MariaDB and SQLite.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::world::World;

/// The database that reads the SQL text. The two differ in the meaning of a backslash in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    MariaDb,
    Sqlite,
}

/// Piwigo 16's tables for SQLite.
pub const SQLITE_SCHEMA: &str = include_str!("../data/schema-sqlite.sql");

impl World {
    /// `INSERT` statements for all rows, for tables that exist and are empty.
    pub fn sql(&self, engine: Engine) -> String {
        let mut out = Sql { engine, text: String::new() };
        out.row("sites", "id, galleries_url", &[&1, &"./galleries/"]);
        for (param, value) in [
            ("gallery_locked", "false"),
            ("webmaster_id", "1"),
            ("secret_key", self.secret_key.as_str()),
            ("derivatives", &self.derivatives),
            ("disabled_derivatives", &self.disabled_derivatives),
        ] {
            out.row("config", "param, value", &[&param, &value]);
        }
        for c in &self.categories {
            let uppercats = c.uppercats.as_str().map_or_else(|| c.uppercats.to_string(), str::to_owned);
            let columns = "id, id_uppercat, uppercats, status, visible, name";
            out.row(
                "categories",
                columns,
                &[&c.id, &c.id_uppercat, &uppercats, &c.status, &c.visible, &c.name],
            );
        }
        for i in &self.images {
            let columns = "id, file, path, representative_ext, width, height, rotation, coi, level, storage_category_id";
            let values: [&dyn Value; 10] = [
                &i.id,
                &i.file,
                &i.path,
                &i.representative_ext,
                &i.width,
                &i.height,
                &i.rotation.map(u32::from),
                &i.coi,
                &u32::from(i.level),
                &i.storage_category_id,
            ];
            out.row("images", columns, &values);
        }
        for row in &self.image_category {
            out.row("image_category", "image_id, category_id", &[&row.image_id, &row.category_id]);
        }
        for u in &self.users {
            out.row("users", "id, username, password", &[&u.id, &u.username, &u.password]);
            let columns = "user_id, status, level, enabled_high";
            out.row("user_infos", columns, &[&u.id, &u.status, &u32::from(u.level), &u.enabled_high]);
        }
        let groups: BTreeSet<u32> = self
            .user_group
            .iter()
            .map(|g| g.group_id)
            .chain(self.group_access.iter().map(|g| g.group_id))
            .collect();
        for id in groups {
            out.row("groups", "id, name", &[&id, &format!("group {id}")]);
        }
        for row in &self.user_group {
            out.row("user_group", "user_id, group_id", &[&row.user_id, &row.group_id]);
        }
        for row in &self.user_access {
            out.row("user_access", "user_id, cat_id", &[&row.user_id, &row.cat_id]);
        }
        for row in &self.group_access {
            out.row("group_access", "group_id, cat_id", &[&row.group_id, &row.cat_id]);
        }
        for f in &self.image_format {
            out.row("image_format", "format_id, image_id, ext", &[&f.format_id, &f.image_id, &f.ext]);
        }
        let mut seen = BTreeSet::new();
        for row in self.sessions.iter().filter_map(|session| session.row.as_ref()) {
            assert!(seen.insert(&row.id), "session ids are unique");
            out.row("sessions", "id, data, expiration", &[&row.id, &row.data, &row.expiration]);
        }
        out.text
    }
}

/// A value in an `INSERT`.
trait Value {
    fn sql(&self, engine: Engine) -> String;
}

impl Value for u32 {
    fn sql(&self, _: Engine) -> String {
        self.to_string()
    }
}

impl Value for i32 {
    fn sql(&self, _: Engine) -> String {
        self.to_string()
    }
}

impl Value for &str {
    fn sql(&self, engine: Engine) -> String {
        let text = match engine {
            Engine::MariaDb => self.replace('\\', "\\\\"),
            Engine::Sqlite => (*self).to_owned(),
        };
        format!("'{}'", text.replace('\'', "''"))
    }
}

impl Value for String {
    fn sql(&self, engine: Engine) -> String {
        self.as_str().sql(engine)
    }
}

impl<T: Value> Value for Option<T> {
    fn sql(&self, engine: Engine) -> String {
        self.as_ref().map_or_else(|| "NULL".to_owned(), |value| value.sql(engine))
    }
}

struct Sql {
    engine: Engine,
    text: String,
}

impl Sql {
    fn row(&mut self, table: &str, columns: &str, values: &[&dyn Value]) {
        let values: Vec<String> = values.iter().map(|value| value.sql(self.engine)).collect();
        writeln!(self.text, "INSERT INTO piwigo_{table} ({columns}) VALUES ({});", values.join(", "))
            .expect("String grows");
    }
}
