//! Batches: what clients ask for, and what the upstream responds.

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, header::CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use serde_json::{Value, value::RawValue};

use super::{BatchRequest, Error, undocumented};
use crate::{
    loader::Elements,
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{Class, Classes},
};

/// Entries of a list that are taken: few, so that a list that is too long is soon found.
const MAX_VEHICLES: usize = 4;

/// Reads the body of a batch request.
///
/// What was accepted names the vehicles that a reading of the whole tree finds, in their order,
/// each once. What is rejected names places that exist. What goes past the cache names the
/// same vehicles, clean, and has every other member as it was.
pub fn batch(data: &[u8]) {
    let tree = serde_json::from_slice::<Value>(data).ok();
    let requested = match BatchRequest::parse(data, MAX_VEHICLES) {
        Ok(requested) => requested,
        Err(Error::Vehicles(problems)) => {
            assert!((1..=100).contains(&problems.len()));
            for problem in problems {
                assert!(!problem.reason.is_empty());
                let place = tree.as_ref().map(|tree| tree.pointer(&problem.pointer));
                if let (Some(place), Some(value)) = (place, &problem.value) {
                    let sent = place
                        .and_then(Value::as_str)
                        .expect("what is quoted was sent");
                    assert!(sent.starts_with(value.as_str()) && value.chars().count() <= 32);
                }
            }
            return;
        }
        Err(_) => return,
    };
    assert!((1..=MAX_VEHICLES).contains(&requested.count));
    assert!((1..=requested.count).contains(&requested.distinct.len()));
    // A tree has bounds that the reader has not: of depth, and of numbers.
    let Some(tree) = tree else { return };
    assert_eq!(requested.distinct, vehicles(&tree), "another reading finds other vehicles");
    assert_eq!(requested.has_unknown, has_unknown(&tree));
    if requested.has_unknown {
        passed_on(data, &tree, &requested);
    }
}

/// The vehicles of a body, each once, in the order of first mention.
fn vehicles(tree: &Value) -> Vec<Vehicle> {
    let mut vehicles = Vec::new();
    for entry in tree["vehicles"].as_array().expect("there is a list") {
        let text = |name: &str| entry[name].as_str().expect("both members are texts");
        let vehicle = vehicle(text("vin"), text("plate")).expect("every vehicle is one");
        if !vehicles.contains(&vehicle) {
            vehicles.push(vehicle);
        }
    }
    vehicles
}

fn vehicle(vin: &str, plate: &str) -> Option<Vehicle> {
    Some(Vehicle { vin: Vin::parse(vin).ok()?, plate: Plate::parse(plate).ok()? })
}

fn has_unknown(tree: &Value) -> bool {
    let has_other = |value: &Value, known: &[&str]| {
        let members = value.as_object().expect("it is an object");
        members.keys().any(|name| !known.contains(&name.as_str()))
    };
    let entries = tree["vehicles"].as_array().expect("there is a list");
    has_other(tree, &["vehicles"])
        || entries
            .iter()
            .any(|entry| has_other(entry, &["vin", "plate"]))
}

/// What goes past the cache.
fn passed_on(data: &[u8], tree: &Value, requested: &BatchRequest) {
    let head = Request::new(()).into_parts().0;
    let request = undocumented::request(head, Bytes::copy_from_slice(data));
    let length = request.headers()[CONTENT_LENGTH].clone();
    let sent = request.into_body().collect().now_or_never();
    let sent = sent
        .and_then(Result::ok)
        .expect("its body is at hand")
        .to_bytes();
    assert_eq!(length, sent.len().to_string());

    let again =
        BatchRequest::parse(&sent, MAX_VEHICLES).expect("what was accepted is accepted again");
    assert_eq!(again.distinct, requested.distinct);
    let mut left: Value = serde_json::from_slice(&sent).expect("it is JSON still");
    let mut tree = tree.clone();
    for entry in left["vehicles"].as_array().into_iter().flatten() {
        let is_clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(entry["vin"].as_str().is_some_and(is_clean));
        assert!(entry["plate"].as_str().is_some_and(is_clean));
    }
    for tree in [&mut tree, &mut left] {
        for entry in tree["vehicles"].as_array_mut().into_iter().flatten() {
            entry["vin"].take();
            entry["plate"].take();
        }
    }
    assert_eq!(tree, left, "another member has changed");
}

/// Takes a response of the upstream apart, as a response to a call for three vehicles.
///
/// Every element is served as the bytes that it was, to whom it belongs; what was not requested
/// and what comes twice is not stored; and the response that is spliced of all of it is taken
/// apart into the same.
pub fn response(data: &[u8]) {
    let requested = [
        ("3VWFE21C04M000001", "A"),
        ("3VWFE21C04M000001", "B2"),
        ("1HGCM82633A004352", "ABCDEFGHIJKLMNO"),
    ]
    .map(|(vin, plate)| vehicle(vin, plate).expect("these are vehicles"));
    let Ok(elements) = Elements::parse(data, requested.into_iter()) else { return };
    assert_eq!(elements.of_vehicles.len(), requested.len());

    let (mut served, mut has_double) = (0, false);
    for (vehicle, element) in requested.iter().zip(&elements.of_vehicles) {
        let list = [&b"["[..], &element.bytes, b"]"].concat();
        let parts: Vec<&RawValue> = serde_json::from_slice(&list).expect("elements are JSON");
        // A tree has bounds that the reader has not: of depth, of numbers, and of halved pairs.
        let mut classes = Vec::new();
        for part in &parts {
            assert!(memchr::memmem::find(data, part.get().as_bytes()).is_some(), "other bytes");
            if let Ok(tree) = serde_json::from_str::<Value>(part.get()) {
                let text = |name: &str| tree[name].as_str().expect("both members are texts");
                assert_eq!(self::vehicle(text("vin"), text("plate")), Some(*vehicle), "foreign");
                classes.push(self::classes(&tree["info"]));
            }
        }
        assert!(!parts.is_empty() || element.classes.are_only(Class::Absent));
        if !parts.is_empty() && classes.len() == parts.len() {
            let classes = classes.into_iter().reduce(Classes::and);
            assert_eq!(classes, Some(element.classes), "other classes");
        }
        served += parts.len() as u64;
        has_double |= parts.len() > 1;
    }
    assert_eq!(elements.may_store, elements.unasked == 0 && !has_double);
    if let Ok(tree) = serde_json::from_slice::<Value>(data) {
        let all = tree["vehicleData"].as_array().map_or(0, Vec::len);
        assert_eq!(served + elements.unasked, all as u64, "an element is gone");
    }

    let parts = elements.of_vehicles.iter().map(|element| &*element.bytes);
    let parts: Vec<_> = parts.filter(|bytes| !bytes.is_empty()).collect();
    let spliced = [br#"{"vehicleData":["#, &*parts.join(&b','), b"]}"].concat();
    let again = Elements::parse(&spliced, requested.into_iter()).expect("what is served is JSON");
    assert_eq!(again.of_vehicles, elements.of_vehicles);
}

/// The classes of an `info` member.
fn classes(info: &Value) -> Classes {
    let of_result = |result: &Value| {
        let status = &result["status"];
        if is_unprocessed(status) || result["finishedDateTime"].is_null() {
            Class::Pending
        } else if status.is_null() {
            Class::Failed
        } else {
            Class::Finished
        }
    };
    let results = info.as_array().map_or(&[][..], Vec::as_slice);
    let classes = results.iter().map(of_result).map(Classes::from);
    classes.reduce(Classes::and).unwrap_or(Class::Absent.into())
}

fn is_unprocessed(status: &Value) -> bool {
    status.as_f64() == Some(-1.0) || status.get("statusId").is_some_and(is_unprocessed)
}
