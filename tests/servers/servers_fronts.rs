//! The shipped files for front ends that hold no files themselves, HAProxy and an nginx that only passes on:
//! the gate sends the bytes, pages and public files come from behind, and everything else is refused. By the
//! real programs.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use crate::support::attack_table::{TABLE, fill_in};
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::haproxy::{self, Haproxy};
use crate::support::http::{self, Response};
use crate::support::markers::{self, SHELL, Visitor};
use crate::support::nginx::{self, Nginx};
use crate::support::php::PhpFcgi;
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;
use crate::support::setup::Setup;
use crate::support::site::{self, Site};
use crate::support::{attacks, config};

const BOTH: [Setup; 2] = [Setup::Haproxy, Setup::NginxFront];

/// Says what PHP was told.
const PLUGIN_PHP: &str = "<?php
foreach (['REMOTE_ADDR', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PATH_INFO', 'QUERY_STRING'] as $name)
  echo $name, '=', isset($_SERVER[$name]) ? $_SERVER[$name] : '', \"\\n\";
";

#[test]
fn every_name_is_the_files_own() {
    for setup in BOTH {
        site::every_name_is_the_files_own(&Site::start(setup, &[]));
    }
}

#[test]
fn allowed_files_and_refusals_look_as_they_should() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        site::the_rest_of_the_site_is_as_before(&site, "original 1\n");
        site::refusals_look_the_same_and_say_nothing(&site);
        site::no_spelling_of_a_url_opens_a_private_file(&site);
        site::allowed_files_have_the_headers_of_a_private_static_file(&site);
    }
}

#[test]
fn what_could_do_harm_is_not_sent() {
    for setup in BOTH {
        site::active_content_is_only_downloaded(&Site::start(setup, &[]));
        let site = Site::start(setup, &[]);
        site::what_is_no_file_of_the_gallery_is_not_sent(&site);
        let refused = site::secrets_are_closed(&site).into_iter().collect::<Vec<_>>();
        assert_eq!(refused, [403], "{setup:?}");
    }
}

#[test]
fn a_missing_derivative_is_made_by_the_gate() {
    for setup in BOTH {
        site::a_missing_derivative_is_made_by_the_gate(&Site::start(setup, &[]));
    }
}

/// A front end cannot be told by the gate to ask another server.
#[test]
fn what_only_piwigo_can_make_is_not_found() {
    for setup in BOTH {
        let site = Site::start(setup, &["derivatives = \"piwigo\""]);
        let url = http::url(&site.scene.world.private_image("erin").derivative("sq").expect("a picture"));
        assert_eq!(site.get(&url, Some("erin")).status, 404, "{setup:?}");
        assert_eq!(site.get(&url, None).status, 403, "{setup:?}");
    }
}

#[test]
fn i_php_and_action_php_are_the_gates() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let image = site.scene.world.private_image("erin");
        let path = image.derivative("th").expect("a picture");
        let short = &http::url(&path)["/_data/i".len()..];
        for target in
            [format!("/i.php?{short}"), format!("/i.php{short}"), format!("/i?{short}"), format!("/i{short}")]
        {
            let answer = site.get(&target, Some("erin"));
            let right = (200, files::derivative_text(image.id, "th"));
            assert_eq!((answer.status, answer.text()), right, "{setup:?} {target}");
            assert_eq!(site.get(&target, None).status, 403, "{setup:?} {target}");
        }
        let download = format!("/action.php?id={}&part=e&download", image.id);
        let answer = site.get(&download, Some("erin"));
        assert_eq!((answer.status, answer.text()), (200, files::original_text(image.id)), "{setup:?}");
        assert_eq!(answer.all("content-disposition").len(), 1, "{setup:?}");
        assert_eq!(site.get(&download, None).status, 403, "{setup:?}");
    }
}

#[test]
fn other_methods_get_nothing() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let private = http::url(site.scene.world.image(1).original());
        for url in [&*private, "/themes/default/theme.css"] {
            for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
                let answer = http::request_with_body(site.address(), method, url, &[], b"0123456789");
                let is_style = url.starts_with("/themes");
                let right = if is_style { &[403, 405][..] } else { &[405] };
                assert!(right.contains(&answer.status), "{setup:?} {method} {url}: {}", answer.status);
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{setup:?} {method} {url}");
            }
        }
        // No path at all.
        let answer = http::request(site.address(), "OPTIONS", "*", &[]);
        assert!((400..500).contains(&answer.status), "{setup:?}: {}", answer.status);
    }
}

/// What a visitor says about the gate's own words, or about the address.
#[test]
fn no_header_of_a_visitor_changes_an_answer() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let public = http::url(site.scene.world.image(1).original());
        let private = http::url(site.scene.world.private_image("erin").original());
        for header in [
            ("GATE_DELIVER", "x-sendfile"),
            ("GATE-DELIVER", "authorize"),
            ("GATE_URL_PREFIX", "/x"),
            ("X-Sendfile", "/etc/passwd"),
            ("X-Accel-Redirect", "/upload/x"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Original-URL", "/themes/default/theme.css"),
            ("Remote-Addr", "192.0.2.1"),
            ("Proxy", "http://198.51.100.1/"),
        ] {
            let answer = site.request("GET", &public, None, &[header]);
            let right = (200, files::original_text(1));
            assert_eq!((answer.status, answer.text()), right, "{setup:?} {header:?}");
            assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{setup:?} {header:?}");
            assert_eq!(site.request("GET", &private, None, &[header]).status, 403, "{setup:?} {header:?}");
            assert_eq!(
                site.request("GET", &private, Some("erin"), &[header]).status,
                200,
                "{setup:?} {header:?}"
            );
        }
    }
}

/// Of the rest of the site, what is named comes, and only that.
#[test]
fn public_folders_pages_and_nothing_else() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let sandbox = &site.scene.sandbox;
        let public = [
            "themes/default/js/a b.js",
            "themes/x/fonts/x.WOFF2",
            "plugins/x/y/z.svg",
            "admin/themes/default/theme.css",
            "language/en_UK/en_UK.jpg",
            "template-extension/x/y.css",
            "tools/ws.htm",
            "local/css/rules.css",
            "local/logo/custom.svg",
            "local/watermarks/mark.png",
            "_data/combined/a1.js",
            "robots.txt",
            "favicon.ico",
            ".well-known/acme-challenge/t0-K_en",
        ];
        let closed = [
            "themes/x/config.php.bak",
            "themes/x/settings.ini",
            "themes/.git/config",
            "themes/x/.hidden.css",
            "plugins/x/.env",
            "plugins/x/y.inc",
            "plugins/x/dump.sql",
            "plugins/x/template/a.tpl",
            "local/language/x.lang.txt",
            "local/config/x.css",
            "local/x.css",
            "_data/x.css",
            "_data/templates_c/x.css",
            "_data/combined/x.tpl",
            "include/x.css",
            "admin/x.css",
            "install/x.css",
            "README.md",
            "dump.sql",
            "other/x.css",
        ];
        for path in public.iter().chain(&closed) {
            sandbox.write(&format!("gallery/{path}"), format!("text of {path}\n"));
        }
        for path in public {
            let answer = site.get(&http::url(path), None);
            let right = (200, format!("text of {path}\n"));
            assert_eq!((answer.status, answer.text()), right, "{setup:?} {path}");
            let head = site.request("HEAD", &http::url(path), None, &[]);
            assert_eq!((head.status, head.body.len()), (200, 0), "{setup:?} {path}");
        }
        for path in closed {
            let answer = site.get(&http::url(path), None);
            assert_eq!((answer.status, answer.text().as_str()), (403, "Forbidden\n"), "{setup:?} {path}");
        }
        for directory in ["/themes", "/themes/", "/plugins/x/", "/_data/combined/", "/.well-known/"] {
            assert_eq!(site.get(directory, None).status, 403, "{setup:?} {directory}");
        }
    }
}

/// A line of `PLUGIN_PHP`.
fn told<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn php_runs_pages_and_scripts_of_plugins_only() {
    for setup in BOTH {
        let site = Site::start(setup, &[]);
        let sandbox = &site.scene.sandbox;
        let scripts = [
            "plugins/x/ajax.php",
            "ws.php",
            "upload/x.php",
            "galleries/x.php",
            "_data/x.php",
            "_data/combined/x.php",
            "local/css/x.php",
            "local/config/x.php",
            "themes/x/x.php",
            "include/x.php",
            "admin/x.php",
            "install/x.php",
            "plugins/x/.x.php",
            ".well-known/x.php",
        ];
        for script in scripts {
            sandbox.write(&format!("gallery/{script}"), PLUGIN_PHP);
        }
        let root = sandbox.gallery();
        for (target, file, name, info, query) in [
            ("/plugins/x/ajax.php?a=%2e", "plugins/x/ajax.php", "/plugins/x/ajax.php", "", "a=%2e"),
            ("/ws.php?format=json", "ws.php", "/ws.php", "", "format=json"),
            ("/ws.php/category/1-a%20%C3%A9/", "ws.php", "/ws.php", "/category/1-a é/", ""),
        ] {
            let answer = site.get(target, None);
            let text = answer.text();
            assert_eq!(answer.status, 200, "{setup:?} {target}: {text}");
            assert_eq!(told(&text, "REMOTE_ADDR"), "127.0.0.1", "{setup:?} {target}");
            // The nginx behind the other one has its own idea of a script's name.
            if setup == Setup::Haproxy {
                assert_eq!(told(&text, "SCRIPT_NAME"), name, "{setup:?} {target}");
            }
            let file = root.join(file).display().to_string();
            assert_eq!(told(&text, "SCRIPT_FILENAME"), file, "{setup:?} {target}");
            assert_eq!(told(&text, "PATH_INFO"), info, "{setup:?} {target}");
            assert_eq!(told(&text, "QUERY_STRING"), query, "{setup:?} {target}");
        }
        for script in &scripts[2..] {
            let answer = site.get(&http::url(script), None);
            let shown = (answer.status, answer.text().contains("SCRIPT_NAME"));
            assert_eq!(shown, (403, false), "{setup:?} {script}: {}", answer.text());
        }
        for target in [
            "/ws.php/../upload/x.php",
            "/ws.php/..%2fupload/x.php",
            "/plugins/../upload/x.php",
            "/plugins/x/..%2f..%2fupload/x.php",
            "/plugins/x/%2e%2e/%2e%2e/upload/x.php",
            "/plugins//x/ajax.php",
            "/%70lugins/x/ajax.php",
            "/upload/x.php/ws.php",
            "/plugins/x/ajax.php/x.css",
            "/ws.PHP",
            "/ws.php.",
            "/ws.php%20",
        ] {
            let answer = site.get(target, None);
            assert!(!answer.text().contains("SCRIPT_NAME"), "{setup:?} {target}: {}", answer.text());
            assert!((400..500).contains(&answer.status), "{setup:?} {target}: {}", answer.status);
        }
    }
}

/// A visitor's address counts as the front end knows it, for the gate and for PHP alike.
#[test]
fn the_visitors_address_is_one() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    sandbox.write("gallery/plugins/x/ajax.php", PLUGIN_PHP);
    let _php = PhpFcgi::start(sandbox);
    let _gate = Gate::start(sandbox, &[], &[]);
    let printed = config::print(sandbox, "haproxy", &[]);
    let line = "    #http-request set-src req.hdr_ip(x-forwarded-for,-1) if { src 192.0.2.10 }\n";
    assert_eq!(printed.matches(line).count(), 1);
    let trusting = printed.replace(line, &line.replace('#', "").replace("192.0.2.10", "127.0.0.1"));
    let url = http::url(scene.world.private_image("erin").original());
    // Erin's session was opened from 127.0.x.x.
    for (text, forwarded, seen, status) in [
        (&printed, "192.0.2.77", "127.0.0.1", 200),
        (&trusting, "192.0.2.77", "192.0.2.77", 403),
        (&trusting, "127.0.0.9", "127.0.0.9", 200),
        (&trusting, "127.0.0.9, 192.0.2.77", "192.0.2.77", 403),
    ] {
        let haproxy = Haproxy::start(sandbox, &haproxy::site(sandbox, text));
        let header = [("X-Forwarded-For", forwarded)];
        let picture = scene.request(haproxy.address(), "GET", &url, Some("erin"), &header);
        assert_eq!(picture.status, status, "{forwarded}");
        let page = scene.request(haproxy.address(), "GET", "/plugins/x/ajax.php", None, &header);
        assert_eq!(told(&page.text(), "REMOTE_ADDR"), seen, "{forwarded}");
    }
}

/// A server with everything behind the front end: Piwigo as an administrator already has it.
struct Open {
    scene: Scene,
    behind: Nginx,
    _servers: (PhpFcgi, Gate),
}

impl Open {
    fn start() -> Self {
        let scene = Scene::start();
        markers::write(&scene);
        let php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let behind = Nginx::start(&scene.sandbox, &nginx::behind_a_front(&scene.sandbox));
        let image = scene.world.private_image("bob");
        let plain = http::get(behind.address(), http::url(image.original()));
        assert!(plain.text().contains(&markers::original(image)), "nothing guards what is behind");
        Open { scene, behind, _servers: (php, gate) }
    }

    fn backend(&self) -> String {
        self.behind.address().to_string()
    }

    /// What a guest may not have and gets.
    fn leaks(&self, address: SocketAddr) -> Vec<String> {
        let world = &self.scene.world;
        let image = world.private_image("bob");
        let guest = Visitor::guest(world);
        let thumb = image.derivative("th").expect("a picture");
        let mut targets: Vec<String> =
            TABLE.iter().map(|(target, _)| fill_in(world, image, target)).collect();
        for path in [image.original(), &thumb, SHELL, "_data/logs/log.txt", "local/config/gate.toml"] {
            targets.extend(attacks::spellings(&http::url(path)));
            targets.push(format!("/old{}", http::url(path)));
        }
        targets.push(format!("{}?/x.css", http::url(image.original())));
        let mut leaks = Vec::new();
        for target in targets {
            let answer = http::get(address, &target);
            let bytes = [format!("{:?}", answer.headers).as_bytes(), &answer.body].concat();
            if let Some(marker) = guest.leak(&bytes) {
                leaks.push(format!("{target} -> {} {marker}", answer.status));
            }
        }
        leaks
    }

    /// What is wrong with the front end as a whole.
    fn check(&self, address: SocketAddr, what: &str) {
        assert_eq!(self.leaks(address), [""; 0], "{what}");
    }
}

/// What a site's own frontend sends to the printed backends, they look at again.
#[test]
fn no_frontend_of_the_sites_own_opens_anything_through_the_printed_backends() {
    let open = Open::start();
    let sandbox = &open.scene.sandbox;
    let backend = open.backend();
    let printed = config::print(sandbox, "haproxy", &["--backend", &backend]);
    let (before, after) = printed.split_once("\nfrontend piwigo\n").expect("a frontend");
    let (frontend, backends) =
        after.split_once("\n# The gate decides, and sends the bytes.\n").expect("backends");
    let own = |rules: &str| {
        format!("{before}\nfrontend own\n    mode http\n    bind BIND_ADDRESS\n{rules}\n{backends}")
    };
    for rules in [
        "    default_backend piwigo_files",
        "    default_backend piwigo_php",
        "    use_backend piwigo_files if { path_end .jpg .txt .toml .css }\n    default_backend piwigo_php",
        "    use_backend piwigo_gate if { path_beg /upload /galleries /_data/i /i.php /action.php }\n    use_backend piwigo_php if { path_reg [.]php }\n    default_backend piwigo_files",
        "    http-request replace-path /old(/.*) \\1\n    default_backend piwigo_files",
        "    http-request set-path /upload%[path]\n    default_backend piwigo_php",
    ] {
        let haproxy = Haproxy::start(sandbox, &own(rules));
        open.check(haproxy.address(), rules);
    }
    // A rule of the site's own among the printed ones.
    let text = haproxy::site(sandbox, &printed);
    for rule in [
        "    http-request replace-path /old(/.*) \\1\n",
        "    http-request set-path %[path,url_dec]\n",
        "    use_backend piwigo_files if { path_beg /upload/ }\n",
    ] {
        let with_rule = text.replace(
            "    timeout client          60s\n",
            &format!("    timeout client          60s\n{rule}"),
        );
        assert_ne!(with_rule, text);
        let haproxy = Haproxy::start(sandbox, &with_rule);
        open.check(haproxy.address(), rule);
        let style = http::get(haproxy.address(), "/themes/default/theme.css");
        assert_eq!(style.text(), "public style\n", "{rule}");
    }
    assert!(frontend.contains("default_backend piwigo_gate"));
    // The server behind is open: split by `path_beg`, it serves what the gate would refuse.
    let split = format!(
        "    use_backend piwigo_gate if {{ path_beg /upload /galleries /_data /local /i.php /action.php }}\n    \
         default_backend all\nbackend all\n    mode http\n    server all {backend}"
    );
    let haproxy = Haproxy::start(sandbox, &own(&split));
    let leaks = open.leaks(haproxy.address());
    for spelling in ["//upload/", "/./upload/", "/%75pload/"] {
        assert!(leaks.iter().any(|leak| leak.starts_with(spelling)), "{spelling}: {leaks:#?}");
    }
}

#[test]
fn no_location_of_the_sites_own_takes_a_guarded_file() {
    let open = Open::start();
    let sandbox = &open.scene.sandbox;
    let backend = open.backend();
    let guard = config::print(sandbox, "nginx-front", &["--backend", &backend]);
    let pass = format!("{{ proxy_pass http://{backend}; }}");
    for own in [
        format!("location / {pass}"),
        format!("location /upload/2026/ {pass}"),
        format!("location ~* [.](jpg|png|txt)$ {pass}"),
        format!("location ~ [.]php {pass}"),
        format!("location ~ ^/(upload|_data)/ {pass}"),
        "rewrite ^/old(/.*)$ $1 last;".to_owned(),
        "gzip on;\ngzip_types *;\nexpires 30d;\nadd_header Cache-Control public;".to_owned(),
    ] {
        // As the file says: it is the first.
        let front = Nginx::start(sandbox, &format!("{guard}\n{own}"));
        open.check(front.address(), &own);
        let bob = open.scene.world.session("bob").cookie_header();
        let image = open.scene.world.private_image("bob");
        let answer = http::request(front.address(), "GET", http::url(image.original()), &[("Cookie", &bob)]);
        assert_eq!(answer.status, 200, "{own}");
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{own}");
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{own}");
        let style = http::get(front.address(), "/themes/default/theme.css");
        assert_eq!(style.text(), "public style\n", "{own}");
        // Even where it is not, the guarded directories hold; other spellings are those of a disk that folds
        // case.
        let late = Nginx::start(sandbox, &format!("{own}\n{guard}"));
        for path in
            [image.original().to_owned(), image.derivative("th").expect("a picture"), SHELL.to_owned()]
        {
            assert_eq!(http::get(late.address(), http::url(&path)).status, 403, "{own}: {path}");
        }
    }
    let split = format!("location ^~ /upload/x {pass}\nlocation / {pass}");
    let bare = Nginx::start(sandbox, &split);
    assert!(!open.leaks(bare.address()).is_empty(), "the server behind is open");
}

#[test]
fn without_a_gate_there_are_no_bytes() {
    for setup in BOTH {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        let _php = PhpFcgi::start(sandbox);
        let behind = Nginx::start(sandbox, &nginx::behind_a_front(sandbox));
        let backend = behind.address().to_string();
        let printed = config::print(sandbox, setup.kind(), &["--backend", &backend]);
        let (mut haproxy, mut front) = (None, None);
        let address = if setup == Setup::Haproxy {
            // It asks again and again, a second apart: here in vain.
            let hasty = haproxy::site(sandbox, &printed).replace("    retries 5\n", "    retries 0\n");
            haproxy.insert(Haproxy::start(sandbox, &hasty)).address()
        } else {
            front.insert(Nginx::start(sandbox, &nginx::front(&printed))).address()
        };
        let image = scene.world.image(1);
        for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
            for method in ["GET", "HEAD", "POST"] {
                let answer = http::request(address, method, http::url(&path), &[]);
                assert_eq!(answer.status, 503, "{setup:?} {method} {path}");
                assert_eq!(answer.all("retry-after"), ["5"], "{setup:?} {method} {path}");
                assert_eq!(answer.all("cache-control"), ["no-store"], "{setup:?} {method} {path}");
            }
            for target in attacks::spellings(&http::url(&path)) {
                let answer = http::get(address, &target);
                assert!(!attacks::holds_guarded_bytes(&answer.body), "{setup:?} {target}");
            }
        }
        assert_eq!(http::get(address, "/themes/default/theme.css").text(), "public style\n");
        assert_eq!(http::get(address, "/index.php").text(), "a page of Piwigo\n");
    }
}

/// Between HAProxy and the gate: closes the first `closed` connections after their first bytes, as a gate
/// that ends would, and passes the others on.
fn stumbling(sandbox: &Sandbox, closed: usize) -> String {
    let place = sandbox.path().join("run/stumbling.sock");
    let listener = UnixListener::bind(&place).expect("a socket");
    sandbox.hand_over(&place);
    let gate = sandbox.gate_socket();
    thread::spawn(move || {
        for (number, accepted) in listener.incoming().enumerate() {
            let Ok(mut visitor) = accepted else { return };
            if number < closed {
                let _ = visitor.read(&mut [0; 8]);
                continue;
            }
            let Ok(gate) = UnixStream::connect(&gate) else { return };
            let (from, to) = (visitor.try_clone().expect("a handle"), gate.try_clone().expect("a handle"));
            thread::spawn(move || copy(from, to));
            thread::spawn(move || copy(gate, visitor));
        }
    });
    format!("unix:{}", place.display())
}

fn copy(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_request_that_a_gate_leaves_unanswered_is_asked_again() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    let _gate = Gate::start(sandbox, &[], &[]);
    let listen = stumbling(sandbox, 3);
    let printed = config::print_listening(sandbox, "haproxy", &listen, &[]);
    let haproxy = Haproxy::start(sandbox, &haproxy::site(sandbox, &printed));
    let url = http::url(scene.world.image(1).original());
    for _ in 0..3 {
        let answer = http::get(haproxy.address(), &url);
        assert_eq!((answer.status, answer.text()), (200, files::original_text(1)));
    }
}

#[test]
fn a_gallery_in_a_sub_directory_and_a_gate_on_tcp() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    sandbox.write("gallery/plugins/x/ajax.php", PLUGIN_PHP);
    sandbox.write("gallery/ws.php", PLUGIN_PHP);
    let _php = PhpFcgi::start(sandbox);
    let (_gate, address) = Gate::start_tcp(sandbox, &[]);
    let listen = format!("tcp:{address}");
    let print = |kind: &str, more: &[&str]| {
        config::print_listening(sandbox, kind, &listen, &[&["--url-prefix", "/piwigo"], more].concat())
    };
    let files = haproxy::files(sandbox, &["--url-prefix", "/piwigo"]);
    let backend = files.address().to_string();
    let text = print("haproxy", &["--backend", &backend]);
    let haproxy = Haproxy::start(sandbox, &haproxy::site(sandbox, &text));
    let behind = nginx::gallery_at(sandbox, "/piwigo", "");
    let behind = Nginx::start(sandbox, &format!("set_real_ip_from 127.0.0.1;\n{behind}"));
    let backend = behind.address().to_string();
    let front = Nginx::start(sandbox, &nginx::front(&print("nginx-front", &["--backend", &backend])));
    for (what, address) in [("haproxy", haproxy.address()), ("nginx-front", front.address())] {
        site::a_sub_directory_is_guarded(address, &scene, "/piwigo");
        for target in ["/piwigo/index.php", "/piwigo/", "/piwigo/index.php/category/1"] {
            assert_eq!(http::get(address, target).text(), "a page of Piwigo\n", "{what} {target}");
        }
        let moved = http::get(address, "/piwigo");
        assert_eq!(moved.status, 301, "{what}");
        assert!(moved.header("location").is_some_and(|to| to.ends_with("/piwigo/")), "{what} {moved:?}");
        let script = http::get(address, "/piwigo/plugins/x/ajax.php").text();
        assert_eq!(told(&script, "SCRIPT_NAME"), "/piwigo/plugins/x/ajax.php", "{what}");
        let script = http::get(address, "/piwigo/ws.php/a/b?c=d").text();
        if what == "haproxy" {
            assert_eq!(told(&script, "SCRIPT_NAME"), "/piwigo/ws.php", "{what}");
        }
        assert_eq!(told(&script, "PATH_INFO"), "/a/b", "{what}");
        assert!(told(&script, "SCRIPT_FILENAME").ends_with("/ws.php"), "{what} {script}");
        // The rest of the site is refused until it is named, and so are other spellings of the prefix.
        let style = "/themes/default/theme.css";
        for target in [style.to_owned(), format!("/PIWIGO{style}"), format!("/./piwigo{style}"), "/".into()] {
            let answer: Response = http::get(address, &target);
            assert_eq!((answer.status, answer.text().as_str()), (403, "Forbidden\n"), "{what} {target}");
        }
    }
}
