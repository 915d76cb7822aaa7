//! Each way to ask for a picture by another name, through each server that we ship a file for: no byte of it; and
//! where the request reaches the gate, the very answer that an unknown file gets. The table says what a server answers
//! by itself before that.

mod support;

use std::net::SocketAddr;

use support::apache::{self, Apache};
use support::gate::Gate;
use support::http::{self, Response};
use support::nginx::{self, Nginx};
use support::php::{self, PhpFcgi};
use support::scene::Scene;
use support::{attacks, files};

/// What the four servers answer, in the order of [`SERVERS`]: a status of their own, or [`GATE`].
type Answers = [u16; 4];

const SERVERS: [&str; 4] =
    ["nginx X-Accel-Redirect", "nginx auth_request", "Apache X-Sendfile", "Apache .htaccess"];

/// The gate's refusal, the same in every byte as for a file that does not exist.
const GATE: u16 = 0;

/// `PUBLIC` and `PRIVATE` are two originals in one directory, `DIR` that directory, `NAME` the second's file name; `THUMB`
/// and `PUBLICTHUMB` their thumbnails below `/_data/i`. Below `/_data/i` too: `ORIGINAL` is `PRIVATE`'s own name, and its
/// derivatives `UNDERSCORE` (`-th_x`), `CUSTOM` (a size that nobody registered), `THREEX` (a size that is disabled).
#[rustfmt::skip]
const TABLE: &[(&str, Answers)] = &[
    ("/PRIVATE",                                                                             [GATE, GATE, GATE, GATE]),
    ("/_data/i/THUMB",                                                                       [GATE, GATE, GATE, GATE]),
    ("/i.php?/THUMB",                                                                        [GATE,  403, GATE, GATE]),
    ("/i.php/THUMB",                                                                         [GATE,  403, GATE, GATE]),
    ("/i?/THUMB",                                                                            [GATE,  403, GATE, GATE]),
    ("/i/THUMB",                                                                             [GATE,  403, GATE, GATE]),
    ("/PRIVATE?x=1",                                                                         [GATE, GATE, GATE, GATE]),
    ("/PUBLIC/../NAME",                                                                      [GATE, GATE, GATE, GATE]),
    ("/PUBLIC/..%2fNAME",                                                                    [GATE, GATE,  404,  404]),
    ("/PUBLIC/%2e%2e/NAME",                                                                  [GATE, GATE, GATE, GATE]),
    ("/PUBLIC/%2E./NAME",                                                                    [GATE, GATE, GATE, GATE]),
    ("/themes/../PRIVATE",                                                                   [GATE, GATE, GATE, GATE]),
    ("/themes/%2e%2e/PRIVATE",                                                               [GATE, GATE, GATE, GATE]),
    ("/themes/..%2fPRIVATE",                                                                 [GATE, GATE,  404,  404]),
    ("/themes%2f..%2fPRIVATE",                                                               [GATE, GATE,  404,  404]),
    ("/DIR/./NAME",                                                                          [GATE, GATE, GATE, GATE]),
    ("/DIR//NAME",                                                                           [GATE, GATE, GATE, GATE]),
    ("//PRIVATE",                                                                            [GATE, GATE, GATE, GATE]),
    ("/DIR%2fNAME",                                                                          [GATE, GATE,  404,  404]),
    ("/DIR%5cNAME",                                                                          [GATE, GATE, GATE, GATE]),
    ("/DIR\\NAME",                                                                           [GATE, GATE, GATE, GATE]),
    ("/PRIVATE%00",                                                                          [ 400,  400,  404,  404]),
    ("/PRIVATE%00.css",                                                                      [ 400,  400,  404,  404]),
    ("/PRIVATE%0a",                                                                          [GATE, GATE, GATE, GATE]),
    ("/PRIVATE#y.jpg",                                                                       [GATE, GATE,  400,  400]),
    ("/PUBLIC#/../NAME",                                                                     [GATE, GATE,  400,  400]),
    ("/themes/x.css#/../../PRIVATE",                                                         [ 404,  404,  400,  400]),
    ("/PRIVATE.",                                                                            [GATE, GATE, GATE, GATE]),
    ("/PRIVATE%20",                                                                          [GATE, GATE, GATE, GATE]),
    ("/PRIVATE/",                                                                            [GATE, GATE, GATE, GATE]),
    ("/PRIVATE/x.css",                                                                       [GATE, GATE, GATE, GATE]),
    ("/PRIVATE;x.css",                                                                       [GATE, GATE, GATE, GATE]),
    ("/PRIVATE::$DATA",                                                                      [GATE, GATE, GATE, GATE]),
    ("/%75pload/2026/11/21/NAME",                                                            [GATE, GATE, GATE, GATE]),
    ("/%2575pload/2026/11/21/NAME",                                                          [ 404,  404,  404,  404]),
    ("/Upload/2026/11/21/NAME",                                                              [ 404,  404,  404,  404]),
    ("/UPLOAD/2026/11/21/NAME",                                                              [ 404,  404,  404,  404]),
    ("/upload./2026/11/21/NAME",                                                             [GATE, GATE,  404,  404]),
    ("/upload%20/2026/11/21/NAME",                                                           [GATE, GATE,  404,  404]),
    ("/%EF%BD%95pload/2026/11/21/NAME",                                                      [ 404,  404,  404,  404]),
    ("/galleries/secretdir/upper.jpg",                                                       [GATE, GATE, GATE, GATE]),
    ("/galleries/secretdir/UPPER.jpg",                                                       [GATE, GATE, GATE, GATE]),
    ("/galleries/Ete%20a%20Paris/Prive%20-%202019/secret%20e.jpg",                           [GATE, GATE, GATE, GATE]),
    ("/galleries/%C3%89T%C3%89%20%C3%A0%20Paris/Priv%C3%A9%20-%202019/secret%20%C3%A9.jpg",  [GATE, GATE, GATE, GATE]),
    ("/galleries/E%CC%81te%CC%81%20a%CC%80%20Paris/Prive%CC%81%20-%202019/secret%20e%CC%81.jpg", [GATE, GATE, GATE, GATE]),
    ("/galleries/%C3%89t%C3%A9+%C3%A0+Paris/Priv%C3%A9+-+2019/secret+%C3%A9.jpg",            [GATE, GATE, GATE, GATE]),
    ("/upload/%F0%9F%98%80.jpg",                                                             [GATE, GATE, GATE, GATE]),
    ("/upload/%FF.jpg",                                                                      [GATE, GATE, GATE, GATE]),
    ("/_data/i/THUMB_x.jpg",                                                                 [GATE, GATE, GATE, GATE]),
    ("/_data/i/UNDERSCORE",                                                                  [GATE, GATE, GATE, GATE]),
    ("/_data/i/CUSTOM",                                                                      [GATE, GATE, GATE, GATE]),
    ("/_data/i/THREEX",                                                                      [GATE, GATE, GATE, GATE]),
    ("/_data/i/ORIGINAL",                                                                    [GATE, GATE, GATE, GATE]),
    ("/_data/i/../../PRIVATE",                                                               [GATE, GATE, GATE, GATE]),
    ("/_data/combined/../../PRIVATE",                                                        [GATE, GATE, GATE, GATE]),
    ("/i.php?/THUMB&b=1&b=2",                                                                [GATE,  403, GATE, GATE]),
    ("/i.php?/themes/../THUMB",                                                              [GATE,  403, GATE, GATE]),
    ("/i.php?/THUMB%00",                                                                     [GATE,  403, GATE, GATE]),
    ("/i.php/THUMB?/PUBLICTHUMB",                                                            [GATE,  403, GATE, GATE]),
    ("/i.php?/PUBLICTHUMB&/THUMB",                                                           [GATE,  403, GATE, GATE]),
    ("/i.php?%2fTHUMB",                                                                      [GATE,  403, GATE, GATE]),
    ("/i.php",                                                                               [GATE,  403, GATE, GATE]),
    ("/I.php?/THUMB",                                                                        [ 404,  404,  404,  404]),
    ("/index.php/../i.php?/THUMB",                                                           [GATE,  403, GATE, GATE]),
    ("/_gate/file/PRIVATE",                                                                  [ 404,  404,  404,  404]),
    ("/_gate/i.php?/THUMB",                                                                  [ 404,  404,  404,  404]),
    ("/_gate/gate.fcgi/PRIVATE",                                                             [ 404,  404,  404,  404]),
    ("/gate.fcgi/PRIVATE",                                                                   [ 404,  404,  404,  404]),
    ("http://localhost/PRIVATE",                                                             [GATE, GATE, GATE, GATE]),
    ("http://localhost/themes/../PRIVATE",                                                   [GATE, GATE, GATE, GATE]),
    ("/local/config/database.inc.php",                                                       [ 404,  404,  404,  404]),
    ("/LOCAL/config/database.inc.php",                                                       [ 404,  404,  404,  404]),
    ("/local/config/gate.toml",                                                              [ 404,  404,  404,  404]),
    ("/gate.toml",                                                                           [ 404,  404,  404,  404]),
    ("/_data/logs/log.txt",                                                                  [ 404,  404,  404,  404]),
    ("/_data",                                                                               [ 404,  404,  404,  404]),
    ("/_DATA/i/THUMB",                                                                       [ 404,  404,  404,  404]),
    ("/upload",                                                                              [GATE, GATE, GATE, GATE]),
    ("/upload/",                                                                             [GATE, GATE, GATE, GATE]),
    ("/upload/2026/11/21",                                                                   [GATE, GATE, GATE, GATE]),
    ("/upload/.htaccess",                                                                    [GATE,  403,  404, GATE]),
    ("/galleries/plain/pwg_representative/movie.png",                                        [GATE, GATE, GATE, GATE]),
    ("/galleries/plain/movie-th.jpg",                                                        [GATE, GATE, GATE, GATE]),
];

struct Server {
    name: &'static str,
    address: SocketAddr,
    scene: Scene,
    _running: Box<dyn std::any::Any>,
}

fn servers() -> Vec<Server> {
    let mut servers = Vec::new();
    for (name, file) in [(SERVERS[0], nginx::ACCEL), (SERVERS[1], nginx::AUTH_REQUEST)] {
        let scene = Scene::start();
        let php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, file);
        servers.push(Server {
            name,
            address: nginx.address(),
            scene,
            _running: Box::new((nginx, gate, php)),
        });
    }
    for (name, x_sendfile) in [(SERVERS[2], true), (SERVERS[3], false)] {
        let scene = Scene::start();
        php::write_scripts(&scene.sandbox);
        let (host, modules) = if x_sendfile {
            (
                apache::xsendfile_host(&scene.sandbox, ""),
                ["fcgid", "xsendfile", "rewrite", "actions", "headers"].as_slice(),
            )
        } else {
            apache::write_htaccess(&scene.sandbox, "", true);
            (apache::shared_host(&scene.sandbox, ""), ["fcgid", "rewrite", "actions", "headers"].as_slice())
        };
        let apache = Apache::start(&scene.sandbox, &host, modules);
        servers.push(Server { name, address: apache.address(), scene, _running: Box::new(apache) });
    }
    servers
}

/// The answer without what differs from second to second.
fn plain(mut answer: Response) -> (u16, Vec<(String, String)>, String) {
    answer.headers.retain(|(name, _)| name != "date");
    (answer.status, answer.headers.clone(), answer.text())
}

#[test]
fn no_other_name_opens_a_private_picture() {
    let mut wrong = Vec::new();
    for (index, server) in servers().iter().enumerate() {
        let world = &server.scene.world;
        let private = world.private_image("bob");
        let path = http::url(private.original());
        let (directory, name) = path.rsplit_once('/').unwrap();
        let thumb = http::url(&private.derivative("th").unwrap());
        let public = http::url(world.image(1).original());
        let fill_in = |target: &str| {
            target
                .replace("UNDERSCORE", &thumb["/_data/i/".len()..].replace("-th.", "-th_x."))
                .replace("CUSTOM", &thumb["/_data/i/".len()..].replace("-th.", "-cu_s9999."))
                .replace("THREEX", &thumb["/_data/i/".len()..].replace("-th.", "-3x."))
                .replace("ORIGINAL", &path[1..])
                .replace(
                    "PUBLICTHUMB",
                    &http::url(&world.image(1).derivative("th").unwrap())["/_data/i/".len()..],
                )
                .replace("PUBLIC", &public[1..])
                .replace("PRIVATE", &path[1..])
                .replace("THUMB", &thumb["/_data/i/".len()..])
                .replace("DIR", &directory[1..])
                .replace("NAME", name)
        };
        // The open door, to know that there is one: whoever may see it does.
        let bob = world.session("bob").cookie_header();
        let open = http::request(server.address, "GET", &path, &[("Cookie", &bob)]);
        assert_eq!((open.status, open.text()), (200, files::original_text(private.id)), "{}", server.name);
        let alice = world.session("alice").cookie_header();
        for cookie in ["", &alice] {
            let ask =
                |target: &str| plain(http::request(server.address, "GET", target, &[("Cookie", cookie)]));
            let unknown = ask("/upload/2026/11/21/nothing.jpg");
            assert_eq!(unknown.0, 403, "{}", server.name);
            // Some servers add a header by the extension that was asked for, to every answer alike.
            let unknown_style = ask("/upload/2026/11/21/nothing.css");
            for (template, answers) in TABLE {
                let target = fill_in(template);
                let answer = ask(&target);
                assert!(
                    !attacks::holds_guarded_bytes(answer.2.as_bytes()),
                    "{} {target}: {answer:?}",
                    server.name
                );
                let unknown =
                    if target.rsplit('.').next() == Some("css") { &unknown_style } else { &unknown };
                let as_expected = match answers[index] {
                    GATE => answer == *unknown,
                    status => answer.0 == status,
                };
                if !as_expected {
                    wrong.push(format!(
                        "{}: {template}: {}, {} the unknown file",
                        server.name,
                        answer.0,
                        if answer == *unknown { "as" } else { "not as" }
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
