//! Why a fetch brought no key set.

use std::{fmt, io};

use http::StatusCode;
use hyper_util::client::legacy;

use super::left_out::LeftOut;
use crate::{auth::metrics::FetchOutcome, body::Failure, files::Unreadable};

/// Why a fetch brought no key set. Nothing of what came is a part of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the key server cannot be reached")]
    Unreachable(#[source] legacy::Error),
    #[error("the key server did not respond in time")]
    Timeout,
    /// Any status but 200, a redirect included.
    #[error("the key server responded with {0}")]
    Status(StatusCode),
    #[error("the response broke off")]
    Incomplete(#[source] Failure),
    #[error("the key file cannot be read")]
    File(#[source] io::Error),
    #[error("the key set is too large")]
    TooLarge,
    #[error("what came is no JSON Web Key Set")]
    Malformed,
    #[error("the key set has no usable key")]
    Empty(LeftOut),
}

/// An error with all its sources, in one line.
pub(super) struct Chain<'a>(pub(super) &'a Error);

impl Error {
    /// What to count it as.
    pub(super) fn outcome(&self) -> FetchOutcome {
        match self {
            Self::Unreachable(_) | Self::Incomplete(_) | Self::File(_) => FetchOutcome::Unreachable,
            Self::Timeout => FetchOutcome::Timeout,
            Self::Status(_) => FetchOutcome::Status,
            Self::TooLarge => FetchOutcome::TooLarge,
            Self::Malformed => FetchOutcome::Malformed,
            Self::Empty(_) => FetchOutcome::Empty,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Idle => Self::Timeout,
            Failure::TooLarge { .. } => Self::TooLarge,
            Failure::Incomplete(_) => Self::Incomplete(failure),
        }
    }
}

impl From<Unreadable> for Error {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Io(error) => Self::File(error),
            Unreadable::TooLarge => Self::TooLarge,
        }
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next: Option<&dyn std::error::Error> = Some(self.0);
        let mut separator = "";
        while let Some(error) = next {
            write!(f, "{separator}{error}")?;
            separator = ": ";
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_source() {
        let denied = io::Error::new(io::ErrorKind::PermissionDenied, "denied");
        let printed = Chain(&Error::File(denied)).to_string();
        assert_eq!(printed, "the key file cannot be read: denied");
    }
}
