//! How many requests may be in flight.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::Request;

use super::{Error, Metrics, metrics::Reason};
use crate::{
    body::Body,
    rule::{Pass, Rule},
};

/// Admits so many requests at once and refuses the rest immediately: a queue would only make
/// everybody late. A request is in flight until the body of its response has ended, so that a slow
/// reader counts.
#[derive(Clone, Debug)]
pub struct Admit {
    max: usize,
    taken: Arc<AtomicUsize>,
    metrics: Metrics,
}

/// The right to be in flight, given back when it is dropped.
struct Permit(Arc<AtomicUsize>);

impl Admit {
    /// Admits `max_in_flight` requests.
    pub fn new(max_in_flight: usize, metrics: Metrics) -> Self {
        Self { max: max_in_flight, taken: Arc::default(), metrics }
    }

    /// The same with another limit: what either has admitted counts against both.
    pub fn limited_to(&self, max_in_flight: usize) -> Self {
        Self { max: max_in_flight, ..self.clone() }
    }
}

impl Rule for Admit {
    type Error = Error;

    fn check(&self, _: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        let more = |taken| (taken < self.max).then_some(taken + 1);
        match self.taken.fetch_update(Relaxed, Relaxed, more) {
            Ok(_) => Ok(Pass::holding(Permit(Arc::clone(&self.taken)))),
            Err(_) => {
                self.metrics.refused(Reason::InFlight);
                Err(Error::Full)
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use http_body_util::BodyExt as _;
    use prometheus::Registry;
    use tower::{Layer as _, Service, ServiceExt as _, service_fn};

    use super::*;
    use crate::rule::{self, Rejection};

    /// Two requests at once; each is answered with a body.
    fn admit()
    -> impl Service<Request<Body>, Response = Response<Body>, Error = Rejection<Error>, Future: Send>
    + Clone {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        rule::layer(Admit::new(2, metrics))
            .layer(service_fn(async |_| Ok(Response::new(Body::full("x")))))
    }

    #[tokio::test]
    async fn admits_so_many_until_their_responses_have_ended() {
        let admit = admit();
        let send = async || {
            admit
                .clone()
                .oneshot(Request::new(Body::full("unread")))
                .await
        };
        let first = send().await.unwrap();
        let second = send().await.unwrap();
        let refused = send().await.unwrap_err();
        assert_eq!(refused.error, Error::Full);
        assert_eq!(refused.unread.collect().await.unwrap().to_bytes(), "unread");

        first.into_body().collect().await.unwrap();
        let third = send().await.unwrap();
        assert!(send().await.is_err());
        drop(second);
        drop(third);
        assert!(send().await.is_ok());
    }

    #[tokio::test]
    async fn another_limit_counts_what_is_in_flight_already() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let admit = Admit::new(1, metrics);
        let answering = |admit: Admit| {
            let response = service_fn(async |_: Request<Body>| {
                Ok::<_, Rejection<Error>>(Response::new(Body::full("x")))
            });
            rule::layer(admit)
                .layer(response)
                .oneshot(Request::default())
        };
        let first = answering(admit.clone()).await.unwrap();
        let second = answering(admit.limited_to(2)).await.unwrap();
        assert!(answering(admit.limited_to(2)).await.is_err());
        drop(first);
        assert!(answering(admit.clone()).await.is_err(), "one is in flight yet");
        drop(second);
        assert!(answering(admit).await.is_ok());
    }

    #[tokio::test]
    async fn gives_a_permit_back_when_the_request_fails_or_is_given_up() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let admit = Admit::new(1, metrics);
        let failing = rule::layer(admit.clone()).layer(service_fn(async |_: Request<Body>| {
            Err::<Response<Body>, Rejection<Error>>(Rejection::bare(Error::Deadline))
        }));
        for _ in 0..3 {
            let failed = failing.clone().oneshot(Request::default()).await;
            assert_eq!(failed.unwrap_err().error, Error::Deadline);
        }
        let silent = rule::layer(admit.clone()).layer(service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Rejection<Error>>>()
        }));
        for _ in 0..3 {
            let mut given_up = Box::pin(silent.clone().oneshot(Request::default()));
            assert!(futures_util::poll!(given_up.as_mut()).is_pending());
        }
    }
}
