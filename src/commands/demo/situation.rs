//! The three situations in which the page shows the sample gallery, each as a [`Plan`] of its own: guarded,
//! guarded after alice has lost her right to “Family”, and without the gate.

use super::plan::Plan;
use super::right::RightReason;

/// `users.id` of the visitor whose right can be taken away.
pub(super) const USER: u32 = 3;

/// `categories.id` of the private album that she was granted by name.
pub(super) const ALBUM: u32 = 2;

/// What she is once she has lost it, as `DemoVisitor::note`.
const NOTE: &str = "was granted the album “Family” by name, until that right was taken away";

/// How the gallery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Situation {
    /// The gate decides.
    Guarded,
    /// The gate decides, and [`USER`] has no right to [`ALBUM`] any more.
    Revoked,
    /// The web server gives its files to everybody, as it does without a gate.
    Unguarded,
}

impl Plan {
    /// The same gallery after [`USER`] has lost the right to [`ALBUM`].
    pub(super) fn revoked(mut self) -> Self {
        self.situation = Situation::Revoked;
        let Some(column) = self.visitors.iter().position(|visitor| visitor.user_id == USER) else {
            return self;
        };
        self.visitors[column].note = NOTE;
        // Her other grant is for the locked album, whose reason is the lock.
        let pictures = self.pictures.iter_mut().flat_map(|picture| &mut picture.files);
        for file in pictures.chain(&mut self.doors) {
            if matches!(file.row[column], RightReason::ByHand | RightReason::NotMade) {
                file.row[column] = RightReason::TakenAway;
            }
        }
        self
    }

    /// The same gallery without the gate: the addresses of files, and no doors. Piwigo's scripts, which are
    /// among the doors, are PHP, and the demo has none.
    pub(super) fn unguarded(mut self) -> Self {
        self.situation = Situation::Unguarded;
        self.doors.clear();
        for file in self.pictures.iter_mut().flat_map(|picture| &mut picture.files) {
            file.row = [RightReason::Unguarded; 5];
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::sample;

    #[test]
    fn only_alices_column_changes_when_she_loses_her_right() {
        let (before, after) = (sample(), sample().revoked());
        let mut changed = Vec::new();
        for ((title, old), (_, new)) in before.files().zip(after.files()) {
            for column in 0..5 {
                if old.row[column] != new.row[column] {
                    assert_eq!((column, new.row[column].status()), (1, 403), "{title}: {}", old.label);
                    changed.push(title);
                }
            }
        }
        changed.dedup();
        assert_eq!(changed, ["Behind the last ridge", "Dunes", "Evening at sea", "Other doors"]);
    }

    #[test]
    fn without_the_gate_every_visitor_gets_every_file() {
        let plan = sample().unguarded();
        assert!(plan.files().count() > 40);
        for (title, file) in plan.files() {
            assert!(file.path.is_some() && file.row.iter().all(|why| why.status() == 200), "{title}");
        }
    }
}
