//! `piwigo-gate doctor`: a right set-up has no problem and no warning, each wrong one is found and named, nothing is changed
//! and no secret is printed. Real nginx, MariaDB, gate and PHP.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use support::apache::{self, Apache};
use support::gate::{self, Gate};
use support::mariadb;
use support::nginx::{self, Nginx};
use support::php::{self, PhpFcgi};
use support::sandbox::Sandbox;
use support::scene::{self, Scene};
use support::world::World;

/// What PHP makes of a request for `i.php` where nobody guards it.
const OPEN_I_PHP: &str = "<?php header('Content-Type: image/jpeg'); echo 'a resized picture';";

/// As Piwigo answers `pwg.session.getStatus`: whose session it is by the cookie and the first half of the address.
const WS_PHP: &str = r"<?php
$accounts = json_decode('ACCOUNTS', true);
$octets = array_map('intval', explode('.', $_SERVER['REMOTE_ADDR']));
$row = sprintf('%02X%02X', $octets[0], $octets[1]) . (isset($_COOKIE['pwg_id']) ? $_COOKIE['pwg_id'] : '');
$asked = $_SERVER['REQUEST_METHOD'] === 'GET' && $_GET['format'] === 'json';
if (!$asked || $_GET['method'] !== 'pwg.session.getStatus') { http_response_code(501); exit; }
$name = isset($accounts[$row]) ? $accounts[$row] : 'guest';
$status = $name === 'guest' ? 'guest' : 'normal';
$result = array('username' => $name, 'status' => $status, 'pwg_token' => 'a37b7c71d3e6df0d3f8808e247c6ca7e');
header('Content-Type: text/plain; charset=utf-8');
echo json_encode(array('stat' => 'ok', 'result' => $result));
";

/// Where the shipped file begins to send what the gate allows.
const INTERNAL: &str = "location ^~ /_gate/file/ {\n    internal;";

/// A gallery with gate, PHP and nginx; what a test makes wrong, it makes wrong before nginx starts.
struct Setting {
    nginx: Option<Nginx>,
    gate: Option<Gate>,
    _php: PhpFcgi,
    scene: Scene,
}

impl Setting {
    /// Everything but nginx.
    fn new() -> Self {
        Self::of(Scene::start(), &[])
    }

    fn of(scene: Scene, gate_arguments: &[&str]) -> Self {
        let sandbox = &scene.sandbox;
        let php = PhpFcgi::start(sandbox);
        sandbox.write("gallery/i.php", OPEN_I_PHP);
        write_ws_php(sandbox, &scene.world, str::to_owned);
        sandbox.write("gallery/include/constants.php", "<?php\ndefine('PHPWG_VERSION', '16.4.0');\n");
        sandbox.write("gallery/_data/logs/log_2026-11-21.txt", "SELECT secrets FROM a log\n");
        sandbox.write("gallery/local/config/gate.toml", "log = \"info\" # a file that nobody may fetch\n");
        sandbox.hand_over_tree(&sandbox.gallery());
        for name in ["database.inc.php", "config.inc.php", "gate.toml"] {
            let path = sandbox.gallery().join("local/config").join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        let gate = Gate::try_start(sandbox, gate_arguments, &[]).ok();
        Setting { nginx: None, gate, _php: php, scene }
    }

    fn sandbox(&self) -> &Sandbox {
        &self.scene.sandbox
    }

    /// nginx with the shipped file, changed by `change`.
    fn with_guard(mut self, file: &str, change: impl Fn(String) -> String) -> Self {
        let server = nginx::gallery(self.sandbox(), &change(nginx::fill_in(self.sandbox(), file)));
        self.nginx = Some(Nginx::start(self.sandbox(), &server));
        self
    }

    fn right() -> Self {
        Self::new().with_guard(nginx::ACCEL, |file| file)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let url = self.nginx.as_ref().map(|nginx| format!("http://{}/", nginx.address()));
        let listen = format!("unix:{}", self.sandbox().gate_socket().display());
        let mut all = vec!["--listen", &listen];
        if let Some(url) = url.as_ref().filter(|_| !arguments.contains(&"--url")) {
            all.extend(["--url", url]);
        }
        all.extend(arguments);
        doctor(self.sandbox(), &all)
    }

    /// The cookie of a user's session.
    fn cookie(&self, user: &str) -> String {
        self.scene.world.session(user).cookie_header()
    }

    fn report(&self, arguments: &[&str]) -> Report {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        Report::read(&self.run(&all))
    }
}

/// Writes a `ws.php` that knows the sessions of the world's rows, each under the id that `row` makes of the row's.
fn write_ws_php(sandbox: &Sandbox, world: &World, row: impl Fn(&str) -> String) {
    let rows = world.sessions.iter().filter_map(|session| Some((session.row.as_ref()?, &session.user)));
    let accounts: BTreeMap<String, &String> = rows
        .filter(|(_, name)| world.users.iter().any(|user| user.username == **name))
        .map(|(known, name)| (row(&known.id), name))
        .collect();
    assert!(accounts.len() > 10);
    let accounts = serde_json::to_string(&accounts).unwrap();
    sandbox.write("gallery/ws.php", WS_PHP.replace("ACCOUNTS", &accounts));
}

/// Runs `doctor` for the sandbox's gallery, as the servers' user.
fn doctor(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    doctor_command(sandbox, arguments).stdin(Stdio::null()).output().unwrap()
}

fn doctor_command(sandbox: &Sandbox, arguments: &[&str]) -> std::process::Command {
    let mut command = sandbox.command(gate::program_for(sandbox));
    command.args(["doctor", "--gallery", sandbox.gallery().to_str().unwrap()]);
    if !arguments.contains(&"--web-user") {
        command.args(["--web-user", &servers_user(sandbox)]);
    }
    command.args(arguments).current_dir(sandbox.path()).env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// What `--json` printed.
struct Report {
    code: Option<i32>,
    text: String,
    /// By id: level and words, the worst level of each.
    findings: BTreeMap<String, Vec<(String, String)>>,
}

impl Report {
    fn read(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let json: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
        let mut findings: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for finding in json["findings"].as_array().unwrap() {
            let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            assert!(
                matches!(&*word("level"), "ok" | "note") || !word("remedy").is_empty(),
                "nothing to do about it: {finding}"
            );
            findings.entry(word("id")).or_default().push((word("level"), word("what")));
        }
        Report { code: output.status.code(), text, findings }
    }

    /// Whether one of the findings of this name has this level and these words.
    #[track_caller]
    fn says(&self, id: &str, level: &str, words: &str) {
        let found = self.findings.get(id).map(Vec::as_slice).unwrap_or_default();
        assert!(
            found.iter().any(|(known, what)| known == level && what.contains(words)),
            "no {level} {id} with {words:?}:\n{}",
            self.text
        );
        let expected = i32::from(!self.all("problem").is_empty());
        assert_eq!(self.code, Some(expected), "{}", self.text);
    }

    /// The names of all findings of this level.
    fn all(&self, level: &str) -> Vec<&str> {
        let has = |found: &Vec<(String, String)>| found.iter().any(|(known, _)| known == level);
        self.findings.iter().filter(|(_, found)| has(found)).map(|(id, _)| id.as_str()).collect()
    }
}

/// As whom the servers of a test run.
fn servers_user(sandbox: &Sandbox) -> String {
    let name = sandbox.account().map(|account| account.user.clone());
    name.unwrap_or_else(|| {
        let output = std::process::Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

/// The shipped file without the lines that begin so. Its rule for other spellings would close what another line forgets:
/// without `spellings` that is gone, too.
fn without(file: &str, starts: &[&str], spellings: bool) -> String {
    let gone = |line: &&str| {
        starts.iter().any(|start| line.starts_with(start)) || !spellings && line.contains("galler~[0-9]+")
    };
    let kept: Vec<&str> = file.lines().filter(|line| !gone(line)).collect();
    assert_eq!(
        file.lines().count() - kept.len(),
        starts.len() + usize::from(!spellings),
        "the shipped file has changed"
    );
    kept.join("\n")
}

fn open_permissions(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_right_set_up_has_no_problem_and_no_warning() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::new().with_guard(file, |file| file);
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
            "outside-internal",
            "outside-privacy-links",
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
    let nobody = support::process::free_port();
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
}

/// The guard asks for the raw address: a frequent mistake.
#[test]
fn wrong_guard_by_the_raw_address() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let (_, rest) = file.split_once("# ---- Closed").unwrap();
        let rest = rest.split_once('\n').unwrap().1;
        let rest = without(rest, &["location ^~ \"/_data\" "], false);
        format!(
            "set $guarded 0;\nif ($request_uri ~ \"^/(upload|galleries|_data/i|i|i\\.php|action\\.php)[/?]\") {{ set $guarded 1; }}\n\
             if ($uri ~ ^/_gate) {{ set $guarded 0; }}\n\
             if ($guarded) {{ rewrite ^ /_gate/ask last; }}\n{rest}"
        )
    });
    let report = setting.report(&[]);
    report.says("outside-spellings", "problem", "//");
    report.says("outside-original", "ok", "refused");
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
        setting.with_guard(nginx::ACCEL, |file| without(&file, &["location ^~ \"/galleries\""], false));
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
fn wrong_gate_not_running() {
    let mut setting = Setting::right();
    drop(setting.gate.take());
    let report = setting.report(&[]);
    report.says("outside-gate", "problem", "503");
    report.says("socket", "problem", "does not run");
    // A socket that nobody listens to any more.
    drop(std::os::unix::net::UnixListener::bind(setting.sandbox().gate_socket()).unwrap());
    setting.sandbox().hand_over(&setting.sandbox().gate_socket());
    let report = setting.report(&[]);
    report.says("gate", "problem", "nobody answers");
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
            &["location ^~ \"/_data\" ", "location ^~ \"/local/config\"", "location ~* \"\\.toml(/|$)\""],
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
fn wrong_end_of_a_name_in_an_expression() {
    let setting =
        Setting::new().with_guard(nginx::ACCEL, |file| file.replace("\"\\.toml(/|$)\"", "\"\\.toml$\""));
    setting.sandbox().write("gallery/gate.toml", "# a file that nobody may fetch, and nobody needs\n");
    let report = setting.report(&[]);
    report.says("outside-config", "problem", "everybody can read /gate.toml/x.php");
}

#[test]
fn wrong_directories_that_can_be_listed() {
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        format!("{}\nautoindex on;\n", without(&file, &["location ^~ \"/upload\""], false))
    });
    setting.report(&[]).says("outside-listing", "problem", "/upload/");
}

#[test]
fn wrong_old_tables_without_an_index() {
    let schema = include_str!("data/schema-2.10.sql");
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
    setting.sandbox().hand_over_link(&link);
    let beside = root.join("galleries/own");
    std::os::unix::fs::symlink("../upload", &beside).unwrap();
    setting.sandbox().hand_over_link(&beside);
    setting.sandbox().write("gallery/upload/a/.htaccess", "RewriteEngine off\nSetHandler default-handler\n");
    let report = setting.report(&[]);
    report.says("symlinks", "warning", "upload/etc.jpg");
    report.says("htaccess", "warning", "upload/a/.htaccess (RewriteEngine, SetHandler)");
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
        for directory in ["\"/upload\"", "\"/galleries\""] {
            let guard = format!("location ^~ {directory}   {{ ");
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
    report.says("configuration", "problem", "gate.toml, line 1: unknown field");
    report.says("symlinks", "ok", "names");
    fs::write(config.join("gate.toml"), "").unwrap();
    fs::write(config.join("config.inc.php"), "<?php\n$conf['guest_id'] = getenv('GUEST');\n").unwrap();
    setting.report(&[]).says("configuration", "problem", "guest_id");
    fs::remove_file(config.join("database.inc.php")).unwrap();
    setting.report(&[]).says("configuration", "problem", "database.inc.php");
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
    let nobody = support::process::free_port();
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

#[test]
fn a_visitor_whom_piwigo_and_the_gate_know() {
    for file in [nginx::ACCEL, nginx::AUTH_REQUEST] {
        let setting = Setting::new().with_guard(file, |file| file);
        for (user, allowed, denied) in [
            (
                "erin",
                ("ok", "what erin may see, and no guest, comes: /"),
                ("ok", "what erin must not see is"),
            ),
            ("bob", ("ok", "what bob may see, and no guest, comes: /"), ("ok", "what bob must not see is")),
            ("alice", ("note", "no picture that alice may see"), ("ok", "what alice must not see is")),
            ("admin", ("ok", "what admin may see"), ("note", "no picture that admin must not see")),
        ] {
            let report = setting.report(&["--cookie", &format!("a=b; {}", setting.cookie(user))]);
            let found = (report.all("problem"), report.all("warning"));
            assert_eq!(found, (vec![], vec![]), "{user} {}", report.text);
            report.says("outside-session", "ok", &format!("PHP knows this visitor as {user}"));
            report.says("outside-session-allowed", allowed.0, allowed.1);
            report.says("outside-session-denied", denied.0, denied.1);
            report.says("outside", "note", "of them with the cookies");
        }
        let report = setting.report(&[]);
        assert!(
            !report.text.contains("outside-session") && !report.text.contains("with the cookies"),
            "{}",
            report.text
        );
    }
}

#[test]
fn wrong_address_that_the_gate_is_told_and_php_is_not() {
    let include = "location = /_gate/ask {\n    internal;\n    include fastcgi_params;";
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        assert!(file.contains(include));
        file.replace(include, &format!("{include}\n    fastcgi_param REMOTE_ADDR 10.9.8.7;"))
    });
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "ok", "PHP knows this visitor as erin");
    let cause = "likely causes: the address (PHP sees an address that begins with 127.0, and the gate is told another one); \
                 session handler or cookie name";
    report.says("outside-session-allowed", "problem", cause);
    assert_eq!(report.all("problem"), ["outside-session-allowed"], "{}", report.text);
    assert!(report.text.contains("set_real_ip_from") && report.text.contains("client=…"), "{}", report.text);
    let log = setting.gate.as_ref().unwrap().log_text();
    assert!(log.contains("client=10.9.8.7"), "{log}");
}

#[test]
fn wrong_address_that_php_is_told_and_the_gate_is_not() {
    let setting = Setting::right();
    let moved = |row: &str| row.replacen("7F00", "0A09", 1);
    setting
        .scene
        .database
        .sql("UPDATE piwigo_sessions SET id = CONCAT('0A09', SUBSTRING(id, 5)) WHERE id LIKE '7F00%'");
    write_ws_php(setting.sandbox(), &setting.scene.world, moved);
    // From here neither knows it.
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says(
        "outside-session",
        "note",
        "a session of account 7, opened from an address that begins with 10.9;",
    );
    assert_eq!(report.all("problem"), Vec::<&str>::new(), "{}", report.text);
    let server = nginx::gallery(setting.sandbox(), &nginx::fill_in(setting.sandbox(), nginx::ACCEL));
    let php = "fastcgi_param PATH_INFO $tail;";
    assert!(server.contains(php));
    let server = server.replace(php, &format!("{php} fastcgi_param REMOTE_ADDR 10.9.8.7;"));
    let nginx = Nginx::start(setting.sandbox(), &server);
    let url = format!("http://{}/", nginx.address());
    let report = setting.report(&["--url", &url, "--cookie", &setting.cookie("erin")]);
    report.says(
        "outside-session-allowed",
        "problem",
        "PHP sees an address that begins with 10.9, and the gate",
    );
    // And one that the gate takes for somebody's, and PHP does not.
    setting
        .scene
        .database
        .sql("UPDATE piwigo_sessions SET id = CONCAT('7F00', SUBSTRING(id, 5)) WHERE id LIKE '0A09%'");
    write_ws_php(setting.sandbox(), &setting.scene.world, str::to_owned);
    let report = setting.report(&["--url", &url, "--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "warning", "the gate knows this visitor as account 7, and PHP as a guest");
}

#[test]
fn wrong_session_handler_and_cookie_name() {
    let setting = Setting::right();
    let cookie = setting.cookie("erin");
    let named = |setting: &Setting, line: &str| {
        fs::write(setting.sandbox().gallery().join("local/config/gate.toml"), line).unwrap();
    };
    // The gate that runs goes by what it read before: here and now all would be right.
    named(&setting, "[piwigo]\nsession_name = \"other\"\n");
    let report = setting.report(&["--cookie", &cookie]);
    report.says("outside-session-allowed", "ok", "comes");
    let mut setting = setting;
    drop(setting.gate.take());
    setting.gate = Some(Gate::start(setting.sandbox(), &[], &[]));
    let report = setting.report(&["--cookie", &cookie]);
    report.says(
        "outside-session-allowed",
        "problem",
        "likely cause: cookie name (there is no session's id in a cookie called \"other\")",
    );
    named(&setting, "");
    let report = setting.report(&["--cookie", &cookie]);
    report.says("outside-session-allowed", "problem", "(PHP sees an address that begins with 127.0");
    drop(setting.gate.take());
    setting.gate = Some(Gate::start(setting.sandbox(), &[], &[]));
    setting.report(&["--cookie", &cookie]).says("outside-session-allowed", "ok", "comes");
    // PHP's own sessions, in another directory than is said.
    let config = setting.sandbox().gallery().join("local/config/config.inc.php");
    fs::write(&config, "<?php\n$conf['session_save_handler'] = 'files';\n").unwrap();
    let directory = setting.sandbox().make_dir("sessions");
    let files = ["--session-files", directory.to_str().unwrap()];
    drop(setting.gate.take());
    setting.gate = Some(Gate::start(setting.sandbox(), &files, &[]));
    let report = setting.report(&[&["--cookie", &cookie], &files[..]].concat());
    let cause = "likely causes: session handler (PHP keeps sessions by \"files\"";
    report.says("outside-session-allowed", "problem", cause);
    let file = directory.join("sess_abcdefghijabcdefghij");
    fs::write(&file, "pwg_uid|i:7;").unwrap();
    setting.sandbox().hand_over(&file);
    let both = format!("{cookie}; PHPSESSID=abcdefghijabcdefghij");
    let report = setting.report(&[&["--cookie", &both], &files[..]].concat());
    report.says("outside-session-allowed", "ok", "comes");
    fs::write(&config, "<?php\n").unwrap();
    setting.scene.database.sql("DELETE FROM piwigo_sessions");
    let report = setting.report(&["--cookie", &cookie]);
    report.says(
        "outside-session-allowed",
        "problem",
        "likely causes: session handler (there is no such session",
    );
}

#[test]
fn a_cookie_that_is_no_session() {
    let setting = Setting::right();
    let ended = setting.scene.world.sessions.iter().find(|session| session.row.is_none()).unwrap();
    for (cookie, why) in [
        (ended.cookie_header(), "nobody is signed in with it"),
        (setting.cookie("anon"), "nobody is signed in with it"),
        ("other=abc".to_owned(), "there is no session's id in a cookie called pwg_id"),
    ] {
        let report = setting.report(&["--cookie", &cookie]);
        report.says("outside-session", "note", &format!("this cookie is no session (any more): {why}"));
        let found = (report.all("problem"), report.all("warning"));
        assert_eq!(found, (vec![], vec![]), "{}", report.text);
        assert!(!report.text.contains("outside-session-"), "{}", report.text);
    }
}

#[test]
fn a_piwigo_that_does_not_say_who_it_is() {
    let setting = Setting::right();
    fs::remove_file(setting.sandbox().gallery().join("ws.php")).unwrap();
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "note", "PHP does not say who this visitor is: ws.php?");
    report.says("outside-session-allowed", "ok", "what account 7 may see");
    report.says("outside-session-denied", "ok", "what account 7 must not see");
    // A page that repeats what it was sent.
    let echo = "<?php echo json_encode(['stat' => 'ok', 'result' => ['username' => $_SERVER['HTTP_COOKIE'], 'status' => 'x']]);";
    setting.sandbox().write("gallery/ws.php", echo);
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "note", "answers 200 with the cookie in the place of a name");
    assert!(!report.text.contains(&setting.scene.world.session("erin").cookies["pwg_id"]), "{}", report.text);
    setting.sandbox().write("gallery/ws.php", "<?php header('Location: http://elsewhere.test/'); echo '{}';");
    let report = setting.report(&["--cookie", "pwg_id=abcdefghijabcdefghij"]);
    report.says("outside-session", "note", "answers 302 without saying who it is; and nobody is signed in");
    setting.scene.database.sql("UPDATE piwigo_sessions SET id = CONCAT('CB00', SUBSTRING(id, 5))");
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session-allowed", "note", "opened from an address that begins with 203.0");
    // With the gate away nothing is said about sessions.
    let mut setting = setting;
    drop(setting.gate.take());
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-gate", "problem", "503");
    report.says("outside-session-allowed", "note", "not examined");
    report.says("outside-session-denied", "note", "not examined");
}

/// They would know the visitor's session.
#[test]
fn cookies_go_to_no_other_host() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = elsewhere.local_addr().unwrap();
    let setting = Setting::new().with_guard(nginx::ACCEL, |file| {
        let to = |place: &str| format!("location {place} {{ return 302 http://{address}$request_uri; }}\n");
        let guards = without(&file, &["location ^~ \"/upload\""], true);
        format!("{}{}{guards}", to("= /ws.php"), to("^~ /upload"))
    });
    let report = setting.report(&["--cookie", &setting.cookie("erin")]);
    report.says("outside-session", "note", "answers 302");
    report.says("outside", "note", "of them with the cookies");
    let heard = elsewhere.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(heard, Err(std::io::ErrorKind::WouldBlock));
}

#[test]
fn what_is_no_cookie_is_said_before_anything_is_asked() {
    let setting = Setting::right();
    let long = "a".repeat(17 * 1024);
    for (arguments, words) in [
        (&["--cookie", " "][..], "--cookie says nothing"),
        (&["--cookie", "pwg_id=s3cret\r\nHost: x"], "control character"),
        (&["--cookie", &long], "longer than 16384 bytes"),
        (&["--cookie", "-"], "--cookie says nothing"),
    ] {
        let output = setting.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{errors}");
        assert!(errors.contains(words) && !errors.contains("s3cret"), "{errors}");
    }
    let alone = doctor(setting.sandbox(), &["--cookie", "pwg_id=s3cret"]);
    let errors = String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.code() == Some(2) && errors.contains("--url"), "{errors}");
}

/// A curl that writes down what everybody on the machine can read of it stands before the real one.
#[test]
fn the_cookie_is_printed_nowhere_and_is_no_programs_argument() {
    let mut setting = Setting::right();
    let url = format!("http://{}/", setting.nginx.as_ref().unwrap().address());
    let seen = setting.sandbox().write("log/curl.txt", "");
    setting.sandbox().hand_over(&seen);
    let curl = setting.sandbox().write(
        "own/curl",
        format!(
            "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/cmdline >>{seen}\nenv >>{seen}\nexec /usr/bin/curl \"$@\"\n",
            seen = seen.display()
        ),
    );
    open_permissions(&curl, 0o755);
    let path = format!("{}:/usr/bin:/bin", curl.parent().unwrap().display());
    let secret = setting.scene.world.session("erin").cookies["pwg_id"].clone();
    let odd = "z%22qu\"ote\\d";
    let cookies = format!("pwg_id={secret}; odd={odd}");
    let listen = format!("unix:{}", setting.sandbox().gate_socket().display());
    for gate_runs in [true, false] {
        if !gate_runs {
            drop(setting.gate.take());
        }
        for json in [&["--json"][..], &[]] {
            let arguments = [&["--listen", &listen, "--url", &url, "--cookie", "-"], json].concat();
            let mut doctor = doctor_command(setting.sandbox(), &arguments)
                .env("PATH", &path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            writeln!(doctor.stdin.take().unwrap(), "{cookies}").unwrap();
            let output = doctor.wait_with_output().unwrap();
            let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
            assert!(said.contains("PHP knows this visitor as erin"), "{said}");
            let token = "a37b7c71d3e6df0d3f8808e247c6ca7e";
            for word in [&*secret, odd, "qu\"ote", token] {
                assert!(!said.contains(word), "{word} in\n{said}");
            }
        }
    }
    let seen = fs::read_to_string(&seen).unwrap();
    assert!(seen.matches("--config\n-\n").count() > 8 && seen.contains("PATH="), "{seen}");
    assert!(!seen.contains(&secret) && !seen.contains("ote"), "{seen}");
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
