//! The shards, the eviction policy beside them, and what keeps the two in step.
//!
//! An entry is in its shard's table exactly while it is in the policy: both change under the
//! shard's lock. The policy evicts whenever it likes, also while such a lock is held, so its
//! listener only notes what went; [`Store::settle`] takes it out of the tables afterwards.

use std::{
    hash::{BuildHasher, BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use moka::{notification::RemovalCause, sync::Cache as Policy};
// The policy notes under locks of its own, where tests must not switch threads.
use parking_lot::Mutex as PlainMutex;
use tokio::{sync::Notify as PlainNotify, time::Instant};

use super::{
    Classes, Config, Entry, Failure, Key, Lifetimes, LookupLock, Metrics, Mutex, Partition,
    StaleWindows, fence::StoreFence, flight::Hashed, table::Table,
};

/// The cache: a handle, cheap to clone. `F` is why a flight failed.
pub struct Cache<F>(pub(super) Arc<Store<F>>);

pub(super) struct Store<F> {
    pub(super) config: Config,
    lifetimes: ArcSwap<Lifetimes>,
    pub(super) metrics: Metrics,
    pub(super) fence: StoreFence,
    hashing: RandomState,
    shards: Box<[Mutex<Table<F>>]>,
    policy: Policy<u64, Arc<Entry>, BuildHasherDefault<Prehashed>>,
    evicted: Arc<Evicted>,
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
#[derive(Default)]
struct Evicted {
    any: AtomicBool,
    entries: PlainMutex<Vec<Arc<Entry>>>,
}

/// Enough that the threads of a large machine rarely meet; a power of two.
const SHARDS: usize = 64;

const EPOCHS: usize = 4096;

const LOOKUP_LOCKS: usize = 64;

/// Seconds between two hits of an entry that the policy hears of. It hears of every miss, so that
/// much less often a flood of vehicles asked for once would outweigh those asked for all the time.
const NOTE_EVERY: u32 = 1;

/// What an entry weighs beside its bytes: the entry itself, its slot in the table with the
/// indexes, and its nodes in the policy.
///
/// Measured with mimalloc as the growth of resident memory by an entry, less its bytes. In a cache
/// that has let go of ten times what it holds it is 620, 670 and 850 with elements of 300, 1000
/// and 3000 bytes. When elements of 1,331 bytes in the mean went through a gateway, 10,000 a
/// request, resident memory grew by 131 MiB beside 64 MiB of them, and by 328 MiB beside 256 MiB,
/// at a weight of 650: 67 MiB are the gateway's at work, and the rest is met within 3 %.
const OVERHEAD: usize = 700;

// === impl Cache ===

impl<F: Failure> Cache<F> {
    /// An empty cache.
    pub fn new(config: Config, lifetimes: Lifetimes, metrics: Metrics) -> Self {
        Self::sharded(config, lifetimes, metrics, SHARDS)
    }

    /// An empty cache of so many shards: a power of two.
    pub(super) fn sharded(
        config: Config,
        lifetimes: Lifetimes,
        metrics: Metrics,
        shards: usize,
    ) -> Self {
        let evicted = Arc::<Evicted>::default();
        let noted = Arc::clone(&evicted);
        let policy = Policy::builder()
            // With none at all, moka would neither keep nor report anything.
            .max_capacity(config.capacity.max(1))
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(weight(entry)).unwrap_or(u32::MAX))
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
        let epochs = (0..EPOCHS).map(|_| AtomicU32::new(0)).collect();
        let lookup_locks = (0..LOOKUP_LOCKS).map(|_| LookupLock::default()).collect();
        let started_at = Instant::now();
        Self(Arc::new(Store {
            config,
            lifetimes: ArcSwap::from_pointee(lifetimes),
            metrics,
            fence: StoreFence::new(hashing.clone(), started_at),
            hashing,
            shards,
            policy,
            evicted,
            epochs,
            lookup_locks,
            has_dropped: PlainNotify::new(),
            started_at,
        }))
    }

    /// Changes how long results stay fresh that are stored from now on, and how long past that
    /// whatever is held may be served.
    pub fn set_lifetimes(&self, lifetimes: Lifetimes) {
        self.0.lifetimes.store(Arc::new(lifetimes));
    }

    /// Whether anything is kept at all.
    pub fn is_enabled(&self) -> bool {
        self.0.config.enabled
    }

    /// What the cache counts.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

impl<F> Clone for Cache<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> std::fmt::Debug for Cache<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

// === impl Store ===

impl<F> Store<F> {
    pub(super) fn hashed(&self, key: Key) -> Hashed {
        Hashed { key, hash: self.hashing.hash_one(key) }
    }

    #[inline]
    pub(super) fn shard(&self, hash: u64) -> &Mutex<Table<F>> {
        &self.shards[self.shard_index(hash)]
    }

    #[inline]
    pub(super) fn shard_index(&self, hash: u64) -> usize {
        // The tables inside use the low bits and the top seven; these are neither.
        (hash >> 48) as usize & (self.shards.len() - 1)
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &Mutex<Table<F>>> {
        self.shards.iter()
    }

    /// How often the partition was dropped so far.
    pub(super) fn epoch(&self, partition: Partition) -> u32 {
        self.counter(partition).load(Ordering::Acquire)
    }

    /// Makes all that was filled or led for the partition so far unusable.
    pub(super) fn advance_epoch(&self, partition: Partition) {
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
    pub(super) fn note_hit(&self, entry: &Entry, second: u32) {
        if entry.is_worth_noting(second, NOTE_EVERY) {
            self.policy.get(&entry.key_hash);
        }
    }

    /// Tells the policy that a vehicle is asked for which it may not have. It admits what is asked
    /// for more often than what would have to go, and knows only of what it is told: unheard of,
    /// nothing would ever be admitted to a full cache.
    pub(super) fn note_miss(&self, hash: u64) {
        self.policy.get(&hash);
    }

    /// How long an element of this entry's key stays fresh.
    pub(super) fn fresh_for(&self, classes: Classes, hash: u64) -> Duration {
        self.lifetimes.load().ttl.fresh_for(classes, hash)
    }

    /// How long past that what is held may still be served.
    pub(super) fn stale(&self) -> StaleWindows {
        self.lifetimes.load().stale
    }

    /// Stores `entry` in its slot. Under the lock of its shard, which `table` proves.
    /// Gives what it replaces.
    pub(super) fn store(
        &self,
        table: &mut Table<F>,
        id: u32,
        entry: &Arc<Entry>,
    ) -> Option<Arc<Entry>> {
        self.metrics.entries.inc();
        self.metrics.bytes.add(weight(entry) as i64);
        let replaced = table.slot_mut(id).entry.replace(Arc::clone(entry));
        if let Some(replaced) = &replaced {
            self.metrics.entries.dec();
            self.metrics.bytes.sub(weight(replaced) as i64);
        }
        self.policy.insert(entry.key_hash, Arc::clone(entry));
        replaced
    }

    /// Removes the entry of a slot, if there is one. Under the lock of its shard.
    pub(super) fn remove(&self, table: &mut Table<F>, id: u32) -> bool {
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
            if self.metrics.bytes.get() <= self.config.capacity as i64 {
                return;
            }
            self.policy.run_pending_tasks();
            self.drop_evicted();
        }
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

    fn forget(&self, table: &mut Table<F>, id: u32) -> Option<Arc<Entry>> {
        let entry = table.slot_mut(id).entry.take()?;
        self.metrics.entries.dec();
        self.metrics.bytes.sub(weight(&entry) as i64);
        Some(entry)
    }
}

#[cfg(test)]
impl<F> Store<F> {
    /// Panics unless the policy, the gauges and the tables say the same. Nobody else may use the
    /// cache meanwhile.
    pub(super) fn check(&self) {
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
                bytes += weight(entry);
            }
        }
        assert_eq!(self.policy.entry_count(), entries, "not in a table");
        assert_eq!(self.metrics.entries.get(), entries as i64);
        assert_eq!(self.metrics.bytes.get(), bytes as i64);
    }
}

const MAX_EVICTION_RUNS: usize = 32;

// === impl Evicted ===

impl Evicted {
    fn push(&self, entry: Arc<Entry>) {
        self.entries.lock().push(entry);
        self.any.store(true, Ordering::Release);
    }

    fn take(&self) -> Vec<Arc<Entry>> {
        let mut entries = self.entries.lock();
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut *entries)
    }
}

fn weight(entry: &Entry) -> usize {
    allocated(entry.bytes().len()) + OVERHEAD
}

/// What the allocator takes for so many bytes: it has four sizes between a power of two and the
/// next.
fn allocated(bytes: usize) -> usize {
    let step = bytes.next_power_of_two() / 8;
    bytes.next_multiple_of(step.max(8))
}

/// Passes a hash through that was taken already.
#[derive(Default)]
pub(super) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` keys are hashed here; anything else would still be spread, if badly.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
