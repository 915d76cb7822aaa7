//! Every set-up that cannot work ends the program with exit code 2 and one sentence that says what to do.

use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::files;
use crate::support::gate::program_for;
use crate::support::mariadb::{self, MariaDb};
use crate::support::process;
use crate::support::sandbox::Sandbox;

/// Runs `serve`; a set-up that works by mistake is ended after a while.
fn serve(sandbox: &Sandbox, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let patient = process::find_program(&["timeout"]).expect("coreutils");
    sandbox
        .command(patient)
        .arg("60")
        .arg(program_for(sandbox))
        .arg("serve")
        .args(arguments)
        .current_dir(sandbox.path())
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(environment.iter().copied())
        .output()
        .expect("the program runs")
}

/// The one sentence of a refusal.
fn sentence(output: &Output, what: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{what}: {said}");
    assert!(said.starts_with("piwigo-gate: ") && said.lines().count() == 1, "{what}: {said}");
    assert!(output.stdout.is_empty(), "{what}");
    said
}

const CONFIG: &str = "gallery/local/config/config.inc.php";
const DATABASE: &str = "gallery/local/config/database.inc.php";
const TOML: &str = "gallery/local/config/gate.toml";

#[test]
fn arguments_and_files() {
    let sandbox = Sandbox::new();
    let gallery = sandbox.gallery();
    let gallery = gallery.to_str().unwrap();
    let none = sandbox.path().join("none");
    let none = none.to_str().unwrap();
    let usual = ["--gallery", gallery, "--listen", "unix:/nowhere/gate.sock"];
    let stock = mariadb::database_inc_php(Path::new("/nowhere/db.sock"), "gate");

    let arguments: [(&[&str], &str); 16] = [
        (&[], "--gallery DIR"),
        (&["--gallery", none], "check its path"),
        (&["--gallery", gallery, "--listen", "tcp:0.0.0.0:9000"], "--allow-remote"),
        (
            &["--gallery", gallery, "--listen", "tcp:0.0.0.0:9000", "--allow-remote"],
            "--allow-remote needs --allow-from",
        ),
        (
            &["--gallery", gallery, "--listen", "tcp:0.0.0.0:9000", "--allow-from", "192.0.2.10"],
            "--allow-remote",
        ),
        (
            &[
                "--gallery",
                gallery,
                "--listen",
                "tcp:[::]:9000",
                "--allow-remote",
                "--allow-from",
                "a.example",
            ],
            "addresses or networks",
        ),
        (
            &["--gallery", gallery, "--listen", "tcp:127.0.0.1:9000", "--allow-from", "192.0.2.7/24"],
            "192.0.2.7/24",
        ),
        (
            &["--gallery", gallery, "--listen", "tcp:127.0.0.1:9000", "--allow-from", ""],
            "addresses or networks",
        ),
        (&["--gallery", gallery, "--listen", "gate.sock"], "unix:/absolute/path"),
        (&["--gallery", gallery], "--listen unix:"),
        (&["--gallery", gallery, "--deny-status", "200"], "403, 401 or 404"),
        (&["--gallery", gallery, "--browser-cache", "public"], "never public"),
        (&["--gallery", gallery, "--max-connections", "0"], "from 1 to 65536"),
        (&["--gallery", gallery, "--config", none], "check its path"),
        (
            &["--gallery", gallery, "--database", "mysql://u:s3cret@h:port/x"],
            "mysql://user:password@host/name",
        ),
        (
            &["--gallery", gallery, "--database", "piwigo", "--database", "mysql://u:s3cret@h/x"],
            "max_replica_lag = \"2s\"",
        ),
    ];
    sandbox.write(DATABASE, &stock);
    for (arguments, advice) in arguments {
        let said = sentence(&serve(&sandbox, arguments, &[]), &format!("{arguments:?}"));
        assert!(said.contains(advice) && !said.contains("s3cret"), "{arguments:?}: {said}");
    }
    let said = sentence(&serve(&sandbox, &usual, &[("PIWIGO_GATE_CONFIG", none)]), "environment");
    assert!(said.contains(none), "{said}");

    let contents = [
        (TOML, "admin = 'all'", "there is no setting admin; do you mean admins?"),
        (TOML, "admins = 'some'", "`all` or `strict`"),
        (TOML, "a = = b", "line 1"),
        (TOML, "allow_from = []", "addresses or networks"),
        (TOML, "allow_from = ['192.0.2.10', 'web']", "allow_from holds \"web\""),
        (TOML, "[piwigo]\nguest_id = 'two'", "guest_id is not a number"),
        (TOML, "[piwigo]\nsesion_name = 'x'", "session_name"),
        (CONFIG, "<?php $conf['guest_id'] = getenv('X');", "[piwigo] guest_id ="),
        (CONFIG, "<?php\ninclude 'more.php';", "line 2: settings of included files are not read"),
        (CONFIG, "<?php $conf['session_save_handler'] = 'files';", "default is 'db'"),
        (DATABASE, "<?php", "is the installation finished?"),
        (DATABASE, "<?php $conf['dblayer'] = 'pgsql';", "MySQL and MariaDB"),
    ];
    for (file, text, advice) in contents {
        sandbox.write(DATABASE, &stock);
        sandbox.write(CONFIG, "<?php");
        sandbox.write(TOML, "");
        sandbox.write(file, text);
        let said = sentence(&serve(&sandbox, &usual, &[]), text);
        assert!(said.contains(advice), "{text}: {said}");
    }
}

#[test]
fn what_the_database_refuses() {
    let sandbox = Sandbox::new();
    let server = MariaDb::start(&sandbox);
    server.sql(mariadb::SCHEMA);
    files::write_config(&sandbox.gallery(), &server.socket());
    let gallery = sandbox.gallery();
    let gallery = gallery.to_str().unwrap();
    let listen = format!("unix:{}", sandbox.path().join("nowhere/gate.sock").display());
    let usual = ["--gallery", gallery, "--listen", &listen];
    for (listen, advice) in [
        (listen.as_str(), "make its directory first"),
        ("fd:0", "no listening socket"),
        ("systemd", "start piwigo-gate.socket"),
    ] {
        let said = sentence(&serve(&sandbox, &["--gallery", gallery, "--listen", listen], &[]), listen);
        assert!(said.contains(advice), "all is well but the socket: {said}");
    }

    // What is done to the database, how it is undone, and what the sentence names.
    let mut changes: Vec<(String, String, String)> = [
        (
            "ALTER TABLE piwigo_images CHANGE level x INT",
            "ALTER TABLE piwigo_images CHANGE x level INT",
            "piwigo_images has no column level",
        ),
        (
            "REVOKE SELECT ON piwigo.* FROM gate@localhost",
            "GRANT SELECT ON piwigo.* TO gate@localhost",
            "user, password and database name",
        ),
        ("ALTER USER gate@localhost ACCOUNT LOCK", "ALTER USER gate@localhost ACCOUNT UNLOCK", "locked"),
    ]
    .map(|(change, undo, names)| (change.to_owned(), undo.to_owned(), names.to_owned()))
    .into();
    // A user who may read all tables but one, or all columns but some.
    for (rights, names) in [
        (
            "GRANT SELECT ON piwigo_images TO gate@localhost; GRANT SELECT (id) ON piwigo_sessions TO gate@localhost",
            "has no column data",
        ),
        (
            "GRANT SELECT (id, data, expiration) ON piwigo_sessions TO gate@localhost",
            "no table piwigo_images ",
        ),
    ] {
        let all = [
            "categories",
            "config",
            "group_access",
            "image_category",
            "user_access",
            "user_group",
            "user_infos",
            "users",
        ];
        let grants = all.map(|table| format!("GRANT SELECT ON piwigo_{table} TO gate@localhost; ")).concat();
        changes.push((
            format!("REVOKE SELECT ON piwigo.* FROM gate@localhost; {grants}{rights}"),
            "REVOKE ALL, GRANT OPTION FROM gate@localhost; GRANT SELECT ON piwigo.* TO gate@localhost".into(),
            names.into(),
        ));
    }
    for table in [
        "categories",
        "config",
        "group_access",
        "images",
        "image_category",
        "sessions",
        "user_access",
        "user_group",
        "user_infos",
        "users",
    ] {
        changes.push((
            format!("RENAME TABLE piwigo_{table} TO elsewhere"),
            format!("RENAME TABLE elsewhere TO piwigo_{table}"),
            format!("there is no table piwigo_{table} "),
        ));
    }
    for (change, undo, names) in changes {
        server.sql(&change);
        let said = sentence(&serve(&sandbox, &usual, &[]), &change);
        server.sql(&undo);
        assert!(said.contains(&names), "{change}: {said}");
    }
}
