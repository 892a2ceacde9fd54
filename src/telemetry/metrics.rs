//! The metrics of requests.

use std::{
    array,
    sync::{Arc, OnceLock},
};

use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry,
    register_histogram_vec_with_registry, register_int_counter_vec_with_registry,
    register_int_gauge_with_registry,
};

use super::request_labels::{MethodLabel, StatusLabel};
use crate::{problem::Code, route::Route};

/// Seconds. Responses from the cache take well under a millisecond, calls to Sync up to a minute.
const BUCKETS: [f64; 17] = [
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0,
];

/// The metrics of requests: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Handles>);

type ByStatus = Box<[OnceLock<IntCounter>]>;

/// Handles are resolved when they are first used, so that only series that are in use appear.
#[derive(Debug)]
struct Handles {
    in_flight: IntGauge,
    requests: IntCounterVec,
    problems: IntCounterVec,
    seconds: HistogramVec,
    requests_by: [[OnceLock<ByStatus>; MethodLabel::COUNT]; Route::ALL.len()],
    problems_by: [OnceLock<IntCounter>; Code::ALL.len()],
    seconds_by: [OnceLock<Histogram>; Route::ALL.len()],
}

impl Metrics {
    /// Metrics that `registry` knows. Fails if it knows some of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let in_flight = register_int_gauge_with_registry!(
            "vingate_http_in_flight",
            "Requests whose response has not been taken to its last byte",
            registry
        )?;
        let requests = register_int_counter_vec_with_registry!(
            "vingate_http_requests_total",
            "Requests by route, method and status; other: not registered, or no response was sent",
            &["route", "method", "status"],
            registry
        )?;
        let problems = register_int_counter_vec_with_registry!(
            "vingate_http_problems_total",
            "Responses that are a problem of the gateway's own, by code",
            &["code"],
            registry
        )?;
        let seconds = register_histogram_vec_with_registry!(
            "vingate_http_request_seconds",
            "Time from the head of a request to the last byte of its response",
            &["route"],
            BUCKETS.to_vec(),
            registry
        )?;
        Ok(Self(Arc::new(Handles {
            in_flight,
            requests,
            problems,
            seconds,
            requests_by: array::from_fn(|_| array::from_fn(|_| OnceLock::new())),
            problems_by: array::from_fn(|_| OnceLock::new()),
            seconds_by: array::from_fn(|_| OnceLock::new()),
        })))
    }

    pub(super) fn begin(&self) {
        self.0.in_flight.inc();
    }

    pub(super) fn end(&self, route: Route, seconds: f64) {
        self.0.in_flight.dec();
        self.0.seconds_by[route]
            .get_or_init(|| self.0.seconds.with_label_values(&[route.as_str()]))
            .observe(seconds);
    }

    pub(super) fn problem(&self, code: Code) {
        self.0.problems_by[code.index()]
            .get_or_init(|| self.0.problems.with_label_values(&[code.as_str()]))
            .inc();
    }

    pub(super) fn requests(
        &self,
        route: Route,
        method: MethodLabel,
        status: StatusLabel,
    ) -> &IntCounter {
        let by_status = self.0.requests_by[route][method.index()]
            .get_or_init(|| (0..StatusLabel::COUNT).map(|_| OnceLock::new()).collect());
        by_status[status.index()].get_or_init(|| {
            let labels = [route.as_str(), method.as_str(), status.as_str()];
            self.0.requests.with_label_values(&labels)
        })
    }
}
