use std::time::Duration;

/// What the `[batch]` table says of calls, with the limits of responses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Vehicles in one call, never above 500.
    pub chunk: usize,
    /// Calls at once for one request.
    pub max_parallel: usize,
    /// Calls of small look-ups of one account under way from which on others gather; 0: none does.
    pub gather_from: usize,
    /// How long one waits for company at most.
    pub gather_for: Duration,
    /// How long refreshes wait for a call to travel with; zero: they go with their request's own.
    pub refresh_wait: Duration,
    /// Vehicles that expire within this travel in the free room of calls; zero: none do.
    pub ride: Duration,
    /// Bytes of one response.
    pub max_response: usize,
    /// How long a response may go without a byte.
    pub stream_idle_timeout: Duration,
    /// One call, from its permit to the last byte of its response.
    pub request_timeout: Duration,
}
