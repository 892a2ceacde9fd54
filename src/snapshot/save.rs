//! A snapshot written.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::{
    Config, PURPOSE,
    entries::{Trailer, head, write},
    frames::FrameWriter,
    origin::Facts,
};
use crate::{
    seal::Secrets,
    vehicle_cache::{Failure, Moment, VehicleCache},
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

/// Writes what `cache` holds, what was asked for last first. It blocks.
///
/// # Errors
///
/// The file cannot be written. What was there before is gone all the same.
pub fn save<F: Failure>(config: &Config, cache: &VehicleCache<F>) -> io::Result<Saved> {
    let part = part(&config.file);
    remove(&config.file)?;
    remove(&part)?;
    let saved = save_to(&part, config, cache);
    let renamed = saved.and_then(|saved| {
        fs::rename(&part, &config.file)?;
        sync_folder(&config.file)?;
        Ok(saved)
    });
    if renamed.is_err() {
        // Of no use to anybody.
        let _ = fs::remove_file(&part);
    }
    renamed
}

fn save_to<F: Failure>(part: &Path, config: &Config, cache: &VehicleCache<F>) -> io::Result<Saved> {
    let ends_at = Instant::now() + PATIENCE;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(part)?;
    let Facts { origin, .. } = Facts::of(&file.metadata()?);
    let sealer = Secrets::new(&config.secret, &[]).sealer(PURPOSE);
    let mut frames = FrameWriter::new(file, sealer)?;
    frames.write(&head(&origin))?;
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
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes what was done to the names of a folder last, whatever happens to the machine.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}
