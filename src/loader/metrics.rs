use prometheus::{IntCounter, Registry};

/// What batch calls are counted by.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) calls: IntCounter,
    pub(super) unasked: IntCounter,
}

impl Metrics {
    /// Registers the metrics of batch calls.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let calls =
            IntCounter::new("vingate_batch_chunks_total", "Batch calls made to the upstream")?;
        let unasked = IntCounter::new(
            "vingate_batch_unasked_elements_total",
            "Elements of upstream responses that nobody had asked for",
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(unasked.clone()))?;
        Ok(Self { calls, unasked })
    }
}
