//! What came of a reload, and how often.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{
    Gauge, IntCounterVec, IntGauge, Registry, register_gauge_with_registry,
    register_int_counter_vec_with_registry, register_int_gauge_with_registry,
};

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
    reloads: IntCounterVec,
    succeeded_at: Gauge,
    file_in_force: IntGauge,
}

impl ReloadMetrics {
    /// Registers the metrics. A start counts as a success, without being a reload.
    ///
    /// # Errors
    ///
    /// If a metric of that name is registered already.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let reloads = register_int_counter_vec_with_registry!(
            "vingate_config_reloads_total",
            "Reloads of the configuration file, by outcome",
            &["outcome"],
            registry
        )?;
        for outcome in ["applied", "unchanged", "refused", "failed"] {
            reloads.with_label_values(&[outcome]);
        }
        let succeeded_at = register_gauge_with_registry!(
            "vingate_config_last_reload_success_timestamp_seconds",
            "When the effective configuration was last read, in seconds since 1970",
            registry
        )?;
        let file_in_force = register_int_gauge_with_registry!(
            "vingate_config_file_in_force",
            "Whether the configuration file, as it was last read, is in force: 1 or 0",
            registry
        )?;
        let metrics = Self { reloads, succeeded_at, file_in_force };
        metrics.succeed();
        Ok(metrics)
    }

    /// Counts a reload; `None`: the file had problems.
    pub(super) fn count(&self, outcome: Option<&ReloadOutcome>) {
        let label = match outcome {
            Some(ReloadOutcome::Applied(_)) => "applied",
            Some(ReloadOutcome::Unchanged) => "unchanged",
            Some(ReloadOutcome::Refused(_)) => "refused",
            None => "failed",
        };
        self.reloads.with_label_values(&[label]).inc();
        match outcome {
            Some(ReloadOutcome::Applied(_) | ReloadOutcome::Unchanged) => self.succeed(),
            Some(ReloadOutcome::Refused(_)) | None => self.file_in_force.set(0),
        }
    }

    fn succeed(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.succeeded_at.set(now.unwrap_or_default().as_secs_f64());
        self.file_in_force.set(1);
    }
}
