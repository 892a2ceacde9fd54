use prometheus::{IntCounter, Registry};

use crate::labels::labels;

/// What traces are counted by.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) spans: [IntCounter; SpanOutcome::ALL.len()],
}

labels! {
    /// What became of a span; the label of `vingate_trace_spans_total`.
    pub(super) enum SpanOutcome {
        /// The collector has taken it.
        Exported = "exported",
        /// The collector could not be reached, or did not take it.
        Failed = "failed",
        /// Too many were waiting for the collector.
        Dropped = "dropped",
    }
}

impl Metrics {
    /// Registers the metrics of traces.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let spans = SpanOutcome::counters(
            registry,
            "vingate_trace_spans_total",
            "outcome",
            "Spans that have ended, by what became of them",
        )?;
        Ok(Self { spans })
    }
}
