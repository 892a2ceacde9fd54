//! `vingate token`: a token for trials, signed with a configured secret.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{env, fail, refuse};
use crate::config::Config;

/// Prints a token for `subject` that the file at `path` accepts for `ttl`.
pub fn run(path: &Path, subject: &str, scope: Option<&str>, ttl: Duration) -> ExitCode {
    let config = match Config::load(path, &env) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    match config.reloadable.auth.issue(subject, scope, ttl, now) {
        Ok(token) => {
            println!("{token}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}
