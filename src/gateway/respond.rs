//! Where errors end: below this line they are typed, above it there are answers only.

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response, Version};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::time::timeout;
use tower::{Layer, Service};
use tracing::{debug, error};

use super::{error::Error, problem};
use crate::{body::Body, request_id::RequestId, rule::Refused};

/// Turns errors, and panics, into answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct RespondLayer;

/// A service behind [`RespondLayer`].
#[derive(Clone, Debug)]
pub(super) struct Respond<S>(S);

pin_project! {
    /// The answer of [`Respond`].
    #[project = Projected]
    pub(super) enum ResponseFuture<F> {
        /// Nothing is wrong so far.
        Serving { #[pin] inner: F, id: Option<RequestId>, version: Version },
        /// What the caller still sends is read, so that it can read the answer.
        Draining { answer: BoxFuture<'static, Response<Body>> },
    }
}

/// What is read of a body that nobody wants, so that the connection can be kept, and so that a
/// caller that sends first and reads afterwards gets to read.
const MAX_DRAINED: usize = 256 * 1024;

/// How long that may take.
const MAX_DRAINING: Duration = Duration::from_secs(1);

impl<S> Layer<S> for RespondLayer {
    type Service = Respond<S>;

    fn layer(&self, inner: S) -> Respond<S> {
        Respond(inner)
    }
}

impl<S> Service<Request<Body>> for Respond<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Refused<Error>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A service that is not ready with an error says so again when it is called.
        self.0.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let id = request.extensions().get().cloned();
        let version = request.version();
        ResponseFuture::Serving { inner: self.0.call(request), id, version }
    }
}

// === impl ResponseFuture ===

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, Refused<Error>>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let refused = match self.as_mut().project() {
                Projected::Draining { answer } => return answer.as_mut().poll(cx).map(Ok),
                Projected::Serving { inner, id, version } => {
                    // What panicked is dropped with the future, and nothing else has seen it.
                    match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
                        Ok(Poll::Pending) => return Poll::Pending,
                        Ok(Poll::Ready(Ok(answer))) => return Poll::Ready(Ok(answer)),
                        Ok(Poll::Ready(Err(refused))) => (refused, id.take(), *version),
                        Err(_) => (Refused::bare(Error::Panic), id.take(), *version),
                    }
                }
            };
            let (Refused { error, unread }, id, version) = refused;
            let answer = answer(&error, id.as_ref(), version);
            if unread.is_end_stream() {
                return Poll::Ready(Ok(answer));
            }
            let answer = Box::pin(async move {
                drain(unread).await;
                answer
            });
            self.set(Self::Draining { answer });
        }
    }
}

fn answer(error: &Error, id: Option<&RequestId>, version: Version) -> Response<Body> {
    if let Some((refusal, of_account)) = error.refusal() {
        return problem::passed_on(refusal, of_account);
    }
    let told = error.told();
    let (code, id_text) = (told.kind.code(), id.map(RequestId::as_str));
    let source = std::error::Error::source(error);
    if told.kind.status().is_server_error() {
        error!(code, request_id = id_text, %error, source, "The request failed");
    } else {
        debug!(code, request_id = id_text, %error, "The request was refused");
    }
    problem::answer(&told, id, version)
}

/// Reads what is left of a body, within bounds. What is left after that closes the connection.
async fn drain(mut body: Body) {
    let _ = timeout(MAX_DRAINING, async {
        let mut drained = 0;
        while drained <= MAX_DRAINED
            && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            drained += frame.data_ref().map_or(0, |data| data.len());
        }
    })
    .await;
}
