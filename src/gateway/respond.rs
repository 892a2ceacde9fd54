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
use http::{
    HeaderName, HeaderValue, Request, Response, Version,
    header::{CONNECTION, EXPECT},
};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::time::timeout;
use tower::{Layer, Service};
use tracing::{debug, error};

use super::{error::Error, problem};
use crate::{body::Body, request_id::RequestId, route::Route, rule::Refused};

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
        Serving { #[pin] inner: F, info: Option<RequestInfo> },
        /// What the caller still sends is read, so that it can read the answer.
        Draining { response: BoxFuture<'static, Response<Body>> },
    }
}

/// What is kept of a request for the case that it fails.
#[derive(Debug, Default)]
pub(super) struct RequestInfo {
    id: Option<RequestId>,
    is_batch: bool,
    version: Version,
    /// Whether its body is drained.
    drains: bool,
}

const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");

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
        let info = RequestInfo {
            id: request.extensions().get().cloned(),
            is_batch: request.extensions().get() == Some(&Route::Batch),
            version: request.version(),
            // Reading would ask for a body that is not sent before it is asked for.
            drains: !request.headers().contains_key(EXPECT),
        };
        ResponseFuture::Serving { inner: self.0.call(request), info: Some(info) }
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
            let (refused, info) = match self.as_mut().project() {
                Projected::Draining { response } => return response.as_mut().poll(cx).map(Ok),
                Projected::Serving { inner, info } => {
                    // What panicked is dropped with the future, and nothing else has seen it.
                    let refused = match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
                        Ok(Poll::Pending) => return Poll::Pending,
                        Ok(Poll::Ready(Ok(response))) => return Poll::Ready(Ok(response)),
                        Ok(Poll::Ready(Err(refused))) => refused,
                        Err(_) => Refused::bare(Error::Panic),
                    };
                    (refused, info.take().unwrap_or_default())
                }
            };
            let Refused { error, unread } = refused;
            let response = info.response(&error);
            if unread.is_end_stream() {
                return Poll::Ready(Ok(response));
            }
            let response = Box::pin(async move {
                let is_read = info.drains && drain(unread).await;
                if is_read { response } else { info.last(response) }
            });
            self.set(Self::Draining { response });
        }
    }
}

// === impl Asked ===

impl RequestInfo {
    /// What the caller gets to see of `error`.
    fn response(&self, error: &Error) -> Response<Body> {
        let mut response = match error.refusal() {
            Some((refusal, of_account)) => problem::passed_on(refusal, of_account),
            None => self.problem(error),
        };
        if self.is_batch {
            response
                .headers_mut()
                .insert(ACCEPT_QUERY, HeaderValue::from_static("application/json"));
        }
        response
    }

    /// `answer`, said to be the last: over HTTP/1 nobody finds the next request behind a body that
    /// was not read (RFC 9112 section 9.6).
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
        let (code, id) = (details.kind.code(), self.id.as_ref().map(RequestId::as_str));
        let source = std::error::Error::source(error);
        if details.kind.status().is_server_error() {
            error!(code, request_id = id, %error, source, "The request failed");
        } else {
            debug!(code, request_id = id, %error, "The request was refused");
        }
        problem::response(&details, self.id.as_ref(), self.version)
    }
}

/// Reads what is left of a body, within bounds. Whether that was all of it.
async fn drain(mut body: Body) -> bool {
    let drained = timeout(MAX_DRAINING, async {
        let mut drained = 0;
        while drained <= MAX_DRAINED {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(frame)) => drained += frame.data_ref().map_or(0, |data| data.len()),
                end => return end.is_none(),
            }
        }
        body.is_end_stream()
    });
    drained.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use bytes::Bytes;
    use futures_util::stream;
    use http::StatusCode;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::{Instant, sleep};
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::limit;

    const KIB: usize = 1024;

    /// The answer to a request that is refused with this body unread.
    async fn refuse(body: Body) -> Response<Body> {
        refuse_request(Request::new(body)).await
    }

    async fn refuse_request(request: Request<Body>) -> Response<Body> {
        let refusing = service_fn(async |request: Request<Body>| {
            Err::<Response<Body>, _>(Refused::<Error>::new(limit::Error::Full, request))
        });
        let Ok(response) = RespondLayer.layer(refusing).oneshot(request).await;
        response
    }

    /// A body of frames of 1 KiB, one each `every`, and how many were taken.
    fn frames(every: Duration) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&taken);
        let frames = stream::unfold((), move |()| {
            let counted = Arc::clone(&counted);
            async move {
                sleep(every).await;
                counted.fetch_add(1, Relaxed);
                let frame = Frame::data(Bytes::from_static(&[b'x'; KIB]));
                Some((Ok::<_, crate::body::Error>(frame), ()))
            }
        });
        (Body::new(StreamBody::new(Box::pin(frames))), taken)
    }

    #[tokio::test]
    async fn turns_errors_and_panics_into_answers() {
        let code = async |response: Response<Body>| {
            let status = response.status();
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let json = response.into_body().collect().await.unwrap().to_bytes();
            let problem: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(problem["status"], status.as_u16());
            let code = problem["code"].as_str().unwrap().to_owned();
            assert_eq!(problem["type"], format!("urn:vingate:problem:{code}"));
            (status, code)
        };
        let refused = refuse(Body::empty()).await;
        assert_eq!(refused.headers()["retry-after"], "1");
        let overloaded = (StatusCode::SERVICE_UNAVAILABLE, "Overloaded".to_owned());
        assert_eq!(code(refused).await, overloaded);

        let panicking = service_fn(async |_: Request<Body>| {
            panic!("as asked for");
            #[expect(unreachable_code, reason = "it gives the function its type")]
            Err::<Response<Body>, Refused<Error>>(Refused::bare(Error::Panic))
        });
        let Ok(response) = RespondLayer
            .layer(panicking)
            .oneshot(Request::default())
            .await;
        let internal = (StatusCode::INTERNAL_SERVER_ERROR, "Internal".to_owned());
        assert_eq!(code(response).await, internal);
    }

    fn is_last(response: &Response<Body>) -> bool {
        response
            .headers()
            .get(CONNECTION)
            .is_some_and(|value| value == "close")
    }

    #[tokio::test]
    async fn is_the_last_answer_only_after_a_body_that_was_not_read() {
        let torn = || {
            let frames = stream::iter([Ok(Frame::data(Bytes::from("x"))), Err("torn")]);
            Body::new(StreamBody::new(frames))
        };
        for (body, last) in [
            (Body::empty(), false),
            (Body::full("x"), false),
            (Body::full(vec![b'x'; MAX_DRAINED]), false),
            (torn(), true),
        ] {
            assert_eq!(is_last(&refuse(body).await), last);
        }
        let mut expecting = Request::new(Body::full("x"));
        expecting
            .headers_mut()
            .insert(EXPECT, HeaderValue::from_static("100-continue"));
        assert!(is_last(&refuse_request(expecting).await));
        let mut over_http2 = Request::new(torn());
        *over_http2.version_mut() = Version::HTTP_2;
        assert!(!is_last(&refuse_request(over_http2).await));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_what_nobody_wanted_within_bounds() {
        let millis = Duration::from_millis;
        // How fast the body comes, how long it is read, and how many frames are taken at most.
        for (every, takes, most) in [
            (millis(1), millis(257), 257),
            (millis(10), MAX_DRAINING, 100),
            (millis(5000), MAX_DRAINING, 0),
        ] {
            let (body, taken) = frames(every);
            let began_at = Instant::now();
            let response = refuse(body).await;
            assert_eq!((response.status().as_u16(), is_last(&response)), (503, true));
            assert!(began_at.elapsed() <= takes + millis(2), "{:?}", began_at.elapsed());
            let taken = taken.load(Relaxed);
            assert!(
                (most.max(1) - 1..=most).contains(&taken),
                "{taken} frames, one each {every:?}"
            );
        }
    }
}
