//! How many requests a second a client may send: a token bucket each.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use http::Request;

use super::{Error, Metrics, Rate, metrics::Reason};
use crate::{
    body::Body,
    client::Client,
    peer::Peer,
    request_context::RequestContext,
    rule::{Pass, Rule},
};

/// Refuses the requests of a client above its rate. The [`Client`] is an extension of the request.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// `None`: no limit.
    buckets: Option<Arc<DefaultKeyedRateLimiter<Client>>>,
    burst: u32,
    replicas: ReplicaCount,
    clock: DefaultClock,
    metrics: Metrics,
}

/// How many gateways share the rates: a handle, cheap to clone. One, unless it is told otherwise.
#[derive(Clone, Debug)]
pub struct ReplicaCount(Arc<AtomicU32>);

impl Default for ReplicaCount {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }
}

impl ReplicaCount {
    /// There are so many from now on.
    pub fn set(&self, replicas: u32) {
        self.0.store(replicas, Relaxed);
    }

    fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

impl RateLimit {
    /// The buckets, all of them full. With several `replicas`, each has its part of every rate.
    pub fn new(rate: Option<Rate>, replicas: ReplicaCount, metrics: Metrics) -> Self {
        let burst = rate.map_or(1, |rate| rate.burst.get());
        let buckets = rate.map(|rate| {
            let quota = Quota::per_second(rate.requests_per_second).allow_burst(rate.burst);
            Arc::new(RateLimiter::keyed(quota))
        });
        Self { buckets, burst, replicas, clock: DefaultClock::default(), metrics }
    }

    /// Counts one request of `client`. Where it came `from` is asked for only if it is refused.
    pub fn count<'p>(
        &self,
        client: Client,
        from: impl FnOnce() -> Option<&'p Peer>,
    ) -> Result<(), Error> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        // One here stands for one at each of the others. A burst has room for one at least.
        let count = self.replicas.get().clamp(1, self.burst);
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let Ok(counted) = buckets.check_key_n(&client, count) else {
            return Ok(());
        };
        counted.map_err(|not_until| {
            self.metrics.refused_client(Reason::Rate, client, from());
            Error::Rate { retry_after: not_until.wait_time_from(self.clock.now()) }
        })
    }

    /// Forgets clients whose bucket is full again, at intervals, for as long as it is polled.
    pub async fn forget_idle(self) {
        let Some(buckets) = self.buckets else {
            return;
        };
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

/// A client takes some 100 bytes; new ones come at most as fast as connections do.
const FORGET_EVERY: Duration = Duration::from_secs(10);

impl Rule for RateLimit {
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        let context = RequestContext::of(request.extensions());
        if let Some(client) = context.client {
            self.count(client, || context.peer.as_ref())?;
        }
        Ok(Pass::Now)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::rule;

    fn limit(rate: Option<(u32, u32)>) -> RateLimit {
        let rate = rate.map(|(requests_per_second, burst)| Rate {
            requests_per_second: NonZeroU32::new(requests_per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        });
        let metrics = Metrics::register(&Registry::new()).unwrap();
        RateLimit::new(rate, ReplicaCount::default(), metrics)
    }

    fn check(limit: &RateLimit, client: u128) -> Result<(), Error> {
        let mut request = Request::new(Body::empty());
        RequestContext::of_mut(request.extensions_mut()).client = Some(Client::named(client));
        limit.check(&mut request).map(drop)
    }

    #[test]
    fn admits_a_burst_and_then_says_how_long_to_wait() {
        let limit = limit(Some((1, 3)));
        for _ in 0..3 {
            assert_eq!(check(&limit, 1), Ok(()));
        }
        let Err(Error::Rate { retry_after }) = check(&limit, 1) else { panic!("admitted") };
        let second = Duration::from_secs(1);
        assert!(retry_after <= second && retry_after > second / 2, "{retry_after:?}");
        assert_eq!(check(&limit, 2), Ok(()), "others have a bucket of their own");
    }

    #[test]
    fn several_replicas_have_a_part_each() {
        let limit = limit(Some((1, 12)));
        limit.replicas.set(3);
        assert_eq!((0..12).filter(|_| check(&limit, 1).is_ok()).count(), 4);
        limit.replicas.set(100);
        assert_eq!((0..12).filter(|_| check(&limit, 2).is_ok()).count(), 1, "one at least");
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let limit = limit(None);
        assert!((0..1000).all(|_| check(&limit, 1).is_ok()));
    }

    #[test]
    fn a_refused_body_is_still_there() {
        let limit = limit(Some((1, 1)));
        check(&limit, 1).unwrap();
        let mut request = Request::new(Body::full("unread"));
        RequestContext::of_mut(request.extensions_mut()).client = Some(Client::named(1));
        let refused = rule::apply_now(&limit, request).unwrap_err();
        assert!(!http_body::Body::is_end_stream(&refused.unread));
    }
}
