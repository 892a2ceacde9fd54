//! What an earlier process held, brought back while requests are served.
//!
//! It is older than any write of this process. So from before the first request until all of it is
//! back, it is noted what writes may have changed, and nothing of that comes into the tables.

use std::{cmp::Reverse, sync::Arc};

use tokio::time::Instant;

use super::{Cache, Contents, Entry, Key, key::Hashed};

/// Brings entries back, until it is dropped. There is one at a time.
#[must_use = "dropped at once, writes are not noted"]
pub struct Restoring<C: Contents>(Cache<C>);

/// An entry, and what it is of.
pub type HeldEntry<C> = (Key<<C as Contents>::Item>, Arc<Entry<<C as Contents>::Value>>);

impl<C: Contents> Cache<C> {
    /// Brings back what an earlier process held. Has to be called before the first request.
    pub fn restore(&self) -> Restoring<C> {
        self.0.changed.begin();
        Restoring(self.clone())
    }

    /// All that is held, but for what a write elsewhere may change at any moment. What was asked for
    /// last comes first.
    pub fn held(&self) -> Vec<HeldEntry<C>> {
        let store = &self.0;
        let mut held = Vec::new();
        for shard in store.shards() {
            let table = &*shard.lock();
            let slots = (0..table.end()).map(|id| table.slot(id));
            held.extend(slots.filter_map(|slot| {
                let (entry, key) = (slot.entry.as_ref()?, slot.key());
                let is_current = entry.epoch == store.epoch(key.partition);
                let is_held = store.holds.cover(key.partition, || C::tags(&key.item));
                (is_current && !is_held).then(|| (*key, Arc::clone(entry)))
            }));
        }
        held.sort_by_key(|(_, entry)| Reverse(entry.noted_at()));
        held
    }

    /// Whether it is unknown of some write what it did.
    pub fn is_fenced(&self, now: Instant) -> bool {
        self.0.fence.stands(now)
    }
}

impl<C: Contents> Restoring<C> {
    /// Stores a value that an earlier process held, unless something newer is held or a write may
    /// have changed it. Gives whether it was stored.
    pub fn insert(&self, key: Key<C::Item>, value: C::Value, now: Instant) -> bool {
        let store = &self.0.0;
        let Hashed { key, hash } = store.hashed(key);
        let table = &mut *store.shard(hash).lock();
        // First: a partition that is dropped is noted before it is in another epoch.
        let epoch = store.epoch(key.partition);
        // A write is noted before it takes the shard's lock, so either it is seen here, or it sees
        // the entry.
        let is_changed = store.holds.cover(key.partition, || C::tags(&key.item))
            || store
                .changed
                .covers(key.partition, || C::tags(&key.item), now);
        let id = table.occupy(key, hash);
        if is_changed || table.slot(id).entry.is_some() {
            table.vacate(id);
            return false;
        }
        let entry = Arc::new(Entry::new(hash, epoch, value));
        store.store(table, id, &entry);
        true
    }

    /// Lets the eviction policy catch up. Gives whether there is room for more.
    pub fn settle(&self) -> bool {
        self.0.0.settle();
        self.0.0.has_room()
    }
}

impl<C: Contents> Drop for Restoring<C> {
    fn drop(&mut self) {
        self.0.0.changed.end();
    }
}
