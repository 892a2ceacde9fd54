//! What a write takes away.
//!
//! A write drops entries, and takes calls under way out of the table. A call that was sent before
//! the write's response came can then not store what it brings, and nobody who comes later joins
//! it; those who wait for it already asked before the write had its response, and get what the
//! call brings. No clock and no counter per vehicle is needed for that.

use std::{collections::HashSet, future::ready, time::Duration};

use foldhash::fast::RandomState;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Cache, Failure, Key, Partition, table::Table};
use crate::{
    labels::labels,
    vehicle::{Plate, Vehicle, Vin},
};

/// What a write may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvalidationScope {
    /// Every entry of these VINs, under any plate, in every partition.
    pub vins: Vec<Vin>,
    /// Every entry of these plates, under any VIN, in every partition.
    pub plates: Vec<Plate>,
    /// Everything in this partition.
    pub partition: Option<Partition>,
}

/// Entries to purge: those that match every part which is there. None: all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeFilter {
    /// Of this partition.
    pub partition: Option<Partition>,
    /// Of this VIN.
    pub vin: Option<Vin>,
    /// Of this plate.
    pub plate: Option<Plate>,
}

labels! {
    /// Why entries are dropped; the label of `vingate_cache_invalidations_total`.
    pub enum Cause {
        /// `PATCH` of a vehicle's status.
        VehicleStatus = "vehicle_status",
        /// `PUT` of a vehicle.
        VehicleUpsert = "vehicle_upsert",
        /// `PUT` of a tax identity.
        TaxIdentity = "tax_identity",
        /// Any other unsafe request.
        OtherWrite = "other_write",
        /// The upstream refused the credential that the entries were filled with.
        Unauthorized = "unauthorized",
        /// `POST /cache/purge` of the admin listener.
        Purge = "purge",
    }
}

/// VINs and plates of one write that are looked for one by one: what Sync takes at once in a
/// batch. Each is looked for in every shard, so a list as long as a body can be would keep a
/// thread for a long time. For a write that names more, every slot is looked at once instead.
pub(super) const FEW_NAMES: usize = 1000;

/// What a write names that has many names.
struct Names {
    vins: HashSet<Vin, RandomState>,
    plates: HashSet<Plate, RandomState>,
}

/// Where writes are told: the cache, whatever its calls fail with.
pub trait Invalidate: Send + Sync + 'static {
    /// Drops what `scope` covers. Nothing of it is served any more when the future is ready;
    /// whoever cannot wait for that has to have the future run all the same.
    ///
    /// `fence_for`: the outcome of the write is unknown, so nothing of what it may have changed
    /// is stored for this long. The fence stands as soon as this returns.
    fn invalidate(
        &self,
        scope: InvalidationScope,
        cause: Cause,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()>;
}

// === impl Cache ===

impl<F: Failure> Invalidate for Cache<F> {
    fn invalidate(
        &self,
        scope: InvalidationScope,
        cause: Cause,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        let store = &self.0;
        store.metrics.invalidations(cause).inc();
        if let Some(fence_for) = fence_for {
            // Before the tables are locked: see where leases are given out.
            let now = Instant::now();
            store.fence.add(&scope, now, now + fence_for);
        }
        if let Some(partition) = scope.partition {
            store.advance_epoch(partition);
        }
        match scope.vins.len() + scope.plates.len() {
            0..=FEW_NAMES => {
                self.drop_named(&scope);
                Box::pin(ready(()))
            }
            _ => {
                let cache = self.clone();
                Box::pin(async move { cache.drop_all_named(&Names::of(&scope)).await })
            }
        }
    }
}

impl<F: Failure> Cache<F> {
    /// Drops every entry that `selection` matches, and gives their number. Like a write, it also
    /// keeps calls that were sent before it was over from storing what they bring. Dropped before
    /// its end, it has done a part of that.
    pub async fn purge(&self, filter: &PurgeFilter) -> u64 {
        self.0.metrics.invalidations(Cause::Purge).inc();
        match *filter {
            PurgeFilter { partition, vin: None, plate: None } => self.purge_whole(partition).await,
            _ => self.purge_vehicles(filter),
        }
    }

    /// Drops a partition, or all. What is asked for behind the walk while that goes on may be
    /// stored there, and counts as dropped at the end, when it is left to the sweep.
    async fn purge_whole(&self, partition: Option<Partition>) -> u64 {
        let mut purged = 0;
        let purge = |table: &mut Table<F>, id| {
            let is_of = |wanted| wanted == table.slot(id).key().partition;
            let has_entry = partition.is_none_or(is_of) && self.drop_slot(table, id);
            purged += u64::from(has_entry);
            has_entry
        };
        self.visit_slots(purge).await;
        match partition {
            Some(partition) => self.0.advance_epoch(partition),
            None => self.0.advance_epochs(),
        }
        purged
    }

    /// Drops what matches a VIN or a plate, at once.
    fn purge_vehicles(&self, filter: &PurgeFilter) -> u64 {
        let mut purged = 0;
        for shard in self.0.shards() {
            let table = &mut *shard.lock();
            let by_vin = filter.vin.map(|vin| table.of_vin(&vin));
            let by_plate = || filter.plate.map(|plate| table.of_plate(&plate));
            for id in by_vin.or_else(by_plate).unwrap_or_default() {
                let has_entry = filter.matches(table.slot(id).key()) && self.drop_slot(table, id);
                purged += u64::from(has_entry);
            }
        }
        self.0.catch_up();
        purged
    }

    fn drop_named(&self, scope: &InvalidationScope) {
        if scope.vins.is_empty() && scope.plates.is_empty() {
            return;
        }
        for shard in self.0.shards() {
            let table = &mut *shard.lock();
            for vin in &scope.vins {
                self.drop_slots(table, table.of_vin(vin));
            }
            for plate in &scope.plates {
                self.drop_slots(table, table.of_plate(plate));
            }
        }
    }

    /// [`Cache::drop_named`] in the time that all slots take, whatever the number of names. What
    /// comes into a slot behind the walk was asked for after the write was over.
    async fn drop_all_named(&self, names: &Names) {
        self.visit_slots(|table, id| {
            names.contain(&table.slot(id).key().vehicle) && self.drop_slot(table, id)
        })
        .await;
    }

    fn drop_slots(&self, table: &mut Table<F>, slots: Vec<u32>) {
        for id in slots {
            self.drop_slot(table, id);
        }
    }

    /// Drops what is held in a slot and takes out what is in flight. Gives whether something was held.
    fn drop_slot(&self, table: &mut Table<F>, id: u32) -> bool {
        let has_entry = self.0.remove(table, id);
        table.slot_mut(id).in_flight = None;
        table.vacate(id);
        has_entry
    }
}

// === impl Names ===

impl Names {
    fn of(scope: &InvalidationScope) -> Self {
        Self {
            vins: scope.vins.iter().copied().collect(),
            plates: scope.plates.iter().copied().collect(),
        }
    }

    fn contain(&self, vehicle: &Vehicle) -> bool {
        self.vins.contains(&vehicle.vin) || self.plates.contains(&vehicle.plate)
    }
}

// === impl Selection ===

impl PurgeFilter {
    fn matches(&self, key: &Key) -> bool {
        let Vehicle { vin, plate } = key.vehicle;
        self.partition.is_none_or(|wanted| wanted == key.partition)
            && self.vin.is_none_or(|wanted| wanted == vin)
            && self.plate.is_none_or(|wanted| wanted == plate)
    }
}
