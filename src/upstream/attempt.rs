//! One try: from the last byte sent to the head of the answer, timed and counted.
//!
//! Before that the caller's patience and the upstream's are bounded where the bytes pass: silence
//! in its body, and a connection that takes nothing.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};
use tower::{Layer, Service};

use super::{Error, Metrics};
use crate::{body::Body, route::Route};

#[derive(Clone, Debug)]
pub(super) struct AttemptLayer {
    timeout: Duration,
    metrics: Metrics,
}

#[derive(Clone, Debug)]
pub(super) struct Attempt<S> {
    inner: S,
    timeout: Duration,
    metrics: Metrics,
}

pin_project! {
    /// The answer of [`Attempt`], or that it did not come in time.
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // Until the body is sent.
        sent: Option<oneshot::Receiver<Infallible>>,
        timeout: Duration,
        // Made when everything is sent and there is still no answer.
        #[pin]
        sleep: Option<Sleep>,
        route: Route,
        began_at: Instant,
        metrics: Metrics,
    }
}

// === impl AttemptLayer ===

impl AttemptLayer {
    pub(super) fn new(timeout: Duration, metrics: &Metrics) -> Self {
        Self { timeout, metrics: metrics.clone() }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = Attempt<S>;

    fn layer(&self, inner: S) -> Attempt<S> {
        Attempt { inner, timeout: self.timeout, metrics: self.metrics.clone() }
    }
}

// === impl Attempt ===

impl<S> Service<Request<Body>> for Attempt<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let route = request.extensions().get().copied().unwrap_or(Route::Other);
        let mut sent = None;
        if !request.body().is_end_stream() {
            let (sending, receiver) = oneshot::channel::<Infallible>();
            // Dropped with the body, when the last of it was taken.
            request = request.map(|body| body.hold(sending));
            sent = Some(receiver);
        }
        ResponseFuture {
            inner: self.inner.call(request),
            sent,
            timeout: self.timeout,
            sleep: None,
            route,
            began_at: Instant::now(),
            metrics: self.metrics.clone(),
        }
    }
}

// === impl ResponseFuture ===

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = match this.inner.poll(cx) {
            Poll::Ready(response) => response,
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
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn attempt<S>(inner: S) -> Attempt<S> {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        AttemptLayer::new(TIMEOUT, &metrics).layer(inner)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_answer_as_long_as_it_may() {
        let began_at = Instant::now();
        let silent = service_fn(|_| std::future::pending::<Result<Response<Body>, Error>>());
        let response = attempt(silent).oneshot(Request::new(Body::empty())).await;
        assert!(matches!(response, Err(Error::Timeout)));
        assert_eq!(began_at.elapsed().as_secs(), TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn counts_from_the_last_byte_sent() {
        // The service reads a body that takes a minute to come, and never answers.
        let silent = service_fn(|request: Request<Body>| async move {
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
        let response = attempt(silent).oneshot(request).await;
        assert!(matches!(response, Err(Error::Timeout)));
        assert_eq!(began_at.elapsed().as_secs(), 4 * TIMEOUT.as_secs());
    }
}
