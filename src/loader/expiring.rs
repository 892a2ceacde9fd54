//! What of one account expires when. Pure: entries are numbers here.

use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
};

/// Entries of one account, by the period in which they expire.
#[derive(Debug, Default)]
pub(super) struct Expiring {
    /// Hashes of entries. Some have been fetched again since, and stand in another period, too.
    by_period: BTreeMap<u64, Vec<u64>>,
    len: usize,
    /// Entries that were fetched before their time, and have not ended.
    riders: HashSet<u64>,
}

/// What is held under the hash of an entry now.
pub(super) enum Held<T> {
    /// Nothing, or what expires in another period.
    Other,
    /// The entry: not yet what is looked for.
    NotYet,
    /// The entry: take it.
    Wanted(T),
}

/// Entries that are looked at for one call at most.
const MOST: usize = 2048;

impl Expiring {
    /// An entry expires in that period. Notes also whether it was fetched before its time.
    pub(super) fn note(&mut self, hash: u64, period: u64, rides: bool) {
        self.by_period.entry(period).or_default().push(hash);
        self.len += 1;
        if rides {
            self.riders.insert(hash);
        }
    }

    /// An entry is replaced or gone. Gives whether it was fetched before its time.
    pub(super) fn end(&mut self, hash: u64) -> bool {
        self.riders.remove(&hash)
    }

    /// Forgets the periods before `period`. Gives the riders of them that have not ended.
    pub(super) fn pass(&mut self, period: u64) -> Vec<u64> {
        let later = self.by_period.split_off(&period);
        let passed = std::mem::replace(&mut self.by_period, later);
        let passed = passed.into_values().flatten();
        let riders = passed.inspect(|_| self.len -= 1);
        riders.filter(|hash| self.riders.remove(hash)).collect()
    }

    /// Takes up to `room` entries out that expire in these periods, the first to expire first.
    pub(super) fn take<T>(
        &mut self,
        periods: RangeInclusive<u64>,
        room: usize,
        held: impl Fn(u64, u64) -> Held<T>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        let mut left = MOST;
        for (&period, hashes) in self.by_period.range_mut(periods) {
            let mut not_yet = Vec::new();
            let mut looked_at = 0;
            for &hash in hashes.iter().take(left) {
                if taken.len() == room {
                    break;
                }
                looked_at += 1;
                match held(hash, period) {
                    Held::Wanted(entry) => taken.push(entry),
                    Held::NotYet => not_yet.push(hash),
                    Held::Other => {}
                }
            }
            left -= looked_at;
            self.len -= looked_at - not_yet.len();
            // Behind the others, so that all of them are looked at in turn.
            hashes.drain(..looked_at);
            hashes.append(&mut not_yet);
        }
        taken
    }

    /// How many riders have not ended.
    pub(super) fn riders(&self) -> usize {
        self.riders.len()
    }

    /// How many entries are noted.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes even ones, knows nothing of those above 100, and leaves the others.
    fn held(hash: u64, _: u64) -> Held<u64> {
        match hash {
            101.. => Held::Other,
            _ if hash.is_multiple_of(2) => Held::Wanted(hash),
            _ => Held::NotYet,
        }
    }

    #[test]
    fn gives_what_expires_first_and_forgets_what_is_gone() {
        let mut expiring = Expiring::default();
        for (hash, period) in [(8, 3), (1, 2), (2, 2), (101, 2), (4, 2), (6, 5), (10, 1)] {
            expiring.note(hash, period, false);
        }
        assert_eq!(expiring.take(2..=4, 2, held), [2, 4]);
        assert_eq!(expiring.len(), 4);
        assert_eq!(expiring.take(2..=4, 2, held), [8]);
        assert_eq!(expiring.take(2..=4, 2, held), [0; 0]);
        assert!(expiring.pass(6).is_empty());
        assert_eq!(expiring.len(), 0);
    }

    #[test]
    fn riders_end_once() {
        let mut expiring = Expiring::default();
        for hash in 0..4 {
            expiring.note(hash, hash, hash > 0);
        }
        assert!(!expiring.end(0) && expiring.end(1) && !expiring.end(1));
        assert_eq!(expiring.pass(3), [2]);
        assert_eq!((expiring.riders(), expiring.len()), (1, 1));
        assert!(!expiring.end(2));
    }

    #[test]
    fn looks_at_so_many_and_at_all_in_turn() {
        let mut expiring = Expiring::default();
        (0..2 * MOST as u64).for_each(|n| expiring.note(2 * n % 3 + 1, 7, false));
        let looked_at = std::cell::Cell::new(0);
        let count = |hash, period| {
            looked_at.set(looked_at.get() + 1);
            match held(hash, period) {
                Held::Wanted(_) => Held::NotYet,
                other => other,
            }
        };
        assert!(expiring.take(7..=7, 500, count).is_empty());
        assert_eq!(looked_at.get(), MOST);
        expiring.note(50, 7, false);
        for _ in 0..2 {
            assert_eq!(looked_at.replace(0), MOST);
            expiring.take(7..=7, 500, count);
        }
        assert_eq!(expiring.len(), 2 * MOST + 1);
    }
}
