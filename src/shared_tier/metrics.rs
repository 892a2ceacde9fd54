use std::{sync::Arc, time::Duration};

use prometheus::{
    Gauge, Histogram, IntCounter, IntGauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
    register_histogram_with_registry, register_int_gauge_with_registry,
};
use tokio::time::Instant;

use super::trust::Trust;
use crate::labels::labels;

/// What the shared tier counts. Handles are resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) unannounced: IntCounter,
    pub(super) seconds: Histogram,
    pub(super) breaker: IntGauge,
    pub(super) replicas: IntGauge,
    pub(super) lookups: [IntCounter; Lookup::ALL.len()],
    pub(super) fills: [IntCounter; Fill::ALL.len()],
    pub(super) leases: [IntCounter; LeaseOutcome::ALL.len()],
    pub(super) released: [IntCounter; Released::ALL.len()],
    pub(super) trust: Arc<Trust>,
}

labels! {
    /// What the server had of a vehicle; the label of `vingate_shared_lookups_total`.
    pub(super) enum Lookup {
        /// A value that is good.
        Hit = "hit",
        /// Nothing.
        Absent = "absent",
        /// Nothing that came in time.
        Late = "late",
        /// A value that may be older than a write.
        Rejected = "rejected",
        /// Bytes that no replica with this secret has put there.
        Unreadable = "unreadable",
        /// It was not asked, because it does not respond in time or writes are not heard of.
        Skipped = "skipped",
    }
}

labels! {
    /// What became of a vehicle to be shared; the label of `vingate_shared_fills_total`.
    pub(super) enum Fill {
        /// It is on the server.
        Stored = "stored",
        /// Too much was waiting.
        Dropped = "dropped",
        /// The server refused it, or was not reached.
        Failed = "failed",
    }
}

labels! {
    /// For what the response of a write has waited; the label of
    /// `vingate_shared_write_releases_total`.
    pub(super) enum Released {
        /// Nothing: `write_wait` had passed, or is zero.
        AtOnce = "at_once",
        /// All others had read of it before that.
        Acknowledged = "acknowledged",
        /// The rest of `write_wait`.
        Waited = "waited",
    }
}

labels! {
    /// What became of a vehicle that nobody had; the label of `vingate_shared_leases_total`.
    pub(super) enum LeaseOutcome {
        /// No other replica asked for it, so this one did.
        Taken = "taken",
        /// Another one asked for it, and brought it.
        Brought = "brought",
        /// Another one asked for it, but this one did not get it from there in time.
        InVain = "in_vain",
    }
}

/// One waits for some milliseconds, and for two more with each 500 vehicles.
const SECONDS: [f64; 9] = [0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];

/// What is known of writes at the moment of a scrape.
struct Known {
    trust: Arc<Trust>,
    valid: IntGauge,
    log_age: Gauge,
}

impl Metrics {
    /// Registers the metrics of a tier whose leases last so long.
    pub fn register(registry: &Registry, lease: Duration) -> Result<Self, prometheus::Error> {
        let trust = Arc::new(Trust::new(lease));
        let unannounced = IntCounter::new(
            "vingate_shared_unannounced_writes_total",
            "Writes that other replicas were not told of in time",
        )?;
        let known = Known {
            trust: Arc::clone(&trust),
            valid: IntGauge::new(
                "vingate_shared_valid",
                "1 if what other replicas wrote is known here, else 0",
            )?,
            log_age: Gauge::new(
                "vingate_shared_log_age_seconds",
                "How long ago all was known that other replicas wrote",
            )?,
        };
        registry.register(Box::new(unannounced.clone()))?;
        registry.register(Box::new(known))?;
        let breaker = register_int_gauge_with_registry!(
            "vingate_shared_breaker_state",
            "0 while vehicles are asked for, 1 while they are not",
            registry
        )?;
        breaker.set(1);
        let replicas = register_int_gauge_with_registry!(
            "vingate_shared_replicas",
            "Replicas that share, this one included",
            registry
        )?;
        replicas.set(1);
        Ok(Self {
            unannounced,
            seconds: register_histogram_with_registry!(
                "vingate_shared_seconds",
                "How long requests waited for the shared tier",
                SECONDS.to_vec(),
                registry
            )?,
            breaker,
            replicas,
            lookups: Lookup::counters(
                registry,
                "vingate_shared_lookups_total",
                "outcome",
                "Vehicles that the shared tier was to be asked for, by what it had",
            )?,
            fills: Fill::counters(
                registry,
                "vingate_shared_fills_total",
                "outcome",
                "Vehicles to be shared, by what became of them",
            )?,
            leases: LeaseOutcome::counters(
                registry,
                "vingate_shared_leases_total",
                "outcome",
                "Vehicles that no replica had, by who asked for them",
            )?,
            released: Released::counters(
                registry,
                "vingate_shared_write_releases_total",
                "outcome",
                "Writes, by what their responses waited for",
            )?,
            trust,
        })
    }
}

impl Collector for Known {
    fn desc(&self) -> Vec<&Desc> {
        [self.valid.desc(), self.log_age.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        self.valid.set(self.trust.lasts(now).into());
        self.log_age.set(self.trust.age(now).as_secs_f64());
        [self.valid.collect(), self.log_age.collect()].concat()
    }
}
