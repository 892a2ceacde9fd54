//! What a batch request asks for: its body, parsed once and strictly.
//!
//! The body is read in one pass, without a tree: vehicles are parsed while the JSON is, and
//! what is wrong with one of them does not hide what is wrong with the next.

use std::{borrow::Cow, cell::RefCell, fmt};

use foldhash::{HashSet, HashSetExt as _};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::error::Error;
use crate::{
    json::{Name, Names, without_bom},
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

// === impl Asked ===

impl BatchRequest {
    /// Parses `{"vehicles":[{"vin":…,"plate":…},…]}` with 1 to `max_vehicles` entries.
    pub fn parse(body: &[u8], max_vehicles: usize) -> Result<Self, Error> {
        // Once for all: strings in the JSON need not be checked one by one.
        let text = std::str::from_utf8(without_bom(body)).map_err(|_| Error::NotUtf8)?;
        // Most entries are written without blanks, and a set that need not grow is filled faster.
        let expected = (body.len() / COMPACT_ENTRY).min(max_vehicles);
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
                    return Err(A::Error::custom("the member \"vehicles\" stands twice"));
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
                let message = format!("a member of /vehicles/{} stands twice", self.1);
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
mod tests {
    use super::*;

    const VIN: &str = "3VWFE21C04M000001";

    fn parse(body: &str) -> Result<BatchRequest, Error> {
        BatchRequest::parse(body.as_bytes(), 3)
    }

    fn problems(body: &str) -> Vec<(String, Option<String>, String)> {
        match parse(body) {
            Err(Error::Vehicles(problems)) => problems
                .into_iter()
                .map(|p| (p.pointer, p.value, p.reason))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keeps_each_vehicle_once_in_order_of_first_mention() {
        let asked = parse(
            r#"{"vehicles":[{"vin":"3VWFE21C04M000002","plate":"b"},
                {"plate":"A-1","vin":"3vw-fe21c04m000001"},
                {"vin":" 3VWFE21C04M000002","plate":"B "}]}"#,
        )
        .unwrap();
        assert_eq!((asked.count, asked.has_unknown), (3, false));
        let plates: Vec<_> = asked.distinct.iter().map(|v| v.plate.as_str()).collect();
        assert_eq!(plates, ["B", "A1"]);
        assert_eq!(asked.distinct[1].vin.as_str(), VIN);
    }

    #[test]
    fn reads_escaped_names_and_values() {
        let asked = parse(
            r#"{"v\u0065hicles":[{"v\u0069n":"\u0033VWFE21C04M000001","plate":"\uff21\u00a01"}]}"#,
        );
        assert_eq!(asked.unwrap().distinct[0].plate.as_str(), "A1");
    }

    #[test]
    fn ignores_a_byte_order_mark() {
        let body = format!("\u{feff}{{\"vehicles\":[{{\"vin\":\"{VIN}\",\"plate\":\"A\"}}]}}");
        assert_eq!(parse(&body).unwrap().distinct[0].vin.as_str(), VIN);
    }

    #[test]
    fn names_every_vehicle_that_is_wrong() {
        let body = r#"{"vehicles":[{"vin":"3VWFE21C04M00000O","plate":"A"},
            {"vin":"3VWFE21C04M000001","plate":"ABCDEFGHIJKLMNOP"},{"plate":"A"}]}"#;
        let found = problems(body);
        let [vin, plate, missing] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&*vin.0, vin.1.as_deref()), ("/vehicles/0/vin", Some("3VWFE21C04M00000O")));
        assert_eq!(
            (&*plate.0, plate.1.as_deref()),
            ("/vehicles/1/plate", Some("ABCDEFGHIJKLMNOP"))
        );
        assert_eq!(
            (&*missing.0, &missing.1, &*missing.2),
            ("/vehicles/2/vin", &None, "is missing")
        );
    }

    #[test]
    fn names_what_is_not_even_a_vehicle() {
        for (entry, pointer, reason) in [
            ("null", "/vehicles/0", "is not an object"),
            ("1", "/vehicles/0", "is not an object"),
            ("-1.5", "/vehicles/0", "is not an object"),
            ("true", "/vehicles/0", "is not an object"),
            (r#""3VWFE21C04M000001""#, "/vehicles/0", "is not an object"),
            ("[[1]]", "/vehicles/0", "is not an object"),
            (r#"{"vin":null,"plate":"A"}"#, "/vehicles/0/vin", "is not a string"),
            (r#"{"vin":{"a":[1]},"plate":"A"}"#, "/vehicles/0/vin", "is not a string"),
            (r#"{"vin":"3VWFE21C04M000001","plate":7}"#, "/vehicles/0/plate", "is not a string"),
        ] {
            let found = problems(&format!(r#"{{"vehicles":[{entry}]}}"#));
            assert_eq!(found, [(pointer.into(), None, reason.into())], "{entry}");
        }
    }

    #[test]
    fn shortens_what_it_quotes_and_bounds_how_much_it_tells() {
        let entry = format!(r#"{{"vin":"{}","plate":"A"}}"#, "ñ".repeat(1000));
        let body = format!(r#"{{"vehicles":[{}]}}"#, vec![entry; 150].join(","));
        let Err(Error::Vehicles(problems)) = BatchRequest::parse(body.as_bytes(), 1000) else {
            panic!()
        };
        assert_eq!(problems.len(), 100);
        assert_eq!(problems[0].value, Some("ñ".repeat(32)));
    }

    #[test]
    fn refuses_what_is_not_the_documented_shape() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "\u{feff}\u{feff}{}",
            " \u{feff}{}",
            r#"{"vehicles":[]}x"#,
            r#"{"vehicles":{}}"#,
            r#"{"vehicles":null}"#,
            r#"{"vehicles":[{"vin":"a","vin":"b","plate":"c"}]}"#,
            r#"{"vehicles":[{"vin":"a","v\u0069n":"b","plate":"c"}]}"#,
            r#"{"vehicles":[{"x":1,"x":2,"vin":"a","plate":"c"}]}"#,
            r#"{"vehicles":[],"vehicles":[]}"#,
            r#"{"a":1,"a":2,"vehicles":[]}"#,
            r#"{"vehicles":[{"vin":"a","plate":"c"},]}"#,
        ] {
            assert!(matches!(parse(body), Err(Error::Json(_))), "{body}");
        }
        assert!(matches!(
            BatchRequest::parse(b"{\"vehicles\":[\"\xff\"]}", 3),
            Err(Error::NotUtf8)
        ));
        assert!(matches!(parse(r#"{"vehicles":[]}"#), Err(Error::Empty)));
        assert!(matches!(parse(r#"{"vehicle":[]}"#), Err(Error::Missing)));
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(matches!(parse(&deep), Err(Error::Json(_))));
    }

    #[test]
    fn counts_before_it_judges() {
        let body = format!(r#"{{"vehicles":[{}]}}"#, ["null"; 4].join(","));
        assert!(matches!(parse(&body), Err(Error::TooMany { found: 4, limit: 3 })));
    }

    #[test]
    fn notices_members_that_it_does_not_know() {
        for (body, has_unknown) in [
            (r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A"}]}"#, false),
            (r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A","x":[1]}]}"#, true),
            (r#"{"x":null,"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A"}]}"#, true),
        ] {
            assert_eq!(parse(body).unwrap().has_unknown, has_unknown, "{body}");
        }
    }
}
