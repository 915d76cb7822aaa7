//! Open connections, kept for the next statement: at most so many, the one used last first.
//!
//! Not sqlx's own pool: that one pings each connection when it comes back, which doubles the round trips of a
//! request and adds a task for each statement.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions as _, Connection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::connect::Open;

/// Longest wait for a place, and after that for a new connection to open.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that rested longer is closed; shared hosts have the server close them after a minute.
const MAX_REST: Duration = Duration::from_secs(30);

/// Connections to one database.
pub(super) struct Pool<C: Connection> {
    options: C::Options,
    places: Semaphore,
    /// The longest at rest in front.
    resting: Mutex<VecDeque<Resting<C>>>,
}

struct Resting<C> {
    connection: C,
    since: Instant,
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
        Pool {
            // Each statement would be formatted for a log that nobody reads.
            options: options.clone().disable_statement_logging(),
            places: Semaphore::new(connections as usize),
            resting: Mutex::default(),
        }
    }

    /// Takes the connection that was used last, or opens one.
    pub(super) async fn lease(&self) -> Result<Lease<'_, C>, sqlx::Error> {
        let place = timeout(CONNECT_TIMEOUT, self.places.acquire()).await;
        let Ok(Ok(place)) = place else { return Err(sqlx::Error::PoolTimedOut) };
        let connection = match self.take() {
            Some(connection) => connection,
            // Boxed: what is needed once for a connection would have its place in the future of every question.
            None => match timeout(CONNECT_TIMEOUT, Box::pin(C::open(&self.options))).await {
                Ok(connection) => connection?,
                Err(late) => return Err(sqlx::Error::Io(late.into())),
            },
        };
        Ok(Lease { pool: self, _place: place, connection })
    }

    /// Drops every connection at rest: one was found dead, and the server that closed it closed all.
    pub(super) fn forget(&self) {
        self.resting().clear();
    }

    fn take(&self) -> Option<C> {
        let mut resting = self.resting();
        while resting.front().is_some_and(|rests| rests.since.elapsed() > MAX_REST) {
            if let Some(Resting { connection, .. }) = resting.pop_front() {
                tokio::spawn(connection.close());
            }
        }
        resting.pop_back().map(|rests| rests.connection)
    }

    fn resting(&self) -> MutexGuard<'_, VecDeque<Resting<C>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Open + Send + 'static> Lease<'_, C> {
    /// The answer was read to its end: the connection can be used again.
    pub(super) fn give_back(self) {
        self.pool.resting().push_back(Resting { connection: self.connection, since: Instant::now() });
    }
}

/// Without the options, which hold a password.
impl<C: Connection> fmt::Debug for Pool<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("free", &self.places.available_permits()).finish_non_exhaustive()
    }
}
