//! VIN and plate in the body of a vehicle's upsert.
//!
//! The two values are replaced where they stand; every other byte is the caller's own, because
//! a body that was taken apart and put together again is another body.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Error,
    error::{Problem, Reason},
};
use crate::vehicle::{Plate, Vin};

const INFO: &str = "/vehicleInfo";
const VIN: &str = "/vehicleInfo/vin";
const PLATE: &str = "/vehicleInfo/plate";

/// `body` with its `vehicleInfo.vin` and `.plate` clean.
///
/// A body that is not JSON, or does not name them, is for Sync to judge and stays as it is.
pub(super) fn normalize(body: Bytes) -> Result<Bytes, Error> {
    let Some(named) = std::str::from_utf8(&body)
        .ok()
        .map(find)
        .transpose()?
        .flatten()
    else {
        return Ok(body);
    };
    let mut problems = Vec::new();
    let mut edits = Vec::new();
    for (pointer, value, parse) in
        [(VIN, named.vin, parse_vin as Parse), (PLATE, named.plate, parse_plate)]
    {
        let Some(value) = value else {
            continue;
        };
        match clean(value, parse) {
            Ok(Cow::Borrowed(_)) => {}
            Ok(Cow::Owned(clean)) => edits.push((offset(&body, value), value.len(), clean)),
            Err(reason) => problems.push(Problem { pointer, reason }),
        }
    }
    if !problems.is_empty() {
        return Err(Error::Vehicle(problems));
    }
    edits.sort_unstable_by_key(|(at, ..)| *at);
    Ok(splice(body, &edits))
}

/// The two values as they stand in the body, quotes and escapes included.
#[derive(Default)]
struct Named<'a> {
    vin: Option<&'a str>,
    plate: Option<&'a str>,
}

/// What `body` names; `None` if it is not JSON or has no `vehicleInfo` object.
fn find(body: &str) -> Result<Option<Named<'_>>, Error> {
    let Ok(Members([info])) = from_str(body, ["vehicleInfo"]) else {
        return Ok(None);
    };
    let Some(info) = info.once(INFO)? else {
        return Ok(None);
    };
    let Ok(Members([vin, plate])) = from_str(info, ["vin", "plate"]) else {
        return Ok(None);
    };
    Ok(Some(Named { vin: vin.once(VIN)?, plate: plate.once(PLATE)? }))
}

type Parse = fn(&str) -> Result<String, Reason>;

fn parse_vin(typed: &str) -> Result<String, Reason> {
    Ok(Vin::parse(typed)?.as_str().to_owned())
}

fn parse_plate(typed: &str) -> Result<String, Reason> {
    Ok(Plate::parse(typed)?.as_str().to_owned())
}

/// The JSON string that `value` should be: itself, or another.
fn clean(value: &str, parse: Parse) -> Result<Cow<'_, str>, Reason> {
    let typed: String = serde_json::from_str(value).map_err(|_| Reason::NotAString)?;
    // Letters and digits need no escapes.
    let clean = format!("\"{}\"", parse(&typed)?);
    Ok(if clean == value { Cow::Borrowed(value) } else { Cow::Owned(clean) })
}

/// Where in `body` the slice `value` of it begins.
fn offset(body: &[u8], value: &str) -> usize {
    value.as_ptr().addr() - body.as_ptr().addr()
}

/// `body` with each `(offset, length)` replaced, in ascending order.
fn splice(body: Bytes, edits: &[(usize, usize, String)]) -> Bytes {
    if edits.is_empty() {
        return body;
    }
    let mut spliced = Vec::with_capacity(body.len());
    let mut copied = 0;
    for (at, length, clean) in edits {
        spliced.extend_from_slice(&body[copied..*at]);
        spliced.extend_from_slice(clean.as_bytes());
        copied = at + length;
    }
    spliced.extend_from_slice(&body[copied..]);
    spliced.into()
}

/// A member of an object, as often as it stands there.
#[derive(Clone, Copy)]
enum Member<'a> {
    Absent,
    Once(&'a str),
    Twice,
}

impl<'a> Member<'a> {
    fn once(self, pointer: &'static str) -> Result<Option<&'a str>, Error> {
        match self {
            Self::Absent => Ok(None),
            Self::Once(value) => Ok(Some(value)),
            Self::Twice => Err(Error::Twice { pointer }),
        }
    }
}

/// The values of `N` members of an object that is otherwise only checked to be JSON.
struct Members<'a, const N: usize>([Member<'a>; N]);

fn from_str<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> serde_json::Result<Members<'a, N>> {
    let mut json = serde_json::Deserializer::from_str(json);
    let members = json.deserialize_map(MembersVisitor(names))?;
    json.end()?;
    Ok(members)
}

struct MembersVisitor<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for MembersVisitor<N> {
    type Value = Members<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [Member::Absent; N];
        while let Some(Key(key)) = map.next_key()? {
            match self.0.iter().position(|name| *name == key) {
                Some(at) => {
                    let value = map.next_value::<&RawValue>()?.get();
                    members[at] = match members[at] {
                        Member::Absent => Member::Once(value),
                        Member::Once(_) | Member::Twice => Member::Twice,
                    };
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Members(members))
    }
}

/// A member's name, unescaped; borrowed if it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests;
