//! Calls of late: for whoever asks about one vehicle.

use std::time::SystemTime;

use super::{Partition, recent::Recent};
use crate::vehicle::Vehicle;

/// The latest calls that failed.
#[derive(Debug, Default)]
pub struct FailedCalls(Recent<(Partition, Vehicle, FailedCall)>);

/// When the latest results came, be they stored or not. Apart from failures, which are rare, so that
/// those are not forgotten for them.
#[derive(Debug, Default)]
pub struct FetchedVehicles(Recent<(Partition, Vehicle, SystemTime)>);

/// A call for a vehicle that brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// How it ended, in a word of a closed set.
    pub outcome: &'static str,
    /// When.
    pub at: SystemTime,
}

impl FailedCalls {
    pub(super) fn note(
        &self,
        partition: Partition,
        vehicles: impl Iterator<Item = Vehicle>,
        call: FailedCall,
    ) {
        self.0
            .extend(vehicles.map(|vehicle| (partition, vehicle, call)));
    }

    /// The last one for the vehicle in this partition, if it is not forgotten.
    pub(super) fn last(&self, partition: Partition, vehicle: &Vehicle) -> Option<FailedCall> {
        self.0.last(|(in_partition, of, call)| {
            (*in_partition == partition && of == vehicle).then_some(*call)
        })
    }
}

impl FetchedVehicles {
    pub(super) fn note(
        &self,
        partition: Partition,
        vehicles: impl Iterator<Item = Vehicle>,
        at: SystemTime,
    ) {
        self.0
            .extend(vehicles.map(|vehicle| (partition, vehicle, at)));
    }

    /// When the last results of the vehicle in this partition came, if that is not forgotten.
    pub(super) fn last(&self, partition: Partition, vehicle: &Vehicle) -> Option<SystemTime> {
        self.0.last(|(in_partition, of, at)| {
            (*in_partition == partition && of == vehicle).then_some(*at)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        vehicle::{Plate, Vin},
        vehicle_cache::recent::MOST,
    };

    #[test]
    fn the_last_one_of_a_vehicle_counts_and_the_oldest_are_forgotten() {
        let (own, other) = (Partition::new(&[0; 32]), Partition::new(&[1; 32]));
        let vehicle = |plate| Vehicle {
            vin: Vin::parse("3VWFE21C04M000001").unwrap(),
            plate: Plate::parse(plate).unwrap(),
        };
        let call = |outcome, second| FailedCall {
            outcome,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        };
        let calls = FailedCalls::default();
        let (one, two) = (vehicle("A1"), vehicle("B2"));
        calls.note(own, [one, two].into_iter(), call("timeout", 1));
        calls.note(own, [one].into_iter(), call("5xx", 2));
        calls.note(other, [one].into_iter(), call("connect", 3));
        assert_eq!(calls.last(own, &one), Some(call("5xx", 2)));
        assert_eq!(calls.last(own, &two), Some(call("timeout", 1)));
        calls.note(own, (0..MOST).map(|_| two), call("4xx", 4));
        assert_eq!(calls.last(own, &one), None);
        assert_eq!(calls.0.len(), MOST);
    }
}
