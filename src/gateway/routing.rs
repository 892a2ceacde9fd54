//! Which endpoint a request is for, decided once.

use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request};
use tower::{Layer, Service};

use crate::{body::Body, route::Route};

/// Puts the [`Route`] into the extensions of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RouteLayer;

/// A service behind [`RouteLayer`].
#[derive(Clone, Debug)]
pub(super) struct Routed<S>(S);

/// Says that a `POST` is a `GET`, for clients that cannot send a body with one.
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

impl<S> Layer<S> for RouteLayer {
    type Service = Routed<S>;

    fn layer(&self, inner: S) -> Routed<S> {
        Routed(inner)
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Routed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        let overridden = is_overridden(request.headers()) == Some(true);
        let route = Route::of(request.method(), request.uri().path(), overridden);
        request.extensions_mut().insert(route);
        self.0.call(request)
    }
}

/// Whether the method is overridden with `GET`; `None` if it is not overridden.
pub(super) fn is_overridden(headers: &HeaderMap) -> Option<bool> {
    let mut said = headers.get_all(METHOD_OVERRIDE).iter().peekable();
    said.peek()?;
    Some(said.all(|method| method.as_bytes().trim_ascii().eq_ignore_ascii_case(b"GET")))
}
