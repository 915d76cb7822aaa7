//! What a file is said to be, in every set-up: the types that plain nginx knows, and nothing that a browser
//! would run as a page.

use crate::support::http;
use crate::support::scene::Scene;
use crate::support::setup::Setup;

/// Extensions, and what nginx's own table says of them.
const SHOWN: [(&str, &str); 16] = [
    ("bmp", "image/x-ms-bmp"),
    ("flv", "video/x-flv"),
    ("wmv", "video/x-ms-wmv"),
    ("3gp", "video/3gpp"),
    ("avi", "video/x-msvideo"),
    ("mpg", "video/mpeg"),
    ("mid", "audio/midi"),
    ("json", "application/json"),
    ("doc", "application/msword"),
    ("XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("rtf", "application/rtf"),
    ("eps", "application/postscript"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("zip", "application/zip"),
    ("txt", "text/plain"),
];

/// What a browser shows as a page, and its type where nginx says it, or the gate.
const ONLY_SAVED: [(&str, &str); 14] = [
    ("kml", "application/vnd.google-earth.kml+xml"),
    ("GPX", "application/gpx+xml"),
    ("svg", "image/svg+xml"),
    ("xht", "application/octet-stream"),
    ("xhtml", "application/octet-stream"),
    ("html", "application/octet-stream"),
    ("xml", "application/octet-stream"),
    ("rss", "application/octet-stream"),
    ("atom", "application/octet-stream"),
    ("rdf", "application/octet-stream"),
    ("xspf", "application/octet-stream"),
    ("mathml", "application/octet-stream"),
    ("js", "application/octet-stream"),
    ("css", "application/octet-stream"),
];

/// Apache knows these by its own table, and browsers show them as pages.
const OTHER_XML: [&str; 4] = ["wsdl", "srgs", "dae", "xop"];

const PAGE: &str = "<html xmlns=\"http://www.w3.org/1999/xhtml\"><script>alert(1)</script></html>\n";

/// Whether the server finds a type in a table of its own.
fn has_its_own_table(setup: Setup) -> bool {
    matches!(
        setup,
        Setup::Htaccess | Setup::ApacheAccessChecker | Setup::ApacheAuthnz | Setup::CaddyForwardAuth
    )
}

fn files_are_what_they_are(setup: Setup) {
    let scene = Scene::start();
    let extensions = SHOWN.iter().chain(&ONLY_SAVED).map(|(extension, _)| *extension).chain(OTHER_XML);
    let names: Vec<String> =
        extensions.map(|extension| format!("a.{extension}")).chain(["blank.jpg ".to_owned()]).collect();
    for (id, name) in (9001..).zip(&names) {
        scene.database.sql(&format!(
            "INSERT INTO piwigo_images (id, file, path) VALUES ({id}, 'x', './upload/types/{name}');
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);"
        ));
        scene.sandbox.write(&format!("gallery/upload/types/{name}"), PAGE);
    }
    scene.sandbox.write("gallery/upload/types/blank.jpg", "another file\n");
    scene.sandbox.hand_over_tree(&scene.sandbox.gallery().join("upload/types"));
    let server = setup.start(&scene, &[]);
    let get = |name: &str| http::get(server.address(), http::url(&format!("upload/types/{name}")));
    let mut wrong = Vec::new();
    for (extension, kind) in SHOWN {
        let answer = get(&format!("a.{extension}"));
        // Apache adds a character set to text.
        let said = answer.header("content-type").unwrap_or_default();
        let right = has_its_own_table(setup) || said == kind;
        let is_page = ["html", "xml", "javascript"].iter().any(|word| said.ends_with(word));
        if answer.status != 200
            || !right
            || is_page
            || answer.header("x-content-type-options") != Some("nosniff")
            || (!has_its_own_table(setup) && answer.header("content-disposition").is_some())
        {
            wrong.push(format!("{extension}: {} {:?}", answer.status, answer.headers));
        }
    }
    let other_xml = OTHER_XML.map(|extension| (extension, ""));
    for (extension, kind) in ONLY_SAVED.into_iter().chain(other_xml) {
        let answer = get(&format!("a.{extension}"));
        let said = answer.header("content-type").unwrap_or_default();
        let right = has_its_own_table(setup) || kind.is_empty() || said == kind;
        let is_saved = answer.all("content-disposition") == ["attachment"];
        let is_sandboxed = answer.all("content-security-policy").concat().starts_with("sandbox;");
        // Bytes of an unknown kind are only saved, too.
        let is_unknown = kind.is_empty() && matches!(said, "" | "application/octet-stream");
        if answer.status != 200
            || !right
            || !(is_unknown || is_sandboxed && (is_saved || setup == Setup::Htaccess && kind.is_empty()))
            || answer.header("x-content-type-options") != Some("nosniff")
        {
            wrong.push(format!("{extension}: {} {:?}", answer.status, answer.headers));
        }
    }
    // Where the server only asks, nginx reads the name out of a header, which has no blank at its end.
    let blank = get("blank.jpg ");
    let shown = (blank.status, blank.text() == PAGE);
    let is_never_another = blank.text() != "another file\n";
    let asks = has_its_own_table(setup) || setup.kind().starts_with("nginx-auth");
    if !is_never_another || !asks && shown != (200, true) {
        wrong.push(format!("a blank: {} {}", blank.status, blank.text()));
    }
    assert!(wrong.is_empty(), "{setup:?}\n{}", wrong.join("\n"));
}

crate::for_every_setup!(files_are_what_they_are);
