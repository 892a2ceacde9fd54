//! An upstream over a function, for tests of this room and of those above.

mod permit;
mod pool;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{
    Request, Response,
    uri::{Authority, Scheme},
};
use prometheus::Registry;

use super::*;

/// A function in the place of Sync.
#[derive(Clone)]
pub(crate) struct Fake(Arc<dyn Fn(Request<Body>) -> Responding + Send + Sync>);

type Responding = BoxFuture<'static, Result<Response<Body>, Error>>;

const HOUR: Duration = Duration::from_secs(3600);

impl Fake {
    pub(crate) fn new<F>(respond: impl Fn(Request<Body>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(respond(request))))
    }

    pub(super) fn call(&self, request: Request<Body>) -> Responding {
        (self.0)(request)
    }

    /// An upstream that makes each call once, and many at once.
    pub(crate) fn upstream(self) -> Upstream {
        self.upstream_with(&config()).0
    }

    pub(crate) fn upstream_with(self, config: &Config) -> (Upstream, Metrics) {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        (Upstream::over(Client::Fake(self), config, &metrics), metrics)
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

/// Nothing that would get into a test's way.
pub(crate) fn config() -> Config {
    Config {
        origin: Origin { scheme: Scheme::HTTP, authority: Authority::from_static("sync.example") },
        ca: None,
        connect_timeout: HOUR,
        attempt_timeout: HOUR,
        stream_idle_timeout: HOUR,
        request_timeout: HOUR,
        slow_after: HOUR,
        pool_idle_timeout: HOUR,
        max_in_flight: 1000,
        adaptive: false,
        client_share: 1.0,
        retry: RetryConfig { max_attempts: 1, budget: 0.0 },
        breaker: BreakerConfig {
            failure_ratio: 1.0,
            min_requests: u32::MAX,
            open_for: HOUR,
            probe_for: HOUR,
        },
    }
}
