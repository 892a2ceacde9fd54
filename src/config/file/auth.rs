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
    /// The tokens that clients send.
    pub(crate) struct Auth {
        /// Whether requests need a token. By default they do: a gateway holds credentials of
        /// another organisation.
        enabled: bool = true,
        /// Allows enabled = false together with accounts off loopback: then anyone who reaches the
        /// listener uses the account. By default that is taken for a mistake.
        open: bool = false,
        /// The issuer that tokens must name, unless their key has its own. Required with jwks_url;
        /// if absent, it is not checked.
        [Reload] issuer: Option<String> = None,
        /// Audiences of which a token must name one. Required with jwks_url; if empty, it is not
        /// checked.
        [Reload] audience: List<String> = List::new(),
        /// Algorithms that tokens may be signed with; of HS256 HS384 HS512 RS256 RS384 RS512 PS256
        /// PS384 PS512 ES256 ES384 EdDSA. By default the usual one of each kind.
        [Reload] algorithms: List<Algorithm> =
            [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256]
                .map(Into::into)
                .into(),
        /// How far clocks may be apart. More than those of machines that keep time ever are.
        [Reload] leeway: Time<0, { 10 * MINUTE }> = Time::seconds(30),
        /// Bytes of a token. Those with many groups in them reach some thousands.
        [Reload] max_token: Size<KIB, { 64 * KIB }> = Size(16 * KIB),
        /// The first of these claims that a token has is its subject, for example
        /// ["sub", "client_id", "azp"].
        [Reload] subject_claims: List<String> = ["sub"].map(|it| it.to_owned().into()).into(),
        /// The first of these claims that a token has is its audience, for example
        /// ["aud", "client_id"] for access tokens of Cognito.
        [Reload] audience_claims: List<String> = ["aud"].map(|it| it.to_owned().into()).into(),
        /// Where the issuer publishes its keys: https, http on loopback only, or a file. A file is
        /// read with the configuration, too, and must have a usable key.
        jwks_url: Option<JwksUrl> = None,
        /// The CA certificates of that server, PEM. If absent, those that the system trusts.
        jwks_ca: Option<PathBuf> = None,
        /// Keys that verify tokens. While tokens are required, at least one of these, or jwks_url,
        /// is, too.
        [Reload] key: List<Key> = List::new(),
        [Reload] scope: Option<Scopes> = None,
    }
}

table! {
    /// A key that verifies tokens.
    pub(crate) struct Key {
        /// The "kid" that tokens name it by.
        [Required] id: Option<String> = None,
        /// The one algorithm that it is used with.
        [Required] algorithm: Option<Algorithm> = None,
        /// The secret of an HS algorithm: at least as many random bytes as its hash has, for
        /// HS256 for example those of openssl rand -hex 32.
        secret: Option<Secret> = None,
        /// The public key of every other algorithm, PEM.
        public_key: Option<Secret> = None,
        /// The issuer that its tokens must name. If absent, auth.issuer.
        issuer: Option<String> = None,
        /// The only subjects that its tokens may name. If absent, any.
        subjects: Option<List<String>> = None,
    }
}

table! {
    /// The scopes that tokens need, both or none. If absent, any valid token may do anything.
    pub(crate) struct Scopes {
        /// To look something up.
        [Required] read: Option<Scope> = None,
        /// To change something.
        [Required] write: Option<Scope> = None,
        /// The claims that hold scopes, as words or as a list; all of them count. For example also
        /// "roles" or "permissions".
        claims: List<String> = ["scope", "scp"].map(|it| it.to_owned().into()).into(),
    }
}
