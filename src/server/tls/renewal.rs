//! New certificates without a restart.
//!
//! Files that cannot be used change nothing and are reported once. An expired certificate is one
//! of those here: it is no better than the one that it would replace.

use std::time::SystemTime;

use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{Config, Tls};
use crate::{files::Watch, server::metrics::Metrics};

/// Looks for changes of the files of `config`, again and again, and puts them into `tls`.
pub(super) async fn run(config: Config, tls: Tls, metrics: Metrics) {
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
