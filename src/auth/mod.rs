//! Who is calling, what they may do, and with which credential their calls go upstream.
//!
//! Two rules of the request path: [`Authenticate`] turns a token into a [`Caller`], and
//! [`Authorize`] turns a caller into a [`Credential`]. They are apart because the rate limit
//! stands between them: it must know the caller, and must count the one who is then forbidden.
//!
//! Every request passes both, also one that the cache could answer.

mod account;
mod authenticate;
mod authorize;
mod caller;
mod claims;
mod credential;
mod digest;
mod error;
mod header;
mod issue;
mod key;
mod keys;
mod members;
mod metrics;
mod scope;
#[cfg(test)]
mod testing;
mod token;
mod verified;

use std::time::Duration;

use http::HeaderName;

pub use self::{
    account::Account,
    authenticate::Authenticate,
    authorize::Authorize,
    caller::{Caller, Identity},
    credential::{Credential, CredentialFields},
    error::{Error, Reason},
    issue::IssueError,
    key::{Key, KeyError},
    metrics::Metrics,
    scope::Scopes,
};

/// What the `[auth]` and `[[account]]` tables say.
#[derive(Debug)]
pub struct Config {
    /// Whether a token is asked for at all.
    pub enabled: bool,
    /// The `iss` that tokens must carry, unless their key names its own.
    pub issuer: Option<String>,
    /// Values of which `aud` must contain one; empty: `aud` is not looked at.
    pub audience: Vec<String>,
    /// Algorithms that a token's header may name.
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// How far clocks may be apart when `exp` and `nbf` are judged.
    pub leeway: Duration,
    /// The configured keys; every `kid` stands once.
    pub keys: Vec<Key>,
    /// The scopes that reading and writing need; `None`: any valid token may do anything.
    pub scopes: Option<Scopes>,
    /// The accounts at Sync; empty: the caller's own credential goes upstream.
    pub accounts: Vec<Account>,
    /// Fields that carry a credential, besides `Authorization` and `Cookie`.
    pub credential_headers: Vec<HeaderName>,
    /// The upstream's origin: a part of every credential's digest, so that what was cached from
    /// one upstream is never served for another.
    pub origin: String,
}

// === impl Config ===

impl Config {
    /// The two rules. They share nothing but the extensions of a request.
    pub fn build(self, metrics: Metrics) -> (Authenticate, Authorize) {
        let fields = self.credential_fields();
        let authorize = Authorize::new(self.scopes.clone(), self.accounts, fields, self.origin);
        let verifier = self.enabled.then(|| {
            token::Verifier::new(
                keys::Keys::new(self.keys),
                self.algorithms,
                claims::Policy {
                    issuer: self.issuer,
                    audience: self.audience,
                    leeway: self.leeway,
                    scopes: self.scopes,
                },
            )
        });
        (Authenticate::new(verifier, metrics), authorize)
    }

    /// Each account's name with the digest of the credential that its calls carry.
    pub fn account_digests(&self) -> impl Iterator<Item = (&str, [u8; 32])> {
        let digest = |account: &Account| account.digest(&self.origin);
        self.accounts
            .iter()
            .map(move |account| (account.name.as_str(), digest(account)))
    }

    /// The fields that make up a call's credential: for whoever composes a call of its own.
    pub fn credential_fields(&self) -> CredentialFields {
        CredentialFields::new(&self.credential_headers, &self.accounts)
    }
}
