//! The name of a request: in its answer, in its log line, and upstream.
//!
//! The client's name is kept if it is sane, so that one name leads through several systems.
//! Whatever it is, it cannot forge a field or a log line: names that are not sane are replaced.

use std::{
    hash::{BuildHasher as _, RandomState},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// The field that carries the name, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// A request's `X-Request-Id`: the client's if it is sane, else made here. An extension of every
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// Names every request and returns the name with the answer.
#[derive(Clone, Debug)]
pub struct RequestIdLayer {
    names: Arc<Names>,
}

/// A service behind [`RequestIdLayer`].
#[derive(Clone, Debug)]
pub struct RequestIdService<S> {
    names: Arc<Names>,
    inner: S,
}

/// Names that no other process makes, one after the other: they need not be secret, only
/// distinct.
#[derive(Debug)]
struct Names {
    process: u64,
    next: AtomicU64,
}

pin_project! {
    /// The answer of a [`RequestIdService`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        id: Option<RequestId>,
    }
}

// === impl RequestId ===

impl RequestId {
    /// The one sane name among `headers`: 1 to 128 of `A-Za-z0-9._-`, in one field.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        let bytes = value.as_bytes();
        let sane = (1..=MAX_LENGTH).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        sane.then(|| Self(value.clone()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        // ASCII is checked when the value is made, so this never falls back.
        self.0.to_str().unwrap_or_default()
    }

    /// The value of the field.
    pub fn as_header_value(&self) -> &HeaderValue {
        &self.0
    }
}

// === impl Names ===

impl Names {
    fn new() -> Self {
        // The keys of a `RandomState` are random, and so is the hash of nothing under them.
        Self { process: RandomState::new().hash_one(()), next: AtomicU64::new(0) }
    }

    /// 32 hexadecimal digits: the process, then a counter.
    fn make(&self) -> RequestId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let counted = self.next.fetch_add(1, Ordering::Relaxed);
        let number = u128::from(self.process) << 64 | u128::from(counted);
        let mut name = [0; 32];
        for (place, byte) in name.chunks_exact_mut(2).zip(number.to_be_bytes()) {
            place[0] = DIGITS[usize::from(byte >> 4)];
            place[1] = DIGITS[usize::from(byte & 0xf)];
        }
        RequestId(HeaderValue::from_bytes(&name).expect("hexadecimal digits make a field value"))
    }
}

// === impl RequestIdLayer ===

impl RequestIdLayer {
    /// A layer with names of its own.
    pub fn new() -> Self {
        Self { names: Arc::new(Names::new()) }
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
        RequestIdService { names: Arc::clone(&self.names), inner }
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
            let id = self.names.make();
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

    /// What is below the layer sees (field, extension), what is above it sees the answer's field.
    async fn pass(layer: &RequestIdLayer, sent: &[&str]) -> (String, String) {
        let inner = service_fn(|request: Request<()>| async move {
            let id = request.extensions().get::<RequestId>().unwrap();
            let mut fields = request.headers().get_all(X_REQUEST_ID).iter();
            assert_eq!(fields.next(), Some(id.as_header_value()));
            assert_eq!(fields.next(), None);
            // Of the upstream, which has names of its own.
            let response = Response::builder().header(X_REQUEST_ID, "theirs");
            Ok::<_, Infallible>(response.body(id.as_str().to_owned()).unwrap())
        });
        let mut request = Request::new(());
        for value in sent {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append(X_REQUEST_ID, value);
        }
        let response = layer.layer(inner).oneshot(request).await.unwrap();
        let mut fields = response.headers().get_all(X_REQUEST_ID).iter();
        let returned = fields.next().unwrap().to_str().unwrap().to_owned();
        assert_eq!(fields.next(), None);
        (response.into_body(), returned)
    }

    #[tokio::test]
    async fn keeps_a_sane_name() {
        let longest = "a".repeat(128);
        for name in ["x", "Trace-1.2_3", longest.as_str()] {
            let (seen, returned) = pass(&RequestIdLayer::new(), &[name]).await;
            assert_eq!((seen.as_str(), returned.as_str()), (name, name));
        }
    }

    #[tokio::test]
    async fn replaces_every_other_name() {
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
    async fn makes_every_name_once() {
        let (one, other) = (RequestIdLayer::new(), RequestIdLayer::new());
        let mut names = std::collections::HashSet::new();
        for layer in [&one, &other] {
            for _ in 0..100 {
                assert!(names.insert(pass(layer, &[]).await.0));
            }
        }
    }
}
