//! Another configuration, while requests are served.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    reloadable::Reloadable,
    shared_state::{ClientState, SharedState, Stacks},
};
use crate::{
    admin::Admin,
    config::{Changes, Config, EffectiveConfig, Live},
    gateway::Gateway,
    reload,
};

/// Puts another configuration in force: a handle, cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    shared: SharedState,
    replace: Stacks<watch::Sender<Gateway>, watch::Sender<Admin>>,
    current: Mutex<Current>,
    reloads: reload::Metrics,
}

struct Current {
    effective: EffectiveConfig,
    clients: ClientState,
}

/// The stacks as listeners serve them.
pub(super) type Served = Stacks<Reloadable<Gateway>, Reloadable<Admin>>;

/// What became of another configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force, and differs in these keys from the one before.
    Applied(Changes),
    /// It says the same.
    Unchanged,
    /// Some of these keys take a restart, so nothing has changed.
    Refused(Changes),
}

// === impl Control ===

impl Control {
    /// What controls the stacks for this configuration, and the stacks.
    pub(super) fn new(
        shared: SharedState,
        live: Live,
        effective: EffectiveConfig,
    ) -> prometheus::Result<(Self, Served)> {
        let reloads = reload::Metrics::register(shared.registry())?;
        let (stacks, clients) = shared.stacks(live, &effective, None);
        let (replace_gateway, gateway) = Reloadable::new(stacks.gateway);
        let (replace_admin, admin) = Reloadable::new(stacks.admin);
        let shared = Inner {
            shared,
            replace: Stacks { gateway: replace_gateway, admin: replace_admin },
            current: Mutex::new(Current { effective, clients }),
            reloads,
        };
        Ok((Self(Arc::new(shared)), Stacks { gateway, admin }))
    }

    /// Puts `new` in force, all of it or nothing. Every request that comes from then on meets it,
    /// also on a connection that stood before; those under way end as they began. Runs inside a
    /// tokio runtime.
    pub fn apply(&self, new: Config) -> Outcome {
        let Inner { shared, replace, current, .. } = &*self.0;
        let mut current = current.lock();
        let changes = current.effective.changes(&new.effective);
        if changes.is_empty() {
            return Outcome::Unchanged;
        }
        if changes.fixed().next().is_some() {
            return Outcome::Refused(changes);
        }
        let lifetimes = new.live.lifetimes.clone();
        let earlier = Some((&current.clients, &changes));
        let (stacks, clients) = shared.stacks(new.live, &new.effective, earlier);
        *current = Current { effective: new.effective, clients };
        shared.cache.set_lifetimes(lifetimes);
        replace.gateway.send_replace(stacks.gateway);
        replace.admin.send_replace(stacks.admin);
        Outcome::Applied(changes)
    }

    /// What counts the reloads.
    pub(crate) fn reloads(&self) -> &reload::Metrics {
        &self.0.reloads
    }

    pub(super) fn shared(&self) -> &SharedState {
        &self.0.shared
    }
}
