//! Who is it: the bearer token.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Request, header::AUTHORIZATION};

use super::{
    Caller, Error, Identity, Metrics, Reason, digest,
    token::{self, Verifier},
    verified::Verified,
};
use crate::{
    body::Body,
    rule::{Refused, Rule},
};

/// Verifies the token: 401, or a [`Caller`] in the request's extensions.
#[derive(Debug)]
pub struct Authenticate {
    /// `None`: tokens are not asked for.
    tokens: Option<Tokens>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Tokens {
    verifier: Verifier,
    verified: Verified,
}

// === impl Authenticate ===

impl Authenticate {
    pub(super) fn new(verifier: Option<Verifier>, metrics: Metrics) -> Self {
        let tokens = verifier.map(|verifier| Tokens { verifier, verified: Verified::default() });
        Self { tokens, metrics }
    }

    fn caller(&self, headers: &HeaderMap, now: Duration) -> Result<Caller, Error> {
        let Some(tokens) = &self.tokens else {
            return Ok(Caller::Anyone);
        };
        let identity = bearer(headers).and_then(|token| tokens.identify(token, now));
        match &identity {
            Ok(_) => self.metrics.accepted(),
            Err(error) => self.metrics.refused(error),
        }
        identity.map(Caller::Subject)
    }
}

impl Rule for Authenticate {
    type Error = Error;

    fn check(&self, mut request: Request<Body>) -> Result<Request<Body>, Refused<Error>> {
        match self.caller(request.headers(), unix_time()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Ok(request)
            }
            Err(error) => Err(Refused::new(error, request)),
        }
    }
}

// === impl Tokens ===

impl Tokens {
    fn identify(&self, token: &[u8], now: Duration) -> Result<Arc<Identity>, Error> {
        if token.len() > token::MAX_LENGTH {
            return Err(Error::Token(Reason::TooLong));
        }
        let digest = digest::of(token);
        if let Some(identity) = self.verified.get(&digest, now) {
            return Ok(identity);
        }
        let accepted = self.verifier.verify(token, now).map_err(Error::Token)?;
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
        return Err(Error::Token(Reason::Several));
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
fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
