//! What a client sees of each error: the only place that knows code and public text.
//!
//! Every match names every variant, so that a new error cannot reach a client as something that
//! nobody decided on.

use std::{convert::Infallible, time::Duration};

use http::{
    HeaderValue, Response,
    header::{ACCEPT_ENCODING, ALLOW, WWW_AUTHENTICATE},
};

use super::{
    cors, edge,
    problem_details::{self, ProblemDetails},
};
use crate::{
    auth, batch,
    body::{self, Body},
    forward, limit,
    loader::CallError,
    normalize,
    problem::{Code, Violation},
    route::METHODS,
    upstream,
};

/// Why the gateway answers a request itself.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum Error {
    #[error(transparent)]
    Edge(#[from] edge::Error),
    #[error(transparent)]
    Cors(#[from] cors::Preflight),
    #[error(transparent)]
    Limit(#[from] limit::Error),
    #[error(transparent)]
    Auth(#[from] auth::Error),
    #[error(transparent)]
    Normalize(#[from] normalize::Error),
    #[error(transparent)]
    Batch(#[from] batch::Error),
    #[error(transparent)]
    Forward(#[from] forward::Error),
    #[error("a panic while the request was handled")]
    Panic,
}

impl Error {
    /// The response that is made instead of a problem: the gateway's options, what a preflight is
    /// allowed, or an error response of the upstream, as it came.
    pub(super) fn response(&self) -> Option<Response<Body>> {
        match self {
            Self::Edge(edge::Error::ServerOptions) => Some(forward::options()),
            Self::Cors(preflight) => Some(preflight.response()),
            Self::Batch(batch::Error::Call { error, of_account })
                if let CallError::Refused(received) = &**error =>
            {
                Some(problem_details::passed_on(received, *of_account))
            }
            _ => None,
        }
    }

    /// How long the response is held back.
    pub(super) fn hold(&self) -> Duration {
        match self {
            Self::Limit(error) => error.hold(),
            Self::Forward(forward::Error::Upstream(error)) => error.hold(),
            Self::Batch(batch::Error::Call { error, .. }) => match &**error {
                CallError::Upstream(error) => error.hold(),
                _ => Duration::ZERO,
            },
            _ => Duration::ZERO,
        }
    }

    /// What the client sees.
    pub(super) fn details(&self) -> ProblemDetails {
        match self {
            Self::Edge(error) => edge(*error),
            // It has a response of its own; this is what it would be without.
            Self::Cors(preflight) => ProblemDetails::new(Code::Internal, preflight),
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
        // `OPTIONS *` has a response of its own; this is what it would be without.
        edge::Error::Method | edge::Error::ServerOptions => {
            let details = ProblemDetails::new(Code::MethodNotAllowed, error).closing();
            return details.with(ALLOW, HeaderValue::from_static(METHODS));
        }
        edge::Error::UriTooLong { .. } => Code::UriTooLong,
        edge::Error::TooManyHeaders { .. } => Code::HeadersTooLarge,
        edge::Error::Expectation => Code::ExpectationFailed,
    };
    ProblemDetails::new(code, error).closing()
}

fn limit(error: limit::Error) -> ProblemDetails {
    let (code, retry_after) = match error {
        limit::Error::Full | limit::Error::ClientFull { .. } => (Code::Overloaded, SOON),
        limit::Error::Rate { retry_after } => (Code::RateLimited, retry_after),
        limit::Error::Deadline => {
            return ProblemDetails::proxy(Code::UpstreamTimeout, "http_response_timeout", error);
        }
        limit::Error::SlowBody => {
            return ProblemDetails::new(Code::RequestTimeout, error).closing();
        }
    };
    ProblemDetails::new(code, error).after(retry_after)
}

fn auth(error: &auth::Error) -> ProblemDetails {
    let (code, detail, challenge) = match error {
        auth::Error::Missing => {
            (Code::Unauthorized, "a bearer token is needed", "Bearer".to_owned())
        }
        auth::Error::Token(reason) => {
            let said = reason.public();
            let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{said}\"");
            (Code::Unauthorized, said, challenge)
        }
        auth::Error::Scope { needed } => {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
            (Code::Forbidden, "the token does not allow this", challenge)
        }
        auth::Error::NoAccount => {
            let detail = "no account is configured for this subject";
            return ProblemDetails::new(Code::Forbidden, detail);
        }
    };
    let challenge = HeaderValue::try_from(challenge).expect("scopes are visible ASCII");
    ProblemDetails::new(code, detail).with(WWW_AUTHENTICATE, challenge)
}

fn normalize(error: &normalize::Error) -> ProblemDetails {
    match error {
        // A path that somebody else could read in another way, like those that the edge refuses.
        normalize::Error::PathEscape | normalize::Error::PathCharacter => {
            ProblemDetails::new(Code::BadRequest, error).closing()
        }
        normalize::Error::Twice { .. } => ProblemDetails::new(Code::BadRequest, error),
        normalize::Error::PathVin(_) => invalid(error, &[]),
        normalize::Error::Vehicle(violations) => invalid(error, violations),
        normalize::Error::Body(failure) => body(failure),
    }
}

fn batch(error: &batch::Error) -> ProblemDetails {
    let code = match error {
        batch::Error::MediaType => Code::UnsupportedMediaType,
        batch::Error::ContentCoding(coding) => {
            let coding = coding.iter().map(|coding| format!(", it has {coding}"));
            let detail = format!("{error}{}", coding.collect::<String>());
            return ProblemDetails::new(Code::UnsupportedMediaType, detail)
                .with(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        // What follows may be the body, sent without saying so.
        batch::Error::NoBody => return ProblemDetails::new(Code::BadRequest, error).closing(),
        batch::Error::NoMediaType
        | batch::Error::NotUtf8
        | batch::Error::Missing
        | batch::Error::Empty
        | batch::Error::TooManyToPass { .. } => Code::BadRequest,
        // It may quote the body, which is the client's own.
        batch::Error::Json(json) => {
            let detail = format!("the body is not JSON as documented: {}", json.in_full());
            return ProblemDetails::new(Code::BadRequest, detail);
        }
        batch::Error::TooMany { .. } => Code::PayloadTooLarge,
        batch::Error::Vehicles(violations) => return invalid(error, violations),
        batch::Error::NotCached => Code::NotCached,
        batch::Error::Body(failure) => return body(failure),
        batch::Error::Call { error, .. } => return call(error),
    };
    ProblemDetails::new(code, error)
}

fn call(error: &CallError) -> ProblemDetails {
    let (code, proxy_error) = match error {
        CallError::Upstream(error) => return upstream(error),
        CallError::Incomplete(body::Failure::Idle) => {
            (Code::UpstreamTimeout, "http_response_timeout")
        }
        CallError::Incomplete(body::Failure::TooLarge { .. } | body::Failure::NoRoom) => {
            (Code::BadGateway, "http_response_body_size")
        }
        CallError::Incomplete(body::Failure::Incomplete(_)) => {
            (Code::BadGateway, "http_response_incomplete")
        }
        // Its own words may quote the response.
        CallError::Shape(_) => {
            let detail = "the upstream's response is not as documented";
            return ProblemDetails::proxy(Code::BadGateway, "http_protocol_error", detail);
        }
        // An error response is passed on as it came; this is what it would be without its bytes.
        CallError::Status(_) | CallError::Refused(_) => (Code::BadGateway, "http_protocol_error"),
        CallError::Panic => return ProblemDetails::new(Code::Internal, FAILED),
        CallError::Abandoned => return ProblemDetails::new(Code::Overloaded, error).after(SOON),
    };
    ProblemDetails::proxy(code, proxy_error, error)
}

fn forward(error: &forward::Error) -> ProblemDetails {
    let proxy_error = match error {
        forward::Error::Body(failure) => return body(failure),
        forward::Error::Upstream(error) => return upstream(error),
        forward::Error::UnaskedUpgrade => "http_protocol_error",
        forward::Error::Loop => "proxy_loop_detected",
        forward::Error::Stopped => return ProblemDetails::new(Code::Overloaded, error).after(SOON),
    };
    ProblemDetails::proxy(Code::BadGateway, proxy_error, error)
}

fn upstream(error: &upstream::Error) -> ProblemDetails {
    let details = |code| ProblemDetails::proxy(code, error.proxy_error(), error);
    match error {
        error if error.is_timeout() => details(Code::UpstreamTimeout),
        upstream::Error::SlowClient => ProblemDetails::new(Code::RequestTimeout, error).closing(),
        upstream::Error::Connect(_)
        | upstream::Error::Closed(_)
        | upstream::Error::Exchange(_)
        | upstream::Error::Incomplete(..)
        | upstream::Error::TransferCoding(_)
        | upstream::Error::Timeout => details(Code::BadGateway),
        // The upstream is well: it is the gateway that has too much to ask of it.
        upstream::Error::Full { rest, .. } => details(Code::Overloaded).after(SOON.max(*rest)),
        upstream::Error::RetryAfter { rest } | upstream::Error::Open { rest } => {
            details(Code::UpstreamUnavailable).after(*rest)
        }
    }
}

/// What is wrong with the vehicles of a request.
fn invalid(error: impl ToString, violations: &[Violation]) -> ProblemDetails {
    let problems = violations.into();
    ProblemDetails { problems, ..ProblemDetails::new(Code::BadParameters, error) }
}

/// What is wrong with the body of a request.
fn body(failure: &body::Failure) -> ProblemDetails {
    match failure {
        body::Failure::Idle => ProblemDetails::new(Code::RequestTimeout, failure).closing(),
        body::Failure::TooLarge { .. } => ProblemDetails::new(Code::PayloadTooLarge, failure),
        body::Failure::NoRoom => ProblemDetails::new(Code::Overloaded, failure).after(SOON),
        body::Failure::Incomplete(_) => ProblemDetails::new(Code::BadRequest, failure).closing(),
    }
}

#[cfg(test)]
mod tests;
