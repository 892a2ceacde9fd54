//! Vehicles of which nothing is stored for a while.
//!
//! When nobody knows whether a write reached Sync, it may still take effect some time after it
//! was given up. What is read meanwhile may be older than the write, so it is answered but not
//! stored.
//!
//! What is held off is a place in a table of times, chosen by a hash that nobody outside knows.
//! Two that share a place are held off together, which costs calls but is never wrong. A write
//! that names ever so many vehicles then takes no memory, and stops no more than it must.

use std::{
    hash::BuildHasher,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::{Affected, Key, Partition};
use crate::vehicle::{Plate, Vin};

/// Times are whole seconds since the start, later ones for what is held off: it is held off for
/// up to a second longer than asked for.
pub(super) struct Holds {
    hashing: RandomState,
    started_at: Instant,
    /// When the last of them is over, so that the usual none costs one load.
    last_until: AtomicU32,
    /// Made with the first of them, which most gateways never see.
    until: OnceLock<Box<[AtomicU32]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Vin(Vin),
    Plate(Plate),
    Partition(Partition),
}

/// So many that a write which names a hundred VINs and plates holds off one other vehicle of two
/// hundred.
const PLACES: usize = 1 << 16;

// === impl Holds ===

impl Holds {
    /// None, on a clock that starts now.
    pub(super) fn new(hashing: RandomState, started_at: Instant) -> Self {
        Self { hashing, started_at, last_until: AtomicU32::new(0), until: OnceLock::new() }
    }

    /// Holds off everything that `affected` covers until `until`.
    pub(super) fn add(&self, affected: &Affected, until: Instant) {
        let since = until.saturating_duration_since(self.started_at);
        let second = seconds(since.as_secs() + u64::from(since.subsec_nanos() > 0));
        let places = self
            .until
            .get_or_init(|| (0..PLACES).map(|_| AtomicU32::new(0)).collect());
        let vins = affected.vins.iter().copied().map(Subject::Vin);
        let plates = affected.plates.iter().copied().map(Subject::Plate);
        let partition = affected.partition.map(Subject::Partition);
        for subject in vins.chain(plates).chain(partition) {
            places[self.place(subject)].fetch_max(second, Ordering::AcqRel);
        }
        // Last, so that whoever sees it sees all of them.
        self.last_until.fetch_max(second, Ordering::AcqRel);
    }

    /// Whether nothing may be stored under `key` now.
    pub(super) fn cover(&self, key: &Key, now: Instant) -> bool {
        let now = seconds(now.saturating_duration_since(self.started_at).as_secs());
        if self.last_until.load(Ordering::Acquire) <= now {
            return false;
        }
        let Some(places) = self.until.get() else {
            return false;
        };
        self.places_of(key)
            .into_iter()
            .any(|place| places[place].load(Ordering::Acquire) > now)
    }

    fn places_of(&self, key: &Key) -> [usize; 3] {
        [
            Subject::Vin(key.vehicle.vin),
            Subject::Plate(key.vehicle.plate),
            Subject::Partition(key.partition),
        ]
        .map(|subject| self.place(subject))
    }

    fn place(&self, subject: Subject) -> usize {
        self.hashing.hash_one(subject) as usize % PLACES
    }
}

#[cfg(test)]
impl Holds {
    /// Whether all VINs, plates and partitions of these keys have places of their own.
    pub(super) fn tell_apart(&self, keys: &[Key]) -> bool {
        use std::collections::{HashMap, HashSet};

        let mut at = HashMap::<usize, HashSet<String>>::new();
        for key in keys {
            let Key { partition, vehicle } = key;
            let subjects = [
                vehicle.vin.as_str().to_owned(),
                vehicle.plate.as_str().to_owned(),
                format!("{partition:?}"),
            ];
            for (place, subject) in self.places_of(key).into_iter().zip(subjects) {
                at.entry(place).or_default().insert(subject);
            }
        }
        at.values().all(|subjects| subjects.len() == 1)
    }
}

fn seconds(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{cache::tests::key, vehicle::Vehicle};

    const SECOND: Duration = Duration::from_secs(1);

    fn holds(now: Instant) -> Holds {
        Holds::new(RandomState::default(), now)
    }

    fn vins(numbers: std::ops::Range<u32>) -> Vec<Vin> {
        let vin = |n| Vin::parse(&format!("1VWFE21C04M{n:06}")).unwrap();
        numbers.map(vin).collect()
    }

    /// A key whose partition and plate no other has.
    fn key_of(nth: usize, vin: Vin) -> Key {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&nth.to_be_bytes());
        let plate = Plate::parse(&format!("P{nth}")).unwrap();
        Key { partition: Partition::new(&digest), vehicle: Vehicle { vin, plate } }
    }

    #[test]
    fn a_hold_begins_at_once_and_is_over_within_a_second_of_its_end() {
        let began_at = Instant::now();
        for (since, lasts) in [(0, 20_000), (300, 20_000), (999, 1), (0, 1)] {
            let [since, lasts] = [since, lasts].map(Duration::from_millis);
            let (holds, key) = (holds(began_at), key(0, 1, 1));
            let affected = Affected { vins: vec![key.vehicle.vin], ..Affected::default() };
            let until = began_at + since + lasts;
            holds.add(&affected, until);
            assert!(holds.cover(&key, began_at + since));
            assert!(holds.cover(&key, until - Duration::from_millis(1)));
            assert!(!holds.cover(&key, until + SECOND));
        }
    }

    #[test]
    fn a_later_write_never_shortens_a_hold() {
        let now = Instant::now();
        let (holds, key) = (holds(now), key(0, 1, 1));
        let affected = Affected { vins: vec![key.vehicle.vin], ..Affected::default() };
        holds.add(&affected, now + 20 * SECOND);
        holds.add(&affected, now + 5 * SECOND);
        assert!(holds.cover(&key, now + 19 * SECOND));
        assert!(!holds.cover(&key, now + 20 * SECOND));
    }

    #[test]
    fn a_write_holds_off_all_that_it_names_and_few_others() {
        let now = Instant::now();
        for (names, others_at_most) in [(1, 20), (100, 120), (10_000, 5000), (300_000, 10_000)] {
            let holds = holds(now);
            let held = Affected { vins: vins(0..names), ..Affected::default() };
            holds.add(&held, now + 20 * SECOND);
            let named = held.vins.iter().enumerate();
            let is_held_off = |nth, &vin| holds.cover(&key_of(nth, vin), now);
            assert!(named.into_iter().all(|(nth, vin)| is_held_off(nth, vin)));
            let others = vins(900_000..910_000);
            let others = others.iter().enumerate();
            let others = others.filter(|&(nth, vin)| is_held_off(nth, vin)).count();
            assert!(others <= others_at_most, "{names} named, {others} of 10,000 held off");
        }
    }
}
