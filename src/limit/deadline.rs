//! How long a request may take until the head of its response.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Request;
use pin_project_lite::pin_project;
use tower::Service;

use super::Error;
use crate::{
    body::{Body, Progress},
    rule::Rejection,
    timers::{Timer, Timers},
};

/// A service that ends requests whose response does not come in time.
///
/// If the gateway is then still waiting for the body of the request, its sender was too slow, and
/// nobody else.
#[derive(Clone, Debug)]
pub struct Deadline<S> {
    inner: S,
    timeout: Duration,
    timers: Timers,
}

pin_project! {
    /// The response of [`Deadline`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        body: Option<Progress>,
        timeout: Duration,
        timers: Timers,
        // Started when the first poll is pending: what is answered from memory needs no timer.
        timer: Option<Timer>,
    }
}

impl<S> Deadline<S> {
    /// Gives `inner` this much time for each response.
    pub fn new(inner: S, timeout: Duration) -> Self {
        Self { inner, timeout, timers: Timers::default() }
    }
}

impl<S, E> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Error = Rejection<E>>,
    E: From<Error>,
{
    type Response = S::Response;
    type Error = Rejection<E>;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let body = request.body_mut().progress();
        let inner = self.inner.call(request);
        ResponseFuture {
            inner,
            body,
            timeout: self.timeout,
            timers: self.timers.clone(),
            timer: None,
        }
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, Rejection<E>>>,
    E: From<Error>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(response) = this.inner.poll(cx) {
            return Poll::Ready(response);
        }
        let start = || this.timers.start(*this.timeout);
        ready!(Pin::new(this.timer.get_or_insert_with(start)).poll(cx));
        let is_sender_slow = this.body.as_ref().is_some_and(Progress::is_awaited);
        let error = if is_sender_slow { Error::SlowBody } else { Error::Deadline };
        Poll::Ready(Err(Rejection::bare(error)))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use bytes::Bytes;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::{Instant, sleep};
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_what_is_not_answered_in_time_and_nothing_else() {
        for (takes, want, ends) in [
            (0, Ok(()), 0),
            (59, Ok(()), 59),
            (61, Err(Error::Deadline), 60),
            (600, Err(Error::Deadline), 60),
        ] {
            let slow = service_fn(move |_: Request<Body>| async move {
                sleep(Duration::from_secs(takes)).await;
                Ok::<_, Rejection<Error>>(())
            });
            let began_at = Instant::now();
            let deadline = Deadline::new(slow, Duration::from_secs(60));
            let response = deadline.oneshot(Request::default()).await;
            assert_eq!(response.map_err(|refused| refused.error), want, "{takes} s");
            assert_eq!(began_at.elapsed().as_secs(), ends);
        }
    }

    /// A body of `count` frames, one each 7 s.
    fn drip(count: usize) -> Body {
        let frames = stream::unfold(count, async |left| {
            let left = left.checked_sub(1)?;
            sleep(Duration::from_secs(7)).await;
            Some((Ok::<_, crate::body::Error>(Frame::data(Bytes::from_static(b"x"))), left))
        });
        Body::new(StreamBody::new(Box::pin(frames)))
    }

    #[tokio::test(start_paused = true)]
    async fn blames_whom_was_waited_for() {
        for (reads, body, error) in [
            // 8 frames come in 56 s, 9 do not.
            (usize::MAX, drip(8), Error::Deadline),
            (usize::MAX, drip(9), Error::SlowBody),
            (usize::MAX, Body::full("x"), Error::Deadline),
            (usize::MAX, Body::empty(), Error::Deadline),
            // Nobody wants more of it.
            (2, drip(9), Error::Deadline),
            (0, drip(9), Error::Deadline),
        ] {
            let slow = service_fn(move |mut request: Request<Body>| async move {
                for _ in 0..reads {
                    if request.body_mut().frame().await.is_none() {
                        break;
                    }
                }
                pending::<Result<(), Rejection<Error>>>().await
            });
            let deadline = Deadline::new(slow, Duration::from_secs(60));
            let response = deadline.oneshot(Request::new(body)).await;
            assert_eq!(response.unwrap_err().error, error, "{reads}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn passes_errors_on() {
        let refusing = service_fn(async |_: Request<Body>| {
            Err::<(), Rejection<Error>>(Rejection::bare(Error::Full))
        });
        let deadline = Deadline::new(refusing, Duration::from_secs(60));
        let response = deadline.oneshot(Request::default()).await;
        assert_eq!(response.unwrap_err().error, Error::Full);
    }
}
