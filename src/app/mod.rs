//! The program put together: every part made once, handed what it needs, and run.

use std::{
    collections::HashMap,
    future::{pending, ready},
    io,
    net::SocketAddr,
    panic::resume_unwind,
    sync::Arc,
};

use bytes::Bytes;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinError,
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::{
    admin::{self, Admin, PurgeRequest, Readiness, UnknownAccount},
    auth::{self, jwks},
    batch::{self, Batch},
    cache::{self, Cache, Partition, Selection},
    config::Config,
    forward::Forward,
    gateway::{self, Gateway},
    limit::{self, AdmitLayer, DeadlineLayer, RateLimit, ShareLayer},
    normalize::NormalizeLayer,
    server,
    telemetry::{self, TelemetryLayer},
    upstream,
};

/// A gateway that is bound and ready to run.
pub struct App {
    public: Listener<Gateway>,
    admin: Listener<Admin>,
    rate: RateLimit,
    cache: Cache<batch::Failure>,
    refresher: Option<jwks::Refresher>,
    tasks: TaskTracker,
    readiness: Readiness,
}

/// A bound listener and what answers on it.
struct Listener<S> {
    listener: TcpListener,
    config: server::Config,
    service: S,
    metrics: server::Metrics,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The upstream cannot be called.
    #[error(transparent)]
    UpstreamTls(#[from] upstream::TlsError),
    /// The key server cannot be asked.
    #[error(transparent)]
    JwksTls(#[from] jwks::TlsError),
    /// Two metrics have one name.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

// === impl App ===

impl App {
    /// Binds the listeners and wires the parts. Runs inside a tokio runtime.
    pub fn build(config: Config) -> Result<Self, BuildError> {
        let readiness = Readiness::new();
        let registry = telemetry::registry()?;
        let public = bind(config.server.listen)?;
        let admin = bind(config.admin.listen)?;

        let cache = Cache::new(config.cache, cache::Metrics::register(&registry)?);
        let upstream = upstream::stack(&config.upstream, &upstream::Metrics::register(&registry)?)?;
        let tasks = TaskTracker::new();
        let purge = purge(cache.clone(), &config.auth, tasks.clone());
        let credential = config.auth.credential_fields();
        let auth = config.auth.build(auth::Metrics::register(&registry)?)?;
        let limits = limit::Metrics::register(&registry)?;
        let rate = RateLimit::new(config.limit.rate, limits.clone());

        let forward = Forward::new(
            config.forward,
            config.upstream.origin,
            upstream.clone(),
            Arc::new(cache.clone()),
            tasks.clone(),
        );
        let batch = Batch::new(
            config.batch,
            cache.clone(),
            upstream,
            credential.names(),
            batch::Metrics::register(&registry)?,
            gateway::undocumented(forward.clone()),
        );
        let gateway = gateway::stack(gateway::Parts {
            config: config.gateway,
            telemetry: TelemetryLayer::new(
                telemetry::Metrics::register(&registry)?,
                config.telemetry.access,
            ),
            admit: AdmitLayer::new(config.limit.max_in_flight, limits.clone()),
            deadline: DeadlineLayer::new(config.limit.request_timeout),
            authenticate: auth.authenticate,
            rate: rate.clone(),
            share: ShareLayer::new(config.limit.max_in_flight, limits),
            authorize: auth.authorize,
            normalize: NormalizeLayer::new(config.normalize),
            batch,
            forward,
        });
        let public = Listener {
            listener: public,
            config: config.server,
            service: gateway,
            metrics: server::Metrics::register(&registry)?,
        };
        let parts = admin::Parts {
            registry,
            readiness: readiness.clone(),
            purge,
            config: Bytes::from(config.in_force.to_string()),
        };
        let admin = Listener {
            listener: admin,
            config: server::Config::side(config.admin.listen),
            service: Admin::new(config.admin.token, parts),
            metrics: server::Metrics::unregistered()?,
        };
        Ok(Self { public, admin, rate, cache, refresher: auth.refresher, tasks, readiness })
    }

    /// Where the gateway listens: its own address, then the admin's.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.listener.local_addr()?, self.admin.listener.local_addr()?))
    }

    /// Serves until `drain` is over, and then until what is in flight has ended or
    /// `drain_timeout` has passed. The admin listener serves longest, so that it can say that
    /// the gateway is draining.
    pub async fn run(self, drain: impl Future<Output = ()>) {
        let Self { public, admin, rate, cache, refresher, tasks, readiness } = self;
        let until_cut = public.config.drain_delay + public.config.drain_timeout;
        let (stop_admin, admin_stopped) = oneshot::channel::<()>();
        let admin = tokio::spawn(admin.serve(async {
            let _ = admin_stopped.await;
        }));
        let forgetting = tokio::spawn(rate.forget_idle());
        let sweeping = tokio::spawn(cache.keep_swept());
        let refreshing = tokio::spawn(keep_keys(refresher, readiness.clone()));

        // Held until the admin listener has closed.
        let mut latch = None;
        let mut cut_at = Instant::now();
        let serving = public.serve(async {
            drain.await;
            info!("Draining");
            latch = Some(readiness.latch("draining"));
            cut_at = Instant::now() + until_cut;
        });
        serving.await;
        // Writes run to their end, whoever hung up, but no longer than everything else.
        tasks.close();
        let _ = timeout_at(cut_at, tasks.wait()).await;

        forgetting.abort();
        sweeping.abort();
        refreshing.abort();
        drop(stop_admin);
        let _ = admin.await;
        drop(latch);
        info!("Drained");
    }
}

impl<S: server::Service> Listener<S> {
    async fn serve(self, drain: impl Future<Output = ()>) {
        server::serve(self.listener, self.config, self.service, self.metrics, drain).await;
    }
}

/// Keeps the published keys fresh, and the gateway from being ready while there are none.
fn keep_keys(
    refresher: Option<jwks::Refresher>,
    readiness: Readiness,
) -> impl Future<Output = ()> + Send {
    // Held from the start, before anybody can ask.
    let mut latch = refresher.as_ref().map(|_| readiness.latch("jwks"));
    async move {
        let Some(refresher) = refresher else {
            return;
        };
        let mut in_force = refresher.in_force();
        let watch = async {
            loop {
                let has_none = !*in_force.borrow_and_update();
                latch = has_none.then(|| latch.take().unwrap_or_else(|| readiness.latch("jwks")));
                if in_force.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(refresher.run(pending()), watch);
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, BuildError> {
    server::bind(address).map_err(|source| BuildError::Bind { address, source })
}

/// What `POST /cache/purge` does: accounts are known by their names there, and by their
/// partitions in the cache.
fn purge(cache: Cache<batch::Failure>, auth: &auth::Config, tasks: TaskTracker) -> admin::Purge {
    let partitions: HashMap<String, Partition> = auth
        .account_digests()
        .map(|(name, digest)| (name.to_owned(), Partition::new(&digest)))
        .collect();
    Arc::new(move |PurgeRequest { account, vin, plate }| {
        let partition = match account {
            Some(name) => match partitions.get(&name) {
                Some(partition) => Some(*partition),
                None => return Box::pin(ready(Err(UnknownAccount))),
            },
            None => None,
        };
        let cache = cache.clone();
        let purge = async move { cache.purge(&Selection { partition, vin, plate }).await };
        // In a task of its own, which is not given up half way when somebody hangs up.
        let purging = tasks.spawn(purge);
        Box::pin(async move {
            match purging.await.map_err(JoinError::try_into_panic) {
                Ok(purged) => Ok(purged),
                Err(Ok(panic)) => resume_unwind(panic),
                // The runtime is stopping, and everybody who waits with it.
                Err(Err(_)) => pending().await,
            }
        })
    })
}
