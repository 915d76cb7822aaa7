//! `action_php = "piwigo"`: downloads go to Piwigo's own `action.php`, in every set-up that a file is shipped
//! for.

use crate::support::http::Response;
use crate::support::php;
use crate::support::scene::Scene;
use crate::support::setup::Setup;

const BY_PIWIGO: &str = "action_php = \"piwigo\"";

/// The set-ups whose files ask the gate about `action.php`, if nothing else is said.
fn gate_answers(setup: Setup) -> bool {
    matches!(
        setup,
        Setup::Nginx
            | Setup::ApacheXsendfile
            | Setup::Htaccess
            | Setup::ApacheProxy
            | Setup::Lighttpd
            | Setup::Caddy
            | Setup::Haproxy
            | Setup::NginxFront
    )
}

/// Piwigo's script has answered, with this query, and no shared cache may keep what it says.
fn is_piwigos(answer: &Response, query: &str, why: &str) {
    assert_eq!((answer.status, &*answer.text()), (200, "action.php of Piwigo\n"), "{why}");
    // lighttpd sends no header without a value.
    assert_eq!(answer.header("x-query").unwrap_or_default(), query, "{why}");
    assert_eq!(answer.header("x-script"), Some("action.php GET"), "{why}");
    let kept = answer.all("cache-control").join(", ");
    assert_eq!(kept, "private, no-cache", "{why}");
    assert!(answer.all("vary").join(", ").contains("Cookie"), "{why}");
    for header in ["expires", "pragma", "x-accel-redirect", "x-sendfile", "location"] {
        assert_eq!(answer.header(header), None, "{why}");
    }
}

/// Whom the gate would allow it and whom not, and queries that the gate refuses to read: all of it is
/// Piwigo's.
fn every_download_is_piwigos(setup: Setup, scene: &Scene, get: impl Fn(&str, Option<&str>) -> Response) {
    let id = scene.world.private_image("erin").id;
    for query in [
        format!("id={id}&part=e"),
        format!("id={id}&part=e&download"),
        "format=1".to_owned(),
        "id=99999999&part=e".to_owned(),
        format!("id={id}&part=e&size=large&nocache=a%26b"),
        format!("id={id}&id=1&part=e&x=X-Y:+a%26b"),
        String::new(),
    ] {
        for user in [None, Some("erin")] {
            let target = format!("/action.php{}{query}", if query.is_empty() { "" } else { "?" });
            is_piwigos(&get(&target, user), &query, &format!("{setup:?} {target} {user:?}"));
        }
    }
    let refused = get(&format!("/action.php?id={id}&part=e&refuse"), None);
    assert_eq!(refused.status, 401, "{setup:?}");
    assert!(!refused.all("cache-control").join(", ").contains("public"), "{setup:?}");
}

/// All else is guarded as ever.
fn nothing_else_is_piwigos(setup: Setup, scene: &Scene, get: impl Fn(&str, Option<&str>) -> Response) {
    let image = scene.world.private_image("erin");
    let original = crate::support::http::url(image.original());
    let resized = crate::support::http::url(&image.derivative("th").expect("a picture"));
    let short = resized.strip_prefix("/_data/i").expect("a resized picture");
    for target in [
        original.clone(),
        resized.clone(),
        format!("/i.php?{short}"),
        format!("/i?{short}"),
        format!("/Action.php?id={}&part=e", image.id),
        format!("/action.PHP?id={}&part=e", image.id),
        format!("/action.php.?id={}&part=e", image.id),
        format!("/action.php%20?id={}&part=e", image.id),
        "/_gate/action.php".to_owned(),
    ] {
        let answer = get(&target, None);
        // Caddy takes capitals for small letters, and looks away from dots and blanks at the end: there this
        // is PHP's as well.
        let is_caddy = matches!(setup, Setup::Caddy | Setup::CaddyForwardAuth);
        if is_caddy && target.to_lowercase().starts_with("/action.php") && answer.status == 200 {
            let is_script = answer.header("x-script").is_some();
            assert!(is_script || answer.text() == "a page of Piwigo\n", "{setup:?} {target}");
            let kept = answer.all("cache-control").join(", ");
            assert!(!is_script || kept == "private, no-cache", "{setup:?} {target}: {kept}");
            continue;
        }
        assert!(matches!(answer.status, 401 | 403 | 404), "{setup:?} {target}: {}", answer.status);
        assert!(!answer.text().contains("Piwigo"), "{setup:?} {target}");
    }
    assert_eq!(get(&original, Some("erin")).status, 200, "{setup:?}");
}

fn a_printed_file_leaves_downloads_to_piwigo(setup: Setup) {
    let scene = Scene::start();
    for name in ["Action.php", "action.PHP"] {
        scene.sandbox.write(&format!("gallery/{name}"), php::ACTION_PHP);
    }
    let server = setup.start(&scene, &[BY_PIWIGO]);
    let get = |target: &str, user: Option<&str>| scene.request(server.address(), "GET", target, user, &[]);
    every_download_is_piwigos(setup, &scene, get);
    nothing_else_is_piwigos(setup, &scene, get);
    let head = scene.request(server.address(), "HEAD", "/action.php?id=1&part=e", None, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0), "{setup:?}");
}

crate::for_every_setup!(a_printed_file_leaves_downloads_to_piwigo);

/// The setting has changed, or a plugin was switched on, and nobody has printed the file again.
fn a_file_that_asks_the_gate_is_led_on_to_piwigo_or_refused(setup: Setup) {
    let scene = Scene::start();
    let server = setup.start(&scene, &[]);
    scene.sandbox.write("gallery/local/config/gate.toml", BY_PIWIGO);
    server.reload();
    let get = |target: &str, user: Option<&str>| scene.request(server.address(), "GET", target, user, &[]);
    if !matches!(setup, Setup::Lighttpd | Setup::ApacheProxy | Setup::Haproxy | Setup::NginxFront) {
        every_download_is_piwigos(setup, &scene, get);
        nothing_else_is_piwigos(setup, &scene, get);
        return;
    }
    // mod_proxy_fcgi and lighttpd follow no such answer, and a front end gets bytes only.
    for (target, user) in [("/action.php?id=1&part=e", None), ("/action.php?id=1&part=e", Some("erin"))] {
        let answer = get(target, user);
        assert_eq!((answer.status, &*answer.text()), (403, "Forbidden\n"), "{setup:?} {target} {user:?}");
    }
    nothing_else_is_piwigos(setup, &scene, get);
    let log = server.gate_log().expect("a gate of its own");
    let told = log.lines().filter(|line| line.contains("Print that file anew")).count();
    assert_eq!(told, 1, "{setup:?}: {log}");
    let refused = "class=denied status=403 path=/action.php reason=\"action.php is left to Piwigo (action_php), and the web \
                   server's file does not lead there: print it anew (piwigo-gate config)\"";
    assert!(log.contains(refused), "{setup:?}: {log}");
}

crate::for_every_setup!(a_file_that_asks_the_gate_is_led_on_to_piwigo_or_refused);

/// A file that was printed before the gate knew of the setting has no way to the script.
#[test]
fn a_file_without_the_word_for_it_is_refused() {
    let scene = Scene::start();
    scene.sandbox.write("gallery/local/config/gate.toml", BY_PIWIGO);
    let _php = crate::support::php::PhpFcgi::start(&scene.sandbox);
    let gate = crate::support::gate::Gate::start(&scene.sandbox, &[], &[]);
    let word = "    fastcgi_param GATE_ACTION_PHP hand-over;";
    let older = crate::support::nginx::ACCEL.replace(word, "    #");
    assert_ne!(older, crate::support::nginx::ACCEL);
    let nginx = crate::support::nginx::Nginx::start_gallery(&scene.sandbox, &older);
    for method in ["GET", "HEAD"] {
        let answer = crate::support::http::request(nginx.address(), method, "/action.php?id=1&part=e", &[]);
        assert_eq!(answer.status, 403);
    }
    assert_eq!(gate.log_text().matches("Print that file anew").count(), 1);
}

/// A header that nginx cannot read would be a 503. Each of these letters is three bytes in the header.
#[test]
fn a_query_is_handed_on_up_to_a_limit() {
    let scene = Scene::start();
    scene.sandbox.write("gallery/local/config/gate.toml", BY_PIWIGO);
    let _php = crate::support::php::PhpFcgi::start(&scene.sandbox);
    let gate = crate::support::gate::Gate::start(&scene.sandbox, &[], &[]);
    let nginx = crate::support::nginx::Nginx::start_gallery(&scene.sandbox, crate::support::nginx::ACCEL);
    for (length, handed) in [(1024, true), (1025, false)] {
        let target = format!("/action.php?x={}", "<".repeat(length - 2));
        let answer = crate::support::http::request(nginx.address(), "GET", &target, &[]);
        if handed {
            is_piwigos(&answer, &format!("x={}", "%3C".repeat(length - 2)), "1024 bytes");
        } else {
            assert_eq!((answer.status, &*answer.text()), (403, "Forbidden\n"));
        }
    }
    assert!(gate.log_text().contains("reason=\"the query is too long to be handed to Piwigo's action.php\""));
}

/// The gate goes on answering where the setting says so, or nothing.
fn the_gate_answers_if_it_is_told_to(setup: Setup) {
    let scene = Scene::start();
    let server = setup.start(&scene, &["action_php = \"gate\""]);
    let answer = scene.request(server.address(), "GET", "/action.php?id=1&part=e", None, &[]);
    let by_piwigo = answer.header("x-script").is_some();
    assert_eq!((answer.status, by_piwigo), (200, !gate_answers(setup)), "{setup:?}");
}

crate::for_every_setup!(the_gate_answers_if_it_is_told_to);
