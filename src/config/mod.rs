//! The configuration file, from TOML to what the modules work with.
//!
//! Two types: `File` is the file as it is written, [`Config`] is what follows from it, and cannot
//! hold an invalid state. Between them every problem of the file is found at once, each with its
//! key and line, so that a file need not be mended one start at a time:
//!
//! 1. `document` parses TOML into a tree that knows lines.
//! 2. `value` and `table` make a `File` of it, and note whatever has the wrong name, type or range.
//! 3. `check` judges what takes more than one key, and fetches secrets.
//!
//! `file` declares every key once; schema, defaults and the rule of what needs a restart follow.
//! Only this module knows TOML; every other has a plain `Config` of its own, and nothing below
//! imports this one.

mod check;
mod choice;
mod context;
mod document;
mod effective;
mod file;
pub(crate) mod fuzzing;
mod key;
mod nearest;
mod number;
mod problem;
mod schema;
mod secret;
mod table;
mod text;
mod units;
mod value;

use std::{net::SocketAddr, num::NonZeroUsize, path::Path};

use self::{
    context::Context,
    document::Document,
    file::File,
    value::{Node, Value as _},
};
use crate::{
    admin,
    auth::{self, jwks},
    batch, cache,
    files::Sources,
    forward, gateway, limit, normalize, server, telemetry, upstream,
};

pub use self::{
    context::Env,
    effective::{Changes, EffectiveConfig},
    problem::{Problem, Problems},
    schema::schema,
};

/// A valid configuration, in the parts that the modules take.
#[derive(Debug)]
pub struct Config {
    /// What a running gateway keeps.
    pub restart_only: RestartOnlyConfig,
    /// What it can change.
    pub reloadable: ReloadableConfig,
    /// All of it, to be shown and compared. A change is one of [`ReloadableConfig`] alone only if its
    /// [`Changes`] have no key that is [restart-only](Changes::restart_only).
    pub effective: EffectiveConfig,
}

/// What needs a restart: what is bound, connected or allocated.
#[derive(Debug)]
pub struct RestartOnlyConfig {
    /// Threads; `None`: one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Connections.
    pub server: server::Config,
    /// Where the admin listener listens.
    pub admin: SocketAddr,
    /// Calls to Sync.
    pub upstream: upstream::Config,
    /// Where the keys of tokens are published; `None`: nowhere, or tokens are not required.
    pub jwks: Option<jwks::Config>,
    /// The vehicle cache as a whole.
    pub cache: cache::Config,
    /// How log lines look.
    pub format: telemetry::Format,
}

/// What each request takes as it is at that moment.
#[derive(Debug)]
pub struct ReloadableConfig {
    /// Who may see the admin listener.
    pub admin: admin::Config,
    /// Tokens and accounts.
    pub auth: auth::Config,
    /// Admission, rates, body sizes, deadlines.
    pub limit: limit::Config,
    /// The batch endpoint.
    pub batch: batch::Config,
    /// How long cached entries are fresh, and stale.
    pub lifetimes: cache::Lifetimes,
    /// Everything that is forwarded.
    pub forward: forward::Config,
    /// Vehicles in paths, queries and bodies.
    pub normalize: normalize::Config,
    /// The edge of the request path.
    pub gateway: gateway::Config,
    /// What is logged.
    pub telemetry: telemetry::Config,
}

/// A file that was read, whatever came of it.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Result<Config, Problems>,
    /// It and the files that it names, as they were.
    pub sources: Sources,
}

// === impl Config ===

impl Config {
    /// Reads and checks the file at `path`, and fetches the secrets that it names.
    ///
    /// # Errors
    ///
    /// All problems of the file at once, or that it cannot be read.
    pub fn load(path: &Path, env: Env<'_>) -> Result<Self, Problems> {
        Loaded::of(path, env).config
    }

    /// Checks `text` as if it were in a file at `path`, which need not exist: relative paths
    /// start at its folder, and problems name it.
    ///
    /// # Errors
    ///
    /// All problems of the text at once.
    pub fn parse(text: &str, path: &Path, env: Env<'_>) -> Result<Self, Problems> {
        Self::read(text, path, env, &mut Sources::default())
    }

    fn read(
        text: &str,
        path: &Path,
        env: Env<'_>,
        sources: &mut Sources,
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let config = Document::parse(text, &mut problems).and_then(|document| {
            let outside = (path.parent().unwrap_or(path), env);
            let known = schema::keys();
            let mut context = Context::new(&document, &known, outside, sources, &mut problems);
            let root = Node { key: String::new(), value: &document.root };
            let file = File::read(&root, &mut context)?;
            check::check(&file, &mut context).ok()
        });
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems::new(path.to_owned(), problems)),
        }
    }
}

// === impl Loaded ===

impl Loaded {
    /// Reads and checks the file at `path`, and fetches the secrets that it names.
    pub fn of(path: &Path, env: Env<'_>) -> Self {
        let mut sources = Sources::default();
        let text = match sources.read(path) {
            Ok(bytes) => str::from_utf8(&bytes)
                .map(str::to_owned)
                .map_err(|_| "not UTF-8".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let config = match text {
            Ok(text) => Config::read(&text, path, env, &mut sources),
            Err(found) => Err(Problems::whole(path.to_owned(), format!("cannot be read: {found}"))),
        };
        Self { config, sources }
    }
}

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
