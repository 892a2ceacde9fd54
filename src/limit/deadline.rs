//! How long a request may take until the head of its answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use super::Error;
use crate::{body::Body, rule::Refused};

/// Ends requests whose answer does not come in time.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer(Duration);

/// A service behind [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct Deadline<S> {
    inner: S,
    timeout: Duration,
}

pin_project! {
    /// The answer of [`Deadline`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        timeout: Duration,
        // Made when the first poll is in vain: what is answered from memory needs no timer.
        #[pin]
        sleep: Option<Sleep>,
    }
}

// === impl DeadlineLayer ===

impl DeadlineLayer {
    /// A layer with this time limit.
    pub fn new(timeout: Duration) -> Self {
        Self(timeout)
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, timeout: self.0 }
    }
}

// === impl Deadline ===

impl<S, E> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Error = Refused<E>>,
    E: From<Error>,
{
    type Response = S::Response;
    type Error = Refused<E>;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ResponseFuture { inner: self.inner.call(request), timeout: self.timeout, sleep: None }
    }
}

// === impl ResponseFuture ===

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, Refused<E>>>,
    E: From<Error>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(response) = this.inner.poll(cx) {
            return Poll::Ready(response);
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep(*this.timeout)));
        }
        match this.sleep.as_pin_mut().map(|sleep| sleep.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(Refused::bare(Error::Deadline))),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_what_is_not_answered_in_time_and_nothing_else() {
        for (takes, want, ends) in [
            (0, Ok(()), 0),
            (59, Ok(()), 59),
            (61, Err(Error::Deadline), 60),
            (u64::MAX / 4, Err(Error::Deadline), 60),
        ] {
            let slow = service_fn(move |_: Request<Body>| async move {
                sleep(Duration::from_secs(takes)).await;
                Ok::<_, Refused<Error>>(())
            });
            let began_at = Instant::now();
            let deadline = DeadlineLayer::new(Duration::from_secs(60)).layer(slow);
            let response = deadline.oneshot(Request::default()).await;
            assert_eq!(response.map_err(|refused| refused.error), want, "{takes} s");
            assert_eq!(began_at.elapsed().as_secs(), ends);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn passes_errors_on() {
        let refusing = service_fn(async |_: Request<Body>| {
            Err::<(), Refused<Error>>(Refused::bare(Error::Full))
        });
        let deadline = DeadlineLayer::new(Duration::from_secs(60)).layer(refusing);
        let response = deadline.oneshot(Request::default()).await;
        assert_eq!(response.unwrap_err().error, Error::Full);
    }
}
