//! One pass over the vehicles of a request: what is held, what is coming, what must be asked.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Cache, Directives, Entry, Failure, Key, Lease, Partition, StaleWindows,
    by_shard::ByShard,
    directives::Verdict,
    flight::{Flight, Hashed, Outcome, Seat},
    store::Store,
    table::Table,
};
use crate::vehicle::Vehicle;

/// What a request got for its vehicles, and what it has to ask the upstream for itself.
pub struct Claim<F: Failure> {
    /// One for each vehicle, in their order.
    pub places: Vec<Lookup<F>>,
    /// To ask for and wait for.
    pub lead: Option<Lease<F>>,
    /// To ask for behind what was served stale.
    pub refresh: Option<Lease<F>>,
}

/// What is known of one vehicle.
pub enum Lookup<F> {
    /// It is held, and still good.
    Hit(Arc<Entry>),
    /// It is held, and good enough.
    Stale(Arc<Entry>),
    /// Another request asks for it.
    Joined(Seat<F>),
    /// This request asks for it.
    Leading(Seat<F>),
    /// It is not held, and asking is not wanted (`only-if-cached`).
    NotCached,
}

/// The seats that a pass takes in a flight of its own, which is made with the first of them.
struct Boarding<F> {
    flight: Option<Arc<Flight<F>>>,
    keys: Vec<Hashed>,
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
    /// Claims `vehicles`, which are distinct.
    ///
    /// Without a partition (no credential), with `no-store`, or with the cache switched off,
    /// every vehicle is led privately: nothing is read, joined or stored.
    pub fn claim(
        &self,
        partition: Option<Partition>,
        vehicles: impl Iterator<Item = Vehicle>,
        directives: &Directives,
        now: Instant,
    ) -> Claim<F> {
        let shared = partition.filter(|_| self.0.config.enabled && !directives.no_store);
        match shared {
            Some(partition) => self.claim_shared(partition, vehicles, directives, now),
            None => self.claim_privately(vehicles, directives),
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

    fn claim_shared(
        &self,
        partition: Partition,
        vehicles: impl Iterator<Item = Vehicle>,
        directives: &Directives,
        now: Instant,
    ) -> Claim<F> {
        let epoch = self.0.epoch(partition);
        let (stale, second) = (self.0.stale(), self.0.second(now));
        let pass = Pass { store: &*self.0, directives, stale, epoch, now, second };
        let keys: Vec<_> = vehicles
            .map(|vehicle| self.0.hashed(Key { partition, vehicle }))
            .collect();
        let mut places = Vec::with_capacity(keys.len());
        places.resize_with(keys.len(), || Lookup::NotCached);
        for (keys, places) in keys.chunks(GROUPED).zip(places.chunks_mut(GROUPED)) {
            pass.take_fresh(keys, places);
        }
        // What is to be asked for is claimed by one request at a time, unless it is a single one.
        let rest = places
            .iter()
            .filter(|place| matches!(place, Lookup::NotCached));
        let turn = (rest.take(2).count() > 1).then(|| self.0.claim_lock(partition).lock());
        // In order of mention, which is the order in which they are asked for.
        let (mut lead, mut refresh) = (Boarding::default(), Boarding::default());
        for (&hashed, place) in keys.iter().zip(&mut places) {
            if matches!(place, Lookup::NotCached) {
                *place = pass.place(hashed, &mut lead, &mut refresh);
            }
        }
        drop(turn);
        // Evictions come from hits too, when the policy catches up with its bookkeeping.
        self.0.settle_if_due();
        Claim {
            places,
            lead: lead.into_lease(self, false),
            refresh: refresh.into_lease(self, false),
        }
    }

    fn claim_privately(
        &self,
        vehicles: impl Iterator<Item = Vehicle>,
        directives: &Directives,
    ) -> Claim<F> {
        if directives.only_if_cached {
            let places = vehicles.map(|_| Lookup::NotCached).collect();
            return Claim { places, lead: None, refresh: None };
        }
        let mut lead = Boarding::default();
        let places = vehicles
            .map(|vehicle| {
                let key = Key { partition: Partition::NOBODY, vehicle };
                Lookup::Leading(lead.board(self.0.hashed(key), 0))
            })
            .collect();
        Claim { places, lead: lead.into_lease(self, true), refresh: None }
    }
}

// === impl Pass ===

impl<F: Failure> Pass<'_, F> {
    /// Finds those that are fresh, shard by shard.
    ///
    /// A look-up mostly waits for memory. Locks, and the counting of references, make the
    /// processor wait for one after the other; between them it looks several up at once. So each
    /// shard is locked once, and everything is looked at before anything is counted.
    fn take_fresh(&self, keys: &[Hashed], places: &mut [Lookup<F>]) {
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
                    places[nth] = Lookup::Hit(Arc::clone(entry));
                }
            }
        }
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        entry.epoch == self.epoch
            && self.directives.judge(entry, &self.stale, self.now) == Verdict::Fresh
    }

    #[inline]
    fn place(
        &self,
        hashed: Hashed,
        lead: &mut Boarding<F>,
        refresh: &mut Boarding<F>,
    ) -> Lookup<F> {
        let table = &mut *self.store.shard(hashed.hash).lock();
        let id = table.find(&hashed.key, hashed.hash);
        let held = id.and_then(|id| table.slot(id).entry.as_ref());
        if let Some(entry) = held.filter(|entry| entry.epoch == self.epoch) {
            match self.directives.judge(entry, &self.stale, self.now) {
                Verdict::Fresh => {
                    let entry = Arc::clone(entry);
                    self.store.note_hit(&entry, self.second);
                    return Lookup::Hit(entry);
                }
                Verdict::Stale { refresh: wanted } => {
                    let entry = Arc::clone(entry);
                    self.store.note_hit(&entry, self.second);
                    if wanted && self.joinable(table, id).is_none() {
                        self.reserve(table, hashed, refresh);
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
            Some(seat) => Lookup::Joined(seat),
            None => Lookup::Leading(self.reserve(table, hashed, lead)),
        }
    }

    /// The seat of a call under way that this request may wait for.
    fn joinable(&self, table: &Table<F>, id: Option<u32>) -> Option<Seat<F>> {
        let seat = table.slot(id?).seat.as_ref()?;
        let is_current = seat.flight.epoch == self.epoch;
        // What was sent before this request came is not what `no-cache` asks for.
        let is_late = self.directives.no_cache && seat.is_sent();
        (is_current && !is_late).then(|| seat.clone())
    }

    /// Takes a seat and lets others find it.
    fn reserve(&self, table: &mut Table<F>, hashed: Hashed, boarding: &mut Boarding<F>) -> Seat<F> {
        self.store.note_miss(hashed.hash);
        let mut seat = boarding.board(hashed, self.epoch);
        // Asked under the shard's lock, and a write adds its hold before it takes that lock: so
        // either the hold is seen here, or the write sees the seat.
        seat.may_store = !self.store.fence.cover(&hashed.key, self.now);
        let id = table.occupy(hashed.key, hashed.hash);
        table.slot_mut(id).seat = Some(seat.clone());
        seat
    }
}

// === impl Boarding ===

impl<F: Failure> Boarding<F> {
    /// The lease on all that boarded. It must exist before the pass can fail or be dropped,
    /// which it cannot: a pass neither awaits nor calls anything that may panic.
    fn into_lease(self, cache: &Cache<F>, is_private: bool) -> Option<Lease<F>> {
        let flight = self.flight?;
        Some(Lease::new(cache.clone(), flight, self.keys, is_private))
    }
}

impl<F: Failure> Boarding<F> {
    fn board(&mut self, hashed: Hashed, epoch: u32) -> Seat<F> {
        self.keys.push(hashed);
        self.flight
            .get_or_insert_with(|| Flight::new(epoch))
            .board()
    }
}

impl<F> Default for Boarding<F> {
    fn default() -> Self {
        Self { flight: None, keys: Vec::new() }
    }
}

// === impl Place ===

impl<F: Failure> Lookup<F> {
    /// Waits for the vehicle, wherever it comes from. `None`: it is not to be had.
    pub async fn outcome(&self) -> Option<Outcome<F>> {
        match self {
            Self::Hit(entry) | Self::Stale(entry) => Some(Outcome::Filled(Arc::clone(entry))),
            Self::Joined(seat) | Self::Leading(seat) => Some(seat.outcome().await),
            Self::NotCached => None,
        }
    }
}
