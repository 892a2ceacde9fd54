//! Tags and partitions that a write elsewhere may change at any moment.
//!
//! While another process makes a write, nobody here knows when it takes effect. What is read
//! meanwhile may be older than the write, so each request fetches it for itself: nobody joins, and
//! nothing is stored. A [fence](super::fence) is for a write that is over and lets others join.
//!
//! Each is known by 64 bits of a hash that nobody outside knows: two that share them are held
//! together, which costs calls but is never wrong. When there are more than [`MAX_SUBJECTS`],
//! everything is held until those that found no room are let go.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, BuildHasherDefault, Hash},
    sync::atomic::{AtomicUsize, Ordering},
};

use foldhash::fast::RandomState;
// Never held while another lock is taken, so tests need not switch threads here.
use parking_lot::Mutex as PlainMutex;

use super::{Partition, Scope, TAGS, prehashed::Prehashed};

/// What is held, and by how many.
pub(super) struct Holds {
    hashing: RandomState,
    /// How many holds there are, so that the usual none costs one load.
    any: AtomicUsize,
    counts: PlainMutex<Counts>,
}

#[derive(Default)]
struct Counts {
    subjects: HashMap<u64, usize, BuildHasherDefault<Prehashed>>,
    /// Holds of everything.
    all: usize,
}

/// What a map of 2^20 places takes, which is 17 MiB while so much is held.
const MAX_SUBJECTS: usize = 7 << 17;

impl Holds {
    pub(super) fn new(hashing: RandomState) -> Self {
        Self { hashing, any: AtomicUsize::new(0), counts: PlainMutex::default() }
    }

    /// Whether a key of these `tags` is held.
    pub(super) fn cover<T: Hash>(
        &self,
        partition: Partition,
        tags: impl FnOnce() -> [T; TAGS],
    ) -> bool {
        if self.any.load(Ordering::Acquire) == 0 {
            return false;
        }
        let tags = tags().map(|tag| self.hashing.hash_one(tag));
        let partition = self.hashing.hash_one(partition);
        let Counts { subjects, all } = &*self.counts.lock();
        *all > 0
            || tags.iter().any(|tag| subjects.contains_key(tag))
            || subjects.contains_key(&partition)
    }

    /// Holds what `scope` covers. Gives what has to be let go of: subjects, and everything or not.
    pub(super) fn add<T: Hash>(&self, scope: &Scope<T>) -> (Vec<u64>, bool) {
        let tags = scope.tags.iter().map(|tag| self.hashing.hash_one(tag));
        let partition = scope
            .partition
            .map(|partition| self.hashing.hash_one(partition));
        let mut hashes: Vec<_> = tags.chain(partition).collect();
        let counts = &mut *self.counts.lock();
        self.any.fetch_add(1, Ordering::AcqRel);
        let mut is_of_all = false;
        hashes.retain(|&hash| {
            let has_room = counts.subjects.len() < MAX_SUBJECTS;
            let is_counted = match counts.subjects.entry(hash) {
                Entry::Occupied(mut count) => {
                    *count.get_mut() += 1;
                    true
                }
                Entry::Vacant(free) if has_room => {
                    free.insert(1);
                    true
                }
                Entry::Vacant(_) => false,
            };
            is_of_all |= !is_counted;
            is_counted
        });
        counts.all += usize::from(is_of_all);
        (hashes, is_of_all)
    }

    /// Lets go of what [`Holds::add`] gave.
    pub(super) fn remove(&self, subjects: &[u64], is_of_all: bool) {
        let counts = &mut *self.counts.lock();
        for &hash in subjects {
            if let Entry::Occupied(mut count) = counts.subjects.entry(hash) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        counts.all -= usize::from(is_of_all);
        if counts.subjects.is_empty() {
            counts.subjects.shrink_to_fit();
        }
        self.any.fetch_sub(1, Ordering::AcqRel);
    }
}
