//! `vingate token`: a token for trials, signed with a configured secret.

use std::{path::Path, time::Duration};

use super::{Outcome, env, print, report, since_epoch};
use crate::config::Config;

/// Prints a token for `subject`, valid for `ttl`, that the file at `path` accepts. Says on standard
/// error if it has no account for the subject.
pub(super) fn run(path: &Path, subject: &str, scope: Option<&str>, ttl: Duration) -> Outcome {
    let auth = Config::load(path, &env)?.reloadable.auth;
    print(auth.issue(subject, scope, ttl, since_epoch())?)?;
    if !auth.has_account_for(subject) {
        report("no account is configured for this subject: its requests get a 403");
    }
    Ok(())
}
