//! Refused tokens count against the address that they come from: a client without a valid token
//! has no other name.

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
pub(super) struct CountUnauthorizedLayer(RateLimit);

/// A service behind [`CountUnauthorizedLayer`].
#[derive(Clone, Debug)]
pub(super) struct CountUnauthorized<S> {
    inner: S,
    rate: RateLimit,
}

pin_project! {
    /// The response of [`CountUnauthorized`].
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        rate: RateLimit,
        peer: Option<Peer>,
    }
}

// === impl CountUnauthorizedLayer ===

impl CountUnauthorizedLayer {
    pub(super) fn new(rate: RateLimit) -> Self {
        Self(rate)
    }
}

impl<S> Layer<S> for CountUnauthorizedLayer {
    type Service = CountUnauthorized<S>;

    fn layer(&self, inner: S) -> CountUnauthorized<S> {
        CountUnauthorized { inner, rate: self.0.clone() }
    }
}

// === impl CountUnauthorized ===

impl<S> Service<Request<Body>> for CountUnauthorized<S>
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
        let response = ready!(this.inner.poll(cx));
        Poll::Ready(response.map_err(|refused| match (&refused.error, *this.peer) {
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use prometheus::Registry;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::{
        auth,
        limit::{self, Rate},
    };

    /// What a service that fails with `error` ends with when it is asked `times` times.
    async fn last(error: fn() -> Error, times: usize) -> Error {
        let one = NonZeroU32::MIN;
        let rate = Rate { requests_per_second: one, burst: NonZeroU32::new(2).unwrap() };
        let metrics = limit::Metrics::register(&Registry::new()).unwrap();
        let layer = CountUnauthorizedLayer::new(RateLimit::new(Some(rate), metrics));
        let refusing = layer.layer(service_fn(move |_: Request<Body>| async move {
            Err::<(), _>(Refused::<Error>::bare(error()))
        }));
        let mut last = None;
        for _ in 0..times {
            let mut request = Request::new(Body::empty());
            let address = "192.0.2.1:1".parse().unwrap();
            request.extensions_mut().insert(Peer::new(address, false));
            last = refusing.clone().oneshot(request).await.err();
        }
        last.unwrap().error
    }

    #[tokio::test]
    async fn refused_tokens_use_up_the_rate_of_their_address_and_nothing_else_does() {
        let missing: fn() -> Error = || auth::Error::Missing.into();
        let forged: fn() -> Error = || auth::Error::Token(auth::TokenError::Signature).into();
        let forbidden: fn() -> Error = || auth::Error::NoAccount.into();
        for (error, times, is_limited) in [
            (missing, 2, false),
            (missing, 3, true),
            (forged, 3, true),
            (forbidden, 9, false),
            ((|| limit::Error::Deadline.into()) as fn() -> Error, 9, false),
        ] {
            let last = last(error, times).await;
            let found = matches!(last, Error::Limit(limit::Error::Rate { .. }));
            assert_eq!(found, is_limited, "{last:?} after {times}");
        }
    }
}
