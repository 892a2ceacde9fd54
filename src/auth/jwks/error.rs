//! Why a fetch brought no key set.

use std::io;

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
            Failure::TooLarge { .. } | Failure::NoRoom => Self::TooLarge,
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
