//! Another configuration while requests are served.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    outcome::{ReloadMetrics, ReloadOutcome},
    reloadable::Reloadable,
    shared_state::{ClientState, SharedState},
};
use crate::{
    admin::Admin,
    config::{Changes, Config, EffectiveConfig, ReloadableConfig},
    gateway::Gateway,
};

/// Applies another configuration: a handle, cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    shared: SharedState,
    gateway: watch::Sender<Gateway>,
    admin: watch::Sender<Admin>,
    current: Mutex<Current>,
    reloads: ReloadMetrics,
}

struct Current {
    effective: EffectiveConfig,
    clients: ClientState,
}

impl Control {
    /// The handle, and what it replaces: what clients and operators meet with this configuration.
    pub(super) fn new(
        shared: SharedState,
        reloadable: ReloadableConfig,
        effective: EffectiveConfig,
    ) -> prometheus::Result<(Self, Reloadable<Gateway>, Reloadable<Admin>)> {
        let reloads = ReloadMetrics::register(shared.registry())?;
        let stacks = shared.stacks(reloadable, &effective, None);
        let (gateway, served_gateway) = Reloadable::new(stacks.gateway);
        let (admin, served_admin) = Reloadable::new(stacks.admin);
        let current = Mutex::new(Current { effective, clients: stacks.clients });
        let inner = Inner { shared, gateway, admin, current, reloads };
        Ok((Self(Arc::new(inner)), served_gateway, served_admin))
    }

    /// Applies `new`, as a whole or not at all. Later requests meet it, also on connections that
    /// are open already; those in flight end as they began. Runs inside a tokio runtime.
    pub fn apply(&self, new: Config) -> ReloadOutcome {
        let mut current = self.0.current.lock();
        let changes = current.effective.changes(&new.effective);
        if changes.is_empty() {
            return ReloadOutcome::Unchanged;
        }
        if changes.restart_only().next().is_some() {
            return ReloadOutcome::Refused(changes);
        }
        self.0.replace(&mut current, new, &changes);
        ReloadOutcome::Applied(changes)
    }

    /// Applies what the files hold now that the configuration in force names, where that needs no
    /// restart. `new` comes of the same text. Gives the keys that name them.
    pub(super) fn renew(&self, mut new: Config) -> Changes {
        let mut current = self.0.current.lock();
        new.effective.keep_restart_only(&current.effective);
        let changes = current.effective.changes(&new.effective);
        if !changes.is_empty() {
            self.0.replace(&mut current, new, &changes);
        }
        changes
    }

    pub(super) fn reloads(&self) -> &ReloadMetrics {
        &self.0.reloads
    }

    pub(super) fn shared(&self) -> &SharedState {
        &self.0.shared
    }
}

impl Inner {
    fn replace(&self, current: &mut Current, new: Config, changes: &Changes) {
        let lifetimes = new.reloadable.lifetimes.clone();
        let earlier = Some((&current.clients, changes));
        let stacks = self.shared.stacks(new.reloadable, &new.effective, earlier);
        *current = Current { effective: new.effective, clients: stacks.clients };
        self.shared.cache.set_lifetimes(lifetimes);
        self.gateway.send_replace(stacks.gateway);
        self.admin.send_replace(stacks.admin);
    }
}
