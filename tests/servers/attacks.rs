//! Each way to ask for a picture by another name, through every set-up that we ship a file for: no byte of
//! it; and where the request reaches the gate, the very answer that an unknown file gets. The table says what
//! a server answers by itself before that.

use crate::support::attack_table::{TABLE, fill_in};
use crate::support::http::{self, Response};
use crate::support::scene::Scene;
use crate::support::setup::Setup;
use crate::support::{attacks, files};

/// The answer without what differs from second to second.
fn plain(mut answer: Response) -> (u16, Vec<(String, String)>, String) {
    answer.headers.retain(|(name, _)| name != "date");
    (answer.status, answer.headers.clone(), answer.text())
}

fn no_other_name_opens_a_private_picture(setup: Setup) {
    let scene = Scene::start();
    let server = setup.start(&scene, &[]);
    let mut wrong = Vec::new();
    let world = &scene.world;
    let private = world.private_image("bob");
    let path = http::url(private.original());
    // The open door, to know that there is one: whoever may see it does.
    let bob = world.session("bob").cookie_header();
    let open = http::request(server.address(), "GET", &path, &[("Cookie", &bob)]);
    assert_eq!((open.status, open.text()), (200, files::original_text(private.id)), "{setup:?}");
    let alice = world.session("alice").cookie_header();
    for cookie in ["", &alice] {
        let ask = |target: &str| plain(http::request(server.address(), "GET", target, &[("Cookie", cookie)]));
        let unknown = ask("/upload/2026/11/21/nothing.jpg");
        assert_eq!(unknown.0, setup.refusal(), "{setup:?}");
        // The answer to a HEAD ends, too.
        for target in [path.as_str(), "/upload/2026/11/21/nothing.jpg"] {
            let head = http::request(server.address(), "HEAD", target, &[("Cookie", cookie)]);
            assert_eq!((head.status, head.body.len()), (setup.refusal(), 0), "{setup:?} {target}");
        }
        // Some servers add a header by the extension that was asked for, to every answer alike.
        let unknown_style = ask("/upload/2026/11/21/nothing.css");
        for (template, answers) in TABLE {
            let target = fill_in(world, private, template);
            let answer = ask(&target);
            assert!(!attacks::holds_guarded_bytes(answer.2.as_bytes()), "{setup:?} {target}: {answer:?}");
            let unknown = if target.rsplit('.').next() == Some("css") { &unknown_style } else { &unknown };
            let by_itself = answers.iter().find(|(servers, _)| servers.contains(&setup));
            let as_expected = match by_itself {
                None => answer == *unknown,
                Some((_, status)) => answer.0 == *status,
            };
            if !as_expected {
                let likeness = if answer == *unknown { "as" } else { "not as" };
                wrong.push(format!("{template}: {}, {likeness} the unknown file", answer.0));
            }
        }
    }
    assert!(wrong.is_empty(), "{setup:?}\n{}", wrong.join("\n"));
}

crate::for_every_setup!(no_other_name_opens_a_private_picture);
