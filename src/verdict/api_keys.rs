//! Turns an API key's secret and a stored hash into whether they match. A hash takes up to 0.2 s of processor
//! time, so it is computed outside the async threads, one at a time and at most `PER_WINDOW` a second, and
//! the result is remembered. Expiry and revocation are never remembered: the gate reads them from the
//! database for each request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha1::{Digest as _, Sha1};

use crate::piwigo::phpass;

/// How many results are remembered; when there are more, all are forgotten.
const REMEMBERED: usize = 1024;

/// Most hashes computed in one [`WINDOW`], so that a client that tries many secrets cannot use up the
/// processor.
const PER_WINDOW: u32 = 20;

const WINDOW: Duration = Duration::from_secs(1);

/// Longest time that a request waits for its turn. A client that knows a key's id can send wrong secrets
/// faster than they are hashed; the waiting requests must not hold all of the gate's connections.
const PATIENCE: Duration = Duration::from_secs(2);

/// Verifies secrets of API keys.
pub struct Verifier {
    results: Mutex<HashMap<[u8; 20], bool>>,
    turn: tokio::sync::Mutex<Window>,
}

struct Window {
    began: Instant,
    hashes: u32,
}

impl Default for Verifier {
    fn default() -> Self {
        let turn = tokio::sync::Mutex::new(Window { began: Instant::now(), hashes: 0 });
        Verifier { results: Mutex::default(), turn }
    }
}

impl Verifier {
    /// Whether `secret` is the one that was hashed to `stored`. Also false if the limit of hashes within the
    /// last second is reached, or if the request has waited too long for its turn.
    pub async fn verify(&self, secret: &str, stored: &[u8]) -> bool {
        // Only a digest of both stays in memory, not the secret.
        let key: [u8; 20] = Sha1::new()
            .chain_update((stored.len() as u64).to_be_bytes())
            .chain_update(stored)
            .chain_update(secret)
            .finalize()
            .into();
        if let Some(known) = self.known(&key) {
            return known;
        }
        let Ok(mut window) = tokio::time::timeout(PATIENCE, self.turn.lock()).await else { return false };
        if let Some(known) = self.known(&key) {
            return known;
        }
        if window.began.elapsed() >= WINDOW {
            *window = Window { began: Instant::now(), hashes: 0 };
        }
        if window.hashes >= PER_WINDOW {
            return false;
        }
        window.hashes += 1;
        let (password, hash) = (secret.to_owned(), stored.to_vec());
        let verified = tokio::task::spawn_blocking(move || phpass::verify(password.as_bytes(), &hash)).await;
        let Ok(verified) = verified else { return false };
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.len() >= REMEMBERED {
            results.clear();
        }
        results.insert(key, verified);
        verified
    }

    fn known(&self, key: &[u8; 20]) -> Option<bool> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &[u8] = b"$P$5abcdefghRQTwXLGkACWdXkqlmTP.k1";

    #[tokio::test]
    async fn a_result_is_remembered_and_tries_are_counted() {
        let verifier = Verifier::default();
        assert!(verifier.verify("secret", HASH).await);
        for number in 0..PER_WINDOW {
            assert!(!verifier.verify(&format!("wrong {number}"), HASH).await);
        }
        assert_eq!(verifier.turn.lock().await.hashes, PER_WINDOW, "the last one was not computed");
        // A remembered result needs no hash and does not count.
        assert!(verifier.verify("secret", HASH).await);
        assert!(!verifier.verify("secret", b"$P$5abcdefghRQTwXLGkACWdXkqlmTP.k2").await);
        verifier.turn.lock().await.began -= WINDOW;
        assert!(!verifier.verify("another", HASH).await);
        assert_eq!(verifier.turn.lock().await.hashes, 1);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let verifier = Verifier::default();
        let busy = verifier.turn.lock().await;
        assert!(!verifier.verify("secret", HASH).await);
        drop(busy);
        assert!(verifier.verify("secret", HASH).await);
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let verifier = Verifier::default();
        for number in 0..REMEMBERED {
            let digest: [u8; 20] = Sha1::digest(number.to_be_bytes()).into();
            verifier.results.lock().unwrap().insert(digest, true);
        }
        verifier.verify("secret", HASH).await;
        assert_eq!(verifier.results.lock().unwrap().len(), 1);
    }
}
