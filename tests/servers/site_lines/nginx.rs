//! Lines that a site may have in its `server { }` or `http { }`.

use super::{Lines, PLAIN, SSI_CONTROL};
use crate::support::setup::Own;

/// Serves by the URL's path what some error was the answer to.
const OWN_ERRORS: &str = "error_page 401 403 404 405 413 414 416 500 502 503 504 = @own;\n\
     location @own { try_files $uri $uri/ =404; }\n";

pub const LINES: &[Lines] = &[
    Lines { name: "nothing", ..PLAIN },
    Lines { name: "errors answered by files", own: Own { site: OWN_ERRORS, ..PLAIN.own }, ..PLAIN },
    Lines {
        name: "errors of errors answered by files, a program's as well",
        own: Own {
            outside: "fastcgi_intercept_errors on;\nproxy_intercept_errors on;\nrecursive_error_pages on;\nclient_max_body_size 1;\n",
            site: OWN_ERRORS,
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "errors answered by a page",
        own: Own {
            outside: "fastcgi_intercept_errors on;\nrecursive_error_pages on;\n",
            site: "error_page 403 404 =200 /send.php?X-Accel-Redirect=/_gate/file$uri;\n",
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "a condition of the site's, and its errors answered by files",
        own: Own {
            site: "if ($http_x_none = '') { set $x 1; }\nerror_page 403 = @own;\nlocation @own { try_files $uri =404; }\n",
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "a password, and errors answered by files",
        own: Own {
            site: "auth_basic site;\nauth_basic_user_file BOX/users;\nerror_page 401 = @own;\nlocation @own { auth_basic off; try_files $uri =404; }\n",
            ..PLAIN.own
        },
        sends: false,
        ..PLAIN
    },
    Lines {
        name: "too many requests, and errors answered by files",
        own: Own {
            outside: "limit_req_zone $binary_remote_addr zone=own:1m rate=1r/m;\n",
            site: "limit_req zone=own;\nerror_page 503 = @own;\nlocation @own { try_files $uri =404; }\n",
            ..PLAIN.own
        },
        sends: false,
        ..PLAIN
    },
    Lines {
        name: "pages made of parts",
        own: Own { site: "ssi on;\nssi_types *;\n", ..PLAIN.own },
        control: SSI_CONTROL,
        ..PLAIN
    },
    Lines {
        name: "pages made of parts, an address is enough",
        own: Own { site: "ssi on;\nssi_types *;\nsatisfy any;\nallow 127.0.0.1;\ndeny all;\n", ..PLAIN.own },
        control: SSI_CONTROL,
        ..PLAIN
    },
    Lines {
        name: "parts around pages",
        own: Own {
            site: "addition_types *;\nlocation = /around.shtml { ssi on; add_after_body /upload/; try_files /evil.shtml =404; }\n",
            ..PLAIN.own
        },
        targets: &["/around.shtml"],
        control: Some(("/around.shtml", "public style")),
        ..PLAIN
    },
    Lines {
        name: "copies of requests",
        own: Own {
            site: "mirror /copy;\nlocation = /copy { internal; rewrite ^ /upload/ last; }\n",
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "other programs say what is sent",
        targets: &[
            "/send.php?X-Accel-Redirect=/_gate/fileORIGINAL",
            "/send.php?X-Accel-Redirect=/_gate/fileTHUMB",
            "/send.php?X-Accel-Redirect=/_gate/derivativeTHUMB",
            "/send.php?X-Accel-Redirect=/_gate/i.php%3FSIZE",
            "/send.php?X-Accel-Redirect=/_gate/ask",
            "/send.php?X-Accel-Redirect=@piwigo_gate_make",
            "/send.php?X-Accel-Redirect=ORIGINAL",
            "/send.php?X-Accel-Redirect=THUMB",
            "/send.php?X-Accel-Redirect=/i.php%3FSIZE",
            "/send.php?X-Accel-Redirect=/_data/logs/log.txt",
        ],
        control: Some(("/send.php?X-Accel-Redirect=/themes/default/theme.css", "public style")),
        ..PLAIN
    },
    Lines {
        name: "longer paths",
        own: Own {
            site: "location /upload/2026/ { expires 30d; }\nlocation /upload/2026/11/21/ { }\nlocation /galleries/plain { }\n\
                   location /_data/i/upload { expires 30d; }\nlocation /_data/logs/ { }\nlocation /local/config/n { }\n\
                   location /i.php/u { }\nlocation /.git/ { }\nlocation /gate. { }\n",
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "other ways to a file",
        own: Own {
            site: "try_files $uri /index.php;\nautoindex on;\nmerge_slashes off;\ndisable_symlinks off;\ngzip_static on;\n\
                   gunzip on;\nopen_file_cache max=100;\nexpires 30d;\nadd_header X-Own yes;\nsub_filter_types *;\n\
                   sub_filter nothing something;\nslice 1m;\n",
            ..PLAIN.own
        },
        prefixes: &["/"],
        ..PLAIN
    },
    Lines {
        name: "a cache of pages",
        own: Own {
            outside: "fastcgi_cache_path BOX/tmp/own keys_zone=own:1m;\nfastcgi_cache own;\nfastcgi_cache_key $request_uri;\n\
                      fastcgi_cache_valid any 1h;\nfastcgi_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;\n",
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "a program's headers are not followed",
        own: Own {
            outside: "fastcgi_ignore_headers X-Accel-Redirect X-Accel-Expires Cache-Control;\nfastcgi_pass_request_headers on;\n",
            ..PLAIN.own
        },
        ..PLAIN
    },
    Lines {
        name: "rewriting",
        own: Own {
            site: "rewrite ^/gallery/(.*)$ /$1 last;\nlocation /pretty/ { rewrite ^/pretty/(.*)$ /$1 last; }\n\
                   location /one/ { rewrite ^/one/(.*)$ /_gate/file/$1 last; }\n\
                   location /two/ { rewrite ^/two/(.*)$ /_gate/derivative/$1 last; }\n\
                   location /three/ { rewrite ^/three/(.*)$ /_gate/i.php?/$1? last; }\n\
                   location /four/ { error_page 403 = /_gate/file$uri; return 403; }\n",
            ..PLAIN.own
        },
        prefixes: &["/gallery", "/pretty", "/one", "/two", "/four"],
        targets: &["/threeSIZE", "/gallery/_gate/fileORIGINAL"],
        ..PLAIN
    },
];
