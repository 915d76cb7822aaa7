//! A file's name may hold a percent sign, and decoding the name once more would make it another file's name.
//! In every set-up the visitor gets the file that was asked for, or none. Debian 13's `mod_xsendfile` decodes
//! the header `X-Sendfile` unless its configuration says no.

use std::cell::Cell;
use std::net::SocketAddr;

use crate::support::apache::{self, Apache};
use crate::support::examined::{Report, doctor, write_ws_php};
use crate::support::gate::Gate;
use crate::support::scene::Scene;
use crate::support::setup::Setup::{self, ApacheProxy, ApacheXsendfile};
use crate::support::setup::{ApacheSite, Exceptions};
use crate::support::{files, http, php};

/// A name, and the name that it becomes when it is decoded once more (empty: none). Then the set-ups that
/// cannot send the file, with the status that a visitor who may have it gets.
#[rustfmt::skip]
const NAMES: &[(&str, &str, Exceptions)] = &[
    ("100%25.jpg",               "100%.jpg",           &[]),
    ("twice%2525.jpg",           "twice%25.jpg",       &[]),
    ("%41.jpg",                  "A.jpg",              &[]),
    ("a%20b.jpg",                "a b.jpg",            &[]),
    ("a%2Bb.jpg",                "a+b.jpg",            &[]),
    ("%c3%a9.jpg",               "\u{e9}.jpg",         &[]),
    ("sub%2finner.jpg",          "sub/inner.jpg",      &[]),
    ("sub%2F..%2Fabove.jpg",     "above.jpg",          &[]),
    ("%2e%2e%2fpercent%2fup.jpg", "up.jpg",            &[]),
    ("%64ir/x.jpg",              "dir/x.jpg",          &[]),
    ("query%3fx.jpg",            "query?x.jpg",        &[]),
    ("hash%23x.jpg",             "hash#x.jpg",         &[]),
    ("cut%00.jpg",               "cut",                &[]),
    ("line%0d%0aX-Sendfile.jpg", "",                   &[]),
    ("%u0041.jpg",               "A.jpg",              &[]),
    ("invalid%ff.jpg",           "",                   &[]),
    ("%zz.jpg",                  "",                   &[]),
    ("50%.jpg",                  "",                   &[]),
    ("%",                        "",                   &[]),
];

/// The directory of all these files, and where their thumbnails lie.
const PLACES: [&str; 2] = ["upload/percent", "_data/i/upload/percent"];

fn text(path: &str) -> String {
    format!("original {path}\n")
}

/// Writes the files: each name of the table as a picture of a public album, and each other name as one of a
/// private album.
fn write(scene: &Scene) {
    let mut shut: Vec<&str> = NAMES.iter().map(|row| row.1).filter(|name| !name.is_empty()).collect();
    shut.sort_unstable();
    shut.dedup();
    let open = NAMES.iter().map(|row| (row.0, 1));
    for (id, (name, album)) in (9001..).zip(open.chain(shut.into_iter().map(|name| (name, 11)))) {
        let thumb = name.strip_suffix(".jpg").map(|stem| format!("{stem}-th.jpg"));
        scene.database.sql(&format!(
            "INSERT INTO piwigo_images (id, file, path, width, height)
             VALUES ({id}, 'x', './{}/{name}', 300, 200);
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, {album});",
            PLACES[0]
        ));
        for path in std::iter::once(format!("{}/{name}", PLACES[0]))
            .chain(thumb.map(|thumb| format!("{}/{thumb}", PLACES[1])))
        {
            scene.sandbox.write(&format!("gallery/{path}"), text(&path));
        }
    }
    scene.sandbox.hand_over_tree(&scene.sandbox.gallery().join(PLACES[0]));
    scene.sandbox.hand_over_tree(&scene.sandbox.gallery().join(PLACES[1]));
}

/// Asks for all files of the table as a guest. Says what is wrong: an answer that holds another file, and a
/// file that does not come, unless its status is the one that `status` tells for its name.
fn wrong_answers(address: SocketAddr, status: impl Fn(&str) -> u16) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, other, _) in NAMES {
        let thumb = |name: &str| name.strip_suffix(".jpg").map(|stem| format!("{stem}-th.jpg"));
        let originals = (format!("{}/{name}", PLACES[0]), format!("{}/{other}", PLACES[0]));
        let thumbs = thumb(name).map(|name| {
            (format!("{}/{name}", PLACES[1]), format!("{}/{}", PLACES[1], thumb(other).unwrap_or_default()))
        });
        for (path, other_path) in std::iter::once(originals).chain(thumbs) {
            let answer = http::get(address, http::url(&path));
            let own = answer.text() == text(&path);
            if answer.status != status(name) || own != (answer.status == 200) {
                wrong.push(format!("{path}: {} {:?}", answer.status, answer.text()));
            }
            if !other.is_empty() {
                let refused = http::get(address, http::url(&other_path));
                if refused.text().contains("original ") {
                    wrong.push(format!("{other_path}: {} {:?}", refused.status, refused.text()));
                }
            }
        }
    }
    wrong
}

fn a_name_with_a_percent_sign_is_never_another_files(setup: Setup) {
    let scene = Scene::start();
    write(&scene);
    let server = setup.start(&scene, &[]);
    let status = |name: &str| {
        let row = NAMES.iter().find(|row| row.0 == name).expect("a row");
        row.2.iter().find(|(setups, _)| setups.contains(&setup)).map_or(200, |by| by.1)
    };
    let wrong = wrong_answers(server.address(), status);
    assert!(wrong.is_empty(), "{setup:?}\n{}", wrong.join("\n"));
}

crate::for_every_setup!(a_name_with_a_percent_sign_is_never_another_files);

/// The virtual host with a module that decodes the header. Debian 13's does; where the module is an older
/// one, Apache decodes in its place. `change`: what else is wrong with the printed file.
fn with_a_module_that_decodes(setup: Setup, scene: &Scene, change: impl Fn(&str) -> String) -> Running {
    // In this order: what comes out of `%25` is not decoded again.
    let decode: String = "ABCD abcd./#?+%"
        .chars()
        .flat_map(|plain| {
            let encoded = format!("(?i)%{:02x}", u32::from(plain));
            ["", "always "].map(|list| format!("Header {list}edit* X-Sendfile \"{encoded}\" \"{plain}\"\n"))
        })
        .collect();
    start(setup, scene, |host| {
        let host = change(host);
        if apache::sendfile_decodes() {
            return host;
        }
        format!("{host}<Location \"/\">\n{decode}</Location>\n")
    })
}

/// Apache, with its virtual host changed.
fn start(setup: Setup, scene: &Scene, change: impl Fn(&str) -> String) -> Running {
    php::write_scripts(&scene.sandbox);
    let ApacheSite { outside, host, modules, gate } = setup.apache_site(&scene.sandbox, "");
    let host = change(&host);
    let apache = Apache::start_with(&scene.sandbox, &outside, &host, modules);
    Running { address: apache.address(), _servers: (apache, gate) }
}

struct Running {
    address: SocketAddr,
    _servers: (Apache, Option<Gate>),
}

/// The lines of the printed file that settle how the header is read.
fn settling_lines(host: &str) -> &str {
    let (_, rest) = host.split_once("XSendFile on\n").expect("the printed file");
    let (before, _) = rest.split_once("</IfModule>\n").expect("the printed file");
    &rest[..before.len() + "</IfModule>\n".len()]
}

/// Of these, the one that the module understands. (`host` has it on machines whose module does not, too.)
fn unescape_off_line(host: &str) -> &str {
    settling_lines(host)
        .lines()
        .find(|line| line.trim() == "XSendFileUnescape Off")
        .expect("the printed file")
}

/// The files that were printed before `mod_xsendfile` decoded, and Apache before 2.4.34, say nothing about
/// it.
#[test]
fn where_the_servers_file_does_not_say_how_the_header_is_read_no_file_with_a_percent_sign_is_sent() {
    for setup in [ApacheXsendfile, ApacheProxy] {
        let scene = Scene::start();
        write(&scene);
        let old = |host: &str| host.replace(settling_lines(host), "");
        let server = with_a_module_that_decodes(setup, &scene, old);
        let wrong = wrong_answers(server.address, |_| 404);
        assert!(wrong.is_empty(), "{setup:?}\n{}", wrong.join("\n"));
        let plain = scene.world.image(1);
        let answer = http::get(server.address, http::url(plain.original()));
        assert_eq!((answer.status, answer.text()), (200, files::original_text(1)), "{setup:?}");
    }
}

/// A later line of the site that makes the module decode again has no effect.
#[test]
fn the_printed_file_has_the_last_word_about_decoding() {
    if !apache::sendfile_decodes() {
        return; // This machine's mod_xsendfile never decodes: it has no such line.
    }
    for setup in [ApacheXsendfile, ApacheProxy] {
        let scene = Scene::start();
        write(&scene);
        let again = |host: &str| format!("{host}<Location \"/\">\nXSendFileUnescape On\n</Location>\n");
        let server = with_a_module_that_decodes(setup, &scene, again);
        let wrong = wrong_answers(server.address, |_| 200);
        assert!(wrong.is_empty(), "{setup:?}\n{}", wrong.join("\n"));
    }
}

/// What `doctor` says of the set-up, as a guest and with the cookie of somebody who may see private pictures.
fn examine(scene: &Scene, server: &Running, host: &str) -> Report {
    let conf = scene.sandbox.write("site.conf", host);
    let url = format!("http://{}/", server.address);
    let cookie = scene.world.session("bob").cookie_header();
    Report::read(&doctor(
        &scene.sandbox,
        &["--json", "--url", &url, "--server-file", conf.to_str().unwrap(), "--cookie", &cookie],
    ))
}

/// A table: the change of the printed file; level and words of the finding from outside, and of the one on
/// the configuration, where that does not hang on the installed module.
#[test]
fn doctor_finds_a_server_that_decodes_and_one_that_does_not_say() {
    type Row = (fn(&str) -> String, [&'static str; 2], [&'static str; 2]);
    let by_module =
        if apache::sendfile_decodes() { ["problem", "decodes the header"] } else { ["ok", "as it stands"] };
    let table: [Row; 3] = [
        (str::to_owned, ["ok", "come as themselves"], ["ok", "as it stands"]),
        // The hole, put back by hand: the gate is told that the header is read raw, and it is decoded.
        (|host| host.replace(unescape_off_line(host), ""), ["problem", "another file comes"], by_module),
        (
            |host| host.replace(settling_lines(host), ""),
            ["problem", "does not come"],
            ["warning", "does not say how"],
        ),
    ];
    for (index, (change, outside, inside)) in table.into_iter().enumerate() {
        let scene = Scene::start();
        write(&scene);
        write_ws_php(&scene.sandbox, &scene.world, str::to_owned);
        let host = Cell::new(String::new());
        let changed = |text: &str| {
            host.set(change(text));
            change(text)
        };
        // Where this machine's module cannot be told not to decode, it must not be made to.
        let server = if index == 0 {
            start(ApacheXsendfile, &scene, changed)
        } else {
            with_a_module_that_decodes(ApacheXsendfile, &scene, changed)
        };
        let report = examine(&scene, &server, &host.take());
        report.says("outside-percent", outside[0], outside[1]);
        report.says("x-sendfile", inside[0], inside[1]);
    }
}
