//! What was dropped of late, and why: for whoever asks about one vehicle.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Cause, InvalidationScope, PurgeFilter, Reason, recent::Recent};
use crate::{cache::Partition, vehicle::Vehicle};

/// A replica reads its own writes in the log of all, with those of the others. While it hears that
/// log at all, it reads an entry well within this time.
const ECHO: Duration = Duration::from_secs(1);

/// The latest drops.
#[derive(Debug, Default)]
pub struct DropLog(Recent<Dropped>);

/// Entries that were dropped.
#[derive(Clone, Debug)]
struct Dropped {
    entries: PurgeFilter,
    last: LastDrop,
    /// Until when nothing is stored, because nobody knows what a write did.
    held_off_until: Option<SystemTime>,
}

/// When a vehicle was last dropped, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastDrop {
    /// What dropped it.
    pub cause: Cause,
    /// The ID of the request that did. A copy: a header keeps the whole head that it came with.
    pub request: Option<Arc<str>>,
    /// When.
    pub at: SystemTime,
}

impl LastDrop {
    fn new(Reason { cause, request }: &Reason, at: SystemTime) -> Self {
        let request = request.as_ref().map(|id| id.as_str().into());
        Self { cause: *cause, request, at }
    }
}

impl Dropped {
    fn covers(&self, partition: Partition, vehicle: &Vehicle) -> bool {
        let PurgeFilter { partition: of, vin, plate } = self.entries;
        of.is_none_or(|it| it == partition)
            && vin.is_none_or(|it| it == vehicle.vin)
            && plate.is_none_or(|it| it == vehicle.plate)
    }

    /// Whether this replica may only have heard of `own`, which it had told the others.
    fn may_echo(&self, own: &Self) -> bool {
        let after = self.last.at.duration_since(own.last.at);
        let is_soon = after.is_ok_and(|after| after < ECHO);
        let says_no_more = self.held_off_until.is_none() || own.held_off_until.is_some();
        let is_own = !matches!(own.last.cause, Cause::Replica | Cause::Lost);
        is_own && is_soon && says_no_more
    }
}

impl DropLog {
    /// Notes what a write drops.
    pub(super) fn note(
        &self,
        scope: &InvalidationScope,
        reason: &Reason,
        fence_for: Option<Duration>,
        at: SystemTime,
    ) {
        let held_off_until = fence_for.and_then(|fence| at.checked_add(fence));
        let last = LastDrop::new(reason, at);
        let vins = scope.vins.iter();
        let vins = vins.map(|&vin| PurgeFilter { vin: Some(vin), ..PurgeFilter::default() });
        let plates = scope.plates.iter();
        let plates =
            plates.map(|&plate| PurgeFilter { plate: Some(plate), ..PurgeFilter::default() });
        let partition = scope
            .partition
            .map(|partition| PurgeFilter { partition: Some(partition), ..PurgeFilter::default() });
        self.0
            .extend(vins.chain(plates).chain(partition).map(|entries| Dropped {
                entries,
                last: last.clone(),
                held_off_until,
            }));
    }

    /// Notes what is dropped for another reason than a write.
    pub(super) fn note_purge(&self, entries: PurgeFilter, reason: &Reason, at: SystemTime) {
        let last = LastDrop::new(reason, at);
        self.0
            .extend([Dropped { entries, last, held_off_until: None }].into_iter());
    }

    /// The last drop of the vehicle in this partition, if it is not forgotten. What may be the echo
    /// of a drop by a request of this replica says less than that.
    pub(super) fn last(&self, partition: Partition, vehicle: &Vehicle) -> Option<LastDrop> {
        let find = |counts: &dyn Fn(&Dropped) -> bool| {
            let is_it = |drop: &Dropped| drop.covers(partition, vehicle) && counts(drop);
            self.0.last(|drop| is_it(drop).then(|| drop.clone()))
        };
        let drop = find(&|_| true)?;
        let own = match drop.last.cause {
            Cause::Replica => find(&|own| drop.may_echo(own)),
            _ => None,
        };
        Some(own.unwrap_or(drop).last)
    }

    /// Until when nothing of the vehicle is stored, because nobody knows what some write did. Later
    /// drops do not change that.
    pub(super) fn held_off_until(
        &self,
        partition: Partition,
        vehicle: &Vehicle,
    ) -> Option<SystemTime> {
        self.0.greatest(|drop| {
            drop.held_off_until
                .filter(|_| drop.covers(partition, vehicle))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        vehicle::{Plate, Vin},
        vehicle_cache::recent::MOST,
    };

    fn own() -> Partition {
        Partition::new(&[0; 32])
    }

    fn vehicle(plate: &str) -> Vehicle {
        let vin = Vin::parse("3VWFE21C04M000001").unwrap();
        Vehicle { vin, plate: Plate::parse(plate).unwrap() }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_last_drop_that_covers_a_vehicle_counts() {
        let log = DropLog::default();
        let (one, other) = (vehicle("A1"), vehicle("B2"));
        let last = |vehicle| log.last(own(), vehicle).map(|last| (last.cause, last.at));
        assert_eq!(last(&one), None);
        let by_vin = InvalidationScope { vins: vec![one.vin], ..InvalidationScope::default() };
        log.note(&by_vin, &Cause::VehicleStatus.into(), Some(Duration::from_secs(20)), at(1));
        let by_plate =
            InvalidationScope { plates: vec![other.plate], ..InvalidationScope::default() };
        log.note(&by_plate, &Cause::VehicleUpsert.into(), None, at(2));
        log.note(&Partition::new(&[1; 32]).into(), &Cause::Unauthorized.into(), None, at(3));
        assert_eq!(last(&one), Some((Cause::VehicleStatus, at(1))));
        assert_eq!(last(&other), Some((Cause::VehicleUpsert, at(2))));
        let held_off = |vehicle| log.held_off_until(own(), vehicle);
        assert_eq!(held_off(&one), Some(at(21)));
        log.note_purge(
            PurgeFilter { vin: Some(one.vin), plate: Some(one.plate), partition: None },
            &Cause::Purge.into(),
            at(4),
        );
        assert_eq!(last(&one), Some((Cause::Purge, at(4))));
        assert_eq!(last(&other), Some((Cause::VehicleUpsert, at(2))));
        assert_eq!(held_off(&one), Some(at(21)), "a purge stores nothing");
        log.note(&own().into(), &Cause::TaxIdentity.into(), Some(Duration::from_secs(5)), at(5));
        assert_eq!(held_off(&one), Some(at(21)), "as long as the longest");
        let stranger = Partition::new(&[1; 32]);
        let unrelated = Vehicle { vin: Vin::parse("1N4MUZFY2GA189462").unwrap(), ..other };
        assert_eq!(log.held_off_until(stranger, &unrelated), None);
    }

    #[test]
    fn an_echo_does_not_hide_what_was_dropped_here() {
        let log = DropLog::default();
        let one = vehicle("A1");
        let scope = InvalidationScope { vins: vec![one.vin], ..InvalidationScope::default() };
        let heard = |fence, at| log.note(&scope, &Cause::Replica.into(), fence, at);
        let last = || log.last(own(), &one).map(|last| (last.cause, last.at));
        heard(None, at(1));
        log.note(&scope, &Cause::VehicleStatus.into(), None, at(2));
        heard(None, at(2) + ECHO / 2);
        assert_eq!(last(), Some((Cause::VehicleStatus, at(2))));
        heard(Some(ECHO), at(2) + ECHO / 2);
        assert_eq!(last(), Some((Cause::Replica, at(2) + ECHO / 2)), "that is another's");
        heard(None, at(2) + ECHO);
        assert_eq!(last(), Some((Cause::Replica, at(2) + ECHO)));
        log.note_purge(PurgeFilter::default(), &Cause::Lost.into(), at(5));
        heard(None, at(5) + ECHO / 2);
        assert_eq!(last(), Some((Cause::Replica, at(5) + ECHO / 2)), "nobody here has told it");
    }

    #[test]
    fn forgets_the_oldest() {
        let log = DropLog::default();
        let one = vehicle("A1");
        log.note_purge(PurgeFilter::default(), &Cause::Purge.into(), at(1));
        let other = PurgeFilter { plate: Some(vehicle("B2").plate), ..PurgeFilter::default() };
        for second in 0..MOST as u64 {
            log.note_purge(other, &Cause::Purge.into(), at(second));
        }
        assert_eq!(log.last(own(), &one), None);
        assert_eq!(log.0.len(), MOST);
    }
}
