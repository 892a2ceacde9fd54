//! What is held of a vehicle, as bytes that outlive the process or leave it.
//!
//! `fetched_at (8) · fresh_for (4) · classes (1) · content hash (16) · element`, numbers with the
//! lowest byte first, times in milliseconds. Whoever keeps them has to see to it that they come
//! back unchanged.

use std::time::Duration;

use tokio::time::Instant;

use super::{Class, Classes, ContentHash, Element, Failure, Results, Source, VehicleCache};
use crate::cache::Moment;

/// What was held of a vehicle when it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When Sync's response came, in milliseconds on the clock that the writer and the reader
    /// have in common.
    pub fetched_at: u64,
    fresh_for: Duration,
    content_hash: ContentHash,
    element: Element,
}

/// Bytes of a record beside the element.
const HEAD: usize = 8 + 4 + 1 + size_of::<ContentHash>();

impl Record {
    /// Appends the record of `results` to `bytes`.
    pub fn write(results: &Results, fetched_at: u64, bytes: &mut Vec<u8>) {
        let fresh_for = results.fresh_for().as_millis();
        let fresh_for = u32::try_from(fresh_for).unwrap_or(u32::MAX);
        bytes.reserve_exact(HEAD + results.bytes().len());
        bytes.extend_from_slice(&fetched_at.to_le_bytes());
        bytes.extend_from_slice(&fresh_for.to_le_bytes());
        bytes.push(results.classes().to_byte());
        bytes.extend_from_slice(results.content_hash());
        bytes.extend_from_slice(results.bytes());
    }

    /// Bytes of the element.
    pub fn length(&self) -> usize {
        self.element.bytes.len()
    }

    /// `None`: that is no record.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (fetched_at, rest) = bytes.split_first_chunk()?;
        let (fresh_for, rest) = rest.split_first_chunk()?;
        let (&classes, rest) = rest.split_first()?;
        let (&content_hash, element) = rest.split_first_chunk()?;
        Some(Self {
            fetched_at: u64::from_le_bytes(*fetched_at),
            fresh_for: Duration::from_millis(u32::from_le_bytes(*fresh_for).into()),
            content_hash,
            element: Element { bytes: element.into(), classes: Classes::from_byte(classes)? },
        })
    }
}

impl<F: Failure> VehicleCache<F> {
    /// What `record` says, for this cache: `age` is how long ago Sync's response came. It is fresh
    /// for as long as both the writer and this cache would have it. `None`: it is older than the
    /// clock goes back.
    pub fn recall(
        &self,
        record: Record,
        age: Duration,
        source: Source,
        now: Moment,
    ) -> Option<Results> {
        let Record { fresh_for, content_hash, element, .. } = record;
        let longest = self
            .contents()
            .lifetimes
            .load()
            .ttl
            .longest(element.classes);
        let instant = now.instant.checked_sub(age)?;
        let filled_at = Moment { instant, wall: now.wall.checked_sub(age)? };
        let fresh_for = fresh_for.min(longest);
        Some(Results::from_parts(element, content_hash, filled_at, fresh_for, source))
    }

    /// How long after they were fetched results are served at most.
    pub fn longest_life(&self) -> Duration {
        let lifetimes = self.contents().lifetimes.load();
        let fresh_for = Class::ALL.map(|class| lifetimes.ttl.longest(class.into()));
        let fresh_for = fresh_for.into_iter().max().unwrap_or_default();
        fresh_for + lifetimes.stale.longest()
    }

    /// Whether `results` may be served at `now`, be it only if Sync fails.
    pub fn is_of_use(&self, results: &Results, now: Instant) -> bool {
        let stale = self.contents().lifetimes.load().stale;
        results.fresh_until() + stale.longest() > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vehicle_cache::tests::{cache, element};

    const SECOND: Duration = Duration::from_secs(1);

    fn record(fresh_for: Duration) -> (Vec<u8>, Results) {
        let results = Results::new(element("some"), fresh_for, Moment::now());
        let mut bytes = Vec::new();
        Record::write(&results, 7000, &mut bytes);
        (bytes, results)
    }

    #[test]
    fn is_read_as_it_was_written() {
        let (bytes, results) = record(2 * SECOND);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.fetched_at, 7000);
        let (cache, now) = (cache(), Moment::now());
        let recalled = cache.recall(record, SECOND, Source::Shared, now).unwrap();
        assert_eq!(recalled.bytes(), results.bytes());
        assert_eq!(recalled.classes(), results.classes());
        assert_eq!(recalled.content_hash(), results.content_hash());
        assert_eq!(recalled.filled_at().instant, now.instant - SECOND);
        assert_eq!(recalled.fresh_until(), now.instant + SECOND);
        assert_eq!(recalled.source(), Source::Shared);
    }

    #[test]
    fn is_fresh_for_no_longer_than_here() {
        let (bytes, _) = record(Duration::from_secs(1 << 20));
        let record = Record::parse(&bytes).unwrap();
        let (cache, now) = (cache(), Moment::now());
        let recalled = cache.recall(record.clone(), Duration::ZERO, Source::Shared, now);
        let fresh_for = recalled.unwrap().fresh_until() - now.instant;
        let own = cache
            .contents()
            .lifetimes
            .load()
            .ttl
            .longest(Class::Finished.into());
        assert_eq!(fresh_for, own);
        let ages = Duration::from_secs(u64::MAX);
        assert!(cache.recall(record, ages, Source::Shared, now).is_none());
        assert!(Instant::now() >= now.instant);
    }

    #[test]
    fn what_is_cut_or_has_no_class_is_none() {
        let (bytes, _) = record(SECOND);
        for cut in 0..HEAD {
            assert_eq!(Record::parse(&bytes[..cut]), None, "cut at {cut}");
        }
        for classes in [0, 16, 255] {
            let mut bytes = bytes.clone();
            bytes[12] = classes;
            assert_eq!(Record::parse(&bytes), None, "{classes}");
        }
    }
}
