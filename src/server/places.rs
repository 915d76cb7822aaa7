//! Turns the limit on connections into places: records what the connection in each place does, and which one
//! is closed when a new connection needs its place.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::throttle::Throttle;

/// How long a connection that was just accepted may stay silent if all places are taken, or during the drain.
pub(super) const FIRST_BYTE: Duration = Duration::from_secs(1);

/// How long a new connection waits for a place before the log reports it.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// The open connections.
pub(super) struct Connections {
    places: Mutex<Places>,
    /// Notified when a place becomes free, or a connection becomes one that may be closed.
    freed: Notify,
    /// Counts the new connections that had to wait.
    waited: Throttle,
}

struct Places {
    slots: Vec<Option<Entry>>,
    /// Connections on which the gate has been sending a file for long. They take no place, but there are
    /// never more of them than places.
    files_apart: usize,
}

struct Entry {
    state: State,
    close: Arc<Notify>,
}

impl Places {
    fn are_empty(&self) -> bool {
        self.files_apart == 0 && self.slots.iter().all(Option::is_none)
    }
}

/// What a connection does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The gate answers a request on it, or it has just been accepted.
    Busy,
    /// The gate has been sending a file on it for long.
    Sending,
    /// It waits for bytes, and may be closed for a new connection from this moment on.
    Waiting(Instant),
    /// It ends, or is about to be closed for a new connection.
    Leaving,
}

/// What a new connection gets.
enum Place {
    /// This place, and what is notified when the connection must be closed.
    Taken(usize, Arc<Notify>),
    /// No place until another connection has ended, or until this moment.
    Later(Option<Instant>),
}

/// One connection's place. Dropping it frees the place, also after a panic.
pub(super) struct Slot {
    connections: Arc<Connections>,
    /// `None` if the connection is one of `files_apart`.
    index: Option<usize>,
    close: Arc<Notify>,
}

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        let slots = (0..max).map(|_| None).collect();
        Connections {
            places: Mutex::new(Places { slots, files_apart: 0 }),
            freed: Notify::new(),
            waited: Throttle::default(),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place. If all are taken, the connection that has been idle longest is closed; if none is idle,
    /// the new connection waits, and the log reports it.
    pub(super) async fn open(self: &Arc<Self>) -> Slot {
        let mut place = std::pin::pin!(self.place());
        let (index, close) = if let Ok(place) = timeout(WORTH_A_LINE, &mut place).await {
            place
        } else {
            self.tell_of_waiting();
            place.await
        };
        Slot { connections: self.clone(), index: Some(index), close }
    }

    async fn place(&self) -> (usize, Arc<Notify>) {
        loop {
            let freed = self.freed.notified();
            match self.take_free() {
                Place::Taken(index, close) => return (index, close),
                Place::Later(Some(moment)) => drop(timeout_at(moment, freed).await),
                Place::Later(None) => freed.await,
            }
        }
    }

    fn tell_of_waiting(&self) {
        let Some(newcomers) = self.waited.count() else { return };
        let places = self.places();
        let sending = places.slots.iter().flatten().filter(|entry| entry.state == State::Sending).count();
        let (max, files) = (places.slots.len(), places.files_apart + sending);
        drop(places);
        tracing::warn!(
            newcomers,
            max_connections = max,
            files,
            "no place is free, and new connections wait. `files` says on how many connections the gate has been sending a file for \
             long. Raise max_connections if the machine can take more; this is said once a minute"
        );
    }

    fn take_free(&self) -> Place {
        let slots = &mut self.places().slots;
        if let Some(index) = slots.iter().position(Option::is_none) {
            let close = Arc::new(Notify::new());
            slots[index] = Some(Entry { state: State::Busy, close: close.clone() });
            return Place::Taken(index, close);
        }
        // Only one connection is closed at a time, so that a new connection that looks again does not close a
        // second one.
        if slots.iter().flatten().any(|entry| entry.state == State::Leaving) {
            return Place::Later(None);
        }
        let waiting = slots.iter_mut().flatten().filter_map(|entry| match entry.state {
            State::Waiting(moment) => Some((moment, entry)),
            State::Busy | State::Sending | State::Leaving => None,
        });
        match waiting.min_by_key(|(moment, _)| *moment) {
            Some((moment, entry)) if moment <= Instant::now() => {
                entry.state = State::Leaving;
                entry.close.notify_one();
                Place::Later(None)
            }
            idlest => Place::Later(idlest.map(|(moment, _)| moment)),
        }
    }

    pub(super) async fn all_closed(&self) {
        loop {
            let freed = self.freed.notified();
            if self.places().are_empty() {
                return;
            }
            freed.await;
        }
    }
}

impl Slot {
    /// Marks the connection as waiting for its next request or for the rest of one. A new connection stays
    /// protected for [`FIRST_BYTE`], because the runtime may not have heard of its bytes yet, and a web
    /// server may not write at once.
    fn begin_to_wait(&self, between_requests: bool) {
        let patience = if between_requests { Duration::ZERO } else { FIRST_BYTE };
        self.set_state(State::Waiting(Instant::now() + patience));
        // New connections that found no idle connection look again.
        self.connections.freed.notify_waiters();
    }

    /// Marks the connection as busy or ending. Returns whether it was about to be closed for a new
    /// connection.
    fn end_to_wait(&self, goes_on: bool) -> bool {
        let state = if goes_on { State::Busy } else { State::Leaving };
        self.set_state(state) == Some(State::Leaving)
    }

    /// Sets the connection's state; returns the previous one if it has a place.
    fn set_state(&self, state: State) -> Option<State> {
        let mut places = self.connections.places();
        let entry = places.slots.get_mut(self.index?)?.as_mut()?;
        Some(std::mem::replace(&mut entry.state, state))
    }

    /// Frees the place of a connection on which the gate has been sending a file for long, and counts it
    /// apart, unless too many are counted so already. Returns whether it is counted apart.
    pub(super) fn go_apart(&mut self) -> bool {
        let Some(index) = self.index else { return true };
        let mut places = self.connections.places();
        if places.files_apart >= places.slots.len() {
            drop(places);
            self.set_state(State::Sending);
            return false;
        }
        places.files_apart += 1;
        places.slots[index] = None;
        drop(places);
        self.index = None;
        self.connections.freed.notify_waiters();
        true
    }

    /// Takes a place again, as soon as one is free, for a connection that goes on after its file.
    pub(super) async fn come_back(&mut self) {
        if self.index.is_some() {
            self.set_state(State::Busy);
        } else {
            // Dropping the old value lowers `files_apart`.
            *self = self.connections.open().await;
        }
    }

    /// Waits for bytes until `deadline`; `None` if the connection must be closed instead.
    pub(super) async fn wait(
        &self,
        stop: &watch::Receiver<bool>,
        between_requests: bool,
        deadline: Instant,
        read: impl Future<Output = std::io::Result<usize>>,
    ) -> Option<usize> {
        let mut stop = stop.clone();
        tokio::pin!(read);
        self.begin_to_wait(between_requests);
        let count = tokio::select! {
            biased;
            count = &mut read => Some(count.ok()),
            () = self.close.notified() => Some(None),
            () = tokio::time::sleep_until(deadline) => Some(None),
            () = stopped(&mut stop) => None,
        };
        let count = match count {
            Some(count) => count,
            // During the drain no connection waits for a next request, but a first request that is on its way
            // is served.
            None if between_requests => None,
            None => {
                let deadline = deadline.min(Instant::now() + FIRST_BYTE);
                timeout_at(deadline, read).await.ok().and_then(Result::ok)
            }
        };
        let goes_on = count.is_some_and(|count| count > 0);
        let was_to_be_closed = self.end_to_wait(goes_on);
        if goes_on && was_to_be_closed {
            // The bytes came before the connection was closed; the new connection must find another place.
            let _ = self.close.notified().now_or_never();
            self.connections.freed.notify_waiters();
        }
        count
    }

    /// Waits until a connection that has its answer ends, at most `limit`. A new connection gets its place at
    /// once.
    pub(super) async fn linger(&self, limit: Duration, last_words: impl Future<Output = ()>) {
        self.begin_to_wait(true);
        tokio::select! {
            () = last_words => {}
            () = self.close.notified() => {}
            () = tokio::time::sleep(limit) => {}
        }
        self.end_to_wait(false);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut places = self.connections.places();
        match self.index {
            Some(index) => places.slots[index] = None,
            None => places.files_apart -= 1,
        }
        drop(places);
        // The acceptor and the drain may both be waiting: wake both.
        self.connections.freed.notify_waiters();
    }
}

/// Returns when the process is asked to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
