//! Why a batch request fails.

use crate::{
    body,
    json::NotJson,
    loader::{CallError, Failure},
    problem::Violation,
};

/// Why a batch request fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `Content-Type` is not `application/json`.
    #[error("the body must be application/json")]
    MediaType,
    /// The body has this content coding; `None` if it has no name that can be repeated.
    #[error("the body must have no content coding")]
    ContentCoding(Option<String>),
    /// There is no body: the client cannot send one with `GET`, or did not frame it.
    #[error(
        "the body is missing: a client that cannot send one with GET can use QUERY, or POST with \
         X-HTTP-Method-Override: GET"
    )]
    NoBody,
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
    Vehicles(Vec<Violation>),
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
        error: Failure,
        /// Whether it went up with an account's credential, not the client's own.
        of_account: bool,
    },
}

impl Error {
    /// Whether too many calls were waiting already.
    pub(super) fn is_of_queue(&self) -> bool {
        match self {
            Self::Call { error, .. } => {
                matches!(&**error, CallError::Upstream(error) if error.is_of_queue())
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BatchRequest;

    const VIN: &str = "3VWFE21C04M000001";

    #[test]
    fn quotes_what_was_sent_to_its_sender_only() {
        let json = format!("[\n\"{VIN}\"]");
        let error = BatchRequest::parse(json.as_bytes(), 10).unwrap_err();
        assert!(std::error::Error::source(&error).is_none());
        let printed = format!("{error} {error:?}");
        assert!(printed.contains("see line ") && !printed.contains(VIN), "{printed}");
        let Error::Json(error) = error else { panic!("{error:?}") };
        assert!(error.in_full().to_string().contains("expected"));
    }

    #[test]
    fn prints_no_values() {
        let problem = Violation {
            pointer: "/vehicles/0/vin".into(),
            value: Some(VIN.into()),
            reason: "contains O".into(),
        };
        let printed = format!("{:?}", Error::Vehicles(vec![problem]));
        assert!(printed.contains("/vehicles/0/vin") && !printed.contains(VIN), "{printed}");
    }
}
