//! The serving side over a real unix socket: an independent FastCGI client, hand-made bytes, and each limit.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastcgi_client::{Client, Params, Request as ClientRequest, io};
use piwigo_gate::server::limits::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::scripted::{LIMITS, SHORT, contains, raw, read_all, read_replies, start};
use crate::support::fastcgi;
use crate::support::patience::PATIENCE;
use crate::webserver;

fn params(uri: &str) -> Params<'_> {
    Params::default()
        .request_method("GET")
        .request_uri(uri)
        .remote_addr("127.0.0.1")
        .server_software("nginx/1.22.1")
}

async fn ask(socket: &Path, uri: &str) -> String {
    let stream = UnixStream::connect(socket).await.unwrap();
    fastcgi::ask(stream, params(uri)).await
}

#[tokio::test]
async fn an_independent_client_is_answered() {
    let running = start(LIMITS);
    let text = ask(&running.socket, "/upload/a.jpg").await;
    assert!(text.starts_with("Status: 200 OK\r\nX-Accel-Redirect: /_gate/file/upload/a.jpg\r\n"), "{text}");

    let stream = running.connect().await;
    let mut client = Client::new_keep_alive_tokio(stream);
    for number in 0..50 {
        let uri = format!("/upload/{number}.jpg");
        let output = client.execute(ClientRequest::new(params(&uri), io::empty())).await.unwrap();
        assert!(contains(&output.stdout.unwrap(), &format!("/_gate/file/upload/{number}.jpg\r\n")));
    }
    running.end().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_after_another() {
    let running = start(LIMITS);
    let mut stream = running.connect().await;
    let requests = [raw("/1", "GET", true), raw("/2", "GET", true), raw("/3", "GET", false)].concat();
    stream.write_all(&requests).await.unwrap();
    let bytes = read_all(&mut stream).await;
    let places: Vec<_> = ["/_gate/file/1\r", "/_gate/file/2\r", "/_gate/file/3\r"]
        .iter()
        .map(|text| bytes.windows(text.len()).position(|window| window == text.as_bytes()))
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    running.end().await;
}

#[tokio::test]
async fn a_panic_is_a_503_and_the_process_goes_on() {
    let running = start(LIMITS);
    let text = ask(&running.socket, "/panic").await;
    assert!(text.starts_with("Status: 503 Service Unavailable\r\n"), "{text}");
    assert!(ask(&running.socket, "/upload/a.jpg").await.starts_with("Status: 200 OK\r\n"));
    running.end().await;
}

#[tokio::test]
async fn other_methods_get_405_and_head_gets_no_body() {
    let running = start(LIMITS);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let mut stream = running.connect().await;
        stream.write_all(&raw("/upload/a.jpg", method, false)).await.unwrap();
        let bytes = read_all(&mut stream).await;
        assert!(contains(&bytes, "Status: 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"), "{method}");
    }
    for (method, body) in [("GET", true), ("HEAD", false)] {
        let mut stream = running.connect().await;
        stream.write_all(&raw("/panic", method, false)).await.unwrap();
        let bytes = read_all(&mut stream).await;
        assert!(contains(&bytes, "Status: 503 ") && contains(&bytes, "Content-Length: 16\r\n"), "{method}");
        assert_eq!(contains(&bytes, "Try again later\n"), body, "{method}");
    }
    running.end().await;
}

/// A visitor may send gigabytes to an address that takes none of them.
#[tokio::test]
async fn what_is_refused_by_its_head_is_refused_before_its_body() {
    let running = start(LIMITS);
    let post = [
        webserver::pair(b"REQUEST_METHOD", b"POST"),
        webserver::pair(b"REQUEST_URI", b"/upload/a.jpg"),
        webserver::pair(b"REMOTE_ADDR", b"127.0.0.1"),
    ];
    for (what, params, expected) in [
        ("a method", post.concat(), "Status: 405 "),
        ("params over the limit", webserver::pair(b"HTTP_COOKIE", &vec![b'c'; 70_000]), "Status: 431 "),
        ("broken params", vec![0x80, 0xff, 0xff, 0xff, 1], "Status: 400 "),
    ] {
        for keep in [false, true] {
            let mut stream = running.connect().await;
            let head = [
                webserver::begin(1, 1, u8::from(keep)),
                webserver::stream(4, 1, &params, 16_000),
                webserver::record(4, 1, b""),
                webserver::record(5, 1, &[b'b'; 1000]),
            ];
            stream.write_all(&head.concat()).await.unwrap();
            let answer = read_replies(&mut stream, 1).await;
            assert!(contains(&answer, expected), "{what} {keep}: {}", String::from_utf8_lossy(&answer));
            // More than is read of a body that is waited for.
            let body = webserver::record(5, 1, &vec![b'b'; 64_000]).repeat(80);
            stream.write_all(&[body, webserver::record(5, 1, b"")].concat()).await.unwrap();
            if keep {
                stream.write_all(&raw("/next", "GET", true)).await.unwrap();
                assert!(contains(&read_replies(&mut stream, 1).await, "/_gate/file/next\r\n"), "{what}");
            } else {
                assert!(read_all(&mut stream).await.is_empty(), "{what}");
            }
        }
    }
    running.end().await;
}

#[tokio::test]
async fn params_over_the_limit_get_431_and_broken_ones_400() {
    let running = start(LIMITS);
    for (params, expected) in [
        (webserver::pair(b"HTTP_COOKIE", &vec![b'c'; 70_000]), "Status: 431 "),
        (vec![0x80, 0xff, 0xff, 0xff, 1], "Status: 400 "),
    ] {
        let mut stream = running.connect().await;
        let mut bytes = webserver::begin(1, 1, 0);
        bytes.extend(webserver::stream(4, 1, &params, 16_000));
        bytes.extend(webserver::record(4, 1, b""));
        bytes.extend(webserver::record(5, 1, b""));
        stream.write_all(&bytes).await.unwrap();
        assert!(contains(&read_all(&mut stream).await, expected), "{expected}");
    }
    assert_eq!(running.handler.handled.load(Ordering::SeqCst), 0);
    running.end().await;
}

/// nginx makes a 500 of any other status of an `auth_request`.
#[tokio::test]
async fn a_server_that_only_asks_hears_403_even_of_params_that_make_no_request() {
    let running = start(LIMITS);
    let long = vec![b'c'; 20_000];
    for (role, deliver, expected) in
        [(1, "x-accel-redirect", "Status: 404 "), (1, "authorize", "Status: 403 "), (2, "", "Status: 403 ")]
    {
        let pairs = [
            webserver::pair(b"REQUEST_METHOD", b"GET"),
            webserver::pair(b"REQUEST_URI", b"/upload/a.jpg"),
            webserver::pair(b"REMOTE_ADDR", b"127.0.0.1"),
            webserver::pair(b"HTTP_COOKIE", &long),
            webserver::pair(b"GATE_DELIVER", deliver.as_bytes()),
        ];
        let bytes = [
            webserver::begin(1, role, 0),
            webserver::record(4, 1, &pairs.concat()),
            webserver::record(4, 1, b""),
            webserver::record(5, 1, b""),
        ];
        let mut stream = running.connect().await;
        stream.write_all(&bytes.concat()).await.unwrap();
        assert!(contains(&read_all(&mut stream).await, expected), "{role} {deliver}");
    }
    running.end().await;
}

#[tokio::test]
async fn an_unfinished_request_and_a_silent_connection_are_closed() {
    let running = start(SHORT);
    let mut unfinished = running.connect().await;
    unfinished.write_all(&raw("/1", "GET", true)[..30]).await.unwrap();
    let mut silent = running.connect().await;
    let mut idle = running.connect().await;
    idle.write_all(&raw("/1", "GET", true)).await.unwrap();
    read_replies(&mut idle, 1).await;
    for stream in [&mut unfinished, &mut silent, &mut idle] {
        assert!(read_all(stream).await.is_empty());
    }
    running.end().await;
}

#[tokio::test]
async fn a_peer_that_drips_junk_does_not_hold_its_place() {
    let running = start(SHORT);
    let mut stream = running.connect().await;
    // Records of an id that was never begun are ignored, but they buy no time.
    let junk = webserver::record(5, 9, b"junk");
    let closed = async {
        loop {
            if stream.write_all(&junk).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, closed).await.expect("the gate closes it");
    running.end().await;
}

#[tokio::test]
async fn at_the_cap_the_idlest_connection_makes_room() {
    let running = start(LIMITS);
    let mut kept = Vec::new();
    for _ in 0..LIMITS.max_connections {
        let mut stream = running.connect().await;
        stream.write_all(&raw("/1", "GET", true)).await.unwrap();
        read_replies(&mut stream, 1).await;
        kept.push(stream);
    }
    let mut newcomer = running.connect().await;
    newcomer.write_all(&raw("/new", "GET", false)).await.unwrap();
    assert!(contains(&read_all(&mut newcomer).await, "/_gate/file/new\r\n"));
    assert!(read_all(&mut kept[0]).await.is_empty(), "the first was idle longest");
    for stream in &mut kept[1..] {
        stream.write_all(&raw("/again", "GET", true)).await.unwrap();
        read_replies(stream, 1).await;
    }
    drop(kept);
    running.end().await;
}

/// One of two resting connections is chosen to make room, and asks at that moment: then the other one makes
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_cap_a_newcomer_does_not_wait_for_one_that_is_busy_again() {
    // A connection that rests would be closed in time, but not in this test's.
    let running = start(Limits { max_connections: 2, idle_timeout: 10 * PATIENCE, ..LIMITS });
    for _ in 0..1000 {
        let mut kept = [running.connect().await, running.connect().await];
        for stream in &mut kept {
            stream.write_all(&raw("/1", "GET", true)).await.unwrap();
            read_replies(stream, 1).await;
        }
        let newcomer = async {
            let mut stream = running.connect().await;
            stream.write_all(&raw("/new", "GET", false)).await.unwrap();
            read_all(&mut stream).await
        };
        let again = async { drop(kept[0].write_all(&raw("/again", "GET", true)).await) };
        let (answer, ()) = tokio::join!(newcomer, again);
        assert!(contains(&answer, "/_gate/file/new\r\n"), "{}", String::from_utf8_lossy(&answer));
    }
    running.end().await;
}

/// Those that begin to rest while the chosen one is being closed stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_cap_one_newcomer_closes_one_connection() {
    async fn is_answered(stream: &mut UnixStream) -> bool {
        let mut chunk = [0; 4096];
        stream.write_all(&raw("/again", "GET", true)).await.is_ok()
            && timeout(PATIENCE, stream.read(&mut chunk))
                .await
                .expect("an answer")
                .is_ok_and(|count| count > 0)
    }
    for _ in 0..300 {
        let running = start(LIMITS);
        let mut kept = Vec::new();
        for _ in 0..LIMITS.max_connections {
            let mut stream = running.connect().await;
            assert!(is_answered(&mut stream).await);
            kept.push(stream);
        }
        let newcomer = async {
            let mut stream = running.connect().await;
            stream.write_all(&raw("/new", "GET", false)).await.unwrap();
            assert!(contains(&read_all(&mut stream).await, "/_gate/file/new\r\n"));
        };
        let (idle, busy) = kept.split_at_mut(1);
        let busy = busy.iter_mut().map(|stream| async move {
            for _ in 0..5 {
                if !is_answered(stream).await {
                    return false;
                }
            }
            true
        });
        let ((), answered) = tokio::join!(newcomer, futures_util::future::join_all(busy));
        let answered = answered.into_iter().chain([is_answered(&mut idle[0]).await]);
        assert_eq!(answered.filter(|is_answered| !is_answered).count(), 1);
        drop(kept);
        running.end().await;
    }
}

/// Just accepted, all of them are silent as far as the runtime has heard; none is closed for another one's
/// sake with its request unread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_cap_who_has_asked_is_answered() {
    let running = start(LIMITS);
    for _ in 0..25 {
        let asked = (0..40).map(|_| async {
            let mut stream = running.connect().await;
            stream.write_all(&raw("/upload/a.jpg", "GET", false)).await.unwrap();
            read_all(&mut stream).await
        });
        for answer in futures_util::future::join_all(asked).await {
            assert!(contains(&answer, "Status: 200 OK"), "{}", String::from_utf8_lossy(&answer));
        }
    }
    running.end().await;
}

#[tokio::test]
async fn a_busy_connection_is_never_closed_for_a_newcomer() {
    let limits = Limits { max_connections: 1, ..LIMITS };
    let running = start(limits);
    let mut busy = running.connect().await;
    busy.write_all(&raw("/hold", "GET", false)).await.unwrap();
    while running.handler.handled.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let mut newcomer = running.connect().await;
    newcomer.write_all(&raw("/new", "GET", false)).await.unwrap();
    running.handler.hold.add_permits(1);
    assert!(contains(&read_all(&mut busy).await, "Status: 403 "));
    assert!(contains(&read_all(&mut newcomer).await, "/_gate/file/new\r\n"));
    running.end().await;
}

#[tokio::test]
async fn what_is_under_way_or_waiting_is_finished_before_the_end() {
    let running = start(LIMITS);
    let mut held = running.connect().await;
    held.write_all(&raw("/hold", "GET", true)).await.unwrap();
    while running.handler.handled.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // Connected before the end, heard of after it.
    let mut late = running.connect().await;
    running.stop.send(true).unwrap();
    late.write_all(&raw("/late", "GET", true)).await.unwrap();
    assert!(contains(&read_all(&mut late).await, "/_gate/file/late\r\n"));
    assert!(UnixStream::connect(&running.socket).await.is_err(), "nobody new can come");
    assert!(!running.serving.is_finished(), "one request is still under way");
    running.handler.hold.add_permits(1);
    assert!(contains(&read_all(&mut held).await, "Status: 403 "));
    timeout(PATIENCE, running.serving).await.expect("the drain ends").unwrap();
}

/// All places are held, and somebody waits for one: the end comes all the same.
#[tokio::test]
async fn a_full_gate_ends_when_its_time_is_over() {
    let running = start(Limits { max_connections: 1, ..LIMITS });
    let mut held = running.connect().await;
    held.write_all(&raw("/hold", "GET", false)).await.unwrap();
    while running.handler.handled.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut newcomer = running.connect().await;
    newcomer.write_all(&raw("/new", "GET", false)).await.unwrap();
    // Nobody has to wait for the clock.
    tokio::time::pause();
    running.end().await;
}

#[tokio::test]
async fn everybody_in_the_queue_is_answered_before_the_end() {
    // More than a task may accept in one go (tokio's budget is 128 operations).
    const QUEUE: usize = 400;
    let running = start(Limits { max_connections: QUEUE, ..LIMITS });
    // This thread is the runtime's only one: the gate accepts nobody until it is awaited.
    let waiting: Vec<_> = (0..QUEUE)
        .map(|number| {
            let mut stream = std::os::unix::net::UnixStream::connect(&running.socket).unwrap();
            std::io::Write::write_all(&mut stream, &raw(&format!("/{number}"), "GET", false)).unwrap();
            stream.set_nonblocking(true).unwrap();
            UnixStream::from_std(stream).unwrap()
        })
        .collect();
    running.stop.send(true).unwrap();
    for (number, mut stream) in waiting.into_iter().enumerate() {
        assert!(contains(&read_all(&mut stream).await, &format!("/_gate/file/{number}\r\n")), "{number}");
    }
    timeout(PATIENCE, running.serving).await.expect("the drain ends").unwrap();
}

#[tokio::test]
async fn a_vanished_client_costs_nothing() {
    let running = start(Limits { max_connections: 2, ..LIMITS });
    for _ in 0..20 {
        let mut stream = running.connect().await;
        stream.write_all(&raw("/upload/a.jpg", "GET", false)).await.unwrap();
        drop(stream);
        drop(running.connect().await);
    }
    assert!(ask(&running.socket, "/upload/a.jpg").await.starts_with("Status: 200 OK\r\n"));
    running.end().await;
}
