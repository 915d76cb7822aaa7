//! From a URL to the rows that own its file: the table of docs/spec/piwigo.md §4.8, on SQLite.

use std::time::Duration;

use crate::support::sandbox::Sandbox;
use piwigo_gate::database::{Address, Database, Tables};
use piwigo_gate::piwigo::gallery::Gallery;
use piwigo_gate::settings::{Options, Settings};
use piwigo_gate::verdict::owners;
use piwigo_gate::verdict::uri::{BadUri, Target};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

const ROWS: [(u32, &str, Option<&str>); 16] = [
    (1, "./upload/2024/01/02/20240102030405-0123abcd.jpg", None),
    (2, "./galleries/al-bum/a-b-c.JPG", None),
    (3, "./galleries/x/movie.mp4", Some("jpg")),
    (4, "./galleries/x/movie.avi", Some("jpg")),
    (5, "./galleries/x/doc.pdf", None),
    (6, "../ext/p.png", None),
    (7, "./galleries/x/pic-th.jpg", None),
    (8, "./galleries/x/pic.jpg", None),
    (9, "./galleries/x/pic.png", None),
    (10, "./galleries/x/scan.tiff", Some("png")),
    (11, "./upload/2024/01/02/20240102030406-0123abce.heic", Some("jpg")),
    (12, "./galleries/x/v.tar.gz", Some("png")),
    (13, "./galleries/x/logo.svg", None),
    (14, "./galleries/x/shell.php", None),
    (15, "./local/config/database.inc.php", None),
    (16, "http://elsewhere/a.jpg", None),
];

/// The stored sizes: Piwigo's own and four custom ones.
fn derivatives() -> String {
    let customs = ["s100", "e260x180", "300x200_n_150x100", "s100x200"];
    let customs: String = customs.map(|key| format!("s:{}:\"{key}\";i:1795285579;", key.len())).concat();
    let stock = include_str!("../data/derivatives-16.4.txt").trim_end();
    let at = stock.find("s:1:\"c\";").expect("the custom sizes");
    format!("{}s:1:\"c\";a:4:{{{customs}}}}}", &stock[..at])
}

async fn world(sandbox: &Sandbox) -> (Database, Gallery) {
    let file = sandbox.path().join("rows.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(include_str!("../data/schema-sqlite.sql")).await.unwrap();
    for (id, path, representative) in ROWS {
        let representative = representative.map_or("NULL".into(), |extension| format!("'{extension}'"));
        let row = format!(
            "INSERT INTO piwigo_images (id, file, path, representative_ext) VALUES ({id}, 'x', '{path}', {representative})"
        );
        connection.execute(AssertSqlSafe(row)).await.unwrap();
    }
    connection
        .execute(
            "INSERT INTO piwigo_image_format (format_id, image_id, ext)
             VALUES (1, 1, 'cr2'), (3, 12, 'hd.mp4'), (4, 12, 'mp4'), (5, 1, 'hd.mp4')",
        )
        .await
        .unwrap();
    connection.close().await.unwrap();

    sandbox.write("gallery/local/config/database.inc.php", "<?php $prefixeTable = 'piwigo_';");
    let options = Options {
        gallery: Some(sandbox.gallery()),
        database: Some(vec![format!("sqlite://{}", file.display())]),
        ..Options::default()
    };
    let settings = Settings::resolve(options, None).unwrap();
    let config = [
        ("enable_formats".to_owned(), b"true".to_vec()),
        ("derivatives".to_owned(), derivatives().into_bytes()),
    ];
    let gallery = Gallery::resolve(&settings.piwigo, &config, "").unwrap();
    let mut database =
        Database::new(&Address::sqlite(&file), &Tables::with_prefix("piwigo_"), 2, Duration::ZERO).unwrap();
    database.verify().await.unwrap();
    (database, gallery)
}

/// What the table says: the kind of target and the rows.
#[derive(Debug, PartialEq)]
enum Expected {
    File(&'static [u32]),
    Derivative(&'static [u32]),
    Icon,
    Record(&'static [u32]),
    Refused(BadUri),
    Unknown,
}
use Expected::{Derivative, File, Icon, Record, Refused, Unknown};

#[tokio::test]
async fn urls_and_the_rows_that_own_them() {
    let table: &[(&str, Expected)] = &[
        ("/upload/2024/01/02/20240102030405-0123abcd.jpg", File(&[1])),
        ("/_data/i/upload/2024/01/02/20240102030405-0123abcd-th.jpg", Derivative(&[1])),
        ("/i.php?/upload/2024/01/02/20240102030405-0123abcd-me.jpg", Derivative(&[1])),
        ("/i.php?/upload/2024/01/02/20240102030405-0123abcd-me.jpg&b=17", Derivative(&[1])),
        ("/i.php?/upload/2024/01/02/20240102030405-0123abcd-me.jpg&ajaxload=true", Derivative(&[1])),
        ("/i?/upload/2024/01/02/20240102030405-0123abcd-me.jpg", Derivative(&[1])),
        ("/i.php/upload/2024/01/02/20240102030405-0123abcd-sq.jpg", Derivative(&[1])),
        ("/i/upload/2024/01/02/20240102030405-0123abcd-sq.jpg?b=17", Derivative(&[1])),
        ("/upload/2024/01/02/pwg_format/20240102030405-0123abcd.cr2", File(&[1])),
        ("/upload/2024/01/02/pwg_format/20240102030405-0123abcd.CR2", Unknown),
        ("/upload/2024/01/02/pwg_format/20240102030405-0123abcd.hd.mp4", File(&[1])),
        ("/upload/2024/01/02/pwg_format/20240102030405-0123abcd.mp4", Unknown),
        ("/upload/2024/01/02/pwg_format/20240102030405-0123abcd.HD.mp4", Unknown),
        ("/upload/2024/01/02/pwg_format/20240102030405-0123abcd.x.hd.mp4", Unknown),
        ("/galleries/x/pwg_format/v.tar.hd.mp4", File(&[12])),
        ("/galleries/x/pwg_format/v.tar.mp4", File(&[12])),
        ("/galleries/x/pwg_format/v.hd.mp4", Unknown),
        ("/galleries/x/pwg_representative/v.tar.hd.mp4", Unknown),
        ("/action.php?format=3", Record(&[12])),
        ("/action.php?format=5&id=1", Record(&[1])),
        ("/action.php?format=5&id=12", Unknown),
        ("/galleries/al-bum/a-b-c.JPG", File(&[2])),
        ("/galleries/al-bum/a-b-c.jpg", Unknown),
        ("/_data/i/galleries/al-bum/a-b-c-xx.JPG", Derivative(&[2])),
        ("/_data/i/galleries/al-bum/a-b-c-xx.jpg", Unknown),
        ("/_data/i/galleries/al-bum/a-b-c.JPG", Refused(BadUri::Token)),
        ("/galleries/x/movie.mp4", File(&[3])),
        ("/galleries/x/pwg_representative/movie.jpg", File(&[3, 4])),
        ("/_data/i/galleries/x/pwg_representative/movie-sq.jpg", Derivative(&[3, 4])),
        ("/_data/i/galleries/x/movie-sq.jpg", Unknown),
        ("/_data/i/galleries/x/movie-sq.mp4", Unknown),
        ("/galleries/x/pwg_representative/movie.png", Unknown),
        ("/galleries/x/doc.pdf", File(&[5])),
        ("/_data/i/themes/default/icon/mimetypes/unknown-th.png", Icon),
        ("/_data/i/themes/default/icon/mimetypes/../../../../local/x-th.png", Refused(BadUri::Path)),
        ("/_data/i/themes/default/images/logo-th.png", Refused(BadUri::Private)),
        ("/_data/i/plugins/x/icon/mimetypes/a.b-th.png", Refused(BadUri::Private)),
        ("/_data/i/ext/p-th.png", Derivative(&[6])),
        ("/ext/p.png", Unknown),
        ("/../ext/p.png", Refused(BadUri::Path)),
        ("/galleries/x/pic-th.jpg", File(&[7])),
        ("/_data/i/galleries/x/pic-th.jpg", Derivative(&[8])),
        ("/_data/i/galleries/x/pic-th-th.jpg", Derivative(&[7])),
        ("/_data/i/galleries/x/pic-th.png", Derivative(&[9])),
        ("/_data/i/galleries/x/pwg_representative/scan-la.png", Derivative(&[10])),
        ("/_data/i/upload/2024/01/02/pwg_representative/20240102030406-0123abce-la.jpg", Derivative(&[11])),
        ("/_data/i/galleries/x/pwg_representative/v.tar-th.png", Derivative(&[12])),
        ("/galleries/x/logo.svg", File(&[13])),
        ("/_data/i/galleries/x/pic-cu_s100.jpg", Derivative(&[8])),
        ("/_data/i/galleries/x/pic-cu_s100x100.jpg", Refused(BadUri::Token)),
        ("/_data/i/galleries/x/pic-cu_s0100.jpg", Refused(BadUri::Token)),
        ("/_data/i/galleries/x/pic-cu_e260x180.jpg", Derivative(&[8])),
        ("/_data/i/galleries/x/pic-cu_300x200_n_150x100.jpg", Derivative(&[8])),
        ("/_data/i/galleries/x/pic-cu_s101.jpg", Refused(BadUri::Token)),
        ("/_data/i/galleries/x/pic-th_foo.jpg", Refused(BadUri::Token)),
        ("/_data/i/galleries/x/pic-3x.jpg", Refused(BadUri::Token)),
        ("/galleries/x/../x/pic.jpg", Refused(BadUri::Path)),
        ("/galleries//x/pic.jpg", Refused(BadUri::Path)),
        ("//galleries/x/pic.jpg", Refused(BadUri::Path)),
        ("/i.php?//galleries/x/pic-th.jpg", Derivative(&[8])),
        ("/i.php?/galleries/x/pic%2dth.jpg", Derivative(&[8])),
        ("/galleries/x/pic.jpg%00.php", Refused(BadUri::Path)),
        ("/galleries/x/.htaccess", Refused(BadUri::Path)),
        ("/upload/2024/01/02/index.htm", Unknown),
        ("/_data/logs/log_x.txt", Refused(BadUri::Private)),
        ("/galleries/x/pic.jpg/", Refused(BadUri::Path)),
        ("/galleries%5Cx%5Cpic.jpg", Refused(BadUri::Path)),
        ("/_data/i/galleries/x/-th.jpg", Refused(BadUri::NoDash)),
        ("/_data/i/galleries/x/pic-th", Refused(BadUri::NoExtension)),
        ("/_data/i/galleries/x-th/pic.jpg", Refused(BadUri::NoDash)),
        // One decoding, one spelling, one file.
        ("/galleries/x/%70ic.jpg", File(&[8])),
        ("/galleries/x/%2570ic.jpg", Unknown),
        ("/galleries%2Fx/pic.jpg", Refused(BadUri::Path)),
        ("/galleries/x/pic.jpg#y.jpg", Refused(BadUri::Path)),
        ("/galleries/x/pic.jpg%", Refused(BadUri::Path)),
        ("/galleries/x/pic.jpg%zz", Refused(BadUri::Path)),
        ("/galleries/x/pic%FF.jpg", Refused(BadUri::Path)),
        ("/galleries/x/pic.jpg?x=/galleries/x/pic.png", File(&[8])),
        ("/i.php/galleries/x/pic-th.jpg?/galleries/x/pic-th.png", Refused(BadUri::Ambiguous)),
        ("/i.php?/galleries/x/pic-th.jpg&b=1&b=2", Refused(BadUri::Ambiguous)),
        ("/i.php?/galleries/x/pic-th.jpg&/galleries/x/pic-th.png", Refused(BadUri::Ambiguous)),
        ("/i.php?/galleries/x/../x/pic-th.jpg", Refused(BadUri::Path)),
        ("/i.php?/galleries/x/pic-th.jpg?auth=key", Refused(BadUri::Path)),
        ("/i.php?b=17", Refused(BadUri::Path)),
        ("/i.php", Refused(BadUri::Path)),
        ("/i.php/_data/i/galleries/x/pic-th.jpg", Refused(BadUri::Private)),
        ("/_data/i/_data/i/galleries/x/pic-th-th.jpg", Refused(BadUri::Private)),
        ("/action.php?id=8&part=e", Record(&[8])),
        ("/action.php?id=3&part=e&download", Record(&[3])),
        ("/action.php?id=3&part=r", Record(&[3])),
        ("/action.php?id=8&part=r", Unknown),
        ("/action.php?format=1&download", Record(&[1])),
        ("/action.php?format=1&id=1", Record(&[1])),
        ("/action.php?format=1&id=2", Unknown),
        ("/action.php?format=2", Unknown),
        ("/action.php?id=8", Refused(BadUri::Record)),
        ("/action.php?id=99&part=e", Unknown),
        // A row for which the rule for paths has no good word.
        ("/action.php?id=6&part=e", Unknown),
        ("/action.php?id=14&part=e", Unknown),
        ("/action.php?id=15&part=e", Unknown),
        ("/action.php?id=16&part=e", Unknown),
        ("/local/config/database.inc.php", Refused(BadUri::Private)),
        ("/galleries/x/shell.php", Refused(BadUri::Script)),
        ("/galleries/x/shell.PhP7.jpg", Unknown),
        ("/galleries/x/shell.jpg.PhP7", Refused(BadUri::Script)),
        ("http://h/galleries/x/pic.jpg", Refused(BadUri::Path)),
        ("/galleries/x/p_c.jpg", Unknown),
        ("/galleries/x/pwg_representative/%25.jpg", Unknown),
        ("/", Refused(BadUri::Path)),
    ];
    let sandbox = Sandbox::new();
    let (database, gallery) = world(&sandbox).await;
    for (url, expected) in table {
        let got = match Target::read(url.as_bytes(), &gallery.layout, &gallery.derivatives) {
            Err(refusal) => Refused(refusal),
            Ok(Target::Icon(_)) => Icon,
            Ok(target @ Target::Record(_)) => {
                let claims = owners::of_target(&database, &target, &gallery, &[]).await.unwrap();
                match claims.iter().map(|claim| claim.image.id).collect::<Vec<_>>() {
                    ids if ids.is_empty() => Unknown,
                    ids => Record(ids.leak()),
                }
            }
            Ok(Target::File(source)) => match ids(&database, &source, false, &gallery).await {
                ids if ids.is_empty() => Unknown,
                ids => File(ids.leak()),
            },
            Ok(Target::Derivative { source, .. }) => match ids(&database, &source, true, &gallery).await {
                ids if ids.is_empty() => Unknown,
                ids => Derivative(ids.leak()),
            },
        };
        assert_eq!(got, *expected, "{url}");
    }
}

async fn ids(
    database: &Database,
    source: &piwigo_gate::verdict::uri::Source,
    of_derivative: bool,
    gallery: &Gallery,
) -> Vec<u32> {
    let claims = owners::find(database, source, of_derivative, gallery).await.unwrap();
    // The path that will be sent comes from the row, and is the one that was asked for.
    for claim in &claims {
        assert_eq!(claim.file.strip_prefix("../").unwrap_or(&claim.file), source.path);
    }
    claims.iter().map(|claim| claim.image.id).collect()
}

#[tokio::test]
async fn a_prefix_is_part_of_every_url() {
    let sandbox = Sandbox::new();
    let (_, gallery) = world(&sandbox).await;
    let layout =
        piwigo_gate::piwigo::layout::Layout { url_prefix: "/piwigo".into(), ..gallery.layout.clone() };
    let read = |url: &str| Target::read(url.as_bytes(), &layout, &gallery.derivatives);
    assert!(read("/piwigo/galleries/x/pic.jpg").is_ok());
    for url in
        ["/galleries/x/pic.jpg", "/piwigogalleries/x/pic.jpg", "/piwigo", "/Piwigo/galleries/x/pic.jpg"]
    {
        assert!(read(url).is_err(), "{url}");
    }
}
