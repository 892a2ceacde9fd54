//! Calls to Sync: connections, time limits, how many at once, and when none.
//!
//! The stack is shared by everything that goes up, batch calls and forwarded requests alike:
//! retry → gate → bulkhead → pause → breaker → attempt → client.

mod attempt;
mod breaker;
mod bulkhead;
mod call;
mod client;
mod error;
mod gate;
mod metrics;
mod pause;
mod retry;
mod retry_after;
mod stall;

use std::{fmt, time::Duration};

use http::{
    Request, Response,
    uri::{Authority, Scheme},
};
use rustls::pki_types::CertificateDer;
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use self::{
    attempt::AttemptLayer,
    breaker::{Breaker, BreakerLayer},
    bulkhead::BulkheadLayer,
    client::Client,
    gate::{Gate, GateLayer},
    pause::{PauseLayer, Pauses},
    retry::RetryLayer,
};
use crate::body::Body;

pub use self::{
    call::{Account, Paced, Turn},
    client::TlsError,
    error::Error,
    metrics::Metrics,
};

/// The finished upstream stack.
///
/// Takes a request whose URI is in origin form and whose fields are final but for `Host`, which
/// is set here; [`Account`], [`Paced`] and [`Turn`] are extensions of it. Gives the answer's head as soon as it came; its body streams.
pub type Upstream = BoxCloneSyncService<Request<Body>, Response<Body>, Error>;

/// What the `[upstream]` table says of connections and calls.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Sync is.
    pub origin: Origin,
    /// Certificates to trust; `None`: the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// From the last byte of a call sent to the head of its answer.
    pub attempt_timeout: Duration,
    /// How long the upstream may take no byte of what is sent to it.
    pub stream_idle_timeout: Duration,
    /// From the head of a client's request to the head of its answer.
    pub request_timeout: Duration,
    /// How long an idle connection is kept.
    pub pool_idle_timeout: Duration,
    /// Calls at once.
    pub max_in_flight: usize,
    /// Second tries.
    pub retry: RetryConfig,
    /// When to stop calling for a while.
    pub breaker: BreakerConfig,
}

/// How often a call that fails is made again.
#[derive(Clone, Copy, Debug)]
pub struct RetryConfig {
    /// Tries in all, at least one.
    pub max_attempts: u32,
    /// Retries for each first try; 10 a second are always allowed.
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

/// Builds the upstream stack.
pub fn stack(config: &Config, metrics: &Metrics) -> Result<Upstream, TlsError> {
    let (pauses, breaker) = (Pauses::new(), Breaker::new(config.breaker, metrics));
    let gate = Gate { pauses: pauses.clone(), breaker: breaker.clone() };
    let stack = ServiceBuilder::new()
        // Each further try takes its turn like a first one, and holds nothing while it waits.
        .layer(RetryLayer::new(config, gate.clone(), metrics))
        // What would be refused in the end need not wait for it.
        .layer(GateLayer::new(gate))
        // Sync is to see this many calls at once and no more; some more wait their turn here, as
        // long as one try may take: then those ahead have had theirs.
        .layer(BulkheadLayer::new(config.max_in_flight, config.attempt_timeout, metrics))
        // Who has waited may have to wait longer: asked when the call goes, not when it came.
        .layer(PauseLayer::new(pauses))
        // The last to ask, so that whoever may probe does. Below, each try that failed counts.
        .layer(BreakerLayer::new(breaker))
        // One try, timed and counted.
        .layer(AttemptLayer::new(config.attempt_timeout, metrics))
        .service(Client::new(config)?);
    Ok(BoxCloneSyncService::new(stack))
}

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}
