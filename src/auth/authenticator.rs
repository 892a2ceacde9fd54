//! Who is it: the bearer token, read and looked up or verified.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Request, header::AUTHORIZATION};
use tokio::time::timeout;

use super::{
    Error, Identity, Metrics, Principal, TokenError,
    jwks::{self, Fetch},
    refusal_log::RefusalLog,
    token::{Unverified, Verifier},
    token_cache::TokenCache,
};
use crate::{body::Body, digest, peer::Peer, rule::Refused};

/// Turns bearer tokens into principals.
#[derive(Debug)]
pub(super) struct Authenticator {
    /// `None`: tokens are not asked for.
    tokens: Option<Tokens>,
    metrics: Metrics,
    refusals: RefusalLog,
}

#[derive(Debug)]
struct Tokens {
    verifier: Verifier,
    verified: TokenCache,
}

/// What a request's token shows.
#[derive(Debug)]
pub(super) enum Authentication {
    /// Who is calling.
    Principal(Principal),
    /// Nobody who may.
    Refused(Error),
    /// Nothing before this fetch has ended: see [`Authenticator::wait_and_check`].
    Awaits(Fetch),
}

// === impl Authenticator ===

impl Authenticator {
    pub(super) fn new(verifier: Option<Verifier>, metrics: Metrics) -> Self {
        let tokens = verifier.map(|verifier| Tokens { verifier, verified: TokenCache::default() });
        Self { tokens, metrics, refusals: RefusalLog::default() }
    }

    /// Judges the token in `headers` at `now` since 1970.
    pub(super) fn check(&self, headers: &HeaderMap, now: Duration) -> Authentication {
        let Some(tokens) = &self.tokens else {
            return Authentication::Principal(Principal::Anyone);
        };
        let authentication = tokens.check(headers, now);
        match &authentication {
            Authentication::Principal(_) => self.metrics.accepted(),
            Authentication::Refused(error) => self.metrics.refused(error),
            Authentication::Awaits(_) => {}
        }
        authentication
    }

    /// Waits for `fetch`, and for another if that one did not look for this token's key, but not
    /// for long.
    pub(super) async fn wait_and_check(
        &self,
        headers: &HeaderMap,
        mut fetch: Fetch,
    ) -> Result<Principal, Error> {
        let settled = async {
            loop {
                fetch.as_mut().await;
                match self.check(headers, unix_time()) {
                    Authentication::Principal(principal) => return Ok(principal),
                    Authentication::Refused(error) => return Err(error),
                    Authentication::Awaits(next) => fetch = next,
                }
            }
        };
        timeout(jwks::MAX_WAIT, settled).await.unwrap_or_else(|_| {
            let error = Error::Token(TokenError::UnknownKey);
            self.metrics.refused(&error);
            Err(error)
        })
    }

    /// Refuses `request`, and says in the log why, if it had a token.
    pub(super) fn refuse<E: From<Error>>(
        &self,
        error: Error,
        request: Request<Body>,
    ) -> Refused<E> {
        if let Error::Token(reason) = error {
            let peer = request.extensions().get::<Peer>();
            self.refusals.note(reason, peer.map(|peer| peer.client));
        }
        Refused::new(error, request)
    }
}

// === impl Tokens ===

impl Tokens {
    fn check(&self, headers: &HeaderMap, now: Duration) -> Authentication {
        match bearer(headers) {
            Ok(token) => match self.identify(token, now) {
                Ok(identity) => Authentication::Principal(Principal::Subject(identity)),
                Err(Unverified::Refused(reason)) => Authentication::Refused(Error::Token(reason)),
                Err(Unverified::Awaits(fetch)) => Authentication::Awaits(fetch),
            },
            Err(error) => Authentication::Refused(error),
        }
    }

    fn identify(&self, token: &[u8], now: Duration) -> Result<Arc<Identity>, Unverified> {
        if token.len() > self.verifier.max_length() {
            return Err(TokenError::TooLong.into());
        }
        let digest = digest::of(token);
        if let Some(identity) = self.verified.get(&digest, now) {
            return Ok(identity);
        }
        let accepted = self.verifier.verify(token, now)?;
        let identity = Arc::clone(&accepted.identity);
        self.verified.insert(digest, accepted, now);
        Ok(identity)
    }
}

/// The token of the one `Authorization` field (RFC 9110 section 11.6.2, RFC 6750 section 2.1).
///
/// Another scheme is no token at all. Two fields are refused, whatever they hold: whoever reads
/// after us may read the other one.
fn bearer(headers: &HeaderMap) -> Result<&[u8], Error> {
    let mut fields = headers.get_all(AUTHORIZATION).into_iter();
    let field = fields.next().ok_or(Error::Missing)?.as_bytes();
    if fields.next().is_some() {
        return Err(Error::Token(TokenError::Several));
    }
    let (scheme, mut token) = field.split_at(memchr::memchr(b' ', field).unwrap_or(field.len()));
    while let [b' ', rest @ ..] = token {
        token = rest;
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() {
        return Err(Error::Missing);
    }
    Ok(token)
}

/// Time since 1970. A clock before that is at its end: then every token has expired.
pub(super) fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
