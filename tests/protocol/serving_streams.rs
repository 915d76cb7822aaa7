//! The serving side with files that the gate sends itself and clients that take their time: the end of the
//! process, the end of a connection, and the places.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use piwigo_gate::server::limits::Limits;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::scripted::{FILM, LIMITS, Running, contains, raw, read_all, read_replies, start, start_tcp};
use crate::support::patience::PATIENCE;
use crate::webserver;

/// Asks for the film, reads its first bytes, and takes no more.
async fn slow_reader(running: &Running) -> UnixStream {
    let mut stream = running.connect().await;
    stream.write_all(&raw("/film", "GET", false)).await.unwrap();
    let mut begin = [0; 64];
    timeout(PATIENCE, stream.read_exact(&mut begin)).await.expect("an answer").unwrap();
    stream
}

/// Its reader goes on by a range. A short answer is waited for as long as `drain_timeout` says.
#[tokio::test]
async fn a_file_that_is_being_sent_does_not_hold_the_end_as_other_answers_do() {
    let limits = Limits { write_timeout: 100 * PATIENCE, drain_timeout: 50 * PATIENCE, ..LIMITS };
    let running = start(limits);
    let mut held = running.connect().await;
    held.write_all(&raw("/hold", "GET", true)).await.unwrap();
    let mut film = slow_reader(&running).await;
    while running.handler.handled.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    running.stop.send(true).unwrap();
    // Nobody has to wait for the clock.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let rest = read_all(&mut film).await;
    assert!(!rest.ends_with(&webserver::end_request(1, 0)), "the film was not sent to its end");
    assert!(!running.serving.is_finished(), "one request is still under way");
    running.handler.hold.add_permits(1);
    assert!(contains(&read_all(&mut held).await, "Status: 403 "));
    timeout(PATIENCE, running.serving).await.expect("the drain ends").unwrap();
}

/// `drain_timeout` is the limit of all that is under way.
#[tokio::test]
async fn the_end_comes_when_the_drain_timeout_has_passed() {
    let limits = Limits { max_connections: 2, drain_timeout: Duration::from_secs(2), ..LIMITS };
    let running = start(limits);
    let mut held = running.connect().await;
    held.write_all(&raw("/hold", "GET", true)).await.unwrap();
    let _film = slow_reader(&running).await;
    running.stop.send(true).unwrap();
    tokio::time::pause();
    timeout(Duration::from_secs(3), running.serving).await.expect("the drain ends").unwrap();
}

/// Records of a request that was never begun: the gate ignores them, and a client may send as many as it
/// likes.
fn junk(bytes: usize) -> Vec<u8> {
    let record = webserver::record(webserver::STDIN, 9, &[b'j'; 1016]);
    record.repeat(bytes / record.len())
}

/// A client that has more to say when the answer comes, as one that waits for its own writes before it reads.
async fn writes_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, uri: &str, answer: u64) {
    stream.write_all(&[raw(uri, "GET", false), junk(64 * 1024)].concat()).await.unwrap();
    let mut begin = [0; 8];
    timeout(PATIENCE, stream.read_exact(&mut begin)).await.expect("an answer").unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        stream.write_all(&junk(4096)).await.expect("the gate still listens");
    }
    let mut bytes = begin.to_vec();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the gate closes").expect("no reset");
    assert!(bytes.ends_with(&webserver::end_request(1, 0)), "{uri}: {} bytes", bytes.len());
    assert!(bytes.len() as u64 >= answer, "{uri}: {} bytes", bytes.len());
}

/// A connection that is closed with something unread is reset, and the end of the answer is lost with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_keep_conn_reaches_a_client_that_still_writes() {
    let running = start(LIMITS);
    let (running_tcp, address) = start_tcp(LIMITS);
    for _ in 0..3 {
        for (uri, answer) in [("/upload/a.jpg", 100), ("/film", FILM)] {
            writes_on(running.connect().await, uri, answer).await;
            writes_on(TcpStream::connect(address).await.unwrap(), uri, answer).await;
        }
    }
    running.end().await;
    running_tcp.end().await;
}

/// It has its answer, and neither closes nor stops.
#[tokio::test]
async fn a_client_that_never_stops_writing_is_closed() {
    let running = start(LIMITS);
    let mut stream = running.connect().await;
    stream.write_all(&raw("/upload/a.jpg", "GET", false)).await.unwrap();
    let closed = async { while stream.write_all(&junk(64 * 1024)).await.is_ok() {} };
    timeout(PATIENCE, closed).await.expect("the gate closes it");
    running.end().await;
}

/// A client that has its answer and does not close costs a newcomer nothing, nor the end.
#[tokio::test]
async fn a_client_that_does_not_close_gives_its_place_to_a_newcomer() {
    let running = start(Limits { max_connections: 1, ..LIMITS });
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut stream = running.connect().await;
        stream.write_all(&raw("/upload/a.jpg", "GET", false)).await.unwrap();
        assert!(contains(&read_all(&mut stream).await, "Status: 200 OK"));
        kept.push(stream);
    }
    running.end().await;
}

/// A visitor who watches a film holds a place for as long as it takes.
#[tokio::test]
async fn files_that_are_sent_for_long_take_no_places() {
    let running = start(Limits { max_connections: 2, write_timeout: 100 * PATIENCE, ..LIMITS });
    let _films = [slow_reader(&running).await, slow_reader(&running).await];
    let mut newcomer = running.connect().await;
    newcomer.write_all(&raw("/new", "GET", false)).await.unwrap();
    // Nobody has to wait for the clock.
    tokio::time::pause();
    assert!(contains(&read_all(&mut newcomer).await, "/_gate/file/new\r\n"));
}

/// The connection goes on in a place when the file has been sent.
#[tokio::test]
async fn after_a_file_that_was_sent_for_long_its_connection_is_used_again() {
    let running = start(Limits { max_connections: 2, write_timeout: 100 * PATIENCE, ..LIMITS });
    for _ in 0..2 {
        let mut stream = running.connect().await;
        stream.write_all(&raw("/film", "GET", true)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
        while !bytes.ends_with(&webserver::end_request(1, 0)) {
            let count = timeout(PATIENCE, stream.read(&mut chunk)).await.expect("the film goes on").unwrap();
            assert!(count > 0, "closed early");
            bytes.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(&raw("/again", "GET", true)).await.unwrap();
        assert!(contains(&read_replies(&mut stream, 1).await, "/_gate/file/again\r\n"));
    }
    running.end().await;
}

/// The lines that the gate logs in this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone());
        tracing::subscriber::set_default(lines.finish())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test]
async fn a_gate_without_a_free_place_says_so_and_what_takes_them() {
    let log = Log::default();
    let _listening = log.listen();
    let running = start(Limits { max_connections: 2, write_timeout: 100 * PATIENCE, ..LIMITS });
    let mut films = vec![slow_reader(&running).await, slow_reader(&running).await];
    tokio::time::pause();
    films.push(slow_reader(&running).await);
    films.push(slow_reader(&running).await);
    assert_eq!(log.text(), "");
    for round in 0..2 {
        let mut newcomer = running.connect().await;
        newcomer.write_all(&raw("/new", "GET", false)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let text = log.text();
        let line = text.lines().next().expect("a line");
        let is_told =
            line.contains(" WARN ") && line.contains("no place is free") && line.contains("files=4");
        assert!(is_told, "{round}: {line}");
        assert_eq!(text.lines().count(), 1, "a newcomer a minute is told of: {text}");
        // One of the readers goes.
        films.pop();
        assert!(contains(&read_all(&mut newcomer).await, "/_gate/file/new\r\n"));
        films.push(slow_reader(&running).await);
    }
}
