//! `[auth]`: the tokens that callers show.

use std::{path::PathBuf, time::Duration};

use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    auth::jwks::Source,
    config::{
        choice::OneOf,
        secret::Secret,
        table::Table,
        text::Text,
        units::{MINUTE, Time},
    },
};

/// The tokens that callers show.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// Whether a token is asked for. By default it is: a gateway holds keys to a foreign house.
    pub(crate) enabled: bool,
    /// Allows `enabled = false` together with accounts off loopback: then anyone who reaches the
    /// listener uses the account. By default that is taken for a mistake.
    pub(crate) open: bool,
    /// The issuer that tokens must name, unless their key has its own. Required with jwks_url.
    pub(crate) issuer: Option<Text<String>>,
    /// Audiences of which a token must name one. Required with jwks_url; empty: not looked at.
    pub(crate) audience: Vec<Text<String>>,
    /// Algorithms that tokens may be signed with. By default one of each kind, the usual one.
    pub(crate) algorithms: Vec<OneOf<Algorithm>>,
    /// How far clocks may be apart: more than machines that keep time ever are.
    pub(crate) leeway: Time<0, { 10 * MINUTE }>,
    /// Where the issuer publishes its keys: https, http on loopback only, or a file.
    #[serde(serialize_with = "masked")]
    pub(crate) jwks_url: Option<Text<String>>,
    /// Who signs that server's certificate, PEM. Absent: whom the system trusts.
    pub(crate) jwks_ca: Option<PathBuf>,
    /// Keys that are known beforehand.
    pub(crate) key: Vec<Table<Key>>,
    /// The scopes that tokens need. Absent: any valid token may do anything.
    pub(crate) scope: Option<Table<Scope>>,
}

/// A key that verifies tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id", "algorithm"]))]
pub(crate) struct Key {
    /// The `kid` that tokens name it by.
    pub(crate) id: Option<Text<String>>,
    /// The one algorithm that it is used with.
    pub(crate) algorithm: Option<OneOf<Algorithm>>,
    /// The secret of an HS algorithm: as many random bytes as its hash has, or more.
    pub(crate) secret: Option<Secret>,
    /// The public key of every other algorithm, PEM.
    pub(crate) public_key: Option<Secret>,
    /// The issuer that its tokens must name. Absent: auth.issuer.
    pub(crate) issuer: Option<Text<String>>,
    /// The only subjects that it vouches for. Absent: any.
    pub(crate) subjects: Option<Vec<Text<String>>>,
}

/// The scopes that tokens need.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["read", "write"]))]
pub(crate) struct Scope {
    /// To look something up.
    pub(crate) read: Option<Text<String>>,
    /// To change something.
    pub(crate) write: Option<Text<String>>,
}

// === impl Auth ===

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: true,
            open: false,
            issuer: None,
            audience: Vec::new(),
            algorithms: [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256]
                .map(OneOf)
                .to_vec(),
            leeway: Time(Duration::from_secs(30)),
            jwks_url: None,
            jwks_ca: None,
            key: Vec::new(),
            scope: None,
        }
    }
}

/// Whoever asks for the configuration in force does not learn what the query of a URL says.
fn masked<S: Serializer>(url: &Option<Text<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = url.as_ref().map(|url| Source::masked(&url.0));
    shown.serialize(serializer)
}
