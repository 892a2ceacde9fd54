//! What outlives every configuration, and the stacks that it makes of one.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use prometheus::Registry;
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{
    admin::{self, Admin, History, Readiness},
    auth::{self, Authenticate, jwks},
    batch::{self, Batch},
    config::{Changes, EffectiveConfig, ReloadableConfig, RestartOnlyConfig},
    forward::Forward,
    gateway::{self, Gateway},
    limit::{self, Admit, QueueRefusals, RateLimit, ReplicaCount, Share},
    loader::{self, Loader},
    normalize::Normalize,
    shared_tier::{self, SharedTier},
    telemetry::{self, TelemetryLayer},
    trace,
    upstream::{self, Origin, Upstream},
    vehicle_cache::{self, Replicas, VehicleCache},
};

/// Why the gateway cannot start, for people.
pub type Error = Box<dyn std::error::Error>;

/// What outlives every configuration: what is held, connected, counted, and under way.
pub(super) struct SharedState {
    pub(super) cache: VehicleCache<loader::Failure>,
    pub(super) tasks: TaskTracker,
    pub(super) readiness: Readiness,
    registry: Registry,
    pub(super) history: History,
    started_at: Instant,
    origin: Origin,
    pub(super) upstream: Upstream,
    /// What ties this replica to others, which has to be run.
    pub(super) tier: Option<SharedTier>,
    published: Option<Arc<jwks::KeySet>>,
    admit: Admit,
    share: Share,
    auth: auth::Metrics,
    batch: batch::Metrics,
    loader: loader::Metrics,
    /// What waits for calls, and is known of them.
    state: loader::State,
    limit: limit::Metrics,
    queue_refusals: QueueRefusals,
    /// How many gateways share the rates of clients.
    pub(super) replicas: ReplicaCount,
    telemetry: telemetry::Metrics,
    /// Where spans go.
    pub(super) exporter: Option<trace::Exporter>,
}

/// What requests meet, for clients and for operators, and what is known of clients.
pub(super) struct Stacks {
    pub(super) gateway: Gateway,
    pub(super) admin: Admin,
    pub(super) clients: ClientState,
}

/// What is known of clients. The next configuration takes it over where it asks the same of them.
#[derive(Clone)]
pub(super) struct ClientState {
    /// With the tokens that were verified: by these keys, for these issuers, with these scopes.
    authenticate: Authenticate,
    rate: RateLimit,
    /// Keeps the buckets of `rate` few.
    forgetting: Arc<AbortOnDropHandle<()>>,
}

impl SharedState {
    /// Everything, and what fetches published keys, if there are any: it must be run.
    pub(super) fn build(
        restart_only: &RestartOnlyConfig,
        reloadable: &ReloadableConfig,
    ) -> Result<(Self, Option<jwks::Refresher>), Error> {
        let registry = telemetry::registry()?;
        let auth = auth::Metrics::register(&registry)?;
        let limit = limit::Metrics::register(&registry)?;
        let published = restart_only.jwks.clone();
        let published = published.map(|jwks| jwks.build(auth.clone()));
        let (published, refresher) = published.transpose()?.unzip();
        let cache_metrics = vehicle_cache::Metrics::register(&registry)?;
        let upstream_metrics = upstream::Metrics::register(&registry)?;
        let tier = restart_only.shared.clone().map(|config| {
            let metrics = shared_tier::Metrics::register(&registry, config.lease)?;
            Ok::<_, Error>(SharedTier::new(config, metrics)?)
        });
        let tier = tier.transpose()?;
        let exporter = restart_only.trace.as_ref().map(|config| {
            let metrics = trace::Metrics::register(&registry)?;
            Ok::<_, Error>(trace::Exporter::new(config, metrics)?)
        });
        let exporter = exporter.transpose()?;
        let upstream = Upstream::new(&restart_only.upstream, &upstream_metrics)?;
        if let Some(tier) = &tier {
            upstream.tell(Arc::new(tier.clone()));
        }
        let max_in_flight = reloadable.limit.max_in_flight;
        let shared = Self {
            cache: VehicleCache::replicated(
                &restart_only.cache,
                reloadable.lifetimes.clone(),
                cache_metrics,
                tier.clone().map(|tier| Arc::new(tier) as Arc<dyn Replicas>),
            ),
            tier,
            tasks: TaskTracker::new(),
            readiness: Readiness::new(),
            history: History::default(),
            started_at: Instant::now(),
            origin: restart_only.upstream.origin.clone(),
            upstream,
            published,
            admit: Admit::new(max_in_flight, limit.clone()),
            share: Share::new(max_in_flight, limit.clone()),
            auth,
            batch: batch::Metrics::register(&registry)?,
            loader: loader::Metrics::register(&registry)?,
            state: loader::State::new(),
            queue_refusals: QueueRefusals::new(limit.clone()),
            limit,
            replicas: ReplicaCount::default(),
            telemetry: telemetry::Metrics::register(&registry)?,
            exporter,
            registry,
        };
        Ok((shared, refresher))
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    fn batch(
        &self,
        config: batch::Config,
        credential: &[HeaderName],
        forward: &Forward,
    ) -> gateway::Batch {
        let loader = Loader::new(
            &config.loader,
            self.state.clone(),
            self.cache.clone(),
            self.upstream.clone(),
            credential,
            self.loader.clone(),
        );
        let undocumented = gateway::undocumented(forward.clone());
        let refusals = self.queue_refusals.clone();
        Batch::new(config, loader, self.batch.clone(), undocumented, refusals)
    }

    /// The stacks for `reloadable`. `earlier` is what is known of clients under another configuration,
    /// and in what that differs.
    pub(super) fn stacks(
        &self,
        reloadable: ReloadableConfig,
        effective: &EffectiveConfig,
        earlier: Option<(&ClientState, &Changes)>,
    ) -> Stacks {
        let credential = reloadable.auth.credential_fields();
        let accounts = reloadable
            .auth
            .account_digests()
            .map(|(name, digest)| (name.to_owned(), upstream::Account(digest)))
            .collect();
        let rate = RateLimit::new(reloadable.limit.rate, self.replicas.clone(), self.limit.clone());
        let auth = reloadable
            .auth
            .build(self.published.clone(), self.auth.clone());
        let mut clients = ClientState::nothing(auth.authenticate, rate);
        if let Some((earlier, changes)) = earlier {
            clients.take_over(earlier, changes);
        }

        let forward = Forward::new(
            reloadable.forward,
            self.origin.clone(),
            self.upstream.clone(),
            Arc::new(self.cache.clone()),
            self.tasks.clone(),
            self.queue_refusals.clone(),
        );
        let batch = self.batch(reloadable.batch, credential.names(), &forward);
        let gateway = gateway::stack(gateway::Parts {
            config: reloadable.gateway,
            telemetry: TelemetryLayer::new(
                self.telemetry.clone(),
                reloadable.telemetry.access,
                reloadable.trace,
                self.exporter.clone(),
            ),
            admit: self.admit.limited_to(reloadable.limit.max_in_flight),
            request_timeout: reloadable.limit.request_timeout,
            authenticate: clients.authenticate.clone(),
            rate: clients.rate.clone(),
            share: self.share.limited_to(reloadable.limit.max_in_flight),
            authorize: auth.authorize,
            normalize: Normalize(reloadable.normalize),
            batch,
            forward,
        });
        let parts = admin::Parts {
            registry: self.registry.clone(),
            readiness: self.readiness.clone(),
            cache: self.cache.clone(),
            accounts,
            upstream: self.upstream.clone(),
            tasks: self.tasks.clone(),
            config: Bytes::from(effective.shown().to_string()),
            started_at: self.started_at,
            history: self.history.clone(),
        };
        Stacks { gateway, admin: Admin::new(reloadable.admin, parts), clients }
    }
}

impl ClientState {
    fn nothing(authenticate: Authenticate, rate: RateLimit) -> Self {
        let forgetting = AbortOnDropHandle::new(tokio::spawn(rate.clone().forget_idle()));
        Self { authenticate, rate, forgetting: Arc::new(forgetting) }
    }

    fn take_over(&mut self, earlier: &Self, changes: &Changes) {
        if !changes.touch("auth") {
            self.authenticate = earlier.authenticate.clone();
        }
        if !changes.touch("limit.rate") {
            self.rate = earlier.rate.clone();
            self.forgetting = Arc::clone(&earlier.forgetting);
        }
    }
}
