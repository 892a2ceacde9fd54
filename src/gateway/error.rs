//! What a caller sees of each error: the only place that knows status, code and public text.
//!
//! Every match names every variant, so that a new error cannot reach a caller as something that
//! nobody decided on.

use std::{borrow::Cow, convert::Infallible, time::Duration};

use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use serde::Serialize;

use super::edge;
use crate::{
    auth, batch, body, forward, limit,
    loader::{self, CallError},
    normalize, upstream,
};

/// Why a request has no answer but the gateway's own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could be read in more than one way.
    #[error(transparent)]
    Edge(#[from] edge::Error),
    /// It is one too many, or took too long.
    #[error(transparent)]
    Limit(#[from] limit::Error),
    /// Its caller is turned away.
    #[error(transparent)]
    Auth(#[from] auth::Error),
    /// It names a vehicle that cannot be one.
    #[error(transparent)]
    Normalize(#[from] normalize::Error),
    /// The batch has no answer.
    #[error(transparent)]
    Batch(#[from] batch::Error),
    /// The upstream has none.
    #[error(transparent)]
    Forward(#[from] forward::Error),
    /// Something here is broken.
    #[error("a panic while the request was served")]
    Panic,
}

/// What a caller is told.
#[derive(Debug)]
pub(super) struct ProblemDetails {
    pub(super) kind: Kind,
    pub(super) detail: Cow<'static, str>,
    pub(super) problems: Vec<Problem>,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// `WWW-Authenticate`.
    pub(super) challenge: Option<HeaderValue>,
    /// The error type of `Proxy-Status` (RFC 9209).
    pub(super) proxy_error: Option<&'static str>,
    /// Whether nothing more is read from the connection.
    pub(super) closes: bool,
}

/// One of several things that are wrong.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    /// Where, as a JSON pointer (RFC 6901).
    pub(super) pointer: String,
    /// The caller's own value, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    pub(super) reason: String,
}

/// The problems a caller may be told of, each with its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BadGateway,
    BadParameters,
    BadRequest,
    ExpectationFailed,
    Forbidden,
    HeadersTooLarge,
    Internal,
    MethodNotAllowed,
    NotCached,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    Unauthorized,
    UnsupportedMediaType,
    UpstreamTimeout,
    UpstreamUnavailable,
    UriTooLong,
}

// === impl Error ===

impl Error {
    /// The refusal of the upstream that is passed on in place of a problem, and whether it is an
    /// account that was refused.
    pub(super) fn refusal(&self) -> Option<(&loader::ErrorResponse, bool)> {
        match self {
            Self::Batch(batch::Error::Call { error, of_account }) => match &**error {
                CallError::Refused(refusal) => Some((refusal, *of_account)),
                _ => None,
            },
            _ => None,
        }
    }

    /// What the caller is told.
    pub(super) fn details(&self) -> ProblemDetails {
        match self {
            Self::Edge(error) => edge(*error),
            Self::Limit(error) => limit(*error),
            Self::Auth(error) => auth(error),
            Self::Normalize(error) => normalize(error),
            Self::Batch(error) => batch(error),
            Self::Forward(error) => forward(error),
            Self::Panic => ProblemDetails::new(Kind::Internal, "Something went wrong here."),
        }
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Seconds after which it is worth trying again when there is no better guess.
const SOON: Duration = Duration::from_secs(1);

fn edge(error: edge::Error) -> ProblemDetails {
    let kind = match error {
        edge::Error::Host
        | edge::Error::Framing
        | edge::Error::Target
        | edge::Error::Path
        | edge::Error::Override => Kind::BadRequest,
        edge::Error::Method => Kind::MethodNotAllowed,
        edge::Error::UriTooLong { .. } => Kind::UriTooLong,
        edge::Error::TooManyFields { .. } => Kind::HeadersTooLarge,
        edge::Error::Expectation => Kind::ExpectationFailed,
    };
    ProblemDetails { closes: true, ..ProblemDetails::new(kind, sentence(error)) }
}

fn limit(error: limit::Error) -> ProblemDetails {
    match error {
        limit::Error::Full | limit::Error::ClientFull => ProblemDetails {
            retry_after: Some(SOON),
            ..ProblemDetails::new(Kind::Overloaded, sentence(error))
        },
        limit::Error::Rate { retry_after } => ProblemDetails {
            retry_after: Some(retry_after),
            ..ProblemDetails::new(Kind::RateLimited, sentence(error))
        },
        limit::Error::Deadline => ProblemDetails {
            proxy_error: Some("http_response_timeout"),
            ..ProblemDetails::new(Kind::UpstreamTimeout, sentence(error))
        },
        limit::Error::SlowBody => ProblemDetails {
            closes: true,
            ..ProblemDetails::new(Kind::RequestTimeout, sentence(error))
        },
    }
}

fn auth(error: &auth::Error) -> ProblemDetails {
    let bearer = |parameters: String| HeaderValue::try_from(parameters).ok();
    match error {
        auth::Error::Missing => ProblemDetails {
            challenge: Some(HeaderValue::from_static("Bearer")),
            ..ProblemDetails::new(Kind::Unauthorized, "A bearer token is needed.")
        },
        auth::Error::Token(reason) => {
            let said = reason.public();
            let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{said}\"");
            ProblemDetails {
                challenge: bearer(challenge),
                ..ProblemDetails::new(Kind::Unauthorized, sentence(said))
            }
        }
        auth::Error::Scope { needed } => {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
            let detail = "The token does not allow this.";
            ProblemDetails {
                challenge: bearer(challenge),
                ..ProblemDetails::new(Kind::Forbidden, detail)
            }
        }
        auth::Error::NoAccount => {
            ProblemDetails::new(Kind::Forbidden, "No account is configured for this subject.")
        }
    }
}

fn normalize(error: &normalize::Error) -> ProblemDetails {
    match error {
        // A path that somebody else could read in another way, like those that the edge refuses.
        normalize::Error::PathEscape | normalize::Error::PathCharacter => ProblemDetails {
            closes: true,
            ..ProblemDetails::new(Kind::BadRequest, sentence(error))
        },
        normalize::Error::Twice { .. } => ProblemDetails::new(Kind::BadRequest, sentence(error)),
        normalize::Error::PathVin(_) => ProblemDetails::new(Kind::BadParameters, sentence(error)),
        normalize::Error::Vehicle(problems) => ProblemDetails {
            problems: problems
                .iter()
                .map(|problem| Problem {
                    pointer: problem.pointer.to_owned(),
                    value: None,
                    reason: problem.reason.to_string(),
                })
                .collect(),
            ..ProblemDetails::new(Kind::BadParameters, sentence(error))
        },
        normalize::Error::Body(failure) => body(failure),
    }
}

fn batch(error: &batch::Error) -> ProblemDetails {
    match error {
        batch::Error::MediaType => ProblemDetails::new(Kind::UnsupportedMediaType, sentence(error)),
        batch::Error::NoMediaType
        | batch::Error::NotUtf8
        | batch::Error::Missing
        | batch::Error::Empty
        | batch::Error::TooManyToPass { .. } => {
            ProblemDetails::new(Kind::BadRequest, sentence(error))
        }
        // It may quote the body, which is the caller's own.
        batch::Error::Json(json) => {
            let detail = format!("The body is not the JSON that is asked for: {}.", json.in_full());
            ProblemDetails::new(Kind::BadRequest, detail)
        }
        batch::Error::TooMany { .. } => ProblemDetails::new(Kind::PayloadTooLarge, sentence(error)),
        batch::Error::Vehicles(problems) => ProblemDetails {
            problems: problems
                .iter()
                .map(|problem| Problem {
                    pointer: problem.pointer.clone(),
                    value: problem.value.clone(),
                    reason: problem.reason.clone(),
                })
                .collect(),
            ..ProblemDetails::new(Kind::BadParameters, sentence(error))
        },
        batch::Error::NotCached => ProblemDetails::new(Kind::NotCached, sentence(error)),
        batch::Error::Body(failure) => body(failure),
        batch::Error::Call { error, .. } => call(error),
    }
}

fn call(error: &CallError) -> ProblemDetails {
    match error {
        CallError::Upstream(error) => upstream(error),
        CallError::Incomplete(body::Failure::Idle) => {
            ProblemDetails::proxy(Kind::UpstreamTimeout, "http_response_timeout", sentence(error))
        }
        CallError::Incomplete(body::Failure::TooLarge { .. }) => {
            ProblemDetails::proxy(Kind::BadGateway, "http_response_body_size", sentence(error))
        }
        CallError::Incomplete(body::Failure::Incomplete(_)) => {
            ProblemDetails::proxy(Kind::BadGateway, "http_response_incomplete", sentence(error))
        }
        // A refusal is passed on as it came; this is what it would be without its bytes.
        CallError::Shape(_) => {
            let detail = "The upstream's answer is not of the documented shape.";
            ProblemDetails::proxy(Kind::BadGateway, "http_protocol_error", detail)
        }
        CallError::Status(_) | CallError::Refused(_) => {
            ProblemDetails::proxy(Kind::BadGateway, "http_protocol_error", sentence(error))
        }
        CallError::Panic => ProblemDetails::new(Kind::Internal, "Something went wrong here."),
        CallError::Abandoned => ProblemDetails {
            retry_after: Some(SOON),
            ..ProblemDetails::new(Kind::Overloaded, sentence(error))
        },
    }
}

fn forward(error: &forward::Error) -> ProblemDetails {
    match error {
        forward::Error::Body(failure) => body(failure),
        forward::Error::Upstream(error) => upstream(error),
        forward::Error::Coding => ProblemDetails::proxy(
            Kind::BadGateway,
            "http_response_transfer_coding",
            sentence(error),
        ),
        forward::Error::UnaskedUpgrade => {
            ProblemDetails::proxy(Kind::BadGateway, "http_protocol_error", sentence(error))
        }
        forward::Error::Loop => {
            ProblemDetails::proxy(Kind::BadGateway, "proxy_loop_detected", sentence(error))
        }
        forward::Error::Stopped => ProblemDetails {
            retry_after: Some(SOON),
            ..ProblemDetails::new(Kind::Overloaded, sentence(error))
        },
    }
}

fn upstream(error: &upstream::Error) -> ProblemDetails {
    let (kind, retry_after) = match error {
        error if error.is_timeout() => (Kind::UpstreamTimeout, None),
        upstream::Error::Connect(_) | upstream::Error::Exchange(_) | upstream::Error::Timeout => {
            (Kind::BadGateway, None)
        }
        // The upstream is well: it is the gateway that has too much to ask of it.
        upstream::Error::Full => (Kind::Overloaded, Some(SOON)),
        upstream::Error::RetryAfter { rest } | upstream::Error::Open { rest } => {
            (Kind::UpstreamUnavailable, Some(*rest))
        }
    };
    ProblemDetails {
        retry_after,
        ..ProblemDetails::proxy(kind, error.proxy_error(), sentence(error))
    }
}

/// What is wrong with the body of a request.
fn body(failure: &body::Failure) -> ProblemDetails {
    match failure {
        body::Failure::Idle => ProblemDetails {
            closes: true,
            ..ProblemDetails::new(Kind::RequestTimeout, sentence(failure))
        },
        body::Failure::TooLarge { .. } => {
            ProblemDetails::new(Kind::PayloadTooLarge, sentence(failure))
        }
        body::Failure::Incomplete(_) => ProblemDetails {
            closes: true,
            ..ProblemDetails::new(Kind::BadRequest, sentence(failure))
        },
    }
}

/// An error's own words, as a sentence.
fn sentence(words: impl ToString) -> Cow<'static, str> {
    let mut words = words.to_string();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words.push('.');
    words.into()
}

// === impl Told ===

impl ProblemDetails {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            problems: Vec::new(),
            retry_after: None,
            challenge: None,
            proxy_error: None,
            closes: false,
        }
    }

    fn proxy(kind: Kind, error: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { proxy_error: Some(error), ..Self::new(kind, detail) }
    }

    /// `Retry-After` in whole seconds, rounded up: nobody is to come too early.
    pub(super) fn retry_after(&self) -> Option<(http::HeaderName, HeaderValue)> {
        let after = self.retry_after?;
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        Some((RETRY_AFTER, seconds.max(1).into()))
    }
}

// === impl Kind ===

impl Kind {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::BadParameters | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotCached | Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Overloaded | Self::UpstreamUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
        }
    }

    /// Sync's own word where it has one.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::BadGateway => "BadGateway",
            Self::BadParameters => "BadParameters",
            Self::BadRequest => "BadRequest",
            Self::ExpectationFailed => "ExpectationFailed",
            Self::Forbidden => "Forbidden",
            Self::HeadersTooLarge => "HeadersTooLarge",
            Self::Internal => "Internal",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotCached => "NotCached",
            Self::Overloaded => "Overloaded",
            Self::PayloadTooLarge => "PayloadTooLarge",
            Self::RateLimited => "RateLimited",
            Self::RequestTimeout => "RequestTimeout",
            Self::Unauthorized => "Unauthorized",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::UpstreamTimeout => "UpstreamTimeout",
            Self::UpstreamUnavailable => "UpstreamUnavailable",
            Self::UriTooLong => "UriTooLong",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::BadGateway => "The upstream gave no usable answer",
            Self::BadParameters => "A vehicle is not valid",
            Self::BadRequest => "The request is malformed",
            Self::ExpectationFailed => "The expectation cannot be met",
            Self::Forbidden => "This is not allowed",
            Self::HeadersTooLarge => "The fields are too many",
            Self::Internal => "Something went wrong here",
            Self::MethodNotAllowed => "The method is not served",
            Self::NotCached => "Not everything is cached",
            Self::Overloaded => "Too much at once",
            Self::PayloadTooLarge => "The request is too large",
            Self::RateLimited => "Too many requests",
            Self::RequestTimeout => "The request did not come in time",
            Self::Unauthorized => "The caller is not known",
            Self::UnsupportedMediaType => "The body is not JSON as it is",
            Self::UpstreamTimeout => "The upstream did not answer in time",
            Self::UpstreamUnavailable => "The upstream is not to be called now",
            Self::UriTooLong => "The target is too long",
        }
    }
}

#[cfg(test)]
mod tests;
