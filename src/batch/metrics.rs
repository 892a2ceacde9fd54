use prometheus::{Histogram, HistogramOpts, Registry};

/// What batch requests are counted by.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) vehicles: Histogram,
}

/// Up to one call, then by how many calls it takes, to the most that one request may have.
const VEHICLES: [f64; 12] =
    [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0];

impl Metrics {
    /// Registers the metrics of batches.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let vehicles = Histogram::with_opts(
            HistogramOpts::new("vingate_batch_vehicles", "Distinct vehicles of a batch request")
                .buckets(VEHICLES.to_vec()),
        )?;
        registry.register(Box::new(vehicles.clone()))?;
        Ok(Self { vehicles })
    }
}
