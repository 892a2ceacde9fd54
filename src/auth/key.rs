//! Keys that verify tokens.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

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
    #[allow(dead_code)]
    verifying: DecodingKey,
    #[allow(dead_code)]
    signing: Option<EncodingKey>,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Refined by the auth module.
    #[error("unusable key")]
    Unusable,
}

// === impl Key ===

impl Key {
    /// An HMAC key. The secret is at least as long as the hash (RFC 7518 section 3.2).
    pub fn from_secret(
        _id: String,
        _algorithm: Algorithm,
        _secret: &[u8],
    ) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// A public key in PEM. RSA has at least 2048 bits (RFC 7518 section 3.3).
    pub fn from_pem(_id: String, _algorithm: Algorithm, _pem: &[u8]) -> Result<Self, KeyError> {
        unimplemented!()
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
