//! Why a request is refused.

use crate::labels::labels;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No token was sent (401 without an error code, RFC 6750 section 3.1).
    #[error("no bearer token")]
    Missing,
    /// The token is no good (401, `invalid_token`).
    #[error("the token was refused: {}", .0.as_str())]
    Token(TokenError),
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

labels! {
    /// Why a token is no good: for the log and the metric, the client gets [`TokenError::public`].
    #[derive(Hash)]
    pub enum TokenError {
        /// More than one `Authorization` field.
        Several = "several",
        /// Longer than `auth.max_token`.
        TooLong = "too_long",
        /// Not three parts of base64url, or header or claims are not an object with each name once.
        Malformed = "malformed",
        /// `alg` is missing, not allowed, or not the key's.
        Algorithm = "algorithm",
        /// `typ` says that it is no access token.
        Type = "type",
        /// `crit` asks for extensions, or `b64` for another encoding.
        Critical = "critical",
        /// No key, or more than one, fits.
        UnknownKey = "unknown_key",
        /// The signature is not the key's.
        Signature = "signature",
        /// `exp` is missing, or no date.
        Exp = "claim_exp",
        /// `nbf` is no date.
        Nbf = "claim_nbf",
        /// `iat` is no date.
        Iat = "claim_iat",
        /// `iss` is no string.
        Iss = "claim_iss",
        /// The audience is neither a string nor a list of strings.
        Aud = "claim_aud",
        /// The subject is missing, empty, or no string.
        Sub = "claim_sub",
        /// `exp` has passed.
        Expired = "expired",
        /// `nbf` has not come.
        NotYetValid = "not_yet_valid",
        /// `iss` is not the key's issuer.
        Issuer = "issuer",
        /// The audience is somebody else, or missing.
        Audience = "audience",
        /// The key does not vouch for the subject.
        Subject = "subject",
    }
}

// === impl Error ===

impl Error {
    /// Whether it is not known who sends the request (401), unlike what its sender may not do (403).
    pub fn is_unauthenticated(&self) -> bool {
        match self {
            Self::Missing | Self::Token(_) => true,
            Self::Scope { .. } | Self::NoAccount => false,
        }
    }
}

// === impl TokenError ===

impl TokenError {
    /// What the client may know: enough to fetch a new token or to look at its clock, nothing
    /// that helps to forge one. Fit for `error_description` (RFC 6750 section 3).
    pub fn public(self) -> &'static str {
        match self {
            Self::Expired => "The access token expired",
            Self::NotYetValid => "The access token is not yet valid",
            _ => "The access token is invalid",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_its_place_and_a_label_of_its_own() {
        let mut labels = HashSet::from(["accepted", "missing"]);
        for (index, reason) in TokenError::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!(labels.insert(reason.as_str()), "{reason:?}");
        }
    }
}
