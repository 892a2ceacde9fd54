//! Why a batch has no answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::{body, upstream};

/// Why a batch request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is said to be something else than JSON, or to be encoded.
    #[error("the body is not application/json as it is")]
    MediaType,
    /// A `QUERY` without a `Content-Type` (RFC 10008 section 2.1).
    #[error("a QUERY must say the media type of its body")]
    NoMediaType,
    /// The body did not come in whole.
    #[error(transparent)]
    Body(#[from] body::Failure),
    /// The body is not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON, or not an object with a list of vehicles. What is wrong with it may
    /// quote the body, so it is for the caller alone and no source that a log would show.
    #[error("the body is not the JSON that is asked for, see column {} of line {}", .0.column(), .0.line())]
    Json(serde_json::Error),
    /// There is no list.
    #[error("the member \"vehicles\" is missing")]
    Missing,
    /// The list has no entry.
    #[error("the list \"vehicles\" is empty")]
    Empty,
    /// The list is too long.
    #[error("{found} vehicles are asked for, {limit} are the most")]
    TooMany {
        /// Entries of the list.
        found: usize,
        /// Entries that would have been fine.
        limit: usize,
    },
    /// Some vehicles cannot be ones; at least one problem.
    #[error("some vehicles are not valid")]
    Vehicles(Vec<Problem>),
    /// The cache may not hold what the request also says, and Sync takes no more at once.
    #[error("{found} vehicles with members that are not documented, {limit} are the most")]
    TooManyToPass {
        /// Entries of the list.
        found: usize,
        /// Entries that would have been fine.
        limit: usize,
    },
    /// `only-if-cached`, and not everything is.
    #[error("not everything that is asked for is cached")]
    NotCached,
    /// A call that was needed failed.
    #[error("{error}")]
    Call {
        /// Why.
        #[source]
        error: Arc<CallError>,
        /// Whether it went up with an account's credential, not the caller's own.
        of_account: bool,
    },
}

/// What is wrong with one vehicle of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The value as it was sent, shortened; `None` if it was no text.
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a call to the upstream brought nothing that could be used. Shared by all who waited.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no answer.
    #[error(transparent)]
    Upstream(upstream::Error),
    /// The upstream refused.
    #[error("the upstream answered {}", .0.status)]
    Refused(Refusal),
    /// The upstream answered with a 2xx or 3xx that a batch has no use for.
    #[error("the upstream answered {0}, which a batch has no use for")]
    Status(StatusCode),
    /// The answer stopped, or broke off.
    #[error("the upstream's answer did not come in whole")]
    Torn(#[source] body::Failure),
    /// The answer is not of the documented shape. No source: it may quote the answer.
    #[error("the upstream's answer is not of the documented shape, see column {} of line {}", .0.column(), .0.line())]
    Shape(serde_json::Error),
    /// Whoever asked for it gave up, again and again.
    #[error("the call was abandoned")]
    Abandoned,
}

/// A refusal of the upstream, as far as it is passed on.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// 400 to 599.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// `Retry-After`.
    pub retry_after: Option<HeaderValue>,
    /// The body, up to 64 KiB of it.
    pub body: Bytes,
}

// === impl CallError ===

impl CallError {
    /// Whether what is held may be served although it is stale.
    pub fn permits_stale(&self) -> bool {
        match self {
            Self::Upstream(error) => error.permits_stale(),
            Self::Refused(refusal) => !self.blames_composer() || refusal.status.is_server_error(),
            Self::Status(_) | Self::Torn(_) | Self::Shape(_) => true,
            Self::Abandoned => false,
        }
    }

    /// Whether it is the fault of the request that composed the call, and not of those who
    /// joined it.
    pub fn blames_composer(&self) -> bool {
        match self {
            Self::Refused(refusal) => {
                refusal.status.is_client_error() && refusal.status != StatusCode::TOO_MANY_REQUESTS
            }
            Self::Upstream(_)
            | Self::Status(_)
            | Self::Torn(_)
            | Self::Shape(_)
            | Self::Abandoned => false,
        }
    }

    /// Whether it means that the upstream does not know the credential, or not enough of it.
    pub fn refuses_credential(&self) -> bool {
        let refuses = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        matches!(self, Self::Refused(refusal) if refuses.contains(&refusal.status))
    }

    /// The status that the upstream gave, if it gave one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Status(status) => Some(*status),
            Self::Upstream(_) | Self::Torn(_) | Self::Shape(_) | Self::Abandoned => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::batch::{Asked, Elements};

    #[test]
    fn what_a_log_shows_of_bad_json_quotes_none_of_it() {
        let secret = r#""3VWFE21C04M000001""#;
        let asked = Asked::parse(secret.as_bytes(), 10).unwrap_err();
        let of_answer = Elements::parse(secret.as_bytes(), std::iter::empty()).unwrap_err();
        assert!(of_answer.to_string().contains("3VW"), "it would be quoted");
        let shape = CallError::Shape(of_answer);
        assert!(asked.source().is_none() && shape.source().is_none());
        assert!(!asked.to_string().contains("3VW") && !shape.to_string().contains("3VW"));
    }
}
