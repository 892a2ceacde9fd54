//! `vingate serve`: the gateway, until it is told to stop.

use std::{error::Error, num::NonZeroUsize, path::Path, process::ExitCode};

use tokio::runtime::{self, Runtime};
use tracing::info;

use super::{env, fail, refuse, stop_signal};
use crate::{app::App, config::Config, telemetry};

/// Serves what the file at `path` says.
pub fn run(path: &Path) -> ExitCode {
    let config = match Config::load(path, &env) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    telemetry::init(&config.telemetry)?;
    runtime(config.workers)?.block_on(async {
        let stop = stop_signal()?;
        let app = App::build(config)?;
        let (gateway, admin) = app.addresses()?;
        info!(version = env!("CARGO_PKG_VERSION"), %gateway, %admin, "Serving");
        app.run(stop).await;
        Ok(())
    })
}

/// A single worker needs no stealing of work, and is cheaper without it.
pub(super) fn runtime(workers: Option<NonZeroUsize>) -> std::io::Result<Runtime> {
    let mut builder = match workers.map(NonZeroUsize::get) {
        Some(1) => runtime::Builder::new_current_thread(),
        Some(workers) => {
            let mut builder = runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        None => runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}
