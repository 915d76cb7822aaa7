//! Measures pages of thumbnails through a real nginx in several ways, in one run: unguarded; after a
//! responder that always says yes; after the gate's verdict on a real MariaDB, with and without `freshness`;
//! with verdicts that nginx keeps for a second; refused; and after a small PHP-FPM script that makes the same
//! look-ups. Sixteen signed-in visitors, one after another, load sixty private pictures each, over 1, 16 and
//! 64 kept-alive connections.
//!
//! Prints requests a second (medians of interleaved rounds), their ratios, the time of a request, and each
//! process's processor time per request. Needs `wrk`, and PHP-FPM with mysqli for the last way;
//! `benches/run.sh` installs them.

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use measure::{Load, Report, cpu_seconds, cycling_script, family_cpu_seconds, median, resident_mib};
use support::config;
use support::gate::{self, Gate};
use support::nginx::{self, Nginx};
use support::scene::Scene;

const ROUNDS: usize = 5;
const SECONDS: u32 = 2;
const CONNECTIONS: [u32; 3] = [1, 16, 64];
const VISITORS: u32 = 16;
const THUMBNAILS: u32 = 60;
/// An id that no user, picture or album of the world has.
const FIRST: u32 = 50_000;

/// One way to get a thumbnail.
struct Way {
    name: &'static str,
    nginx: usize,
    list: PathBuf,
    refused: bool,
    processes: Vec<(&'static str, u32)>,
    /// One of the processes has children, whose time counts, too.
    has_children: bool,
    rounds: Vec<Vec<Round>>,
}

struct Round {
    report: Report,
    /// µs per request, of each process.
    cpu: Vec<f64>,
}

fn main() {
    let scene = Scene::start();
    let gallery = scene.sandbox.gallery();
    let visitors = fill(&scene);
    let path = |thumbnail: u32| format!("_data/i/upload/page/{thumbnail}-th.jpg");

    let gate = Gate::start(&scene.sandbox, &["--log", "warn"], &[]);
    let fresh_socket = scene.sandbox.path().join("fresh.sock");
    let mut command = scene.sandbox.command(gate::program_for(&scene.sandbox));
    command.args(["serve", "--log", "warn", "--freshness", "1s", "--listen"]);
    command.arg(format!("unix:{}", fresh_socket.display())).arg("--gallery").arg(&gallery);
    let fresh = Process::start(command, &fresh_socket);
    let nothing_socket = scene.sandbox.path().join("nothing.sock");
    let mut command = Command::new(std::env::var_os("LAYERS").expect("LAYERS: use benches/run.sh"));
    command.arg("serve").arg(&nothing_socket).arg(path(1));
    let nothing = Process::start(command, &nothing_socket);
    let php_socket = scene.sandbox.path().join("php-fpm.sock");
    let php = php_fpm(&scene, &php_socket);

    let shipped = nginx::fill_in(&scene.sandbox, nginx::ACCEL);
    let fastcgi = "include /etc/nginx/fastcgi_params; fastcgi_param GATE_DELIVER x-accel-redirect; \
                   fastcgi_pass_request_body off; fastcgi_param CONTENT_LENGTH \"\";";
    let others = format!(
        "location ^~ /nothing/ {{ {fastcgi} fastcgi_pass unix:{}; }}\n\
         location ^~ /php/ {{ {fastcgi} fastcgi_param SCRIPT_FILENAME {}; fastcgi_pass unix:{}; }}\n\
         location ^~ /unguarded/ {{ alias {}/; }}\n",
        nothing_socket.display(),
        scene.sandbox.path().join("guard.php").display(),
        php_socket.display(),
        gallery.display(),
    );
    let site = |guard: &str| Nginx::start(&scene.sandbox, &nginx::gallery(&scene.sandbox, guard));
    let by_fresh = shipped.replace(
        scene.sandbox.gate_socket().to_str().expect("UTF-8 path"),
        fresh_socket.to_str().expect("UTF-8 path"),
    );
    let kept = nginx::gallery(&scene.sandbox, &config::print(&scene.sandbox, "nginx-auth-cache", &[]));
    let memory = in_memory();
    let cache_path = nginx::cache_path_in(&scene.sandbox, memory.path());
    let kept = Nginx::start_with(&scene.sandbox, &cache_path, &kept);
    let nginx = [site(&format!("{shipped}\n{others}")), site(&by_fresh), kept];

    let list = |name: &str, prefix: &str, cookies: &[String]| {
        let mut text = String::new();
        for cookie in cookies {
            for thumbnail in 1..=THUMBNAILS {
                writeln!(text, "{prefix}/{}\t{cookie}", path(thumbnail)).expect("memory");
            }
        }
        scene.sandbox.write(name, text)
    };
    let database = scene.database.id().expect("MariaDB runs");
    let with_database = |name, id| vec![(name, id), ("MariaDB", database)];
    let way = |name, nginx, list, processes| Way {
        name,
        nginx,
        list,
        refused: false,
        processes,
        has_children: false,
        rounds: CONNECTIONS.map(|_| Vec::new()).into(),
    };
    let guarded = list("guarded", "", &visitors);
    let strangers = list("strangers", "", &["pwg_id=nobody0123456789nobody".to_owned()]);
    let mut ways = vec![
        way("nginx alone, unguarded", 0, list("unguarded", "/unguarded", &visitors), vec![]),
        way(
            "a responder that decides nothing",
            0,
            list("nothing", "/nothing", &visitors),
            vec![("responder", nothing.0.id())],
        ),
        way("the gate", 0, guarded.clone(), with_database("gate", gate.id())),
        way("the gate, freshness = 1s", 1, guarded.clone(), with_database("gate", fresh.0.id())),
        way("the gate, nginx-auth-cache", 2, guarded, with_database("gate", gate.id())),
        Way { refused: true, ..way("the gate, refused", 0, strangers, with_database("gate", gate.id())) },
    ];
    match &php {
        Some(php) => ways.push(Way {
            has_children: true,
            ..way(
                "PHP-FPM, three look-ups",
                0,
                list("php", "/php", &visitors),
                with_database("PHP", php.0.id()),
            )
        }),
        None => println!("no PHP-FPM with mysqli here: that way is left out"),
    }

    for round in 0..=ROUNDS {
        for (index, connections) in CONNECTIONS.into_iter().enumerate() {
            for way in &mut ways {
                let measured = measure(way, &scene, &nginx[way.nginx], connections);
                // The first round warms caches and connections.
                if round > 0 {
                    way.rounds[index].push(measured);
                }
            }
        }
    }
    for (index, connections) in CONNECTIONS.into_iter().enumerate() {
        print(&ways, index, connections);
    }
    println!(
        "resident memory of the gate: {:.1} MiB, with freshness {:.1} MiB",
        resident_mib(gate.id()),
        resident_mib(fresh.0.id())
    );
}

/// A directory in which nginx keeps decisions: in memory, as in the shipped file, if the machine has such a
/// place.
fn in_memory() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).prefix("pg-");
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("a temporary directory")
}

/// Adds the visitors, who have a grant for one private album, and the pictures of that album. Returns the
/// visitors' cookies.
fn fill(scene: &Scene) -> Vec<String> {
    let mut sql = format!(
        "INSERT INTO piwigo_categories (id, name, status, visible, uppercats, global_rank) \
         VALUES ({FIRST}, 'page', 'private', 'true', '{FIRST}', '1');"
    );
    for number in 1..=THUMBNAILS {
        let id = FIRST + number;
        write!(
            sql,
            "INSERT INTO piwigo_images (id, file, path, level, width, height) \
             VALUES ({id}, '{number}.jpg', './upload/page/{number}.jpg', 0, 4000, 3000); \
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, {FIRST});"
        )
        .expect("memory");
        scene.sandbox.write(&format!("gallery/upload/page/{number}.jpg"), "an original");
        // A thumbnail of the usual size.
        scene.sandbox.write(&format!("gallery/_data/i/upload/page/{number}-th.jpg"), [0xd8; 10_000]);
    }
    let cookies = (1..=VISITORS).map(|number| {
        let (id, session) = (FIRST + number, format!("visitor{number:03}0123456789abcdef"));
        write!(
            sql,
            "INSERT INTO piwigo_users (id, username) VALUES ({id}, 'visitor {number}'); \
             INSERT INTO piwigo_user_infos (user_id, status, level, enabled_high, registration_date) \
             VALUES ({id}, 'normal', 0, 'true', NOW()); \
             INSERT INTO piwigo_user_access (user_id, cat_id) VALUES ({id}, {FIRST}); \
             INSERT INTO piwigo_sessions (id, data, expiration) VALUES ('7F00{session}', 'pwg_uid|i:{id};', NOW());"
        )
        .expect("memory");
        format!("pwg_id={session}")
    });
    let cookies = cookies.collect();
    scene.database.sql(&sql);
    scene.sandbox.hand_over_tree(&scene.sandbox.gallery());
    cookies
}

/// Measures one round; fails if an answer was not the expected one.
fn measure(way: &Way, scene: &Scene, nginx: &Nginx, connections: u32) -> Round {
    let script = scene.sandbox.write("wrk.lua", cycling_script(&way.list));
    let spent = |id| if way.has_children { family_cpu_seconds(id) } else { cpu_seconds(id) };
    let before: Vec<f64> = way.processes.iter().map(|&(_, id)| spent(id)).collect();
    let load = Load { connections, seconds: SECONDS, cookie: "" };
    let report = measure::wrk(nginx.address(), "/", Some(&script), load);
    let expected = if way.refused { report.requests } else { 0.0 };
    let Report { requests, refused, .. } = report;
    assert!((refused - expected).abs() < 0.5, "{}: {refused} of {requests} answers were not 2xx", way.name);
    let cpu =
        way.processes.iter().zip(before).map(|(&(_, id), before)| (spent(id) - before) * 1e6 / requests);
    Round { cpu: cpu.collect(), report }
}

fn print(ways: &[Way], index: usize, connections: u32) {
    println!(
        "{VISITORS} visitors load {THUMBNAILS} private thumbnails of 10 kB each, {connections} connections, {ROUNDS} \
         interleaved rounds of {SECONDS} s, medians:"
    );
    println!(
        "  {:<33} {:>10} {:>8} {:>8} {:>7} {:>7}   processor time per request",
        "", "requests/s", "to nginx", "to noth.", "p50 ms", "p99 ms"
    );
    let middle = |way: &Way, value: &dyn Fn(&Round) -> f64| {
        median(&way.rounds[index].iter().map(value).collect::<Vec<_>>())
    };
    let rate = |way: &Way| middle(way, &|round| round.report.requests_a_second);
    for way in ways {
        let processes = way.processes.iter().enumerate();
        let cpu =
            processes.map(|(at, (name, _))| format!("{name} {:.0} µs", middle(way, &|round| round.cpu[at])));
        println!(
            "  {:<33} {:>10.0} {:>8.2} {:>8.2} {:>7.2} {:>7.2}   {}",
            way.name,
            rate(way),
            rate(way) / rate(&ways[0]),
            rate(way) / rate(&ways[1]),
            middle(way, &|round| round.report.p50),
            middle(way, &|round| round.report.p99),
            cpu.collect::<Vec<_>>().join(", ")
        );
    }
}

/// A usual guard as a script: it looks up the visitor, the picture, and the grant for its album. It keeps
/// connections to the database, as a script made for speed would.
const GUARD_PHP: &str = r"<?php
require 'GALLERY/local/config/database.inc.php';
$db = mysqli_connect('p:localhost', $conf['db_user'], $conf['db_password'], $conf['db_base'], 0, 'SOCKET');
function ask($db, $sql, $types, ...$values) {
    $statement = $db->prepare($sql);
    $statement->bind_param($types, ...$values);
    $statement->execute();
    return $statement->get_result()->fetch_all(MYSQLI_NUM);
}
function refuse() { http_response_code(403); exit; }
$path = rawurldecode(preg_replace('~^/php/_data/i/~', '', $_SERVER['REQUEST_URI']));
$source = './' . preg_replace('~-th\.jpg$~', '.jpg', $path);
$rows = ask($db, 'SELECT data FROM piwigo_sessions WHERE id = ?', 's', '7F00' . ($_COOKIE['pwg_id'] ?? ''));
if (!$rows || !preg_match('~pwg_uid\|i:(\d+);~', $rows[0][0], $found)) refuse();
$user = (int) $found[1];
$albums = ask($db, 'SELECT i.level, c.id, c.status FROM piwigo_images i JOIN piwigo_image_category ic ON ic.image_id = i.id
    JOIN piwigo_categories c ON c.id = ic.category_id WHERE i.path = ?', 's', $source);
$granted = array_column(ask($db, 'SELECT cat_id FROM piwigo_user_access WHERE user_id = ? UNION SELECT cat_id FROM piwigo_user_group ug
    JOIN piwigo_group_access ga ON ga.group_id = ug.group_id WHERE ug.user_id = ?', 'ii', $user, $user), 0);
foreach ($albums as [$level, $album, $status]) {
    if ($status === 'public' || in_array($album, $granted)) {
        header('X-Accel-Redirect: /_gate/file/_data/i/' . $path);
        exit;
    }
}
refuse();
";

/// Starts PHP-FPM with four workers; `None` if it or mysqli is missing.
fn php_fpm(scene: &Scene, socket: &Path) -> Option<Process> {
    // Debian's program has its version in its name.
    let programs = std::fs::read_dir("/usr/sbin").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_fpm =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("php-fpm"));
    let program = programs.filter(is_fpm).max()?;
    let modules = Command::new(&program).arg("-m").output().ok()?;
    String::from_utf8_lossy(&modules.stdout).contains("mysqli").then_some(())?;

    let script = GUARD_PHP
        .replace("GALLERY", scene.sandbox.gallery().to_str()?)
        .replace("SOCKET", scene.database.socket().to_str()?);
    scene.sandbox.write("guard.php", script);
    let account = scene.sandbox.account();
    let user = account.map(|account| format!("user = {}\ngroup = {}\n", account.user, account.group));
    let config = scene.sandbox.write(
        "php-fpm.conf",
        format!(
            "[global]\nerror_log = {root}/log/php-fpm.log\ndaemonize = no\n[www]\n{user}listen = {socket}\n\
             listen.mode = 0666\npm = static\npm.max_children = 4\nclear_env = yes\n",
            root = scene.sandbox.path().display(),
            user = user.unwrap_or_default(),
            socket = socket.display(),
        ),
    );
    let mut command = Command::new(program);
    command.arg("-F").arg("-y").arg(config);
    Some(Process::start(command, socket))
}

/// A program that serves on a unix socket. Dropping the value ends it.
struct Process(Child);

impl Process {
    fn start(mut command: Command, socket: &Path) -> Self {
        let process = Process(command.spawn().expect("the program starts"));
        for _ in 0..500 {
            if std::os::unix::net::UnixStream::connect(socket).is_ok() {
                return process;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{command:?} does not listen");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = rustix::process::Pid::from_child(&self.0);
        // PHP-FPM ends its workers on SIGTERM, but not when it is killed.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}
