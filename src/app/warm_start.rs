//! What the cache holds, over a restart.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::{
    loader,
    shared_tier::SharedTier,
    snapshot::{Config, Saved, Snapshots},
    vehicle_cache::VehicleCache,
};

type Cache = VehicleCache<loader::Failure>;

/// A snapshot that is loaded at the start, and written at the end.
pub(super) struct WarmStart {
    snapshots: Snapshots,
    cache: Cache,
    loading: Option<AbortOnDropHandle<()>>,
    /// Whether the loading waits for nobody.
    has_begun: Arc<AtomicBool>,
}

/// How long the end of the process waits for a disk.
const PATIENCE: Duration = Duration::from_secs(10);

impl WarmStart {
    /// Takes the snapshot away, before the first request is taken, and loads it behind them; with
    /// other replicas, when it is known what they wrote.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to.
    pub(super) fn begin(
        config: Config,
        cache: Cache,
        tier: Option<SharedTier>,
    ) -> io::Result<Self> {
        let (snapshots, found) = Snapshots::take(config)?;
        let has_begun = Arc::<AtomicBool>::default();
        let loading = found.map(|found| {
            let (cache, begins) = (cache.clone(), Arc::clone(&has_begun));
            // What is known of others' writes is known of those through this process, too.
            let alone = tier.is_none().then(|| cache.restore());
            AbortOnDropHandle::new(tokio::spawn(async move {
                if let Some(tier) = tier {
                    tier.heard().await;
                }
                begins.store(true, Relaxed);
                let restoring = alone.unwrap_or_else(|| cache.restore());
                let _ = in_thread(move || found.load(&cache, &restoring)).await;
            }))
        });
        Ok(Self { snapshots, cache, loading, has_begun })
    }

    /// Writes the next one, unless it is unknown of a write what it has changed.
    pub(super) async fn finish(self, was_cut: bool) {
        let Self { snapshots, cache, loading, has_begun } = self;
        if was_cut || cache.is_fenced(Instant::now()) {
            info!("snapshot not written, because it is unknown what a write did");
            return;
        }
        // What waits for others to be heard is not waited for.
        let loading = loading.filter(|_| has_begun.load(Relaxed));
        let saving = async {
            if let Some(loading) = loading {
                let _ = loading.await;
            }
            in_thread(move || snapshots.save(&cache)).await
        };
        match timeout(PATIENCE, saving).await {
            Ok(Ok(Ok(saved))) => {
                let Saved { entries, left_out, bytes } = saved;
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
