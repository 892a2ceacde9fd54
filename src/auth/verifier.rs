//! Tokens: taken apart and verified (RFC 7519 section 7.2, with the advice of RFC 8725).
//!
//! The header is read to find the key, then the signature is checked, and only then the claims
//! are looked at. A forger learns nothing from claims, and a parser of claims never meets one.
//!
//! Since the header (RFC 7515 section 4) is read before anything is verified, it may choose among our
//! keys and nothing else. Keys and addresses of keys that it brings along (`jwk`, `jku`, `x5u`, `x5c`)
//! are not looked at.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;

use super::{
    Error, Identity, Key, TokenError, TokenRules,
    jwks::{Fetch, Found},
    keys::Keys,
};
use crate::json::UniqueMembers;

/// Verifies tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    keys: Keys,
    algorithms: Vec<Algorithm>,
    rules: TokenRules,
}

/// A token that was verified.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Whom it speaks for.
    pub(super) identity: Arc<Identity>,
    /// The time since 1970 at which it ends, leeway included.
    pub(super) until: Duration,
    /// The key that it was verified with: when that is gone, so is the token.
    pub(super) key: Weak<Key>,
}

/// Why a token is not verified.
#[derive(Debug)]
pub(super) enum Unverified {
    /// It is no good.
    Refused(Error),
    /// Its key may come: to be verified again when the fetch has ended.
    Awaits(Fetch),
}

impl Verifier {
    pub(super) fn new(keys: Keys, algorithms: Vec<Algorithm>, rules: TokenRules) -> Self {
        Self { keys, algorithms, rules }
    }

    /// Bytes of the longest token.
    pub(super) fn max_length(&self) -> usize {
        self.rules.max_length
    }

    /// Verifies `token` at `now` since 1970.
    pub(super) fn verify(&self, token: &[u8], now: Duration) -> Result<Accepted, Unverified> {
        if token.len() > self.max_length() {
            return Err(TokenError::TooLong.into());
        }
        let token = str::from_utf8(token).map_err(|_| TokenError::Malformed)?;
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        // A dot left in the claims is no base64url, so there are three parts.
        let header = Header::parse(&decode(header)?)?;
        let claims = decode(claims)?;

        if !self.algorithms.contains(&header.algorithm) {
            return Err(TokenError::Algorithm.into());
        }
        let key = match self.keys.find(header.key_id.as_deref(), header.algorithm) {
            Found::Key(key) => key,
            Found::Awaited(fetch) => return Err(Unverified::Awaits(fetch)),
            Found::Nothing => return Err(TokenError::UnknownKey.into()),
        };
        if key.algorithm != header.algorithm {
            return Err(TokenError::Algorithm.into());
        }
        if !key.verifies(message.as_bytes(), signature)? {
            return Err(TokenError::Signature.into());
        }

        let claims = UniqueMembers::parse(&claims).map_err(|_| TokenError::Malformed)?;
        let (identity, until) = self.rules.check(&claims, &key, now)?;
        Ok(Accepted { identity: Arc::new(identity), until, key: Arc::downgrade(&key) })
    }
}

impl<E: Into<Error>> From<E> for Unverified {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// What a token's header says.
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Header {
    /// Reads the JSON of a header.
    fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let members = UniqueMembers::parse(json).map_err(|_| TokenError::Malformed)?;
        let algorithm = members
            .get::<String>("alg")
            .ok()
            .flatten()
            .and_then(|name| name.parse().ok())
            .ok_or(TokenError::Algorithm)?;
        // RFC 7797 section 7: a JWT never has an unencoded payload.
        if members.contains("crit") || !matches!(members.get("b64"), Ok(None | Some(true))) {
            return Err(TokenError::Critical);
        }
        match members.get::<String>("typ") {
            Ok(None) => {}
            Ok(Some(media_type)) if is_access_token(&media_type) => {}
            _ => return Err(TokenError::Type),
        }
        let key_id = members.get("kid").map_err(|_| TokenError::UnknownKey)?;
        Ok(Self { algorithm, key_id })
    }
}

/// `JWT` (RFC 7519 section 5.1) or `at+jwt` (RFC 9068 section 2.1), as media types: in any case,
/// with or without `application/`.
fn is_access_token(media_type: &str) -> bool {
    const PREFIX: &str = "application/";
    let subtype = match media_type.split_at_checked(PREFIX.len()) {
        Some((prefix, subtype)) if prefix.eq_ignore_ascii_case(PREFIX) => subtype,
        _ => media_type,
    };
    subtype.eq_ignore_ascii_case("JWT") || subtype.eq_ignore_ascii_case("at+jwt")
}

/// Decodes base64url without padding, and without bits that nobody reads: one value has one
/// spelling.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests;
