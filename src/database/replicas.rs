//! Which server may be asked now: the primary, or a read replica of which it is known that it has all that
//! the primary had a moment ago.
//!
//! The gate asks the primary again and again for the position of its binary log, and each replica how far it
//! has come ([`super::lag`]). A replica may answer what is asked at a time R only if it has all that the
//! primary had at some time T with R - T no more than `max_lag`. When the primary is away no newer T is
//! known: then its replicas go on for `max_lag` at most, and after that nobody answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::Either;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::engine::{Dialect, Engine, Row, Statement, Value};
use super::lag::{Position, Positions, Standing};
use super::{Address, DatabaseError, Trouble};

/// What was written on the primary so far. Reading it needs no right.
const PRIMARY_POSITION: &str = "SELECT @@GLOBAL.gtid_binlog_pos";

/// What was applied on a replica so far.
const REPLICA_POSITION: &str = "SELECT @@GLOBAL.gtid_slave_pos";

/// Longest wait for one server before another is asked, so that both fit into [`super::ANSWER_TIMEOUT`].
const PATIENCE: Duration = Duration::from_secs(2);

/// A replica that refuses the user, or lacks a table, is not asked again before this.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// That a replica is left out is said no more often than this.
const SAID_FOR: Duration = Duration::from_mins(1);

/// Read replicas, and how old their answers may be.
#[derive(Clone, Debug, Default)]
pub struct Replicas {
    /// Where they are; none: only the primary is asked.
    pub addresses: Vec<Address>,
    /// A change on the primary counts at the latest so long after it was made.
    pub max_lag: Duration,
}

/// The primary and its replicas.
#[derive(Debug)]
pub(super) struct Servers {
    primary: Engine,
    replicas: Vec<Arc<Replica>>,
    settings: Replicas,
    primary_address: Address,
    /// Whose turn it is.
    next: AtomicUsize,
    /// Those who ask for positions; they end with this value.
    watchers: Mutex<JoinSet<()>>,
}

impl Servers {
    /// Makes a place for `connections` connections to each; none is made yet, and no replica is asked before
    /// [`Servers::watch`].
    pub(super) fn new(primary: &Address, replicas: &Replicas, connections: u32) -> Self {
        let replica = |address: &Address| {
            Arc::new(Replica {
                address: address.clone(),
                engine: Engine::open(address, connections),
                state: Mutex::default(),
            })
        };
        Servers {
            primary: Engine::open(primary, connections),
            replicas: replicas.addresses.iter().map(replica).collect(),
            settings: replicas.clone(),
            primary_address: primary.clone(),
            next: AtomicUsize::new(0),
            watchers: Mutex::default(),
        }
    }

    /// Hears how many connections the primary allows this account.
    pub(super) fn keep_within(&self, allowed: u32) {
        self.primary.keep_within(allowed);
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.primary.dialect()
    }

    /// Begins to ask for positions, each server on a connection of its own: a busy pool must not make
    /// replicas seem slow.
    pub(super) fn watch(&self) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.replicas.is_empty() || !watchers.is_empty() {
            return;
        }
        let (sender, receiver) = watch::channel(Positions::default());
        for replica in &self.replicas {
            watchers.spawn(follow_replica(replica.clone(), receiver.clone()));
        }
        watchers.spawn(follow_primary(self.primary_address.clone(), self.settings.max_lag, sender));
    }

    /// Reads: from a replica, if one is known to have what it must, each in turn; otherwise from the primary.
    /// One that fails is left out, and the next is asked.
    pub(super) fn rows(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, DatabaseError>> + Send {
        if self.replicas.is_empty() {
            return Either::Left(self.primary.rows(statement, values));
        }
        // Boxed: the way without replicas must not carry the room for this one.
        Either::Right(Box::pin(async move {
            match self.rows_of_replica(&statement, &values).await {
                Some(answer) => answer,
                None => self.primary.rows(statement, values).await,
            }
        }))
    }

    /// Reads from the primary, and only if that is away from a replica: for what is read seldom and decides
    /// much.
    pub(super) async fn newest_rows(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        if self.replicas.is_empty() {
            return self.primary.rows(statement, values).await;
        }
        let error = match timeout(PATIENCE, self.primary.rows(statement.clone(), values.clone())).await {
            Ok(Err(error)) if error.trouble() == Trouble::Away => error,
            Ok(answer) => return answer,
            Err(_) => DatabaseError::timeout(PATIENCE),
        };
        Box::pin(self.rows_of_replica(&statement, &values)).await.unwrap_or(Err(error))
    }

    /// Writes, or reads what nobody but the primary may say.
    pub(super) async fn rows_of_primary(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        self.primary.rows(statement, values).await
    }

    /// `None` if no replica gave an answer that counts.
    async fn rows_of_replica(
        &self,
        statement: &Statement,
        values: &[Value],
    ) -> Option<Result<Vec<Row>, DatabaseError>> {
        // Whoever shares this statement asked before now.
        let now = Instant::now();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        for index in 0..self.replicas.len() {
            let replica = &self.replicas[turn.wrapping_add(index) % self.replicas.len()];
            if !replica.may_answer(now, self.settings.max_lag) {
                continue;
            }
            let asking = replica.engine.rows_at_once(statement.clone(), values.to_vec());
            match timeout(PATIENCE, asking).await {
                Ok(Err(error)) if !error.is_conversion() => replica.failed(&error),
                Ok(answer) => return Some(answer),
                Err(_) => {
                    replica.failed(&DatabaseError::timeout(PATIENCE));
                    // There is no time for a second one that keeps silent.
                    return None;
                }
            }
        }
        None
    }
}

struct Replica {
    address: Address,
    engine: Engine,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// It has all that the primary had at that time.
    has_all_of: Option<Instant>,
    /// What is asked before this says nothing: a statement failed.
    not_before: Option<Instant>,
    /// When it was said last that it is left out.
    said_at: Option<Instant>,
    /// It was said, and not yet that it is asked again.
    was_said: bool,
}

impl Replica {
    fn may_answer(&self, now: Instant, max_lag: Duration) -> bool {
        let has_all_of = self.state().has_all_of;
        has_all_of.is_some_and(|at| now.saturating_duration_since(at) <= max_lag)
    }

    /// A statement failed. It may be another server that answers next (the same, started anew with older
    /// data): nothing is known of it until it is asked again.
    fn failed(&self, error: &DatabaseError) {
        let not_before = Some(Instant::now() + rest_after(error));
        let mut state = self.state();
        state.not_before = state.not_before.max(not_before);
        drop(state);
        self.leave_out(error);
    }

    /// It has all that the primary had at `at`, as asked at `asked_at`.
    fn has_all_of(&self, at: Instant, asked_at: Instant) {
        let mut state = self.state();
        if state.not_before.is_some_and(|not_before| asked_at <= not_before) {
            return;
        }
        state.has_all_of = Some(at);
        if std::mem::take(&mut state.was_said) {
            tracing::info!(replica = ?self.address, "this replica is asked again");
        }
    }

    fn leave_out(&self, why: &dyn std::fmt::Display) {
        let mut state = self.state();
        state.has_all_of = None;
        if state.said_at.is_none_or(|at| at.elapsed() > SAID_FOR) {
            state.said_at = Some(Instant::now());
            state.was_said = true;
            tracing::warn!(replica = ?self.address, %why, "this replica is not asked for now");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Replica").field(&self.address).finish()
    }
}

/// For how long a server is left alone that answered with this.
fn rest_after(error: &DatabaseError) -> Duration {
    match error.trouble() {
        Trouble::Schema | Trouble::Refused => REFUSED_FOR,
        _ => Duration::ZERO,
    }
}

/// Asks the primary for its position, a few times in `max_lag`, until nobody wants to know.
async fn follow_primary(primary: Address, max_lag: Duration, positions: watch::Sender<Positions>) {
    let engine = Engine::open(&primary, 1);
    let pause = (max_lag / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
    let mut was_said = false;
    while !positions.is_closed() {
        // Before it is asked: what it says holds for this time, too.
        let asked_at = Instant::now();
        match position(&engine, PRIMARY_POSITION).await {
            Ok(Some(position)) => {
                positions.send_modify(|positions| positions.add(asked_at, position, max_lag));
                was_said = false;
            }
            Ok(None) if !was_said => {
                was_said = true;
                tracing::warn!(
                    ?primary,
                    "the primary has no GTID position, so no replica is asked: it needs log_bin (MariaDB)"
                );
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(?primary, %error, "the primary does not say its position"),
        }
        sleep(pause).await;
    }
}

/// Asks a replica for its position whenever the primary's is known anew.
async fn follow_replica(replica: Arc<Replica>, mut positions: watch::Receiver<Positions>) {
    let engine = Engine::open(&replica.address, 1);
    // What it had, and when that was known; a replica never has more than its primary has after that.
    let mut to_be_seen: Option<(Position, Instant)> = None;
    let mut is_replica = false;
    while positions.changed().await.is_ok() {
        if let Some((position, known_at)) = &to_be_seen {
            let contained = positions.borrow().contain(position, *known_at);
            if let Some(contained) = contained {
                is_replica = contained;
                to_be_seen = None;
                if !contained {
                    replica.leave_out(&"it has what its primary has not, so it is no replica of it");
                }
            }
        }
        let asked_at = Instant::now();
        let position = match position(&engine, REPLICA_POSITION).await {
            Ok(Some(position)) => position,
            Ok(None) => {
                (is_replica, to_be_seen) = (false, None);
                replica.leave_out(&"it has no GTID position, so it is no replica");
                continue;
            }
            Err(error) => {
                // What answers next may be another server.
                (is_replica, to_be_seen) = (false, None);
                replica.failed(&error);
                sleep(rest_after(&error)).await;
                continue;
            }
        };
        match positions.borrow().standing(&position) {
            Standing::HasAllOf(at) if is_replica => replica.has_all_of(at, asked_at),
            Standing::HasAllOf(_) => {}
            Standing::Behind => replica.leave_out(&"it is too far behind its primary"),
        }
        to_be_seen.get_or_insert_with(|| (position, Instant::now()));
    }
}

/// A server's position; `None` if it has none.
async fn position(engine: &Engine, statement: &str) -> Result<Option<Position>, DatabaseError> {
    let rows = match timeout(PATIENCE, engine.rows_at_once(statement.into(), Vec::new())).await {
        Ok(answer) => answer?,
        Err(_) => return Err(DatabaseError::timeout(PATIENCE)),
    };
    let text = rows.first().and_then(|row| row.text(0)).unwrap_or_default();
    Ok(Position::parse(&text))
}
