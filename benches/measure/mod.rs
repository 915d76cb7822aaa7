//! Measures for the benchmarks: requests a second with `wrk`, processor time and memory of a process.
// Each benchmark uses only a part of this.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// The load that `wrk` makes.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    pub connections: u32,
    pub seconds: u32,
    /// The `Cookie` header.
    pub cookie: &'a str,
}

/// The report of `wrk`.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    pub requests_a_second: f64,
    pub requests: f64,
    /// Number of requests that got another status than 2xx.
    pub refused: f64,
    /// The median time of a request, in milliseconds.
    pub p50: f64,
    /// The time that 99 of a hundred requests did not exceed, in milliseconds.
    pub p99: f64,
}

/// Sends one server requests for `url` over kept-alive connections, or for the URLs of the Lua script
/// `script`.
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

/// A script for `wrk` that requests the lines of `list` in turn, again and again. A line is a URL, or a URL,
/// a tab and a cookie.
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

/// User and system time of a process and of its running children.
pub fn family_cpu_seconds(id: u32) -> f64 {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let of_children = children.split_whitespace().filter_map(|id| id.parse().ok()).map(cpu_seconds);
    cpu_seconds(id) + of_children.sum::<f64>()
}

/// Memory of a process that is in RAM, in MiB.
pub fn resident_mib(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a running process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).expect("a number") / 1024.0
}

/// The median; the upper one if there are two.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
