//! A resized picture that the gate leaves to Piwigo's `i.php`: how long its answer may be kept, when PHP
//! makes it and when PHP fails. In every set-up.

use std::fs;

use crate::support::http::{self, Response};
use crate::support::scene::Scene;
use crate::support::setup::Setup;

const KEPT: &str = "private, max-age=600";

/// A picture, with the headers that Piwigo's `i.php` sends beside it.
const MAKES: &str = "<?php header('Expires: ' . gmdate('D, d M Y H:i:s', time() + 864000) . ' GMT');\n\
                     header('Last-Modified: Tue, 01 Nov 2022 10:00:00 GMT'); header('Content-Type: image/jpeg');\n\
                     echo 'a picture by i.php';";

/// The same picture, unchanged since the browser got it.
const UNCHANGED: &str =
    "<?php header('Last-Modified: Tue, 01 Nov 2022 10:00:00 GMT'); http_response_code(304);";

/// An error that everybody might keep.
const FAILS: &str = "<?php header('Cache-Control: public, max-age=864000'); header('Pragma: cache');\n\
                     header('Expires: ' . gmdate('D, d M Y H:i:s', time() + 864000) . ' GMT');\n\
                     http_response_code(STATUS); echo 'failed in i.php';";

/// An exception that nobody catches.
const DIES: &str = "<?php ini_set('display_errors', '0'); throw new Exception('x');";

fn is_apache(setup: Setup) -> bool {
    matches!(
        setup,
        Setup::ApacheXsendfile | Setup::Htaccess | Setup::ApacheAccessChecker | Setup::ApacheAuthnz
    )
}

fn is_nginx(setup: Setup) -> bool {
    matches!(setup, Setup::Nginx | Setup::NginxAuthRequest | Setup::NginxAuthCache)
}

/// Whether the gate's yes leads to `i.php` there.
fn hands_over(setup: Setup) -> bool {
    is_apache(setup) || is_nginx(setup) || setup == Setup::Caddy
}

/// Apache puts the word beside the gate's where the error is its own. Caches go by the strictest word.
#[track_caller]
fn is_kept_nowhere(answer: &Response, may_be_apaches: bool, what: &str) {
    let said = answer.all("cache-control");
    let is_said = said == ["no-store"] || may_be_apaches && said == ["no-store", KEPT];
    assert!(is_said, "{what}: {answer:?}");
    for name in ["expires", "pragma", "x-piwigo-gate-cache"] {
        assert_eq!(answer.header(name), None, "{what}: {answer:?}");
    }
}

fn an_error_of_php_is_kept_nowhere(setup: Setup) {
    let scene = Scene::start();
    let image = scene.world.private_image("erin");
    let server = setup.start(&scene, &["derivatives = \"piwigo\""]);
    let missing = http::url(&image.derivative("sq").expect("one"));
    let ask = || scene.request(server.address(), "GET", &missing, Some("erin"), &[]);
    if !hands_over(setup) {
        let answer = ask();
        assert!(matches!(answer.status, 403 | 404), "{setup:?} {answer:?}");
        return is_kept_nowhere(&answer, false, &format!("{setup:?}"));
    }

    // PHP is not there. Apache starts it by a program, the others reach it by its socket.
    let php =
        if is_apache(setup) { scene.sandbox.path().join("php-wrapper") } else { scene.sandbox.php_socket() };
    let away = php.with_extension("away");
    fs::rename(&php, &away).expect("PHP's program or socket");
    let answer = ask();
    assert!(matches!(answer.status, 500 | 502 | 503), "{setup:?} {answer:?}");
    is_kept_nowhere(&answer, is_apache(setup), &format!("{setup:?}: no PHP"));
    fs::rename(&away, &php).expect("PHP's program or socket");

    for (script, status) in [(DIES.to_owned(), 500)]
        .into_iter()
        .chain([400, 403, 404, 500, 503].map(|status| (FAILS.replace("STATUS", &status.to_string()), status)))
    {
        scene.sandbox.write("gallery/i.php", script);
        let answer = ask();
        // nginx answers in PHP's place.
        let expected = match status {
            500.. if is_nginx(setup) => 503,
            400.. if is_nginx(setup) => 404,
            _ => status,
        };
        assert_eq!(answer.status, expected, "{setup:?} {answer:?}");
        is_kept_nowhere(&answer, false, &format!("{setup:?} {status}"));
    }

    for (script, status, body) in [(MAKES, 200, "a picture by i.php"), (UNCHANGED, 304, "")] {
        scene.sandbox.write("gallery/i.php", script);
        let answer = ask();
        assert_eq!((answer.status, &*answer.text()), (status, body), "{setup:?} {answer:?}");
        assert_eq!(answer.all("cache-control"), [KEPT], "{setup:?} {answer:?}");
        assert_eq!(answer.all("vary"), ["Cookie"], "{setup:?} {answer:?}");
        for name in ["expires", "pragma", "x-piwigo-gate-cache"] {
            assert_eq!(answer.header(name), None, "{setup:?} {answer:?}");
        }
        let last = answer.header("last-modified");
        assert_eq!(last, Some("Tue, 01 Nov 2022 10:00:00 GMT"), "{setup:?} {answer:?}");
    }
}

crate::for_every_setup!(an_error_of_php_is_kept_nowhere);

/// An original that is gone: once it is there again, a browser shows it.
fn a_missing_file_is_kept_nowhere(setup: Setup) {
    let scene = Scene::start();
    let image = scene.world.private_image("erin");
    fs::remove_file(scene.sandbox.gallery().join(image.original())).expect("an original");
    let server = setup.start(&scene, &[]);
    let answer = scene.request(server.address(), "GET", &http::url(image.original()), Some("erin"), &[]);
    assert!(matches!(answer.status, 403 | 404), "{setup:?} {answer:?}");
    is_kept_nowhere(&answer, is_apache(setup), &format!("{setup:?}"));
}

crate::for_every_setup!(a_missing_file_is_kept_nowhere);
