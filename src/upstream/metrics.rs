use std::{sync::Arc, time::Duration};

use http::Response;
use prometheus::{
    Histogram, IntCounter, IntGauge, Registry, register_histogram_vec_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
    register_int_gauge_with_registry,
};

use super::Error;
use crate::{body::Body, labels::labels, route::Route};

/// What the calls to the upstream are counted by: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) in_flight: IntGauge,
    pub(super) limit: IntGauge,
    pub(super) slow_clients: IntGauge,
    pub(super) retries: IntCounter,
    pub(super) breaker_state: IntGauge,
    by_route: Arc<ByRoute>,
}

/// Resolved once.
#[derive(Debug)]
struct ByRoute {
    requests: [[IntCounter; Outcome::ALL.len()]; Route::ALL.len()],
    seconds: [Histogram; Route::ALL.len()],
}

labels! {
    /// How an attempt ended; the label of `vingate_upstream_requests_total`.
    enum Outcome {
        Informational = "1xx",
        Success = "2xx",
        Redirection = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
        Timeout = "timeout",
        Connect = "connect",
        Exchange = "exchange",
    }
}

/// Sync answers from what it has scraped, in tens of milliseconds; a batch of 500 takes longer,
/// and an attempt is given 20 s.
const SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

impl Metrics {
    /// Registers the upstream's metrics.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge =
            |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let in_flight = gauge(
            "vingate_upstream_in_flight",
            "Calls to the upstream whose response has not ended",
        )?;
        let limit =
            gauge("vingate_upstream_limit", "Calls to the upstream that may be made at once now")?;
        let slow_clients = gauge(
            "vingate_upstream_slow_clients",
            "Calls to the upstream that wait for their client, and count as none",
        )?;
        let breaker_state = gauge(
            "vingate_upstream_breaker_state",
            "Whether calls are made: 0 closed, 1 open, 2 half-open",
        )?;
        let retries = register_int_counter_with_registry!(
            "vingate_upstream_retries_total",
            "Calls made again because they failed",
            registry
        )?;
        let requests = register_int_counter_vec_with_registry!(
            "vingate_upstream_requests_total",
            "Attempts at calls to the upstream",
            &["route", "outcome"],
            registry
        )?;
        let seconds = register_histogram_vec_with_registry!(
            "vingate_upstream_request_seconds",
            "From the start of an attempt to the head of its response",
            &["route"],
            SECONDS.to_vec(),
            registry
        )?;
        let by_route = ByRoute {
            requests: Route::ALL.map(|route| {
                Outcome::ALL
                    .map(|outcome| requests.with_label_values(&[route.as_str(), outcome.as_str()]))
            }),
            seconds: Route::ALL.map(|route| seconds.with_label_values(&[route.as_str()])),
        };
        Ok(Self {
            in_flight,
            limit,
            slow_clients,
            retries,
            breaker_state,
            by_route: Arc::new(by_route),
        })
    }

    pub(super) fn observe(
        &self,
        route: Route,
        response: &Result<Box<Response<Body>>, Error>,
        took: Duration,
    ) {
        self.by_route.requests[route][Outcome::of(response)].inc();
        self.by_route.seconds[route].observe(took.as_secs_f64());
    }
}

impl Outcome {
    fn of(response: &Result<Box<Response<Body>>, Error>) -> Self {
        match response {
            Ok(response) => match response.status().as_u16() {
                ..200 => Self::Informational,
                200..300 => Self::Success,
                300..400 => Self::Redirection,
                400..500 => Self::ClientError,
                500.. => Self::ServerError,
            },
            Err(Error::Timeout) => Self::Timeout,
            Err(Error::Connect(_)) => Self::Connect,
            // A call that is refused here is no attempt, and nobody counts it.
            Err(_) => Self::Exchange,
        }
    }
}
