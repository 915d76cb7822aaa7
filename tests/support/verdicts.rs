//! Asks a gate inside the test's own process for the verdicts that a real Piwigo gave on the small gallery.

use std::collections::BTreeMap;

use piwigo_gate::gate::Gate;
use piwigo_gate::http::reply::{Reply, SendMode};
use piwigo_gate::http::request::{Request, Server};
use piwigo_gate::settings::{Options, Settings};

use super::http;
use super::sandbox::Sandbox;
use super::world::World;

/// A gate for the sandbox's gallery.
pub async fn gate(sandbox: &Sandbox, options: Options) -> Gate {
    let options = Options { gallery: Some(sandbox.gallery()), ..options };
    Gate::open(Settings::resolve(options, None).expect("settings that work")).await.expect("a database")
}

/// The answer to one request with nginx's delivery.
pub async fn ask(gate: &Gate, path: &str, cookies: &str, address: &str) -> Reply {
    let url = http::url(path);
    let request = Request {
        cookies: cookies.as_bytes().into(),
        server: Server::Nginx,
        deliver: Some(SendMode::XAccelRedirect),
        ..Request::new(url.as_bytes(), address)
    };
    gate.answer(&request).await
}

/// The cookie of each user of the world; the guest has none.
fn cookies(world: &World) -> BTreeMap<u32, String> {
    world
        .users
        .iter()
        .map(|user| match user.id {
            2 => (2, String::new()),
            id => (id, world.session(&user.username).cookie_header()),
        })
        .collect()
}

/// Compares all 735 verdicts, for the original, for the representative, and for thumb and medium if Piwigo
/// has a picture to show.
pub async fn every_verdict(gate: &Gate, world: &World) {
    let cookies = cookies(world);
    let (mut asked, mut wrong) = (0, Vec::new());
    for verdict in &world.verdicts {
        let (user, image, see, original) = (verdict.0, verdict.1, verdict.2 == 1, verdict.3 == 1);
        let image = world.image(image);
        let mut files = vec![(image.original().to_owned(), original)];
        files.extend(["th", "me"].into_iter().filter_map(|token| Some((image.derivative(token)?, see))));
        files.extend(image.representative().map(|path| (path, see)));
        for (path, expected) in files {
            let reply = ask(gate, &path, &cookies[&user], "127.0.0.1").await;
            asked += 1;
            if reply.status() != if expected { 200 } else { 403 } {
                wrong.push(format!("user {user}, {path}: {} instead of {expected}", reply.status()));
            }
        }
    }
    assert!(world.verdicts.len() == 735 && asked > 1500, "{asked} asked");
    assert!(wrong.is_empty(), "{} of {asked} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
