//! Why a caller is turned away.

/// Why a caller is turned away.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No token was sent (401 without an error code, RFC 6750 section 3.1).
    #[error("no bearer token")]
    Missing,
    /// The token is no good (401, `invalid_token`).
    #[error("the token was refused: {}", .0.as_str())]
    Token(Reason),
    /// The token's scopes do not reach this far (403, `insufficient_scope`).
    #[error("the token lacks a scope")]
    Scope {
        /// The scope that would have been enough.
        needed: String,
    },
    /// No account is configured for this subject (403).
    #[error("no account for this subject")]
    NoAccount,
}

/// Why a token is no good; the label of `vingate_auth_tokens_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// Anything else. The auth module refines this.
    Malformed,
}

// === impl Reason ===

impl Reason {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Malformed => "malformed",
        }
    }
}
