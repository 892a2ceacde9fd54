//! What may have changed, and has to be dropped.

use super::VehicleTag;
use crate::{
    cache::{Partition, Scope},
    vehicle::{Plate, Vin},
};

/// What a write may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvalidationScope {
    /// Every entry of these VINs, under any plate, in every partition.
    pub vins: Vec<Vin>,
    /// Every entry of these plates, under any VIN, in every partition.
    pub plates: Vec<Plate>,
    /// Everything in this partition.
    pub partition: Option<Partition>,
}

/// Entries to purge: those that match every part which is there. None: all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeFilter {
    /// Of this partition.
    pub partition: Option<Partition>,
    /// Of this VIN.
    pub vin: Option<Vin>,
    /// Of this plate.
    pub plate: Option<Plate>,
}

/// What a write has changed, for other replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Anything.
    Everything,
    /// What this covers.
    Of(InvalidationScope),
}

impl From<Partition> for InvalidationScope {
    /// Everything in the partition.
    fn from(partition: Partition) -> Self {
        Self { partition: Some(partition), ..Self::default() }
    }
}

impl From<InvalidationScope> for Scope<VehicleTag> {
    fn from(InvalidationScope { vins, plates, partition }: InvalidationScope) -> Self {
        let vins = vins.into_iter().map(VehicleTag::Vin);
        let tags = vins
            .chain(plates.into_iter().map(VehicleTag::Plate))
            .collect();
        Self { tags, partition }
    }
}

impl PurgeFilter {
    /// What other replicas have to drop: at least what matches. A change has no parts that narrow
    /// one another, so the narrowest of them stands for all.
    pub(super) fn change(&self) -> Change {
        let none = InvalidationScope::default();
        match *self {
            Self { vin: Some(vin), .. } => {
                Change::Of(InvalidationScope { vins: vec![vin], ..none })
            }
            Self { plate: Some(plate), .. } => {
                Change::Of(InvalidationScope { plates: vec![plate], ..none })
            }
            Self { partition: Some(partition), .. } => Change::Of(partition.into()),
            Self { partition: None, vin: None, plate: None } => Change::Everything,
        }
    }
}
