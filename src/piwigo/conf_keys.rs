//! The keys of Piwigo's `$conf` that the gate reads: one list for the statement that reads the config table,
//! for the table `[piwigo]` of `gate.toml`, and for the resolution of the settings.

/// From where Piwigo has a key's value at the moment when it uses it (docs/spec/piwigo.md §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetIn {
    /// Piwigo's files only: the value is used before the config table is read, or by `i.php`, which does not
    /// read the table.
    Files,
    /// Piwigo's files; the config table wins over them.
    FilesAndTable,
    /// The config table only.
    Table,
}

/// A key of `$conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfKey {
    /// Its name.
    pub name: &'static str,
    /// Where it is set.
    pub set_in: SetIn,
}

macro_rules! keys {
    ($($constant:ident = $name:literal, $set_in:ident;)+) => {
        $(
            #[doc = concat!("`", $name, "`.")]
            pub const $constant: ConfKey = ConfKey { name: $name, set_in: SetIn::$set_in };
        )+
        /// Every key.
        pub const ALL: &[ConfKey] = &[$($constant),+];
    };
}

keys! {
    DBLAYER = "dblayer", Files;
    DB_HOST = "db_host", Files;
    DB_USER = "db_user", Files;
    DB_PASSWORD = "db_password", Files;
    DB_BASE = "db_base", Files;
    USERS_TABLE = "users_table", Files;
    USER_FIELDS = "user_fields", Files;
    // Used by `functions_session.inc.php` and `constants.php`, which are included before the table is read.
    SESSION_SAVE_HANDLER = "session_save_handler", Files;
    SESSION_NAME = "session_name", Files;
    DATA_LOCATION = "data_location", Files;
    // Used by `i.php` alone.
    STRIP_METADATA_BELOW = "derivatives_strip_metadata_threshold", Files;
    SESSION_USE_IP_ADDRESS = "session_use_ip_address", FilesAndTable;
    GUEST_ID = "guest_id", FilesAndTable;
    GUEST_ACCESS = "guest_access", FilesAndTable;
    DEFAULT_USER_ID = "default_user_id", FilesAndTable;
    WEBMASTER_ID = "webmaster_id", FilesAndTable;
    LOG = "log", FilesAndTable;
    HISTORY_ADMIN = "history_admin", FilesAndTable;
    HISTORY_GUEST = "history_guest", FilesAndTable;
    REMEMBER_ME_NAME = "remember_me_name", FilesAndTable;
    REMEMBER_ME_LENGTH = "remember_me_length", FilesAndTable;
    APACHE_AUTHENTICATION = "apache_authentication", FilesAndTable;
    EXTERNAL_AUTHENTIFICATION = "external_authentification", FilesAndTable;
    PICTURE_EXT = "picture_ext", FilesAndTable;
    ENABLE_FORMATS = "enable_formats", FilesAndTable;
    DERIVATIVE_URL_STYLE = "derivative_url_style", FilesAndTable;
    UPLOAD_DIR = "upload_dir", FilesAndTable;
    DERIVATIVES = "derivatives", Table;
    // Set at the end of an upgrade: the tables may have changed.
    DB_VERSION = "piwigo_db_version", Table;
}

/// Variables and constants of Piwigo's files that are no keys of `$conf`.
pub const BESIDE_CONF: [&str; 17] = [
    "prefixeTable",
    "DB_CHARSET",
    "PWG_LOCAL_DIR",
    "PWG_DERIVATIVE_DIR",
    "CATEGORIES_TABLE",
    "CONFIG_TABLE",
    "GROUP_ACCESS_TABLE",
    "HISTORY_TABLE",
    "IMAGES_TABLE",
    "IMAGE_CATEGORY_TABLE",
    "IMAGE_FORMAT_TABLE",
    "SESSIONS_TABLE",
    "USERS_TABLE",
    "USER_ACCESS_TABLE",
    "USER_AUTH_KEYS_TABLE",
    "USER_GROUP_TABLE",
    "USER_INFOS_TABLE",
];

/// The names that are looked up in the config table.
pub fn in_table() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|key| key.set_in != SetIn::Files).map(|key| key.name)
}

/// The names that the table `[piwigo]` of `gate.toml` may hold: whatever Piwigo's files may set.
pub fn in_files() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|key| key.set_in != SetIn::Table).map(|key| key.name).chain(BESIDE_CONF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<_> = ALL.iter().map(|key| key.name).chain(BESIDE_CONF).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
