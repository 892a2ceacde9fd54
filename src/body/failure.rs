//! What is wrong with a body that had to be whole.

use super::Error;

/// Why a body did not come in whole. Whoever sends it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No byte came for too long.
    #[error("the body stopped")]
    Idle,
    /// It is longer than it may be.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes that are taken.
        limit: usize,
    },
    /// Its connection was lost, or its framing is malformed.
    #[error("the body is incomplete")]
    Incomplete(#[source] Error),
}
