//! The configuration file, read again while the gateway runs: at SIGHUP, and when it has changed,
//! or a file that it names.
//!
//! It is applied as a whole or not at all. A file with a problem changes nothing, nor does one with
//! a change that needs a restart; either is reported once.

use std::{ffi::OsString, path::PathBuf};

use tokio::{signal::unix::Signal, task::spawn_blocking};
use tracing::{info, warn};

use super::{control::Control, outcome::ReloadOutcome, service_manager};
use crate::{
    config::{Config, Loaded, Problems},
    files::{Sources, Watch},
    telemetry::Levels,
};

/// What is read again, and what it changes.
pub struct Reload {
    /// The file.
    pub path: PathBuf,
    /// The environment; it cannot change.
    pub env: fn(&str) -> Option<OsString>,
    /// The running gateway.
    pub control: Control,
    /// Its log.
    pub levels: Levels,
}

impl Reload {
    /// Reads the file again whenever a hangup comes, and whenever it, or a file that it names, is
    /// not as it was in `known`. Never ends.
    pub async fn run(self, known: Sources, mut hangups: Signal) {
        let mut watch = Watch::new(known);
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => {}
                () = watch.changed() => {}
            }
            service_manager::reloading();
            let read = self.reload().await;
            service_manager::ready();
            if let Some(sources) = read {
                watch = Watch::new(sources);
            }
        }
    }

    /// Returns what was read, also when it was not applied.
    async fn reload(&self) -> Option<Sources> {
        let (path, env) = (self.path.clone(), self.env);
        let loaded = spawn_blocking(move || Loaded::of(&path, &env)).await;
        let Loaded { config, sources } = loaded.ok()?;
        match config {
            Ok(config) => self.apply(config),
            Err(problems) => self.report(&problems),
        }
        Some(sources)
    }

    fn apply(&self, config: Config) {
        let level = config.reloadable.telemetry.level;
        let outcome = self.control.apply(config);
        self.control.reloads().count(Some(&outcome));
        match outcome {
            ReloadOutcome::Applied(changes) => {
                self.levels.set(level);
                info!(changed = list(changes.keys()), "configuration reloaded");
            }
            ReloadOutcome::Unchanged => info!("configuration unchanged"),
            ReloadOutcome::Refused(changes) => {
                let keys = list(changes.restart_only());
                warn!(keys, "configuration not reloaded: these keys need a restart");
            }
        }
    }

    fn report(&self, problems: &Problems) {
        self.control.reloads().count(None);
        for problem in problems.to_string().lines() {
            warn!(problem, "configuration not reloaded");
        }
    }
}

fn list<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    keys.collect::<Vec<_>>().join(", ")
}
