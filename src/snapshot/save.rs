//! A snapshot written.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::{
    PURPOSE, Snapshots,
    entries::{Head, Trailer, write},
    frames::FrameWriter,
    origin::Facts,
    owner::{Owner, beside, sync_folder},
};
use crate::{
    seal::Secrets,
    vehicle_cache::{Failure, Moment, Stamp, Unheard, VehicleCache},
};

/// What was written.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// Vehicles.
    pub entries: u64,
    /// Vehicles that there was no time for.
    pub left_out: u64,
    /// Of the file.
    pub bytes: u64,
}

/// How long entries are written. Whoever stops a process does not wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a snapshot is not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It would be refused.
    #[error("another process has started meanwhile that uses the file")]
    Overtaken,
    /// It could not be told which of it is good.
    #[error(transparent)]
    Unheard(#[from] Unheard),
}

impl Snapshots {
    /// Writes what `cache` holds, what was asked for last first. It blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or would be of no use.
    pub fn save<F: Failure>(&self, cache: &VehicleCache<F>) -> Result<Saved, SaveError> {
        let Self { config, owner } = self;
        if Owner::of(&config.file)? != Some(*owner) {
            return Err(SaveError::Overtaken);
        }
        // Before what is held is looked at: that may know of more then, but never of less.
        let stamp = cache.known()?;
        let part = part(&config.file);
        remove(&config.file)?;
        remove(&part)?;
        let saved = save_to(&part, self, stamp, cache);
        let renamed = saved.and_then(|saved| {
            fs::rename(&part, &config.file)?;
            sync_folder(&config.file)?;
            Ok(saved)
        });
        if renamed.is_err() {
            // Of no use to anybody.
            let _ = fs::remove_file(&part);
        }
        Ok(renamed?)
    }
}

fn save_to<F: Failure>(
    part: &Path,
    Snapshots { config, owner }: &Snapshots,
    stamp: Option<Stamp>,
    cache: &VehicleCache<F>,
) -> io::Result<Saved> {
    let ends_at = Instant::now() + PATIENCE;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(part)?;
    let Facts { origin, .. } = Facts::of(&file.metadata()?);
    let sealer = Secrets::new(&config.secret, &[]).sealer(PURPOSE);
    let mut frames = FrameWriter::new(file, sealer)?;
    frames.write(&Head { origin, writer: *owner, stamp }.to_bytes())?;
    let (held, mut entries, mut bytes) = (cache.held(), 0, Vec::new());
    let (count, now) = (held.len() as u64, Moment::now());
    for (key, entry) in held {
        if Instant::now() >= ends_at {
            break;
        }
        write(&key, &entry, millis(fetched_at(entry.filled_at(), now)), &mut bytes);
        frames.write(&bytes)?;
        entries += 1;
    }
    // Before the time is taken that the file system's is compared with.
    frames.out().sync_data()?;
    let written_at = millis(SystemTime::now());
    frames.write(&Trailer { written_at, entries }.to_bytes())?;
    let file = frames.finish()?;
    file.sync_all()?;
    Ok(Saved { entries, left_out: count - entries, bytes: file.metadata()?.len() })
}

/// When something was filled, by the clock as it goes now: it may have been set meanwhile.
fn fetched_at(filled_at: Moment, now: Moment) -> SystemTime {
    let by_clock = now.wall.duration_since(filled_at.wall);
    let age = now
        .instant
        .saturating_duration_since(filled_at.instant)
        .max(by_clock.unwrap_or_default());
    now.wall.checked_sub(age).unwrap_or(UNIX_EPOCH)
}

/// Where a snapshot stands until it is whole.
pub(super) fn part(file: &Path) -> PathBuf {
    beside(file, ".part")
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}
