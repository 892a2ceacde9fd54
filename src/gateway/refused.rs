//! Refused tokens count against the address that they come from: whoever has no valid token has
//! no other name.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::error::Error;
use crate::{
    body::Body,
    limit::{Client, RateLimit},
    peer::Peer,
    rule::Refused,
};

/// Counts refused tokens against the rate of their address.
#[derive(Clone, Debug)]
pub(super) struct CountRefusedLayer(RateLimit);

/// A service behind [`CountRefusedLayer`].
#[derive(Clone, Debug)]
pub(super) struct CountRefused<S> {
    inner: S,
    rate: RateLimit,
}

pin_project! {
    /// The answer of [`CountRefused`].
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        rate: RateLimit,
        peer: Option<Peer>,
    }
}

// === impl CountRefusedLayer ===

impl CountRefusedLayer {
    pub(super) fn new(rate: RateLimit) -> Self {
        Self(rate)
    }
}

impl<S> Layer<S> for CountRefusedLayer {
    type Service = CountRefused<S>;

    fn layer(&self, inner: S) -> CountRefused<S> {
        CountRefused { inner, rate: self.0.clone() }
    }
}

// === impl CountRefused ===

impl<S> Service<Request<Body>> for CountRefused<S>
where
    S: Service<Request<Body>, Error = Refused<Error>>,
{
    type Response = S::Response;
    type Error = Refused<Error>;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get().copied();
        ResponseFuture { rate: self.rate.clone(), peer, inner: self.inner.call(request) }
    }
}

// === impl ResponseFuture ===

impl<F, T> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, Refused<Error>>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        Poll::Ready(answer.map_err(|refused| match (&refused.error, *this.peer) {
            (Error::Auth(error), Some(peer)) if error.is_unauthenticated() => {
                match this.rate.count(Client::at(&peer)) {
                    Ok(()) => refused,
                    Err(error) => Refused { error: error.into(), ..refused },
                }
            }
            _ => refused,
        }))
    }
}
