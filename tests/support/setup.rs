//! Every way to install the gate that the project ships a file for, started as its administrator would have it.

use std::any::Any;
use std::net::SocketAddr;

use super::apache::{self, Apache};
use super::config;
use super::gate::Gate;
use super::nginx::{self, Nginx};
use super::php::{self, PhpFcgi};
use super::scene::Scene;

/// One of them, by the kind of file that `piwigo-gate config` prints for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    Nginx,
    NginxAuthRequest,
    NginxAuthCache,
    ApacheXsendfile,
    Htaccess,
}

/// A test of every set-up: `function` takes a [`Setup`]. Each is a test of its own, so that they run in parallel.
#[macro_export]
macro_rules! for_every_setup {
    ($function:ident) => {
        mod $function {
            use super::support::setup::Setup;

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
        }
    };
}

/// A set-up that runs. Dropping it ends its servers.
pub struct Running {
    address: SocketAddr,
    _servers: Box<dyn Any>,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Setup {
    pub const ALL: [Setup; 5] =
        [Self::Nginx, Self::NginxAuthRequest, Self::NginxAuthCache, Self::ApacheXsendfile, Self::Htaccess];

    /// The name of its kind.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxAuthRequest => "nginx-auth-request",
            Self::NginxAuthCache => "nginx-auth-cache",
            Self::ApacheXsendfile => "apache-xsendfile",
            Self::Htaccess => "htaccess",
        }
    }

    /// The status of a refusal.
    pub fn refusal(self) -> u16 {
        403
    }

    /// Starts web server, gate and PHP for the gallery of `scene`. `settings`: lines of `gate.toml`.
    pub fn start(self, scene: &Scene, settings: &[&str]) -> Running {
        let sandbox = &scene.sandbox;
        sandbox.write("gallery/local/config/gate.toml", settings.join("\n"));
        match self {
            Self::Nginx | Self::NginxAuthRequest | Self::NginxAuthCache => {
                let php = PhpFcgi::start(sandbox);
                let gate = Gate::start(sandbox, &[], &[]);
                let guard = config::print(sandbox, self.kind(), &[]);
                let http =
                    if self == Self::NginxAuthCache { nginx::cache_path(sandbox) } else { String::new() };
                let nginx = Nginx::start_with(sandbox, &http, &nginx::gallery(sandbox, &guard));
                Running { address: nginx.address(), _servers: Box::new((nginx, gate, php)) }
            }
            Self::ApacheXsendfile => {
                php::write_scripts(sandbox);
                let host = apache::xsendfile_host(sandbox, "");
                Self::apache(scene, &host, &["fcgid", "xsendfile", "rewrite", "actions", "headers"])
            }
            Self::Htaccess => {
                php::write_scripts(sandbox);
                apache::write_htaccess(sandbox, "", true);
                let host = apache::shared_host(sandbox, "");
                Self::apache(scene, &host, &["fcgid", "rewrite", "actions", "headers"])
            }
        }
    }

    fn apache(scene: &Scene, host: &str, modules: &[&str]) -> Running {
        let apache = Apache::start(&scene.sandbox, host, modules);
        Running { address: apache.address(), _servers: Box::new(apache) }
    }
}
