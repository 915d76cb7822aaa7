//! A running set-up with the whole scene behind it, and assertions that hold for every set-up.

use std::net::SocketAddr;

use super::http::{self, Response};
use super::scene::Scene;
use super::setup::{Running, Setup};
use super::{attacks, files, pictures};

/// The site as visitors see it.
pub struct Site {
    pub setup: Setup,
    pub running: Running,
    pub scene: Scene,
}

impl Site {
    pub fn start(setup: Setup, settings: &[&str]) -> Self {
        let scene = Scene::start();
        Self { running: setup.start(&scene, settings), setup, scene }
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub fn get(&self, target: &str, user: Option<&str>) -> Response {
        self.request("GET", target, user, &[])
    }

    pub fn request(
        &self,
        method: &str,
        target: &str,
        user: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Response {
        self.scene.request(self.address(), method, target, user, headers)
    }

    /// Gives `path` a row in an album: 1 is public, 11 is private.
    pub fn add_row(&self, id: u32, path: &str, album: u32) {
        let path = path.replace('\\', "\\\\").replace('\'', "''");
        self.scene.database.sql(&format!(
            "INSERT INTO piwigo_images (id, file, path) VALUES ({id}, 'x', './{path}');
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, {album});"
        ));
    }

    fn add(&self, id: u32, path: &str) {
        self.add_row(id, path, 1);
        self.scene.sandbox.write(&format!("gallery/{path}"), format!("original {path}\n"));
    }
}

/// An answer without the headers that change from second to second.
pub fn plain(mut answer: Response) -> Response {
    answer.headers.retain(|(name, _)| name != "date");
    answer
}

/// Headers that a visitor never sees.
pub const INTERNAL: [&str; 4] = ["x-accel-redirect", "x-sendfile", "x-lighttpd-send-file", "status"];

/// A character that means something in a server's file, in a header or in a URL is only a part of the name.
pub fn every_name_is_the_files_own(site: &Site) {
    let names = [
        "a b.jpg",
        "a%20b.jpg",
        "abc.jpg",
        "a%62c.jpg",
        "a%2520b.jpg",
        "100%.jpg",
        "a+b.jpg",
        "a?b.jpg",
        "a",
        "a#b.jpg",
        "a&b=c.jpg",
        "a;b.jpg",
        "a'b.jpg",
        "a\"b\".jpg",
        "a,b(c)[d].jpg",
        "{env.HOME}.jpg",
        "{rp.header.X-Sendfile}.jpg",
        "$1${1}.jpg",
        "a:b.jpg",
        "a=b@c!.jpg",
        "~a*.jpg",
        "été.jpg",
        "日本.jpg",
    ];
    for (id, name) in (901..).zip(names) {
        site.add(id, &format!("upload/test/{name}"));
    }
    for name in names {
        let path = format!("upload/test/{name}");
        let answer = site.get(&http::url(&path), None);
        assert_eq!((answer.status, answer.text()), (200, format!("original {path}\n")), "{name}");
    }
    // A header cannot hold a blank at its end. The server must not send the file whose name lacks the blank.
    site.add(931, "upload/test/blank.jpg ");
    site.add_row(932, "upload/test/blank.jpg", 11);
    site.scene.sandbox.write("gallery/upload/test/blank.jpg", "original, private\n");
    for target in ["/upload/test/blank.jpg%20", "/upload/test/blank.jpg"] {
        let answer = site.get(target, None);
        assert!(!answer.text().contains("private"), "{target}: {}", answer.text());
    }
}

/// An allowed file has the headers of a static file, but private.
pub fn allowed_files_have_the_headers_of_a_private_static_file(site: &Site) {
    let url = http::url(site.scene.world.image(1).original());
    let answer = site.get(&url, None);
    assert_eq!((answer.status, answer.text()), (200, files::original_text(1)));
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Cookie"),
        ("cache-control", "private, max-age=600"),
        ("content-length", "11"),
        ("accept-ranges", "bytes"),
    ] {
        // Since 2.7 Caddy's file server adds a `Vary` header of its own.
        let values: Vec<_> =
            answer.all(name).into_iter().filter(|value| *value != "Accept-Encoding").collect();
        assert_eq!(values, [value], "{name}: {answer:?}");
    }
    for name in INTERNAL.iter().chain(&["location", "content-disposition"]) {
        assert_eq!(answer.all(name), [""; 0], "{answer:?}");
    }
    let etags = answer.all("etag");
    let [etag] = etags[..] else { panic!("{etags:?}") };
    let again = site.request("GET", &url, None, &[("If-None-Match", etag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let stale = site.request("GET", &url, None, &[("If-None-Match", "\"another\"")]);
    assert_eq!(stale.status, 200);
    let modified = answer.all("last-modified");
    let [modified] = modified[..] else { panic!("{modified:?}") };
    assert_eq!(site.request("GET", &url, None, &[("If-Modified-Since", modified)]).status, 304);
    for (range, status, text) in [
        ("bytes=0-3", 206, "orig"),
        ("bytes=-2", 206, "1\n"),
        ("bytes=9-", 206, "1\n"),
        ("bytes=99-", 416, ""),
    ] {
        let part = site.request("GET", &url, None, &[("Range", range)]);
        assert_eq!(part.status, status, "{range}");
        assert!(status == 416 || part.text() == text, "{range}: {}", part.text());
    }
    let same = site.request("GET", &url, None, &[("Range", "bytes=0-3"), ("If-Range", etag)]);
    assert_eq!((same.status, same.text().as_str()), (206, "orig"));
    let changed = site.request("GET", &url, None, &[("Range", "bytes=0-3"), ("If-Range", "\"another\"")]);
    assert_eq!((changed.status, changed.text()), (200, files::original_text(1)));
    let head = site.request("HEAD", &url, None, &[]);
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("11")));
    // The ETag belongs to the picture, not to an answer or a program.
    site.scene
        .sandbox
        .write(&format!("gallery/{}", site.scene.world.image(1).original()), "original, changed\n");
    assert_eq!(site.get(&url, None).text(), "original, changed\n");
    assert_eq!(site.request("GET", &url, None, &[("If-None-Match", etag)]).status, 200);
}

/// Denied, unknown and malformed requests get one answer, which no browser keeps and which leads nowhere.
pub fn refusals_look_the_same_and_say_nothing(site: &Site) {
    let path = http::url(site.scene.world.private_image("erin").original());
    let denied = plain(site.get(&path, None));
    assert_eq!(denied.status, 403);
    assert_eq!(denied.all("cache-control"), ["no-store"]);
    for name in INTERNAL.iter().chain(&["location", "etag", "last-modified"]) {
        assert_eq!(denied.all(name), [""; 0], "{denied:?}");
    }
    for target in [
        format!("{path}x.jpg"),
        "/upload/nothing.jpg".to_owned(),
        "/upload".to_owned(),
        "/upload/".to_owned(),
        "/upload/2026".to_owned(),
        "/_data/i".to_owned(),
        "/_data".to_owned(),
        "/local/config/database.inc.php".to_owned(),
    ] {
        assert_eq!(plain(site.get(&target, None)), denied, "{target}");
    }
    let head = site.request("HEAD", &path, None, &[]);
    assert_eq!((head.status, head.body.len()), (403, 0));
}

/// A browser only downloads content that could run in the gallery's name.
pub fn active_content_is_only_downloaded(site: &Site) {
    for (id, name, kind, active) in [
        (901, "a.svg", "image/svg+xml", true),
        (902, "a.html", "application/octet-stream", true),
        (903, "a.XML", "application/octet-stream", true),
        (904, "a.xyz", "application/octet-stream", false),
        (905, "a.mp4", "video/mp4", false),
        (906, "a.b.JPG", "image/jpeg", false),
        (907, "a.js", "application/octet-stream", true),
    ] {
        site.add(id, &format!("upload/test/{name}"));
        let answer = site.get(&format!("/upload/test/{name}"), None);
        assert_eq!((answer.status, answer.all("content-type")), (200, vec![kind]), "{name}");
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{name}");
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{name}");
        if active {
            assert_eq!(answer.all("content-disposition"), ["attachment"], "{name}");
            assert_eq!(answer.all("content-security-policy").len(), 1, "{name}");
        } else {
            assert_eq!(answer.header("content-security-policy"), None, "{name}");
        }
    }
}

/// A third user's link, a directory and a missing file are sent to no visitor, even one who may have the
/// row's file.
pub fn what_is_no_file_of_the_gallery_is_not_sent(site: &Site) {
    let sandbox = &site.scene.sandbox;
    site.add_row(901, "upload/test/foreign.jpg", 1);
    site.add_row(902, "upload/test/dir.jpg", 1);
    site.add_row(903, "upload/test/gone.jpg", 1);
    site.add(904, "upload/test/target.jpg");
    site.add_row(905, "upload/test/own.jpg", 1);
    sandbox.make_dir("gallery/upload/test/dir.jpg");
    sandbox.write("gallery/upload/test/dir.jpg/index.html", "original index\n");
    let mut refused = vec!["dir.jpg", "gone.jpg"];
    for (name, target) in [("foreign.jpg", "/etc/passwd"), ("own.jpg", "target.jpg")] {
        let link = sandbox.gallery().join("upload/test").join(name);
        std::os::unix::fs::symlink(target, &link).expect("a link");
        sandbox.hand_over_link(&link);
        if name == "foreign.jpg" && sandbox.give_link_to_a_third_user(&link) {
            refused.push(name);
        }
    }
    sandbox.hand_over(&sandbox.gallery().join("upload/test/target.jpg"));
    let own = site.get("/upload/test/own.jpg", None);
    assert_eq!((own.status, own.text().as_str()), (200, "original upload/test/target.jpg\n"));
    for name in refused {
        let answer = site.get(&format!("/upload/test/{name}"), None);
        assert!([403, 404].contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains("root:") && !attacks::holds_guarded_bytes(&answer.body), "{name}");
        for header in INTERNAL.iter().chain(&["location"]) {
            assert_eq!(answer.header(header), None, "{name}");
        }
    }
}

/// The gate makes a missing derivative before it is sent to a visitor who may see the picture.
pub fn a_missing_derivative_is_made_by_the_gate(site: &Site) {
    let image = site.scene.world.private_image("erin");
    pictures::write_original(&site.scene.sandbox, image);
    let path = image.derivative("sq").expect("a picture");
    let url = http::url(&path);
    assert_eq!(site.get(&url, None).status, 403);
    assert!(!site.scene.sandbox.gallery().join(&path).exists(), "made for somebody who may not");
    let answer = site.get(&url, Some("erin"));
    assert_eq!((answer.status, answer.all("content-type")), (200, vec!["image/jpeg"]), "{}", answer.text());
    assert_eq!(answer.all("cache-control"), ["private, max-age=600"]);
    assert_eq!(answer.body, std::fs::read(site.scene.sandbox.gallery().join(&path)).expect("it is there"));
}

/// No target of `spellings` and of `MIXTURES` gets a byte of a private file, or a header that helps.
pub fn no_spelling_of_a_url_opens_a_private_file(site: &Site) {
    site.scene.database.sql(&attacks::rows());
    for path in attacks::FILES {
        site.scene.sandbox.write(&format!("gallery/{path}"), format!("original {path}\n"));
    }
    let image = site.scene.world.private_image("erin");
    let targets = [image.original().to_owned(), image.derivative("th").expect("a picture")];
    let targets = targets.iter().flat_map(|path| attacks::spellings(&format!("/{path}")));
    assert_eq!(site.get(&http::url(attacks::OPEN), None).status, 200);
    for target in targets.chain(attacks::MIXTURES.map(str::to_owned)) {
        let answer = site.get(&target, None);
        assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
        for header in INTERNAL {
            assert_eq!(answer.header(header), None, "{target}");
        }
    }
}

/// Secrets and other spellings of the guarded names never get the file's content. Returns the statuses of the
/// answers.
pub fn secrets_are_closed(site: &Site) -> std::collections::BTreeSet<u16> {
    let sandbox = &site.scene.sandbox;
    for name in [
        "local/config/gate.toml",
        "gate.toml",
        "_data/logs/log.txt",
        "_data/combined/x.toml",
        ".git/config",
        ".well-known/.hidden",
        "Upload/x.jpg",
        "upload./x.jpg",
        "upload /x.jpg",
        "GALLER~1/x.jpg",
        "_DATA/logs/log.txt",
        "_data./logs/log.txt",
        "Local/Config/database.inc.php",
        "gallerie\u{17f}/x.jpg",
        "up\u{ad}load/x.jpg",
        "local/con\u{fb01}g/x",
    ] {
        sandbox.write(&format!("gallery/{name}"), "a secret\n");
    }
    // A disk that ignores case and trailing characters serves the same script by other names.
    for name in ["I.php", "I.PHP", "i.php ", "i.php."] {
        sandbox.write(&format!("gallery/{name}"), super::php::I_PHP);
    }
    let mut seen = std::collections::BTreeSet::new();
    for target in [
        "/gate.toml",
        "/GATE.TOML",
        "/gate.toml/",
        "/gate.toml/.",
        "/gate.toml/x",
        "/gate.toml/x.php",
        "/gate.toml%2fx",
        "/gate.toml/x/..%2f",
        "/local/config/gate.toml",
        "/local/config/database.inc.php",
        "/_data/logs/log.txt",
        "//_data/logs/log.txt",
        "/_data/",
        "/_data/combined/../logs/log.txt",
        "/_data/combined%2f..%2flogs%2flog.txt",
        "/_data/combined/x.toml",
        "/.git/config",
        "/.well-known/.hidden",
        "/.well-known/../.git/config",
        "/.well-known%2f..%2f.git/config",
        "/Upload/x.jpg",
        "/upload./x.jpg",
        "//upload./x.jpg",
        "/x/../upload%20/x.jpg",
        "/upload%20/x.jpg",
        "/GALLER~1/x.jpg",
        "/_DATA/logs/log.txt",
        "/_data./logs/log.txt",
        "/Local/Config/database.inc.php",
        "/gallerie%C5%BF/x.jpg",
        "/up%C2%ADload/x.jpg",
        "/local/con%EF%AC%81g/x",
        "/I.php?/upload/x-th.jpg",
        "/I.PHP?/upload/x-th.jpg",
        "/i.php%20?/upload/x-th.jpg",
        "/i.php.?/upload/x-th.jpg",
    ] {
        let answer = site.get(target, None);
        assert!(!answer.text().contains("secret"), "{target}: {}", answer.text());
        assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
        seen.insert(answer.status);
    }
    sandbox.write("gallery/.well-known/x", "no secret\n");
    assert_eq!(site.get("/.well-known/x", None).text(), "no secret\n");
    seen
}

/// Pages, style sheets and `action.php` (if PHP answers it) are as they are without the gate.
pub fn the_rest_of_the_site_is_as_before(site: &Site, action: &str) {
    for (target, text) in [
        ("/", "a page of Piwigo\n"),
        ("/index.php?/category/1", "a page of Piwigo\n"),
        ("/action.php?id=1&part=e", action),
        ("/themes/default/theme.css", "public style\n"),
        ("/_data/combined/a1.css", "combined style\n"),
    ] {
        let answer = site.get(target, None);
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{target}");
    }
}

/// A gallery at `prefix` of the site is guarded.
pub fn a_sub_directory_is_guarded(address: SocketAddr, scene: &Scene, prefix: &str) {
    let image = scene.world.private_image("erin");
    let cookie = scene.world.session("erin").cookie_header();
    for (path, text) in [
        (image.original().to_owned(), files::original_text(image.id)),
        (image.derivative("th").expect("a picture"), files::derivative_text(image.id, "th")),
    ] {
        let url = format!("{prefix}{}", http::url(&path));
        let answer = http::request(address, "GET", &url, &[("Cookie", &cookie)]);
        assert_eq!((answer.status, answer.text()), (200, text), "{url}");
        assert_eq!(http::get(address, &url).status, 403, "{url}");
        for target in attacks::spellings(&url) {
            let answer = http::get(address, &target);
            assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
        }
    }
    for path in ["_data/logs/x", "local/config/database.inc.php", "UPLOAD/x.jpg", ".git/config"] {
        assert_eq!(http::get(address, format!("{prefix}/{path}")).status, 403, "{path}");
    }
    let style = http::get(address, format!("{prefix}/themes/default/theme.css"));
    assert_eq!(style.text(), "public style\n");
    let style = http::get(address, format!("{prefix}/_data/combined/a1.css"));
    assert_eq!(style.text(), "combined style\n");
}

/// Links in the site's directory give the gallery at `/piwigo` names that a case-folding disk takes for that
/// one. The server must have the site's directory as its root.
pub fn no_other_spelling_of_the_prefix_opens_anything(address: SocketAddr, scene: &Scene) {
    let image = scene.world.private_image("erin");
    let derivative = image.derivative("th").expect("a picture");
    let site = scene.sandbox.make_dir("site");
    for name in ["PIWIGO", "piwigo.", "piwigo ", "pIw\u{131}go"] {
        let link = site.join(name);
        std::os::unix::fs::symlink(scene.sandbox.gallery(), &link).expect("a link");
        scene.sandbox.hand_over_link(&link);
        let prefix = http::url(name);
        let style = http::get(address, format!("{prefix}/themes/default/theme.css"));
        // nginx refuses all of /piwigo./ for a reason of its own.
        let is_refused = name == "piwigo." && style.status == 404;
        assert!(is_refused || style.text() == "public style\n", "{name}: the link leads to the gallery");
        for target in [
            format!("{prefix}{}", http::url(image.original())),
            format!("{prefix}{}", http::url(&derivative)),
            format!("{prefix}/i.php?{}", &derivative["_data/i".len()..]),
            format!("{prefix}/local/config/database.inc.php"),
        ] {
            let answer = http::get(address, &target);
            assert!([403, 404].contains(&answer.status), "{target}: {} {}", answer.status, answer.text());
        }
    }
}
