use prometheus::{
    Histogram, IntCounter, Registry, register_histogram_with_registry,
    register_int_counter_with_registry,
};

use crate::labels::labels;

/// What batch calls are counted by.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) calls: IntCounter,
    pub(super) unasked: IntCounter,
    pub(super) isolations: IntCounter,
    pub(super) call_vehicles: Histogram,
    pub(super) gather_seconds: Histogram,
    pub(super) gathered: [IntCounter; Trigger::ALL.len()],
    riders: [IntCounter; RiderEnd::ALL.len()],
}

labels! {
    /// What let small look-ups go; the label of `vingate_batch_gathered_total`.
    pub(super) enum Trigger {
        /// Few calls were under way when the first of them came.
        Idle = "idle",
        /// They fill a call.
        Full = "full",
        /// A call returned.
        Returned = "returned",
        /// The first of them had waited for long enough.
        Due = "due",
        /// A larger call took them along.
        Along = "along",
    }
}

labels! {
    /// What became of a vehicle that was fetched in the free room of a call; the label of
    /// `vingate_batch_riders_total`.
    enum RiderEnd {
        /// It was served before it expired again.
        Served = "served",
        /// It was not.
        InVain = "in_vain",
    }
}

/// Vehicles of a call: single look-ups, small ones, and how full the larger ones are.
const VEHICLES: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 125.0, 250.0, 375.0, 500.0];

/// Waits are at most `batch.gather_for`, and longer only where permits are short.
const SECONDS: [f64; 9] = [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

impl Metrics {
    /// Registers the metrics of batch calls.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter =
            |name: &str, help: &str| register_int_counter_with_registry!(name, help, registry);
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            register_histogram_with_registry!(name, help, buckets.to_vec(), registry)
        };
        Ok(Self {
            calls: counter("vingate_batch_chunks_total", "Batch calls made to the upstream")?,
            unasked: counter(
                "vingate_batch_unasked_elements_total",
                "Elements of upstream responses that nobody had asked for",
            )?,
            isolations: counter(
                "vingate_batch_isolations_total",
                "Calls of several requests that the upstream refused",
            )?,
            call_vehicles: histogram(
                "vingate_batch_call_vehicles",
                "Vehicles of a batch call",
                &VEHICLES,
            )?,
            gather_seconds: histogram(
                "vingate_batch_gather_seconds",
                "From when a small look-up came until its call left",
                &SECONDS,
            )?,
            gathered: Trigger::counters(
                registry,
                "vingate_batch_gathered_total",
                "trigger",
                "Calls that carry small look-ups, by what let them go",
            )?,
            riders: RiderEnd::counters(
                registry,
                "vingate_batch_riders_total",
                "end",
                "Vehicles fetched in the free room of calls, by whether that was of use",
            )?,
        })
    }

    /// A vehicle that was fetched in the free room of a call has expired or is replaced.
    pub(super) fn rider_ended(&self, was_served: bool) {
        let end = if was_served { RiderEnd::Served } else { RiderEnd::InVain };
        self.riders[end].inc();
    }

    #[cfg(test)]
    pub(super) fn riders_ended(&self, was_served: bool) -> u64 {
        let end = if was_served { RiderEnd::Served } else { RiderEnd::InVain };
        self.riders[end].get()
    }
}
