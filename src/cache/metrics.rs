use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::Cause;

/// What the cache counts. Handles are resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    lookups: [IntCounter; CacheStatus::ALL.len()],
    invalidations: [IntCounter; Cause::ALL.len()],
    pub(super) entries: IntGauge,
    pub(super) bytes: IntGauge,
}

/// How a vehicle of a batch was answered; the label of `vingate_cache_vehicles_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// From a fresh entry with results.
    Hit,
    /// From a stale entry.
    Stale,
    /// By a call that another request had made.
    Joined,
    /// By a call of its own.
    Miss,
    /// From a fresh entry without results.
    Absent,
    /// Past the cache.
    Bypass,
    /// From a stale entry, because its refresh failed.
    StaleOnError,
}

// === impl Metrics ===

impl Metrics {
    /// Registers the cache's metrics.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let lookups = IntCounterVec::new(
            Opts::new("vingate_cache_vehicles_total", "Vehicles answered, by where from"),
            &["outcome"],
        )?;
        let invalidations = IntCounterVec::new(
            Opts::new("vingate_cache_invalidations_total", "Invalidations, by what caused them"),
            &["cause"],
        )?;
        let entries = IntGauge::new("vingate_cache_entries", "Vehicles held")?;
        let bytes = IntGauge::new("vingate_cache_bytes", "Bytes held, bookkeeping counted")?;
        registry.register(Box::new(lookups.clone()))?;
        registry.register(Box::new(invalidations.clone()))?;
        registry.register(Box::new(entries.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self {
            lookups: CacheStatus::ALL.map(|lookup| lookups.with_label_values(&[lookup.as_str()])),
            invalidations: Cause::ALL
                .map(|cause| invalidations.with_label_values(&[cause.as_str()])),
            entries,
            bytes,
        })
    }

    /// The counter of vehicles answered this way.
    pub fn lookups(&self, lookup: CacheStatus) -> &IntCounter {
        &self.lookups[lookup as usize]
    }

    pub(super) fn invalidations(&self, cause: Cause) -> &IntCounter {
        &self.invalidations[cause as usize]
    }
}

// === impl Lookup ===

impl CacheStatus {
    /// Every outcome, in the order of the discriminants.
    pub const ALL: [Self; 7] = [
        Self::Hit,
        Self::Stale,
        Self::Joined,
        Self::Miss,
        Self::Absent,
        Self::Bypass,
        Self::StaleOnError,
    ];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Joined => "joined",
            Self::Miss => "miss",
            Self::Absent => "absent",
            Self::Bypass => "bypass",
            Self::StaleOnError => "stale_on_error",
        }
    }
}
