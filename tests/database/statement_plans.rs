//! How MariaDB executes what the gate asks it, in a large gallery: nothing reads a whole table or a whole
//! index, but for what is named here with its reason. The statements are those of MariaDB's own log, for
//! every kind of request, so that no new statement stays unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::support::gate::Gate;
use crate::support::http;
use crate::support::large_gallery::{LargeGallery, Photo, Size, Storage};
use crate::support::nginx::{self, Nginx};
use crate::support::plans::{self, Access, Plan};

const SIZE: Size = Size { images: 100_000, albums: 10_000, grants: 100_000 };

/// Rows that a statement may read of one table: this gallery has 200 groups with grants, and each is probed
/// for the visitor and for the guest.
const FEW: f64 = 450.0;

/// A table that is read whole, in the statements that name another one, too.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Exception {
    table: &'static str,
    beside: &'static str,
    why: &'static str,
    /// In every MariaDB; else it depends on what MariaDB guesses from its statistics.
    always: bool,
}

const EXCEPTIONS: [Exception; 7] = [
    Exception {
        table: "user_auth_keys",
        beside: "user_auth_keys",
        why: "Piwigo has no index on auth_key; only requests with a key ask",
        always: true,
    },
    Exception {
        table: "image_format",
        beside: "images",
        why: "Piwigo has no index on image_id; only requests for formats ask, a few at a time",
        always: true,
    },
    Exception {
        table: "images",
        beside: "image_format",
        why: "MyISAM looks at the image of every format first",
        always: false,
    },
    Exception {
        table: "categories",
        beside: "user_access",
        why: "Piwigo has no index on representative_picture_id; only the policy covers asks, after a refusal",
        always: true,
    },
    Exception {
        table: "group_access",
        beside: "categories",
        why: "the same, for each album that has the picture as its cover",
        always: true,
    },
    Exception { table: "sites", beside: "sites", why: "one or two rows", always: true },
    Exception { table: "plugins", beside: "plugins", why: "some twenty rows, once a second", always: true },
];

const MAILED: &str = "abcdefghijABCDEFGHIJ0123456789";
const API: &str = "pkid-20260102-abcdefghij0123456789";
const SECRET: &str = "0123456789012345678901234567890123456789";
/// Its plain MD5.
const HASH: &str = "9f0ae0380ed27dbf6b852843d2eece1f";

/// Asked at the end: from then on nobody is served.
const LOCKED: &str = "locked gallery";

/// What the requests are about.
struct Subjects {
    /// The cover of an album that alice may not see, too.
    picture: Photo,
    /// It shares its representative with seven others.
    film: Photo,
    raw: Photo,
    format: u32,
}

/// Adds the rows and files that the requests need, and Piwigo's settings for them.
fn prepare(gallery: &LargeGallery) -> Subjects {
    let bob = gallery.world.user("bob").id;
    let picture = gallery.pictures(1).remove(0);
    let film = gallery.films(1).remove(0);
    let (raw, format) = gallery.picture_with_format();
    let twins = ["avi", "mov", "webm", "mkv", "ogv", "mpg", "m4v"].map(|extension| {
        format!(
            "INSERT INTO piwigo_images (file, path, representative_ext, width, height) \
             SELECT file, REPLACE(path, '.mp4', '.{extension}'), 'jpg', width, height FROM piwigo_images \
             WHERE id = {};",
            film.id
        )
    });
    gallery.database.sql(&format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, apikey_secret, key_type, user_id, created_on, expired_on) VALUES
           ('{MAILED}', NULL, 'auth_key', {bob}, NOW(), NOW() + INTERVAL 1 HOUR),
           ('{API}', '{HASH}', 'api_key', {bob}, NOW(), NOW() + INTERVAL 1 HOUR);
         UPDATE piwigo_categories SET representative_picture_id = {} WHERE id = 4;
         {}",
        picture.id,
        twins.concat(),
    ));
    let write = |path: &str| gallery.write(path, b"a file");
    for photo in [&picture, &film, &raw] {
        write(&photo.path);
        write(&photo.derivative("th"));
    }
    write(&film.beside("pwg_representative", "jpg"));
    write(&film.beside("", "vtt"));
    write(&raw.beside("pwg_format", "cr2"));
    gallery.sandbox.hand_over_tree(&gallery.sandbox.gallery());
    gallery.sandbox.write("gallery/local/config/gate.toml", "companions = [\"{stem}.vtt\"]\n");
    gallery.sandbox.write(
        "gallery/local/config/config.inc.php",
        "<?php\n$conf['enable_formats'] = true;\n$conf['apache_authentication'] = true;\n\
         $conf['remember_me_length'] = 3153600000;\n",
    );
    Subjects { picture, film, raw, format }
}

/// One request of each kind, through nginx and the gate; what was executed for it, by its name.
fn ask_everything(gallery: &LargeGallery) -> BTreeMap<&'static str, BTreeSet<String>> {
    let Subjects { picture, film, raw, format } = prepare(gallery);
    let mut executed = BTreeMap::new();
    plans::begin_log(&gallery.database);
    {
        let _gate =
            Gate::start(&gallery.sandbox, &["--parent-sites", "true", "--url-prefix", "/piwigo"], &[]);
        let started = plans::take_log(&gallery.database);
        for (name, table) in [("galleries beside the root", "piwigo_sites"), ("plugins", "piwigo_plugins")] {
            let about_it = started.iter().filter(|text| text.contains(table)).cloned().collect();
            executed.insert(name, about_it);
        }
    }
    let arguments = ["--covers", "true", "--auth-key-everywhere", "true", "--api-key-header", "true"];
    let gate = Gate::start(&gallery.sandbox, &arguments, &[]);
    let shipped = nginx::ACCEL.lines().find(|line| line.contains("fastcgi_param REMOTE_USER")).unwrap();
    let shipped = shipped.split('#').next().unwrap().trim();
    let verified = "fastcgi_param REMOTE_USER $http_x_test_user; fastcgi_param GATE_REMOTE_USER verified;";
    let nginx = Nginx::start_gallery(&gallery.sandbox, &nginx::ACCEL.replace(shipped, verified));

    let (bob, alice) = (gallery.cookie("bob"), gallery.cookie("alice"));
    let (bob, alice) = (("Cookie", &*bob), ("Cookie", &*alice));
    let login = gallery.world.sessions.iter().find(|login| login.user == "bob_remember_me_login").unwrap();
    let remember = format!("pwg_remember={}", login.cookies["pwg_remember"]);
    let key = format!("{API}:{SECRET}");
    let guest = ("X-None", "");
    let url = |path: &str| http::url(path);
    let original = || url(&picture.path);
    let thumbnail = || url(&picture.derivative("th"));
    let action = |photo: &Photo, rest: &str| format!("/action.php?id={}&{rest}", photo.id);
    let requests = [
        ("original, session", original(), bob, 200),
        ("original, guest", original(), guest, 403),
        ("derivative", thumbnail(), bob, 200),
        ("derivative, covers", thumbnail(), alice, 403),
        ("i.php", thumbnail().replace("/_data/i", "/i.php?"), bob, 200),
        ("representative", url(&film.beside("pwg_representative", "jpg")), bob, 200),
        ("derivative of a film", url(&film.derivative("th")), bob, 200),
        ("format", url(&raw.beside("pwg_format", "cr2")), bob, 200),
        ("companion", url(&film.beside("", "vtt")), bob, 200),
        ("action.php, original", action(&picture, "part=e&download"), bob, 200),
        ("action.php, representative", action(&film, "part=r"), bob, 200),
        ("action.php, format", action(&raw, &format!("format={format}")), bob, 200),
        ("unknown file", "/upload/2024/05/17/20240517093011-1a2b3c4d.jpg".into(), bob, 403),
        ("unknown representative", "/upload/2024/pwg_representative/2024.jpg".into(), bob, 403),
        ("remember-me", original(), ("Cookie", &*remember), 200),
        ("mailed key", format!("{}?auth={MAILED}", original()), guest, 200),
        ("API key", original(), ("X-PIWIGO-API", &*key), 200),
        ("the server's own user", original(), ("X-Test-User", "bob"), 200),
        (LOCKED, original(), bob, 503),
    ];
    for (name, target, header, expected) in requests {
        if name == LOCKED {
            gallery.database.sql("UPDATE piwigo_config SET value = 'true' WHERE param = 'gallery_locked'");
        }
        plans::take_log(&gallery.database);
        let answer = http::request(nginx.address(), "GET", &target, &[header]);
        assert_eq!(answer.status, expected, "{name}: {target}\n{}", gate.log_text());
        executed.insert(name, plans::take_log(&gallery.database));
    }
    executed
}

/// The plans of all that was executed; what of [`EXCEPTIONS`] was met goes into `met`. Returns what is wrong.
fn judge(storage: Storage, met: &mut BTreeSet<&'static Exception>) -> Vec<String> {
    let started = Instant::now();
    let gallery = LargeGallery::start(SIZE, storage, true);
    println!("{SIZE:?} on {storage:?}: filled in {:.1} s", started.elapsed().as_secs_f64());
    let mut planned = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, statements) in ask_everything(&gallery) {
        assert!(!statements.is_empty(), "{name} asked nothing");
        for statement in statements.into_iter().filter(|text| text.starts_with("SELECT")) {
            if planned.contains(&statement) {
                continue;
            }
            let plan = plans::plan(&gallery.database, &statement);
            show(name, &plan);
            let is_wrong = |access: &&Access| access.is_whole() && !access.is_derived() || access.rows > FEW;
            for access in plan.accesses.iter().filter(is_wrong) {
                let known =
                    |known: &&Exception| known.table == access.table && plan.tables.contains(known.beside);
                match EXCEPTIONS.iter().find(known) {
                    Some(exception) => drop(met.insert(exception)),
                    None => wrong.push(format!("{storage:?}, {name}: {access:?}\n  in {statement}")),
                }
            }
            planned.insert(statement);
        }
    }
    wrong.extend(with_an_index_by_user(&gallery));
    println!("{storage:?}: {} statements in {:.1} s", planned.len(), started.elapsed().as_secs_f64());
    wrong
}

/// With the index that docs/speed.md proposes, a visitor's own groups are probed, not all that have grants.
fn with_an_index_by_user(gallery: &LargeGallery) -> Option<String> {
    gallery.database.sql(
        "CREATE INDEX gate_user ON piwigo_user_group (user_id);
         UPDATE piwigo_config SET value = 'false' WHERE param = 'gallery_locked'",
    );
    let gate = Gate::start(&gallery.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&gallery.sandbox, nginx::ACCEL);
    plans::take_log(&gallery.database);
    let url = http::url(&gallery.pictures(1)[0].derivative("th"));
    let answer = http::request(nginx.address(), "GET", &url, &[("Cookie", &gallery.cookie("bob"))]);
    assert_eq!(answer.status, 200, "{}", gate.log_text());
    let executed = plans::take_log(&gallery.database);
    let grants = executed.iter().find(|text| text.contains("user_group")).expect("a question for the grants");
    let plan = plans::plan(&gallery.database, grants);
    show("grants, with an index by user", &plan);
    let by_user = plan.accesses.iter().find(|access| access.table == "user_group").expect("user_group");
    let is_right = by_user.key.as_deref() == Some("gate_user")
        && !plan.accesses.iter().any(|access| access.is_whole() || access.rows > FEW);
    (!is_right).then(|| format!("with an index by user: {by_user:?}"))
}

/// Seen with `--nocapture`.
fn show(name: &str, plan: &Plan) {
    println!("{name}: {}", plan.statement);
    for Access { table, way, key, rows, milliseconds } in &plan.accesses {
        let key = key.as_deref().unwrap_or("-");
        println!("    {table:<15} {way:<8} {key:<18} {rows:>8.0} rows {milliseconds:>8.3} ms");
    }
}

#[test]
fn no_statement_reads_a_whole_table_but_for_the_named_exceptions() {
    let mut met = BTreeSet::new();
    let wrong: Vec<String> =
        [Storage::MyIsam, Storage::InnoDb].into_iter().flat_map(|storage| judge(storage, &mut met)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|known| known.always && !met.contains(known)).collect();
    assert!(idle.is_empty(), "these are exceptions no longer: {idle:#?}");
}

/// Piwigo before 11 made no such index.
#[test]
fn without_an_index_on_paths_a_request_reads_all_images_until_the_remedy_of_the_log_is_run() {
    let size = Size { albums: 10, grants: 10, ..SIZE };
    let gallery = LargeGallery::start(size, Storage::MyIsam, false);
    gallery.sandbox.hand_over_tree(&gallery.sandbox.gallery());
    plans::begin_log(&gallery.database);
    let gate = Gate::start(&gallery.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&gallery.sandbox, nginx::ACCEL);
    plans::take_log(&gallery.database);
    assert_eq!(http::get(nginx.address(), "/upload/none.jpg").status, 403);
    let executed = plans::take_log(&gallery.database);
    let by_path = executed.iter().find(|text| text.contains("none.jpg")).expect("a question for the path");
    let images = || {
        let plan = plans::plan(&gallery.database, by_path);
        show("unknown file", &plan);
        plan.accesses.into_iter().find(|access| access.table == "images").expect("the table of images")
    };
    let before = images();
    assert!(before.is_whole() && before.rows >= f64::from(size.images), "{before:?}");
    let log = gate.log_text();
    let (_, remedy) = log.split_once("run: ").expect("a remedy");
    gallery.database.sql(remedy.split_inclusive(';').next().unwrap());
    let after = images();
    assert!(!after.is_whole() && after.rows <= FEW, "{after:?}");
}
