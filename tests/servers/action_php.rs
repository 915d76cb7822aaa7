//! `action.php` answered by the gate in Piwigo's place, through real nginx and Apache with the shipped files.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::net::SocketAddr;

use crate::support::apache::{self, Apache};
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::nginx::{self, Nginx};
use crate::support::php::{self, PhpFcgi};
use crate::support::scene::Scene;

/// What keeps a server running: the fields are there to be dropped.
#[allow(dead_code)]
enum Server {
    Nginx(Box<Nginx>, Gate, PhpFcgi),
    Apache(Apache),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    XSendfile,
    Htaccess,
}

const ALL: [Kind; 3] = [Kind::Nginx, Kind::XSendfile, Kind::Htaccess];

/// A server in front of the gate, with the whole scene behind it.
struct Setting {
    server: Server,
    scene: Scene,
}

/// Rows of this test's own: a name that needs care, its owner's page, a script and a secret. In a public
/// album, except 903.
const ROWS: &str = "
    INSERT INTO piwigo_images (id, file, path, width, height, rotation) VALUES
      (901, 'L&#039;été &quot;à&quot; 100%.jpg', './upload/test/a.jpg', 100, 80, 0),
      (902, 'page.html', './upload/test/page.html', NULL, NULL, 0),
      (903, 'none.jpg', './upload/test/none.jpg', 100, 80, 0),
      (904, 'x.jpg', './upload/test/shell.php', 100, 80, 0),
      (905, 'x.jpg', './local/config/database.inc.php', 100, 80, 0),
      (906, 'x.jpg', './_data/logs/log.txt', 100, 80, 0),
      (907, 'gone.jpg', './upload/test/gone.jpg', 100, 80, 0),
      (908, 'logo.svg', './upload/test/logo.svg', NULL, NULL, 0);
    INSERT INTO piwigo_image_category (image_id, category_id) VALUES
      (901, 1), (902, 1), (904, 1), (905, 1), (906, 1), (907, 1), (908, 1);
    INSERT INTO piwigo_image_format (format_id, image_id, ext) VALUES (90, 901, 'tif');";

impl Setting {
    fn start(kind: Kind) -> Self {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        scene.database.sql(ROWS);
        for (name, text) in [
            ("upload/test/a.jpg", "original 901\n"),
            ("upload/test/pwg_format/a.tif", "format 901\n"),
            ("upload/test/page.html", "<script>page</script>\n"),
            ("upload/test/logo.svg", "<svg/>\n"),
            ("upload/test/none.jpg", "original 903\n"),
            ("upload/test/shell.php", "<?php echo 'run';\n"),
            ("_data/logs/log.txt", "a log\n"),
        ] {
            sandbox.write(&format!("gallery/{name}"), text);
        }
        sandbox.hand_over_tree(&sandbox.gallery());
        let server = match kind {
            Kind::Nginx => {
                let php = PhpFcgi::start(sandbox);
                let gate = Gate::start(sandbox, &[], &[]);
                Server::Nginx(Box::new(Nginx::start_gallery(sandbox, nginx::ACCEL)), gate, php)
            }
            Kind::XSendfile => {
                php::write_scripts(sandbox);
                let modules = ["fcgid", "xsendfile", "rewrite", "actions", "headers"];
                Server::Apache(Apache::start(sandbox, &apache::xsendfile_host(sandbox, ""), &modules))
            }
            Kind::Htaccess => {
                php::write_scripts(sandbox);
                let host = apache::shared_host(sandbox, "");
                apache::write_htaccess(sandbox, "", true);
                Server::Apache(Apache::start(sandbox, &host, &["fcgid", "rewrite", "actions", "headers"]))
            }
        };
        Self { server, scene }
    }

    fn address(&self) -> SocketAddr {
        match &self.server {
            Server::Nginx(nginx, ..) => nginx.address(),
            Server::Apache(apache) => apache.address(),
        }
    }

    fn get(&self, target: &str, user: Option<&str>) -> Response {
        self.request("GET", target, user, &[])
    }

    fn request(&self, method: &str, target: &str, user: Option<&str>, headers: &[(&str, &str)]) -> Response {
        self.scene.request(self.address(), method, target, user, headers)
    }
}

#[test]
fn every_part_of_a_photo_to_whom_may_have_it() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let table = [
            ("/action.php?id=1&part=e", None, Some(files::original_text(1))),
            ("/action.php?id=34&part=e", None, Some(files::original_text(34))),
            ("/action.php?id=34&part=r", None, Some(files::representative_text(34))),
            ("/action.php?format=2", None, Some(files::format_text(2, "cr2"))),
            ("/action.php?format=2&id=2&part=f", None, Some(files::format_text(2, "cr2"))),
            ("/action.php?id=2&part=e&pwg_token=0&auth=x&b=1", None, Some(files::original_text(2))),
            // Album 2 is private.
            ("/action.php?id=11&part=e", None, None),
            ("/action.php?id=11&part=e", Some("lowres"), None),
            ("/action.php?id=35&part=r", None, None),
            ("/action.php?format=1", None, None),
            // No right to originals: what pages show is no original.
            ("/action.php?id=1&part=e", Some("lowres"), Some(files::original_text(1))),
            ("/action.php?id=2&part=e", Some("lowres"), None),
            ("/action.php?format=2", Some("lowres"), None),
            ("/action.php?id=34&part=e", Some("lowres"), Some(files::original_text(34))),
            // The record of everything is an administrator's; a token from the address is nobody's.
            ("/action.php?id=903&part=e", Some("admin"), Some("original 903\n".to_owned())),
            ("/action.php?id=903&part=e&pwg_token=0123456789abcdef", Some("erin"), None),
            ("/action.php?id=904&part=e", Some("admin"), None),
            ("/action.php?id=905&part=e", Some("admin"), None),
            ("/action.php?id=906&part=e", Some("admin"), None),
        ];
        for (target, user, expected) in table {
            let answer = setting.get(target, user);
            let (status, text) = (answer.status, answer.text());
            match expected {
                Some(expected) => assert_eq!((status, text), (200, expected), "{kind:?} {target} {user:?}"),
                None => assert_eq!((status, &*text), (403, "Forbidden\n"), "{kind:?} {target} {user:?}"),
            }
        }
        let world = &setting.scene.world;
        let private = world.private_image("erin").id;
        let target = format!("/action.php?id={private}&part=e");
        assert_eq!(setting.get(&target, Some("erin")).text(), files::original_text(private));
        assert_eq!(setting.get(&target, None).status, 403);
        assert_eq!(setting.get("/action.php?id=907&part=e", None).status, 404);
    }
}

#[test]
fn denied_unknown_and_malformed_look_the_same() {
    let plain = |mut answer: Response| {
        answer.headers.retain(|(name, _)| name != "date");
        answer
    };
    for kind in ALL {
        let setting = Setting::start(kind);
        for method in ["GET", "HEAD"] {
            let denied = plain(setting.request(method, "/action.php?id=11&part=e", None, &[]));
            assert_eq!(denied.status, 403, "{kind:?}");
            assert!(!denied.headers.iter().any(|(_, value)| value.contains("public")), "{denied:?}");
            for target in [
                "/action.php?id=99999&part=e",
                "/action.php?id=99999&part=r",
                "/action.php?id=1&part=r",
                "/action.php?id=1&part=f",
                "/action.php?format=99",
                "/action.php?format=2&id=1",
                "/action.php?format=2&id=2&part=e",
                "/action.php?id=1",
                "/action.php?id=1&id=1&part=e",
                "/action.php?id=1e0&part=e",
                "/action.php?id=1%20OR%201=1&part=e",
                "/action.php/upload/test/a.jpg?id=1&part=e",
                "/action.php",
            ] {
                assert_eq!(plain(setting.request(method, target, None, &[])), denied, "{kind:?} {target}");
            }
        }
    }
}

#[test]
fn a_download_has_the_name_that_its_owner_gave_it() {
    let given =
        "filename=\"L'_t_ __ 100_.jpg\"; filename*=UTF-8''L%27%C3%A9t%C3%A9%20%22%C3%A0%22%20100%25.jpg";
    let given = given.replace("__ 100", "___ 100");
    for kind in ALL {
        let setting = Setting::start(kind);
        for (query, expected) in [
            ("id=901&part=e", format!("inline; {given}")),
            ("id=901&part=e&download", format!("attachment; {given}")),
            ("id=901&part=e&download=", format!("attachment; {given}")),
            ("format=90&download", format!("attachment; {}", given.replace(".jpg", ".tif"))),
            ("id=34&part=r&download", "attachment; filename=\"clip.jpg\"".to_owned()),
            // Whatever could run as a page of the gallery.
            ("id=902&part=e", "attachment; filename=\"page.html\"".to_owned()),
            ("id=908&part=e", "attachment; filename=\"logo.svg\"".to_owned()),
        ] {
            let answer = setting.get(&format!("/action.php?{query}"), None);
            assert_eq!(answer.status, 200, "{kind:?} {query}");
            assert_eq!(answer.all("content-disposition"), [expected], "{kind:?} {query}");
        }
        let by_path = setting.get("/upload/test/page.html", None);
        assert_eq!(by_path.all("content-disposition"), ["attachment"], "{kind:?}");
        assert!(by_path.header("content-security-policy").is_some(), "{kind:?}");
        let by_number = setting.get("/action.php?id=902&part=e", None);
        assert!(by_number.header("content-security-policy").is_some(), "{kind:?}");
    }
}

#[test]
fn links_of_piwigo_privacy_stay_good() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let world = &setting.scene.world;
        for (id, user) in [(1, None), (11, Some("bob"))] {
            let path = world.image(id).original();
            let thumb = world.image(id).derivative("th").expect("a picture");
            for (path, text) in [(path, files::original_text(id)), (&thumb, files::derivative_text(id, "th"))]
            {
                for (named, good) in [(id, true), (id + 1, false)] {
                    for target in [
                        format!("/{named}/{path}"),
                        format!("/plugins/piwigo_privacy/get.php?img_id={named}&file={path}"),
                    ] {
                        let answer = setting.get(&target, user);
                        let expected = if good { (200, &*text) } else { (403, "Forbidden\n") };
                        let got = answer.text();
                        assert_eq!((answer.status, &*got), expected, "{kind:?} {target} {user:?}");
                        if user.is_some() {
                            assert_eq!(setting.get(&target, None).status, 403, "{kind:?} {target}");
                        }
                    }
                }
            }
        }
    }
}

/// The plugin Download Permissions: `action.php` gives an original only from an album that allows downloads,
/// and the picture's page does not name the original either.
#[test]
fn an_original_comes_only_from_an_album_that_allows_downloads() {
    let closed = "UPDATE piwigo_categories SET downloadable = 'false'";
    for kind in ALL {
        let setting = Setting::start(kind);
        let world = &setting.scene.world;
        let sql = |text: &str| setting.scene.database.sql(text);
        // As the plugin's installer does it. The gate is not started again, because Piwigo's list of active
        // plugins has changed.
        sql("ALTER TABLE piwigo_categories ADD downloadable enum('true', 'false') DEFAULT 'true';
             INSERT INTO piwigo_plugins (id, state, version) VALUES ('download_permissions', 'active', '2.8.a');");
        let resized = http::url(&world.image(2).derivative("th").expect("a picture"));
        let by_path = http::url(world.image(2).original());
        let film = http::url(world.image(34).original());
        let status = |target: &str, user| setting.get(target, user).status;
        // Piwigo's settings and plugins may be a second old.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        for (change, original) in [
            ("", 200),
            (closed, 403),
            // A second album, which allows it, but not to this visitor; then to everybody.
            (
                "UPDATE piwigo_categories SET downloadable = 'true' WHERE id = 2;
              INSERT IGNORE INTO piwigo_image_category (image_id, category_id) VALUES (2, 2)",
                403,
            ),
            ("UPDATE piwigo_categories SET status = 'public' WHERE id = 2", 200),
            ("UPDATE piwigo_categories SET visible = 'false' WHERE id = 2", 403),
            ("UPDATE piwigo_categories SET visible = 'true', downloadable = NULL WHERE id = 2", 403),
            ("UPDATE piwigo_categories SET downloadable = 'true' WHERE id = 2", 200),
            (closed, 403),
        ] {
            if !change.is_empty() {
                sql(change);
            }
            for target in [
                "/action.php?id=2&part=e",
                "/action.php?id=2&part=e&download",
                "/action.php?format=2",
                &by_path,
            ] {
                assert_eq!(status(target, None), original, "{kind:?} {target}: {change}");
                assert_eq!(status(target, Some("admin")), 200, "{kind:?} {target}: {change}");
                assert_eq!(status(target, Some("lowres")), 403, "{kind:?} {target}: {change}");
            }
            // What needs no right to originals, the small picture 1 among it.
            for target in [
                &resized,
                &film,
                "/action.php?id=34&part=e",
                "/action.php?id=34&part=r",
                "/action.php?id=1&part=e",
            ] {
                assert_eq!(status(target, None), 200, "{kind:?} {target}: {change}");
            }
        }
        // Switched off: the column is still there, and counts. Uninstalled: it is gone.
        sql("UPDATE piwigo_plugins SET state = 'inactive' WHERE id = 'download_permissions'");
        assert_eq!(status("/action.php?id=2&part=e", None), 403, "{kind:?}");
        sql("ALTER TABLE piwigo_categories DROP COLUMN downloadable");
        assert_eq!(status("/action.php?id=2&part=e", None), 200, "{kind:?}");
    }
}

#[test]
fn companions_are_judged_as_their_video() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    // 34 is open to all, 35 is not (bob may see it), 2 is a picture.
    let beside = |id: u32, folder: &str, rest: &str| {
        let path = scene.world.image(id).original();
        let (directory, name) = path.rsplit_once('/').expect("a directory");
        let (stem, _) = name.rsplit_once('.').expect("an extension");
        format!("{directory}/{folder}{stem}{rest}")
    };
    // A private film whose name begins with that of 34, which is open to all.
    let longer = beside(34, "", ".cut.mp4");
    scene.database.sql(&format!(
        "INSERT INTO piwigo_images (id, file, path) VALUES (950, 'cut.mp4', './{longer}');
         INSERT INTO piwigo_image_category (image_id, category_id)
           SELECT 950, category_id FROM piwigo_image_category WHERE image_id = 35"
    ));
    let files = [
        (beside(34, "", ".cut.vtt"), 403, 200),
        (format!("34/{}", beside(34, "", ".cut.vtt")), 403, 403),
        (beside(34, "", ".vtt"), 200, 200),
        (beside(34, "", ".pt-BR.vtt"), 200, 200),
        (beside(34, "pwg_representative/", "-th_0001.jpg"), 200, 200),
        (beside(35, "", ".vtt"), 403, 200),
        (beside(35, "", ".en.vtt"), 403, 200),
        (beside(35, "pwg_representative/", "-th_0001.jpg"), 403, 200),
        // No pattern, no video, another name.
        (beside(34, "", ".srt"), 403, 403),
        (beside(2, "", ".vtt"), 403, 403),
        (beside(34, "", "x.vtt"), 403, 403),
        (beside(34, "", ".e%n.vtt"), 403, 403),
    ];
    for (path, ..) in &files {
        let path = path.strip_prefix("34/").unwrap_or(path);
        sandbox.write(&format!("gallery/{path}"), "beside\n");
    }
    sandbox.write(
        "gallery/local/config/gate.toml",
        "companions = [\"{stem}.vtt\", \"{stem}.*.vtt\", \"pwg_representative/{stem}-th_*.jpg\"]\n",
    );
    sandbox.hand_over_tree(&sandbox.gallery());
    let _php = PhpFcgi::start(sandbox);
    let _gate = Gate::start(sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let bob = scene.world.session("bob").cookie_header();
    for (path, guest, user) in &files {
        let url = http::url(path);
        assert_eq!(http::get(nginx.address(), &url).status, *guest, "{path}");
        let answer = http::request(nginx.address(), "GET", &url, &[("Cookie", &bob)]);
        assert_eq!(answer.status, *user, "{path}");
    }
}

/// What the plugin VideoJS makes and looks for, by the setting's one word; its HD version is a format with a
/// dot in its name.
#[test]
fn a_video_of_videojs_is_there_with_all_its_files() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let beside = |id: u32, folder: &str, rest: &str| {
        let path = scene.world.image(id).original();
        let (directory, name) = path.rsplit_once('/').expect("a directory");
        let (stem, _) = name.rsplit_once('.').expect("an extension");
        format!("{directory}/{folder}/{stem}{rest}")
    };
    scene.database.sql(
        "INSERT INTO piwigo_image_format (format_id, image_id, ext) VALUES (934, 34, 'hd.mp4'), (935, 35, 'hd.mp4');",
    );
    let mut files = vec![
        // Not VideoJS's: without a record, in the wrong place, of a picture.
        (beside(34, "pwg_representative", ".srt"), 403, 403),
        (beside(34, "pwg_format", ".4k.mp4"), 403, 403),
        (beside(34, "pwg_representative", "-th_.jpg"), 403, 403),
        (beside(2, "pwg_representative", ".mp4"), 403, 403),
        (beside(34, "pwg_representative", ".php"), 403, 403),
    ];
    for (id, guest) in [(34, 200), (35, 403)] {
        files.push((beside(id, "pwg_format", ".hd.mp4"), guest, 200));
        for rest in [".webm", ".ogv", ".m4v", ".MP4", ".WEBMV", ".vtt", "-th_0.jpg", "-th_1234.png"] {
            files.push((beside(id, "pwg_representative", rest), guest, 200));
        }
    }
    for (path, ..) in &files {
        sandbox.write(&format!("gallery/{path}"), "beside\n");
    }
    sandbox.write("gallery/local/config/gate.toml", "companions = \"videojs\"\n");
    sandbox.hand_over_tree(&sandbox.gallery());
    let _php = PhpFcgi::start(sandbox);
    let _gate = Gate::start(sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let bob = scene.world.session("bob").cookie_header();
    files.push(("action.php?format=934".to_owned(), 200, 200));
    files.push(("action.php?format=935".to_owned(), 403, 200));
    let high = "UPDATE piwigo_user_infos SET enabled_high";
    scene.database.sql(&format!("{high} = 'false'"));
    for (path, guest, user) in &files {
        let url = if path.contains('?') { format!("/{path}") } else { http::url(path) };
        assert_eq!(http::get(nginx.address(), &url).status, *guest, "{path}");
        let answer = http::request(nginx.address(), "GET", &url, &[("Cookie", &bob)]);
        assert_eq!((answer.status, answer.text() == "beside\n"), (*user, *user == 200), "{path}");
    }
}

#[test]
fn ranges_and_conditions_are_those_of_a_static_file() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let target = "/action.php?id=1&part=e";
        let answer = setting.get(target, None);
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{kind:?}");
        assert!(answer.all("vary").contains(&"Cookie"), "{kind:?}");
        assert_eq!(answer.all("content-type"), ["image/jpeg"], "{kind:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{kind:?}");
        for leak in ["x-accel-redirect", "x-sendfile", "location"] {
            assert_eq!(answer.header(leak), None, "{kind:?}");
        }
        let etag = answer.header("etag").expect("an ETag").to_owned();
        let again = setting.request("GET", target, None, &[("If-None-Match", &etag)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{kind:?}");
        let part = setting.request("GET", target, None, &[("Range", "bytes=0-3")]);
        assert_eq!((part.status, part.text().as_str()), (206, "orig"), "{kind:?}");
        let end = setting.request("GET", target, None, &[("Range", "bytes=-2")]);
        assert_eq!((end.status, end.text().as_str()), (206, "1\n"), "{kind:?}");
        let head = setting.request("HEAD", target, None, &[]);
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("11")));
        // A date does not prove a right (Piwigo answers 304 to any).
        let since = [("If-Modified-Since", "Thu, 01 Jan 1970 00:00:01 GMT"), ("If-None-Match", &*etag)];
        let denied = setting.request("GET", "/action.php?id=11&part=e", None, &since);
        assert_eq!(denied.status, 403, "{kind:?}");
        let old = setting.request("GET", target, None, &since[..1]);
        assert_eq!(old.status, 200, "{kind:?}");
        let posted = setting.request("POST", target, None, &[]);
        assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")), "{kind:?}");
    }
}
