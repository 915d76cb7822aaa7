//! Turns `include/config_default.inc.php`, `local/config/config.inc.php` and `local/config/database.inc.php`
//! into the values that the gate needs. A value that only PHP could evaluate is an error for a needed key;
//! for others it is skipped.

use std::collections::BTreeMap;
use std::path::Path;

use super::nearest::nearest;
use super::piwigo_settings::relative_directory;
use super::{SettingsError, read_bytes};
use crate::database::{Address, Tables};
use crate::piwigo::conf_keys;
use crate::piwigo::php::config::{NotUnderstood, PhpConfig};
use crate::piwigo::php::remote_addr::assignment_of_remote_addr;
use crate::piwigo::php::value::{PhpArray, PhpKey, PhpValue};

/// Largest settings file of Piwigo's, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Piwigo's settings files, with the values from `gate.toml` that replace theirs.
pub struct PiwigoFiles {
    config: PhpConfig,
    overrides: BTreeMap<String, PhpValue>,
    address_changed_at: Option<(String, u32)>,
}

impl PiwigoFiles {
    /// Reads the gallery's files. With `database_given`, the database's address comes from elsewhere, so
    /// `database.inc.php` may be missing.
    pub(super) fn read(
        gallery: &Path,
        overrides: &BTreeMap<String, toml::Value>,
        database_given: bool,
        ignore_includes: bool,
    ) -> Result<Self, SettingsError> {
        let mut config = PhpConfig::default();
        let mut address_changed_at = None;
        // The version's own defaults come first, because `$conf['picture_ext'][] = 'heic';` adds to them.
        for name in ["include/config_default.inc.php", "local/config/config.inc.php"] {
            let path = gallery.join(name);
            if path.try_exists().map_err(|error| SettingsError::Unreadable { path: path.clone(), error })? {
                let text = read_bytes(&path, MAX_FILE)?;
                config.read(name, &text);
                note_address(name, &text, &mut address_changed_at);
            }
        }
        let mut overridden = BTreeMap::new();
        for (key, value) in overrides {
            if !conf_keys::in_files().any(|known| known == key) {
                let known = match nearest(key, conf_keys::in_files()) {
                    Some(name) => format!("do you mean {name}?"),
                    None => format!("it uses {}", conf_keys::in_files().collect::<Vec<_>>().join(", ")),
                };
                return Err(SettingsError::PiwigoUnknown { key: key.clone(), known });
            }
            overridden.insert(key.clone(), from_toml(key, value)?);
        }
        let mut files = PiwigoFiles { config, overrides: overridden, address_changed_at };
        // A gallery of a "multisite" install names its own folder, but Piwigo always reads config.inc.php
        // from here.
        let folder = files.constant_directory("PWG_LOCAL_DIR")?.unwrap_or_else(|| "local/".into());
        let name = format!("{folder}config/database.inc.php");
        let path = gallery.join(&name);
        if path.try_exists().unwrap_or(true) {
            let text = read_bytes(&path, MAX_FILE)?;
            files.config.read(&name, &text);
            note_address(&name, &text, &mut files.address_changed_at);
        } else if !database_given {
            return Err(SettingsError::NotAGallery(gallery.to_owned()));
        }
        // An included file may set a key that closes a door, such as `guest_access`; the gate must not leave
        // it open because it does not read the file.
        if let Some(include) = files.config.includes().first().filter(|_| !ignore_includes) {
            return Err(SettingsError::Included { file: include.file.clone(), line: include.line });
        }
        Ok(files)
    }

    /// Reads both files from text.
    #[cfg(test)]
    pub(crate) fn from_text(local: &str, database: &str) -> Self {
        let mut config = PhpConfig::default();
        config.read("local/config/config.inc.php", local.as_bytes());
        config.read("local/config/database.inc.php", database.as_bytes());
        PiwigoFiles { config, overrides: BTreeMap::new(), address_changed_at: None }
    }

    /// The file and line that change the visitor's address for PHP alone, if any.
    pub fn address_changed_at(&self) -> Option<(&str, u32)> {
        self.address_changed_at.as_ref().map(|(file, line)| (file.as_str(), *line))
    }

    /// The value that `gate.toml` gives for one of Piwigo's keys.
    pub(super) fn overridden(&self, key: &str) -> Option<&PhpValue> {
        self.overrides.get(key)
    }

    /// A key of `$conf`, as the files set it.
    pub(super) fn conf(&self, key: &str) -> Result<Option<&PhpValue>, SettingsError> {
        self.config.conf(key).map_err(|error| not_understood(error, key))
    }

    /// A constant that holds a folder below the root, with a trailing slash.
    pub(super) fn constant_directory(&self, name: &str) -> Result<Option<String>, SettingsError> {
        let Some(text) = self.constant(name)? else { return Ok(None) };
        relative_directory(&text).map(Some).ok_or_else(|| SettingsError::PiwigoType {
            key: name.to_owned(),
            expected: "a folder below the gallery's root",
        })
    }

    fn constant(&self, name: &str) -> Result<Option<String>, SettingsError> {
        let value = match self.overrides.get(name) {
            Some(value) => Some(value),
            None => self.config.constant(name).map_err(|error| not_understood(error, name))?,
        };
        value
            .map(|value| {
                value
                    .as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| SettingsError::PiwigoType { key: name.to_owned(), expected: "text" })
            })
            .transpose()
    }

    fn text(&self, key: &str) -> Result<Option<String>, SettingsError> {
        let value = match self.overrides.get(key) {
            Some(value) => Some(value),
            None => self.conf(key)?,
        };
        match value {
            None | Some(PhpValue::Null) => Ok(None),
            Some(value) => value
                .as_str()
                .map(|text| Some(text.to_owned()))
                .ok_or_else(|| SettingsError::PiwigoType { key: key.to_owned(), expected: "text" }),
        }
    }

    /// The database that Piwigo uses.
    pub(super) fn database(&self) -> Result<Address, SettingsError> {
        let needed = |key: &str| self.text(key)?.ok_or_else(|| SettingsError::PiwigoMissing(key.to_owned()));
        if let Some(layer) = self.text("dblayer")?.filter(|layer| !layer.starts_with("mysql")) {
            return Err(SettingsError::Value {
                setting: "dblayer",
                value: layer,
                expected: "the gate knows Piwigo on MySQL and MariaDB; set database = \"sqlite:///file\" for SQLite",
            });
        }
        let host = self.text("db_host")?.unwrap_or_else(|| "localhost".into());
        let password = self.text("db_password")?.unwrap_or_default();
        Ok(Address::from_piwigo(&host, &needed("db_user")?, &password, &needed("db_base")?)?)
    }

    /// The constant `DB_CHARSET`, the character set that Piwigo uses with its database; empty means Piwigo's
    /// default.
    pub(super) fn charset(&self) -> Result<String, SettingsError> {
        Ok(self.constant("DB_CHARSET")?.unwrap_or_default())
    }

    /// The names of Piwigo's tables.
    pub(super) fn tables(&self) -> Result<Tables, SettingsError> {
        let prefix = match self.overrides.get("prefixeTable") {
            Some(value) => value.as_str(),
            None => self.config.table_prefix().map_err(|error| not_understood(error, "prefixeTable"))?,
        };
        let mut tables = Tables::with_prefix(prefix.unwrap_or("piwigo_"));
        let constants: [(&str, &mut String); 12] = [
            ("CATEGORIES_TABLE", &mut tables.categories),
            ("CONFIG_TABLE", &mut tables.config),
            ("GROUP_ACCESS_TABLE", &mut tables.group_access),
            ("HISTORY_TABLE", &mut tables.history),
            ("IMAGES_TABLE", &mut tables.images),
            ("IMAGE_CATEGORY_TABLE", &mut tables.image_category),
            ("IMAGE_FORMAT_TABLE", &mut tables.image_format),
            ("SESSIONS_TABLE", &mut tables.sessions),
            ("USER_ACCESS_TABLE", &mut tables.user_access),
            ("USER_AUTH_KEYS_TABLE", &mut tables.user_auth_keys),
            ("USER_GROUP_TABLE", &mut tables.user_group),
            ("USER_INFOS_TABLE", &mut tables.user_infos),
        ];
        for (constant, name) in constants {
            if let Some(value) = self.constant(constant)? {
                *name = value;
            }
        }
        if let Some(users) = self.text("users_table")? {
            tables.users = users;
        }
        if let Some(users) = self.constant("USERS_TABLE")? {
            tables.users = users;
        }
        let fields = match self.overrides.get("user_fields") {
            Some(value) => Some(value),
            None => self.conf("user_fields")?,
        };
        let columns = [
            ("id", &mut tables.users_id),
            ("username", &mut tables.users_username),
            ("password", &mut tables.users_password),
        ];
        for (field, column) in columns {
            if let Some(name) = fields.and_then(|fields| fields.element(field)) {
                let name = name.as_str().ok_or_else(|| SettingsError::PiwigoType {
                    key: "user_fields".into(),
                    expected: "a map of column names",
                })?;
                name.clone_into(column);
            }
        }
        Ok(tables)
    }
}

fn not_understood(error: NotUnderstood, key: &str) -> SettingsError {
    SettingsError::NotUnderstood {
        file: error.file,
        line: error.line,
        key: error.key,
        toml_key: key.to_owned(),
    }
}

fn from_toml(key: &str, value: &toml::Value) -> Result<PhpValue, SettingsError> {
    Ok(match value {
        toml::Value::String(text) => PhpValue::Bytes(text.as_bytes().to_vec()),
        toml::Value::Integer(number) => PhpValue::Int(*number),
        toml::Value::Boolean(value) => PhpValue::Bool(*value),
        toml::Value::Array(items) => {
            let mut array = PhpArray::default();
            for item in items {
                array.push(from_toml(key, item)?);
            }
            PhpValue::Array(array)
        }
        toml::Value::Table(items) => {
            let mut array = PhpArray::default();
            for (name, item) in items {
                array.insert(PhpKey::from_bytes(name.as_bytes()), from_toml(key, item)?);
            }
            PhpValue::Array(array)
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) => {
            return Err(SettingsError::PiwigoType {
                key: key.to_owned(),
                expected: "text, a number, true or false, a list or a table",
            });
        }
    })
}

/// Records the first line that changes `$_SERVER['REMOTE_ADDR']`.
fn note_address(name: &str, text: &[u8], place: &mut Option<(String, u32)>) {
    if place.is_none() {
        *place = assignment_of_remote_addr(text).map(|line| (name.to_owned(), line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_files_name_the_database_and_the_tables() {
        let files = PiwigoFiles::from_text(
            "<?php\n$conf['users_table'] = 'forum.users';\n$conf['user_fields'] = array('id' => 'user_id');\n",
            "<?php\n$conf['dblayer'] = 'mysqli';\n$conf['db_base'] = 'photos';\n$conf['db_user'] = 'u';\n\
             $conf['db_password'] = 'p\\'w';\n$conf['db_host'] = '/run/x.sock';\n$prefixeTable = 'pwg_';\n\
             define('PHPWG_INSTALLED', true);\ndefine('SESSIONS_TABLE', 'other_sessions');\n",
        );
        assert_eq!(format!("{:?}", files.database().unwrap()), "MySQL at /run/x.sock");
        let tables = files.tables().unwrap();
        assert_eq!(tables.images, "pwg_images");
        assert_eq!(tables.sessions, "other_sessions");
        assert_eq!((tables.users.as_str(), tables.users_id.as_str()), ("forum.users", "user_id"));
    }

    #[test]
    fn what_only_php_can_run_is_named_with_its_remedy() {
        let files = PiwigoFiles::from_text("<?php", "<?php\n$conf['db_user'] = getenv('DB_USER');\n");
        let error = files.database().unwrap_err().to_string();
        for part in ["database.inc.php", "line 2", "db_user", "gate.toml", "[piwigo]"] {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
}
