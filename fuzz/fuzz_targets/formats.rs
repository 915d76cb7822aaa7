//! Reads any bytes as each of Piwigo's own formats: a configuration file, a session, cookies, keys, stored
//! sizes.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../src/piwigo/mod.rs"]
mod piwigo;

use libfuzzer_sys::fuzz_target;
use piwigo::auth_key::{self, AuthKey};
use piwigo::sizes::stored::DerivativeConfig;
use piwigo::php::config::PhpConfig;
use piwigo::remember_me::RememberMe;
use piwigo::session;

fuzz_target!(|input: &[u8]| {
    let Some((&format, bytes)) = input.split_first() else { return };
    match format % 5 {
        0 => {
            let mut config = PhpConfig::new();
            config.read("config.inc.php", bytes);
            let _ = (config.conf("db_host"), config.constant("PWG_LOCAL_DIR"), config.table_prefix());
        }
        1 => {
            if let Ok(sign_in) = session::sign_in(bytes) {
                assert!(sign_in.user != Some(0));
            }
        }
        2 => {
            if let Some(id) = session::session_id(bytes, "pwg_id") {
                assert!((16..=128).contains(&id.len()));
                assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b',' || byte == b'-'));
            }
        }
        3 => {
            if let Some(cookie) = RememberMe::parse(bytes) {
                assert!(cookie.user > 0 && !cookie.is_signed_by(b"", b"", b""));
            }
            if let Some(key) = auth_key::parameter(bytes).and_then(|key| AuthKey::parse(&key)) {
                assert!(key.id().len() <= 34);
            }
        }
        _ => assert!(!DerivativeConfig::from_stored(Some(bytes)).0.enabled.is_empty()),
    }
});
