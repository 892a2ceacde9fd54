//! Where errors end: below this line they are typed, above it there are only responses.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture, CatchUnwind, Either, Ready},
};
use http::{
    HeaderValue, Request, Response, Version,
    header::{CONNECTION, EXPECT},
};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::time::sleep;
use tower::Service;
use tracing::{debug, error};

use super::{error::Error, leftover::drain};
use crate::{
    body::Body,
    causes::causes,
    headers::{ACCEPT_QUERY, X_REQUEST_ID},
    problem::Code,
    request_context::RequestContext,
    request_id::RequestId,
    route::Route,
    rule::Rejection,
};

/// A service that turns errors and panics into responses, and names each response by its request.
#[derive(Clone, Debug)]
pub(super) struct Respond<S>(pub(super) S);

pin_project! {
    /// The response of [`Respond`].
    #[project = Projected]
    pub(super) enum ResponseFuture<F> {
        /// It is still being made.
        Serving { #[pin] inner: Guarded<F>, info: Option<RequestInfo> },
        /// It is held back, or what the client still sends is read, so that it gets to read it.
        Late { response: BoxFuture<'static, Response<Body>> },
    }
}

/// A future whose panics are errors, or the panic that came instead of it.
type Guarded<F> = Either<
    CatchUnwind<AssertUnwindSafe<F>>,
    Ready<thread::Result<Result<Response<Body>, Rejection<Error>>>>,
>;

/// What is kept of a request for the case that it fails.
#[derive(Debug, Default)]
pub(super) struct RequestInfo {
    id: Option<RequestId>,
    is_batch: bool,
    version: Version,
    /// Whether its body is drained.
    drains: bool,
}

impl<S> Service<Request<Body>> for Respond<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Rejection<Error>>,
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
        let context = RequestContext::of(request.extensions());
        let info = RequestInfo {
            id: context.id.clone(),
            is_batch: context.route == Route::Batch,
            version: request.version(),
            // Reading would ask for a body that is not sent before it is asked for.
            drains: !request.headers().contains_key(EXPECT),
        };
        // Most of the path runs here, not in the future: rules, tokens, spellings. hyper calls in
        // the task of the connection, so a panic would end it with every other request on it.
        let inner = match catch_unwind(AssertUnwindSafe(|| self.0.call(request))) {
            Ok(future) => Either::Left(AssertUnwindSafe(future).catch_unwind()),
            Err(panic) => Either::Right(future::ready(Err(panic))),
        };
        ResponseFuture::Serving { inner, info: Some(info) }
    }
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, Rejection<Error>>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let (refused, info) = match self.as_mut().project() {
                Projected::Late { response } => return response.as_mut().poll(cx).map(Ok),
                Projected::Serving { inner, info } => {
                    let refused = match ready!(inner.poll(cx)) {
                        Ok(Ok(response)) => {
                            let info = info.take().unwrap_or_default();
                            return Poll::Ready(Ok(info.named(response)));
                        }
                        Ok(Err(refused)) => refused,
                        // What panicked is dropped with the future, and nothing else has seen it.
                        Err(_) => Rejection::bare(Error::Panic),
                    };
                    (refused, info.take().unwrap_or_default())
                }
            };
            let Rejection { error, unread } = refused;
            let response = info.named(info.response(&error));
            // Over HTTP/2 others may come by the same connection, and wait for a free stream.
            let hold = match info.version {
                Version::HTTP_2 => Duration::ZERO,
                _ => error.hold(),
            };
            if unread.is_end_stream() && hold.is_zero() {
                return Poll::Ready(Ok(response));
            }
            let response = Box::pin(async move {
                if !hold.is_zero() {
                    sleep(hold).await;
                }
                if unread.is_end_stream() {
                    return response;
                }
                let is_read = info.drains && drain(unread).await;
                if is_read { response } else { info.last(response) }
            });
            self.set(Self::Late { response });
        }
    }
}

impl RequestInfo {
    /// What the client sees of `error`.
    fn response(&self, error: &Error) -> Response<Body> {
        let mut response = error.response().unwrap_or_else(|| self.problem(error));
        if self.is_batch {
            response
                .headers_mut()
                .insert(ACCEPT_QUERY, HeaderValue::from_static("application/json"));
        }
        response
    }

    /// `response` with the request's ID, whatever IDs the upstream has.
    fn named(&self, mut response: Response<Body>) -> Response<Body> {
        if let Some(id) = &self.id {
            let mut id = id.as_header_value().clone();
            // To HTTP/2: not to be kept for later, since no other response has the same (RFC 7541
            // section 6.2.3). What is kept would be compared with every new one.
            id.set_sensitive(true);
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }

    /// Says that `response` is the last: over HTTP/1 nobody finds the next request behind a body
    /// that was not read (RFC 9112 section 9.6).
    fn last(&self, mut response: Response<Body>) -> Response<Body> {
        if self.version < Version::HTTP_2 {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn problem(&self, error: &Error) -> Response<Body> {
        let details = error.details();
        let (code, id) = (details.code.as_str(), self.id.as_ref().map(RequestId::as_str));
        // What clients bring about themselves, with too much or with `only-if-cached`, is counted: a
        // line each would cost more than the response.
        let is_of_client = matches!(details.code, Code::Overloaded | Code::NotCached);
        if details.code.status().is_server_error() && !is_of_client {
            error!(code, request_id = id, %error, source = causes(error), "request failed");
        } else {
            debug!(code, request_id = id, %error, "request refused");
        }
        details.response(self.id.as_ref(), self.version)
    }
}

#[cfg(test)]
mod tests;
