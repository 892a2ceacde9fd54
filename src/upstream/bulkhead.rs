//! How many calls run at once; what comes on top waits in order, but not without end.
//!
//! A place is taken from before the first byte is sent until the last of the answer was taken.
//! Calls that go at their caller's pace have only a part of the places, so that a few callers who
//! take their time do not keep everybody else from being served.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::{BoxFuture, Either};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use pin_project_lite::pin_project;
use prometheus::IntGauge;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tower::{Layer, Service};

use super::{
    Error, Metrics,
    call::{Paced, Turn},
};
use crate::body::Body;

#[derive(Clone, Debug)]
pub(super) struct BulkheadLayer(Arc<Shared>);

#[derive(Clone, Debug)]
pub(super) struct Bulkhead<S> {
    inner: S,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// For every call.
    all: Lane,
    /// For paced calls, which need a place of both.
    paced: Lane,
    /// How long a call waits.
    patience: Duration,
    in_flight: IntGauge,
}

/// Some places, and a queue before them.
#[derive(Debug)]
struct Lane {
    places: Arc<Semaphore>,
    queue: Semaphore,
}

type Answer = Result<Response<Body>, Error>;

pin_project! {
    /// The answer of [`Bulkhead`], whose body keeps the place.
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
        // Of a call that may become a tunnel.
        paced: Option<OwnedSemaphorePermit>,
    }
}

/// What a call needs to go on its way.
struct Places {
    all: Place,
    paced: Option<OwnedSemaphorePermit>,
}

/// A call under way: given back when the body of its answer has ended.
struct Place {
    in_flight: IntGauge,
    _permit: OwnedSemaphorePermit,
}

/// Calls that wait for each place. With calls of a second, that is as many as get their turn
/// while they have patience; more would only be told later, and their bodies take memory.
const QUEUE: usize = 16;

/// The part of the places that paced calls may have: one in so many.
const PACED: usize = 2;

const MAX_PLACES: usize = Semaphore::MAX_PERMITS / QUEUE;

// === impl BulkheadLayer ===

impl BulkheadLayer {
    /// Lets `max_in_flight` calls run at once; each further one waits for `patience`.
    pub(super) fn new(max_in_flight: usize, patience: Duration, metrics: &Metrics) -> Self {
        Self(Arc::new(Shared {
            all: Lane::new(max_in_flight),
            paced: Lane::new((max_in_flight / PACED).max(1)),
            patience,
            in_flight: metrics.in_flight.clone(),
        }))
    }
}

impl<S> Layer<S> for BulkheadLayer {
    type Service = Bulkhead<S>;

    fn layer(&self, inner: S) -> Bulkhead<S> {
        Bulkhead { inner, shared: Arc::clone(&self.0) }
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
        let is_paced = request.extensions().get::<Paced>().is_some();
        if let Ok(places) = self.shared.try_enter(is_paced) {
            return Either::Left(ResponseFuture::begin(&mut self.inner, request, places));
        }
        // The clone is not ready, the service in hand is.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);
        Either::Right(Box::pin(async move {
            let turn = request.extensions().get::<Turn>().cloned();
            let turn = turn.unwrap_or_default();
            turn.set_awaited(true);
            let places = shared.enter(is_paced).await?;
            turn.set_awaited(false);
            ResponseFuture::begin(&mut inner, request, places).await
        }))
    }
}

// === impl Shared ===

impl Shared {
    /// A place at once, if there is one.
    fn try_enter(&self, is_paced: bool) -> Result<Places, Error> {
        let paced = match is_paced {
            true => Some(self.paced.try_enter()?),
            false => None,
        };
        Ok(self.places(self.all.try_enter()?, paced))
    }

    /// A place, waited for in order.
    async fn enter(&self, is_paced: bool) -> Result<Places, Error> {
        let entering = async {
            // The rarer one first: nobody keeps a place of all while it waits for the other.
            let paced = match is_paced {
                true => Some(self.paced.enter().await?),
                false => None,
            };
            Ok(self.places(self.all.enter().await?, paced))
        };
        timeout(self.patience, entering)
            .await
            .unwrap_or(Err(Error::Full))
    }

    fn places(&self, permit: OwnedSemaphorePermit, paced: Option<OwnedSemaphorePermit>) -> Places {
        self.in_flight.inc();
        Places { all: Place { in_flight: self.in_flight.clone(), _permit: permit }, paced }
    }
}

// === impl Lane ===

impl Lane {
    fn new(places: usize) -> Self {
        let places = places.min(MAX_PLACES);
        Self { places: Arc::new(Semaphore::new(places)), queue: Semaphore::new(places * QUEUE) }
    }

    /// Does not overtake those who wait: what is given back is theirs at once.
    fn try_enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        let places = Arc::clone(&self.places);
        places.try_acquire_owned().map_err(|_| Error::Full)
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(place) = self.try_enter() {
            return Ok(place);
        }
        let _waiting = self.queue.try_acquire().map_err(|_| Error::Full)?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        Ok(place.expect("the semaphore is never closed"))
    }
}

// === impl ResponseFuture ===

impl<F> ResponseFuture<F> {
    fn begin<S>(inner: &mut S, mut request: Request<Body>, places: Places) -> Self
    where
        S: Service<Request<Body>, Future = F>,
    {
        let Places { all, mut paced } = places;
        if !request.body().is_end_stream() {
            // Once the caller has sent all, it sets the pace no more.
            let paced = paced.take();
            request = request.map(|body| body.hold(paced));
        }
        Self { inner: inner.call(request), place: Some(all), paced }
    }
}

impl<F: Future<Output = Answer>> Future for ResponseFuture<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let paced = this.paced.take().filter(|_| is_tunnel);
        let place = this.place.take();
        Poll::Ready(Ok(response.map(|body| body.hold((place, paced)))))
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

#[cfg(test)]
mod tests;
