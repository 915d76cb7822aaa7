//! Every verdict that a real Piwigo gave for a small gallery, asked of the gate on MariaDB and on SQLite.

mod support;

use std::collections::BTreeMap;

use piwigo_gate::access::Admins;
use piwigo_gate::database::{Address, Database, Tables};
use piwigo_gate::fastcgi::Role;
use piwigo_gate::gate::Gate;
use piwigo_gate::reply::{Deliver, Handover, Reply};
use piwigo_gate::request::{Request, Server};
use piwigo_gate::settings::{Options, Settings};
use support::http;
use support::sandbox::Sandbox;
use support::scene::{Scene, sqlite};
use support::world::World;

async fn gate(sandbox: &Sandbox, options: Options) -> Gate {
    let options = Options { gallery: Some(sandbox.gallery()), ..options };
    Gate::open(Settings::resolve(options, None).unwrap()).await.unwrap()
}

/// The answer to one request with nginx's delivery.
async fn ask(gate: &Gate, path: &str, cookies: &str, address: &str) -> Reply {
    let url = http::url(path);
    let request = Request {
        cookies: cookies.as_bytes().into(),
        server: Server::Nginx,
        deliver: Some(Deliver::XAccelRedirect),
        ..Request::new(url.as_bytes(), address)
    };
    gate.answer(&request).await
}

/// Where the gate is silent, lighttpd's authorizer mode serves the file: the mode is not supported at all.
#[tokio::test]
async fn lighttpd_as_authorizer_is_always_refused() {
    let sandbox = Sandbox::new();
    let world = World::load();
    let database = Some(sqlite(&sandbox, &world).await);
    let gate = gate(&sandbox, Options { database, ..Options::default() }).await;
    let url = http::url(world.image(1).original());
    for (server, role, expected) in [
        (Server::Lighttpd, Role::Authorizer, 403),
        (Server::Other, Role::Authorizer, 200),
        (Server::Nginx, Role::Responder, 200),
    ] {
        let request = Request { server, role, ..Request::new(url.as_bytes(), "127.0.0.1") };
        assert_eq!(gate.answer(&request).await.status(), expected, "{server:?} {role:?}");
    }
}

/// `movie.2024.01/` begins like the owner of `pwg_representative/movie.jpg`: a whole folder is no answer for a stranger.
#[tokio::test]
async fn an_owner_is_not_looked_for_in_folders_that_begin_like_it() {
    let sandbox = Sandbox::new();
    let mut world = World::load();
    let owner = world.image(42).clone();
    assert_eq!(owner.path, "./galleries/plain/movie.mp4");
    for id in 1000..1200 {
        let path = format!("./galleries/plain/movie.2024.01/{id}.mp4");
        world.images.push(support::world::Image { id, path, ..owner.clone() });
    }
    let address = Address::from_url(&sqlite(&sandbox, &world).await).unwrap();
    let database = Database::new(&address, &Tables::with_prefix("piwigo_"), 1).unwrap();
    let rows =
        database.images_by_representative(vec!["./galleries/plain/movie.".into()], "jpg").await.unwrap();
    let found: Vec<u32> = rows.iter().map(|row| row.image.id).collect();
    assert_eq!(found, [41, 42], "movie.2.mp4 and movie.mp4");
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

/// All 735 verdicts, for the original and (where Piwigo has a picture to show) for thumb and medium.
async fn every_verdict(gate: &Gate, world: &World) {
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

#[tokio::test]
async fn every_verdict_of_piwigo_on_sqlite() {
    let sandbox = Sandbox::new();
    let world = World::load();
    let database = Some(sqlite(&sandbox, &world).await);
    let gate = gate(&sandbox, Options { database, admins: Some(Admins::Strict), ..Options::default() }).await;
    every_verdict(&gate, &world).await;
}

#[tokio::test]
async fn every_verdict_of_piwigo_on_mariadb() {
    let scene = Scene::start();
    let gate = gate(&scene.sandbox, Options { admins: Some(Admins::Strict), ..Options::default() }).await;
    every_verdict(&gate, &scene.world).await;
}

/// DESIGN.md, `auto`: the role, then the gate's own setting, then the server's file, then the server itself.
#[tokio::test]
async fn how_each_server_is_told_to_send_an_allowed_file() {
    use Deliver::{Authorize, Location, XAccelRedirect, XSendfile};
    use Role::{Authorizer, Responder};
    let sandbox = Sandbox::new();
    let world = World::load();
    let database = sqlite(&sandbox, &world).await;
    let url = http::url(world.image(1).original());
    let table = [
        (None, Responder, Server::Nginx, None, "accel"),
        (None, Responder, Server::Nginx, Some(Authorize), "authorized"),
        (None, Responder, Server::Other, Some(XSendfile), "sendfile"),
        (None, Responder, Server::Other, Some(Location), "location"),
        (None, Responder, Server::Other, None, "503"),
        (Some(XSendfile), Responder, Server::Nginx, Some(XAccelRedirect), "sendfile"),
        (Some(XSendfile), Authorizer, Server::Other, Some(XSendfile), "authorized"),
        (None, Authorizer, Server::Nginx, None, "authorized"),
        // Its authorizer mode fails open: it must never look as if it worked.
        (None, Authorizer, Server::Lighttpd, None, "403"),
        (Some(Authorize), Authorizer, Server::Lighttpd, Some(Authorize), "403"),
    ];
    for (setting, role, server, deliver, expected) in table {
        let options = Options { database: Some(database.clone()), deliver: setting, ..Options::default() };
        let gate = gate(&sandbox, options).await;
        let request = Request { server, role, deliver, ..Request::new(url.as_bytes(), "127.0.0.1") };
        let got = match gate.answer(&request).await {
            Reply::Allowed { handover: Handover::AccelFile { .. }, .. } => "accel".to_owned(),
            Reply::Allowed { handover: Handover::Sendfile { .. }, .. } => "sendfile".to_owned(),
            Reply::Allowed { handover: Handover::LocalFile { .. }, .. } => "location".to_owned(),
            Reply::Allowed { handover: Handover::Authorized, .. } => "authorized".to_owned(),
            other => other.status().to_string(),
        };
        assert_eq!(got, expected, "{setting:?} {role:?} {server:?} {deliver:?}");
    }
}
