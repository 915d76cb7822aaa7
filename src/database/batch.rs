//! Questions of one kind, asked together: those that come while a statement is under way share the next one.
//!
//! A statement is begun after every request that shares it has arrived, so nobody is judged by a row that was
//! read before they asked; under load the statements per request become fewer, the verdicts no older. With a
//! `freshness` above zero an answer also serves who asks the same within that time of its beginning.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::SetOnce;

use super::DatabaseError;
use super::client::ANSWER_TIMEOUT;
use crate::bounded_map::Halves;

/// Keys in one statement, at most.
pub(super) const MAX_KEYS: usize = 32;

/// Answers of one kind that are kept for `freshness`, at most: twice so many. Their keys are up to 3 KiB
/// long, but that only for who wants it so.
const MAX_KEPT: usize = 1024;

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
    answer: Arc<SharedAnswer<Q::Row>>,
}

type SharedAnswer<R> = SetOnce<Result<Vec<R>, DatabaseError>>;

/// The rows of a statement, shared by all who asked: also those of others.
pub struct Rows<R>(Arc<SharedAnswer<R>>);

impl<R> Rows<R> {
    async fn of(answer: Arc<SharedAnswer<R>>) -> Result<Self, DatabaseError> {
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

    /// Asks for the batch that has waited longest, if there is one. It gets an answer, whatever happens:
    /// rows, an error, or the error that a panic or a database that keeps silent is turned into.
    ///
    /// A batch that waited for [`ANSWER_TIMEOUT`] is not asked for any more: else those who queue before a
    /// database that keeps silent would wait that long for each batch before theirs.
    pub(super) async fn ask_next(&self) {
        let batch = self.state().waiting.pop_front();
        let Some(batch) = batch else { return };
        if batch.formed_at.elapsed() >= ANSWER_TIMEOUT {
            let _ = batch.answer.set(Err(DatabaseError::timeout(ANSWER_TIMEOUT)));
            return;
        }
        // Boxed: of the kinds of question most have nothing to ask, and their futures would lie side by side
        // in one task.
        let asking = AssertUnwindSafe(Box::pin(ask(&self.question, &batch.keys))).catch_unwind();
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

/// One key that the column's character set cannot hold fails the whole statement: then each is asked alone,
/// and what cannot be held has no row.
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

/// What was asked lately, with the time before which its statement did not begin.
struct Kept<Q: Question> {
    answers: Halves<Q::Key, Dated<Q::Row>>,
    /// When the younger half was begun: it grows old with time, too.
    since: Instant,
}

type Dated<R> = (Instant, Arc<SharedAnswer<R>>);

impl<Q: Question> Kept<Q> {
    fn new() -> Self {
        Kept { answers: Halves::new(MAX_KEPT), since: Instant::now() }
    }

    /// An answer to the same question, or one that is under way, if its statement began less than `freshness`
    /// ago.
    fn get(&self, key: &Q::Key, freshness: Duration) -> Option<Arc<SharedAnswer<Q::Row>>> {
        let (began, answer) = self.answers.get(key)?;
        let failed = matches!(answer.get(), Some(Err(_)));
        (began.elapsed() < freshness && !failed).then(|| answer.clone())
    }

    fn put(&mut self, key: Q::Key, began: Instant, answer: Arc<SharedAnswer<Q::Row>>, freshness: Duration) {
        if self.since.elapsed() >= freshness {
            self.answers.grow_old();
            self.since = Instant::now();
        }
        self.answers.put(key, (began, answer));
    }
}

/// Without the keys, some of which are secrets.
impl<Q: Question> fmt::Debug for Batches<Q> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batches").field("freshness", &self.freshness).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Answers each number with itself, but 13 with a panic, 14 with an error, and lists that hold 15 with
    /// the error that a text makes which the column cannot hold.
    #[derive(Default)]
    struct Echo {
        asked: AtomicUsize,
    }

    impl Question for Echo {
        type Key = u32;
        type Row = u32;

        async fn ask(&self, keys: &[u32]) -> Result<Vec<u32>, DatabaseError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            assert!((1..=MAX_KEYS).contains(&keys.len()));
            assert!(!keys.contains(&13), "a test's own");
            if keys.contains(&14) {
                return Err(DatabaseError::no_answer());
            }
            if keys.contains(&15) {
                return Err(DatabaseError::conversion());
            }
            Ok(keys.to_vec())
        }
    }

    fn batches(freshness: Duration) -> Batches<Echo> {
        Batches::new(Echo::default(), freshness)
    }

    impl Batches<Echo> {
        /// Asks until nobody waits; how many statements that took.
        async fn ask_all(&self) -> usize {
            let before = self.question.asked.load(Ordering::Relaxed);
            while self.has_waiting() {
                self.ask_next().await;
            }
            self.question.asked.load(Ordering::Relaxed) - before
        }
    }

    #[tokio::test]
    async fn equal_keys_are_one_and_a_statement_holds_so_many() {
        let batches = batches(Duration::ZERO);
        let keys = || (0..100u32).map(|number| 100 + number % 70);
        let answers: Vec<_> = keys().map(|key| batches.join(key)).collect();
        // 70 different ones in the order of their arrival; what is asked again later is known to the last
        // batch alone.
        assert!(matches!(batches.ask_all().await, 3 | 4));
        for (key, answer) in keys().zip(answers) {
            assert!(answer.await.unwrap().contains(&key));
        }
    }

    #[tokio::test]
    async fn an_answer_came_after_its_question() {
        let batches = batches(Duration::ZERO);
        let first = batches.join(1);
        assert_eq!(batches.ask_all().await, 1);
        let second = batches.join(1);
        assert_eq!(batches.ask_all().await, 1, "asked anew");
        assert!(!Arc::ptr_eq(&first.await.unwrap().0, &second.await.unwrap().0));
    }

    #[tokio::test]
    async fn everybody_is_answered_after_a_panic_too() {
        let batches = batches(Duration::ZERO);
        let answer = batches.join(13);
        batches.ask_next().await;
        assert!(answer.await.is_err());
        let answer = batches.join(1);
        batches.ask_next().await;
        assert_eq!(*answer.await.unwrap(), [1]);
    }

    #[tokio::test]
    async fn who_has_left_is_no_reason_not_to_answer_the_others() {
        let batches = batches(Duration::ZERO);
        drop(batches.join(1));
        let answer = batches.join(2);
        batches.ask_next().await;
        assert_eq!(*answer.await.unwrap(), [1, 2]);
    }

    #[tokio::test]
    async fn what_cannot_be_held_has_no_row_and_fails_nobody() {
        let batches = batches(Duration::ZERO);
        let answers = [batches.join(1), batches.join(15), batches.join(2)];
        assert_eq!(batches.ask_all().await, 4, "together, and then one by one");
        for answer in answers {
            assert_eq!(*answer.await.unwrap(), [1, 2]);
        }
    }

    #[tokio::test]
    async fn who_queued_for_too_long_is_told_so_at_once() {
        let batches = batches(Duration::ZERO);
        let (late, answer) = (batches.join(1), batches.join(2));
        batches.state().waiting[0].formed_at -= ANSWER_TIMEOUT;
        assert_eq!(batches.ask_all().await, 0);
        assert!(late.await.is_err() && answer.await.is_err());
    }

    #[tokio::test]
    async fn an_answer_serves_again_until_it_is_as_old_as_its_batch_may_be() {
        let freshness = Duration::from_mins(1);
        let batches = batches(freshness);
        let waiting = [batches.join(1), batches.join(1)];
        assert_eq!(batches.ask_all().await, 1);
        for answer in waiting.into_iter().chain([batches.join(1)]) {
            assert_eq!(*answer.await.unwrap(), [1]);
        }
        assert!(!batches.has_waiting());
        // Its age counts from before its statement began.
        {
            let mut state = batches.state();
            let (began, answer) = state.kept.answers.get(&1).cloned().expect("kept");
            state.kept.answers.put(1, (began.checked_sub(freshness).expect("up for so long"), answer));
        }
        drop(batches.join(1));
        assert_eq!(batches.ask_all().await, 1);
    }

    #[tokio::test]
    async fn a_failed_answer_is_not_kept() {
        let batches = batches(Duration::from_mins(1));
        for key in [13, 14] {
            for _ in 0..2 {
                let answer = batches.join(key);
                assert_eq!(batches.ask_all().await, 1, "asked anew");
                assert!(answer.await.is_err());
            }
        }
    }

    #[tokio::test]
    async fn answers_that_are_kept_are_bounded() {
        let batches = batches(Duration::from_mins(1));
        for key in 0..5 * u32::try_from(MAX_KEPT).unwrap() {
            drop(batches.join(1000 + key));
            batches.ask_all().await;
            let state = batches.state();
            assert!(state.kept.answers.len() <= 2 * MAX_KEPT);
        }
        let state = batches.state();
        assert!(state.waiting.is_empty() && state.kept.answers.len() > MAX_KEPT);
    }
}
