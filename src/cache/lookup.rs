//! One pass over the vehicles of a request: what is held, what is coming, what must be fetched.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Cache, Directives, Entry, Failure, Key, Lease, Leases, Partition, StaleWindows,
    by_shard::ByShard,
    directives::Verdict,
    flight::{Flight, Hashed, InFlight, Waiter},
    store::Store,
    table::Table,
};
use crate::vehicle::Vehicle;

/// What a request finds of its vehicles, and what it has to fetch itself.
pub struct Lookups<F: Failure> {
    /// One for each vehicle, in their order.
    pub found: Vec<Lookup<F>>,
    /// For what it leads, and for what is refreshed behind stale entries.
    pub leases: Leases<F>,
}

/// What is known of one vehicle.
pub enum Lookup<F> {
    /// It is held, and fresh.
    Hit(Arc<Entry>),
    /// It is held, and may be served although it is stale.
    Stale(Arc<Entry>),
    /// Another request fetches it.
    Joined(Waiter<F>),
    /// This request fetches it.
    Leading(Waiter<F>),
    /// It is not held, and the request wants no call (`only-if-cached`).
    NotCached,
}

/// The flight that a pass makes, with its first vehicle.
struct FlightBuilder<F> {
    epoch: u32,
    is_private: bool,
    flight: Option<Arc<Flight<F>>>,
    leases: Vec<Lease<F>>,
}

/// What stays the same during a pass.
struct Pass<'a, F> {
    store: &'a Store<F>,
    directives: &'a Directives,
    stale: StaleWindows,
    epoch: u32,
    now: Instant,
    second: u32,
}

/// Vehicles that are looked up together. More would hold a shard's lock for longer.
const GROUPED: usize = 512;

/// Fewer are not worth the grouping.
const MIN_GROUPED: usize = 8;

// === impl Cache ===

impl<F: Failure> Cache<F> {
    /// Looks up `vehicles`, which are distinct, and gives out leases for those that have to be
    /// fetched.
    ///
    /// Without a partition (no credential), with `no-store`, or with the cache switched off,
    /// every vehicle is led privately: nothing is read, joined or stored.
    pub fn lookup(
        &self,
        partition: Option<Partition>,
        vehicles: impl Iterator<Item = Vehicle>,
        directives: &Directives,
        now: Instant,
    ) -> Lookups<F> {
        let shared = partition.filter(|_| self.0.config.enabled && !directives.no_store);
        match shared {
            Some(partition) => self.lookup_shared(partition, vehicles, directives, now),
            None => self.lookup_privately(vehicles, directives),
        }
    }

    /// What is still held for a vehicle whose refresh failed, if it may stand in.
    pub fn stale_if_error(
        &self,
        partition: Partition,
        vehicle: Vehicle,
        directives: &Directives,
        now: Instant,
    ) -> Option<Arc<Entry>> {
        let Hashed { key, hash } = self.0.hashed(Key { partition, vehicle });
        let epoch = self.0.epoch(partition);
        let table = self.0.shard(hash).lock();
        let entry = table.slot(table.find(&key, hash)?).entry.as_ref()?;
        let stands_in =
            entry.epoch == epoch && directives.permits_stale_if_error(entry, &self.0.stale(), now);
        stands_in.then(|| Arc::clone(entry))
    }

    fn lookup_shared(
        &self,
        partition: Partition,
        vehicles: impl Iterator<Item = Vehicle>,
        directives: &Directives,
        now: Instant,
    ) -> Lookups<F> {
        let epoch = self.0.epoch(partition);
        let (stale, second) = (self.0.stale(), self.0.second(now));
        let pass = Pass { store: &*self.0, directives, stale, epoch, now, second };
        let keys: Vec<_> = vehicles
            .map(|vehicle| self.0.hashed(Key { partition, vehicle }))
            .collect();
        let mut found = Vec::with_capacity(keys.len());
        found.resize_with(keys.len(), || Lookup::NotCached);
        for (keys, found) in keys.chunks(GROUPED).zip(found.chunks_mut(GROUPED)) {
            pass.find_fresh(keys, found);
        }
        // What has to be fetched is looked up by one request at a time, unless it is one vehicle.
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

    fn lookup_privately(
        &self,
        vehicles: impl Iterator<Item = Vehicle>,
        directives: &Directives,
    ) -> Lookups<F> {
        let mut flight = FlightBuilder::new(0, true);
        let found = vehicles
            .map(|vehicle| match directives.only_if_cached {
                true => Lookup::NotCached,
                false => {
                    let key = Key { partition: Partition::NONE, vehicle };
                    let (flight, index) = flight.add(self.0.hashed(key), false);
                    Lookup::Leading(Waiter::leading(flight, index))
                }
            })
            .collect();
        Lookups { found, leases: Leases::new(self.clone(), flight.leases) }
    }
}

// === impl Pass ===

impl<F: Failure> Pass<'_, F> {
    /// Finds those that are fresh, shard by shard.
    ///
    /// A look-up mostly waits for memory. Locks, and the counting of references, make the
    /// processor wait for one after the other; between them it looks several up at once. So each
    /// shard is locked once, and everything is looked at before anything is counted.
    fn find_fresh(&self, keys: &[Hashed], found: &mut [Lookup<F>]) {
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

    fn is_fresh(&self, entry: &Entry) -> bool {
        entry.epoch == self.epoch
            && self.directives.check(entry, &self.stale, self.now) == Verdict::Fresh
    }

    #[inline]
    fn look_up(&self, hashed: Hashed, flight: &mut FlightBuilder<F>) -> Lookup<F> {
        let table = &mut *self.store.shard(hashed.hash).lock();
        let id = table.find(&hashed.key, hashed.hash);
        let held = id.and_then(|id| table.slot(id).entry.as_ref());
        if let Some(entry) = held.filter(|entry| entry.epoch == self.epoch) {
            match self.directives.check(entry, &self.stale, self.now) {
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
        if self.directives.only_if_cached {
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

    /// The flight that fetches a vehicle, if this request may wait for it.
    fn joinable<'t>(&self, table: &'t Table<F>, id: Option<u32>) -> Option<&'t InFlight<F>> {
        let in_flight = table.slot(id?).in_flight.as_ref()?;
        let is_current = in_flight.flight.epoch == self.epoch;
        // What was sent before this request came is not what `no-cache` asks for.
        let is_late = self.directives.no_cache && in_flight.is_sent();
        (is_current && !is_late).then_some(in_flight)
    }

    /// Takes a vehicle into the flight of this request, and lets others find it there.
    fn lead<'f>(
        &self,
        table: &mut Table<F>,
        hashed: Hashed,
        flight: &'f mut FlightBuilder<F>,
        is_refresh: bool,
    ) -> (&'f Arc<Flight<F>>, usize) {
        self.store.note_miss(hashed.hash);
        let (flight, index) = flight.add(hashed, is_refresh);
        // Asked under the shard's lock, and a write raises its fence before it takes that lock:
        // so either the fence is seen here, or the write sees the flight.
        let may_store = !self.store.fence.covers(&hashed.key, self.now);
        let id = table.occupy(hashed.key, hashed.hash);
        let in_flight = InFlight { flight: Arc::clone(flight), index, may_store };
        table.slot_mut(id).in_flight = Some(in_flight);
        (flight, index)
    }
}

// === impl FlightBuilder ===

impl<F: Failure> FlightBuilder<F> {
    fn new(epoch: u32, is_private: bool) -> Self {
        Self { epoch, is_private, flight: None, leases: Vec::new() }
    }

    /// Adds a vehicle, and a lease on it. The pass neither awaits nor calls anything that may
    /// panic, so no vehicle is left in the table without its lease.
    fn add(&mut self, hashed: Hashed, is_refresh: bool) -> (&Arc<Flight<F>>, usize) {
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
impl<F: Failure> Lookup<F> {
    /// Waits for the vehicle, wherever it comes from. `None`: it is not to be fetched.
    pub(crate) async fn outcome(&mut self) -> Option<super::Outcome<F>> {
        match self {
            Self::Hit(entry) | Self::Stale(entry) => {
                Some(super::Outcome::Filled(Arc::clone(entry)))
            }
            Self::Joined(waiter) | Self::Leading(waiter) => Some(waiter.outcome().await),
            Self::NotCached => None,
        }
    }
}
