//! Answers of the admin listener.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, WWW_AUTHENTICATE,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use serde_json::json;

use super::guard::HostError;
use crate::body::Body;

/// What the admin listener refuses, in words for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What was sent does not make sense.
    BadRequest(String),
    /// No token, or another one.
    Unauthorized,
    /// There is nothing of that name.
    NotFound,
    /// Only these methods make sense here.
    MethodNotAllowed(&'static str),
    /// The body did not come in time.
    RequestTimeout,
    /// The body is too large.
    PayloadTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The request is for somebody else.
    MisdirectedRequest,
    /// Something failed that should not.
    Internal,
}

// === impl Refusal ===

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed(_) => "MethodNotAllowed",
            Self::RequestTimeout => "RequestTimeout",
            Self::PayloadTooLarge => "PayloadTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::MisdirectedRequest => "MisdirectedRequest",
            Self::Internal => "Internal",
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::BadRequest(detail) => detail,
            Self::Unauthorized => "this wants the admin token as a bearer token",
            Self::NotFound => "there is nothing here",
            Self::MethodNotAllowed(_) => "this method makes no sense here",
            Self::RequestTimeout => "the body did not come in time",
            Self::PayloadTooLarge => "the body is too large",
            Self::UnsupportedMediaType => "the body must be application/json",
            Self::MisdirectedRequest => "use an address or localhost as the host",
            Self::Internal => "something failed, see the log",
        }
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Malformed => Self::BadRequest("exactly one valid host is needed".into()),
            HostError::Misdirected => Self::MisdirectedRequest,
        }
    }
}

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status();
        let code = refusal.code();
        let problem = json!({
            "type": format!("urn:vingate:problem:{code}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": code,
            "detail": refusal.detail(),
        });
        let mut response = response(status, "application/problem+json", problem.to_string());
        let field = match refusal {
            Refusal::MethodNotAllowed(methods) => (ALLOW, methods),
            Refusal::Unauthorized => (WWW_AUTHENTICATE, "Bearer"),
            _ => return response,
        };
        response
            .headers_mut()
            .insert(field.0, HeaderValue::from_static(field.1));
        response
    }
}

/// An answer that no browser keeps, guesses the type of, frames, or runs anything in.
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
