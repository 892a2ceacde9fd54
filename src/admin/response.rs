//! Responses of the admin listener, and what it refuses.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, WWW_AUTHENTICATE,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use serde_json::json;

use crate::body::Body;

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
    /// The status and the problem's detail.
    fn parts(&self) -> (StatusCode, &str) {
        match self {
            Self::BadRequest(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "the admin token is needed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is nothing at this path"),
            Self::MethodNotAllowed(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, "this path does not allow the method")
            }
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
            }
            Self::MisdirectedRequest => (
                StatusCode::MISDIRECTED_REQUEST,
                "use an address, localhost or a name of admin.hosts as the host",
            ),
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed, its log says why")
            }
        }
    }
}

impl From<Error> for Response<Body> {
    fn from(error: Error) -> Self {
        let (status, detail) = error.parts();
        let title = status.canonical_reason().unwrap_or_default();
        let code = title.trim_end_matches(" Server Error").replace(' ', "");
        let problem = json!({
            "type": format!("urn:vingate:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        });
        let mut response = response(status, "application/problem+json", problem.to_string());
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

/// A response that no browser keeps, guesses the type of, frames, or runs anything in.
pub(super) fn response(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
