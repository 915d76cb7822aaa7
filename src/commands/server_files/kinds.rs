//! The kinds of files that `piwigo-gate config` prints.

use super::values::{Listening, Values};

/// One kind of file.
pub struct ServerFile {
    /// Its name on the command line.
    pub name: &'static str,
    /// When to use it, in a line.
    pub purpose: &'static str,
    /// Its example in this project, filled in for a gallery in `/var/www/piwigo`.
    pub example: &'static str,
    /// Whether the server can reach the gate over TCP only.
    pub needs_tcp: bool,
    pub(super) template: &'static str,
}

impl ServerFile {
    const fn new(
        name: &'static str,
        purpose: &'static str,
        example: &'static str,
        template: &'static str,
    ) -> Self {
        ServerFile { name, purpose, example, needs_tcp: false, template }
    }

    const fn over_tcp(mut self) -> Self {
        self.needs_tcp = true;
        self
    }

    /// Where the gate listens in the example: a socket, or TCP for a server that supports nothing else.
    pub fn example_gate(&self) -> Listening {
        if self.needs_tcp { Listening::Tcp("127.0.0.1".into(), 9800) } else { Values::example().gate }
    }

    /// The kind of this name.
    pub fn find(name: &str) -> Option<&'static ServerFile> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Whether the file depends on the gallery. fail2ban's files are the same for every gallery.
    pub fn is_about_a_gallery(&self) -> bool {
        !self.name.starts_with("fail2ban")
    }
}

/// All kinds, the recommended ones first.
pub const KINDS: &[ServerFile] = &[
    ServerFile::new(
        "nginx",
        "nginx, by X-Accel-Redirect: the one to choose with nginx",
        "nginx/piwigo-gate.conf",
        include_str!("templates/nginx.conf"),
    ),
    ServerFile::new(
        "nginx-auth-request",
        "nginx, by auth_request: where another program must go on sending the files",
        "nginx/piwigo-gate-auth_request.conf",
        include_str!("templates/nginx-auth-request.conf"),
    ),
    ServerFile::new(
        "nginx-auth-cache",
        "the same, and answers are used again for a second: for very many visitors",
        "nginx/piwigo-gate-auth_cache.conf",
        include_str!("templates/nginx-auth-request.conf"),
    ),
    ServerFile::new(
        "nginx-auth-cache-path",
        "with nginx-auth-cache: the line that belongs into /etc/nginx/conf.d",
        "nginx/piwigo-gate-auth_cache-path.conf",
        include_str!("templates/nginx-auth-cache-path.conf"),
    ),
    ServerFile::new(
        "apache-xsendfile",
        "Apache with mod_fcgid and mod_xsendfile, for whoever may edit the server's configuration",
        "apache/piwigo-gate-xsendfile.conf",
        include_str!("templates/apache-xsendfile.conf"),
    ),
    ServerFile::new(
        "apache-proxy",
        "Apache with mod_proxy_fcgi and mod_xsendfile: one gate, as a service of its own",
        "apache/piwigo-gate-proxy.conf",
        include_str!("templates/apache-proxy.conf"),
    ),
    ServerFile::new(
        "apache-access-checker",
        "Apache with mod_fcgid alone, where Apache must go on sending the files in its own way",
        "apache/piwigo-gate-access-checker.conf",
        include_str!("templates/apache-access-checker.conf"),
    ),
    ServerFile::new(
        "apache-authnz",
        "Apache with mod_authnz_fcgi, where there is neither mod_fcgid nor mod_xsendfile",
        "apache/piwigo-gate-authnz.conf",
        include_str!("templates/apache-authnz.conf"),
    )
    .over_tcp(),
    ServerFile::new(
        "htaccess",
        "Apache with mod_fcgid and .htaccess files alone (shared hosting): for Piwigo's directory",
        "apache/htaccess",
        include_str!("templates/htaccess"),
    ),
    ServerFile::new(
        "htaccess-guarded-dir",
        "the second .htaccess file of shared hosting, for each guarded directory",
        "apache/htaccess-guarded-dir",
        include_str!("templates/htaccess-guarded-dir"),
    ),
    ServerFile::new(
        "lighttpd",
        "lighttpd, by X-Sendfile",
        "lighttpd/piwigo-gate.conf",
        include_str!("templates/lighttpd.conf"),
    ),
    ServerFile::new(
        "caddy",
        "Caddy, by X-Sendfile: the one to choose with Caddy",
        "caddy/piwigo-gate.caddy",
        include_str!("templates/Caddyfile"),
    ),
    ServerFile::new(
        "caddy-forward-auth",
        "Caddy, by forward_auth: where another handler must go on sending the files",
        "caddy/piwigo-gate-forward_auth.caddy",
        include_str!("templates/Caddyfile-forward-auth"),
    ),
    ServerFile::new(
        "haproxy",
        "HAProxy, by the gate's own sending: pages to PHP-FPM, public folders to a file server",
        "haproxy/piwigo-gate.cfg",
        include_str!("templates/haproxy.cfg"),
    ),
    ServerFile::new(
        "haproxy-files",
        "with haproxy: nginx as the file server for the public folders",
        "haproxy/piwigo-files.conf",
        include_str!("templates/haproxy-files.conf"),
    ),
    ServerFile::new(
        "nginx-front",
        "nginx that passes requests on to another web server, which holds the files and must stay as it is",
        "nginx/piwigo-gate-front.conf",
        include_str!("templates/nginx-front.conf"),
    ),
    ServerFile::new(
        "systemd",
        "a service, for nginx and whatever else does not start the gate itself",
        "systemd/piwigo-gate.service",
        include_str!("templates/systemd.service"),
    ),
    ServerFile::new(
        "systemd-socket",
        "with `config systemd --listen systemd`: the socket is systemd's own, and a restart of the gate loses nothing",
        "systemd/piwigo-gate.socket",
        include_str!("templates/systemd.socket"),
    ),
    ServerFile::new(
        "fail2ban",
        "the filter: which lines of the log count",
        "fail2ban/filter.d/piwigo-gate.conf",
        include_str!("templates/fail2ban-filter.conf"),
    ),
    ServerFile::new(
        "fail2ban-jail",
        "the jail: how many are too many; needs the filter",
        "fail2ban/jail.d/piwigo-gate.conf",
        include_str!("templates/fail2ban-jail.conf"),
    ),
];

/// The parts that templates include.
pub(super) const PARTS: &[(&str, &str)] = &[
    ("apache-action.php", include_str!("templates/part-apache-action.php.conf")),
    ("apache-as-file", include_str!("templates/part-apache-as-file.conf")),
    ("apache-closed", include_str!("templates/part-apache-closed.conf")),
    ("apache-firm", include_str!("templates/part-apache-firm.conf")),
    ("apache-made", include_str!("templates/part-apache-made.conf")),
    ("apache-no-part", include_str!("templates/part-apache-no-part.conf")),
    ("apache-own", include_str!("templates/part-apache-own.conf")),
    ("apache-sendfile", include_str!("templates/part-apache-sendfile.conf")),
    ("apache-served", include_str!("templates/part-apache-served.conf")),
    ("apache-served-headers", include_str!("templates/part-apache-served-headers.conf")),
    ("apache-shut", include_str!("templates/part-apache-shut.conf")),
    ("apache-to-program", include_str!("templates/part-apache-to-program.conf")),
    ("apache-to-service", include_str!("templates/part-apache-to-service.conf")),
    ("apache-undone", include_str!("templates/part-apache-undone.conf")),
    ("caddy-again", include_str!("templates/part-caddy-again.conf")),
    ("caddy-action.php", include_str!("templates/part-caddy-action.php.conf")),
    ("caddy-closed", include_str!("templates/part-caddy-closed.conf")),
    ("caddy-combined", include_str!("templates/part-caddy-combined.conf")),
    ("caddy-install", include_str!("templates/part-caddy-install.conf")),
    ("caddy-types", include_str!("templates/part-caddy-types.conf")),
    ("nginx-action.php", include_str!("templates/part-nginx-action.php.conf")),
    ("haproxy-file", include_str!("templates/part-haproxy-file.cfg")),
    ("haproxy-gated", include_str!("templates/part-haproxy-gated.cfg")),
    ("haproxy-page", include_str!("templates/part-haproxy-page.cfg")),
    ("haproxy-refuse", include_str!("templates/part-haproxy-refuse.cfg")),
    ("nginx-front-pass", include_str!("templates/part-nginx-front-pass.conf")),
    ("nginx-after-yes", include_str!("templates/part-nginx-after-yes.conf")),
    ("nginx-ask", include_str!("templates/part-nginx-ask.conf")),
    ("nginx-ask-cached", include_str!("templates/part-nginx-ask-cached.conf")),
    ("nginx-away", include_str!("templates/part-nginx-away.conf")),
    ("nginx-closed", include_str!("templates/part-nginx-closed.conf")),
    ("nginx-gate", include_str!("templates/part-nginx-gate.conf")),
    ("nginx-glued", include_str!("templates/part-nginx-glued.conf")),
    ("nginx-i.php", include_str!("templates/part-nginx-i.php.conf")),
    ("nginx-links", include_str!("templates/part-nginx-links.conf")),
    ("nginx-own-errors", include_str!("templates/part-nginx-own-errors.conf")),
    ("nginx-to-derivative", include_str!("templates/part-nginx-to-derivative.conf")),
    ("nginx-to-file", include_str!("templates/part-nginx-to-file.conf")),
    ("nginx-types", include_str!("templates/part-nginx-types.conf")),
    ("nginx-undone", include_str!("templates/part-nginx-undone.conf")),
];
