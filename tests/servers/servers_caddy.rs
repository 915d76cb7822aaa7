//! The shipped Caddy files with a gate behind them: the right bytes to the right visitor, by real Caddy.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use crate::support::attacks;
use crate::support::caddy::{self, Caddy};
use crate::support::config;
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::php::PhpFcgi;
use crate::support::scene::Scene;
use crate::support::setup::Setup;
use crate::support::site::{self, Site};

const BOTH: [Setup; 2] = [Setup::Caddy, Setup::CaddyForwardAuth];

fn start(settings: &[&str]) -> Site {
    Site::start(Setup::Caddy, settings)
}

#[test]
fn every_name_is_the_files_own() {
    for setup in BOTH {
        site::every_name_is_the_files_own(&Site::start(setup, &[]));
    }
}

#[test]
fn allowed_files_and_refusals_look_as_they_should() {
    for (setup, action) in BOTH.into_iter().zip(["original 1\n", "action.php of Piwigo\n"]) {
        let site = Site::start(setup, &[]);
        site::the_rest_of_the_site_is_as_before(&site, action);
        site::refusals_look_the_same_and_say_nothing(&site);
        site::no_spelling_of_a_url_opens_a_private_file(&site);
        site::allowed_files_have_the_headers_of_a_private_static_file(&site);
    }
}

#[test]
fn what_could_do_harm_is_not_sent() {
    for setup in BOTH {
        site::active_content_is_only_downloaded(&Site::start(setup, &[]));
        let site = Site::start(setup, &[]);
        site::what_is_no_file_of_the_gallery_is_not_sent(&site);
        assert_eq!(site::secrets_are_closed(&site).into_iter().collect::<Vec<_>>(), [403], "{setup:?}");
    }
}

#[test]
fn a_missing_derivative_is_made_by_the_gate() {
    for setup in BOTH {
        site::a_missing_derivative_is_made_by_the_gate(&Site::start(setup, &[]));
    }
}

#[test]
fn what_only_piwigo_can_make_i_php_is_asked_for() {
    let site = start(&["derivatives = \"piwigo\""]);
    let world = &site.scene.world;
    let path = world.private_image("erin").derivative("sq").expect("a picture");
    let url = http::url(&path);
    let short = path.strip_prefix("_data/i").expect("a derivative");
    // The visitor's own query is not i.php's.
    for target in
        [url.clone(), format!("{url}?b=/upload/x-th.jpg"), format!("/i.php?{}", &url["/_data/i".len()..])]
    {
        let answer = site.get(&target, Some("erin"));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert!(answer.text().starts_with(&format!("made by i.php: {short}\n")), "{}", answer.text());
        assert!(answer.text().contains("\nscript=/i.php\n"), "{}", answer.text());
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{target}");
        assert_eq!(answer.all("vary"), ["Cookie"], "{target}");
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{target}");
        assert_eq!(answer.all("x-made-by"), ["i.php"], "{target}");
        assert_eq!(answer.header("location"), None, "{target}");
        assert_eq!(site.get(&target, None).status, 403, "{target}");
    }
    let posted = http::request_with_body(site.address(), "POST", &url, &[], b"0123456789");
    assert_eq!(posted.status, 405, "{}", posted.text());
    // As in nginx's, a name that means two things in a query is made as it was judged.
    site.add_row(951, "upload/test/a-sq.jpg&b%.jpg", 1);
    site.scene.sandbox.write("gallery/upload/test/a-sq.jpg&b%.jpg", "x");
    let answer = site.get("/_data/i/upload/test/a-sq.jpg&b%25-sq.jpg", None);
    assert!(
        answer.text().starts_with("made by i.php: /upload/test/a-sq.jpg&b%-sq.jpg\n"),
        "{}",
        answer.text()
    );
}

#[test]
fn by_forward_auth_what_only_piwigo_can_make_is_not_found() {
    let site = Site::start(Setup::CaddyForwardAuth, &["derivatives = \"piwigo\""]);
    let url = http::url(&site.scene.world.private_image("erin").derivative("sq").expect("a picture"));
    assert_eq!(site.get(&url, Some("erin")).status, 404);
    assert_eq!(site.get(&url, None).status, 403);
}

#[test]
fn i_php_is_judged_like_the_file_it_names_or_closed() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let image = site.scene.world.private_image("erin");
        let path = image.derivative("th").expect("a picture");
        let short = &http::url(&path)["/_data/i".len()..];
        for target in
            [format!("/i.php?{short}"), format!("/i.php{short}"), format!("/i?{short}"), format!("/i{short}")]
        {
            let answer = site.get(&target, Some("erin"));
            let right = if setup == Setup::Caddy {
                (200, files::derivative_text(image.id, "th"))
            } else {
                (403, "Forbidden\n".to_owned())
            };
            assert_eq!((answer.status, answer.text()), right, "{setup:?} {target}");
            assert_eq!(site.get(&target, None).status, 403, "{target}");
        }
    }
}

#[test]
fn other_methods_get_nothing() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let url = http::url(site.scene.world.image(1).original());
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
            let answer = http::request_with_body(site.address(), method, &url, &[], b"0123456789");
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some("GET, HEAD")),
                "{setup:?} {method}"
            );
        }
    }
}

/// What a visitor says about the gate's own words.
#[test]
fn no_header_of_a_visitor_changes_an_answer() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let public = http::url(site.scene.world.image(1).original());
        let private = http::url(site.scene.world.private_image("erin").original());
        for header in [
            ("X-Piwigo-Gate-Cache", "public, max-age=999"),
            ("GATE_DELIVER", "authorize"),
            ("X-Sendfile", "/etc/passwd"),
            ("X-Forwarded-Uri", "/themes/default/theme.css"),
            ("Proxy", "http://198.51.100.1/"),
        ] {
            let answer = site.request("GET", &public, None, &[header]);
            assert_eq!((answer.status, answer.text()), (200, files::original_text(1)), "{header:?}");
            assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{header:?}");
            assert_eq!(site.request("GET", &private, None, &[header]).status, 403, "{header:?}");
        }
    }
}

/// `handle`, `route`, rewriting and a second file server: what a site has of its own, before or after the
/// file, opens nothing.
#[test]
fn nothing_else_of_the_site_takes_a_guarded_file() {
    for setup in BOTH {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let _gate = Gate::start(sandbox, &[], &[]);
        let usual = caddy::gallery(sandbox, &config::print(sandbox, setup.kind(), &[]));
        let image = scene.world.private_image("erin");
        let cookie = scene.world.session("erin").cookie_header();
        for own in [
            "handle /upload/2026/* {\nfile_server\n}\nhandle /_data/i/upload/* {\nfile_server\n}",
            "handle {\nfile_server\n}",
            "route {\nfile_server\n}",
            "handle_path /x/* {\nfile_server\n}",
            "rewrite /old/pictures/and/a/long/path/* /upload{path}",
            "encode gzip\nheader Server x",
            "@pictures path *.jpg *.png\nheader @pictures X-Own yes",
        ] {
            for site in [format!("{own}\n{usual}"), format!("{usual}\n{own}")] {
                let caddy = Caddy::start(sandbox, &site);
                for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
                    let url = http::url(&path);
                    let denied = http::get(caddy.address(), &url);
                    assert_eq!((denied.status, denied.text().as_str()), (403, "Forbidden\n"), "{own}: {url}");
                    let answer = http::request(caddy.address(), "GET", &url, &[("Cookie", &cookie)]);
                    assert_eq!(answer.status, 200, "{own}: {url}");
                    assert!(attacks::holds_guarded_bytes(&answer.body), "{own}: {}", answer.text());
                }
            }
        }
    }
}

#[test]
fn without_a_gate_there_are_no_bytes() {
    for setup in BOTH {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let guard = config::print(sandbox, setup.kind(), &[]);
        let caddy = Caddy::start(sandbox, &caddy::gallery(sandbox, &guard));
        let image = scene.world.image(1);
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            for target in attacks::spellings(&http::url(&path)) {
                let answer = http::get(caddy.address(), &target);
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
            }
            for method in ["GET", "HEAD", "POST"] {
                assert_eq!(
                    http::request(caddy.address(), method, http::url(&path), &[]).status,
                    502,
                    "{method}"
                );
            }
        }
        assert_eq!(http::get(caddy.address(), "/themes/default/theme.css").text(), "public style\n");
    }
}

/// The words that mean nginx's way: Caddy 2.6 would look for a file with `%20` in its name, newer ones
/// decode.
#[test]
fn told_to_answer_as_for_nginx_the_gate_says_no() {
    let site = start(&["deliver = \"x-accel-redirect\""]);
    let answer = site.get(&http::url(site.scene.world.image(1).original()), None);
    assert_eq!((answer.status, answer.header("x-accel-redirect")), (503, None), "{}", answer.text());
}

/// Then Caddy needs no right to read the gallery's files.
#[test]
fn told_to_send_the_bytes_itself_the_gate_does() {
    let site = start(&["deliver = \"stream\""]);
    let image = site.scene.world.private_image("erin");
    let url = http::url(image.original());
    let answer = site.request("GET", &url, Some("erin"), &[("Range", "bytes=0-3")]);
    assert_eq!((answer.status, answer.text().as_str()), (206, "orig"), "{answer:?}");
    assert_eq!(answer.all("cache-control"), ["private, max-age=600"]);
    assert_eq!(answer.header("x-sendfile"), None, "{answer:?}");
    assert_eq!(site.get(&url, None).status, 403);
}

#[test]
fn a_gallery_in_a_sub_directory_and_a_gate_on_tcp() {
    for setup in BOTH {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let (_gate, address) = Gate::start_tcp(sandbox, &["--derivatives", "piwigo"]);
        let listen = format!("tcp:{address}");
        let guard = config::print_listening(sandbox, setup.kind(), &listen, &["--url-prefix", "/piwigo"]);
        let caddy = Caddy::start(sandbox, &caddy::gallery_at(sandbox, "/piwigo", &guard));
        site::a_sub_directory_is_guarded(caddy.address(), &scene, "/piwigo");
        site::no_other_spelling_of_the_prefix_opens_anything(caddy.address(), &scene);
        assert_eq!(http::get(caddy.address(), "/piwigo/index.php").text(), "a page of Piwigo\n");
        if setup == Setup::Caddy {
            let image = scene.world.private_image("erin");
            let url = format!("/piwigo{}", http::url(&image.derivative("sq").expect("a picture")));
            let cookie = scene.world.session("erin").cookie_header();
            let answer = http::request(caddy.address(), "GET", &url, &[("Cookie", &cookie)]);
            assert!(answer.text().contains("\nscript=/piwigo/i.php\n"), "{}", answer.text());
        }
    }
}
