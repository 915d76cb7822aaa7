//! Looks at files for requests: in place where the disk answers at once, on threads apart where it takes its
//! time.
//!
//! A look that the system's cache answers takes 1 or 2 µs; handing it to another thread costs 40 µs of
//! processor time. A look that waits for a sleeping disk or a NAS holds up everybody whose requests are
//! answered on the same thread: after one of those, others go to threads apart, until the disk has had time
//! to wake up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A look that took longer waited for a device (a busy processor makes one wait for less).
const AT_ONCE: Duration = Duration::from_millis(10);

/// For so long after a slow look nothing is looked at in place.
const CAUTION: Duration = Duration::from_secs(1);

/// How fast the disk answers.
pub struct Disk {
    started: Instant,
    /// Milliseconds after `started` from which files are looked at in place.
    in_place_from: AtomicU64,
}

impl Default for Disk {
    fn default() -> Self {
        Disk { started: Instant::now(), in_place_from: AtomicU64::new(0) }
    }
}

impl Disk {
    /// Runs `look`, a few system calls that name a file; `None` if it panicked.
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        // Not the time that it waits for a thread.
        let timed = move || {
            let begun = Instant::now();
            (look(), begun.elapsed())
        };
        let apart = self.millis_until(Instant::now()) < self.in_place_from.load(Ordering::Relaxed);
        let (seen, took) = if apart {
            tokio::task::spawn_blocking(timed).await.ok()?
        } else {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(timed)).ok()?
        };
        if took > AT_ONCE {
            // From its end on: a disk may take longer to wake up than the time of caution.
            self.in_place_from.store(self.millis_until(Instant::now() + CAUTION), Ordering::Relaxed);
        }
        Some(seen)
    }

    fn millis_until(&self, moment: Instant) -> u64 {
        u64::try_from((moment - self.started).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_slow_look_the_next_leaves_this_thread() {
        let disk = Disk::default();
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(disk.look(thread).await, Some(here));
        disk.look(|| std::thread::sleep(2 * AT_ONCE)).await;
        assert_ne!(disk.look(thread).await, Some(here));
    }

    /// As of a disk that has to wake up first, and of a NAS that always takes so long.
    #[tokio::test]
    async fn while_looks_are_slower_than_the_time_of_caution_the_next_leaves_this_thread() {
        let disk = Disk::default();
        let thread = || std::thread::current().id();
        for _ in 0..2 {
            disk.look(|| std::thread::sleep(CAUTION + AT_ONCE)).await;
            assert_ne!(disk.look(thread).await, Some(thread()));
        }
    }

    #[tokio::test]
    async fn a_panic_is_no_answer() {
        let disk = Disk::default();
        assert_eq!(disk.look(|| if true { panic!("a test's own") } else { 1 }).await, None);
    }
}
