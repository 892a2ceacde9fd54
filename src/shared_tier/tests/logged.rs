//! What there is to read and write in the [world](super::world) that is played, and what its log
//! says of it.

use std::sync::LazyLock;

use crate::{
    shared_tier::{
        log_entry::{LogEntry, WriteId},
        position::{Era, Position, Stamp},
    },
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{Change, InvalidationScope, Partition},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Beginning,
    Intent(u8),
    Done(u8),
}

pub(super) fn at(position: u8) -> Position {
    Position { milliseconds: 1, sequence: position.into() }
}

pub(super) fn stamp(era: u8, position: u8) -> Stamp {
    Stamp { era: Era::of(&[era]), position: at(position) }
}

/// The one that there is.
pub(super) static VEHICLE: LazyLock<Vehicle> = LazyLock::new(|| {
    let vin = Vin::parse("3VWFE21C04M000001").unwrap();
    Vehicle { vin, plate: Plate::parse("ABC123").unwrap() }
});

pub(super) fn partition() -> Partition {
    Partition::new(&[1; 32])
}

/// What a write of it names.
fn scope() -> InvalidationScope {
    InvalidationScope { vins: vec![VEHICLE.vin], ..InvalidationScope::default() }
}

fn id(write: u8) -> WriteId {
    WriteId { replica: 1, number: write.into() }
}

impl Entry {
    pub(super) fn to_log(self) -> LogEntry {
        match self {
            Self::Beginning => LogEntry::Beginning,
            Self::Intent(write) => LogEntry::Intent(id(write), scope()),
            Self::Done(write) => LogEntry::Done(Some(id(write)), Change::Of(scope())),
        }
    }
}
