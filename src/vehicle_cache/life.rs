//! What is known of one vehicle, for people who wonder why it is served as it is.

use std::time::{Duration, SystemTime};

use super::{Class, FailedCall, Failure, LastDrop, Lifetimes, Results, Source, VehicleCache};
use crate::{
    cache::{Moment, Partition},
    vehicle::Vehicle,
};

/// What is known of one vehicle in one partition. Nothing of its results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// The entry, if one is held.
    pub held: Option<Held>,
    /// The last drop, as long as it is remembered.
    pub dropped: Option<LastDrop>,
    /// Until when nothing is stored, because nobody knows what a write did.
    pub held_off_until: Option<SystemTime>,
    /// The last call that failed, as long as it is remembered.
    pub failed: Option<FailedCall>,
    /// When results came last, held or not, as long as that is remembered.
    pub fetched_at: Option<SystemTime>,
    /// Whether other replicas may have what is not held here.
    pub is_shared: bool,
    /// Nothing older is served without a call, because it is not known what other replicas write.
    pub doubt: Option<Duration>,
}

/// An entry in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of several classes, one that is not finished.
    pub class: Class,
    /// Where it came from.
    pub source: Source,
    /// When Sync's response came.
    pub stored_at: SystemTime,
    /// How long such results are served without a call, as it is configured now.
    pub ttl: Duration,
    /// Until when it is served without a call: longer or shorter by its jitter.
    pub fresh_until: SystemTime,
    /// Until when it is served while it is refreshed.
    pub stale_until: SystemTime,
    /// Until when it is served if Sync fails.
    pub stale_if_error_until: SystemTime,
}

impl<F: Failure> VehicleCache<F> {
    /// What is known of `vehicle` in `partition`.
    pub fn life_of(&self, partition: Partition, vehicle: Vehicle, now: Moment) -> Life {
        let lifetimes = self.contents().lifetimes.load();
        let (is_shared, doubt) = (self.contents().replicas.is_some(), self.doubt(now.instant));
        let held = self.get(partition, vehicle);
        let held = held.map(|entry| Held::of(&entry, &lifetimes, doubt));
        // What is past every window is only not thrown away yet.
        let held = held.filter(|held| held.stale_if_error_until.max(held.stale_until) > now.wall);
        let drops = &self.contents().drops;
        let dropped = drops.last(partition, &vehicle);
        let held_off_until = drops.held_off_until(partition, &vehicle);
        let held_off_until = held_off_until.filter(|until| *until > now.wall);
        let failed = self.contents().failed_calls.last(partition, &vehicle);
        // Whoever called, only a 200 fills an entry.
        let fetched_at = self.contents().fetched.last(partition, &vehicle);
        let fetched_at = fetched_at.max(held.map(|held| held.stored_at));
        Life { held, dropped, held_off_until, failed, fetched_at, is_shared, doubt }
    }

    /// A call for `vehicles` has failed; `outcome` says how, in a word of a closed set.
    pub fn note_failed_call(
        &self,
        partition: Partition,
        vehicles: impl Iterator<Item = Vehicle>,
        outcome: &'static str,
    ) {
        let call = FailedCall { outcome, at: SystemTime::now() };
        self.contents().failed_calls.note(partition, vehicles, call);
    }
}

impl Life {
    /// The last call that failed, unless a later one did not.
    pub fn last_failure(&self) -> Option<FailedCall> {
        let is_last = |failed: &FailedCall| self.fetched_at.is_none_or(|at| failed.at > at);
        self.failed.filter(is_last)
    }
}

impl Held {
    fn of(
        results: &Results,
        Lifetimes { ttl, stale }: &Lifetimes,
        doubt: Option<Duration>,
    ) -> Self {
        let (filled_at, class) = (results.filled_at(), results.classes().leading());
        let after = |time: SystemTime, span: Duration| time.checked_add(span).unwrap_or(time);
        let fresh_until = after(filled_at.wall, results.fresh_for());
        let is_refreshed = results.classes().are_only(Class::Finished);
        let while_revalidate = if is_refreshed { stale.while_revalidate } else { Duration::ZERO };
        let trusted = |until: SystemTime| {
            doubt.map_or(until, |max_age| until.min(after(filled_at.wall, max_age)))
        };
        Self {
            class,
            source: results.source(),
            stored_at: filled_at.wall,
            ttl: ttl.base(results.classes()),
            fresh_until: trusted(fresh_until),
            stale_until: trusted(after(fresh_until, while_revalidate)),
            stale_if_error_until: after(fresh_until, stale.if_error),
        }
    }
}
