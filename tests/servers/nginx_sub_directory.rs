//! A gallery in a sub-directory of a host that has other applications, as `YunoHost` lays it out: the site's
//! `root` is elsewhere and `alias` leads to the gallery. The gallery's closed names are no matter of the
//! other applications.

#![allow(clippy::expect_used)]

use std::net::SocketAddr;

use crate::support::config;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::markers::{self, SECRETS, Visitor};
use crate::support::nginx::{self, Nginx};
use crate::support::php::PhpFcgi;
use crate::support::scene::Scene;

const KINDS: [&str; 3] = ["nginx", "nginx-auth-request", "nginx-auth-cache"];

/// Names that the gallery keeps closed, in an application beside it.
const OTHERS: [&str; 5] =
    ["/app/.config/x.txt", "/app/settings.toml", "/app//double/x.txt", "/app/x.toml/y.txt", "/.hidden/x.txt"];

struct Site {
    _gate: Gate,
    _php: PhpFcgi,
    scene: Scene,
}

impl Site {
    fn start(prefix: &str) -> Self {
        let scene = Scene::start();
        markers::write(&scene);
        let php = PhpFcgi::start(&scene.sandbox);
        let gate = Gate::start(&scene.sandbox, &["--url-prefix", prefix], &[]);
        for name in OTHERS {
            scene.sandbox.write(&format!("site{}", name.replace("//", "/")), "of another application\n");
        }
        scene.sandbox.write("gallery/_data/combined/a.css", "combined style\n");
        scene.sandbox.hand_over_tree(&scene.sandbox.gallery());
        scene.sandbox.hand_over_tree(&scene.sandbox.path().join("site"));
        Self { _gate: gate, _php: php, scene }
    }

    /// nginx with the printed file of `kind` and `own` lines, without merged slashes.
    fn nginx(&self, kind: &str, prefix: &str, own: &str) -> Nginx {
        let sandbox = &self.scene.sandbox;
        let http = if kind == "nginx-auth-cache" { nginx::cache_path(sandbox) } else { String::new() };
        let guard = config::print(sandbox, kind, &["--url-prefix", prefix]);
        let root = sandbox.path().join("site");
        let lines = format!("merge_slashes off;\nroot {};\n{guard}\n{own}", root.display());
        Nginx::start_with(sandbox, &http, &lines)
    }
}

/// What is allowed comes, with the page's style; and nothing private, by whatever number of slashes.
fn check(site: &Site, address: SocketAddr, prefix: &str, what: &str) {
    let world = &site.scene.world;
    let image = world.private_image("bob");
    let cookie = world.session("bob").cookie_header();
    let url = format!("{prefix}{}", http::url(image.original()));
    let answer = http::request(address, "GET", &url, &[("Cookie", &cookie)]);
    assert_eq!((answer.status, answer.text()), (200, markers::text(&markers::original(image))), "{what}");
    let style = http::get(address, format!("{prefix}/_data/combined/a.css"));
    assert_eq!((style.status, style.text().as_str()), (200, "combined style\n"), "{what}");
    for name in OTHERS {
        let answer = http::get(address, name);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "of another application\n"),
            "{what}: {name}"
        );
    }
    let guest = Visitor::guest(world);
    let resized = image.derivative("th").expect("a picture");
    for path in [image.original(), &resized].into_iter().chain(SECRETS) {
        let url = http::url(path);
        let mut targets = Vec::new();
        for begin in ["", "/", "//", "/x/..", "/%2e/", "/app/../"] {
            for between in ["", "/", "/./", "//"] {
                targets.push(format!("{begin}{prefix}{between}{url}"));
                targets.push(format!("{begin}{}{between}{url}", prefix.replace('/', "//")));
                targets.push(format!("{begin}{}{between}{url}", prefix.to_ascii_uppercase()));
                targets.push(format!("{begin}{prefix}{between}{}", url.replace('/', "//")));
                targets.push(format!("{begin}{prefix}{between}/%0a/..{url}"));
            }
        }
        for target in targets {
            let answer = http::get(address, &target);
            assert_eq!(guest.leak(&answer.body), None, "{what}: {target}: {}", answer.status);
        }
    }
}

#[test]
fn an_alias_has_its_styles_and_other_applications_their_names() {
    for prefix in ["/piwigo", "/our/photos"] {
        let site = Site::start(prefix);
        let root = site.scene.sandbox.gallery();
        for kind in KINDS {
            for own in [
                format!("location {prefix}/ {{ alias {}/; index index.php; }}\n", root.display()),
                format!("location ^~ {prefix}/ {{ alias {}/; }}\n", root.display()),
                // A location inside, as guides have it for the times of browsers.
                format!(
                    "location {prefix}/ {{ alias {root}/; location ~* \\.(css|jpg)$ {{ expires 30d; }} }}\n",
                    root = root.display()
                ),
            ] {
                let nginx = site.nginx(kind, prefix, &own);
                check(&site, nginx.address(), prefix, &format!("{kind} {own}"));
            }
        }
    }
}

#[test]
fn a_link_below_the_sites_root_has_the_same_rules() {
    let site = Site::start("/piwigo");
    let link = site.scene.sandbox.path().join("site/piwigo");
    std::os::unix::fs::symlink(site.scene.sandbox.gallery(), link).expect("a link");
    for kind in KINDS {
        let nginx = site.nginx(kind, "/piwigo", "location / { try_files $uri =404; }\n");
        check(&site, nginx.address(), "/piwigo", kind);
    }
}
