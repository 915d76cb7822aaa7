//! Galleries beside Piwigo's directory (sites that begin with `../`), through real servers.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::net::SocketAddr;

use crate::support::apache::{self, Apache};
use crate::support::caddy::{self, Caddy};
use crate::support::config;
use crate::support::every_byte::{self, Places};
use crate::support::gate::Gate;
use crate::support::haproxy::{self, Haproxy};
use crate::support::http;
use crate::support::lighttpd::{self, Lighttpd};
use crate::support::many_requests;
use crate::support::nginx::{self, Nginx};
use crate::support::php::{self, PhpFcgi};
use crate::support::scene::Scene;
use piwigo_gate::gate;
use piwigo_gate::http::reply::SendMode;
use piwigo_gate::http::request::Request;
use piwigo_gate::settings::{Derivatives, Options, Settings};

/// Two sites beside the gallery, one that is none, and a file there that is in no site.
const ROWS: &str = "
    INSERT INTO piwigo_sites (id, galleries_url) VALUES (2, '../photos/'), (3, '../gallery/'), (4, '../link/');
    INSERT INTO piwigo_images (id, file, path, representative_ext, width, height, rotation) VALUES
      (901, 'open.jpg', '../photos/é/open 1.jpg', NULL, 100, 80, 0),
      (902, 'shut.jpg', '../photos/é/shut.jpg', NULL, 100, 80, 0),
      (903, 'film.mp4', '../photos/film.mp4', 'jpg', NULL, NULL, 0),
      (904, 'other.jpg', '../elsewhere/other.jpg', NULL, 100, 80, 0),
      (905, 'below.jpg', './photos/below.jpg', NULL, 100, 80, 0),
      (906, 'log.txt', '../gallery/_data/logs/log.txt', NULL, 100, 80, 0),
      (907, 'log.txt', '../link/_data/logs/log.txt', NULL, 100, 80, 0);
    INSERT INTO piwigo_image_category (image_id, category_id) VALUES
      (901, 1), (902, 2), (903, 1), (904, 1), (905, 1), (906, 1), (907, 1);";

fn scene() -> Scene {
    let scene = Scene::start();
    scene.database.sql(ROWS);
    for (name, text) in [
        ("photos/é/open 1.jpg", "open\n"),
        ("photos/é/shut.jpg", "shut\n"),
        ("photos/film.mp4", "film\n"),
        ("photos/pwg_representative/film.jpg", "poster\n"),
        ("photos/unknown.jpg", "unknown\n"),
        ("photos/below.jpg", "not the row's file\n"),
        ("elsewhere/other.jpg", "other\n"),
        ("gallery/_data/logs/log.txt", "log\n"),
        ("gallery/_data/i/photos/é/open 1-th.jpg", "thumb\n"),
    ] {
        scene.sandbox.write(name, text);
    }
    let link = scene.sandbox.path().join("link");
    std::os::unix::fs::symlink(scene.sandbox.gallery(), &link).expect("a link");
    scene.sandbox.hand_over_link(&link);
    scene.sandbox.hand_over_tree(&scene.sandbox.path().join("photos"));
    scene.sandbox.hand_over_tree(&scene.sandbox.gallery());
    scene
}

fn check(address: SocketAddr, scene: &Scene, served: bool, what: &str) {
    let bob = scene.world.session("bob").cookie_header();
    for (target, cookie, expected) in [
        ("/photos/%C3%A9/open%201.jpg", None, Some("open\n")),
        ("/photos/film.mp4", None, Some("film\n")),
        ("/photos/pwg_representative/film.jpg", None, Some("poster\n")),
        ("/piwigo/action.php?id=901&part=e", None, Some("open\n")),
        ("/piwigo/action.php?id=903&part=r", None, Some("poster\n")),
        ("/photos/%C3%A9/shut.jpg", None, None),
        ("/piwigo/action.php?id=902&part=e", None, None),
        ("/photos/%C3%A9/shut.jpg", Some(&*bob), Some("shut\n")),
        ("/photos/unknown.jpg", None, None),
        ("/photos/below.jpg", None, None),
        ("/piwigo/action.php?id=904&part=e", None, None),
        // The gallery's own directory, under the name that it has on disk, and by a link.
        ("/piwigo/action.php?id=906&part=e", None, None),
        ("/piwigo/action.php?id=907&part=e", None, None),
        ("/photos/../elsewhere/other.jpg", None, None),
    ] {
        let headers: Vec<(&str, &str)> = cookie.into_iter().map(|cookie| ("Cookie", cookie)).collect();
        let answer = http::request(address, "GET", target, &headers);
        match expected.filter(|_| served) {
            Some(text) => assert_eq!((answer.status, &*answer.text()), (200, text), "{what}: {target}"),
            None => assert!(matches!(answer.status, 403 | 404), "{what}: {target}: {}", answer.text()),
        }
    }
    let odd = every_byte::targets("/photos/%C3%A9/shut.jpg", Places::Parts);
    many_requests::ask_all(address, "", &odd, |number, answer| {
        let body = answer.map_or(&b""[..], |answer| &answer.bytes);
        assert!(!body.ends_with(b"shut\n"), "{what}: {}", odd[number].escape_ascii());
    });
    let thumb = http::request(address, "GET", "/piwigo/_data/i/photos/%C3%A9/open%201-th.jpg", &[]);
    assert_eq!((thumb.status, &*thumb.text()), (200, "thumb\n"), "{what}");
}

#[test]
fn nginx_sends_files_beside_the_gallery_where_the_setting_says_so() {
    for served in [true, false] {
        let scene = scene();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let arguments = ["--url-prefix", "/piwigo", "--parent-sites"];
        let _gate = Gate::start(sandbox, &arguments[..if served { 3 } else { 2 }], &[]);
        let guard = config::print(sandbox, "nginx", &["--url-prefix", "/piwigo", "--parent-sites"]);
        assert!(guard.contains("\nlocation ^~ \"/photos\""));
        let nginx = Nginx::start(sandbox, &nginx::gallery_at(sandbox, "/piwigo", &guard));
        check(nginx.address(), &scene, served, "nginx");
        assert_eq!(http::get(nginx.address(), "/_gate/parent/photos/film.mp4").status, 404);
    }
}

#[test]
fn apache_sends_files_beside_the_gallery_by_x_sendfile() {
    let scene = scene();
    let sandbox = &scene.sandbox;
    php::write_scripts(sandbox);
    let host = apache::xsendfile_host_with(sandbox, "/piwigo", &["--parent-sites"]);
    let more = format!(
        "<Directory {site}>\nRequire all granted\n</Directory>\n",
        site = sandbox.path().join("site").display()
    );
    let modules = ["fcgid", "xsendfile", "rewrite", "actions", "headers"];
    let apache = Apache::start(sandbox, &format!("{host}\n{more}"), &modules);
    check(apache.address(), &scene, true, "Apache");
}

#[test]
fn lighttpd_and_caddy_send_files_beside_the_gallery_where_the_setting_says_so() {
    for served in [true, false] {
        let scene = scene();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let arguments = ["--url-prefix", "/piwigo", "--parent-sites"];
        let _gate = Gate::start(sandbox, &arguments[..if served { 3 } else { 2 }], &[]);
        let print = |kind| config::print(sandbox, kind, &arguments);
        let lighttpd =
            Lighttpd::start(sandbox, &lighttpd::gallery_at(sandbox, "/piwigo", &print("lighttpd")));
        check(lighttpd.address(), &scene, served, "lighttpd");
        let caddy = Caddy::start(sandbox, &caddy::gallery_at(sandbox, "/piwigo", &print("caddy")));
        check(caddy.address(), &scene, served, "Caddy");
        let asks = print("caddy-forward-auth");
        let asks = Caddy::start(sandbox, &caddy::gallery_at(sandbox, "/piwigo", &asks));
        assert_eq!(http::get(asks.address(), "/photos/film.mp4").status, 403);
    }
}

#[test]
fn front_ends_pass_on_files_beside_the_gallery_that_the_gate_sends() {
    for served in [true, false] {
        let scene = scene();
        let sandbox = &scene.sandbox;
        let arguments = ["--url-prefix", "/piwigo", "--parent-sites"];
        let _gate = Gate::start(sandbox, &arguments[..if served { 3 } else { 2 }], &[]);
        let print = |kind| config::print(sandbox, kind, &arguments);
        let haproxy = Haproxy::start(sandbox, &haproxy::site(sandbox, &print("haproxy")));
        check(haproxy.address(), &scene, served, "HAProxy");
        let front = Nginx::start(sandbox, &nginx::front(&print("nginx-front")));
        check(front.address(), &scene, served, "nginx in front");
    }
}

/// Piwigo makes a resized picture of the file below the root if there is one, and of a larger size whose name
/// it finds by replacing every token of this one's.
#[tokio::test]
async fn an_authorizer_lets_piwigo_make_no_derivative_of_another_picture() {
    let scene = scene();
    scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path, width, height, rotation) VALUES
           (908, 'p-th.jpg', './upload/p-th.jpg', 3000, 2000, 0);
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (908, 1)",
    );
    scene.sandbox.write("gallery/upload/p-th.jpg", "open\n");
    let options = Options {
        gallery: Some(scene.sandbox.gallery()),
        url_prefix: Some("/piwigo".into()),
        deliver: Some(SendMode::Authorize),
        derivatives: Some(Derivatives::Piwigo),
        ..Options::default()
    };
    let gate = gate::Gate::open(Settings::resolve(options, None).expect("settings")).await.expect("a gate");
    for (path, trap) in [
        ("/piwigo/_data/i/photos/%C3%A9/open%201-th.jpg", "gallery/photos/é/open 1.jpg"),
        ("/piwigo/_data/i/upload/p-th-th.jpg", "gallery/_data/i/upload/p-me-me.jpg"),
    ] {
        let ask = || async { gate.answer(&Request::new(path.as_bytes(), "127.0.0.1")).await.status() };
        assert_eq!(ask().await, 200, "{path}");
        scene.sandbox.write(trap, "of another picture\n");
        assert_eq!(ask().await, 403, "{path}");
    }
}
