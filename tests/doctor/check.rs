//! `piwigo-gate check`: what an administrator reads, what a script reads, and what neither ever sees.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::support::gate;
use crate::support::sandbox::Sandbox;
use crate::support::scene;
use crate::support::world::World;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

/// The small gallery on SQLite.
struct Gallery {
    sandbox: Sandbox,
    database: String,
    world: World,
}

impl Gallery {
    fn new() -> Self {
        let (sandbox, world) = (Sandbox::new(), World::load());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime.block_on(scene::sqlite(&sandbox, &world));
        Self { sandbox, database, world }
    }

    fn sql(&self, text: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = sqlx::SqliteConnection::connect(&self.database).await.unwrap();
            connection.execute(AssertSqlSafe(text.to_owned())).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(gate::program_for(&self.sandbox));
        command
            .args(["check", "--gallery", self.sandbox.gallery().to_str().unwrap()])
            .args(["--database", &self.database])
            .args(arguments)
            .current_dir(self.sandbox.path())
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    fn check(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        said(self.command(arguments).output().unwrap(), &self.sandbox)
    }
}

fn said(output: Output, sandbox: &Sandbox) -> (Option<i32>, String, String) {
    let root = sandbox.gallery().display().to_string();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&root, "/srv/piwigo");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// One case: arguments, exit code, text.
fn reads(gallery: &Gallery, arguments: &[&str], code: i32, text: &str) {
    let (status, out, errors) = gallery.check(arguments);
    assert_eq!((status, out.as_str(), errors.as_str()), (Some(code), text, ""), "{arguments:?}\n{out}");
}

#[test]
fn a_denied_thumb_and_the_same_thumb_allowed() {
    let gallery = Gallery::new();
    let url = "https://photos.example.org/_data/i/upload/2026/11/21/20261121182448-762283a7-th.jpg#x";
    reads(
        &gallery,
        &[url],
        1,
        "\
/_data/i/upload/2026/11/21/20261121182448-762283a7-th.jpg
  read as   size \"th\" of upload/2026/11/21/20261121182448-762283a7.jpg
  visitor   user 2, status guest, level 0, may have originals
            the guest: nobody is named (--user or --cookie)
  gallery   open to visitors of this status
  record    image 9, upload/2026/11/21/20261121182448-762283a7.jpg: the source is its original
    album 2       closed  private, and granted neither to the visitor nor to one of their groups
    level         passes  the image's level 0 is not above the visitor's 0
    originals     passes  this file needs no right to originals
  verdict   DENIED: none of the image's albums is open to the visitor
  answer    every server: 403, refused, like a file that does not exist
",
    );
    let allowed = "\
/_data/i/upload/2026/11/21/20261121182448-762283a7-th.jpg
  read as   size \"th\" of upload/2026/11/21/20261121182448-762283a7.jpg
  visitor   user 4 (bob), status normal, level 0, may have originals
            judged as a session of this account would be
  gallery   open to visitors of this status
  record    image 9, upload/2026/11/21/20261121182448-762283a7.jpg: the source is its original
    album 2       opens   private, and granted to the visitor or to one of their groups
    level         passes  the image's level 0 is not above the visitor's 0
    originals     passes  this file needs no right to originals
  verdict   ALLOWED: album 2 opens image 9 to the visitor
  answer    nginx: 200, the server sends this file
              X-Accel-Redirect: /_gate/file/_data/i/upload/2026/11/21/20261121182448-762283a7-th.jpg
            Apache, mod_xsendfile; lighttpd: 200, the server sends this file
              X-Sendfile: /srv/piwigo/_data/i/upload/2026/11/21/20261121182448-762283a7-th.jpg
            Apache, .htaccess: 200, the server sends this file
              Location: /_data/i/upload/2026/11/21/20261121182448-762283a7-th.jpg
            auth_request, authorizers: 200, the server sends what it was asked for
            any other: 200, the gate sends this file
";
    reads(&gallery, &["--user", "bob", url], 0, allowed);
    reads(&gallery, &["--user", "4", url], 0, &allowed.replace("(bob)", "(4)"));
}

/// A module that decodes the header would send `100%.jpg`.
#[test]
fn a_server_that_might_decode_a_percent_sign_is_named() {
    let gallery = Gallery::new();
    gallery.sql(
        "INSERT INTO piwigo_images (id, file, path) VALUES (9001, 'x', './upload/a/100%25.jpg');
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (9001, 1);",
    );
    gallery.sandbox.write("gallery/upload/a/100%25.jpg", "x");
    let (code, text, _) = gallery.check(&["/upload/a/100%2525.jpg"]);
    let expected = "\
  answer    nginx: 200, the server sends this file
              X-Accel-Redirect: /_gate/file/upload/a/100%2525.jpg
            Apache, mod_xsendfile: 200, the server sends this file
              X-Sendfile: /srv/piwigo/upload/a/100%25.jpg
            lighttpd: 200, the server sends this file
              X-Sendfile: /srv/piwigo/upload/a/100%2525.jpg
            Apache, .htaccess: 200, the server sends this file
              Location: /upload/a/100%2525.jpg
            auth_request, authorizers: 200, the server sends what it was asked for
            any other: 200, the gate sends this file
            Apache or Caddy, a file without GATE_XSENDFILE: 404, not sent: that server might decode the % in the path; \
                    print its file anew
";
    assert!(code == Some(0) && text.ends_with(expected), "{text}");
}

#[test]
fn every_rule_that_fails_is_named() {
    let gallery = Gallery::new();
    let path = |id| crate::support::http::url(gallery.world.image(id).original());
    let orphan = path(25);
    let table: [(&[&str], &[&str]); 10] = [
        (
            &["--user", "alice", &path(30)],
            &["level         fails   the image's level 8 is above the visitor's 0"],
        ),
        (
            &["--user", "lowres", &path(2)],
            &["originals     fails   the right to originals is needed", "may not have originals"],
        ),
        (
            &["--user", "alice", &path(24)],
            &["album 1       opens", "album 8       closed  locked", "ALLOWED"],
        ),
        (
            &["--admins", "strict", "--user", "admin", &orphan],
            &["albums        closed  the image is in no album"],
        ),
        (&["--user", "admin", &orphan], &["administrator passes", "ALLOWED: administrators"]),
        (&["/upload/none.jpg"], &["record    none", "DENIED: no image record owns this file"]),
        (&["/upload/../x"], &["nothing: the path is not canonical"]),
        (
            &["/i.php?/galleries/plain/IMG_1-th.jpg"],
            &["authorizers: 403, refused: where the server only asks", "ALLOWED"],
        ),
        (&["/_data/i/themes/default/icon/mimetypes/pdf-th.png"], &["ALLOWED: a picture of a file type"]),
        (
            &["/galleries/%C3%89t%C3%A9%20%C3%A0%20Paris/O%C3%B9.jpg"],
            &["the file galleries/Été à Paris/Où.jpg"],
        ),
    ];
    for (arguments, parts) in table {
        let (code, out, errors) = gallery.check(arguments);
        let allowed = out.contains("ALLOWED");
        assert_eq!((code, errors.as_str()), (Some(i32::from(!allowed)), ""), "{arguments:?} {out}");
        for part in parts {
            assert!(out.contains(part), "{arguments:?} lacks {part:?}:\n{out}");
        }
    }
}

#[test]
fn covers_and_closed_galleries_are_explained() {
    let gallery = Gallery::new();
    // The cover of a public album, of one that is granted to bob by hand, and of one that is granted to
    // carol's group.
    gallery.sql("UPDATE piwigo_categories SET representative_picture_id = 21 WHERE id IN (1, 2, 3)");
    let thumb = format!("/{}", gallery.world.image(21).derivative("th").unwrap());
    let (_, out, _) = gallery.check(&["--covers", "--", &thumb]);
    assert!(out.contains("ALLOWED: it is the cover of album 1,"), "{out}");
    gallery.sql("UPDATE piwigo_categories SET representative_picture_id = NULL WHERE id = 1");
    for (user, parts) in [
        ("guest", ["album 11      closed  private", "cover of 2    closed  private", "DENIED"]),
        (
            "bob",
            [
                "cover of 2    opens   private, and granted",
                "cover of 3    closed",
                "ALLOWED: it is the cover of album 2",
            ],
        ),
        ("carol", ["cover of 2    closed", "cover of 3    opens", "ALLOWED: it is the cover of album 3"]),
    ] {
        let (_, out, _) = gallery.check(&["--covers", "true", "--user", user, &thumb]);
        for part in parts {
            assert!(out.contains(part), "{user} lacks {part}:\n{out}");
        }
        let (code, out, _) = gallery.check(&["--user", user, &thumb]);
        assert!(code == Some(1) && !out.contains("cover"), "{user}:\n{out}");
    }
    let open = format!("/{}", gallery.world.image(1).original());
    gallery.sql("UPDATE piwigo_config SET value = 'true' WHERE param = 'gallery_locked'");
    let (code, out, _) = gallery.check(&["--user", "bob", &open]);
    assert_eq!(code, Some(1));
    assert!(out.contains("gallery   locked") && out.contains(": 503, the gallery is locked"), "{out}");
    gallery.sql("UPDATE piwigo_config SET value = 'false' WHERE param = 'gallery_locked'");
    gallery.sql("INSERT INTO piwigo_config (param, value) VALUES ('guest_access', 'false')");
    let (code, out, _) = gallery.check(&[&open]);
    assert!(code == Some(1) && out.contains("gallery   closed to visitors of this status"), "{out}");
    gallery.sql("UPDATE piwigo_user_infos SET status = 'guest' WHERE user_id = 4");
    let (_, out, _) = gallery.check(&["--user", "bob", &open]);
    assert!(out.contains("account 4 is deleted, or deactivated"), "{out}");
}

/// What `check` says of a visitor's session is what the gate answers to it.
/// By the plugin `two_factor`: the password was given, the code was not.
#[test]
fn a_session_that_owes_the_second_factor_is_named() {
    let gallery = Gallery::new();
    let session = gallery.world.session("bob").clone();
    let (cookie, ip) = (session.cookie_header(), session.client_ip.as_str());
    let row = session.row.expect("bob is signed in").id;
    let url = crate::support::http::url(gallery.world.image(9).original());
    let ask = [&*url, "--cookie", &cookie, "--ip", ip];
    assert_eq!(gallery.check(&ask).0, Some(0));
    gallery.sql(&format!(
        "UPDATE piwigo_sessions SET data = 'pwg_uid|i:4;tf_tries_validated|b:0;tf_tries_left|i:3;' WHERE id = '{row}'"
    ));
    let (code, out, errors) = gallery.check(&ask);
    assert_eq!((code, &*errors), (Some(1), ""));
    for line in [
        "  visitor   user 2, status guest, level 0, may have originals\n            account 4 counts as the guest: the second \
         factor of the sign-in is missing\n",
        "  verdict   DENIED: none of the image's albums is open to the visitor; the visitor counts as a guest: the second factor \
         of the session's sign-in is missing (tf_tries_validated of the plugin two_factor)\n",
    ] {
        assert!(out.contains(line), "{out}");
    }
    let (_, json, _) = gallery.check(&["--json", &url, "--cookie", &cookie, "--ip", ip]);
    assert!(json.contains("\"by\": \"unfinished\"") || json.contains("\"by\":\"unfinished\""), "{json}");
    // The account itself may see it.
    assert_eq!(gallery.check(&["--user", "bob", &url]).0, Some(0));
}

#[test]
fn what_is_left_to_piwigo_has_no_verdict() {
    let gallery = Gallery::new();
    let by_piwigo = ["--action-php", "piwigo", "/action.php?id=1&part=e"];
    reads(
        &gallery,
        &by_piwigo,
        1,
        "\
/action.php
  read as   the original of image 1 (action.php)
  verdict   NO VERDICT: Piwigo's own action.php decides, the gate does not (action_php)
  answer    nginx: 200, Piwigo's action.php decides and answers
              X-Accel-Redirect: /_gate/action.php?id=1&part=e
            Apache, mod_xsendfile; Apache, .htaccess: 200, Piwigo's action.php decides and answers
              Location: /action.php?id=1&part=e
            lighttpd; any other: 403, refused, like a file that does not exist
            auth_request, authorizers: 403, refused; but the printed file asks Piwigo's action.php, and not the gate
",
    );
    let (code, out, _) = gallery.check(&["--action-php", "piwigo", "--json", "/action.php?id=1&part=e"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("\"left_to_piwigo\": true") || out.contains("\"left_to_piwigo\":true"), "{out}");
}

/// What an administrator has in the browser is the photo's page.
#[test]
fn the_address_of_a_page_stands_for_the_files_of_its_photo() {
    let gallery = Gallery::new();
    let heads = |url: &str, code: i32| -> Vec<String> {
        let (status, out, errors) = gallery.check(&["--user", "bob", url]);
        assert_eq!((status, &*errors), (Some(code), ""), "{url}\n{out}");
        out.lines().filter(|line| line.starts_with('/')).map(str::to_owned).collect()
    };
    let files = [
        "/upload/2026/11/21/20261121182448-762283a7.jpg (of photo 9)",
        "/_data/i/upload/2026/11/21/20261121182448-762283a7-me.jpg (of photo 9)",
    ];
    for url in [
        "https://photos.example.org/picture.php?/9/category/2",
        "/picture.php?/9-a-name/categories",
        "/picture/9/category/2-name/start-15",
        "/admin.php?page=photo-9-properties",
    ] {
        assert_eq!(heads(url, 0), files, "{url}");
    }
    let film = gallery.world.images.iter().find(|image| image.representative_ext.is_some()).unwrap();
    let (_, out, _) = gallery.check(&["--user", "admin", &format!("/picture.php?/{}", film.id)]);
    let heads: Vec<&str> = out.lines().filter(|line| line.starts_with('/')).collect();
    assert!(
        heads.len() == 3 && heads[1].contains("/pwg_representative/") && heads[2].contains("-me."),
        "{out}"
    );
    let (_, json, _) = gallery.check(&["--json", "/picture.php?/9"]);
    assert_eq!(json.matches("\"photo\": 9").count(), 2, "{json}");
    let (status, out, errors) = gallery.check(&["/upload/a.jpg", "/picture.php?/99999"]);
    assert_eq!((status, &*out), (Some(2), ""));
    assert!(errors.contains("argument 2 is the page of photo 99999, and there is no photo"), "{errors}");
}

#[test]
fn a_file_behind_a_link_that_is_not_followed_is_not_called_missing() {
    let gallery = Gallery::new();
    let path = gallery.world.image(9).original().to_owned();
    let url = crate::support::http::url(&path);
    let (_, out, _) = gallery.check(&["--user", "bob", &url]);
    assert!(!out.contains("out of reach"), "{out}");
    let elsewhere = gallery.sandbox.write("elsewhere.jpg", "x");
    let file = gallery.sandbox.gallery().join(&path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(&file);
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let (status, out, errors) = gallery.check(&["--symlinks", "inside", "--user", "bob", &url]);
    assert_eq!((status, &*errors), (Some(0), ""), "{out}");
    for part in [
        "  file      out of reach: upload/2026/11/21/20261121182448-762283a7.jpg is reached through the symbolic link",
        "add where it leads to the setting symlinks (now inside)",
        "404, the visitor may have the file, but the gate cannot reach it",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(!out.contains("not on disk"), "{out}");
    std::fs::remove_file(&file).unwrap();
    let (_, out, _) = gallery.check(&["--symlinks", "inside", "--user", "bob", &url]);
    assert!(out.contains("it is not on disk") && !out.contains("out of reach"), "{out}");
}

/// By the column of the plugin Download Permissions, on SQLite.
#[test]
fn an_album_that_allows_no_downloads_is_named() {
    let gallery = Gallery::new();
    gallery.sql("ALTER TABLE piwigo_categories ADD COLUMN downloadable TEXT DEFAULT 'true'");
    let original = crate::support::http::url(gallery.world.image(2).original());
    for (value, code, lines) in [
        (
            "'true'",
            0,
            [
                "originals     passes  the right to originals is needed, and the visitor has it",
                "ALLOWED: album",
            ],
        ),
        (
            "'false'",
            1,
            [
                "originals     fails   the visitor has the right to originals, but no album that opens the image allows downloads",
                "DENIED: none of the image's albums that are open to the visitor allows downloads (column downloadable)",
            ],
        ),
    ] {
        gallery.sql(&format!("UPDATE piwigo_categories SET downloadable = {value}"));
        for url in [&*original, "/action.php?id=2&part=e"] {
            let (status, out, errors) = gallery.check(&[url]);
            assert_eq!((status, &*errors), (Some(code), ""), "{out}");
            assert!(lines.iter().all(|line| out.contains(line)), "{out}");
        }
    }
}

#[test]
fn a_cookie_counts_from_its_address_and_is_never_repeated() {
    let gallery = Gallery::new();
    let session = gallery.world.session("bob");
    let url = crate::support::http::url(gallery.world.private_image("bob").original());
    let cookie = session.cookie_header();
    let secret = session.cookies.values().next().unwrap().as_str();
    for (ip, code, part) in [
        (session.client_ip.as_str(), 0, "by the session that the cookie names"),
        ("203.0.113.7", 1, "no session belongs to this cookie and address"),
    ] {
        for json in [false, true] {
            let mut arguments = vec!["--cookie", &cookie, "--ip", ip, &url];
            arguments.extend(json.then_some("--json"));
            let (status, out, errors) = gallery.check(&arguments);
            assert_eq!(status, Some(code), "{ip}: {out}{errors}");
            assert!(out.contains(part), "{ip}: {out}");
            assert!(!out.contains(secret) && !errors.contains(secret), "{out}{errors}");
        }
    }
    // By standard input it is not in the list of processes either.
    let mut command = gallery.command(&["--cookie", "-", "--ip", &session.client_ip, &url]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{cookie}").unwrap();
    let (status, out, _) = said(child.wait_with_output().unwrap(), &gallery.sandbox);
    assert_eq!(status, Some(0), "{out}");
}

#[test]
fn keys_and_passwords_of_a_url_are_never_repeated() {
    let gallery = Gallery::new();
    for url in [
        "https://me:s3cret@photos.example.org/upload/a.jpg?auth=s3cret",
        "/i.php?/upload/a-th.jpg&auth=s3cret",
        "/action.php?id=1&auth=s3cret",
        "ftp://me:s3cret@photos.example.org/upload/a.jpg",
        "s3cret",
    ] {
        for json in [&["--json"][..], &[]] {
            let arguments: Vec<&str> = [url].iter().chain(json).copied().collect();
            let (_, out, errors) = gallery.check(&arguments);
            assert!(!out.contains("s3cret") && !errors.contains("s3cret"), "{url}: {out}{errors}");
            assert!(!out.is_empty() || !errors.is_empty(), "{url}");
        }
    }
}

#[test]
fn files_named_by_numbers_and_companions_are_called_what_they_are() {
    let gallery = Gallery::new();
    let toml = gallery.sandbox.write("gallery/local/config/gate.toml", "companions = [\"{stem}.vtt\"]\n");
    gallery.sandbox.hand_over(&toml);
    let film = gallery.world.image(34).original();
    let subtitles = format!("/{}.vtt", film.rsplit_once('.').unwrap().0);
    for (url, words) in [
        (&*subtitles, "has no record and is judged as this one"),
        ("/action.php?id=1&part=e", "read as   the original of image 1 (action.php)"),
    ] {
        let (code, out, _) = gallery.check(&[url]);
        assert!(code == Some(0) && out.contains(words), "{url}: {out}");
    }
}

#[test]
fn json_says_the_same_and_one_denied_url_makes_it_no() {
    let gallery = Gallery::new();
    let (denied, allowed) = (gallery.world.image(9).original(), gallery.world.image(1).original());
    let (code, out, _) = gallery.check(&["--json", &format!("/{denied}"), &format!("/{allowed}")]);
    assert_eq!(code, Some(1), "{out}");
    let reports: serde_json::Value = serde_json::from_str(&out).unwrap();
    let of = |index: usize, pointer: &str| reports[index].pointer(pointer).cloned().unwrap();
    assert_eq!(of(0, "/path"), format!("/{denied}"));
    assert_eq!(of(0, "/allowed"), false);
    assert_eq!(of(0, "/records/0/albums/0/opens"), false);
    assert_eq!(of(0, "/records/0/albums/0/album"), 2);
    assert_eq!(of(0, "/answers/3/status"), 403);
    assert_eq!(of(1, "/allowed"), true);
    assert_eq!(of(1, "/visitor/status"), "guest");
    assert_eq!(of(1, "/answers/0/header"), format!("X-Accel-Redirect: /_gate/file/{allowed}"));
}

#[test]
fn without_a_verdict_the_exit_code_is_2_and_nothing_is_printed() {
    let mut gallery = Gallery::new();
    for arguments in [
        &["--user", "nobody-of-this-name", "/upload/a.jpg"][..],
        &["--user", "4294967295", "/upload/a.jpg"],
        &["upload/a.jpg"],
        &[],
        &["--cookie", "pwg_id=x", "/upload/a.jpg"],
        &["--user", "bob", "--cookie", "pwg_id=x", "--ip", "::1", "/upload/a.jpg"],
    ] {
        let (code, out, errors) = gallery.check(arguments);
        assert_eq!((code, out.as_str(), errors.is_empty()), (Some(2), "", false), "{arguments:?} {errors}");
    }
    gallery.database = "mysql://gate:s3cret@localhost:1/piwigo".into();
    let (code, out, errors) = gallery.check(&["/upload/a.jpg"]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{errors}");
    assert!(errors.contains("no verdict") && !errors.contains("s3cret"), "{errors}");
}

/// A name on disk or in a table can hold what moves a terminal's cursor.
#[test]
fn no_control_byte_reaches_the_terminal() {
    let gallery = Gallery::new();
    let (_, out, _) =
        gallery.check(&["/upload/\u{1b}[31m\u{9b}x\u{202e}.jpg", "/upload/%C2%9Bx%E2%80%AE.jpg"]);
    assert!(out.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{out:?}");
}
