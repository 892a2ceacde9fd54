//! What follows from what is read of the log. Pure: it is told the time, and tells what to do.
//!
//! A read begins with the entry that was applied last. If another stands there, or none, the log
//! is not what it was: it was emptied, or its server has lost the end of it. Then nothing of what
//! is held can be believed, as after a change of the [`Era`], and the log is read from its
//! beginning.

use std::{collections::BTreeMap, marker::PhantomData, mem, time::Duration};

use tokio::time::Instant;

use super::{
    log_entry::{LogEntry, Pause, WriteId},
    position::{Era, Position, Stamp},
    rules::{Rules, Strict},
};
use crate::vehicle_cache::{Change, InvalidationScope};

/// Follows the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Follower<R = Strict> {
    times: Times,
    era: Option<Era>,
    /// The last entry that was applied; `None`: the log is yet to be read.
    applied: Option<Position>,
    /// Whether what is held is of before this log.
    pub(super) is_anew: bool,
    /// When the log was asked for that was read to its end last.
    pub(super) heard_at: Option<Instant>,
    /// Writes under way, and when they are no more, whatever the log says.
    pub(super) holds: BTreeMap<WriteId, Instant>,
    rules: PhantomData<R>,
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Times {
    /// How long what was read is trusted to be all that there is.
    pub(super) lease: Duration,
    /// The longest that a write may take.
    pub(super) write: Duration,
}

/// What one read of the log has brought.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// When it was asked for.
    pub(super) sent_at: Instant,
    /// From the last applied one on, which need not be read again. Without an entry: one that cannot
    /// be read.
    pub(super) entries: Vec<(Position, Option<LogEntry>)>,
    /// Whether there was nothing more, and others know that it was asked for.
    pub(super) is_all: bool,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Trust nothing of what is held.
    Doubt,
    /// Let go of every hold: the log is read from its beginning, in this era. What is held stays
    /// in doubt until that is read.
    BeginAnew(Era),
    /// Drop this, and hold it.
    Hold(WriteId, InvalidationScope),
    /// Let go of what was held for this write.
    LetGo(WriteId),
    /// Drop this, and fence it off for as long.
    Drop(InvalidationScope, Option<Duration>),
    /// Drop everything that is held.
    DropAll,
    /// The same, because others may have written anything: it cannot be read.
    Forget,
    /// The log is empty: put an entry into it.
    Begin,
    /// Call nobody for an account.
    Pause(Pause),
    /// What is held may be trusted until then.
    Trust(Instant),
}

impl<R: Rules> Follower<R> {
    pub(super) fn new(times: Times) -> Self {
        let (era, applied, heard_at) = (None, None, None);
        let (is_anew, holds) = (false, BTreeMap::new());
        Self { times, era, applied, is_anew, heard_at, holds, rules: PhantomData }
    }

    /// Where the next read has to begin; `None`: at the beginning of the log.
    pub(super) fn next(&self) -> Option<Position> {
        self.applied
    }

    /// Up to where the log is applied, as others are told with each read.
    pub(super) fn applied(&self) -> Option<Stamp> {
        Some(Stamp { era: self.era?, position: self.applied.unwrap_or_default() })
    }

    /// The log is that of a server in this era.
    pub(super) fn connected(&mut self, era: Era) -> Vec<Effect> {
        if self.era == Some(era) {
            return Vec::new();
        }
        self.begin_anew(era)
    }

    /// Applies what was read at `now`.
    pub(super) fn read(&mut self, read: Read, now: Instant) -> Vec<Effect> {
        let Read { sent_at, entries, is_all } = read;
        let mut entries = entries.into_iter().peekable();
        let mut effects = Vec::new();
        if let Some(applied) = self.applied {
            let found = entries.next().is_some_and(|(first, _)| first == applied);
            if let Some(era) = self.era.filter(|_| !found) {
                return self.begin_anew(era);
            }
        } else if entries.peek().is_none() {
            return vec![Effect::Begin];
        }
        let is_skipped = self.applied.is_none() && !R::READS_FROM_THE_BEGINNING;
        for (position, entry) in entries {
            if !is_skipped {
                self.apply(entry, now, &mut effects);
            }
            self.applied = Some(position);
        }
        if is_all {
            self.heard_at = Some(sent_at);
            // Only now, when others can be asked for it and believed.
            effects.extend(mem::take(&mut self.is_anew).then_some(Effect::Forget));
            effects.push(Effect::Trust(sent_at + self.times.lease));
        }
        effects
    }

    /// Lets go of writes that have been under way for too long: whoever made them is gone.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Effect> {
        let over = self.holds.extract_if(.., |_, until| *until <= now);
        over.map(|(write, _)| Effect::LetGo(write)).collect()
    }

    fn begin_anew(&mut self, era: Era) -> Vec<Effect> {
        self.era = Some(era);
        self.applied = None;
        self.heard_at = None;
        if !R::FORGETS {
            return vec![Effect::Doubt];
        }
        self.is_anew = true;
        self.holds.clear();
        vec![Effect::Doubt, Effect::BeginAnew(era)]
    }

    fn apply(&mut self, entry: Option<LogEntry>, now: Instant, effects: &mut Vec<Effect>) {
        match entry {
            Some(LogEntry::Beginning) => {}
            Some(LogEntry::Intent(write, scope)) => {
                self.holds.insert(write, now + self.times.write);
                effects.push(Effect::Hold(write, scope));
            }
            Some(LogEntry::Done(write, change)) => {
                effects.push(match change {
                    Change::Of(scope) => Effect::Drop(scope, None),
                    Change::Everything => Effect::DropAll,
                });
                let over = write.filter(|write| self.holds.remove(write).is_some());
                effects.extend(over.map(Effect::LetGo));
            }
            Some(LogEntry::Unknown(scope, fence_for)) => {
                effects.push(Effect::Drop(scope, Some(fence_for)));
            }
            Some(LogEntry::Pause(pause)) => {
                // It counts from when it was written, which may be long ago otherwise.
                let is_new = |heard_at| now < heard_at + self.times.lease;
                effects.extend(
                    self.heard_at
                        .is_some_and(is_new)
                        .then_some(Effect::Pause(pause)),
                );
            }
            // Whoever wrote it meant something.
            None => effects.push(Effect::Forget),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vehicle::Vin;

    const SECOND: Duration = Duration::from_secs(1);
    const TIMES: Times = Times { lease: SECOND, write: Duration::from_secs(80) };
    const WRITE: WriteId = WriteId { replica: 1, number: 1 };

    fn at(sequence: u64) -> Position {
        Position { milliseconds: 1, sequence }
    }

    fn era(name: &str) -> Era {
        Era::of(name.as_bytes())
    }

    fn scope() -> InvalidationScope {
        let vins = vec![Vin::parse("3VWFE21C04M000001").unwrap()];
        InvalidationScope { vins, ..InvalidationScope::default() }
    }

    fn done() -> LogEntry {
        LogEntry::Done(Some(WRITE), Change::Of(scope()))
    }

    /// A follower that has read the first entry of the log, and the time.
    fn following() -> (Follower, Instant) {
        let (mut follower, now) = (Follower::new(TIMES), Instant::now());
        assert_eq!(follower.connected(era("a")), [Effect::Doubt, Effect::BeginAnew(era("a"))]);
        let effects = read(&mut follower, &[(at(1), LogEntry::Beginning)], now);
        assert_eq!(effects, [Effect::Forget, Effect::Trust(now + SECOND)]);
        (follower, now)
    }

    fn read(
        follower: &mut Follower,
        entries: &[(Position, LogEntry)],
        now: Instant,
    ) -> Vec<Effect> {
        let entries = entries.iter().cloned();
        let entries = entries
            .map(|(position, entry)| (position, Some(entry)))
            .collect();
        follower.read(Read { sent_at: now, entries, is_all: true }, now)
    }

    #[test]
    fn holds_what_a_write_names_until_it_is_done() {
        let (mut follower, now) = following();
        let intent = LogEntry::Intent(WRITE, scope());
        let log = [(at(1), LogEntry::Beginning), (at(2), intent), (at(3), done())];
        let trust = Effect::Trust(now + SECOND);
        let effects = read(&mut follower, &log[..2], now);
        assert_eq!(effects, [Effect::Hold(WRITE, scope()), trust.clone()]);
        let effects = read(&mut follower, &log[1..], now);
        assert_eq!(effects, [Effect::Drop(scope(), None), Effect::LetGo(WRITE), trust.clone()]);
        assert_eq!(read(&mut follower, &log[2..], now), [trust], "each is applied once");
    }

    #[test]
    fn a_write_whose_end_nobody_says_is_over_after_a_while() {
        let (mut follower, now) = following();
        let log = [(at(1), LogEntry::Beginning), (at(2), LogEntry::Intent(WRITE, scope()))];
        read(&mut follower, &log, now);
        assert!(follower.expire(now + 79 * SECOND).is_empty());
        assert_eq!(follower.expire(now + 80 * SECOND), [Effect::LetGo(WRITE)]);
        // Its end may come all the same.
        let log = [log[1].clone(), (at(3), done())];
        let effects = read(&mut follower, &log, now);
        assert_eq!(effects, [Effect::Drop(scope(), None), Effect::Trust(now + SECOND)]);
    }

    #[test]
    fn a_pause_counts_for_who_reads_of_it_at_once() {
        let (mut follower, now) = following();
        let pause = Pause { replica: 1, account: None, rest: SECOND };
        let log = |from| [from, from + 1].map(|nth| (at(nth), LogEntry::Pause(pause)));
        let effects = read(&mut follower, &log(1), now + SECOND / 2);
        assert_eq!(effects, [Effect::Pause(pause), Effect::Trust(now + SECOND / 2 + SECOND)]);
        let later = now + 2 * SECOND;
        assert_eq!(read(&mut follower, &log(2), later), [Effect::Trust(later + SECOND)]);
        let mut new = Follower::<Strict>::new(TIMES);
        new.connected(era("a"));
        let trust = Effect::Trust(now + SECOND);
        assert_eq!(read(&mut new, &log(1), now), [Effect::Forget, trust]);
    }

    #[test]
    fn begins_anew_with_another_server_or_another_log() {
        let anew = |name| [Effect::Doubt, Effect::BeginAnew(era(name))];
        let (mut follower, now) = following();
        assert!(follower.connected(era("a")).is_empty(), "the same");
        assert_eq!(follower.connected(era("b")), anew("b"));
        assert_eq!(follower.next(), None);

        let lost: [&[_]; 2] = [&[], &[(at(2), LogEntry::Beginning)]];
        for log in lost {
            let (mut follower, _) = following();
            assert_eq!(read(&mut follower, log, now), anew("a"), "{log:?}");
            assert_eq!(follower.next(), None);
        }
    }

    #[test]
    fn trusts_a_log_once_it_has_an_entry_and_all_of_it_is_read() {
        let (mut follower, now) = (Follower::<Strict>::new(TIMES), Instant::now());
        follower.connected(era("a"));
        assert_eq!(read(&mut follower, &[], now), [Effect::Begin]);
        let part = |entries| Read { sent_at: now, entries, is_all: false };
        let effects = follower.read(part(vec![(at(1), Some(LogEntry::Beginning))]), now);
        assert!(effects.is_empty());
        let effects = follower.read(part(vec![(at(1), None), (at(2), None)]), now);
        assert_eq!(effects, [Effect::Forget], "what cannot be read may mean anything");
        assert_eq!(follower.next(), Some(at(2)));
        let effects = read(&mut follower, &[(at(2), LogEntry::Beginning)], now);
        assert_eq!(effects, [Effect::Forget, Effect::Trust(now + SECOND)], "what was before");
    }
}
