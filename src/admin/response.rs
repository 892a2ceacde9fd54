//! Responses of the admin listener, and what it refuses.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, WWW_AUTHENTICATE,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use crate::{
    body::Body,
    problem::{self, Code},
};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// The request is malformed; the text says how.
    BadRequest(String),
    /// There is no token, or a wrong one.
    Unauthorized,
    /// There is nothing at this path.
    NotFound,
    /// Only these methods are allowed at this path.
    MethodNotAllowed(&'static str),
    /// The body took too long.
    RequestTimeout,
    /// The body is too large.
    PayloadTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The host is not a name of this listener.
    MisdirectedRequest,
    /// A fault of the gateway's own.
    Internal,
}

// === impl Error ===

impl Error {
    /// The problem's code and detail.
    fn parts(&self) -> (Code, &str) {
        match self {
            Self::BadRequest(detail) => (Code::BadRequest, detail),
            Self::Unauthorized => (Code::Unauthorized, "the admin token is needed"),
            Self::NotFound => (Code::NotFound, "there is nothing at this path"),
            Self::MethodNotAllowed(_) => {
                (Code::MethodNotAllowed, "this path does not allow the method")
            }
            Self::RequestTimeout => (Code::RequestTimeout, "the body took too long"),
            Self::PayloadTooLarge => (Code::PayloadTooLarge, "the body is too large"),
            Self::UnsupportedMediaType => {
                (Code::UnsupportedMediaType, "the body must be application/json")
            }
            Self::MisdirectedRequest => (
                Code::MisdirectedRequest,
                "use an address, localhost or a name of admin.hosts as the host",
            ),
            Self::Internal => (Code::Internal, "the gateway failed, its log says why"),
        }
    }
}

impl From<Error> for Response<Body> {
    fn from(error: Error) -> Self {
        let (code, detail) = error.parts();
        let mut response = protected(problem::response(code, detail, None, &[]));
        let (name, value) = match error {
            Error::MethodNotAllowed(methods) => (ALLOW, methods),
            Error::Unauthorized => (WWW_AUTHENTICATE, "Bearer"),
            _ => return response,
        };
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        response
    }
}

/// A response with this body.
pub(super) fn response(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    protected(response)
}

/// A response that no browser keeps, guesses the type of, frames, or runs anything in.
fn protected(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
