//! From hyper's requests to ours.

use std::{
    cell::RefCell,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, COOKIE},
};
use http_body::Body as _;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower::{Service, ServiceExt as _, util::Oneshot};

use super::{
    connection_state::ConnectionState,
    http2_body::{Http2Body, has_padded_value},
    in_flight::{InFlight, ResponseBody},
};
use crate::{
    body::Body, client::Client, connection_memory::ConnectionMemory, peer::Peer,
    request_context::RequestContext,
};

pub(super) struct ConnectionService<S> {
    /// hyper calls by shared reference, and never twice at once.
    inner: RefCell<S>,
    peer: Peer,
    memory: Arc<ConnectionMemory>,
    state: Arc<ConnectionState>,
}

/// Stands for a target that could not be read. It has no path, so it is refused like others without
/// one.
const UNREADABLE: &str = "unreadable";

pin_project! {
    pub(super) struct ServiceFuture<S: Service<Request<Body>>> {
        // `None` if the request is malformed.
        #[pin]
        inner: Option<Either<S::Future, Oneshot<S, Request<Body>>>>,
        // Of the request.
        version: Version,
        // Set by the body.
        malformed: Option<Arc<AtomicBool>>,
        in_flight: Option<InFlight>,
    }
}

impl<S> ConnectionService<S> {
    pub(super) fn new(inner: S, peer: Peer, state: Arc<ConnectionState>) -> Self {
        let memory = Arc::new(ConnectionMemory::new(Client::at(&peer).hash()));
        Self { inner: RefCell::new(inner), peer, memory, state }
    }

    pub(super) fn memory(&self) -> &Arc<ConnectionMemory> {
        &self.memory
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<ResponseBody>;
    type Error = h2::Error;
    type Future = ServiceFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (in_flight, has_target) = InFlight::begin(&self.state);
        let in_flight = Some(in_flight);
        let version = request.version();
        let http2 = version == Version::HTTP_2;
        if http2 && has_padded_value(request.headers()) {
            return ServiceFuture { inner: None, version, malformed: None, in_flight };
        }
        let mut malformed = None;
        let mut request = match http2 && !request.body().is_end_stream() {
            true => {
                let flag = Arc::clone(malformed.get_or_insert_default());
                request.map(|inner| Body::new(Http2Body::new(inner, flag)))
            }
            false => request.map(Body::incoming),
        };
        if !has_target {
            *request.uri_mut() = Uri::from_static(UNREADABLE);
        }
        if http2 {
            join_crumbs(request.headers_mut());
        }
        if let Some(upgrade) = request.extensions().get() {
            self.state.keep_upgrade(upgrade);
        }
        request.extensions_mut().insert(RequestContext {
            peer: Some(self.peer),
            memory: Some(Arc::clone(&self.memory)),
            ..RequestContext::default()
        });

        // A clone costs a request more than everything else here, and the service is nearly
        // always ready.
        let mut service = self.inner.borrow_mut();
        let inner = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Either::Left(service.call(request)),
            Poll::Pending => Either::Right(service.clone().oneshot(request)),
        };
        ServiceFuture { inner: Some(inner), version, malformed, in_flight }
    }
}

/// Joins a `Cookie` that came in several fields, as HTTP/2 allows so that each can be compressed
/// by itself (RFC 9113 section 8.2.3). Everywhere else it is one field.
fn join_crumbs(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let mut whole = HeaderValue::from_maybe_shared(Bytes::from(crumbs.join(&b"; "[..])))
        .expect("field values joined by visible characters make one");
    whole.set_sensitive(true);
    headers.insert(COOKIE, whole);
}

impl<S> Future for ServiceFuture<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Output = Result<Response<ResponseBody>, h2::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(Err(h2::Reason::PROTOCOL_ERROR.into()));
        };
        let Ok(mut response) = ready!(inner.poll(cx));
        if this
            .malformed
            .as_ref()
            .is_some_and(|malformed| malformed.load(Relaxed))
        {
            return Poll::Ready(Err(h2::Reason::PROTOCOL_ERROR.into()));
        }
        let in_flight = this
            .in_flight
            .take()
            .expect("a future is not polled after its end");
        let version = *this.version;
        let http2 = version == Version::HTTP_2;
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switching {
            in_flight.hand_over();
        } else if !http2 && (in_flight.is_last() || is_ended_by_closing(&response, version)) {
            // With another version than the client's, hyper says `keep-alive` besides.
            *response.version_mut() = version;
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, http2, in_flight))))
    }
}

/// Whether only the end of the connection tells the end of `response`: HTTP/1.0 has no chunks.
fn is_ended_by_closing(response: &Response<Body>, version: Version) -> bool {
    version == Version::HTTP_10
        && response.body().size_hint().exact().is_none()
        && !response.headers().contains_key(CONTENT_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_one_cookie_of_its_crumbs() {
        for (crumbs, whole) in [
            (&[][..], None),
            (&["a=b"], Some("a=b")),
            (&["a=b", "c=d; e=f", "g"], Some("a=b; c=d; e=f; g")),
        ] {
            let mut headers = HeaderMap::new();
            for crumb in crumbs {
                headers.append(COOKIE, HeaderValue::from_static(crumb));
            }
            join_crumbs(&mut headers);
            let found: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(found, whole.into_iter().collect::<Vec<_>>());
        }
    }
}
