//! Everything that is not a batch: forwarded as it is, streamed both ways.
//!
//! Heads are changed in place and bodies pass frame by frame, so that a caller that reads
//! slowly slows the upstream down and nothing piles up in between. Held back until they are
//! whole are only `GET` and `HEAD` bodies of unknown length, which the HTTP/1 client would not
//! send, and small ones, whose callers would otherwise take a place upstream for their time.

mod error;
mod fields;
mod forwarded;
mod framing;
mod head;
mod hops;
mod invalidate;
mod location;
mod request_body;
mod response;
mod response_body;
mod trailers;
mod upgrade;
mod vehicle_refs;

use std::{
    fmt,
    future::poll_fn,
    mem,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{self, Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, Either, ready};
use http::{HeaderName, Method, Request, Response, header::TRAILER};
use http_body::Body as _;
use ipnet::IpNet;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::Instrument as _;

pub use self::error::Error;
use self::{
    invalidate::{Outcome, Pending, Write},
    request_body::{BodyMonitor, Copy, RequestBody},
    response::Answer,
    trailers::Trailers,
};
use crate::{
    body::Body,
    cache::{Cause, Invalidate},
    upstream::{self, Account, Origin, Paced, Turn, Upstream},
};

/// What the forwarding needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Peers whose `Forwarded` and `X-Forwarded-*` fields are appended to, not replaced.
    pub trusted_proxies: Vec<IpNet>,
    /// Fields that carry a credential, besides `Authorization` and `Cookie`, those of accounts
    /// included: `Connection` cannot nominate them away, and they are no trailers.
    pub credential_headers: Vec<HeaderName>,
    /// Bytes of a `GET` or `HEAD` body of unknown length, and of a write that is searched for
    /// vehicles.
    pub max_body: usize,
    /// A request body without a byte from the caller.
    pub body_idle_timeout: Duration,
    /// A body without a byte, either way, once the head of the answer came.
    pub stream_idle_timeout: Duration,
    /// How long nothing is stored of the vehicles of a write whose outcome is unknown.
    pub attempt_timeout: Duration,
}

/// Forwards requests to the upstream.
///
/// Takes authorized requests whose vehicles have their one spelling; reads [`Peer`](crate::peer::Peer), the
/// [`Route`](crate::route::Route) and the [`Credential`](crate::auth::Credential) from their
/// extensions. A write that is under way runs in a task of its own, to its end, whoever hangs
/// up.
#[derive(Clone)]
pub struct Forward {
    upstream: Upstream,
    shared: Arc<Shared>,
}

/// What every request needs.
struct Shared {
    config: Config,
    origin: Origin,
    cache: Arc<dyn Invalidate>,
    tasks: TaskTracker,
}

/// The answer to a forwarded request.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(Either<Exchange, BoxFuture<'static, Result<Response<Body>, Error>>>);

/// A call whose answer only has to be looked over.
struct Exchange {
    call: BoxFuture<'static, Result<Response<Body>, upstream::Error>>,
    /// Taken when the answer comes.
    response: Option<Answer>,
}

/// Bytes of a body that is not worth streaming: more than a write of one vehicle takes. As many
/// of them as there may be requests in flight fit into memory.
const MAX_SMALL: u64 = 16 * 1024;

// === impl Forward ===

impl Forward {
    /// Forwards to `upstream`, which is at `origin`. Writes drop what they change from `cache`.
    ///
    /// `tasks` is told of what outlives its request, writes and WebSockets, for the drain to
    /// wait for.
    pub fn new(
        config: Config,
        origin: Origin,
        upstream: Upstream,
        cache: Arc<dyn Invalidate>,
        tasks: TaskTracker,
    ) -> Self {
        Self { upstream, shared: Arc::new(Shared { config, origin, cache, tasks }) }
    }

    /// Takes the upstream that is ready and leaves one that is not.
    fn take_upstream(&mut self) -> Upstream {
        let clone = self.upstream.clone();
        mem::replace(&mut self.upstream, clone)
    }
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.upstream.poll_ready(cx).map_err(Error::Upstream)
    }

    fn call(&mut self, mut request: Request<Body>) -> ResponseFuture {
        if let Some(end) = hops::end(&mut request) {
            return ResponseFuture(Either::Right(Box::pin(ready(end))));
        }
        let upgrade = upgrade::take(&mut request);
        let cause = invalidate::cause(&request);
        let trailers = head::prepare(&mut request, &self.shared.config, upgrade.is_some());
        let response = Answer {
            shared: Arc::clone(&self.shared),
            credential: request.extensions().get().copied(),
            upgrade,
            body: None,
        };
        let digest = response.credential.and_then(|credential| credential.digest);
        if let Some(digest) = digest {
            request.extensions_mut().insert(Account(digest));
        }
        if !must_be_buffered(&request, self.shared.config.max_body) {
            return send(&mut self.upstream, request, trailers, cause, response);
        }
        let mut upstream = self.take_upstream();
        ResponseFuture(Either::Right(Box::pin(async move {
            let request = buffered(request, &response.shared.config).await?;
            send(&mut upstream, request, trailers, cause, response).await
        })))
    }
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

/// Whether the body has to be whole before the request goes up: the HTTP/1 client would drop it,
/// because it does not know its length, or it is so small that there is nothing to stream. A
/// small body at its caller's pace would keep other callers' from being sent.
fn must_be_buffered(request: &Request<Body>, max_body: usize) -> bool {
    let body = request.body();
    if body.is_end_stream() || body.is_buffered() {
        return false;
    }
    match body.size_hint().exact() {
        None => matches!(*request.method(), Method::GET | Method::HEAD),
        // Trailers would be lost.
        Some(length) => {
            length <= MAX_SMALL.min(max_body as u64) && !request.headers().contains_key(TRAILER)
        }
    }
}

async fn buffered(mut request: Request<Body>, config: &Config) -> Result<Request<Body>, Error> {
    let body = request
        .body_mut()
        .buffer(config.max_body, config.body_idle_timeout)
        .await;
    let body = Body::full(body.map_err(Error::Body)?);
    request.headers_mut().remove(TRAILER);
    Ok(request.map(|_| body))
}

/// Sends a request whose head is the upstream's.
fn send(
    upstream: &mut Upstream,
    mut request: Request<Body>,
    trailers: Trailers,
    cause: Option<Cause>,
    mut response: Answer,
) -> ResponseFuture {
    let is_buffered = request.body().is_buffered();
    if response.upgrade.is_some() || !is_buffered {
        request.extensions_mut().insert(Paced);
    }
    if !request.body().is_end_stream() && (cause.is_some() || !is_buffered) {
        let (monitored, monitor) = response.shared.watch_body(request, trailers, cause);
        request = monitored;
        response.body = Some(monitor);
    }
    let Some(cause) = cause else {
        let call = upstream.call(request);
        return ResponseFuture(Either::Left(Exchange { call, response: Some(response) }));
    };
    let write = Arc::new(Write::new(
        &request,
        cause,
        response.body.clone(),
        Arc::clone(&response.shared.cache),
        response.shared.config.attempt_timeout,
    ));
    let turn = Turn::default();
    request.extensions_mut().insert(turn.clone());
    let call = upstream.call(request);
    ResponseFuture(Either::Right(Box::pin(run_write(call, turn, response, write))))
}

/// A write is its caller's as long as it waits for its turn: whoever hangs up takes it along,
/// unsent. From then on it is nobody's to stop.
async fn run_write(
    mut call: BoxFuture<'static, Result<Response<Body>, upstream::Error>>,
    turn: Turn,
    response: Answer,
    write: Arc<Write>,
) -> Result<Response<Body>, Error> {
    let answered = poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(answered) => Poll::Ready(Some(answered)),
        Poll::Pending if turn.is_awaited() => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    });
    let Some(answered) = answered.await else {
        // In the same poll in which it had its turn, so that nobody can hang up in between.
        let given_up = Pending::new(Arc::clone(&write));
        let tasks = response.shared.tasks.clone();
        let pending = Pending::new(write);
        let ending = async { end_write(call.await, response, pending) };
        let ended = tasks.spawn(ending.in_current_span()).await;
        given_up.release();
        return ended.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Error::Stopped),
        });
    };
    end_write(answered, response, Pending::new(write))
}

fn end_write(
    answered: Result<Response<Body>, upstream::Error>,
    response: Answer,
    pending: Pending,
) -> Result<Response<Body>, Error> {
    pending.settle(Outcome::of(&answered));
    response.finish(answered)
}

// === impl Shared ===

impl Shared {
    /// Watches the body of `request` while it is sent.
    fn watch_body(
        &self,
        request: Request<Body>,
        trailers: Trailers,
        cause: Option<Cause>,
    ) -> (Request<Body>, Arc<BodyMonitor>) {
        let limit = self.config.max_body;
        let copy =
            cause.map_or(Copy::Foreign, |cause| invalidate::copy_of(cause, request.body(), limit));
        let monitor = Arc::new(BodyMonitor::new(copy));
        let idle_timeout = self.config.body_idle_timeout;
        let monitored = request.map(|body| {
            Body::new(RequestBody::new(body, idle_timeout, trailers, Arc::clone(&monitor)))
        });
        (monitored, monitor)
    }
}

// === impl ResponseFuture ===

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

// === impl Exchange ===

impl Future for Exchange {
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = task::ready!(self.call.as_mut().poll(cx));
        let response = self
            .response
            .take()
            .expect("no future is polled after it was ready");
        Poll::Ready(response.finish(answered))
    }
}

#[cfg(test)]
mod tests;
