//! What a write takes away, and an operator's purge.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::{Failure, VehicleCache, VehicleTag};
use crate::{
    cache::{Partition, Scope},
    labels::labels,
    vehicle::{Plate, Vin},
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

// === impl VehicleCache ===

impl<F: Failure> Invalidate for VehicleCache<F> {
    fn invalidate(
        &self,
        scope: InvalidationScope,
        cause: Cause,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        self.metrics().invalidations(cause).inc();
        self.contents()
            .drops
            .note(&scope, cause, fence_for, SystemTime::now());
        self.remove(scope.into(), fence_for)
    }
}

impl<F: Failure> VehicleCache<F> {
    /// Drops every entry that `filter` matches, and gives their number. Like a write, it also
    /// keeps calls that were sent before it was over from storing what they bring. Dropped before
    /// its end, it has done a part of that.
    pub async fn purge_vehicles(&self, filter: &PurgeFilter) -> u64 {
        self.metrics().invalidations(Cause::Purge).inc();
        self.contents().drops.note_purge(*filter, SystemTime::now());
        let vin = filter.vin.map(VehicleTag::Vin);
        let tags: Vec<_> = vin
            .into_iter()
            .chain(filter.plate.map(VehicleTag::Plate))
            .collect();
        self.purge(filter.partition, &tags).await
    }
}

// === impl InvalidationScope ===

impl From<Partition> for InvalidationScope {
    /// Everything in the partition.
    fn from(partition: Partition) -> Self {
        Self { partition: Some(partition), ..Self::default() }
    }
}

impl From<InvalidationScope> for Scope<VehicleTag> {
    fn from(InvalidationScope { vins, plates, partition }: InvalidationScope) -> Self {
        let vins = vins.into_iter().map(VehicleTag::Vin);
        let tags = vins
            .chain(plates.into_iter().map(VehicleTag::Plate))
            .collect();
        Self { tags, partition }
    }
}
