//! Each way to ask for a picture by another name, through every set-up that we ship a file for: no byte of it; and
//! where the request reaches the gate, the very answer that an unknown file gets. The table says what a server answers
//! by itself before that.

mod support;

use support::http::{self, Response};
use support::scene::Scene;
use support::setup::Exceptions;
use support::setup::Setup::{
    self, ApacheAccessChecker, ApacheAuthnz, ApacheProxy, ApacheXsendfile, Caddy, CaddyForwardAuth, Htaccess,
    Lighttpd, Nginx, NginxAuthCache, NginxAuthRequest,
};
use support::{attacks, files};

const ALL: &[Setup] = &Setup::ALL;
const NGINX: &[Setup] = &[Nginx, NginxAuthRequest, NginxAuthCache];
const NGINX_ASKING: &[Setup] = &[NginxAuthRequest, NginxAuthCache];
const APACHE: &[Setup] = &[ApacheXsendfile, Htaccess, ApacheProxy, ApacheAccessChecker, ApacheAuthnz];
/// Where the server's own configuration is ours, names that begin with a dot are closed in it.
const APACHE_CONF: &[Setup] = &[ApacheXsendfile, ApacheProxy, ApacheAccessChecker, ApacheAuthnz];
/// They ask about URLs of files only.
const ASKING: &[Setup] = &[NginxAuthRequest, NginxAuthCache, ApacheAccessChecker, ApacheAuthnz];
const LIGHTTPD: &[Setup] = &[Lighttpd];
/// Its PHP answers every address that is no file with the page `index.php`.
const CADDY: &[Setup] = &[Caddy, CaddyForwardAuth];
/// Those whose file closes a part of the site by itself. The others let the gate refuse it.
const CLOSERS: &[Setup] = &[
    Nginx,
    NginxAuthRequest,
    NginxAuthCache,
    ApacheXsendfile,
    Htaccess,
    ApacheProxy,
    ApacheAccessChecker,
    ApacheAuthnz,
];

/// A target, and the statuses of servers that answer by themselves. All others: the gate's refusal, the same in every byte as
/// for a file that does not exist.
///
/// `PUBLIC` and `PRIVATE` are two originals in one directory, `DIR` that directory, `NAME` the second's file name; `THUMB`
/// and `PUBLICTHUMB` their thumbnails below `/_data/i`. Below `/_data/i` too: `ORIGINAL` is `PRIVATE`'s own name, and its
/// derivatives `UNDERSCORE` (`-th_x`), `CUSTOM` (a size that nobody registered), `THREEX` (a size that is disabled).
#[rustfmt::skip]
const TABLE: &[(&str, Exceptions)] = &[
    ("/PRIVATE",                                                             &[]),
    ("/_data/i/THUMB",                                                       &[]),
    ("/i.php?/THUMB",                                                        &[(ASKING, 403)]),
    ("/i.php/THUMB",                                                         &[(ASKING, 403)]),
    ("/i?/THUMB",                                                            &[(ASKING, 403)]),
    ("/i/THUMB",                                                             &[(ASKING, 403)]),
    ("/PRIVATE?x=1",                                                         &[]),
    ("/PUBLIC/../NAME",                                                      &[]),
    ("/PUBLIC/..%2fNAME",                                                    &[(APACHE, 404)]),
    ("/PUBLIC/%2e%2e/NAME",                                                  &[]),
    ("/PUBLIC/%2E./NAME",                                                    &[]),
    ("/themes/../PRIVATE",                                                   &[]),
    ("/themes/%2e%2e/PRIVATE",                                               &[]),
    ("/themes/..%2fPRIVATE",                                                 &[(APACHE, 404)]),
    ("/themes%2f..%2fPRIVATE",                                               &[(APACHE, 404)]),
    ("/DIR/./NAME",                                                          &[]),
    ("/DIR//NAME",                                                           &[]),
    ("//PRIVATE",                                                            &[]),
    ("/DIR%2fNAME",                                                          &[(APACHE, 404)]),
    ("/DIR%5cNAME",                                                          &[]),
    ("/DIR\\NAME",                                                           &[]),
    ("/PRIVATE%00",                                                          &[(NGINX, 400), (LIGHTTPD, 400), (APACHE, 404)]),
    ("/PRIVATE%00.css",                                                      &[(NGINX, 400), (LIGHTTPD, 400), (APACHE, 404)]),
    ("/PRIVATE%0a",                                                          &[(LIGHTTPD, 400), (&[ApacheProxy], 403)]),
    ("/PRIVATE#y.jpg",                                                       &[(APACHE, 400)]),
    ("/PUBLIC#/../NAME",                                                     &[(APACHE, 400)]),
    ("/themes/x.css#/../../PRIVATE",                                         &[(NGINX, 404), (LIGHTTPD, 404), (APACHE, 400)]),
    ("/PRIVATE.",                                                            &[]),
    ("/PRIVATE%20",                                                          &[]),
    ("/PRIVATE/",                                                            &[]),
    ("/PRIVATE/x.css",                                                       &[]),
    ("/PRIVATE;x.css",                                                       &[]),
    ("/PRIVATE::$DATA",                                                      &[]),
    ("/%75pload/2026/11/21/NAME",                                            &[]),
    ("/%2575pload/2026/11/21/NAME",                                          &[(CADDY, 200), (ALL, 404)]),
    ("/Upload/2026/11/21/NAME",                                              &[(CLOSERS, 404)]),
    ("/UPLOAD/2026/11/21/NAME",                                              &[(CLOSERS, 404)]),
    ("/upload./2026/11/21/NAME",                                             &[(APACHE, 404)]),
    ("/upload%20/2026/11/21/NAME",                                           &[(APACHE, 404)]),
    ("/%EF%BD%95pload/2026/11/21/NAME",                                      &[(CLOSERS, 404)]),
    ("/galleries/secretdir/upper.jpg",                                       &[]),
    ("/galleries/secretdir/UPPER.jpg",                                       &[]),
    ("/galleries/Ete%20a%20Paris/Prive%20-%202019/secret%20e.jpg",           &[]),
    ("/galleries/%C3%89T%C3%89%20%C3%A0%20Paris/Priv%C3%A9%20-%202019/secret%20%C3%A9.jpg", &[]),
    ("/galleries/E%CC%81te%CC%81%20a%CC%80%20Paris/Prive%CC%81%20-%202019/secret%20e%CC%81.jpg", &[]),
    ("/galleries/%C3%89t%C3%A9+%C3%A0+Paris/Priv%C3%A9+-+2019/secret+%C3%A9.jpg", &[]),
    ("/upload/%F0%9F%98%80.jpg",                                             &[]),
    ("/upload/%FF.jpg",                                                      &[(LIGHTTPD, 400)]),
    ("/_data/i/THUMB_x.jpg",                                                 &[]),
    ("/_data/i/UNDERSCORE",                                                  &[]),
    ("/_data/i/CUSTOM",                                                      &[]),
    ("/_data/i/THREEX",                                                      &[]),
    ("/_data/i/ORIGINAL",                                                    &[]),
    ("/_data/i/../../PRIVATE",                                               &[]),
    ("/_data/combined/../../PRIVATE",                                        &[]),
    ("/i.php?/THUMB&b=1&b=2",                                                &[(ASKING, 403)]),
    ("/i.php?/themes/../THUMB",                                              &[(ASKING, 403)]),
    ("/i.php?/THUMB%00",                                                     &[(LIGHTTPD, 400), (ASKING, 403)]),
    ("/i.php/THUMB?/PUBLICTHUMB",                                            &[(ASKING, 403)]),
    ("/i.php?/PUBLICTHUMB&/THUMB",                                           &[(ASKING, 403)]),
    ("/i.php?%2fTHUMB",                                                      &[(ASKING, 403)]),
    ("/i.php",                                                               &[(ASKING, 403)]),
    ("/I.php?/THUMB",                                                        &[(CLOSERS, 404)]),
    ("/index.php/../i.php?/THUMB",                                           &[(ASKING, 403)]),
    ("/_gate/file/PRIVATE",                                                  &[(CLOSERS, 404), (LIGHTTPD, 404)]),
    ("/_gate/i.php?/THUMB",                                                  &[(CLOSERS, 404), (LIGHTTPD, 404)]),
    ("/_gate/gate.fcgi/PRIVATE",                                             &[(CLOSERS, 404), (LIGHTTPD, 404)]),
    ("/gate.fcgi/PRIVATE",                                                   &[(CADDY, 200), (ALL, 404)]),
    ("http://localhost/PRIVATE",                                             &[(LIGHTTPD, 400)]),
    ("http://localhost/themes/../PRIVATE",                                   &[(LIGHTTPD, 400)]),
    ("/local/config/database.inc.php",                                       &[(CLOSERS, 404)]),
    ("/LOCAL/config/database.inc.php",                                       &[(CLOSERS, 404)]),
    ("/local/config/gate.toml",                                              &[(CLOSERS, 404)]),
    ("/gate.toml",                                                           &[(CLOSERS, 404)]),
    ("/_data/logs/log.txt",                                                  &[(CLOSERS, 404)]),
    ("/_data",                                                               &[(CLOSERS, 404)]),
    ("/_DATA/i/THUMB",                                                       &[(CLOSERS, 404)]),
    ("/upload",                                                              &[]),
    ("/upload/",                                                             &[]),
    ("/upload/2026/11/21",                                                   &[]),
    ("/upload/.htaccess",                                                    &[(NGINX_ASKING, 403), (APACHE_CONF, 404)]),
    ("/galleries/plain/pwg_representative/movie.png",                        &[]),
    ("/galleries/plain/movie-th.jpg",                                        &[]),
];

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
    let (directory, name) = path.rsplit_once('/').unwrap();
    let short = |url: &str| url["/_data/i/".len()..].to_owned();
    let thumb = short(&http::url(&private.derivative("th").unwrap()));
    let public = world.image(1);
    let fill_in = |target: &str| {
        target
            .replace("UNDERSCORE", &thumb.replace("-th.", "-th_x."))
            .replace("CUSTOM", &thumb.replace("-th.", "-cu_s9999."))
            .replace("THREEX", &thumb.replace("-th.", "-3x."))
            .replace("ORIGINAL", &path[1..])
            .replace("PUBLICTHUMB", &short(&http::url(&public.derivative("th").unwrap())))
            .replace("PUBLIC", &http::url(public.original())[1..])
            .replace("PRIVATE", &path[1..])
            .replace("THUMB", &thumb)
            .replace("DIR", &directory[1..])
            .replace("NAME", name)
    };
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
            let target = fill_in(template);
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

for_every_setup!(no_other_name_opens_a_private_picture);
