//! A valid configuration, in the parts that the modules take.

use std::{net::SocketAddr, num::NonZeroUsize};

use super::effective::EffectiveConfig;
use crate::{
    admin,
    auth::{self, jwks},
    batch, forward, gateway, limit, normalize, server, shared_tier, snapshot, telemetry, trace,
    upstream, vehicle_cache,
};

/// A valid configuration, in the parts that the modules take.
#[derive(Debug)]
pub struct Config {
    /// What a running gateway keeps.
    pub restart_only: RestartOnlyConfig,
    /// What it can change.
    pub reloadable: ReloadableConfig,
    /// All of it, to be shown and compared. A change is one of [`ReloadableConfig`] alone only if its
    /// [`Changes`](super::Changes) have no key that is [restart-only](super::Changes::restart_only).
    pub effective: EffectiveConfig,
}

/// What needs a restart: what is bound, connected or allocated.
#[derive(Debug)]
pub struct RestartOnlyConfig {
    /// Threads; `None`: one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Connections.
    pub server: server::Config,
    /// Where the admin listener listens.
    pub admin: SocketAddr,
    /// Calls to Sync.
    pub upstream: upstream::Config,
    /// Where the keys of tokens are published; `None`: nowhere, or tokens are not required.
    pub jwks: Option<jwks::Config>,
    /// The vehicle cache as a whole.
    pub cache: vehicle_cache::Config,
    /// What ties replicas together; `None`: nothing does.
    pub shared: Option<shared_tier::Config>,
    /// What keeps the vehicle cache over a restart; `None`: nothing does.
    pub snapshot: Option<snapshot::Config>,
    /// Where traces go; `None`: nowhere.
    pub trace: Option<trace::ExporterConfig>,
    /// How log lines look.
    pub format: telemetry::Format,
}

/// What each request takes as it is at that moment.
#[derive(Debug)]
pub struct ReloadableConfig {
    /// Who may see the admin listener.
    pub admin: admin::Config,
    /// Tokens and accounts.
    pub auth: auth::Config,
    /// Admission, rates, body sizes, deadlines.
    pub limit: limit::Config,
    /// The batch endpoint.
    pub batch: batch::Config,
    /// How long cached entries are fresh, and stale.
    pub lifetimes: vehicle_cache::Lifetimes,
    /// Everything that is forwarded.
    pub forward: forward::Config,
    /// Vehicles in paths, queries and bodies.
    pub normalize: normalize::Config,
    /// The edge of the request path.
    pub gateway: gateway::Config,
    /// What is logged.
    pub telemetry: telemetry::Config,
    /// What is traced.
    pub trace: trace::Config,
}
