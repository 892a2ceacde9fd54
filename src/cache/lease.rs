//! The duty to fetch vehicles, and to say what came of it.

use std::{mem, ops::Range, sync::Arc};

use super::{
    Cache, Element, Entry, Failure, Moment,
    flight::{Flight, Hashed, Outcome},
};
use crate::vehicle::Vehicle;

/// The right and the duty to fetch some vehicles, of one request or of several.
///
/// It ends by [`Leases::fill`] or [`Leases::fail`]. Dropped before that, it abandons its
/// vehicles: whoever waits for them looks them up again.
#[must_use = "dropping leases abandons their vehicles"]
pub struct Leases<F: Failure> {
    cache: Cache<F>,
    leases: Vec<Lease<F>>,
}

/// The right and the duty to fetch one vehicle.
pub struct Lease<F> {
    hashed: Hashed,
    flight: Arc<Flight<F>>,
    index: usize,
    is_refresh: bool,
}

/// What came into the cache.
#[derive(Debug)]
pub struct Stored {
    /// The vehicle.
    pub vehicle: Vehicle,
    /// What is held of it from now on.
    pub entry: Arc<Entry>,
    /// What was held before.
    pub replaced: Option<Arc<Entry>>,
}

/// Entries after which the eviction policy catches up.
const SETTLE_EVERY: usize = 64;

// === impl Lease ===

impl<F: Failure> Lease<F> {
    pub(super) fn new(
        hashed: Hashed,
        flight: Arc<Flight<F>>,
        index: usize,
        is_refresh: bool,
    ) -> Self {
        Self { hashed, flight, index, is_refresh }
    }

    /// Whether the request that leads has a stale entry already and does not wait.
    pub fn is_refresh(&self) -> bool {
        self.is_refresh
    }

    /// Takes its vehicle out of the table, so that nobody joins any more, and stores `entry`
    /// there. Both only if the flight still stands there: a write removes it, and a `no-cache`
    /// request puts its own in its place. Gives whether `entry` is stored, and what it replaces.
    fn release(&self, cache: &Cache<F>, entry: Option<&Arc<Entry>>) -> (bool, Option<Arc<Entry>>) {
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

// === impl Leases ===

impl<F: Failure> Leases<F> {
    pub(super) fn new(cache: Cache<F>, leases: Vec<Lease<F>>) -> Self {
        Self { cache, leases }
    }

    /// How many vehicles they are for.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether they are for none.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// The vehicles, in order of mention as long as the set is one request's and not divided.
    pub fn vehicles(&self) -> impl ExactSizeIterator<Item = Vehicle> + Clone + '_ {
        self.leases.iter().map(|lease| lease.hashed.key.vehicle)
    }

    /// The flight that the first of them is in.
    pub fn flight(&self) -> Option<&Arc<Flight<F>>> {
        self.leases.first().map(|lease| &lease.flight)
    }

    /// Keeps the first `count`, and gives the rest.
    pub fn split_off(&mut self, count: usize) -> Self {
        let rest = self.leases.split_off(count.min(self.leases.len()));
        Self::new(self.cache.clone(), rest)
    }

    /// Takes out those that `is_taken` says.
    pub fn extract(&mut self, is_taken: impl FnMut(&mut Lease<F>) -> bool) -> Self {
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
            |lease: &mut Lease<F>| !lease.is_refresh && !lease.flight.is_awaited(lease.index);
        drop(self.extract(is_unwanted));
    }

    /// The call that asks for them goes up now: `no-cache` requests that come later do not join.
    pub fn mark_sent(&self) {
        for run in self.runs() {
            let leases = &self.leases[run];
            leases[0]
                .flight
                .mark_sent(leases.iter().map(|lease| lease.index));
        }
    }

    /// The upstream responded: `elements` has one for each vehicle, in order. A vehicle without
    /// one is abandoned.
    ///
    /// Waiters get them in any case. They are stored if `may_store`, for those vehicles that no
    /// write has touched since they were looked up. Gives what is stored.
    pub fn fill(mut self, elements: Vec<Element>, may_store: bool, now: Moment) -> Vec<Stored> {
        let entries: Vec<_> = self
            .leases
            .iter()
            .zip(elements)
            .map(|(lease, element)| Arc::new(self.entry(lease, element, now)))
            .collect();
        let mut stored = Vec::with_capacity(if may_store { entries.len() } else { 0 });
        for (nth, lease) in self.leases.iter().enumerate() {
            if lease.flight.is_private {
                continue;
            }
            let entry = entries.get(nth).filter(|_| may_store);
            if let (true, replaced) = lease.release(&self.cache, entry)
                && let Some(entry) = entry.map(Arc::clone)
            {
                stored.push(Stored { vehicle: lease.hashed.key.vehicle, entry, replaced });
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
    pub fn fail(mut self, failure: F) {
        self.give_back(&Outcome::Failed(failure));
    }

    fn give_back(&mut self, outcome: &Outcome<F>) {
        for lease in self.leases.iter().filter(|lease| !lease.flight.is_private) {
            lease.release(&self.cache, None);
        }
        self.finish(|_| outcome.clone());
    }

    /// Gives each lease its outcome; none is left.
    fn finish(&mut self, outcome: impl Fn(usize) -> Outcome<F>) {
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

    fn entry(&self, lease: &Lease<F>, element: Element, now: Moment) -> Entry {
        let hash = lease.hashed.hash;
        let fresh_for = self.cache.0.fresh_for(element.classes, hash);
        Entry::new(hash, lease.flight.epoch, element, fresh_for, now)
    }
}

#[cfg(test)]
impl<F: Failure> Leases<F> {
    /// Whether one of them is what `waiter` waits for.
    pub(super) fn are_for(&self, waiter: &super::Waiter<F>) -> bool {
        let is_for = |lease: &Lease<F>| waiter.is_at(&lease.flight, lease.index);
        self.leases.iter().any(is_for)
    }
}

impl<F: Failure> Drop for Leases<F> {
    fn drop(&mut self) {
        if !self.leases.is_empty() {
            self.give_back(&Outcome::Abandoned);
        }
    }
}
