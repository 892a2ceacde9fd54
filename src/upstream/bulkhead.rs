//! How many calls run at once; what comes on top waits in order.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::{BoxFuture, Either};
use http::{Request, Response};
use pin_project_lite::pin_project;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::{Error, Metrics};
use crate::body::Body;

#[derive(Clone, Debug)]
pub(super) struct BulkheadLayer {
    places: Arc<Semaphore>,
    in_flight: IntGauge,
}

#[derive(Clone, Debug)]
pub(super) struct Bulkhead<S> {
    inner: S,
    places: Arc<Semaphore>,
    in_flight: IntGauge,
}

type Answer = Result<Response<Body>, Error>;

pin_project! {
    /// The answer of [`Bulkhead`], whose body keeps the place.
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
    }
}

/// A call under way: given back when the body of its answer has ended.
struct Place {
    in_flight: IntGauge,
    _permit: OwnedSemaphorePermit,
}

// === impl BulkheadLayer ===

impl BulkheadLayer {
    pub(super) fn new(max_in_flight: usize, metrics: &Metrics) -> Self {
        let places = max_in_flight.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), in_flight: metrics.in_flight.clone() }
    }
}

impl<S> Layer<S> for BulkheadLayer {
    type Service = Bulkhead<S>;

    fn layer(&self, inner: S) -> Bulkhead<S> {
        let Self { places, in_flight } = self.clone();
        Bulkhead { inner, places, in_flight }
    }
}

// === impl Bulkhead ===

impl<S> Service<Request<Body>> for Bulkhead<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Either<ResponseFuture<S::Future>, BoxFuture<'static, Answer>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            let place = Place::new(permit, &self.in_flight);
            return Either::Left(ResponseFuture {
                inner: self.inner.call(request),
                place: Some(place),
            });
        }
        // The clone is not ready, the service in hand is.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (places, in_flight) = (Arc::clone(&self.places), self.in_flight.clone());
        Either::Right(Box::pin(async move {
            let permit = places
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let place = Some(Place::new(permit, &in_flight));
            ResponseFuture { inner: inner.call(request), place }.await
        }))
    }
}

// === impl ResponseFuture ===

impl<F: Future<Output = Answer>> Future for ResponseFuture<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx))?;
        let place = this.place.take();
        Poll::Ready(Ok(answer.map(|body| body.hold(place))))
    }
}

// === impl Place ===

impl Place {
    fn new(permit: OwnedSemaphorePermit, in_flight: &IntGauge) -> Self {
        in_flight.inc();
        Self { in_flight: in_flight.clone(), _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use prometheus::Registry;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holds_a_place_until_the_answers_body_has_ended() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let answer = |_| async { Ok(Response::new(Body::full("x"))) };
        let bulkhead = BulkheadLayer::new(1, &metrics).layer(tower::service_fn(answer));
        let call = || bulkhead.clone().oneshot(Request::new(Body::empty()));

        let first = call().await.unwrap();
        assert_eq!(metrics.in_flight.get(), 1);
        let second = tokio::spawn(call());
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert!(!second.is_finished());

        first.into_body().collect().await.unwrap();
        let second = second.await.unwrap().unwrap();
        assert_eq!(metrics.in_flight.get(), 1);
        drop(second);
        assert_eq!(metrics.in_flight.get(), 0);
    }
}
