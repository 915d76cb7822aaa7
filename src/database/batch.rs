//! Questions of one kind, asked together: those that come while a statement is under way share the next one.
//!
//! A statement is begun after every request that shares it has arrived, so nobody is judged by a row that was read
//! before they asked; under load the statements per request become fewer, the verdicts no older. With a
//! `freshness` above zero an answer also serves who asks the same within that time of its beginning.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::SetOnce;

use super::{ANSWER_TIMEOUT, DatabaseError};

/// Keys in one statement, at most.
pub(super) const MAX_KEYS: usize = 32;

/// Answers of one kind that are kept for `freshness`, at most: twice so many.
const MAX_KEPT: usize = 4096;

/// One kind of question.
pub(super) trait Question: Send + Sync + 'static {
    /// What one request asks for.
    type Key: Clone + Eq + Hash + Send + Sync;
    /// A row of the answer; it says itself which key it belongs to.
    type Row: Send + Sync;

    /// Asks for all of `keys`, between 1 and [`MAX_KEYS`] different ones, in one statement.
    fn ask(&self, keys: &[Self::Key]) -> impl Future<Output = Result<Vec<Self::Row>, DatabaseError>> + Send;
}

/// Where questions of one kind meet.
pub(super) struct Batches<Q: Question> {
    question: Q,
    freshness: Duration,
    state: Mutex<State<Q>>,
}

struct State<Q: Question> {
    waiting: VecDeque<Batch<Q>>,
    kept: Kept<Q>,
}

/// Keys that one statement will ask for.
struct Batch<Q: Question> {
    keys: Vec<Q::Key>,
    formed_at: Instant,
    answer: Arc<Answer<Q::Row>>,
}

type Answer<R> = SetOnce<Result<Vec<R>, DatabaseError>>;

/// The rows of a statement, shared by all who asked: also those of others.
pub struct Rows<R>(Arc<Answer<R>>);

impl<R> Rows<R> {
    async fn of(answer: Arc<Answer<R>>) -> Result<Self, DatabaseError> {
        match answer.wait().await {
            Ok(_) => Ok(Rows(answer)),
            Err(error) => Err(error.clone()),
        }
    }
}

impl<R> Deref for Rows<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        self.0.get().and_then(|answer| answer.as_deref().ok()).unwrap_or_default()
    }
}

impl<R: fmt::Debug> fmt::Debug for Rows<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl<Q: Question> Batches<Q> {
    /// A place for questions whose answers may be used again for `freshness`; zero: never.
    pub(super) fn new(question: Q, freshness: Duration) -> Self {
        let state = State { waiting: VecDeque::new(), kept: Kept::new() };
        Batches { question, freshness, state: Mutex::new(state) }
    }

    /// Puts `key` into a batch that has not begun yet; the answer is that batch's.
    pub(super) fn join(&self, key: Q::Key) -> impl Future<Output = Result<Rows<Q::Row>, DatabaseError>> {
        let mut state = self.state();
        let State { waiting, kept } = &mut *state;
        let keeps = !self.freshness.is_zero();
        if keeps && let Some(answer) = kept.get(&key, self.freshness) {
            return Rows::of(answer);
        }
        let is_full = |batch: &Batch<Q>| batch.keys.len() >= MAX_KEYS && !batch.keys.contains(&key);
        if waiting.back().is_none_or(is_full) {
            waiting.push_back(Batch { keys: Vec::new(), formed_at: Instant::now(), answer: Arc::default() });
        }
        let index = waiting.len() - 1;
        let batch = &mut waiting[index];
        let answer = batch.answer.clone();
        if keeps {
            kept.put(key.clone(), batch.formed_at, answer.clone(), self.freshness);
        }
        if !batch.keys.contains(&key) {
            batch.keys.push(key);
        }
        Rows::of(answer)
    }

    /// Whether anybody waits.
    pub(super) fn has_waiting(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Asks for the batch that has waited longest, if there is one. It gets an answer, whatever happens: rows, an error,
    /// or the error that a panic or a database that keeps silent is turned into.
    pub(super) async fn ask_next(&self) {
        let batch = self.state().waiting.pop_front();
        let Some(batch) = batch else { return };
        let asking = AssertUnwindSafe(ask(&self.question, &batch.keys)).catch_unwind();
        let answer = match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(DatabaseError::no_answer()),
            Err(_) => Err(DatabaseError::timeout(ANSWER_TIMEOUT)),
        };
        // Nobody else sets it.
        let _ = batch.answer.set(answer);
    }

    fn state(&self) -> MutexGuard<'_, State<Q>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One key that the column's character set cannot hold fails the whole statement: then each is asked alone, and what
/// cannot be held has no row.
async fn ask<Q: Question>(question: &Q, keys: &[Q::Key]) -> Result<Vec<Q::Row>, DatabaseError> {
    match question.ask(keys).await {
        Err(error) if error.is_conversion() => {}
        answer => return answer,
    }
    let mut rows = Vec::new();
    for key in keys {
        match question.ask(std::slice::from_ref(key)).await {
            Err(error) if error.is_conversion() => {}
            answer => rows.extend(answer?),
        }
    }
    Ok(rows)
}

/// What was asked lately, in two halves: the older one is dropped when the younger is full or `freshness` old.
struct Kept<Q: Question> {
    young: Dated<Q>,
    old: Dated<Q>,
    since: Instant,
}

/// Answers, each with the time before which its statement did not begin.
type Dated<Q> = HashMap<<Q as Question>::Key, (Instant, Arc<Answer<<Q as Question>::Row>>)>;

impl<Q: Question> Kept<Q> {
    fn new() -> Self {
        Kept { young: HashMap::new(), old: HashMap::new(), since: Instant::now() }
    }

    /// An answer to the same question, or one that is under way, if its statement began less than `freshness` ago.
    fn get(&self, key: &Q::Key, freshness: Duration) -> Option<Arc<Answer<Q::Row>>> {
        let (began, answer) = self.young.get(key).or_else(|| self.old.get(key))?;
        let failed = matches!(answer.get(), Some(Err(_)));
        (began.elapsed() < freshness && !failed).then(|| answer.clone())
    }

    fn put(&mut self, key: Q::Key, began: Instant, answer: Arc<Answer<Q::Row>>, freshness: Duration) {
        if self.young.len() >= MAX_KEPT || self.since.elapsed() >= freshness {
            self.old = std::mem::take(&mut self.young);
            self.since = Instant::now();
        }
        self.young.insert(key, (began, answer));
    }
}

/// Without the keys, some of which are secrets.
impl<Q: Question> fmt::Debug for Batches<Q> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batches").field("freshness", &self.freshness).finish_non_exhaustive()
    }
}
