//! Every verdict that a real Piwigo gave for a small gallery, asked of the gate on MariaDB and on SQLite.

use std::time::Duration;

use crate::support::http;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{Scene, sqlite};
use crate::support::verdicts::{every_verdict, gate};
use crate::support::world::World;
use piwigo_gate::database::{Address, Database, Tables};
use piwigo_gate::fastcgi::Role;
use piwigo_gate::http::reply::{Handover, Reply, SendMode};
use piwigo_gate::http::request::{Request, Server};
use piwigo_gate::settings::Options;
use piwigo_gate::verdict::access::Admins;
use sqlx::{Connection as _, Executor as _};

/// Where the gate is silent, lighttpd's authorizer mode serves the file: the mode is not supported at all.
#[tokio::test]
async fn an_authorizer_that_is_not_apaches_is_always_refused() {
    let sandbox = Sandbox::new();
    let world = World::load();
    let database = Some(vec![sqlite(&sandbox, &world).await]);
    let gate = gate(&sandbox, Options { database, ..Options::default() }).await;
    let url = http::url(world.image(1).original());
    for (server, role, by_apache_role, expected) in [
        (Server::Lighttpd, Role::Authorizer, false, 403),
        (Server::Other, Role::Authorizer, false, 403),
        (Server::Other, Role::Authorizer, true, 200),
        (Server::Nginx, Role::Responder, false, 200),
    ] {
        let request = Request { server, role, by_apache_role, ..Request::new(url.as_bytes(), "127.0.0.1") };
        assert_eq!(gate.answer(&request).await.status(), expected, "{server:?} {role:?} {by_apache_role}");
    }
}

/// `movie.2024.01/` begins like the owner of `pwg_representative/movie.jpg`: a whole folder is no answer for
/// a stranger.
#[tokio::test]
async fn an_owner_is_not_looked_for_in_folders_that_begin_like_it() {
    let sandbox = Sandbox::new();
    let mut world = World::load();
    let owner = world.image(42).clone();
    assert_eq!(owner.path, "./galleries/plain/movie.mp4");
    for id in 1000..1200 {
        let path = format!("./galleries/plain/movie.2024.01/{id}.mp4");
        world.images.push(crate::support::world::Image { id, path, ..owner.clone() });
    }
    let address = Address::from_url(&sqlite(&sandbox, &world).await).unwrap();
    let database = Database::new(&address, &Tables::with_prefix("piwigo_"), 1, Duration::ZERO).unwrap();
    let rows =
        database.images_by_representative(vec!["./galleries/plain/movie.".into()], "jpg").await.unwrap();
    let found: Vec<u32> = rows.iter().map(|row| row.image.id).collect();
    assert_eq!(found, [41, 42], "movie.2.mp4 and movie.mp4");
}

#[tokio::test]
async fn every_verdict_of_piwigo_on_sqlite() {
    let sandbox = Sandbox::new();
    let world = World::load();
    let database = Some(vec![sqlite(&sandbox, &world).await]);
    let gate = gate(&sandbox, Options { database, admins: Some(Admins::Strict), ..Options::default() }).await;
    every_verdict(&gate, &world).await;
}

#[tokio::test]
async fn every_verdict_of_piwigo_on_mariadb() {
    let scene = Scene::start();
    let gate = gate(&scene.sandbox, Options { admins: Some(Admins::Strict), ..Options::default() }).await;
    every_verdict(&gate, &scene.world).await;
}

/// An administrator may have added an index to `user_group`: then grants are asked for in another way.
#[tokio::test]
async fn every_verdict_with_an_index_by_user() {
    const INDEX: &str = "CREATE INDEX gate_user ON piwigo_user_group (user_id)";
    let strict = || Options { admins: Some(Admins::Strict), ..Options::default() };
    let scene = Scene::start();
    scene.database.sql(INDEX);
    let by_mariadb = gate(&scene.sandbox, strict()).await;
    let sandbox = Sandbox::new();
    let address = sqlite(&sandbox, &scene.world).await;
    let mut connection = sqlx::SqliteConnection::connect(&address).await.unwrap();
    connection.execute(INDEX).await.unwrap();
    connection.close().await.unwrap();
    let by_sqlite = gate(&sandbox, Options { database: Some(vec![address]), ..strict() }).await;
    for gate in [by_mariadb, by_sqlite] {
        let request = Request::new(b"/upload/none.jpg", "127.0.0.1");
        let ready = gate.consider(&request, None).await.unwrap().ready;
        assert!(ready.database.schema().groups_by_user);
        every_verdict(&gate, &scene.world).await;
    }
}

/// docs/design.md §3: the role, then the gate's own setting, then the server's file, then the server itself.
#[tokio::test]
async fn how_each_server_is_told_to_send_an_allowed_file() {
    use Role::{Authorizer, Responder};
    use SendMode::{Authorize, Location, Stream, XAccelRedirect, XSendfile};
    let sandbox = Sandbox::new();
    let world = World::load();
    let database = sqlite(&sandbox, &world).await;
    let url = http::url(world.image(1).original());
    let table = [
        (None, Responder, Server::Nginx, None, "accel"),
        (None, Responder, Server::Nginx, Some(Authorize), "authorized"),
        (None, Responder, Server::Other, Some(XSendfile), "sendfile"),
        (None, Responder, Server::Other, Some(Location), "location"),
        (None, Responder, Server::Other, None, "stream"),
        (None, Responder, Server::Lighttpd, None, "stream"),
        (None, Responder, Server::Nginx, Some(Stream), "stream"),
        (Some(Stream), Authorizer, Server::Other, None, "authorized"),
        (Some(XSendfile), Responder, Server::Nginx, Some(XAccelRedirect), "sendfile"),
        (Some(XSendfile), Authorizer, Server::Other, Some(XSendfile), "authorized"),
        (None, Authorizer, Server::Nginx, None, "authorized"),
        // What only asks can be told nothing else.
        (Some(XAccelRedirect), Responder, Server::Nginx, Some(Authorize), "authorized"),
        (Some(Location), Responder, Server::Other, Some(Authorize), "authorized"),
        // Its authorizer mode fails open: it must never look as if it worked.
        (None, Authorizer, Server::Lighttpd, None, "403"),
        (Some(Authorize), Authorizer, Server::Lighttpd, Some(Authorize), "403"),
        (Some(Stream), Authorizer, Server::Lighttpd, Some(Stream), "403"),
    ];
    for (setting, role, server, deliver, expected) in table {
        let options =
            Options { database: Some(vec![database.clone()]), deliver: setting, ..Options::default() };
        let gate = gate(&sandbox, options).await;
        let by_apache_role = role == Authorizer && server != Server::Lighttpd;
        let request =
            Request { server, role, by_apache_role, deliver, ..Request::new(url.as_bytes(), "127.0.0.1") };
        let got = match gate.answer(&request).await {
            Reply::Allowed { handover: Handover::AccelFile { .. }, .. } => "accel".to_owned(),
            Reply::Allowed { handover: Handover::Sendfile { .. }, .. } => "sendfile".to_owned(),
            Reply::Allowed { handover: Handover::LocalFile { .. }, .. } => "location".to_owned(),
            Reply::Allowed { handover: Handover::Authorized { .. }, .. } => "authorized".to_owned(),
            Reply::Allowed { handover: Handover::Stream(_), .. } => "stream".to_owned(),
            other => other.status().to_string(),
        };
        assert_eq!(got, expected, "{setting:?} {role:?} {server:?} {deliver:?}");
    }
}
