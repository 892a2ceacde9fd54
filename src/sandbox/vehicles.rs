//! The three endpoints of vehicles: their status, their data, their list.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{
    fleet,
    received::Received,
    response::{Answer, Refusal},
    store::{Store, Stored},
};
use crate::vehicle::{Plate, Vehicle, Vin};

/// Optional members of a vehicle, each with fewer than 128 characters.
const OPTIONAL: [&str; 4] = ["ownerName", "engineNumber", "taxIdentifier", "legalName"];

/// Text filters of the list with the most characters that each may have. All are judged, but
/// only those of [`APPLIED`] select anything.
const FILTERS: [(&str, usize); 23] = [
    ("customId", 50),
    ("plate", 15),
    ("vin", 17),
    ("rfcName", 300),
    ("taxIdentifier", 128),
    ("lessorName", 300),
    ("brandName", 150),
    ("modelName", 150),
    ("country", 150),
    ("class", 150),
    ("type", 150),
    ("variation", 150),
    ("cilinders", 150),
    ("axes", 150),
    ("vehicleColor", 150),
    ("assemblyPlace", 150),
    ("supplementaryData", 150),
    ("registrationInstitution", 150),
    ("registrationSheet", 150),
    ("observations", 150),
    ("version", 50),
    ("plateEntity", 50),
    ("ownerName", 150),
];

/// Filters that select vehicles here: those of members that the sandbox has.
const APPLIED: [&str; 4] = ["plate", "vin", "taxIdentifier", "ownerName"];

/// Vehicles of the fleet that every list shows.
const PAGE: usize = 20;

/// `PATCH /api/v2/vehicles/{vin}/status`.
pub(super) fn patch_status(
    store: &Store,
    vin: &str,
    received: &Received,
) -> Result<Answer, Refusal> {
    received.account().ok_or_else(Refusal::unauthorized)?;
    let vin = exact_vin(vin).ok_or_else(|| Refusal::bad_parameters("the VIN is invalid"))?;
    let body = received.json(Refusal::bad_parameters)?;
    let status = body
        .get("vehicleStatusId")
        .and_then(Value::as_u64)
        .and_then(|id| u8::try_from(id).ok())
        .filter(|id| matches!(id, 0..=1 | 3..=9))
        .ok_or_else(|| Refusal::bad_parameters("vehicleStatusId is not one of 0, 1, 3 to 9"))?;
    if vin.as_str().ends_with("000404") {
        return Err(Refusal::vehicle_not_found());
    }
    if vin.as_str().ends_with("000409") {
        return Err(Refusal::multiple_vehicles_found());
    }
    store.set_status(vin, status)?;
    Ok(Answer::no_content())
}

/// `PUT /api/upsert-vehicle-info`.
pub(super) fn put(store: &Store, received: &Received) -> Result<Answer, Refusal> {
    received.account().ok_or_else(Refusal::unauthorize)?;
    let body = received.json(Refusal::bad_parameters)?;
    let given = body
        .get("vehicleInfo")
        .and_then(Value::as_object)
        .ok_or_else(|| Refusal::bad_parameters("there is no object `vehicleInfo`"))?;
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let vehicle = Vehicle {
        vin: text("vin")
            .and_then(exact_vin)
            .ok_or_else(|| Refusal::bad_parameters("vin is invalid"))?,
        plate: text("plate")
            .and_then(exact_plate)
            .ok_or_else(|| Refusal::bad_parameters("plate is invalid"))?,
    };
    let mut members = Map::new();
    for name in OPTIONAL
        .into_iter()
        .filter(|&name| given.contains_key(name))
    {
        if text(name).is_none_or(|text| text.chars().count() >= 128) {
            return Err(Refusal::bad_parameters(format!(
                "{name} is not a text below 128 characters"
            )));
        }
    }
    for name in ["vin", "plate"].into_iter().chain(OPTIONAL) {
        members.extend(
            given
                .get(name)
                .map(|value| (name.to_owned(), value.clone())),
        );
    }
    let merged = store.put_vehicle(vehicle, members)?;
    Ok(Answer::json(&json!({ "vehicleInfo": merged })))
}

/// `GET /api/vehicles`. The envelope is not documented: here it is `{"vehicles":[…],"total":N}`.
/// Filters of texts mean "contains", in any case.
pub(super) fn list(store: &Store, received: &Received) -> Result<Answer, Refusal> {
    received.account().ok_or_else(Refusal::unauthorize)?;
    let query = parameters(received.head.uri.query().unwrap_or_default());
    for (name, value) in &query {
        judge(name, value)?;
    }
    let of_fleet = fleet::numbered().take(PAGE).map(|vehicle| Stored {
        vehicle,
        info: Map::from_iter([
            ("vin".to_owned(), vehicle.vin.as_str().into()),
            ("plate".to_owned(), vehicle.plate.as_str().into()),
        ]),
    });
    let vehicles: Vec<Value> = store
        .vehicles()
        .into_iter()
        .chain(of_fleet)
        .map(|Stored { vehicle, mut info }| {
            info.insert("assetStatusId".into(), store.status(vehicle.vin).into());
            info.into()
        })
        .filter(|info| query.iter().all(|(name, value)| matches(info, name, value)))
        .collect();
    Ok(Answer::json(&json!({ "total": vehicles.len(), "vehicles": vehicles })))
}

/// A VIN in any case, but without anything between its characters.
fn exact_vin(text: &str) -> Option<Vin> {
    Vin::parse(text)
        .ok()
        .filter(|vin| vin.as_str().eq_ignore_ascii_case(text))
}

/// A plate of 4 to 10 characters in any case, but without anything between them.
fn exact_plate(text: &str) -> Option<Plate> {
    let plate = Plate::parse(text)
        .ok()
        .filter(|plate| plate.as_str().eq_ignore_ascii_case(text));
    plate.filter(|_| (4..=10).contains(&text.len()))
}

/// Refuses a filter that is longer than documented, or not the number it has to be. An empty
/// one is none, and names that are not documented (paging and sorting have some) pass.
fn judge(name: &str, value: &str) -> Result<(), Refusal> {
    let number = value.parse::<i64>().ok();
    let fits = match name {
        "assetStatusId" => number.is_some_and(|number| (0..=9).contains(&number)),
        "doors" => number.is_some_and(|number| (0..=30).contains(&number)),
        "stateId" => number.is_some(),
        _ => FILTERS
            .iter()
            .filter(|(filter, _)| *filter == name)
            .all(|(_, longest)| value.chars().count() <= *longest),
    };
    if value.is_empty() || fits {
        return Ok(());
    }
    Err(Refusal::bad_parameters(format!("{} is out of bounds", name.escape_default())))
}

fn matches(info: &Value, name: &str, value: &str) -> bool {
    if value.is_empty() {
        return true;
    }
    let member = info.get(name);
    match name {
        "assetStatusId" => member.and_then(Value::as_u64) == value.parse().ok(),
        _ if APPLIED.contains(&name) => member
            .and_then(Value::as_str)
            .is_some_and(|text| text.to_lowercase().contains(&value.to_lowercase())),
        _ => true,
    }
}

/// The names and values of a query string.
fn parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
