//! A JSON Web Key Set (RFC 7517), as far as it verifies tokens.
//!
//! Issuers publish keys for more than tokens, and of kinds that nobody knew when this was
//! written. What cannot be used is left out with the reason; it spoils nothing else.

use std::sync::Arc;

use aws_lc_rs::{encoding::AsDer as _, signature::RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde_json::value::RawValue;

use super::{Error, left_out::LeftOut};
use crate::{
    auth::{Key, KeyError},
    digest::{self, Digest},
    json::{UniqueMembers, without_bom},
};

/// Keys of a set that are looked at: to check one takes time. Known issuers have a dozen.
const MAX_KEYS: usize = 256;

/// Characters of a `kid` in the log.
const MAX_NAME: usize = 64;

/// Members of secret keys (RFC 7518 section 6): a key that is published with them proves nothing.
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The usable keys of a set: at least one.
#[derive(Debug)]
pub(super) struct UsableKeys {
    /// In the order of the set. No two have both the same `kid` and the same algorithm.
    pub(super) keys: Vec<Jwk>,
    /// Why others were left out, in the order of the set.
    pub(super) left_out: LeftOut,
}

/// A usable key.
#[derive(Debug)]
pub(super) struct Jwk {
    /// Its `kid`; many sets of one key have none.
    pub(super) id: Option<String>,
    /// The same for the same key under the same name and no other.
    pub(super) fingerprint: Digest,
    pub(super) key: Arc<Key>,
}

/// Why a key is left out.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("a key with its kid and algorithm stands before it")]
    Repeated,
    #[error("it is no object with each name once, or a member is missing or malformed")]
    Malformed,
    #[error("it is not public")]
    Secret,
    #[error("its type or curve is not known here")]
    Type,
    #[error("it is not there to verify signatures")]
    Use,
    #[error("its algorithm is not known here, or not one of its type")]
    Algorithm,
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl UsableKeys {
    /// Reads a key set. Of two keys with the same `kid` and algorithm the first counts.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] if it is none, [`Error::Empty`] if it has no usable key.
    pub(super) fn parse(json: &[u8]) -> Result<Self, Error> {
        let set = UniqueMembers::parse(without_bom(json)).map_err(|_| Error::Malformed)?;
        let published: Vec<&RawValue> = set.get("keys").ok().flatten().ok_or(Error::Malformed)?;
        let mut keys = Vec::new();
        let beyond = published.len().saturating_sub(MAX_KEYS);
        let mut left_out = LeftOut { named: Vec::new(), beyond };
        for (index, json) in published.iter().take(MAX_KEYS).enumerate() {
            let reason = match Jwk::parse(json.get()) {
                Ok(jwk) if keys.iter().any(|earlier| jwk.repeats(earlier)) => Unusable::Repeated,
                Ok(jwk) => {
                    keys.push(jwk);
                    continue;
                }
                Err(reason) => reason,
            };
            left_out
                .named
                .push((name(json.get(), index), reason.to_string()));
        }
        if keys.is_empty() {
            return Err(Error::Empty(left_out));
        }
        Ok(Self { keys, left_out })
    }
}

/// What a key that cannot be used is called in the log: the beginning of its `kid`, else its place.
fn name(json: &str, index: usize) -> String {
    let members = UniqueMembers::parse(json.as_bytes());
    match members.and_then(|members| members.get::<String>("kid")) {
        Ok(Some(kid)) => kid.chars().take(MAX_NAME).collect(),
        _ => format!("#{index}"),
    }
}

impl Jwk {
    fn parse(json: &str) -> Result<Self, Unusable> {
        let members = UniqueMembers::parse(json.as_bytes())?;
        if SECRET_MEMBERS.iter().any(|name| members.contains(name)) {
            return Err(Unusable::Secret);
        }
        let purpose: Option<String> = members.get("use")?;
        let operations: Option<Vec<String>> = members.get("key_ops")?;
        if purpose.is_some_and(|purpose| purpose != "sig")
            || operations.is_some_and(|all| !all.iter().any(|one| one == "verify"))
        {
            return Err(Unusable::Use);
        }

        let (default, public) = public_key(&members)?;
        let algorithm = match members.get::<String>("alg")? {
            None => default,
            Some(name) => name
                .parse()
                .ok()
                .filter(|&named| named == default || both_are_rsa(named, default))
                .ok_or(Unusable::Algorithm)?,
        };
        let id: Option<String> = members.get("kid")?;
        let name = format!("{algorithm:?}");
        let parts = [name.as_bytes(), &public]
            .into_iter()
            .chain(id.as_ref().map(String::as_bytes));
        let fingerprint = digest::of_parts(parts);
        let key = Key::from_public(id.clone().unwrap_or_default(), algorithm, &public)?;
        Ok(Self { id, fingerprint, key: Arc::new(key) })
    }

    /// Whether it can never be chosen because of an `earlier` one.
    fn repeats(&self, earlier: &Self) -> bool {
        let same_name = self.id.is_some() && self.id == earlier.id;
        self.fingerprint == earlier.fingerprint
            || (same_name && self.key.algorithm == earlier.key.algorithm)
    }
}

/// The public key, and the algorithm that it is for unless it says another (RFC 7518 section 6,
/// RFC 8037 section 2).
fn public_key(members: &UniqueMembers<'_>) -> Result<(Algorithm, Vec<u8>), Unusable> {
    let key_type: String = members.get("kty")?.ok_or(Unusable::Malformed)?;
    if key_type == "RSA" {
        return Ok((Algorithm::RS256, rsa(members)?));
    }
    let curve: Option<String> = members.get("crv")?;
    match (&*key_type, curve.as_deref()) {
        ("EC", Some("P-256")) => Ok((Algorithm::ES256, point(members, 32)?)),
        ("EC", Some("P-384")) => Ok((Algorithm::ES384, point(members, 48)?)),
        ("OKP", Some("Ed25519")) => Ok((Algorithm::EdDSA, bytes_of_length(members, "x", 32)?)),
        _ => Err(Unusable::Type),
    }
}

fn rsa(members: &UniqueMembers<'_>) -> Result<Vec<u8>, Unusable> {
    // Some libraries put a zero before the modulus (RFC 7518 section 6.3.1.1).
    let integer = |name| {
        let bytes = bytes(members, name)?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        Ok::<_, Unusable>(bytes[zeros..].to_vec())
    };
    let components = RsaPublicKeyComponents { n: integer("n")?, e: integer("e")? };
    let der = components.as_der().map_err(|_| Unusable::Malformed)?;
    Ok(der.as_ref().to_vec())
}

/// The uncompressed point (SEC 1 section 2.3.3).
fn point(members: &UniqueMembers<'_>, length: usize) -> Result<Vec<u8>, Unusable> {
    let (x, y) = (bytes_of_length(members, "x", length)?, bytes_of_length(members, "y", length)?);
    Ok([&[0x04][..], &x, &y].concat())
}

fn bytes_of_length(
    members: &UniqueMembers<'_>,
    name: &str,
    length: usize,
) -> Result<Vec<u8>, Unusable> {
    let bytes = bytes(members, name)?;
    if bytes.len() == length { Ok(bytes) } else { Err(Unusable::Malformed) }
}

fn bytes(members: &UniqueMembers<'_>, name: &str) -> Result<Vec<u8>, Unusable> {
    let text: String = members.get(name)?.ok_or(Unusable::Malformed)?;
    // RFC 7518 section 2 wants no padding; some issuers write it.
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| Unusable::Malformed)
}

fn both_are_rsa(one: Algorithm, other: Algorithm) -> bool {
    one.family() == AlgorithmFamily::Rsa && other.family() == AlgorithmFamily::Rsa
}

impl From<serde_json::Error> for Unusable {
    fn from(_: serde_json::Error) -> Self {
        // It might quote what came.
        Self::Malformed
    }
}

#[cfg(test)]
mod tests;
