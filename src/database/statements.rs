//! The text of every statement, built once from the names of Piwigo's tables. Each probes an index of
//! Piwigo's own (the exceptions: `image_format` has none by image, `user_group` none by user,
//! `user_auth_keys` none by key, `categories` none by cover); none but the one for covers depends on the
//! number of albums, grants or images.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::DatabaseError;
use super::batch::MAX_KEYS;
use super::charset::Exact;
use super::engine::Dialect;
use super::schema::DOWNLOADABLE;
use crate::piwigo::conf_keys;

/// The names of the tables a verdict is made from; full names, as Piwigo's own constants hold them.
#[derive(Clone, Debug)]
pub struct Tables {
    /// `categories`.
    pub categories: String,
    /// `config`.
    pub config: String,
    /// `group_access`.
    pub group_access: String,
    /// `history`.
    pub history: String,
    /// `images`.
    pub images: String,
    /// `image_category`.
    pub image_category: String,
    /// `image_format`.
    pub image_format: String,
    /// `plugins`.
    pub plugins: String,
    /// `sessions`.
    pub sessions: String,
    /// `sites`.
    pub sites: String,
    /// `user_access`.
    pub user_access: String,
    /// `user_auth_keys`.
    pub user_auth_keys: String,
    /// `user_group`.
    pub user_group: String,
    /// `user_infos`.
    pub user_infos: String,
    /// `$conf['users_table']`, or `users`.
    pub users: String,
    /// `$conf['user_fields']['id']`.
    pub users_id: String,
    /// `$conf['user_fields']['username']`.
    pub users_username: String,
    /// `$conf['user_fields']['password']`.
    pub users_password: String,
}

impl Tables {
    /// Piwigo's names behind a prefix such as `piwigo_`.
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |table: &str| format!("{prefix}{table}");
        Tables {
            categories: name("categories"),
            config: name("config"),
            group_access: name("group_access"),
            history: name("history"),
            images: name("images"),
            image_category: name("image_category"),
            image_format: name("image_format"),
            plugins: name("plugins"),
            sessions: name("sessions"),
            sites: name("sites"),
            user_access: name("user_access"),
            user_auth_keys: name("user_auth_keys"),
            user_group: name("user_group"),
            user_infos: name("user_infos"),
            users: name("users"),
            users_id: "id".into(),
            users_username: "username".into(),
            users_password: "password".into(),
        }
    }
}

/// Directories of synchronisation that are looked at, at most; a gallery has one or two.
const MAX_SITES: usize = 256;

/// Sessions by which it is told how PHP writes them.
const SOME_SESSIONS: usize = 16;

/// Active plugins that are looked at, at most; a gallery has some twenty.
pub(super) const MAX_PLUGINS: usize = 1024;

/// Owners that are looked for, for one file: more than one only where a `*` can be read in several ways.
pub const MAX_STEMS: usize = 4;

/// Beginnings of paths in one statement: each stem of a companion's owners in its two spellings.
pub(super) const MAX_STEM_PREFIXES: usize = 2 * MAX_STEMS;

/// Largest number of images whose covers are asked for at once; a power of two.
const MAX_IMAGES: usize = 64;

/// Accounts that so many requests may concern, at most.
pub(super) const MAX_USERS: usize = (MAX_KEYS * IDS).next_power_of_two();

/// Spellings of one file's path in the table, at most.
pub(super) const MAX_SPELLINGS: usize = 3;

/// Albums in one statement, at most; a power of two.
pub(super) const MAX_ALBUMS: usize = 128;

/// Paths in one statement, at most.
const MAX_PATHS: usize = (MAX_KEYS * MAX_SPELLINGS).next_power_of_two();

/// A statement with a list in it, once for each length 1, 2, 4 … so that prepared statements are few.
#[derive(Debug)]
pub(super) struct ByLength(Vec<Arc<str>>);

impl ByLength {
    /// `text` makes the statement from the list's placeholders; `max` is its longest length, a power of two.
    fn new(max: usize, text: impl Fn(&str) -> String) -> Self {
        let powers = 0..=max.trailing_zeros();
        ByLength(powers.map(|power| text(&placeholders(1 << power)).into()).collect())
    }

    /// The statement for at least so many items, and how many it takes.
    pub(super) fn at_least(&self, items: usize) -> (Arc<str>, usize) {
        let power = items.max(1).next_power_of_two().trailing_zeros() as usize;
        let power = power.min(self.0.len() - 1);
        (self.0[power].clone(), 1 << power)
    }
}

/// Statements with two lists in them: by the number of users, and then by that of albums.
#[derive(Debug)]
pub(super) struct GrantStatements(Vec<ByLength>);

impl GrantStatements {
    fn new(text: impl Fn(&str, &str) -> String) -> Self {
        let powers = 0..=MAX_USERS.trailing_zeros();
        let by_users = powers.map(|power| {
            let users = placeholders(1 << power);
            ByLength::new(MAX_ALBUMS, |albums| text(&users, albums))
        });
        GrantStatements(by_users.collect())
    }

    /// The statement for at least so many users and albums, and how many of each it takes.
    pub(super) fn at_least(&self, users: usize, albums: usize) -> (Arc<str>, usize, usize) {
        let power = users.max(1).next_power_of_two().trailing_zeros() as usize;
        let power = power.min(self.0.len() - 1);
        let (statement, albums) = self.0[power].at_least(albums);
        (statement, 1 << power, albums)
    }
}

fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

#[derive(Debug)]
pub(super) struct Statements {
    pub(super) config: Arc<str>,
    pub(super) door_and_sessions: ByLength,
    pub(super) images_by_path: ByLength,
    pub(super) images_by_id: Arc<str>,
    pub(super) images_by_format_id: Arc<str>,
    pub(super) images_by_representative: Arc<str>,
    pub(super) images_by_format: Arc<str>,
    pub(super) images_by_stem: Arc<str>,
    pub(super) users: ByLength,
    pub(super) users_with_credentials: ByLength,
    pub(super) users_by_name: ByLength,
    pub(super) auth_key: Arc<str>,
    pub(super) mailed_key: Arc<str>,
    pub(super) sites: Arc<str>,
    pub(super) some_sessions: Arc<str>,
    pub(super) plugins: Arc<str>,
    pub(super) original_was_taken: Arc<str>,
    pub(super) format_was_taken: Arc<str>,
    grants: GrantStatements,
    grants_by_user: GrantStatements,
    /// Set once the tables were looked at: [`super::Schema::groups_by_user`].
    pub(super) has_groups_by_user: AtomicBool,
    pub(super) covers: ByLength,
}

impl Statements {
    /// The statement for what is granted to users on albums, by hand and by group.
    pub(super) fn grants(&self) -> &GrantStatements {
        if self.has_groups_by_user.load(Ordering::Relaxed) { &self.grants_by_user } else { &self.grants }
    }

    /// `downloadable`: the column of that name exists. `exact`: how a column is read whose text is compared
    /// or becomes part of a path.
    pub(super) fn build(
        tables: &Tables,
        dialect: Dialect,
        downloadable: bool,
        exact: &Exact,
    ) -> Result<Self, DatabaseError> {
        let categories = quoted(&tables.categories)?;
        let config = quoted(&tables.config)?;
        let group_access = quoted(&tables.group_access)?;
        let history = quoted(&tables.history)?;
        let images = quoted(&tables.images)?;
        let image_category = quoted(&tables.image_category)?;
        let image_format = quoted(&tables.image_format)?;
        let sites = quoted(&tables.sites)?;
        let plugins = quoted(&tables.plugins)?;
        let sessions = quoted(&tables.sessions)?;
        let user_access = quoted(&tables.user_access)?;
        let user_group = quoted(&tables.user_group)?;
        let user_infos = quoted(&tables.user_infos)?;
        let users = quoted(&tables.users)?;
        let user_auth_keys = quoted(&tables.user_auth_keys)?;
        let users_id = quoted(&tables.users_id)?;
        let users_username = quoted(&tables.users_username)?;
        let users_password = quoted(&tables.users_password)?;

        let keys = conf_keys::in_table().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ");
        let age = match dialect {
            Dialect::MySql => "TIMESTAMPDIFF(SECOND, s.expiration, NOW())",
            Dialect::Sqlite => {
                "CAST(strftime('%s', 'now', 'localtime') - strftime('%s', s.expiration) AS INTEGER)"
            }
        };
        let now = match dialect {
            Dialect::MySql => "NOW()",
            Dialect::Sqlite => "datetime('now', 'localtime')",
        };
        let user_columns = format!("u.{users_id}, ui.status, ui.level, ui.enabled_high");
        let user_rows = format!(
            "FROM {users} u LEFT JOIN {user_infos} ui ON ui.user_id = u.{users_id} WHERE u.{users_id} IN"
        );
        let downloadable = if downloadable { format!("c.{DOWNLOADABLE}") } else { "'true'".to_owned() };
        let (path, representative_ext) = (exact.column("i.path"), exact.column("i.representative_ext"));
        let (format_ext, galleries_url) = (exact.column("f.ext"), exact.column("galleries_url"));
        let username = exact.column(&format!("u.{users_username}"));
        let image_columns = format!(
            "i.id, {path}, i.level, {representative_ext}, i.width, i.height, i.rotation, c.id, c.status, c.visible, \
             {downloadable}"
        );
        let albums = format!(
            "LEFT JOIN {image_category} ic ON ic.image_id = i.id LEFT JOIN {categories} c ON c.id = ic.category_id"
        );
        // The owner's own folder only, not what lies in folders whose names begin like the owner's.
        let begins = "(i.path LIKE ? ESCAPE '|' OR i.path LIKE ? ESCAPE '|' OR i.path LIKE ? ESCAPE '|') \
                      AND i.path NOT LIKE ? ESCAPE '|' AND i.path NOT LIKE ? ESCAPE '|' AND i.path NOT LIKE ? ESCAPE '|'";

        // Piwigo has no index by user in `user_group`, and none by album in `group_access`, and behind a join
        // an IN list is no probe of a key's second column: the groups that have grants are listed (by jumps
        // from one to the next in the index), users and albums are rows of their own tables, and each pair is
        // probed.
        let then = match dialect {
            Dialect::MySql => "STRAIGHT_JOIN",
            Dialect::Sqlite => "CROSS JOIN",
        };
        let by_hand = format!(
            "SELECT ua.user_id, ua.cat_id FROM {user_access} ua WHERE ua.user_id IN (<ids>) AND ua.cat_id IN (<list>)"
        );
        let filled_in = |by_group: &str| {
            let text = format!("{by_hand} UNION ALL {by_group}");
            GrantStatements::new(|ids, list| text.replace("<ids>", ids).replace("<list>", list))
        };
        let grants = filled_in(&format!(
            "SELECT ug.user_id, ga.cat_id FROM (SELECT DISTINCT group_id FROM {group_access}) g \
             {then} {users} u {then} {user_group} ug ON ug.group_id = g.group_id AND ug.user_id = u.{users_id} \
             {then} {categories} c {then} {group_access} ga ON ga.group_id = ug.group_id AND ga.cat_id = c.id \
             WHERE u.{users_id} IN (<ids>) AND c.id IN (<list>)"
        ));
        // With an index by user, a user's own groups are enough.
        let grants_by_user = filled_in(&format!(
            "SELECT ug.user_id, ga.cat_id FROM {user_group} ug {then} {categories} c \
             {then} {group_access} ga ON ga.group_id = ug.group_id AND ga.cat_id = c.id \
             WHERE ug.user_id IN (<ids>) AND c.id IN (<list>)"
        ));
        let granted = format!(
            "EXISTS (SELECT 1 FROM {user_access} ua WHERE ua.user_id = ? AND ua.cat_id = c.id) OR \
             EXISTS (SELECT 1 FROM {group_access} ga JOIN {user_group} ug ON ug.group_id = ga.group_id \
             WHERE ug.user_id = ? AND ga.cat_id = c.id)"
        );

        Ok(Statements {
            config: format!("SELECT param, value FROM {config} WHERE param IN ({keys})").into(),
            door_and_sessions: ByLength::new(MAX_KEYS, |list| {
                format!(
                    "SELECT c.value, s.id, s.data, {age}, k.value FROM (SELECT 1 AS one) d \
                     LEFT JOIN {config} c ON c.param = 'gallery_locked' LEFT JOIN {config} k ON k.param = ? \
                     LEFT JOIN {sessions} s ON s.id IN ({list})"
                )
            }),
            images_by_path: ByLength::new(MAX_PATHS, |list| {
                format!("SELECT {image_columns}, NULL FROM {images} i {albums} WHERE i.path IN ({list})")
            }),
            images_by_id: format!(
                "SELECT {image_columns}, NULL, i.file FROM {images} i {albums} WHERE i.id = ?"
            )
            .into(),
            images_by_format_id: format!(
                "SELECT {image_columns}, {format_ext}, i.file FROM {image_format} f \
                 JOIN {images} i ON i.id = f.image_id {albums} WHERE f.format_id = ?"
            )
            .into(),
            images_by_representative: format!(
                "SELECT {image_columns}, NULL FROM {images} i {albums} WHERE {begins} AND i.representative_ext = ?"
            )
            .into(),
            images_by_format: format!(
                "SELECT {image_columns}, {format_ext} FROM {images} i JOIN {image_format} f ON f.image_id = i.id {albums} \
                 WHERE {begins} AND f.ext = ?"
            )
            .into(),
            users: ByLength::new(MAX_USERS, |list| format!("SELECT {user_columns} {user_rows} ({list})")),
            users_with_credentials: ByLength::new(MAX_USERS, |list| {
                format!("SELECT {user_columns}, u.{users_username}, u.{users_password} {user_rows} ({list})")
            }),
            users_by_name: ByLength::new(MAX_KEYS, |list| {
                format!(
                    "SELECT u.{users_id}, {username} FROM {users} u WHERE u.{users_username} IN ({list})"
                )
            }),
            auth_key: format!(
                "SELECT k.auth_key, k.user_id, k.expired_on >= {now} AND k.revoked_on IS NULL, k.apikey_secret \
                 FROM {user_auth_keys} k WHERE k.auth_key = ?"
            )
            .into(),
            mailed_key: format!(
                "SELECT k.auth_key, k.user_id, k.expired_on >= {now}, NULL FROM {user_auth_keys} k WHERE k.auth_key = ?"
            )
            .into(),
            images_by_stem: format!(
                "SELECT {image_columns}, NULL FROM {images} i {albums} WHERE ({}) AND {}",
                ["i.path LIKE ? ESCAPE '|'"; MAX_STEM_PREFIXES].join(" OR "),
                ["i.path NOT LIKE ? ESCAPE '|'"; MAX_STEM_PREFIXES].join(" AND "),
            )
            .into(),
            original_was_taken: format!(
                "INSERT INTO {history} (date, time, user_id, IP, image_id, image_type) \
                 VALUES (CURRENT_DATE, CURRENT_TIME, ?, ?, ?, 'high')"
            )
            .into(),
            format_was_taken: format!(
                "INSERT INTO {history} (date, time, user_id, IP, image_id, image_type, format_id) \
                 VALUES (CURRENT_DATE, CURRENT_TIME, ?, ?, ?, 'high', ?)"
            )
            .into(),
            some_sessions: format!("SELECT s.data FROM {sessions} s WHERE s.data <> '' LIMIT {SOME_SESSIONS}").into(),
            sites: format!("SELECT {galleries_url} FROM {sites} ORDER BY id LIMIT {MAX_SITES}").into(),
            plugins: format!(
                "SELECT id, version FROM {plugins} WHERE state = 'active' ORDER BY id LIMIT {}",
                MAX_PLUGINS + 1
            )
            .into(),
            grants,
            grants_by_user,
            has_groups_by_user: AtomicBool::new(false),
            covers: ByLength::new(MAX_IMAGES, |list| {
                format!(
                    "SELECT c.representative_picture_id, c.id, c.status, c.visible, ({granted}) \
                     FROM {categories} c WHERE c.representative_picture_id IN ({list})"
                )
            }),
        })
    }
}

/// A table or column name as part of a statement. Backquotes are understood by MySQL and SQLite alike.
pub(super) fn quoted(name: &str) -> Result<String, DatabaseError> {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'))
    };
    if name.split('.').count() <= 2 && name.split('.').all(part) {
        Ok(name.split('.').map(|part| format!("`{part}`")).collect::<Vec<_>>().join("."))
    } else {
        Err(DatabaseError::name(name))
    }
}

/// The statements ask for three spellings of a path; fewer are repeated.
pub(super) fn three(mut texts: Vec<String>) -> [String; 3] {
    let first = texts.first().cloned().unwrap_or_default();
    texts.resize(3, first);
    let mut texts = texts.into_iter();
    std::array::from_fn(|_| texts.next().unwrap_or_default())
}

/// A LIKE pattern for texts that begin with `prefix`; `|` is the escape character in every statement.
pub(super) fn begins_with(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 8);
    for character in prefix.chars() {
        if matches!(character, '|' | '%' | '_') {
            pattern.push('|');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// How many accounts one request may concern: the session's, the remember-me cookie's, the key's, the
/// server's own user's, the guest's and the one whose values new accounts get.
pub const IDS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_become_part_of_a_statement() {
        let table = [
            ("piwigo_images", Some("`piwigo_images`")),
            ("forum.phpbb_users", Some("`forum`.`phpbb_users`")),
            ("a`b", None),
            ("", None),
            ("a b", None),
            ("x; DROP TABLE y", None),
            ("a.b.c", None),
        ];
        for (name, expected) in table {
            assert_eq!(quoted(name).ok().as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn lists_are_padded_to_powers_of_two() {
        let statements =
            Statements::build(&Tables::with_prefix("p_"), Dialect::MySql, false, &Exact::default()).unwrap();
        for (items, length) in [(0, 1), (1, 1), (3, 4), (5, 8), (32, 32)] {
            let (text, got) = statements.users_by_name.at_least(items);
            assert_eq!(got, length);
            assert_eq!(text.matches('?').count(), length);
        }
        for (users, albums, padded) in [(1, 1, (1, 1)), (3, 5, (4, 8)), (192, 96, (256, 128))] {
            for by_user in [false, true] {
                statements.has_groups_by_user.store(by_user, Ordering::Relaxed);
                let (text, users, albums) = statements.grants().at_least(users, albums);
                assert_eq!((users, albums), padded);
                assert_eq!(text.matches('?').count(), 2 * (users + albums));
            }
        }
    }

    #[test]
    fn patterns_mean_the_prefix_itself() {
        let table = [("./a.", "./a.%"), ("./50%_x|y.", "./50|%|_x||y.%")];
        for (prefix, pattern) in table {
            assert_eq!(begins_with(prefix), pattern);
        }
    }

    #[test]
    fn fewer_spellings_are_repeated() {
        assert_eq!(three(vec!["a".into(), "b".into()]), ["a", "b", "a"]);
    }
}
