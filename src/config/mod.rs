//! The configuration file, from TOML to what the modules work with.
//!
//! Two types: `File` is the file as it is written, [`Config`] is what follows from
//! it, and cannot hold an invalid state. Between them every problem of the file is found at once,
//! each with its key and line, because nobody wants to mend a file one start at a time:
//!
//! 1. `document` reads TOML into a tree that knows lines.
//! 2. `read` makes a `File` of it, past whatever has the wrong name, type or range.
//! 3. `check` sees to what one key cannot say by itself, and fetches secrets.
//!
//! Only this module knows TOML; every other has a plain `Config` of its own, and nothing below
//! imports this one.

mod check;
mod choice;
mod document;
mod file;
pub(crate) mod fuzzing;
mod nearest;
mod number;
mod path;
mod problem;
mod read;
mod schema;
mod secret;
mod table;
mod text;
mod units;

use std::{fs, io::Read, num::NonZeroUsize, path::Path};

use self::{check::Context, document::Document};
use crate::{
    admin, auth, batch, cache, forward, gateway, limit, normalize, server, telemetry, upstream,
};

pub use self::{
    problem::{Problem, Problems},
    schema::schema,
    secret::Env,
};

/// Nobody writes a larger file by hand.
const MAX_FILE: u64 = 1 << 20;

/// A valid configuration, in the parts that the modules take.
#[derive(Debug)]
pub struct Config {
    /// Threads; `None`: one a core.
    pub workers: Option<NonZeroUsize>,
    /// Connections.
    pub server: server::Config,
    /// The admin listener.
    pub admin: admin::Config,
    /// Calls to Sync.
    pub upstream: upstream::Config,
    /// Tokens and accounts.
    pub auth: auth::Config,
    /// Admission, rates, body sizes, deadlines.
    pub limit: limit::Config,
    /// The batch endpoint.
    pub batch: batch::Config,
    /// The vehicle cache.
    pub cache: cache::Config,
    /// Everything that is forwarded.
    pub forward: forward::Config,
    /// Vehicles in paths, queries and bodies.
    pub normalize: normalize::Config,
    /// The edge of the request path.
    pub gateway: gateway::Config,
    /// Logs.
    pub telemetry: telemetry::Config,
    /// The file with all its defaults, and every secret as `"***"`: what `GET /config` shows.
    pub in_force: serde_json::Value,
}

// === impl Config ===

impl Config {
    /// Reads and checks the file at `path`, and fetches the secrets that it names.
    ///
    /// # Errors
    ///
    /// All problems of the file at once, or that it cannot be read.
    pub fn load(path: &Path, env: Env<'_>) -> Result<Self, Problems> {
        let text = contents(path).map_err(|text| Problems::whole(path.to_owned(), text))?;
        Self::parse(&text, path, env)
    }

    /// Checks `text` as if it stood in a file at `path`, which need not exist: relative paths
    /// start at its folder, and problems name it.
    ///
    /// # Errors
    ///
    /// All problems of the text at once.
    pub fn parse(text: &str, path: &Path, env: Env<'_>) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let config = Self::find(text, path.parent().unwrap_or(path), env, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems::new(path.to_owned(), problems)),
        }
    }

    /// The configuration in `text`, as far as there is one; `problems` is empty only if it is
    /// valid.
    fn find(text: &str, folder: &Path, env: Env<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut document = Document::parse(text, problems)?;
        let (file, wrong) = read::read(&mut document, problems)?;
        let mut context = Context { document: &document, folder, env, wrong: &wrong, problems };
        check::check(&file, &mut context).ok()
    }
}

fn contents(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(text.len()).is_ok_and(|read| read > MAX_FILE) {
        return Err("larger than 1 MiB".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
