//! One server process: a test starts it, waits until it is ready, and ends it by its process id.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::leash::Leash;
use super::patience::PATIENCE;

/// Maximum time until a server answers its first connection, on a slow and busy machine.
pub const START_LIMIT: Duration = PATIENCE;
/// Maximum time until a server ends after SIGTERM.
pub const STOP_LIMIT: Duration = PATIENCE;
/// Number of ports to try, because several tests look for a free port at the same time.
const PORTS_TRIED: usize = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// How a server shows that it is ready.
#[derive(Debug, Clone)]
pub enum Endpoint {
    Unix(PathBuf),
    /// The server writes its pid file after it has bound the port. A connection alone would not show this,
    /// because another test's server may have taken the port in the meantime.
    Tcp {
        address: SocketAddr,
        pid_file: PathBuf,
    },
    /// The server writes this word to its log once it has bound its port. The words of an earlier server in
    /// that log do not count.
    Says {
        word: &'static str,
        log: PathBuf,
    },
}

impl Endpoint {
    /// `heard` is the length of the log before the server started.
    fn accepts(&self, heard: u64) -> bool {
        match self {
            Self::Unix(path) => UnixStream::connect(path).is_ok(),
            Self::Tcp { address, pid_file } => {
                let written = fs::metadata(pid_file).is_ok_and(|file| file.len() > 0);
                written && TcpStream::connect_timeout(address, Duration::from_secs(1)).is_ok()
            }
            Self::Says { word, log } => fs::read(log).is_ok_and(|text| {
                let new = usize::try_from(heard).ok().and_then(|heard| text.get(heard..)).unwrap_or_default();
                String::from_utf8_lossy(new).contains(word)
            }),
        }
    }
}

/// A running server.
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    leash: Option<Leash>,
}

impl Server {
    /// Starts `command` with both outputs in the file `log`, and waits until `ready` accepts connections.
    ///
    /// The error is the log, if the server ended or did not become ready within [`START_LIMIT`].
    pub fn start(name: &str, mut command: Command, log: &Path, ready: &Endpoint) -> Result<Self, String> {
        let output = File::options().create(true).append(true).open(log).expect("log file");
        let heard = output.metadata().expect("its length").len();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("second handle"))
            .stderr(output)
            // A terminal's signals are for the test alone; Apache would take a resized window for a graceful
            // stop.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error} ({command:?})"));
        let leash = Some(Leash::on_process(child.id()));
        let mut server = Self { name: name.to_owned(), child, log: log.to_owned(), leash };
        let started = Instant::now();
        loop {
            if let Some(status) = server.child.try_wait().expect("own child") {
                return Err(format!("{name} ended while starting ({status}):\n{}", server.log_text()));
            }
            if ready.accepts(heard) {
                return Ok(server);
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("{name} is not ready at {ready:?}:\n{}", server.log_text()));
            }
            thread::sleep(PAUSE);
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The server's log so far.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Asks the process to end (SIGTERM) and waits for it; kills it after [`STOP_LIMIT`].
    pub fn terminate(&mut self) -> ExitStatus {
        signal("TERM", self.child.id());
        let status = wait_for_end(&mut self.child, STOP_LIMIT).unwrap_or_else(|| {
            eprintln!("{} ignored SIGTERM and was killed", self.name);
            let _ = self.child.kill();
            self.child.wait().expect("own child")
        });
        self.leash = None;
        status
    }

    /// Ends the process at once, as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.leash = None;
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("own child")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.leash.is_some() {
            self.terminate();
        }
    }
}

/// A program that a test starts itself, with descriptors of its own. Dropping the value or a leash ends it.
pub struct Program {
    child: Child,
    leash: Option<Leash>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let leash = Some(Leash::on_process(child.id()));
        Self { child, leash }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("own child")
    }

    /// Waits for the program to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait_for_end(&mut self.child, START_LIMIT).expect("it ends in time");
        self.leash = None;
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // This does nothing to a program that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a process that was told to end has ended; kills it after [`STOP_LIMIT`].
pub fn wait_or_kill(child: &mut Child) {
    if wait_for_end(child, STOP_LIMIT).is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn wait_for_end(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("own child") {
            return Some(status);
        }
        if started.elapsed() > limit {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// Sends a signal by process id. `name` is as in `kill -TERM`.
pub fn signal(name: &str, pid: u32) {
    let _ = Command::new("/bin/sh")
        .args(["-c", r#"kill -"$1" "$2""#, "signal", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// The descendants of a process.
pub fn descendants(ancestor: u32) -> Vec<u32> {
    let all = all_processes();
    let mut found = vec![ancestor];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.id));
        next += 1;
    }
    found.split_off(1)
}

/// The processes whose command line names a path below `directory`, without the test itself.
pub fn all_that_name(directory: &Path) -> Vec<u32> {
    let needle = format!("{}/", directory.display()).into_bytes();
    let names_it = |id: u32| {
        fs::read(format!("/proc/{id}/cmdline"))
            .is_ok_and(|line| line.windows(needle.len()).any(|window| window == needle))
    };
    all_processes()
        .iter()
        .map(|process| process.id)
        .filter(|id| *id != std::process::id() && names_it(*id))
        .collect()
}

/// Waits for these processes to end by themselves, then sends SIGTERM, and at last SIGKILL.
pub fn end_all(ids: &[u32]) {
    let running = || {
        let all = all_processes();
        ids.iter().copied().filter(|id| all.iter().any(|process| process.id == *id)).collect::<Vec<_>>()
    };
    for name in [None, Some("TERM"), Some("KILL")] {
        if let Some(name) = name {
            for id in running() {
                signal(name, id);
            }
        }
        let started = Instant::now();
        while started.elapsed() < STOP_LIMIT / 4 {
            if running().is_empty() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

struct Process {
    id: u32,
    parent: u32,
}

/// Whether only the number of a process is left, so that its sockets are closed, too. Its first thread may
/// have ended and its command line may be gone while another thread still holds what they share.
pub fn has_ended(id: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return true };
    has_no_threads(id, &stat)
}

/// Whether a process already handles SIGTERM. Until then the signal ends it in the middle of its work.
pub fn catches_sigterm(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << 14) != 0)
}

fn has_no_threads(id: u32, stat: &str) -> bool {
    // "id (name) state parent ...", where the name may hold anything.
    let state = stat.rsplit_once(')').map_or("", |(_, fields)| fields.trim_start());
    state.starts_with(['Z', 'X']) && fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count) <= 1
}

/// Every process of the machine that has not ended. An ended process may stay in the list until its parent
/// waits for it.
fn all_processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            (!has_no_threads(id, &stat)).then_some(Process { id, parent })
        })
        .collect()
}

/// Starts a server on a port that `choose` finds free, and tries another one if another process was faster.
pub fn start_on_a_port(
    choose: impl Fn() -> SocketAddr,
    start: impl Fn(SocketAddr) -> Result<Server, String>,
) -> (Server, SocketAddr) {
    let mut tries = 1;
    loop {
        let address = choose();
        match start(address) {
            Ok(server) => return (server, address),
            Err(log)
                if tries < PORTS_TRIED && log.to_ascii_lowercase().contains("address already in use") =>
            {
                tries += 1;
            }
            Err(log) => panic!("{log}"),
        }
    }
}

/// A loopback port that was free a moment ago. The caller must be ready to try another one:
/// [`start_on_a_port`].
pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    listener.local_addr().expect("its number")
}

/// A loopback port without a listener. While the socket lives, no other process can take the port.
pub fn closed_port() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a loopback port");
    let address = socket.local_addr().expect("its number");
    (socket, address)
}

/// Waits until `is_so` returns true. The limit is far longer than anything takes; a test that reaches it
/// fails.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < START_LIMIT, "not in time: {what}");
        thread::sleep(PAUSE);
    }
}

/// Finds a program in PATH or in the usual directories of servers.
pub fn find_program(names: &[&str]) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin", "/usr/local/bin"];
    std::env::split_paths(&path)
        .chain(usual.iter().map(PathBuf::from))
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("none of {names:?} is installed; the tests against real servers need it"))
}

/// Runs a command to its end; its output is the error if it fails.
pub fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(text)
    } else {
        Err(io::Error::other(format!("{command:?}: {}\n{text}", output.status)))
    }
}
