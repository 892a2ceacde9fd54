//! `vingate serve`: the gateway, until a signal ends it.

use std::{num::NonZeroUsize, path::Path};

use tokio::{
    runtime::{self, Runtime},
    signal::unix::{SignalKind, signal},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::{Outcome, env, stop_signal};
use crate::{
    app::{App, Inherited, Reload, service_manager},
    config::Loaded,
    telemetry,
};

/// Serves as the file at `path` says.
pub(super) fn run(path: &Path) -> Outcome {
    let Loaded { config, text, sources } = Loaded::of(path, &env);
    let config = config.map_err(|problems| problems.without_values())?;
    // Before there is another thread: it is taken out of the environment.
    let inherited = Inherited::take()?;
    let log = telemetry::init(config.restart_only.format, config.reloadable.telemetry.level)?;
    block_on(config.restart_only.workers, async {
        // Before anything is announced: from then on, a hangup must not end the process.
        let (stop, hangups) = (stop_signal()?, signal(SignalKind::hangup())?);
        let app = App::build_on(config, inherited)?;
        let (path, control, levels) = (path.to_owned(), app.control(), log.levels());
        let reload = Reload { path, env, control, levels, text };
        let _reloading = AbortOnDropHandle::new(tokio::spawn(reload.run(sources, hangups)));
        let (gateway, admin) = app.addresses()?;
        info!(version = env!("CARGO_PKG_VERSION"), %gateway, %admin, "serving");
        service_manager::ready().await;
        let _alive = AbortOnDropHandle::new(tokio::spawn(service_manager::keep_alive()));
        let stop = async {
            stop.await;
            service_manager::stopping().await;
        };
        app.run(stop).await;
        Ok(())
    })
}

/// Runs `future` to its end, and ends with it: a disk or a name server that does not respond is not
/// waited for.
pub(super) fn block_on<T>(
    workers: Option<NonZeroUsize>,
    future: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    let runtime = runtime(workers)?;
    let ended = runtime.block_on(future);
    runtime.shutdown_background();
    ended
}

/// Tasks of its own that a thread takes up before it looks whether others wait. It costs next to
/// nothing where none do.
const GLOBAL_QUEUE_INTERVAL: u32 = 3;

/// A single worker is cheaper without work stealing.
fn runtime(workers: Option<NonZeroUsize>) -> std::io::Result<Runtime> {
    let mut builder = match workers.map(NonZeroUsize::get) {
        Some(1) => runtime::Builder::new_current_thread(),
        Some(workers) => {
            let mut builder = runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        None => runtime::Builder::new_multi_thread(),
    };
    // When thousands of tasks become ready at once, most of them stand in the queue that all threads
    // share; so must whoever comes then not wait until a thread has none of its own.
    builder
        .global_queue_interval(GLOBAL_QUEUE_INTERVAL)
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn ends_although_a_disk_does_not_respond() {
        let (respond, response) = mpsc::channel::<()>();
        let ended = block_on(None, async {
            tokio::task::spawn_blocking(move || response.recv());
            Ok("ended")
        });
        assert_eq!(ended.unwrap(), "ended");
        drop(respond);
    }
}
