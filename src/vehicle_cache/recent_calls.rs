//! Calls of late: for whoever asks about one vehicle.

use std::time::SystemTime;

use super::{Partition, recent::Recent};
use crate::vehicle::Vehicle;

/// What the latest calls came to, be it that they failed or when they brought results. Each kind has
/// its own: failures are rare, and are not forgotten for the others.
#[derive(Debug)]
pub struct RecentCalls<T>(Recent<(Partition, Vehicle, T)>);

/// A call for a vehicle that brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// How it ended, in a word of a closed set.
    pub outcome: &'static str,
    /// When.
    pub at: SystemTime,
}

impl<T: Copy> RecentCalls<T> {
    pub(super) fn note(
        &self,
        partition: Partition,
        vehicles: impl Iterator<Item = Vehicle>,
        call: T,
    ) {
        self.0
            .extend(vehicles.map(|vehicle| (partition, vehicle, call)));
    }

    /// The last one for the vehicle in this partition, if it is not forgotten.
    pub(super) fn last(&self, partition: Partition, vehicle: &Vehicle) -> Option<T> {
        self.0.last(|(in_partition, of, call)| {
            (*in_partition == partition && of == vehicle).then_some(*call)
        })
    }
}

impl<T> Default for RecentCalls<T> {
    fn default() -> Self {
        Self(Recent::default())
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
        let calls = RecentCalls::default();
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
