//! How many requests in flight may be one client's: a quarter, so that no client takes all of
//! them.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use foldhash::HashMap;
use http::{Request, Response};
use parking_lot::Mutex;
use tower::{Layer, Service};

use super::{Client, Error, Metrics, guarded::ResponseFuture, metrics::Reason};
use crate::{body::Body, rule::Refused};

/// Refuses the requests of a client above its share. The [`Client`] is an extension of the request.
#[derive(Clone, Debug)]
pub struct ShareLayer {
    max: usize,
    shares: Arc<Shares>,
    metrics: Metrics,
}

/// A service behind [`ShareLayer`].
#[derive(Clone, Debug)]
pub struct Share<S> {
    inner: S,
    layer: ShareLayer,
}

#[derive(Debug, Default)]
struct Shares {
    /// Only clients with a request in flight, so never more than there are requests.
    taken: Mutex<HashMap<Client, usize>>,
}

/// A part of a client's share, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    shares: Arc<Shares>,
    client: Client,
}

// === impl ShareLayer ===

impl ShareLayer {
    /// A layer that lets each client have a quarter of `max_in_flight` requests, at least one.
    pub fn new(max_in_flight: usize, metrics: Metrics) -> Self {
        Self { max: share_of(max_in_flight), shares: Arc::default(), metrics }
    }

    /// The same with another limit: what either has admitted counts against both.
    pub fn limited_to(&self, max_in_flight: usize) -> Self {
        Self { max: share_of(max_in_flight), ..self.clone() }
    }
}

impl<S> Layer<S> for ShareLayer {
    type Service = Share<S>;

    fn layer(&self, inner: S) -> Share<S> {
        Share { inner, layer: self.clone() }
    }
}

// === impl Share ===

impl<S, E> Service<Request<Body>> for Share<S>
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
        let permit = match request.extensions().get::<Client>() {
            Some(client) => {
                match Shares::try_acquire(&self.layer.shares, *client, self.layer.max) {
                    Some(permit) => Some(permit),
                    None => {
                        self.layer.metrics.refused(Reason::ClientInFlight);
                        return ResponseFuture::refused(Error::ClientFull, request.into_body());
                    }
                }
            }
            None => None,
        };
        ResponseFuture::admitted(self.inner.call(request), permit)
    }
}

fn share_of(max_in_flight: usize) -> usize {
    (max_in_flight / 4).max(1)
}

// === impl Shares ===

impl Shares {
    fn try_acquire(this: &Arc<Self>, client: Client, max: usize) -> Option<Permit> {
        let mut taken = this.taken.lock();
        let count = taken.entry(client).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Permit { shares: Arc::clone(this), client })
    }
}

// === impl Permit ===

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock();
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn one_client_has_a_quarter_and_the_others_have_theirs() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let layer = ShareLayer::new(8, metrics);
        let share = layer.layer(service_fn(async |_: Request<Body>| {
            Ok::<_, Refused<Error>>(Response::new(Body::full("answer")))
        }));
        let send = async |client: u128| {
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(Client::named(client));
            share.clone().oneshot(request).await
        };
        let held = [send(1).await.unwrap(), send(1).await.unwrap()];
        assert_eq!(send(1).await.unwrap_err().error, Error::ClientFull);
        assert!(send(2).await.is_ok());
        let [first, second] = held;
        drop(first);
        let third = send(1).await.unwrap();
        assert!(send(1).await.is_err());
        drop((second, third));
        assert!(layer.shares.taken.lock().is_empty(), "a client without requests takes no memory");
    }

    #[tokio::test]
    async fn a_request_without_a_client_is_not_counted() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let share = ShareLayer::new(1, metrics).layer(service_fn(async |_: Request<Body>| {
            Ok::<_, Refused<Error>>(Response::new(Body::full("answer")))
        }));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(share.clone().oneshot(Request::default()).await.unwrap());
        }
    }
}
