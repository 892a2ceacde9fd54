//! Keys that verify tokens.

use aws_lc_rs::{
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaParameters,
        VerificationAlgorithm,
    },
};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, crypto};
use serde::Serialize;

use super::TokenError;

/// Bits of the shortest RSA key (RFC 7518 section 3.3).
const MIN_RSA_BITS: u32 = 2048;

/// Bits of the longest RSA key: above, checking a signature is a burden.
const MAX_RSA_BITS: u32 = 8192;

/// A key and what it vouches for.
pub struct Key {
    /// The `kid` that tokens name it by.
    pub id: String,
    /// The one algorithm it is used with.
    pub algorithm: Algorithm,
    /// The `iss` of its tokens, if not `auth.issuer`.
    pub issuer: Option<String>,
    /// The only subjects it vouches for; `None`: any.
    pub subjects: Option<Vec<String>>,
    /// Zeroed when dropped.
    verifying: DecodingKey,
    /// Only a secret signs, too. Zeroed when dropped.
    signing: Option<EncodingKey>,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum KeyError {
    /// HMAC with a secret shorter than the hash (RFC 7518 section 3.2).
    #[error("a secret of {found} bytes is too short: {algorithm:?} needs at least {needed}")]
    ShortSecret { algorithm: Algorithm, found: usize, needed: usize },
    #[error("{0:?} verifies with a public key, not with a secret")]
    NeedsPublicKey(Algorithm),
    #[error("{0:?} verifies with a secret, not with a public key")]
    NeedsSecret(Algorithm),
    #[error("not PEM")]
    Pem(#[source] pem::PemError),
    #[error("PEM with one public key expected, {0} blocks found")]
    Count(usize),
    #[error("a private key: put the public key here, and the private one where only its owner is")]
    Private,
    #[error("a certificate: put its public key here (openssl x509 -pubkey -noout)")]
    Certificate,
    #[error("a PEM block of another kind than PUBLIC KEY or RSA PUBLIC KEY")]
    Kind,
    #[error("no valid public key for {0:?}")]
    Unfit(Algorithm),
    /// RSA below 2048 bits (RFC 7518 section 3.3) or above 8192.
    #[error("an RSA key of {0} bits: 2048 to 8192 are allowed")]
    RsaLength(u32),
    #[error("only a secret can sign")]
    CannotSign,
    #[error("signing failed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

impl Key {
    /// An HMAC key. The secret is at least as long as the hash (RFC 7518 section 3.2).
    ///
    /// # Errors
    ///
    /// A secret that is too short, or an algorithm that uses none.
    pub fn from_secret(id: String, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let needed = match algorithm {
            Algorithm::HS256 => 32,
            Algorithm::HS384 => 48,
            Algorithm::HS512 => 64,
            _ => return Err(KeyError::NeedsPublicKey(algorithm)),
        };
        if secret.len() < needed {
            return Err(KeyError::ShortSecret { algorithm, found: secret.len(), needed });
        }
        Ok(Self {
            signing: Some(EncodingKey::from_secret(secret)),
            ..Self::new(id, algorithm, DecodingKey::from_secret(secret))
        })
    }

    /// A public key in PEM: a `PUBLIC KEY` (RFC 7468 section 13), or an `RSA PUBLIC KEY`
    /// (RFC 8017 appendix A.1.1). RSA has at least 2048 bits (RFC 7518 section 3.3).
    ///
    /// # Errors
    ///
    /// Anything but one public key that fits the algorithm.
    pub fn from_pem(id: String, algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_public(id, algorithm, &public_key_der(pem)?)
    }

    /// A public key in DER, or the bare point of an elliptic curve.
    ///
    /// # Errors
    ///
    /// Anything but a public key that fits the algorithm.
    pub(super) fn from_public(
        id: String,
        algorithm: Algorithm,
        public: &[u8],
    ) -> Result<Self, KeyError> {
        let unfit = || KeyError::Unfit(algorithm);
        let verifying = match algorithm.family() {
            AlgorithmFamily::Hmac => return Err(KeyError::NeedsSecret(algorithm)),
            AlgorithmFamily::Rsa => {
                let key = rsa::PublicKey::from_der(public).map_err(|_| unfit())?;
                let bits = RsaParameters::public_modulus_len(key.as_ref()).map_err(|_| unfit())?;
                if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                    return Err(KeyError::RsaLength(bits));
                }
                DecodingKey::from_rsa_der(key.as_ref())
            }
            AlgorithmFamily::Ec => {
                let curve: &'static dyn VerificationAlgorithm = match algorithm {
                    Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
                    Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
                    _ => return Err(unfit()),
                };
                ParsedPublicKey::new(curve, public).map_err(|_| unfit())?;
                DecodingKey::from_ec_der(public)
            }
            AlgorithmFamily::Ed => {
                ParsedPublicKey::new(&ED25519, public).map_err(|_| unfit())?;
                DecodingKey::from_ed_der(public)
            }
        };
        Ok(Self::new(id, algorithm, verifying))
    }

    /// Signs `claims`, naming this key.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotSign`] if this is a public key.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let signing = self.signing.as_ref().ok_or(KeyError::CannotSign)?;
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, signing).map_err(KeyError::Sign)
    }

    /// Whether this key could [`sign`](Self::sign).
    pub(super) fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// Whether it vouches for `subject`.
    pub(super) fn allows_subject(&self, subject: &str) -> bool {
        let named = |subjects: &Vec<String>| subjects.iter().any(|named| named == subject);
        self.subjects.as_ref().is_none_or(named)
    }

    /// Whether `signature`, in base64url, is this key's under `message`.
    ///
    /// [`TokenError::Malformed`] if it is no base64url.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> Result<bool, TokenError> {
        crypto::verify(signature, message, &self.verifying, self.algorithm)
            .map_err(|_| TokenError::Malformed)
    }

    fn new(id: String, algorithm: Algorithm, verifying: DecodingKey) -> Self {
        Self { id, algorithm, issuer: None, subjects: None, verifying, signing: None }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The DER of the one public key in `text`.
fn public_key_der(text: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut blocks = pem::parse_many(text).map_err(KeyError::Pem)?;
    // Before all else, also before their number: a secret that lies about is what its owner
    // wants to hear of first.
    if blocks
        .iter()
        .any(|block| block.tag().ends_with("PRIVATE KEY"))
    {
        return Err(KeyError::Private);
    }
    let count = blocks.len();
    let Some(block) = blocks.pop().filter(|_| count == 1) else {
        return Err(KeyError::Count(count));
    };
    match block.tag() {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Ok(block.into_contents()),
        tag if tag.ends_with("CERTIFICATE") => Err(KeyError::Certificate),
        _ => Err(KeyError::Kind),
    }
}

#[cfg(test)]
mod tests;
