//! How much memory the C library's allocator keeps.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process;

use rustix::process::{Resource, getrlimit};

/// Pictures come and go by tens of megabytes, and glibc's allocator keeps what was freed: after each large
/// piece it raises the size from which memory goes back to the system, up to 32 MB, for each of its arenas.
/// Measured after 45 pictures: 138 MB resident, with this 18, in the same time.
///
/// The threshold is set by the environment when a program starts, or by a call that is not memory-safe; so
/// the program puts itself in its own place, once, with the same arguments, number and descriptors. Where it
/// cannot, and where somebody has set anything of the kind, all stays as it is.
pub(super) fn give_memory_back() {
    const THRESHOLD: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "1048576");
    /// The allocator's variables are taken away from programs with special rights: this one stays.
    const DONE: &str = "PIWIGO_GATE_RESTARTED";
    let is_set = |(name, _): (OsString, OsString)| {
        let name = name.as_encoded_bytes();
        name.starts_with(b"MALLOC_") || name == b"GLIBC_TUNABLES" || name == DONE.as_bytes()
    };
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || std::env::vars_os().any(is_set) {
        return;
    }
    let (Ok(program), mut arguments) = (std::env::current_exe(), std::env::args_os()) else { return };
    let Some(name) = arguments.next() else { return };
    // Each thread's arena reserves 64 MB of addresses, which count where those are limited.
    let is_limited = getrlimit(Resource::As).current.is_some();
    let arenas = is_limited.then_some(("MALLOC_ARENA_MAX", "1"));
    // Returns only if it failed.
    let _ = process::Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(THRESHOLD.0, THRESHOLD.1)
        .envs(arenas)
        .env(DONE, "1")
        .exec();
}
