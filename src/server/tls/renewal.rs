//! New certificates without a restart.
//!
//! Files that cannot be used change nothing and are reported once. An expired certificate is one
//! of those here: it is no better than the one that it would replace.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Config, Tls};
use crate::{files::Watch, server::metrics::Metrics};

impl Config {
    /// Begins to use it, and keeps it up to date with the files until the task is dropped.
    pub(in crate::server) fn begin(&self, metrics: &Metrics) -> (Tls, AbortOnDropHandle<()>) {
        if self.credentials.have_expired(SystemTime::now()) {
            warn!("TLS certificate expired");
        }
        metrics.certificate_expires(self.expires_at());
        let tls = Tls { current: Arc::new(ArcSwap::from(Arc::clone(&self.credentials.config))) };
        let task = tokio::spawn(run(self.clone(), tls.clone(), metrics.clone()));
        (tls, AbortOnDropHandle::new(task))
    }
}

/// Looks for changes of the files of `config`, again and again, and puts them into `tls`.
async fn run(config: Config, tls: Tls, metrics: Metrics) {
    let Config { files, sources, .. } = config;
    let mut watch = Watch::new(sources);
    loop {
        watch.changed().await;
        let files = files.clone();
        // A disk may be slow.
        match spawn_blocking(move || Config::load(files)).await {
            Ok(Ok(new)) if new.credentials.have_expired(SystemTime::now()) => {
                warn!("TLS certificate not renewed: the new one has expired");
            }
            Ok(Ok(new)) => {
                metrics.certificate_expires(new.expires_at());
                tls.current.store(new.credentials.config);
                info!("TLS certificate renewed");
            }
            Ok(Err(errors)) => {
                for error in errors {
                    warn!(%error, "TLS certificate not renewed");
                }
            }
            // The runtime is stopping.
            Err(_) => return,
        }
    }
}
