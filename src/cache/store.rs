//! The shards, the eviction policy beside them, and what keeps the two in step.
//!
//! An entry is in its shard's table exactly while it is in the policy: both change under the
//! shard's lock. The policy evicts whenever it likes, also while such a lock is held, so its
//! listener only notes what went; [`Store::settle`] takes it out of the tables afterwards.

use std::{
    hash::{BuildHasher, BuildHasherDefault},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use foldhash::fast::RandomState;
use moka::{notification::RemovalCause, sync::Cache as Policy};
// The policy notes under locks of its own, where tests must not switch threads.
use parking_lot::Mutex as PlainMutex;
use prometheus::IntGauge;
use tokio::{sync::Notify as PlainNotify, time::Instant};

use super::{
    Contents, Entry, Key, LookupLock, Mutex, Partition, changed_meanwhile::ChangedMeanwhile,
    fence::StoreFence, holds::Holds, key::Hashed, prehashed::Prehashed, table::Table,
};

/// The cache: a handle, cheap to clone.
pub struct Cache<C: Contents>(pub(crate) Arc<Store<C>>);

/// What is held, for all to see.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// Entries.
    pub entries: IntGauge,
    /// What they weigh.
    pub bytes: IntGauge,
}

pub(crate) struct Store<C: Contents> {
    contents: C,
    capacity: u64,
    gauges: Gauges,
    pub(super) fence: StoreFence,
    pub(super) holds: Holds,
    pub(super) changed: ChangedMeanwhile,
    hashing: RandomState,
    shards: Box<[Mutex<Table<C>>]>,
    policy: Policy<u64, Arc<Entry<C::Value>>, BuildHasherDefault<Prehashed>>,
    evicted: Arc<Evicted<C::Value>>,
    /// Counts, by the hash of a partition, how often that partition was dropped. Two partitions
    /// that share a counter are dropped together, which costs calls but is never wrong, and takes
    /// no memory that clients could make grow.
    epochs: Box<[AtomicU32]>,
    /// Taken, by the hash of a partition, while a request looks up what has to be fetched. Two that
    /// want the same at once would otherwise each lead a part of it, in twice as many calls.
    lookup_locks: Box<[LookupLock]>,
    /// Told when a partition was dropped.
    pub(super) has_dropped: PlainNotify,
    started_at: Instant,
}

/// What the policy has let go of and the tables still have.
struct Evicted<V> {
    any: AtomicBool,
    entries: PlainMutex<Vec<Arc<Entry<V>>>>,
}

/// Enough that the threads of a large machine rarely meet; a power of two.
const SHARDS: usize = 64;

const EPOCHS: usize = 4096;

const LOOKUP_LOCKS: usize = 64;

/// Seconds between two hits of an entry that the policy hears of. It hears of every miss, so that
/// much less often a flood of vehicles asked for once would outweigh those asked for all the time.
const NOTE_EVERY: u32 = 1;

impl<C: Contents> Cache<C> {
    /// An empty cache of so many bytes.
    pub fn new(contents: C, capacity: u64, gauges: Gauges) -> Self {
        Self::sharded(contents, capacity, gauges, SHARDS)
    }

    /// An empty cache of so many shards: a power of two.
    pub(crate) fn sharded(contents: C, capacity: u64, gauges: Gauges, shards: usize) -> Self {
        let evicted = Arc::<Evicted<_>>::default();
        let noted = Arc::clone(&evicted);
        let policy = Policy::builder()
            // With none at all, moka would neither keep nor report anything.
            .max_capacity(capacity.max(1))
            .weigher(|_, entry: &Arc<Entry<_>>| u32::try_from(C::weight(entry)).unwrap_or(u32::MAX))
            .eviction_listener(move |_, entry, cause| {
                // What is removed on purpose has left its table already.
                if cause != RemovalCause::Explicit {
                    noted.push(entry);
                }
            })
            .build_with_hasher(BuildHasherDefault::default());
        let hashing = RandomState::default();
        let shards = (0..shards)
            .map(|_| Mutex::new(Table::new(hashing.clone())))
            .collect();
        let started_at = Instant::now();
        Self(Arc::new(Store {
            contents,
            capacity,
            gauges,
            fence: StoreFence::new(hashing.clone(), started_at),
            holds: Holds::new(hashing.clone()),
            changed: ChangedMeanwhile::new(hashing.clone(), started_at),
            hashing,
            shards,
            policy,
            evicted,
            epochs: (0..EPOCHS).map(|_| AtomicU32::new(0)).collect(),
            lookup_locks: (0..LOOKUP_LOCKS).map(|_| LookupLock::default()).collect(),
            has_dropped: PlainNotify::new(),
            started_at,
        }))
    }

    /// Bytes that may be held.
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// What it is of.
    pub fn contents(&self) -> &C {
        &self.0.contents
    }
}

impl<C: Contents> Clone for Cache<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Contents> std::fmt::Debug for Cache<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("capacity", &self.0.capacity)
            .finish_non_exhaustive()
    }
}

impl<C: Contents> Store<C> {
    pub(super) fn hashed(&self, key: Key<C::Item>) -> Hashed<C::Item> {
        Hashed { key, hash: self.hashing.hash_one(key) }
    }

    #[inline]
    pub(super) fn shard(&self, hash: u64) -> &Mutex<Table<C>> {
        &self.shards[self.shard_index(hash)]
    }

    #[inline]
    pub(super) fn shard_index(&self, hash: u64) -> usize {
        // The tables inside use the low bits and the top seven; these are neither.
        (hash >> 48) as usize & (self.shards.len() - 1)
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &Mutex<Table<C>>> {
        self.shards.iter()
    }

    /// How often the partition was dropped so far.
    pub(crate) fn epoch(&self, partition: Partition) -> u32 {
        self.counter(partition).load(Ordering::Acquire)
    }

    /// Makes all that was filled or led for the partition so far unusable.
    pub(crate) fn advance_epoch(&self, partition: Partition) {
        self.counter(partition).fetch_add(1, Ordering::AcqRel);
        self.has_dropped.notify_one();
    }

    /// [`Store::advance_epoch`] for every partition there is.
    pub(super) fn advance_epochs(&self) {
        for counter in &self.epochs {
            counter.fetch_add(1, Ordering::AcqRel);
        }
        self.has_dropped.notify_one();
    }

    /// Which counter it is differs from process to process, so that nobody can choose credentials
    /// that share one with another's.
    fn counter(&self, partition: Partition) -> &AtomicU32 {
        &self.epochs[self.hashing.hash_one(partition) as usize % EPOCHS]
    }

    pub(super) fn lookup_lock(&self, partition: Partition) -> &LookupLock {
        &self.lookup_locks[self.hashing.hash_one(partition) as usize % LOOKUP_LOCKS]
    }

    /// The time of a pass, for [`Store::note_hit`].
    pub(super) fn second(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.started_at);
        since.as_secs() as u32 + NOTE_EVERY
    }

    /// Tells the policy of a hit, if it has not heard of one lately.
    #[inline]
    pub(super) fn note_hit(&self, entry: &Entry<C::Value>, second: u32) {
        if entry.is_worth_noting(second, NOTE_EVERY) {
            self.note_asked(entry.key_hash);
        }
    }

    /// Tells the policy that an item is asked for, also one that it may not have. It admits what is
    /// asked for more often than what would have to go, and knows only of what it is told: unheard
    /// of, nothing would ever be admitted to a full cache.
    ///
    /// It is told nothing while half of the room is free. To hear of it costs the policy more than
    /// the look-up itself, mostly waits for memory, and it counts nothing before it is half full for
    /// the first time either. What is asked for while the other half fills is heard of in time.
    pub(super) fn note_asked(&self, hash: u64) {
        if self.gauges.bytes.get() >= (self.capacity / 2) as i64 {
            self.policy.get(&hash);
        }
    }

    /// Stores `entry` in its slot. Under the lock of its shard, which `table` proves.
    /// Gives what it replaces.
    pub(super) fn store(
        &self,
        table: &mut Table<C>,
        id: u32,
        entry: &Arc<Entry<C::Value>>,
    ) -> Option<Arc<Entry<C::Value>>> {
        self.gauges.entries.inc();
        self.gauges.bytes.add(C::weight(entry) as i64);
        let replaced = table.slot_mut(id).entry.replace(Arc::clone(entry));
        if let Some(replaced) = &replaced {
            self.gauges.entries.dec();
            self.gauges.bytes.sub(C::weight(replaced) as i64);
        }
        self.policy.insert(entry.key_hash, Arc::clone(entry));
        replaced
    }

    /// Removes the entry of a slot, if there is one. Under the lock of its shard.
    pub(super) fn remove(&self, table: &mut Table<C>, id: u32) -> bool {
        let Some(entry) = self.forget(table, id) else {
            return false;
        };
        self.policy.invalidate(&entry.key_hash);
        true
    }

    /// Takes what the policy has evicted out of the tables, and makes it evict when more is held
    /// than may be. Under no lock.
    pub(super) fn settle(&self) {
        self.drop_evicted();
        // One run evicts a bounded number of entries; a few more catch up with a large response.
        for _ in 0..MAX_EVICTION_RUNS {
            if self.gauges.bytes.get() <= self.capacity as i64 {
                return;
            }
            self.policy.run_pending_tasks();
            self.drop_evicted();
        }
    }

    /// Whether less is held than may be.
    pub(super) fn has_room(&self) -> bool {
        self.gauges.bytes.get() < self.capacity as i64
    }

    /// Lets the policy do what it has put off, so that it need not when it is told of something
    /// under a lock. Under no lock.
    pub(super) fn catch_up(&self) {
        self.policy.run_pending_tasks();
        self.drop_evicted();
    }

    /// [`Store::settle`], if there is reason to.
    #[inline]
    pub(super) fn settle_if_due(&self) {
        if self.evicted.any.load(Ordering::Acquire) {
            self.settle();
        }
    }

    fn drop_evicted(&self) {
        for entry in self.evicted.take() {
            let table = &mut *self.shard(entry.key_hash).lock();
            // If it was replaced meanwhile, it is in no table any more.
            if let Some(id) = table.find_entry(&entry) {
                self.forget(table, id);
                table.vacate(id);
            }
        }
    }

    fn forget(&self, table: &mut Table<C>, id: u32) -> Option<Arc<Entry<C::Value>>> {
        let entry = table.slot_mut(id).entry.take()?;
        self.gauges.entries.dec();
        self.gauges.bytes.sub(C::weight(&entry) as i64);
        Some(entry)
    }
}

#[cfg(test)]
impl<C: Contents> Store<C> {
    pub(crate) fn shard_of(&self, key: Key<C::Item>) -> usize {
        self.shard_index(self.hashed(key).hash)
    }

    pub(crate) fn last_shard(&self) -> usize {
        self.shards.len() - 1
    }

    pub(crate) fn is_fenced(&self, key: &Key<C::Item>, now: Instant) -> bool {
        self.fence.covers(key.partition, || C::tags(&key.item), now)
    }

    /// Shows what can be served. Panics if something is in flight, or a slot holds nothing.
    pub(crate) fn for_each(&self, visit: impl Fn(&C::Item, &C::Value)) {
        for shard in self.shards() {
            let table = &*shard.lock();
            for id in table.all() {
                let slot = table.slot(id);
                assert!(slot.in_flight.is_none(), "something in flight is left");
                let Some(entry) = &slot.entry else { panic!("a slot is left") };
                if entry.epoch == self.epoch(slot.key().partition) {
                    visit(&slot.key().item, entry);
                }
            }
        }
    }

    /// Panics unless the policy, the gauges and the tables say the same. Nobody else may use the
    /// cache meanwhile.
    pub(crate) fn check(&self) {
        self.policy.run_pending_tasks();
        self.drop_evicted();
        let (mut entries, mut bytes) = (0, 0);
        for shard in self.shards() {
            let table = &*shard.lock();
            table.check();
            for id in table.all() {
                let Some(entry) = &table.slot(id).entry else { continue };
                let held = self.policy.get(&entry.key_hash);
                assert!(held.is_some_and(|held| Arc::ptr_eq(&held, entry)), "not in the policy");
                entries += 1;
                bytes += C::weight(entry);
            }
        }
        assert_eq!(self.policy.entry_count(), entries, "not in a table");
        assert_eq!(self.gauges.entries.get(), entries as i64);
        assert_eq!(self.gauges.bytes.get(), bytes as i64);
    }
}

const MAX_EVICTION_RUNS: usize = 32;

impl<V> Evicted<V> {
    fn push(&self, entry: Arc<Entry<V>>) {
        self.entries.lock().push(entry);
        self.any.store(true, Ordering::Release);
    }

    fn take(&self) -> Vec<Arc<Entry<V>>> {
        let mut entries = self.entries.lock();
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut *entries)
    }
}

impl<V> Default for Evicted<V> {
    fn default() -> Self {
        Self { any: AtomicBool::new(false), entries: PlainMutex::default() }
    }
}
