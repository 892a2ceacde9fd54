//! What became of the tokens that were shown.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::{Error, Reason};

/// The counters of this module, every label resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    accepted: IntCounter,
    missing: IntCounter,
    refused: [IntCounter; Reason::ALL.len()],
}

// === impl Metrics ===

impl Metrics {
    /// Registers `vingate_auth_tokens_total{outcome}`: `accepted`, `missing`, or a
    /// [`Reason`]. One count a request.
    ///
    /// # Errors
    ///
    /// If a metric of that name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let tokens = IntCounterVec::new(
            Opts::new("vingate_auth_tokens_total", "Requests by what became of their token"),
            &["outcome"],
        )?;
        registry.register(Box::new(tokens.clone()))?;
        Ok(Self {
            accepted: tokens.with_label_values(&["accepted"]),
            missing: tokens.with_label_values(&["missing"]),
            refused: Reason::ALL.map(|reason| tokens.with_label_values(&[reason.as_str()])),
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
            Error::Token(reason) => self.refused[reason.index()].inc(),
            Error::Scope { .. } | Error::NoAccount => {}
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
        assert_eq!(registry.gather()[0].get_metric().len(), 2 + Reason::ALL.len());

        metrics.refused(&Error::Token(Reason::Subject));
        assert_eq!(metrics.refused[Reason::Subject.index()].get(), 1);
        assert!(Metrics::register(&registry).is_err(), "only once");
    }
}
