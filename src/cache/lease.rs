//! The duty to fetch items, and to say what came of it.

use std::{any::Any, mem, ops::Range, sync::Arc};

use super::{
    Cache, Contents, Entry, Moment,
    flight::{Flight, Outcome},
    key::Hashed,
};
use crate::trace::SpanContext;

/// The right and the duty to fetch some items, of one request or of several.
///
/// It ends by [`Leases::fill`] or [`Leases::fail`]. Dropped before that, it abandons its
/// items: whoever waits for them looks them up again.
#[must_use = "dropping leases abandons their items"]
pub struct Leases<C: Contents> {
    cache: Cache<C>,
    leases: Vec<Lease<C>>,
}

/// The right and the duty to fetch one item.
pub struct Lease<C: Contents> {
    hashed: Hashed<C::Item>,
    flight: Arc<Flight<C>>,
    index: u32,
    is_refresh: bool,
    /// What is dropped with it.
    guard: Option<Guard>,
}

/// Ends something when it is dropped.
pub type Guard = Box<dyn Any + Send + Sync>;

/// What came into the cache.
pub struct Stored<C: Contents> {
    /// The item.
    pub item: C::Item,
    /// What is held of it from now on.
    pub entry: Arc<Entry<C::Value>>,
    /// What was held before.
    pub replaced: Option<Arc<Entry<C::Value>>>,
}

/// Entries after which the eviction policy catches up.
const SETTLE_EVERY: usize = 64;

impl<C: Contents> Lease<C> {
    pub(super) fn new(
        hashed: Hashed<C::Item>,
        flight: Arc<Flight<C>>,
        index: u32,
        is_refresh: bool,
    ) -> Self {
        Self { hashed, flight, index, is_refresh, guard: None }
    }

    /// What it is for.
    pub fn item(&self) -> C::Item {
        self.hashed.key.item
    }

    /// Whether the request that leads has a stale entry already and does not wait.
    pub fn is_refresh(&self) -> bool {
        self.is_refresh
    }

    /// Drops `guard` when the lease has ended, after everybody was told who waits.
    pub fn keep(&mut self, guard: Guard) {
        self.guard = Some(guard);
    }

    /// Takes its item out of the table, so that nobody joins any more, and stores `entry`
    /// there. Both only if the flight still stands there: a write removes it, and a `no-cache`
    /// request puts its own in its place. Gives whether `entry` is stored, and what it replaces.
    fn release(
        &self,
        cache: &Cache<C>,
        entry: Option<&Arc<Entry<C::Value>>>,
    ) -> (bool, Option<Arc<Entry<C::Value>>>) {
        let Hashed { key, hash } = self.hashed;
        let store = &cache.0;
        let table = &mut *store.shard(hash).lock();
        let Some(id) = table.find(&key, hash) else {
            return (false, None);
        };
        let own = table
            .slot_mut(id)
            .in_flight
            .take_if(|in_flight| in_flight.is_at(&self.flight, self.index));
        let Some(own) = own else {
            return (false, None);
        };
        let is_current = self.flight.epoch == store.epoch(key.partition);
        match entry.filter(|_| own.may_store && is_current) {
            Some(entry) => (true, store.store(table, id, entry)),
            None => {
                table.vacate(id);
                (false, None)
            }
        }
    }
}

impl<C: Contents> Leases<C> {
    pub(super) fn new(cache: Cache<C>, leases: Vec<Lease<C>>) -> Self {
        Self { cache, leases }
    }

    /// How many items they are for.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether they are for none.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// The items, in order of mention as long as the set is one request's and not divided.
    pub fn items(&self) -> impl ExactSizeIterator<Item = C::Item> + Clone + '_ {
        self.leases.iter().map(|lease| lease.hashed.key.item)
    }

    /// The flight that the first of them is in.
    pub fn flight(&self) -> Option<&Arc<Flight<C>>> {
        self.leases.first().map(|lease| &lease.flight)
    }

    /// Keeps the first `count`, and gives the rest.
    pub fn split_off(&mut self, count: usize) -> Self {
        let rest = self.leases.split_off(count.min(self.leases.len()));
        Self::new(self.cache.clone(), rest)
    }

    /// Takes out those that `is_taken` says.
    pub fn extract(&mut self, is_taken: impl FnMut(&mut Lease<C>) -> bool) -> Self {
        let taken = self.leases.extract_if(.., is_taken).collect();
        Self::new(self.cache.clone(), taken)
    }

    /// Takes in `others`.
    pub fn append(&mut self, mut others: Self) {
        self.leases.append(&mut others.leases);
    }

    /// Abandons those for which nobody waits any more.
    pub fn drop_unwanted(&mut self) {
        let is_unwanted =
            |lease: &mut Lease<C>| !lease.is_refresh && !lease.flight.is_awaited(lease.index);
        drop(self.extract(is_unwanted));
    }

    /// Whether somebody waits for one of them.
    pub fn are_awaited(&self) -> bool {
        let is_awaited = |lease: &Lease<C>| {
            let is_joined = lease.flight.is_joined(lease.index);
            is_joined || !lease.is_refresh && lease.flight.is_awaited(lease.index)
        };
        self.leases.iter().any(is_awaited)
    }

    /// Whether somebody has joined one of them, and waits for it.
    pub fn are_joined(&self) -> bool {
        let is_joined = |lease: &Lease<C>| lease.flight.is_joined(lease.index);
        self.leases.iter().any(is_joined)
    }

    /// The call that asks for them goes up now, traced as `call`: `no-cache` requests that come
    /// later do not join.
    pub fn mark_sent(&self, call: Option<SpanContext>) {
        for run in self.runs() {
            let leases = &self.leases[run];
            let indices = leases.iter().map(|lease| lease.index);
            leases[0].flight.mark_sent(indices, call);
        }
    }

    /// The upstream responded: `fetched` has one for each item, in order. An item without
    /// one is abandoned.
    ///
    /// Waiters get them in any case. They are stored if `may_store`, for those items that no
    /// write has touched since they were looked up. Gives what is stored.
    pub fn fill(self, fetched: Vec<C::Fetched>, may_store: bool, now: Moment) -> Vec<Stored<C>> {
        let contents = self.cache.clone();
        let leases = self.leases.iter().zip(fetched);
        let values = leases
            .map(|(lease, fetched)| contents.contents().value(fetched, lease.hashed.hash, now))
            .collect();
        self.fill_with(values, may_store)
    }

    /// [`Leases::fill`] with values that are ready.
    pub fn fill_with(mut self, values: Vec<C::Value>, may_store: bool) -> Vec<Stored<C>> {
        let entry = |(lease, value): (&Lease<C>, _)| {
            Arc::new(Entry::new(lease.hashed.hash, lease.flight.epoch, value))
        };
        let entries: Vec<_> = self.leases.iter().zip(values).map(entry).collect();
        let mut stored = Vec::with_capacity(if may_store { entries.len() } else { 0 });
        for (nth, lease) in self.leases.iter().enumerate() {
            if lease.flight.is_private {
                continue;
            }
            let entry = entries.get(nth).filter(|_| may_store);
            if let (true, replaced) = lease.release(&self.cache, entry)
                && let Some(entry) = entry.map(Arc::clone)
            {
                stored.push(Stored { item: lease.hashed.key.item, entry, replaced });
            }
            // In between, so that no large response takes more than the cache may hold.
            if nth % SETTLE_EVERY == SETTLE_EVERY - 1 {
                self.cache.0.settle();
            }
        }
        self.finish(|nth| match entries.get(nth) {
            Some(entry) => Outcome::Filled(Arc::clone(entry)),
            None => Outcome::Abandoned,
        });
        // Waiters come first.
        self.cache.0.settle();
        stored
    }

    /// The call failed.
    pub fn fail(mut self, failure: C::Failure) {
        self.give_back(&Outcome::Failed(failure));
    }

    fn give_back(&mut self, outcome: &Outcome<C>) {
        for lease in self.leases.iter().filter(|lease| !lease.flight.is_private) {
            lease.release(&self.cache, None);
        }
        self.finish(|_| outcome.clone());
    }

    /// Gives each lease its outcome; none is left.
    fn finish(&mut self, outcome: impl Fn(usize) -> Outcome<C>) {
        for run in self.runs() {
            let indices = run
                .clone()
                .map(|nth| (self.leases[nth].index, outcome(nth)));
            self.leases[run.start].flight.finish(indices);
        }
        self.leases.clear();
    }

    /// Neighbours of one flight, which is locked once for all of them.
    fn runs(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        self.leases
            .chunk_by(|one, other| Arc::ptr_eq(&one.flight, &other.flight))
            .map(|run| {
                let end = start + run.len();
                mem::replace(&mut start, end)..end
            })
            .collect()
    }
}

#[cfg(test)]
impl<C: Contents> Leases<C> {
    /// Whether one of them is what `waiter` waits for.
    pub(crate) fn are_for(&self, waiter: &super::Waiter<C>) -> bool {
        let is_for = |lease: &Lease<C>| waiter.is_at(&lease.flight, lease.index);
        self.leases.iter().any(is_for)
    }
}

impl<C: Contents> Drop for Leases<C> {
    fn drop(&mut self) {
        if !self.leases.is_empty() {
            self.give_back(&Outcome::Abandoned);
        }
    }
}
