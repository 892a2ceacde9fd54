//! What was written: vehicles, statuses, tax identities, and how often each vehicle changed.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::{account_tag::AccountTag, error::ApiError};
use crate::vehicle::{Plate, Vehicle, Vin};

/// Things that are remembered; a write above gets 507.
const MAX_WRITTEN: usize = 100_000;

const ACTIVE: u8 = 1;

/// All writes, shared by all connections. All accounts are one user's, so that all see them.
#[derive(Default)]
pub(super) struct Database(Mutex<Written>);

/// A vehicle that a PUT has created, with its members as they were given.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) vehicle: Vehicle,
    pub(super) info: Map<String, Value>,
}

#[derive(Default)]
struct Written {
    vins: HashMap<Vin, u64>,
    plates: HashMap<Plate, u64>,
    accounts: HashMap<AccountTag, u64>,
    statuses: HashMap<Vin, u8>,
    /// In the order of their creation.
    vehicles: Vec<Stored>,
    legal_names: HashMap<String, String>,
    pinned: HashMap<Vehicle, Option<String>>,
}

impl Database {
    /// 1 and one more for each write of the VIN, of the plate or of the account's taxes.
    pub(super) fn version(&self, vehicle: &Vehicle, account: AccountTag) -> u64 {
        let written = self.0.lock();
        let vin = written.vins.get(&vehicle.vin);
        let plate = written.plates.get(&vehicle.plate);
        let taxes = written.accounts.get(&account);
        1 + [vin, plate, taxes].into_iter().flatten().sum::<u64>()
    }

    pub(super) fn set_status(&self, vin: Vin, status: u8) -> Result<(), ApiError> {
        let mut written = self.0.lock();
        written.has_room()?;
        written.statuses.insert(vin, status);
        *written.vins.entry(vin).or_default() += 1;
        Ok(())
    }

    /// Merges `members` into the vehicle that has this VIN or this plate, or creates it; an
    /// empty member clears what was there.
    ///
    /// # Errors
    ///
    /// 409 if VIN and plate belong to two vehicles, 507 without room.
    pub(super) fn put_vehicle(
        &self,
        vehicle: Vehicle,
        members: Map<String, Value>,
    ) -> Result<Map<String, Value>, ApiError> {
        let mut written = self.0.lock();
        written.has_room()?;
        let find = |is: &dyn Fn(&Vehicle) -> bool| {
            written
                .vehicles
                .iter()
                .position(|stored| is(&stored.vehicle))
        };
        let at = match (find(&|v| v.vin == vehicle.vin), find(&|v| v.plate == vehicle.plate)) {
            (Some(by_vin), Some(by_plate)) if by_vin != by_plate => {
                return Err(ApiError::two_vehicles());
            }
            (Some(at), _) | (None, Some(at)) => at,
            (None, None) => {
                written.vehicles.push(Stored { vehicle, info: Map::new() });
                written.vehicles.len() - 1
            }
        };
        *written.vins.entry(vehicle.vin).or_default() += 1;
        *written.plates.entry(vehicle.plate).or_default() += 1;
        let stored = &mut written.vehicles[at];
        stored.vehicle = vehicle;
        stored.info.extend(members);
        stored.info.retain(|_, value| value != "");
        Ok(stored.info.clone())
    }

    pub(super) fn vehicles(&self) -> Vec<Stored> {
        self.0.lock().vehicles.clone()
    }

    pub(super) fn status(&self, vin: Vin) -> u8 {
        self.0.lock().statuses.get(&vin).copied().unwrap_or(ACTIVE)
    }

    /// Merges a tax identity; returns the legal name that it has now.
    pub(super) fn put_tax(
        &self,
        account: AccountTag,
        identifier: Option<&str>,
        legal_name: Option<&str>,
    ) -> Result<Option<String>, ApiError> {
        let mut written = self.0.lock();
        written.has_room()?;
        *written.accounts.entry(account).or_default() += 1;
        // Which identity a call without an identifier means is not documented: none here.
        let Some(identifier) = identifier.filter(|identifier| !identifier.is_empty()) else {
            return Ok(legal_name.map(str::to_owned));
        };
        if let Some(legal_name) = legal_name {
            written
                .legal_names
                .insert(identifier.to_owned(), legal_name.to_owned());
        }
        Ok(written.legal_names.get(identifier).cloned())
    }

    /// Makes a batch return exactly this for a vehicle, nothing for `None`.
    pub(super) fn pin(&self, vehicle: Vehicle, element: Option<String>) {
        self.0.lock().pinned.insert(vehicle, element);
    }

    pub(super) fn pinned(&self, vehicle: &Vehicle) -> Option<Option<String>> {
        self.0.lock().pinned.get(vehicle).cloned()
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = Written::default();
    }
}

impl Written {
    fn has_room(&self) -> Result<(), ApiError> {
        let written =
            self.vins.len() + self.plates.len() + self.accounts.len() + self.legal_names.len();
        if written < MAX_WRITTEN { Ok(()) } else { Err(ApiError::full()) }
    }
}
