//! The file that keeps what the cache holds over a restart.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

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
