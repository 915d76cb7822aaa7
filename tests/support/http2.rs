//! An HTTP/2 client without TLS: the program `curl`, which sends the path byte for byte as given.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::http::{self, Response};
use super::patience::PATIENCE;
use super::process;

/// Sends a request without body and reads the answer. Each header is a field of its own, as browsers send
/// each cookie (RFC 9113 §8.2.3).
pub fn request(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let mut curl = Command::new(process::find_program(&["curl"]).expect("curl"));
    curl.args([
        "--silent",
        "--show-error",
        "--include",
        "--http2-prior-knowledge",
        "--path-as-is",
        "--globoff",
    ]);
    curl.arg("--max-time").arg(PATIENCE.as_secs().to_string()).args(["--noproxy", "*"]);
    if method == "HEAD" {
        curl.arg("--head");
    } else {
        curl.args(["--request", method]);
    }
    for (name, value) in headers {
        curl.arg("--header").arg(format!("{name}: {value}"));
    }
    let output = curl.arg(format!("http://{address}{target}")).stdin(Stdio::null()).output().expect("curl");
    let shown =
        || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.starts_with(b"HTTP/2 "), "{target}: {}", shown());
    http::parse(&output.stdout, method == "HEAD").unwrap_or_else(|| panic!("{target}: {}", shown()))
}
