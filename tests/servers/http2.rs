//! HTTP/2 in front of every set-up: there a browser sends each of its cookies in a field of its own, paths
//! are not lines, and the server makes of both what it hands to the gate.

use crate::support::scene::Scene;
use crate::support::setup::Setup;
use crate::support::{http, http2};

/// Erin, who may, is followed by who may not: nobody profits from what was just decided for another one.
fn a_visitor_is_known_whatever_fields_the_cookies_come_in(setup: Setup) {
    let scene = Scene::start();
    scene.sandbox.let_servers_speak_http2();
    let server = setup.start(&scene, &[]);
    let image = scene.world.private_image("erin");
    let get = |target: &str, cookies: &[&str]| {
        let headers: Vec<_> = cookies.iter().map(|cookie| ("Cookie", *cookie)).collect();
        http2::request(server.address(), "GET", target, &headers)
    };
    let session = |user| scene.world.session(user).cookie_header();
    let (erin, alice) = (session("erin"), session("alice"));
    for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
        let url = http::url(&path);
        for cookies in [
            vec![&*erin],
            vec!["first=1", &erin, "last=\"a b\""],
            vec!["first=1; second=2", &erin],
            vec![&erin, "pwg_remember=nonsense"],
        ] {
            let answer = get(&url, &cookies);
            assert_eq!(answer.status, 200, "{setup:?}: {path} with {cookies:?}: {}", answer.text());
            assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{setup:?}");
            for header in ["x-accel-redirect", "x-sendfile", "location"] {
                assert_eq!(answer.header(header), None, "{setup:?}");
            }
            for others in [vec![], vec!["first=1"], vec!["first=1", &alice], vec![&*alice, "last=1"]] {
                let answer = get(&url, &others);
                assert_eq!(answer.status, setup.refusal(), "{setup:?}: {path} with {others:?}");
            }
        }
    }
}

crate::for_every_setup!(a_visitor_is_known_whatever_fields_the_cookies_come_in);

fn a_path_is_judged_as_over_http_1(setup: Setup) {
    let scene = Scene::start();
    scene.sandbox.let_servers_speak_http2();
    let server = setup.start(&scene, &[]);
    let image = scene.world.private_image("erin");
    let url = http::url(image.original());
    let (directory, name) = url.rsplit_once('/').expect("a directory");
    let erin = scene.world.session("erin").cookie_header();
    let secret = crate::support::files::original_text(image.id);
    for target in [
        url.clone(),
        format!("{url}?x=/index.php"),
        format!("/%75{}", &url[2..]),
        format!("/{url}"),
        format!("{directory}//{name}"),
        format!("{directory}/./{name}"),
        format!("/themes/..{url}"),
        format!("{directory}/%2e/{name}"),
        format!("{url}/"),
        format!("{url}/x.php"),
        format!("{url}/%80"),
        format!("{url}/x%c3"),
        format!("{url}/%e0%80%bf"),
        format!("/%5c{}", &url[1..]),
        format!("/\\{}", &url[1..]),
        format!("/upload%5c{}", &url["/upload".len()..]),
        format!("/i.php?{url}"),
        format!("/_gate/file{url}"),
    ] {
        let answer = http2::request(server.address(), "GET", &target, &[]);
        assert!(
            answer.status >= 300 && !answer.text().contains(&secret),
            "{setup:?}: {target}: {}",
            answer.text()
        );
    }
    let answer = |method, headers: &[(&str, &str)]| http2::request(server.address(), method, &url, headers);
    let whole = answer("GET", &[("Cookie", &erin)]);
    assert_eq!((whole.status, whole.text()), (200, secret.clone()), "{setup:?}");
    let part = answer("GET", &[("Cookie", &erin), ("Range", "bytes=0-3")]);
    assert_eq!((part.status, part.text()), (206, secret[..4].to_owned()), "{setup:?}");
    let head = answer("HEAD", &[("Cookie", &erin)]);
    let length = secret.len().to_string();
    assert_eq!((head.status, head.all("content-length")), (200, vec![&*length]), "{setup:?}");
    assert_eq!(answer("HEAD", &[]).status, setup.refusal(), "{setup:?}");
}

crate::for_every_setup!(a_path_is_judged_as_over_http_1);
