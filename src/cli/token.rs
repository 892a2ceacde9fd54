//! `vingate token`: a token for trials, signed with a configured secret.

use std::{error::Error, path::Path, process::ExitCode, time::Duration};

use super::{env, exit, print, since_epoch};
use crate::config::Config;

/// Prints a token for `subject`, valid for `ttl`, that the file at `path` accepts.
pub(super) fn run(path: &Path, subject: &str, scope: Option<&str>, ttl: Duration) -> ExitCode {
    exit(sign(path, subject, scope, ttl))
}

fn sign(
    path: &Path,
    subject: &str,
    scope: Option<&str>,
    ttl: Duration,
) -> Result<(), Box<dyn Error>> {
    let config = Config::load(path, &env)?;
    print(
        config
            .reloadable
            .auth
            .issue(subject, scope, ttl, since_epoch())?,
    )
}
