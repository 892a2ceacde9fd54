//! The configuration file, read again while the gateway runs: at SIGHUP, and when it has changed,
//! or a file that it names.
//!
//! It is applied as a whole or not at all. A file with a problem changes nothing, nor does one with
//! a change that needs a restart; either is reported once. Meanwhile the text in force stays in
//! force, and so do changes of the files that it names: secrets are changed when they have to be.

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
    /// The text in force.
    pub text: String,
}

impl Reload {
    /// Reads the file again whenever a hangup comes, and whenever it, or a file that it names, is
    /// not as it was in `known`. Never ends.
    pub async fn run(mut self, known: Sources, mut hangups: Signal) {
        let mut watch = Watch::new(known);
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => {}
                () = watch.changed() => {}
            }
            service_manager::reloading().await;
            let read = self.reload().await;
            service_manager::ready().await;
            if let Some(sources) = read {
                watch = Watch::new(sources);
            }
        }
    }

    /// Returns what was read, also when it was not applied.
    async fn reload(&mut self) -> Option<Sources> {
        let (path, env) = (self.path.clone(), self.env);
        let loaded = spawn_blocking(move || Loaded::of(&path, &env)).await;
        let Loaded { config, text, mut sources } = loaded.ok()?;
        let is_in_force = match config {
            Ok(config) => self.apply(config),
            Err(problems) => self.report(&problems.without_values()),
        };
        match is_in_force {
            true => self.text = text,
            false => sources.extend(self.renew().await?),
        }
        Some(sources)
    }

    /// Applies what the files hold now that the text in force names. Returns what was read.
    async fn renew(&self) -> Option<Sources> {
        let (path, env, text) = (self.path.clone(), self.env, self.text.clone());
        let loaded = spawn_blocking(move || Loaded::again(text, &path, &env)).await;
        let Loaded { config, sources, .. } = loaded.ok()?;
        let changes = config.map(|config| self.control.renew(config));
        if let Ok(changes) = changes
            && !changes.is_empty()
        {
            info!(changed = list(changes.keys()), "files of the configuration in force reloaded");
        }
        Some(sources)
    }

    /// Gives whether it is in force.
    fn apply(&self, config: Config) -> bool {
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
                warn!(
                    keys,
                    "configuration not reloaded: these keys need a restart, others wait for it"
                );
                return false;
            }
        }
        true
    }

    /// As [`apply`](Self::apply).
    fn report(&self, problems: &Problems) -> bool {
        self.control.reloads().count(None);
        for problem in problems.to_string().lines() {
            warn!(problem, "configuration not reloaded");
        }
        false
    }
}

fn list<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    keys.collect::<Vec<_>>().join(", ")
}
