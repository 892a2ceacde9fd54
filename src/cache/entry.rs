//! What is kept of one vehicle, and how long it is good.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::Ttl;
use crate::digest;

/// What a result of a vehicle is like, which decides how long it stays fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is finished and has a status.
    Finished,
    /// It is not finished, or has the status -1.
    Pending,
    /// It is finished without a status: processing ended with errors.
    Failed,
    /// There is no result.
    Absent,
}

/// The classes of all the results of one vehicle: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes(u8);

/// What the upstream's response has of one vehicle. `Debug` does not show its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    /// The element's own bytes, as they came; empty if there was no element.
    pub bytes: Box<[u8]>,
    /// What its results are like.
    pub classes: Classes,
}

/// An [`Element`] with its life. Immutable once made; a refresh makes another.
#[derive(Debug)]
pub struct Entry {
    /// What the table and the policy find it by.
    pub(super) key_hash: u64,
    /// The partition's epoch when the vehicle was looked up.
    pub(super) epoch: u32,
    element: Element,
    content_hash: ContentHash,
    filled_at: Moment,
    fresh_until: Instant,
    /// When the eviction policy last heard of a hit, in seconds.
    noted_at: AtomicU32,
}

/// One moment on two clocks: the one that only runs forward, by which lifetimes are counted, and
/// the one that other processes have, too.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Of this process.
    pub instant: Instant,
    /// Of the wall.
    pub wall: SystemTime,
}

/// The first 128 bits of the SHA-256 of an element's bytes.
pub type ContentHash = [u8; 16];

/// Where an entry is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Good for this much longer.
    Fresh(Duration),
    /// Past its time for this long.
    Stale(Duration),
}

// === impl Class ===

impl Class {
    const ALL: [Self; 4] = [Self::Finished, Self::Pending, Self::Failed, Self::Absent];
}

impl From<Class> for Classes {
    fn from(class: Class) -> Self {
        Self(1 << class as u8)
    }
}

// === impl Classes ===

impl Classes {
    /// These and those.
    pub fn and(self, others: impl Into<Self>) -> Self {
        Self(self.0 | others.into().0)
    }

    /// Whether every result is of this class.
    pub fn are_only(self, class: Class) -> bool {
        self == class.into()
    }

    fn contain(self, class: Class) -> bool {
        self.0 & Self::from(class).0 != 0
    }
}

// === impl Element ===

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element")
            .field("length", &self.bytes.len())
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

// === impl Ttl ===

impl Ttl {
    /// How long results of these classes stay fresh: as long as the shortest of them. `draw` is
    /// evenly spread over all of `u64` and decides the jitter, so that a chunk filled at one
    /// instant does not expire at one.
    pub(super) fn fresh_for(&self, classes: Classes, draw: u64) -> Duration {
        let lifetimes = Class::ALL
            .into_iter()
            .filter(|&class| classes.contain(class))
            .map(|class| match class {
                Class::Finished => self.finished,
                Class::Pending => self.pending,
                Class::Failed => self.failed,
                Class::Absent => self.absent,
            });
        let base = lifetimes.min().unwrap_or_default();
        let part = draw as f64 / u64::MAX as f64 * 2.0 - 1.0;
        base.mul_f64((1.0 + self.jitter * part).max(0.0))
    }
}

// === impl Freshness ===

impl Freshness {
    /// Where in its life at `now` is what stays fresh until `fresh_until`.
    pub fn at(fresh_until: Instant, now: Instant) -> Self {
        match fresh_until.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Self::Fresh(left),
            _ => Self::Stale(now.saturating_duration_since(fresh_until)),
        }
    }
}

// === impl Moment ===

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(
        key_hash: u64,
        epoch: u32,
        element: Element,
        fresh_for: Duration,
        now: Moment,
    ) -> Self {
        let mut content_hash = ContentHash::default();
        let whole = digest::of(&element.bytes);
        content_hash.copy_from_slice(&whole[..size_of::<ContentHash>()]);
        Self {
            key_hash,
            epoch,
            element,
            content_hash,
            filled_at: now,
            fresh_until: now.instant + fresh_for,
            noted_at: AtomicU32::new(0),
        }
    }

    /// The element's bytes as the upstream sent them; empty if it sent none.
    pub fn bytes(&self) -> &[u8] {
        &self.element.bytes
    }

    /// What its results are like.
    pub fn classes(&self) -> Classes {
        self.element.classes
    }

    /// A hash of the bytes, taken when the entry was filled.
    pub fn content_hash(&self) -> &ContentHash {
        &self.content_hash
    }

    /// When the upstream's response came.
    pub fn filled_at(&self) -> Moment {
        self.filled_at
    }

    /// Until when it is good.
    pub fn fresh_until(&self) -> Instant {
        self.fresh_until
    }

    /// How long ago the upstream's response came.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.filled_at.instant)
    }

    /// Whether it is still good at `now`.
    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        Freshness::at(self.fresh_until, now)
    }

    /// Whether the eviction policy should hear of this hit: it hears of at most one in
    /// `every` seconds, because telling it costs more than the look-up itself.
    pub(super) fn is_worth_noting(&self, second: u32, every: u32) -> bool {
        let noted_at = self.noted_at.load(Relaxed);
        let worth = second.wrapping_sub(noted_at) >= every;
        if worth {
            self.noted_at.store(second, Relaxed);
        }
        worth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ttl(jitter: f64) -> Ttl {
        Ttl {
            finished: Duration::from_secs(900),
            pending: Duration::from_secs(10),
            failed: Duration::from_secs(20),
            absent: Duration::from_secs(30),
            jitter,
        }
    }

    #[test]
    fn lives_by_its_class() {
        for (class, seconds) in
            [(Class::Finished, 900), (Class::Pending, 10), (Class::Failed, 20), (Class::Absent, 30)]
        {
            let fresh_for = ttl(0.0).fresh_for(class.into(), 7);
            assert_eq!(fresh_for, Duration::from_secs(seconds), "{class:?}");
        }
    }

    #[test]
    fn several_classes_live_as_long_as_the_shortest() {
        let mixed = Classes::from(Class::Finished).and(Class::Failed);
        assert_eq!(ttl(0.0).fresh_for(mixed, 7), Duration::from_secs(20));
        assert_eq!(ttl(0.0).fresh_for(mixed.and(Class::Pending), 7), Duration::from_secs(10));
        assert!(!mixed.are_only(Class::Finished));
    }

    #[test]
    fn jitter_stays_within_its_part_and_reaches_both_ends() {
        let lifetimes = |draw| {
            ttl(0.1)
                .fresh_for(Class::Finished.into(), draw)
                .as_secs_f64()
        };
        assert!((lifetimes(0) - 810.0).abs() < 1e-6);
        assert!((lifetimes(u64::MAX) - 990.0).abs() < 1e-6);
        assert!((lifetimes(u64::MAX / 2) - 900.0).abs() < 1e-6);
    }
}
