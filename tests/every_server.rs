//! What must hold in every set-up that we ship a file for: the same verdicts, and the same headers on what is allowed.

mod support;

use support::http;
use support::scene::Scene;
use support::setup::Setup;

/// Every ninth of the world's cases: 107 of them, of all visitors and kinds of files.
fn the_same_verdicts(setup: Setup) {
    let scene = Scene::start();
    let server = setup.start(&scene, &[]);
    let cases: Vec<_> = scene.world.cases().into_iter().step_by(9).collect();
    assert!(cases.len() > 100 && cases.iter().filter(|case| case.allowed).count() > 30);
    for case in cases {
        let cookie = case.cookie_of.as_deref().map(|user| scene.world.session(user).cookie_header());
        let headers: Vec<_> = cookie.iter().map(|cookie| ("Cookie", cookie.as_str())).collect();
        let answer = http::request(server.address(), "GET", http::url(&case.path), &headers);
        let shown = (answer.status, answer.text() == case.text);
        let right = if case.allowed { (200, true) } else { (setup.refusal(), false) };
        assert_eq!(shown, right, "{setup:?}: {:?} asks for {}", case.cookie_of, case.path);
    }
}

for_every_setup!(the_same_verdicts);
