use prometheus::{
    Histogram, IntGauge, Registry, register_histogram_with_registry,
    register_int_gauge_with_registry,
};

/// What batch requests are counted by.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) vehicles: Histogram,
    pub(super) unread: IntGauge,
}

/// Up to one call, then by how many calls it takes, to the most that one request may have.
const VEHICLES: [f64; 12] =
    [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0];

impl Metrics {
    /// Registers the metrics of batches.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let vehicles = register_histogram_with_registry!(
            "vingate_batch_vehicles",
            "Distinct vehicles of a batch request",
            VEHICLES.to_vec(),
            registry
        )?;
        let unread = register_int_gauge_with_registry!(
            "vingate_batch_unread_responses",
            "Large batch responses that their clients do not read",
            registry
        )?;
        Ok(Self { vehicles, unread })
    }
}
