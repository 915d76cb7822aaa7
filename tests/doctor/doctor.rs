//! `piwigo-gate doctor`: a right set-up has no problem and no warning, each wrong one is found and named,
//! nothing is changed and no secret is printed. Real nginx, MariaDB, gate and PHP.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::apache::{self, Apache};
use crate::support::caddy::{self, Caddy};
use crate::support::config;
use crate::support::examined::{Report, Setting, doctor, open_permissions, without, write_ws_php};
use crate::support::gate;
use crate::support::haproxy::{self, Haproxy};
use crate::support::lighttpd::{self, Lighttpd};
use crate::support::mariadb;
use crate::support::nginx::{self, Nginx};
use crate::support::php;
use crate::support::process;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{self, Scene};
use crate::support::world::World;
use socket2::{Domain, SockAddr, Socket, Type};

/// Where the shipped file begins to send what the gate allows.
const INTERNAL: &str = "location ^~ /_gate/file/ {\n    internal;";

#[test]
fn a_right_set_up_has_no_problem_and_no_warning() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::new().with_guard(file, |file| file);
        if file == nginx::AUTH_REQUEST {
            setting.link_to_plain_paths();
        }
        let conf = setting.sandbox().write("shipped.conf", nginx::fill_in(setting.sandbox(), file));
        let report = setting.report(&["--server-file", conf.to_str().unwrap()]);
        assert_eq!(report.code, Some(0), "{}", report.text);
        assert_eq!((report.all("problem"), report.all("warning")), (vec![], vec![]), "{}", report.text);
        for id in [
            "gallery",
            "configuration",
            "permissions",
            "database",
            "database-rights",
            "clock",
            "schema",
            "index-path",
            "sessions",
            "secret-key",
            "prefixes",
            "user",
            "derivatives",
            "socket",
            "gate",
            "symlinks",
            "htaccess",
            "case-folding",
            "server-file",
            "outside",
            "outside-original",
            "outside-derivative",
            "outside-i-php",
            "outside-action-php",
            "outside-representative",
            "outside-format",
            "outside-spellings",
            "outside-split",
            "outside-odd-bytes",
            "outside-internal",
            "outside-privacy-links",
            "outside-links",
            "outside-doors",
            "outside-early-errors",
            "outside-refusals",
            "outside-config",
            "outside-data",
            "outside-listing",
            "outside-allowed",
            "outside-cache",
            "outside-nosniff",
            "outside-range",
            "outside-head",
            "outside-redirect-header",
            "outside-paths",
        ] {
            assert!(report.all("ok").contains(&id), "{id} was not examined:\n{}", report.text);
        }
    }
}

#[test]
fn whatever_a_refusal_looks_like_it_is_one() {
    for arguments in
        [["--deny", "image"], ["--deny", "login"], ["--deny-status", "404"], ["--deny-status", "401"]]
    {
        let setting = Setting::of(Scene::start(), &arguments).with_guard(nginx::ACCEL, |file| file);
        let report = setting.report(&["--cookie", &setting.cookie("erin")]);
        let found = (report.all("problem"), report.all("warning"));
        assert_eq!(found, (vec![], vec![]), "{arguments:?} {}", report.text);
        report.says("outside-original", "ok", "refused");
        report.says("outside-refusals", "ok", "look the same");
        report.says("outside-session-denied", "ok", "like what does not exist");
    }
}

/// An older file has no way from the gate to Piwigo's script: all downloads are refused.
#[test]
fn downloads_that_are_left_to_piwigo() {
    let by_piwigo = ["--action-php", "piwigo"];
    let word = "    fastcgi_param GATE_ACTION_PHP hand-over;";
    assert!(nginx::ACCEL.contains(word));
    for (line, level, words) in [
        (word, "note", "Piwigo's own rules decide about downloads"),
        ("    # an older file", "problem", "refuses every download"),
    ] {
        let setting =
            Setting::of(Scene::start(), &by_piwigo).with_guard(nginx::ACCEL, |file| file.replace(word, line));
        let report = setting.report(&by_piwigo);
        report.says("outside-action-php", level, words);
        let problems = if level == "problem" { vec!["outside-action-php"] } else { vec![] };
        assert_eq!((report.all("problem"), report.all("warning")), (problems, vec![]), "{}", report.text);
    }
}

#[test]
fn the_shipped_apache_files_have_no_problem_and_no_warning() {
    for (prefix, htaccess) in [("", false), ("/piwigo", false), ("", true), ("/piwigo", true)] {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        php::write_scripts(sandbox);
        write_ws_php(sandbox, &scene.world, str::to_owned);
        sandbox.write("gallery/_data/logs/log_2026-11-21.txt", "SELECT secrets FROM a log\n");
        let (host, modules) = if htaccess {
            apache::write_htaccess(sandbox, prefix, true);
            (apache::shared_host(sandbox, prefix), &["fcgid", "rewrite", "actions", "headers"][..])
        } else {
            let modules = &["fcgid", "xsendfile", "rewrite", "actions", "headers"][..];
            (apache::xsendfile_host(sandbox, prefix), modules)
        };
        sandbox.hand_over_tree(&sandbox.gallery());
        for name in ["database.inc.php", "config.inc.php"] {
            open_permissions(&sandbox.gallery().join("local/config").join(name), 0o640);
        }
        let apache = Apache::start(sandbox, &host, modules);
        let url = format!("http://{}{prefix}/", apache.address());
        let cookie = scene.world.session("erin").cookie_header();
        let arguments = ["--url-prefix", prefix, "--url", &url, "--cookie", &cookie, "--json"];
        let report = Report::read(&doctor(sandbox, &arguments));
        let found = (report.all("problem"), report.all("warning"));
        assert_eq!(found, (vec![], vec![]), "{prefix:?} {htaccess} {}", report.text);
        report.says("outside-original", "ok", "refused");
        report.says("outside-allowed", "ok", "comes");
        report.says("outside-session", "ok", "PHP knows this visitor as erin");
        report.says("outside-session-allowed", "ok", "comes");
        report.says("outside-session-denied", "ok", "like what does not exist");
        report.says("outside-config", "ok", "closed");
    }
}

/// nginx's best known trap: a location without a slash at its end, and an alias with one. The printed file
/// closes it; `doctor` finds it where the file lacks these lines.
#[test]
fn wrong_alias_that_glues_the_prefix_to_the_next_name() {
    let mut setting = Setting::of(Scene::start(), &["--url-prefix", "/piwigo"]);
    let sandbox = setting.sandbox();
    let printed = config::print(sandbox, "nginx", &["--url-prefix", "/piwigo"]);
    let is_of_glued_names = |line: &&str| {
        let after =
            line.strip_prefix("location ^~ \"/piwigo").or(line.strip_prefix("location ~* \"^/piwigo"));
        after.is_some_and(|rest| rest.starts_with(|next: char| next != '/' && next != '['))
    };
    let without = printed.lines().filter(|line| !is_of_glued_names(line)).collect::<Vec<_>>().join("\n");
    assert!(without.len() < printed.len(), "the printed file has such lines");
    let site = sandbox.make_dir("site").display().to_string();
    for (guard, alias, level) in [
        (&printed, "location /piwigo/", "ok"),
        (&printed, "location ^~ /piwigo", "ok"),
        (&without, "location /piwigo/", "ok"),
        (&without, "location ^~ /piwigo", "problem"),
    ] {
        let sandbox = setting.sandbox();
        let alias = format!("{alias} {{ alias {}/; }}", sandbox.gallery().display());
        let nginx = Nginx::start(sandbox, &format!("root {site};\n{guard}\n{alias}\n"));
        let url = format!("http://{}/piwigo/", nginx.address());
        setting.nginx = Some(nginx);
        let report = setting.report(&["--url-prefix", "/piwigo", "--url", &url]);
        report.says("outside-glued", level, "a private original, glued to the gallery's path,");
    }
}

/// lighttpd with the shipped file, and with the condition that this file had at first.
#[test]
fn lighttpd_that_sends_an_address_that_is_not_utf_8() {
    let setting = Setting::new();
    let sandbox = setting.sandbox();
    sandbox.write("gallery/.git/config", "[core] # a file that nobody may fetch\n");
    let guard = config::print(sandbox, "lighttpd", &[]);
    let report = |guard: &str| {
        let lighttpd = Lighttpd::start(sandbox, &lighttpd::gallery(sandbox, guard));
        setting.report(&["--url", &format!("http://{}/", lighttpd.address())])
    };
    let right = report(&guard);
    assert_eq!((right.all("problem"), right.all("warning")), (vec![], vec![]), "{}", right.text);
    right.says("outside-odd-bytes", "ok", "refused");
    right.says("outside-data", "ok", "closed");
    right.says("outside-config", "ok", "closed");
    if !lighttpd::matches_once() {
        println!("this lighttpd sends no such file, whatever its guard is");
        return;
    }
    let wrong = report(&lighttpd::with_the_first_condition(&guard));
    wrong.says("outside-odd-bytes", "problem", "a private original, by odd bytes, comes to everybody: ");
    wrong.says(
        "outside-odd-bytes",
        "problem",
        "a private picture, resized, by odd bytes, comes to everybody: ",
    );
    wrong.says(
        "outside-odd-bytes",
        "problem",
        "a private picture by i.php and odd bytes comes to everybody: ",
    );
    wrong.says("outside-data", "problem", "/_data/logs/log_2026-11-21.txt/%80");
    wrong.says("outside-config", "problem", "/local/config/gate.toml/%80");
    wrong.says("outside-config", "problem", "/.git/config/%80");
    let found = ["outside-config", "outside-data", "outside-odd-bytes"];
    assert_eq!(wrong.all("problem"), found, "{}", wrong.text);
}

/// Caddy with the shipped files, with the files as they were before they knew a backslash, and in a site that
/// has directives of its own.
#[test]
fn caddy_that_reads_a_backslash_as_an_escape() {
    for kind in ["caddy", "caddy-forward-auth"] {
        let setting = Setting::new();
        setting.link_to_plain_paths();
        let sandbox = setting.sandbox();
        sandbox.write("gallery/.git/config", "[core] # a file that nobody may fetch\n");
        let guard = config::print(sandbox, kind, &[]);
        let report = |guard: &str, own: &str, is_old: bool| {
            let usual = caddy::gallery(sandbox, guard);
            let usual = if is_old { caddy::without_hide(&usual) } else { usual };
            let site = format!("{own}\n{usual}");
            let file = sandbox.write("Caddyfile-of-the-site", &site);
            let shipped = sandbox.path().join("piwigo-gate.caddy");
            let caddy = Caddy::start(sandbox, &site);
            let files = [file, shipped].map(|file| file.display().to_string());
            let url = format!("http://{}/", caddy.address());
            setting.report(&["--url", &url, "--server-file", &files[0], "--server-file", &files[1]])
        };
        let right = report(&guard, "", false);
        assert_eq!((right.all("problem"), right.all("warning")), (vec![], vec![]), "{kind} {}", right.text);
        right.says("outside-odd-bytes", "ok", "refused");

        let old: Vec<_> = guard.lines().filter(|line| !line.contains(r"\x7F\\]")).collect();
        assert_eq!(old.len() + 1, guard.lines().count(), "the shipped file has changed");
        let wrong = report(&old.join("\n"), "", true);
        if caddy::drops_backslashes(sandbox) {
            for what in ["a private original,", "a private picture, resized,", "a private picture by i.php"] {
                wrong.says("outside-odd-bytes", "problem", what);
            }
            wrong.says("outside-config", "problem", "/%5clocal/config/gate.tom%5cl");
            wrong.says("outside-config", "problem", "/%5c.git/config");
            wrong.says("outside-data", "problem", "/%5c_data/logs/log_2026-11-21.txt");
        } else {
            println!("this Caddy opens no such file, whatever its guard is");
        }

        // What the guard cannot see, and what it can.
        let php = format!("php_fastcgi unix/{}", sandbox.php_socket().display());
        for (own, open) in [
            ("handle_path /x/* {\nfile_server\n}".to_owned(), Some("/x/")),
            (format!("route /x/y/* {{\nuri strip_prefix /x/y\n{php}\n}}"), Some("/x/y/i.php?")),
            ("uri strip_prefix /x".to_owned(), None),
            ("uri replace /x/ /".to_owned(), None),
        ] {
            let report = report(&guard, &own, false);
            match open {
                Some(open) => {
                    report.says("outside-aliases", "problem", open);
                    report.says("server-file-lines", "problem", open.trim_end_matches("i.php?"));
                    let found = ["outside-aliases", "server-file-lines"];
                    assert_eq!(report.all("problem"), found, "{own} {}", report.text);
                }
                None => report.says("outside-aliases", "ok", "/x"),
            }
        }
        report(&guard, "templates", false).says("server-file-templates", "problem", "templates");
    }
}

#[tokio::test]
async fn a_gallery_on_sqlite_is_examined_too() {
    let (sandbox, world) = (Sandbox::new(), World::load());
    let database = scene::sqlite(&sandbox, &world).await;
    let report = Report::read(&doctor(&sandbox, &["--database", &database, "--json"]));
    assert_eq!((report.code, report.all("problem")), (Some(0), vec![]), "{}", report.text);
    report.says("database", "ok", "SQLite 3");
    report.says("database-rights", "ok", "read-only");
    report.says("outside", "note", "not examined");
}

#[test]
fn a_locked_gallery_is_no_gate_that_is_away() {
    let setting = Setting::right();
    setting.scene.database.sql("UPDATE piwigo_config SET value = 'true' WHERE param = 'gallery_locked'");
    let report = setting.report(&[]);
    report.says("gallery-locked", "note", "503");
    assert_eq!((report.all("problem"), report.all("warning")), (vec![], vec![]), "{}", report.text);
    setting.scene.database.sql(
        "UPDATE piwigo_config SET value = 'false' WHERE param IN ('gallery_locked', 'guest_access');
         INSERT IGNORE INTO piwigo_config (param, value) VALUES ('guest_access', 'false');
         DELETE FROM piwigo_config WHERE param = 'secret_key'",
    );
    let report = setting.report(&[]);
    report.says("guest-access", "note", "not signed in");
    report.says("secret-key", "warning", "remember-me");
}

#[test]
fn large_tables_and_replicas_that_are_away() {
    let setting = Setting::new();
    setting.scene.database.sql(
        "INSERT INTO piwigo_user_auth_keys (auth_key, user_id, created_on, duration, expired_on, key_type)
         SELECT CONCAT('key', seq), 4, NOW(), 1, NOW(), 'auth_key' FROM seq_1_to_2500;
         INSERT IGNORE INTO piwigo_group_access (group_id, cat_id) SELECT 100 + seq, 1 FROM seq_1_to_50",
    );
    let (_nobody, nobody) = crate::support::process::closed_port();
    let replica = format!("mysql://u:p4ssword@{nobody}/piwigo");
    let report = setting.report(&["--database", "piwigo", "--database", &replica, "--max-replica-lag", "2s"]);
    report.says("index-optional", "note", "piwigo_user_auth_keys has 25");
    report.says("index-optional", "note", "groups have grants");
    report.says("replicas", "warning", &nobody.to_string());
    assert!(
        report.text.contains("CREATE INDEX gate_key") && !report.text.contains("p4ssword"),
        "{}",
        report.text
    );
}

#[test]
fn a_person_reads_the_same_in_lines() {
    let setting = Setting::right();
    let output = setting.run(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("\nok       outside-original        a private original is refused to a guest"),
        "{text}"
    );
    assert!(text.lines().last().unwrap().starts_with("0 problems, 0 warnings, "), "{text}");
}

#[test]
fn wrong_nginx_without_the_guard() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |_| String::new());
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session-denied", "problem", "what erin must not see comes: /");
    report.says("outside-original", "problem", "comes to everybody");
    report.says("outside-derivative", "problem", "comes to everybody");
    report.says("outside-i-php", "problem", "/i.php?/");
    report.says("outside-representative", "problem", "comes to everybody");
    report.says("outside-format", "problem", "comes to everybody");
    // It makes its own page for each, and an open picture comes with a cache's headers.
    report.says("outside-cache", "problem", "max-age=2592000");
    report.says("outside-guard", "problem", "the web server asks the gate for nothing");
    report.follow_from(
        "outside-guard",
        &["outside-original", "outside-derivative", "outside-i-php", "outside-format", "outside-cache"],
    );
    let output = setting.run(&[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, end) = text.split_once("\ncause    outside-guard ").unwrap();
    assert!(end.contains("from it follows: ") && !end.contains("\nproblem"), "{text}");
}

/// The guard asks for the raw address: a frequent mistake.
#[test]
fn wrong_guard_by_the_raw_address() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let file = without(&file, &["location ^~ \"/_data\" ", "location ^~ \"/_data/\" "], false);
        let (_, rest) = file.split_once("# ---- Closed").unwrap();
        let rest = rest.split_once('\n').unwrap().1;
        format!(
            "set $guarded 0;\nif ($request_uri ~ \"^/(upload|galleries|_data/i|i|i\\.php|action\\.php)[/?]\") {{ set $guarded 1; }}\n\
             if ($uri ~ ^/_gate) {{ set $guarded 0; }}\n\
             if ($guarded) {{ rewrite ^ /_gate/ask last; }}\n{rest}"
        )
    });
    let report = setting.report(&[]);
    report.says("outside-spellings", "problem", "/themes/../upload/");
    for spelling in ["//upload/", "/./upload/", "/%75pload/"] {
        report.says("outside-split", "problem", spelling);
    }
    report.says("outside-original", "ok", "refused");
}

/// A front end as the tests of the printed files have it, but with rules of its own: `path_beg` sends the
/// guarded paths to the gate, closes what must be closed, and sends all else to a server that holds the
/// files.
#[test]
fn wrong_front_end_that_splits_by_the_beginning_of_the_path() {
    let setting = Setting::new();
    let sandbox = setting.sandbox();
    let behind = Nginx::start(sandbox, &nginx::behind_a_front(sandbox));
    let text = format!(
        "frontend own\n    mode http\n    bind BIND_ADDRESS\n    \
         http-request deny if {{ path_beg /local /_data/logs /_data/templates_c /_data/cache /.git /gate.toml }}\n    \
         use_backend gate if {{ path_beg /upload /galleries /_data/i /i.php /i/ /action.php /plugins/piwigo_privacy }}\n    \
         default_backend all\n\
         backend gate\n    mode http\n    use-fcgi-app gate\n    server gate unix@{gate} proto fcgi\n\
         fcgi-app gate\n    docroot {root}\n    set-param GATE_DELIVER stream\n\
         backend all\n    mode http\n    option forwardfor\n    server all {all}\n",
        gate = sandbox.gate_socket().display(),
        root = sandbox.gallery().display(),
        all = behind.address(),
    );
    let haproxy = Haproxy::start(sandbox, &text);
    let report = setting.report(&["--url", &format!("http://{}/", haproxy.address())]);
    // The plainest questions are answered rightly.
    for id in ["outside-original", "outside-derivative", "outside-config", "outside-data"] {
        report.says(id, "ok", "");
    }
    for (what, first) in [
        ("a private original", "upload/"),
        ("a private original", "galleries/"),
        ("a private picture, resized", "_data/i/"),
        ("a private picture by i.php", "i.php?/"),
        ("the picture of a private film", "galleries/"),
        ("a private photo's other format", "upload/"),
        ("a file with settings", "local/config/gate.toml"),
        ("a log or a compiled template", "_data/logs/"),
    ] {
        let hex = format!("/%{:02x}{}", first.as_bytes()[0], &first[1..]);
        let named = [format!("//{first}"), format!("/./{first}"), hex];
        let all = format!("{what}, spelt for a front end, comes to everybody: ");
        let found = &report.findings["outside-split"];
        let names_all = |text: &str| named.iter().all(|one| text.contains(one.as_str()));
        let is_found = |(level, text): &(String, String)| {
            level == "problem" && text.starts_with(&all) && names_all(text)
        };
        assert!(found.iter().any(is_found), "{what} {first}:\n{}", report.text);
    }
}

#[test]
fn the_shipped_files_for_front_ends_have_no_problem_and_no_warning() {
    let setting = Setting::new();
    let sandbox = setting.sandbox();
    let files = haproxy::files(sandbox, &[]);
    let backend = files.address().to_string();
    let printed = config::print(sandbox, "haproxy", &["--backend", &backend]);
    let haproxy = Haproxy::start(sandbox, &haproxy::site(sandbox, &printed));
    let behind = Nginx::start(sandbox, &nginx::behind_a_front(sandbox));
    let backend = behind.address().to_string();
    let guard = config::print(sandbox, "nginx-front", &["--backend", &backend]);
    let front = Nginx::start(sandbox, &nginx::front(&guard));
    let cookie = setting.cookie("erin");
    for (text, address) in [(printed, haproxy.address()), (guard, front.address())] {
        let file = sandbox.write("shipped.conf", text);
        let url = format!("http://{address}/");
        let arguments = ["--url", &url, "--server-file", file.to_str().expect("UTF-8"), "--cookie", &cookie];
        let report = setting.report(&arguments);
        assert_eq!((report.all("problem"), report.all("warning")), (vec![], vec![]), "{}", report.text);
        for id in [
            "outside-split",
            "outside-spellings",
            "outside-range",
            "outside-head",
            "outside-doors",
            "server-file",
        ] {
            report.says(id, "ok", "");
        }
        report.says("outside-session-allowed", "ok", "comes");
    }
}

/// As on a file system that folds case, by a link; and the rule that refuses other spellings is gone.
#[test]
fn wrong_without_the_rule_for_capitals() {
    let setting = Setting::new();
    let root = setting.sandbox().gallery();
    for name in ["upload", "galleries"] {
        std::os::unix::fs::symlink(name, root.join(name.to_uppercase())).unwrap();
    }
    let setting = setting.with_guard(nginx::ACCEL, |file| without(&file, &[], false));
    let report = setting.report(&[]);
    report.says("outside-spellings", "problem", "comes to everybody");
    report.says("case-folding", "note", "capitals");
}

#[test]
fn wrong_galleries_not_guarded() {
    let setting = Setting::new();
    // The newest private photo is one of a synchronised album.
    setting.scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path, width, height) VALUES (990, 'x', './galleries/new/p.jpg', 3000, 2000);
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (990, 11);",
    );
    setting.sandbox().write("gallery/galleries/new/p.jpg", "original 990, a private one\n");
    setting.sandbox().write("gallery/_data/i/galleries/new/p-th.jpg", "derivative 990, a private one\n");
    let setting =
        setting.with_guard(nginx::ACCEL, |file| without(&file, &["location ^~ \"/galleries"], false));
    let conf =
        setting.sandbox().write("own.conf", "location ^~ /upload { }\nlocation /_data/i { }\n# /galleries\n");
    let report = setting.report(&["--server-file", conf.to_str().unwrap()]);
    report.says("outside-original", "problem", "/galleries/new/p.jpg");
    report.says("outside-derivative", "ok", "refused");
    report.says("server-file", "problem", "galleries");
}

#[test]
fn wrong_i_php_not_guarded() {
    let setting =
        Setting::new().with_guard(nginx::ACCEL, |file| without(&file, &["location =  \"/i.php\""], false));
    let report = setting.report(&[]);
    report.says("outside-i-php", "problem", "/i.php?/");
    assert_eq!(report.all("problem"), ["outside-i-php"], "{}", report.text);
}

#[test]
fn wrong_links_of_piwigos_pages_where_i_php_is_closed() {
    let setting = Setting::new().with_guard(nginx::AUTH_REQUEST, |file| file);
    let report = setting.report(&[]);
    report.says("outside-links", "problem", "/i.php?/");
    assert!(report.text.contains("$conf['derivative_url_style'] = 1;"), "{}", report.text);
    assert_eq!(report.all("problem"), ["outside-links"], "{}", report.text);
    setting.link_to_plain_paths();
    setting.report(&[]).says("outside-links", "ok", "do not link to it");
}

#[test]
fn wrong_server_that_answers_its_first_page_and_no_picture() {
    let hangs_up = "location ^~ /upload { return 444; }\nlocation ^~ /galleries { return 444; }\n";
    let setting = Setting::new().with_guard(nginx::ACCEL, |_| hangs_up.to_owned());
    let report = setting.report(&[]);
    report.says("outside-requests", "problem", "the server answers, but not for pictures: ");
    report.says("outside-original", "note", "there was no answer");
    report.follow_from("outside-requests", &["outside-original"]);
}

#[test]
fn wrong_program_beside_piwigo_that_nobody_may_start() {
    let setting = Setting::right();
    let program = setting.sandbox().write("gallery/gate.fcgi", "a program");
    open_permissions(&program, 0o644);
    setting.report(&[]).says("gate-fcgi", "warning", "does not lead to it");
    setting.sandbox().write("gallery/.htaccess", include_str!("../../apache/htaccess"));
    let report = setting.report(&[]);
    report.says("gate-fcgi", "problem", "0644");
    report.says("gate-fcgi-htaccess", "note", "upload, galleries, _data/i");
}

#[test]
fn wrong_gate_not_running() {
    let mut setting = Setting::right();
    drop(setting.gate.take());
    let report = setting.report(&[]);
    report.says("outside-gate", "problem", "503");
    report.says("socket", "problem", "does not run");
    report.follow_from("socket", &["outside-gate", "outside-original"]);
    // A socket that nobody listens to.
    let address = SockAddr::unix(setting.sandbox().gate_socket()).unwrap();
    Socket::new(Domain::UNIX, Type::STREAM, None).unwrap().bind(&address).unwrap();
    setting.sandbox().hand_over(&setting.sandbox().gate_socket());
    let report = setting.report(&[]);
    report.says("gate", "problem", "nobody answers");
    report.follow_from("gate", &["outside-gate", "outside-original"]);
}

#[test]
fn wrong_socket_that_the_web_server_may_not_write_to() {
    let setting = Setting::new();
    let report = setting.report(&["--web-user", "daemon"]);
    report.says("socket", "problem", "user daemon may not connect");
    let report = setting.report(&["--web-user", "nobody-of-this-name"]);
    report.says("web-user", "warning", "no user");
    open_permissions(&setting.sandbox().gate_socket(), 0o666);
    let report = setting.report(&["--web-user", "daemon"]);
    report.says("socket", "ok", "may connect");
    report.says("socket-open", "warning", "claim to be any visitor");
}

#[test]
fn wrong_password_and_a_table_that_may_not_be_read() {
    let setting = Setting::right();
    let path = setting.sandbox().gallery().join("local/config/database.inc.php");
    let right = fs::read_to_string(&path).unwrap();
    fs::write(&path, right.replace("db_user'] = 'gate'", "db_user'] = 'nobody'")).unwrap();
    let report = setting.report(&[]);
    report.says("database", "problem", "Access denied");
    report.says("outside-original", "note", "not examined");
    report.follow_from("database", &["schema", "outside-original"]);
    // What needs no database is examined all the same.
    report.says("outside-config", "ok", "closed");
    fs::write(&path, right).unwrap();
    setting.scene.database.sql_as_root(
        "CREATE USER 'poor'@'localhost' IDENTIFIED BY 'p00r'; GRANT SELECT ON piwigo.piwigo_images TO 'poor'@'localhost';",
    );
    let socket = setting.scene.database.socket();
    let url = format!("mysql://poor:p00r@localhost/piwigo?socket={}", socket.display());
    let report = setting.report(&["--database", &url]);
    report.says("schema", "problem", "that this user may read");
    assert!(!report.text.contains("p00r"), "{}", report.text);
}

#[test]
fn write_rights_are_noted_with_a_remedy() {
    let setting = Setting::new();
    let path = setting.sandbox().gallery().join("local/config/database.inc.php");
    fs::write(&path, mariadb::database_inc_php(&setting.scene.database.socket(), mariadb::PIWIGO)).unwrap();
    let report = setting.report(&[]);
    report.says("database-rights", "note", "ALL PRIVILEGES");
    assert!(report.text.contains("GRANT SELECT ON `piwigo`.* TO"), "{}", report.text);
    fs::write(&path, mariadb::database_inc_php(&setting.scene.database.socket(), mariadb::GATE)).unwrap();
    let report = setting.report(&["--history", "true"]);
    report.says("database-rights", "warning", "history = true");
}

#[test]
fn wrong_data_and_configuration_open() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        without(
            &file,
            &[
                "location ^~ \"/_data\" ",
                "location ^~ \"/_data/\" ",
                "location ^~ \"/local/config",
                "location ~* \"\\.toml(/|$)\"",
            ],
            false,
        )
    });
    let report = setting.report(&[]);
    report.says("outside-data", "problem", "/_data/logs/log_2026-11-21.txt");
    report.says("outside-config", "problem", "/local/config/gate.toml");
    fs::remove_file(setting.sandbox().gallery().join("local/config/gate.toml")).unwrap();
    let report = setting.report(&[]);
    report.says("outside-config", "warning", "only PHP hides");
}

#[test]
fn wrong_default_site_that_has_the_gallery_too() {
    let mut setting = Setting::new();
    let sandbox = setting.sandbox();
    let guarded = nginx::gallery(sandbox, &nginx::fill_in(sandbox, nginx::ACCEL));
    // The first of several is the default one.
    let default =
        format!("server {{ listen ADDRESS; server_name _; root {}; }}", sandbox.gallery().display());
    let nginx = Nginx::start_with(
        sandbox,
        &default,
        &guarded.replace("server_name localhost", "server_name 127.0.0.1"),
    );
    setting.nginx = Some(nginx);
    let report = setting.report(&[]);
    report.says("outside-doors", "problem", "with the header \"Host: piwigo-gate-doctor.invalid\"");
    assert_eq!(report.all("problem"), ["outside-doors"], "{}", report.text);
    // Another site, one that hangs up, and none.
    for answer in ["return 200 welcome;", "return 444;", ""] {
        let mut setting = Setting::new();
        let sandbox = setting.sandbox();
        let guarded = nginx::gallery(sandbox, &nginx::fill_in(sandbox, nginx::ACCEL));
        let guarded = guarded.replace("server_name localhost", "server_name 127.0.0.1");
        let default = format!("server {{ listen ADDRESS; server_name _; {answer} }}");
        let default = if answer.is_empty() { "" } else { &default };
        setting.nginx = Some(Nginx::start_with(setting.sandbox(), default, &guarded));
        let report = setting.report(&[]);
        report.says("outside-doors", "ok", "no private original");
        assert_eq!((report.all("problem"), report.all("warning")), (vec![], vec![]), "{}", report.text);
    }
}

#[test]
fn wrong_end_of_a_name_in_an_expression() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let file = without(&file, &["location ^~ \"/gate.toml"], false);
        file.replace("\"\\.toml(/|$)\"", "\"\\.toml$\"")
    });
    setting.sandbox().write("gallery/gate.toml", "# a file that nobody may fetch, and nobody needs\n");
    let report = setting.report(&[]);
    report.says("outside-config", "problem", "everybody can read /gate.toml/x.php");
}

#[test]
fn wrong_directories_that_can_be_listed() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        format!("{}\nautoindex on;\n", without(&file, &["location ^~ \"/upload"], false))
    });
    setting.report(&[]).says("outside-listing", "problem", "/upload/");
}

#[test]
fn wrong_old_tables_without_an_index() {
    let schema = include_str!("../data/schema-2.10.sql");
    let scene = Scene::start_with(schema, World::load());
    let setting = Setting::of(scene, &[]);
    let report = setting.report(&[]);
    report.says("index-path", "warning", "no index");
    assert!(report.text.contains("CREATE INDEX gate_path ON piwigo_images (path);"), "{}", report.text);
    report.says("schema", "note", "API keys");
}

#[test]
fn wrong_files_in_the_guarded_directories() {
    let setting = Setting::new();
    let root = setting.sandbox().gallery();
    let link = root.join("upload/etc.jpg");
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    let is_thirds = setting.sandbox().give_link_to_a_third_user(&link);
    let beside = root.join("galleries/own");
    std::os::unix::fs::symlink("../upload", &beside).unwrap();
    setting.sandbox().hand_over_link(&beside);
    setting.sandbox().write("gallery/upload/a/.htaccess", "RewriteEngine off\nSetHandler default-handler\n");
    let linked = setting.sandbox().make_dir("gallery/upload/b").join(".htaccess");
    std::os::unix::fs::symlink("../a/.htaccess", &linked).unwrap();
    setting.sandbox().hand_over_link(&linked);
    // Who opens it waits for a writer.
    let pipe = setting.sandbox().make_dir("gallery/upload/c").join(".htaccess");
    process::run(std::process::Command::new("mkfifo").arg(&pipe)).unwrap();
    let report = setting.report(&["--server-file", "/dev/zero"]);
    report.says("server-file", "warning", "/dev/zero");
    if is_thirds {
        report.says("symlinks", "warning", "upload/etc.jpg");
    }
    for directory in ["a", "b"] {
        let words = format!("upload/{directory}/.htaccess (RewriteEngine, SetHandler)");
        report.says("htaccess", "warning", &words);
    }
    assert!(!report.text.contains("galleries/own"), "{}", report.text);
}

#[test]
fn wrong_headers_of_the_servers_own() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let (before, after) = file.split_once(INTERNAL).unwrap();
        let after = after.replacen("    expires off;", "    expires 30d;", 1);
        format!("{before}{INTERNAL}\n    add_header Cache-Control public;{after}")
    });
    let report = setting.report(&[]);
    report.says("outside-cache", "problem", "public");
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        file.replace("add_header Vary Cookie", "#")
            .replace("add_header X-Content-Type-Options nosniff", "#")
            .replace("disable_symlinks if_not", "max_ranges 0;\n    disable_symlinks if_not")
    });
    let report = setting.report(&[]);
    report.says("outside-cache", "warning", "Vary");
    report.says("outside-nosniff", "warning", "nosniff");
    report.says("outside-range", "problem", "answers 200");
}

#[test]
fn wrong_internal_location_that_is_not_internal() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let (before, after) = file.split_once(INTERNAL).unwrap();
        // Its second lock: only after a yes.
        let (_, after) = after.split_once("{ return 404; }").unwrap();
        format!("{before}location ^~ /_gate/file/ {{{after}")
    });
    setting.report(&[]).says("outside-internal", "problem", "/_gate/file/");
}

#[test]
fn wrong_sessions_in_files_that_nobody_reads() {
    let setting = Setting::new();
    let config = setting.sandbox().gallery().join("local/config/config.inc.php");
    fs::write(&config, "<?php\n$conf['session_save_handler'] = 'files';\n").unwrap();
    setting.report(&[]).says("sessions", "problem", "session_files");
    let directory = setting.sandbox().make_dir("sessions");
    let report = setting.report(&["--session-files", directory.to_str().unwrap()]);
    report.says("sessions", "ok", "PHP's own (files)");
    fs::write(&config, "<?php\n").unwrap();
    let report = setting.report(&["--session-files", directory.to_str().unwrap()]);
    report.says("sessions", "warning", "session_files");
}

#[test]
fn wrong_server_that_does_not_understand_the_gates_header() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let changed = file.replacen(
            "    fastcgi_hide_header X-Sendfile;",
            "    fastcgi_ignore_headers X-Accel-Redirect;\n    fastcgi_pass_header X-Accel-Redirect;",
            1,
        );
        assert!(changed.contains("fastcgi_ignore_headers X-Accel-Redirect;\n    fastcgi_pass"));
        changed
    });
    let report = setting.report(&[]);
    report.says("outside-redirect-header", "problem", "x-accel-redirect");
    report.says("outside-allowed", "problem", "does not come");
}

#[test]
fn wrong_server_that_tells_denied_from_unknown_or_where_the_gallery_lies() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        // The server's own look at the disk comes first.
        let ask = "location = /_gate/ask {\n    internal;";
        assert!(file.contains(ask));
        let mut changed = file.replace(ask, &format!("{ask}\n    add_header X-Root $document_root always;"));
        for directory in ["\"/upload/\"", "\"/galleries/\""] {
            let guard = format!("location ^~ {directory}  {{ ");
            assert!(changed.contains(&guard));
            changed =
                changed.replace(&guard, &format!("{guard} if (!-f $request_filename) {{ return 404; }} "));
        }
        changed
    });
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session-denied", "problem", "looks different");
    report.says("outside-refusals", "problem", "looks different");
    report.says("outside-paths", "problem", "/");
}

#[test]
fn wrong_permissions_and_settings() {
    let setting = Setting::new();
    let config = setting.sandbox().gallery().join("local/config");
    open_permissions(&config.join("database.inc.php"), 0o644);
    setting.report(&[]).says("permissions", "warning", "database.inc.php");
    fs::write(config.join("gate.toml"), "admin = \"strict\"\n").unwrap();
    let report = setting.report(&[]);
    report.says("configuration", "problem", "gate.toml, line 1: there is no setting");
    report.says("symlinks", "ok", "names");
    fs::write(config.join("gate.toml"), "").unwrap();
    fs::write(config.join("config.inc.php"), "<?php\n$conf['guest_id'] = getenv('GUEST');\n").unwrap();
    setting.report(&[]).says("configuration", "problem", "guest_id");
    fs::remove_file(config.join("database.inc.php")).unwrap();
    setting.report(&[]).says("configuration", "problem", "database.inc.php");
}

/// PHP's pool has an account of its own, and the gate that Apache starts has Apache's: what it cannot read
/// makes all pictures errors.
#[test]
fn wrong_permissions_are_corrected_for_the_account_that_must_read() {
    let setting = Setting::new();
    let file = setting.sandbox().gallery().join("local/config/database.inc.php");
    open_permissions(&file, 0o644);
    let listen = format!("unix:{}", setting.sandbox().gate_socket().display());
    // (Whether the gate listens by itself, the web server's account, the advice.) The file's own account
    // reads it anyway, and a service of the gate's runs as PHP's.
    let own = setting.sandbox().account().map_or("nobody", |account| &account.user).to_owned();
    for (arguments, advice) in [
        (&["--web-user", "games"][..], "chgrp games local/config/database.inc.php && chmod 640 "),
        (&["--web-user", &own], "chmod o-r local/config/database.inc.php"),
        (&["--web-user", "games", "--listen", &listen], "chmod o-r local/config/database.inc.php"),
    ] {
        let output = doctor(setting.sandbox(), arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("-> {advice}")), "{arguments:?}: {said}");
    }
}

#[test]
fn pictures_that_no_guard_knows() {
    let setting = Setting::new();
    setting.scene.database.sql(
        "INSERT INTO piwigo_images (id, file, path) VALUES (991, 'x', './elsewhere/p.jpg');
         INSERT INTO piwigo_images (id, file, path) SELECT 980 + seq, 'x', CONCAT('../photos/', seq, '.jpg') FROM seq_1_to_6;
         INSERT INTO piwigo_sites (galleries_url) VALUES ('./more/'), ('../photos/');",
    );
    let report = setting.report(&[]);
    report.says("prefixes", "problem", "./elsewhere/p.jpg");
    report.says("prefixes", "ok", "more");
    report.says("prefixes", "warning", "photos");
    setting.scene.database.sql("RENAME TABLE piwigo_sites TO piwigo_elsewhere;");
    setting.report(&[]).says("prefixes", "note", "the directories that Piwigo synchronises with");
}

#[test]
fn an_address_that_leads_elsewhere_is_said() {
    let setting = Setting::right();
    let sandbox = setting.sandbox();
    let other = Nginx::start(sandbox, "return 301 https://photos.example.org$request_uri;");
    let mut setting = setting;
    setting.nginx = Some(other);
    setting.report(&[]).says("outside", "problem", "redirects to https://photos.example.org");
    setting.nginx = None;
    let (_nobody, nobody) = crate::support::process::closed_port();
    let url = format!("http://{nobody}/");
    setting.report(&["--url", &url]).says("outside", "problem", "no answer");
    let report = setting.report(&["--url", "http://me:s3cret@h/"]);
    report.says("outside", "problem", "no address");
    assert!(
        !report.text.contains("s3cret") && report.text.contains("without user and password"),
        "{}",
        report.text
    );
    let wrong = format!("http://{nobody}/piwigo/");
    setting.report(&["--url", &wrong]).says("outside-url", "problem", "url_prefix");
}

/// Its original is refused for want of that right, and its resized pictures are open.
#[test]
fn an_open_picture_of_a_guest_without_the_right_to_originals_is_no_private_one() {
    let setting = Setting::right();
    setting.scene.database.sql(
        "UPDATE piwigo_user_infos SET enabled_high = 'false' WHERE user_id = 2;
         INSERT INTO piwigo_images (id, file, path, width, height) VALUES (990, 'x', './upload/p.jpg', 3000, 2000);
         INSERT INTO piwigo_image_category (image_id, category_id) VALUES (990, 1), (990, 11);",
    );
    setting.sandbox().write("gallery/upload/p.jpg", "original 990, of two albums\n");
    setting.sandbox().write("gallery/_data/i/upload/p-th.jpg", "derivative 990, of two albums\n");
    let report = setting.report(&[]);
    assert_eq!((report.all("problem"), report.all("warning")), (vec![], vec![]), "{}", report.text);
    report.says("outside-derivative", "ok", "refused");
}

/// Every file below `directory` with its content, and its time.
fn state(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        all.insert(path, (content, metadata.modified().unwrap()));
    }
    all
}

#[test]
fn nothing_is_changed_and_no_secret_is_printed() {
    let setting = Setting::right();
    let gallery = setting.sandbox().gallery();
    let dump = || {
        let tables = setting.scene.database.sql("SHOW TABLES");
        let sums: Vec<String> = tables
            .lines()
            .map(|table| setting.scene.database.sql(&format!("CHECKSUM TABLE {table}")))
            .collect();
        sums.concat()
    };
    let (files, tables) = (state(&gallery), dump());
    let secrets = {
        let world = &setting.scene.world;
        let mut secrets = vec![mariadb::PASSWORD.to_owned(), "\\secret".to_owned(), world.secret_key.clone()];
        for session in &world.sessions {
            secrets.extend(session.cookies.values().cloned());
            secrets.extend(session.row.as_ref().map(|row| row.id.clone()));
        }
        secrets.extend(world.users.iter().filter_map(|user| user.password.clone()));
        secrets.retain(|secret| secret.len() > 5);
        secrets
    };
    assert!(secrets.len() > 8);
    // The hash that SHOW GRANTS shows.
    let hashes = setting.scene.database.sql_as_root("SELECT Password FROM mysql.user WHERE Password <> ''");
    let cookie = setting.cookie("erin");
    for arguments in [&[][..], &["--json"], &["--url", "http://127.0.0.1:1/"], &["--cookie", &cookie]] {
        let output = setting.run(arguments);
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.len() > 500, "{said}");
        for secret in secrets.iter().map(String::as_str).chain(hashes.split_whitespace()) {
            assert!(!said.contains(secret), "{secret} in\n{said}");
        }
    }
    assert!(state(&gallery) == files, "a file was changed");
    assert_eq!(dump(), tables);
    let log = fs::read_to_string(setting.sandbox().path().join("log/gate.log")).unwrap_or_default();
    assert!(log.contains("refused"), "the gate was asked");
}

#[test]
fn without_a_gallery_the_exit_code_is_2() {
    let sandbox = Sandbox::new();
    let run = |gallery: &str| {
        let mut command = sandbox.command(gate::program_for(&sandbox));
        command
            .args(["doctor", "--gallery", gallery])
            .current_dir(sandbox.path())
            .env_clear()
            .output()
            .unwrap()
    };
    let output = run("/nowhere");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true));
    // An empty directory is a finding.
    let output = run(sandbox.gallery().to_str().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("problem  gallery  ") && text.contains("problem  configuration"), "{text}");
}
