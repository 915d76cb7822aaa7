//! Resized pictures that the gate makes: once, for who may see them, whole or not at all; through real nginx.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant, SystemTime};

use crate::support::gate::{self, Gate};
use crate::support::http::{self, Response};
use crate::support::nginx::{self, Nginx};
use crate::support::patience::PATIENCE;
use crate::support::php::PhpFcgi;
use crate::support::pictures;
use crate::support::scene::Scene;
use crate::support::stream::{Front, Kind};
use crate::support::world::Image;
use piwigo_gate::http::reply::{Handover, Reply, SendMode};
use piwigo_gate::http::request::Request;
use piwigo_gate::settings::Options;

/// A picture that erin may see and a guest may not, and how it is asked for.
struct Private {
    image: Image,
    cookie: String,
}

impl Private {
    fn of(scene: &Scene) -> Self {
        let image = scene.world.private_image("erin").clone();
        pictures::write_original(&scene.sandbox, &image);
        Private { image, cookie: scene.world.session("erin").cookie_header() }
    }

    fn path(&self, token: &str) -> String {
        self.image.derivative(token).expect("a picture")
    }

    fn get(&self, address: SocketAddr, token: &str) -> Response {
        http::request(address, "GET", http::url(&self.path(token)), &[("Cookie", &self.cookie)])
    }
}

/// A picture that everybody may see.
fn public(scene: &Scene) -> &Image {
    let image = scene.world.image(1);
    pictures::write_original(&scene.sandbox, image);
    image
}

/// Another one, with a derivative `th` that is fresh.
fn another(scene: &Scene) -> &Image {
    let visible = |image: &&Image| image.id != 1 && image.is_picture() && scene.world.verdict(2, image.id).0;
    scene.world.images.iter().find(visible).expect("a second public picture")
}

fn get(address: SocketAddr, image: &Image, token: &str) -> Response {
    http::get(address, http::url(&image.derivative(token).expect("a picture")))
}

fn file(scene: &Scene, path: &str) -> PathBuf {
    scene.sandbox.gallery().join(path)
}

fn is_whole_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8") && bytes.ends_with(b"\xff\xd9")
}

#[test]
fn a_missing_derivative_is_made_once_for_64_who_ask_at_once() {
    let scene = Scene::start();
    let private = Private::of(&scene);
    let gate = Gate::start(&scene.sandbox, &["--log", "debug"], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let url = http::url(&private.path("me"));
    let start = Arc::new(Barrier::new(64));
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let (start, url, cookie) = (start.clone(), url.clone(), private.cookie.clone());
            let address = nginx.address();
            std::thread::spawn(move || {
                start.wait();
                http::request(address, "GET", &url, &[("Cookie", &cookie)])
            })
        })
        .collect();
    let answers: Vec<Response> = clients.into_iter().map(|client| client.join().expect("a client")).collect();
    let bytes = fs::read(file(&scene, &private.path("me"))).expect("it is there");
    for answer in answers {
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), gate.log_text());
        assert!(is_whole_jpeg(&bytes) && answer.body == bytes);
        assert_eq!(answer.all("content-type"), ["image/jpeg"]);
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"]);
    }
    let log = gate.log_text();
    let made = log.lines().filter(|line| line.contains(" made ") && line.contains("-me.jpg")).count();
    assert_eq!(made, 1, "{log}");
}

#[test]
fn what_is_made_lies_as_piwigo_would_have_put_it() {
    for server in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let scene = Scene::start();
        let private = Private::of(&scene);
        // As after the administrator's "delete all resized pictures".
        fs::remove_dir_all(file(&scene, "_data/i")).expect("it was there");
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, server);
        let answer = private.get(nginx.address(), "sq");
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), gate.log_text());
        let made = file(&scene, &private.path("sq"));
        assert_eq!(fs::read(&made).expect("it is there"), answer.body);
        let directory = made.parent().expect("a directory");
        assert_eq!(fs::read(directory.join("index.htm")).expect("index.htm"), b"Not allowed!");
        assert_eq!(fs::metadata(&made).expect("it is there").permissions().mode() & 0o777, 0o644);
        let (data, leaf) = (fs::metadata(file(&scene, "_data")), fs::metadata(directory));
        let (data, leaf) = (data.expect("_data"), leaf.expect("its directory"));
        assert_eq!((leaf.mode(), leaf.uid(), leaf.gid()), (data.mode(), data.uid(), data.gid()));
        assert_eq!(fs::read_dir(directory).expect("its entries").count(), 2, "nothing unfinished");
    }
}

#[test]
fn nothing_is_made_for_a_stranger() {
    for server in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let scene = Scene::start();
        let private = Private::of(&scene);
        let _gate = Gate::start(&scene.sandbox, &[], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, server);
        let below = file(&scene, "_data/i");
        let before = pictures::files_below(&below);
        let plain = |path: &str| {
            let mut answer = http::get(nginx.address(), http::url(path));
            answer.headers.retain(|(name, _)| name != "date");
            answer
        };
        let unknown = plain("_data/i/upload/unknown-sq.jpg");
        for token in ["sq", "2s", "xx", "cu_s100"] {
            assert_eq!(plain(&private.path(token)), unknown, "{token}");
        }
        assert_eq!(private.get(nginx.address(), "3x").status, 403, "a size that is not enabled");
        assert_eq!(pictures::files_below(&below), before);
        assert_eq!(private.get(nginx.address(), "sq").status, 200);
        assert_eq!(pictures::files_below(&below).len(), before.len() + 1);
    }
}

#[test]
fn a_derivative_is_made_again_when_its_source_is_newer_and_only_then() {
    let scene = Scene::start();
    let image = public(&scene);
    let source = file(&scene, image.original());
    let made = file(&scene, &image.derivative("2s").expect("a picture"));
    let _gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let ask = || {
        assert_eq!(get(nginx.address(), image, "2s").status, 200);
        let metadata = fs::metadata(&made).expect("it is there");
        (metadata.ino(), metadata.modified().expect("its time"))
    };
    let first = ask();
    assert_eq!(ask(), first);
    // Also one that was replaced while the old one was being made: that is dated before its making.
    pictures::date(&source, SystemTime::now());
    let second = ask();
    assert!(second.0 != first.0 && second.1 > first.1, "{first:?} {second:?}");
    assert_eq!(ask(), second);
    // A camera with a wrong clock: as new as its source, so that it is not made for every visitor.
    let future = SystemTime::now() + Duration::from_hours(24 * 365);
    pictures::date(&source, future);
    let third = ask();
    assert_ne!(third.0, second.0);
    assert_eq!(ask(), third);
}

/// A picture that the gate's decoders do not read, by the name of its file in `tests/pictures`.
fn unreadable(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name)).expect(name)
}

#[test]
fn what_the_gate_cannot_decode_is_left_to_piwigo_and_not_tried_again() {
    for server in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let scene = Scene::start();
        let image = public(&scene);
        let good = fs::read(file(&scene, image.original())).expect("it is there");
        let other = another(&scene).clone();
        let _php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, server);
        let bad: [(&str, Vec<u8>); 8] = [
            ("text", b"original\n".to_vec()),
            ("empty", Vec::new()),
            ("too large", pictures::bomb()),
            ("nothing but a beginning", b"\xff\xd8\xff".to_vec()),
            ("a BMP", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec()),
            ("a TIFF", unreadable("tiff.jpg")),
            ("an AVIF", unreadable("avif.jpg")),
            ("arithmetic coding", unreadable("arithmetic.jpg")),
        ];
        let lines = || gate.log_text().matches("left to Piwigo").count();
        for (number, (what, bytes)) in bad.iter().enumerate() {
            let source = pictures::write(&scene.sandbox, image.original(), bytes);
            pictures::date(&source, SystemTime::now() - Duration::from_secs(1000 - number as u64));
            for token in ["2s", "2s", "sq"] {
                let start = Instant::now();
                let answer = get(nginx.address(), image, token);
                assert!(answer.text().starts_with("made by i.php: "), "{what} {token}: {}", answer.text());
                assert!(start.elapsed() < PATIENCE, "{what}: {:?}", start.elapsed());
            }
            assert_eq!(lines(), number + 1, "{what}: {}", gate.log_text());
            assert_eq!(get(nginx.address(), &other, "th").status, 200, "{what}: others are served");
        }
        assert!(!pictures::files_below(&file(&scene, "_data/i")).iter().any(|name| name.contains("-2s.")));
        pictures::write(&scene.sandbox, image.original(), &good);
        let answer = get(nginx.address(), image, "2s");
        assert!(answer.status == 200 && is_whole_jpeg(&answer.body), "{}", gate.log_text());
    }
}

#[test]
fn what_the_gate_cannot_decode_is_not_shown_to_a_stranger_by_piwigo_either() {
    let scene = Scene::start();
    let private = Private::of(&scene);
    pictures::write(&scene.sandbox, private.image.original(), &unreadable("tiff.jpg"));
    let _php = PhpFcgi::start(&scene.sandbox);
    let _gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    for round in 0..2 {
        assert_eq!(get(nginx.address(), &private.image, "2s").status, 403, "{round}");
        let answer = private.get(nginx.address(), "2s");
        assert!(answer.text().starts_with("made by i.php: "), "{round}: {}", answer.text());
    }
}

#[test]
fn what_the_gate_cannot_decode_is_not_found_where_piwigo_cannot_be_asked() {
    let scene = Scene::start();
    let image = public(&scene);
    pictures::write(&scene.sandbox, image.original(), &unreadable("avif.jpg"));
    let _php = PhpFcgi::start(&scene.sandbox);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let front = Front::start(&scene.sandbox, Kind::Nginx);
    let answer = get(front.address(), image, "2s");
    assert_eq!((answer.status, &*answer.text()), (404, "Not found\n"));
    let log = gate.log_text();
    assert!(log.contains("the web server cannot ask its i.php") && log.contains(image.original()), "{log}");
}

/// A gallery with an animated WebP that everybody may see; its derivative of a size is at the second's URL.
fn animated() -> (Scene, fn(&str) -> String) {
    let scene = Scene::start();
    scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path, level, width, height, rotation) \
         VALUES (960, 'film.webp', './upload/film.webp', 0, 400, 400, 0); \
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (960, 1)",
    );
    pictures::write(&scene.sandbox, "upload/film.webp", &unreadable("animated.webp"));
    (scene, |token| format!("/_data/i/upload/film-{token}.webp"))
}

#[test]
fn an_animated_webp_is_left_to_piwigo_where_piwigo_can_be_asked_and_else_becomes_a_still() {
    for server in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let (scene, url) = animated();
        let _php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, server);
        for token in ["th", "th", "sq"] {
            let answer = http::get(nginx.address(), url(token));
            assert!(answer.text().starts_with("made by i.php: "), "{token}: {}", gate.log_text());
        }
        assert!(gate.log_text().contains("animated WebP"), "{}", gate.log_text());
    }
    let (scene, url) = animated();
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let front = Front::start(&scene.sandbox, Kind::Nginx);
    let answer = http::get(front.address(), url("th"));
    let is_still = answer.body.starts_with(b"RIFF") && !answer.body.windows(4).any(|part| part == b"ANIM");
    assert!(answer.status == 200 && is_still, "{} {}", answer.status, gate.log_text());
}

#[test]
fn a_full_disk_is_a_503_and_leaves_nothing_behind() {
    let scene = Scene::start();
    let image = public(&scene);
    // No file of more than 4 KiB: what a full disk does, without one. The signal would end the process.
    let real = scene.sandbox.path().join("piwigo-gate-itself");
    gate::copy_program(&gate::program(), &real);
    let limited = format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 8\nexec {} \"$@\"\n", real.display());
    scene.sandbox.write_program("piwigo-gate", limited);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let below = file(&scene, "_data/i");
    let before = pictures::files_below(&below);
    for token in ["me", "sm", "me"] {
        let answer = get(nginx.address(), image, token);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{}", gate.log_text());
    }
    assert_eq!(pictures::files_below(&below), before);
    assert_eq!(gate.log_text().matches("others may follow").count(), 1, "{}", gate.log_text());
    assert_eq!(get(nginx.address(), another(&scene), "th").status, 200);
}

#[test]
fn nothing_is_written_through_a_link() {
    let scene = Scene::start();
    let image = public(&scene);
    let (below, elsewhere) = (file(&scene, "_data/i/upload"), scene.sandbox.make_dir("elsewhere"));
    fs::remove_dir_all(&below).expect("it was there");
    std::os::unix::fs::symlink(&elsewhere, &below).expect("a link");
    scene.sandbox.hand_over_link(&below);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    assert_eq!(get(nginx.address(), image, "2s").status, 404, "{}", gate.log_text());
    assert_eq!(pictures::files_below(&elsewhere), [""; 0]);
    assert!(gate.log_text().contains("not written through symbolic links"), "{}", gate.log_text());
}

#[test]
fn where_the_gate_may_not_write_piwigo_makes_it() {
    for server in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let scene = Scene::start();
        let image = public(&scene);
        let _php = PhpFcgi::start(&scene.sandbox);
        let below = file(&scene, "_data/i");
        fs::remove_dir_all(&below).expect("it was there");
        let data = file(&scene, "_data");
        if scene.sandbox.account().is_some() {
            std::os::unix::fs::chown(&data, Some(0), Some(0)).expect("root may");
        }
        fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).expect("its mode");
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, server);
        let answer = get(nginx.address(), image, "2s");
        assert!(answer.text().starts_with("made by i.php: "), "{} {}", answer.text(), gate.log_text());
        assert!(gate.log_text().contains("may not write derivatives"), "{}", gate.log_text());
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
}

#[test]
fn a_gate_that_is_killed_leaves_nothing_that_is_served_as_whole() {
    let scene = Scene::start();
    let images: Vec<Image> =
        (12..26).map(|id| scene.world.image(id).clone()).filter(|image| image.width == Some(900)).collect();
    for image in &images {
        pictures::write_original(&scene.sandbox, image);
    }
    let cookie = scene.world.session("admin").cookie_header();
    let below = file(&scene, "_data/i");
    let is_made = |name: &String| ["-sq.", "-2s.", "-xs."].iter().any(|token| name.contains(token));
    for round in 0..4_u64 {
        let mut gate = Gate::start(&scene.sandbox, &[], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
        let clients: Vec<_> = images
            .iter()
            .flat_map(|image| ["sq", "2s", "xs"].map(|token| image.derivative(token).expect("a picture")))
            .map(|path| {
                let (address, cookie) = (nginx.address(), cookie.clone());
                std::thread::spawn(move || {
                    http::request(address, "GET", http::url(&path), &[("Cookie", &cookie)])
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20 + 60 * round));
        gate.kill();
        for client in clients {
            let answer = client.join().expect("a client");
            assert!(answer.status != 200 || is_whole_jpeg(&answer.body), "{}", answer.status);
        }
        for name in pictures::files_below(&below).iter().filter(|name| is_made(name)) {
            let bytes = fs::read(below.join(name)).expect("it is there");
            assert!(is_whole_jpeg(&bytes), "{name}");
        }
    }
    // What a killed process left has no URL, and goes in time.
    let left = scene.sandbox.write("gallery/_data/i/upload/2026/11/21/.gate-1-1.tmp", "half");
    scene.sandbox.hand_over(&left);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
    let ask = |path: &str| http::request(nginx.address(), "GET", http::url(path), &[("Cookie", &cookie)]);
    assert!([403, 404].contains(&ask("_data/i/upload/2026/11/21/.gate-1-1.tmp").status));
    pictures::date(&left, SystemTime::now() - Duration::from_hours(1));
    for image in &images {
        let path = image.derivative("sm").expect("a picture");
        assert_eq!(ask(&path).status, 200, "{}", gate.log_text());
    }
    assert!(!left.exists());
}

/// What `answer` makes, for the ways of delivery that nginx does not have.
#[tokio::test]
async fn every_way_of_delivery_sends_what_was_made() {
    let scene = Scene::start();
    let image = public(&scene);
    let gate = crate::support::verdicts::gate(&scene.sandbox, Options::default()).await;
    let root = scene.sandbox.gallery();
    for (deliver, token) in [
        (SendMode::XSendfile, "sq"),
        (SendMode::Location, "th"),
        (SendMode::Authorize, "2s"),
        (SendMode::XAccelRedirect, "xs"),
        (SendMode::Stream, "sm"),
        (SendMode::XSendfileEncoded, "me"),
    ] {
        let path = image.derivative(token).expect("a picture");
        let _ = fs::remove_file(root.join(&path));
        let url = http::url(&path);
        let request = Request { deliver: Some(deliver), ..Request::new(url.as_bytes(), "127.0.0.1") };
        let Reply::Allowed { handover, .. } = gate.answer(&request).await else { panic!("{deliver:?}") };
        let bytes = fs::read(root.join(&path)).expect("it was made");
        let right = match &handover {
            Handover::Sendfile { path: sent, length, .. } => {
                Path::new(sent) == root.join(&path) && *length == bytes.len() as u64
            }
            Handover::SendfileEncoded { path: sent } => Path::new(sent) == root.join(&path),
            Handover::LocalFile { path: sent, .. } | Handover::AccelFile { path: sent } => *sent == path,
            Handover::Authorized { .. } | Handover::Authenticated => true,
            Handover::Stream(file) => file.body().map(|body| body.remaining()) == Some(bytes.len() as u64),
            Handover::AccelIPhp { .. }
            | Handover::LocalIPhp { .. }
            | Handover::AccelActionPhp { .. }
            | Handover::LocalActionPhp { .. }
            | Handover::Address(_) => false,
        };
        assert!(right && is_whole_jpeg(&bytes), "{deliver:?}: {handover:?}");
        // `check` asks for the same and makes nothing.
        fs::remove_file(root.join(&path)).expect("it was there");
        let considered = gate.consider(&request, None).await.expect("a verdict");
        assert_eq!(gate.reply(&request, &considered, deliver).await.status(), 200);
        assert!(!root.join(&path).exists(), "{deliver:?}");
    }
}

#[test]
fn derivatives_of_representatives_and_icons_are_made_and_of_other_formats_left_to_piwigo() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let _php = PhpFcgi::start(sandbox);
    let film = scene.world.image(34);
    pictures::write(sandbox, &film.representative().expect("a poster"), &pictures::jpeg(400, 300, 1));
    pictures::write(sandbox, "themes/default/icon/mimetypes/doc.jpg", &pictures::jpeg(200, 200, 1));
    pictures::write(sandbox, "themes/default/icon/mimetypes/doc.svg", b"<svg/>");
    sandbox.hand_over_tree(&sandbox.gallery().join("themes"));
    let gate = Gate::start(sandbox, &[], &[]);
    let nginx = Nginx::start_gallery(sandbox, nginx::ACCEL);
    let cookie = scene.world.session("admin").cookie_header();
    for (path, cookie, by_piwigo) in [
        (film.derivative("sq").expect("a poster"), &*cookie, false),
        ("_data/i/themes/default/icon/mimetypes/doc-sq.jpg".to_owned(), "", false),
        ("_data/i/themes/default/icon/mimetypes/doc-sq.svg".to_owned(), "", true),
    ] {
        let answer = http::request(nginx.address(), "GET", http::url(&path), &[("Cookie", cookie)]);
        assert_eq!(answer.status, 200, "{path} {}", gate.log_text());
        assert_eq!(answer.text().starts_with("made by i.php"), by_piwigo, "{path}");
        assert_eq!(sandbox.gallery().join(&path).exists(), !by_piwigo, "{path}");
    }
}

#[test]
fn an_animation_moves_where_the_setting_says_so() {
    for (arguments, frames) in [(&[][..], 1), (&["--gif-animation"][..], 2)] {
        let scene = Scene::start();
        scene.database.sql(
            "INSERT INTO piwigo_images (id, file, path, level, width, height, rotation) \
             VALUES (960, 'film.gif', './upload/film.gif', 0, 400, 300, 0); \
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES (960, 1)",
        );
        let mut film = Vec::new();
        let mut encoder = gif::Encoder::new(&mut film, 400, 300, &[0, 0, 0, 255, 255, 255]).expect("GIF");
        for colour in [0, 1] {
            let buffer = vec![colour; 400 * 300].into();
            let frame = gif::Frame { width: 400, height: 300, buffer, ..gif::Frame::default() };
            encoder.write_frame(&frame).expect("GIF");
        }
        drop(encoder);
        scene.sandbox.write("gallery/upload/film.gif", film);
        let _gate = Gate::start(&scene.sandbox, arguments, &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
        let answer = http::get(nginx.address(), "/_data/i/upload/film-th.gif");
        assert_eq!(answer.status, 200);
        let mut decoder = gif::DecodeOptions::new().read_info(&*answer.body).expect("GIF");
        let made = std::iter::from_fn(|| decoder.read_next_frame().expect("GIF").map(drop)).count();
        assert_eq!(made, frames, "{arguments:?}");
    }
}
