//! A large gallery: rows that `INSERT … SELECT` makes from a sequence in a real MariaDB, and a few files on
//! disk.
//!
//! The visitors are users of the small gallery ([`World`]), so that their recorded cookies work here, too:
//! `bob` holds many grants, some by hand and some by group; `alice` holds none, so that every private album
//! is forbidden to her.

use std::path::Path;

use super::files;
use super::mariadb::{self, MariaDb};
use super::sandbox::Sandbox;
use super::world::World;

/// The number of rows. Users, sessions, groups and keys grow with the grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// At most 16 million (MEDIUMINT).
    pub images: u32,
    /// At most 65,000 (SMALLINT); three in ten are private.
    pub albums: u32,
    /// Approximate number of rows that open an album: half in `user_access`, half in `user_group` and
    /// `group_access`.
    pub grants: u32,
}

/// MariaDB's storage engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    MyIsam,
    InnoDb,
}

/// A row of `images`.
#[derive(Debug, Clone)]
pub struct Photo {
    pub id: u32,
    /// Below the gallery's root, without `./`.
    pub path: String,
}

/// The gallery. Rust drops the fields in this order: the server before its directory.
pub struct LargeGallery {
    pub database: MariaDb,
    pub world: World,
    pub sandbox: Sandbox,
    pub size: Size,
}

/// The caches have MariaDB's default sizes, and InnoDB does not flush each commit to the disk.
const MYISAM: [&str; 1] = ["--key-buffer-size=128M"];
const INNODB: [&str; 8] = [
    "--innodb=ON",
    "--default-storage-engine=InnoDB",
    "--innodb-buffer-pool-size=128M",
    "--innodb-log-file-size=256M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    // Persistent statistics need tables of InnoDB's own, which the tests' template does not have.
    "--innodb-stats-persistent=OFF",
    "--innodb-use-native-aio=OFF",
];

/// Time of the first photo, and the seconds over which all photos are spread: fifteen years.
const FIRST: &str = "2010-01-01 08:00:00";
const SPREAD: u64 = 15 * 365 * 86_400;

/// The lowest id of the crowd's users; those of [`World`] have smaller ids.
const CROWD: u32 = 1001;

/// Number of groups that `bob` is in.
const BOBS_GROUPS: u32 = 10;

/// Maximum number of images among which the gallery looks for allowed ones.
const LOOKED_AT: u32 = 50_000;

/// Rows that a real gallery's config table has besides those that matter here.
const CONFIG_ROWS: u32 = 230;

impl LargeGallery {
    /// Starts a MariaDB with such a gallery, and writes Piwigo's `local/config`. `path_index`: whether
    /// `images.path` has the index that Piwigo makes since version 11.
    pub fn start(size: Size, storage: Storage, path_index: bool) -> Self {
        let sandbox = Sandbox::new();
        let (options, engine): (&[&str], _) = match storage {
            Storage::MyIsam => (&MYISAM, "ENGINE=MyISAM"),
            Storage::InnoDb => (&INNODB, "ENGINE=InnoDB"),
        };
        let database = MariaDb::start_with(&sandbox, options);
        let mut schema = mariadb::SCHEMA.replace("ENGINE=MyISAM", engine);
        if !path_index {
            const INDEX: &str = "  KEY images_i7 (path),\n";
            assert!(schema.contains(INDEX), "the index of Piwigo's schema");
            schema = schema.replace(INDEX, "");
        }
        database.sql(&schema);
        let world = World::load();
        database.sql(&rows(size, &world));
        files::write_config(&sandbox.gallery(), &database.socket());
        Self { database, world, sandbox, size }
    }

    /// The `Cookie` header of one of the two visitors, `bob` or `alice`.
    pub fn cookie(&self, user: &str) -> String {
        self.world.session(user).cookie_header()
    }

    /// At most `limit` pictures from all over the table that are only in private albums and that `bob` may
    /// have by a grant of his own.
    pub fn pictures(&self, limit: usize) -> Vec<Photo> {
        self.granted("i.path LIKE '%.jpg'", limit)
    }

    /// Does the same for films; each has a representative `jpg`.
    pub fn films(&self, limit: usize) -> Vec<Photo> {
        self.granted("i.path LIKE '%.mp4'", limit)
    }

    /// A picture of the same kind that also exists as `cr2`, and the id of that format.
    pub fn picture_with_format(&self) -> (Photo, u32) {
        let pictures = self.granted("i.id IN (SELECT image_id FROM piwigo_image_format)", 1);
        let photo = pictures.into_iter().next().expect("a picture with a format");
        let format = format!("SELECT format_id FROM piwigo_image_format WHERE image_id = {}", photo.id);
        let format = self.database.sql(&format).trim().parse().expect("the number of a format");
        (photo, format)
    }

    fn granted(&self, which: &str, limit: usize) -> Vec<Photo> {
        let (bob, images) = (self.world.user("bob").id, self.size.images);
        let looked_at = images.min(LOOKED_AT);
        // A step that shares no divisor with round numbers visits each image once, all over the table.
        let rows = self.database.sql(&format!(
            "SELECT DISTINCT i.id, SUBSTR(i.path, 3) FROM seq_1_to_{looked_at} s
             STRAIGHT_JOIN piwigo_images i ON i.id = 1 + s.seq * 48271 % {images}
             STRAIGHT_JOIN piwigo_image_category ic ON ic.image_id = i.id
             STRAIGHT_JOIN piwigo_user_access ua ON ua.user_id = {bob} AND ua.cat_id = ic.category_id
             STRAIGHT_JOIN piwigo_categories c ON c.id = ua.cat_id AND c.visible = 'true'
             WHERE i.level = 0 AND {which} AND NOT EXISTS (
               SELECT 1 FROM piwigo_image_category other JOIN piwigo_categories o ON o.id = other.category_id
               WHERE other.image_id = i.id AND o.status = 'public')
             LIMIT {limit}"
        ));
        rows.lines()
            .map(|line| {
                let (id, path) = line.split_once('\t').expect("two columns");
                Photo { id: id.parse().expect("an id"), path: path.to_owned() }
            })
            .collect()
    }

    /// Writes a file of the gallery that is newer than every setting, so that a derivative counts as fresh.
    pub fn write(&self, path: &str, content: &[u8]) {
        files::write(&self.sandbox.gallery(), path, content, files::DERIVATIVE_TIME);
    }
}

impl Photo {
    /// The path of a derivative of the photo, or of its representative if it is a film.
    pub fn derivative(&self, token: &str) -> String {
        let source =
            if self.is_film() { self.beside("pwg_representative", "jpg") } else { self.path.clone() };
        let (stem, extension) = source.rsplit_once('.').expect("an extension");
        format!("_data/i/{stem}-{token}.{extension}")
    }

    /// The path of a file in a folder next to the photo, with another extension.
    pub fn beside(&self, folder: &str, extension: &str) -> String {
        let path = Path::new(&self.path).with_extension(extension);
        let name = path.file_name().expect("a name");
        path.parent().expect("a directory").join(folder).join(name).display().to_string()
    }

    fn is_film(&self) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extension == "mp4")
    }
}

/// `INSERT` statements for all rows, for tables that exist and are empty.
fn rows(size: Size, world: &World) -> String {
    let Size { images, albums, grants } = size;
    assert!(images >= 1000 && albums >= 10 && grants >= 10, "{size:?}");
    let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    let (crowd, private) = ((grants / 10).max(10), albums * 3 / 10);
    let sessions = crowd * 10;
    let groups = (crowd / 50).max(2);
    let (bob, alice) = (world.user("bob"), world.user("alice"));
    let bobs = (grants / 4).min(private * 5 / 6);
    let by_hand = grants / 2;
    let of_groups = grants / 5;
    let members = grants / 2 - of_groups;
    let bobs_groups = groups.min(BOBS_GROUPS);
    // The n-th private album; public albums lie between.
    let album = |n: &str| format!("10 * (({n}) % {private} DIV 3) + ELT(1 + ({n}) % {private} % 3, 1, 4, 7)");

    let mut sql = String::from(
        "SET unique_checks = 0, foreign_key_checks = 0;
         INSERT INTO piwigo_sites (id, galleries_url) VALUES (1, './galleries/'), (2, './galleries/scans/');\n",
    );
    let mut add = |statement: String| {
        sql.push_str(&statement);
        sql.push_str(";\n");
    };
    for (param, value) in [
        ("gallery_locked", "false"),
        ("webmaster_id", "1"),
        ("secret_key", &world.secret_key),
        ("derivatives", &world.derivatives),
        ("disabled_derivatives", &world.disabled_derivatives),
    ] {
        add(format!("INSERT INTO piwigo_config (param, value) VALUES ('{param}', {})", quote(value)));
    }
    add(format!(
        "INSERT INTO piwigo_config (param, value) SELECT CONCAT('some_setting_', seq), REPEAT('value ', seq % 40)
         FROM seq_1_to_{CONFIG_ROWS}"
    ));
    add("INSERT INTO piwigo_plugins (id, state) SELECT CONCAT('plugin_', seq), IF(seq % 3, 'active', 'inactive')
         FROM seq_1_to_20"
        .to_owned());

    // One image in five was synchronised, the others were uploaded; one in fifty is a film.
    let step = SPREAD / u64::from(images);
    add(format!(
        "INSERT INTO piwigo_images (id, file, date_available, date_creation, name, hit, filesize, width, height, \
           representative_ext, path, storage_category_id, level, md5sum, added_by, rotation)
         SELECT seq, CONCAT('IMG_', seq, '.jpg'), taken, taken, CONCAT('IMG ', seq), seq % 1000, 2000 + seq % 5000, 4000, \
           3000, IF(seq % 50 = 7, 'jpg', NULL),
           IF(seq % 5 = 0,
             CONCAT('./galleries/', DATE_FORMAT(taken, '%Y/%m '), ELT(1 + seq % 7, 'Home', 'The sea', 'Alps', \
               'Jana and Tom', 'Oma 80', 'Garden', 'Work'), '/raw/IMG_', LPAD(seq, 7, '0'), '.jpg'),
             CONCAT('./upload/', DATE_FORMAT(taken, '%Y/%m/%d/%Y%m%d%H%i%s-'), LEFT(digest, 8), \
               IF(seq % 50 = 7, '.mp4', '.jpg'))),
           IF(seq % 5 = 0, 1 + seq % {albums}, NULL), IF(seq % 20 = 11, 4, 0), digest, 1, 0
         FROM (SELECT seq, '{FIRST}' + INTERVAL seq * {step} SECOND AS taken, MD5(seq) AS digest \
           FROM seq_1_to_{images}) numbered"
    ));
    // Each image is in one album, every second image in two, and every sixth in three.
    let last = images * 3 - 1;
    add(format!(
        "INSERT IGNORE INTO piwigo_image_category (image_id, category_id)
         SELECT image, 1 + (image * 7919 + place * 104729 + image DIV {albums}) % {albums}
         FROM (SELECT 1 + seq DIV 3 AS image, seq % 3 AS place FROM seq_0_to_{last}) numbered
         WHERE place = 0 OR (place = 1 AND image % 2 = 0) OR (place = 2 AND image % 6 = 0)"
    ));
    add(format!(
        "INSERT INTO piwigo_image_format (image_id, ext, filesize)
         SELECT seq, 'cr2', 25000 FROM seq_3_to_{images}_step_100"
    ));
    add(format!(
        "INSERT INTO piwigo_categories (id, name, id_uppercat, `rank`, status, visible, representative_picture_id, \
           uppercats, global_rank)
         SELECT seq, CONCAT('Album ', seq), NULLIF(seq DIV 10, 0), 1, IF(seq % 10 IN (1, 4, 7), 'private', 'public'),
           IF(seq % 200 = 199, 'false', 'true'), 1 + seq * 7 % {images},
           CONCAT_WS(',', NULLIF(seq DIV 1000, 0), NULLIF(seq DIV 100, 0), NULLIF(seq DIV 10, 0), seq), '1'
         FROM seq_1_to_{albums}"
    ));

    for user in world.users.iter().filter(|user| user.id <= bob.id.max(alice.id)) {
        let password = user.password.as_deref().map_or_else(|| "NULL".to_owned(), quote);
        add(format!(
            "INSERT INTO piwigo_users (id, username, password) VALUES ({}, {}, {password})",
            user.id,
            quote(&user.username)
        ));
        add(format!(
            "INSERT INTO piwigo_user_infos (user_id, status, level, enabled_high) VALUES ({}, '{}', {}, '{}')",
            user.id, user.status, user.level, user.enabled_high
        ));
    }
    let last_of_crowd = CROWD + crowd - 1;
    add(format!(
        "INSERT INTO piwigo_users (id, username, password, mail_address)
         SELECT seq, CONCAT('somebody.', seq), CONCAT('$2y$10$', LEFT(SHA2(seq, 256), 53)), CONCAT(seq, '@example.org')
         FROM seq_{CROWD}_to_{last_of_crowd}"
    ));
    add(format!(
        "INSERT INTO piwigo_user_infos (user_id, status, preferences)
         SELECT seq, 'normal', REPEAT('a preference ', 20) FROM seq_{CROWD}_to_{last_of_crowd}"
    ));
    for user in [bob, alice] {
        let row = world.session(&user.username).row.as_ref().expect("a session's row");
        add(format!(
            "INSERT INTO piwigo_sessions (id, data, expiration) VALUES ({}, {}, NOW())",
            quote(&row.id),
            quote(&row.data)
        ));
    }
    add(format!(
        "INSERT INTO piwigo_sessions (id, data, expiration)
         SELECT CONCAT('C0A8', LEFT(MD5(seq), 26)),
           CONCAT('pwg_uid|i:', {CROWD} + seq % {crowd}, ';', 'pwg_device|s:7:\"desktop\";', REPEAT('x', seq % 200)),
           NOW() - INTERVAL seq SECOND
         FROM seq_1_to_{sessions} ORDER BY 1"
    ));
    add(format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, user_id, created_on, duration, expired_on, key_type)
         SELECT LEFT(CONCAT(MD5(seq), MD5(-seq)), 30), seq, NOW(), 259200, NOW() + INTERVAL 3 DAY, 'auth_key'
         FROM seq_{CROWD}_to_{last_of_crowd}"
    ));

    add(format!(
        "INSERT INTO piwigo_groups (id, name) SELECT seq, CONCAT('group ', seq) FROM seq_1_to_{groups}"
    ));
    let (bob, last_of_bob) = (bob.id, bobs.max(1) - 1);
    add(format!(
        "INSERT INTO piwigo_user_access (user_id, cat_id) SELECT {bob}, {} FROM seq_0_to_{last_of_bob}",
        album("seq")
    ));
    let pairs = by_hand.saturating_sub(bobs).max(1);
    add(format!(
        "INSERT IGNORE INTO piwigo_user_access (user_id, cat_id)
         SELECT {CROWD} + seq % {crowd}, {} FROM seq_1_to_{pairs}",
        album(&format!("seq * 31 + seq DIV {crowd}"))
    ));
    add(format!(
        "INSERT IGNORE INTO piwigo_group_access (group_id, cat_id) SELECT 1 + seq % {groups}, {} FROM seq_1_to_{of_groups}",
        album(&format!("seq * 7 + seq DIV {groups}"))
    ));
    add(format!(
        "INSERT INTO piwigo_user_group (user_id, group_id) SELECT {bob}, seq FROM seq_1_to_{bobs_groups}"
    ));
    add(format!(
        "INSERT IGNORE INTO piwigo_user_group (user_id, group_id)
         SELECT {CROWD} + seq % {crowd}, 1 + (seq * 13 + seq DIV {crowd}) % {groups} FROM seq_1_to_{members}"
    ));
    // Collects statistics. InnoDB does so by itself in time, and MyISAM when Piwigo's maintenance page asks
    // for it.
    let tables = [
        "config",
        "images",
        "image_category",
        "image_format",
        "categories",
        "users",
        "user_infos",
        "sessions",
        "user_auth_keys",
        "groups",
        "user_access",
        "group_access",
        "user_group",
        "sites",
    ];
    add(format!("ANALYZE TABLE {}", tables.map(|table| format!("piwigo_{table}")).join(", ")));
    sql
}
