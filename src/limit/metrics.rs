use prometheus::{IntCounter, Registry};

use crate::labels::labels;

/// Counts what the limits refuse.
#[derive(Clone, Debug)]
pub struct Metrics {
    refusals: [IntCounter; Reason::ALL.len()],
}

labels! {
    /// Why a request is refused; the label of `vingate_limit_refusals_total`.
    #[derive(Hash)]
    pub(super) enum Reason {
        InFlight = "in_flight",
        ClientInFlight = "client_in_flight",
        Rate = "rate",
        Queue = "queue",
    }
}

impl Metrics {
    /// Registers the metrics of the limits.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let (name, help) = ("vingate_limit_refusals_total", "Requests refused for their quantity");
        Ok(Self { refusals: Reason::counters(registry, name, "reason", help)? })
    }

    pub(super) fn refused(&self, reason: Reason) {
        self.refusals[reason.index()].inc();
    }
}
