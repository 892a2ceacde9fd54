//! What writes may have changed while older entries are [brought back](super::restore).

use std::{
    hash::Hash,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::{Partition, Scope, TAGS, fence::StoreFence};

/// What writes may have changed since entries are brought back. Nothing is noted at other times.
pub(super) struct ChangedMeanwhile {
    is_noted: AtomicBool,
    is_all: AtomicBool,
    scopes: StoreFence,
}

/// Longer than any process runs.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

impl ChangedMeanwhile {
    pub(super) fn new(hashing: RandomState, started_at: Instant) -> Self {
        Self {
            is_noted: AtomicBool::new(false),
            is_all: AtomicBool::new(false),
            scopes: StoreFence::new(hashing, started_at),
        }
    }

    pub(super) fn begin(&self) {
        self.is_all.store(false, Ordering::Release);
        self.is_noted.store(true, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.is_noted.store(false, Ordering::Release);
        self.scopes.lift();
    }

    /// A write may have changed what `scope` covers. Before the tables are locked.
    pub(super) fn note<T: Hash>(&self, scope: &Scope<T>) {
        if self.is_noted.load(Ordering::Acquire) {
            let now = Instant::now();
            self.scopes.add(scope, now, now + FOR_EVER);
        }
    }

    /// Anything may have changed.
    pub(super) fn note_all(&self) {
        if self.is_noted.load(Ordering::Acquire) {
            self.is_all.store(true, Ordering::Release);
        }
    }

    /// Whether a key of these `tags` may be older than a write.
    pub(super) fn covers<T: Hash>(
        &self,
        partition: Partition,
        tags: impl FnOnce() -> [T; TAGS],
        now: Instant,
    ) -> bool {
        self.is_all.load(Ordering::Acquire) || self.scopes.covers(partition, tags, now)
    }
}
