//! Lines that a site may have in its virtual host, in Apache's own configuration or in an `.htaccess` file.

use super::{Lines, PLAIN, SSI_CONTROL};
use crate::support::setup::Own;
use crate::support::setup::Setup::{
    self, ApacheAccessChecker, ApacheAuthnz, ApacheProxy, ApacheXsendfile, Htaccess,
};

const ALL_APACHE: &[Setup] = &[ApacheXsendfile, Htaccess, ApacheProxy, ApacheAccessChecker, ApacheAuthnz];
/// The guard stands in the server's own configuration.
const APACHE_CONF: &[Setup] = &[ApacheXsendfile, ApacheProxy, ApacheAccessChecker, ApacheAuthnz];

/// The gallery and parts of it under other URLs.
const ALIASES: &str = "Alias /other ROOT\nAlias /logs ROOT/_data/logs\nAlias /settings ROOT/local/config\n\
     Alias /pics ROOT/upload\nAliasMatch ^/match(/.*)$ ROOT$1\nAlias /onefile ROOT/gate.toml\n";
const ALIASED: &[&str] = &[
    "/logs/log.txt",
    "/settings/notes.txt",
    "/settings/gate.toml",
    "/settings/database.inc.php",
    "/onefile",
    "/pics/2026/11/21/20261121182448-762283a7.jpg",
    "/logs/",
    "/settings/",
];
/// Pages made of parts everywhere.
const PARTS: &str = "AddType text/html .shtml\nAddOutputFilter INCLUDES .shtml\n<Directory ROOT>\nOptions +Includes\n</Directory>\n";
const OPEN: &str = "Require all granted\n<IfModule mod_access_compat.c>\nSatisfy Any\n</IfModule>\n";

pub const LINES: &[Lines] = &[
    Lines { name: "nothing", setups: ALL_APACHE, ..PLAIN },
    Lines {
        name: "other URLs of the gallery",
        setups: ALL_APACHE,
        own: Own { site: ALIASES, ..PLAIN.own },
        prefixes: &["/other", "/match"],
        targets: ALIASED,
        control: Some(("/other/themes/default/theme.css", "public style")),
        ..PLAIN
    },
    Lines {
        name: "other URLs of the gallery, sent as files",
        setups: APACHE_CONF,
        own: Own {
            site: "Alias /other ROOT\nAlias /logs ROOT/_data/logs\n<LocationMatch \"^/(other|logs)\">\nSetHandler default-handler\n\
                   Require all granted\nSatisfy Any\nOptions +Indexes\n</LocationMatch>\n",
            modules: &["autoindex"],
            ..PLAIN.own
        },
        prefixes: &["/other"],
        targets: &["/logs/log.txt", "/logs/"],
        control: Some(("/other/themes/default/theme.css", "public style")),
        ..PLAIN
    },
    Lines {
        name: "other handlers, by URL",
        setups: APACHE_CONF,
        own: Own {
            site: "<Location /upload>\nSetHandler default-handler\n</Location>\n<Location /galleries>\nSetHandler None\n</Location>\n\
                   <Location /_data>\nSetHandler default-handler\nRequire all granted\n</Location>\n\
                   <LocationMatch \"\\.php$\">\nSetHandler fcgid-script\n</LocationMatch>\n<Location /local>\nRequire all granted\n</Location>\n\
                   <Location /gate.toml>\nRequire all granted\nSetHandler default-handler\n</Location>\n",
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "other handlers, by directory, name and condition",
        setups: APACHE_CONF,
        own: Own {
            site: "Alias /other ROOT\n<Directory ROOT/upload>\nSetHandler default-handler\nAllowOverride All\n</Directory>\n\
                   <DirectoryMatch \"/galleries|/_data/i\">\nSetHandler None\n</DirectoryMatch>\n\
                   <FilesMatch \"jpg$|txt$\">\nSetHandler default-handler\n</FilesMatch>\n\
                   <If \"%{REQUEST_URI} =~ m#upload#\">\nSetHandler default-handler\n</If>\n",
            modules: &["actions", "mime"],
            ..PLAIN.own
        },
        prefixes: &["/other"],
        ..PLAIN
    },
    Lines {
        name: "an open door",
        setups: APACHE_CONF,
        own: Own {
            site: "<Location />\nRequire all granted\nSatisfy Any\nOptions +Indexes +Includes +ExecCGI +MultiViews\n\
                   DirectorySlash On\n</Location>\n<Directory ROOT/_data>\nAllowOverride All\nRequire all granted\nOptions +Indexes\n</Directory>\n",
            htaccess: OPEN,
            modules: &["autoindex", "negotiation"],
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "pages made of parts",
        setups: ALL_APACHE,
        own: Own { site: PARTS, modules: &["include"], ..PLAIN.own },
        control: SSI_CONTROL,
        ..PLAIN
    },
    Lines {
        name: "pages made of parts, whatever their names are",
        setups: ALL_APACHE,
        own: Own {
            site: "AddType text/html .shtml\n<Location />\nSetOutputFilter INCLUDES\nOptions +Includes\nXBitHack Full\n</Location>\n",
            modules: &["include"],
            ..PLAIN.own
        },
        control: SSI_CONTROL,
        ..PLAIN
    },
    Lines {
        name: "errors answered by pages",
        setups: ALL_APACHE,
        own: Own {
            site: "AddType text/html .shtml\nAddOutputFilter INCLUDES .shtml\n<Directory ROOT>\nOptions +Includes\n</Directory>\n\
                   ErrorDocument 401 /evil.shtml\nErrorDocument 403 /evil.shtml\nErrorDocument 404 /index.php\n\
                   <IfModule mod_proxy.c>\nProxyErrorOverride On\n</IfModule>\n",
            modules: &["include"],
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "rewriting, by the site",
        setups: ALL_APACHE,
        own: Own {
            site: "RewriteEngine On\nRewriteRule ^/pretty(/.*)$ $1 [PT]\nRewriteRule ^/direct(/.*)$ ROOT$1 [L]\n\
                   RewriteRule ^/handled(/.*)$ ROOT$1 [L,H=default-handler]\n",
            ..PLAIN.own
        },
        prefixes: &["/pretty", "/direct", "/handled"],
        control: Some(("/direct/themes/default/theme.css", "public style")),
        ..PLAIN
    },
    Lines {
        name: "rewriting, by an .htaccess file",
        setups: ALL_APACHE,
        own: Own {
            htaccess: "RewriteEngine On\nRewriteRule ^pretty/(.*)$ $1 [L]\nRewriteRule ^slow/(.*)$ /$1 [PT]\nSetHandler default-handler\n\
                       <FilesMatch \"\\.php$\">\nSetHandler fcgid-script\n</FilesMatch>\n\
                       ForceType text/plain\n",
            ..PLAIN.own
        },
        prefixes: &["/pretty", "/slow"],
        control: Some(("/pretty/themes/default/theme.css", "public style")),
        ..PLAIN
    },
    Lines {
        name: "slashes",
        setups: ALL_APACHE,
        own: Own { site: "MergeSlashes Off\nAllowEncodedSlashes On\nAcceptPathInfo On\n", ..PLAIN.own },
        prefixes: &["/", "%2f", "/themes%2f..", "/themes/..%2f"],
        targets: &[
            "/_data%2flogs%2flog.txt",
            "/local%2fconfig/notes.txt",
            "/_data//logs/log.txt",
            "/local//config//notes.txt",
            "/upload%2f2026/11/21/20261121182448-762283a7.jpg",
            "/upload//2026/11/21/20261121182448-762283a7.jpg",
            "/gate.toml/x.php",
            "/.git//config",
        ],
        ..PLAIN
    },
    Lines {
        name: "writing",
        setups: APACHE_CONF,
        own: Own {
            outside: "DavLockDB BOX/tmp/dav\n",
            site: "<Location />\nDav On\n</Location>\n",
            modules: &["dav", "dav_fs"],
            ..PLAIN.own
        },
        methods: &["PROPFIND", "COPY", "MOVE"],
        ..PLAIN
    },
    Lines {
        name: "other programs say what is sent",
        setups: ALL_APACHE,
        targets: &[
            "/send.php?Location=ORIGINAL",
            "/send.php?Location=THUMB",
            "/send.php?Location=/i.php%3FSIZE",
            "/send.php?Location=/_gate/gate.fcgiORIGINAL",
            "/send.php?Location=/gate.fcgiORIGINAL",
            "/send.php?Location=/_data/logs/log.txt",
            "/send.php?X-Sendfile=ROOTORIGINAL",
            "/gate.fcgi?ORIGINAL",
            "/_gate/gate.fcgiORIGINAL",
        ],
        control: Some(("/send.php?Location=/themes/default/theme.css", "public style")),
        ..PLAIN
    },
    Lines {
        name: "other programs for types and methods",
        setups: APACHE_CONF,
        own: Own {
            site: "Action image/jpeg /send.php\nAddHandler own .jpg\nAction own /send.php\nScript PUT /send.php\n\
                   FallbackResource /index.php\nDirectoryIndex log.txt notes.txt\n<Directory ROOT>\nForceType text/plain\n</Directory>\n",
            modules: &["actions"],
            ..PLAIN.own
        },
        methods: &["PUT", "OPTIONS"],
        ..PLAIN
    },
    Lines {
        name: "a cache",
        setups: ALL_APACHE,
        own: Own {
            site: "CacheRoot BOX/tmp/cache\nCacheEnable disk /\nCacheIgnoreNoLastMod On\nCacheDefaultExpire 3600\n\
                   CacheIgnoreCacheControl On\nCacheQuickHandler On\n",
            modules: &["cache", "cache_disk"],
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "headers and times",
        setups: ALL_APACHE,
        own: Own {
            site: "Header always set X-Own yes\nExpiresActive On\nExpiresDefault \"access plus 1 day\"\n",
            modules: &["expires"],
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "no options",
        setups: APACHE_CONF,
        own: Own { site: "<Directory ROOT>\nOptions None\n</Directory>\n", ..PLAIN.own },
        ..PLAIN
    },
    Lines {
        name: "directories of users",
        setups: ALL_APACHE,
        own: Own { site: "UserDir BOX\n", modules: &["userdir"], ..PLAIN.own },
        prefixes: &["/~gallery"],
        control: Some(("/~gallery/themes/default/theme.css", "public style")),
        ..PLAIN
    },
];
