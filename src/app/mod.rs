//! The program put together: every part made once, handed what it needs, and run.
//!
//! What follows from the reloadable part of the configuration is apart from the rest:
//! [`SharedState`] is made once, and makes the stacks that requests meet from the effective
//! configuration. [`Reload`] reads the file again, [`Control`] applies it, and [`Reloadable`] is how
//! connections come to use it.

mod control;
mod inherited;
mod outcome;
mod reload;
mod reloadable;
pub mod service_manager;
mod shared_state;
mod warm_start;

use std::{future::pending, io, net::SocketAddr, time::Duration};

use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};
use tracing::info;

use self::{reloadable::Reloadable, shared_state::SharedState, warm_start::WarmStart};
use crate::{
    admin::{Admin, Readiness},
    auth::jwks,
    config::Config,
    gateway::Gateway,
    server,
};

pub use self::{
    control::Control, inherited::Inherited, outcome::ReloadOutcome, reload::Reload,
    shared_state::Error,
};

/// A gateway that is bound and ready to run.
pub struct App {
    public: Listener<Reloadable<Gateway>>,
    admin: Listener<Reloadable<Admin>>,
    control: Control,
    refresher: Option<jwks::Refresher>,
    warm_start: Option<WarmStart>,
}

/// How long a drain waits until other replicas were told of the last writes.
const TELL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long it waits until the collector has the last spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(1);

struct Listener<S> {
    listener: TcpListener,
    config: server::Config,
    service: S,
    metrics: server::Metrics,
}

impl App {
    /// Binds the listeners and wires the parts. Runs inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on, TLS to a server cannot be set up, or the folder of the
    /// snapshot cannot be written to.
    pub fn build(config: Config) -> Result<Self, Error> {
        Self::build_on(config, Inherited::default())
    }

    /// The same, but what was `inherited` is not bound again.
    ///
    /// # Errors
    ///
    /// Also, what was inherited is not for an address of the configuration.
    pub fn build_on(config: Config, mut inherited: Inherited) -> Result<Self, Error> {
        let Config { restart_only, reloadable, effective } = config;
        let public = inherited.listen(restart_only.server.listen)?;
        let admin = inherited.listen(restart_only.admin)?;
        inherited.finish()?;
        let (shared, refresher) = SharedState::build(&restart_only, &reloadable)?;
        let metrics = server::Metrics::register(shared.registry())?;
        let (control, clients, operators) = Control::new(shared, reloadable, effective)?;
        let public =
            Listener { listener: public, config: restart_only.server, service: clients, metrics };
        let admin = Listener {
            listener: admin,
            config: server::Config::side(restart_only.admin),
            service: operators,
            metrics: server::Metrics::unregistered()?,
        };
        // Last, because it takes the snapshot away.
        let shared = control.shared();
        let begin = |config| WarmStart::begin(config, shared.cache.clone(), shared.tier.clone());
        let warm_start = restart_only.snapshot.map(begin).transpose();
        let warm_start = warm_start
            .map_err(|error| format!("cannot have the file of cache.snapshot: {error}"))?;
        Ok(Self { public, admin, control, refresher, warm_start })
    }

    /// What applies another configuration, also while the gateway runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Where the gateway listens: its own address, then the admin's.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.listener.local_addr()?, self.admin.listener.local_addr()?))
    }

    /// Serves until `drain` is over, and then until what is in flight has ended or
    /// `drain_timeout` has passed. The admin listener serves longest, so that it can say that
    /// the gateway is draining.
    pub async fn run(self, drain: impl Future<Output = ()>) {
        let Self { public, admin, control, refresher, warm_start } = self;
        let shared = control.shared();
        let (tasks, readiness) = (&shared.tasks, &shared.readiness);
        let until_cut = public.config.drain_delay + public.config.drain_timeout;
        let (stop_admin, admin_stopped) = oneshot::channel::<()>();
        let admin = tokio::spawn(admin.serve(async {
            let _ = admin_stopped.await;
        }));
        let sweeping = tokio::spawn(shared.cache.clone().keep_swept());
        let sampling = shared.history.clone().keep(shared.registry().clone());
        let sampling = tokio::spawn(sampling);
        let tier = shared.tier.clone();
        let (cache, upstream) = (shared.cache.clone(), shared.upstream.clone());
        let (sharing, replicas) = (shared.upstream.clone(), shared.replicas.clone());
        let on_count = move |count| {
            sharing.share_among(count);
            replicas.set(count);
        };
        let following = tier.map(|tier| tokio::spawn(tier.run(cache, upstream, on_count)));
        let refreshing = tokio::spawn(keep_keys(refresher, readiness.clone()));

        // Held until the admin listener has closed.
        let mut latch = None;
        let mut cut_at = Instant::now();
        let serving = public.serve(async {
            drain.await;
            info!("draining");
            latch = Some(readiness.latch("draining"));
            cut_at = Instant::now() + until_cut;
        });
        serving.await;
        // Writes run to their end, whoever hung up, but no longer than everything else.
        tasks.close();
        let was_cut = timeout_at(cut_at, tasks.wait()).await.is_err();

        if let Some(tier) = &shared.tier {
            // What others are not told they find out when the hold of a write has ended.
            let _ = timeout(TELL_TIMEOUT, tier.flushed()).await;
        }
        if let Some(exporter) = &shared.exporter {
            let _ = timeout(EXPORT_TIMEOUT, exporter.flushed()).await;
        }
        sweeping.abort();
        refreshing.abort();
        sampling.abort();
        drop(stop_admin);
        let _ = admin.await;
        // When nobody can purge any more.
        if let Some(warm_start) = warm_start {
            warm_start.finish(was_cut).await;
        }
        // Then: what they hold has no part in a snapshot.
        if let Some(following) = following {
            following.abort();
        }
        drop(latch);
        info!("drained");
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
        let mut effective = refresher.in_force();
        let watch = async {
            loop {
                let has_none = !*effective.borrow_and_update();
                latch = has_none.then(|| latch.take().unwrap_or_else(|| readiness.latch("jwks")));
                if effective.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(refresher.run(pending()), watch);
    }
}
