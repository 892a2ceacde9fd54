//! The file that keeps what the cache holds over a restart.

use super::shared_table::MIN_SECRET;
use crate::{
    config::{
        context::{Checked, Context, required},
        file::File,
    },
    snapshot,
};

pub(super) fn check(file: &File, context: &mut Context<'_>) -> Checked<Option<snapshot::Config>> {
    let Some(written) = &file.cache.snapshot else {
        return Ok(None);
    };
    let secret = required(&written.secret)
        .and_then(|secret| secret.fetch_long("cache.snapshot.secret", MIN_SECRET, context));
    let file = context.outside.folder.join(required(&written.file)?);
    Ok(Some(snapshot::Config { file, secret: secret? }))
}
