//! Remembers what a session's last requests needed, so that the gate can query rights in the same round as
//! the session and the image. A guess only adds questions; it answers none. Before a denial the gate asks
//! every question, so that the time that an answer takes does not reveal whether a file exists.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::bounded_map::Halves;

/// Sessions in each half of the map; at most twice this number are remembered, each in about a hundred bytes.
const MAX_SESSIONS: usize = 4096;

/// Most albums remembered for one session.
const MAX_ALBUMS: usize = 8;

/// What one session's last requests needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guess {
    /// The account that the session named, if any.
    pub user: Option<u32>,
    /// The private albums that opened files to it, in ascending order.
    pub albums: Vec<u32>,
}

/// The guesses for all sessions.
#[derive(Debug)]
pub struct Guesses {
    /// Session ids are secrets, and long, so the map holds keyed hashes of them.
    hasher: RandomState,
    sessions: Mutex<Halves<u64, Guess>>,
}

impl Default for Guesses {
    fn default() -> Self {
        Guesses { hasher: RandomState::new(), sessions: Mutex::new(Halves::new(MAX_SESSIONS)) }
    }
}

impl Guesses {
    /// What the session in this row will probably need. Requests without a session share the empty id.
    pub fn at(&self, session_row_id: &str) -> Option<Guess> {
        let key = self.hasher.hash_one(session_row_id);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Remembers the account that the session named, and the private album that opened a file to it, if any.
    pub fn learn(&self, session_row_id: &str, user: Option<u32>, album: Option<u32>) {
        let key = self.hasher.hash_one(session_row_id);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.get(&key).filter(|guess| guess.user == user);
        if known.is_some_and(|guess| album.is_none_or(|album| guess.albums.contains(&album))) {
            return;
        }
        let mut albums = known.map(|guess| guess.albums.clone()).unwrap_or_default();
        if albums.len() >= MAX_ALBUMS {
            albums.clear();
        }
        albums.extend(album);
        albums.sort_unstable();
        sessions.put(key, Guess { user, albums });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_needed_is_remembered_until_it_is_another_users() {
        let guesses = Guesses::default();
        assert_eq!(guesses.at("a"), None);
        guesses.learn("a", Some(5), Some(9));
        guesses.learn("a", Some(5), None);
        guesses.learn("a", Some(5), Some(3));
        assert_eq!(guesses.at("a"), Some(Guess { user: Some(5), albums: vec![3, 9] }));
        guesses.learn("a", None, None);
        assert_eq!(guesses.at("a"), Some(Guess::default()));
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::default();
        for session in 0..3 * MAX_SESSIONS {
            guesses.learn(&session.to_string(), Some(7), None);
        }
        for album in 0..100 {
            guesses.learn("b", Some(7), Some(album));
        }
        assert_eq!(guesses.at("0"), None);
        assert!(guesses.at("b").unwrap().albums.len() <= MAX_ALBUMS);
        assert!(guesses.sessions.lock().unwrap().len() <= 2 * MAX_SESSIONS);
    }
}
