use std::{sync::Arc, time::Duration};

use prometheus::{
    Gauge, IntCounter, IntGauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tokio::time::Instant;

use super::trust::Trust;

/// What the shared tier counts. Handles are resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) unannounced: IntCounter,
    trust: Arc<Trust>,
}

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
        Ok(Self { unannounced, trust })
    }

    pub(super) fn trust(&self) -> &Arc<Trust> {
        &self.trust
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
