//! New certificates without a restart.
//!
//! The files are read again every few seconds and their contents compared. It costs next to
//! nothing, and holds whatever way they come: written in place, renamed, or behind the symbolic
//! links that Kubernetes turns. Notifications of the system would be sooner, but each of those
//! ways shows in another one of them, and none shows over a network file system.
//!
//! A pair is two files, which nobody can write at once. So what has changed is judged only when
//! it stayed the same from one look to the next. What is bad changes nothing and is reported
//! once; an expired certificate is bad here, since whatever it would replace is no worse.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

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
use crate::server::metrics::Metrics;

/// A new certificate is in use after twice that.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the files held when they were last looked at.
#[derive(Debug)]
pub(super) struct Renewal {
    files: Arc<Files>,
    seen: Fingerprint,
    judged: Fingerprint,
}

// === impl Renewal ===

impl Renewal {
    /// Looks for changes of `files` since `known` was read.
    pub(super) fn new(files: Files, known: Fingerprint) -> Self {
        Self { files: Arc::new(files), seen: known, judged: known }
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
            if !self.is_due(contents.fingerprint()) {
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

    /// Whether what was found is new, and not only half written.
    fn is_due(&mut self, found: Fingerprint) -> bool {
        let stays = std::mem::replace(&mut self.seen, found) == found;
        stays && std::mem::replace(&mut self.judged, found) != found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_judged_once_and_only_when_it_stays() {
        let [a, b, c] = [1, 2, 3].map(|n| Fingerprint([n; 32]));
        for (found, due) in [
            (&[a, a, a][..], &[false, false, false][..]),
            (&[b, b, b], &[false, true, false]),
            (&[b, c, c, c], &[false, false, true, false]),
            (&[b, a, a], &[false, false, false]),
            (&[b, b, a, a], &[false, true, false, true]),
        ] {
            let files = Files { certificate: "".into(), key: "".into(), client_ca: None };
            let mut renewal = Renewal::new(files, a);
            let judged: Vec<_> = found.iter().map(|found| renewal.is_due(*found)).collect();
            assert_eq!(judged, due, "{found:?}");
        }
    }
}
