//! The fleet: what Sync would know of any vehicle, from a hash of its VIN and plate.

use aws_lc_rs::digest::{Context, SHA256};

use crate::vehicle::{Plate, Vehicle, Vin};

/// How far Sync got with a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Never processed: no element.
    Absent,
    /// Never processed: an element with empty `info`.
    Empty,
    /// The last item has ended with errors: it is finished and without a status.
    Failed,
    /// Every item is finished and has a status.
    Finished,
    /// The last item is not finished and has status -1.
    Pending,
}

/// All vehicles there may be: every VIN with every plate is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub(super) seed: u64,
}

/// A vehicle's hash: what decides about it where the documentation leaves a choice.
pub(super) struct Dice([u8; 32]);

impl Default for Fleet {
    /// With this seed the vehicle that examples ask for is finished.
    fn default() -> Self {
        Self { seed: 7 }
    }
}

impl Fleet {
    /// The dice of a vehicle: the same for the same seed, everywhere and for ever.
    pub(super) fn dice(self, vehicle: &Vehicle) -> Dice {
        let mut digest = Context::new(&SHA256);
        digest.update(&self.seed.to_be_bytes());
        // A VIN has 17 characters, so that it needs no mark of its end.
        digest.update(vehicle.vin.as_bytes());
        digest.update(vehicle.plate.as_bytes());
        let mut dice = [0; 32];
        dice.copy_from_slice(digest.finish().as_ref());
        Dice(dice)
    }

    pub(super) fn class(self, vehicle: &Vehicle) -> Class {
        self.dice(vehicle).class()
    }

    /// Vehicles of `class`, always the same ones in the same order, without an end.
    pub(super) fn vehicles(self, class: Class) -> impl Iterator<Item = Vehicle> {
        numbered().filter(move |vehicle| self.class(vehicle) == class)
    }
}

/// Made-up vehicles, each different in VIN and plate, for as long as anybody will take them.
pub(super) fn numbered() -> impl Iterator<Item = Vehicle> {
    (1_u32..1_000_000_000).filter_map(|number| {
        let [a, b, c] =
            [676, 26, 1].map(|place| char::from(b'A' + (number / 10_000 / place % 26) as u8));
        let plate = Plate::parse(&format!("{a}{b}{c}{:04}", number % 10_000)).ok()?;
        let vin = Vin::parse(&format!("3VWFE21C{number:09}")).ok()?;
        Some(Vehicle { vin, plate })
    })
}

impl Dice {
    /// One of `0..sides`, the `nth` throw.
    pub(super) fn throw(&self, nth: usize, sides: u8) -> usize {
        usize::from(self.0[nth % self.0.len()] % sides)
    }

    /// Most are finished; every other class is seen among some dozens.
    pub(super) fn class(&self) -> Class {
        match self.0[0] {
            0..200 => Class::Finished,
            200..220 => Class::Pending,
            220..236 => Class::Failed,
            236..246 => Class::Empty,
            246..=255 => Class::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const FLEET: Fleet = Fleet { seed: 7 };

    fn vehicle(vin: &str, plate: &str) -> Vehicle {
        Vehicle { vin: Vin::parse(vin).unwrap(), plate: Plate::parse(plate).unwrap() }
    }

    #[test]
    fn stays_the_same_between_versions() {
        let dice = Fleet::default().dice(&vehicle("3VWFE21C04M000001", "MFF956M"));
        assert_eq!(dice.0[..4], [168, 67, 221, 195]);
        assert_eq!(dice.class(), Class::Finished, "examples ask for it twice and want a hit");
    }

    #[test]
    fn depends_on_seed_vin_and_plate() {
        let of = |seed, vin, plate| Fleet { seed }.dice(&vehicle(vin, plate)).0;
        let dice = of(0, "3VWFE21C04M000001", "MFF956M");
        assert_ne!(dice, of(1, "3VWFE21C04M000001", "MFF956M"));
        assert_ne!(dice, of(0, "3VWFE21C04M000002", "MFF956M"));
        assert_ne!(dice, of(0, "3VWFE21C04M000001", "MFF956N"));
    }

    #[test]
    fn has_vehicles_of_every_class() {
        use Class::{Absent, Empty, Failed, Finished, Pending};
        for class in [Absent, Empty, Failed, Finished, Pending] {
            let vehicles: HashSet<_> = FLEET.vehicles(class).take(10).collect();
            assert_eq!(vehicles.len(), 10);
            assert!(vehicles.iter().all(|vehicle| FLEET.class(vehicle) == class));
        }
        let finished = numbered()
            .take(1000)
            .filter(|v| FLEET.class(v) == Finished)
            .count();
        assert!((700..900).contains(&finished), "{finished} of 1000");
    }

    #[test]
    fn numbers_vehicles_that_differ_in_vin_and_plate() {
        let vehicles: Vec<_> = numbered().take(20_001).collect();
        let vins: HashSet<_> = vehicles.iter().map(|vehicle| vehicle.vin).collect();
        let plates: HashSet<_> = vehicles.iter().map(|vehicle| vehicle.plate).collect();
        assert_eq!((vins.len(), plates.len()), (20_001, 20_001));
        assert_eq!(vehicles[20_000].plate.as_str(), "AAC0001");
    }
}
