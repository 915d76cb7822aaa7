//! The shipped Apache files with a gate behind them: the right bytes to the right visitor, by real Apache.

#![allow(clippy::expect_used, clippy::doc_markdown)]

mod support;

use std::net::SocketAddr;

use support::apache::{self, Apache};
use support::attacks;
use support::files;
use support::http::{self, Response};
use support::php::{self, PhpFcgi};
use support::sandbox::Sandbox;
use support::scene::Scene;

const SERVER_CONFIG: &[&str] = &["fcgid", "xsendfile", "rewrite", "actions", "headers"];
const SHARED_HOST: &[&str] = &["fcgid", "rewrite", "actions", "headers"];

/// The two ways to install, at the site's root and below; the second also without the files for the guarded directories,
/// and on a host without mod_actions and mod_headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    XSendfile,
    XSendfileInSubDirectory,
    Htaccess,
    HtaccessAlone,
    HtaccessOnPoorHost,
    HtaccessInSubDirectory,
}

const ALL: [Kind; 6] = [
    Kind::XSendfile,
    Kind::XSendfileInSubDirectory,
    Kind::Htaccess,
    Kind::HtaccessAlone,
    Kind::HtaccessOnPoorHost,
    Kind::HtaccessInSubDirectory,
];

impl Kind {
    fn x_sendfile(self) -> bool {
        matches!(self, Self::XSendfile | Self::XSendfileInSubDirectory)
    }

    fn in_sub_directory(self) -> bool {
        matches!(self, Self::XSendfileInSubDirectory | Self::HtaccessInSubDirectory)
    }
}

/// Apache in front of the gate and of PHP, with the whole scene behind them.
struct Setting {
    apache: Apache,
    prefix: &'static str,
    scene: Scene,
}

impl Setting {
    fn start(kind: Kind) -> Self {
        Self::start_with(kind, "", &[], |_| ())
    }

    /// With more text in the virtual host, more modules, and whatever `change` does to the files before the start.
    fn start_with(kind: Kind, more: &str, more_modules: &[&str], change: impl FnOnce(&Sandbox)) -> Self {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        php::write_scripts(sandbox);
        // The files here are no pictures: what is missing goes to the stand-in for Piwigo's `i.php`.
        sandbox.write("gallery/local/config/gate.toml", "derivatives = \"piwigo\"\n");
        let prefix = if kind.in_sub_directory() { "/piwigo" } else { "" };
        let (host, modules) = match kind {
            _ if kind.x_sendfile() => (apache::xsendfile_host(sandbox, prefix), SERVER_CONFIG),
            Kind::HtaccessOnPoorHost => (apache::shared_host(sandbox, prefix), &["fcgid", "rewrite"][..]),
            _ => (apache::shared_host(sandbox, prefix), SHARED_HOST),
        };
        if !kind.x_sendfile() {
            apache::write_htaccess(sandbox, prefix, kind != Kind::HtaccessAlone);
        }
        change(sandbox);
        let modules = [modules, more_modules].concat();
        let apache = Apache::start(sandbox, &format!("{host}{more}"), &modules);
        Self { apache, prefix, scene }
    }

    fn address(&self) -> SocketAddr {
        self.apache.address()
    }

    fn get(&self, target: &str, user: Option<&str>) -> Response {
        self.request("GET", target, user, &[])
    }

    fn request(&self, method: &str, target: &str, user: Option<&str>, headers: &[(&str, &str)]) -> Response {
        let cookie = user.map(|user| self.scene.world.session(user).cookie_header());
        let mut all = headers.to_vec();
        if let Some(cookie) = &cookie {
            all.push(("Cookie", cookie));
        }
        let target =
            if target.starts_with('/') { format!("{}{target}", self.prefix) } else { target.to_owned() };
        http::request(self.address(), method, target, &all)
    }
}

#[test]
fn every_verdict_of_the_world() {
    for kind in [Kind::XSendfile, Kind::Htaccess] {
        let setting = Setting::start(kind);
        for case in setting.scene.world.cases() {
            let answer = setting.get(&http::url(&case.path), case.cookie_of.as_deref());
            let shown = (answer.status, answer.text() == case.text);
            let right = if case.allowed { (200, true) } else { (403, false) };
            assert_eq!(shown, right, "{kind:?}: {:?} asks for {}", case.cookie_of, case.path);
        }
    }
}

#[test]
fn allowed_files_have_the_headers_of_a_private_static_file() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let url = http::url(setting.scene.world.image(1).original());
        let answer = setting.get(&url, None);
        assert_eq!((answer.status, answer.text().as_str()), (200, "original 1\n"), "{kind:?}");
        assert_eq!(answer.all("content-type"), ["image/jpeg"], "{kind:?}");
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{kind:?}");
        assert!(answer.all("vary").contains(&"Cookie"), "{kind:?} {:?}", answer.headers);
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{kind:?}");
        for leak in ["x-accel-redirect", "x-sendfile", "location"] {
            assert_eq!(answer.header(leak), None, "{kind:?}");
        }
        let etag = answer.header("etag").expect("an ETag").to_owned();
        let again = setting.request("GET", &url, None, &[("If-None-Match", &etag)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{kind:?}");
        let part = setting.request("GET", &url, None, &[("Range", "bytes=0-3")]);
        assert_eq!((part.status, part.text().as_str()), (206, "orig"), "{kind:?}");
        let head = setting.request("HEAD", &url, None, &[]);
        assert_eq!(
            (head.status, head.body.len(), head.header("content-length")),
            (200, 0, Some("11")),
            "{kind:?}"
        );
    }
}

#[test]
fn no_spelling_of_a_url_opens_a_private_file_to_a_guest() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let world = &setting.scene.world;
        let image = world.private_image("erin");
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            for target in attacks::spellings(&format!("/{path}")) {
                let answer = setting.get(&target, None);
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{kind:?} {target}: {}", answer.text());
                for leak in ["x-accel-redirect", "x-sendfile"] {
                    assert_eq!(answer.header(leak), None, "{kind:?} {target}");
                }
            }
        }
    }
}

#[test]
fn a_nested_htaccess_does_not_drop_the_guard() {
    for kind in ALL {
        for (name, content) in [
            ("rewriting on", "RewriteEngine On\n"),
            ("rewriting off", "RewriteEngine Off\n"),
            ("a handler", "SetHandler default-handler\n"),
            ("a type", "ForceType image/jpeg\nRemoveHandler .php .fcgi\n"),
            ("a closed door", "Require all denied\n"),
            ("slashes", "RewriteEngine On\nRewriteRule ^nothing$ elsewhere [L]\nDirectorySlash On\n"),
        ] {
            if name == "a closed door" && !kind.x_sendfile() {
                continue; // There it means what it says: nobody gets in.
            }
            let setting = Setting::start(kind);
            let world = &setting.scene.world;
            let image = world.private_image("erin");
            let (directory, _) = image.original().rsplit_once('/').expect("a directory");
            for place in [directory.to_owned(), format!("_data/i/{directory}")] {
                setting.scene.sandbox.write(&format!("gallery/{place}/.htaccess"), content);
            }
            for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
                let url = http::url(&path);
                let denied = setting.get(&url, None);
                assert_eq!(denied.status, 403, "{kind:?}, {name}: {url} {}", denied.text());
                let allowed = setting.get(&url, Some("erin"));
                // Without mod_actions the second lock can only close.
                let rewriting = content.contains("RewriteEngine");
                let expected = if kind == Kind::HtaccessOnPoorHost && rewriting { 403 } else { 200 };
                assert_eq!(allowed.status, expected, "{kind:?}, {name}: {url} {}", allowed.text());
            }
        }
    }
}

#[test]
fn another_rewrite_rule_of_the_site_opens_nothing() {
    for kind in ALL.into_iter().filter(|kind| !kind.x_sendfile()) {
        let setting = Setting::start_with(kind, "", &[], |sandbox| {
            let path = sandbox.gallery().join(".htaccess");
            let shipped = std::fs::read_to_string(&path).expect("it is there");
            let own = "RewriteEngine On\nRewriteRule ^pretty/(.*)$ upload/$1 [L]\nRewriteRule ^nice/(.*)$ i.php?/$1 [L]\n";
            std::fs::write(path, format!("{own}{shipped}")).expect("written");
        });
        let image = setting.scene.world.private_image("erin");
        let rest = http::url(image.original().strip_prefix("upload/").expect("an upload"));
        let small = http::url(&image.derivative("th").expect("a picture")["_data/i/".len()..]);
        for target in [format!("/pretty{rest}"), format!("/nice{small}")] {
            let answer = setting.get(&target, None);
            assert_eq!(answer.status, 403, "{kind:?} {target}: {}", answer.text());
        }
    }
}

#[test]
fn the_same_directory_by_another_url_opens_nothing() {
    for kind in ALL.into_iter().filter(|kind| !kind.x_sendfile()) {
        for nested in [None, Some("RewriteEngine On\n")] {
            if kind == Kind::HtaccessAlone && nested.is_some() {
                continue; // What the file for the guarded directories is for.
            }
            // An Alias can be made only when the sandbox is known: a link in the site does the same.
            let setting = Setting::start_with(kind, "", &[], |sandbox| {
                let site =
                    if kind.in_sub_directory() { sandbox.path().join("site") } else { sandbox.gallery() };
                std::os::unix::fs::symlink(sandbox.gallery(), site.join("other")).expect("a link");
            });
            let image = setting.scene.world.private_image("erin");
            let (directory, _) = image.original().rsplit_once('/').expect("a directory");
            if let Some(content) = nested {
                setting.scene.sandbox.write(&format!("gallery/{directory}/.htaccess"), content);
            }
            let small = http::url(&image.derivative("th").expect("a picture"));
            for target in [
                format!("/other{}", http::url(image.original())),
                format!("/other{small}"),
                format!("/other/i.php?{}", &small["/_data/i".len()..]),
            ] {
                let answer = http::get(setting.address(), &target);
                assert!([403, 404].contains(&answer.status), "{kind:?} {target}: {}", answer.text());
            }
        }
    }
}

#[test]
fn nothing_below_the_guarded_directories_is_ever_run_or_shown_as_a_page() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let sandbox = &setting.scene.sandbox;
        let program = "<?php\necho 'program ' . 'was run';\n";
        for (id, name, status, attached) in [
            (901, "a.svg", 200, true),
            (902, "a.html", 200, true),
            (903, "a.XML", 200, true),
            (904, "a.jpg", 200, false),
            (905, "a.php", 200, false),
            (906, "a.fcgi", 200, false),
        ] {
            setting.scene.database.sql(&format!(
                "INSERT INTO piwigo_images (id, file, path) VALUES ({id}, '{name}', './upload/test/{name}');
                 INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);"
            ));
            let file = sandbox.write(&format!("gallery/upload/test/{name}"), program);
            apache::make_executable(&file);
            let answer = setting.get(&format!("/upload/test/{name}"), None);
            assert!(!answer.text().contains("program was run"), "{kind:?} {name}: {}", answer.text());
            if name.ends_with("php") || name.ends_with("fcgi") {
                // A gate refuses these; if it did not, they would come as they are.
                assert!([200, 403, 404].contains(&answer.status), "{kind:?} {name}: {}", answer.status);
                continue;
            }
            assert_eq!(answer.status, status, "{kind:?} {name} {}", answer.text());
            assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{kind:?} {name}");
            if kind != Kind::HtaccessOnPoorHost {
                assert_eq!(answer.header("content-disposition").is_some(), attached, "{kind:?} {name}");
                assert_eq!(answer.header("content-security-policy").is_some(), attached, "{kind:?} {name}");
            }
        }
    }
}

#[test]
fn php_attached_by_proxy_pass_match_takes_nothing_from_the_guard() {
    for kind in [Kind::XSendfile, Kind::XSendfileInSubDirectory] {
        let setting = Setting::start_with(
            kind,
            "Include run/proxy.conf\n",
            &["proxy", "proxy_fcgi"],
            |sandbox| {
                let prefix = if kind.in_sub_directory() { "/piwigo" } else { "" };
                let (socket, root) = (sandbox.php_socket(), sandbox.gallery());
                let pass = format!(
                    "ProxyFCGIBackendType GENERIC\nProxyPassMatch \"^{prefix}/(.*\\.php)$\" \"unix:{}|fcgi://localhost{}/$1\"\n",
                    socket.display(),
                    root.display()
                );
                sandbox.write("run/proxy.conf", pass);
            },
        );
        let sandbox = &setting.scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        sandbox.write("gallery/upload/test/x.php", "<?php\necho 'program ' . 'was run';\n");
        assert_eq!(setting.get("/index.php", None).text(), "a page of Piwigo\n");
        let image = setting.scene.world.private_image("erin");
        let small = http::url(&image.derivative("th").expect("a picture"));
        for target in ["/upload/test/x.php".to_owned(), format!("/i.php?{}", &small["/_data/i".len()..])] {
            let answer = setting.get(&target, None);
            assert!(!answer.text().contains("program was run"), "{kind:?} {target}: {}", answer.text());
            assert!(!attacks::holds_guarded_bytes(&answer.body), "{kind:?} {target}: {}", answer.text());
        }
    }
}

#[test]
fn a_missing_derivative_is_made_by_piwigo_for_whoever_may_see_it() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let world = &setting.scene.world;
        let id = world.private_image("erin").id;
        let path = world.image(id).derivative("sq").expect("a picture");
        let short = path.strip_prefix("_data/i").expect("a derivative");
        let url = http::url(&path);
        for target in [url.clone(), format!("/i.php?{}", &url["/_data/i".len()..])] {
            let answer = setting.get(&target, Some("erin"));
            assert_eq!(
                answer.status,
                200,
                "{kind:?} {target}: {}\n{}",
                answer.text(),
                setting.apache.log_text()
            );
            assert!(
                answer.text().starts_with(&format!("made by i.php: {short}\n")),
                "{kind:?} {}",
                answer.text()
            );
            assert_eq!(setting.get(&target, None).status, 403, "{kind:?} {target}");
        }
    }
}

#[test]
fn i_php_is_judged_like_the_file_it_names() {
    for kind in ALL {
        let setting = Setting::start(kind);
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
            let expected = (200, files::derivative_text(id, "th"));
            assert_eq!((answer.status, answer.text()), expected, "{kind:?} {target}");
            assert_eq!(setting.get(&target, None).status, 403, "{kind:?} {target}");
        }
    }
}

#[test]
fn other_methods_are_answered_by_the_gate() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let url = http::url(setting.scene.world.image(1).original());
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
            let target = format!("{}{url}", setting.prefix);
            let answer = http::request_with_body(setting.address(), method, &target, &[], b"0123456789");
            assert_eq!(answer.status, 405, "{kind:?} {method}");
            assert!(answer.header("allow").is_some(), "{kind:?} {method}");
        }
    }
}

#[test]
fn denied_and_unknown_look_the_same() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let world = &setting.scene.world;
        let path = http::url(world.private_image("erin").original());
        let plain = |mut answer: Response| {
            answer.headers.retain(|(name, _)| name != "date");
            answer
        };
        let denied = plain(setting.get(&path, None));
        assert_eq!(denied.status, 403, "{kind:?}");
        for target in [
            format!("{path}x.jpg"),
            "/upload/nothing.jpg".to_owned(),
            "/upload".to_owned(),
            "/upload/2026".to_owned(),
        ] {
            assert_eq!(plain(setting.get(&target, None)), denied, "{kind:?} {target}");
        }
    }
}

#[test]
fn the_rest_of_the_site_is_as_before_and_secrets_are_closed() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let sandbox = &setting.scene.sandbox;
        for name in ["local/config/gate.toml", "gate.toml", "_data/logs/log.txt", ".git/config"] {
            sandbox.write(&format!("gallery/{name}"), "# a secret\n");
        }
        // What a disk without capitals does: the same script by other names.
        for name in ["I.php", "I.PHP", "i.php ", "i.php."] {
            sandbox.write(&format!("gallery/{name}"), php::I_PHP);
        }
        for (target, status, text) in [
            ("/", 200, "a page of Piwigo\n"),
            ("/index.php?/category/1", 200, "a page of Piwigo\n"),
            ("/action.php?id=1&part=e", 200, "original 1\n"),
            ("/themes/default/theme.css", 200, "public style\n"),
            ("/_data/combined/a1.css", 200, "combined style\n"),
        ] {
            let answer = setting.get(target, None);
            assert_eq!((answer.status, answer.text().as_str()), (status, text), "{kind:?} {target}");
        }
        for target in [
            "/gate.toml",
            "/local/config/gate.toml",
            "/local/config/database.inc.php",
            "/_data/logs/log.txt",
            "/_data",
            "/_data/",
            "/.git/config",
            "/.htaccess",
            "/gate.fcgi",
            "/gate.fcgi/x",
            "/_gate/gate.fcgi",
            "/_gate",
            "/UPLOAD/x.jpg",
            "/upload./x.jpg",
            "/Upload%20/x.jpg",
            "/GALLER~1/x.jpg",
            "/up%C2%ADload/x.jpg",
            "/local/con%EF%AC%81g/database.inc.php",
            "/I.php?/upload/x-th.jpg",
            "/I.PHP/upload/x-th.jpg",
            "/i.php%20?/upload/x-th.jpg",
            "/i.php.",
        ] {
            let answer = setting.get(target, None);
            let closed = if target == "/.htaccess" { [403, 404] } else { [404, 404] };
            assert!(
                closed.contains(&answer.status),
                "{kind:?} {target}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
}

#[test]
fn what_reaches_the_gate_is_refused_like_an_unknown_file() {
    // What Apache answers before it asks.
    let own = [
        ("/upload/a/open%20e.jpg#/../shut.jpg", 400),
        ("/upload/a/shut.jpg#open%20e.jpg", 400),
        ("/upload/a/open%20e.jpg%2f..%2fshut.jpg", 404),
    ];
    for kind in ALL {
        let setting = Setting::start(kind);
        setting.scene.database.sql(&attacks::rows());
        for path in attacks::FILES {
            setting.scene.sandbox.write(&format!("gallery/{path}"), format!("original {path}\n"));
        }
        let plain = |mut answer: Response| {
            answer.headers.retain(|(name, _)| name != "date");
            answer
        };
        assert_eq!(setting.get(&http::url(attacks::OPEN), None).status, 200, "{kind:?}");
        let unknown = plain(setting.get("/upload/a/unknown.jpg", None));
        let mut others = Vec::new();
        for target in attacks::MIXTURES {
            let answer = plain(setting.get(target, None));
            assert!(!attacks::holds_guarded_bytes(&answer.body), "{kind:?} {target}: {}", answer.text());
            if answer != unknown {
                others.push((target, answer.status));
            }
        }
        assert_eq!(others, own, "{kind:?}");
    }
}
