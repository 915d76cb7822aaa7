//! The shipped lighttpd file with a gate behind it: the right bytes to the right visitor, by real lighttpd.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::support::attacks;
use crate::support::config;
use crate::support::every_byte::{self, Places};
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::lighttpd::{self, Lighttpd};
use crate::support::many_requests;
use crate::support::markers::{self, SECRETS, SHELL, Visitor};
use crate::support::php::PhpFcgi;
use crate::support::scene::Scene;
use crate::support::setup::Setup;
use crate::support::site::{self, Site};

fn start(settings: &[&str]) -> Site {
    Site::start(Setup::Lighttpd, settings)
}

#[test]
fn every_name_is_the_files_own() {
    let site = start(&[]);
    site::every_name_is_the_files_own(&site);
    // lighttpd decodes what the gate encodes: even a blank at the end arrives.
    assert_eq!(site.get("/upload/test/blank.jpg%20", None).text(), "original upload/test/blank.jpg \n");
}

/// A word in gate.toml is stronger than the server's file, and this one means Apache's encoding, which is
/// none.
#[test]
fn by_the_setting_of_apache_too() {
    site::every_name_is_the_files_own(&start(&["deliver = \"x-sendfile\""]));
}

#[test]
fn allowed_files_and_refusals_look_as_they_should() {
    let site = start(&[]);
    site::the_rest_of_the_site_is_as_before(&site, "original 1\n");
    site::refusals_look_the_same_and_say_nothing(&site);
    site::no_spelling_of_a_url_opens_a_private_file(&site);
    site::allowed_files_have_the_headers_of_a_private_static_file(&site);
}

#[test]
fn what_could_do_harm_is_not_sent() {
    let site = start(&[]);
    site::active_content_is_only_downloaded(&site);
    let site = start(&[]);
    site::what_is_no_file_of_the_gallery_is_not_sent(&site);
    assert_eq!(site::secrets_are_closed(&site).into_iter().collect::<Vec<_>>(), [403]);
}

#[test]
fn a_derivative_is_made_by_the_gate_or_not_at_all() {
    site::a_missing_derivative_is_made_by_the_gate(&start(&[]));
    // lighttpd would give the `Location` to the visitor.
    let site = start(&["derivatives = \"piwigo\""]);
    let url = http::url(&site.scene.world.private_image("erin").derivative("sq").expect("a picture"));
    let answer = site.get(&url, Some("erin"));
    assert_eq!(
        (answer.status, answer.header("location"), answer.text().as_str()),
        (404, None, "Not found\n")
    );
    assert_eq!(site.get(&url, None).status, 403);
}

#[test]
fn i_php_and_action_php_are_judged_like_the_file_they_name() {
    let site = start(&[]);
    let image = site.scene.world.private_image("erin");
    let path = image.derivative("th").expect("a picture");
    let short = &http::url(&path)["/_data/i".len()..];
    for (target, text) in [
        (format!("/i.php?{short}"), files::derivative_text(image.id, "th")),
        (format!("/i.php{short}"), files::derivative_text(image.id, "th")),
        (format!("/i?{short}"), files::derivative_text(image.id, "th")),
        (format!("/i{short}"), files::derivative_text(image.id, "th")),
        (format!("/action.php?id={}&part=e", image.id), files::original_text(image.id)),
    ] {
        let answer = site.get(&target, Some("erin"));
        assert_eq!((answer.status, answer.text()), (200, text), "{target}");
        assert_eq!(site.get(&target, None).status, 403, "{target}");
    }
}

#[test]
fn other_methods_and_bodies_get_nothing() {
    let site = start(&[]);
    let url = http::url(site.scene.world.image(1).original());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let answer = http::request_with_body(site.address(), method, &url, &[], b"0123456789");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let answer = http::request_with_body(site.address(), "HEAD", &url, &[], b"0123456789");
    assert_eq!((answer.status, answer.body.len()), (400, 0));
}

/// Neither PHP's place before or after the file, nor its own `=`, nor TCP instead of a socket takes anything
/// from the guard.
#[test]
fn the_file_works_in_any_order_with_php() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let _php = PhpFcgi::start(sandbox);
    let _gate = Gate::start(sandbox, &[], &[]);
    let guard = config::print(sandbox, "lighttpd", &[]);
    let php = lighttpd::php(sandbox);
    let root = format!("server.document-root = \"{}\"\n", sandbox.gallery().display());
    let image = scene.world.private_image("erin");
    let cookie = scene.world.session("erin").cookie_header();
    for text in [
        format!("{root}{php}{guard}"),
        format!("{root}{guard}{php}"),
        format!("{root}{guard}{}", php.replace("+=", "=")),
        format!("{root}$HTTP[\"host\"] =~ \".\" {{\n{php}}}\n{guard}"),
        format!("{root}$HTTP[\"host\"] =~ \".\" {{\n{php}\n{guard}}}\n"),
        format!("{root}$HTTP[\"host\"] =~ \".\" {{\n{guard}\n{php}}}\n"),
    ] {
        let lighttpd = Lighttpd::start(sandbox, &text);
        let address = lighttpd.address();
        let url = http::url(image.original());
        let answer = http::request(address, "GET", &url, &[("Cookie", &cookie)]);
        assert_eq!((answer.status, answer.text()), (200, files::original_text(image.id)), "{text}");
        assert_eq!(http::get(address, &url).status, 403, "{text}");
        assert_eq!(http::get(address, "/index.php").text(), "a page of Piwigo\n", "{text}");
        assert!(!lighttpd.log_text().contains("unknown config-key"), "{}", lighttpd.log_text());
    }
}

/// lighttpd can be told to take addresses as they come: the block's own expression sees them decoded all the
/// same.
#[test]
fn however_lighttpd_reads_addresses_no_spelling_opens_a_private_file() {
    let scene = Scene::start();
    markers::write(&scene);
    let sandbox = &scene.sandbox;
    let _php = PhpFcgi::start(sandbox);
    let _gate = Gate::start(sandbox, &[], &[]);
    let guard = config::print(sandbox, "lighttpd", &[]);
    let guest = Visitor::guest(&scene.world);
    for parsing in [
        "\"url-normalize\" => \"disable\", \"url-ctrls-reject\" => \"disable\"",
        "\"url-path-2f-decode\" => \"disable\", \"url-path-dotseg-remove\" => \"disable\"",
        "\"url-normalize-unreserved\" => \"disable\", \"url-query-20-plus\" => \"enable\"",
    ] {
        let text = lighttpd::gallery(sandbox, &guard);
        let lighttpd = Lighttpd::start(sandbox, &format!("server.http-parseopts = ( {parsing} )\n{text}"));
        let image = scene.world.private_image("erin");
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            for target in attacks::spellings(&http::url(&path)) {
                let answer = http::get(lighttpd.address(), &target);
                assert_eq!(guest.leak(&answer.body), None, "{parsing} {target}");
            }
        }
        let odd = every_byte::targets(&http::url(image.original()), Places::Parts);
        let leaks = many_requests::leaks(lighttpd.address(), &guest, &odd);
        assert!(leaks.is_empty(), "{parsing}: {leaks:#?}");
        let answer = http::get(lighttpd.address(), http::url(scene.world.image(1).original()));
        assert_eq!(answer.status, 200, "{parsing}");
    }
}

/// In a sub-directory, however its `alias.url` is written: a slash that only one side of it has glues the
/// prefix to the first name behind it.
#[test]
fn no_odd_byte_opens_a_file_of_a_gallery_in_a_sub_directory() {
    let scene = Scene::start();
    markers::write(&scene);
    let sandbox = &scene.sandbox;
    let root = sandbox.gallery().display().to_string();
    let _php = PhpFcgi::start(sandbox);
    markers::write_i_php(&scene);
    let _gate = Gate::start(sandbox, &["--url-prefix", "/piwigo"], &[]);
    let guard = config::print(sandbox, "lighttpd", &["--url-prefix", "/piwigo"]);
    let text = lighttpd::gallery_at(sandbox, "/piwigo", &guard);
    let usual = format!("\"/piwigo/\" => \"{root}/\"");
    assert!(text.contains(&usual));
    let world = &scene.world;
    let image = world.private_image("bob");
    let size = image.derivative("th").expect("a picture");
    let bob = world.session("bob").cookie_header();
    let guest = Visitor::guest(world);
    for (alias, prefix) in [
        (usual.clone(), "/piwigo/"),
        (format!("\"/piwigo\" => \"{root}\""), "/piwigo/"),
        (format!("\"/piwigo\" => \"{root}/\""), "/piwigo/"),
        (format!("\"/piwigo\" => \"{root}/\""), "/piwigo"),
    ] {
        let lighttpd = Lighttpd::start(sandbox, &text.replace(&usual, &alias));
        let address = lighttpd.address();
        let style = http::get(address, format!("{prefix}themes/default/theme.css"));
        assert_eq!(style.text(), "public style\n", "{alias}: the address leads to the gallery");
        let open = format!("/piwigo{}", http::url(image.original()));
        let answer = http::request(address, "GET", open, &[("Cookie", &bob)]);
        assert_eq!(
            (answer.status, answer.text()),
            (200, markers::text(&markers::original(image))),
            "{alias}"
        );
        let files = [image.original(), &size].into_iter().chain(SECRETS).chain([SHELL]);
        let mut all: Vec<_> = files
            .flat_map(|path| every_byte::targets(&format!("{prefix}{}", &http::url(path)[1..]), Places::Ends))
            .collect();
        let short = &http::url(&size)["/_data/i".len()..];
        all.extend(every_byte::script_targets("", &format!("{}i.php", &prefix[1..]), short, Places::Ends));
        let leaks = many_requests::leaks(address, &guest, &all);
        assert!(leaks.is_empty(), "{alias}: {leaks:#?}");
    }
}

/// One site of several: in a block for its host's name, the guard takes nothing from the others.
#[test]
fn other_sites_keep_their_addresses_that_are_not_utf_8() {
    let scene = Scene::start();
    markers::write(&scene);
    let sandbox = &scene.sandbox;
    let _php = PhpFcgi::start(sandbox);
    let _gate = Gate::start(sandbox, &[], &[]);
    let guard = config::print(sandbox, "lighttpd", &[]);
    let line = "server.stat-cache-engine = \"disable\"\n";
    let (begin, block) = guard.split_once(line).expect("the line that must stand outside of blocks");
    let other = sandbox.make_dir("other");
    std::fs::write(other.join(OsStr::from_bytes(b"caf\xe9.txt")), "of another site\n").expect("a file");
    let gallery = lighttpd::gallery(sandbox, block);
    let text = format!(
        "{begin}{line}server.document-root = \"{}\"\n$HTTP[\"host\"] == \"photos.example.org\" {{\n{gallery}\n}}\n",
        other.display()
    );
    let lighttpd = Lighttpd::start(sandbox, &text);
    let guest = Visitor::guest(&scene.world);
    let ask = |host: &str, target: &str| http::request(lighttpd.address(), "GET", target, &[("Host", host)]);
    assert_eq!(ask("other.example.org", "/caf%e9.txt").text(), "of another site\n");
    let path = http::url(scene.world.private_image("bob").original());
    for host in
        ["photos.example.org", "PHOTOS.example.org", "photos.example.org:8080", "other.example.org", ""]
    {
        for tail in ["", "/%80", "/x%c3", "/%e0%80%bf", "/x.css"] {
            let answer = ask(host, &format!("{path}{tail}"));
            assert_eq!(guest.leak(&answer.body), None, "{host} {path}{tail}");
        }
    }
    assert_eq!(ask("photos.example.org", "/index.php").text(), "a page of Piwigo\n");
}

/// A module that is not loaded, another block that comes later, a gate that is away: no bytes, whatever is
/// asked for.
#[test]
fn where_the_gate_is_not_asked_nothing_is_sent() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let _php = PhpFcgi::start(sandbox);
    let text = lighttpd::gallery(sandbox, &config::print(sandbox, "lighttpd", &[]));
    let image = scene.world.image(1);
    let paths = [image.original().to_owned(), image.derivative("th").expect("a picture")];
    let undone = "$HTTP[\"url\"] =~ \"^/upload|^/_data\" { fastcgi.server = ( \".php\" => (( \"socket\" => \"/x\" )) ) }\n";
    let away = |address, statuses: &[u16]| {
        for path in &paths {
            for target in attacks::spellings(&http::url(path)) {
                let answer = http::get(address, &target);
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{target}: {}", answer.text());
            }
            for method in ["GET", "HEAD"] {
                let answer = http::request(address, method, http::url(path), &[]);
                assert!(statuses.contains(&answer.status), "{method} {path}: {}", answer.status);
            }
        }
        assert_eq!(http::get(address, "/themes/default/theme.css").text(), "public style\n");
    };
    let lighttpd = Lighttpd::start(sandbox, &text);
    away(lighttpd.address(), &[503]);
    let lighttpd = Lighttpd::start(sandbox, &format!("{text}{undone}"));
    away(lighttpd.address(), &[403]);
    let lighttpd = Lighttpd::start_with(sandbox, &text, &["mod_setenv"]);
    away(lighttpd.address(), &[403]);
}

/// Without mod_setenv the gate does not learn how to answer, and says no.
#[test]
fn without_mod_setenv_there_is_no_yes() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let _gate = Gate::start(sandbox, &[], &[]);
    let text = lighttpd::gallery(sandbox, &config::print(sandbox, "lighttpd", &[]));
    let lighttpd = Lighttpd::start_with(sandbox, &text, &["mod_fastcgi"]);
    let image = scene.world.private_image("erin");
    for path in [scene.world.image(1).original(), image.original()] {
        let answer = http::get(lighttpd.address(), http::url(path));
        assert!(!answer.text().contains(&files::original_text(image.id)), "{}", answer.text());
        assert_eq!(answer.header("x-sendfile"), None);
    }
}

/// It serves the file where an answer is missing or broken, so the gate never says yes there: not even to who
/// may.
#[test]
fn in_authorizer_mode_nobody_gets_anything() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let gate = Gate::start(sandbox, &[], &[]);
    for (tag, deliver) in [
        ("", ""),
        ("", "setenv.set-environment = ( \"GATE_DELIVER\" => \"authorize\" )"),
        // It may call itself by another name; only Apache's modules say FCGI_APACHE_ROLE.
        ("server.tag = \"Apache\"", "setenv.set-environment = ( \"GATE_DELIVER\" => \"authorize\" )"),
    ] {
        let text = format!(
            "{tag}\nserver.document-root = \"{}\"\n$HTTP[\"url\"] =~ \"^/upload\" {{\n{deliver}\n\
             fastcgi.server = ( \"/\" => (( \"socket\" => \"{}\", \"mode\" => \"authorizer\", \
             \"check-local\" => \"disable\", \"docroot\" => \"{0}\" )) )\n}}\n",
            sandbox.gallery().display(),
            gate.socket().display(),
        );
        let lighttpd = Lighttpd::start(sandbox, &text);
        let image = scene.world.private_image("erin");
        let cookie = scene.world.session("erin").cookie_header();
        for path in [scene.world.image(1).original(), image.original()] {
            let answer = http::request(lighttpd.address(), "GET", http::url(path), &[("Cookie", &cookie)]);
            assert_eq!((answer.status, answer.text().as_str()), (403, "Forbidden\n"), "{path}");
        }
    }
    assert!(gate.log_text().contains("use mode responder with x-sendfile"), "{}", gate.log_text());
}

#[test]
fn a_gallery_in_a_sub_directory_and_a_gate_on_tcp() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let _php = PhpFcgi::start(sandbox);
    let (_gate, address) = Gate::start_tcp(sandbox, &[]);
    let listen = format!("tcp:{address}");
    let guard = config::print_listening(sandbox, "lighttpd", &listen, &["--url-prefix", "/piwigo"]);
    let lighttpd = Lighttpd::start(sandbox, &lighttpd::gallery_at(sandbox, "/piwigo", &guard));
    site::a_sub_directory_is_guarded(lighttpd.address(), &scene, "/piwigo");
    site::no_other_spelling_of_the_prefix_opens_anything(lighttpd.address(), &scene);
    assert_eq!(http::get(lighttpd.address(), "/piwigo/index.php").text(), "a page of Piwigo\n");
}
