//! Why a request is refused.

use crate::labels::labels;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No token was sent (401 without an error code, RFC 6750 section 3.1).
    #[error("no bearer token")]
    Missing,
    /// The token is no good (401, `invalid_token`).
    #[error("the token was refused: {0}")]
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
    #[allow(missing_docs, reason = "each says in words what it means")]
    #[derive(Hash, thiserror::Error)]
    pub enum TokenError {
        #[error("there is more than one Authorization header")]
        Several = "several",
        #[error("it is longer than auth.max_token")]
        TooLong = "too_long",
        #[error("it is not three parts of base64url, or one is not an object with each name once")]
        Malformed = "malformed",
        #[error("alg is missing, not one of auth.algorithms, or not the key's")]
        Algorithm = "algorithm",
        #[error("typ says that it is no access token")]
        Type = "type",
        #[error("crit asks for extensions, or b64 for another encoding")]
        Critical = "critical",
        #[error("no key, or more than one, fits its kid and alg")]
        UnknownKey = "unknown_key",
        #[error("the signature is not the key's")]
        Signature = "signature",
        #[error("exp is missing or not a date")]
        Exp = "claim_exp",
        #[error("nbf is not a date")]
        Nbf = "claim_nbf",
        #[error("iat is not a date")]
        Iat = "claim_iat",
        #[error("iss is not a string")]
        Iss = "claim_iss",
        #[error("the audience is neither a string nor a list of strings")]
        Aud = "claim_aud",
        #[error("the subject is missing, empty or not a string")]
        Sub = "claim_sub",
        #[error("exp has passed")]
        Expired = "expired",
        #[error("nbf has not come")]
        NotYetValid = "not_yet_valid",
        #[error("iss is not the key's issuer")]
        Issuer = "issuer",
        #[error("the audience is missing, or none of auth.audience")]
        Audience = "audience",
        #[error("the key does not vouch for the subject")]
        Subject = "subject",
    }
}

impl Error {
    /// Whether it is not known who sends the request (401), unlike what they may not do (403).
    pub fn is_unauthenticated(&self) -> bool {
        match self {
            Self::Missing | Self::Token(_) => true,
            Self::Scope { .. } | Self::NoAccount => false,
        }
    }
}

impl From<TokenError> for Error {
    fn from(reason: TokenError) -> Self {
        Self::Token(reason)
    }
}

impl TokenError {
    /// What the client may know: enough to fetch a new token or to look at its clock, nothing
    /// that helps to forge one. Fit for `error_description` (RFC 6750 section 3).
    pub fn public(self) -> &'static str {
        match self {
            Self::Expired => "The access token expired",
            Self::NotYetValid => "The access token is not yet valid",
            Self::TooLong => "The access token is too long",
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
        let mut words = HashSet::new();
        for (index, reason) in TokenError::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!(labels.insert(reason.as_str()), "{reason:?}");
            assert!(words.insert(reason.to_string()), "{reason:?}");
        }
    }
    #[test]
    fn a_client_learns_whether_to_fetch_a_new_token_and_nothing_that_helps_to_forge_one() {
        for reason in TokenError::ALL {
            let said = match reason {
                TokenError::Expired => "The access token expired",
                TokenError::NotYetValid => "The access token is not yet valid",
                TokenError::TooLong => "The access token is too long",
                _ => "The access token is invalid",
            };
            assert_eq!(reason.public(), said);
        }
    }
}
