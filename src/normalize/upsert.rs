//! VIN and plate in the body of a vehicle's upsert.
//!
//! The two values are replaced where they stand; every other byte stays as the client sent it.

use bytes::Bytes;

use super::{
    Error,
    error::{InvalidMember, MemberError},
};
use crate::{
    json::{Edits, Member, Members},
    vehicle::{Plate, Vin},
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
    let Some(named) = find(text)? else {
        return Ok(body);
    };
    let mut problems = Vec::new();
    let mut edits = Edits::new(text);
    for (pointer, value, parse) in
        [(VIN, named.vin, parse_vin as Parse), (PLATE, named.plate, parse_plate)]
    {
        let Some(value) = value else {
            continue;
        };
        match clean(value, parse) {
            Ok(clean) => edits.replace(value, clean),
            Err(reason) => problems.push(InvalidMember { pointer, reason }),
        }
    }
    if !problems.is_empty() {
        return Err(Error::Vehicle(problems));
    }
    Ok(edits.finish().unwrap_or(body))
}

/// The two values as they stand in the body, quotes and escapes included.
#[derive(Default)]
struct Named<'a> {
    vin: Option<&'a str>,
    plate: Option<&'a str>,
}

/// What `body` names; `None` if it is not JSON or has no `vehicleInfo` object.
fn find(body: &str) -> Result<Option<Named<'_>>, Error> {
    let Ok(Members([info])) = Members::parse(body, ["vehicleInfo"]) else {
        return Ok(None);
    };
    let Some(info) = once(info, INFO)? else {
        return Ok(None);
    };
    let Ok(Members([vin, plate])) = Members::parse(info, ["vin", "plate"]) else {
        return Ok(None);
    };
    Ok(Some(Named { vin: once(vin, VIN)?, plate: once(plate, PLATE)? }))
}

type Parse = fn(&str) -> Result<String, MemberError>;

fn parse_vin(typed: &str) -> Result<String, MemberError> {
    Ok(Vin::parse(typed)?.as_str().to_owned())
}

fn parse_plate(typed: &str) -> Result<String, MemberError> {
    Ok(Plate::parse(typed)?.as_str().to_owned())
}

/// The JSON string that `value` should be.
fn clean(value: &str, parse: Parse) -> Result<String, MemberError> {
    let typed: String = serde_json::from_str(value).map_err(|_| MemberError::NotAString)?;
    // Letters and digits need no escapes.
    Ok(format!("\"{}\"", parse(&typed)?))
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
