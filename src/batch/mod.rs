//! The batch endpoint: many vehicles asked for at once.
//!
//! # Life of a batch
//!
//! 1. The head is judged ([`media`]), the body read ([`Body::buffer`]) and parsed in one pass
//!    ([`asked`]): each vehicle once, in order of first mention.
//! 2. What is not documented goes up as it is, past the cache ([`undocumented`]).
//! 3. The rest is gathered ([`gather`]): what is held is taken, what others are asking for is
//!    waited for, what remains is cut into few calls ([`split`]) and asked for ([`fetch`]).
//! 4. Answers of the upstream are taken apart without changing a byte ([`elements`]), and the
//!    answer is put together from those bytes ([`splice`]) under a head that says where they
//!    come from ([`answer`]).

mod elements;
mod error;
mod fetch;
pub(crate) mod fuzzing;
mod gather;
mod media;
mod metrics;
mod request;
mod response;
mod splice;
mod split;
mod undocumented;

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{HeaderName, Request, Response};
use tokio::time::Instant;
use tower::{Service, ServiceExt as _};

use self::{
    gather::{Gather, Wanted},
    response::{Composer, Tally},
};
use crate::{
    auth::Credential,
    body::Body,
    cache::{self, Cache, CacheStatus, Directives, Partition},
    rule::Refused,
    upstream::{Account, Upstream},
};

pub use self::{
    elements::Elements,
    error::{CallError, Error, NotJson, Problem, Refusal},
    gather::Failure,
    metrics::Metrics,
    request::BatchRequest,
    splice::Splice,
    split::balanced,
};

/// What the `[batch]` table says, with the limits of bodies.
#[derive(Clone, Debug)]
pub struct Config {
    /// Vehicles in one client request.
    pub max_vehicles: usize,
    /// Vehicles in one upstream call, never above 500.
    pub chunk: usize,
    /// Upstream calls at once for one client request.
    pub max_parallel: usize,
    /// Bytes of one upstream answer.
    pub max_answer: usize,
    /// Bytes of a request body.
    pub max_body: usize,
    /// A request body without a byte from the caller.
    pub body_idle_timeout: Duration,
    /// An upstream answer without a byte.
    pub stream_idle_timeout: Duration,
    /// One upstream call, from its turn among all to the last byte of its answer.
    pub request_timeout: Duration,
}

/// Answers batch requests. `U` takes what is passed on past the cache.
#[derive(Debug)]
pub struct Batch<U>(Arc<Shared<U>>);

#[derive(Debug)]
struct Shared<U> {
    config: Config,
    gather: Gather,
    metrics: Metrics,
    undocumented: U,
}

/// What most Sync takes at once, also past the cache.
const MAX_UNDOCUMENTED: usize = 500;

// === impl Batch ===

impl<U> Batch<U> {
    /// Answers from `cache` and `upstream`. `credential` are the fields that a call carries of
    /// the request that composed it.
    pub fn new(
        config: Config,
        cache: Cache<Failure>,
        upstream: Upstream,
        credential: &[HeaderName],
        metrics: Metrics,
        undocumented: U,
    ) -> Self {
        let fetch = fetch::Fetch::new(upstream, &config, credential, metrics.clone());
        let (chunk, max_parallel) = (config.chunk, config.max_parallel);
        let gather = Gather { cache, fetch, chunk, max_parallel };
        Self(Arc::new(Shared { config, gather, metrics, undocumented }))
    }
}

impl<U> Clone for Batch<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// === impl Shared ===

impl<U> Shared<U>
where
    U: Service<Request<Body>, Response = Response<Body>, Error: From<Error>> + Clone,
{
    async fn response(&self, request: Request<Body>) -> Result<Response<Body>, Refused<U::Error>> {
        let Config { max_vehicles, max_body, body_idle_timeout, .. } = self.config;
        if let Err(error) = media::judge(request.method(), request.headers()) {
            return Err(Refused::new(error, request));
        }
        let (head, mut unread) = request.into_parts();
        let body = match unread.buffer(max_body, body_idle_timeout).await {
            Ok(body) => body,
            Err(failure) => return Err(Refused { error: Error::from(failure).into(), unread }),
        };
        let asked = BatchRequest::parse(&body, max_vehicles).map_err(Refused::bare)?;
        if asked.has_unknown || head.uri.query().is_some() {
            if Directives::of(&head.headers).only_if_cached {
                return Err(Refused::bare(Error::NotCached));
            }
            if asked.count > MAX_UNDOCUMENTED {
                let (found, limit) = (asked.count, MAX_UNDOCUMENTED);
                return Err(Refused::bare(Error::TooManyToPass { found, limit }));
            }
            self.cache_metrics()
                .lookups(CacheStatus::Bypass)
                .inc_by(asked.distinct.len() as u64);
            let request = undocumented::request(head, body);
            let undocumented = self.undocumented.clone();
            let response = undocumented.oneshot(request).await.map_err(Refused::bare)?;
            return Ok(response::mark_bypassed(response, asked.distinct.len()));
        }
        drop(body);
        self.gather(&head, &asked).await.map_err(Refused::bare)
    }

    /// Answers vehicles that are asked for as documented.
    async fn gather(
        &self,
        head: &http::request::Parts,
        asked: &BatchRequest,
    ) -> Result<Response<Body>, Error> {
        self.metrics.vehicles.observe(asked.distinct.len() as f64);
        let credential = head.extensions.get::<Credential>();
        let digest = credential.and_then(|credential| credential.digest);
        let partition = digest.map(|digest| Partition::new(&digest));
        let directives = Directives::of(&head.headers);
        let wanted = Wanted {
            vehicles: &asked.distinct,
            partition: partition.filter(|_| self.gather.cache.is_enabled()),
            account: digest.map(Account),
            of_account: credential.is_some_and(|credential| credential.is_account),
            directives: &directives,
            fields: &head.headers,
        };
        let gathered = self.gather.gather(&wanted).await?;

        let now = Instant::now();
        let tally = Tally::of(&gathered.parts, now);
        for lookup in CacheStatus::ALL {
            match tally.count(lookup) {
                0 => {}
                count => self.cache_metrics().lookups(lookup).inc_by(count),
            }
        }
        let composer = Composer {
            method: &head.method,
            fields: &head.headers,
            directives: &directives,
            is_cacheable: wanted.partition.is_some(),
        };
        Ok(composer.compose(gathered, &tally))
    }

    fn cache_metrics(&self) -> &cache::Metrics {
        self.gather.cache.metrics()
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
    type Error = Refused<U::Error>;
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
