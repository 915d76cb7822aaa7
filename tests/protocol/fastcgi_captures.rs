//! Requests as nginx, Apache, lighttpd and Caddy really sent them (`tests/data/captures`), whole and in
//! pieces.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its data fails")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::webserver::{OwnedPairs, Said, converse};
use piwigo_gate::fastcgi::{Head, ParamsState, Role};
use serde_json::Value;

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The one request in `bytes`, read in pieces of `size` bytes.
fn decode(path: &Path, bytes: &[u8], size: usize) -> (Head, OwnedPairs) {
    let conversation = converse(bytes.chunks(size));
    assert!(conversation.idle, "{}: bytes are left over", name(path));
    match <[Said; 1]>::try_from(conversation.said) {
        Ok([Said::Request { head, params }]) => (head, params),
        other => panic!("{}: not one request but {other:?}", name(path)),
    }
}

/// The `.json` beside a capture: what an independent decoder made of it. Each of its characters stands for
/// one byte.
fn truth(path: &Path) -> Option<(Head, OwnedPairs)> {
    let text = fs::read_to_string(format!("{}.json", path.display())).ok()?;
    let json: Value = serde_json::from_str(&text).unwrap();
    let number = |key: &str| u16::try_from(json[key].as_u64().unwrap()).unwrap();
    let bytes = |value: &Value| -> Vec<u8> {
        value.as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
    };
    let role = match number("role") {
        1 => Role::Responder,
        2 => Role::Authorizer,
        other => panic!("role {other}"),
    };
    let head = Head {
        id: number("id"),
        role,
        keep_conn: number("keep_conn") & 1 == 1,
        params: ParamsState::Complete,
    };
    let params = json["params"].as_array().unwrap().iter().map(|p| (bytes(&p[0]), bytes(&p[1]))).collect();
    Some((head, params))
}

#[test]
fn a_capture_decodes_to_what_its_server_meant() {
    let mut compared = 0;
    for path in captures() {
        let Some(truth) = truth(&path) else { continue };
        let bytes = fs::read(&path).unwrap();
        for size in [1, 7, 8, 100, bytes.len()] {
            assert_eq!(decode(&path, &bytes, size), truth, "{} by {size}", name(&path));
        }
        compared += 1;
    }
    assert_eq!(compared, 11);
}

/// Those without a `.json` (large headers, bodies of 70,000 bytes): role, flag and number of parameters.
#[test]
fn a_large_capture_decodes_to_one_request() {
    use ParamsState::{Complete, TooLarge};
    let rows = [
        ("apache-mod_fcgid-2.3.9-responder-32k-headers.bin", false, Complete, 29),
        ("apache-mod_fcgid-2.3.9-responder-post-70k.bin", false, Complete, 26),
        ("apache-mod_proxy_fcgi-2.4.71-params-72k-split.bin", true, TooLarge, 0),
        ("apache-mod_proxy_fcgi-2.4.71-proxypass-post.bin", true, Complete, 23),
        ("caddy-2.6.2-one-value-100k-split.bin", false, TooLarge, 0),
        ("caddy-2.6.2-responder-post-70k.bin", false, Complete, 29),
        ("lighttpd-1.4.69-responder-post-70k.bin", false, Complete, 22),
        ("nginx-1.22.1-bigcookie-26k.bin", true, Complete, 25),
        ("nginx-1.22.1-post-body.bin", true, Complete, 23),
    ];
    let files: Vec<PathBuf> = captures().into_iter().filter(|path| truth(path).is_none()).collect();
    assert_eq!(files.iter().map(|path| name(path)).collect::<Vec<_>>(), rows.map(|row| row.0));
    for (path, (_, keep_conn, state, count)) in files.iter().zip(rows) {
        let bytes = fs::read(path).unwrap();
        for size in [1, 4096, 65_536, bytes.len()] {
            let (head, params) = decode(path, &bytes, size);
            let expected = Head { id: 1, role: Role::Responder, keep_conn, params: state };
            assert_eq!(head, expected, "{} by {size}", name(path));
            assert_eq!(params.len(), count, "{} by {size}", name(path));
        }
    }
}

/// A kept connection carries one request after another, of whatever size the one before was.
#[test]
fn captures_follow_one_another_on_a_connection() {
    let all: Vec<Vec<u8>> = captures().iter().map(|path| fs::read(path).unwrap()).collect();
    let alone: Vec<Said> = all.iter().flat_map(|bytes| converse([bytes.as_slice()]).said).collect();
    let joined = all.concat();
    for size in [1, 1000, 8192, joined.len()] {
        let conversation = converse(joined.chunks(size));
        assert_eq!(conversation.said, alone, "by {size}");
        assert!(conversation.idle);
    }
}
