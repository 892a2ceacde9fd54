//! What is known of writes, for values that were shared before some of them. Pure.
//!
//! A value carries a [`Stamp`]: up to where its replica had read the log when its call was sent.
//! It is good for whoever knows of no write to its vehicle behind that. So no value has to be taken
//! back when there is a write, and one that comes late is not believed.
//!
//! Each name is known by 64 bits of a hash that nobody outside knows: two that share them are
//! taken for one, which costs calls but is never wrong. Names that no write has told of lately are
//! forgotten, and with them all values of that time.

use std::{
    cmp,
    collections::HashMap,
    hash::{BuildHasher, Hash},
    marker::PhantomData,
    mem,
};

use foldhash::fast::RandomState;

use super::{
    log_entry::LogEntry,
    position::{Era, Position, Stamp},
    rules::{Rules, Strict},
};
use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Change, InvalidationScope, Partition},
};

/// The writes that a replica knows of.
#[derive(Clone, Debug)]
pub(super) struct KnownWrites<R = Strict> {
    hashing: RandomState,
    era: Option<Era>,
    /// Up to where the log is read, and what it said is done.
    reached: Option<Position>,
    /// Of everything.
    all: Mark,
    /// Of names that writes told of lately, and of those before them.
    recent: HashMap<u64, Mark>,
    earlier: HashMap<u64, Mark>,
    /// How many entries of this replica there are, and how many of them are in the log.
    told: u64,
    logged: u64,
    rules: PhantomData<R>,
}

/// The last write of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Mark {
    /// In the log.
    at: Position,
    /// Among the entries of this replica, some of which are not in the log yet.
    told: u64,
}

/// Names of the recent ones. With the earlier ones, some eight megabytes.
const MAX_RECENT: usize = 7 << 14;

impl<R: Rules> KnownWrites<R> {
    pub(super) fn new() -> Self {
        Self {
            hashing: RandomState::default(),
            era: None,
            reached: None,
            all: Mark::default(),
            recent: HashMap::new(),
            earlier: HashMap::new(),
            told: 0,
            logged: 0,
            rules: PhantomData,
        }
    }

    /// Nothing is known any more of the log, which is of this era.
    pub(super) fn forget(&mut self, era: Era) {
        self.era = Some(era);
        self.reached = None;
        // What this replica has not told yet is not forgotten.
        self.all = Mark { at: Position::default(), told: self.told };
        self.recent = HashMap::new();
        self.earlier = HashMap::new();
    }

    /// The log is read from here on. If nothing of it was read before, nobody knows what was
    /// before that.
    pub(super) fn begin(&mut self, first: Position) {
        if self.reached.is_none() {
            self.mark_all(Mark { at: first, told: 0 });
        }
    }

    /// This was read, before anything is done about it. Entries are noted in order.
    pub(super) fn note(&mut self, at: Position, entry: Option<&LogEntry>) {
        if self.reached.is_none_or(|reached| at > reached) {
            self.mark_entry(entry, Mark { at, told: 0 });
        }
    }

    /// All that was noted is done.
    pub(super) fn reach(&mut self, position: Option<Position>) {
        self.reached = position;
    }

    /// This replica has an entry for the log. Gives its number, the higher the later.
    pub(super) fn tell(&mut self, entry: &LogEntry) -> u64 {
        self.told += 1;
        self.mark_entry(Some(entry), Mark { at: Position::default(), told: self.told });
        self.told
    }

    /// The entry of this replica with that number is in the log, and so are all before it.
    pub(super) fn logged(&mut self, number: u64, entry: &LogEntry, at: Position) {
        self.mark_entry(Some(entry), Mark { at, told: 0 });
        self.logged = cmp::max(self.logged, number);
    }

    /// What a call carries that is sent now; `None`: too little is known.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        Some(Stamp { era: self.era?, position: self.reached? })
    }

    /// Whether a stamp is of the log that is read.
    pub(super) fn reads_log_of(&self, stamp: Stamp) -> bool {
        self.era == Some(stamp.era) && self.reached.is_some()
    }

    /// Whether no write is known that a value of this vehicle with such a stamp may be older than.
    pub(super) fn allow(&self, stamp: Stamp, partition: Partition, vehicle: &Vehicle) -> bool {
        let is_before = |mark: &Mark| mark.at <= stamp.position && mark.told <= self.logged;
        let is_named_before = |hash: u64| {
            let marks = [&self.recent, &self.earlier];
            marks
                .iter()
                .all(|marks| marks.get(&hash).is_none_or(is_before))
        };
        self.reads_log_of(stamp)
            && (!R::COMPARES
                || is_before(&self.all)
                    && is_named_before(self.hash_of(vehicle.vin))
                    && is_named_before(self.hash_of(vehicle.plate))
                    && is_named_before(self.hash_of(partition)))
    }

    fn mark_entry(&mut self, entry: Option<&LogEntry>, mark: Mark) {
        match entry {
            Some(LogEntry::Beginning | LogEntry::Pause(_)) => {}
            Some(
                LogEntry::Intent(_, scope)
                | LogEntry::Unknown(scope, _)
                | LogEntry::Done(_, Change::Of(scope)),
            ) => self.mark_scope(scope, mark),
            Some(LogEntry::Done(_, Change::Everything)) | None => self.mark_all(mark),
        }
    }

    fn mark_scope(&mut self, scope: &InvalidationScope, mark: Mark) {
        let InvalidationScope { vins, plates, partition } = scope;
        vins.iter().for_each(|vin| self.mark(vin, mark));
        plates.iter().for_each(|plate| self.mark(plate, mark));
        partition.iter().for_each(|it| self.mark(it, mark));
    }

    fn mark_all(&mut self, mark: Mark) {
        self.all = self.all.and(mark);
    }

    fn mark(&mut self, name: impl Hash, mark: Mark) {
        if self.recent.len() >= MAX_RECENT {
            let earlier = mem::replace(&mut self.earlier, mem::take(&mut self.recent));
            let forgotten = earlier.into_values().fold(Mark::default(), Mark::and);
            self.mark_all(forgotten);
        }
        let hash = self.hash_of(name);
        let known = self.recent.entry(hash).or_default();
        *known = known.and(mark);
    }

    fn hash_of(&self, name: impl Hash) -> u64 {
        self.hashing.hash_one(name)
    }
}

impl Mark {
    /// The later of two, in both respects.
    fn and(self, other: Self) -> Self {
        let (at, told) = (cmp::max(self.at, other.at), cmp::max(self.told, other.told));
        Self { at, told }
    }
}

/// For tests that tell states apart.
#[cfg(test)]
impl<R> KnownWrites<R> {
    fn state(&self) -> impl Hash + PartialEq {
        // In any order.
        let hashing = foldhash::quality::FixedState::default();
        let marks = self.recent.iter().chain(&self.earlier);
        let marks = marks.fold(0, |sum: u64, mark| sum.wrapping_add(hashing.hash_one(mark)));
        (self.era, self.reached, self.all, marks, self.told, self.logged)
    }
}

#[cfg(test)]
impl<R> PartialEq for KnownWrites<R> {
    fn eq(&self, other: &Self) -> bool {
        self.state() == other.state()
    }
}

#[cfg(test)]
impl<R> Eq for KnownWrites<R> {}

#[cfg(test)]
impl<R> Hash for KnownWrites<R> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.state().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        shared_tier::log_entry::WriteId,
        vehicle::{Plate, Vin},
    };

    const WRITE: WriteId = WriteId { replica: 1, number: 1 };

    fn at(sequence: u64) -> Position {
        Position { milliseconds: 1, sequence }
    }

    fn era(name: &str) -> Era {
        Era::of(name.as_bytes())
    }

    fn stamp(sequence: u64) -> Stamp {
        Stamp { era: era("a"), position: at(sequence) }
    }

    fn vehicle(nth: usize) -> Vehicle {
        let vin = Vin::parse(&format!("3VWFE21C0{nth:08}")).unwrap();
        Vehicle { vin, plate: Plate::parse(&format!("PLATE{nth}")).unwrap() }
    }

    fn partition(n: u8) -> Partition {
        Partition::new(&[n; 32])
    }

    fn of_vin(nth: usize) -> InvalidationScope {
        InvalidationScope { vins: vec![vehicle(nth).vin], ..InvalidationScope::default() }
    }

    fn done(scope: InvalidationScope) -> LogEntry {
        LogEntry::Done(None, Change::Of(scope))
    }

    /// What is known once a log with these entries is read to its end; the first has the number 1.
    fn known(entries: &[Option<LogEntry>]) -> KnownWrites {
        let mut known = KnownWrites::new();
        known.forget(era("a"));
        known.begin(at(1));
        let read = entries.iter().zip(1..);
        read.for_each(|(entry, nth)| known.note(at(nth), entry.as_ref()));
        known.reach(Some(at(entries.len() as u64)));
        known
    }

    #[test]
    fn a_value_is_good_until_a_write_of_its_vehicle() {
        let (one, other) = (vehicle(1), vehicle(2));
        let of_plate =
            InvalidationScope { plates: vec![one.plate], ..InvalidationScope::default() };
        for (what, entry, of_one, of_other) in [
            ("VIN", Some(done(of_vin(1))), false, true),
            ("plate", Some(done(of_plate)), false, true),
            ("partition", Some(done(partition(1).into())), false, false),
            ("another partition", Some(done(partition(2).into())), true, true),
            ("announced", Some(LogEntry::Intent(WRITE, of_vin(1))), false, true),
            ("perhaps", Some(LogEntry::Unknown(of_vin(1), Duration::ZERO)), false, true),
            ("all", Some(LogEntry::Done(None, Change::Everything)), false, false),
            ("nobody knows", None, false, false),
            ("nothing", Some(LogEntry::Beginning), true, true),
        ] {
            let known = known(&[Some(LogEntry::Beginning), entry]);
            let allowed = |stamp, vehicle| known.allow(stamp, partition(1), vehicle);
            assert_eq!(allowed(stamp(1), &one), of_one, "{what}");
            assert_eq!(allowed(stamp(1), &other), of_other, "{what}");
            assert!(allowed(stamp(2), &one) && allowed(stamp(2), &other), "{what}");
            assert_eq!(known.stamp(), Some(stamp(2)));
        }
    }

    #[test]
    fn nothing_is_known_of_another_era_or_before_the_beginning_of_the_log() {
        let mut known = known(&[None, Some(LogEntry::Beginning)]);
        let allowed = |known: &KnownWrites, stamp| known.allow(stamp, partition(1), &vehicle(1));
        assert!(!allowed(&known, stamp(0)) && allowed(&known, stamp(1)));
        assert!(!allowed(&known, Stamp { era: era("b"), ..stamp(2) }));
        known.forget(era("b"));
        let of_another = Stamp { era: era("b"), ..stamp(2) };
        assert!(!allowed(&known, stamp(2)) && !allowed(&known, of_another), "nothing is read");
        assert_eq!(known.stamp(), None, "too little is known to share anything");
    }

    #[test]
    fn a_write_of_its_own_counts_before_it_is_in_the_log() {
        let mut known = known(&[Some(LogEntry::Beginning)]);
        let allowed =
            |known: &KnownWrites, stamp, nth| known.allow(stamp, partition(1), &vehicle(nth));
        let entries = [done(of_vin(1)), done(of_vin(1)), done(of_vin(2))];
        let numbers: Vec<_> = entries.iter().map(|entry| known.tell(entry)).collect();
        assert!(!allowed(&known, stamp(9), 1) && allowed(&known, stamp(1), 3));
        known.logged(numbers[0], &entries[0], at(2));
        assert!(!allowed(&known, stamp(9), 1), "there is another one");
        known.forget(era("a"));
        known.reach(Some(at(1)));
        assert!(!allowed(&known, stamp(9), 3), "one of them, at least, is not there");
        known.logged(numbers[1], &entries[1], at(3));
        known.logged(numbers[2], &entries[2], at(4));
        assert!(!allowed(&known, stamp(2), 1) && allowed(&known, stamp(3), 1));
        assert!(!allowed(&known, stamp(3), 2) && allowed(&known, stamp(4), 2));
    }

    #[test]
    fn forgets_the_earliest_names_and_values_of_their_time() {
        let mut known = known(&[Some(LogEntry::Beginning)]);
        let count = 2 * MAX_RECENT + 1;
        for nth in 0..count {
            let entry = done(of_vin(nth));
            known.note(at(2 + nth as u64), Some(&entry));
        }
        assert!(known.recent.len() + known.earlier.len() <= 2 * MAX_RECENT);
        let allowed = |sequence| known.allow(stamp(sequence), partition(1), &vehicle(count));
        let forgotten = MAX_RECENT as u64 + 1;
        assert!(!allowed(forgotten - 1) && allowed(forgotten));
    }
}
