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
    /// Half of the requests took at most so long, in milliseconds.
    pub p50: f64,
    /// 99 of a hundred did.
    pub p99: f64,
}

/// Asks one server for `url` over kept-alive connections; with `script`, for what that Lua script says.
pub fn wrk(server: SocketAddr, url: &str, script: Option<&Path>, load: Load<'_>) -> Report {
    let mut command = Command::new("wrk");
    command
        .args(["--latency", "-t1", &format!("-c{}", load.connections), &format!("-d{}s", load.seconds), "-H"])
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
        p50: find(" 50% ").map_or(f64::NAN, milliseconds),
        p99: find(" 99% ").map_or(f64::NAN, milliseconds),
    }
}

/// `wrk` writes `870.00us`, `1.23ms` or `1.02s`.
fn milliseconds(line: &str) -> f64 {
    let word = line.split_whitespace().last().expect("a time");
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &word[digits.len()..] {
        "us" => 1e-3,
        "ms" => 1.0,
        _ => 1e3,
    };
    digits.parse::<f64>().expect("a time") * unit
}

/// A script for `wrk` that asks for the lines of `list` in turn, round and round: a URL, and a cookie if a
/// tab is between.
pub fn cycling_script(list: &Path) -> String {
    format!(
        "local requests, at = {{}}, 0\n\
         function init(args)\n\
         \x20 for line in io.lines({:?}) do\n\
         \x20   local url, cookie = line:match('^(%S+)\\t(.+)$')\n\
         \x20   if cookie then wrk.headers['Cookie'] = cookie end\n\
         \x20   requests[#requests + 1] = wrk.format('GET', url or line)\n\
         \x20 end\n\
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

/// The same of a process and of those that it has started and that still run.
pub fn family_cpu_seconds(id: u32) -> f64 {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let of_children = children.split_whitespace().filter_map(|id| id.parse().ok()).map(cpu_seconds);
    cpu_seconds(id) + of_children.sum::<f64>()
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
