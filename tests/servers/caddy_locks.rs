//! Caddy with the shipped files: no spelling of a guarded address opens it, and the guard holds after the
//! site's own rewriting. The site block is the one that the file's first lines show.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::net::SocketAddr;
use std::path::Path;

use crate::support::attacks;
use crate::support::caddy::{self, Caddy};
use crate::support::config;
use crate::support::files;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::php::PhpFcgi;
use crate::support::scene::Scene;
use crate::support::setup::Setup;

const BOTH: [Setup; 2] = [Setup::Caddy, Setup::CaddyForwardAuth];

/// A gallery with a gate and PHP, and in every guarded place a file that says so.
struct Gallery {
    _gate: Gate,
    _php: PhpFcgi,
    scene: Scene,
}

/// Files of which no visitor may see the text. PHP would run some of them, and print the marker.
const SECRETS: [&str; 8] = [
    "gate.toml",
    "local/config/gate.toml",
    "local/config/secret.inc.php",
    "_data/logs/log.txt",
    "_data/templates_c/a.tpl.php",
    ".git/config",
    "upload/shell.php",
    "galleries/plain/shell.php",
];

impl Gallery {
    fn start(prefix: &str) -> Self {
        let scene = Scene::start();
        for name in SECRETS {
            let text = if name.ends_with("php") { "<?php echo 'a ', 'secret';" } else { "# a secret" };
            scene.sandbox.write(&format!("gallery/{name}"), text);
        }
        let php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &["--url-prefix", prefix], &[]);
        Self { _gate: gate, _php: php, scene }
    }

    fn printed(&self, setup: Setup, prefix: &str) -> String {
        config::print(&self.scene.sandbox, setup.kind(), &["--url-prefix", prefix])
    }

    /// Targets that must stay closed, in the plainest way to write them, each with a query if it needs one.
    fn targets(&self) -> Vec<(String, String)> {
        let image = self.scene.world.private_image("erin");
        let derivative = image.derivative("th").expect("a picture");
        let query = format!("?{}", &derivative["_data/i".len()..]);
        let files = [image.original(), &derivative].map(str::to_owned).into_iter();
        let mut targets: Vec<_> =
            files.chain(SECRETS.map(str::to_owned)).map(|path| (format!("/{path}"), String::new())).collect();
        targets.push(("/i.php".to_owned(), query));
        targets
    }
}

/// No byte of a guarded file, and nothing that PHP makes of one.
#[track_caller]
fn stays_closed(address: SocketAddr, target: &str, site: &str) {
    let answer = http::get(address, target);
    let opened = attacks::holds_guarded_bytes(&answer.body) || answer.text().contains("a secret");
    assert!(!opened, "{target}: {} {}\n{site}", answer.status, answer.text());
}

/// `path` with something put before the byte at `at`, or in the place of it, that some pattern takes for that
/// byte.
fn written_otherwise(path: &str, at: usize) -> Vec<String> {
    let (before, behind) = path.split_at(at);
    let (byte, rest) = behind.split_at(1);
    let mut all: Vec<_> = ["%5c", "\\", "%5C%5C"].map(|put| format!("{before}{put}{behind}")).into();
    if at < 4 || rest.len() < 4 {
        all.extend(
            ["%00", "%01", "%7f", "%80", "%c3", "%ef%bf%bd"].map(|put| format!("{before}{put}{behind}")),
        );
        let patterns = ["%3f", "*", "%2a", "[^!]", "%5c*", "%5c%3f"].map(str::to_owned);
        let patterns = patterns.into_iter().chain([
            format!("[{byte}]"),
            format!("%7b{byte}%7d"),
            format!("{{{byte},x}}"),
        ]);
        all.extend(patterns.map(|pattern| format!("{before}{pattern}{rest}")));
    }
    all
}

/// The site block that the file shows for a Piwigo at `prefix`, in a directory of that name.
fn shown_site(gallery: &Gallery, setup: Setup, prefix: &str) -> String {
    let sandbox = &gallery.scene.sandbox;
    let site = caddy::gallery(sandbox, &gallery.printed(setup, prefix));
    if prefix.is_empty() {
        return site;
    }
    let link = sandbox.make_dir("site").join(&prefix[1..]);
    std::os::unix::fs::symlink(sandbox.gallery(), &link).expect("a link");
    let root = |directory: &Path| format!("root * \"{}\"", directory.display());
    site.replace(&root(sandbox.path()), &root(&sandbox.path().join("site")))
}

fn hide_line(site: &str) -> &str {
    site.lines().find(|line| line.trim_start().starts_with("hide ")).expect("a line of the site block")
}

fn no_escape_and_no_pattern_opens_a_guarded_file(setup: Setup, prefix: &str) {
    let gallery = Gallery::start(prefix);
    let shown = shown_site(&gallery, setup, prefix);
    for site in [caddy::without_hide(&shown), shown] {
        let caddy = Caddy::start(&gallery.scene.sandbox, &site);
        let page = http::get(caddy.address(), format!("{prefix}/index.php"));
        assert_eq!(page.text(), "a page of Piwigo\n", "{site}");
        let style = http::get(caddy.address(), format!("{prefix}/_data/combined/a1.css"));
        assert_eq!(style.text(), "combined style\n", "{site}");
        for (path, query) in gallery.targets() {
            let path = format!("{prefix}{path}");
            for at in 1..path.len() {
                for target in written_otherwise(&path, at) {
                    stays_closed(caddy.address(), &format!("{target}{query}"), &site);
                }
            }
        }
    }
}

#[test]
fn no_escape_and_no_pattern_opens_a_guarded_file_by_x_sendfile() {
    no_escape_and_no_pattern_opens_a_guarded_file(Setup::Caddy, "");
    no_escape_and_no_pattern_opens_a_guarded_file(Setup::Caddy, "/piwigo");
}

#[test]
fn no_escape_and_no_pattern_opens_a_guarded_file_by_forward_auth() {
    no_escape_and_no_pattern_opens_a_guarded_file(Setup::CaddyForwardAuth, "");
    no_escape_and_no_pattern_opens_a_guarded_file(Setup::CaddyForwardAuth, "/piwigo");
}

/// Piwigo's own pages have file names in their addresses where `picture_url_style` is `file`.
#[test]
fn the_address_of_a_page_may_hold_the_name_of_a_picture() {
    for setup in BOTH {
        let gallery = Gallery::start("");
        let caddy = Caddy::start(&gallery.scene.sandbox, &shown_site(&gallery, setup, ""));
        for target in [
            "/picture.php/IMG%20%5B1%5D%7b2%7d/category/2",
            "/picture/a*b/category/2",
            "/index.php?/tags/a*[b]",
        ] {
            assert_eq!(http::get(caddy.address(), target).text(), "a page of Piwigo\n", "{target}");
        }
        // What belongs to another program of the site, too.
        gallery.scene.sandbox.write("gallery/app/static/pages/[slug].js", "a script\n");
        assert_eq!(http::get(caddy.address(), "/app/static/pages/%5Bslug%5D.js").text(), "a script\n");
    }
}

/// Directives of a site's own, and how a visitor would use them: `PATH` is the guarded address.
const REWRITING: [(&str, &str); 11] = [
    ("uri strip_prefix /x", "/xPATH"),
    ("uri replace /x/ /", "/xPATH"),
    ("uri path_regexp ^/x/ /", "/xPATH"),
    ("uri strip_suffix .x", "PATH.x"),
    ("@x path_regexp x ^/x(/.*)$\nrewrite @x {re.x.1}", "/xPATH"),
    ("@x path_regexp x ^/x(/.*)$\nhandle @x {\nrewrite {re.x.1}\n}", "/xPATH"),
    ("handle_path /x/* {\nheader X-Own yes\n}", "/xPATH"),
    ("route {\nuri strip_prefix /x\n}", "/xPATH"),
    ("uri strip_prefix /x\nhandle /upload/* {\nfile_server\n}\nhandle {\nfile_server\n}", "/xPATH"),
    ("try_files /{http.request.uri.query}", "/xQUERY"),
    ("rewrite /upload/* /x{path}\nuri strip_prefix /x", "/xPATH"),
];

#[test]
fn the_guard_holds_after_the_sites_own_rewriting() {
    for setup in BOTH {
        let gallery = Gallery::start("");
        let usual = caddy::without_hide(&shown_site(&gallery, setup, ""));
        for (own, form) in REWRITING {
            for site in [format!("{own}\n{usual}"), format!("{usual}\n{own}")] {
                let caddy = Caddy::start(&gallery.scene.sandbox, &site);
                for (path, query) in gallery.targets() {
                    let target = if form == "/xQUERY" {
                        format!("/x?{}", &path[1..])
                    } else {
                        format!("{}{query}", form.replace("PATH", &path))
                    };
                    stays_closed(caddy.address(), &target, &site);
                    stays_closed(caddy.address(), &target.replacen("/up", "/u%5cp", 1), &site);
                }
                let style = http::get(caddy.address(), "/themes/default/theme.css");
                assert_eq!(style.text(), "public style\n", "{site}");
            }
        }
    }
}

/// The gate judges what the visitor asked for: by forward_auth, an open picture's address must not lead to
/// another file.
#[test]
fn an_allowed_address_that_the_site_makes_into_another_is_refused() {
    for setup in BOTH {
        let gallery = Gallery::start("");
        let world = &gallery.scene.world;
        let open = http::url(world.image(1).original());
        let shut = http::url(world.private_image("erin").original());
        let usual = caddy::without_hide(&shown_site(&gallery, setup, ""));
        for own in [
            format!("uri replace {open} {shut}"),
            format!("rewrite {open} {shut}"),
            format!("handle {open} {{\nrewrite * {shut}\n}}"),
        ] {
            let site = format!("{own}\n{usual}");
            let caddy = Caddy::start(&gallery.scene.sandbox, &site);
            stays_closed_but_for_1(caddy.address(), &open, &site);
        }
    }
}

#[track_caller]
fn stays_closed_but_for_1(address: SocketAddr, target: &str, site: &str) {
    let answer = http::get(address, target);
    let private = attacks::holds_guarded_bytes(&answer.body) && answer.text() != files::original_text(1);
    assert!(!private, "{target}: {} {}\n{site}", answer.status, answer.text());
}

/// A gallery at /piwigo that lies in the site's root: an address without /piwigo leads to the same files.
#[test]
fn a_root_that_is_piwigos_own_directory_needs_no_prefix() {
    for setup in BOTH {
        let gallery = Gallery::start("/piwigo");
        let sandbox = &gallery.scene.sandbox;
        let site = caddy::without_hide(&caddy::gallery(sandbox, &gallery.printed(setup, "/piwigo")));
        let root = |directory: &Path| format!("root * \"{}\"", directory.display());
        let site = site.replace(&root(sandbox.path()), &root(&sandbox.gallery()));
        let site = format!("uri strip_prefix /piwigo\n{site}");
        let caddy = Caddy::start(sandbox, &site);
        assert_eq!(http::get(caddy.address(), "/piwigo/index.php").text(), "a page of Piwigo\n", "{site}");
        for (path, query) in gallery.targets() {
            stays_closed(caddy.address(), &format!("{path}{query}"), &site);
            stays_closed(caddy.address(), &format!("/piwigo{path}{query}"), &site);
            stays_closed(caddy.address(), &format!("/piwigo/piwigo{path}{query}"), &site);
        }
    }
}

/// What the first lines say that the rest of the file cannot see: there the line of `hide` keeps the files,
/// and without it they are open.
#[test]
fn the_line_of_hide_locks_the_files_themselves() {
    for setup in BOTH {
        let gallery = Gallery::start("");
        let sandbox = &gallery.scene.sandbox;
        let usual = shown_site(&gallery, setup, "");
        let hide = hide_line(&usual);
        for (own, form) in [
            ("handle_path /x/* {\nfile_server {\nHIDE\n}\n}", "/xPATH"),
            ("route /x/* {\nuri strip_prefix /x\nfile_server {\nHIDE\n}\n}", "/xPATH"),
            ("handle_errors {\nroot * ROOT\nfile_server {\nHIDE\n}\n}", "PATH"),
        ] {
            let is_error = own.starts_with("handle_errors");
            for hide in [hide, ""] {
                let own = own.replace("HIDE", hide).replace("ROOT", &sandbox.gallery().display().to_string());
                let site = format!("{}\n{own}", if is_error { away(&gallery, setup) } else { usual.clone() });
                let caddy = Caddy::start(sandbox, &site);
                let mut open = 0;
                for (path, query) in gallery.targets().iter().filter(|(path, _)| path != "/i.php") {
                    let target = format!("{}{query}", form.replace("PATH", path));
                    if hide.is_empty() {
                        let answer = http::get(caddy.address(), &target);
                        open += usize::from(attacks::holds_guarded_bytes(&answer.body));
                    } else {
                        stays_closed(caddy.address(), &target, &site);
                    }
                }
                assert_eq!(open > 0, hide.is_empty(), "{site}");
                let style = http::get(
                    caddy.address(),
                    format!("{}/themes/default/theme.css", if is_error { "" } else { "/x" }),
                );
                assert_eq!(style.text(), "public style\n", "{site}");
            }
        }
    }
}

/// The site block with a gate that is away.
fn away(gallery: &Gallery, setup: Setup) -> String {
    caddy::gallery(&gallery.scene.sandbox, &gallery.printed(setup, "").replace("gate.sock", "nobody.sock"))
}

/// Where the gate is away, `handle_errors` sees the address that the visitor asked for, and the site's root
/// holds nothing for it. By `forward_auth` that root must stay Piwigo's, and what `handle_errors` may do is
/// said in the first lines.
#[test]
fn an_error_page_is_no_way_to_a_guarded_file() {
    for setup in BOTH {
        let gallery = Gallery::start("");
        let shown = away(&gallery, setup);
        let php = gallery.scene.sandbox.php_socket().display().to_string();
        let by_url_alone = setup == Setup::CaddyForwardAuth;
        for own in ["file_server", "php_fastcgi unix//PHP\nfile_server", "try_files {path} /x\nfile_server"] {
            let own = own.replace("/PHP", &php);
            let pages = gallery.scene.sandbox.make_dir("pages").display().to_string();
            let root = if by_url_alone { format!("root * {pages}\n") } else { String::new() };
            let site = format!("{}\nhandle_errors {{\n{root}{own}\n}}", caddy::without_hide(&shown));
            let caddy = Caddy::start(&gallery.scene.sandbox, &site);
            for (path, query) in gallery.targets() {
                stays_closed(caddy.address(), &format!("{path}{query}"), &site);
            }
        }
    }
}

#[test]
fn the_document_shows_the_same_site_block() {
    let printed = include_str!("../../caddy/piwigo-gate.caddy");
    let shown = caddy::shown_block(printed).lines().map(str::to_owned).collect::<Vec<_>>().join("\n");
    // The document breaks the line `hide`, as Caddy allows by a backslash.
    let document = include_str!("../../docs/install.md").replace(" \\\n            ", " ");
    assert!(document.contains(&format!("photos.example.org {{\n{shown}\n}}\n")), "{shown}");
}
