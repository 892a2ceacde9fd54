//! What became of reloads.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

use crate::app::Outcome;

/// Reloads by outcome, and the time of the last good one.
#[derive(Clone, Debug)]
pub struct Metrics {
    applied: IntCounter,
    unchanged: IntCounter,
    refused: IntCounter,
    failed: IntCounter,
    succeeded_at: Gauge,
}

// === impl Metrics ===

impl Metrics {
    /// Registers the metrics. A start counts as a success, without being a reload.
    ///
    /// # Errors
    ///
    /// If a metric of that name is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let reloads = IntCounterVec::new(
            Opts::new(
                "vingate_config_reloads_total",
                "Readings of the configuration file while running, by what became of them",
            ),
            &["outcome"],
        )?;
        let succeeded_at = Gauge::new(
            "vingate_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was last read, in seconds since 1970",
        )?;
        registry.register(Box::new(reloads.clone()))?;
        registry.register(Box::new(succeeded_at.clone()))?;
        let outcome = |outcome| reloads.with_label_values(&[outcome]);
        let metrics = Self {
            applied: outcome("applied"),
            unchanged: outcome("unchanged"),
            refused: outcome("refused"),
            failed: outcome("failed"),
            succeeded_at,
        };
        metrics.succeed();
        Ok(metrics)
    }

    /// Counts a file without a problem.
    pub(super) fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Applied(_) => &self.applied,
            Outcome::Unchanged => &self.unchanged,
            Outcome::Refused(_) => &self.refused,
        };
        counter.inc();
        if !matches!(outcome, Outcome::Refused(_)) {
            self.succeed();
        }
    }

    /// Counts a file with problems.
    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    fn succeed(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.succeeded_at.set(now.unwrap_or_default().as_secs_f64());
    }
}
