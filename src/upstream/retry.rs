//! Calls made again when they fail, if that can hurt nobody.
//!
//! Only reads whose body is buffered are: nothing is done twice, and nothing is waited for. Only
//! after failures that may be gone a moment later: no connection, no response, a 5xx that says so
//! much, and a 429. And only while Sync wants to be called at all.

mod budget;

use std::{
    cmp,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use prometheus::IntCounter;
use tokio::time::{Instant, sleep};

use self::budget::Budget;
use super::{Call, Config, Error, Metrics, Permit, Reservation, Upstream, retry_after};
use crate::{
    body::Body,
    route::{Access, Route},
};

/// When calls are made again.
#[derive(Debug)]
pub(super) struct Retry {
    max_attempts: u32,
    budget: Budget,
    /// No call is made again so long after it was made first: its client is gone.
    within: Duration,
    retries: IntCounter,
}

/// What is kept of a request, to send it again.
struct Template {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
}

type Attempted = Result<Response<Body>, Error>;

/// The wait before the second attempt, at most; it doubles from attempt to attempt.
const FIRST_WAIT: Duration = Duration::from_millis(100);

const MAX_WAIT: Duration = Duration::from_secs(2);

/// The wait after a 429 that says no time, at least: it is about calls a second, or a minute.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Makes a call, and makes it again for as long as that makes sense. Each further attempt waits
/// for a permit like a first one, and holds none while it waits.
pub(super) async fn send(permit: Permit, call: Call) -> Attempted {
    let Call { route, request } = call;
    let upstream = permit.upstream().clone();
    let retry = upstream.retry();
    let template = match retry.max_attempts > 1 && is_read(route, request.method()) {
        true => Template::of(&request),
        false => None,
    };
    let Some(template) = template else {
        return permit.attempt(route, request).await;
    };
    retry.budget.earn();
    let (reservation, began_at) = (permit.reservation(), Instant::now());
    let mut response = permit.attempt(route, request).await;
    for attempts in 1..retry.max_attempts {
        let elapsed = began_at.elapsed();
        let Some(wait) = retry.wait(&upstream, reservation, &response, attempts, elapsed) else {
            break;
        };
        let Some(request) = template.request() else { break };
        // With it goes its permit.
        drop(response);
        sleep(wait).await;
        retry.retries.inc();
        response = match upstream.reserve(reservation).await {
            Ok(permit) => permit.attempt(route, request).await,
            Err(error) => Err(error),
        };
    }
    response
}

fn is_read(route: Route, method: &Method) -> bool {
    route.access(method) == Access::Read
}

// === impl Template ===

impl Template {
    /// `None`: the body is not buffered.
    fn of(request: &Request<Body>) -> Option<Self> {
        Some(Self {
            body: request.body().try_clone()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    /// The same request once more.
    fn request(&self) -> Option<Request<Body>> {
        let mut request = Request::new(self.body.try_clone()?);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        Some(request)
    }
}

// === impl Retry ===

impl Retry {
    pub(super) fn new(config: &Config, metrics: &Metrics) -> Self {
        Self {
            max_attempts: config.retry.max_attempts,
            budget: Budget::new(config.retry.budget, Instant::now()),
            within: config.request_timeout,
            retries: metrics.retries.clone(),
        }
    }

    /// How long to wait before the next attempt, after so many; `None`: there is none.
    fn wait(
        &self,
        upstream: &Upstream,
        reservation: Reservation,
        response: &Attempted,
        attempts: u32,
        elapsed: Duration,
    ) -> Option<Duration> {
        let wait = at_least(response)?.max(backoff(attempts, RandomState::new().hash_one(())));
        let may = elapsed + wait < self.within
            && upstream.check(reservation.account).is_ok()
            && self.budget.spend(Instant::now());
        may.then_some(wait)
    }
}

/// The shortest wait after such a failure; `None`: it is none, or will be the same again.
fn at_least(response: &Attempted) -> Option<Duration> {
    let response = match response {
        Ok(response) => response,
        Err(error) => return error.is_retryable().then_some(Duration::ZERO),
    };
    let wait = match response.status() {
        StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Duration::ZERO,
        StatusCode::TOO_MANY_REQUESTS => BUSY_WAIT,
        _ => return None,
    };
    retry_after::of(response, SystemTime::now())
        .is_none()
        .then_some(wait)
}

/// Between half of the wait after so many attempts and all of it, so that those who failed together
/// do not come back together.
fn backoff(attempts: u32, random: u64) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts - 1);
    let wait = cmp::min(FIRST_WAIT.saturating_mul(doubled), MAX_WAIT);
    wait.mul_f64(0.5 + 0.5 * (random as f64 / u64::MAX as f64))
}

#[cfg(test)]
mod tests;
