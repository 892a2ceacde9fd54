//! How much of the gateway one moment, one client or one request may take.

mod admit;
mod client;
mod deadline;
mod guarded;
mod metrics;
mod rate;
mod share;

use std::{num::NonZeroU32, time::Duration};

pub use self::{
    admit::AdmitLayer, client::Client, deadline::DeadlineLayer, metrics::Metrics, rate::RateLimit,
    share::ShareLayer,
};

/// What the `[limit]` table says, with the deadline of a request.
#[derive(Clone, Debug)]
pub struct Config {
    /// Requests at once; one client: a quarter of it.
    pub max_in_flight: usize,
    /// Bytes of a request body that is buffered.
    pub max_body: usize,
    /// Requests a second for one client; `None`: as many as it likes.
    pub rate: Option<Rate>,
    /// From the head of a request to the head of its answer.
    pub request_timeout: Duration,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Refill, a second.
    pub requests_per_second: NonZeroU32,
    /// Size of the bucket.
    pub burst: NonZeroU32,
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As many requests as there may be are in flight.
    #[error("too many requests in flight")]
    Full,
    /// The client has its share of the requests in flight.
    #[error("too many requests of this client in flight")]
    ClientFull,
    /// The client asks too often.
    #[error("too many requests of this client")]
    Rate {
        /// Until its next request is let in.
        retry_after: Duration,
    },
    /// The answer took too long.
    #[error("no answer in time")]
    Deadline,
}
