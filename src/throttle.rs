//! Turns a flood of equal events into few log lines: one for the first, then at most one a minute with the
//! number of events.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time after a log line during which events are only counted.
pub const PAUSE: Duration = Duration::from_mins(1);

/// Counts the events of one kind.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Events>);

#[derive(Debug, Default)]
struct Events {
    said: Option<Instant>,
    since: u64,
}

impl Throttle {
    /// Counts one event. If the next log line is due, returns the number of events since the last line,
    /// including this one.
    pub fn count(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now())
    }
}

impl Events {
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self.said.is_some_and(|said| now.duration_since(said) < PAUSE) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_a_minute() {
        let mut events = Events::default();
        let start = Instant::now();
        assert_eq!(events.count(start), Some(1));
        assert_eq!(events.count(start), None);
        assert_eq!(events.count(start + PAUSE / 2), None);
        assert_eq!(events.count(start + PAUSE), Some(3));
        assert_eq!(events.count(start + PAUSE), None);
    }
}
