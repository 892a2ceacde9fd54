//! Traces: where the time of a request goes, as OpenTelemetry has it.
//!
//! A request that is sampled is a tree of [`Span`]s: the request itself, its steps
//! ([`RequestTrace`]), the calls to Sync that were made for it, and the attempts of each. A call may
//! carry vehicles of many requests: it belongs to the first of them that is sampled, and is linked
//! with the others. Spans that have ended wait in a bounded queue for the [`Exporter`], which never
//! holds anybody up. What is not sampled is not there: nothing is allocated, and no clock is read.
//!
//! Names and attributes are from closed sets, but for the id of the request: no vehicle, no
//! credential and no path is in them.

mod config;
mod exporter;
mod metrics;
mod otlp;
mod recorder;
mod request_trace;
mod span;
mod span_context;

pub use self::{
    config::{Config, ExporterConfig},
    exporter::{Exporter, TlsError},
    metrics::Metrics,
    otlp::Value,
    recorder::Recorder,
    request_trace::{RequestTrace, Step, StepSpan},
    span::{Kind, Parent, Span},
    span_context::{SpanContext, TRACEPARENT},
};
