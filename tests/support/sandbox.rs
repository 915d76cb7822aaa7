//! The temporary directory that holds one test's servers, sockets and gallery.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use super::leash::Leash;
use super::process;

/// The account that runs the servers if root runs the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub group: String,
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// `www-data` or `nobody` for root. `None` for any other user; then the servers run as that user.
    pub fn for_servers() -> Option<Self> {
        let uid = fs::metadata("/proc/self").expect("/proc is mounted").uid();
        if uid != 0 {
            return None;
        }
        ["www-data", "nobody"].iter().find_map(|name| Self::named(name))
    }

    fn named(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| f[0] == name)?;
        let (uid, gid) = (fields[2].parse().ok()?, fields[3].parse().ok()?);
        let groups = fs::read_to_string("/etc/group").ok()?;
        let group = groups
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|f| f.get(2) == Some(&fields[3]))?;
        Some(Self { user: name.to_owned(), group: group[0].to_owned(), uid, gid })
    }
}

/// A temporary directory that the servers can read. Dropping the value removes it.
///
/// `gallery/` stands for Piwigo's directory, `run/` holds sockets and pid files, `log/` the servers' logs.
/// Declare the sandbox before the servers that use it, because Rust drops values in reverse order.
pub struct Sandbox {
    directory: Option<tempfile::TempDir>,
    root: PathBuf,
    account: Option<Account>,
    http2: AtomicBool,
    _leash: Leash,
}

impl Sandbox {
    /// Makes a new directory in the system's temporary directory.
    pub fn new() -> Self {
        let directory = new_directory();
        let root = directory.path().canonicalize().expect("its path");
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("its mode");
        let leash = Leash::on_directory(root.to_str().expect("UTF-8 temporary directory"));
        let sandbox = Self {
            directory: Some(directory),
            root,
            account: Account::for_servers(),
            http2: AtomicBool::new(false),
            _leash: leash,
        };
        sandbox.hand_over(&sandbox.root);
        for name in ["gallery", "run", "log", "tmp"] {
            sandbox.make_dir(name);
        }
        sandbox
    }

    /// Makes web servers that start from now on speak HTTP/2 without TLS ([`super::http2`]).
    pub fn let_servers_speak_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    /// `text` if the web servers speak HTTP/2, otherwise an empty text.
    pub fn for_http2<'a>(&self, text: &'a str) -> &'a str {
        if self.http2.load(Ordering::Relaxed) { text } else { "" }
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Piwigo's directory.
    pub fn gallery(&self) -> PathBuf {
        self.root.join("gallery")
    }

    /// The socket of the gate, whether anything listens on it or not.
    pub fn gate_socket(&self) -> PathBuf {
        self.root.join("run/gate.sock")
    }

    /// The socket of the PHP stand-in, whether anything listens on it or not.
    pub fn php_socket(&self) -> PathBuf {
        self.root.join("run/php.sock")
    }

    /// The servers' account, if it is not the test's own.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Makes a directory that the servers may write to, and those above it. `name` is relative to the
    /// sandbox.
    pub fn make_dir(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(&path).expect("directory in the sandbox");
        self.hand_over(&path);
        path
    }

    /// Writes a file and the directories above it; `name` is relative to the sandbox.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("inside the sandbox")).expect("directory in the sandbox");
        fs::write(&path, content).expect("file in the sandbox");
        path
    }

    /// A server's configuration with the gallery's and the sandbox's directory in place of `ROOT` and `BOX`.
    pub fn filled(&self, text: &str) -> String {
        let text = text.replace("ROOT", &self.gallery().display().to_string());
        text.replace("BOX", &self.path().display().to_string())
    }

    /// Writes a script that can run at once. Another process writes it, for the reason that
    /// [`copy_program`](super::gate::copy_program) gives.
    pub fn write_program(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("inside the sandbox")).expect("directory in the sandbox");
        let mut writer = Command::new("/bin/sh")
            .args(["-c", r#"cat >"$1" && chmod 755 "$1""#, "write"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("/bin/sh starts");
        writer.stdin.take().expect("piped").write_all(text.as_ref()).expect("it reads");
        assert!(writer.wait().expect("its end").success(), "no {}", path.display());
        path
    }

    /// Gives one file or directory to the servers' account.
    pub fn hand_over(&self, path: &Path) {
        if let Some(account) = &self.account {
            chown(path, Some(account.uid), Some(account.gid)).expect("root may change owners");
        }
    }

    /// Gives a symbolic link itself, not what it points to, to the servers' account.
    pub fn hand_over_link(&self, path: &Path) {
        if let Some(account) = &self.account {
            lchown(path, Some(account.uid), Some(account.gid)).expect("root may change owners");
        }
    }

    /// Gives a symbolic link itself to an account that is neither root nor the servers'. Returns whether that
    /// was possible; only root can do it.
    pub fn give_link_to_a_third_user(&self, path: &Path) -> bool {
        const THIRD: u32 = 4_000_002;
        if self.account.is_some() {
            lchown(path, Some(THIRD), Some(THIRD)).expect("root may change owners");
        }
        self.account.is_some()
    }

    /// Gives a whole tree to the servers' account, for tests in which the servers write. Does not follow
    /// links.
    pub fn hand_over_tree(&self, path: &Path) {
        if fs::symlink_metadata(path).expect("path exists").is_symlink() {
            return;
        }
        self.hand_over(path);
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("directory is readable") {
                self.hand_over_tree(&entry.expect("entry").path());
            }
        }
    }

    /// A command that runs as the servers' account.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }
}

/// A new directory. Its name is short (a unix socket's path holds 107 bytes at most), is not the beginning of
/// another one's (the sandbox finds processes by it), and has no capitals (mod_rewrite turns a flag's value
/// into small letters).
fn new_directory() -> tempfile::TempDir {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    loop {
        let name = format!("pg-{:07x}{:04x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        match tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir() {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return made.expect("temporary directory"),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A process that a server started and left behind (an orphan of mod_fcgid) still names this
        // directory.
        process::end_all(&process::all_that_name(&self.root));
        if let Some(directory) = self.directory.take() {
            let path = directory.path().to_owned();
            if std::env::var_os("PIWIGO_GATE_TEST_KEEP").is_some() {
                eprintln!("kept for inspection: {}", directory.keep().display());
            } else if let Err(error) = directory.close() {
                eprintln!("could not remove {}: {error}", path.display());
            }
        }
    }
}
