//! New certificates without a restart.
//!
//! A pair is two files, which nobody can write at once: [`Watched`] sees to that. What is bad
//! changes nothing and is reported once; an expired certificate is bad here, since whatever it
//! would replace is no worse.

use std::{sync::Arc, time::SystemTime};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use super::{
    Tls,
    credentials::Credentials,
    files::{Files, Fingerprint},
};
use crate::{
    server::metrics::Metrics,
    watched::{LOOK_EVERY, Watched},
};

/// The files, and what they held when they were last looked at.
#[derive(Debug)]
pub(super) struct Renewal {
    files: Arc<Files>,
    watched: Watched<Fingerprint>,
}

// === impl Renewal ===

impl Renewal {
    /// Looks for changes of `files` since `known` was read.
    pub(super) fn new(files: Files, known: Fingerprint) -> Self {
        Self { files: Arc::new(files), watched: Watched::new(known) }
    }

    /// Looks again and again.
    pub(super) async fn run(mut self, tls: Tls, metrics: Metrics) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let files = Arc::clone(&self.files);
            // A disk may be slow.
            let Ok(contents) = spawn_blocking(move || files.read()).await else {
                continue;
            };
            if !self.watched.is_due(contents.fingerprint()) {
                continue;
            }
            match Credentials::parse(contents) {
                Ok(new) if new.have_expired(SystemTime::now()) => {
                    warn!("the new TLS certificate has expired, the old one stays");
                }
                Ok(new) => {
                    metrics.certificate_expires(new.expires_at);
                    tls.current.store(new.config);
                    info!("Renewed the TLS certificate");
                }
                Err(errors) => {
                    for error in errors {
                        warn!(%error, "the TLS certificate is not renewed");
                    }
                }
            }
        }
    }
}
