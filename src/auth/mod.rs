//! Who is calling, what they may do, and with which credential their calls go upstream.
//!
//! Two rules of the request path: [`Authenticate`] turns a token into a [`Principal`], and
//! [`Authorize`] turns a principal into a [`Credential`]. They are apart because the rate limit
//! stands between them: it must know the principal, and must count the one who is then forbidden.
//! Only the first may have to wait, for a key that its issuer has just published ([`jwks`]).
//!
//! Every request passes both, also one that the cache could answer.

mod accounts;
mod authenticator;
mod authorize;
mod claims;
mod credential;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod issue;
pub mod jwks;
mod keys;
mod metrics;
mod principal;
mod refused_log;
#[cfg(test)]
mod testing;
mod token_cache;
mod token_key;
mod verifier;

use std::sync::Arc;

use http::HeaderName;

use self::{
    authenticator::Authenticator, jwks::KeySet, keys::Keys, refused_log::RefusedLog,
    verifier::Verifier,
};

pub use self::{
    accounts::SyncAccount,
    authenticator::Authenticate,
    authorize::Authorize,
    claims::{Scopes, TokenRules},
    credential::{Credential, CredentialFields},
    error::{Error, TokenError},
    issue::IssueError,
    metrics::Metrics,
    principal::{Identity, Principal},
    token_key::{Key, KeyError},
};

/// What the `[auth]` and `[[account]]` tables say.
#[derive(Debug)]
pub struct Config {
    /// Whether a token is asked for at all.
    pub enabled: bool,
    /// Algorithms that a token's header may name.
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// What tokens must say.
    pub tokens: TokenRules,
    /// The configured keys; every `kid` stands once.
    pub keys: Vec<Key>,
    /// The accounts at Sync; empty: the client's own credential goes upstream.
    pub accounts: Vec<SyncAccount>,
    /// Headers that carry a credential, besides `Authorization`, `Cookie` and those of accounts.
    pub credential_headers: Vec<HeaderName>,
    /// The upstream's origin: a part of every credential's digest, so that what was cached from
    /// one upstream is never served for another.
    pub origin: String,
}

/// The parts that a [`Config`] makes. The two lines of the request path share nothing but the
/// extensions of a request.
#[derive(Debug)]
pub struct Auth {
    /// Who is calling.
    pub authenticate: Authenticate,
    /// What they may do.
    pub authorize: Authorize,
}

impl Config {
    /// The parts, which know no token yet. Keys that the issuer publishes vouch for `issuer` only,
    /// so it must be there with `published`.
    pub fn build(self, published: Option<Arc<KeySet>>, metrics: Metrics) -> Auth {
        let fields = self.credential_fields();
        let (scopes, refusals) = (self.tokens.scopes.clone(), Arc::<RefusedLog>::default());
        let authorize =
            Authorize::new(scopes, self.accounts, fields, self.origin, Arc::clone(&refusals));
        let verifier = self
            .enabled
            .then(|| Verifier::new(Keys::new(self.keys, published), self.algorithms, self.tokens));
        let authenticate = Authenticate(Arc::new(Authenticator::new(verifier, metrics, refusals)));
        Auth { authenticate, authorize }
    }

    /// Each account's name with the digest of the credential that its calls carry.
    pub fn account_digests(&self) -> impl Iterator<Item = (&str, [u8; 32])> {
        let digest = |account: &SyncAccount| account.digest(&self.origin);
        self.accounts
            .iter()
            .map(move |account| (account.name.as_str(), digest(account)))
    }

    /// Whether requests of `subject` go upstream: with an account, or with their own credential.
    pub fn has_account_for(&self, subject: &str) -> bool {
        let is_taken = |account: &SyncAccount| account.takes(subject);
        self.accounts.is_empty() || self.accounts.iter().any(is_taken)
    }

    /// The headers that make up a call's credential. That of an account carries one whoever sends it.
    pub fn credential_fields(&self) -> CredentialFields {
        let of_accounts = self.accounts.iter().map(|account| &account.header);
        CredentialFields::new(self.credential_headers.iter().chain(of_accounts))
    }
}
