//! What the benchmarks measure with: requests a second through `wrk`, processor time and memory of a process.
// Each benchmark uses a part of it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What `wrk` is to do.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    pub connections: u32,
    pub seconds: u32,
    /// The `Cookie` header.
    pub cookie: &'a str,
}

/// What `wrk` reports.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    pub requests_a_second: f64,
    pub requests: f64,
    /// How many of them were answered by another status than 2xx.
    pub refused: f64,
}

/// Asks one server for `url` over kept-alive connections; with `script`, for what that Lua script says.
pub fn wrk(server: SocketAddr, url: &str, script: Option<&Path>, load: Load<'_>) -> Report {
    let mut command = Command::new("wrk");
    command
        .args(["-t1", &format!("-c{}", load.connections), &format!("-d{}s", load.seconds), "-H"])
        .arg(format!("Cookie: {}", load.cookie));
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let output =
        command.arg(format!("http://{server}{url}")).stdin(Stdio::null()).output().expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |line: &str| -> f64 {
        line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number in wrk's report")
    };
    let find = |mark: &str| text.lines().find(|line| line.contains(mark));
    Report {
        requests_a_second: number(find("Requests/sec").expect("wrk's report")),
        requests: number(find("requests in").expect("wrk's report")),
        refused: find("Non-2xx").map_or(0.0, number),
    }
}

/// A script for `wrk` that asks for the lines of `list` in turn, round and round.
pub fn cycling_script(list: &Path) -> String {
    format!(
        "local requests, at = {{}}, 0\n\
         function init(args)\n\
         \x20 for line in io.lines({:?}) do requests[#requests + 1] = wrk.format('GET', line) end\n\
         end\n\
         function request()\n\
         \x20 at = at % #requests + 1\n\
         \x20 return requests[at]\n\
         end\n",
        list.to_str().expect("UTF-8 path")
    )
}

/// User and system time of a process so far (`proc(5)`: ticks of 1/100 s).
pub fn cpu_seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a running process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a stat line").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number of ticks");
    (ticks(11) + ticks(12)) / 100.0
}

/// Memory that a process holds in the machine, in MiB.
pub fn resident_mib(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a running process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).expect("a number") / 1024.0
}

/// The middle one; the upper of two.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
