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

/// Why a token is no good: for the log and the metric, the caller gets [`Reason::public`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// More than one `Authorization` field.
    Several,
    /// Longer than 8 KiB.
    TooLong,
    /// Not three parts of base64url, or header or claims are not an object with each name once.
    Malformed,
    /// `alg` is missing, not allowed, or not the key's.
    Algorithm,
    /// `typ` says that it is no access token.
    Type,
    /// `crit` asks for extensions, or `b64` for another encoding.
    Critical,
    /// No key, or more than one, fits.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
    /// A claim is missing, or of another type than RFC 7519 gives it.
    Claims,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// `iss` is not the key's issuer.
    Issuer,
    /// `aud` is somebody else.
    Audience,
    /// The key does not vouch for `sub`.
    Subject,
}

// === impl Error ===

impl Error {
    /// Whether it is not known who the caller is (401), other than what it may not do (403).
    pub fn is_unauthenticated(&self) -> bool {
        match self {
            Self::Missing | Self::Token(_) => true,
            Self::Scope { .. } | Self::NoAccount => false,
        }
    }
}

// === impl Reason ===

impl Reason {
    /// Every reason, in the order of [`Reason::index`].
    pub const ALL: [Self; 14] = [
        Self::Several,
        Self::TooLong,
        Self::Malformed,
        Self::Algorithm,
        Self::Type,
        Self::Critical,
        Self::UnknownKey,
        Self::Signature,
        Self::Claims,
        Self::Expired,
        Self::NotYetValid,
        Self::Issuer,
        Self::Audience,
        Self::Subject,
    ];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Several => "several",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Critical => "critical",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
        }
    }

    /// What the caller may know: enough to fetch a new token or to look at its clock, nothing
    /// that helps to forge one. Fit for `error_description` (RFC 6750 section 3).
    pub fn public(self) -> &'static str {
        match self {
            Self::Expired => "The access token expired",
            Self::NotYetValid => "The access token is not yet valid",
            Self::Several
            | Self::TooLong
            | Self::Malformed
            | Self::Algorithm
            | Self::Type
            | Self::Critical
            | Self::UnknownKey
            | Self::Signature
            | Self::Claims
            | Self::Issuer
            | Self::Audience
            | Self::Subject => "The access token is invalid",
        }
    }

    /// The place in [`Reason::ALL`], for tables of handles by reason.
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_its_place_and_a_label_of_its_own() {
        let mut labels = HashSet::from(["accepted", "missing"]);
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!(labels.insert(reason.as_str()), "{reason:?}");
        }
    }
}
