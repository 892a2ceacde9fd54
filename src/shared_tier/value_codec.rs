//! Values as they are kept on the server: under names that tell nothing, and sealed for their
//! partition, so that nobody with another credential can open them.
//!
//! What is sealed is `era (8) · position (16) · record`.

use super::position::Stamp;
use crate::{
    seal::{Namer, Sealer, Secrets},
    vehicle::Vehicle,
    vehicle_cache::{Partition, Record, Results},
};

/// Names, seals and opens values.
pub(super) struct ValueCodec {
    prefix: Vec<u8>,
    namer: Namer,
    secrets: Secrets,
}

/// The same for the values of one partition.
pub(super) struct PartitionCodec<'a> {
    codec: &'a ValueCodec,
    partition: [u8; 16],
    sealer: Sealer,
}

/// The longest element that is shared. Longer ones are rare, and what reads many values at once has
/// room for so many of this length.
pub(super) const MAX_ELEMENT: usize = 32 * 1024;

/// Bytes of a value that may come: an element and what is around it.
pub(super) const MAX_VALUE: usize = MAX_ELEMENT + 128;

impl ValueCodec {
    pub(super) fn new(namespace: &str, secrets: Secrets) -> Self {
        let prefix = format!("vg1:{namespace}:").into_bytes();
        Self { prefix, namer: secrets.namer(b"names of values"), secrets }
    }

    pub(super) fn of(&self, partition: Partition) -> PartitionCodec<'_> {
        let partition = partition.to_bytes();
        let sealer = self.secrets.sealer(&[&b"values"[..], &partition].concat());
        PartitionCodec { codec: self, partition, sealer }
    }

    /// A name that no value has.
    pub(super) fn unused_name(&self) -> Vec<u8> {
        [&self.prefix[..], b"unused"].concat()
    }
}

impl PartitionCodec<'_> {
    /// Under what the value of a vehicle is kept.
    pub(super) fn name(&self, Vehicle { vin, plate }: &Vehicle) -> Vec<u8> {
        // All but the last are of one length, so no two vehicles read the same.
        let parts = [&self.partition[..], vin.as_bytes(), plate.as_bytes()];
        [&self.codec.prefix[..], &self.codec.namer.name(&parts)].concat()
    }

    pub(super) fn seal(
        &self,
        name: &[u8],
        stamp: Stamp,
        fetched_at: u64,
        results: &Results,
    ) -> Vec<u8> {
        let mut text = stamp.to_bytes().to_vec();
        Record::write(results, fetched_at, &mut text);
        self.sealer.seal(name, &text)
    }

    /// What stands under `name`; `None`: that is no value that was sealed for this name.
    pub(super) fn open(&self, name: &[u8], sealed: Vec<u8>) -> Option<(Stamp, Record)> {
        let text = self.sealer.open(name, sealed)?;
        let (&stamp, record) = text.split_first_chunk()?;
        Some((Stamp::from_bytes(stamp), Record::parse(record)?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        seal::Secret,
        shared_tier::position::{Era, Position},
        vehicle::{Plate, Vin},
        vehicle_cache::{Class, Element, Moment},
    };

    fn codec(secret: &str, previous: &[&str]) -> ValueCodec {
        let of = |text: &str| -> Secret { Zeroizing::new(text.as_bytes().to_vec()) };
        let previous: Vec<_> = previous.iter().map(|text| of(text)).collect();
        ValueCodec::new("test", Secrets::new(&of(secret), &previous))
    }

    fn vehicle(vin: u8, plate: &str) -> Vehicle {
        let vin = Vin::parse(&format!("3VWFE21C04M000{vin:03}")).unwrap();
        Vehicle { vin, plate: Plate::parse(plate).unwrap() }
    }

    fn partition(n: u8) -> Partition {
        Partition::new(&[n; 32])
    }

    fn stamp() -> Stamp {
        let position = Position { milliseconds: 7, sequence: u64::MAX };
        Stamp { era: Era::of(b"era"), position }
    }

    fn sealed(codec: &ValueCodec, name: &[u8]) -> Vec<u8> {
        let element = Element { bytes: (*b"{}").into(), classes: Class::Finished.into() };
        let results = Results::new(element, Duration::from_secs(60), Moment::now());
        codec.of(partition(1)).seal(name, stamp(), 5000, &results)
    }

    #[test]
    fn opens_what_it_sealed_and_only_where_that_was_put() {
        let (codec, one) = (codec("one", &[]), vehicle(1, "ABC1"));
        let own = codec.of(partition(1));
        let name = own.name(&one);
        let (found, record) = own.open(&name, sealed(&codec, &name)).unwrap();
        assert_eq!((found, record.fetched_at), (stamp(), 5000));
        let other = own.name(&vehicle(2, "ABC1"));
        assert!(own.open(&other, sealed(&codec, &name)).is_none(), "moved");
        let others = codec.of(partition(2));
        assert!(others.open(&name, sealed(&codec, &name)).is_none(), "of another credential");
        let torn = sealed(&codec, &name)[..40].to_vec();
        assert!(own.open(&name, torn).is_none());
        let log = Secrets::new(&Zeroizing::new(b"one".to_vec()), &[]).sealer(b"log");
        assert!(own.open(&name, log.seal(&name, b"text")).is_none(), "of another purpose");
    }

    #[test]
    fn names_tell_vehicles_and_partitions_apart_and_nothing_else() {
        let codec = codec("one", &[]);
        let name = |n, vehicle| codec.of(partition(n)).name(&vehicle);
        let names = [
            name(1, vehicle(1, "ABC1")),
            name(1, vehicle(1, "ABC12")),
            name(1, vehicle(2, "ABC1")),
            name(2, vehicle(1, "ABC1")),
            codec.unused_name(),
        ];
        for (nth, one) in names.iter().enumerate() {
            assert!(one.starts_with(b"vg1:test:"));
            assert!(!one.windows(3).any(|window| window == b"ABC"));
            assert!(!names[..nth].contains(one));
        }
        assert_eq!(names[0].len(), b"vg1:test:".len() + 16);
    }

    #[test]
    fn what_a_former_secret_sealed_is_opened() {
        let (old, new) = (codec("old", &[]), codec("new", &["old"]));
        let bytes = sealed(&old, b"name");
        assert!(new.of(partition(1)).open(b"name", bytes).is_some());
        assert!(
            old.of(partition(1))
                .open(b"name", sealed(&new, b"name"))
                .is_none()
        );
    }
}
