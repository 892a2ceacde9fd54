//! How many requests may be in flight at all.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::{Error, Metrics, metrics::Reason};
use crate::{body::Body, rule::Refused};

/// Lets in as many requests as there may be at once and refuses the rest at once: a queue would
/// only make everybody late. A request is in flight until the body of its answer has ended, so
/// that a slow reader counts.
#[derive(Clone, Debug)]
pub struct AdmitLayer {
    places: Arc<Semaphore>,
    metrics: Metrics,
}

/// A service behind [`AdmitLayer`].
#[derive(Clone, Debug)]
pub struct Admit<S> {
    inner: S,
    layer: AdmitLayer,
}

pin_project! {
    /// The answer of [`Admit`], or its refusal.
    #[project = Projected]
    pub enum ResponseFuture<F> {
        /// Let in.
        Admitted { #[pin] inner: F, permit: Option<OwnedSemaphorePermit> },
        /// Not let in.
        Refused { unread: Option<Body> },
    }
}

// === impl AdmitLayer ===

impl AdmitLayer {
    /// A layer that lets `max_in_flight` requests in.
    pub fn new(max_in_flight: usize, metrics: Metrics) -> Self {
        let places = max_in_flight.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), metrics }
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
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match Arc::clone(&self.layer.places).try_acquire_owned() {
            Ok(permit) => {
                let inner = self.inner.call(request);
                ResponseFuture::Admitted { inner, permit: Some(permit) }
            }
            Err(_) => {
                self.layer.metrics.refused(Reason::InFlight);
                ResponseFuture::Refused { unread: Some(request.into_body()) }
            }
        }
    }
}

// === impl ResponseFuture ===

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, Refused<E>>>,
    E: From<Error>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Admitted { inner, permit } => {
                let answer = ready!(inner.poll(cx))?;
                let permit = permit.take();
                Poll::Ready(Ok(answer.map(|body| body.hold(permit))))
            }
            Projected::Refused { unread } => {
                let unread = unread.take().unwrap_or_default();
                Poll::Ready(Err(Refused { error: Error::Full.into(), unread }))
            }
        }
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
    async fn lets_in_as_many_as_there_may_be_until_their_answers_have_ended() {
        let admit = admit();
        let ask = async || {
            admit
                .clone()
                .oneshot(Request::new(Body::full("unread")))
                .await
        };
        let first = ask().await.unwrap();
        let second = ask().await.unwrap();
        let refused = ask().await.unwrap_err();
        assert_eq!(refused.error, Error::Full);
        assert_eq!(refused.unread.collect().await.unwrap().to_bytes(), "unread");

        first.into_body().collect().await.unwrap();
        let third = ask().await.unwrap();
        assert!(ask().await.is_err());
        drop(second);
        drop(third);
        assert!(ask().await.is_ok());
    }

    #[tokio::test]
    async fn gives_a_place_back_when_the_request_fails_or_is_given_up() {
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
