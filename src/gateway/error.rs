//! What a client sees of each error: the only place that knows code and public text.
//!
//! Every match names every variant, so that a new error cannot reach a client as something that
//! nobody decided on.

use std::{convert::Infallible, time::Duration};

use http::{HeaderValue, Response};

use super::{edge, error_response};
use crate::{
    auth, batch,
    body::{self, Body},
    forward, limit,
    loader::CallError,
    normalize,
    problem::{Code, Violation},
    upstream,
};

/// Why the gateway answers a request itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could be read in more than one way.
    #[error(transparent)]
    Edge(#[from] edge::Error),
    /// It is one too many, or took too long.
    #[error(transparent)]
    Limit(#[from] limit::Error),
    /// Its token does not allow it.
    #[error(transparent)]
    Auth(#[from] auth::Error),
    /// It names a vehicle that cannot be one.
    #[error(transparent)]
    Normalize(#[from] normalize::Error),
    /// The batch failed.
    #[error(transparent)]
    Batch(#[from] batch::Error),
    /// Forwarding failed.
    #[error(transparent)]
    Forward(#[from] forward::Error),
    /// A fault of the gateway's own.
    #[error("a panic while the request was handled")]
    Panic,
}

/// What a client sees of an error: a problem, and the headers that go with it.
#[derive(Debug)]
pub(super) struct ProblemDetails {
    pub(super) code: Code,
    pub(super) detail: String,
    pub(super) problems: Vec<Violation>,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// `WWW-Authenticate`.
    pub(super) challenge: Option<HeaderValue>,
    /// The error type of `Proxy-Status` (RFC 9209).
    pub(super) proxy_error: Option<&'static str>,
    /// Whether the body must come without a content coding: `Accept-Encoding`.
    pub(super) wants_identity: bool,
    /// Whether nothing more is read from the connection.
    pub(super) closes: bool,
}

// === impl Error ===

impl Error {
    /// The response that is made instead of a problem: the gateway's options, or an error response
    /// of the upstream, as it came.
    pub(super) fn response(&self) -> Option<Response<Body>> {
        match self {
            Self::Edge(edge::Error::ServerOptions) => Some(error_response::options()),
            Self::Batch(batch::Error::Call { error, of_account }) => match &**error {
                CallError::Refused(received) => {
                    Some(error_response::passed_on(received, *of_account))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// What the client sees.
    pub(super) fn details(&self) -> ProblemDetails {
        match self {
            Self::Edge(error) => edge(*error),
            Self::Limit(error) => limit(*error),
            Self::Auth(error) => auth(error),
            Self::Normalize(error) => normalize(error),
            Self::Batch(error) => batch(error),
            Self::Forward(error) => forward(error),
            Self::Panic => ProblemDetails::new(Code::Internal, FAILED),
        }
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Until it is worth trying again when there is no better guess.
const SOON: Duration = Duration::from_secs(1);

/// The detail of a fault of the gateway's own.
const FAILED: &str = "the gateway failed";

fn edge(error: edge::Error) -> ProblemDetails {
    let code = match error {
        edge::Error::Host
        | edge::Error::Framing
        | edge::Error::Target
        | edge::Error::Path
        | edge::Error::Override => Code::BadRequest,
        edge::Error::Method => Code::MethodNotAllowed,
        edge::Error::UriTooLong { .. } => Code::UriTooLong,
        edge::Error::TooManyHeaders { .. } => Code::HeadersTooLarge,
        edge::Error::Expectation => Code::ExpectationFailed,
        // It has a response of its own; this is what it would be without.
        edge::Error::ServerOptions => Code::MethodNotAllowed,
    };
    ProblemDetails::new(code, error).closing()
}

fn limit(error: limit::Error) -> ProblemDetails {
    match error {
        limit::Error::Full | limit::Error::ClientFull => {
            ProblemDetails::new(Code::Overloaded, error).after(SOON)
        }
        limit::Error::Rate { retry_after } => {
            ProblemDetails::new(Code::RateLimited, error).after(retry_after)
        }
        limit::Error::Deadline => {
            ProblemDetails::proxy(Code::UpstreamTimeout, "http_response_timeout", error)
        }
        limit::Error::SlowBody => ProblemDetails::new(Code::RequestTimeout, error).closing(),
    }
}

fn auth(error: &auth::Error) -> ProblemDetails {
    match error {
        auth::Error::Missing => {
            ProblemDetails::new(Code::Unauthorized, "a bearer token is needed").challenge("Bearer")
        }
        auth::Error::Token(reason) => {
            let said = reason.public();
            ProblemDetails::new(Code::Unauthorized, said)
                .challenge(&format!("Bearer error=\"invalid_token\", error_description=\"{said}\""))
        }
        auth::Error::Scope { needed } => {
            ProblemDetails::new(Code::Forbidden, "the token does not allow this")
                .challenge(&format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\""))
        }
        auth::Error::NoAccount => {
            ProblemDetails::new(Code::Forbidden, "no account is configured for this subject")
        }
    }
}

fn normalize(error: &normalize::Error) -> ProblemDetails {
    match error {
        // A path that somebody else could read in another way, like those that the edge refuses.
        normalize::Error::PathEscape | normalize::Error::PathCharacter => {
            ProblemDetails::new(Code::BadRequest, error).closing()
        }
        normalize::Error::Twice { .. } => ProblemDetails::new(Code::BadRequest, error),
        normalize::Error::PathVin(_) => ProblemDetails::new(Code::BadParameters, error),
        normalize::Error::Vehicle(problems) => ProblemDetails {
            problems: problems
                .iter()
                .map(|problem| Violation {
                    pointer: problem.pointer.to_owned(),
                    value: None,
                    reason: problem.reason.to_string(),
                })
                .collect(),
            ..ProblemDetails::new(Code::BadParameters, error)
        },
        normalize::Error::Body(failure) => body(failure),
    }
}

fn batch(error: &batch::Error) -> ProblemDetails {
    match error {
        batch::Error::MediaType => ProblemDetails::new(Code::UnsupportedMediaType, error),
        batch::Error::ContentCoding(coding) => {
            let detail = match coding {
                Some(coding) => format!("{error}, it has {coding}"),
                None => error.to_string(),
            };
            ProblemDetails {
                wants_identity: true,
                ..ProblemDetails::new(Code::UnsupportedMediaType, detail)
            }
        }
        // What follows may be the body, sent without saying so.
        batch::Error::NoBody => ProblemDetails::new(Code::BadRequest, error).closing(),
        batch::Error::NoMediaType
        | batch::Error::NotUtf8
        | batch::Error::Missing
        | batch::Error::Empty
        | batch::Error::TooManyToPass { .. } => ProblemDetails::new(Code::BadRequest, error),
        // It may quote the body, which is the client's own.
        batch::Error::Json(json) => {
            let detail = format!("the body is not JSON as documented: {}", json.in_full());
            ProblemDetails::new(Code::BadRequest, detail)
        }
        batch::Error::TooMany { .. } => ProblemDetails::new(Code::PayloadTooLarge, error),
        batch::Error::Vehicles(problems) => ProblemDetails {
            problems: problems
                .iter()
                .map(|problem| Violation {
                    pointer: problem.pointer.clone(),
                    value: problem.value.clone(),
                    reason: problem.reason.clone(),
                })
                .collect(),
            ..ProblemDetails::new(Code::BadParameters, error)
        },
        batch::Error::NotCached => ProblemDetails::new(Code::NotCached, error),
        batch::Error::Body(failure) => body(failure),
        batch::Error::Call { error, .. } => call(error),
    }
}

fn call(error: &CallError) -> ProblemDetails {
    match error {
        CallError::Upstream(error) => upstream(error),
        CallError::Incomplete(body::Failure::Idle) => {
            ProblemDetails::proxy(Code::UpstreamTimeout, "http_response_timeout", error)
        }
        CallError::Incomplete(body::Failure::TooLarge { .. }) => {
            ProblemDetails::proxy(Code::BadGateway, "http_response_body_size", error)
        }
        CallError::Incomplete(body::Failure::Incomplete(_)) => {
            ProblemDetails::proxy(Code::BadGateway, "http_response_incomplete", error)
        }
        // Its own words may quote the response.
        CallError::Shape(_) => ProblemDetails::proxy(
            Code::BadGateway,
            "http_protocol_error",
            "the upstream's response is not as documented",
        ),
        // An error response is passed on as it came; this is what it would be without its bytes.
        CallError::Status(_) | CallError::Refused(_) => {
            ProblemDetails::proxy(Code::BadGateway, "http_protocol_error", error)
        }
        CallError::Panic => ProblemDetails::new(Code::Internal, FAILED),
        CallError::Abandoned => ProblemDetails::new(Code::Overloaded, error).after(SOON),
    }
}

fn forward(error: &forward::Error) -> ProblemDetails {
    match error {
        forward::Error::Body(failure) => body(failure),
        forward::Error::Upstream(error) => upstream(error),
        forward::Error::Incomplete(_) => {
            ProblemDetails::proxy(Code::BadGateway, "http_response_incomplete", error)
        }
        forward::Error::UnaskedUpgrade => {
            ProblemDetails::proxy(Code::BadGateway, "http_protocol_error", error)
        }
        forward::Error::Loop => {
            ProblemDetails::proxy(Code::BadGateway, "proxy_loop_detected", error)
        }
        forward::Error::Stopped => ProblemDetails::new(Code::Overloaded, error).after(SOON),
    }
}

fn upstream(error: &upstream::Error) -> ProblemDetails {
    let (code, retry_after) = match error {
        error if error.is_timeout() => (Code::UpstreamTimeout, None),
        upstream::Error::Connect(_)
        | upstream::Error::Exchange(_)
        | upstream::Error::TransferCoding
        | upstream::Error::Timeout => (Code::BadGateway, None),
        // The upstream is well: it is the gateway that has too much to ask of it.
        upstream::Error::Full => (Code::Overloaded, Some(SOON)),
        upstream::Error::RetryAfter { rest } | upstream::Error::Open { rest } => {
            (Code::UpstreamUnavailable, Some(*rest))
        }
    };
    ProblemDetails { retry_after, ..ProblemDetails::proxy(code, error.proxy_error(), error) }
}

/// What is wrong with the body of a request.
fn body(failure: &body::Failure) -> ProblemDetails {
    match failure {
        body::Failure::Idle => ProblemDetails::new(Code::RequestTimeout, failure).closing(),
        body::Failure::TooLarge { .. } => ProblemDetails::new(Code::PayloadTooLarge, failure),
        body::Failure::Incomplete(_) => ProblemDetails::new(Code::BadRequest, failure).closing(),
    }
}

// === impl ProblemDetails ===

impl ProblemDetails {
    fn new(code: Code, detail: impl ToString) -> Self {
        Self {
            code,
            detail: detail.to_string(),
            problems: Vec::new(),
            retry_after: None,
            challenge: None,
            proxy_error: None,
            wants_identity: false,
            closes: false,
        }
    }

    fn proxy(code: Code, error: &'static str, detail: impl ToString) -> Self {
        Self { proxy_error: Some(error), ..Self::new(code, detail) }
    }

    fn after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    fn challenge(self, challenge: &str) -> Self {
        Self { challenge: HeaderValue::from_str(challenge).ok(), ..self }
    }

    fn closing(self) -> Self {
        Self { closes: true, ..self }
    }
}

#[cfg(test)]
mod tests;
