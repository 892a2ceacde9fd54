//! What is kept outside of the process: in Redis, for other replicas, and in a file, over a restart.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::upstream;
use crate::{
    config::{
        context::{Checked, Context, required},
        file::File,
    },
    shared_tier, snapshot,
};

/// Bytes of a secret: as many as a key of AES-256 has.
const MIN_SECRET: usize = 32;

/// What ties replicas together: its secrets, and times that fit one another.
pub(super) fn shared(
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
    let secret = required(&written.secret)
        .and_then(|secret| secret.fetch_long("shared.secret", MIN_SECRET, context));
    let previous = written.previous.iter();
    let previous = previous.map(|secret| secret.fetch_long(&secret.at, MIN_SECRET, context));
    // All are checked before the first invalid one ends it.
    let previous: Vec<_> = previous.collect();
    Ok(Some(shared_tier::Config {
        url: required(&written.url)?.clone(),
        user: written.user.clone(),
        password: password.transpose()?,
        ca: ca?,
        secret: secret?,
        previous: previous.into_iter().collect::<Checked<_>>()?,
        namespace: written.namespace.0.clone(),
        timeout: written.timeout.0,
        lease,
        write_wait,
        when_lost: written.when_lost.0,
        leases: written.leases,
        write_timeout: file.upstream.request_timeout.0 + file.upstream.attempt_timeout.0,
    }))
}

/// The file that keeps what the cache holds over a restart.
pub(super) fn snapshot(
    file: &File,
    context: &mut Context<'_>,
) -> Checked<Option<snapshot::Config>> {
    let Some(written) = &file.cache.snapshot else {
        return Ok(None);
    };
    let secret = required(&written.secret)
        .and_then(|secret| secret.fetch_long("cache.snapshot.secret", MIN_SECRET, context));
    let file = in_a_folder(required(&written.file)?, context);
    Ok(Some(snapshot::Config { file: file?, secret: secret? }))
}

/// Where the file will be at the end of a drain: its folder has to be there from the start. Whether
/// the gateway may write there shows when it starts, as the user that it runs as.
fn in_a_folder(written: &Path, context: &mut Context<'_>) -> Checked<PathBuf> {
    let file = context.outside.folder.join(written);
    let folder = file.parent().unwrap_or(&file);
    // What is in "." is there, and what is in a file is not.
    match fs::metadata(folder.join(".")) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let found = format_args!("{}: {error}", folder.display());
            Err(context.expected("cache.snapshot.file", found, "a file in a folder that is there"))
        }
        _ => Ok(file),
    }
}
