//! How much of the gateway one moment, one client or one request may take.

use std::{num::NonZeroU32, time::Duration};

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
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Refill, a second.
    pub requests_per_second: NonZeroU32,
    /// Size of the bucket.
    pub burst: NonZeroU32,
}
