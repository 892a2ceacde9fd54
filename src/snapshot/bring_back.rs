//! A snapshot found, and brought back.

use std::{
    fs::{self, File},
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Config, LEEWAY, PURPOSE, Snapshots,
    entries::{Entries, Head, Next, Trailer},
    frames::FrameReader,
    origin::{Facts, Refusal},
    owner::{Owner, sync_folder},
    save::{part, remove},
};
use crate::{
    seal::Secrets,
    vehicle::Vehicle,
    vehicle_cache::{Failure, Key, Moment, Record, Restoring, Source, Unwritten, VehicleCache},
};

/// A snapshot that nobody else can find any more.
#[derive(Debug)]
pub struct Found {
    config: Config,
    file: File,
    facts: Facts,
    /// Of the process that has started last before this one.
    last: Option<Owner>,
}

/// What was held, what was asked for last first.
type Held = Vec<(Key<Vehicle>, Record)>;

/// How long after it was written a snapshot is used. Longer than a restart takes: who serves without
/// snapshots meanwhile leaves no trace beside the file.
const LONGEST_AWAY: Duration = Duration::from_secs(5 * 60);

/// Entries after which the eviction policy catches up.
const SETTLE_EVERY: u64 = 64;

impl Snapshots {
    /// Makes the file that of this process, and takes the snapshot of an earlier one away, so that
    /// it is used once. Says in the log if there is one that cannot be used. It blocks, for no
    /// longer than a look at a folder takes.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to. Who served all the same would leave a snapshot behind that
    /// is older than what was written through this process.
    pub fn take(config: Config) -> io::Result<(Self, Option<Found>)> {
        let owner = Owner::new();
        let last = Owner::of(&config.file).ok().flatten();
        owner.take(&config.file)?;
        // Of a process that has ended before it was whole.
        remove(&part(&config.file))?;
        let found = take(&config, last)?;
        Ok((Self { config, owner }, found))
    }
}

fn take(config: &Config, last: Option<Owner>) -> io::Result<Option<Found>> {
    let path = &*config.file;
    let refused = |error: io::Error| {
        warn!(%error, "snapshot refused");
        Ok(None)
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        // To open a pipe one waits, and a link would be removed in place of the file.
        Ok(_) => return refused(io::Error::other("it is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let opened = File::open(path).and_then(|file| Ok((Facts::of(&file.metadata()?), file)));
    // Also one that cannot be read: a later process would find it when it is no longer true.
    fs::remove_file(path)?;
    sync_folder(path)?;
    match opened {
        Ok((facts, file)) => Ok(Some(Found { config: config.clone(), file, facts, last })),
        Err(error) => refused(error),
    }
}

/// How long ago that was; `None` if it is to come.
fn age(fetched_at: SystemTime, now: SystemTime) -> Option<Duration> {
    match now.duration_since(fetched_at) {
        Ok(age) => Some(age),
        Err(ahead) => (ahead.duration() <= LEEWAY).then_some(Duration::ZERO),
    }
}

impl Found {
    /// Brings back what is in it, and says in the log what came of that. It blocks, for a second if
    /// there is much.
    pub fn load<F: Failure>(self, cache: &VehicleCache<F>, restoring: &Restoring<F>) {
        let began_at = Instant::now();
        match self.read(cache) {
            Ok((held, is_unwritten)) => {
                let entries = restore(held, &is_unwritten, cache, restoring);
                let seconds = began_at.elapsed().as_secs_f64();
                info!(entries, seconds, "snapshot loaded");
            }
            Err(refusal) => {
                let source = std::error::Error::source(&refusal);
                warn!(error = %refusal, source, "snapshot refused");
            }
        }
    }

    /// Reads all of it: nothing of a file is used unless all of it can be. Gives as much as the
    /// cache may hold, and what nobody has written since.
    fn read<F: Failure>(&self, cache: &VehicleCache<F>) -> Result<(Held, Unwritten), Refusal> {
        let (head, held, trailer) = self
            .entries(cache.capacity())
            .map_err(Refusal::Unreadable)?;
        let written_at = UNIX_EPOCH + Duration::from_millis(trailer.written_at);
        let (longest, now) = (cache.longest_life().min(LONGEST_AWAY), SystemTime::now());
        self.facts.judge(head.origin, written_at, longest, now)?;
        if self.last != Some(head.writer) {
            return Err(Refusal::Overtaken);
        }
        Ok((held, cache.unwritten_since(head.stamp)?))
    }

    fn entries(&self, capacity: u64) -> io::Result<(Head, Held, Trailer)> {
        let sealer = Secrets::new(&self.config.secret, &[]).sealer(PURPOSE);
        let (head, mut entries) = Entries::begin(FrameReader::new(&self.file, sealer)?)?;
        let (mut held, mut count, mut bytes) = (Held::new(), 0, 0);
        loop {
            match entries.next()? {
                Next::Entry(key, record) => {
                    count += 1;
                    bytes += record.length() as u64;
                    if bytes <= capacity {
                        held.push((key, record));
                    }
                }
                Next::End(trailer) if trailer.entries == count => return Ok((head, held, trailer)),
                Next::End(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Gives how many were of use.
fn restore<F: Failure>(
    held: Held,
    is_unwritten: &Unwritten,
    cache: &VehicleCache<F>,
    restoring: &Restoring<F>,
) -> u64 {
    let mut restored = 0;
    for (nth, (key, record)) in (1..).zip(held) {
        let now = Moment::now();
        let fetched_at = UNIX_EPOCH + Duration::from_millis(record.fetched_at);
        let results = age(fetched_at, now.wall)
            .filter(|_| is_unwritten(&key))
            .and_then(|age| cache.recall(record, age, Source::Snapshot, now));
        if let Some(results) = results.filter(|results| cache.is_of_use(results, now.instant)) {
            restored += u64::from(restoring.insert(key, results, now.instant));
        }
        if nth % SETTLE_EVERY == 0 && !restoring.settle() {
            break;
        }
    }
    restoring.settle();
    restored
}
