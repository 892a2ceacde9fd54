//! Calls made again when they fail, if that can hurt nobody.
//!
//! Only reads whose body is at hand are: nothing is done twice, and nothing is waited for. Only
//! failures that may be gone a moment later: no connection, no answer, a 5xx that says so much,
//! and a 429. And only if the upstream wants to be called at all.

mod budget;

use std::{
    cmp,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, Either};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use prometheus::IntCounter;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt as _};

use self::budget::Budget;
use super::{Account, Config, Error, Metrics, call::Marks, gate::Gate, retry_after};
use crate::{
    body::Body,
    route::{Access, Route},
};

#[derive(Clone, Debug)]
pub(super) struct RetryLayer(Arc<Shared>);

#[derive(Clone, Debug)]
pub(super) struct Retry<S> {
    inner: S,
    /// For further tries, which are rare: cloned only then.
    spare: Arc<S>,
    shared: Arc<Shared>,
}

/// A call that is made, to be made again.
struct Again {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    marks: Marks,
    body: Body,
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

impl<S: Clone> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { spare: Arc::new(inner.clone()), inner, shared: Arc::clone(&self.0) }
    }
}

// === impl Retry ===

impl<S> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error> + Clone,
    S: Send + Sync + 'static,
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
            true => Again::of(&request),
            false => None,
        };
        let Some(again) = again else {
            return Either::Left(self.inner.call(request));
        };
        self.shared.budget.earn();
        let first = self.inner.call(request);
        let (spare, shared) = (Arc::clone(&self.spare), Arc::clone(&self.shared));
        Either::Right(Box::pin(attempts(first, again, spare, shared)))
    }
}

/// Waits for the `first` try, and makes it `again` as long as that makes sense.
async fn attempts<S>(first: S::Future, again: Again, spare: Arc<S>, shared: Arc<Shared>) -> Answer
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error> + Clone,
{
    let began_at = Instant::now();
    let mut response = first.await;
    for tries in 1..shared.max_attempts {
        let account = again.marks.account;
        let Some(wait) = shared.wait(&response, tries, account, began_at.elapsed()) else {
            break;
        };
        let Some(request) = again.request() else { break };
        // With it goes the place that it holds.
        drop(response);
        sleep(wait).await;
        shared.retries.inc();
        response = S::clone(&spare).oneshot(request).await;
    }
    response
}

fn is_read(request: &Request<Body>) -> bool {
    let route = request.extensions().get().copied().unwrap_or(Route::Other);
    route.access(request.method()) == Access::Read
}

// === impl Again ===

impl Again {
    /// `None`: its body is not at hand.
    fn of(request: &Request<Body>) -> Option<Self> {
        Some(Self {
            body: request.body().try_clone()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            marks: Marks::of(request.extensions()),
        })
    }

    /// The same request once more.
    fn request(&self) -> Option<Request<Body>> {
        let mut request = Request::new(self.body.try_clone()?);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        self.marks.clone().put(request.extensions_mut());
        Some(request)
    }
}

// === impl Shared ===

impl Shared {
    /// How long to wait before the call is made again, after so many `tries`; `None`: it is not.
    fn wait(
        &self,
        response: &Answer,
        tries: u32,
        account: Option<Account>,
        elapsed: Duration,
    ) -> Option<Duration> {
        let wait = at_least(response)?.max(backoff(tries, RandomState::new().hash_one(())));
        let is_in_time = elapsed + wait < self.within;
        let may =
            is_in_time && self.gate.check(account).is_ok() && self.budget.spend(Instant::now());
        may.then_some(wait)
    }
}

/// The shortest wait after such a failure; `None`: it is none, or will be the same again.
fn at_least(response: &Answer) -> Option<Duration> {
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

/// Between half of the wait after so many tries and all of it, so that those who failed together
/// do not come back together.
fn backoff(tries: u32, random: u64) -> Duration {
    let doubled = 2_u32.saturating_pow(tries - 1);
    let wait = cmp::min(FIRST_WAIT.saturating_mul(doubled), MAX_WAIT);
    wait.mul_f64(0.5 + 0.5 * (random as f64 / u64::MAX as f64))
}

#[cfg(test)]
mod tests;
