//! Every byte at the places of a guarded URL, and the table of attacks, against every set-up that the project
//! prints a file for: no answer of any status may hold the marker of a file that this visitor may not have.
//!
//! Each private file holds a marker of its own: original, resized picture, representative, format, video,
//! settings, log, `.git/config`, a PHP script among the pictures and i.php. They are asked for as a guest, as
//! a stranger (signed in, without a right to the album) and as a user without the right to originals. In
//! between, each visitor asks for a file that is allowed to him, and at the beginning and at the end a
//! visitor with all rights asks for each kind of file: a server that refuses everything fails here.
//!
//! The usual run takes the places of [`Places::Parts`] for an original as a guest and those of
//! [`Places::Ends`] for all else. `PIWIGO_GATE_EVERY_PLACE=1` takes every position of every path for every
//! visitor, about a million requests a set-up: `PIWIGO_GATE_EVERY_PLACE=1 cargo test --locked --test
//! every_byte nginx -- --nocapture --test-threads 1`.

#![allow(clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;

use crate::support::attack_table::{self, TABLE};
use crate::support::every_byte::{Places, script_targets, targets};
use crate::support::files::DERIVATIVES;
use crate::support::gate::Gate;
use crate::support::lighttpd::{self, Lighttpd};
use crate::support::markers::{self, SECRETS, SHELL, Visitor};
use crate::support::php::PhpFcgi;
use crate::support::scene::Scene;
use crate::support::setup::Setup;
use crate::support::world::{Image, World};
use crate::support::{attacks, config, http, many_requests};

/// A picture with a format, a film, a picture in a directory with accents: in albums that only bob may see.
const PICTURE: u32 = 11;
const FILM: u32 = 35;
const ACCENTS: u32 = 48;
/// Lets the account `lowres`, which has no right to originals, into the album of the picture: it may see its
/// resized pictures.
const LOWRES_SEES_THE_PICTURE: &str = "INSERT INTO piwigo_user_access (user_id, cat_id) VALUES (13, 2)";

/// The file with a name that is not UTF-8.
const LATIN_1_TARGETS: [&[u8]; 4] = [
    b"/galleries/caf%e9.jpg",
    b"/galleries/caf\xe9.jpg",
    b"//galleries/caf%E9.jpg",
    b"/galleries/caf%e9.jpg/x",
];

/// After so many odd requests one that must succeed.
const RHYTHM: usize = 250;

/// A file, and what it holds.
struct Guarded {
    path: String,
    marker: String,
}

fn file(path: &str, marker: String) -> Guarded {
    Guarded { path: path.to_owned(), marker }
}

/// One of each kind that belongs to a picture which bob may have.
fn bobs_files(world: &World) -> Vec<Guarded> {
    let (picture, film, accents) = (world.image(PICTURE), world.image(FILM), world.image(ACCENTS));
    vec![
        file(picture.original(), markers::original(picture)),
        file(&picture.derivative("th").expect("a picture"), markers::derivative(picture, "th")),
        file(&picture.format("cr2"), markers::format(picture, "cr2")),
        file(film.original(), markers::original(film)),
        file(&film.representative().expect("a film has one"), markers::representative(film)),
        file(accents.original(), markers::original(accents)),
    ]
}

/// What these visitors ask for, and the file that each of them may have.
fn questions(world: &World, every_place: bool) -> Vec<(Visitor, String, Vec<Vec<u8>>)> {
    let choose = |usual| if every_place { Places::Every } else { usual };
    let picture = world.image(PICTURE);
    // Of the picture no more than its sizes. The right to originals means pictures: the film in the same
    // album is allowed.
    let film = world.image(FILM);
    let seen_by_lowres = DERIVATIVES.map(|token| markers::derivative(picture, token));
    let seen_by_lowres =
        seen_by_lowres.into_iter().chain([markers::original(film), markers::representative(film)]);
    let mut of_guest = LATIN_1_TARGETS.map(<[u8]>::to_vec).to_vec();
    for (index, guarded) in bobs_files(world).iter().enumerate() {
        let usual = if index == 0 { Places::Parts } else { Places::Ends };
        of_guest.extend(targets(&http::url(&guarded.path), choose(usual)));
    }
    for secret in SECRETS.iter().chain(&[SHELL]) {
        of_guest.extend(targets(&format!("/{secret}"), choose(Places::Ends)));
    }
    of_guest.extend(scripts(picture, choose(Places::Ends)));
    of_guest.extend(table(world));

    let mut of_stranger = targets(&http::url(picture.original()), choose(Places::Ends));
    of_stranger.extend(table(world));
    if every_place {
        of_stranger.extend(scripts(picture, Places::Every));
    }

    let mut of_lowres = targets(&http::url(picture.original()), choose(Places::Ends));
    if every_place {
        of_lowres.extend(targets(&http::url(&picture.format("cr2")), Places::Every));
        of_lowres.extend(scripts(picture, Places::Every));
    }
    of_lowres.extend(table(world));

    let open = http::url(world.image(1).original());
    let open_size = http::url(&picture.derivative("th").expect("a picture"));
    vec![
        (Visitor::guest(world), open.clone(), of_guest),
        (Visitor::signed_in(world, "alice"), open, of_stranger),
        (Visitor::signed_in(world, "lowres").and(seen_by_lowres), open_size, of_lowres),
    ]
}

/// i.php in its forms, and action.php.
fn scripts(image: &Image, places: Places) -> Vec<Vec<u8>> {
    let size = http::url(&image.derivative("th").expect("a picture"));
    let short = &size["/_data/i".len()..];
    let mut all = script_targets("", "i.php", short, places);
    all.extend(script_targets("", "action.php", &format!("id={}&part=e", image.id), places));
    all.extend(targets(&format!("/i.php{short}"), places));
    if places == Places::Every {
        all.extend(script_targets("", "i", short, places));
        all.extend(targets(&format!("/i{short}"), places));
    }
    all
}

fn table(world: &World) -> Vec<Vec<u8>> {
    let picture = world.image(PICTURE);
    let mut all: Vec<String> =
        TABLE.iter().map(|(template, _)| attack_table::fill_in(world, picture, template)).collect();
    for guarded in bobs_files(world) {
        all.extend(attacks::spellings(&http::url(&guarded.path)));
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// An answer that held what this visitor may not have.
struct Leak {
    visitor: &'static str,
    target: Vec<u8>,
    status: u16,
    marker: String,
}

/// What was seen in many answers, with the number of each status.
#[derive(Default)]
struct Seen {
    leaks: Vec<Leak>,
    statuses: BTreeMap<u16, usize>,
    refused: Vec<String>,
}

/// `visitor` asks for all of `odd`, and every now and then for `open`, which must come.
fn ask(address: SocketAddr, visitor: &Visitor, open: &str, odd: &[Vec<u8>]) -> Seen {
    let mut mixed = Vec::with_capacity(odd.len() + odd.len() / RHYTHM + 2);
    for some in odd.chunks(RHYTHM) {
        mixed.push(open.as_bytes().to_vec());
        mixed.extend_from_slice(some);
    }
    mixed.push(open.as_bytes().to_vec());
    let seen = Mutex::new(Seen::default());
    many_requests::ask_all(address, &visitor.cookie, &mixed, |number, answer| {
        let (status, bytes) = answer.map_or((0, &b""[..]), |answer| (answer.status, &answer.bytes));
        let mut seen = seen.lock().expect("no panic");
        *seen.statuses.entry(status).or_default() += 1;
        let target = &mixed[number];
        if let Some(marker) = visitor.leak(bytes) {
            seen.leaks.push(Leak { visitor: visitor.name, target: target.clone(), status, marker });
        }
        if target == open.as_bytes() && status != 200 {
            seen.refused.push(format!("{} GET {open} -> {status}", visitor.name));
        }
    });
    seen.into_inner().expect("no panic")
}

/// All that is wrong with a server at `address`. Of the targets, one of `step` is asked for.
fn leaks(scene: &Scene, address: SocketAddr, step: usize) -> Vec<Leak> {
    let world = &scene.world;
    let every_place = std::env::var_os("PIWIGO_GATE_EVERY_PLACE").is_some_and(|value| value == "1");
    let mut all = Vec::new();
    bob_gets_all(world, address);
    for (visitor, open, odd) in questions(world, every_place) {
        let odd: Vec<_> = odd.into_iter().step_by(step).collect();
        let started = std::time::Instant::now();
        let seen = ask(address, &visitor, &open, &odd);
        println!("{}: {} in {:?}, {:?}", visitor.name, odd.len(), started.elapsed(), seen.statuses);
        assert!(seen.refused.is_empty(), "an open file did not come: {:#?}", seen.refused);
        all.extend(seen.leaks);
    }
    bob_gets_all(world, address);
    all
}

fn bob_gets_all(world: &World, address: SocketAddr) {
    let bob = world.session("bob").cookie_header();
    for guarded in bobs_files(world) {
        let answer = http::request(address, "GET", http::url(&guarded.path), &[("Cookie", &bob)]);
        let right = (200, markers::text(&guarded.marker));
        assert_eq!((answer.status, answer.text()), right, "{}", guarded.path);
    }
}

fn scene() -> Scene {
    let scene = Scene::start();
    markers::write(&scene);
    scene.database.sql(LOWRES_SEES_THE_PICTURE);
    scene
}

fn no_byte_at_any_place_opens_a_private_file(setup: Setup) {
    let scene = scene();
    let server = setup.start(&scene, &[markers::SETTING]);
    markers::write_i_php(&scene);
    let leaks = leaks(&scene, server.address(), 1);
    let shown = examples(&leaks);
    assert!(leaks.is_empty(), "{setup:?}: {} answers with private bytes:\n{shown}", leaks.len());
}

/// The condition that the printed file of lighttpd had at first let everybody in: the test finds each kind of
/// file.
#[test]
fn the_first_condition_of_lighttpd_is_found_to_be_open() {
    let scene = scene();
    let sandbox = &scene.sandbox;
    sandbox.write("gallery/local/config/gate.toml", markers::SETTING);
    let _php = PhpFcgi::start(sandbox);
    markers::write_i_php(&scene);
    let _gate = Gate::start(sandbox, &[], &[]);
    let guard = lighttpd::with_the_first_condition(&config::print(sandbox, "lighttpd", &[]));
    let lighttpd = Lighttpd::start(sandbox, &lighttpd::gallery(sandbox, &guard));
    let leaks = leaks(&scene, lighttpd.address(), 5);
    let seen: BTreeSet<&str> = leaks.iter().map(|leak| &*leak.marker).collect();
    let mut expected = vec![markers::LATIN_1_MARKER.to_owned()];
    if lighttpd::matches_once() {
        expected.extend(bobs_files(&scene.world).into_iter().map(|guarded| guarded.marker));
        // What is in database.inc.php PHP hides.
        let readable = SECRETS.iter().filter(|path| **path != "local/config/database.inc.php");
        expected.extend(readable.map(|path| format!("secret {path}")));
        expected.extend(["shell.php has run", "i.php has run"].map(str::to_owned));
    }
    let missing: Vec<_> = expected.iter().filter(|marker| !seen.contains(&***marker)).collect();
    assert!(missing.is_empty(), "not found: {missing:?}");
}

/// Three for each visitor and file.
fn examples(leaks: &[Leak]) -> String {
    let mut lines = BTreeMap::<_, Vec<String>>::new();
    for Leak { visitor, target, status, marker } in leaks {
        let lines = lines.entry((visitor, marker)).or_default();
        if lines.len() < 3 {
            lines.push(format!("{visitor} GET {} -> {status}, {marker}", target.escape_ascii()));
        }
    }
    lines.into_values().flatten().collect::<Vec<_>>().join("\n")
}

crate::for_every_setup!(no_byte_at_any_place_opens_a_private_file);
