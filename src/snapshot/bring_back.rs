//! A snapshot found, and brought back.

use std::{
    fs::{self, File},
    io::{self, Seek as _},
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
    vehicle_cache::{Failure, Moment, Restoring, Source, Unwritten, VehicleCache},
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

/// Entries after which the eviction policy catches up.
const SETTLE_EVERY: u64 = 64;

impl Snapshots {
    /// Makes the file that of this process, and takes the snapshot of an earlier one away, so that
    /// it is used once. Says in the log if there is one that cannot be used. It blocks, for no
    /// longer than a look at a folder takes.
    pub fn take(config: Config) -> (Self, Option<Found>) {
        let owner = Owner::new();
        let last = Owner::of(&config.file).and_then(|last| owner.take(&config.file).map(|()| last));
        // Of a process that has ended before it was whole.
        if let Err(error) = remove(&part(&config.file)) {
            warn!(%error, "part of a snapshot not removed");
        }
        let found = take(&config, last);
        let snapshots = Self { config, owner };
        match found {
            Ok(found) => (snapshots, Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (snapshots, None),
            Err(error) => {
                warn!(%error, "snapshot refused");
                (snapshots, None)
            }
        }
    }
}

fn take(config: &Config, last: io::Result<Option<Owner>>) -> io::Result<Found> {
    let path = &*config.file;
    // To open a pipe one waits, and a link would be removed in place of the file.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let opened = File::open(path).and_then(|file| Ok((Facts::of(&file.metadata()?), file)));
    // Also one that cannot be read: a later process would find it when it is no longer true.
    fs::remove_file(path)?;
    sync_folder(path)?;
    let (facts, file) = opened?;
    Ok(Found { config: config.clone(), file, facts, last: last? })
}

/// How long ago that was; `None` if it is to come.
fn age(fetched_at: SystemTime, now: SystemTime) -> Option<Duration> {
    match now.duration_since(fetched_at) {
        Ok(age) => Some(age),
        Err(ahead) => (ahead.duration() <= LEEWAY).then_some(Duration::ZERO),
    }
}

impl Found {
    /// Brings back what is in it, and says in the log what came of that. It blocks, for seconds if
    /// there is much.
    pub fn load<F: Failure>(mut self, cache: &VehicleCache<F>, restoring: &Restoring<F>) {
        let began_at = Instant::now();
        match self.check(cache) {
            Ok(is_unwritten) => match self.restore(cache, restoring, &is_unwritten) {
                Ok(entries) => {
                    let seconds = began_at.elapsed().as_secs_f64();
                    info!(entries, seconds, "snapshot loaded");
                }
                Err(error) => warn!(%error, "snapshot not loaded to its end"),
            },
            Err(refusal) => {
                let source = std::error::Error::source(&refusal);
                warn!(error = %refusal, source, "snapshot refused");
            }
        }
    }

    /// Reads all of it: nothing of a file is used unless all of it can be. Gives what in it nobody
    /// has written since.
    fn check<F: Failure>(&mut self, cache: &VehicleCache<F>) -> Result<Unwritten, Refusal> {
        let (head, trailer) = self.survey().map_err(Refusal::Unreadable)?;
        let written_at = UNIX_EPOCH + Duration::from_millis(trailer.written_at);
        let (longest, now) = (cache.longest_life(), SystemTime::now());
        self.facts.judge(head.origin, written_at, longest, now)?;
        if self.last != Some(head.writer) {
            return Err(Refusal::Overtaken);
        }
        Ok(cache.unwritten_since(head.stamp)?)
    }

    fn survey(&mut self) -> io::Result<(Head, Trailer)> {
        let (head, mut entries) = self.entries()?;
        let mut count = 0;
        loop {
            match entries.next()? {
                Next::Entry(..) => count += 1,
                Next::End(trailer) if trailer.entries == count => return Ok((head, trailer)),
                Next::End(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    fn restore<F: Failure>(
        &mut self,
        cache: &VehicleCache<F>,
        restoring: &Restoring<F>,
        is_unwritten: &Unwritten,
    ) -> io::Result<u64> {
        let (_, mut entries) = self.entries()?;
        let (mut restored, mut seen) = (0, 0);
        while let Next::Entry(key, record) = entries.next()? {
            let now = Moment::now();
            let fetched_at = UNIX_EPOCH + Duration::from_millis(record.fetched_at);
            let results = age(fetched_at, now.wall)
                .filter(|_| is_unwritten(&key))
                .and_then(|age| cache.recall(record, age, Source::Snapshot, now));
            if let Some(results) = results.filter(|results| cache.is_of_use(results, now.instant)) {
                restored += u64::from(restoring.insert(key, results, now.instant));
            }
            seen += 1;
            if seen % SETTLE_EVERY == 0 && !restoring.settle() {
                break;
            }
        }
        restoring.settle();
        Ok(restored)
    }

    fn entries(&mut self) -> io::Result<(Head, Entries<FrameReader<&File>>)> {
        self.file.rewind()?;
        let sealer = Secrets::new(&self.config.secret, &[]).sealer(PURPOSE);
        Entries::begin(FrameReader::new(&self.file, sealer)?)
    }
}
