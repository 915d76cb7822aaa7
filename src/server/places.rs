//! The places for connections: how many there are, what the connection in each of them does, and which one is
//! closed when a newcomer needs its place.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::throttle::Throttle;

/// How long a connection that was just accepted may stay silent when all places are taken, or during the
/// drain.
pub(super) const FIRST_BYTE: Duration = Duration::from_secs(1);

/// A newcomer that has waited for a place for so long is worth a line in the log.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// The open connections: how many, and what they do.
pub(super) struct Connections {
    places: Mutex<Places>,
    /// Of a place, or of a connection that may be closed for one.
    freed: Notify,
    /// Newcomers that had to wait.
    waited: Throttle,
}

struct Places {
    slots: Vec<Option<Entry>>,
    /// Connections on which a file has been sent for long. They take no place, but there are never more of
    /// them than places.
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
    /// It is answered, or has not begun.
    Busy,
    /// A file is sent on it, and has been for long.
    Sending,
    /// It waits for bytes, and may be closed for a newcomer from this moment on.
    Waiting(Instant),
    /// It ends, or is to be closed for a newcomer.
    Leaving,
}

/// What a newcomer gets.
enum Place {
    /// This one, and what is notified when it is to be closed.
    Taken(usize, Arc<Notify>),
    /// None before another connection has ended, or this moment.
    Later(Option<Instant>),
}

/// One connection's place; given back when it is dropped, also by a panic.
pub(super) struct Slot {
    connections: Arc<Connections>,
    /// `None`: it is one of `files_apart`.
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

    /// Takes a place. At the cap the connection that has been idle longest is closed for it; where all are
    /// busy, the newcomer waits, and the log hears of it.
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
        // One at a time: a newcomer that looks again meanwhile closes no second one.
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
    /// From now on the connection waits, for a next request or for the rest of one. What was just accepted
    /// looks silent to the runtime until it has heard of its bytes, and a web server may be kept from writing
    /// at once: not at once is it closed for a newcomer.
    fn begin_to_wait(&self, between_requests: bool) {
        let patience = if between_requests { Duration::ZERO } else { FIRST_BYTE };
        self.set_state(State::Waiting(Instant::now() + patience));
        // Newcomers who found all of them busy look again: this one may be closed for them, now or later.
        self.connections.freed.notify_waiters();
    }

    /// It waits no longer: it goes on with what came, or ends. True: it was to be closed for a newcomer.
    fn end_to_wait(&self, goes_on: bool) -> bool {
        let state = if goes_on { State::Busy } else { State::Leaving };
        self.set_state(state) == Some(State::Leaving)
    }

    /// Says what the connection does now; returns what it did before, if it has a place.
    fn set_state(&self, state: State) -> Option<State> {
        let mut places = self.connections.places();
        let entry = places.slots.get_mut(self.index?)?.as_mut()?;
        Some(std::mem::replace(&mut entry.state, state))
    }

    /// A file has been sent on this connection for long: it gives its place to others and is counted apart,
    /// if not too many are already. Returns whether that is so.
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

    /// The file has been sent, and the connection goes on: in a place, as soon as there is one.
    pub(super) async fn come_back(&mut self) {
        if self.index.is_some() {
            self.set_state(State::Busy);
        } else {
            // What had been apart is given back when the old value is dropped.
            *self = self.connections.open().await;
        }
    }

    /// Waits for bytes until `deadline`; `None` if the connection is to be closed instead.
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
            // During the drain nobody waits for a next request, but a first one that is on its way is served.
            None if between_requests => None,
            None => {
                let deadline = deadline.min(Instant::now() + FIRST_BYTE);
                timeout_at(deadline, read).await.ok().and_then(Result::ok)
            }
        };
        let goes_on = count.is_some_and(|count| count > 0);
        let was_to_be_closed = self.end_to_wait(goes_on);
        if goes_on && was_to_be_closed {
            // It was faster. Who wanted this place must look for another one.
            let _ = self.close.notified().now_or_never();
            self.connections.freed.notify_waiters();
        }
        count
    }

    /// Waits for the last words of a connection that has its answer, no longer than `limit`; a newcomer gets
    /// its place at once.
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
        // One waiter may be the acceptor, the other the drain: wake both.
        self.connections.freed.notify_waiters();
    }
}

/// Returns once the process was asked to end.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
