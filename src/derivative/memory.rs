//! How many bytes this process may still allocate, by its resource limits (`ulimit -v`, `ulimit -d`) and by
//! its control groups (`MemoryMax=` of systemd, a container's limit). An allocation beyond a resource limit
//! would end the process, and one beyond a control group's limit gets it killed; so a picture's need is
//! compared with this before it is decoded.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

/// What the rest of the process may need meanwhile: threads, connections, the answer of the database.
const RESERVE: u64 = 32 << 20;

/// Bytes that may be allocated now; `u64::MAX` where nothing limits them.
pub(super) fn room() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limited = [(Resource::As, "VmSize:"), (Resource::Data, "VmData:")]
        .into_iter()
        .filter_map(|(resource, used)| Some((getrlimit(resource).current?, kibibytes(&status, used)?)))
        .map(|(limit, used)| limit.saturating_sub(used));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let least = limited.chain(of_groups(&groups, Path::new("/sys/fs/cgroup"))).min();
    least.map_or(u64::MAX, |least| least.saturating_sub(RESERVE))
}

/// A line of `/proc/self/status`, in bytes.
fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// What is free in the process's control groups of both versions and in those above them. `groups` is what
/// `/proc/self/cgroup` says, `mount` is where they are mounted.
fn of_groups(groups: &str, mount: &Path) -> impl Iterator<Item = u64> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (base, version) = match controllers {
            "" => (mount.to_owned(), &SECOND),
            named if named.split(',').any(|one| one == "memory") => (mount.join("memory"), &FIRST),
            _ => continue,
        };
        // In a container the path may be that of the host: the limit is then where the groups are mounted.
        let group = Path::new(path.trim_start_matches('/'));
        found.extend(group.ancestors().filter_map(|group| free_in(&base.join(group), version)));
    }
    found.into_iter()
}

/// Names of files and of lines in `memory.stat`.
struct Version {
    limit: &'static str,
    used: &'static str,
    cached: [&'static str; 2],
}

const FIRST: Version = Version {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: ["total_inactive_file ", "total_active_file "],
};

const SECOND: Version =
    Version { limit: "memory.max", used: "memory.current", cached: ["inactive_file ", "active_file "] };

/// What is free in one group; pages of files can be dropped. `None`: it has no limit.
fn free_in(group: &Path, version: &Version) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let limit: u64 = read(version.limit)?.trim().parse().ok()?;
    let used: u64 = read(version.used)?.trim().parse().ok()?;
    let stat = read("memory.stat").unwrap_or_default();
    let line = |name| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let cached: u64 = version.cached.into_iter().filter_map(line).sum();
    Some(limit.saturating_sub(used.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_status_is_in_kibibytes() {
        let status = "Name:\tx\nVmSize:\t    3760 kB\nVmData:\t     292 kB\nVmBad:\t many kB\n";
        let table =
            [("VmSize:", Some(3_850_240)), ("VmData:", Some(299_008)), ("VmBad:", None), ("VmNo:", None)];
        for (name, bytes) in table {
            assert_eq!(kibibytes(status, name), bytes, "{name}");
        }
    }

    #[test]
    fn the_narrowest_group_counts_and_files_in_memory_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("memory.max", "1000\n");
        write("memory.current", "700\n");
        write("memory.stat", "anon 100\ninactive_file 300\nactive_file 200\n");
        write("system.slice/memory.max", "900\n");
        write("system.slice/memory.current", "850\n");
        write("system.slice/gate.service/memory.max", "max\n");
        write("system.slice/gate.service/memory.current", "10\n");
        write("memory/user/memory.limit_in_bytes", "5000\n");
        write("memory/user/memory.usage_in_bytes", "4000\n");
        write("memory/user/memory.stat", "total_inactive_file 1\ntotal_active_file 2\n");
        let table: [(&str, &[u64]); 6] = [
            ("0::/system.slice/gate.service\n", &[50, 800]),
            ("0::/\n", &[800]),
            ("0::/of/the/host\n", &[800]),
            ("3:cpu,memory:/user\n2:pids:/user\n", &[1003]),
            ("3:cpu:/user\n", &[]),
            ("", &[]),
        ];
        for (groups, expected) in table {
            let found: Vec<u64> = of_groups(groups, directory.path()).collect();
            assert_eq!(found, expected, "{groups}");
        }
    }
}
