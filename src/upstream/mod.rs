//! Calls to Sync: connections, time limits, how many at once, and when none.
//!
//! Whoever wants to make a call asks first ([`Upstream::reserve`]): Sync's own `Retry-After`, the
//! circuit breaker, the number of calls at once and a client's share of them are asked at one
//! moment, in [`admission`]. What comes is a [`Permit`], and only a permit sends a [`Call`]. So what
//! waits for permission is not composed yet, and can be composed of whatever waits by then.
//!
//! `send` makes [attempts](attempt), and makes a call that failed [again](retry) where that can hurt
//! nobody. Each is one [exchange] over a connection, a [spare] one or one that the [pool] makes. A
//! permit ends with the body of the response, of which the [beginning](read_ahead) is read at once.

mod admission;
mod attempt;
mod breaker;
mod call;
mod config;
mod error;
mod exchange;
mod held;
mod metrics;
mod pool;
mod read_ahead;
mod retry;
mod retry_after;
mod slow_client;
mod spare;
mod stall;
mod transfer_coding;
mod wire;

use std::{sync::Arc, time::Duration};

use http::Response;
use tokio::time::{Instant, sleep};

use self::{
    admission::{Admission, Admitted},
    attempt::Attempts,
    pool::Client,
    retry::Retry,
};
use crate::body::Body;

pub use self::{
    call::{Account, Call, ClientId, FEW_VEHICLES, Kind, Reservation},
    config::{BreakerConfig, Config, Origin, RetryConfig},
    error::{Error, refuses_credential},
    metrics::Metrics,
    pool::TlsError,
    retry_after::RetryAfterListener,
    slow_client::{Side, SlowClients},
};

/// Calls to Sync, for everything that goes up, batch calls and forwarded requests alike: a handle,
/// cheap to clone.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Inner>);

/// The right to make one call, which counts among the calls at once from here on.
///
/// It is given back when the body of the response has ended or is dropped, when the client does not
/// read it or does not send its own, or with the permit itself if nothing is sent.
#[must_use = "a permit that is not used keeps others waiting"]
#[derive(Debug)]
pub struct Permit {
    upstream: Upstream,
    reservation: Reservation,
    admitted: Admitted,
}

#[derive(Debug)]
struct Inner {
    admission: Admission,
    retry: Retry,
    attempts: Attempts,
}

impl Upstream {
    /// Sets up connections; none is made yet.
    pub fn new(config: &Config, metrics: &Metrics) -> Result<Self, TlsError> {
        Ok(Self::over(Client::new(config)?, config, metrics))
    }

    fn over(client: Client, config: &Config, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner {
            admission: Admission::new(config, metrics),
            retry: Retry::new(config, metrics),
            attempts: Attempts::new(client, config, metrics),
        }))
    }

    /// From now on, `listener` hears of every `Retry-After` of Sync's. There is one.
    pub fn tell(&self, listener: Arc<dyn RetryAfterListener>) {
        self.0.admission.tell(listener);
    }

    /// Sync has told somebody else that it wants no call for `account` for so long.
    pub fn note_retry_after(&self, account: Option<Account>, rest: Duration) {
        self.0.admission.note_retry_after(account, rest);
    }

    /// Nothing, or why no call for `account` is made now.
    pub fn check(&self, account: Option<Account>) -> Result<(), Error> {
        self.0.admission.check(account)
    }

    /// So many gateways share the calls at once: each has its part.
    pub fn share_among(&self, replicas: u32) {
        self.0.admission.share_among(replicas);
    }

    /// Waits for the right to make a call, as long as one attempt may take: then the calls ahead
    /// have had their time. Fails at once if no call may be made at all. Dropped, it waits no more.
    pub async fn reserve(&self, reservation: Reservation) -> Result<Permit, Error> {
        let admitted = self.0.admission.enter(reservation).await?;
        Ok(Permit { upstream: self.clone(), reservation, admitted })
    }
}

impl Permit {
    /// Makes the call, and makes it again if it fails and that can hurt nobody. Ready with the head
    /// of the response; its body streams.
    ///
    /// Each further attempt waits for a permit like a first one, and holds none while it waits.
    pub async fn send(self, call: Call) -> Result<Box<Response<Body>>, Error> {
        let Self { upstream, reservation, admitted } = self;
        let Inner { admission, retry, attempts } = &*upstream.0;
        let began_at = Instant::now();
        let retries = retry.of(&call, began_at);
        let Call { route, request, vehicles, span } = call;
        let vehicles = if vehicles == 0 { reservation.vehicles } else { vehicles };
        let response = attempts
            .send(admitted, route, vehicles, request, &span, began_at)
            .await;
        let Some(mut retries) = retries else {
            return response;
        };
        let may_call = || admission.check(reservation.account).is_ok();
        let Some(mut next) = retries.next(&response, may_call) else {
            return response;
        };
        // Boxed, so that a call that is made once takes the room of one attempt.
        let again = async {
            let mut response = response;
            loop {
                let (wait, request) = next;
                // With it goes its permit.
                drop(response);
                sleep(wait).await;
                retry.count();
                response = match admission.enter(reservation).await {
                    Ok(admitted) => {
                        attempts
                            .send(admitted, route, vehicles, request, &span, Instant::now())
                            .await
                    }
                    Err(error) => Err(error),
                };
                match retries.next(&response, may_call) {
                    Some(after) => next = after,
                    None => return response,
                }
            }
        };
        Box::pin(again).await
    }
}

#[cfg(test)]
pub(crate) mod tests;
