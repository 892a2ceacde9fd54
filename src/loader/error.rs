//! Why a call brings nothing.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::{body, json::NotJson, upstream};

/// Why a call failed, for everybody who waited for it.
pub type Failure = Arc<CallError>;

/// Why a call to the upstream brought nothing that could be used. Shared by all who waited.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no response.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// The upstream refused.
    #[error("the upstream responded {}", .0.status)]
    Refused(ErrorResponse),
    /// The upstream responded with a 2xx or 3xx other than 200.
    #[error("the upstream responded {0}, which a batch has no use for")]
    Status(StatusCode),
    /// The response stopped, or broke off.
    #[error("the upstream's response is incomplete")]
    Incomplete(#[source] body::Failure),
    /// The response is not of the documented shape.
    #[error("the upstream's response is not of the documented shape, {0}")]
    Shape(NotJson),
    /// Whoever asked for it gave up, again and again.
    #[error("the call was abandoned")]
    Abandoned,
    /// The gateway itself has failed.
    #[error("the call panicked")]
    Panic,
}

/// A 4xx or 5xx of the upstream, as far as it is passed on. `Debug` does not show its body.
#[derive(Clone)]
pub struct ErrorResponse {
    /// 400 to 599.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// `Retry-After`.
    pub retry_after: Option<HeaderValue>,
    /// The body, up to 64 KiB of it.
    pub body: Bytes,
}

impl CallError {
    /// Whether what is held may be served although it is stale.
    pub fn permits_stale(&self) -> bool {
        match self {
            Self::Refused(response) => {
                let status = response.status;
                status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Upstream(_) | Self::Status(_) | Self::Incomplete(_) | Self::Shape(_) => true,
            Self::Abandoned | Self::Panic => false,
        }
    }

    /// Whether a call of fewer vehicles may do better: no response in time, or a 413 or 504.
    pub fn is_of_size(&self) -> bool {
        let of_size = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::GATEWAY_TIMEOUT];
        match self {
            Self::Upstream(error) => matches!(error, upstream::Error::Timeout),
            Self::Refused(response) => of_size.contains(&response.status),
            _ => false,
        }
    }

    /// Whether it is the fault of the request whose vehicles the call was for, and not of those
    /// who joined it: a 4xx that neither the credential nor the number of calls explains.
    pub fn is_leaders_fault(&self) -> bool {
        matches!(self, Self::Refused(response) if response.status.is_client_error())
            && !self.refuses_credential()
            && self.status() != Some(StatusCode::TOO_MANY_REQUESTS)
    }

    /// Whether it means that the upstream does not know the credential, or not enough of it.
    pub fn refuses_credential(&self) -> bool {
        match self {
            Self::Upstream(error) => error.refuses_credential(),
            Self::Refused(response) => upstream::refuses_credential(response.status),
            _ => false,
        }
    }

    /// It in a word, of a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.proxy_error(),
            Self::Refused(_) | Self::Status(_) => "status",
            Self::Incomplete(_) => "incomplete",
            Self::Shape(_) => "shape",
            Self::Abandoned => "abandoned",
            Self::Panic => "panic",
        }
    }

    /// How the call ended, in the metrics' words; `None`: none was made, or it says nothing of
    /// Sync.
    pub fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Upstream(error) => error.outcome(),
            Self::Refused(response) if response.status.is_server_error() => Some("5xx"),
            Self::Refused(_) => Some("4xx"),
            Self::Status(status) if status.is_redirection() => Some("3xx"),
            Self::Status(_) => Some("2xx"),
            Self::Incomplete(_) | Self::Shape(_) => Some("exchange"),
            Self::Abandoned | Self::Panic => None,
        }
    }

    /// The status that the upstream gave, if it gave one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(response) => Some(response.status),
            Self::Status(status) => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Debug for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorResponse")
            .field("status", &self.status)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::Elements;

    const VIN: &str = "3VWFE21C04M000001";

    #[test]
    fn a_refusal_that_cannot_be_read_refuses_the_credential_too() {
        for (status, refuses) in [
            (StatusCode::UNAUTHORIZED, true),
            (StatusCode::FORBIDDEN, true),
            (StatusCode::OK, false),
        ] {
            for error in [
                upstream::Error::Incomplete(status, "torn".into()),
                upstream::Error::TransferCoding(status),
            ] {
                assert_eq!(CallError::from(error).refuses_credential(), refuses, "{status}");
            }
        }
    }

    #[test]
    fn prints_nothing_of_what_the_upstream_sent() {
        let response = format!("{{\"vehicleData\":\n[\"{VIN}\"]}}");
        let shape = Elements::parse(response.as_bytes(), std::iter::empty()).unwrap_err();
        assert!(shape.to_string().contains(VIN), "serde quotes");
        let shape = CallError::Shape(shape.into());
        assert!(std::error::Error::source(&shape).is_none());
        let printed = format!("{shape} {shape:?}");
        assert!(printed.contains("see line ") && !printed.contains(VIN), "{printed}");

        let refused = ErrorResponse {
            status: StatusCode::BAD_REQUEST,
            content_type: None,
            retry_after: None,
            body: VIN.into(),
        };
        let printed = format!("{refused:?} {0} {0:?}", CallError::Refused(refused.clone()));
        assert!(printed.contains("400") && !printed.contains(VIN), "{printed}");
    }
}
