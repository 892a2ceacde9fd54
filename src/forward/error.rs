//! Why a forwarded request has no answer.

use crate::{body, upstream};

/// Why a forwarded request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's body did not come in whole, whatever the upstream made of what it saw.
    #[error("the request was not sent whole")]
    Body(#[source] body::Failure),
    /// The upstream gave no answer.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// The answer has a transfer coding besides `chunked`, and no answer was asked for in one.
    #[error("the upstream's answer has an unknown transfer coding")]
    Coding,
    /// The upstream switched to a protocol that nobody asked for.
    #[error("the upstream switched protocols without being asked")]
    UnaskedUpgrade,
    /// The request has come through gateways of this name before, more than once.
    #[error("the request comes back to the gateway that sent it")]
    Loop,
    /// The gateway stopped before the answer to a write came.
    #[error("the gateway stopped before the answer came")]
    Stopped,
}
