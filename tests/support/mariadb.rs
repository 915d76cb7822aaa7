//! A MariaDB server for one test: one data directory, one unix socket, no network.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// Piwigo 16's tables, as its installer makes them on MariaDB.
pub const SCHEMA: &str = include_str!("../data/schema-16.sql");

/// The database and the account with all rights on it, as Piwigo has it.
pub const PIWIGO: &str = "piwigo";
/// The account that may only read.
pub const GATE: &str = "gate";
/// The password of both accounts.
pub const PASSWORD: &str = "it's \\secret";

const USUAL: [&str; 9] = [
    "--innodb=OFF",
    "--default-storage-engine=MyISAM",
    "--skip-networking",
    "--skip-name-resolve",
    // The character set of Piwigo's `SET NAMES utf8`: at most three bytes a character.
    "--character-set-server=utf8mb3",
    "--collation-server=utf8mb3_general_ci",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=1M",
    "--max-connections=200",
];

/// A running MariaDB. Dropping it ends the server; the sandbox removes the data.
pub struct MariaDb {
    server: Option<Server>,
    command: Vec<String>,
    account: Option<super::sandbox::Account>,
    directory: PathBuf,
    address: Option<SocketAddr>,
}

impl MariaDb {
    /// Makes the data directory, starts the server, and makes the empty database with its two accounts.
    pub fn start(sandbox: &Sandbox) -> Self {
        Self::start_with(sandbox, &[])
    }

    /// Does the same with a time zone other than the machine's, such as `+05:30`.
    pub fn start_in_time_zone(sandbox: &Sandbox, zone: &str) -> Self {
        Self::start_with(sandbox, &[&format!("--default-time-zone={zone}")])
    }

    /// Does the same with more options on the server's command line.
    ///
    /// InnoDB is off, because Piwigo's tables are MyISAM and the server starts faster; `--innodb=ON` turns it
    /// on.
    pub fn start_with(sandbox: &Sandbox, options: &[&str]) -> Self {
        Self::start_in(sandbox, "mariadb", options).unwrap_or_else(|log| panic!("{log}"))
    }

    /// Starts one of several servers in a sandbox, each with its own directory. It also listens on a loopback
    /// port.
    pub fn start_on_port(sandbox: &Sandbox, directory: &str, options: &[&str]) -> Self {
        let mut last = String::new();
        for _ in 0..5 {
            let address = process::free_port();
            let port = format!("--port={}", address.port());
            let mut all = vec!["--skip-networking=0", "--bind-address=127.0.0.1", &port];
            all.extend(options);
            match Self::start_in(sandbox, directory, &all) {
                Ok(database) => return Self { address: Some(address), ..database },
                Err(log) => last = log,
            }
        }
        panic!("{last}");
    }

    fn start_in(sandbox: &Sandbox, directory: &str, options: &[&str]) -> Result<Self, String> {
        static TEMPLATE: OnceLock<Sandbox> = OnceLock::new();
        let template = TEMPLATE.get_or_init(make_template);
        let directory = sandbox.path().join(directory);
        copy_tree(&template.path().join("mariadb"), &directory);
        sandbox.hand_over_tree(&directory);
        Self::on_existing_data(sandbox, directory, options)
    }

    fn on_existing_data(sandbox: &Sandbox, directory: PathBuf, options: &[&str]) -> Result<Self, String> {
        let program = process::find_program(&["mariadbd", "mysqld"]).expect("MariaDB");
        let mut command = vec![
            program.display().to_string(),
            "--no-defaults".to_owned(),
            format!("--datadir={}", directory.join("data").display()),
            format!("--socket={}", directory.join("db.sock").display()),
            format!("--pid-file={}", directory.join("db.pid").display()),
            format!("--tmpdir={}", directory.display()),
        ];
        command.extend(USUAL.iter().chain(options).map(|&option| option.to_owned()));
        let account = sandbox.account().cloned();
        let mut database = Self { server: None, command, account, directory, address: None };
        database.try_start()?;
        Ok(database)
    }

    /// The server's TCP address, if it listens on a port.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a server on a port")
    }

    /// The unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("db.sock")
    }

    /// The process id, while the server runs.
    pub fn id(&self) -> Option<u32> {
        self.server.as_ref().map(Server::id)
    }

    /// Runs SQL text in the database `piwigo` and returns the rows, one a line, columns separated by tabs.
    pub fn sql(&self, text: &str) -> String {
        self.client(PIWIGO, text)
    }

    /// Runs SQL text with all rights on the server.
    pub fn sql_as_root(&self, text: &str) -> String {
        self.client("", text)
    }

    /// Closes the gate's connections as `wait_timeout` does, without the wait. There must be at least one.
    pub fn close_connections(&self) {
        let all =
            format!("SELECT GROUP_CONCAT(id) FROM information_schema.processlist WHERE user = '{GATE}'");
        let ids = self.sql_as_root(&all);
        let left = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id IN ({ids})");
        assert_ne!(self.sql_as_root(&left), "0\n", "{ids}");
        self.sql_as_root(&format!("KILL USER '{GATE}'@'localhost'"));
        process::wait_until("they are closed", || self.sql_as_root(&left) == "0\n");
    }

    /// Stops the server, and keeps its data and the name of its socket.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.terminate();
        }
    }

    /// Ends the server as a power cut would, and keeps its data.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Starts the server on the same data and socket.
    pub fn start_again(&mut self) {
        self.try_start().unwrap_or_else(|log| panic!("{log}"));
    }

    fn try_start(&mut self) -> Result<(), String> {
        assert!(self.server.is_none(), "MariaDB runs already");
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.directory);
        if let Some(account) = &self.account {
            use std::os::unix::process::CommandExt;
            command.uid(account.uid).gid(account.gid);
        }
        let log = self.directory.join("db.log");
        self.server = Some(Server::start("MariaDB", command, &log, &Endpoint::Unix(self.socket()))?);
        // The server listens before it answers. This waits for an answer; the gate does not wait long.
        self.sql_as_root("SELECT 1");
        Ok(())
    }

    fn client(&self, database: &str, text: &str) -> String {
        let client = process::find_program(&["mariadb", "mysql"]).expect("MariaDB's client");
        let mut child = Command::new(client)
            .args(["--no-defaults", "--user=root", "--default-character-set=utf8mb4"])
            .args(["--batch", "--skip-column-names"])
            .arg(format!("--socket={}", self.socket().display()))
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("MariaDB's client starts");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("client reads");
        let output = child.wait_with_output().expect("client ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        let start: String = text.chars().take(2000).collect();
        assert!(output.status.success(), "SQL failed: {errors}\n{start}\n{}", self.log_text());
        String::from_utf8(output.stdout).expect("UTF-8 rows")
    }

    fn log_text(&self) -> String {
        fs::read_to_string(self.directory.join("db.log")).unwrap_or_default()
    }
}

/// Piwigo's `local/config/database.inc.php` for a database on a unix socket.
pub fn database_inc_php(socket: &Path, user: &str) -> String {
    let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    format!(
        "<?php\n$conf['dblayer'] = 'mysqli';\n$conf['db_base'] = '{PIWIGO}';\n$conf['db_user'] = '{user}';\n\
         $conf['db_password'] = '{}';\n$conf['db_host'] = '{}';\n\n$prefixeTable = 'piwigo_';\n\n\
         define('PHPWG_INSTALLED', true);\ndefine('PWG_CHARSET', 'utf-8');\ndefine('DB_CHARSET', 'utf8');\n\
         define('DB_COLLATE', '');\n\n?>",
        quote(PASSWORD),
        quote(&socket.display().to_string()),
    )
}

/// Makes a data directory with the empty database and its two accounts, once in a test program.
///
/// The directory stays until the program ends; then the sandbox's leash removes it.
fn make_template() -> Sandbox {
    let sandbox = Sandbox::new();
    let directory = sandbox.make_dir("mariadb");
    let data = sandbox.make_dir("mariadb/data");
    let install = process::find_program(&["mariadb-install-db", "mysql_install_db"]).expect("MariaDB");
    process::run(
        sandbox
            .command(install)
            .current_dir(&directory)
            // A server that starts removes the temporary tables of other servers in the same directory.
            .env("TMPDIR", &directory)
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
            .args(["--skip-innodb", "--default-storage-engine=MyISAM"]),
    )
    .expect("MariaDB's data directory");
    let mut database =
        MariaDb::on_existing_data(&sandbox, directory, &[]).unwrap_or_else(|log| panic!("{log}"));
    // The password holds a quote and a backslash on purpose: it must pass through Piwigo's PHP file and the
    // client unchanged.
    database.sql_as_root(&format!(
        "CREATE DATABASE {PIWIGO};
         CREATE USER '{PIWIGO}'@'localhost' IDENTIFIED BY '{0}';
         GRANT ALL ON {PIWIGO}.* TO '{PIWIGO}'@'localhost';
         CREATE USER '{GATE}'@'localhost' IDENTIFIED BY '{0}';
         GRANT SELECT ON {PIWIGO}.* TO '{GATE}'@'localhost';",
        PASSWORD.replace('\\', "\\\\").replace('\'', "''"),
    ));
    database.stop();
    sandbox
}

/// Copies files and directories. A stopped server's sockets are not needed.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("directory in the sandbox");
    for entry in fs::read_dir(from).expect("template") {
        let entry = entry.expect("entry of the template");
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copy of the template");
        }
    }
}
