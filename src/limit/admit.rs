//! How many requests may be in flight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::{Layer, Service};

use super::{Error, Metrics, guarded::ResponseFuture, metrics::Reason};
use crate::{body::Body, rule::Refused};

/// Admits so many requests at once and refuses the rest immediately: a queue would only make
/// everybody late. A request is in flight until the body of its response has ended, so that a slow
/// reader counts.
#[derive(Clone, Debug)]
pub struct AdmitLayer {
    max: usize,
    taken: Arc<AtomicUsize>,
    metrics: Metrics,
}

/// The right to be in flight, given back when it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<AtomicUsize>);

/// A service behind [`AdmitLayer`].
#[derive(Clone, Debug)]
pub struct Admit<S> {
    inner: S,
    layer: AdmitLayer,
}

// === impl AdmitLayer ===

impl AdmitLayer {
    /// A layer that admits `max_in_flight` requests.
    pub fn new(max_in_flight: usize, metrics: Metrics) -> Self {
        Self { max: max_in_flight, taken: Arc::default(), metrics }
    }

    /// The same with another limit: what either has admitted counts against both.
    pub fn limited_to(&self, max_in_flight: usize) -> Self {
        Self { max: max_in_flight, ..self.clone() }
    }

    fn try_acquire(&self) -> Option<Permit> {
        let more = |taken| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Permit(Arc::clone(&self.taken)))
    }
}

impl<S> Layer<S> for AdmitLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { inner, layer: self.clone() }
    }
}

// === impl Admit ===

impl<S, E> Service<Request<Body>> for Admit<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Refused<E>>,
    E: From<Error>,
{
    type Response = Response<Body>;
    type Error = Refused<E>;
    type Future = ResponseFuture<S::Future, Permit>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.layer.try_acquire() {
            Some(permit) => ResponseFuture::admitted(self.inner.call(request), Some(permit)),
            None => {
                self.layer.metrics.refused(Reason::InFlight);
                ResponseFuture::refused(Error::Full, request.into_body())
            }
        }
    }
}

// === impl Permit ===

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use prometheus::Registry;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// Two requests at once; each is answered with a body.
    fn admit()
    -> impl Service<Request<Body>, Response = Response<Body>, Error = Refused<Error>, Future: Send>
    + Clone {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        AdmitLayer::new(2, metrics)
            .layer(service_fn(async |_| Ok(Response::new(Body::full("answer")))))
    }

    #[tokio::test]
    async fn admits_so_many_until_their_responses_have_ended() {
        let admit = admit();
        let send = async || {
            admit
                .clone()
                .oneshot(Request::new(Body::full("unread")))
                .await
        };
        let first = send().await.unwrap();
        let second = send().await.unwrap();
        let refused = send().await.unwrap_err();
        assert_eq!(refused.error, Error::Full);
        assert_eq!(refused.unread.collect().await.unwrap().to_bytes(), "unread");

        first.into_body().collect().await.unwrap();
        let third = send().await.unwrap();
        assert!(send().await.is_err());
        drop(second);
        drop(third);
        assert!(send().await.is_ok());
    }

    #[tokio::test]
    async fn another_limit_counts_what_is_in_flight_already() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let layer = AdmitLayer::new(1, metrics);
        let answering = |layer: AdmitLayer| {
            let response = service_fn(async |_: Request<Body>| {
                Ok::<_, Refused<Error>>(Response::new(Body::full("answer")))
            });
            layer.layer(response).oneshot(Request::default())
        };
        let first = answering(layer.clone()).await.unwrap();
        let second = answering(layer.limited_to(2)).await.unwrap();
        assert!(answering(layer.limited_to(2)).await.is_err());
        drop(first);
        assert!(answering(layer.clone()).await.is_err(), "one is in flight yet");
        drop(second);
        assert!(answering(layer).await.is_ok());
    }

    #[tokio::test]
    async fn gives_a_permit_back_when_the_request_fails_or_is_given_up() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let layer = AdmitLayer::new(1, metrics);
        let failing = layer.layer(service_fn(async |_: Request<Body>| {
            Err::<Response<Body>, Refused<Error>>(Refused::bare(Error::Deadline))
        }));
        for _ in 0..3 {
            let failed = failing.clone().oneshot(Request::default()).await;
            assert_eq!(failed.unwrap_err().error, Error::Deadline);
        }
        let silent = layer.layer(service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Refused<Error>>>()
        }));
        for _ in 0..3 {
            let mut given_up = Box::pin(silent.clone().oneshot(Request::default()));
            assert!(futures_util::poll!(given_up.as_mut()).is_pending());
        }
    }
}
