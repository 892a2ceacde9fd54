//! Why a batch has no answer.

use std::{fmt, sync::Arc};

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
    /// The body is not JSON, or not an object with a list of vehicles.
    #[error("the body is not the JSON that is asked for, {0}")]
    Json(NotJson),
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

/// Why a text is not the JSON that it should be.
///
/// serde quotes what it found, which may be a vehicle. So `Display` and `Debug` tell the place
/// alone.
pub struct NotJson(serde_json::Error);

/// What is wrong with one vehicle of a request. `Debug` does not show the value.
#[derive(Clone, PartialEq, Eq)]
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
    Incomplete(#[source] body::Failure),
    /// The answer is not of the documented shape.
    #[error("the upstream's answer is not of the documented shape, {0}")]
    Shape(NotJson),
    /// Whoever asked for it gave up, again and again.
    #[error("the call was abandoned")]
    Abandoned,
}

/// A refusal of the upstream, as far as it is passed on. `Debug` does not show its words.
#[derive(Clone)]
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
            Self::Status(_) | Self::Incomplete(_) | Self::Shape(_) => true,
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
            | Self::Incomplete(_)
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
            Self::Upstream(_) | Self::Incomplete(_) | Self::Shape(_) | Self::Abandoned => None,
        }
    }
}

// === impl NotJson ===

impl NotJson {
    /// In words that quote the text: for whoever sent it.
    pub fn in_full(&self) -> impl fmt::Display {
        &self.0
    }
}

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "see line {} column {}", self.0.line(), self.0.column())
    }
}

impl fmt::Debug for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NotJson({self})")
    }
}

impl std::error::Error for NotJson {}

// === impl Problem ===

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("pointer", &self.pointer)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

// === impl Refusal ===

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchRequest, Elements};

    const VIN: &str = "3VWFE21C04M000001";

    #[test]
    fn quotes_what_was_sent_to_its_sender_only() {
        let json = format!("[\n\"{VIN}\"]");
        let asked = BatchRequest::parse(json.as_bytes(), 10).unwrap_err();
        let response = format!("{{\"vehicleData\":\n[\"{VIN}\"]}}");
        let answered = Elements::parse(response.as_bytes(), std::iter::empty()).unwrap_err();
        assert!(answered.to_string().contains(VIN), "serde quotes");
        let shape = CallError::Shape(answered.into());
        for error in [&asked as &dyn std::error::Error, &shape] {
            assert!(error.source().is_none());
            let printed = format!("{error} {error:?}");
            assert!(printed.contains("see line ") && !printed.contains(VIN), "{printed}");
        }
        let Error::Json(error) = asked else { panic!("{asked:?}") };
        assert!(error.in_full().to_string().contains("expected"));
    }

    #[test]
    fn prints_neither_values_nor_the_words_of_the_upstream() {
        let problem = Problem {
            pointer: "/vehicles/0/vin".into(),
            value: Some(VIN.into()),
            reason: "contains O".into(),
        };
        let refusal = Refusal {
            status: StatusCode::BAD_REQUEST,
            content_type: None,
            retry_after: None,
            body: VIN.into(),
        };
        let printed = format!("{:?} {:?}", Error::Vehicles(vec![problem]), refusal);
        assert!(printed.contains("/vehicles/0/vin") && !printed.contains(VIN), "{printed}");
    }
}
