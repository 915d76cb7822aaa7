//! `piwigo-gate doctor` names what a site's own lines open beside the printed file, each lock of the printed
//! file that was taken out by hand, and nothing else. Real servers; what comes from outside is asked for as
//! well.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::path::Path;

use crate::support::apache::Apache;
use crate::support::caddy::{self, Caddy};
use crate::support::config;
use crate::support::examined::{OPEN_I_PHP, Report, Setting, doctor, link_to_plain_paths, open_permissions};
use crate::support::files;
use crate::support::http;
use crate::support::lighttpd::{self, Lighttpd};
use crate::support::nginx::{self, Nginx};
use crate::support::php;
use crate::support::scene::Scene;
use crate::support::setup::{ApacheSite, Setup};

/// What the configuration alone shows.
const LINES: &str = "server-file-lines";

/// A lock of the printed file that is taken out: every text of the first kind becomes one of the second.
type Change<'a> = (&'a str, &'a str);

/// Lines of a site's own beside the printed file.
struct Case<'a> {
    own: &'a str,
    changes: &'a [Change<'a>],
    /// The findings that are problems, in the order of their names.
    problems: &'a [&'a str],
    /// The same for warnings.
    warnings: &'a [&'a str],
    /// Words of the finding [`LINES`].
    words: &'a str,
}

const HARMLESS: Case = Case { own: "", changes: &[], problems: &[], warnings: &[], words: "" };

impl Case<'_> {
    fn changed(&self, file: &str) -> String {
        self.changes.iter().fold(file.to_owned(), |file, (from, to)| {
            assert!(file.contains(from), "the printed file has changed: {from}");
            file.replace(from, to)
        })
    }

    #[track_caller]
    fn check(&self, report: &Report) {
        let found = (report.all("problem"), report.all("warning"));
        let (own, changes) = (self.own, self.changes);
        let told = format!("{own} {changes:?} {}", report.text);
        // What is open is often open in several ways.
        let expected = |all: &[&str], expected: &[&str]| {
            expected.iter().all(|id| all.contains(id))
                && all.contains(&LINES) == expected.contains(&LINES)
                && (!expected.is_empty() || all.is_empty())
        };
        let is_silent = self.problems.is_empty();
        assert!(expected(&found.0, self.problems), "{found:?} {told}");
        assert!(!is_silent || expected(&found.1, self.warnings), "{found:?} {told}");
        let level = match () {
            () if self.problems.contains(&LINES) => "problem",
            () if self.warnings.contains(&LINES) => "warning",
            () => "ok",
        };
        report.says(LINES, level, self.words);
    }
}

fn with_files(setting: &Setting, files: &[&Path], url: &str) -> Report {
    let files: Vec<&str> = files.iter().map(|file| file.to_str().expect("UTF-8")).collect();
    let mut arguments: Vec<&str> = files.iter().flat_map(|file| ["--server-file", file]).collect();
    arguments.extend(["--url", url]);
    setting.report(&arguments)
}

/// nginx with `guard` and a site's own lines, examined with the file in which they are.
fn behind_nginx(setting: &Setting, guard: &str, own: &str) -> (Report, Nginx) {
    let sandbox = setting.sandbox();
    let server = nginx::gallery(sandbox, &format!("{guard}\n{}", sandbox.filled(own)));
    let conf = sandbox.write("site.conf", format!("server {{\n{server}\n}}\n"));
    let nginx = Nginx::start(sandbox, &server);
    (with_files(setting, &[&conf], &format!("http://{}/", nginx.address())), nginx)
}

const BY_URL: &str = "location @own { try_files $uri =404; }";
const OWN_ERRORS: &str = "error_page 403 404 = @own;\nlocation @own { try_files $uri =404; }";
/// As the files were before they had an error page in each location.
const NO_ERROR_PAGE: &[Change] = &[("error_page 502 504 =503 @piwigo_gate_away; return 40", "return 40")];

#[test]
fn nginx_with_a_sites_own_lines() {
    let setting = Setting::new();
    let image = setting.scene.world.private_image("erin").original().to_owned();
    let directory = image.rsplit_once('/').expect("a directory").0;
    let (longer, refused) =
        (format!("location ^~ /{directory}/ {{ }}"), format!("location ^~ /{directory}/ {{ return 403; }}"));
    let early = format!("error_page 400 = @own;\n{BY_URL}");
    let unknown_coding = format!("error_page 501 = @own;\n{BY_URL}");
    for case in [
        HARMLESS,
        Case { own: OWN_ERRORS, ..HARMLESS },
        Case {
            own: OWN_ERRORS,
            changes: NO_ERROR_PAGE,
            problems: &["outside-config", "outside-data", LINES],
            words: "error_page 403 404 = @own",
            ..HARMLESS
        },
        Case { changes: NO_ERROR_PAGE, ..HARMLESS },
        Case {
            own: &early,
            problems: &["outside-early-errors", LINES],
            words: "error_page 400 = @own",
            ..HARMLESS
        },
        Case {
            own: &unknown_coding,
            problems: &["outside-early-errors", LINES],
            words: "error_page 501 = @own",
            ..HARMLESS
        },
        Case { own: "error_page 400 = @own;\nlocation @own { return 302 /; }", ..HARMLESS },
        Case {
            changes: &[("x_piwigo_gate_file", "x_accel_redirect")],
            problems: &[LINES],
            words: "lacks a lock",
            ..HARMLESS
        },
        Case { own: &longer, problems: &["outside-original", LINES], words: &longer[..20], ..HARMLESS },
        Case { own: &refused, ..HARMLESS },
        Case {
            own: "location /second/ { alias ROOT/; }",
            problems: &["outside-aliases", LINES],
            words: "(/second/…)",
            ..HARMLESS
        },
        Case {
            own: "location /box/ { root BOX/..; }\nlocation /gallery/ { root BOX; }",
            problems: &["outside-aliases", LINES],
            words: "(/gallery/…)",
            ..HARMLESS
        },
        Case { own: "location /look/ { alias ROOT/themes/; }", ..HARMLESS },
        Case { own: "ssi on;\naddition_types *;\nslice 1m;", ..HARMLESS },
    ] {
        let guard = case.changed(&nginx::fill_in(setting.sandbox(), nginx::ACCEL));
        case.check(&behind_nginx(&setting, &guard, case.own).0);
    }
}

/// With `ssi on` nginx has parts of a page without a question. The file that was judged is served, and for a
/// part there is none.
#[test]
fn nginx_that_only_asks_and_makes_pages_of_parts() {
    let by_uri: &[Change] = &[("try_files $piwigo_gate_file ", "try_files $uri ")];
    for kind in ["nginx-auth-request", "nginx-auth-cache"] {
        let setting = Setting::new();
        setting.link_to_plain_paths();
        let sandbox = setting.sandbox();
        let image = setting.scene.world.private_image("erin");
        let page = format!("<!--#include virtual=\"{}\" -->", http::url(image.original()));
        sandbox.write("gallery/page.shtml", page);
        let parts = "ssi on;\nssi_types *;";
        for (case, is_open) in [
            (HARMLESS, false),
            (Case { own: parts, ..HARMLESS }, false),
            (Case { own: parts, changes: by_uri, problems: &[LINES], words: "`ssi on`", ..HARMLESS }, true),
            (Case { changes: by_uri, problems: &[LINES], words: "/_gate/file/", ..HARMLESS }, false),
            (
                Case {
                    own: OWN_ERRORS,
                    changes: NO_ERROR_PAGE,
                    problems: &["outside-config", "outside-data", LINES],
                    words: "error_page 403 404 = @own",
                    ..HARMLESS
                },
                false,
            ),
        ] {
            let guard = case.changed(&config::print(sandbox, kind, &[]));
            let server = nginx::gallery(sandbox, &format!("{guard}\n{}", case.own));
            let cache = if kind == "nginx-auth-cache" { nginx::cache_path(sandbox) } else { String::new() };
            let conf = sandbox.write("site.conf", format!("{cache}\nserver {{\n{server}\n}}\n"));
            let nginx = Nginx::start_with(sandbox, &cache, &server);
            case.check(&with_files(&setting, &[&conf], &format!("http://{}/", nginx.address())));
            let text = http::get(nginx.address(), "/page.shtml").text();
            let has_it = text.contains(&files::original_text(image.id));
            assert_eq!(has_it, is_open, "{kind} {} {:?} {text}", case.own, case.changes);
        }
    }
}

/// A file is read together with what it includes, and a second site without the gate's file is found.
#[test]
fn nginx_with_the_printed_file_included() {
    let setting = Setting::new();
    let sandbox = setting.sandbox();
    let printed = nginx::fill_in(sandbox, nginx::ACCEL);
    let printed = printed.replace("include fastcgi_params;", "include /etc/nginx/fastcgi_params;");
    let printed = sandbox.write("snippets/piwigo-gate.conf", printed);
    let included = nginx::gallery(sandbox, "include snippets/piwigo-gate.conf;")
        .replace("server_name localhost", "server_name 127.0.0.1");
    let open = "server { listen ADDRESS; server_name _; root ROOT; }";
    let unread = included.replace("snippets/", "nowhere/");
    for (default, own, is_elsewhere, case) in [
        ("", "", false, HARMLESS),
        ("", "", true, HARMLESS),
        ("server { listen ADDRESS; server_name _; root ROOT/themes; }", "", false, HARMLESS),
        ("server { listen ADDRESS; server_name _; root ROOT; return 444; }", "", false, HARMLESS),
        (open, "", false, Case { problems: &["outside-doors", LINES], words: "server_name _", ..HARMLESS }),
        (
            "",
            "location /second/ { alias ROOT/; }",
            true,
            Case { problems: &["outside-aliases", LINES], words: "(/second/…)", ..HARMLESS },
        ),
    ] {
        let (default, own) = (sandbox.filled(default), sandbox.filled(own));
        let server = format!("{included}\n{own}");
        // Where the included file cannot be found, it is given with an option of its own.
        let shown = if is_elsewhere { &unread } else { &included };
        let conf = sandbox.write("sites/site.conf", format!("server {{\n{shown}\n{own}\n}}\n{default}\n"));
        let nginx = Nginx::start_with(sandbox, &default, &server);
        let url = format!("http://{}/", nginx.address());
        let files = if is_elsewhere { vec![&*conf, &*printed] } else { vec![&*conf] };
        case.check(&with_files(&setting, &files, &url));
        // The same by the server's own file, which names its sites by a pattern.
        if !is_elsewhere {
            let main = sandbox.write("nginx-main.conf", "http {\n  include sites/*.conf;\n}\n");
            case.check(&with_files(&setting, &[&*main], &url));
        }
    }
}

/// A gallery for Apache, in which nothing is wrong.
fn for_apache() -> Scene {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    php::write_scripts(sandbox);
    sandbox.write("gallery/i.php", OPEN_I_PHP);
    sandbox.write("gallery/_data/logs/log_2026-11-21.txt", "SELECT secrets FROM a log\n");
    sandbox.write("gallery/local/config/gate.toml", "log = \"info\" # a file that nobody may fetch\n");
    sandbox.hand_over_tree(&sandbox.gallery());
    for name in ["database.inc.php", "config.inc.php", "gate.toml"] {
        open_permissions(&sandbox.gallery().join("local/config").join(name), 0o640);
    }
    std::os::unix::fs::symlink(sandbox.gallery(), sandbox.path().join("link")).expect("a link");
    scene
}

fn behind_apache(setup: Setup, cases: &[Case]) {
    let scene = for_apache();
    let sandbox = &scene.sandbox;
    if setup == Setup::ApacheAccessChecker {
        link_to_plain_paths(sandbox);
    }
    for case in cases {
        let ApacheSite { outside, host, modules, gate } = setup.apache_site(sandbox, "");
        let host = format!(
            "{}\n{}\n<Directory {}>\nOptions FollowSymLinks\nRequire all granted\n</Directory>\n",
            case.changed(&host),
            sandbox.filled(case.own),
            sandbox.path().display()
        );
        let conf = sandbox.write("site.conf", &host);
        let apache = Apache::start_with(sandbox, &outside, &host, modules);
        let url = format!("http://{}/", apache.address());
        let listen = gate.as_ref().map(|gate| format!("unix:{}", gate.socket().display()));
        let mut arguments = vec!["--server-file", conf.to_str().expect("UTF-8"), "--url", &url, "--json"];
        if let (Some(listen), Setup::ApacheProxy) = (&listen, setup) {
            arguments.extend(["--listen", listen]);
        }
        case.check(&Report::read(&doctor(sandbox, &arguments)));
    }
}

const HANDLER: &str = "<Location /upload>\nSetHandler default-handler\n</Location>\n\
                       <Location /galleries>\nSetHandler default-handler\n</Location>";
const LAST_HANDLER: &str =
    "<Location /upload>\n<If \"true\">\nSetHandler default-handler\nRewriteEngine Off\n</If>\n</Location>";
const ADMITS: &str = "<Location />\nRequire all granted\nSatisfy Any\n</Location>";
const ADMITS_LAST: &str = "<Location />\n<If \"true\">\nRequire all granted\n</If>\n</Location>";
const ALIAS: &str = "Alias /second ROOT";

#[test]
fn apache_with_a_sites_own_lines() {
    let no_if: &[Change] = &[
        (
            "    <If \"true\">\n        SetHandler piwigo-gate",
            "    SetHandler piwigo-gate\n    <If \"true\">",
        ),
        ("RewriteRule ^ - [H=piwigo-gate]", "# no rule"),
    ];
    let no_directory: &[Change] = &[("_data\">\n    AllowOverride", "none\">\n    AllowOverride")];
    behind_apache(
        Setup::ApacheXsendfile,
        &[
            HARMLESS,
            Case { own: ALIAS, ..HARMLESS },
            Case { own: "AliasMatch ^/match(/.*)$ ROOT$1\nScriptAlias /script ROOT", ..HARMLESS },
            Case { own: HANDLER, ..HARMLESS },
            Case {
                own: "<FilesMatch \"jpg$\">\nSetHandler default-handler\n</FilesMatch>\n\
                      <If \"true\">\nSetHandler default-handler\nRewriteEngine Off\n</If>\n<Location /upload>\n\
                      SetHandler None\nForceType image/jpeg\n</Location>\n<Directory ROOT/upload>\nSetHandler None\n</Directory>",
                ..HARMLESS
            },
            Case { own: ADMITS_LAST, ..HARMLESS },
            Case {
                own: ALIAS,
                changes: no_directory,
                problems: &["outside-aliases", LINES],
                words: "Alias /second",
                ..HARMLESS
            },
            Case { changes: no_if, problems: &[LINES], words: "no <If>", ..HARMLESS },
            Case {
                own: HANDLER,
                changes: no_if,
                problems: &["outside-original", LINES],
                words: "because of <Location /upload>",
                ..HARMLESS
            },
            Case {
                own: LAST_HANDLER,
                problems: &["outside-original", LINES],
                words: "because of <Location /upload>",
                ..HARMLESS
            },
            Case {
                own: "<LocationMatch ^/upload>\n<If \"true\">\nRewriteEngine On\nRewriteRule ^ - [H=default-handler]\n</If>\n\
                      </LocationMatch>",
                problems: &["outside-original", LINES],
                words: "because of <LocationMatch ^/upload>",
                ..HARMLESS
            },
            // Without mod_rewrite this would open the pictures.
            Case {
                own: "<Location /upload>\n<If \"true\">\nSetHandler default-handler\n</If>\n</Location>",
                warnings: &[LINES],
                words: "<Location /upload>",
                ..HARMLESS
            },
            Case {
                own: "Alias /second BOX/link",
                problems: &["outside-aliases", LINES],
                words: "through a link",
                ..HARMLESS
            },
            Case {
                own: "Alias /second ROOT\n<FilesMatch \"[a-z]$\">\n<If \"true\">\nSetHandler default-handler\nRewriteEngine Off\n</If>\n</FilesMatch>",
                problems: &["outside-aliases", LINES],
                words: "<FilesMatch [a-z]$>",
                ..HARMLESS
            },
            Case {
                own: "Alias /second ROOT\n<Directory ROOT/_data>\n<If \"true\">\nRequire all granted\n</If>\n</Directory>",
                problems: &["outside-aliases", LINES],
                words: "/_data>",
                ..HARMLESS
            },
        ],
    );
}

#[test]
fn apache_that_passes_on_with_a_sites_own_lines() {
    behind_apache(
        Setup::ApacheProxy,
        &[
            HARMLESS,
            Case { own: HANDLER, ..HARMLESS },
            Case { own: "<Location /upload>\nProxyPass !\n</Location>\nProxyPass /galleries !", ..HARMLESS },
            Case {
                own: LAST_HANDLER,
                problems: &["outside-original", LINES],
                words: "<Location /upload>",
                ..HARMLESS
            },
        ],
    );
}

#[test]
fn apache_that_only_asks_with_a_sites_own_lines() {
    // As the file was at first.
    let no_if: &[Change] = &[
        (
            "    <If \"true\">\n        FcgidAccessChecker",
            "    <IfModule mod_fcgid.c>\n        FcgidAccessChecker",
        ),
        (
            "        <IfModule mod_access_compat.c>\n            Satisfy All\n        </IfModule>\n    </If>\n    # No part",
            "    </IfModule>\n    # No part",
        ),
    ];
    behind_apache(
        Setup::ApacheAccessChecker,
        &[
            HARMLESS,
            Case { own: ADMITS, ..HARMLESS },
            Case { own: HANDLER, ..HARMLESS },
            Case { own: ADMITS_LAST, problems: &["outside-i-php", LINES], words: "<Location />", ..HARMLESS },
            Case {
                own: "<Location /upload>\n<If \"true\">\nFcgidAccessCheckerAuthoritative Off\n</If>\n</Location>",
                problems: &["outside-original", LINES],
                words: "<Location /upload>",
                ..HARMLESS
            },
            Case {
                own: ADMITS,
                changes: no_if,
                problems: &["outside-original", LINES],
                words: "<Location />",
                ..HARMLESS
            },
        ],
    );
}

#[test]
fn lighttpd_with_a_sites_own_lines() {
    let setting = Setting::new();
    let sandbox = setting.sandbox();
    let guard = config::print(sandbox, "lighttpd", &[]);
    let image = setting.scene.world.private_image("erin");
    let page = format!("<p><!--#include virtual=\"{}\" -->", http::url(image.original()));
    sandbox.write("gallery/page.shtml", page);
    for case in [
        HARMLESS,
        Case { own: "alias.url += ( \"/look\" => \"ROOT/themes\" )", ..HARMLESS },
        Case {
            own: "alias.url += ( \"/second/\" => \"ROOT/\" )",
            problems: &["outside-aliases", LINES],
            words: "(/second/…)",
            ..HARMLESS
        },
        Case {
            own: "ssi.extension = ( \".shtml\" )",
            problems: &[LINES],
            words: "ssi.extension",
            ..HARMLESS
        },
        Case {
            own: "alias.url += ( \"/logs\" => \"ROOT/_data/logs\" )",
            problems: &[LINES],
            words: "(/logs/…)",
            ..HARMLESS
        },
    ] {
        let site = format!("{}\n{}", sandbox.filled(case.own), lighttpd::gallery(sandbox, &guard));
        let conf = sandbox.write("site.conf", &site);
        let lighttpd = Lighttpd::start_with(sandbox, &site, &["mod_setenv", "mod_fastcgi", "mod_ssi"]);
        let is_part =
            http::get(lighttpd.address(), "/page.shtml").text().contains(&files::original_text(image.id));
        assert_eq!(is_part, case.own.starts_with("ssi"), "{}", case.own);
        case.check(&with_files(&setting, &[&conf], &format!("http://{}/", lighttpd.address())));
    }
}

#[test]
fn caddy_with_a_sites_own_lines() {
    for kind in ["caddy", "caddy-forward-auth"] {
        let mut setting = Setting::new();
        setting.link_to_plain_paths();
        let guard = config::print(setting.sandbox(), kind, &[]);
        let look = |setting: &Setting, own: &str| {
            let sandbox = setting.sandbox();
            let site = format!("{}\n{}", sandbox.filled(own), caddy::gallery(sandbox, &guard));
            let conf = sandbox.write("Caddyfile-of-the-site", &site);
            let caddy = Caddy::start(sandbox, &site);
            with_files(setting, &[&conf], &format!("http://{}/", caddy.address()))
        };
        let errors = "handle_errors {\nroot * \"ROOT\"\nfile_server\n}";
        let inherited = "handle_errors {\nfile_server\n}";
        let only_forward: &[&str] = if kind == "caddy" { &[] } else { &[LINES] };
        for case in [
            HARMLESS,
            Case {
                own: "handle_path /x/* {\nroot * \"ROOT\"\nfile_server\n}",
                problems: &["outside-aliases", LINES],
                words: "handle_path /x/*",
                ..HARMLESS
            },
            Case { own: "handle_path /x/* {\nroot * \"ROOT/themes\"\nfile_server\n}", ..HARMLESS },
            Case { own: "handle_errors {\nroot * \"BOX/errors\"\nfile_server\n}", ..HARMLESS },
            Case { own: errors, problems: &[LINES], words: "handle_errors", ..HARMLESS },
            Case { own: inherited, problems: only_forward, ..HARMLESS },
        ] {
            case.check(&look(&setting, case.own));
        }
        // What error pages open shows while the gate is away.
        setting.gate = None;
        for (own, is_open) in [(errors, true), (inherited, kind != "caddy"), ("", false)] {
            let report = look(&setting, own);
            assert_eq!(
                report.all("problem").contains(&"outside-original"),
                is_open,
                "{kind} {own} {}",
                report.text
            );
        }
    }
}
