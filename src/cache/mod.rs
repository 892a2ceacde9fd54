//! The vehicle cache.

use std::time::Duration;

use crate::vehicle::{Plate, Vin};

/// What the `[cache]` table says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether anything is kept.
    pub enabled: bool,
    /// Bytes held, keys and bookkeeping counted.
    pub capacity: u64,
    /// How long results stay fresh.
    pub ttl: Ttl,
}

/// How long a vehicle's results stay fresh, by their content.
#[derive(Clone, Debug)]
pub struct Ttl {
    /// Every result finished and with a status.
    pub finished: Duration,
    /// Some result not finished.
    pub pending: Duration,
    /// Some result finished without a status.
    pub failed: Duration,
    /// No results.
    pub absent: Duration,
    /// Every life is longer or shorter by up to this part of it, 0 to 1.
    pub jitter: f64,
}

/// Whose entries: the upstream and the credential that a call would carry, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partition([u8; 16]);

/// The cache: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache(());

/// What a write may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// Every entry of these VINs, under any plate, in every partition.
    pub vins: Vec<Vin>,
    /// Every entry of these plates, under any VIN, in every partition.
    pub plates: Vec<Plate>,
    /// Everything in this partition.
    pub partition: Option<Partition>,
}

/// Why entries are dropped; the label of `vingate_cache_invalidations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `PATCH` of a vehicle's status.
    VehicleStatus,
    /// `PUT` of a vehicle.
    VehicleUpsert,
    /// `PUT` of a tax identity.
    TaxIdentity,
    /// Any other unsafe request.
    OtherWrite,
    /// The upstream refused the credential that the entries were filled with.
    Unauthorized,
    /// The admin listener was asked to.
    Purge,
}

// === impl Partition ===

impl Partition {
    /// The partition of a credential with this digest (SHA-256 of origin and credential).
    pub fn new(digest: &[u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

// === impl Cache ===

impl Cache {
    /// Drops what `affected` covers, before this returns. Gives the number of entries dropped.
    ///
    /// `hold_off`: the outcome of the write is unknown, so nothing of these vehicles is stored
    /// for this long.
    pub fn invalidate(
        &self,
        _affected: &Affected,
        _cause: Cause,
        _hold_off: Option<Duration>,
    ) -> u64 {
        unimplemented!()
    }
}
