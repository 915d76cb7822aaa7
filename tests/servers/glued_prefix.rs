//! A gallery in a sub-directory behind lines of the site's own that have a slash on one side only: such a
//! server takes `/piwigoupload/…` for the gallery's `upload`, and nginx `/piwigo../` for the directory above
//! it.

#![allow(clippy::expect_used)]

use std::net::SocketAddr;

use crate::support::caddy::Caddy;
use crate::support::config;
use crate::support::gate::Gate;
use crate::support::http;
use crate::support::markers::{self, SECRETS, SHELL, Visitor};
use crate::support::nginx::{self, Nginx};
use crate::support::php::PhpFcgi;
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;

/// The gallery with its gate and PHP.
struct Site {
    _gate: Gate,
    _php: PhpFcgi,
    scene: Scene,
}

impl Site {
    fn start() -> Self {
        let scene = Scene::start();
        markers::write(&scene);
        let php = PhpFcgi::start(&scene.sandbox);
        markers::write_i_php(&scene);
        let gate = Gate::start(&scene.sandbox, &["--url-prefix", "/piwigo"], &[]);
        Self { _gate: gate, _php: php, scene }
    }

    fn sandbox(&self) -> &Sandbox {
        &self.scene.sandbox
    }

    fn guard(&self, kind: &str) -> String {
        config::print(self.sandbox(), kind, &["--url-prefix", "/piwigo"])
    }

    /// What is allowed comes by the gallery's own address.
    fn serves(&self, address: SocketAddr, what: &str) {
        let world = &self.scene.world;
        let image = world.private_image("bob");
        let bob = world.session("bob").cookie_header();
        let url = format!("/piwigo{}", http::url(image.original()));
        let answer = http::request(address, "GET", url, &[("Cookie", &bob)]);
        let right = (200, markers::text(&markers::original(image)));
        assert_eq!((answer.status, answer.text()), right, "{what}");
    }

    /// Nothing private comes by a glued address.
    fn check(&self, address: SocketAddr, what: &str) {
        let world = &self.scene.world;
        let image = world.private_image("bob");
        let size = image.derivative("th").expect("a picture");
        let style = http::get(address, "/piwigothemes/default/theme.css");
        assert_eq!(style.text(), "public style\n", "{what}: the server glues");
        let guest = Visitor::guest(world);
        let short = &http::url(&size)["/_data/i".len()..];
        let mut targets = vec![format!("/piwigoi.php?{short}"), format!("/piwigoi.php{short}")];
        for path in [image.original(), &size].into_iter().chain(SECRETS).chain([SHELL]) {
            let url = http::url(path);
            for glue in ["", "./", "../gallery/", "/../piwigo", "%2e/", "%2e%2e/gallery/"] {
                targets.push(format!("/piwigo{glue}{}", &url[1..]));
            }
            let (first, rest) = url[1..].split_once('/').unwrap_or((&url[1..], ""));
            targets.push(format!("/piwigo{}/{rest}", first.to_ascii_uppercase()));
            targets.push(format!("/piwigo{first}/%80/../{rest}"));
            targets.push(format!("/piwigo{first}//{rest}"));
            targets.push(format!("/PIWIGO{first}/{rest}"));
        }
        for target in targets {
            let answer = http::get(address, &target);
            assert_eq!(guest.leak(&answer.body), None, "{what}: {target}");
        }
    }
}

#[test]
fn nginx_with_a_location_without_its_slash() {
    let site = Site::start();
    let (root, php) = (site.sandbox().gallery(), site.sandbox().php_socket());
    let other = site.sandbox().make_dir("site");
    let scripts = format!(
        "location ~ \\.php {{\ninclude /etc/nginx/fastcgi_params;\nfastcgi_split_path_info ^(.+?\\.php)(/.*)?$;\n\
         fastcgi_param SCRIPT_FILENAME $request_filename;\nfastcgi_pass unix:{};\n}}\n",
        php.display()
    );
    for kind in ["nginx", "nginx-auth-request", "nginx-auth-cache"] {
        let http = if kind == "nginx-auth-cache" { nginx::cache_path(site.sandbox()) } else { String::new() };
        for location in ["location /piwigo", "location ^~ /piwigo"] {
            let alias = format!("{location} {{\nalias {}/;\n{scripts}}}\n", root.display());
            let lines = format!("root {};\n{}\n{alias}", other.display(), site.guard(kind));
            let nginx = Nginx::start_with(site.sandbox(), &http, &lines);
            site.serves(nginx.address(), &alias);
            site.check(nginx.address(), &alias);
            site.serves(nginx.address(), &alias);
        }
    }
}

#[test]
fn caddy_that_strips_a_prefix_without_its_slash() {
    let site = Site::start();
    let (root, php) = (site.sandbox().gallery(), site.sandbox().php_socket());
    let gallery =
        format!("root * \"{}\"\nphp_fastcgi \"unix/{}\"\nfile_server\n", root.display(), php.display());
    for kind in ["caddy", "caddy-forward-auth"] {
        site.sandbox().write("piwigo-gate.caddy", site.guard(kind));
        let lines = format!("handle_path /piwigo* {{\n{gallery}}}\nimport piwigo-gate.caddy\n");
        let caddy = Caddy::start(site.sandbox(), &lines);
        site.serves(caddy.address(), &lines);
        site.check(caddy.address(), &lines);
        let lines = format!("uri strip_prefix /piwigo\n{gallery}import piwigo-gate.caddy\n");
        let caddy = Caddy::start(site.sandbox(), &lines);
        site.check(caddy.address(), &lines);
    }
}
