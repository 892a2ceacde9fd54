//! What came of a reload, and how often.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

use crate::config::Changes;

/// What came of another configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is in effect, and differs in these keys from the one before.
    Applied(Changes),
    /// It says the same.
    Unchanged,
    /// Some of these keys need a restart, so nothing has changed.
    Refused(Changes),
}

#[derive(Clone, Debug)]
pub(super) struct ReloadMetrics {
    applied: IntCounter,
    unchanged: IntCounter,
    refused: IntCounter,
    failed: IntCounter,
    succeeded_at: Gauge,
}

// === impl ReloadMetrics ===

impl ReloadMetrics {
    /// Registers the metrics. A start counts as a success, without being a reload.
    ///
    /// # Errors
    ///
    /// If a metric of that name is registered already.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let reloads = IntCounterVec::new(
            Opts::new(
                "vingate_config_reloads_total",
                "Reloads of the configuration file, by outcome",
            ),
            &["outcome"],
        )?;
        let succeeded_at = Gauge::new(
            "vingate_config_last_reload_success_timestamp_seconds",
            "When the effective configuration was last read, in seconds since 1970",
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

    pub(super) fn count(&self, outcome: &ReloadOutcome) {
        let counter = match outcome {
            ReloadOutcome::Applied(_) => &self.applied,
            ReloadOutcome::Unchanged => &self.unchanged,
            ReloadOutcome::Refused(_) => &self.refused,
        };
        counter.inc();
        if !matches!(outcome, ReloadOutcome::Refused(_)) {
            self.succeed();
        }
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    fn succeed(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.succeeded_at.set(now.unwrap_or_default().as_secs_f64());
    }
}
