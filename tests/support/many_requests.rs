//! A small HTTP/1.1 client for tens of thousands of requests: it keeps a few connections open and returns the
//! bytes of each answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::http;
use super::markers::Visitor;
use super::patience::PATIENCE;

/// Connections at a time. More would only wait for the two processors of a small machine.
const CONNECTIONS: usize = 4;

/// An answer's bytes, from the status line to the end, without transfer encoding.
pub struct Raw {
    /// 0 if there is no status line.
    pub status: u16,
    pub bytes: Vec<u8>,
}

/// Requests each target with this `Cookie` header, and passes each answer to `look` with the number of its
/// target.
///
/// `None`: the server closed the connection without an answer, as it may if the bytes are no request.
pub fn ask_all(
    address: SocketAddr,
    cookie: &str,
    targets: &[Vec<u8>],
    look: impl Fn(usize, Option<&Raw>) + Sync,
) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection { address, stream: None };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(target) = targets.get(number) else { break };
                    match connection.ask(target, cookie) {
                        Ok(answer) => look(number, answer.as_ref()),
                        Err(error) => {
                            let shown = String::from_utf8_lossy(target).into_owned();
                            failed.lock().expect("no panic").get_or_insert(format!("{shown}: {error}"));
                            next.store(targets.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().expect("no panic") {
        panic!("no answer to {error}");
    }
}

/// Requests each target, and returns the first answers that hold text that this visitor may not have.
pub fn leaks(address: SocketAddr, visitor: &Visitor, targets: &[Vec<u8>]) -> Vec<String> {
    let leaks = Mutex::new(Vec::new());
    ask_all(address, &visitor.cookie, targets, |number, answer| {
        if let Some(marker) = answer.and_then(|answer| visitor.leak(&answer.bytes)) {
            leaks.lock().expect("no panic").push(format!("{}: {marker}", targets[number].escape_ascii()));
        }
    });
    let mut leaks = leaks.into_inner().expect("no panic");
    leaks.truncate(40);
    leaks
}

struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Connection {
    fn ask(&mut self, target: &[u8], cookie: &str) -> io::Result<Option<Raw>> {
        // A line end in the target turns the rest into another request, whose answer must not be taken for
        // that of the next target.
        let is_alone = target.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0));
        if is_alone {
            self.stream = None;
        }
        let mut request = b"GET ".to_vec();
        request.extend_from_slice(target);
        request.extend_from_slice(format!(" HTTP/1.1\r\nHost: {}\r\n", self.address).as_bytes());
        if !cookie.is_empty() {
            request.extend_from_slice(format!("Cookie: {cookie}\r\n").as_bytes());
        }
        request.extend_from_slice(if is_alone { b"Connection: close\r\n\r\n" } else { b"\r\n" });
        let was_used = self.stream.is_some();
        match self.exchange(&request, is_alone) {
            // The server has closed a connection that it kept open so far.
            Ok(None) | Err(_) if was_used => {
                self.stream = None;
                self.exchange(&request, is_alone)
            }
            result => result,
        }
    }

    fn exchange(&mut self, request: &[u8], is_alone: bool) -> io::Result<Option<Raw>> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                none.insert(stream)
            }
        };
        // A server may answer and close before it has read the whole request.
        let sent = stream.write_all(request);
        let answer = read_answer(stream, is_alone);
        match answer {
            Ok((raw, true)) => Ok(Some(raw)),
            Ok((raw, false)) => {
                self.stream = None;
                Ok((!raw.bytes.is_empty()).then_some(raw))
            }
            Err(error) if is_closed(&error) => {
                self.stream = None;
                Ok(None)
            }
            Err(error) => {
                self.stream = None;
                sent.and(Err(error))
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Reads one answer, or with `to_end` all bytes up to the end. Returns also whether the connection can be
/// used again.
fn read_answer(stream: &mut TcpStream, to_end: bool) -> io::Result<(Raw, bool)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8 * 1024];
    loop {
        if let Some(raw) = whole(&bytes).filter(|_| !to_end) {
            let goes_on = !says_close(&raw.bytes);
            return Ok((raw, goes_on));
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if !is_closed(&error) || bytes.is_empty() => return Err(error),
            _ => {
                let raw = whole(&bytes).unwrap_or(Raw { status: status(&bytes), bytes });
                return Ok((raw, false));
            }
        }
    }
}

/// The answer, if it is complete. An answer that only ends with the connection counts as incomplete.
fn whole(bytes: &[u8]) -> Option<Raw> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(bytes.get(..head).filter(|head| head.starts_with(b"HTTP/"))?)
        .to_ascii_lowercase();
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let status = status(bytes);
    if value("transfer-encoding") == Some("chunked") {
        let body = http::unchunk(&bytes[head..])?;
        return Some(Raw { status, bytes: [&bytes[..head], &body].concat() });
    }
    let length = if matches!(status, 204 | 304) { 0 } else { value("content-length")?.parse().ok()? };
    // Bytes after the announced length stay visible.
    (bytes.len() >= head + length).then(|| Raw { status, bytes: bytes.to_vec() })
}

fn says_close(bytes: &[u8]) -> bool {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase().contains("\r\nconnection: close")
}

fn status(bytes: &[u8]) -> u16 {
    let line = bytes.get(9..12).filter(|_| bytes.starts_with(b"HTTP/"));
    line.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}
