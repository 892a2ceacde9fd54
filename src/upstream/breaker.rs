//! Calls not made while most of them fail: whoever waits for a call that will fail waits in vain,
//! and an upstream that is down comes up again sooner without them.

mod state;
mod window;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::{self, Either};
use http::{Request, Response};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use prometheus::IntGauge;
use tokio::time::Instant;
use tower::{Layer, Service};

use self::state::{End, Era, State};
use super::{BreakerConfig, Error, Metrics};
use crate::body::Body;

/// Whether calls are made: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    gauge: IntGauge,
}

#[derive(Clone, Debug)]
pub(super) struct BreakerLayer(Breaker);

#[derive(Clone, Debug)]
pub(super) struct Broken<S> {
    inner: S,
    breaker: Breaker,
}

type Answer = Result<Response<Body>, Error>;

pin_project! {
    /// The answer of [`Broken`].
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        let_through: LetThrough,
    }
}

/// A call whose end is to be told. Dropped without a word, it was given up.
struct LetThrough {
    breaker: Breaker,
    era: Option<Era>,
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn new(config: BreakerConfig, metrics: &Metrics) -> Self {
        let state = Mutex::new(State::new(config, Instant::now()));
        Self(Arc::new(Shared { state, gauge: metrics.breaker_state.clone() }))
    }

    /// Nothing, or why no call would be let through.
    pub(super) fn check(&self, now: Instant) -> Result<(), Error> {
        let checked = self.0.state.lock().check(now);
        checked.map_err(|rest| Error::Open { rest })
    }

    fn enter(&self, now: Instant) -> Result<LetThrough, Error> {
        let entered = self.change(|state| state.enter(now));
        let era = entered.map_err(|rest| Error::Open { rest })?;
        Ok(LetThrough { breaker: self.clone(), era: Some(era) })
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let state = &mut *self.0.state.lock();
        let before = state.name();
        let changed = change(state);
        if state.name() != before {
            // Under the lock, so that the last one to set it is right.
            self.0.gauge.set(state.name() as i64);
        }
        changed
    }
}

// === impl LetThrough ===

impl LetThrough {
    fn leave(&mut self, end: End) {
        if let Some(era) = self.era.take() {
            let now = Instant::now();
            self.breaker.change(|state| state.leave(era, end, now));
        }
    }
}

impl Drop for LetThrough {
    fn drop(&mut self) {
        self.leave(End::GivenUp);
    }
}

// === impl BreakerLayer ===

impl BreakerLayer {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self(breaker)
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Broken<S>;

    fn layer(&self, inner: S) -> Broken<S> {
        Broken { inner, breaker: self.0.clone() }
    }
}

// === impl Broken ===

impl<S> Service<Request<Body>> for Broken<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Either<ResponseFuture<S::Future>, future::Ready<Answer>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.breaker.enter(Instant::now()) {
            Ok(let_through) => {
                Either::Left(ResponseFuture { inner: self.inner.call(request), let_through })
            }
            Err(open) => Either::Right(future::ready(Err(open))),
        }
    }
}

// === impl ResponseFuture ===

impl<F: Future<Output = Answer>> Future for ResponseFuture<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx));
        this.let_through.leave(match &response {
            Ok(response) if response.status().is_server_error() => End::Failure,
            Ok(_) => End::Success,
            Err(error) if error.trips_breaker() => End::Failure,
            Err(_) => End::GivenUp,
        });
        Poll::Ready(response)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use http::Uri;
    use prometheus::Registry;
    use tokio::time::advance;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(10);

    /// A breaker that opens after two failures, before a service that does what the path says.
    fn broken() -> (
        impl Service<Request<Body>, Response = Response<Body>, Error = Error, Future: Send> + Clone,
        Metrics,
    ) {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let config = BreakerConfig {
            failure_ratio: 0.5,
            min_requests: 2,
            open_for: OPEN_FOR,
            probe_for: 2 * OPEN_FOR,
        };
        let layer = BreakerLayer::new(Breaker::new(config, &metrics));
        let service = service_fn(async |request: Request<Body>| match request.uri().path() {
            "/timeout" => Err(Error::Timeout),
            "/hang" => std::future::pending().await,
            "/full" => Err(Error::Full),
            path => {
                let status = path[1..].parse::<u16>().unwrap();
                Ok(Response::builder()
                    .status(status)
                    .body(Body::empty())
                    .unwrap())
            }
        });
        (layer.layer(service), metrics)
    }

    fn to(path: &'static str) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static(path);
        request
    }

    #[tokio::test(start_paused = true)]
    async fn opens_on_failures_of_the_upstream_and_of_nobody_else() {
        for (path, opens) in [
            ("/timeout", true),
            ("/500", true),
            ("/503", true),
            ("/200", false),
            ("/404", false),
            ("/429", false),
            ("/full", false),
            ("/hang", false),
        ] {
            let (broken, metrics) = broken();
            for _ in 0..2 {
                // What hangs is given up.
                let _ = broken.clone().oneshot(to(path)).now_or_never();
            }
            assert_eq!(metrics.breaker_state.get(), i64::from(opens), "{path}");
            let response = broken.oneshot(to("/200")).await;
            assert_eq!(matches!(response, Err(Error::Open { rest: OPEN_FOR })), opens, "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_closes_it() {
        let (broken, metrics) = broken();
        let call = |path| broken.clone().oneshot(to(path));
        for _ in 0..2 {
            call("/500").await.unwrap();
        }
        advance(OPEN_FOR).await;
        let mut probe = Box::pin(call("/hang"));
        assert!(probe.as_mut().now_or_never().is_none());
        assert_eq!(metrics.breaker_state.get(), 2);
        assert!(matches!(call("/200").await, Err(Error::Open { .. })));
        // Its caller hangs up: that says nothing of the upstream.
        drop(probe);
        assert_eq!(metrics.breaker_state.get(), 2);
        call("/502").await.unwrap();
        assert_eq!(metrics.breaker_state.get(), 1);
        assert!(call("/200").await.is_err());
        advance(OPEN_FOR).await;
        assert!(call("/200").await.is_ok());
        assert_eq!(metrics.breaker_state.get(), 0);
        assert!(call("/200").await.is_ok());
    }
}
