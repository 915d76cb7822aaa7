//! The serving side in this process, with a handler that answers by the path.

#![allow(dead_code, reason = "each test file needs its own part of this")]

use std::fmt::Display;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use piwigo_gate::fastcgi::Head;
use piwigo_gate::files::Sendable;
use piwigo_gate::http::reply::{DenyStatus, Handover, Reply};
use piwigo_gate::http::request::{Method, Request};
use piwigo_gate::http::{Conditions, Streamed};
use piwigo_gate::server::limits::Limits;
use piwigo_gate::server::listen::Listen;
use piwigo_gate::server::serve::{Handler, serve};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::support::patience::PATIENCE;
use crate::webserver;

/// Answers by the path: what the tests need to see.
pub struct Scripted {
    pub handled: AtomicUsize,
    pub hold: Semaphore,
    /// What `/film` streams.
    film: PathBuf,
}

/// Length of the film in bytes: far more than the buffers of a socket hold.
pub const FILM: u64 = 32 * 1024 * 1024;

impl Handler for Scripted {
    async fn handle(&self, request: &Request<'_>) -> Reply {
        self.handled.fetch_add(1, Ordering::SeqCst);
        match request.uri {
            b"/panic" => panic!("as asked"),
            b"/hold" => {
                self.hold.acquire().await.unwrap().forget();
                Reply::Refused(DenyStatus::Forbidden)
            }
            _ if request.method == Method::Other => Reply::MethodNotAllowed,
            b"/film" => {
                let path = self.film.display().to_string();
                let file = Sendable { path, length: FILM, modified: SystemTime::UNIX_EPOCH };
                let handle = File::open(&self.film).unwrap();
                let now = SystemTime::now();
                let streamed = Streamed::new(handle, file, &Conditions::default(), false, now);
                Reply::Allowed {
                    handover: Handover::Stream(streamed),
                    cache: "private".into(),
                    disposition: None,
                }
            }
            uri => Reply::Allowed {
                handover: Handover::AccelFile { path: String::from_utf8_lossy(&uri[1..]).into_owned() },
                cache: "private".into(),
                disposition: None,
            },
        }
    }

    fn refuse(&self, _: &Head, _: &dyn Display) -> Reply {
        Reply::Refused(DenyStatus::NotFound)
    }
}

pub struct Running {
    pub socket: PathBuf,
    pub handler: Arc<Scripted>,
    pub stop: watch::Sender<bool>,
    pub serving: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

/// The end comes before a test's patience is over.
const DRAIN: Duration = Duration::from_secs(PATIENCE.as_secs() / 2);

/// No clock but that of the end ends anything here, however slow the machine.
pub const LIMITS: Limits = Limits {
    max_connections: 4,
    header_timeout: PATIENCE,
    idle_timeout: PATIENCE,
    write_timeout: PATIENCE,
    drain_timeout: DRAIN,
};

/// For what a clock must end.
pub const SHORT: Limits = Limits {
    max_connections: 4,
    header_timeout: Duration::from_millis(400),
    idle_timeout: Duration::from_millis(400),
    write_timeout: Duration::from_millis(400),
    drain_timeout: DRAIN,
};

pub fn start(limits: Limits) -> Running {
    start_at(limits, |directory| {
        let path = directory.join("gate.sock");
        (Listen::Unix { path: path.clone(), mode: 0o600, group: None }, path)
    })
}

/// The same on a free port of the loopback interface.
pub fn start_tcp(limits: Limits) -> (Running, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    (start_at(limits, |_| (Listen::Tcp(address), PathBuf::new())), address)
}

fn start_at(limits: Limits, listen: impl FnOnce(&Path) -> (Listen, PathBuf)) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let film = directory.path().join("film.mp4");
    File::create(&film).unwrap().set_len(FILM).unwrap();
    let (listen, socket) = listen(directory.path());
    let listeners = listen.open(&Arc::default()).unwrap();
    let handler = Arc::new(Scripted { handled: AtomicUsize::new(0), hold: Semaphore::new(0), film });
    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(serve(listeners, handler.clone(), limits, stopping));
    Running { socket, handler, stop, serving, _directory: directory }
}

impl Running {
    pub async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    pub async fn end(self) {
        self.stop.send(true).unwrap();
        timeout(PATIENCE, self.serving).await.expect("the drain ends").unwrap();
    }
}

/// One request as raw bytes.
pub fn raw(uri: &str, method: &str, keep: bool) -> Vec<u8> {
    let pairs = [
        webserver::pair(b"REQUEST_METHOD", method.as_bytes()),
        webserver::pair(b"REQUEST_URI", uri.as_bytes()),
        webserver::pair(b"REMOTE_ADDR", b"127.0.0.1"),
    ];
    [
        webserver::begin(1, 1, u8::from(keep)),
        webserver::record(4, 1, &pairs.concat()),
        webserver::record(4, 1, b""),
        webserver::record(5, 1, b""),
    ]
    .concat()
}

/// What comes until the peer closes.
pub async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the gate closes");
    bytes
}

/// What comes until `count` replies have ended.
pub async fn read_replies(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<u8> {
    let end = webserver::end_request(1, 0);
    let mut bytes = Vec::new();
    while bytes.windows(end.len()).filter(|window| *window == end).count() < count {
        let mut chunk = [0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut chunk)).await.expect("an answer").unwrap();
        assert!(read > 0, "closed early: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..read]);
    }
    bytes
}

pub fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
