//! `vingate token`: a token for trials, signed with a configured secret.

use std::{path::Path, time::Duration};

use super::{Outcome, env, print, since_epoch};
use crate::config::Config;

/// Prints a token for `subject`, valid for `ttl`, that the file at `path` accepts.
pub(super) fn run(path: &Path, subject: &str, scope: Option<&str>, ttl: Duration) -> Outcome {
    let auth = Config::load(path, &env)?.reloadable.auth;
    print(auth.issue(subject, scope, ttl, since_epoch())?)
}
