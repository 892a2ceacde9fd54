//! How often a client may ask: a token bucket each.

use std::{sync::Arc, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use http::Request;

use super::{Client, Error, Metrics, Rate, metrics::Reason};
use crate::{
    body::Body,
    rule::{Refused, Rule},
};

/// Refuses what a client asks above its rate. The [`Client`] is an extension of the request.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// `None`: as often as they like.
    buckets: Option<Arc<DefaultKeyedRateLimiter<Client>>>,
    clock: DefaultClock,
    metrics: Metrics,
}

// === impl RateLimit ===

impl RateLimit {
    /// The buckets, all of them full.
    pub fn new(rate: Option<Rate>, metrics: Metrics) -> Self {
        let buckets = rate.map(|rate| {
            let quota = Quota::per_second(rate.requests_per_second).allow_burst(rate.burst);
            Arc::new(RateLimiter::keyed(quota))
        });
        Self { buckets, clock: DefaultClock::default(), metrics }
    }

    /// Counts one request of `client`.
    pub fn count(&self, client: Client) -> Result<(), Error> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        buckets.check_key(&client).map_err(|not_until| {
            self.metrics.refused(Reason::Rate);
            Error::Rate { retry_after: not_until.wait_time_from(self.clock.now()) }
        })
    }

    /// Forgets clients whose bucket is full again, every so often, for as long as it is polled.
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

    fn check(&self, request: Request<Body>) -> Result<Request<Body>, Refused<Error>> {
        let client = request.extensions().get::<Client>().copied();
        match client.map_or(Ok(()), |client| self.count(client)) {
            Ok(()) => Ok(request),
            Err(error) => Err(Refused::new(error, request)),
        }
    }
}
