//! Calls to Sync: connections, time limits, how many at once, and when none.
//!
//! Whoever wants to make a call asks first ([`Upstream::reserve`]): Sync's own `Retry-After`, the
//! circuit breaker, the number of calls at once and a client's share of them are asked at one
//! moment, in [`admission`]. What comes is a [`Permit`], and only a permit sends a [`Call`]. So what
//! waits for permission is not composed yet, and can be composed of whatever waits by then.
//!
//! `send` makes [attempts](attempt) over pooled [connections](client), and makes a call that
//! failed [again](retry) where that can hurt nobody. A permit ends with the body of the response.

mod admission;
mod attempt;
mod breaker;
mod call;
mod client;
mod error;
mod metrics;
mod permit;
mod retry;
mod retry_after;
mod stall;
mod transfer_coding;

use std::{fmt, sync::Arc, time::Duration};

use http::uri::{Authority, Scheme};
use rustls::pki_types::CertificateDer;

use self::{admission::Admission, attempt::Attempts, client::Client, retry::Retry};

pub use self::{
    call::{Account, Call, ClientId, Kind, Reservation},
    client::TlsError,
    error::Error,
    metrics::Metrics,
    permit::Permit,
};

/// Calls to Sync, for everything that goes up, batch calls and forwarded requests alike: a handle,
/// cheap to clone.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    admission: Admission,
    retry: Retry,
    attempts: Attempts,
}

/// What the `[upstream]` table says of connections and calls.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Sync is.
    pub origin: Origin,
    /// Certificates to trust; `None`: the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// From the last byte of a call sent to the head of its response.
    pub attempt_timeout: Duration,
    /// How long the upstream may take no byte of what is sent to it.
    pub stream_idle_timeout: Duration,
    /// From the head of a client's request to the head of its response.
    pub request_timeout: Duration,
    /// How long an idle connection is kept.
    pub pool_idle_timeout: Duration,
    /// Calls at once.
    pub max_in_flight: usize,
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

// === impl Upstream ===

impl Upstream {
    /// Sets up connections; none is made yet.
    pub fn new(config: &Config, metrics: &Metrics) -> Result<Self, TlsError> {
        Ok(Self::over(Client::new(config)?, config, metrics))
    }

    fn over(client: Client, config: &Config, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner {
            admission: Admission::new(config, metrics),
            retry: Retry::new(config, metrics),
            attempts: Attempts::new(client, config.attempt_timeout, metrics),
        }))
    }

    /// Waits for the right to make a call, as long as one attempt may take: then the calls ahead
    /// have had their time. Fails at once if no call may be made at all. Dropped, it waits no more.
    pub async fn reserve(&self, reservation: Reservation) -> Result<Permit, Error> {
        let admitted = self.0.admission.enter(reservation).await?;
        Ok(Permit::new(self.clone(), reservation, admitted))
    }

    /// Nothing, or why a call for this account would be refused now.
    fn check(&self, account: Option<Account>) -> Result<(), Error> {
        self.0.admission.check(account)
    }

    fn retry(&self) -> &Retry {
        &self.0.retry
    }

    fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }
}

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
pub(crate) mod tests;
