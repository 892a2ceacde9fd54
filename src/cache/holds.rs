//! Vehicles of which nothing is stored for a while.
//!
//! When nobody knows whether a write reached Sync, it may still take effect some time after it
//! was given up. What is read meanwhile may be older than the write, so it is answered but not
//! stored.

use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Affected, Key, Partition};
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
    /// Holds off everything that `affected` covers until `until`.
    pub(super) fn add(&self, affected: &Affected, until: Instant, now: Instant) {
        let held = &mut *self.held.lock();
        if held.until.len() >= MAX_HOLDS {
            held.until.retain(|_, until| *until > now);
        }
        let vins = affected.vins.iter().copied().map(Subject::Vin);
        let plates = affected.plates.iter().copied().map(Subject::Plate);
        let partition = affected.partition.map(Subject::Partition);
        for subject in vins.chain(plates).chain(partition) {
            if held.until.len() < MAX_HOLDS {
                held.until.insert(subject, until);
            } else {
                held.all_until = held.all_until.max(Some(until));
            }
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
        let is_ahead = |until: Option<Instant>| until.is_some_and(|until| until > now);
        if !is_ahead(held.last_until) {
            *held = Held::default();
            self.any.store(false, Ordering::Release);
            return false;
        }
        let subjects = [
            Subject::Vin(key.vehicle.vin),
            Subject::Plate(key.vehicle.plate),
            Subject::Partition(key.partition),
        ];
        is_ahead(held.all_until)
            || subjects
                .iter()
                .any(|subject| is_ahead(held.until.get(subject).copied()))
    }
}
