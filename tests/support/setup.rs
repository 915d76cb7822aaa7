//! Starts each set-up for which the project ships a file, as its administrator would have it.

use std::any::Any;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::apache::{self, Apache};
use super::caddy::{self, Caddy};
use super::gate::Gate;
use super::haproxy::{self, Haproxy};
use super::lighttpd::{self, Lighttpd};
use super::nginx::{self, Nginx};
use super::php::{self, PhpFcgi};
use super::sandbox::Sandbox;
use super::scene::Scene;
use super::{config, process};

/// A set-up, by the kind of file that `piwigo-gate config` prints for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    Nginx,
    NginxAuthRequest,
    NginxAuthCache,
    ApacheXsendfile,
    Htaccess,
    ApacheProxy,
    ApacheAccessChecker,
    ApacheAuthnz,
    Lighttpd,
    Caddy,
    CaddyForwardAuth,
    Haproxy,
    NginxFront,
}

/// The statuses of set-ups that answer differently.
pub type Exceptions = &'static [(&'static [Setup], u16)];

/// Makes one test for each set-up from `function`, which takes a [`Setup`], so that they run in parallel.
#[macro_export]
macro_rules! for_every_setup {
    ($function:ident) => {
        mod $function {
            use $crate::support::setup::Setup;

            #[test]
            fn nginx() {
                super::$function(Setup::Nginx);
            }
            #[test]
            fn nginx_auth_request() {
                super::$function(Setup::NginxAuthRequest);
            }
            #[test]
            fn nginx_auth_cache() {
                super::$function(Setup::NginxAuthCache);
            }
            #[test]
            fn apache_xsendfile() {
                super::$function(Setup::ApacheXsendfile);
            }
            #[test]
            fn htaccess() {
                super::$function(Setup::Htaccess);
            }
            #[test]
            fn apache_proxy() {
                super::$function(Setup::ApacheProxy);
            }
            #[test]
            fn apache_access_checker() {
                super::$function(Setup::ApacheAccessChecker);
            }
            #[test]
            fn apache_authnz() {
                super::$function(Setup::ApacheAuthnz);
            }
            #[test]
            fn lighttpd() {
                super::$function(Setup::Lighttpd);
            }
            #[test]
            fn caddy() {
                super::$function(Setup::Caddy);
            }
            #[test]
            fn caddy_forward_auth() {
                super::$function(Setup::CaddyForwardAuth);
            }
            #[test]
            fn haproxy() {
                super::$function(Setup::Haproxy);
            }
            #[test]
            fn nginx_front() {
                super::$function(Setup::NginxFront);
            }
        }
    };
}

/// A running set-up. Dropping it ends its servers.
pub struct Running {
    address: SocketAddr,
    /// The gate, unless Apache starts it.
    gate: Option<Gate>,
    _servers: Box<dyn Any>,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the gate read the gallery's `gate.toml` again. A gate that mod_fcgid starts reads it when it
    /// starts, at the first request.
    pub fn reload(&self) {
        let Some(gate) = &self.gate else { return };
        let said = || gate.log_text().matches("the configuration was read again").count();
        let before = said();
        process::signal("HUP", gate.id());
        let started = Instant::now();
        while said() == before {
            assert!(started.elapsed() < Duration::from_mins(1), "{}", gate.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The gate's log, unless Apache starts the gate.
    pub fn gate_log(&self) -> Option<String> {
        self.gate.as_ref().map(Gate::log_text)
    }
}

/// The site's own lines beside the printed file. `ROOT` stands for the gallery's directory, `BOX` for the
/// sandbox's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own<'a> {
    /// Outside the site: in nginx's `http { }`, or at the level of Apache's server.
    pub outside: &'a str,
    /// In the site, after the printed file.
    pub site: &'a str,
    /// In the gallery's own `.htaccess` file, after the printed lines.
    pub htaccess: &'a str,
    /// Modules of Apache besides those that the set-up needs.
    pub modules: &'a [&'a str],
}

/// The configuration with which Apache starts.
pub struct ApacheSite {
    /// Text outside the virtual host.
    pub outside: String,
    /// The virtual host.
    pub host: String,
    /// Modules besides the usual ones.
    pub modules: &'static [&'static str],
    /// The gate, unless Apache starts it.
    pub gate: Option<Gate>,
}

impl Setup {
    pub const ALL: [Setup; 13] = [
        Self::Nginx,
        Self::NginxAuthRequest,
        Self::NginxAuthCache,
        Self::ApacheXsendfile,
        Self::Htaccess,
        Self::ApacheProxy,
        Self::ApacheAccessChecker,
        Self::ApacheAuthnz,
        Self::Lighttpd,
        Self::Caddy,
        Self::CaddyForwardAuth,
        Self::Haproxy,
        Self::NginxFront,
    ];

    /// The name of its kind for `piwigo-gate config`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxAuthRequest => "nginx-auth-request",
            Self::NginxAuthCache => "nginx-auth-cache",
            Self::ApacheXsendfile => "apache-xsendfile",
            Self::Htaccess => "htaccess",
            Self::ApacheProxy => "apache-proxy",
            Self::ApacheAccessChecker => "apache-access-checker",
            Self::ApacheAuthnz => "apache-authnz",
            Self::Lighttpd => "lighttpd",
            Self::Caddy => "caddy",
            Self::CaddyForwardAuth => "caddy-forward-auth",
            Self::Haproxy => "haproxy",
            Self::NginxFront => "nginx-front",
        }
    }

    /// The status of a refusal.
    pub fn refusal(self) -> u16 {
        // mod_fcgid can refuse only with 401.
        if self == Self::ApacheAccessChecker { 401 } else { 403 }
    }

    /// Status and text of the public style sheet when a visitor requests it by a name that only the file
    /// system takes for its own.
    pub fn public_style_spelt_otherwise(self) -> (u16, &'static str) {
        match self {
            Self::Haproxy | Self::NginxFront => (403, "Forbidden\n"),
            _ => (200, "public style\n"),
        }
    }

    /// Starts web server, gate and PHP for the gallery of `scene`. `settings`: lines of `gate.toml`.
    pub fn start(self, scene: &Scene, settings: &[&str]) -> Running {
        self.start_with(scene, settings, &Own::default())
    }

    /// Does the same with the site's own lines, which are for nginx and Apache.
    pub fn start_with(self, scene: &Scene, settings: &[&str], own: &Own) -> Running {
        let sandbox = &scene.sandbox;
        let (outside_too, site_too) = (sandbox.filled(own.outside), sandbox.filled(own.site));
        sandbox.write("gallery/local/config/gate.toml", settings.join("\n"));
        match self {
            Self::Nginx | Self::NginxAuthRequest | Self::NginxAuthCache => {
                let php = PhpFcgi::start(sandbox);
                let gate = Gate::start(sandbox, &[], &[]);
                let guard = config::print(sandbox, self.kind(), &[]);
                let http =
                    if self == Self::NginxAuthCache { nginx::cache_path(sandbox) } else { String::new() };
                let server = nginx::gallery(sandbox, &format!("{guard}\n{site_too}"));
                let nginx = Nginx::start_with(sandbox, &format!("{http}{outside_too}"), &server);
                Running { address: nginx.address(), gate: Some(gate), _servers: Box::new((nginx, php)) }
            }
            Self::Lighttpd => {
                let php = PhpFcgi::start(sandbox);
                let gate = Gate::start(sandbox, &[], &[]);
                let guard = config::print(sandbox, self.kind(), &[]);
                let lighttpd = Lighttpd::start(sandbox, &lighttpd::gallery(sandbox, &guard));
                Running { address: lighttpd.address(), gate: Some(gate), _servers: Box::new((lighttpd, php)) }
            }
            Self::Caddy | Self::CaddyForwardAuth => {
                let php = PhpFcgi::start(sandbox);
                let gate = Gate::start(sandbox, &[], &[]);
                let guard = config::print(sandbox, self.kind(), &[]);
                let caddy = Caddy::start(sandbox, &caddy::gallery(sandbox, &guard));
                Running { address: caddy.address(), gate: Some(gate), _servers: Box::new((caddy, php)) }
            }
            Self::Haproxy => {
                let php = PhpFcgi::start(sandbox);
                let gate = Gate::start(sandbox, &[], &[]);
                let files = haproxy::files(sandbox, &[]);
                let backend = files.address().to_string();
                let printed = config::print(sandbox, self.kind(), &["--backend", &backend]);
                let haproxy = Haproxy::start(sandbox, &haproxy::site(sandbox, &printed));
                Running {
                    address: haproxy.address(),
                    gate: Some(gate),
                    _servers: Box::new((haproxy, files, php)),
                }
            }
            Self::NginxFront => {
                let php = PhpFcgi::start(sandbox);
                let gate = Gate::start(sandbox, &[], &[]);
                let behind = Nginx::start(sandbox, &nginx::behind_a_front(sandbox));
                let backend = behind.address().to_string();
                let guard = config::print(sandbox, self.kind(), &["--backend", &backend]);
                let front = Nginx::start(sandbox, &nginx::front(&guard));
                Running {
                    address: front.address(),
                    gate: Some(gate),
                    _servers: Box::new((front, behind, php)),
                }
            }
            _ => {
                php::write_scripts(sandbox);
                let ApacheSite { outside, host, modules, gate } = self.apache_site(sandbox, "");
                if !own.htaccess.is_empty() {
                    let file = sandbox.gallery().join(".htaccess");
                    let printed = std::fs::read_to_string(file).unwrap_or_default();
                    let text = format!("{printed}\n{}", sandbox.filled(own.htaccess));
                    sandbox.write("gallery/.htaccess", text);
                }
                let (outside, host) = (format!("{outside}\n{outside_too}"), format!("{host}\n{site_too}"));
                let modules = [modules, own.modules].concat();
                let apache = Apache::start_with(sandbox, &outside, &host, &modules);
                Running { address: apache.address(), gate, _servers: Box::new(apache) }
            }
        }
    }

    /// The configuration of Apache for a Piwigo at `prefix` of the site.
    pub fn apache_site(self, sandbox: &Sandbox, prefix: &str) -> ApacheSite {
        let shipped = |listen: &str, more: &[&str]| {
            config::print_listening(sandbox, self.kind(), listen, &[&["--url-prefix", prefix], more].concat())
        };
        let site = |shipped: &str, modules, gate| ApacheSite {
            outside: String::new(),
            host: apache::host(sandbox, prefix, shipped),
            modules,
            gate,
        };
        let program = || apache::fcgi_program(sandbox);
        match self {
            Self::Nginx
            | Self::NginxAuthRequest
            | Self::NginxAuthCache
            | Self::Lighttpd
            | Self::Caddy
            | Self::CaddyForwardAuth
            | Self::Haproxy
            | Self::NginxFront => {
                panic!("{self:?} is no Apache")
            }
            Self::Htaccess => {
                apache::write_htaccess(sandbox, prefix, true);
                let host = apache::shared_host(sandbox, prefix);
                ApacheSite { host, ..site("", &["fcgid", "rewrite", "actions", "headers"], None) }
            }
            Self::ApacheXsendfile => site(
                &shipped("fd:0", &["--program", &program()]),
                &["fcgid", "xsendfile", "rewrite", "actions", "headers"],
                None,
            ),
            Self::ApacheAccessChecker => {
                site(&shipped("fd:0", &["--program", &program()]), &["fcgid", "rewrite", "headers"], None)
            }
            Self::ApacheProxy => {
                let gate = Gate::start(sandbox, &["--url-prefix", prefix], &[]);
                let shipped = shipped(&format!("unix:{}", gate.socket().display()), &[]);
                let modules = &["fcgid", "proxy", "proxy_fcgi", "xsendfile", "rewrite", "headers"];
                site(&shipped, modules, Some(gate))
            }
            Self::ApacheAuthnz => {
                let (gate, address) = Gate::start_tcp(sandbox, &["--url-prefix", prefix]);
                let shipped = shipped(&format!("tcp:{address}"), &[]);
                // The printed file has this line in one of its steps, for the level of the server.
                let outside = shipped.split('\'').find(|text| text.starts_with("AuthnzFcgiDefineProvider "));
                let outside = outside.expect("its line for the server").to_owned();
                let modules = &["fcgid", "authn_core", "authz_user", "authnz_fcgi", "rewrite", "headers"];
                ApacheSite { outside, ..site(&shipped, modules, Some(gate)) }
            }
        }
    }
}
