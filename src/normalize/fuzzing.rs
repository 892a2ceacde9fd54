//! Bodies of a vehicle's upsert, whatever somebody sent.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::upsert;
use crate::vehicle::{Plate, Vin};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "vehicleInfo")]
    info: &'a RawValue,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    vin: Option<&'a RawValue>,
    #[serde(borrow)]
    plate: Option<&'a RawValue>,
}

/// Normalizes a body.
///
/// What comes out stays as it is when it comes in again, and differs from what came in by the
/// values of `vehicleInfo.vin` and `.plate` alone, which are clean.
pub fn upsert(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let Ok(normalized) = upsert::normalize(body.clone()) else { return };
    let again = upsert::normalize(normalized.clone());
    let again = again.expect("what was accepted is accepted again");
    assert_eq!(again, normalized, "normalized twice is something else");
    assert_eq!(change_slowly(&body).as_deref().unwrap_or(&body), &*normalized);

    // A value of its own is the same value.
    if let (Ok(mut sent), Ok(mut left)) =
        (serde_json::from_slice::<Value>(&body), serde_json::from_slice::<Value>(&normalized))
    {
        for value in [&mut sent, &mut left] {
            for pointer in ["/vehicleInfo/vin", "/vehicleInfo/plate"] {
                value.pointer_mut(pointer).map(Value::take);
            }
        }
        assert_eq!(sent, left, "another member has changed");
    }
}

/// `body` with its two values cleaned, by slices of it. `None` if it has no such values.
fn change_slowly(body: &[u8]) -> Option<Vec<u8>> {
    // What is not UTF-8 is not JSON, though serde_json skips members without a look at that.
    let text = std::str::from_utf8(body).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let info = object::<Body<'_>>(text)?.info.get();
    let info = object::<Info<'_>>(info)?;
    let unquote = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok();
    let clean = |value: Option<&RawValue>, parse: fn(&str) -> Option<String>| {
        let value = value?;
        let at = value.get().as_ptr().addr() - body.as_ptr().addr();
        let clean = parse(&unquote(value)?)?;
        Some((at..at + value.get().len(), serde_json::to_string(&clean).ok()?))
    };
    let mut changes: Vec<_> = [
        clean(info.vin, |typed| Some(Vin::parse(typed).ok()?.as_str().to_owned())),
        clean(info.plate, |typed| Some(Plate::parse(typed).ok()?.as_str().to_owned())),
    ]
    .into_iter()
    .flatten()
    .collect();
    // From the end, so that what is before keeps its place.
    changes.sort_by_key(|(at, _)| std::cmp::Reverse(at.start));
    let mut changed = body.to_vec();
    for (at, clean) in changes {
        changed.splice(at, clean.into_bytes());
    }
    Some(changed)
}

/// What an object holds. What serde derives takes a list as well.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let is_object = text.trim_ascii_start().starts_with('{');
    serde_json::from_str(text).ok().filter(|_| is_object)
}
