//! Turns accepted connections into answered requests, one task per connection: reads bytes, decodes them with
//! [`crate::fastcgi`], asks the [`Handler`] and writes the reply, in one piece unless the gate sends a file
//! itself. Holds all times of the serving side: header, idle and write timeouts, and the drain at the end.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use super::limits::Limits;
use super::listen::{Listener, Stream};
use super::places::{Connections, FIRST_BYTE, Slot, stopped};
use crate::fastcgi::{self, Decoder, Event, Head, ParamsState};
use crate::http::Body;
use crate::http::reply::Reply;
use crate::http::request::{self, Method, Question, Request};
use crate::throttle::Throttle;

/// Size of one read: a browser's usual request is 1 KiB, its largest cookies 16 KiB.
const INPUT_BYTES: usize = 16 * 1024;

/// Most buffers kept for the next connections; nginx opens a new connection for nearly every request.
const SPARE_BUFFERS: usize = 64;

/// Longest time for files that the gate sends itself after the signal to stop; `drain_timeout` may be
/// shorter. A film would delay a restart until its viewer has seen it all, and a client can resume with a
/// range request.
const STREAM_DRAIN: Duration = Duration::from_secs(5);

/// How long sending a file may take before its connection is counted apart from the others.
const LONG_STREAM: Duration = Duration::from_secs(1);

/// How long the gate waits for a client to close a connection after its last answer.
const LINGER: Duration = Duration::from_secs(1);

/// How many bytes from the client the gate reads and drops meanwhile.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// How long the gate waits after a failed `accept`. It has most likely no descriptor left, and connections
/// need time to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the queue must be silent during the drain to count as empty, if clients can still connect.
/// Looking once is not enough: the runtime returns "nothing there" before it has heard from the system, and
/// after every 128 connections.
const LAST_CALL: Duration = Duration::from_millis(20);

/// Answers requests. A panic in it is answered with 503.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: &Request<'_>) -> impl Future<Output = Reply> + Send;

    /// Returns the answer to params that form no request; `why` is for the log.
    fn refuse(&self, head: &Head, why: &dyn std::fmt::Display) -> Reply;
}

/// Serves on `listeners` until `stop` turns true, then finishes the requests under way and returns.
pub async fn serve<H: Handler>(
    listeners: Vec<Listener>,
    handler: Arc<H>,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let (end_streams, streams_end) = watch::channel(false);
    let shared = Arc::new(Shared {
        handler,
        limits,
        connections: Arc::new(Connections::new(limits.max_connections)),
        spare: Mutex::new(Vec::new()),
        stop: stop.clone(),
        streams_end,
        cut_short: AtomicUsize::new(0),
        violations: Throttle::default(),
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, shared.clone(), stop.clone()));
    }
    let failed = |ended: Result<(), JoinError>| {
        if let Err(error) = ended {
            tracing::error!(%error, "the accepting task failed");
        }
    };
    let mut stopping = stop.clone();
    tokio::select! {
        () = stopped(&mut stopping) => {}
        Some(ended) = accepting.join_next() => failed(ended),
    }
    // Clients that have connected but wait for a place are served too, within the same time.
    let drained = async {
        while let Some(ended) = accepting.join_next().await {
            failed(ended);
        }
        shared.connections.all_closed().await;
    };
    let cutting = async {
        tokio::time::sleep(STREAM_DRAIN).await;
        end_streams.send_replace(true);
        std::future::pending::<()>().await;
    };
    let ended = timeout(limits.drain_timeout, async {
        tokio::select! {
            () = drained => {}
            () = cutting => {}
        }
    });
    let ended = ended.await;
    let count = shared.cut_short.load(Ordering::Relaxed);
    if count > 0 {
        tracing::info!(
            count,
            "files that the gate was still sending {} s after the signal to stop were cut short; their readers can go on by a range \
             request",
            STREAM_DRAIN.as_secs()
        );
    }
    if ended.is_err() {
        tracing::warn!(
            "requests were still under way {} s after the signal to stop",
            limits.drain_timeout.as_secs()
        );
    }
}

struct Shared<H> {
    handler: Arc<H>,
    limits: Limits,
    connections: Arc<Connections>,
    spare: Mutex<Vec<Buffers>>,
    stop: watch::Receiver<bool>,
    /// Turns true when the time for files after `stop` is over.
    streams_end: watch::Receiver<bool>,
    /// How many files were cut short for that reason.
    cut_short: AtomicUsize,
    /// Counts the connections that broke the protocol.
    violations: Throttle,
}

/// The buffers of one connection, kept for reuse.
struct Buffers {
    decoder: Decoder,
    input: Box<[u8]>,
    head: Vec<u8>,
    output: Vec<u8>,
}

impl<H> Shared<H> {
    fn buffers(&self) -> Buffers {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Buffers {
            decoder: Decoder::new(u32::try_from(self.limits.max_connections).unwrap_or(u32::MAX))
                .handing_out_early(request::needs_no_body),
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            head: Vec::new(),
            output: Vec::new(),
        })
    }

    fn give_back(&self, mut buffers: Buffers) {
        buffers.decoder.reset();
        buffers.output.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_BUFFERS {
            spare.push(buffers);
        }
    }
}

async fn accept<H: Handler>(mut listener: Listener, shared: Arc<Shared<H>>, mut stop: watch::Receiver<bool>) {
    let failures = Throttle::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => start(stream, &shared).await,
            Err(error) => {
                if let Some(count) = failures.count() {
                    tracing::warn!(
                        %error,
                        count,
                        "cannot accept a connection; tried again 20 times a second, said once a minute"
                    );
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Clients that have already connected are served: first the gate stops new ones from connecting, then it
    // empties the queue.
    let deadline = Instant::now() + FIRST_BYTE;
    let Some(queue) = listener.refuse_new() else {
        while Instant::now() < deadline
            && let Ok(Ok(stream)) = timeout(LAST_CALL, listener.accept()).await
        {
            start(stream, &shared).await;
        }
        return;
    };
    loop {
        match queue.next() {
            Ok(Some(stream)) => start(stream, &shared).await,
            Ok(None) => break,
            Err(_) if Instant::now() < deadline => tokio::time::sleep(ACCEPT_PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, "a client that had already connected cannot be accepted");
                break;
            }
        }
    }
}

async fn start<H: Handler>(stream: Stream, shared: &Arc<Shared<H>>) {
    let mut slot = shared.connections.open().await;
    let shared = shared.clone();
    tokio::spawn(async move {
        let mut buffers = shared.buffers();
        converse(stream, &mut buffers, &mut slot, &shared).await;
        shared.give_back(buffers);
    });
}

/// Serves one connection from its first byte to its last.
async fn converse<H: Handler>(
    mut stream: Stream,
    buffers: &mut Buffers,
    slot: &mut Slot,
    shared: &Shared<H>,
) {
    let Buffers { decoder, input, head, output } = buffers;
    let limits = &shared.limits;
    let (mut start, mut end) = (0, 0);
    // A request must be complete in time, counted from its first byte, whatever else its connection carries.
    let mut deadline = Instant::now() + limits.header_timeout;
    let mut resting = false;
    loop {
        let (used, event) = decoder.decode(&input[start..end], output);
        start += used;
        let goes_on = match event {
            Event::NeedMore => {
                let read = slot.wait(&shared.stop, resting, deadline, stream.read(input)).await;
                let Some(count) = read.filter(|&count| count > 0) else { return };
                (start, end) = (0, count);
                if resting {
                    resting = false;
                    deadline = Instant::now() + limits.header_timeout;
                }
                continue;
            }
            Event::Answer { keep_conn } => keep_conn,
            Event::Request(request) => {
                let body = answer(decoder, &request, head, output, shared).await;
                if let Some(body) = body {
                    let sending = send(&mut stream, request.id, body, output, limits);
                    if !send_for_long(sending, slot, shared).await {
                        return;
                    }
                    if request.keep_conn {
                        slot.come_back().await;
                    }
                }
                resting = start == end;
                let rest = if resting { limits.idle_timeout } else { limits.header_timeout };
                deadline = Instant::now() + rest;
                request.keep_conn
            }
            Event::Close(violation) => {
                if let Some(count) = shared.violations.count() {
                    tracing::warn!(
                        %violation,
                        count,
                        "the web server's connection broke the FastCGI protocol; said once a minute"
                    );
                }
                false
            }
        };
        if !write(&mut stream, output, limits).await {
            return;
        }
        if !goes_on {
            return part(stream, slot, input).await;
        }
    }
}

/// Ends a connection after its last answer. If the gate closed it with bytes unread, the system would reset
/// it, and the end of the answer could be lost. So the gate only stops writing, then reads and drops bytes
/// until the client closes, within [`LINGER`] and [`LINGER_BYTES`] and while no new connection needs the
/// place.
async fn part(mut stream: Stream, slot: &Slot, input: &mut [u8]) {
    if stream.end_writing().await.is_err() {
        return;
    }
    let unread = async {
        let mut left = LINGER_BYTES;
        while left > 0
            && let Ok(count @ 1..) = stream.read(input).await
        {
            left = left.saturating_sub(count);
        }
    };
    slot.linger(LINGER, unread).await;
}

/// Asks the handler and encodes its reply. For a file that the gate sends itself, encodes only the head and
/// returns the body.
async fn answer<H: Handler>(
    decoder: &Decoder,
    request_head: &Head,
    head: &mut Vec<u8>,
    output: &mut Vec<u8>,
    shared: &Shared<H>,
) -> Option<Body> {
    let (reply, head_only) = match request_head.params {
        ParamsState::TooLarge => (Reply::HeadersTooLarge, false),
        ParamsState::Malformed => (Reply::BadRequest, false),
        ParamsState::Complete => match Request::from_params(request_head.role, &decoder.params()) {
            Err(why) => (shared.handler.refuse(request_head, &why), false),
            Ok(asked) => {
                let reply = AssertUnwindSafe(shared.handler.handle(&asked)).catch_unwind().await;
                let reply = reply.unwrap_or_else(|_| {
                    tracing::error!("a panic while answering; the request gets a 503, the gate goes on");
                    Reply::Unavailable
                });
                (reply, asked.method == Method::Head)
            }
        },
    };
    let question = Question::of(request_head.role, &decoder.params());
    // An authorizer or authenticator request gets the complete header block, also for HEAD: nginx, if it
    // caches the answer, waits for as many bytes as `Content-Length` announces.
    let head_only = head_only && question == Question::Which;
    let reply = match question {
        Question::Which => reply,
        Question::Whether => reply.for_authorizer(),
        Question::Who => reply.for_authenticator(),
    };
    head.clear();
    let encoded = std::panic::catch_unwind(AssertUnwindSafe(|| reply.encode(head_only, head)));
    let body = encoded.unwrap_or_else(|_| {
        tracing::error!("a panic while encoding a reply; the request gets a 503, the gate goes on");
        head.clear();
        Reply::Unavailable.encode(head_only, head)
    });
    match reply.streamed().filter(|_| !head_only) {
        None => {
            fastcgi::encode_reply(request_head.id, head, body, output);
            None
        }
        body => {
            fastcgi::encode_stdout(request_head.id, head, output);
            body
        }
    }
}

/// Waits for `sending` and returns its result. If sending takes long, the connection is counted apart. False
/// also if the process stops and the time for files is over.
async fn send_for_long<H>(sending: impl Future<Output = bool>, slot: &mut Slot, shared: &Shared<H>) -> bool {
    let mut sending = std::pin::pin!(sending);
    let mut streams_end = shared.streams_end.clone();
    let mut is_apart = false;
    loop {
        tokio::select! {
            biased;
            was_sent = &mut sending => return was_sent,
            () = stopped(&mut streams_end) => {
                shared.cut_short.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            () = tokio::time::sleep(LONG_STREAM), if !is_apart => is_apart = slot.go_apart(),
        }
    }
}

/// Writes a file after its head, piece by piece, and leaves the end of the reply in `output`. False if the
/// file was not sent whole: then the connection must be closed, and the web server knows from
/// `Content-Length` that bytes are missing.
///
/// The write timeout applies to each piece, so that a client may watch a film for hours.
async fn send(stream: &mut Stream, id: u16, mut body: Body, output: &mut Vec<u8>, limits: &Limits) -> bool {
    let mut piece = std::mem::take(output);
    loop {
        if !write_steadily(stream, &piece, limits).await {
            return false;
        }
        if let Err(error) = body.next_record(id, &mut piece).await {
            tracing::warn!(%error, missing = body.remaining(), "a file could not be sent to its end");
            return false;
        }
        if piece.is_empty() {
            fastcgi::encode_end(id, output);
            return true;
        }
    }
}

/// Writes all bytes; false if the peer is gone or takes no bytes for too long.
async fn write_steadily(stream: &mut Stream, mut bytes: &[u8], limits: &Limits) -> bool {
    while !bytes.is_empty() {
        match timeout(limits.write_timeout, stream.write(bytes)).await {
            Ok(Ok(written)) if written > 0 => bytes = &bytes[written..],
            _ => return false,
        }
    }
    true
}

/// Writes and empties `output`; false if the peer is gone or too slow.
async fn write(stream: &mut Stream, output: &mut Vec<u8>, limits: &Limits) -> bool {
    if output.is_empty() {
        return true;
    }
    let written = timeout(limits.write_timeout, stream.write_all(output)).await;
    output.clear();
    // A web server whose client has gone closes early; that is not worth a line in the log.
    matches!(written, Ok(Ok(())))
}
