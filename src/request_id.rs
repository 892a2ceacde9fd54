//! The ID of a request: in its response, in its log lines and upstream.
//!
//! The client's ID is kept if it is valid, so that one ID leads through several systems. An invalid
//! one is replaced: no ID can forge a header or a log line.

use std::{
    hash::{BuildHasher as _, RandomState},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::{headers::X_REQUEST_ID, hex::hex};

const MAX_LENGTH: usize = 128;

/// The value of `X-Request-Id`: the client's if it is valid, else made here. An extension of every
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// Gives every request an ID and returns it with the response.
#[derive(Clone, Debug)]
pub struct RequestIdLayer {
    ids: Arc<Ids>,
}

/// A service behind [`RequestIdLayer`].
#[derive(Clone, Debug)]
pub struct RequestIdService<S> {
    ids: Arc<Ids>,
    inner: S,
}

/// IDs that no other process makes, one after the other: they need not be secret, only distinct.
#[derive(Debug)]
struct Ids {
    process: u64,
    next: AtomicU64,
}

pin_project! {
    /// The response of a [`RequestIdService`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        id: Option<RequestId>,
    }
}

// === impl RequestId ===

impl RequestId {
    /// The one valid ID among `headers`: 1 to 128 of `A-Za-z0-9._-`, in one field.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        let bytes = value.as_bytes();
        let is_valid = (1..=MAX_LENGTH).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        is_valid.then(|| Self(value.clone()))
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        // ASCII is checked when the value is made, so this never falls back.
        self.0.to_str().unwrap_or_default()
    }

    /// The ID as a header value.
    pub fn as_header_value(&self) -> &HeaderValue {
        &self.0
    }
}

// === impl Ids ===

impl Ids {
    fn new() -> Self {
        // The keys of a `RandomState` are random, and so is the hash of nothing under them.
        Self { process: RandomState::new().hash_one(()), next: AtomicU64::new(0) }
    }

    /// 32 hexadecimal digits: the process, then a counter.
    fn make(&self) -> RequestId {
        let counted = self.next.fetch_add(1, Ordering::Relaxed);
        let number = u128::from(self.process) << 64 | u128::from(counted);
        let id = HeaderValue::try_from(hex(&number.to_be_bytes()));
        RequestId(id.expect("hexadecimal digits make a field value"))
    }
}

// === impl RequestIdLayer ===

impl RequestIdLayer {
    /// A layer with IDs of its own.
    pub fn new() -> Self {
        Self { ids: Arc::new(Ids::new()) }
    }
}

impl Default for RequestIdLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIdService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestIdService { ids: Arc::clone(&self.ids), inner }
    }
}

// === impl RequestIdService ===

impl<S, B, C> Service<Request<B>> for RequestIdService<S>
where
    S: Service<Request<B>, Response = Response<C>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = RequestId::of(request.headers()).unwrap_or_else(|| {
            let id = self.ids.make();
            request.headers_mut().insert(X_REQUEST_ID, id.0.clone());
            id
        });
        request.extensions_mut().insert(id.clone());
        ResponseFuture { inner: self.inner.call(request), id: Some(id) }
    }
}

// === impl ResponseFuture ===

impl<F, C, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<C>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(RequestId(id)) = this.id.take() {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// The ID below the layer, in header and extension, and the ID in the response.
    async fn pass(layer: &RequestIdLayer, sent: &[&str]) -> (String, String) {
        let inner = service_fn(|request: Request<()>| async move {
            let id = request.extensions().get::<RequestId>().unwrap();
            let mut values = request.headers().get_all(X_REQUEST_ID).iter();
            assert_eq!(values.next(), Some(id.as_header_value()));
            assert_eq!(values.next(), None);
            // The upstream has IDs of its own.
            let response = Response::builder().header(X_REQUEST_ID, "theirs");
            Ok::<_, Infallible>(response.body(id.as_str().to_owned()).unwrap())
        });
        let mut request = Request::new(());
        for value in sent {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append(X_REQUEST_ID, value);
        }
        let response = layer.layer(inner).oneshot(request).await.unwrap();
        let mut values = response.headers().get_all(X_REQUEST_ID).iter();
        let returned = values.next().unwrap().to_str().unwrap().to_owned();
        assert_eq!(values.next(), None);
        (response.into_body(), returned)
    }

    #[tokio::test]
    async fn keeps_a_valid_id() {
        let longest = "a".repeat(128);
        for id in ["x", "Trace-1.2_3", longest.as_str()] {
            let (seen, returned) = pass(&RequestIdLayer::new(), &[id]).await;
            assert_eq!((seen.as_str(), returned.as_str()), (id, id));
        }
    }

    #[tokio::test]
    async fn replaces_every_other_id() {
        let too_long = "a".repeat(129);
        let cases: [&[&str]; 7] =
            [&[], &[""], &["a b"], &["a,b"], &["ñ"], &[&too_long], &["a", "b"]];
        for sent in cases {
            let (seen, returned) = pass(&RequestIdLayer::new(), sent).await;
            assert_eq!(seen, returned);
            assert_eq!(seen.len(), 32, "{sent:?}");
            assert!(seen.bytes().all(|byte| byte.is_ascii_hexdigit()), "{seen}");
        }
    }

    #[tokio::test]
    async fn makes_every_id_once() {
        let (one, other) = (RequestIdLayer::new(), RequestIdLayer::new());
        let mut ids = std::collections::HashSet::new();
        for layer in [&one, &other] {
            for _ in 0..100 {
                assert!(ids.insert(pass(layer, &[]).await.0));
            }
        }
    }
}
