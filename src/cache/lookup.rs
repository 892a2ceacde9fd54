//! One pass over the items of a request: what is held, what is coming, what must be fetched.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Cache, Contents, Entry, Key, Lease, Leases, Partition,
    by_shard::ByShard,
    flight::{Flight, InFlight, Waiter},
    key::Hashed,
    store::Store,
    table::Table,
};

/// What a request finds of its items, and what it has to fetch itself.
pub struct Lookups<C: Contents> {
    /// One for each item, in their order.
    pub found: Vec<Lookup<C>>,
    /// For what it leads, and for what is refreshed behind stale entries.
    pub leases: Leases<C>,
}

/// What is known of one item.
pub enum Lookup<C: Contents> {
    /// It is held, and fresh.
    Hit(Arc<Entry<C::Value>>),
    /// It is held, and may be served although it is stale.
    Stale(Arc<Entry<C::Value>>),
    /// Another request fetches it.
    Joined(Waiter<C>),
    /// This request fetches it.
    Leading(Waiter<C>),
    /// It is not held, and the request wants no call (`only-if-cached`).
    NotCached,
}

/// What a request takes of what is held, and of what is coming.
pub trait Rules<V> {
    /// What may be done with a value that is held.
    fn check(&self, value: &V) -> Verdict;

    /// Whether it joins calls that were sent before it came.
    fn joins_sent(&self) -> bool;

    /// Whether it wants nothing that takes a call.
    fn only_if_cached(&self) -> bool;
}

/// What may be done with a value that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Serve it.
    Fresh,
    /// Serve it; `refresh` behind it or not.
    Stale {
        /// Whether the upstream is to be asked meanwhile.
        refresh: bool,
    },
    /// Ask the upstream.
    Unusable,
}

/// The flight that a pass makes, with its first item.
pub(super) struct FlightBuilder<C: Contents> {
    epoch: u32,
    is_private: bool,
    flight: Option<Arc<Flight<C>>>,
    pub(super) leases: Vec<Lease<C>>,
}

/// What stays the same during a pass.
struct Pass<'a, C: Contents, R> {
    store: &'a Store<C>,
    rules: &'a R,
    epoch: u32,
    now: Instant,
    second: u32,
}

/// Items that are looked up together. More would hold a shard's lock for longer.
const GROUPED: usize = 512;

/// Fewer are not worth the grouping.
const MIN_GROUPED: usize = 8;

impl<C: Contents> Cache<C> {
    /// Looks up `items`, which are distinct, and gives out leases for those that have to be
    /// fetched.
    ///
    /// Without a partition every item is led privately: nothing is read, joined or stored.
    pub fn look_up_by(
        &self,
        partition: Option<Partition>,
        items: impl Iterator<Item = C::Item>,
        rules: &impl Rules<C::Value>,
        now: Instant,
    ) -> Lookups<C> {
        match partition {
            Some(partition) => self.look_up_shared(partition, items, rules, now),
            None => self.look_up_privately(items, rules),
        }
    }

    /// What is held of an item, whatever its age. Counts as no hit.
    pub fn get(&self, partition: Partition, item: C::Item) -> Option<Arc<Entry<C::Value>>> {
        let Hashed { key, hash } = self.0.hashed(Key { partition, item });
        let epoch = self.0.epoch(partition);
        let table = self.0.shard(hash).lock();
        let entry = table.slot(table.find(&key, hash)?).entry.as_ref()?;
        (entry.epoch == epoch).then(|| Arc::clone(entry))
    }

    fn look_up_shared(
        &self,
        partition: Partition,
        items: impl Iterator<Item = C::Item>,
        rules: &impl Rules<C::Value>,
        now: Instant,
    ) -> Lookups<C> {
        let epoch = self.0.epoch(partition);
        let second = self.0.second(now);
        let pass = Pass { store: &*self.0, rules, epoch, now, second };
        let keys: Vec<_> = items
            .map(|item| self.0.hashed(Key { partition, item }))
            .collect();
        let mut found = Vec::with_capacity(keys.len());
        found.resize_with(keys.len(), || Lookup::NotCached);
        for (keys, found) in keys.chunks(GROUPED).zip(found.chunks_mut(GROUPED)) {
            pass.find_fresh(keys, found);
        }
        // What has to be fetched is looked up by one request at a time, unless it is one item.
        let missed = found
            .iter()
            .filter(|lookup| matches!(lookup, Lookup::NotCached));
        let lock = (missed.take(2).count() > 1).then(|| self.0.lookup_lock(partition).lock());
        // In order of mention, which is the order in which they are fetched.
        let mut flight = FlightBuilder::new(epoch, false);
        for (&hashed, lookup) in keys.iter().zip(&mut found) {
            if matches!(lookup, Lookup::NotCached) {
                *lookup = pass.look_up(hashed, &mut flight);
            }
        }
        drop(lock);
        // Evictions come from hits too, when the policy catches up with its bookkeeping.
        self.0.settle_if_due();
        Lookups { found, leases: Leases::new(self.clone(), flight.leases) }
    }

    fn look_up_privately(
        &self,
        items: impl Iterator<Item = C::Item>,
        rules: &impl Rules<C::Value>,
    ) -> Lookups<C> {
        let mut flight = FlightBuilder::new(0, true);
        let found = items
            .map(|item| match rules.only_if_cached() {
                true => Lookup::NotCached,
                false => {
                    let key = Key { partition: Partition::NONE, item };
                    let (flight, index) = flight.add(self.0.hashed(key), false);
                    Lookup::Leading(Waiter::leading(flight, index))
                }
            })
            .collect();
        Lookups { found, leases: Leases::new(self.clone(), flight.leases) }
    }
}

impl<C: Contents, R: Rules<C::Value>> Pass<'_, C, R> {
    /// Finds those that are fresh, shard by shard.
    ///
    /// A look-up mostly waits for memory. Locks, and the counting of references, make the
    /// processor wait for one after the other; between them it looks several up at once. So each
    /// shard is locked once, and everything is looked at before anything is counted.
    fn find_fresh(&self, keys: &[Hashed<C::Item>], found: &mut [Lookup<C>]) {
        if keys.len() < MIN_GROUPED {
            return;
        }
        let mut fresh = Vec::with_capacity(keys.len());
        for (shard, group) in ByShard::new(self.store, keys).groups() {
            let table = &*shard.lock();
            fresh.extend(group.iter().filter_map(|&nth| {
                let Hashed { key, hash } = &keys[nth];
                let id = table.find(key, *hash)?;
                let entry = table.slot(id).entry.as_ref()?;
                self.is_fresh(entry).then_some((nth, id))
            }));
            for (nth, id) in fresh.drain(..) {
                if let Some(entry) = &table.slot(id).entry {
                    self.store.note_hit(entry, self.second);
                    found[nth] = Lookup::Hit(Arc::clone(entry));
                }
            }
        }
    }

    fn is_fresh(&self, entry: &Entry<C::Value>) -> bool {
        entry.epoch == self.epoch && self.rules.check(entry) == Verdict::Fresh
    }

    #[inline]
    fn look_up(&self, hashed: Hashed<C::Item>, flight: &mut FlightBuilder<C>) -> Lookup<C> {
        let table = &mut *self.store.shard(hashed.hash).lock();
        let id = table.find(&hashed.key, hashed.hash);
        let held = id.and_then(|id| table.slot(id).entry.as_ref());
        if let Some(entry) = held.filter(|entry| entry.epoch == self.epoch) {
            match self.rules.check(entry) {
                Verdict::Fresh => {
                    let entry = Arc::clone(entry);
                    self.store.note_hit(&entry, self.second);
                    return Lookup::Hit(entry);
                }
                Verdict::Stale { refresh } => {
                    let entry = Arc::clone(entry);
                    self.store.note_hit(&entry, self.second);
                    if refresh && self.joinable(table, id).is_none() {
                        self.lead(table, hashed, flight, true);
                    }
                    return Lookup::Stale(entry);
                }
                Verdict::Unusable => {}
            }
        }
        if self.rules.only_if_cached() {
            return Lookup::NotCached;
        }
        match self.joinable(table, id) {
            Some(in_flight) => Lookup::Joined(in_flight.join()),
            None => {
                let (flight, index) = self.lead(table, hashed, flight, false);
                Lookup::Leading(Waiter::leading(flight, index))
            }
        }
    }

    /// The flight that fetches an item, if this request may wait for it.
    fn joinable<'t>(&self, table: &'t Table<C>, id: Option<u32>) -> Option<&'t InFlight<C>> {
        let in_flight = table.slot(id?).in_flight.as_ref()?;
        let is_current = in_flight.flight.epoch == self.epoch;
        let is_late = !self.rules.joins_sent() && in_flight.is_sent();
        (is_current && !is_late).then_some(in_flight)
    }

    /// Takes an item into the flight of this request.
    fn lead<'f>(
        &self,
        table: &mut Table<C>,
        hashed: Hashed<C::Item>,
        flight: &'f mut FlightBuilder<C>,
        is_refresh: bool,
    ) -> (&'f Arc<Flight<C>>, u32) {
        self.store.note_asked(hashed.hash);
        flight.lead(self.store, table, hashed, is_refresh, self.now)
    }
}

impl<C: Contents> FlightBuilder<C> {
    pub(super) fn new(epoch: u32, is_private: bool) -> Self {
        Self { epoch, is_private, flight: None, leases: Vec::new() }
    }

    /// Adds an item, and lets others find it in the flight unless it is held by a write.
    pub(super) fn lead(
        &mut self,
        store: &Store<C>,
        table: &mut Table<C>,
        hashed: Hashed<C::Item>,
        is_refresh: bool,
        now: Instant,
    ) -> (&Arc<Flight<C>>, u32) {
        let (flight, index) = self.add(hashed, is_refresh);
        let Key { partition, item } = hashed.key;
        // Asked under the shard's lock, and a write raises its hold or fence before it takes that
        // lock: so either they are seen here, or the write sees the flight.
        if store.holds.cover(partition, || C::tags(&item)) {
            return (flight, index);
        }
        let may_store = !store.fence.covers(partition, || C::tags(&item), now);
        let id = table.occupy(hashed.key, hashed.hash);
        let in_flight = InFlight { flight: Arc::clone(flight), index, may_store };
        table.slot_mut(id).in_flight = Some(in_flight);
        (flight, index)
    }

    /// Adds an item, and a lease on it. The pass neither awaits nor calls anything that may
    /// panic, so no item is left in the table without its lease.
    fn add(&mut self, hashed: Hashed<C::Item>, is_refresh: bool) -> (&Arc<Flight<C>>, u32) {
        let flight = self
            .flight
            .get_or_insert_with(|| Flight::new(self.epoch, self.is_private));
        let index = flight.add();
        self.leases
            .push(Lease::new(hashed, Arc::clone(flight), index, is_refresh));
        (flight, index)
    }
}

#[cfg(test)]
impl<C: Contents> Lookup<C> {
    /// Waits for the item, wherever it comes from. `None`: it is not to be fetched.
    pub(crate) async fn outcome(&mut self) -> Option<super::Outcome<C>> {
        match self {
            Self::Hit(entry) | Self::Stale(entry) => {
                Some(super::Outcome::Filled(Arc::clone(entry)))
            }
            Self::Joined(waiter) | Self::Leading(waiter) => Some(waiter.outcome().await),
            Self::NotCached => None,
        }
    }
}
