//! The batch endpoint: many vehicles asked for at once.
//!
//! # Life of a batch
//!
//! 1. The head is checked ([`media`]), the body read ([`Body::buffer`]) and parsed in one pass
//!    ([`request`]): each vehicle once, in order of first mention.
//! 2. What is not documented goes up as it is, past the cache ([`undocumented`]).
//! 3. The rest is gathered (`gather.rs`): what is held is taken, what others fetch is waited for, what
//!    remains is left to the [`loader`].
//! 4. The response is put together from the bytes that Sync sent ([`splice`]) under a head that
//!    says where they come from ([`response`]).

mod coding;
mod compressor;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gather;
mod huge_numbers;
mod large_batches;
mod media;
mod metrics;
mod request;
mod response;
mod splice;
mod tally;
mod undocumented;

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body as _;
use tokio::time::Instant;
use tower::{Service, ServiceExt as _};

use self::{
    compressor::Compressor,
    gather::{MANY, Wanted, gather},
    large_batches::LargeBatches,
    response::{Composer, Compression},
    tally::{Tally, Terms},
};
use crate::{
    auth::Credential,
    body::Body,
    json::without_bom,
    limit::QueueRefusals,
    loader::{self, Loader},
    long_work,
    request_context::RequestContext,
    rule::Rejection,
    upstream::{ClientId, Side, SlowClients},
    vehicle_cache::{CacheStatus, Directives, Partition},
};

pub use self::{error::Error, metrics::Metrics, request::BatchRequest, splice::Splice};

/// What the `[batch]` table says, with the limits of bodies.
#[derive(Clone, Debug)]
pub struct Config {
    /// Vehicles in one request.
    pub max_vehicles: usize,
    /// Bytes of a request body.
    pub max_body: usize,
    /// How long a request body may go without a byte.
    pub body_idle_timeout: Duration,
    /// Bytes of a response that is compressed, if its client takes that; 0: none is.
    pub gzip_from: usize,
    /// Of the calls.
    pub loader: loader::Config,
}

/// The longest that a request has less for its calls than its client waits.
const LAST_MOMENT: Duration = Duration::from_millis(250);

impl Config {
    /// How long a request waits for calls: not as long as for its response, which it has to make
    /// from what is held then.
    fn patience(&self) -> Duration {
        let whole = self.loader.request_timeout;
        whole - LAST_MOMENT.min(whole / 20)
    }
}

/// Answers batch requests. `U` takes what is passed on past the cache.
#[derive(Debug)]
pub struct Batch<U>(Arc<Shared<U>>);

#[derive(Debug)]
struct Shared<U> {
    config: Config,
    loader: Loader,
    metrics: Metrics,
    undocumented: U,
    compressor: Arc<Compressor>,
    large: LargeBatches,
    unread: SlowClients,
    queue_refusals: QueueRefusals,
}

/// Bytes of a response that may go unread, however many of them there are.
const SMALL: u64 = 128 * 1024;

/// Bytes of all larger ones that go unread.
const MAX_UNREAD: u64 = 64 * 1024 * 1024;

/// When a response is one of them, up to twice.
const UNREAD_AFTER: Duration = Duration::from_secs(1);

/// What most Sync takes at once, also past the cache.
const MAX_UNDOCUMENTED: usize = 500;

impl<U> Batch<U> {
    /// Answers from the cache that `loader` fills.
    pub fn new(
        config: Config,
        loader: Loader,
        metrics: Metrics,
        undocumented: U,
        queue_refusals: QueueRefusals,
    ) -> Self {
        let compressor = Arc::default();
        let unread = SlowClients::new(MAX_UNREAD, UNREAD_AFTER, metrics.unread.clone());
        Self(Arc::new(Shared {
            config,
            loader,
            metrics,
            undocumented,
            compressor,
            large: LargeBatches::default(),
            unread,
            queue_refusals,
        }))
    }
}

impl<U> Clone for Batch<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U> Shared<U>
where
    U: Service<Request<Body>, Response = Response<Body>, Error: From<Error>> + Clone,
{
    async fn response(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Body>, Rejection<U::Error>> {
        let Config { max_vehicles, max_body, body_idle_timeout, .. } = self.config;
        if let Err(error) = media::check(request.method(), request.headers()) {
            return Err(Rejection::new(error, request));
        }
        let (head, mut unread) = request.into_parts();
        let client = RequestContext::of(&head.extensions).client;
        let buffered = unread.buffer_of(client, max_body, body_idle_timeout);
        let body = match buffered.await {
            Ok(body) => body,
            Err(failure) => return Err(Rejection { error: Error::from(failure).into(), unread }),
        };
        if body.is_empty() {
            return Err(Rejection::bare(Error::NoBody));
        }
        let body = body.slice_ref(without_bom(&body));
        let parse = || BatchRequest::parse(&body, max_vehicles);
        let asked = long_work::run(BatchRequest::estimated_count(&body) >= MANY, parse)
            .await
            .map_err(Rejection::bare)?;
        if asked.has_unknown || head.uri.query().is_some() {
            if asked.count > MAX_UNDOCUMENTED {
                let (found, limit) = (asked.count, MAX_UNDOCUMENTED);
                return Err(Rejection::bare(Error::TooManyToPass { found, limit }));
            }
            if Directives::of(&head.headers).only_if_cached {
                return Err(Rejection::bare(Error::NotCached));
            }
            let bypassed = self.loader.cache().metrics().vehicles(CacheStatus::Bypass);
            bypassed.inc_by(asked.distinct.len() as u64);
            let mut request = undocumented::request(head, body);
            RequestContext::of_mut(request.extensions_mut()).vehicles = asked.count;
            let undocumented = self.undocumented.clone();
            let response = undocumented
                .oneshot(request)
                .await
                .map_err(Rejection::bare)?;
            return Ok(response::mark_bypassed(response, asked.distinct.len()));
        }
        drop(body);
        self.documented(&head, &asked)
            .await
            .map_err(Rejection::bare)
    }

    /// Answers vehicles that are asked for as documented.
    async fn documented(
        &self,
        head: &http::request::Parts,
        asked: &BatchRequest,
    ) -> Result<Response<Body>, Error> {
        self.metrics.vehicles.observe(asked.distinct.len() as f64);
        let credential = head.extensions.get::<Credential>();
        let digest = credential.and_then(|credential| credential.digest);
        let partition = digest.map(|digest| Partition::new(&digest));
        let directives = Directives::of(&head.headers);
        let context = RequestContext::of(&head.extensions);
        let RequestContext { client, trace, .. } = context;
        let wanted = Wanted {
            vehicles: &asked.distinct,
            partition: partition.filter(|_| self.loader.cache().is_enabled()),
            credential,
            client: client.map(|client| ClientId(client.id())),
            directives: &directives,
            headers: &head.headers,
            trace,
            deadline: context.began_at.unwrap_or_else(Instant::now) + self.config.patience(),
        };
        let _gathered = self.large.enter(wanted.client, asked.distinct.len()).await;
        let gathered = gather(&self.loader, &wanted).await.inspect_err(|error| {
            if error.is_of_queue() {
                self.queue_refusals.note(context);
            }
            trace.note_vehicles([("failed", asked.distinct.len() as u64)].into_iter());
        })?;

        let now = Instant::now();
        let tally = Tally::of(&gathered.parts, now);
        for (status, count) in tally.counts().filter(|(_, count)| *count > 0) {
            self.loader.cache().metrics().vehicles(status).inc_by(count);
        }
        trace.note_vehicles(
            tally
                .counts()
                .map(|(status, count)| (status.as_str(), count)),
        );
        let composer = Composer {
            terms: Terms {
                method: &head.method,
                directives: &directives,
                is_cacheable: wanted.partition.is_some(),
            },
            fields: &head.headers,
            compression: self.compression(),
        };
        let is_long = gathered.parts.len() >= MANY;
        let response = long_work::run(is_long, || composer.compose(gathered, &tally)).await;
        Ok(response.map(|body| self.watch(body, wanted.client)))
    }

    /// `body`, which holds its vehicles until it is read, also if others have dropped them.
    fn watch(&self, body: Body, client: Option<ClientId>) -> Body {
        let length = body.size_hint().lower();
        match length > SMALL {
            true => self.unread.watch(body, Side::Reader, client, length, || ()),
            false => body,
        }
    }

    fn compression(&self) -> Option<Compression<'_>> {
        let (compressor, cache, from) =
            (&self.compressor, self.loader.cache(), self.config.gzip_from);
        (from > 0).then_some(Compression { compressor, cache, from })
    }
}

impl<U> Service<Request<Body>> for Batch<U>
where
    U: Service<Request<Body>, Response = Response<Body>, Error: From<Error>> + Clone,
    U: Send + Sync + 'static,
    U::Future: Send,
    U::Error: Send,
{
    type Response = Response<Body>;
    type Error = Rejection<U::Error>;
    type Future = BoxFuture<'static, Result<Response<Body>, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // What is passed on waits for its service by itself; it is rare.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.response(request).await })
    }
}

#[cfg(test)]
mod tests;
