//! Another configuration, while requests are served.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    lasting::{Lasting, Learned, Stacks},
    newest::Newest,
};
use crate::{
    admin::Admin,
    config::{Changes, Config, InForce, Live},
    gateway::Gateway,
    reload,
};

/// Puts another configuration in force: a handle, cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    lasting: Lasting,
    replace: Stacks<watch::Sender<Gateway>, watch::Sender<Admin>>,
    current: Mutex<Current>,
    reloads: reload::Metrics,
}

struct Current {
    in_force: InForce,
    learned: Learned,
}

/// The stacks as listeners serve them.
pub(super) type Served = Stacks<Newest<Gateway>, Newest<Admin>>;

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
        lasting: Lasting,
        live: Live,
        in_force: InForce,
    ) -> prometheus::Result<(Self, Served)> {
        let reloads = reload::Metrics::register(lasting.registry())?;
        let (stacks, learned) = lasting.stacks(live, &in_force, None);
        let (replace_gateway, gateway) = Newest::new(stacks.gateway);
        let (replace_admin, admin) = Newest::new(stacks.admin);
        let shared = Shared {
            lasting,
            replace: Stacks { gateway: replace_gateway, admin: replace_admin },
            current: Mutex::new(Current { in_force, learned }),
            reloads,
        };
        Ok((Self(Arc::new(shared)), Stacks { gateway, admin }))
    }

    /// Puts `new` in force, all of it or nothing. Every request that comes from then on meets it,
    /// also on a connection that stood before; those under way end as they began. Runs inside a
    /// tokio runtime.
    pub fn apply(&self, new: Config) -> Outcome {
        let Shared { lasting, replace, current, .. } = &*self.0;
        let mut current = current.lock();
        let changes = current.in_force.changes(&new.in_force);
        if changes.is_empty() {
            return Outcome::Unchanged;
        }
        if changes.fixed().next().is_some() {
            return Outcome::Refused(changes);
        }
        let lives = new.live.lives.clone();
        let earlier = Some((&current.learned, &changes));
        let (stacks, learned) = lasting.stacks(new.live, &new.in_force, earlier);
        *current = Current { in_force: new.in_force, learned };
        lasting.cache.set_lives(lives);
        replace.gateway.send_replace(stacks.gateway);
        replace.admin.send_replace(stacks.admin);
        Outcome::Applied(changes)
    }

    /// What counts the reloads.
    pub(crate) fn reloads(&self) -> &reload::Metrics {
        &self.0.reloads
    }

    pub(super) fn lasting(&self) -> &Lasting {
        &self.0.lasting
    }
}
