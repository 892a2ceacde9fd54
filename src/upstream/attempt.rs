//! One attempt: from the last byte sent to the head of the response, timed and counted; and what
//! its end changes.
//!
//! Before that, time is bounded where the bytes pass: a request body that stops coming, and a
//! connection that takes nothing.

use std::{
    convert::Infallible,
    mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Config, Error, Metrics,
    admission::{self, Admitted, Timing},
    breaker::End,
    held::{Held, Sending},
    pool::Client,
    read_ahead::read_ahead,
    retry_after,
    slow_client::{Side, SlowClients},
    transfer_coding,
};
use crate::{
    body::Body,
    route::Route,
    timers::Timers,
    trace::{self, Kind, Span, TRACEPARENT},
};

/// Makes attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    client: Client,
    timeout: Duration,
    timers: Timers,
    slow_readers: SlowClients,
    slow_senders: SlowClients,
    metrics: Metrics,
}

/// Calls whose client does not read, for each of the calls at once. Sync has done its part.
const SLOW_READERS: usize = 4;

impl Attempts {
    pub(super) fn new(client: Client, config: &Config, metrics: &Metrics) -> Self {
        let slow =
            |max| SlowClients::new(max as u64, config.slow_after, metrics.slow_clients.clone());
        Self {
            client,
            timeout: config.attempt_timeout,
            timers: Timers::default(),
            slow_readers: slow(config.max_in_flight.saturating_mul(SLOW_READERS)),
            // Sync has begun with them, and they may all go on at once.
            slow_senders: slow(config.max_in_flight),
            metrics: metrics.clone(),
        }
    }

    /// Sends `request` once.
    pub(super) async fn send(
        &self,
        Admitted { slot, streaming, attempt }: Admitted,
        route: Route,
        vehicles: usize,
        mut request: Box<Request<Body>>,
        call: &trace::Parent,
        began_at: Instant,
    ) -> Result<Box<Response<Body>>, Error> {
        let is_streaming = streaming.is_some();
        let (method, uri) = (request.method(), request.uri());
        // What goes at its client's pace tells nothing.
        let timing = (!is_streaming).then(|| Timing::new(route, vehicles, method, uri, began_at));
        let mut span = begin_span(call, &mut request);
        let (slot, held) = match is_streaming {
            true => (None, Some(Arc::new(Held::new(slot, streaming)))),
            false => (Some(slot), None),
        };
        let sent = self.watch_request(&mut request, held.as_ref());
        let late = async {
            if let Some(sent) = sent {
                // Nothing is ever said but that the other end is gone.
                let _ = sent.await;
            }
            self.timers.start(self.timeout).await;
        };
        let mut response = tokio::select! {
            biased;
            response = self.client.send(request) => response,
            () = late => Err(Error::Timeout),
        };
        let ended_at = Instant::now();
        // What the head says holds, also if nobody can read the body.
        finish(attempt, &response, timing, ended_at);
        if let Ok(begun) = &mut response
            && let Err(error) = begin(begun).await
        {
            response = Err(error);
        }
        self.metrics.observe(route, &response, ended_at - began_at);
        describe(&mut span, &response);
        let mut response = response?;
        // A tunnel goes at its ends' pace.
        let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let mut slot = slot.or_else(|| held.as_ref().and_then(|held| held.take_slot()));
        if let Some(slot) = &mut slot
            && (is_tunnel || !response.body().is_buffered())
        {
            slot.answer();
        }
        let body = mem::take(response.body_mut());
        *response.body_mut() = match (is_tunnel, slot) {
            (true, slot) => body.hold((slot, held)),
            (false, Some(slot)) => {
                let client = slot.client();
                self.slow_readers
                    .watch(body, Side::Reader, client, 1, || drop(slot))
            }
            (false, None) => body,
        };
        Ok(response)
    }

    /// Sees when the last of the request is taken, unless it has no body. `held`: of one that goes at
    /// its client's pace, up to that moment.
    fn watch_request(
        &self,
        request: &mut Request<Body>,
        held: Option<&Arc<Held>>,
    ) -> Option<oneshot::Receiver<Infallible>> {
        if request.body().is_end_stream() {
            return None;
        }
        // Dropped with the body.
        let (sending, sent) = oneshot::channel();
        let body = mem::take(request.body_mut());
        *request.body_mut() = match held {
            Some(held) => {
                let (slow, client) = (Arc::clone(held), held.client());
                self.slow_senders
                    .watch(body, Side::Sender, client, 1, move || slow.give_back())
                    .hold((sending, Sending(Arc::clone(held))))
            }
            None => body.hold(sending),
        };
        Some(sent)
    }
}

/// The span of an attempt, which Sync gets as its parent.
fn begin_span(call: &trace::Parent, request: &mut Request<Body>) -> Span {
    let span = call.child("attempt", Kind::Client);
    if let Some(context) = span.context() {
        request
            .headers_mut()
            .insert(TRACEPARENT, context.to_header_value());
    }
    span
}

/// Looks at the head of a response, and reads what has come with it.
async fn begin(response: &mut Response<Body>) -> Result<(), Error> {
    transfer_coding::check(response)?;
    read_ahead(response).await
}

/// Says in its span how the attempt has ended.
fn describe(span: &mut Span, response: &Result<Box<Response<Body>>, Error>) {
    match response {
        Ok(response) => {
            span.set("http.response.status_code", response.status().as_u16());
            if response.status().is_server_error() {
                span.fail("status");
            }
        }
        Err(error) => span.fail(error.proxy_error()),
    }
}

/// Tells how the attempt has ended.
fn finish(
    attempt: admission::Attempt,
    response: &Result<Box<Response<Body>>, Error>,
    timing: Option<Timing>,
    now: Instant,
) {
    match response {
        Ok(response) => {
            let is_failure = response.status().is_server_error();
            let end = if is_failure { End::Failure } else { End::Success };
            // What fails does so at once, or after all.
            let timing = timing.filter(|_| response.status().is_success());
            let retry_after = retry_after::of(response, SystemTime::now);
            attempt.finish(end, retry_after, timing, now);
        }
        Err(error) if error.trips_breaker() => {
            let timing = timing.filter(|_| matches!(error, Error::Timeout));
            attempt.finish(End::Failure, None, timing, now);
        }
        Err(_) => attempt.finish(End::GivenUp, None, None, now),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use tokio::time::sleep;

    use super::*;
    use crate::upstream::{
        Call, Config, Kind, Reservation,
        tests::{Fake, config},
    };

    const TIMEOUT: Duration = Duration::from_secs(20);

    async fn attempt(fake: Fake, request: Request<Body>) -> Result<Box<Response<Body>>, Error> {
        let config = Config { attempt_timeout: TIMEOUT, ..config() };
        let (upstream, _) = fake.upstream_with(&config);
        let reservation = Reservation::of(Kind::Buffered);
        let permit = upstream.reserve(reservation).await?;
        permit.send(Call::new(Route::Other, request)).await
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_response_as_long_as_it_may() {
        let began_at = Instant::now();
        let silent = Fake::new(|_| std::future::pending::<Result<Response<Body>, Error>>());
        let response = attempt(silent, Request::new(Body::empty())).await;
        assert!(matches!(response, Err(Error::Timeout)));
        assert_eq!(began_at.elapsed().as_secs(), TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn counts_from_the_last_byte_sent() {
        // The service reads a body that takes a minute to come, and never answers.
        let silent = Fake::new(|request: Request<Body>| async move {
            use http_body_util::BodyExt as _;
            request
                .into_body()
                .collect()
                .await
                .map_err(|_| Error::Timeout)?;
            std::future::pending::<Result<Response<Body>, Error>>().await
        });
        let slow = futures_util::stream::once(Box::pin(async {
            sleep(3 * TIMEOUT).await;
            Ok::<_, crate::body::Error>(http_body::Frame::data("x".into()))
        }));
        let began_at = Instant::now();
        let request = Request::new(Body::new(StreamBody::new(slow)));
        let response = attempt(silent, request).await;
        assert!(matches!(response, Err(Error::Timeout)));
        assert_eq!(began_at.elapsed().as_secs(), 4 * TIMEOUT.as_secs());
    }

    #[tokio::test]
    async fn a_response_that_breaks_behind_its_head_is_no_response() {
        let torn = Fake::new(|_| async {
            let torn = futures_util::stream::iter([Err::<http_body::Frame<_>, _>("torn")]);
            Ok(Response::new(Body::new(StreamBody::new(torn))))
        });
        let response = attempt(torn, Request::new(Body::empty())).await;
        assert!(matches!(response, Err(Error::Incomplete(..))));
    }
}
