//! What a batch request asks for: its body, parsed once and strictly.
//!
//! The body is read in one pass, without a tree: vehicles are parsed while the JSON is, and
//! what is wrong with one of them does not hide what is wrong with the next.

use std::{borrow::Cow, cell::RefCell, fmt};

use foldhash::{HashSet, HashSetExt as _};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{error::Error, huge_numbers};
use crate::{
    json::{Name, Names},
    problem::Violation,
    vehicle::{Invalid, Plate, Vehicle, Vin},
};

/// The vehicles of a batch request.
#[derive(Debug, Default)]
pub struct BatchRequest {
    /// Each vehicle once, in the order of first mention.
    pub distinct: Vec<Vehicle>,
    /// Entries of the list, repeated ones too.
    pub count: usize,
    /// Whether there are members that the documentation does not know.
    pub has_unknown: bool,
}

/// Problems that are listed; a list of ten thousand bad vehicles need not be answered in full.
const MAX_PROBLEMS: usize = 100;

/// Bytes of `{"vin":"…","plate":"…"},` with a plate of seven characters.
const COMPACT_ENTRY: usize = 46;

/// Characters of a value that its problem quotes.
const QUOTED: usize = 32;

impl BatchRequest {
    /// How many vehicles a body names if it has no blanks.
    pub(super) fn estimated_count(body: &[u8]) -> usize {
        body.len() / COMPACT_ENTRY
    }

    /// Parses `{"vehicles":[{"vin":…,"plate":…},…]}` with 1 to `max_vehicles` entries, a byte order
    /// mark before it already gone.
    pub fn parse(body: &[u8], max_vehicles: usize) -> Result<Self, Error> {
        match Self::read(body, max_vehicles) {
            // Only then, because looking for them costs.
            Err(Error::Json(error)) => match huge_numbers::zeroed(body) {
                Some(body) => Self::read(&body, max_vehicles),
                None => Err(Error::Json(error)),
            },
            read => read,
        }
    }

    fn read(body: &[u8], max_vehicles: usize) -> Result<Self, Error> {
        // Once for all: strings in the JSON need not be checked one by one.
        let text = std::str::from_utf8(body).map_err(|_| Error::NotUtf8)?;
        // Most entries are written without blanks, and a set that need not grow is filled faster.
        let expected = Self::estimated_count(body).min(max_vehicles);
        let reader = RefCell::new(Reader::new(max_vehicles, expected));
        let mut json = serde_json::Deserializer::from_str(text);
        Top(&reader)
            .deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| Error::Json(error.into()))?;
        reader.into_inner().finish()
    }
}

/// What is collected while the body is read.
struct Reader {
    max_vehicles: usize,
    asked: BatchRequest,
    seen: HashSet<Vehicle>,
    problems: Vec<Violation>,
    has_list: bool,
}

impl Reader {
    fn new(max_vehicles: usize, expected: usize) -> Self {
        let distinct = Vec::with_capacity(expected);
        Self {
            max_vehicles,
            asked: BatchRequest { distinct, ..BatchRequest::default() },
            seen: HashSet::with_capacity(expected),
            problems: Vec::new(),
            has_list: false,
        }
    }

    fn finish(self) -> Result<BatchRequest, Error> {
        match self.asked.count {
            0 if self.has_list => Err(Error::Empty),
            0 => Err(Error::Missing),
            found if found > self.max_vehicles => {
                Err(Error::TooMany { found, limit: self.max_vehicles })
            }
            _ if self.problems.is_empty() => Ok(self.asked),
            _ => Err(Error::Vehicles(self.problems)),
        }
    }

    fn add(&mut self, vehicle: Vehicle) {
        if self.seen.insert(vehicle) {
            self.asked.distinct.push(vehicle);
        }
    }

    fn problem(&mut self, index: usize, member: &str, value: Option<&str>, reason: impl ToString) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Violation {
                pointer: format!("/vehicles/{index}{member}"),
                value: value.map(|value| value.chars().take(QUOTED).collect()),
                reason: reason.to_string(),
            });
        }
    }
}

/// The whole body.
#[derive(Clone, Copy)]
struct Top<'a>(&'a RefCell<Reader>);

/// The list of vehicles.
#[derive(Clone, Copy)]
struct List<'a>(&'a RefCell<Reader>);

/// One entry of the list, at an index.
#[derive(Clone, Copy)]
struct Entry<'a>(&'a RefCell<Reader>, usize);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the member \"vehicles\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut others = Names::default();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if name.0 == "vehicles" {
                if std::mem::replace(&mut self.0.borrow_mut().has_list, true) {
                    return Err(A::Error::custom("the member \"vehicles\" appears twice"));
                }
                members.next_value_seed(List(self.0))?;
            } else {
                others.add(name)?;
                members.next_value::<IgnoredAny>()?;
            }
        }
        self.0.borrow_mut().asked.has_unknown |= !others.is_empty();
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of vehicles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut count = 0;
        while entries.next_element_seed(Entry(self.0, count))?.is_some() {
            count += 1;
        }
        self.0.borrow_mut().asked.count = count;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        // Beyond the limit the request is refused for their number, so they are only counted.
        if self.1 >= self.0.borrow().max_vehicles {
            return json.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        json.deserialize_any(self)
    }
}

impl Entry<'_> {
    fn is_no_object<E>(self) -> Result<(), E> {
        self.0
            .borrow_mut()
            .problem(self.1, "", None, "is not an object");
        Ok(())
    }

    /// The parsed member, or the problem with it noted.
    fn parse<T>(
        self,
        member: &str,
        text: Option<Text<'_>>,
        parse: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let reader = &mut *self.0.borrow_mut();
        match text {
            None => reader.problem(self.1, member, None, "is missing"),
            Some(Text(None)) => reader.problem(self.1, member, None, "is not a string"),
            Some(Text(Some(text))) => match parse(&text) {
                Ok(parsed) => return Some(parsed),
                Err(invalid) => reader.problem(self.1, member, Some(&text), invalid),
            },
        }
        None
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the members \"vin\" and \"plate\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (mut vin, mut plate) = (None::<Text<'de>>, None::<Text<'de>>);
        let mut others = Names::default();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            let twice = match &*name.0 {
                "vin" => vin.replace(members.next_value()?).is_some(),
                "plate" => plate.replace(members.next_value()?).is_some(),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    others.add(name)?;
                    continue;
                }
            };
            if twice {
                let message = format!("a member of /vehicles/{} appears twice", self.1);
                return Err(A::Error::custom(message));
            }
        }
        self.0.borrow_mut().asked.has_unknown |= !others.is_empty();
        let vin = self.parse("/vin", vin, Vin::parse);
        let plate = self.parse("/plate", plate, Plate::parse);
        if let (Some(vin), Some(plate)) = (vin, plate) {
            self.0.borrow_mut().add(Vehicle { vin, plate });
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.is_no_object()
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.is_no_object()
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.is_no_object()
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.is_no_object()
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.is_no_object()
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.is_no_object()
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.is_no_object()
    }
}

/// A value that should be a string: the string, or `None` for anything else.
struct Text<'de>(Option<Cow<'de, str>>);

struct TextVisitor;

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(TextVisitor)
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests;
