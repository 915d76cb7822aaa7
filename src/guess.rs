//! Whose session it was the last time: a guess at who asks, so that their rights can be asked for in the same round as
//! the session itself. Never an input of a verdict: a guess that the session's row does not confirm is dropped.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

/// Sessions that are remembered, at most: twice so many, each in a few dozen bytes.
const MAX_SESSIONS: usize = 4096;

/// The accounts that sessions named lately.
#[derive(Debug, Default)]
pub struct Guesses {
    /// Session ids are secrets, and long: their keyed hashes will do.
    hasher: RandomState,
    halves: Mutex<Halves>,
}

/// The older half is dropped when the younger is full.
#[derive(Debug, Default)]
struct Halves {
    young: HashMap<u64, Option<u32>>,
    old: HashMap<u64, Option<u32>>,
}

impl Guesses {
    /// The account that the session in this row named the last time, or that it named none.
    pub fn user(&self, session_row_id: &str) -> Option<Option<u32>> {
        let key = self.hasher.hash_one(session_row_id);
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.young.get(&key).or_else(|| halves.old.get(&key)).copied()
    }

    /// Remembers what the session in this row named.
    pub fn learn(&self, session_row_id: &str, user: Option<u32>) {
        let key = self.hasher.hash_one(session_row_id);
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if halves.young.len() >= MAX_SESSIONS {
            halves.old = std::mem::take(&mut halves.young);
        }
        halves.young.insert(key, user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_session_is_remembered_and_memory_is_bounded() {
        let guesses = Guesses::default();
        assert_eq!(guesses.user("a"), None);
        guesses.learn("a", Some(5));
        guesses.learn("a", None);
        assert_eq!(guesses.user("a"), Some(None));
        for session in 0..3 * MAX_SESSIONS {
            guesses.learn(&session.to_string(), Some(7));
        }
        assert_eq!(
            (guesses.user("a"), guesses.user(&(3 * MAX_SESSIONS - 1).to_string())),
            (None, Some(Some(7)))
        );
        let halves = guesses.halves.lock().unwrap();
        assert!(halves.young.len() + halves.old.len() <= 2 * MAX_SESSIONS);
    }
}
