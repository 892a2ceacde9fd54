use std::{
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// A value with what the cache knows of it.
#[derive(Debug)]
pub struct Entry<V> {
    /// What the table and the policy find it by.
    pub(super) key_hash: u64,
    /// The partition's epoch when the item was looked up.
    pub(super) epoch: u32,
    /// When there last was a hit that the eviction policy would hear of, in seconds.
    noted_at: AtomicU32,
    value: V,
}

impl<V> Entry<V> {
    pub(super) fn new(key_hash: u64, epoch: u32, value: V) -> Self {
        Self { key_hash, epoch, noted_at: AtomicU32::new(0), value }
    }

    /// The same with another value.
    pub(super) fn with(&self, value: V) -> Self {
        let noted_at = self.noted_at().into();
        Self { key_hash: self.key_hash, epoch: self.epoch, noted_at, value }
    }

    /// The hash that it can be [found](super::Cache::find_held) by.
    pub fn hash(&self) -> u64 {
        self.key_hash
    }

    /// Whether it was served since it is held.
    pub fn was_hit(&self) -> bool {
        self.noted_at() > 0
    }

    /// When there last was a hit that the eviction policy would hear of, in seconds; 0: none.
    pub(super) fn noted_at(&self) -> u32 {
        self.noted_at.load(Relaxed)
    }

    /// Whether the eviction policy should hear of this hit: it hears of at most one in
    /// `every` seconds, because telling it costs more than the look-up itself.
    pub(super) fn is_worth_noting(&self, second: u32, every: u32) -> bool {
        let noted_at = self.noted_at.load(Relaxed);
        let worth = second.wrapping_sub(noted_at) >= every;
        if worth {
            self.noted_at.store(second, Relaxed);
        }
        worth
    }
}

impl<V> Deref for Entry<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}
