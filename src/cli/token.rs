//! `vingate token`: a token for trials, signed with a configured secret.

use std::{
    error::Error,
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{env, exit, print};
use crate::config::Config;

/// Prints a token for `subject`, valid for `ttl`, that the file at `path` accepts.
pub fn run(path: &Path, subject: &str, scope: Option<&str>, ttl: Duration) -> ExitCode {
    exit(sign(path, subject, scope, ttl))
}

fn sign(
    path: &Path,
    subject: &str,
    scope: Option<&str>,
    ttl: Duration,
) -> Result<(), Box<dyn Error>> {
    let config = Config::load(path, &env)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    print(config.reloadable.auth.issue(subject, scope, ttl, now)?)
}
