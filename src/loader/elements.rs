//! A response of the upstream, taken apart without changing a byte of it.

use std::{borrow::Cow, fmt};

use foldhash::{HashMap, HashMapExt as _};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use crate::{
    json::{self, Object},
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{Class, Classes, Element},
};

/// The elements of one response, matched with the vehicles that were asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Elements {
    /// One for each vehicle asked for, in their order; without bytes where there was none.
    pub of_vehicles: Vec<Element>,
    /// Whether there was exactly what was asked for: only then is any of it stored.
    pub may_store: bool,
    /// Elements that nobody asked for; they are dropped.
    pub unasked: u64,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow, rename = "vehicleData")]
    vehicle_data: Vec<&'a RawValue>,
}

/// What is looked at in an element.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    vin: Cow<'a, str>,
    #[serde(borrow)]
    plate: Cow<'a, str>,
    #[serde(default)]
    info: Info,
}

impl Elements {
    /// Takes `response` apart: `{"vehicleData":[{"vin":…,"plate":…,"info":[…]},…]}`.
    ///
    /// Elements are matched by their own `vin` and `plate`, cleaned, never by their position.
    /// Another order and missing vehicles are fine. Of a vehicle that comes twice both elements
    /// are kept. An error means that the response is not of the documented shape.
    pub fn parse(
        response: &[u8],
        asked: impl ExactSizeIterator<Item = Vehicle>,
    ) -> serde_json::Result<Self> {
        let response = json::object_from_slice::<Batch<'_>>(response)?;
        let absent = || Element { bytes: Box::default(), classes: Class::Absent.into() };
        let mut of_vehicles: Vec<_> = (0..asked.len()).map(|_| absent()).collect();
        let mut indices = HashMap::with_capacity(of_vehicles.len());
        indices.extend(asked.enumerate().map(|(index, vehicle)| (vehicle, index)));

        let (mut unasked, mut has_double) = (0, false);
        for element in response.vehicle_data {
            let Object(head) = serde_json::from_str::<Object<Head<'_>>>(element.get())?;
            let Some(&index) = head.vehicle().and_then(|vehicle| indices.get(&vehicle)) else {
                unasked += 1;
                continue;
            };
            let bytes = element.get().as_bytes();
            let slot = &mut of_vehicles[index];
            if slot.bytes.is_empty() {
                *slot = Element { bytes: bytes.into(), classes: head.info.0 };
            } else {
                has_double = true;
                slot.bytes = [&slot.bytes, bytes].join(&b',').into();
                slot.classes = slot.classes.and(head.info.0);
            }
        }
        Ok(Self { of_vehicles, may_store: unasked == 0 && !has_double, unasked })
    }
}

impl Head<'_> {
    fn vehicle(&self) -> Option<Vehicle> {
        let vin = Vin::parse(&self.vin).ok()?;
        let plate = Plate::parse(&self.plate).ok()?;
        Some(Vehicle { vin, plate })
    }
}

/// The classes of an `info` member: a list of results, `null`, or missing.
struct Info(Classes);

/// One result of the list.
#[derive(Deserialize)]
struct ResultHead {
    #[serde(default)]
    status: Status,
    #[serde(default, rename = "finishedDateTime")]
    finished: Present,
}

/// A processing status, as far as it matters here.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Status {
    #[default]
    None,
    /// The id -1.
    Unprocessed,
    Some,
}

#[derive(Deserialize)]
struct StatusObject {
    #[serde(default, rename = "statusId")]
    id: Status,
}

/// Whether a member is there and not null.
#[derive(Default)]
struct Present(bool);

impl ResultHead {
    fn class(&self) -> Class {
        match self.status {
            Status::Unprocessed => Class::Pending,
            _ if !self.finished.0 => Class::Pending,
            Status::None => Class::Failed,
            Status::Some => Class::Finished,
        }
    }
}

impl Default for Info {
    fn default() -> Self {
        Self(Class::Absent.into())
    }
}

impl<'de> Deserialize<'de> for Info {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Results;

        impl<'de> Visitor<'de> for Results {
            type Value = Info;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of results, or null")
            }

            fn visit_unit<E>(self) -> Result<Info, E> {
                Ok(Info::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut results: A) -> Result<Info, A::Error> {
                let mut classes = None::<Classes>;
                while let Some(Object(result)) = results.next_element::<Object<ResultHead>>()? {
                    let class = Classes::from(result.class());
                    classes = Some(classes.map_or(class, |classes| classes.and(class)));
                }
                Ok(classes.map(Info).unwrap_or_default())
            }
        }

        json.deserialize_any(Results)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Any;

        /// Only the integer -1 means "not processed yet".
        fn of_id(id: i64) -> Status {
            if id == -1 { Status::Unprocessed } else { Status::Some }
        }

        impl<'de> Visitor<'de> for Any {
            type Value = Status;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status")
            }

            fn visit_unit<E>(self) -> Result<Status, E> {
                Ok(Status::None)
            }

            fn visit_i64<E>(self, id: i64) -> Result<Status, E> {
                Ok(of_id(id))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Status, E> {
                Ok(Status::Some)
            }

            fn visit_f64<E>(self, id: f64) -> Result<Status, E> {
                Ok(if id == -1.0 { Status::Unprocessed } else { Status::Some })
            }

            fn visit_str<E>(self, _: &str) -> Result<Status, E> {
                Ok(Status::Some)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Status, E> {
                Ok(Status::Some)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Status, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Status::Some)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Status, A::Error> {
                let object = StatusObject::deserialize(MapAccessDeserializer::new(members))?;
                // A status without an id is a status all the same.
                Ok(if object.id == Status::Unprocessed { object.id } else { Status::Some })
            }
        }

        json.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Option::<IgnoredAny>::deserialize(json).map(|value| Self(value.is_some()))
    }
}

#[cfg(test)]
mod tests;
