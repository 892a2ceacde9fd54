use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// What is refused for its quantity.
#[derive(Clone, Debug)]
pub struct Metrics {
    refusals: [IntCounter; Reason::ALL.len()],
}

/// Why; the label of `vingate_limit_refusals_total`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    InFlight,
    ClientInFlight,
    Rate,
}

// === impl Metrics ===

impl Metrics {
    /// Registers the metrics of the limits.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let refusals = IntCounterVec::new(
            Opts::new("vingate_limit_refusals_total", "Requests refused for their quantity"),
            &["reason"],
        )?;
        registry.register(Box::new(refusals.clone()))?;
        Ok(Self {
            refusals: Reason::ALL.map(|reason| refusals.with_label_values(&[reason.as_str()])),
        })
    }

    pub(super) fn refused(&self, reason: Reason) {
        self.refusals[reason as usize].inc();
    }
}

// === impl Reason ===

impl Reason {
    /// Every reason, in the order of the discriminants.
    const ALL: [Self; 3] = [Self::InFlight, Self::ClientInFlight, Self::Rate];

    fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::ClientInFlight => "client_in_flight",
            Self::Rate => "rate",
        }
    }
}
