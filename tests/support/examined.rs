//! A set-up with a real nginx, MariaDB, gate and PHP that `piwigo-gate doctor` examines, and the findings of
//! `doctor`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use super::gate::{self, Gate};
use super::nginx::{self, Nginx};
use super::php::PhpFcgi;
use super::sandbox::Sandbox;
use super::scene::Scene;
use super::world::World;

/// An `i.php` that answers any request, as if nothing guarded it.
pub const OPEN_I_PHP: &str = "<?php header('Content-Type: image/jpeg'); echo 'a resized picture';";

/// Answers like Piwigo's `pwg.session.getStatus`: the cookie and the first half of the address decide whose
/// session it is.
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

/// A gallery with gate, PHP and nginx. A test breaks the set-up before nginx starts.
pub struct Setting {
    pub nginx: Option<Nginx>,
    pub gate: Option<Gate>,
    _php: PhpFcgi,
    pub scene: Scene,
}

impl Setting {
    /// Starts everything but nginx.
    pub fn new() -> Self {
        Self::of(Scene::start(), &[])
    }

    pub fn of(scene: Scene, gate_arguments: &[&str]) -> Self {
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
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("its mode");
        }
        let gate = Gate::try_start(sandbox, gate_arguments, &[]).ok();
        Setting { nginx: None, gate, _php: php, scene }
    }

    pub fn sandbox(&self) -> &Sandbox {
        &self.scene.sandbox
    }

    /// Starts nginx with the shipped file, changed by `change`.
    pub fn with_guard(mut self, file: &str, change: impl Fn(String) -> String) -> Self {
        let server = nginx::gallery(self.sandbox(), &change(nginx::fill_in(self.sandbox(), file)));
        self.nginx = Some(Nginx::start(self.sandbox(), &server));
        self
    }

    /// Makes Piwigo's pages link to the plain paths of derivatives, as the files for servers that only ask
    /// the gate demand.
    pub fn link_to_plain_paths(&self) {
        link_to_plain_paths(self.sandbox());
    }

    pub fn right() -> Self {
        Self::new().with_guard(nginx::ACCEL, |file| file)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
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
    pub fn cookie(&self, user: &str) -> String {
        self.scene.world.session(user).cookie_header()
    }

    pub fn report(&self, arguments: &[&str]) -> Report {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        Report::read(&self.run(&all))
    }
}

/// Makes Piwigo's pages link to the plain paths of derivatives.
pub fn link_to_plain_paths(sandbox: &Sandbox) {
    let config = sandbox.gallery().join("local/config/config.inc.php");
    let text = fs::read_to_string(&config).expect("Piwigo's settings");
    let line = "<?php\n$conf['derivative_url_style'] = 1;\n";
    fs::write(&config, text.replacen("<?php\n", line, 1)).expect("Piwigo's settings");
}

/// Writes a `ws.php` that knows the sessions of the world's rows; `row` turns a row's id into the session's
/// id.
pub fn write_ws_php(sandbox: &Sandbox, world: &World, row: impl Fn(&str) -> String) {
    let rows = world.sessions.iter().filter_map(|session| Some((session.row.as_ref()?, &session.user)));
    let accounts: BTreeMap<String, &String> = rows
        .filter(|(_, name)| world.users.iter().any(|user| user.username == **name))
        .map(|(known, name)| (row(&known.id), name))
        .collect();
    assert!(accounts.len() > 10);
    let accounts = serde_json::to_string(&accounts).expect("JSON");
    sandbox.write("gallery/ws.php", WS_PHP.replace("ACCOUNTS", &accounts));
}

/// Runs `doctor` for the sandbox's gallery as the servers' account.
pub fn doctor(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    doctor_command(sandbox, arguments).stdin(Stdio::null()).output().expect("the program runs")
}

pub fn doctor_command(sandbox: &Sandbox, arguments: &[&str]) -> std::process::Command {
    let mut command = sandbox.command(gate::program_for(sandbox));
    command.args(["doctor", "--gallery", sandbox.gallery().to_str().expect("UTF-8 path")]);
    if !arguments.contains(&"--web-user") {
        command.args(["--web-user", &servers_user(sandbox)]);
    }
    command.args(arguments).current_dir(sandbox.path()).env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// The output of `--json`.
pub struct Report {
    pub code: Option<i32>,
    pub text: String,
    /// Level and words of the findings, by id.
    pub findings: BTreeMap<String, Vec<(String, String)>>,
    /// The cause of each finding that follows from another, by id.
    pub causes: BTreeMap<String, String>,
}

impl Report {
    pub fn read(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        let errors = String::from_utf8_lossy(&output.stderr);
        let json: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
        let mut findings: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut causes = BTreeMap::new();
        for finding in json["findings"].as_array().expect("a list") {
            let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            assert!(
                matches!(&*word("level"), "ok" | "note") || !word("remedy").is_empty(),
                "nothing to do about it: {finding}"
            );
            if finding["follows_from"].is_string() {
                causes.insert(word("id"), word("follows_from"));
            }
            findings.entry(word("id")).or_default().push((word("level"), word("what")));
        }
        Report { code: output.status.code(), text, findings, causes }
    }

    /// Asserts that a finding of this id has this level and these words, and that the exit code fits the
    /// findings.
    #[track_caller]
    pub fn says(&self, id: &str, level: &str, words: &str) {
        let found = self.findings.get(id).map(Vec::as_slice).unwrap_or_default();
        assert!(
            found.iter().any(|(known, what)| known == level && what.contains(words)),
            "no {level} {id} with {words:?}:\n{}",
            self.text
        );
        let expected = i32::from(!self.all("problem").is_empty());
        assert_eq!(self.code, Some(expected), "{}", self.text);
    }

    /// Asserts that each of these findings is marked as one that follows from `cause`, and that `cause` is
    /// not marked.
    #[track_caller]
    pub fn follow_from(&self, cause: &str, ids: &[&str]) {
        for id in ids {
            assert_eq!(self.causes.get(*id).map(String::as_str), Some(cause), "{id}: {}", self.text);
        }
        assert_eq!(self.causes.get(cause), None, "{}", self.text);
    }

    /// The ids of all findings of this level.
    pub fn all(&self, level: &str) -> Vec<&str> {
        let has = |found: &Vec<(String, String)>| found.iter().any(|(known, _)| known == level);
        self.findings.iter().filter(|(_, found)| has(found)).map(|(id, _)| id.as_str()).collect()
    }
}

/// The account that runs a test's servers.
fn servers_user(sandbox: &Sandbox) -> String {
    let name = sandbox.account().map(|account| account.user.clone());
    name.unwrap_or_else(|| {
        let output = std::process::Command::new("id").arg("-un").output().expect("id");
        String::from_utf8(output.stdout).expect("a name").trim().to_owned()
    })
}

/// The shipped file without the lines that begin with one of `starts`, and without those that guard the same
/// paths again by a regular expression. The file's rule for other spellings would close what a missing line
/// opens, so it stays only with `spellings`.
pub fn without(file: &str, starts: &[&str], spellings: bool) -> String {
    // One of them is a block of several lines, the other is one line.
    let (begin, end) = file.split_once("location ~ \"^/(((upload").expect("the guarded paths once more");
    let (_, end) = end.split_once("\n}\n").expect("the block's end");
    let file = format!("{begin}{end}");
    let again = "location ~ \"^/(_data(?!";
    let gone = |line: &&str| {
        starts.iter().chain(&[again]).any(|start| line.starts_with(start))
            || !spellings && line.contains("ga[^/~]*~[0-9]+")
    };
    for start in starts.iter().chain(&[again]) {
        assert!(file.lines().any(|line| line.starts_with(start)), "the shipped file has changed: {start}");
    }
    assert!(spellings || file.contains("ga[^/~]*~[0-9]+"), "the shipped file has changed");
    file.lines().filter(|line| !gone(line)).collect::<Vec<_>>().join("\n")
}

pub fn open_permissions(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}
