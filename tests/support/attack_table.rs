//! Each way to ask for a picture by another name, and the answers that servers give without asking the gate.

use super::http;
use super::setup::Exceptions;
use super::setup::Setup::{
    self, ApacheAccessChecker, ApacheAuthnz, ApacheProxy, ApacheXsendfile, Caddy, CaddyForwardAuth, Haproxy,
    Htaccess, Lighttpd, Nginx, NginxAuthCache, NginxAuthRequest, NginxFront,
};
use super::world::{Image, World};

const ALL: &[Setup] = &Setup::ALL;
const NGINX: &[Setup] = &[Nginx, NginxAuthRequest, NginxAuthCache];
const NGINX_ASKING: &[Setup] = &[NginxAuthRequest, NginxAuthCache];
const APACHE: &[Setup] = &[ApacheXsendfile, Htaccess, ApacheProxy, ApacheAccessChecker, ApacheAuthnz];
/// In these set-ups Apache's own configuration comes from this project and closes names that begin with a
/// dot.
const APACHE_CONF: &[Setup] = &[ApacheXsendfile, ApacheProxy, ApacheAccessChecker, ApacheAuthnz];
/// These servers ask the gate about URLs of files only.
const ASKING: &[Setup] = &[NginxAuthRequest, NginxAuthCache, ApacheAccessChecker, ApacheAuthnz];
const LIGHTTPD: &[Setup] = &[Lighttpd];
/// Caddy's PHP answers every URL that is no file with the page `index.php`.
const CADDY: &[Setup] = &[Caddy, CaddyForwardAuth];
/// These servers let the gate refuse what they do not know.
const FRONTS: &[Setup] = &[Haproxy, NginxFront];
const HAPROXY: &[Setup] = &[Haproxy];
const NGINX_FRONT: &[Setup] = &[NginxFront];
/// The set-ups whose file closes a part of the site itself. The others let the gate refuse it.
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

/// Targets, and the statuses of servers that answer without the gate. All other servers give the gate's
/// refusal, which equals in every byte the one for a file that does not exist.
///
/// `PUBLIC` and `PRIVATE` are two originals in one directory, `DIR` is that directory, and `NAME` is the
/// second's file name. `THUMB` and `PUBLICTHUMB` are their thumbnails below `/_data/i`. Also below
/// `/_data/i`, `ORIGINAL` is `PRIVATE`'s own name, and `UNDERSCORE` (`-th_x`), `CUSTOM` (a size that is not
/// registered) and `THREEX` (a size that is disabled) are its derivatives.
#[rustfmt::skip]
pub const TABLE: &[(&str, Exceptions)] = &[
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
    ("/PRIVATE%00",                                                          &[(NGINX, 400), (NGINX_FRONT, 400), (LIGHTTPD, 400), (APACHE, 404)]),
    ("/PRIVATE%00.css",                                                      &[(NGINX, 400), (NGINX_FRONT, 400), (LIGHTTPD, 400), (APACHE, 404)]),
    ("/PRIVATE%0a",                                                          &[(LIGHTTPD, 400), (&[ApacheProxy], 403)]),
    ("/PRIVATE#y.jpg",                                                       &[(HAPROXY, 400), (APACHE, 400)]),
    ("/PUBLIC#/../NAME",                                                     &[(HAPROXY, 400), (APACHE, 400)]),
    ("/themes/x.css#/../../PRIVATE",                                         &[(HAPROXY, 400), (NGINX, 404), (LIGHTTPD, 404), (APACHE, 400)]),
    ("/PRIVATE.",                                                            &[]),
    ("/PRIVATE%20",                                                          &[]),
    ("/PRIVATE/",                                                            &[]),
    ("/PRIVATE/x.css",                                                       &[]),
    ("/PRIVATE;x.css",                                                       &[]),
    ("/PRIVATE::$DATA",                                                      &[]),
    ("/%75pload/2026/11/21/NAME",                                            &[]),
    ("/%2575pload/2026/11/21/NAME",                                          &[(FRONTS, 403), (CADDY, 200), (ALL, 404)]),
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
    ("/gate.fcgi/PRIVATE",                                                   &[(FRONTS, 403), (CADDY, 200), (ALL, 404)]),
    ("http://localhost/PRIVATE",                                             &[(HAPROXY, 400), (LIGHTTPD, 400)]),
    ("http://localhost/themes/../PRIVATE",                                   &[(HAPROXY, 400), (LIGHTTPD, 400)]),
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

/// Replaces the placeholders of [`TABLE`] by the names of `private` and of the world's first image, which is
/// public.
pub fn fill_in(world: &World, private: &Image, template: &str) -> String {
    let path = http::url(private.original());
    let (directory, name) = path.rsplit_once('/').expect("a directory");
    let short = |image: &Image| {
        http::url(&image.derivative("th").expect("a picture"))["/_data/i/".len()..].to_owned()
    };
    let thumb = short(private);
    let public = world.image(1);
    template
        .replace("UNDERSCORE", &thumb.replace("-th.", "-th_x."))
        .replace("CUSTOM", &thumb.replace("-th.", "-cu_s9999."))
        .replace("THREEX", &thumb.replace("-th.", "-3x."))
        .replace("ORIGINAL", &path[1..])
        .replace("PUBLICTHUMB", &short(public))
        .replace("PUBLIC", &http::url(public.original())[1..])
        .replace("PRIVATE", &path[1..])
        .replace("THUMB", &thumb)
        .replace("DIR", &directory[1..])
        .replace("NAME", name)
}
