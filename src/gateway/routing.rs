//! Which endpoint a request is for, decided once.

use http::{HeaderMap, HeaderName, Method, Request};

use crate::{body::Body, route::Route};

/// Says that a `POST` is a `GET`, for clients that cannot send a body with one.
pub(super) const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// The [`Route`] of `request`.
pub(super) fn route_of(request: &Request<Body>) -> Route {
    let overridden =
        *request.method() == Method::POST && is_overridden(request.headers()) == Some(true);
    Route::of(request.method(), request.uri().path(), overridden)
}

/// Whether the method is overridden with `GET`; `None` if it is not overridden.
pub(super) fn is_overridden(headers: &HeaderMap) -> Option<bool> {
    let mut said = headers.get_all(METHOD_OVERRIDE).iter().peekable();
    said.peek()?;
    Some(said.all(|method| method.as_bytes().trim_ascii().eq_ignore_ascii_case(b"GET")))
}
