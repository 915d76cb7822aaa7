//! How far a server is: MariaDB's global transaction ids (GTIDs) as text in, whether one server has all that
//! another one had out. No I/O and no clock but the times that are handed in.
//!
//! A position names for each replication domain the last transaction of its binary log, as
//! `domain-server-number` with commas between them; within a domain numbers only grow.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The last transaction of one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    server: u32,
    number: u64,
}

/// The last transaction of each domain; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position(BTreeMap<u32, Last>);

impl Position {
    /// Reads the value of `gtid_binlog_pos` or `gtid_slave_pos`. `None` for what is no position, and for the
    /// empty one: a server that writes no binary log, or that was never a replica, says nothing that could be
    /// compared.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut domains = BTreeMap::new();
        for id in text.split(',') {
            let mut parts = id.trim().split('-');
            let (domain, server, number) = (parts.next()?, parts.next()?, parts.next()?);
            let last = Last { server: server.parse().ok()?, number: number.parse().ok()? };
            // A domain that is named twice is no position.
            if parts.next().is_some() || domains.insert(domain.parse().ok()?, last).is_some() {
                return None;
            }
        }
        Some(Position(domains))
    }

    /// Whether a replica at this position has applied all that its primary had at `primary`: every domain of
    /// the primary's, as far or farther. The same number from another server is another history.
    fn has_all_of(&self, primary: &Position) -> bool {
        primary.0.iter().all(|(domain, theirs)| {
            self.0.get(domain).is_some_and(|ours| {
                ours.number > theirs.number || (ours.number == theirs.number && ours == theirs)
            })
        })
    }

    /// Whether this has something that `primary`, asked later, has not: then it is no replica of that
    /// primary.
    fn is_ahead_of(&self, primary: &Position) -> bool {
        primary.0.iter().any(|(domain, theirs)| {
            self.0.get(domain).is_some_and(|ours| {
                ours.number > theirs.number || (ours.number == theirs.number && ours != theirs)
            })
        })
    }
}

/// Where the primary was, and since when that is known: the newest last.
#[derive(Debug, Default)]
pub(super) struct Positions(VecDeque<(Instant, Position)>);

/// What a replica's position says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has all that the primary had at that time.
    HasAllOf(Instant),
    /// It has less than any position of the primary's that is still of use.
    Behind,
}

impl Positions {
    /// Adds the position of the primary asked for at `asked_at`, and drops those older than `max_lag`.
    pub(super) fn add(&mut self, asked_at: Instant, position: Position, max_lag: Duration) {
        while self.0.front().is_some_and(|(at, _)| asked_at.saturating_duration_since(*at) > max_lag) {
            self.0.pop_front();
        }
        self.0.push_back((asked_at, position));
    }

    /// The newest position that `replica` has all of.
    pub(super) fn standing(&self, replica: &Position) -> Standing {
        let newest = self.0.iter().rev().find(|(_, primary)| replica.has_all_of(primary));
        newest.map_or(Standing::Behind, |&(at, _)| Standing::HasAllOf(at))
    }

    /// Whether `replica`, which was read before `read_before`, had nothing that the primary had not. `None`
    /// as long as the primary was not asked after that.
    pub(super) fn contain(&self, replica: &Position, read_before: Instant) -> Option<bool> {
        let (_, primary) = self.0.back().filter(|(asked_at, _)| *asked_at >= read_before)?;
        Some(!replica.is_ahead_of(primary))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(text: &str) -> Position {
        Position::parse(text).unwrap()
    }

    #[test]
    fn what_is_a_position() {
        let table = [
            ("0-1-100", true),
            ("0-1-100,7-2-3", true),
            ("0-1-100, 7-2-3", true),
            ("4294967295-4294967295-18446744073709551615", true),
            ("", false),
            (",", false),
            ("0-1-100,", false),
            ("0-1", false),
            ("0-1-2-3", false),
            ("0-1-x", false),
            ("0-1--2", false),
            ("4294967296-1-1", false),
            ("0-1-1,0-2-2", false),
            // MySQL's: a set of its own kind.
            ("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5", false),
        ];
        for (text, is_one) in table {
            assert_eq!(Position::parse(text).is_some(), is_one, "{text:?}");
        }
    }

    #[test]
    fn who_has_all_of_what_and_who_is_ahead() {
        // The replica's position, the primary's, whether it has all of it, whether it is ahead.
        let table = [
            ("0-1-5", "0-1-5", true, false),
            ("0-1-4", "0-1-5", false, false),
            ("0-1-6", "0-1-5", true, true),
            // The primary was another server once.
            ("0-2-6", "0-1-5", true, true),
            ("0-2-5", "0-1-5", false, true),
            ("0-2-4", "0-1-5", false, false),
            // A domain is missing, or one more is there.
            ("0-1-5", "0-1-5,1-1-1", false, false),
            ("0-1-5,1-1-1", "0-1-5", true, false),
            ("1-1-5", "0-1-5", false, false),
            // Ahead in one domain, behind in another.
            ("0-1-9,1-1-1", "0-1-5,1-1-2", false, true),
        ];
        for (replica, primary, has_all, is_ahead) in table {
            let (replica, primary) = (position(replica), position(primary));
            assert_eq!(replica.has_all_of(&primary), has_all, "{replica:?} of {primary:?}");
            assert_eq!(replica.is_ahead_of(&primary), is_ahead, "{replica:?} of {primary:?}");
        }
    }

    #[test]
    fn the_newest_position_that_was_reached_counts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut positions = Positions::default();
        assert_eq!(
            positions.standing(&position("0-1-5")),
            Standing::Behind,
            "nothing is known of the primary"
        );
        for (millis, text) in [(0, "0-1-1"), (500, "0-1-5"), (1000, "0-1-5"), (1500, "0-1-9")] {
            positions.add(at(millis), position(text), Duration::from_secs(1));
        }
        let table = [
            ("0-1-9", Standing::HasAllOf(at(1500))),
            ("0-1-8", Standing::HasAllOf(at(1000))),
            ("0-1-5", Standing::HasAllOf(at(1000))),
            // The position at 0 is too old to be of use.
            ("0-1-4", Standing::Behind),
            ("1-1-9", Standing::Behind),
        ];
        for (text, expected) in table {
            assert_eq!(positions.standing(&position(text)), expected, "{text}");
        }
    }

    #[test]
    fn only_a_primary_asked_later_can_show_that_a_replica_is_none_of_its_own() {
        let start = Instant::now();
        let later = start + Duration::from_millis(1);
        let mut positions = Positions::default();
        positions.add(start, position("0-1-5"), Duration::from_secs(1));
        assert_eq!(positions.contain(&position("0-1-6"), later), None);
        positions.add(later, position("0-1-7"), Duration::from_secs(1));
        assert_eq!(positions.contain(&position("0-1-6"), later), Some(true));
        assert_eq!(positions.contain(&position("0-1-8"), later), Some(false));
        assert_eq!(positions.contain(&position("0-2-7"), later), Some(false));
    }

    fn any_position() -> impl Strategy<Value = Position> {
        let last = (1_u32..3, 1_u64..6).prop_map(|(server, number)| Last { server, number });
        proptest::collection::btree_map(0_u32..3, last, 1..4).prop_map(Position)
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not_but_never_fatal(text in "[-0-9, a-z]{0,40}") {
            let _ = Position::parse(&text);
        }

        #[test]
        fn a_position_is_read_as_it_is_written(position in any_position()) {
            let ids = position.0.iter().map(|(domain, last)| format!("{domain}-{}-{}", last.server, last.number));
            prop_assert_eq!(Position::parse(&ids.collect::<Vec<_>>().join(",")), Some(position));
        }

        #[test]
        fn having_all_is_reflexive_and_transitive(a in any_position(), b in any_position(), c in any_position()) {
            prop_assert!(a.has_all_of(&a) && !a.is_ahead_of(&a));
            prop_assert!(!(a.has_all_of(&b) && b.has_all_of(&c)) || a.has_all_of(&c));
        }

        #[test]
        fn who_has_all_of_each_other_is_not_ahead(a in any_position(), b in any_position()) {
            if a.has_all_of(&b) && b.has_all_of(&a) {
                prop_assert!(!a.is_ahead_of(&b) && !b.is_ahead_of(&a));
            }
        }

        /// One history, written by one server: numbers grow, and a replica has a beginning of it.
        #[test]
        fn a_replica_of_one_history_is_never_taken_to_have_more(
            steps in proptest::collection::vec(0_u64..4, 1..20), applied in 1_u64..60,
        ) {
            let start = Instant::now();
            let mut positions = Positions::default();
            let mut number = 1;
            let mut history = Vec::new();
            for (index, step) in steps.iter().enumerate() {
                number += step;
                let at = start + Duration::from_millis(index as u64);
                positions.add(at, position(&format!("0-1-{number}")), Duration::from_secs(1));
                history.push((at, number));
            }
            let expected = history.iter().rev().find(|(_, number)| *number <= applied);
            let expected = expected.map_or(Standing::Behind, |&(at, _)| Standing::HasAllOf(at));
            prop_assert_eq!(positions.standing(&position(&format!("0-1-{applied}"))), expected);
        }
    }
}
