//! `[auth]`: the tokens that clients send.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;

use crate::config::{
    declaration::table,
    secret::Secret,
    text::{JwksUrl, Scope},
    units::{KIB, MINUTE, Size, Time},
    value::List,
};

table! {
    pub(crate) struct Auth {
        enabled: bool = true,
        open: bool = false,
        [Reload] issuer: Option<String> = None,
        [Reload] audience: List<String> = List::new(),
        [Reload] algorithms: List<Algorithm> =
            [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256]
                .map(Into::into)
                .into(),
        [Reload] leeway: Time<0, { 10 * MINUTE }> = Time::seconds(30),
        [Reload] max_token: Size<KIB, { 64 * KIB }> = Size(16 * KIB),
        [Reload] subject_claims: List<String> = ["sub"].map(|it| it.to_owned().into()).into(),
        [Reload] audience_claims: List<String> = ["aud"].map(|it| it.to_owned().into()).into(),
        jwks_url: Option<JwksUrl> = None,
        jwks_ca: Option<PathBuf> = None,
        [Reload] key: List<Key> = List::new(),
        [Reload] scope: Option<Scopes> = None,
    }
}

table! {
    /// A key that verifies tokens.
    pub(crate) struct Key {
        [Required] id: Option<String> = None,
        [Required] algorithm: Option<Algorithm> = None,
        secret: Option<Secret> = None,
        public_key: Option<Secret> = None,
        issuer: Option<String> = None,
        subjects: Option<List<String>> = None,
    }
}

table! {
    pub(crate) struct Scopes {
        [Required] read: Option<Scope> = None,
        [Required] write: Option<Scope> = None,
        claims: List<String> = ["scope", "scp"].map(|it| it.to_owned().into()).into(),
    }
}
