//! The shipped Apache files with a gate behind them: the right bytes to the right visitor, by real Apache.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::net::SocketAddr;

use crate::support::apache::Apache;
use crate::support::attacks;
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::php::{self, PhpFcgi};
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;
use crate::support::setup::ApacheSite;
use crate::support::setup::Setup::{
    self, ApacheAccessChecker, ApacheAuthnz, ApacheProxy, ApacheXsendfile, Htaccess,
};
use crate::support::site;

/// A way to install, at the site's root or below; that of shared hosting also without the files for the
/// guarded directories, and on a host without mod_actions and mod_headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AtRoot(Setup),
    InSubDirectory(Setup),
    HtaccessAlone,
    HtaccessOnPoorHost,
}

const ALL: [Kind; 12] = [
    Kind::AtRoot(ApacheXsendfile),
    Kind::InSubDirectory(ApacheXsendfile),
    Kind::AtRoot(ApacheProxy),
    Kind::InSubDirectory(ApacheProxy),
    Kind::AtRoot(ApacheAccessChecker),
    Kind::InSubDirectory(ApacheAccessChecker),
    Kind::AtRoot(ApacheAuthnz),
    Kind::InSubDirectory(ApacheAuthnz),
    Kind::AtRoot(Htaccess),
    Kind::InSubDirectory(Htaccess),
    Kind::HtaccessAlone,
    Kind::HtaccessOnPoorHost,
];

impl Kind {
    fn setup(self) -> Setup {
        match self {
            Self::AtRoot(setup) | Self::InSubDirectory(setup) => setup,
            Self::HtaccessAlone | Self::HtaccessOnPoorHost => Htaccess,
        }
    }

    /// The guard is in the server's own configuration.
    fn in_server_config(self) -> bool {
        self.setup() != Htaccess
    }

    /// Apache only asks, about URLs of files.
    fn asks(self) -> bool {
        matches!(self.setup(), ApacheAccessChecker | ApacheAuthnz)
    }

    /// What `Require valid-user` needs, and is not loaded anyhow.
    fn modules_for_users(self) -> &'static [&'static str] {
        if self.setup() == ApacheAuthnz { &[] } else { &["authn_core", "authz_user"] }
    }

    fn prefix(self) -> &'static str {
        if matches!(self, Self::InSubDirectory(_)) { "/piwigo" } else { "" }
    }

    fn refusal(self) -> u16 {
        self.setup().refusal()
    }
}

/// Apache in front of the gate and of PHP, with the whole scene behind them.
struct Setting {
    apache: Apache,
    gate: Option<Gate>,
    prefix: &'static str,
    scene: Scene,
}

impl Setting {
    fn start(kind: Kind) -> Self {
        Self::start_with(kind, "", &[], |_| ())
    }

    /// With more text in the virtual host, more modules, and whatever `change` does to the files before the
    /// start.
    fn start_with(kind: Kind, more: &str, more_modules: &[&str], change: impl FnOnce(&Sandbox)) -> Self {
        Self::of(Scene::start(), kind, more, more_modules, change)
    }

    fn of(
        scene: Scene,
        kind: Kind,
        more: &str,
        more_modules: &[&str],
        change: impl FnOnce(&Sandbox),
    ) -> Self {
        let sandbox = &scene.sandbox;
        php::write_scripts(sandbox);
        // The files here are no pictures: what is missing goes to the stand-in for Piwigo's `i.php`.
        sandbox.write("gallery/local/config/gate.toml", "derivatives = \"piwigo\"\n");
        let prefix = kind.prefix();
        let ApacheSite { outside, host, modules, gate } = kind.setup().apache_site(sandbox, prefix);
        let modules = if kind == Kind::HtaccessOnPoorHost { &["fcgid", "rewrite"] } else { modules };
        if kind == Kind::HtaccessAlone {
            for directory in ["upload", "galleries", "_data/i"] {
                let file = sandbox.gallery().join(directory).join(".htaccess");
                std::fs::remove_file(file).expect("it was written");
            }
        }
        change(sandbox);
        let modules = [modules, more_modules].concat();
        let apache = Apache::start_with(sandbox, &outside, &format!("{host}{more}"), &modules);
        Self { apache, gate, prefix, scene }
    }

    fn address(&self) -> SocketAddr {
        self.apache.address()
    }

    fn get(&self, target: &str, user: Option<&str>) -> Response {
        self.request("GET", target, user, &[])
    }

    fn request(&self, method: &str, target: &str, user: Option<&str>, headers: &[(&str, &str)]) -> Response {
        let target =
            if target.starts_with('/') { format!("{}{target}", self.prefix) } else { target.to_owned() };
        self.scene.request(self.address(), method, &target, user, headers)
    }
}

#[test]
fn every_verdict_of_the_world() {
    for kind in ALL.into_iter().filter(|kind| matches!(kind, Kind::AtRoot(_))) {
        let setting = Setting::start(kind);
        for case in setting.scene.world.cases() {
            let answer = setting.get(&http::url(&case.path), case.cookie_of.as_deref());
            let shown = (answer.status, answer.text() == case.text);
            let right = if case.allowed { (200, true) } else { (kind.refusal(), false) };
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
        for leak in ["x-accel-redirect", "x-sendfile", "location", "variable-piwigo_gate_user"] {
            assert_eq!(answer.header(leak), None, "{kind:?}");
        }
        let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name).collect();
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{kind:?} {:?}", answer.headers);
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
        // Another picture of the same length: the ETag is the picture's, not that of the gate's own file.
        setting.scene.sandbox.write(
            &format!("gallery{}", setting.scene.world.image(1).path.trim_start_matches('.')),
            "ORIGINAL 1\n",
        );
        let changed = setting.request("GET", &url, None, &[("If-None-Match", &etag)]);
        assert_eq!((changed.status, changed.text().as_str()), (200, "ORIGINAL 1\n"), "{kind:?}");
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

/// Apache's help for who does not know a name: it completes and corrects.
#[test]
fn nothing_helps_to_guess_a_name() {
    for kind in ALL {
        let scene = Scene::start();
        let helpful = format!(
            "<Directory {}>\nOptions +MultiViews\nCheckSpelling On\n</Directory>\n",
            scene.sandbox.gallery().display()
        );
        let setting = Setting::of(scene, kind, &helpful, &["negotiation", "speling"], |_| ());
        let image = setting.scene.world.private_image("erin");
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            let url = http::url(&path);
            let (stem, ending) = url.rsplit_once('.').expect("an ending");
            let directory = &url[..=url.rfind('/').expect("a directory")];
            for (headers, target) in [
                (&[][..], stem.to_owned()),
                (&[("Accept", "text/html")], stem.to_owned()),
                (&[("Accept", "text/html"), ("Negotiate", "*")], stem.to_owned()),
                (&[], format!("{stem}x.{ending}")),
                (&[], format!("{stem}.{}", ending.to_uppercase())),
            ] {
                let answer = setting.request("GET", &target, None, headers);
                let unknown = setting.request("GET", &format!("{directory}nothing"), None, headers);
                let said = format!("{:?} {}", answer.headers, answer.text());
                assert!(!said.contains(&format!(".{ending}")), "{kind:?} {target} {headers:?}: {said}");
                // Only a server's own configuration can switch MultiViews off on every host.
                if kind.in_server_config() || answer.status != 404 {
                    assert_eq!(site::plain(answer), site::plain(unknown), "{kind:?} {target} {headers:?}");
                }
            }
        }
    }
}

/// A user whom Apache knows by a password counts where Piwigo's settings and Apache's file both say so.
#[test]
fn the_servers_own_user_is_known_by_the_password() {
    let modules = ["auth_basic", "authn_file"];
    for kind in ALL.into_iter().filter(|kind| matches!(kind, Kind::AtRoot(_))) {
        for (verified, expected) in [("SetEnv GATE_REMOTE_USER verified", 200), ("", kind.refusal())] {
            // Relative to ServerRoot.
            let more = format!(
                "<Location \"/\">\nAuthType Basic\nAuthName gallery\nAuthUserFile users\n\
                 Require valid-user\n{verified}\n</Location>\n"
            );
            let modules: Vec<_> =
                modules.iter().copied().chain(kind.modules_for_users().iter().copied()).collect();
            let scene = Scene::start();
            let on = "<?php\n$conf['apache_authentication'] = true;\n";
            scene.sandbox.write("gallery/local/config/config.inc.php", on);
            // Both have the password "secret"; eve is nobody in Piwigo.
            let password = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
            scene.sandbox.write("users", format!("erin:{password}\neve:{password}\n"));
            let setting = Setting::of(scene, kind, &more, &modules, |_| ());
            let url = http::url(setting.scene.world.private_image("erin").original());
            let status = |credentials: &str| {
                setting.request("GET", &url, None, &[("Authorization", credentials)]).status
            };
            let given = [
                status("Basic ZXJpbjpzZWNyZXQ="),
                status("Basic ZXZlOnNlY3JldA=="),
                status("Basic ZXJpbjp3cm9uZw=="),
                setting.get(&url, Some("erin")).status,
            ];
            if kind.asks() {
                // The one is asked before Apache looks at the password, the other in place of that.
                assert_eq!(given[..3], [kind.refusal(); 3], "{kind:?} {verified}");
            } else {
                assert_eq!(given, [expected, kind.refusal(), 401, 401], "{kind:?} {verified}");
            }
        }
    }
}

#[test]
fn no_other_spelling_of_the_prefix_opens_anything() {
    for kind in ALL.into_iter().filter(|kind| matches!(kind, Kind::InSubDirectory(_))) {
        let setting = Setting::start(kind);
        site::no_other_spelling_of_the_prefix_opens_anything(setting.address(), &setting.scene);
    }
}

#[test]
fn a_nested_htaccess_does_not_drop_the_guard() {
    for kind in ALL {
        let setting = Setting::start(kind);
        let world = &setting.scene.world;
        let image = world.private_image("erin");
        let (directory, _) = image.original().rsplit_once('/').expect("a directory");
        for (name, content) in [
            ("rewriting on", "RewriteEngine On\n"),
            ("rewriting off", "RewriteEngine Off\n"),
            ("a handler", "SetHandler default-handler\n"),
            ("a type", "ForceType image/jpeg\nRemoveHandler .php .fcgi\n"),
            ("a closed door", "Require all denied\n"),
            ("an open door", "Require all granted\nSatisfy Any\n"),
            ("slashes", "RewriteEngine On\nRewriteRule ^nothing$ elsewhere [L]\nDirectorySlash On\n"),
        ] {
            if name.ends_with("door") && !kind.in_server_config() {
                continue; // There the closed one means what it says, and the host does not allow the open one.
            }
            for place in [directory.to_owned(), format!("_data/i/{directory}")] {
                setting.scene.sandbox.write(&format!("gallery/{place}/.htaccess"), content);
            }
            for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
                let url = http::url(&path);
                let denied = setting.get(&url, None);
                assert_eq!(denied.status, kind.refusal(), "{kind:?}, {name}: {url} {}", denied.text());
                let allowed = setting.get(&url, Some("erin"));
                // Without mod_actions the second lock can only close.
                let rewriting = content.contains("RewriteEngine");
                let expected = if kind == Kind::HtaccessOnPoorHost && rewriting { 403 } else { 200 };
                assert_eq!(allowed.status, expected, "{kind:?}, {name}: {url} {}", allowed.text());
            }
        }
    }
}

/// Sections for URLs count in their order, and the site's own come later than the shipped file.
#[test]
fn an_open_door_of_the_site_opens_nothing() {
    let open = "Require all granted\nSatisfy Any\n";
    for kind in ALL.into_iter().filter(|kind| kind.in_server_config()) {
        let section = format!("<Location \"/\">\n{open}</Location>\n");
        let setting = Setting::start_with(kind, &section, &[], |sandbox| {
            sandbox.write("gallery/.htaccess", open);
        });
        let image = setting.scene.world.private_image("erin");
        let small = http::url(&image.derivative("th").expect("a picture"));
        let i_php = format!("/i.php?{}", &small["/_data/i".len()..]);
        for target in [http::url(image.original()), small, i_php] {
            let answer = setting.get(&target, None);
            assert!([403, kind.refusal()].contains(&answer.status), "{kind:?} {target}: {}", answer.text());
        }
        assert_eq!(setting.get(&http::url(image.original()), Some("erin")).status, 200, "{kind:?}");
    }
}

#[test]
fn another_rewrite_rule_of_the_site_opens_nothing() {
    for kind in ALL {
        let setting = Setting::start_with(kind, "", &[], |sandbox| {
            let path = sandbox.gallery().join(".htaccess");
            let shipped = std::fs::read_to_string(&path).unwrap_or_default();
            let own = "RewriteEngine On\nRewriteRule ^pretty/(.*)$ upload/$1 [L]\nRewriteRule ^nice/(.*)$ i.php?/$1 [L]\n";
            std::fs::write(path, format!("{own}{shipped}")).expect("written");
        });
        let image = setting.scene.world.private_image("erin");
        let rest = http::url(image.original().strip_prefix("upload/").expect("an upload"));
        let small = http::url(&image.derivative("th").expect("a picture")["_data/i/".len()..]);
        for target in [format!("/pretty{rest}"), format!("/nice{small}")] {
            let answer = setting.get(&target, None);
            assert!([403, kind.refusal()].contains(&answer.status), "{kind:?} {target}: {}", answer.text());
        }
    }
}

#[test]
fn the_same_directory_by_another_url_opens_nothing() {
    for kind in ALL {
        for nested in [None, Some("RewriteEngine On\n")] {
            if kind == Kind::HtaccessAlone && nested.is_some() {
                continue; // What the file for the guarded directories is for.
            }
            // The Alias needs the sandbox's path, which is not known yet.
            let more = if kind.in_server_config() { "Include run/alias.conf\n" } else { "" };
            let setting = Setting::start_with(kind, more, &[], |sandbox| {
                let gallery = sandbox.gallery();
                sandbox.write("run/alias.conf", format!("Alias /other {}\n", gallery.display()));
                if !kind.in_server_config() {
                    // The same for somebody who cannot write an Alias.
                    let site =
                        if kind.prefix().is_empty() { gallery.clone() } else { sandbox.path().join("site") };
                    std::os::unix::fs::symlink(gallery, site.join("other")).expect("a link");
                }
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
                let refused = [403, 404, kind.refusal()].contains(&answer.status);
                assert!(refused, "{kind:?} {target}: {}", answer.text());
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
            sandbox.write_program(&format!("gallery/upload/test/{name}"), program);
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
    for kind in ALL.into_iter().filter(|kind| kind.in_server_config()) {
        let setting = Setting::start_with(
            kind,
            "Include run/proxy.conf\n",
            &["proxy", "proxy_fcgi"],
            |sandbox| {
                let prefix = kind.prefix();
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
            if kind.setup() == ApacheProxy || (kind.asks() && target.contains('?')) {
                // The one cannot hand over, the others know files only.
                let status = if kind.asks() { 403 } else { 404 };
                assert_eq!(answer.status, status, "{kind:?} {target}: {}", answer.text());
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{kind:?} {target}: {}", answer.text());
                assert_eq!(answer.header("location"), None, "{kind:?} {target}");
                continue;
            }
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
            assert_eq!(
                answer.all("cache-control"),
                ["private, max-age=600"],
                "{kind:?} {:?}",
                answer.headers
            );
            assert_eq!(setting.get(&target, None).status, kind.refusal(), "{kind:?} {target}");
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
            if kind.asks() {
                let closed = answer.status == 403 && !attacks::holds_guarded_bytes(&answer.body);
                assert!(closed, "{kind:?} {target}: {}", answer.text());
            } else {
                let expected = (200, files::derivative_text(id, "th"));
                assert_eq!((answer.status, answer.text()), expected, "{kind:?} {target}");
            }
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
            if kind.asks() {
                assert_eq!(answer.status, kind.refusal(), "{kind:?} {method}");
            } else {
                assert_eq!(answer.status, 405, "{kind:?} {method}");
                assert!(answer.header("allow").is_some(), "{kind:?} {method}");
            }
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
        assert_eq!(denied.status, kind.refusal(), "{kind:?}");
        for target in [
            format!("{path}x.jpg"),
            "/upload/nothing.jpg".to_owned(),
            "/upload".to_owned(),
            // Directories that exist: no redirect says so.
            "/upload/2026".to_owned(),
            "/_data/i/upload".to_owned(),
        ] {
            assert_eq!(plain(setting.get(&target, None)), denied, "{kind:?} {target}");
        }
    }
}

#[test]
fn the_rest_of_the_site_is_as_before_and_secrets_are_closed() {
    for kind in ALL {
        // What stands behind a file's name does not hide the file, as by itself.
        let setting = Setting::start_with(kind, "AcceptPathInfo On", &[], |_| {});
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
            (
                "/action.php?id=1&part=e",
                200,
                if kind.asks() { "action.php of Piwigo\n" } else { "original 1\n" },
            ),
            ("/themes/default/theme.css", 200, "public style\n"),
            ("/_data/combined/a1.css", 200, "combined style\n"),
        ] {
            let answer = setting.get(target, None);
            assert_eq!((answer.status, answer.text().as_str()), (status, text), "{kind:?} {target}");
        }
        for target in [
            "/gate.toml",
            "/gate.toml/x",
            "/gate.toml/x.php",
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

#[test]
fn without_a_gate_there_are_no_bytes() {
    for kind in [Kind::AtRoot(ApacheProxy), Kind::AtRoot(ApacheAuthnz)] {
        let mut setting = Setting::start(kind);
        let url = http::url(setting.scene.world.image(1).original());
        assert_eq!(setting.get(&url, None).status, 200, "{kind:?}");
        setting.gate = None;
        let answer = setting.get(&url, None);
        assert!((500..=599).contains(&answer.status), "{kind:?}: {}", answer.text());
        assert!(!attacks::holds_guarded_bytes(&answer.body), "{kind:?}: {}", answer.text());
    }
}

/// Why the file says to keep the lines together: Apache then asks nobody, and says nothing of it.
#[test]
fn the_authorizer_of_mod_authnz_fcgi_needs_its_require() {
    for (kept, status) in [(true, 403), (false, 200)] {
        let scene = Scene::start();
        let ApacheSite { outside, host, modules, gate: _gate } = ApacheAuthnz.apache_site(&scene.sandbox, "");
        let host = if kept { host } else { host.replace("Require valid-user", "") };
        let apache = Apache::start_with(&scene.sandbox, &outside, &host, modules);
        let url = http::url(scene.world.private_image("erin").original());
        assert_eq!(http::get(apache.address(), url).status, status, "{kept}");
    }
}

/// mod_xsendfile follows every link, so that the gate looks; Apache itself looks where it serves the file.
#[test]
fn a_link_to_what_belongs_to_somebody_else_leads_nowhere() {
    for kind in ALL.into_iter().filter(|kind| kind.in_server_config()) {
        let setting = Setting::start(kind);
        let sandbox = &setting.scene.sandbox;
        let gallery = sandbox.gallery();
        sandbox.hand_over(&sandbox.write("elsewhere.jpg", "elsewhere\n"));
        for (id, name, target) in [
            (901, "foreign.jpg", "/etc/passwd"),
            (902, "own.jpg", "../../../elsewhere.jpg"),
            (903, "dangling.jpg", "nothing.jpg"),
        ] {
            setting.scene.database.sql(&format!(
                "INSERT INTO piwigo_images (id, file, path) VALUES ({id}, '{name}', './upload/test/{name}');
                 INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);"
            ));
            let link = gallery.join("upload/test").join(name);
            std::fs::create_dir_all(link.parent().expect("a directory")).expect("made");
            std::os::unix::fs::symlink(target, &link).expect("a link");
            sandbox.hand_over_link(&link);
            if name == "foreign.jpg" && !sandbox.give_link_to_a_third_user(&link) {
                continue;
            }
            let answer = setting.get(&format!("/upload/test/{name}"), None);
            let refused = [403, 404].contains(&answer.status) && !answer.text().contains("root:");
            let served = answer.status == 200 && answer.text() == "elsewhere\n";
            // Whether the setting allows a way out of the gallery is the gate's to say, where it is asked for
            // the file.
            assert!(refused || (served && name == "own.jpg"), "{kind:?} {name}: {}", answer.status);
        }
    }
}
