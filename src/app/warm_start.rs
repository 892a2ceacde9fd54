//! What the cache holds, over a restart.

use std::{thread, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tracing::{info, warn};

use crate::{
    loader,
    snapshot::{self, Config},
    vehicle_cache::VehicleCache,
};

type Cache = VehicleCache<loader::Failure>;

/// A snapshot that is loaded at the start, and written at the end.
pub(super) struct WarmStart {
    config: Config,
    cache: Cache,
    loaded: Option<oneshot::Receiver<()>>,
}

/// How long the end of the process waits for a disk.
const PATIENCE: Duration = Duration::from_secs(10);

impl WarmStart {
    /// Takes the snapshot away, before the first request is taken, and loads it behind them.
    pub(super) fn begin(config: Config, cache: Cache) -> Self {
        let restoring = cache.restore();
        let loaded = snapshot::find(&config).map(|found| {
            let cache = cache.clone();
            in_thread(move || found.load(&cache, &restoring))
        });
        Self { config, cache, loaded }
    }

    /// Writes the next one, unless it is unknown of a write what it has changed.
    pub(super) async fn finish(self, was_cut: bool) {
        let Self { config, cache, loaded } = self;
        if was_cut || cache.is_fenced(Instant::now()) {
            info!("snapshot not written, because it is unknown what a write did");
            return;
        }
        let saving = async {
            if let Some(loaded) = loaded {
                let _ = loaded.await;
            }
            in_thread(move || snapshot::save(&config, &cache)).await
        };
        match timeout(PATIENCE, saving).await {
            Ok(Ok(Ok(saved))) => {
                let snapshot::Saved { entries, left_out, bytes } = saved;
                info!(entries, left_out, bytes, "snapshot written");
            }
            Ok(Ok(Err(error))) => warn!(%error, "snapshot not written"),
            Ok(Err(_)) | Err(_) => warn!("snapshot not written in time"),
        }
    }
}

/// Runs what blocks in a thread that nobody waits for at the end of the process.
fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let _ = sender.send(work());
    });
    receiver
}
