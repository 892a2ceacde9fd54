//! What ties replicas together: its secrets, and times that fit one another.

use super::upstream;
use crate::{
    config::{
        context::{Checked, Context, required},
        file::{File, Shared},
    },
    shared_tier,
};

/// Bytes of a secret: as many as a key of AES-256 has.
pub(super) const MIN_SECRET: usize = 32;

pub(super) fn check(
    file: &File,
    context: &mut Context<'_>,
) -> Checked<Option<shared_tier::Config>> {
    let Some(written) = &file.shared else {
        return Ok(None);
    };
    let (lease, write_wait) = (written.lease.0, written.write_wait.0);
    if !write_wait.is_zero() && write_wait < lease {
        let found = "less than shared.lease";
        context.expected("shared.write_wait", found, "zero, or at least shared.lease");
    }
    let ca = upstream::certificates("shared.ca", written.ca.as_deref(), context);
    let needs_roots = required(&written.url).is_ok_and(|url| url.is_tls) && written.ca.is_none();
    if needs_roots && !(context.outside.has_roots)() {
        let found = "nothing, and no CA certificate that the system trusts";
        context.expected("shared.ca", found, "a file of certificates, PEM");
    }
    let password = written.password.as_ref();
    let password = password.map(|password| password.fetch("shared.password", context));
    let (secret, previous) = secrets(written, context);
    Ok(Some(shared_tier::Config {
        url: required(&written.url)?.clone(),
        user: written.user.clone(),
        password: password.transpose()?,
        ca: ca?,
        secret: secret?,
        previous: previous?,
        namespace: written.namespace.0.clone(),
        timeout: written.timeout.0,
        lease,
        write_wait,
        when_lost: written.when_lost.0,
        leases: written.leases,
        write_timeout: file.upstream.request_timeout.0 + file.upstream.attempt_timeout.0,
    }))
}

fn secrets(
    written: &Shared,
    context: &mut Context<'_>,
) -> (Checked<shared_tier::Secret>, Checked<Vec<shared_tier::Secret>>) {
    let secret = required(&written.secret)
        .and_then(|secret| secret.fetch_long("shared.secret", MIN_SECRET, context));
    let previous = written.previous.iter();
    let previous: Vec<_> = previous
        .map(|secret| secret.fetch_long(&secret.at, MIN_SECRET, context))
        .collect();
    (secret, previous.into_iter().collect())
}
