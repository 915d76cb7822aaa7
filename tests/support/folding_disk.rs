//! A gallery on a disk that takes `UPLOAD` for `upload`: NTFS in a file, mounted by FUSE. This needs root and
//! `lowntfs-3g`. It runs in a mount namespace of its own, so that no other process sees the mount, and the
//! mount goes away with the namespace.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{self, Endpoint, Server};
use super::sandbox::{Account, Sandbox};

/// Set for the test program that runs inside the namespace.
const INSIDE: &str = "PIWIGO_GATE_TEST_FOLDING_DISK";

/// The programs that mount and make such a disk, if this machine can use them.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let programs = (process::find_program(&["lowntfs-3g"]).ok()?, process::find_program(&["mkntfs"]).ok()?);
    let is_root = Account::for_servers().is_some();
    let may_mount = || process::run(Command::new("unshare").args(["--mount", "true"])).is_ok();
    (is_root && Path::new("/dev/fuse").exists() && may_mount()).then_some(programs)
}

/// Runs `test`, the test function of this name, in a mount namespace of its own.
pub fn run(name: &str, test: impl Fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    if programs().is_none() {
        return eprintln!("{name}: not tried, because it needs root, /dev/fuse and ntfs-3g");
    }
    let own = std::env::current_exe().expect("this program");
    let mut again = Command::new("unshare");
    again.args(["--mount", "--propagation", "private"]).arg(own).args([name, "--exact", "--nocapture"]);
    process::run(again.env(INSIDE, "yes")).unwrap_or_else(|error| panic!("{error}"));
}

/// A mounted gallery. Dropping it unmounts it.
pub struct FoldingDisk {
    _mounted: Server,
}

impl FoldingDisk {
    /// Copies the sandbox's gallery as it is now to such a disk, and mounts the disk in the gallery's place.
    pub fn take(sandbox: &Sandbox) -> Self {
        let (lowntfs, mkntfs) = programs().expect("it was looked for");
        let image = sandbox.path().join("disk.img");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(64 << 20).expect("a file of this size");
        process::run(Command::new(mkntfs).args(["-q", "-F", "-f"]).arg(&image)).expect("a file system");
        let first = Self::mount(sandbox, &lowntfs, "disk");
        let files = format!("{}/.", sandbox.gallery().display());
        process::run(Command::new("cp").arg("-a").arg(files).arg(sandbox.path().join("disk")))
            .expect("copied");
        drop(first);
        Self::mount(sandbox, &lowntfs, "gallery")
    }

    fn mount(sandbox: &Sandbox, lowntfs: &Path, name: &str) -> Self {
        let account = sandbox.account().expect("root has another account for servers");
        let place = sandbox.make_dir(name);
        let options = format!("ignore_case,allow_other,no_detach,uid={},gid={}", account.uid, account.gid);
        let mut command = Command::new(lowntfs);
        command.args(["-o", &options]).arg(sandbox.path().join("disk.img")).arg(&place);
        let log = sandbox.path().join(format!("log/{name}.log"));
        let ready = Endpoint::Says { word: "Mounted", log: log.clone() };
        let mounted =
            Server::start("lowntfs-3g", command, &log, &ready).unwrap_or_else(|log| panic!("{log}"));
        Self { _mounted: mounted }
    }
}
