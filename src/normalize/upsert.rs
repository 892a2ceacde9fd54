//! VIN and plate in the body of a vehicle's upsert.
//!
//! The two values are replaced where they stand; every other byte stays as the client sent it.

use bytes::Bytes;

use super::Error;
use crate::{
    json::{Edits, Member, Members},
    problem::Violation,
    vehicle::{Invalid, Plate, Vin},
};

const INFO: &str = "/vehicleInfo";
const VIN: &str = "/vehicleInfo/vin";
const PLATE: &str = "/vehicleInfo/plate";

/// `body` with its `vehicleInfo.vin` and `.plate` clean.
///
/// A body that is not JSON, or does not name them, stays as it is: Sync decides.
pub(super) fn normalize(body: Bytes) -> Result<Bytes, Error> {
    let Ok(text) = std::str::from_utf8(&body) else {
        return Ok(body);
    };
    let Some([vin_value, plate_value]) = find(text)? else {
        return Ok(body);
    };
    let vin = |typed: &str| Vin::parse(typed).map(|vin| vin.as_str().to_owned());
    let plate = |typed: &str| Plate::parse(typed).map(|plate| plate.as_str().to_owned());
    let mut problems = Vec::new();
    let mut edits = Edits::new(text);
    for (pointer, value, parse) in [(VIN, vin_value, vin as Parse), (PLATE, plate_value, plate)] {
        let Some(value) = value else { continue };
        match clean(value, parse) {
            Ok(clean) => edits.replace(value, clean),
            Err(reason) => {
                problems.push(Violation { pointer: pointer.to_owned(), value: None, reason });
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::Vehicle(problems));
    }
    Ok(edits.finish().unwrap_or(body))
}

/// The VIN and the plate as they stand in `body`, quotes and escapes included; `None` if it is not JSON
/// or has no `vehicleInfo` object.
fn find(body: &str) -> Result<Option<[Option<&str>; 2]>, Error> {
    let Ok(Members([info])) = Members::parse(body, ["vehicleInfo"]) else {
        return Ok(None);
    };
    let Some(info) = once(info, INFO)? else {
        return Ok(None);
    };
    let Ok(Members([vin, plate])) = Members::parse(info, ["vin", "plate"]) else {
        return Ok(None);
    };
    Ok(Some([once(vin, VIN)?, once(plate, PLATE)?]))
}

type Parse = fn(&str) -> Result<String, Invalid>;

/// The JSON string that `value` should be, or what is wrong with it.
fn clean(value: &str, parse: Parse) -> Result<String, String> {
    let typed: String = serde_json::from_str(value).map_err(|_| "is not a string")?;
    // Letters and digits need no escapes.
    let clean = parse(&typed).map_err(|invalid| invalid.to_string())?;
    Ok(format!("\"{clean}\""))
}

/// The one value of a member.
fn once<'a>(member: Member<'a>, pointer: &'static str) -> Result<Option<&'a str>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Once(value) => Ok(Some(value)),
        Member::Twice => Err(Error::Twice { pointer }),
    }
}

#[cfg(test)]
mod tests;
