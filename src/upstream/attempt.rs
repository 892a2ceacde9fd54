//! One try: from the last byte sent to the head of the answer, timed and counted.

use std::{
    mem,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Request, Response};
use http_body::Body as _;
use tokio::{sync::oneshot, time};
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
    S: Service<Request<Body>, Response = Response<Body>, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone is not ready, the service in hand is.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (timeout, metrics) = (self.timeout, self.metrics.clone());
        async move {
            let route = request
                .extensions()
                .get::<Route>()
                .copied()
                .unwrap_or(Route::Other);
            let began_at = time::Instant::now();
            let answer = match request.body().is_end_stream() {
                true => time::timeout(timeout, inner.call(request)).await,
                false => {
                    let (sending, sent) = oneshot::channel::<()>();
                    let answer = inner.call(request.map(|body| body.hold(sending)));
                    timeout_after(sent, timeout, answer).await
                }
            };
            let answer = answer.unwrap_or(Err(Error::Timeout));
            metrics.observe(route, &answer, began_at.elapsed());
            answer
        }
        .boxed()
    }
}

/// `future` within `timeout` of the moment at which the other end of `sent` is dropped.
async fn timeout_after<T>(
    sent: oneshot::Receiver<()>,
    timeout: Duration,
    future: impl Future<Output = T>,
) -> Result<T, time::error::Elapsed> {
    tokio::pin!(future);
    tokio::select! {
        biased;
        done = &mut future => Ok(done),
        _ = sent => time::timeout(timeout, future).await,
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
        let began_at = time::Instant::now();
        let silent = service_fn(|_| std::future::pending::<Result<Response<Body>, Error>>());
        let answer = attempt(silent).oneshot(Request::new(Body::empty())).await;
        assert!(matches!(answer, Err(Error::Timeout)));
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
            time::sleep(3 * TIMEOUT).await;
            Ok::<_, crate::body::Error>(http_body::Frame::data("x".into()))
        }));
        let began_at = time::Instant::now();
        let request = Request::new(Body::new(StreamBody::new(slow)));
        let answer = attempt(silent).oneshot(request).await;
        assert!(matches!(answer, Err(Error::Timeout)));
        assert_eq!(began_at.elapsed().as_secs(), 4 * TIMEOUT.as_secs());
    }
}
