//! The places for connections: how many there are, what the connection in each of them does, and which one is closed when a
//! newcomer needs its place.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::stopped;

/// How long a connection that was just accepted may stay silent when all places are taken, or during the drain.
pub(super) const FIRST_BYTE: Duration = Duration::from_secs(1);

/// The open connections: how many, and what they do.
pub(super) struct Connections {
    slots: Mutex<Vec<Option<Entry>>>,
    /// Of a place, or of a connection that may be closed for one.
    freed: Notify,
}

struct Entry {
    state: State,
    close: Arc<Notify>,
}

/// What a connection does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is answered, or has not begun.
    Busy,
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
    index: usize,
    close: Arc<Notify>,
}

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        Connections { slots: Mutex::new((0..max).map(|_| None).collect()), freed: Notify::new() }
    }

    /// Takes a place. At the cap the connection that has been idle longest is closed for it; where all are busy,
    /// the newcomer waits.
    pub(super) async fn open(self: &Arc<Self>) -> Slot {
        loop {
            let freed = self.freed.notified();
            match self.take_free() {
                Place::Taken(index, close) => return Slot { connections: self.clone(), index, close },
                Place::Later(Some(moment)) => drop(timeout_at(moment, freed).await),
                Place::Later(None) => freed.await,
            }
        }
    }

    fn take_free(&self) -> Place {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = slots.iter().position(Option::is_none) {
            let close = Arc::new(Notify::new());
            slots[index] = Some(Entry { state: State::Busy, close: close.clone() });
            return Place::Taken(index, close);
        }
        // One at a time: whoever looks again meanwhile closes no second one.
        if slots.iter().flatten().any(|entry| entry.state == State::Leaving) {
            return Place::Later(None);
        }
        let waiting = slots.iter_mut().flatten().filter_map(|entry| match entry.state {
            State::Waiting(moment) => Some((moment, entry)),
            State::Busy | State::Leaving => None,
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

    /// From now on the connection waits, for a next request or for the rest of one. What was just accepted looks silent to the
    /// runtime until it has heard of its bytes, and a web server may be kept from writing at once: not at once is it
    /// closed for a newcomer.
    fn begin_to_wait(&self, index: usize, between_requests: bool) {
        let patience = if between_requests { Duration::ZERO } else { FIRST_BYTE };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(entry)) = slots.get_mut(index) {
            entry.state = State::Waiting(Instant::now() + patience);
        }
        drop(slots);
        // Newcomers who found all of them busy look again: this one may be closed for them, now or later.
        self.freed.notify_waiters();
    }

    /// It waits no longer: it goes on with what came, or ends. True: it was to be closed for a newcomer.
    fn end_to_wait(&self, index: usize, goes_on: bool) -> bool {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Some(entry)) = slots.get_mut(index) else { return false };
        let state = if goes_on { State::Busy } else { State::Leaving };
        std::mem::replace(&mut entry.state, state) == State::Leaving
    }

    pub(super) async fn all_closed(&self) {
        loop {
            let freed = self.freed.notified();
            if self.slots.lock().unwrap_or_else(PoisonError::into_inner).iter().all(Option::is_none) {
                return;
            }
            freed.await;
        }
    }
}

impl Slot {
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
        self.connections.begin_to_wait(self.index, between_requests);
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
        let was_to_be_closed = self.connections.end_to_wait(self.index, goes_on);
        if goes_on && was_to_be_closed {
            // It was faster. Who wanted this place must look for another one.
            let _ = self.close.notified().now_or_never();
            self.connections.freed.notify_waiters();
        }
        count
    }

    /// Waits for the last words of a connection that has its answer, no longer than `limit`; a newcomer gets its place at once.
    pub(super) async fn linger(&self, limit: Duration, last_words: impl Future<Output = ()>) {
        self.connections.begin_to_wait(self.index, true);
        tokio::select! {
            () = last_words => {}
            () = self.close.notified() => {}
            () = tokio::time::sleep(limit) => {}
        }
        self.connections.end_to_wait(self.index, false);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.connections.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(self.index) {
            *slot = None;
        }
        drop(slots);
        // One waiter may be the acceptor, the other the drain: wake both.
        self.connections.freed.notify_waiters();
    }
}
