//! The service against an upstream in memory; `wire` has what only a connection shows.

mod requests;
mod responses;
mod wire;
mod writes;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, LOCATION, WWW_AUTHENTICATE},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::advance,
};
use tower::ServiceExt as _;

use super::*;
use crate::{
    auth::Credential,
    body::{Error as BodyError, Failure},
    limit,
    peer::Peer,
    route::Route,
    upstream::{self, tests::Fake},
    vehicle_cache::{InvalidationScope, Partition, Reason},
};

const MINE: [u8; 32] = [7; 32];
const SECOND: Duration = Duration::from_secs(1);

pub(super) type Dropped = Arc<Mutex<Vec<(InvalidationScope, Cause, Option<Duration>)>>>;

/// A cache that only records what it is told to drop.
pub(super) struct Recording(pub(super) Dropped);

impl Invalidate for Recording {
    fn invalidate_for(
        &self,
        scope: InvalidationScope,
        reason: Reason,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        self.0.lock().push((scope, reason.cause, fence_for));
        Box::pin(async {})
    }
}

fn config() -> Config {
    Config {
        credential_headers: vec![HeaderName::from_static("x-api-key")],
        max_body: 64,
        body_idle_timeout: 30 * SECOND,
        stream_idle_timeout: 60 * SECOND,
        attempt_timeout: 20 * SECOND,
        harmless_writes: vec!["POST /api/reports/*".parse().unwrap()],
    }
}

fn shared(config: Config, cache: Arc<dyn Invalidate>) -> Arc<Shared> {
    let origin =
        Origin { scheme: http::uri::Scheme::HTTPS, authority: "sync.example".parse().unwrap() };
    let queue_refusals =
        limit::Metrics::register(&prometheus::Registry::new()).map(QueueRefusals::new);
    let queue_refusals = queue_refusals.unwrap();
    Arc::new(Shared { config, origin, cache, tasks: TaskTracker::new(), queue_refusals })
}

fn forward(upstream: Upstream) -> (Forward, Dropped) {
    let dropped = Dropped::default();
    let cache = Arc::new(Recording(Arc::clone(&dropped)));
    (Forward { upstream, shared: shared(config(), cache) }, dropped)
}

/// What is remembered of a request whose writes are told to `cache`.
pub(super) fn context(
    cache: Arc<dyn Invalidate>,
    credential: Option<Credential>,
    body: Option<Arc<BodyMonitor>>,
) -> ResponseContext {
    ResponseContext { shared: shared(config(), cache), credential, upgrade: None, body }
}

/// An upstream that reads requests whole and answers each with `response`.
fn responding(response: fn() -> Response<Body>) -> (Upstream, Arc<Mutex<Vec<Request<Bytes>>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let upstream = Fake::new(move |request: Request<Body>| {
        let kept = Arc::clone(&kept);
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                return Err(upstream::Error::Timeout);
            };
            kept.lock().push(Request::from_parts(head, body.to_bytes()));
            Ok(response())
        }
    });
    (upstream.upstream(), seen)
}

type ByHand = (Request<Body>, oneshot::Sender<Result<Response<Body>, upstream::Error>>);

/// An upstream whose calls are answered by hand.
fn by_hand() -> (Upstream, mpsc::UnboundedReceiver<ByHand>) {
    let (fake, received) = fake_by_hand();
    (fake.upstream(), received)
}

fn fake_by_hand() -> (Fake, mpsc::UnboundedReceiver<ByHand>) {
    let (calls, received) = mpsc::unbounded_channel();
    let upstream = Fake::new(move |request: Request<Body>| {
        let (response, responded) = oneshot::channel();
        let _ = calls.send((request, response));
        async move { responded.await.unwrap_or(Err(upstream::Error::Timeout)) }
    });
    (upstream, received)
}

/// A body whose frames are sent by hand.
fn sent_by_hand() -> (mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>, Body) {
    let (sender, frames) = mpsc::unbounded_channel();
    let frames = stream::unfold(frames, async |mut frames| Some((frames.recv().await?, frames)));
    (sender, Body::new(StreamBody::new(frames)))
}

fn ok() -> Response<Body> {
    Response::new(Body::full("fine"))
}

fn request(method: Method, uri: &str, body: Body) -> Request<Body> {
    let path = uri.parse::<Uri>().unwrap().path().to_owned();
    Request::builder()
        .method(&method)
        .uri(uri)
        .header("host", "gate:8080")
        .extension(RequestContext {
            peer: Some(Peer::new("203.0.113.9:5".parse().unwrap(), false)),
            route: Route::of(&method, &path, false),
            ..RequestContext::default()
        })
        .extension(Credential { digest: Some(MINE), is_account: false })
        .body(body)
        .unwrap()
}

/// The headers in alphabetical order.
fn sorted(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let pairs = headers.iter();
    let mut sorted: Vec<_> = pairs
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    sorted.sort_unstable();
    sorted
}

fn streamed(frames: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
    Body::new(StreamBody::new(stream::iter(frames)))
}

fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}
