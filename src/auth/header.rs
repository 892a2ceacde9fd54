//! The header of a token: which key, which algorithm (RFC 7515 section 4).
//!
//! It is read before anything is verified, so it may choose among our keys and nothing else.
//! Keys and addresses of keys that it brings along (`jwk`, `jku`, `x5u`, `x5c`) are not looked
//! at.

use jsonwebtoken::Algorithm;

use super::TokenError;
use crate::json::UniqueMembers;

/// What a token's header says.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

impl Header {
    /// Reads the JSON of a header.
    pub(super) fn parse(json: &[u8]) -> Result<Self, TokenError> {
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
