//! The three endpoints of vehicles: their status, their data, their list.

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};

use super::{
    database::{Database, Stored},
    error::ApiError,
    filters::Filters,
    fleet,
    received::Received,
    reply,
};
use crate::vehicle::{Plate, Vehicle, Vin};

/// Optional members of a vehicle, each with fewer than 128 characters.
const OPTIONAL: [&str; 4] = ["ownerName", "engineNumber", "taxIdentifier", "legalName"];

/// Vehicles of the fleet that every list shows.
const PAGE: usize = 20;

pub(super) fn patch_status(
    database: &Database,
    vin: &str,
    received: &Received,
) -> Result<Response<Bytes>, ApiError> {
    received.account().ok_or_else(ApiError::unauthorized)?;
    let vin = exact_vin(vin).ok_or_else(|| ApiError::bad_parameters("the VIN is invalid"))?;
    let body = received.json(ApiError::bad_parameters)?;
    let status = body
        .get("vehicleStatusId")
        .and_then(Value::as_u64)
        .and_then(|id| u8::try_from(id).ok())
        .filter(|id| matches!(id, 0..=1 | 3..=9))
        .ok_or_else(|| ApiError::bad_parameters("vehicleStatusId is not one of 0, 1, 3 to 9"))?;
    if vin.as_str().ends_with("000404") {
        return Err(ApiError::vehicle_not_found());
    }
    if vin.as_str().ends_with("000409") {
        return Err(ApiError::multiple_vehicles_found());
    }
    database.set_status(vin, status)?;
    Ok(reply::no_content())
}

pub(super) fn put(database: &Database, received: &Received) -> Result<Response<Bytes>, ApiError> {
    received.account().ok_or_else(ApiError::unauthorize)?;
    let body = received.json(ApiError::bad_parameters)?;
    let given = body
        .get("vehicleInfo")
        .and_then(Value::as_object)
        .ok_or_else(|| ApiError::bad_parameters("there is no object `vehicleInfo`"))?;
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let vin = text("vin").and_then(exact_vin);
    let plate = text("plate").and_then(exact_plate);
    let vehicle = Vehicle {
        vin: vin.ok_or_else(|| ApiError::bad_parameters("vin is invalid"))?,
        plate: plate.ok_or_else(|| ApiError::bad_parameters("plate is invalid"))?,
    };
    let mut members = Map::new();
    for (name, value) in given {
        if OPTIONAL.contains(&name.as_str()) {
            let text = value.as_str().filter(|text| text.chars().count() < 128);
            text.ok_or_else(|| {
                ApiError::bad_parameters(format!("{name} is not a text below 128 characters"))
            })?;
        } else if !["vin", "plate"].contains(&name.as_str()) {
            continue;
        }
        members.insert(name.clone(), value.clone());
    }
    let merged = database.put_vehicle(vehicle, members)?;
    Ok(reply::json(&json!({ "vehicleInfo": merged })))
}

/// `GET /api/vehicles`. The envelope is not documented: here it is `{"vehicles":[…],"total":N}`.
pub(super) fn list(database: &Database, received: &Received) -> Result<Response<Bytes>, ApiError> {
    received.account().ok_or_else(ApiError::unauthorize)?;
    let filters = Filters::parse(received.head.uri.query().unwrap_or_default())?;
    let of_fleet = fleet::numbered().take(PAGE).map(|vehicle| Stored {
        vehicle,
        info: Map::from_iter([
            ("vin".to_owned(), vehicle.vin.as_str().into()),
            ("plate".to_owned(), vehicle.plate.as_str().into()),
        ]),
    });
    let vehicles: Vec<Value> = database
        .vehicles()
        .into_iter()
        .chain(of_fleet)
        .map(|Stored { vehicle, mut info }| {
            info.insert("assetStatusId".into(), database.status(vehicle.vin).into());
            info.into()
        })
        .filter(|info| filters.select(info))
        .collect();
    Ok(reply::json(&json!({ "total": vehicles.len(), "vehicles": vehicles })))
}

/// A VIN in any case, but without anything between its characters.
fn exact_vin(text: &str) -> Option<Vin> {
    let vin = Vin::parse(text).ok();
    vin.filter(|vin| vin.as_str().eq_ignore_ascii_case(text))
}

/// A plate of 4 to 10 characters in any case, but without anything between them.
fn exact_plate(text: &str) -> Option<Plate> {
    let plate = Plate::parse(text)
        .ok()
        .filter(|_| (4..=10).contains(&text.len()));
    plate.filter(|plate| plate.as_str().eq_ignore_ascii_case(text))
}
