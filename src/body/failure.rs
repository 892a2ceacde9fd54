//! What is wrong with a body that had to be whole.

use super::Error;

/// Why a body did not come in whole.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum Failure {
    #[error("the body stopped")]
    Idle,
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("too many bodies are being received")]
    NoRoom,
    #[error("the body is incomplete")]
    Incomplete(#[source] Error),
}
