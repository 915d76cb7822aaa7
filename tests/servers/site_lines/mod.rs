//! A site's own lines beside the printed file, for nginx and Apache: whatever they do to requests, files and
//! errors, no private file, size, log or setting comes to a guest or to a stranger, and a visitor who may see
//! a picture gets it.

#![allow(clippy::expect_used, clippy::doc_markdown)]

mod apache;
mod nginx;

use std::fmt::Write as _;
use std::fs::{self, File};

use crate::support::files;
use crate::support::http;
use crate::support::scene::Scene;
use crate::support::setup::Setup::{
    self, ApacheAccessChecker, ApacheAuthnz, ApacheProxy, ApacheXsendfile, Htaccess, Nginx, NginxAuthCache,
    NginxAuthRequest,
};
use crate::support::setup::{Own, Running};

/// What each secret file holds, and nothing else of the gallery.
const MARK: &str = "the-secret";

/// The length of each secret file, which no page may tell either.
const LENGTH: usize = 77_713;

/// May see the private pictures.
const FRIEND: &str = "bob";

/// May see none of them.
const STRANGER: &str = "alice";

const ALL_NGINX: &[Setup] = &[Nginx, NginxAuthRequest, NginxAuthCache];

/// Lines of a site's own.
struct Lines {
    name: &'static str,
    setups: &'static [Setup],
    own: Own<'static>,
    /// Other URLs under which these lines show the gallery, or a part of it: put before each target.
    prefixes: &'static [&'static str],
    /// Further targets. `ORIGINAL` and `THUMB` stand for the URLs of a private picture and of a size of it,
    /// `SIZE` for the latter as `i.php` takes it.
    targets: &'static [&'static str],
    /// Methods besides GET and POST that a visitor tries.
    methods: &'static [&'static str],
    /// A target and a part of its answer's text: these lines are in force.
    control: Option<(&'static str, &'static str)>,
    /// Whether pictures come to a visitor who may see them.
    sends: bool,
}

const PLAIN: Lines = Lines {
    name: "",
    setups: ALL_NGINX,
    own: Own { outside: "", site: "", htaccess: "", modules: &[] },
    prefixes: &[],
    targets: &[],
    methods: &[],
    control: None,
    sends: true,
};

const SSI_CONTROL: Option<(&str, &str)> = Some(("/evil.shtml", "public style"));

/// Pages that have all targets for parts, and a file that a visitor may have had the server copy.
const PAGES: [&str; 4] = ["/evil.shtml", "/upload/test/page.txt", "/upload/test/page.shtml", "/copied.txt"];

/// URLs of one private picture, and of all that a guest and a stranger must not have.
struct Secrets {
    original: String,
    thumb: String,
    /// Of `thumb`, as `i.php` takes it.
    size: String,
    targets: Vec<String>,
}

/// Writes the secrets. The settings file is [`Setup::start_with`]'s to write.
fn hide(scene: &Scene) -> Secrets {
    let world = &scene.world;
    let private = world.private_image(FRIEND);
    let paths: Vec<String> = [
        Some(private.original().to_owned()),
        private.derivative("th"),
        private.derivative("me"),
        Some(world.image(11).format("cr2")),
        Some(world.image(35).original().to_owned()),
        world.image(35).representative(),
        world.image(35).derivative("th"),
        Some(world.image(48).original().to_owned()),
        world.image(48).derivative("th"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let secret = || format!("{MARK}\n{}", "x".repeat(LENGTH - MARK.len() - 1));
    for path in &paths {
        let file = scene.sandbox.gallery().join(path);
        let time =
            fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("a file of the gallery");
        fs::write(&file, secret()).expect("a file of the gallery");
        File::options().append(true).open(&file).and_then(|file| file.set_modified(time)).expect("its time");
    }
    let closed =
        ["_data/logs/log.txt", "_data/tmp/half.jpg", "gate.toml", ".git/config", "local/config/notes.txt"];
    for name in closed {
        scene.sandbox.write(&format!("gallery/{name}"), secret());
    }
    let thumb = http::url(&private.derivative("th").expect("a picture"));
    let size = thumb["/_data/i".len()..].to_owned();
    let missing = http::url(&private.derivative("sq").expect("a picture"));
    let mut targets: Vec<String> =
        paths.iter().chain(&closed.map(str::to_owned)).map(|path| http::url(path)).collect();
    targets.extend(
        ["/local/config/gate.toml", "/local/config/database.inc.php", "/_data/logs/", "/upload/"]
            .map(str::to_owned),
    );
    targets.extend([
        format!("/i.php?{size}"),
        format!("/i.php{size}"),
        format!("/i?{size}"),
        format!("/i{size}"),
        format!("/i.php?{}", &missing["/_data/i".len()..]),
        missing,
    ]);
    Secrets { original: http::url(private.original()), thumb, size, targets }
}

/// Pages that include all targets, where the server makes pages of parts.
fn write_pages(setup: Setup, scene: &Scene, secrets: &Secrets) {
    let sandbox = &scene.sandbox;
    let mut page =
        "<p>\n<!--#include virtual=\"/themes/default/theme.css\" -->\n<!--#config sizefmt=\"bytes\" -->\n"
            .to_owned();
    let internal = ["/_gate/file", "/_gate/derivative", "/_gate/gate.fcgi"];
    let all = secrets.targets.iter().cloned();
    let all = all.chain(
        internal
            .iter()
            .flat_map(|begin| secrets.targets.iter().map(move |target| format!("{begin}{target}"))),
    );
    for target in all.chain([
        format!("/_gate/i.php?{}", secrets.size),
        "/_gate/ask".to_owned(),
        "/_gate/closed".to_owned(),
    ]) {
        // nginx knows the first of them only.
        let commands = if ALL_NGINX.contains(&setup) { &["include"][..] } else { &["include", "fsize"] };
        for command in commands {
            writeln!(page, "<!--#{command} virtual=\"{target}\" -->").expect("a string grows");
        }
    }
    sandbox.write("gallery/evil.shtml", &page);
    // The same as a picture's companion that everybody may have, and as what Piwigo's `i.php` has to make.
    sandbox.write("gallery/upload/test/page.txt", &page);
    sandbox.write("gallery/upload/test/page.shtml", &page);
    scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path) VALUES (901, 'x', './upload/test/page.txt'), (902, 'x', './upload/test/page.shtml');
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (901, 1), (902, 1);",
    );
    // A page of the site's own that lets its visitor say what the server is to send.
    sandbox.write(
        "gallery/send.php",
        "<?php\nforeach (['X-Accel-Redirect', 'X-Sendfile', 'Location'] as $name) {\n\
         if (isset($_GET[$name])) header(\"$name: {$_GET[$name]}\", true, 200);\n}\necho 'a page that sends';\n",
    );
}

/// Whether an answer, which may end too early, shows anything of a secret.
fn leak(answer: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(answer);
    let length = ["77713", "77,713", "75.9", "76K"];
    [MARK, "made by i.php", "db_password", "enable_formats"]
        .into_iter()
        .chain(length)
        .find(|mark| text.contains(mark))
}

/// The whole answer as it comes.
fn ask(server: &Running, method: &str, target: &str, cookie: &str) -> Vec<u8> {
    let body = if method == "GET" { "" } else { "0123456789" };
    let text = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
         Destination: http://localhost/copied.txt\r\n{cookie}\r\n{body}",
        body.len()
    );
    http::exchange(server.address(), text.as_bytes())
}

/// What is wrong with a set-up that runs: asks for everything, as those who may have nothing and as a friend.
fn examine(lines: &Lines, scene: &Scene, server: &Running, secrets: &Secrets) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some((target, text)) = lines.control {
        let answer = ask(server, "GET", target, "");
        let answer = String::from_utf8_lossy(&answer);
        if !answer.contains(text) {
            wrong.push(format!("not in force: {answer:.500}"));
        }
    }
    let fill_in = |target: &&str| {
        let target = target.replace("ORIGINAL", &secrets.original).replace("THUMB", &secrets.thumb);
        target.replace("SIZE", &secrets.size)
    };
    let mut targets: Vec<String> = lines.targets.iter().map(fill_in).collect();
    for prefix in [""].iter().chain(lines.prefixes) {
        targets.extend(secrets.targets.iter().map(|target| format!("{prefix}{target}")));
    }
    targets.extend(PAGES.map(str::to_owned));
    for method in ["GET", "POST"].iter().chain(lines.methods) {
        wrong.extend(what_comes(scene, server, None, &targets, method));
    }
    // Whom the gate knows does not depend on the method.
    wrong.extend(what_comes(scene, server, Some(STRANGER), &targets, "GET"));
    if lines.sends {
        wrong.extend(what_does_not_come(scene, server, secrets));
        // What a friend has just got is kept for nobody else.
        let sent = [secrets.original.clone(), secrets.thumb.clone()];
        wrong.extend(what_comes(scene, server, None, &sent, "GET"));
        wrong.extend(what_comes(scene, server, Some(STRANGER), &sent, "GET"));
    }
    wrong
}

/// Secrets that come to a user who must not have them; `None`: a guest.
fn what_comes(
    scene: &Scene,
    server: &Running,
    user: Option<&str>,
    targets: &[String],
    method: &str,
) -> Vec<String> {
    let cookie = user.map(|user| scene.world.session(user).cookie_header());
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let leaks = targets.iter().filter_map(|target| {
        let mark = leak(&ask(server, method, target, &cookie))?;
        Some(format!("{method} {target} as {user:?}: {mark}"))
    });
    leaks.collect()
}

/// Pictures that do not come to a visitor who may see them.
fn what_does_not_come(scene: &Scene, server: &Running, secrets: &Secrets) -> Vec<String> {
    let mut wrong = Vec::new();
    let open = http::url(scene.world.image(1).original());
    for (target, user, text) in [
        (&open, None, files::original_text(1)),
        (&secrets.original, Some(FRIEND), MARK.to_owned()),
        (&secrets.thumb, Some(FRIEND), MARK.to_owned()),
    ] {
        let answer = scene.request(server.address(), "GET", target, user, &[]);
        if answer.status != 200 || !answer.text().starts_with(&text) {
            wrong.push(format!("{user:?} does not get {target}: {} {:.500}", answer.status, answer.text()));
        }
    }
    wrong
}

fn hold_all(setup: Setup, table: &[Lines]) {
    let scene = Scene::start();
    let secrets = hide(&scene);
    write_pages(setup, &scene, &secrets);
    let mut wrong = Vec::new();
    for lines in table.iter().filter(|lines| lines.setups.contains(&setup)) {
        // The printed file says so: mod_rewrite sets a handler in small letters, and cannot name such a
        // socket.
        let has_capitals = scene.sandbox.path().to_string_lossy().contains(|c: char| c.is_ascii_uppercase());
        if setup == ApacheProxy && lines.name == "rewriting, by the site" && has_capitals {
            println!("not tried, because the temporary directory's name has capitals: {}", lines.name);
            continue;
        }
        let _ = fs::remove_file(scene.sandbox.gallery().join(".htaccess"));
        let server = setup.start_with(&scene, &["# the-secret of the settings"], &lines.own);
        let found = examine(lines, &scene, &server, &secrets);
        wrong.extend(found.iter().map(|what| format!("{setup:?}, {}: {what}", lines.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nginx() {
    hold_all(Nginx, nginx::LINES);
}

#[test]
fn nginx_auth_request() {
    hold_all(NginxAuthRequest, nginx::LINES);
}

#[test]
fn nginx_auth_cache() {
    hold_all(NginxAuthCache, nginx::LINES);
}

#[test]
fn apache_xsendfile() {
    hold_all(ApacheXsendfile, apache::LINES);
}

#[test]
fn htaccess() {
    hold_all(Htaccess, apache::LINES);
}

#[test]
fn apache_proxy() {
    hold_all(ApacheProxy, apache::LINES);
}

#[test]
fn apache_access_checker() {
    hold_all(ApacheAccessChecker, apache::LINES);
}

#[test]
fn apache_authnz() {
    hold_all(ApacheAuthnz, apache::LINES);
}
