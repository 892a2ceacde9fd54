//! Calls made again when they fail, if that can hurt nobody.
//!
//! Only reads whose body is at hand are: nothing is done twice, and nothing is waited for. Only
//! failures that may be gone a moment later: no connection, no answer, a 5xx that says so much,
//! and a 429. And only if the upstream wants to be called at all.

mod budget;

use std::{
    cmp,
    hash::{BuildHasher as _, RandomState},
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, Either};
use http::{Request, Response, StatusCode};
use prometheus::IntCounter;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt as _};

use self::budget::Budget;
use super::{Config, Error, Metrics, gate::Gate, retry_after};
use crate::{
    body::Body,
    route::{Access, Route},
};

#[derive(Clone, Debug)]
pub(super) struct RetryLayer(Arc<Shared>);

#[derive(Clone, Debug)]
pub(super) struct Retry<S> {
    inner: S,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max_attempts: u32,
    budget: Budget,
    /// No call is made again so long after it was made first: its caller is gone.
    within: Duration,
    gate: Gate,
    retries: IntCounter,
}

type Answer = Result<Response<Body>, Error>;

/// The wait before the second try, at most; it doubles from try to try.
const FIRST_WAIT: Duration = Duration::from_millis(100);

const MAX_WAIT: Duration = Duration::from_secs(2);

/// The wait after a 429 that says no time, at least: it is about calls a second, or a minute.
const BUSY_WAIT: Duration = Duration::from_secs(1);

// === impl RetryLayer ===

impl RetryLayer {
    pub(super) fn new(config: &Config, gate: Gate, metrics: &Metrics) -> Self {
        Self(Arc::new(Shared {
            max_attempts: config.retry.max_attempts,
            budget: Budget::new(config.retry.budget, Instant::now()),
            within: config.request_timeout,
            gate,
            retries: metrics.retries.clone(),
        }))
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { inner, shared: Arc::clone(&self.0) }
    }
}

// === impl Retry ===

impl<S> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Either<S::Future, BoxFuture<'static, Answer>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let again = match self.shared.max_attempts > 1 && is_read(&request) {
            true => duplicate(&request),
            false => None,
        };
        let Some(again) = again else {
            return Either::Left(self.inner.call(request));
        };
        self.shared.budget.earn();
        let first = self.inner.call(request);
        // The clone is not ready, but nor does it have to be yet.
        let inner = self.inner.clone();
        Either::Right(Box::pin(attempts(first, again, inner, Arc::clone(&self.shared))))
    }
}

/// Waits for the `first` try, and makes it `again` as long as that makes sense.
async fn attempts<S>(
    first: S::Future,
    mut again: Request<Body>,
    mut inner: S,
    shared: Arc<Shared>,
) -> Answer
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error>,
{
    let began_at = Instant::now();
    let mut answer = first.await;
    for tries in 1..shared.max_attempts {
        let Some(next) = duplicate(&again) else { break };
        let Some(wait) = shared.wait(&answer, tries, &again, began_at.elapsed()) else {
            break;
        };
        // With it goes the place that it holds.
        drop(answer);
        sleep(wait).await;
        shared.retries.inc();
        answer = inner
            .ready()
            .await?
            .call(mem::replace(&mut again, next))
            .await;
    }
    answer
}

fn is_read(request: &Request<Body>) -> bool {
    let route = request.extensions().get().copied().unwrap_or(Route::Other);
    route.access(request.method()) == Access::Read
}

/// The same request once more, if its body is at hand.
fn duplicate(request: &Request<Body>) -> Option<Request<Body>> {
    let mut again = Request::new(request.body().duplicate()?);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    *again.extensions_mut() = request.extensions().clone();
    Some(again)
}

// === impl Shared ===

impl Shared {
    /// How long to wait before the call is made `again`, after so many `tries`; `None`: it is
    /// not.
    fn wait(
        &self,
        answer: &Answer,
        tries: u32,
        again: &Request<Body>,
        elapsed: Duration,
    ) -> Option<Duration> {
        let wait = at_least(answer)?.max(backoff(tries, RandomState::new().hash_one(())));
        let is_in_time = elapsed + wait < self.within;
        let may = is_in_time
            && self.gate.check(again.extensions()).is_ok()
            && self.budget.spend(Instant::now());
        may.then_some(wait)
    }
}

/// The shortest wait after such a failure; `None`: it is none, or will be the same again.
fn at_least(answer: &Answer) -> Option<Duration> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return error.is_retryable().then_some(Duration::ZERO),
    };
    let wait = match answer.status() {
        StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Duration::ZERO,
        StatusCode::TOO_MANY_REQUESTS => BUSY_WAIT,
        _ => return None,
    };
    retry_after::of(answer, SystemTime::now())
        .is_none()
        .then_some(wait)
}

/// Between half of the wait after so many tries and all of it, so that those who failed together
/// do not come back together.
fn backoff(tries: u32, random: u64) -> Duration {
    let doubled = 2_u32.saturating_pow(tries - 1);
    let wait = cmp::min(FIRST_WAIT.saturating_mul(doubled), MAX_WAIT);
    wait.mul_f64(0.5 + 0.5 * (random as f64 / u64::MAX as f64))
}

#[cfg(test)]
mod tests;
