//! `i.php?…&ajaxload=true`: scripts of Piwigo's pages (`thumbnails.loader.js`, `batchManagerGlobal.js`) ask
//! where a size lies, and wait until it is there. In every set-up that asks the gate about `i.php`.

use std::fs;

use crate::support::apache::Apache;
use crate::support::browser::Browser;
use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::nginx::{self, Nginx};
use crate::support::php::{self, PhpFcgi};
use crate::support::scene::Scene;
use crate::support::setup::{ApacheSite, Setup};
use crate::support::site::plain;
use crate::support::{config, pictures};
use serde_json::Value;

/// The forms of a request for this file below `_data/i/`.
fn forms(derivative: &str) -> [String; 5] {
    let name = http::url(derivative.strip_prefix("_data/i").expect("a derivative").trim_start_matches('/'));
    [
        format!("/i.php?{name}&ajaxload=true"),
        format!("/i.php?{name}&b=1700000000&ajaxload=true"),
        format!("/i.php{name}?ajaxload=true"),
        format!("/i?{name}&ajaxload=true"),
        format!("/i{name}?ajaxload=true"),
    ]
}

/// The picture's address in an answer that no browser keeps.
fn address(answer: &Response, what: &str) -> String {
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    assert!(answer.all("cache-control").join(", ").starts_with("no-store"), "{what}: {answer:?}");
    assert_eq!(answer.all("vary").join(","), "Cookie", "{what}: {answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}: {answer:?}");
    for name in ["etag", "last-modified", "expires", "pragma", "location", "x-sendfile", "x-accel-redirect"] {
        assert_eq!(answer.header(name), None, "{what}: {answer:?}");
    }
    let json: Value = serde_json::from_slice(&answer.body).expect(what);
    json["url"].as_str().expect(what).to_owned()
}

/// What the gate itself answers.
fn address_by_the_gate(answer: &Response, what: &str) -> String {
    let url = address(answer, what);
    let length = answer.body.len().to_string();
    // mod_proxy_fcgi sends no length of its own answers' bodies.
    let expected = if answer.header("transfer-encoding").is_some() { None } else { Some(&*length) };
    assert_eq!(answer.header("content-length"), expected, "{what}: {answer:?}");
    assert_eq!(answer.all("cache-control"), ["no-store"], "{what}: {answer:?}");
    assert_eq!(answer.all("content-type"), ["application/json"], "{what}: {answer:?}");
    url
}

fn answers_scripts(setup: Setup) -> bool {
    // Where the server only asks, `i.php` is closed.
    !matches!(
        setup,
        Setup::NginxAuthRequest
            | Setup::NginxAuthCache
            | Setup::ApacheAuthnz
            | Setup::CaddyForwardAuth
            | Setup::ApacheAccessChecker
    )
}

fn a_script_is_told_where_a_size_lies(setup: Setup) {
    let scene = Scene::start();
    let image = scene.world.private_image("erin");
    pictures::write_original(&scene.sandbox, image);
    scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path, width, height, rotation) VALUES (961, 'x', './upload/a&b %?.jpg', 120, 90, 0);
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (961, 1);",
    );
    let small = pictures::jpeg(120, 90, 1);
    pictures::write(&scene.sandbox, "upload/a&b %?.jpg", &small);
    let server = setup.start(&scene, &[]);
    let get = |target: &str, user| scene.request(server.address(), "GET", target, user, &[]);
    let (there, missing) = (image.derivative("th").expect("one"), image.derivative("sq").expect("one"));
    let on_disk = |path: &str| scene.sandbox.gallery().join(path);
    for path in [&there, &missing] {
        for target in forms(path) {
            let refused = plain(get(&target, Some("alice")));
            assert_eq!(refused.status, 403, "{setup:?} {target}");
            let of_nothing = plain(get(&target.replace(".jpg", "x.jpg"), Some("alice")));
            assert_eq!(refused, of_nothing, "{setup:?} {target}");
        }
    }
    assert!(!on_disk(&missing).exists(), "{setup:?}: made for a stranger");
    if !answers_scripts(setup) {
        for target in forms(&there) {
            assert_eq!(get(&target, Some("erin")).status, 403, "{setup:?} {target}");
        }
        return;
    }
    for path in [&there, &missing] {
        for target in forms(path) {
            let what = format!("{setup:?} {target}");
            let answer = get(&target, Some("erin"));
            assert_eq!(address_by_the_gate(&answer, &what), http::url(path), "{what}");
            assert!(on_disk(path).exists(), "{what}: made before the answer");
            let head = scene.request(server.address(), "HEAD", &target, Some("erin"), &[]);
            let length = answer.header("content-length");
            assert_eq!(
                (head.status, head.body.len(), head.header("content-length")),
                (200, 0, length),
                "{what}"
            );
            let since = [("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")];
            let again = scene.request(server.address(), "GET", &target, Some("erin"), &since);
            assert_eq!((again.status, &again.body), (200, &answer.body), "{what}");
        }
        let picture = get(&http::url(path), Some("erin"));
        assert_eq!((picture.status, picture.body), (200, fs::read(on_disk(path)).expect("it was made")));
    }
    // A file's own address is the file, as on every web server.
    let file = get(&format!("{}?ajaxload=true", http::url(&missing)), Some("erin"));
    assert_eq!(file.body, fs::read(on_disk(&missing)).expect("it was made"), "{setup:?}");
    // No size is made of a small picture: it is shown itself.
    let target = "/i.php?/upload/a%26b%20%25%3F-me.jpg&ajaxload=true";
    let url = address_by_the_gate(&get(target, None), &format!("{setup:?} {target}"));
    assert_eq!(url, http::url("upload/a&b %?.jpg"), "{setup:?}");
    // mod_proxy_fcgi refuses every URL with %3f.
    let status = if setup == Setup::ApacheProxy { 403 } else { 200 };
    let picture = get(&url, None);
    assert_eq!((picture.status, picture.body == small), (status, status == 200), "{setup:?}");
}

crate::for_every_setup!(a_script_is_told_where_a_size_lies);

/// What is left to Piwigo comes as Piwigo says it; the gate passes on that an address is asked for.
fn piwigo_is_asked_for_the_address_of_what_it_makes(setup: Setup) {
    if !answers_scripts(setup) {
        return;
    }
    let scene = Scene::start();
    let image = scene.world.private_image("erin");
    let server = setup.start(&scene, &["derivatives = \"piwigo\""]);
    let missing = image.derivative("sq").expect("one");
    let hands_over = matches!(setup, Setup::Nginx | Setup::ApacheXsendfile | Setup::Htaccess | Setup::Caddy);
    for target in forms(&missing) {
        let what = format!("{setup:?} {target}");
        assert_eq!(scene.request(server.address(), "GET", &target, Some("alice"), &[]).status, 403, "{what}");
        let answer = scene.request(server.address(), "GET", &target, Some("erin"), &[]);
        if hands_over {
            assert_eq!(answer.header("x-made-by"), Some("i.php"), "{what}: {}", answer.text());
            // Piwigo names scheme and host, too.
            let url = address(&answer, &what);
            let path = url.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
            assert_eq!(path, Some(&*http::url(&missing)), "{what}: {url}");
        } else {
            assert_eq!(answer.status, 404, "{what}: {}", answer.text());
        }
    }
    let picture = &forms(&missing)[0].replace("&ajaxload=true", "");
    let answer = scene.request(server.address(), "GET", picture, Some("erin"), &[]);
    assert_eq!(answer.text().starts_with("made by i.php: "), hands_over, "{setup:?}: {}", answer.text());
}

crate::for_every_setup!(piwigo_is_asked_for_the_address_of_what_it_makes);

/// A gallery in a sub-directory of its site: its address begins with that directory, whether the gate or
/// Piwigo says it.
#[test]
fn the_address_is_that_of_a_gallery_in_a_sub_directory() {
    for by_piwigo in [false, true] {
        for setup in [Setup::Nginx, Setup::ApacheXsendfile, Setup::Htaccess] {
            let scene = Scene::start();
            let sandbox = &scene.sandbox;
            let image = scene.world.private_image("erin");
            pictures::write_original(sandbox, image);
            let missing = image.derivative("sq").expect("one");
            let maker = if by_piwigo { "derivatives = \"piwigo\"" } else { "" };
            sandbox.write("gallery/local/config/gate.toml", maker);
            let (at, _servers): (_, Box<dyn std::any::Any>) = if setup == Setup::Nginx {
                let servers = (PhpFcgi::start(sandbox), Gate::start(sandbox, &[], &[]));
                let guard = config::print(sandbox, "nginx", &["--url-prefix", "/piwigo"]);
                let nginx = Nginx::start(sandbox, &nginx::gallery_at(sandbox, "/piwigo", &guard));
                (nginx.address(), Box::new((nginx, servers)))
            } else {
                php::write_scripts(sandbox);
                let ApacheSite { outside, host, modules, .. } = setup.apache_site(sandbox, "/piwigo");
                let apache = Apache::start_with(sandbox, &outside, &host, modules);
                (apache.address(), Box::new(apache))
            };
            let what = format!("{setup:?}, by Piwigo: {by_piwigo}");
            let target = format!("/piwigo{}", forms(&missing)[0]);
            let answer = scene.request(at, "GET", &target, Some("erin"), &[]);
            assert_eq!(answer.header("x-made-by").is_some(), by_piwigo, "{what}: {}", answer.text());
            let url = address(&answer, &what);
            assert!(url.ends_with(&format!("/piwigo{}", http::url(&missing))), "{what}: {url}");
            assert_eq!(url.matches("/piwigo").count(), 1, "{what}: {url}");
            assert!(by_piwigo || url.starts_with("/piwigo/"), "{what}: {url}");
        }
    }
}

/// Loads pictures and makes sizes as the two scripts of Piwigo's pages do.
const PAGE: &str = r"<!doctype html><title>sizes</title>
<script>
function ask(url, done, failed) {
  const request = new XMLHttpRequest();
  request.open('GET', url);
  request.setRequestHeader('Accept', 'application/json, text/javascript, */*; q=0.01');
  request.setRequestHeader('X-Requested-With', 'XMLHttpRequest');
  request.onload = () => {
    let result;
    try { result = JSON.parse(request.responseText); } catch { result = null; }
    if (request.status === 200 && result) done(result); else failed();
  };
  request.onerror = failed;
  request.send();
}
// As the loader of thumbnails: four tries, then the icon of an error.
function load(source) {
  return new Promise((tell) => {
    const image = new Image();
    image.onload = () => tell([image.naturalWidth, image.naturalHeight].join('x'));
    image.onerror = () => tell('broken');
    const attempt = (tries) => ask(
      source + (source.includes('?') ? '&' : '?') + 'ajaxload=true',
      (result) => { image.src = result.url; },
      () => { if (tries < 3) attempt(tries + 1); else tell('error icon'); });
    attempt(0);
  });
}
// As the batch manager: counts the sizes that were made.
function make(sources) {
  const one = (source) => new Promise(
    (tell) => ask(source + '&b=1700000000&ajaxload=true', () => tell(true), () => tell(false)));
  return Promise.all(sources.map(one)).then((made) => [made.filter(Boolean).length, made.length]);
}
</script>";

#[test]
fn thumbnails_and_the_batch_manager_work_in_a_browser() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let private = scene.world.private_image("erin");
    pictures::write_original(sandbox, private);
    sandbox.write("gallery/sizes.html", PAGE);
    let server = Setup::Nginx.start(&scene, &[]);
    let source =
        |token: &str| format!("i.php?/{}", &private.derivative(token).expect("one")["_data/i/".len()..]);
    let mut browser = Browser::start(sandbox);
    let page = format!("http://{}/sizes.html", server.address());
    browser.open(&page);
    let load = |source: &str| format!("load({source:?})");
    assert_eq!(browser.evaluate(&load(&source("sq"))), "error icon", "a guest");
    assert_eq!(
        browser.evaluate(&format!("make([{:?}])", source("2s"))),
        serde_json::json!([0, 1]),
        "a guest"
    );
    for (name, value) in &scene.world.session("erin").cookies {
        browser.evaluate(&format!("document.cookie = '{name}={value}; path=/'"));
    }
    assert_eq!(browser.evaluate(&load(&source("sq"))), "120x120", "a size that did not exist");
    assert_eq!(browser.evaluate(&load(&source("sq"))), "120x120", "a size that exists");
    let path_info = source("sq").replace('?', "");
    assert_eq!(browser.evaluate(&load(&path_info)), "120x120", "question_mark_in_urls = false");
    let sizes = format!("make([{:?}, {:?}, 'i.php?/upload/none-th.jpg'])", source("2s"), source("xs"));
    assert_eq!(browser.evaluate(&sizes), serde_json::json!([2, 3]));
    for token in ["2s", "xs"] {
        let file = sandbox.gallery().join(private.derivative(token).expect("one"));
        assert!(fs::metadata(file).is_ok_and(|file| file.len() > 500), "{token} was made");
    }
}
