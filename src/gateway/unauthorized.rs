//! Refused tokens count against the address that they come from: a client without a valid token
//! has no other name.

use futures_util::TryFutureExt as _;
use http::Request;

use super::error::Error;
use crate::{
    body::Body,
    client::Client,
    limit::RateLimit,
    peer::Peer,
    request_context::RequestContext,
    rule::{Pass, Rejection, Rule},
};

/// Counts the tokens that a rule refuses against the rate of their address.
#[derive(Clone, Debug)]
pub(super) struct CountUnauthorized<R> {
    inner: R,
    rate: RateLimit,
}

impl<R> CountUnauthorized<R> {
    pub(super) fn new(inner: R, rate: RateLimit) -> Self {
        Self { inner, rate }
    }
}

impl<R> Rule for CountUnauthorized<R>
where
    R: Rule<Error: Send + 'static>,
    Error: From<R::Error>,
{
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        let peer = RequestContext::of(request.extensions()).peer;
        match self.inner.check(request) {
            Ok(Pass::Now) => Ok(Pass::Now),
            Ok(Pass::Holding(guard)) => Ok(Pass::Holding(guard)),
            Ok(Pass::Later(later)) => {
                let rate = self.rate.clone();
                let count = move |rejection: Rejection<R::Error>| {
                    rejection.map(|error| counted(error.into(), peer, &rate))
                };
                Ok(Pass::Later(Box::pin(later.map_err(count))))
            }
            Err(error) => Err(counted(error.into(), peer, &self.rate)),
        }
    }
}

/// `error`, unless it is one too many of its kind from its address.
fn counted(error: Error, peer: Option<Peer>, rate: &RateLimit) -> Error {
    match (&error, peer) {
        (Error::Auth(refused), Some(peer)) if refused.is_unauthenticated() => rate
            .count(Client::at(&peer), || Some(&peer))
            .err()
            .map_or(error, Error::from),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::{mem, num::NonZeroU32};

    use prometheus::Registry;

    use super::*;
    use crate::{
        auth,
        limit::{self, Rate},
        rule,
    };

    /// Refuses every request, at once or later.
    struct Refusing {
        error: fn() -> Error,
        waits: bool,
    }

    impl Rule for Refusing {
        type Error = Error;

        fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
            let error = (self.error)();
            if !self.waits {
                return Err(error);
            }
            let request = mem::take(request);
            Ok(Pass::later(async { Err(Rejection::new(error, request)) }))
        }
    }

    /// What a rule that fails with `error` ends with when it is asked `times` times.
    fn last(error: fn() -> Error, waits: bool, times: usize) -> Error {
        let one = NonZeroU32::MIN;
        let rate = Rate { requests_per_second: one, burst: NonZeroU32::new(2).unwrap() };
        let metrics = limit::Metrics::register(&Registry::new()).unwrap();
        let refusing = Refusing { error, waits };
        let rate = RateLimit::new(Some(rate), limit::ReplicaCount::default(), metrics);
        let rule = CountUnauthorized::new(refusing, rate);
        let mut last = None;
        for _ in 0..times {
            let mut request = Request::new(Body::empty());
            let address = "192.0.2.1:1".parse().unwrap();
            RequestContext::of_mut(request.extensions_mut()).peer = Some(Peer::new(address, false));
            last = rule::apply_now(&rule, request).err();
        }
        last.unwrap().error
    }

    #[test]
    fn refused_tokens_use_up_the_rate_of_their_address_and_nothing_else_does() {
        let missing: fn() -> Error = || auth::Error::Missing.into();
        let forged: fn() -> Error = || auth::Error::Token(auth::TokenError::Signature).into();
        let forbidden: fn() -> Error = || auth::Error::NoAccount.into();
        for (error, times, is_limited) in [
            (missing, 2, false),
            (missing, 3, true),
            (forged, 3, true),
            (forbidden, 9, false),
            ((|| limit::Error::Deadline.into()) as fn() -> Error, 9, false),
        ] {
            for waits in [false, true] {
                let last = last(error, waits, times);
                let found = matches!(last, Error::Limit(limit::Error::Rate { .. }));
                assert_eq!(found, is_limited, "{last:?} after {times}");
            }
        }
    }
}
