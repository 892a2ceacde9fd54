//! What became of the tokens that were shown, and of the fetches of keys.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{
    GaugeVec, IntCounter, Registry, register_gauge_vec_with_registry,
    register_int_counter_vec_with_registry,
};

use super::{Error, TokenError};
use crate::labels::labels;

/// The counters of this module, every label resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    accepted: IntCounter,
    missing: IntCounter,
    refused: [IntCounter; TokenError::ALL.len()],
    refreshes: [IntCounter; FetchOutcome::ALL.len()],
    /// Without a label: it is there when keys are.
    keys_at: GaugeVec,
}

labels! {
    /// What became of a fetch of the published keys.
    pub(super) enum FetchOutcome {
        Loaded = "loaded",
        Unreachable = "unreachable",
        Timeout = "timeout",
        Status = "status",
        TooLarge = "too_large",
        Malformed = "malformed",
        Empty = "empty",
    }
}

impl Metrics {
    /// Registers the metrics of tokens, one count a request, and of keys, one count a fetch.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let tokens = register_int_counter_vec_with_registry!(
            "vingate_auth_tokens_total",
            "Requests by what became of their token",
            &["outcome"],
            registry
        )?;
        let refreshes = FetchOutcome::counters(
            registry,
            "vingate_auth_jwks_refreshes_total",
            "outcome",
            "Fetches of the published keys by what became of them",
        )?;
        let keys_at = register_gauge_vec_with_registry!(
            "vingate_auth_jwks_last_success_timestamp_seconds",
            "When the published keys were last fetched, in seconds since 1970",
            &[],
            registry
        )?;
        Ok(Self {
            accepted: tokens.with_label_values(&["accepted"]),
            missing: tokens.with_label_values(&["missing"]),
            refused: TokenError::ALL.map(|reason| tokens.with_label_values(&[reason.as_str()])),
            refreshes,
            keys_at,
        })
    }

    /// Counts a verified token, remembered or not.
    #[inline]
    pub(super) fn accepted(&self) {
        self.accepted.inc();
    }

    /// Counts a 401.
    pub(super) fn refused(&self, error: &Error) {
        match error {
            Error::Missing => self.missing.inc(),
            Error::Token(reason) => self.refused[*reason].inc(),
            Error::Scope { .. } | Error::NoAccount => {}
        }
    }

    /// Counts a fetch of the published keys.
    pub(super) fn refreshed(&self, outcome: FetchOutcome) {
        self.refreshes[outcome].inc();
        if let FetchOutcome::Loaded = outcome {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default().as_secs_f64();
            self.keys_at.with_label_values::<&str>(&[]).set(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_outcome_from_the_start() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let families = registry.gather();
        let series = |name: &str| {
            let family = families.iter().find(|family| family.name() == name);
            family.unwrap().get_metric().len()
        };
        assert_eq!(series("vingate_auth_tokens_total"), 2 + TokenError::ALL.len());
        assert_eq!(series("vingate_auth_jwks_refreshes_total"), FetchOutcome::ALL.len());

        metrics.refused(&Error::Token(TokenError::Subject));
        assert_eq!(metrics.refused[TokenError::Subject].get(), 1);
        assert!(Metrics::register(&registry).is_err(), "only once");

        let keys_at = || {
            let families = registry.gather();
            let name = "vingate_auth_jwks_last_success_timestamp_seconds";
            let family = families.iter().find(|family| family.name() == name);
            family.map(|family| family.get_metric()[0].get_gauge().get_value())
        };
        metrics.refreshed(FetchOutcome::Timeout);
        assert_eq!(keys_at(), None, "there are no keys");
        metrics.refreshed(FetchOutcome::Loaded);
        assert!(keys_at() > Some(1e9));
    }
}
