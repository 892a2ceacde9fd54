//! How many requests and how much time: bounds for everybody, for one client, for one request.

mod admit;
mod deadline;
mod metrics;
mod queue_refusals;
mod rate;
mod share;

use std::{num::NonZeroU32, time::Duration};

pub use self::{
    admit::Admit,
    deadline::Deadline,
    metrics::Metrics,
    queue_refusals::QueueRefusals,
    rate::{RateLimit, ReplicaCount},
    share::Share,
};

/// What the `[limit]` table says, with the deadline of a request.
#[derive(Clone, Debug)]
pub struct Config {
    /// Requests at once; one client: a quarter of it.
    pub max_in_flight: usize,
    /// For each client; `None`: no limit.
    pub rate: Option<Rate>,
    /// From the head of a request to the head of its response.
    pub request_timeout: Duration,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens added a second.
    pub requests_per_second: NonZeroU32,
    /// Tokens in a full bucket.
    pub burst: NonZeroU32,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum Error {
    #[error("too many requests are in flight")]
    Full,
    #[error("this client has too many requests in flight")]
    ClientFull { hold: Duration },
    #[error("this client sends too many requests")]
    Rate { retry_after: Duration },
    #[error("no response came in time")]
    Deadline,
    #[error("the body took too long")]
    SlowBody,
}

impl Error {
    /// How long the refusal is held back, so that who does not heed it does not come again at
    /// once.
    pub fn hold(self) -> Duration {
        match self {
            Self::ClientFull { hold } => hold,
            Self::Full | Self::Rate { .. } | Self::Deadline | Self::SlowBody => Duration::ZERO,
        }
    }
}
