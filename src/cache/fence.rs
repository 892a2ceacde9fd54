//! Tags and partitions of which nothing is stored for a while.
//!
//! When nobody knows whether a write reached Sync, it may still take effect some time after it
//! was given up. What is read meanwhile may be older than the write, so it is served but not
//! stored.
//!
//! Each is known by 64 bits of a hash that nobody outside knows: two that share them are fenced
//! together, which costs calls but is never wrong. When there are more than [`MAX_SUBJECTS`],
//! everything is fenced until the last that found no room is over.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hash},
    mem,
    sync::atomic::{AtomicU32, Ordering},
};

use foldhash::fast::RandomState;
// Never held while another lock is taken, so tests need not switch threads here.
use parking_lot::Mutex as PlainMutex;
use tokio::time::Instant;

use super::{Partition, Scope, TAGS, prehashed::Prehashed};

/// Times are whole seconds since the start, rounded up for the end of a fence: it stands for
/// up to a second longer than asked for.
pub(super) struct StoreFence {
    hashing: RandomState,
    started_at: Instant,
    /// When the last of them is over, so that the usual none costs one load. Written under the
    /// lock; 0 when there are none.
    last_until: AtomicU32,
    ends: PlainMutex<Ends>,
}

/// When each fence is over.
#[derive(Default)]
struct Ends {
    tags: Subjects,
    /// Apart, so that no number of tags takes their room.
    partitions: Subjects,
    /// Of everything.
    all: u32,
    /// When those that are over were last removed.
    pruned_at: u32,
}

/// The end of each subject, by its hash.
type Subjects = HashMap<u64, u32, BuildHasherDefault<Prehashed>>;

/// So many tags are told apart, and so many partitions: what a map of 2^20 places takes, which is
/// 17 MiB for as long as any fence stands. Two bodies of the default size can name as many vehicles.
const MAX_SUBJECTS: usize = 7 << 17;

/// Subjects that are added under one lock, for which a look-up may have to wait.
const PIECE: usize = 1024;

impl StoreFence {
    /// None, on a clock that starts now.
    pub(super) fn new(hashing: RandomState, started_at: Instant) -> Self {
        let (last_until, ends) = (AtomicU32::new(0), PlainMutex::default());
        Self { hashing, started_at, last_until, ends }
    }

    /// Fences off everything that `scope` covers from `now` until `until`.
    pub(super) fn add<T: Hash>(&self, scope: &Scope<T>, now: Instant, until: Instant) {
        let now = self.second(now);
        let since = until.saturating_duration_since(self.started_at);
        let until = seconds(since.as_secs() + u64::from(since.subsec_nanos() > 0));
        if let Some(partition) = scope.partition {
            let hash = self.hashing.hash_one(partition);
            self.change(until, |ends| ends.fence_partition(hash, until));
        }
        self.change(until, |ends| ends.prune(now));
        for tags in scope.tags.chunks(PIECE) {
            self.change(until, |ends| {
                for tag in tags {
                    ends.fence_tag(self.hashing.hash_one(tag), until);
                }
            });
        }
    }

    /// Whether nothing may be stored now under a key of these `tags`.
    pub(super) fn covers<T: Hash>(
        &self,
        partition: Partition,
        tags: impl FnOnce() -> [T; TAGS],
        now: Instant,
    ) -> bool {
        let now = self.second(now);
        match self.last_until.load(Ordering::Acquire) {
            0 => false,
            last_until if last_until <= now => {
                self.clear(now);
                false
            }
            _ => {
                let tags = tags().map(|tag| self.hashing.hash_one(tag));
                let partition = self.hashing.hash_one(partition);
                self.ends.lock().cover(tags, partition, now)
            }
        }
    }

    /// Whether one stands.
    pub(super) fn stands(&self, now: Instant) -> bool {
        self.last_until.load(Ordering::Acquire) > self.second(now)
    }

    /// Ends them all.
    pub(super) fn lift(&self) {
        self.clear(u32::MAX);
    }

    fn change(&self, until: u32, change: impl FnOnce(&mut Ends)) {
        let mut ends = self.ends.lock();
        self.last_until.fetch_max(until, Ordering::AcqRel);
        change(&mut ends);
    }

    /// Gives back the memory if all of them are over.
    fn clear(&self, now: u32) {
        let mut ends = self.ends.lock();
        if self.last_until.load(Ordering::Acquire) > now {
            return;
        }
        self.last_until.store(0, Ordering::Release);
        let over = mem::take(&mut *ends);
        drop(ends);
        drop(over);
    }

    fn second(&self, now: Instant) -> u32 {
        seconds(now.saturating_duration_since(self.started_at).as_secs())
    }
}

fn seconds(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

impl Ends {
    fn fence_tag(&mut self, tag: u64, until: u32) {
        if !fence(&mut self.tags, tag, until) {
            self.all = self.all.max(until);
        }
    }

    fn fence_partition(&mut self, partition: u64, until: u32) {
        if !fence(&mut self.partitions, partition, until) {
            self.all = self.all.max(until);
        }
    }

    fn cover(&self, tags: [u64; TAGS], partition: u64, now: u32) -> bool {
        let is_ahead = |until: Option<&u32>| until.is_some_and(|&until| until > now);
        self.all > now
            || tags.iter().any(|tag| is_ahead(self.tags.get(tag)))
            || is_ahead(self.partitions.get(&partition))
    }

    /// Removes what is over, once a second: ends are whole seconds, so more often would be in
    /// vain. Without it, an outage that lasts would fill the room with what is long over.
    fn prune(&mut self, now: u32) {
        if mem::replace(&mut self.pruned_at, now) < now {
            self.tags.retain(|_, until| *until > now);
            self.partitions.retain(|_, until| *until > now);
        }
    }
}

/// Fences off `subject` until `until` or later. Gives whether there was room.
fn fence(subjects: &mut Subjects, subject: u64, until: u32) -> bool {
    if subjects.len() >= MAX_SUBJECTS && !subjects.contains_key(&subject) {
        return false;
    }
    let end = subjects.entry(subject).or_default();
    *end = until.max(*end);
    true
}

#[cfg(test)]
mod tests;
