use std::{fmt, time::Duration};

use http::uri::{Authority, Scheme};
use rustls::pki_types::CertificateDer;

/// What the `[upstream]` table says of connections and calls.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Sync is.
    pub origin: Origin,
    /// Certificates to trust; `None`: the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// Until a connection is made, TLS included.
    pub connect_timeout: Duration,
    /// From the last byte of a call sent to the head of its response.
    pub attempt_timeout: Duration,
    /// How long the upstream may take no byte of what is sent to it.
    pub stream_idle_timeout: Duration,
    /// From the head of a client's request to the head of its response.
    pub request_timeout: Duration,
    /// How long a call whose client neither reads nor sends counts among the calls at once, up to
    /// twice.
    pub slow_after: Duration,
    /// How long an idle connection is kept.
    pub pool_idle_timeout: Duration,
    /// Calls at once.
    pub max_in_flight: usize,
    /// Whether fewer are made while latency grows with them.
    pub adaptive: bool,
    /// Of those, the part that one client may hold while others wait, 0 to 1.
    pub client_share: f64,
    /// Further attempts.
    pub retry: RetryConfig,
    /// When to stop calling for a while.
    pub breaker: BreakerConfig,
}

/// How often a call that fails is made again.
#[derive(Clone, Copy, Debug)]
pub struct RetryConfig {
    /// Attempts in all, at least one.
    pub max_attempts: u32,
    /// Retries for each call; 10 a second are always allowed.
    pub budget: f64,
}

/// When calling stops, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerConfig {
    /// The part of calls that fail at which it stops.
    pub failure_ratio: f64,
    /// Calls in half a minute before the part means anything.
    pub min_requests: u32,
    /// How long it stops before one call probes.
    pub open_for: Duration,
    /// The most that a probe may take before another one goes.
    pub probe_for: Duration,
}

/// A scheme, host and port: the only place where calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and, unless it is the scheme's own, port.
    pub authority: Authority,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}
