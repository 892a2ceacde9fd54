use prometheus::{
    IntCounter, IntGauge, Registry, register_int_counter_vec_with_registry,
    register_int_gauge_with_registry,
};

use super::{Cause, Class, Stored};
use crate::{cache::Gauges, labels::labels};

/// What the cache counts. Handles are resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    vehicles: [IntCounter; CacheStatus::ALL.len()],
    invalidations: [IntCounter; Cause::ALL.len()],
    refreshes: [[IntCounter; 2]; Class::ALL.len()],
    pub(super) gauges: Gauges,
    pub(super) capacity: IntGauge,
}

labels! {
    /// Where a vehicle of a batch came from; the label of `vingate_cache_vehicles_total`.
    pub enum CacheStatus {
        /// From a fresh entry with results.
        Hit = "hit",
        /// From a stale entry.
        Stale = "stale",
        /// From a call that another request leads.
        Joined = "joined",
        /// From a call that this request leads.
        Miss = "miss",
        /// From a fresh entry without results.
        Absent = "absent",
        /// Past the cache.
        Bypass = "bypass",
        /// From a stale entry, because the call failed.
        StaleOnError = "stale_on_error",
    }
}

impl Metrics {
    /// Registers the cache's metrics.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let vehicles = CacheStatus::counters(
            registry,
            "vingate_cache_vehicles_total",
            "outcome",
            "Vehicles of batches, by where they came from",
        )?;
        let invalidations = Cause::counters(
            registry,
            "vingate_cache_invalidations_total",
            "cause",
            "Invalidations, by what caused them",
        )?;
        let refreshes = register_int_counter_vec_with_registry!(
            "vingate_cache_refreshes_total",
            "Entries replaced by later results, by what they said and whether that changed",
            &["class", "changed"],
            registry
        )?;
        let refreshes = Class::ALL.map(|class| {
            ["false", "true"].map(|changed| refreshes.with_label_values(&[class.as_str(), changed]))
        });
        let gauge =
            |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let gauges = Gauges {
            entries: gauge("vingate_cache_entries", "Vehicles held")?,
            bytes: gauge("vingate_cache_bytes", "Bytes held, bookkeeping counted")?,
        };
        let capacity = gauge("vingate_cache_capacity_bytes", "Bytes that may be held")?;
        Ok(Self { vehicles, invalidations, refreshes, gauges, capacity })
    }

    /// The counter of vehicles that came from there.
    pub fn vehicles(&self, status: CacheStatus) -> &IntCounter {
        &self.vehicles[status]
    }

    /// Counts those that have replaced an entry.
    pub fn refreshed<F: super::Failure>(&self, stored: &[Stored<F>]) {
        for Stored { entry, replaced, .. } in stored {
            let Some(replaced) = replaced else { continue };
            let has_changed = replaced.content_hash() != entry.content_hash();
            let class = replaced.classes().leading();
            self.refreshes[class][usize::from(has_changed)].inc();
        }
    }

    pub(super) fn invalidations(&self, cause: Cause) -> &IntCounter {
        &self.invalidations[cause]
    }
}
