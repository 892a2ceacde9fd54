//! The protocol that the TLS handshake has negotiated.

/// What both ends have negotiated before the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Negotiated {
    /// Nothing: the first bytes tell.
    Nothing,
    /// HTTP/1.1, or 1.0.
    Http1,
    Http2,
}

/// Another protocol was negotiated than what came.
#[derive(Debug, thiserror::Error)]
#[error("not the protocol that was negotiated")]
pub(super) struct NotNegotiated;

impl Negotiated {
    pub(super) fn permits(self, http2: bool) -> bool {
        match self {
            Self::Nothing => true,
            Self::Http1 => !http2,
            Self::Http2 => http2,
        }
    }
}
