use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::Cause;
use crate::{cache::Gauges, labels::labels};

/// What the cache counts. Handles are resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    vehicles: [IntCounter; CacheStatus::ALL.len()],
    invalidations: [IntCounter; Cause::ALL.len()],
    pub(super) gauges: Gauges,
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
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let vehicles = IntCounterVec::new(
            Opts::new(
                "vingate_cache_vehicles_total",
                "Vehicles of batches, by where they came from",
            ),
            &["outcome"],
        )?;
        let invalidations = IntCounterVec::new(
            Opts::new("vingate_cache_invalidations_total", "Invalidations, by what caused them"),
            &["cause"],
        )?;
        let entries = IntGauge::new("vingate_cache_entries", "Vehicles held")?;
        let bytes = IntGauge::new("vingate_cache_bytes", "Bytes held, bookkeeping counted")?;
        registry.register(Box::new(vehicles.clone()))?;
        registry.register(Box::new(invalidations.clone()))?;
        registry.register(Box::new(entries.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self {
            vehicles: CacheStatus::ALL.map(|status| vehicles.with_label_values(&[status.as_str()])),
            invalidations: Cause::ALL
                .map(|cause| invalidations.with_label_values(&[cause.as_str()])),
            gauges: Gauges { entries, bytes },
        })
    }

    /// The counter of vehicles that came from there.
    pub fn vehicles(&self, status: CacheStatus) -> &IntCounter {
        &self.vehicles[status.index()]
    }

    pub(super) fn invalidations(&self, cause: Cause) -> &IntCounter {
        &self.invalidations[cause.index()]
    }
}
