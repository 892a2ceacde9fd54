//! One attempt: from the last byte sent to the head of the response, timed and counted; and what
//! its end changes.
//!
//! Before that, time is bounded where the bytes pass: a request body that stops coming, and a
//! connection that takes nothing.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

use super::{
    Error, Metrics,
    admission::{self, Admitted},
    breaker::End,
    pool::{self, Client},
    retry_after, transfer_coding,
};
use crate::{body::Body, route::Route};

/// Makes attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    client: Client,
    timeout: Duration,
    metrics: Metrics,
}

pin_project! {
    /// The response, or that it did not come in time.
    struct ResponseFuture {
        #[pin]
        inner: pool::ResponseFuture,
        // Until the body is sent.
        sent: Option<oneshot::Receiver<Infallible>>,
        timeout: Duration,
        // Made when everything is sent and there is still no response.
        #[pin]
        sleep: Option<Sleep>,
        route: Route,
        began_at: Instant,
        metrics: Metrics,
    }
}

// === impl Attempts ===

impl Attempts {
    pub(super) fn new(client: Client, timeout: Duration, metrics: &Metrics) -> Self {
        Self { client, timeout, metrics: metrics.clone() }
    }

    /// Sends `request` once.
    pub(super) async fn send(
        &self,
        Admitted { slot, mut streaming, attempt }: Admitted,
        route: Route,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        if !request.body().is_end_stream() {
            // Once the client has sent all, it sets the pace no more.
            let streaming = streaming.take();
            request = request.map(|body| body.hold(streaming));
        }
        let response = self.respond(request, route).await;
        finish(attempt, &response);
        let response = response?;
        // A tunnel goes at its ends' pace.
        let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let streaming = streaming.filter(|_| is_tunnel);
        Ok(response.map(|body| body.hold((slot, streaming))))
    }

    fn respond(&self, mut request: Request<Body>, route: Route) -> ResponseFuture {
        let mut sent = None;
        if !request.body().is_end_stream() {
            let (sending, receiver) = oneshot::channel::<Infallible>();
            // Dropped with the body, when the last of it was taken.
            request = request.map(|body| body.hold(sending));
            sent = Some(receiver);
        }
        ResponseFuture {
            inner: self.client.send(request),
            sent,
            timeout: self.timeout,
            sleep: None,
            route,
            began_at: Instant::now(),
            metrics: self.metrics.clone(),
        }
    }
}

/// Tells how the attempt has ended.
fn finish(attempt: admission::Attempt, response: &Result<Response<Body>, Error>) {
    match response {
        Ok(response) => {
            let is_failure = response.status().is_server_error();
            let end = if is_failure { End::Failure } else { End::Success };
            attempt.finish(end, retry_after::of(response, SystemTime::now()));
        }
        Err(error) if error.trips_breaker() => attempt.finish(End::Failure, None),
        Err(_) => attempt.finish(End::GivenUp, None),
    }
}

// === impl ResponseFuture ===

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = match this.inner.poll(cx) {
            Poll::Ready(response) => response.and_then(transfer_coding::check),
            Poll::Pending => {
                if let Some(sent) = this.sent {
                    // Nothing is ever said but that the other end is gone.
                    let _ = ready!(Pin::new(sent).poll(cx));
                    *this.sent = None;
                }
                if this.sleep.is_none() {
                    this.sleep.set(Some(sleep(*this.timeout)));
                }
                if let Some(sleep) = this.sleep.as_pin_mut() {
                    ready!(sleep.poll(cx));
                }
                Err(Error::Timeout)
            }
        };
        this.metrics
            .observe(*this.route, &response, this.began_at.elapsed());
        Poll::Ready(response)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use prometheus::Registry;

    use super::*;
    use crate::upstream::tests::Fake;

    const TIMEOUT: Duration = Duration::from_secs(20);

    async fn attempt(fake: Fake, request: Request<Body>) -> Result<Response<Body>, Error> {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let attempts = Attempts::new(Client::fake(fake), TIMEOUT, &metrics);
        attempts.respond(request, Route::Other).await
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
}
