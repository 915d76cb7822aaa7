//! Files that the gate sends itself, through servers that can do nothing but pass them on, and over its
//! socket.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::support::gate::Gate;
use crate::support::http::{self, Response};
use crate::support::patience::PATIENCE;
use crate::support::pictures;
use crate::support::process;
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;
use crate::support::stream::{ALL, Front, Kind};
use crate::webserver;

const SECOND: u64 = 1_795_280_000;

/// Ten bytes, so that ranges are easy to read.
const TEN: &str = "0123456789";

/// Rows of this test's own, all in a public album.
const ROWS: &str = "
    INSERT INTO piwigo_images (id, file, path, width, height, rotation) VALUES
      (901, 'Été.jpg', './upload/test/ten.jpg', 100, 80, 0),
      (902, 'empty.jpg', './upload/test/empty.jpg', 100, 80, 0),
      (903, 'film.mp4', './upload/test/film.mp4', NULL, NULL, 0),
      (904, 'logo.svg', './upload/test/logo.svg', NULL, NULL, 0),
      (905, 'page.html', './upload/test/page.html', NULL, NULL, 0),
      (906, 'raw.cr2', './upload/test/raw.cr2', NULL, NULL, 0),
      (907, 'gone.jpg', './upload/test/gone.jpg', 100, 80, 0),
      (908, 'fifo.jpg', './upload/test/fifo.jpg', 100, 80, 0),
      (909, 'dir.jpg', './upload/test/dir.jpg', 100, 80, 0),
      (910, 'large.mp4', './upload/test/large.mp4', NULL, NULL, 0),
      (911, 'broken.jpg', './upload/test/broken.jpg', 3000, 2000, 0),
      (912, 'photo.jpg', './upload/test/photo.jpg', 1600, 1200, 0);
    INSERT INTO piwigo_image_category (image_id, category_id)
      SELECT id, 1 FROM piwigo_images WHERE id > 900;";

fn scene() -> Scene {
    let scene = Scene::start();
    scene.database.sql(ROWS);
    for (name, text) in [
        ("ten.jpg", TEN),
        ("empty.jpg", ""),
        ("film.mp4", "a film"),
        ("logo.svg", "<svg/>"),
        ("page.html", "<script>"),
        ("raw.cr2", "raw"),
        ("broken.jpg", "no picture"),
        ("dir.jpg/file", ""),
    ] {
        let path = scene.sandbox.write(&format!("gallery/upload/test/{name}"), text);
        pictures::date(&path, SystemTime::UNIX_EPOCH + Duration::from_secs(SECOND));
    }
    let fifo = std::process::Command::new("mkfifo").arg(test_file(&scene.sandbox, "fifo.jpg")).status();
    assert!(fifo.expect("mkfifo").success());
    pictures::write(&scene.sandbox, "upload/test/photo.jpg", &pictures::jpeg(1600, 1200, 1));
    scene.sandbox.hand_over_tree(&scene.sandbox.gallery());
    scene
}

fn test_file(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.gallery().join("upload/test").join(name)
}

/// A file of so many bytes that takes no room, with a mark at its beginning and its end.
fn sparse(sandbox: &Sandbox, name: &str, length: u64) -> PathBuf {
    use std::os::unix::fs::FileExt as _;
    let path = test_file(sandbox, name);
    let file = File::create(&path).expect("a file");
    file.set_len(length).expect("a file system with sparse files");
    file.write_all_at(b"begin", 0).expect("its begin");
    file.write_all_at(b"end", length - 3).expect("its end");
    path
}

fn ask(front: &Front, method: &str, name: &str, headers: &[(&str, &str)]) -> Response {
    http::request(front.address(), method, format!("/upload/test/{name}"), headers)
}

/// The tag and the date of a file's present state.
fn validators(front: &Front, name: &str) -> (String, String) {
    let answer = ask(front, "GET", name, &[]);
    let header = |name| answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")).to_owned();
    (header("etag"), header("last-modified"))
}

#[test]
fn every_verdict_of_the_world() {
    for kind in ALL {
        let scene = Scene::start();
        let _gate = Gate::start(&scene.sandbox, &["--derivatives", "existing"], &[]);
        let front = Front::start(&scene.sandbox, kind);
        for case in scene.world.cases() {
            let cookie = case.cookie_of.as_deref().map(|user| scene.world.session(user).cookie_header());
            let headers: Vec<(&str, &str)> = cookie.iter().map(|cookie| ("Cookie", &**cookie)).collect();
            let answer = http::request(front.address(), "GET", http::url(&case.path), &headers);
            let shown = (answer.status, answer.text() == case.text);
            let right = if case.allowed { (200, true) } else { (403, false) };
            assert_eq!(shown, right, "{kind:?}: {:?} asks for {}", case.cookie_of, case.path);
        }
    }
}

#[test]
fn headers_ranges_and_conditions() {
    for kind in ALL {
        let scene = scene();
        let gate = Gate::start(&scene.sandbox, &[], &[]);
        let front = Front::start(&scene.sandbox, kind);
        headers_of_a_private_file(&front, kind);
        ranges(&front, kind);
        conditions(&front, kind);
        what_is_no_file(&front, kind);
        types_and_active_content(&front, kind);
        action_php(&front, kind);
        let log = gate.log_text();
        let told = log.matches("the gate sends the bytes itself").count();
        let is_said = !matches!(kind, Kind::Apache | Kind::Lighttpd);
        assert_eq!(told, usize::from(!is_said), "{kind:?} {log}");
        assert!(!log.contains("panic"), "{kind:?} {log}");
    }
}

fn headers_of_a_private_file(front: &Front, kind: Kind) {
    let answer = ask(front, "GET", "ten.jpg", &[]);
    assert_eq!((answer.status, &*answer.text()), (200, TEN), "{kind:?}");
    for (name, expected) in [
        ("content-type", "image/jpeg"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, max-age=600"),
        ("x-content-type-options", "nosniff"),
        ("last-modified", "Sat, 21 Nov 2026 16:53:20 GMT"),
    ] {
        assert_eq!(answer.all(name), [expected], "{kind:?} {name}");
    }
    let vary = answer.all("vary").join(",");
    assert!(vary.contains("Cookie"), "{kind:?} {vary}");
    assert!(answer.header("etag").is_some_and(|tag| tag.starts_with('"')), "{kind:?}");
    for absent in
        ["content-disposition", "content-security-policy", "x-accel-redirect", "x-sendfile", "location"]
    {
        assert_eq!(answer.header(absent), None, "{kind:?}");
    }
    // `Range` is for GET alone.
    for range in [None, Some(("Range", "bytes=2-3"))] {
        let headers: Vec<_> = range.into_iter().collect();
        let head = ask(front, "HEAD", "ten.jpg", &headers);
        assert_eq!(
            (head.status, head.body.len(), head.header("content-length")),
            (200, 0, Some("10")),
            "{kind:?}"
        );
        assert_eq!(head.header("etag"), answer.header("etag"), "{kind:?}");
    }
    let empty = ask(front, "GET", "empty.jpg", &[]);
    assert_eq!(
        (empty.status, empty.body.len(), empty.header("content-length")),
        (200, 0, Some("0")),
        "{kind:?}"
    );
}

fn ranges(front: &Front, kind: Kind) {
    let many = format!("bytes={}", vec!["0-0"; 900].join(","));
    for (range, status, bytes, content_range) in [
        ("bytes=0-0", 206, "0", "bytes 0-0/10"),
        ("bytes=0-", 206, TEN, "bytes 0-9/10"),
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=-99", 206, TEN, "bytes 0-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=-0", 416, "", "bytes */10"),
        ("bytes=99999999999999999999-", 416, "", "bytes */10"),
        ("bytes=4-2", 200, TEN, ""),
        ("lines=1-2", 200, TEN, ""),
        ("bytes=x", 200, TEN, ""),
        (&many, 200, TEN, ""),
    ] {
        let answer = ask(front, "GET", "ten.jpg", &[("Range", range)]);
        // lighttpd cuts what it can out of a whole answer, by reading of its own, if that came at once.
        if kind == Kind::Lighttpd && status == 200 && answer.status != 200 {
            assert!([206, 416].contains(&answer.status), "{range:.40}");
            continue;
        }
        assert_eq!(answer.status, status, "{kind:?} {range:.40}");
        assert_eq!(answer.header("content-range").unwrap_or_default(), content_range, "{kind:?} {range:.40}");
        // Some servers put a page of their own under an error.
        if status != 416 {
            assert_eq!(answer.text(), bytes, "{kind:?} {range:.40}");
            assert_eq!(
                answer.header("content-length"),
                Some(&*bytes.len().to_string()),
                "{kind:?} {range:.40}"
            );
        }
    }
    // Some servers cut several ranges out of the whole file by themselves.
    let several = ask(front, "GET", "ten.jpg", &[("Range", "bytes=0-1,5-6")]);
    assert!([200, 206].contains(&several.status), "{kind:?}");
    assert!(several.status == 206 || several.text() == TEN, "{kind:?} {}", several.text());
    for (range, status) in [("bytes=0-", 416), ("bytes=-1", 200)] {
        assert_eq!(ask(front, "GET", "empty.jpg", &[("Range", range)]).status, status, "{kind:?} {range}");
    }
}

fn conditions(front: &Front, kind: Kind) {
    let (tag, date) = validators(front, "ten.jpg");
    let (weak, list) = (format!("W/{tag}"), format!("\"x\", {tag}"));
    let before = "Sat, 21 Nov 2026 16:53:19 GMT";
    let table: [(&[(&str, &str)], u16); 17] = [
        (&[("If-None-Match", &tag)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", &list)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"x\"")], 200),
        (&[("If-None-Match", "\"x\""), ("If-Modified-Since", &date)], 200),
        (&[("If-Modified-Since", &date)], 304),
        (&[("If-Modified-Since", before)], 200),
        (&[("If-Modified-Since", "never")], 200),
        (&[("If-Match", &tag)], 200),
        (&[("If-Match", "\"x\"")], 412),
        (&[("If-Unmodified-Since", before)], 412),
        (&[("If-Unmodified-Since", &date)], 200),
        (&[("Range", "bytes=0-1"), ("If-Range", &tag)], 206),
        (&[("Range", "bytes=0-1"), ("If-Range", &date)], 206),
        (&[("Range", "bytes=0-1"), ("If-Range", "\"x\"")], 200),
        (&[("Range", "bytes=0-1"), ("If-Range", before)], 200),
    ];
    for method in ["GET", "HEAD"] {
        for (headers, status) in table {
            let status = if method == "HEAD" && status == 206 { 200 } else { status };
            let answer = ask(front, method, "ten.jpg", headers);
            assert_eq!(answer.status, status, "{kind:?} {method} {headers:?}");
            if status == 304 {
                assert_eq!(answer.body, b"", "{kind:?} {headers:?}");
                assert_eq!(answer.header("etag"), Some(&*tag), "{kind:?} {headers:?}");
                assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{kind:?} {headers:?}");
                assert!(answer.all("vary").join(",").contains("Cookie"), "{kind:?} {headers:?}");
            }
        }
    }
}

fn what_is_no_file(front: &Front, kind: Kind) {
    for name in ["gone.jpg", "fifo.jpg", "dir.jpg"] {
        let answer = ask(front, "GET", name, &[]);
        assert_eq!((answer.status, &*answer.text()), (404, "Not found\n"), "{kind:?} {name}");
    }
    for target in ["/upload/test/", "/upload/test/../test/ten.jpg", "/upload/test/none.jpg"] {
        let answer = http::get(front.address(), target);
        assert!((400..500).contains(&answer.status) || answer.text() == TEN, "{kind:?} {target} {answer:?}");
    }
    assert_eq!(ask(front, "POST", "ten.jpg", &[("Content-Length", "0")]).status, 405, "{kind:?}");
    // What cannot be made is not there, for whoever may see it.
    let derivative = http::get(front.address(), "/_data/i/upload/test/broken-th.jpg");
    assert_eq!(derivative.status, 404, "{kind:?} {derivative:?}");
    let derivative = http::get(front.address(), "/_data/i/upload/test/photo-me.jpg");
    assert_eq!((derivative.status, derivative.all("content-type")), (200, vec!["image/jpeg"]), "{kind:?}");
    assert!(derivative.body.starts_with(b"\xff\xd8") && derivative.body.ends_with(b"\xff\xd9"), "{kind:?}");
}

fn types_and_active_content(front: &Front, kind: Kind) {
    for (name, content_type, saved, sandboxed) in [
        ("film.mp4", "video/mp4", false, false),
        ("raw.cr2", "application/octet-stream", true, false),
        ("logo.svg", "image/svg+xml", true, true),
        ("page.html", "application/octet-stream", true, true),
    ] {
        let answer = ask(front, "GET", name, &[]);
        assert_eq!(answer.all("content-type"), [content_type], "{kind:?} {name}");
        let disposition = if saved { vec!["attachment"] } else { vec![] };
        assert_eq!(answer.all("content-disposition"), disposition, "{kind:?} {name}");
        let policy = answer.header("content-security-policy");
        assert_eq!(policy.is_some_and(|policy| policy.starts_with("sandbox;")), sandboxed, "{kind:?} {name}");
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{kind:?} {name}");
    }
}

fn action_php(front: &Front, kind: Kind) {
    let target = "/action.php?id=901&part=e";
    let name = "filename=\"_t_.jpg\"; filename*=UTF-8''%C3%89t%C3%A9.jpg";
    let whole = http::get(front.address(), target);
    assert_eq!((whole.status, &*whole.text()), (200, TEN), "{kind:?}");
    assert_eq!(whole.all("content-disposition"), [format!("inline; {name}")], "{kind:?}");
    let saved = http::get(front.address(), format!("{target}&download"));
    assert_eq!(saved.all("content-disposition"), [format!("attachment; {name}")], "{kind:?}");
    let part = http::request(front.address(), "GET", target, &[("Range", "bytes=2-3")]);
    assert_eq!((part.status, &*part.text()), (206, "23"), "{kind:?}");
    let tag = whole.header("etag").expect("a tag");
    let again = http::request(front.address(), "GET", target, &[("If-None-Match", tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0), "{kind:?}");
}

/// A request over the gate's own socket, as a web server would make it.
fn request(socket: &Path, name: &str, headers: &[(&str, &str)]) -> UnixStream {
    let uri = format!("/upload/test/{name}");
    let mut pairs = [
        webserver::pair(b"REQUEST_METHOD", b"GET"),
        webserver::pair(b"REQUEST_URI", uri.as_bytes()),
        webserver::pair(b"REMOTE_ADDR", b"127.0.0.1"),
        webserver::pair(b"GATE_DELIVER", b"stream"),
    ]
    .concat();
    for (name, value) in headers {
        pairs.extend(webserver::pair(name.as_bytes(), value.as_bytes()));
    }
    let bytes = [
        webserver::begin(1, webserver::RESPONDER, 0),
        webserver::record(webserver::PARAMS, 1, &pairs),
        webserver::record(webserver::PARAMS, 1, b""),
        webserver::record(webserver::STDIN, 1, b""),
    ];
    let mut stream = UnixStream::connect(socket).expect("the gate");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(&bytes.concat()).expect("a request");
    stream
}

/// Reads records to the end of the connection: how many bytes STDOUT had, its last three, and whether the
/// request ended.
fn read_to_end(stream: &mut UnixStream, mut between: impl FnMut(u64)) -> (u64, Vec<u8>, bool) {
    let (mut count, mut last, mut ended) = (0, Vec::new(), false);
    let mut content = vec![0; 65_536];
    loop {
        let mut header = [0; 8];
        if stream.read_exact(&mut header).is_err() {
            return (count, last, ended);
        }
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if stream.read_exact(&mut content[..length]).is_err() {
            return (count, last, ended);
        }
        assert!(!ended, "nothing follows END_REQUEST");
        match header[1] {
            6 => {
                count += length as u64;
                last.extend_from_slice(&content[length.saturating_sub(3)..length]);
                last.drain(..last.len().saturating_sub(3));
                between(count);
            }
            3 => ended = true,
            kind => panic!("a record of type {kind}"),
        }
    }
}

/// The most memory that a process has had so far, in KiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Whether a process has a file open.
fn holds(pid: u32, path: &Path) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

#[test]
fn ten_gigabytes_pass_through_a_constant_memory() {
    const LENGTH: u64 = 10 << 30;
    let scene = scene();
    sparse(&scene.sandbox, "large.mp4", LENGTH);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let mut small = request(gate.socket(), "ten.jpg", &[]);
    let (head, ..) = read_to_end(&mut small, |_| ());
    let before = peak(gate.id());
    let mut stream = request(gate.socket(), "large.mp4", &[]);
    let (count, last, ended) = read_to_end(&mut stream, |_| ());
    assert!(count > LENGTH && count - LENGTH < head + 100, "{count}");
    assert_eq!((&*last, ended), (&b"end"[..], true));
    let grown = peak(gate.id()).saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    for kind in ALL {
        let front = Front::start(&scene.sandbox, kind);
        let answer = ask(&front, "GET", "large.mp4", &[("Range", "bytes=10737418237-")]);
        assert_eq!((answer.status, &*answer.text()), (206, "end"), "{kind:?}");
        let head = ask(&front, "HEAD", "large.mp4", &[]);
        assert_eq!(head.header("content-length"), Some("10737418240"), "{kind:?}");
    }
}

#[test]
fn who_reads_slowly_holds_nobody_up_and_is_served_as_long_as_they_read() {
    let scene = scene();
    let length = 6 << 20;
    let path = sparse(&scene.sandbox, "large.mp4", length);
    let gate = Gate::start(&scene.sandbox, &["--write-timeout", "2"], &[]);
    // More than there are threads that answer.
    let silent: Vec<_> = (0..8).map(|_| request(gate.socket(), "large.mp4", &[])).collect();
    let front = Front::start(&scene.sandbox, Kind::Nginx);
    assert_eq!(ask(&front, "GET", "ten.jpg", &[]).text(), TEN);
    // All of it takes longer than the limit, but no single piece; where this thread had to wait for the
    // machine, it is nobody's fault.
    let mut rounds = 0;
    let (count, last, ended) = loop {
        rounds += 1;
        let (began, mut since, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
        let mut slow = request(gate.socket(), "large.mp4", &[]);
        let answer = read_to_end(&mut slow, |_| {
            longest = longest.max(since.elapsed());
            since = Instant::now();
            std::thread::sleep(Duration::from_millis(50));
        });
        if answer.2 || rounds == 5 || longest.max(since.elapsed()) < Duration::from_secs(1) {
            assert!(began.elapsed() > Duration::from_secs(2), "the limit was not reached");
            break answer;
        }
    };
    assert!(count > length && ended, "{count} {}", gate.log_text());
    assert_eq!(last, b"end");
    // Those who never read are given up.
    process::wait_until("who takes nothing is given up", || !holds(gate.id(), &path));
    for mut stream in silent {
        let (count, _, ended) = read_to_end(&mut stream, |_| ());
        assert!(count < length && !ended, "{count}");
    }
    assert_eq!(ask(&front, "GET", "ten.jpg", &[]).text(), TEN);
}

#[test]
fn who_goes_away_ends_the_work() {
    let scene = scene();
    let path = sparse(&scene.sandbox, "large.mp4", 10 << 30);
    let gate = Gate::start(&scene.sandbox, &["--write-timeout", "3600"], &[]);
    let mut stream = request(gate.socket(), "large.mp4", &[]);
    stream.read_exact(&mut [0; 10_000]).expect("its beginning");
    assert!(holds(gate.id(), &path));
    drop(stream);
    process::wait_until("the file is closed", || !holds(gate.id(), &path));
    for kind in ALL {
        let front = Front::start(&scene.sandbox, kind);
        let mut stream = TcpStream::connect(front.address()).expect("a server");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET /upload/test/large.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        stream.read_exact(&mut [0; 10_000]).expect("its beginning");
        assert!(holds(gate.id(), &path), "{kind:?}");
        drop(stream);
        process::wait_until("the file is closed", || !holds(gate.id(), &path));
    }
    assert!(!gate.log_text().contains("could not be sent"), "{}", gate.log_text());
}

/// Never fewer bytes than were announced as if that were all of them, and never more.
#[test]
fn a_file_that_changes_its_length_under_way_is_no_complete_answer() {
    let scene = scene();
    let length = 64 << 20;
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    for (new_length, complete) in [(1 << 20, false), (65 << 20, true)] {
        let path = sparse(&scene.sandbox, "large.mp4", length);
        let mut stream = request(gate.socket(), "large.mp4", &[]);
        let mut changed = false;
        let (count, _, ended) = read_to_end(&mut stream, |_| {
            if !std::mem::replace(&mut changed, true) {
                File::options()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(new_length))
                    .expect("its length");
            }
        });
        assert_eq!((count > length, ended), (complete, complete), "{count}");
        assert!(count < length + 4096, "{count}");
    }
    assert_eq!(gate.log_text().matches("could not be sent to its end").count(), 1, "{}", gate.log_text());
    for kind in ALL {
        let path = sparse(&scene.sandbox, "large.mp4", length);
        let front = Front::start(&scene.sandbox, kind);
        let mut stream = TcpStream::connect(front.address()).expect("a server");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let head = "GET /upload/test/large.mp4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("a request");
        let mut bytes = vec![0; 4096];
        stream.read_exact(&mut bytes).expect("its beginning");
        File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 20)).expect("its length");
        // The visitor's browser knows that something is missing: there is neither the whole length nor a last
        // chunk.
        let _ = stream.read_to_end(&mut bytes);
        assert!((bytes.len() as u64) < length, "{kind:?} {}", bytes.len());
    }
}

/// What was judged is what is sent, also where the name leads to something else by then.
#[test]
fn a_file_that_is_replaced_under_way_is_sent_as_it_was() {
    let scene = scene();
    let length = 32 << 20;
    let path = sparse(&scene.sandbox, "large.mp4", length);
    let gate = Gate::start(&scene.sandbox, &[], &[]);
    let mut stream = request(gate.socket(), "large.mp4", &[]);
    let mut replaced = false;
    let (count, last, ended) = read_to_end(&mut stream, |_| {
        if !std::mem::replace(&mut replaced, true) {
            let other = test_file(&scene.sandbox, "other");
            fs::write(&other, "another file").expect("written");
            fs::rename(other, &path).expect("renamed");
        }
    });
    assert!(count > length && ended);
    assert_eq!(last, b"end");
}

#[test]
fn at_its_end_the_gate_finishes_what_it_is_sending() {
    let scene = scene();
    let length = 32 << 20;
    sparse(&scene.sandbox, "large.mp4", length);
    let mut gate = Gate::start(&scene.sandbox, &[], &[]);
    let mut stream = request(gate.socket(), "large.mp4", &[]);
    let pid = gate.id();
    let mut asked = false;
    let (count, last, ended) = read_to_end(&mut stream, |_| {
        if !std::mem::replace(&mut asked, true) {
            process::signal("TERM", pid);
        }
    });
    assert!(count > length && ended, "{count} {}", gate.log_text());
    assert_eq!(last, b"end");
    assert!(gate.terminate().success(), "{}", gate.log_text());
}

/// Piwigo cannot be asked to make anything: a redirect header would mean nothing to these servers.
#[test]
fn a_missing_derivative_is_made_by_the_gate_or_not_at_all() {
    for (derivatives, status) in [("generate", "200 OK"), ("piwigo", "404 "), ("existing", "404 ")] {
        let scene = scene();
        let gate = Gate::start(&scene.sandbox, &["--derivatives", derivatives], &[]);
        let mut stream = request(gate.socket(), "", &[("REQUEST_URI", "/_data/i/upload/test/photo-sm.jpg")]);
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("an answer");
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(&format!("Status: {status}")), "{derivatives}: {text}");
        assert!(!text.contains("Location") && !text.contains("X-Accel-Redirect"), "{derivatives}: {text}");
    }
}

/// A gate whose setting says so streams to nginx, too, and says nothing about it; and never where the server
/// only asks.
#[test]
fn the_setting_counts_more_than_the_servers_word() {
    let scene = scene();
    let gate = Gate::start(&scene.sandbox, &["--deliver", "stream"], &[]);
    let ask = |deliver: &str| {
        let mut stream =
            request(gate.socket(), "ten.jpg", &[("SERVER_SOFTWARE", "nginx/1"), ("GATE_DELIVER", deliver)]);
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("an answer");
        String::from_utf8_lossy(&text).into_owned()
    };
    for deliver in ["", "x-accel-redirect", "stream"] {
        let text = ask(deliver);
        assert!(text.contains("Status: 200 OK\r\n") && text.contains(TEN), "{text}");
        assert!(!text.contains("X-Accel-Redirect"), "{text}");
    }
    let text = ask("authorize");
    assert!(text.contains("Status: 200 OK\r\n") && !text.contains(TEN), "{text}");
    assert!(!gate.log_text().contains("the gate sends the bytes itself"), "{}", gate.log_text());
}
