//! `GET /api/batch/scraping/`: parsed strictly, its elements put into their envelope.

use serde_json::Value;

use super::{account_tag::AccountTag, error::ApiError, received::Received};
use crate::vehicle::{Plate, Vehicle, Vin};

const MAX_VEHICLES: usize = 500;

pub(super) struct BatchCall {
    pub(super) account: AccountTag,
    /// In the order of the request, as often as it names them.
    pub(super) vehicles: Vec<Vehicle>,
}

/// Parses a call.
///
/// # Errors
///
/// 401 without a credential; 400 `BadRequest` for a list that is missing, empty or too long;
/// 400 `BadParameters` for a VIN or plate that is not clean and in upper case.
pub(super) fn parse(received: &Received) -> Result<BatchCall, ApiError> {
    let account = received.account().ok_or_else(ApiError::unauthorize)?;
    let body = received.json(ApiError::bad_request)?;
    let entries = match body.get("vehicles").and_then(Value::as_array) {
        None => return Err(ApiError::bad_request("there is no list `vehicles`")),
        Some(entries) if entries.is_empty() => {
            return Err(ApiError::bad_request("`vehicles` is empty"));
        }
        // The documentation limits the list but does not say which error that is.
        Some(entries) if entries.len() > MAX_VEHICLES => {
            return Err(ApiError::bad_request("`vehicles` has more than 500 entries"));
        }
        Some(entries) => entries,
    };
    let vehicle = |(at, entry)| {
        vehicle(entry).ok_or_else(|| {
            ApiError::bad_parameters(format!("vehicles[{at}]: vin or plate is invalid"))
        })
    };
    let vehicles = entries
        .iter()
        .enumerate()
        .map(vehicle)
        .collect::<Result<_, _>>()?;
    Ok(BatchCall { account, vehicles })
}

pub(super) fn envelope(elements: &[(Vehicle, String)]) -> String {
    let texts: Vec<_> = elements.iter().map(|(_, text)| text.as_str()).collect();
    format!("{{\"vehicleData\":[{}]}}", texts.join(","))
}

fn vehicle(entry: &Value) -> Option<Vehicle> {
    let vin = entry.get("vin")?.as_str()?;
    let plate = entry.get("plate")?.as_str()?;
    let vehicle = Vehicle { vin: Vin::parse(vin).ok()?, plate: Plate::parse(plate).ok()? };
    (vehicle.vin.as_str() == vin && vehicle.plate.as_str() == plate).then_some(vehicle)
}
