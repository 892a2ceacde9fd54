//! Vehicles of which nothing is stored for a while.
//!
//! When nobody knows whether a write reached Sync, it may still take effect some time after it
//! was given up. What is read meanwhile may be older than the write, so it is answered but not
//! stored.

use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::HashMap;
use tokio::time::Instant;

use super::{Affected, Key, Mutex, Partition};
use crate::vehicle::{Plate, Vin};

#[derive(Debug, Default)]
pub(super) struct Holds {
    /// Whether there are any, so that the usual none costs one load.
    any: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    until: HashMap<Subject, Instant>,
    /// Until when nothing at all is stored.
    all_until: Option<Instant>,
    /// When the last of them is over.
    last_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Vin(Vin),
    Plate(Plate),
    Partition(Partition),
}

/// More than this at once are no longer told apart: nothing at all is stored until the last of
/// them is over. Memory stays bounded, and nothing wrong is stored.
const MAX_HOLDS: usize = 100_000;

// === impl Holds ===

impl Holds {
    /// Holds off everything that `affected` covers until `until`, which is after `now`.
    pub(super) fn add(&self, affected: &Affected, until: Instant, now: Instant) {
        let held = &mut *self.held.lock();
        let vins = affected.vins.iter().copied().map(Subject::Vin);
        let plates = affected.plates.iter().copied().map(Subject::Plate);
        let partition = affected.partition.map(Subject::Partition);
        for subject in vins.chain(plates).chain(partition) {
            held.add(subject, until, now);
        }
        held.last_until = held.last_until.max(Some(until));
        self.any.store(true, Ordering::Release);
    }

    /// Whether nothing may be stored under `key` now.
    pub(super) fn cover(&self, key: &Key, now: Instant) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let held = &mut *self.held.lock();
        if !is_ahead(held.last_until, now) {
            *held = Held::default();
            self.any.store(false, Ordering::Release);
            return false;
        }
        let subjects = [
            Subject::Vin(key.vehicle.vin),
            Subject::Plate(key.vehicle.plate),
            Subject::Partition(key.partition),
        ];
        is_ahead(held.all_until, now)
            || subjects
                .iter()
                .any(|subject| is_ahead(held.until.get(subject).copied(), now))
    }
}

// === impl Held ===

impl Held {
    fn add(&mut self, subject: Subject, until: Instant, now: Instant) {
        if self.until.len() >= MAX_HOLDS && !is_ahead(self.all_until, now) {
            self.until.retain(|_, &mut until| until > now);
        }
        if self.until.len() < MAX_HOLDS {
            let held = self.until.entry(subject).or_insert(until);
            *held = until.max(*held);
        } else {
            self.all_until = self.all_until.max(Some(until));
        }
    }
}

fn is_ahead(until: Option<Instant>, now: Instant) -> bool {
    until.is_some_and(|until| until > now)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::tests::key;

    const SECOND: Duration = Duration::from_secs(1);

    fn partitions(range: std::ops::Range<u32>) -> impl Iterator<Item = Affected> {
        range.map(|n| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&n.to_be_bytes());
            Affected { partition: Some(Partition::new(&digest)), ..Affected::default() }
        })
    }

    #[test]
    fn a_later_write_never_shortens_a_hold() {
        let (holds, key, now) = (Holds::default(), key(0, 1, 1), Instant::now());
        let affected = Affected { vins: vec![key.vehicle.vin], ..Affected::default() };
        holds.add(&affected, now + 20 * SECOND, now);
        holds.add(&affected, now + 5 * SECOND, now);
        assert!(holds.cover(&key, now + 19 * SECOND));
        assert!(!holds.cover(&key, now + 20 * SECOND));
    }

    #[test]
    fn too_many_holds_cover_everything_until_they_are_over() {
        let (holds, key, now) = (Holds::default(), key(0, 1, 1), Instant::now());
        let too_many = MAX_HOLDS as u32 + 1;
        for affected in partitions(0..too_many) {
            holds.add(&affected, now + 20 * SECOND, now);
        }
        assert!(holds.cover(&key, now + 19 * SECOND));
        // Those that are over make room.
        let later = now + 20 * SECOND;
        for affected in partitions(too_many..too_many + 9) {
            holds.add(&affected, later + 20 * SECOND, later);
        }
        assert!(!holds.cover(&key, later));
        assert_eq!(holds.held.lock().until.len(), 9);
    }
}
