//! Cleans up after a test program that cannot do so itself (killed, aborted, a server kept in a `static`).
//!
//! A small shell waits for the end of its standard input. The kernel closes the other end of that pipe when
//! the test program ends, however it ends; then the shell cleans up. A value that is dropped in the usual way
//! cleans up by itself and ends the shell first.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Ends a process or removes a directory when the test program is gone.
pub struct Leash {
    shell: Child,
}

impl Leash {
    /// Asks the process `pid` to end, and kills it three seconds later.
    pub fn on_process(pid: u32) -> Self {
        let script = r#"read -r _; kill -TERM "$1"; for _ in 1 2 3 4 5 6; do
            kill -0 "$1" || exit 0; sleep 0.5; done; kill -KILL "$1""#;
        Self::new(script, &pid.to_string())
    }

    /// Removes the directory at `path` after five seconds, when the servers that used it have ended.
    pub fn on_directory(path: &str) -> Self {
        Self::new(r#"read -r _; sleep 5; rm -rf -- "$1""#, path)
    }

    fn new(script: &str, argument: &str) -> Self {
        let shell = Command::new("/bin/sh")
            .args(["-c", script, "leash", argument])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("/bin/sh starts");
        Self { shell }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
