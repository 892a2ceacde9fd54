//! Why a forwarded request has no response of the upstream's.

use crate::{body, upstream};

/// Why a forwarded request has no response of the upstream's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's body did not come in whole, whatever the upstream made of what it saw.
    #[error("the request was not sent whole")]
    Body(#[source] body::Failure),
    /// The call failed.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// The upstream switched protocols although the request did not ask for it.
    #[error("the upstream switched protocols without being asked")]
    UnaskedUpgrade,
    /// The request has come through gateways of this name before, more than once.
    #[error("the request has passed through this gateway before")]
    Loop,
    /// The gateway stopped before the response to a write came.
    #[error("the gateway stopped before the response came")]
    Stopped,
}
