//! An HTTP/1.1 client that sends the request target byte for byte as given, without normalising or encoding
//! it.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::patience::PATIENCE;

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// In the order received, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without transfer encoding.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All headers of this (lower-case) name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text, with replacement characters for what is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request without body and reads the answer to its end.
///
/// Adds `Host` and `Connection: close` unless `headers` has them.
pub fn request(
    address: SocketAddr,
    method: &str,
    target: impl AsRef<[u8]>,
    headers: &[(&str, &str)],
) -> Response {
    request_with_body(address, method, target, headers, b"")
}

/// `GET` without further headers.
pub fn get(address: SocketAddr, target: impl AsRef<[u8]>) -> Response {
    request(address, "GET", target, &[])
}

/// Sends a request with a body, and with its `Content-Length` unless the body is empty.
pub fn request_with_body(
    address: SocketAddr,
    method: &str,
    target: impl AsRef<[u8]>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut text = Vec::new();
    text.extend_from_slice(method.as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.as_ref());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let has = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if !has("host") {
        text.extend_from_slice(format!("Host: {address}\r\n").as_bytes());
    }
    if !has("connection") {
        text.extend_from_slice(b"Connection: close\r\n");
    }
    if !body.is_empty() && !has("content-length") {
        text.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    for (name, value) in headers {
        text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body);
    let raw = exchange(address, &text);
    parse(&raw, method == "HEAD").unwrap_or_else(|| {
        panic!("not an HTTP answer to {}:\n{}", String::from_utf8_lossy(&text), String::from_utf8_lossy(&raw))
    })
}

/// Sends bytes, and reads until the server closes the connection.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
    // A server may answer and close before it has read a large body; then the answer counts, not the broken
    // pipe.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            // A signal stopped this process and it goes on.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if answer.is_empty() => panic!("no answer from {address}: {error}"),
            Err(_) => break,
        }
    }
    answer
}

/// Encodes a path for a request line: every byte except letters, digits and `-._~/`.
pub fn url(path: &str) -> String {
    let mut out = String::from("/");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("String grows");
        }
    }
    out
}

/// Parses an answer from its status line to its end; `None` if it is no answer. `head`: the answer announces
/// the length of a body that it does not have.
pub fn parse(raw: &[u8], head: bool) -> Option<Response> {
    let end = find(raw, b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let status: u16 = lines.next()?.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(&raw[end + 4..], head);
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &raw[end + 4..];
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, v)| v.parse().ok());
    let body = match (chunked && !head, length) {
        (true, _) => unchunk(body)?,
        // Bytes after the announced length stay visible, because they are a fault of the server or the
        // responder.
        (false, Some(length)) if !head && body.len() < length => {
            panic!("the answer ends after {} of {length} bytes:\n{text}", body.len())
        }
        (false, _) => body.to_vec(),
    };
    Some(Response { status, headers, body })
}

/// The body in these chunks; `None` if the last chunk is missing.
pub fn unchunk(mut raw: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(raw, b"\r\n")?;
        let size = std::str::from_utf8(&raw[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        raw = &raw[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(raw.get(..size)?);
        raw = raw.get(size + 2..)?;
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
