//! Measures the gate's own layers without database and web server: the processor time to decode a request,
//! read its params, read its URI, and encode the reply; and the system calls of one request through a real
//! unix socket.
//!
//! `cargo bench --bench layers` prints nanoseconds per request. For `benches/run.sh`, which counts the system
//! calls, `layers serve SOCKET` answers every request on a socket with a yes, and `layers ask SOCKET one|new
//! COUNT` sends requests to it.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use piwigo_gate::fastcgi::{self, Decoder, Event, Head};
use piwigo_gate::http::reply::{Handover, Reply};
use piwigo_gate::http::request::Request;
use piwigo_gate::piwigo::layout::Layout;
use piwigo_gate::piwigo::sizes::stored::DerivativeConfig;
use piwigo_gate::server::limits::Limits;
use piwigo_gate::server::listen::Listen;
use piwigo_gate::server::serve::{Handler, serve};
use piwigo_gate::verdict::uri::Target;

const REQUEST: &[u8] = include_bytes!("../tests/data/captures/nginx-1.22.1-get-keepconn.bin");
const FILE: &str = "_data/i/upload/2024/01/02/20240102030405-0123abcd-th.jpg";
const ROUNDS: u32 = 7;
const REQUESTS: u32 = 200_000;

/// Says yes to every request, with one file: the floor below any verdict.
struct Nothing {
    file: String,
}

impl Handler for Nothing {
    async fn handle(&self, _: &Request<'_>) -> Reply {
        Reply::Allowed {
            handover: Handover::AccelFile { path: self.file.clone() },
            cache: "private, max-age=600".into(),
            disposition: None,
        }
    }

    fn refuse(&self, _: &Head, _: &dyn std::fmt::Display) -> Reply {
        Reply::BadRequest
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [_, "serve", socket] => answer_on(socket.into(), FILE),
        [_, "serve", socket, file] => answer_on(socket.into(), file),
        [_, "ask", socket, connections, count] => {
            ask(socket, connections == "one", count.parse().expect("a count"));
        }
        _ => measure(),
    }
}

fn measure() {
    let layout = Layout {
        url_prefix: String::new(),
        derivative_dir: "_data/i/".into(),
        data_dir: "_data/".into(),
        parent_sites: Vec::new(),
    };
    let sizes = DerivativeConfig::default();
    let uri = format!("/{FILE}");
    let mut decoder = Decoder::new(1);
    let (mut head, mut output) = (Vec::new(), Vec::new());
    let mut once = |part: Part| {
        let (_, event) = decoder.decode(black_box(REQUEST), &mut output);
        let Event::Request(begun) = event else { panic!("the capture is one request") };
        if part >= Part::Params {
            let params = decoder.params();
            black_box(Request::from_params(begun.role, &params).expect("a good request"));
        }
        if part >= Part::Uri {
            black_box(Target::read(black_box(uri.as_bytes()), &layout, &sizes).expect("a good URI"));
        }
        if part >= Part::Reply {
            let reply = Reply::Allowed {
                handover: Handover::AccelFile { path: FILE.into() },
                cache: "private, max-age=600".into(),
                disposition: None,
            };
            head.clear();
            let body = reply.encode(false, &mut head);
            output.clear();
            fastcgi::encode_reply(begun.id, &head, body, &mut output);
            black_box(&output);
        }
    };
    println!("processor time per request, one core, median of {ROUNDS} rounds of {REQUESTS}:");
    let mut before = 0.0;
    for (part, name) in [
        (Part::FastCgi, "FastCGI: bytes to params"),
        (Part::Params, "+ params to request"),
        (Part::Uri, "+ URI to target"),
        (Part::Reply, "+ reply to bytes"),
    ] {
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..REQUESTS {
                    once(part);
                }
                start.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS)
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds[rounds.len() / 2];
        println!("  {name:<28} {:>7.0} ns   (sum {median:.0} ns)", median - before);
        before = median;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    FastCgi,
    Params,
    Uri,
    Reply,
}

fn answer_on(socket: PathBuf, file: &str) {
    let handler = Arc::new(Nothing { file: file.to_owned() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listeners =
            Listen::Unix { path: socket, mode: 0o666, group: None }.open(&Arc::default()).expect("a socket");
        let (_stop, stopping) = tokio::sync::watch::channel(false);
        let limits = Limits { idle_timeout: Duration::from_secs(5), ..Limits::default() };
        // The script that started this process ends it; otherwise it ends after ten minutes.
        let _ =
            tokio::time::timeout(Duration::from_mins(10), serve(listeners, handler, limits, stopping)).await;
    });
}

/// Sends the captured request `count` times, on one connection or each on a new one, and waits for the end of
/// each reply.
fn ask(socket: &str, one_connection: bool, count: u32) {
    let mut request = REQUEST.to_vec();
    // The flags of BEGIN_REQUEST: FCGI_KEEP_CONN or not.
    request[10] = u8::from(one_connection);
    let mut connection: Option<UnixStream> = None;
    for _ in 0..count {
        let mut stream =
            connection.take().unwrap_or_else(|| UnixStream::connect(socket).expect("the responder"));
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        stream.write_all(&request).expect("the responder reads");
        let mut reply = Vec::new();
        while !reply.ends_with(&END) {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).expect("a reply in time");
            assert!(read > 0, "closed without END_REQUEST");
            reply.extend_from_slice(&chunk[..read]);
        }
        connection = one_connection.then_some(stream);
    }
}

/// `END_REQUEST` of request 1, complete, application status 0.
const END: [u8; 16] = [1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
