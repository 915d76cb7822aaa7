//! Host names are looked up without the C library: against a hosts file and a name server of the test's own,
//! which speaks bytes that no library made.

#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use piwigo_gate::database::resolver::{NameError, Resolver, Sources};

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// What the server does with a question for a name.
#[derive(Clone)]
enum Says {
    /// These records: owner, type, time to live, data.
    Records(Vec<(&'static str, u16, u32, Vec<u8>)>),
    /// The same, but only by TCP: a datagram is cut off in the middle.
    TooLong(Vec<(&'static str, u16, u32, Vec<u8>)>),
    /// Lies first (another id, another name, a question, noise), then these records.
    LiesThen(Vec<(&'static str, u16, u32, Vec<u8>)>),
    /// A status without records.
    Code(u8),
}

/// A name server on loopback that answers from a table; whoever is not in it does not exist.
struct NameServer {
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
    table: Arc<Mutex<BTreeMap<&'static str, Says>>>,
}

impl NameServer {
    fn start(table: &[(&'static str, Says)]) -> Self {
        let (datagrams, streams) = loop {
            let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let address = datagrams.local_addr().expect("its number");
            if let Ok(streams) = TcpListener::bind(address) {
                break (datagrams, streams);
            }
        };
        let server = NameServer {
            address: datagrams.local_addr().expect("its number"),
            questions: Arc::default(),
            table: Arc::new(Mutex::new(table.iter().cloned().collect())),
        };
        tokio::spawn(answer_in_pairs(datagrams, server.questions.clone(), server.table.clone()));
        let table = server.table.clone();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = streams.accept() {
                let mut length = [0; 2];
                stream.read_exact(&mut length).expect("a length");
                let mut question = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut question).expect("a question");
                for answer in answers(&question, &table.lock().expect("a table"), true) {
                    let length = u16::try_from(answer.len()).expect("short");
                    let _ = stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat());
                }
            }
        });
        server
    }

    fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    fn change(&self, name: &'static str, says: Says) {
        self.table.lock().expect("a table").insert(name, says);
    }
}

/// Answers both of a name's questions at once, when both have come. Whoever asked sees neither answer without
/// the other: they run on this same thread. For one that comes later than the other, nobody waits for long.
async fn answer_in_pairs(
    datagrams: UdpSocket,
    questions: Arc<AtomicUsize>,
    table: Arc<Mutex<BTreeMap<&'static str, Says>>>,
) {
    datagrams.set_nonblocking(true).expect("a socket");
    let answering = datagrams.try_clone().expect("a second handle");
    let datagrams = tokio::net::UdpSocket::from_std(datagrams).expect("a runtime");
    let mut waiting = BTreeMap::new();
    let mut buffer = [0; 512];
    while let Ok((length, peer)) = datagrams.recv_from(&mut buffer).await {
        questions.fetch_add(1, Ordering::Relaxed);
        let question = buffer[..length].to_vec();
        let (name, kind) = read_question(&question);
        let other = if kind == A { AAAA } else { A };
        let Some(earlier) = waiting.remove(&(name.clone(), other)) else {
            waiting.insert((name, kind), (question, peer));
            continue;
        };
        for (question, peer) in [(question, peer), earlier] {
            for answer in answers(&question, &table.lock().expect("a table"), false) {
                answering.send_to(&answer, peer).expect("loopback has room");
            }
        }
    }
}

/// The messages that a question is answered with.
fn answers(question: &[u8], table: &BTreeMap<&'static str, Says>, by_tcp: bool) -> Vec<Vec<u8>> {
    let (name, kind) = read_question(question);
    let of_kind = |records: &[(&'static str, u16, u32, Vec<u8>)]| {
        let fits = |record: &&(_, u16, _, _)| record.1 == kind || record.1 == CNAME;
        records.iter().filter(fits).cloned().collect::<Vec<_>>()
    };
    match table.get(name.as_str()) {
        None => vec![message(question, 3, &[])],
        Some(Says::Code(code)) => vec![message(question, *code, &[])],
        Some(Says::Records(records)) => vec![message(question, 0, &of_kind(records))],
        Some(Says::TooLong(records)) if by_tcp => vec![message(question, 0, &of_kind(records))],
        Some(Says::TooLong(records)) => {
            let mut cut = message(question, 0, &of_kind(records));
            cut[2] |= 2;
            cut.truncate(question.len() + 7);
            vec![cut]
        }
        Some(Says::LiesThen(records)) => {
            let lie = [("x.test", kind, 60, vec![192; if kind == A { 4 } else { 16 }])];
            let mut other_id = message(question, 0, &lie);
            other_id[1] ^= 1;
            let mut other_name = message(question, 0, &lie);
            other_name[13] ^= 1;
            let mut messages = vec![other_id, other_name, question.to_vec(), b"noise".to_vec()];
            // What a message says of other names counts for nothing, also beside the true answer.
            let mut records = of_kind(records);
            records.insert(0, lie[0].clone());
            messages.push(message(question, 0, &records));
            messages
        }
    }
}

fn read_question(bytes: &[u8]) -> (String, u16) {
    let mut at = 12;
    let mut labels = Vec::new();
    while bytes[at] != 0 {
        let length = usize::from(bytes[at]);
        labels.push(String::from_utf8_lossy(&bytes[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    (labels.join("."), u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]))
}

fn message(question: &[u8], code: u8, records: &[(&'static str, u16, u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2] |= 0x80;
    bytes[3] = 0x80 | code;
    bytes[7] = u8::try_from(records.len()).expect("a few");
    for (owner, kind, ttl, data) in records {
        bytes.extend(encoded(owner));
        bytes.extend(kind.to_be_bytes());
        bytes.extend(1_u16.to_be_bytes());
        bytes.extend(ttl.to_be_bytes());
        bytes.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("short"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn v4(owner: &'static str, last: u8) -> (&'static str, u16, u32, Vec<u8>) {
    (owner, A, 300, vec![127, 0, 0, last])
}

fn v6(owner: &'static str) -> (&'static str, u16, u32, Vec<u8>) {
    (owner, AAAA, 300, std::net::Ipv6Addr::LOCALHOST.octets().to_vec())
}

fn alias(owner: &'static str, target: &str, ttl: u32) -> (&'static str, u16, u32, Vec<u8>) {
    (owner, CNAME, ttl, encoded(target))
}

/// A machine with these two files. The directory must outlive it.
fn machine(hosts: &str, resolv_conf: &str, port: u16) -> (tempfile::TempDir, Resolver) {
    let directory = tempfile::tempdir().expect("a directory");
    let sources = Sources {
        hosts: directory.path().join("hosts"),
        resolv_conf: directory.path().join("resolv.conf"),
        port,
    };
    std::fs::write(&sources.hosts, hosts).expect("hosts");
    std::fs::write(&sources.resolv_conf, resolv_conf).expect("resolv.conf");
    (directory, Resolver::new(sources))
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = texts.iter().map(|text| text.parse().expect("an address")).collect();
    addresses.sort();
    addresses
}

/// Addresses in a fixed order: which family comes first depends on the machine's routes.
fn sorted(found: Result<Vec<IpAddr>, NameError>) -> Result<Vec<IpAddr>, NameError> {
    found.map(|mut found| {
        found.sort();
        found
    })
}

#[tokio::test]
async fn what_a_name_server_says() {
    let server = NameServer::start(&[
        ("one.test", Says::Records(vec![v4("one.test", 1)])),
        ("both.test", Says::Records(vec![v4("both.test", 1), v4("both.test", 2), v6("both.test")])),
        ("upper.test", Says::Records(vec![v4("UPPER.Test", 3)])),
        ("alias.test", Says::Records(vec![alias("alias.test", "b.test", 300), v4("b.test", 4)])),
        (
            "far.test",
            Says::Records(vec![
                v4("c.test", 5),
                alias("b.test", "c.test", 300),
                alias("far.test", "b.test", 300),
            ]),
        ),
        (
            "ring.test",
            Says::Records(vec![alias("ring.test", "b.test", 300), alias("b.test", "ring.test", 300)]),
        ),
        ("loose.test", Says::Records(vec![alias("loose.test", "b.test", 300), v4("c.test", 6)])),
        ("other.test", Says::Records(vec![v4("b.test", 7)])),
        ("long.test", Says::TooLong((1..=8).map(|last| v4("long.test", last)).collect())),
        ("lies.test", Says::LiesThen(vec![v4("lies.test", 8)])),
        ("empty.test", Says::Records(Vec::new())),
        ("broken.test", Says::Code(2)),
        ("refused.test", Says::Code(5)),
        ("db.lan.test", Says::Records(vec![v4("db.lan.test", 9)])),
    ]);
    let (_directory, resolver) =
        machine("", "nameserver 127.0.0.1\nsearch nowhere.test lan.test\n", server.address.port());
    let eight: Vec<_> = (1..=8).map(|last| format!("127.0.0.{last}")).collect();
    let eight: Vec<_> = eight.iter().map(String::as_str).collect();
    let table: [(&str, &[&str]); 9] = [
        ("one.test", &["127.0.0.1"]),
        ("One.Test.", &["127.0.0.1"]),
        ("both.test", &["127.0.0.1", "127.0.0.2", "::1"]),
        ("upper.test", &["127.0.0.3"]),
        ("alias.test", &["127.0.0.4"]),
        ("far.test", &["127.0.0.5"]),
        ("long.test", &eight),
        ("lies.test", &["127.0.0.8"]),
        ("db", &["127.0.0.9"]),
    ];
    for (name, expected) in table {
        assert_eq!(sorted(resolver.lookup(name).await), Ok(addresses(expected)), "{name}");
    }
    for name in ["nobody.test", "empty.test", "ring.test", "loose.test", "other.test", "db."] {
        let error = resolver.lookup(name).await.expect_err(name);
        assert!(matches!(error, NameError::Unknown { .. }), "{name}: {error}");
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
    for name in ["broken.test", "refused.test"] {
        let error = resolver.lookup(name).await.expect_err(name);
        assert!(matches!(error, NameError::NoAnswer { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn addresses_the_hosts_file_and_localhost_need_no_name_server() {
    let server = NameServer::start(&[]);
    let hosts = "127.0.0.7 db db.test\n::1 db\n127.0.0.8 Other\n";
    let (directory, resolver) = machine(hosts, "nameserver 127.0.0.1\n", server.address.port());
    let table: [(&str, &[&str]); 8] = [
        ("192.0.2.1", &["192.0.2.1"]),
        ("2001:db8::1", &["2001:db8::1"]),
        ("[2001:db8::1]", &["2001:db8::1"]),
        ("db", &["127.0.0.7", "::1"]),
        ("DB.TEST", &["127.0.0.7"]),
        ("other.", &["127.0.0.8"]),
        ("localhost", &["127.0.0.1", "::1"]),
        ("my.LocalHost", &["127.0.0.1", "::1"]),
    ];
    for (name, expected) in table {
        assert_eq!(sorted(resolver.lookup(name).await), Ok(addresses(expected)), "{name}");
    }
    std::fs::write(directory.path().join("hosts"), "127.0.0.9 db\n127.0.0.10 localhost\n").expect("hosts");
    assert_eq!(resolver.lookup("db").await, Ok(addresses(&["127.0.0.9"])), "the file counts as it is now");
    assert_eq!(resolver.lookup("localhost").await, Ok(addresses(&["127.0.0.10"])));
    for name in ["", "a..b", "-a b", "bücher.test", "fe80::1%lo", "db/../x"] {
        assert!(matches!(resolver.lookup(name).await, Err(NameError::Form(_))), "{name:?}");
    }
    assert_eq!(server.questions(), 0);
}

#[tokio::test]
async fn an_answer_is_remembered_no_longer_than_it_says() {
    let kept = Says::Records(vec![v4("kept.test", 1)]);
    let fleeting = Says::Records(vec![("fleeting.test", A, 0, vec![127, 0, 0, 1])]);
    let by_alias =
        Says::Records(vec![alias("by-alias.test", "b.test", 0), ("b.test", A, 300, vec![127, 0, 0, 1])]);
    let server = NameServer::start(&[
        ("kept.test", kept),
        ("fleeting.test", fleeting),
        ("by-alias.test", by_alias),
        ("away.test", Says::Code(2)),
    ]);
    let (_directory, resolver) = machine("", "nameserver 127.0.0.1\n", server.address.port());
    for (name, asked_again) in
        [("kept.test", false), ("fleeting.test", true), ("by-alias.test", true), ("away.test", true)]
    {
        let _ = resolver.lookup(name).await;
        let before = server.questions();
        let _ = resolver.lookup(name).await;
        assert_eq!(server.questions() > before, asked_again, "{name}");
    }
    server.change("kept.test", Says::Records(vec![v4("kept.test", 2)]));
    resolver.forget("kept.test");
    assert_eq!(resolver.lookup("kept.test").await, Ok(addresses(&["127.0.0.2"])), "nobody answered there");
}

#[tokio::test]
async fn the_address_that_answered_is_tried_first() {
    let server =
        NameServer::start(&[("db.test", Says::Records((1..=3).map(|last| v4("db.test", last)).collect()))]);
    let (_directory, resolver) = machine("", "nameserver 127.0.0.1\n", server.address.port());
    assert_eq!(
        resolver.lookup("db.test").await,
        Ok(vec!["127.0.0.1", "127.0.0.2", "127.0.0.3"].into_iter().map(|a| a.parse().expect("")).collect())
    );
    resolver.answered("db.test", "127.0.0.3".parse().expect("an address"));
    assert_eq!(
        resolver.lookup("db.test").await,
        Ok(vec!["127.0.0.3", "127.0.0.1", "127.0.0.2"].into_iter().map(|a| a.parse().expect("")).collect())
    );
}

#[tokio::test]
async fn a_silent_server_costs_a_bounded_time_and_another_one_is_asked() {
    let silent = UdpSocket::bind("127.0.0.2:0").expect("a port");
    let port = silent.local_addr().expect("its number").port();
    let (_directory, resolver) = machine("", "nameserver 127.0.0.2\noptions timeout:30 attempts:5\n", port);
    // The test would not end in its time if this did not.
    let error = resolver.lookup("db.test").await.expect_err("nobody says anything");
    assert!(matches!(&error, NameError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("in time"), "{error}");

    let server = NameServer::start(&[("db.test", Says::Records(vec![v4("db.test", 1)]))]);
    // Where nobody listens the system says so at once; where somebody is silent, only time tells.
    let (_directory, resolver) =
        machine("", "nameserver 127.0.0.3\nnameserver 127.0.0.1\n", server.address.port());
    assert_eq!(resolver.lookup("db.test").await, Ok(addresses(&["127.0.0.1"])));
    let _silent = UdpSocket::bind(("127.0.0.3", server.address.port())).expect("the same port");
    resolver.forget("db.test");
    assert_eq!(resolver.lookup("db.test").await, Ok(addresses(&["127.0.0.1"])));
}

#[tokio::test]
async fn a_server_that_never_speaks_of_one_family_does_not_keep_the_other_back() {
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = datagrams.local_addr().expect("its number").port();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = datagrams.recv_from(&mut buffer) {
            if read_question(&buffer[..length]).1 == A {
                let _ = datagrams.send_to(&message(&buffer[..length], 0, &[v4("db.test", 1)]), peer);
            }
        }
    });
    let (_directory, resolver) = machine("", "nameserver 127.0.0.1\n", port);
    assert_eq!(resolver.lookup("db.test").await, Ok(addresses(&["127.0.0.1"])));
}

#[tokio::test]
async fn a_machine_without_either_file_asks_itself() {
    let server = NameServer::start(&[("db.test", Says::Records(vec![v4("db.test", 1)]))]);
    let directory = tempfile::tempdir().expect("a directory");
    let sources = Sources {
        hosts: directory.path().join("none"),
        resolv_conf: directory.path().join("none"),
        port: server.address.port(),
    };
    assert_eq!(Resolver::new(sources).lookup("db.test").await, Ok(addresses(&["127.0.0.1"])));
}
