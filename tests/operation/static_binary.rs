//! The static program in a directory tree that holds nothing else: no C library, no /proc, no /dev. It starts
//! there, finds its gallery and its database by their names, and answers.
//!
//! `tests/run.sh` builds it (unoptimised) and runs this as root; the size is `packaging/static.sh`'s to
//! check.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::fastcgi;
use crate::support::files;
use crate::support::http;
use crate::support::mariadb::{self, MariaDb};
use crate::support::process;
use crate::support::rows::Engine;
use crate::support::sandbox::Sandbox;
use crate::support::world::World;
use fastcgi_client::Params;
use tokio::net::UnixStream;

const PORT_OF_NAME_SERVERS: u16 = 53;

fn program() -> PathBuf {
    std::env::var_os("PIWIGO_GATE_STATIC_BINARY").expect("PIWIGO_GATE_STATIC_BINARY: a static program").into()
}

/// A gate below `root`, where it sees nothing else, as mod_fcgid starts it: no argument, hardly an
/// environment, and a listening socket as descriptor 0.
fn start(root: &Path, socket: &Path, log: &Path) -> Child {
    let listener = UnixListener::bind(socket).expect("a socket");
    Command::new(process::find_program(&["chroot"]).expect("chroot"))
        .args([root.as_os_str(), "/piwigo/gate.fcgi".as_ref()])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(log).expect("a log"))
        .spawn()
        .expect("it starts")
}

async fn ask(socket: &Path, path: &str, cookie: &str) -> String {
    let url = http::url(path);
    let params = Params::default()
        .request_method("GET")
        .request_uri(url.as_str())
        .remote_addr("127.0.0.1")
        .custom("GATE_DELIVER", "location")
        .custom("HTTP_COOKIE", cookie);
    let stream = UnixStream::connect(socket).await.expect("it listens");
    fastcgi::ask(stream, params).await
}

/// Answers every question for `db.test` with 127.0.0.1, and that there is nothing else.
fn name_server(address: &str) {
    let socket = UdpSocket::bind((address, PORT_OF_NAME_SERVERS)).expect("root may have this port");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            answer[2] |= 0x80;
            // It asks others: what it does not know nobody does.
            answer[3] |= 0x80;
            let is_ours = answer[12..].starts_with(b"\x02db\x04test\0\0\x01");
            if is_ours {
                answer[7] = 1;
                answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01");
            }
            let _ = socket.send_to(&answer, peer);
        }
    });
}

#[tokio::test]
#[ignore = "needs root and PIWIGO_GATE_STATIC_BINARY; tests/run.sh sees to both"]
async fn alone_in_a_directory_it_finds_gallery_and_database_and_answers() {
    let sandbox = Sandbox::new();
    let world = World::load();
    let database = MariaDb::start_on_port(&sandbox, "mariadb", &[]);
    database.sql(mariadb::SCHEMA);
    database.sql(&world.sql(Engine::MariaDb));
    let password = mariadb::PASSWORD.replace('\\', "\\\\").replace('\'', "''");
    database.sql_as_root(&format!(
        "CREATE USER '{0}'@'127.0.0.1' IDENTIFIED BY '{password}'; GRANT SELECT ON piwigo.* TO '{0}'@'127.0.0.1';",
        mariadb::GATE,
    ));
    let root = sandbox.make_dir("root");
    let gallery = root.join("piwigo");
    world.write_files(&gallery);
    crate::support::gate::copy_program(&program(), &gallery.join("gate.fcgi"));
    // One address of the loopback network for this test alone.
    let server = format!("127.83.{}.{}", std::process::id() / 250 % 250, std::process::id() % 250 + 1);
    name_server(&server);
    let image = world.private_image("erin");
    let cookie = world.session("erin").cookie_header();

    // The name in the database's settings, what /etc holds, and whether that leads to the database.
    let port = database.address().port();
    let table = [
        (format!("127.0.0.1:{port}"), "", "", true),
        (format!("db.test:{port}"), "127.0.0.1 db.test\n", "", true),
        (format!("db.test:{port}"), "", "nameserver SERVER\n", true),
        (format!("db:{port}"), "", "search test\nnameserver SERVER\n", true),
        (format!("nobody.test:{port}"), "", "nameserver SERVER\n", false),
    ];
    for (index, (host, hosts, resolv_conf, is_there)) in table.iter().enumerate() {
        files::write_config(&gallery, Path::new(host));
        sandbox.write("root/etc/hosts", hosts);
        sandbox.write("root/etc/resolv.conf", resolv_conf.replace("SERVER", &server));
        let socket = sandbox.path().join(format!("run/{index}.sock"));
        let log = sandbox.path().join(format!("log/{index}.log"));
        let mut gate = start(&root, &socket, &log);
        let allowed = ask(&socket, image.original(), &cookie).await;
        let denied = ask(&socket, image.original(), "").await;
        process::signal("TERM", gate.id());
        let status = gate.wait().expect("it ends");
        let log = std::fs::read_to_string(&log).expect("its log");
        let (expected, refused) =
            if *is_there { ("Status: 200", "Status: 403") } else { ("Status: 503", "Status: 503") };
        assert!(allowed.starts_with(expected), "{host}: {allowed}\n{log}");
        assert!(denied.starts_with(refused), "{host}: {denied}\n{log}");
        assert_eq!(allowed.contains("\nLocation: /"), *is_there, "{host}: {allowed}");
        assert_eq!(log.contains("there is no host"), !is_there, "{host}: {log}");
        assert_eq!(status.code(), Some(0), "{host}: {log}");
    }
}
