//! The shipped nginx files with a gate behind them: the right bytes to the right visitor, by real nginx.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::net::SocketAddr;

use crate::support::attacks;
use crate::support::config;
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::nginx::{self, Nginx};
use crate::support::php::PhpFcgi;
use crate::support::scene::Scene;
use crate::support::setup::Setup;
use crate::support::site::{self, Site};

/// nginx in front of the gate and of PHP, with the whole scene behind them.
struct Setting {
    nginx: Nginx,
    _gate: Gate,
    _php: PhpFcgi,
    scene: Scene,
}

impl Setting {
    fn start(file: &str) -> Self {
        let scene = Scene::start();
        let php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &["--derivatives", "piwigo"], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, file);
        Self { nginx, _gate: gate, _php: php, scene }
    }

    fn address(&self) -> SocketAddr {
        self.nginx.address()
    }

    fn get(&self, target: &str, user: Option<&str>) -> Response {
        self.request("GET", target, user, &[])
    }

    fn request(&self, method: &str, target: &str, user: Option<&str>, headers: &[(&str, &str)]) -> Response {
        self.scene.request(self.address(), method, target, user, headers)
    }
}

#[test]
fn every_verdict_of_the_world_by_x_accel_redirect() {
    verdicts(&Setting::start(nginx::ACCEL));
}

#[test]
fn every_verdict_of_the_world_by_auth_request() {
    verdicts(&Setting::start(nginx::AUTH_REQUEST));
}

fn verdicts(setting: &Setting) {
    let cases = setting.scene.world.cases();
    assert_eq!(cases.len(), 960);
    for case in cases {
        let answer = setting.get(&http::url(&case.path), case.cookie_of.as_deref());
        let shown = (answer.status, answer.text() == case.text);
        let right = if case.allowed { (200, true) } else { (403, false) };
        assert_eq!(shown, right, "{:?} asks for {}", case.cookie_of, case.path);
    }
}

#[test]
fn allowed_files_have_the_headers_of_a_private_static_file() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        let url = http::url(setting.scene.world.image(1).original());
        let answer = setting.get(&url, None);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.all("content-type"), ["image/jpeg"]);
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"]);
        assert_eq!(answer.all("vary"), ["Cookie"]);
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"]);
        assert_eq!(answer.all("x-accel-redirect"), [""; 0]);
        let etag = answer.header("etag").expect("nginx makes an ETag").to_owned();
        let again = setting.request("GET", &url, None, &[("If-None-Match", &etag)]);
        assert_eq!((again.status, again.body.len()), (304, 0));
        let part = setting.request("GET", &url, None, &[("Range", "bytes=0-3")]);
        assert_eq!((part.status, part.text().as_str()), (206, "orig"));
        let head = setting.request("HEAD", &url, None, &[]);
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("11")));
    }
}

#[test]
fn no_spelling_of_a_url_opens_a_private_file_to_a_guest() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        let world = &setting.scene.world;
        let image = world.private_image("erin");
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            for target in attacks::spellings(&format!("/{path}")) {
                let answer = setting.get(&target, None);
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
                assert!(answer.header("x-accel-redirect").is_none(), "{target}");
            }
        }
    }
}

#[test]
fn a_missing_derivative_is_made_by_piwigo_for_whoever_may_see_it() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        let world = &setting.scene.world;
        let id = world.private_image("erin").id;
        let path = world.image(id).derivative("sq").expect("a picture");
        let url = http::url(&path);
        let answer = setting.get(&url, Some("erin"));
        let short = path.strip_prefix("_data/i").expect("a derivative");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().starts_with(&format!("made by i.php: {short}\n")), "{}", answer.text());
        assert!(answer.text().contains("method=GET"), "{}", answer.text());
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"]);
        assert_eq!(answer.all("vary"), ["Cookie"]);
        assert_eq!(setting.get(&url, None).status, 403);
        let posted = http::request_with_body(setting.address(), "POST", &url, &[], b"0123456789");
        assert!(!attacks::holds_guarded_bytes(&posted.body), "{}", posted.text());
    }
}

#[test]
fn a_name_with_an_ampersand_is_made_as_it_was_judged_or_not_at_all() {
    for (file, made) in [(nginx::ACCEL, true), (nginx::AUTH_REQUEST, false)] {
        let setting = Setting::start(file);
        let sandbox = &setting.scene.sandbox;
        setting.scene.database.sql(
            "INSERT INTO piwigo_images (id, file, path) VALUES (901, 'x', './upload/test/a-sq.jpg&b.jpg');
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES (901, 1);",
        );
        sandbox.write("gallery/upload/test/a-sq.jpg&b.jpg", "x");
        let answer = setting.get("/_data/i/upload/test/a-sq.jpg&b-sq.jpg", None);
        let right = answer.text().starts_with("made by i.php: /upload/test/a-sq.jpg&b-sq.jpg\n");
        assert_eq!(
            (answer.status, right),
            if made { (200, true) } else { (404, false) },
            "{}",
            answer.text()
        );
    }
}

/// Where nginx only asks, it serves the file that the gate names in a header.
#[test]
fn every_name_is_the_files_own() {
    for setup in [Setup::NginxAuthRequest, Setup::NginxAuthCache] {
        site::every_name_is_the_files_own(&Site::start(setup, &[]));
    }
}

#[test]
fn a_line_feed_in_a_name_hides_nothing_from_the_guard() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        for name in
            ["upload/test/a\nb.jpg", "upload/a\nb/c.jpg", "galleries/a.jpg\n", "_data/i/upload/a\nb-th.jpg"]
        {
            setting.scene.sandbox.write(&format!("gallery/{name}"), "original\n");
            let answer = setting.get(&http::url(name), None);
            assert_eq!(answer.status, 403, "{name:?}: {}", answer.text());
        }
    }
}

#[test]
fn i_php_is_judged_like_the_file_it_names() {
    let setting = Setting::start(nginx::ACCEL);
    let world = &setting.scene.world;
    let id = world.private_image("erin").id;
    let path = world.image(id).derivative("th").expect("a picture");
    let short = &http::url(&path)["/_data/i".len()..];
    for target in [
        format!("/i.php?{short}"),
        format!("/i.php?{short}&b=1"),
        format!("/i.php{short}"),
        format!("/i?{short}"),
        format!("/i{short}"),
    ] {
        let answer = setting.get(&target, Some("erin"));
        assert_eq!((answer.status, answer.text()), (200, files::derivative_text(id, "th")), "{target}");
        assert_eq!(setting.get(&target, None).status, 403, "{target}");
    }
    let missing = http::url(&world.image(id).derivative("sm").expect("a picture"));
    let answer = setting.get(&format!("/i.php?{}", &missing["/_data/i".len()..]), Some("erin"));
    assert!(answer.text().starts_with("made by i.php: /"), "{}", answer.text());
    // Piwigo would redirect to the original where a size is no smaller; the gate sends it at once.
    let same = http::url(&world.image(id).derivative("la").expect("a picture"));
    let answer = setting.get(&format!("/i.php?{}", &same["/_data/i".len()..]), Some("erin"));
    assert_eq!((answer.status, answer.text()), (200, files::original_text(id)));
}

#[test]
fn by_auth_request_i_php_is_closed() {
    let setting = Setting::start(nginx::AUTH_REQUEST);
    for target in ["/i.php?/upload/x-th.jpg", "/i.php/upload/x-th.jpg", "/i?/x-th.jpg", "/i/x-th.jpg"] {
        assert_eq!(setting.get(target, Some("erin")).status, 403, "{target}");
    }
}

#[test]
fn other_methods_are_answered_by_the_gate() {
    let setting = Setting::start(nginx::ACCEL);
    let url = http::url(setting.scene.world.image(1).original());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let answer = http::request_with_body(setting.address(), method, &url, &[], b"0123456789");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
}

#[test]
fn denied_and_unknown_look_the_same() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        let world = &setting.scene.world;
        let path = http::url(world.private_image("erin").original());
        let plain = |mut answer: Response| {
            answer.headers.retain(|(name, _)| name != "date");
            answer
        };
        let denied = plain(setting.get(&path, None));
        for target in [format!("{path}x.jpg"), "/upload/nothing.jpg".to_owned(), "/upload".to_owned()] {
            assert_eq!(plain(setting.get(&target, None)), denied, "{target}");
        }
    }
}

#[test]
fn the_rest_of_the_site_is_as_before() {
    for (file, action) in [(nginx::ACCEL, "original 1\n"), (nginx::AUTH_REQUEST, "action.php of Piwigo\n")] {
        let setting = Setting::start(file);
        for (target, status, text) in [
            ("/", 200, "a page of Piwigo\n"),
            ("/index.php?/category/1", 200, "a page of Piwigo\n"),
            ("/action.php?id=1&part=e", 200, action),
            ("/themes/default/theme.css", 200, "public style\n"),
            ("/_data/combined/a1.css", 200, "combined style\n"),
        ] {
            let answer = setting.get(target, None);
            assert_eq!((answer.status, answer.text().as_str()), (status, text), "{target}");
        }
    }
}

#[test]
fn active_content_is_only_downloaded_and_links_stay_inside() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        let sandbox = &setting.scene.sandbox;
        let add = |id: u32, name: &str| {
            setting.scene.database.sql(&format!(
                "INSERT INTO piwigo_images (id, file, path) VALUES ({id}, '{name}', './upload/test/{name}');
                 INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);"
            ));
        };
        for (id, name, status, kind, attached) in [
            (901, "a.svg", 200, "image/svg+xml", true),
            (902, "a.html", 200, "application/octet-stream", true),
            (903, "a.XML", 200, "application/octet-stream", true),
            (904, "a.xyz", 200, "application/octet-stream", false),
            (905, "a.mp4", 200, "video/mp4", false),
            (906, "a.b.JPG", 200, "image/jpeg", false),
        ] {
            add(id, name);
            sandbox.write(&format!("gallery/upload/test/{name}"), "x");
            let answer = setting.get(&format!("/upload/test/{name}"), None);
            assert_eq!((answer.status, answer.header("content-type")), (status, Some(kind)), "{name}");
            assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{name}");
            assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{name}");
            assert_eq!(answer.header("content-disposition").is_some(), attached, "{name}");
            assert_eq!(answer.header("content-security-policy").is_some(), attached, "{name}");
        }
        add(907, "foreign.jpg");
        let link = sandbox.gallery().join("upload/test/foreign.jpg");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        sandbox.hand_over_link(&link);
        let answer = setting.get("/upload/test/foreign.jpg", None);
        assert!([403, 404].contains(&answer.status) && !answer.text().contains("root:"), "{}", answer.text());
        add(908, "dir.jpg");
        sandbox.make_dir("gallery/upload/test/dir.jpg");
        let answer = setting.get("/upload/test/dir.jpg", None);
        assert!([403, 404].contains(&answer.status), "{}", answer.status);
        assert_eq!(answer.header("location"), None);
    }
}

#[test]
fn secrets_and_other_spellings_of_the_guarded_names_are_closed() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        for name in
            ["local/config/gate.toml", "gate.toml", "_data/logs/log.txt", ".git/config", ".well-known/x"]
        {
            setting.scene.sandbox.write(&format!("gallery/{name}"), "a secret\n");
        }
        // What a disk without capitals does: the same script by other names.
        for name in ["I.php", "I.PHP", "i.php ", "i.php."] {
            setting.scene.sandbox.write(&format!("gallery/{name}"), crate::support::php::I_PHP);
        }
        let unknown = setting.get("/unknown-page", None).text();
        for target in [
            "/gate.toml",
            "/GATE.TOML",
            "/gate.toml/x",
            "/gate.toml/x.php",
            "/local/config/gate.toml",
            "/local/config/database.inc.php",
            "/_data/logs/log.txt",
            "/_data",
            "/_data/",
            "/_data/combined/../logs/log.txt",
            "/.git/config",
            "/_gate",
            "/_gate/ask",
            "/_gate/file/upload/x.jpg",
            "/_gate/file/",
            "/_gate/i.php",
            "/UPLOAD/x.jpg",
            "/Upload",
            "/upload./x.jpg",
            "/Upload%20/x.jpg",
            "/GALLER~1/x.jpg",
            "/_DATA/i/x.jpg",
            "/Local/Config/database.inc.php",
            "/gallerie%C5%BF/x.jpg",
            "/up%C2%ADload/x.jpg",
            "/local/con%EF%AC%81g/database.inc.php",
            "/I.php?/upload/x-th.jpg",
            "/I.PHP/upload/x-th.jpg",
            "/i.php%20?/upload/x-th.jpg",
            "/i.php.",
        ] {
            let answer = setting.get(target, None);
            let expected =
                if ["/upload./x.jpg", "/Upload"].contains(&target) { [403, 404] } else { [404, 404] };
            assert!(expected.contains(&answer.status), "{target}: {} {}", answer.status, answer.text());
            if answer.status == 404 {
                assert_eq!(answer.text(), unknown, "{target}");
            }
        }
        assert_eq!(setting.get("/.well-known/x", None).status, 200);
    }
}

/// What a site may have around the shipped file: rules that send a visitor's own tail to any location, a way
/// in by address, slashes that are kept, times for browsers.
#[test]
fn a_sites_own_lines_open_nothing() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let _gate = Gate::start(sandbox, &["--derivatives", "piwigo"], &[]);
        let own = "satisfy any;\nallow 127.0.0.1;\ndeny all;\nmerge_slashes off;\nexpires 30d;\ngzip_static on;\n\
                   location /pretty/ { rewrite ^/pretty/(.*)$ /$1 last; }\n\
                   rewrite ^/gallery/(.*)$ /$1 last;\n";
        let guard = format!("{own}{}", nginx::fill_in(sandbox, file));
        let nginx = Nginx::start(sandbox, &nginx::gallery(sandbox, &guard));
        let image = scene.world.private_image("erin");
        let (original, thumb) =
            (http::url(image.original()), http::url(&image.derivative("th").expect("a picture")));
        let missing = http::url(&image.derivative("sq").expect("a picture"));
        let (short, open) = (&missing["/_data/i".len()..], http::url(scene.world.image(1).original()));
        for path in [&original, &thumb] {
            for begin in ["", "/gallery", "/pretty"] {
                for inside in ["", "/", "/_gate/file", "/_gate/derivative", "/_gate/parent"] {
                    let answer = http::get(nginx.address(), format!("{begin}{inside}{path}"));
                    assert!(matches!(answer.status, 403 | 404), "{begin}{inside}{path}: {}", answer.status);
                }
            }
        }
        for target in [
            format!("/gallery/_gate/i.php?{short}"),
            format!("/pretty/_gate/i.php?{short}"),
            format!("//i.php?{short}"),
        ] {
            let answer = http::get(nginx.address(), &target);
            assert!(!answer.text().contains("made by i.php"), "{target}: {}", answer.text());
        }
        let cookie = scene.world.session("erin").cookie_header();
        for (path, text) in
            [(&original, files::original_text(image.id)), (&missing, "made by i.php".to_owned())]
        {
            let answer = http::request(nginx.address(), "GET", path, &[("Cookie", &cookie)]);
            assert!(answer.status == 200 && answer.text().starts_with(&text), "{path}: {}", answer.text());
            assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{path}");
        }
        assert_eq!(http::get(nginx.address(), &open).all("cache-control"), ["private, max-age=600"]);
        // A private file is not what an open one looks like when it is compressed.
        scene.database.sql(
            "INSERT INTO piwigo_images (id, file, path) VALUES (951, 'x', './upload/a.txt'), (952, 'x', './upload/a.txt.gz');
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES (951, 1), (952, 11);",
        );
        for (name, text) in [("a.txt", "original, open\n"), ("a.txt.gz", "original, private\n")] {
            sandbox.write(&format!("gallery/upload/{name}"), text);
        }
        let gzip = [("Accept-Encoding", "gzip")];
        let answer = http::request(nginx.address(), "GET", "/upload/a.txt", &gzip);
        assert_eq!((answer.status, answer.text().as_str()), (200, "original, open\n"));
        assert_eq!(http::get(nginx.address(), "/upload/a.txt.gz").status, 403);
    }
}

/// Many tests put their paths into the shipped file by themselves, to change a line of it before.
#[test]
fn the_shipped_file_with_other_paths_is_what_config_prints() {
    let scene = Scene::start();
    for (kind, file) in [("nginx", nginx::ACCEL), ("nginx-auth-request", nginx::AUTH_REQUEST)] {
        // But for the comments, which name the options that each was printed with.
        let lines = |text: String| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        let printed = config::print(&scene.sandbox, kind, &[]);
        assert_eq!(lines(nginx::fill_in(&scene.sandbox, file)), lines(printed));
    }
}

#[test]
fn a_gallery_in_a_sub_directory_is_guarded_as_well() {
    // The gate may know of it, or learn it from nginx's file.
    let known: &[&str] = &["--url-prefix", "/piwigo"];
    for (kind, prefix) in [("nginx", known), ("nginx", &[]), ("nginx-auth-request", &[])] {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let _gate = Gate::start(sandbox, &[prefix, &["--derivatives", "piwigo"]].concat(), &[]);
        let guard = config::print(sandbox, kind, &["--url-prefix", "/piwigo"]);
        let nginx = Nginx::start(sandbox, &nginx::gallery_at(sandbox, "/piwigo", &guard));
        let image = scene.world.private_image("erin");
        let cookie = scene.world.session("erin").cookie_header();
        let missing = image.derivative("sq").expect("a picture");
        for (path, text) in [
            (image.original().to_owned(), files::original_text(image.id)),
            (image.derivative("th").expect("a picture"), files::derivative_text(image.id, "th")),
            (missing.clone(), format!("made by i.php: {}\n", &missing["_data/i".len()..])),
        ] {
            let url = format!("/piwigo{}", http::url(&path));
            let answer = http::request(nginx.address(), "GET", &url, &[("Cookie", &cookie)]);
            assert!(answer.status == 200 && answer.text().starts_with(&text), "{url}: {}", answer.text());
            for target in attacks::spellings(&url) {
                let answer = http::get(nginx.address(), &target);
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
            }
        }
        for target in
            ["/piwigo/_data/logs/x", "/piwigo/local/config/database.inc.php", "/piwigo/UPLOAD/x.jpg"]
        {
            assert_eq!(http::get(nginx.address(), target).status, 404, "{target}");
        }
        site::no_other_spelling_of_the_prefix_opens_anything(nginx.address(), &scene);
    }
}

#[test]
fn what_reaches_the_gate_is_refused_like_an_unknown_file() {
    // What nginx answers before it asks.
    let own = [("/upload/a/open%20e.jpg%00/../shut.jpg", 400)];
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::start(file);
        setting.scene.database.sql(&attacks::rows());
        for path in attacks::FILES {
            setting.scene.sandbox.write(&format!("gallery/{path}"), format!("original {path}\n"));
        }
        let plain = |mut answer: Response| {
            answer.headers.retain(|(name, _)| name != "date");
            answer
        };
        assert_eq!(setting.get(&http::url(attacks::OPEN), None).status, 200);
        let unknown = plain(setting.get("/upload/a/unknown.jpg", None));
        let mut others = Vec::new();
        for target in attacks::MIXTURES {
            let answer = plain(setting.get(target, None));
            assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
            if answer != unknown {
                others.push((target, answer.status));
            }
        }
        assert_eq!(others, own);
    }
}
