//! `piwigo-gate doctor --url` asks for a resized picture that only Piwigo can make, and names a PHP pool that
//! is dead or not the gallery's. Real nginx, MariaDB, gate and PHP.

use crate::support::examined::{Report, Setting};
use crate::support::nginx;
use crate::support::scene::Scene;

const ID: &str = "outside-php";
const BY_PIWIGO: &[&str] = &["--derivatives", "piwigo"];

const FAILS: &str = "<?php http_response_code(500);";
const FINDS_NOTHING: &str = "<?php http_response_code(404);";

/// The sizes of the gallery that lie on disk.
fn sizes(setting: &Setting) -> usize {
    let pattern = setting.sandbox().gallery().join("_data/i/**/*");
    glob::glob(pattern.to_str().expect("UTF-8")).expect("a pattern").count()
}

fn examine(arguments: &[&str], i_php: Option<&str>, change: impl Fn(String) -> String) -> Report {
    let setting = Setting::of(Scene::start(), arguments);
    if let Some(script) = i_php {
        setting.sandbox().write("gallery/i.php", script);
    }
    let setting = setting.with_guard(nginx::ACCEL, change);
    let before = sizes(&setting);
    let report = setting.report(arguments);
    assert_eq!(sizes(&setting), before, "the stand-in makes none, and nor does doctor");
    report
}

/// The world's originals are no pictures: the gate leaves them to Piwigo even where it makes sizes.
#[test]
fn a_pool_that_does_not_answer_as_the_gallerys_is_named() {
    let right = |file: String| file;
    for arguments in [&[][..], BY_PIWIGO] {
        let report = examine(arguments, None, right);
        report.says(ID, "ok", "comes");
        assert_eq!(report.all("problem"), [""; 0], "{}", report.text);

        let dead = |file: String| file.replace("run/php.sock", "run/nobody.sock");
        let report = examine(arguments, None, dead);
        report.says(ID, "problem", "answers 503");
        assert_eq!(report.all("problem"), [ID], "{}", report.text);

        let report = examine(arguments, Some(FAILS), right);
        report.says(ID, "problem", "answers 503");
        assert_eq!(report.all("problem"), [ID], "{}", report.text);

        let level = if arguments.is_empty() { "note" } else { "warning" };
        let report = examine(arguments, Some(FINDS_NOTHING), right);
        report.says(ID, level, "answers 404");
        assert_eq!(report.all("problem"), [""; 0], "{}", report.text);
    }
}

/// Where nothing is made, a size that is missing says nothing about PHP.
#[test]
fn php_is_not_asked_where_no_size_is_made() {
    let dead = |file: String| file.replace("run/php.sock", "run/nobody.sock");
    let report = examine(&["--derivatives", "existing"], None, dead);
    assert!(!report.findings.contains_key(ID), "{}", report.text);
    assert_eq!(report.all("problem"), [""; 0], "{}", report.text);
}
