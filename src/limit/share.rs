//! How many requests in flight may be one client's: a quarter, so that no client takes all of
//! them.

use std::{sync::Arc, time::Duration};

use foldhash::HashMap;
use http::Request;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Error, Metrics, metrics::Reason};
use crate::{
    body::Body,
    client::Client,
    refusals::Refusals,
    request_context::RequestContext,
    rule::{Pass, Rule},
};

/// Refuses the requests of a client above its share. [`RequestContext`] has it.
#[derive(Clone, Debug)]
pub struct Share {
    max: usize,
    taken: Arc<AllTaken>,
    metrics: Metrics,
}

/// Only of clients with a request in flight, so never more than there are requests.
type AllTaken = Mutex<HashMap<Client, Taken>>;

/// What a client has.
#[derive(Debug, Default)]
struct Taken {
    /// Requests in flight.
    requests: usize,
    refusals: Refusals,
}

/// What a refusal takes of a second: 2,000 of them are one in ten of what a core can do.
const REFUSAL: Duration = Duration::from_micros(500);

/// A part of a client's share, given back when it is dropped.
struct Permit {
    taken: Arc<AllTaken>,
    client: Client,
}

impl Share {
    /// Lets each client have a quarter of `max_in_flight` requests, at least one.
    pub fn new(max_in_flight: usize, metrics: Metrics) -> Self {
        Self { max: share_of(max_in_flight), taken: Arc::default(), metrics }
    }

    /// The same with another limit: what either has admitted counts against both.
    pub fn limited_to(&self, max_in_flight: usize) -> Self {
        Self { max: share_of(max_in_flight), ..self.clone() }
    }
}

impl Rule for Share {
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        let context = RequestContext::of(request.extensions());
        let Some(client) = context.client else { return Ok(Pass::Now) };
        let mut taken = self.taken.lock();
        let of_client = taken.entry(client).or_default();
        if of_client.requests >= self.max {
            let hold = of_client.refusals.hold(REFUSAL, Instant::now());
            drop(taken);
            let peer = context.peer.as_ref();
            self.metrics
                .refused_client(Reason::ClientInFlight, client, peer);
            return Err(Error::ClientFull { hold });
        }
        of_client.requests += 1;
        drop(taken);
        Ok(Pass::holding(Permit { taken: Arc::clone(&self.taken), client }))
    }
}

fn share_of(max_in_flight: usize) -> usize {
    (max_in_flight / 4).max(1)
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
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
            RequestContext::of_mut(request.extensions_mut()).client = Some(Client::named(client));
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
        assert!(share_rule.taken.lock().is_empty(), "a client without requests takes no memory");
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
