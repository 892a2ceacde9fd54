//! The [`cache`] of vehicles: what is held of one, how long it is good, and what a
//! write names of it.

mod change;
mod classes;
mod directives;
mod drop_log;
mod from_replicas;
mod invalidate;
mod life;
mod lifetimes;
mod metrics;
mod recent;
mod recent_calls;
mod record;
mod replicas;
mod results;

use std::{
    marker::PhantomData,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::{
    cache::{self, Contents, Rules as _, TAGS, Verdict},
    vehicle::{Plate, Vehicle, Vin},
};

use self::directives::DirectivesAt;
pub use self::{
    change::{Change, InvalidationScope, PurgeFilter},
    classes::{Class, Classes},
    directives::Directives,
    drop_log::{DropLog, LastDrop},
    from_replicas::FromReplicas,
    invalidate::{Cause, Invalidate, Reason},
    life::{Held, Life},
    lifetimes::{Lifetimes, StaleWindows, Ttl},
    metrics::{CacheStatus, Metrics},
    recent_calls::{FailedCall, RecentCalls},
    record::Record,
    replicas::{Found, Replicas, Search, Sought, Stamp, Tell, Unheard, Unwritten},
    results::{ContentHash, Element, Freshness, Results, Source},
};
pub use crate::cache::{Guard, Key, Moment, Partition};

/// The cache of vehicles. `F` is why a call failed.
pub type VehicleCache<F> = cache::Cache<Vehicles<F>>;
/// What is held of a vehicle.
pub type Entry = cache::Entry<Results>;
/// The vehicles that one request leads.
pub type Flight<F> = cache::Flight<Vehicles<F>>;
/// The duty to fetch vehicles.
pub type Leases<F> = cache::Leases<Vehicles<F>>;
/// Brings back what was held of vehicles.
pub type Restoring<F> = cache::Restoring<Vehicles<F>>;
/// Keeps vehicles from being joined and stored.
pub type Hold<F> = cache::Hold<Vehicles<F>>;
/// What is known of one vehicle.
pub type Lookup<F> = cache::Lookup<Vehicles<F>>;
/// What a request finds of its vehicles.
pub type Lookups<F> = cache::Lookups<Vehicles<F>>;
/// What came into the cache of one vehicle.
pub type Stored<F> = cache::Stored<Vehicles<F>>;
/// What became of one vehicle.
pub type Outcome<F> = cache::Outcome<Vehicles<F>>;
/// Waits for one vehicle.
pub type Waiter<F> = cache::Waiter<Vehicles<F>>;

/// What the `[cache]` table says of the whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether anything is kept.
    pub enabled: bool,
    /// Bytes held, keys and bookkeeping counted.
    pub capacity: u64,
}

/// Why a vehicle could not be fetched: shared by everybody who waited for it.
pub trait Failure: Clone + Send + Sync + 'static {}

impl<F: Clone + Send + Sync + 'static> Failure for F {}

/// What the cache of vehicles is of.
pub struct Vehicles<F> {
    is_enabled: bool,
    lifetimes: ArcSwap<Lifetimes>,
    metrics: Metrics,
    drops: DropLog,
    failed_calls: RecentCalls<FailedCall>,
    /// When results came, be they stored or not.
    fetched: RecentCalls<SystemTime>,
    replicas: Option<Arc<dyn Replicas>>,
    failure: PhantomData<fn() -> F>,
}

/// What several vehicles may have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum VehicleTag {
    /// Under any plate.
    Vin(Vin),
    /// Under any VIN.
    Plate(Plate),
}

/// What an entry weighs beside its bytes: the entry itself, its slot in the table with the
/// indexes, and its nodes in the policy.
///
/// Measured with mimalloc as the growth of resident memory by an entry, less what it takes for its
/// bytes ([`allocated`]). In a cache that has let go of four times what it holds that is 560, 590
/// and 700 with elements of 300, 1000 and 3000 bytes on average. When elements of 902 bytes went
/// through a gateway, 10,000 a request, it was 510, so that bytes are counted within 4 %.
const OVERHEAD: usize = 560;

impl<F: Failure> VehicleCache<F> {
    /// An empty cache of vehicles, which no other process shares.
    pub fn of_vehicles(config: &Config, lifetimes: Lifetimes, metrics: Metrics) -> Self {
        Self::replicated(config, lifetimes, metrics, None)
    }

    /// An empty cache of vehicles, and who else has to hear of writes.
    pub fn replicated(
        config: &Config,
        lifetimes: Lifetimes,
        metrics: Metrics,
        replicas: Option<Arc<dyn Replicas>>,
    ) -> Self {
        let gauges = metrics.gauges.clone();
        metrics
            .capacity
            .set(config.capacity.try_into().unwrap_or(i64::MAX));
        let vehicles = Vehicles::new(config.enabled, lifetimes, metrics, replicas);
        Self::new(vehicles, config.capacity, gauges)
    }

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
        let partition = partition.filter(|_| self.is_enabled() && !directives.no_store);
        let stale = self.contents().lifetimes.load().stale;
        let doubt = self.doubt(now);
        self.look_up_by(partition, vehicles, &DirectivesAt { directives, stale, doubt, now }, now)
    }

    /// Whether what came for a request that asked for it at `asked_at` is what it wants: it is, if
    /// Sync responded after that, and if it would have been taken from the cache.
    pub fn is_wanted(&self, results: &Results, directives: &Directives, asked_at: Instant) -> bool {
        results.filled_at().instant >= asked_at || self.is_fresh(results, directives, asked_at)
    }

    /// Whether a request would take this from the cache as fresh.
    fn is_fresh(&self, results: &Results, directives: &Directives, now: Instant) -> bool {
        let stale = self.contents().lifetimes.load().stale;
        let rules = DirectivesAt { directives, stale, doubt: self.doubt(now), now };
        rules.check(results) == Verdict::Fresh
    }

    /// What is still held for a vehicle whose refresh failed, if it may stand in.
    pub fn stale_if_error(
        &self,
        partition: Partition,
        vehicle: Vehicle,
        directives: &Directives,
        now: Instant,
    ) -> Option<Arc<Entry>> {
        let stale = self.contents().lifetimes.load().stale;
        let rules = DirectivesAt { directives, stale, doubt: None, now };
        self.get(partition, vehicle)
            .filter(|entry| rules.permit_stale_if_error(entry))
    }

    /// Holds `entry` in compressed form, too, if that is smaller.
    pub fn compress(&self, entry: &Arc<Entry>) {
        if let Some(results) = entry.compressed() {
            self.replace(entry, results);
        }
    }

    /// Changes how long results stay fresh that are stored from now on, and how long past that
    /// whatever is held may be served.
    pub fn set_lifetimes(&self, lifetimes: Lifetimes) {
        self.contents().lifetimes.store(Arc::new(lifetimes));
    }

    /// How long it is good that there are no results, without jitter.
    pub fn absent_for(&self) -> Duration {
        self.contents().lifetimes.load().ttl.absent
    }

    /// Whether anything is kept at all.
    pub fn is_enabled(&self) -> bool {
        self.contents().is_enabled
    }

    /// What the cache counts.
    pub fn metrics(&self) -> &Metrics {
        &self.contents().metrics
    }

    /// Whether it is known what other replicas write; `None`: there are none.
    pub fn hears_of_writes(&self) -> Option<bool> {
        let replicas = self.contents().replicas.as_ref()?;
        Some(replicas.max_age(Instant::now()).is_none())
    }

    /// Nothing that is older may be served, because other replicas may have written.
    fn doubt(&self, now: Instant) -> Option<Duration> {
        let replicas = self.contents().replicas.as_ref()?;
        replicas.max_age(now)
    }
}

impl<F> Vehicles<F> {
    fn new(
        is_enabled: bool,
        lifetimes: Lifetimes,
        metrics: Metrics,
        replicas: Option<Arc<dyn Replicas>>,
    ) -> Self {
        let lifetimes = ArcSwap::from_pointee(lifetimes);
        let (drops, failed_calls, fetched) = Default::default();
        let failure = PhantomData;
        Self { is_enabled, lifetimes, metrics, drops, failed_calls, fetched, replicas, failure }
    }
}

impl<F: Failure> Contents for Vehicles<F> {
    type Item = Vehicle;
    type Tag = VehicleTag;
    type Fetched = Element;
    type Value = Results;
    type Failure = F;

    fn tags(vehicle: &Vehicle) -> [VehicleTag; TAGS] {
        [VehicleTag::Vin(vehicle.vin), VehicleTag::Plate(vehicle.plate)]
    }

    fn weight(results: &Results) -> usize {
        let piece = results.piece().map_or(0, |piece| allocated(piece.size()));
        allocated(results.bytes().len()) + piece + OVERHEAD
    }

    fn value(&self, element: Element, draw: u64, now: Moment) -> Results {
        let fresh_for = self.lifetimes.load().ttl.fresh_for(element.classes, draw);
        Results::new(element, fresh_for, now)
    }
}

/// What the allocator takes for so many bytes: it has four sizes between a power of two and the
/// next.
fn allocated(bytes: usize) -> usize {
    let step = bytes.next_power_of_two() / 8;
    bytes.next_multiple_of(step.max(8))
}

#[cfg(test)]
pub(crate) mod tests;
