//! Logs and metrics.
//!
//! Metrics are Prometheus's, with labels from closed sets only, and their handles are resolved
//! once. Log lines are fixed messages with fields. Neither ever carries a token, a VIN, a plate, a
//! path or a query.

mod log;
mod lossy;
mod metrics;
mod registry;
mod request_labels;
mod requests;

pub use self::{
    log::{Levels, Log, init, subscriber},
    metrics::Metrics,
    registry::registry,
    requests::{ResponseFuture, TelemetryLayer, TelemetryService},
};

/// What the `[log]` table says, but for the [`Format`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The least severe level that is written. Requests' own lines do not depend on it.
    pub level: tracing::Level,
    /// Which requests get a line.
    pub access: Access,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Which requests get a line of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every request.
    All,
    /// Responses of 500 and above, and what the gateway refused.
    Errors,
    /// None.
    Off,
}
