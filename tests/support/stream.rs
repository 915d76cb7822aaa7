//! Servers that hand every request for a guarded file to a gate that sends the bytes itself (`deliver =
//! "stream"`), each with the shortest configuration that does so.

use std::net::SocketAddr;

use super::apache::Apache;
use super::config;
use super::haproxy::{self, Haproxy};
use super::lighttpd::Lighttpd;
use super::nginx::{self, Nginx};
use super::sandbox::Sandbox;

/// The server in front of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    /// `mod_proxy_fcgi` without `mod_xsendfile`; its configuration does not say how files are sent. Since
    /// 2.4.59 it drops the `Content-Length` of an application unless it is told to trust it, and an answer to
    /// HEAD would have none.
    Apache,
    Lighttpd,
    /// The printed file `haproxy`.
    Haproxy,
    /// The printed file `nginx-front`.
    NginxFront,
}

pub const ALL: [Kind; 5] = [Kind::Nginx, Kind::Apache, Kind::Lighttpd, Kind::Haproxy, Kind::NginxFront];

/// A running server; the fields exist to be dropped.
#[allow(dead_code)]
pub enum Front {
    Nginx(Nginx),
    Apache(Apache),
    Lighttpd(Lighttpd),
    Haproxy(Haproxy),
}

impl Front {
    /// Starts a server that asks the gate on [`Sandbox::gate_socket`].
    pub fn start(sandbox: &Sandbox, kind: Kind) -> Self {
        let (socket, root) = (sandbox.gate_socket(), sandbox.gallery());
        let (socket, root) = (socket.display(), root.display());
        match kind {
            Kind::Nginx => Front::Nginx(Nginx::start(
                sandbox,
                &format!(
                    "location / {{\ninclude fastcgi_params;\nfastcgi_param GATE_DELIVER stream;\n\
                     fastcgi_param HTTP_PROXY \"\";\nfastcgi_max_temp_file_size 0;\nfastcgi_pass unix:{socket};\n}}"
                ),
            )),
            Kind::Apache => Front::Apache(Apache::start(
                sandbox,
                &format!(
                    "DocumentRoot {root}\n<Directory {root}>\nRequire all granted\nDirectorySlash Off\n</Directory>\n\
                     <LocationMatch \"^/(upload|galleries|_data/i|i\\.php|action\\.php)\">\n\
                     SetHandler \"proxy:unix:{socket}|fcgi://gate/\"\n\
                     SetEnv ap_trust_cgilike_cl 1\n</LocationMatch>\n"
                ),
                &["proxy", "proxy_fcgi"],
            )),
            Kind::Lighttpd => Front::Lighttpd(Lighttpd::start(
                sandbox,
                &format!(
                    "server.document-root = \"{root}\"\nserver.stream-response-body = 2\n\
                     fastcgi.server = (\"/\" => ((\"socket\" => \"{socket}\", \"check-local\" => \"disable\")))\n"
                ),
            )),
            // The tests send no request to the server behind HAProxy and nginx-front.
            Kind::Haproxy => {
                let printed = config::print(sandbox, "haproxy", &[]);
                Front::Haproxy(Haproxy::start(sandbox, &haproxy::site(sandbox, &printed)))
            }
            Kind::NginxFront => {
                let printed = config::print(sandbox, "nginx-front", &[]);
                Front::Nginx(Nginx::start(sandbox, &nginx::front(&printed)))
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Front::Nginx(nginx) => nginx.address(),
            Front::Apache(apache) => apache.address(),
            Front::Lighttpd(lighttpd) => lighttpd.address(),
            Front::Haproxy(haproxy) => haproxy.address(),
        }
    }
}
