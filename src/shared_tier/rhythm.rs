//! How often the log is read.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// Whether anybody cares for what is read.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// Where nobody waits for readers, they do not rest.
    may_rest: bool,
    /// Since it was looked at last.
    is_asked: AtomicBool,
}

/// Between two reads. Five may be lost before a lease of 150 ms is over. Reads that block would be
/// answered ten times a second only when nothing is written.
pub(super) const READ_EVERY: Duration = Duration::from_millis(25);

/// The same while nothing is looked up here and nothing is written anywhere. What a read costs is
/// mostly that the process wakes up for it. Two may be lost.
const READ_AT_REST_EVERY: Duration = Duration::from_millis(50);

impl Rhythm {
    /// For replicas in which the response of a write leaves so long after it was announced.
    pub(super) fn new(write_wait: Duration) -> Self {
        Self { may_rest: !write_wait.is_zero(), is_asked: AtomicBool::new(false) }
    }

    /// Something is looked up. Called by every look-up, so it mostly only reads.
    pub(super) fn note_asked(&self) {
        if !self.is_asked.load(Relaxed) {
            self.is_asked.store(true, Relaxed);
        }
    }

    /// How long after a read the next follows, by whether it has brought something.
    pub(super) fn next_after(&self, has_brought: bool) -> Duration {
        let is_asked = self.is_asked.swap(false, Relaxed);
        match self.may_rest && !is_asked && !has_brought {
            true => READ_AT_REST_EVERY,
            false => READ_EVERY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_where_nothing_is_asked_for_or_written() {
        let rhythm = Rhythm::new(Duration::from_millis(150));
        assert_eq!(rhythm.next_after(false), READ_AT_REST_EVERY);
        assert_eq!(rhythm.next_after(true), READ_EVERY);
        rhythm.note_asked();
        rhythm.note_asked();
        assert_eq!(rhythm.next_after(false), READ_EVERY);
        assert_eq!(rhythm.next_after(false), READ_AT_REST_EVERY);
    }

    #[test]
    fn does_not_rest_where_nobody_waits_for_readers() {
        assert_eq!(Rhythm::new(Duration::ZERO).next_after(false), READ_EVERY);
    }
}
