//! Open connections, kept for the next statement: at most so many, the one used last first. Where the
//! database allows fewer, a statement waits until a connection is free.
//!
//! Not sqlx's own pool: that one pings each connection when it comes back, which doubles the round trips of a
//! request and adds a task for each statement.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions as _, Connection};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::connect::Open;
use super::full::{close_resting_of_others, has_no_place, register};

/// Longest wait for a place, and after that for a new connection to open.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that rested longer is closed; shared hosts have the server close them after a minute.
const MAX_REST: Duration = Duration::from_secs(30);

/// Longest wait for a connection that another statement gives back before it is looked whether there is one.
const LOOK: Duration = Duration::from_millis(50);

/// A database that had no place for one more connection is not asked for one again before this.
const NEXT_TRY: Duration = Duration::from_millis(200);

/// Connections to one database.
pub(super) struct Pool<C: Connection> {
    options: C::Options,
    places: Semaphore,
    resting: Arc<Resting<C>>,
    /// A connection came to rest.
    freed: Notify,
    /// Before this the database is not asked for one more connection: it had no place.
    next_try: Mutex<Option<Instant>>,
    /// It was said that there are fewer connections than wanted.
    told: AtomicBool,
    /// No connection is left at rest: the account has only one, which Piwigo may need.
    is_single: AtomicBool,
}

/// The longest at rest in front.
struct Resting<C>(Mutex<VecDeque<AtRest<C>>>);

struct AtRest<C> {
    connection: C,
    since: Instant,
}

/// Connections that can be closed because something else needs their places.
pub(super) trait Closable: Send + Sync {
    fn close_all(&self);
}

impl<C: Send> Closable for Resting<C> {
    fn close_all(&self) {
        self.all().clear();
    }
}

impl<C> Resting<C> {
    fn all(&self) -> MutexGuard<'_, VecDeque<AtRest<C>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Unless it is given back it is closed: half an answer may still be under way on it.
pub(super) struct Lease<'a, C: Connection> {
    pool: &'a Pool<C>,
    _place: SemaphorePermit<'a>,
    pub(super) connection: C,
}

impl<C: Open + Send + 'static> Pool<C> {
    /// Makes no connection yet; `connections`: how many it will have at most.
    pub(super) fn new(options: &C::Options, connections: u32) -> Self {
        let resting = Arc::new(Resting(Mutex::default()));
        register(&(resting.clone() as Arc<dyn Closable>));
        Pool {
            // Each statement would be formatted for a log that nobody reads.
            options: options.clone().disable_statement_logging(),
            places: Semaphore::new(connections as usize),
            resting,
            freed: Notify::new(),
            next_try: Mutex::default(),
            told: AtomicBool::new(false),
            is_single: AtomicBool::new(false),
        }
    }

    /// Hears how many connections the database allows this account, which Piwigo may use, too: half of them
    /// are used, and one at least.
    pub(super) fn keep_within(&self, allowed: u32) {
        let half = (allowed / 2).max(1) as usize;
        let too_many = self.places.available_permits().saturating_sub(half);
        if self.places.forget_permits(too_many) > 0 {
            tracing::info!(
                "the database allows this account {allowed} connections at the same time (max_user_connections); the gate uses \
                 {half} of them"
            );
        }
        self.is_single.store(allowed == 1, Ordering::Relaxed);
    }

    /// Takes the connection that was used last, or opens one.
    pub(super) async fn lease(&self) -> Result<Lease<'_, C>, sqlx::Error> {
        let place = timeout(CONNECT_TIMEOUT, self.places.acquire()).await;
        let Ok(Ok(place)) = place else { return Err(sqlx::Error::PoolTimedOut) };
        let connection = match self.take() {
            Some(connection) => connection,
            // Boxed: what is needed once for a connection would have its place in the future of every
            // question.
            None => Box::pin(self.open_or_wait()).await?,
        };
        Ok(Lease { pool: self, _place: place, connection })
    }

    /// Opens a connection, or waits for one that is given back where the database has no place for one more.
    async fn open_or_wait(&self) -> Result<C, sqlx::Error> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        loop {
            if self.may_try() {
                match timeout(CONNECT_TIMEOUT, C::open(&self.options)).await {
                    Err(late) => return Err(sqlx::Error::Io(late.into())),
                    Ok(Err(error)) if has_no_place(&error) && Instant::now() < deadline => {
                        self.is_full(&error);
                    }
                    Ok(answer) => return answer,
                }
            } else if Instant::now() >= deadline {
                return Err(sqlx::Error::PoolTimedOut);
            }
            let _ = timeout(LOOK, self.freed.notified()).await;
            if let Some(connection) = self.take() {
                return Ok(connection);
            }
        }
    }

    fn may_try(&self) -> bool {
        self.next_try().is_none_or(|at| Instant::now() >= at)
    }

    /// The database has no place for one more connection; those that rest in other pools of this program are
    /// given up.
    fn is_full(&self, error: &sqlx::Error) {
        *self.next_try() = Some(Instant::now() + NEXT_TRY);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the database has no place for one more connection; requests wait for those that there are");
        }
        close_resting_of_others(&(self.resting.clone() as Arc<dyn Closable>));
    }

    fn next_try(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next_try.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops every connection at rest: one was found dead, and the server that closed it closed all.
    pub(super) fn forget(&self) {
        self.resting.close_all();
    }

    fn take(&self) -> Option<C> {
        let mut resting = self.resting.all();
        while resting.front().is_some_and(|rests| rests.since.elapsed() > MAX_REST) {
            if let Some(AtRest { connection, .. }) = resting.pop_front() {
                tokio::spawn(connection.close());
            }
        }
        resting.pop_back().map(|rests| rests.connection)
    }
}

impl<C: Open + Send + 'static> Lease<'_, C> {
    /// The answer was read to its end: the connection can be used again.
    pub(super) fn give_back(self) {
        let Lease { pool, _place, connection } = self;
        // A statement that waits for a place opens a connection of its own.
        if pool.is_single.load(Ordering::Relaxed) {
            tokio::spawn(connection.close());
            return;
        }
        pool.resting.all().push_back(AtRest { connection, since: Instant::now() });
        pool.freed.notify_one();
    }
}

/// Without the options, which hold a password.
impl<C: Connection> fmt::Debug for Pool<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("free", &self.places.available_permits()).finish_non_exhaustive()
    }
}
