//! The duty to ask the upstream, and to say what came of it.

use std::{ops::Range, sync::Arc};

use tokio::time::Instant;

use super::{
    Cache, Element, Entry, Failure,
    flight::{Flight, Hashed, Outcome},
};
use crate::vehicle::Vehicle;

/// The right and the duty to ask the upstream for some vehicles of a [`Flight`].
///
/// It ends by [`Lease::land`] or [`Lease::fail`]. Dropped before that, it abandons its vehicles:
/// whoever waits for them claims them anew.
#[must_use = "dropping a lease abandons its vehicles"]
pub struct Lease<F: Failure> {
    cache: Cache<F>,
    flight: Arc<Flight<F>>,
    keys: Vec<Hashed>,
    /// The place of the first key.
    first: usize,
    /// Whether its seats cannot be found by others.
    is_private: bool,
}

/// A call that is not sent yet, but waits for its turn. Once this is dropped it counts as sent:
/// `no-cache` requests that come later do not join it.
#[must_use = "dropping it says that the call is sent"]
pub struct Sending<F: Failure> {
    flight: Arc<Flight<F>>,
    places: Range<usize>,
}

/// Entries after which the eviction policy catches up.
const SETTLE_EVERY: usize = 64;

// === impl Lease ===

impl<F: Failure> Lease<F> {
    pub(super) fn new(
        cache: Cache<F>,
        flight: Arc<Flight<F>>,
        keys: Vec<Hashed>,
        is_private: bool,
    ) -> Self {
        Self { cache, flight, keys, first: 0, is_private }
    }

    /// The vehicles to ask for, in order of mention.
    pub fn vehicles(&self) -> impl ExactSizeIterator<Item = Vehicle> + '_ {
        self.keys.iter().map(|hashed| hashed.key.vehicle)
    }

    /// The flight that the lease is part of.
    pub fn flight(&self) -> &Arc<Flight<F>> {
        &self.flight
    }

    /// Cuts the lease into leases on `sizes` vehicles each. What they leave is abandoned.
    pub fn split(mut self, sizes: impl Iterator<Item = usize>) -> Vec<Self> {
        sizes.map(|size| self.split_front(size)).collect()
    }

    fn split_front(&mut self, size: usize) -> Self {
        let rest = self.keys.split_off(size.min(self.keys.len()));
        let front = Self {
            cache: self.cache.clone(),
            flight: Arc::clone(&self.flight),
            keys: std::mem::replace(&mut self.keys, rest),
            first: self.first,
            is_private: self.is_private,
        };
        self.first += front.keys.len();
        front
    }

    /// To be held by the call until it is sent.
    pub fn sending(&self) -> Sending<F> {
        Sending { flight: Arc::clone(&self.flight), places: self.places() }
    }

    /// The upstream answered: `elements` has one for each vehicle of the lease, in order. A
    /// vehicle without one is abandoned.
    ///
    /// Waiters get them in any case. They are stored if `may_store`, for those vehicles that no
    /// write has touched since they were claimed.
    pub fn fill(mut self, elements: Vec<Element>, may_store: bool, now: Instant) {
        let entries: Vec<_> = self
            .keys
            .iter()
            .zip(elements)
            .map(|(hashed, element)| Arc::new(self.entry(hashed.hash, element, now)))
            .collect();
        if !self.is_private {
            for nth in 0..self.keys.len() {
                self.release(nth, entries.get(nth).filter(|_| may_store));
                // In between, so that no large answer takes more than the cache may hold.
                if nth % SETTLE_EVERY == SETTLE_EVERY - 1 {
                    self.cache.0.settle();
                }
            }
        }
        let first = self.first;
        let outcome = |place: usize| match entries.get(place - first) {
            Some(entry) => Outcome::Filled(Arc::clone(entry)),
            None => Outcome::Abandoned,
        };
        self.flight.settle(self.places(), outcome);
        self.keys.clear();
        // Waiters come first.
        if !self.is_private {
            self.cache.0.settle();
        }
    }

    /// The call failed.
    pub fn fail(mut self, failure: F) {
        self.finish(&Outcome::Failed(failure));
    }

    fn finish(&mut self, outcome: &Outcome<F>) {
        if !self.is_private {
            (0..self.keys.len()).for_each(|nth| self.release(nth, None));
        }
        self.flight.settle(self.places(), |_| outcome.clone());
        self.keys.clear();
    }

    fn places(&self) -> Range<usize> {
        self.first..self.first + self.keys.len()
    }

    fn entry(&self, hash: u64, element: Element, now: Instant) -> Entry {
        let fresh_for = self.cache.0.fresh_for(element.classes, hash);
        Entry::new(hash, self.flight.epoch, element, fresh_for, now)
    }

    /// Takes the seat of the `nth` vehicle out of the table, so that nobody joins any more, and
    /// stores its entry there. Both only if the seat still stands there: a write removes it, and
    /// a `no-cache` request puts its own in its place.
    fn release(&self, nth: usize, entry: Option<&Arc<Entry>>) {
        let Hashed { key, hash } = self.keys[nth];
        let store = &self.cache.0;
        let table = &mut *store.shard(hash).lock();
        let Some(id) = table.find(&key, hash) else {
            return;
        };
        let place = self.first + nth;
        let own = table
            .slot_mut(id)
            .seat
            .take_if(|seat| seat.is_at(&self.flight, place));
        let Some(own) = own else {
            return;
        };
        let is_current = self.flight.epoch == store.epoch(key.partition);
        match entry.filter(|_| own.may_store && is_current) {
            Some(entry) => store.store(table, id, entry),
            None => table.vacate(id),
        }
    }
}

impl<F: Failure> Drop for Lease<F> {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.finish(&Outcome::Abandoned);
        }
    }
}

// === impl Sending ===

impl<F: Failure> Drop for Sending<F> {
    fn drop(&mut self) {
        self.flight.mark_sent(self.places.clone());
    }
}
