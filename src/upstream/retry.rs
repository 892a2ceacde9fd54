//! Calls made again when they fail, if that can hurt nobody.
//!
//! Only reads whose body is buffered are: nothing is done twice, and nothing is waited for. Only
//! after failures that may be gone a moment later: no connection, no response, a 5xx that says so
//! much, and a 429. And only while Sync wants to be called at all.

mod budget;

use std::time::{Duration, SystemTime};

use http::{Request, Response, StatusCode};
use prometheus::IntCounter;
use tokio::time::Instant;

use self::budget::Budget;
use super::{Call, Config, Error, Metrics, retry_after};
use crate::{
    backoff::{backoff, draw},
    body::Body,
    route::Access,
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

/// The further attempts that one call may take.
pub(super) struct Retries<'a> {
    retry: &'a Retry,
    /// To be sent again.
    request: Box<Request<Body>>,
    /// Whether it is made in parts when it takes too long, and not as it is.
    is_divisible: bool,
    began_at: Instant,
    attempts: u32,
}

type Attempted = Result<Box<Response<Body>>, Error>;

/// The wait before the second attempt, at most; it doubles from attempt to attempt.
const FIRST_WAIT: Duration = Duration::from_millis(100);

const MAX_WAIT: Duration = Duration::from_secs(2);

/// The wait after a 429 that says no time, at least: it is about calls a second, or a minute.
const BUSY_WAIT: Duration = Duration::from_secs(1);

impl Retry {
    pub(super) fn new(config: &Config, metrics: &Metrics) -> Self {
        Self {
            max_attempts: config.retry.max_attempts,
            budget: Budget::new(config.retry.budget, Instant::now()),
            within: config.request_timeout,
            retries: metrics.retries.clone(),
        }
    }

    /// The further attempts of a call that is made now; `None`: it is made once.
    pub(super) fn of(&self, call: &Call, began_at: Instant) -> Option<Retries<'_>> {
        let Call { route, request, .. } = call;
        if self.max_attempts == 1 || route.access(request.method()) != Access::Read {
            return None;
        }
        let request = copy(request)?;
        self.budget.earn();
        let is_divisible = call.is_divisible();
        Some(Retries { retry: self, request, is_divisible, began_at, attempts: 1 })
    }

    /// Counts a call that is made again.
    pub(super) fn count(&self) {
        self.retries.inc();
    }
}

impl Retries<'_> {
    /// How long to wait for the next attempt after such a response, and its request; `None`: there
    /// is none. `may_call`: whether Sync wants to be called.
    pub(super) fn next(
        &mut self,
        response: &Attempted,
        may_call: impl FnOnce() -> bool,
    ) -> Option<(Duration, Box<Request<Body>>)> {
        let at_least = at_least(response)?;
        let is_late = self.is_divisible && is_late(response);
        if is_late || self.attempts == self.retry.max_attempts {
            return None;
        }
        let wait = at_least.max(backoff(self.attempts, FIRST_WAIT, MAX_WAIT, draw()));
        let may = self.began_at.elapsed() + wait < self.retry.within
            && may_call()
            && self.retry.budget.spend(Instant::now());
        self.attempts += 1;
        may.then(|| Some((wait, copy(&self.request)?)))?
    }
}

/// The same request once more, but for its extensions; `None`: the body is not buffered.
fn copy(request: &Request<Body>) -> Option<Box<Request<Body>>> {
    let mut copy = Request::new(request.body().try_clone()?);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(Box::new(copy))
}

/// Whether the upstream did not respond in time.
fn is_late(response: &Attempted) -> bool {
    match response {
        Ok(response) => response.status() == StatusCode::GATEWAY_TIMEOUT,
        Err(error) => matches!(error, Error::Timeout),
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
    retry_after::of(response, SystemTime::now)
        .is_none()
        .then_some(wait)
}

#[cfg(test)]
mod tests;
