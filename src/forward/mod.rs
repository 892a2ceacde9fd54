//! Everything that is not a batch: forwarded as it is, streamed both ways.
//!
//! Heads are changed in place and bodies pass frame by frame, so that a client that reads
//! slowly slows the upstream down and nothing piles up in between. Buffered are only `GET` and
//! `HEAD` bodies of unknown length, which the HTTP/1 client would not send, and small bodies, which
//! would otherwise hold a permit for as long as their clients take to send them.

mod config;
mod error;
mod harmless_write;
mod head;
mod header_filter;
mod hop_limit;
mod location;
mod message_length;
mod provenance;
mod request_body;
mod response_body;
mod shared;
mod trailers;
mod upgrade;
mod upstream_response;
mod vehicle_refs;
mod write;

use std::{
    fmt,
    panic::resume_unwind,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{
    Method, Request, Response,
    header::{CONTENT_LENGTH, TRAILER},
};
use http_body::Body as _;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::Instrument as _;

pub use self::{config::Config, error::Error, harmless_write::HarmlessWrite, hop_limit::options};
use self::{
    request_body::{BodyMonitor, Capture, RequestBody},
    shared::Shared,
    trailers::Trailers,
    upstream_response::ResponseContext,
    write::{Outcome, Pending, Write},
};
use crate::{
    body::Body,
    limit::QueueRefusals,
    request_context::RequestContext,
    trace::Step,
    upstream::{Account, Call, ClientId, Kind, Origin, Reservation, Upstream},
    vehicle_cache::{Cause, Invalidate},
};

/// Forwards requests to the upstream.
///
/// Takes authorized requests whose vehicles have their one spelling, with the [`RequestContext`] and
/// the [`Credential`](crate::auth::Credential) among their extensions. A write that is under way runs
/// in a task of its own, to its end, whoever hangs up.
#[derive(Clone)]
pub struct Forward {
    upstream: Upstream,
    shared: Arc<Shared>,
}

/// The response to a forwarded request.
pub type ResponseFuture = BoxFuture<'static, Result<Response<Body>, Error>>;

/// Bytes of a body that is not worth streaming: more than a write of one vehicle takes. As many
/// of them as there may be requests in flight fit into memory.
const MAX_SMALL: u64 = 16 * 1024;

impl Forward {
    /// Forwards to `upstream`, which is at `origin`. Writes drop what they change from `cache`.
    ///
    /// `tasks` gets what outlives its request, writes and WebSockets, for the drain to wait for.
    pub fn new(
        config: Config,
        origin: Origin,
        upstream: Upstream,
        cache: Arc<dyn Invalidate>,
        tasks: TaskTracker,
        queue_refusals: QueueRefusals,
    ) -> Self {
        let shared = Shared { config, origin, cache, tasks, queue_refusals };
        Self { upstream, shared: Arc::new(shared) }
    }
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Each call asks for its permit by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        // Once, so that all that follows moves a pointer.
        let mut request = Box::new(request);
        if let Some(end) = hop_limit::check_loop_and_max_forwards(&mut request) {
            return Box::pin(async { end });
        }
        let upgrade = upgrade::take(&mut request);
        let cause = write::cause(&request, &self.shared.config.harmless_writes);
        let context = ResponseContext {
            shared: Arc::clone(&self.shared),
            credential: request.extensions().get().copied(),
            upgrade,
            body: None,
        };
        exchange(self.upstream.clone(), request, cause, context)
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
/// small body at its client's pace would keep others' from being sent.
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

async fn buffer(request: &mut Request<Body>, config: &Config) -> Result<(), Error> {
    let client = RequestContext::of(request.extensions()).client;
    let body = request.body_mut();
    let buffering = body.buffer_of(client, config.max_body, config.body_idle_timeout);
    let buffered = buffering.await;
    *body = Body::full(buffered.map_err(Error::Body)?);
    request.headers_mut().remove(TRAILER);
    Ok(())
}

/// Sends a request, and looks over the response. Its head is made the upstream's when it has a
/// permit: what is refused for want of one is to cost little.
///
/// No `async fn`: it would keep each argument twice.
fn exchange(
    upstream: Upstream,
    mut request: Box<Request<Body>>,
    cause: Option<Cause>,
    mut context: ResponseContext,
) -> ResponseFuture {
    Box::pin(async move {
        let config = &context.shared.config;
        // The body is of another, or it would be known. Before it is buffered, and has one.
        if request.body().size_hint().exact().is_none() {
            request.headers_mut().remove(CONTENT_LENGTH);
        }
        if must_be_buffered(&request, config.max_body) {
            buffer(&mut request, config).await?;
        }
        let RequestContext { route, trace, .. } = RequestContext::of(request.extensions());
        let (route, trace) = (*route, trace.clone());
        // A write is its client's as long as it waits for a permit: whoever hangs up takes it
        // along, unsent. From then on it runs to its end.
        let waiting = trace.step(Step::Wait);
        let reserving = upstream.reserve(reservation(&request, &context));
        let permit = reserving.await.inspect_err(|error| {
            if error.is_of_queue() {
                let refused = RequestContext::of(request.extensions());
                context.shared.queue_refusals.note(refused);
            }
        })?;
        drop(waiting);
        let trailers = head::prepare(&mut request, config, context.upgrade.is_some());
        if !request.body().is_end_stream() && (cause.is_some() || !request.body().is_buffered()) {
            context.body = Some(monitor_body(&mut request, trailers, cause, config));
        }
        let write = cause.map(|cause| {
            let ResponseContext { shared, credential, body, .. } = &context;
            Box::new(Write::new(&request, cause, shared, *credential, body.clone()))
        });
        trace.note_call();
        let Some(mut write) = write else {
            let calling = trace.step(Step::Call);
            let call = Call { span: calling.parent(), ..Call::new(route, request) };
            let response = permit.send(call).await;
            drop(calling);
            return context.finish(response).await;
        };
        let mut writing = trace.step(Step::Write);
        write.announce().await;
        let call = Call { span: writing.parent(), ..Call::new(route, request) };
        let responding = permit.send(call);
        let write = Arc::<Write>::from(write);
        let given_up = Pending::new(Arc::clone(&write));
        let (tasks, pending) = (context.shared.tasks.clone(), Pending::new(write));
        let ending = async move {
            let response = responding.await;
            let outcome = Outcome::of(&response);
            writing.set("vingate.outcome", outcome.as_str());
            pending.finish(outcome).await;
            drop(writing);
            context.finish(response).await
        };
        let ended = tasks.spawn(ending.in_current_span()).await;
        given_up.release();
        ended.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Error::Stopped),
        })
    })
}

fn reservation(request: &Request<Body>, context: &ResponseContext) -> Reservation {
    let is_streaming = context.upgrade.is_some() || !request.body().is_buffered();
    let RequestContext { client, vehicles, .. } = RequestContext::of(request.extensions());
    let digest = context.credential.and_then(|credential| credential.digest);
    let kind = if is_streaming { Kind::Streaming } else { Kind::Buffered };
    let held = if is_streaming { 0 } else { request.body().size_hint().lower() };
    Reservation {
        account: digest.map(Account),
        client: client.map(|client| ClientId(client.id())),
        vehicles: *vehicles,
        bytes: held as usize,
        ..Reservation::of(kind)
    }
}

/// Watches the body of `request` while it is sent.
fn monitor_body(
    request: &mut Request<Body>,
    trailers: Trailers,
    cause: Option<Cause>,
    config: &Config,
) -> Arc<BodyMonitor> {
    let body = std::mem::take(request.body_mut());
    let capture =
        cause.map_or(Capture::Nothing, |cause| write::capture_for(cause, &body, config.max_body));
    let monitor = Arc::new(BodyMonitor::new(capture));
    let idle_timeout = config.body_idle_timeout;
    let monitored = RequestBody::new(body, idle_timeout, trailers, Arc::clone(&monitor));
    *request.body_mut() = Body::new(monitored);
    monitor
}

#[cfg(test)]
mod tests;
