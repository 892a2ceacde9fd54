//! How many requests in flight may be one client's: a quarter, so that no client takes all of
//! them.
//!
//! A refusal costs about as much as a hit, and who does not heed it comes again at once. So a client
//! is refused at once as often as its share is large, and from then on only so many times a second:
//! further refusals are held back. That keeps the connections of such a client quiet, at the cost of
//! nobody else.

use std::{cmp, sync::Arc, time::Duration};

use foldhash::HashMap;
use http::Request;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Client, Error, Metrics, metrics::Reason};
use crate::{
    body::Body,
    rule::{Pass, Rule},
};

/// Refuses the requests of a client above its share. The [`Client`] is an extension of the request.
#[derive(Clone, Debug)]
pub struct Share {
    max: usize,
    shares: Arc<Shares>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Shares {
    /// Only clients with a request in flight, so never more than there are requests.
    taken: Mutex<HashMap<Client, Taken>>,
}

/// What a client has.
#[derive(Debug, Default)]
struct Taken {
    /// Requests in flight.
    requests: usize,
    /// When its refusals are all paid for: each takes a part of a second.
    refused_until: Option<Instant>,
}

/// The longest that a refusal is held back: what its `Retry-After` says.
const HELD: Duration = Duration::from_secs(1);

/// Refusals at once of a client whose share is small: so many cost nothing to speak of.
const MIN_AT_ONCE: usize = 100;

/// A part of a client's share, given back when it is dropped.
struct Permit {
    shares: Arc<Shares>,
    client: Client,
}

impl Share {
    /// Lets each client have a quarter of `max_in_flight` requests, at least one.
    pub fn new(max_in_flight: usize, metrics: Metrics) -> Self {
        Self { max: share_of(max_in_flight), shares: Arc::default(), metrics }
    }

    /// The same with another limit: what either has admitted counts against both.
    pub fn limited_to(&self, max_in_flight: usize) -> Self {
        Self { max: share_of(max_in_flight), ..self.clone() }
    }
}

impl Rule for Share {
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        let Some(&client) = request.extensions().get::<Client>() else { return Ok(Pass::Now) };
        let mut taken = self.shares.taken.lock();
        let of_client = taken.entry(client).or_default();
        if of_client.requests >= self.max {
            let hold = of_client.refuse(self.max, Instant::now());
            self.metrics.refused(Reason::ClientInFlight);
            return Err(Error::ClientFull { hold });
        }
        of_client.requests += 1;
        drop(taken);
        Ok(Pass::holding(Permit { shares: Arc::clone(&self.shares), client }))
    }
}

fn share_of(max_in_flight: usize) -> usize {
    (max_in_flight / 4).max(1)
}

impl Taken {
    /// How long a refusal is held back, of a client with such a share: four times as many of them
    /// in a second as it may have in flight, behind as many as that at once. Those that would be
    /// held for longer are not, so that what is held is bounded.
    fn refuse(&mut self, share: usize, now: Instant) -> Duration {
        let at_once = share.max(MIN_AT_ONCE);
        let each = HELD / u32::try_from(4 * at_once).unwrap_or(u32::MAX);
        let paid = cmp::max(self.refused_until.unwrap_or(now), now) + each;
        let hold = paid.saturating_duration_since(now + HELD / 4);
        if hold > HELD {
            return Duration::ZERO;
        }
        self.refused_until = Some(paid);
        hold
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock();
        if let Some(of_client) = taken.get_mut(&self.client) {
            of_client.requests -= 1;
            if of_client.requests == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use prometheus::Registry;
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;
    use crate::rule::{self, Rejection};

    #[tokio::test]
    async fn one_client_has_a_quarter_and_the_others_have_theirs() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let share_rule = Share::new(8, metrics);
        let share = rule::layer(share_rule.clone()).layer(service_fn(async |_: Request<Body>| {
            Ok::<_, Rejection<Error>>(Response::new(Body::full("x")))
        }));
        let send = async |client: u128| {
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(Client::named(client));
            share.clone().oneshot(request).await
        };
        let held = [send(1).await.unwrap(), send(1).await.unwrap()];
        let refused = send(1).await.unwrap_err().error;
        assert_eq!(refused, Error::ClientFull { hold: Duration::ZERO });
        assert!(send(2).await.is_ok());
        let [first, second] = held;
        drop(first);
        let third = send(1).await.unwrap();
        assert!(send(1).await.is_err());
        drop((second, third));
        assert!(
            share_rule.shares.taken.lock().is_empty(),
            "a client without requests takes no memory"
        );
    }

    #[test]
    fn holds_back_refusals_of_who_comes_again_at_once() {
        let (mut taken, now) = (Taken::default(), Instant::now());
        // A share of one is treated as this is.
        let mut refuse = |millis| taken.refuse(1, now + Duration::from_millis(millis));
        for _ in 0..100 {
            assert_eq!(refuse(0), Duration::ZERO);
        }
        // From then on 400 in a second, and no more than 400 are held.
        for nth in 1..=400 {
            assert_eq!(refuse(0), HELD / 400 * nth);
        }
        assert_eq!(refuse(0), Duration::ZERO);
        assert_eq!(refuse(500), HELD / 2 + HELD / 400);
        for _ in 0..100 {
            assert_eq!(refuse(5_000), Duration::ZERO, "it has stopped");
        }
    }

    #[tokio::test]
    async fn a_request_without_a_client_is_not_counted() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let share =
            rule::layer(Share::new(1, metrics)).layer(service_fn(async |_: Request<Body>| {
                Ok::<_, Rejection<Error>>(Response::new(Body::full("x")))
            }));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(share.clone().oneshot(Request::default()).await.unwrap());
        }
    }
}
