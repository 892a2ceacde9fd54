//! From hyper's requests to ours.

use std::{
    cell::RefCell,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use futures_util::future::Either;
use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONNECTION};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower::{Service, ServiceExt as _, util::Oneshot};

use super::{
    body::{AnswerBody, InFlight},
    watch::Watch,
};
use crate::{body::Body, peer::Peer};

/// The service of one connection.
pub(super) struct ConnectionService<S> {
    /// hyper calls by shared reference, and never twice at once.
    inner: RefCell<S>,
    peer: Peer,
    watch: Arc<Watch>,
}

pin_project! {
    /// The answer of a [`ConnectionService`].
    pub(super) struct AnswerFuture<S: Service<Request<Body>>> {
        #[pin]
        inner: Either<S::Future, Oneshot<S, Request<Body>>>,
        http2: bool,
        in_flight: Option<InFlight>,
    }
}

// === impl ConnectionService ===

impl<S> ConnectionService<S> {
    pub(super) fn new(inner: S, peer: Peer, watch: Arc<Watch>) -> Self {
        Self { inner: RefCell::new(inner), peer, watch }
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = AnswerFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = Some(InFlight::begin(&self.watch));
        let http2 = request.version() == Version::HTTP_2;
        let mut request = request.map(Body::incoming);
        request.extensions_mut().insert(self.peer);

        // A clone costs a request more than everything else here: as a rule the service is ready,
        // and this one is called again and again.
        let mut service = self.inner.borrow_mut();
        let inner = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Either::Left(service.call(request)),
            Poll::Pending => Either::Right(service.clone().oneshot(request)),
        };
        AnswerFuture { inner, http2, in_flight }
    }
}

// === impl AnswerFuture ===

impl<S> Future for AnswerFuture<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        let in_flight = this
            .in_flight
            .take()
            .expect("a future is not polled after its end");
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if in_flight.is_last() && !*this.http2 && !switching {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(|body| AnswerBody::new(body, *this.http2, in_flight))))
    }
}
