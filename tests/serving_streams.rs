//! The serving side with files that the gate sends itself and clients that take their time: the end of the process, the end of
//! a connection, and the places.

use std::sync::atomic::Ordering;
use std::time::Duration;

use piwigo_gate::settings::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

#[path = "support/patience.rs"]
mod patience;
#[path = "support/serving.rs"]
mod serving;
mod webserver;
use patience::PATIENCE;
use serving::{LIMITS, Running, contains, raw, read_all, start};

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
