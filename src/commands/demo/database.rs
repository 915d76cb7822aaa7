//! `Plan` -> the `SQLite` database of the sample gallery: the tables and columns of Piwigo 16 that say who
//! may see what. Names and meanings are Piwigo's (`install/piwigo_structure-mysql.sql`), types are those of
//! `SQLite`.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Error};

use super::contents::{ALBUMS, GRANTS, GROUP_GRANTS};
use super::plan::{Album, DemoPicture, DemoVisitor, Plan};

/// First part of a session row's id: the first two octets of the visitor's address, here of 127.0.0.1
/// (Piwigo: `get_remote_addr_session_hash`).
const ADDRESS: &str = "7F00";

const TABLES: &str = "
CREATE TABLE piwigo_config (param TEXT PRIMARY KEY, value TEXT, comment TEXT);
CREATE TABLE piwigo_sites (id INTEGER PRIMARY KEY, galleries_url TEXT NOT NULL UNIQUE);
CREATE TABLE piwigo_plugins (
  id TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'inactive', version TEXT NOT NULL DEFAULT '0');
CREATE TABLE piwigo_categories (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, id_uppercat INTEGER, comment TEXT, dir TEXT, rank INTEGER,
  status TEXT NOT NULL DEFAULT 'public', site_id INTEGER, visible TEXT NOT NULL DEFAULT 'true',
  representative_picture_id INTEGER, uppercats TEXT NOT NULL, global_rank TEXT);
CREATE TABLE piwigo_images (
  id INTEGER PRIMARY KEY, file TEXT NOT NULL, date_available TEXT NOT NULL, name TEXT, filesize INTEGER,
  width INTEGER, height INTEGER, coi TEXT, representative_ext TEXT, storage_category_id INTEGER,
  level INTEGER NOT NULL DEFAULT 0, md5sum TEXT, added_by INTEGER NOT NULL DEFAULT 0, rotation INTEGER,
  path TEXT NOT NULL, lastmodified TEXT);
CREATE INDEX piwigo_images_i7 ON piwigo_images (path);
CREATE TABLE piwigo_image_category (
  image_id INTEGER NOT NULL, category_id INTEGER NOT NULL, rank INTEGER, PRIMARY KEY (image_id, category_id));
CREATE TABLE piwigo_image_format (
  format_id INTEGER PRIMARY KEY, image_id INTEGER NOT NULL, ext TEXT NOT NULL, filesize INTEGER);
CREATE TABLE piwigo_users (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, password TEXT, mail_address TEXT);
CREATE TABLE piwigo_user_infos (
  user_id INTEGER PRIMARY KEY, status TEXT NOT NULL DEFAULT 'guest', language TEXT NOT NULL DEFAULT 'en_UK',
  enabled_high TEXT NOT NULL DEFAULT 'true', level INTEGER NOT NULL DEFAULT 0);
CREATE TABLE piwigo_user_access (
  user_id INTEGER NOT NULL, cat_id INTEGER NOT NULL, PRIMARY KEY (user_id, cat_id));
CREATE TABLE piwigo_groups (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE piwigo_group_access (
  group_id INTEGER NOT NULL, cat_id INTEGER NOT NULL, PRIMARY KEY (group_id, cat_id));
CREATE TABLE piwigo_user_group (
  user_id INTEGER NOT NULL, group_id INTEGER NOT NULL, PRIMARY KEY (group_id, user_id));
CREATE TABLE piwigo_user_auth_keys (
  auth_key_id INTEGER PRIMARY KEY, auth_key TEXT NOT NULL, apikey_secret TEXT, apikey_name TEXT, key_type TEXT,
  user_id INTEGER NOT NULL, created_on TEXT NOT NULL, duration INTEGER, expired_on TEXT NOT NULL,
  revoked_on TEXT, last_used_on TEXT, last_notified_on TEXT);
CREATE TABLE piwigo_sessions (id TEXT PRIMARY KEY, data TEXT NOT NULL, expiration TEXT NOT NULL);
";

/// The group that bob is in.
const GROUP: u32 = 1;

/// Makes the file and fills it. `secret` becomes the gallery's `secret_key`.
///
/// # Errors
/// Those of the database: no place to write, most likely.
pub(super) async fn write(plan: &Plan, file: &Path, secret: &str) -> Result<(), Error> {
    let mut connection = SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await?;
    sqlx::raw_sql(TABLES).execute(&mut connection).await?;
    let mut rows = connection.begin().await?;
    config(&mut rows, secret).await?;
    for album in &ALBUMS {
        album_row(&mut rows, album).await?;
    }
    for picture in &plan.pictures {
        picture_rows(&mut rows, picture).await?;
    }
    for visitor in &plan.visitors {
        visitor_rows(&mut rows, visitor).await?;
    }
    grants(&mut rows).await?;
    rows.commit().await?;
    connection.close().await
}

async fn config(rows: &mut SqliteConnection, secret: &str) -> Result<(), Error> {
    for (param, value) in [
        ("gallery_title", "Sample gallery"),
        ("secret_key", secret),
        ("gallery_locked", "false"),
        ("guest_access", "true"),
        ("webmaster_id", "1"),
        ("piwigo_db_version", "16"),
    ] {
        let row =
            sqlx::query("INSERT INTO piwigo_config (param, value) VALUES (?, ?)").bind(param).bind(value);
        row.execute(&mut *rows).await?;
    }
    sqlx::query("INSERT INTO piwigo_sites VALUES (1, './galleries/')").execute(rows).await?;
    Ok(())
}

async fn album_row(rows: &mut SqliteConnection, album: &Album) -> Result<(), Error> {
    let line = album.parent.map_or(album.id.to_string(), |parent| format!("{parent},{}", album.id));
    sqlx::query(
        "INSERT INTO piwigo_categories (id, name, id_uppercat, comment, dir, rank, status, site_id, visible, uppercats, global_rank)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(album.id)
    .bind(album.name)
    .bind(album.parent)
    .bind(album.about)
    .bind(album.directory)
    .bind(album.id)
    .bind(if album.private { "private" } else { "public" })
    .bind(album.directory.map(|_| 1))
    .bind(if album.locked { "false" } else { "true" })
    .bind(&line)
    .bind(line.replace(',', "."))
    .execute(rows)
    .await?;
    Ok(())
}

async fn picture_rows(rows: &mut SqliteConnection, picture: &DemoPicture) -> Result<(), Error> {
    let directory =
        ALBUMS.iter().rfind(|album| picture.albums.contains(&album.id) && album.directory.is_some());
    sqlx::query(
        "INSERT INTO piwigo_images (id, file, date_available, name, width, height, representative_ext,
           storage_category_id, level, added_by, rotation, path)
         VALUES (?, ?, '2026-05-02 22:00:00', ?, ?, ?, ?, ?, ?, 1, 0, ?)",
    )
    .bind(picture.id)
    .bind(format!("{}.{}", picture.stem, picture.extension))
    .bind(picture.title)
    .bind(picture.size.0)
    .bind(picture.size.1)
    .bind(picture.is_video().then_some("jpg"))
    .bind(directory.map(|album| album.id))
    .bind(picture.level)
    .bind(format!("./{}", picture.original()))
    .execute(&mut *rows)
    .await?;
    for album in picture.albums {
        let row = sqlx::query("INSERT INTO piwigo_image_category (image_id, category_id) VALUES (?, ?)");
        row.bind(picture.id).bind(album).execute(&mut *rows).await?;
    }
    if picture.raw {
        let row =
            sqlx::query("INSERT INTO piwigo_image_format (image_id, ext, filesize) VALUES (?, 'cr2', 16)");
        row.bind(picture.id).execute(rows).await?;
    }
    Ok(())
}

async fn visitor_rows(rows: &mut SqliteConnection, visitor: &DemoVisitor) -> Result<(), Error> {
    let (status, level) = match visitor.name {
        "guest" => ("guest", 0),
        "admin" => ("webmaster", 8),
        _ => ("normal", 0),
    };
    // No password opens these accounts: no hash is `*`.
    sqlx::query("INSERT INTO piwigo_users VALUES (?, ?, '*', NULL)")
        .bind(visitor.user_id)
        .bind(visitor.name)
        .execute(&mut *rows)
        .await?;
    sqlx::query("INSERT INTO piwigo_user_infos (user_id, status, enabled_high, level) VALUES (?, ?, ?, ?)")
        .bind(visitor.user_id)
        .bind(status)
        .bind(if visitor.name == "carol" { "false" } else { "true" })
        .bind(level)
        .execute(&mut *rows)
        .await?;
    if let Some(cookie) = &visitor.cookie {
        sqlx::query("INSERT INTO piwigo_sessions VALUES (?, ?, datetime('now'))")
            .bind(format!("{ADDRESS}{cookie}"))
            .bind(format!("pwg_uid|i:{};connected_with|s:6:\"pwg_ui\";", visitor.user_id))
            .execute(rows)
            .await?;
    }
    Ok(())
}

async fn grants(rows: &mut SqliteConnection) -> Result<(), Error> {
    for (user, album) in GRANTS {
        let row = sqlx::query("INSERT INTO piwigo_user_access VALUES (?, ?)").bind(user).bind(album);
        row.execute(&mut *rows).await?;
    }
    sqlx::query("INSERT INTO piwigo_groups VALUES (?, 'relatives')").bind(GROUP).execute(&mut *rows).await?;
    for album in GROUP_GRANTS {
        let row = sqlx::query("INSERT INTO piwigo_group_access VALUES (?, ?)").bind(GROUP).bind(album);
        row.execute(&mut *rows).await?;
    }
    let member =
        sqlx::query("INSERT INTO piwigo_user_group SELECT id, ? FROM piwigo_users WHERE username = 'bob'");
    member.bind(GROUP).execute(rows).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::super::directory::Directory;
    use super::super::grant;
    use super::super::plan::DemoKind;
    use super::super::plan::tests::sample;
    use super::*;

    async fn written(directory: &Directory) -> SqliteConnection {
        let file = directory.path().join("piwigo.sqlite");
        write(&sample(), &file, "0123").await.unwrap();
        SqliteConnectOptions::new().filename(&file).connect().await.unwrap()
    }

    /// Piwigo's rule in SQL, administrators left out: what the table in `plan` says about pictures must be
    /// what these rows mean.
    const MAY_SEE: &str = "
SELECT count(*) FROM piwigo_images i
JOIN piwigo_image_category ic ON ic.image_id = i.id
JOIN piwigo_categories c ON c.id = ic.category_id
JOIN piwigo_user_infos u ON u.user_id = ?
WHERE i.path = ? AND i.level <= u.level AND c.visible <> 'false' AND (c.status <> 'private'
  OR EXISTS (SELECT 1 FROM piwigo_user_access a WHERE a.user_id = u.user_id AND a.cat_id = c.id)
  OR EXISTS (SELECT 1 FROM piwigo_user_group g JOIN piwigo_group_access a ON a.group_id = g.group_id
             WHERE g.user_id = u.user_id AND a.cat_id = c.id))";

    #[tokio::test]
    async fn the_rows_mean_what_the_table_says() {
        let directory = Directory::new().unwrap();
        let mut database = written(&directory).await;
        assert_rows_mean(&sample(), &mut database).await;
        for (granted, plan) in [(false, sample().revoked()), (true, sample())] {
            grant::set(&directory.path().join("piwigo.sqlite"), granted).await.unwrap();
            assert_rows_mean(&plan, &mut database).await;
        }
    }

    async fn assert_rows_mean(plan: &Plan, database: &mut SqliteConnection) {
        for picture in &plan.pictures {
            for (column, visitor) in
                plan.visitors.iter().enumerate().filter(|(_, visitor)| visitor.name != "admin")
            {
                let query =
                    sqlx::query(MAY_SEE).bind(visitor.user_id).bind(format!("./{}", picture.original()));
                let count: i64 = query.fetch_one(&mut *database).await.unwrap().get(0);
                let shown = picture.files.iter().find(|file| file.kind != DemoKind::Original).unwrap();
                assert_eq!(
                    count > 0,
                    shown.row[column].status() == 200,
                    "{} {}",
                    visitor.name,
                    picture.title
                );
            }
        }
    }

    #[tokio::test]
    async fn a_session_row_belongs_to_an_ipv4_visitor_from_this_machine() {
        let directory = Directory::new().unwrap();
        let mut database = written(&directory).await;
        let id = format!("7F00{}", "b".repeat(26));
        let row = sqlx::query("SELECT data FROM piwigo_sessions WHERE id = ?")
            .bind(id)
            .fetch_one(&mut database)
            .await;
        assert_eq!(row.unwrap().get::<String, _>(0), "pwg_uid|i:4;connected_with|s:6:\"pwg_ui\";");
    }

    #[tokio::test]
    async fn only_the_dunes_have_a_raw_file_and_only_the_video_a_poster() {
        let directory = Directory::new().unwrap();
        let mut database = written(&directory).await;
        for (query, wanted) in [
            (
                "SELECT group_concat(i.name || '.' || f.ext || f.format_id) FROM piwigo_image_format f JOIN piwigo_images i ON i.id = f.image_id",
                "Dunes.cr21",
            ),
            (
                "SELECT group_concat(name || '.' || representative_ext) FROM piwigo_images",
                "Evening at sea.jpg",
            ),
            ("SELECT group_concat(name || site_id) FROM piwigo_categories", "Été à Paris1,La nuit1"),
        ] {
            let row = sqlx::query(query).fetch_one(&mut database).await.unwrap();
            assert_eq!(row.get::<String, _>(0), wanted);
        }
    }
}
