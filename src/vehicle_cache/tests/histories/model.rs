//! The rules of the documentation, and nothing of how the cache keeps them.

use std::collections::HashMap;

use super::super::*;

/// What is held, who asks for what, and what is held off. Times are seconds since the start.
#[derive(Default)]
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) held: HashMap<(usize, Vehicle), Held>,
    /// Which call is joined for a vehicle, and whether what it brings may be stored.
    pub(super) asking: HashMap<(usize, Vehicle), (usize, bool)>,
    /// Affected by writes of unknown outcome, until when.
    held_off: Vec<(InvalidationScope, u64)>,
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) bytes: String,
    pub(super) class: Class,
    pub(super) filled_at: u64,
    /// Its partition was dropped since: it takes room, and is never served.
    pub(super) is_dropped: bool,
}

/// A place of a claim, as far as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Fresh(String),
    Stale(String),
    Joined(usize),
    Leading,
    NotCached,
}

/// Seconds for which nothing is stored after a write of unknown outcome.
pub(super) const HOLD_OFF: u64 = 20;

impl Model {
    /// What must come of asking for a vehicle, and whether a refresh goes up behind it.
    pub(super) fn expect(
        &self,
        partition: usize,
        vehicle: Vehicle,
        directives: &Directives,
        is_sent: impl Fn(usize) -> bool,
    ) -> (Expected, bool) {
        let key = (partition, vehicle);
        let otherwise =
            if directives.only_if_cached { Expected::NotCached } else { Expected::Leading };
        if directives.no_store {
            return (otherwise, false);
        }
        if let Some(held) = self.held.get(&key).filter(|held| !held.is_dropped)
            && !directives.no_cache
            && directives.max_age.is_none_or(|max| self.age(held) <= max)
        {
            let (age, life) = (self.age(held), held.life());
            if age < life {
                if directives.min_fresh.is_none_or(|min| life - age >= min) {
                    return (Expected::Fresh(held.bytes.clone()), false);
                }
            } else {
                let since = age - life;
                let refreshes = held.class == Class::Finished && since <= 300 * SECOND;
                let is_strict = directives.max_age.is_some() || directives.min_fresh.is_some();
                if directives
                    .max_stale
                    .map_or(refreshes && !is_strict, |max| since <= max)
                {
                    let goes_up = refreshes && !directives.only_if_cached;
                    let is_first = !self.asking.contains_key(&key);
                    return (Expected::Stale(held.bytes.clone()), goes_up && is_first);
                }
            }
        }
        match self.asking.get(&key) {
            Some(&(call, _))
                if !(directives.only_if_cached || directives.no_cache && is_sent(call)) =>
            {
                (Expected::Joined(call), false)
            }
            _ => (otherwise, false),
        }
    }

    pub(super) fn stale_if_error(
        &self,
        key: (usize, Vehicle),
        directives: &Directives,
    ) -> Option<String> {
        let is_strict = directives.no_cache
            || directives.no_store
            || directives.max_age.is_some()
            || directives.min_fresh.is_some();
        self.held
            .get(&key)
            .filter(|held| !held.is_dropped && !is_strict)
            .filter(|held| self.age(held) <= held.life() + 3600 * SECOND)
            .map(|held| held.bytes.clone())
    }

    pub(super) fn may_store(&self, partition_: usize, vehicle: Vehicle) -> bool {
        let covers = |scope: &InvalidationScope| {
            scope.vins.contains(&vehicle.vin)
                || scope.plates.contains(&vehicle.plate)
                || scope.partition == Some(partition(partition_ as u8))
        };
        let mut ahead = self.held_off.iter().filter(|(_, until)| *until > self.now);
        !ahead.any(|(scope, _)| covers(scope))
    }

    pub(super) fn write(&mut self, scope: &InvalidationScope, is_known: bool) {
        let names = |vehicle: &Vehicle| {
            scope.vins.contains(&vehicle.vin) || scope.plates.contains(&vehicle.plate)
        };
        let is_of = |n: usize| scope.partition == Some(partition(n as u8));
        self.held.retain(|(_, vehicle), _| !names(vehicle));
        for ((n, _), held) in &mut self.held {
            held.is_dropped |= is_of(*n);
        }
        self.asking
            .retain(|(n, vehicle), _| !names(vehicle) && !is_of(*n));
        if !is_known {
            self.held_off.push((scope.clone(), self.now + HOLD_OFF));
        }
    }

    pub(super) fn purge(&mut self, filter: &PurgeFilter) -> u64 {
        let keeps = |&(n, vehicle): &(usize, Vehicle)| {
            filter.vin.is_some_and(|vin| vin != vehicle.vin)
                || filter.plate.is_some_and(|plate| plate != vehicle.plate)
                || filter.partition.is_some_and(|it| it != partition(n as u8))
        };
        let before = self.held.len();
        self.held.retain(|key, _| keeps(key));
        self.asking.retain(|key, _| keeps(key));
        (before - self.held.len()) as u64
    }

    fn age(&self, held: &Held) -> Duration {
        Duration::from_secs(self.now - held.filled_at)
    }
}

impl Held {
    fn life(&self) -> Duration {
        match self.class {
            Class::Finished => 900 * SECOND,
            Class::Pending | Class::Failed => 10 * SECOND,
            Class::Absent => 30 * SECOND,
        }
    }
}
