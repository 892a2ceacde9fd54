//! Who is it: the bearer token, read and looked up or verified.

use std::{
    mem,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Request, header::AUTHORIZATION};
use tokio::time::timeout;

use super::{
    Error, Metrics, Principal, TokenError,
    jwks::{self, Fetch},
    refused_log::RefusedLog,
    token_cache::TokenCache,
    verifier::{Unverified, Verifier},
};
use crate::{
    body::Body,
    digest::{self, Digest},
    headers::only,
    last::Last,
    request_context::RequestContext,
    rule::{Pass, Rejection, Rule},
};

/// Asks for a token: 401, or a [`Principal`] in the request's extensions.
#[derive(Clone, Debug)]
pub struct Authenticate(pub(super) Arc<Authenticator>);

/// Turns bearer tokens into principals.
#[derive(Debug)]
pub(super) struct Authenticator {
    /// `None`: tokens are not asked for.
    tokens: Option<Tokens>,
    metrics: Metrics,
    refusals: Arc<RefusedLog>,
}

#[derive(Debug)]
struct Tokens {
    verifier: Verifier,
    verified: TokenCache,
}

impl Rule for Authenticate {
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        match self
            .0
            .check(request.headers(), last_digest(request), unix_time())
        {
            Ok(principal) => {
                request.extensions_mut().insert(principal);
                Ok(Pass::Now)
            }
            Err(Unverified::Refused(error)) => {
                self.0.refusals.note(&error, request);
                Err(error)
            }
            Err(Unverified::Awaits(fetch)) => {
                let waiting = Arc::clone(&self.0).wait_and_check(mem::take(request), fetch);
                Ok(Pass::later(waiting))
            }
        }
    }
}

impl Authenticator {
    pub(super) fn new(
        verifier: Option<Verifier>,
        metrics: Metrics,
        refusals: Arc<RefusedLog>,
    ) -> Self {
        let tokens = verifier.map(|verifier| Tokens { verifier, verified: TokenCache::default() });
        Self { tokens, metrics, refusals }
    }

    /// Checks the token in `headers` at `now` since 1970. Its hash may be the last of its
    /// connection.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        last_digest: Option<&Last<Digest>>,
        now: Duration,
    ) -> Result<Principal, Unverified> {
        let Some(tokens) = &self.tokens else { return Ok(Principal::Anyone) };
        let checked = tokens.check(headers, last_digest, now);
        match &checked {
            Ok(_) => self.metrics.accepted(),
            Err(Unverified::Refused(error)) => self.metrics.refused(error),
            Err(Unverified::Awaits(_)) => {}
        }
        checked
    }

    /// Waits for `fetch`, and for another if that one did not look for this token's key, but not
    /// for long.
    async fn wait_and_check(
        self: Arc<Self>,
        mut request: Request<Body>,
        mut fetch: Fetch,
    ) -> Result<Request<Body>, Rejection<Error>> {
        let (headers, last_digest) = (request.headers(), last_digest(&request));
        let settled = async {
            loop {
                fetch.as_mut().await;
                match self.check(headers, last_digest, unix_time()) {
                    Ok(principal) => return Ok(principal),
                    Err(Unverified::Refused(error)) => return Err(error),
                    Err(Unverified::Awaits(next)) => fetch = next,
                }
            }
        };
        let checked = timeout(jwks::MAX_WAIT, settled).await.unwrap_or_else(|_| {
            let error = Error::Token(TokenError::UnknownKey);
            self.metrics.refused(&error);
            Err(error)
        });
        match checked {
            Ok(principal) => {
                request.extensions_mut().insert(principal);
                Ok(request)
            }
            Err(error) => {
                self.refusals.note(&error, &request);
                Err(Rejection::new(error, request))
            }
        }
    }
}

impl Tokens {
    fn check(
        &self,
        headers: &HeaderMap,
        last_digest: Option<&Last<Digest>>,
        now: Duration,
    ) -> Result<Principal, Unverified> {
        let token = bearer(headers)?;
        if token.len() > self.verifier.max_length() {
            return Err(TokenError::TooLong.into());
        }
        let digest =
            last_digest.map_or_else(|| digest::of(token), |last| last.of(token, digest::of));
        if let Some(identity) = self.verified.get(&digest, now) {
            return Ok(Principal::Subject(identity));
        }
        let accepted = self.verifier.verify(token, now)?;
        let identity = Arc::clone(&accepted.identity);
        self.verified.insert(digest, accepted, now);
        Ok(Principal::Subject(identity))
    }
}

/// The token of the one `Authorization` field (RFC 9110 section 11.6.2, RFC 6750 section 2.1).
///
/// Another scheme is no token at all. Two fields are refused, whatever they hold.
fn bearer(headers: &HeaderMap) -> Result<&[u8], Error> {
    let field = only(headers, AUTHORIZATION).map_err(|_| Error::Token(TokenError::Several))?;
    let field = field.ok_or(Error::Missing)?.as_bytes();
    let (scheme, mut token) = field.split_at(memchr::memchr(b' ', field).unwrap_or(field.len()));
    while let [b' ', rest @ ..] = token {
        token = rest;
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() {
        return Err(Error::Missing);
    }
    Ok(token)
}

fn last_digest(request: &Request<Body>) -> Option<&Last<Digest>> {
    let memory = RequestContext::of(request.extensions()).memory.as_deref();
    memory.map(|memory| &memory.last_digest)
}

/// Time since 1970. A clock before that is at its end: then every token has expired.
pub(super) fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
