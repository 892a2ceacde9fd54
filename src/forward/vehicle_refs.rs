//! The vehicles that a write names, wherever it names them.
//!
//! Sync may add endpoints, so this knows no schema. Every text in path, query and body that is a
//! VIN once cleaned names a vehicle, whatever its member is called; every text under a member or
//! parameter whose name holds `plate` or `placa` names one by its plate. Beyond that there are
//! guesses: segments of a path that could be a plate, and parts of longer texts. They are dropped
//! as well, but a write that names vehicles by guesses alone counts as one that names none.
//! Too many found cost a call upstream; one missed would be served although it has changed.

use std::{borrow::Cow, fmt};

use percent_encoding::percent_decode;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::{
    json::without_bom,
    vehicle::{Plate, Vin, clean},
};

/// Vehicles by VIN or by plate; both may name the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VehicleRefs {
    /// VINs, perhaps twice.
    pub(super) vins: Vec<Vin>,
    /// Plates, perhaps twice.
    pub(super) plates: Vec<Plate>,
    /// Whether one of them is more than a guess.
    pub(super) is_sure: bool,
}

/// What a text stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A plate, a VIN, or both.
    Plate,
    /// A VIN, if it is one.
    Other,
}

// === impl VehicleRefs ===

impl VehicleRefs {
    /// Adds what the segments of `path` name: every VIN, and a plate after a segment that says so.
    pub(super) fn add_path(&mut self, path: &str) {
        let mut kind = Kind::Other;
        for segment in path.split('/') {
            let segment = percent_decode(segment.as_bytes()).decode_utf8_lossy();
            self.add(kind, &segment);
            kind = Kind::of(&segment);
        }
    }

    /// Adds every segment of `path` that could be a plate.
    pub(super) fn guess_plates(&mut self, path: &str) {
        for segment in path.split('/') {
            let segment = percent_decode(segment.as_bytes()).decode_utf8_lossy();
            self.plates.extend(Plate::parse(&segment));
        }
    }

    /// Adds what the parameters of `query` name, as a form's are encoded.
    pub(super) fn add_query(&mut self, query: &str) {
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode_form(name);
            self.add(Kind::Other, &name);
            self.add(Kind::of(&name), &decode_form(value));
        }
    }

    /// Adds what the members of a JSON text name. Gives `false` if it could not be read to its
    /// end; what it named until there counts all the same.
    pub(super) fn add_json(&mut self, json: &[u8]) -> bool {
        let mut json = serde_json::Deserializer::from_slice(without_bom(json));
        Walk { refs: self, kind: Kind::Other }
            .deserialize(&mut json)
            .is_ok()
            && json.end().is_ok()
    }

    /// Adds what `text` names as a whole, and what parts of it could name: lists and texts within
    /// texts are written in many ways.
    fn add(&mut self, kind: Kind, text: &str) {
        let (vins, plates) = (self.vins.len(), self.plates.len());
        self.vins.extend(Vin::parse(text));
        if kind == Kind::Plate {
            self.add_plate(text);
        }
        self.is_sure |= vins < self.vins.len() || plates < self.plates.len();

        if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return;
        }
        let is_mark = |c: char| c.is_ascii_punctuation() && !matches!(c, '-' | '.' | '_' | '*');
        for part in text.split(is_mark) {
            self.add_guess(kind, part);
            part.split_whitespace()
                .for_each(|word| self.add_guess(kind, word));
        }
    }

    fn add_guess(&mut self, kind: Kind, text: &str) {
        self.vins.extend(Vin::parse(text));
        if kind == Kind::Plate {
            self.plates.extend(Plate::parse(text));
        }
    }

    /// Two plates in one text are both, and to a server that does not mind, one.
    fn add_plate(&mut self, text: &str) {
        match Plate::parse_two(text) {
            Some((first, second)) => {
                self.plates.extend([first, second]);
                self.plates.extend(Plate::parse(&clean(text)));
            }
            None => self.plates.extend(Plate::parse(text)),
        }
    }

    /// Adds a vehicle that is named without quotes, as a server may read it that takes numbers
    /// for texts: in decimals without an exponent, so that `1e3` and `1000.0` are 1000. A number
    /// that could be a VIN is one by chance as a rule.
    fn add_number(&mut self, kind: Kind, number: impl ToString) {
        let number = number.to_string();
        match kind {
            Kind::Plate => self.add(kind, &number),
            Kind::Other => self.add_guess(kind, &number),
        }
    }
}

/// What a form's name or value stands for. What is no escape stands for itself.
fn decode_form(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes())
        .decode_utf8_lossy()
        .into_owned()
}

// === impl Kind ===

impl Kind {
    /// What a member of this name holds.
    fn of(name: &str) -> Self {
        let holds = |word: &[u8]| {
            let mut windows = name.as_bytes().windows(word.len());
            windows.any(|window| window.eq_ignore_ascii_case(word))
        };
        if holds(b"plate") || holds(b"placa") { Self::Plate } else { Self::Other }
    }

    /// What a member holds that stands within one of kind `outer`: `{"plate":{"text":…}}`.
    fn within(self, outer: Self) -> Self {
        if outer == Self::Plate { outer } else { self }
    }
}

/// Visits a JSON value without keeping it. The depth is bounded by serde_json (128).
struct Walk<'a> {
    refs: &'a mut VehicleRefs,
    kind: Kind,
}

// === impl Walk ===

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.refs.add(self.kind, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { refs, kind } = self;
        while list
            .next_element_seed(Walk { refs: &mut *refs, kind })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            // Vehicles may be the names of members, too.
            self.refs.add(self.kind, &name);
            let kind = Kind::of(&name).within(self.kind);
            members.next_value_seed(Walk { refs: &mut *self.refs, kind })?;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.refs.add_number(self.kind, number);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.refs.add_number(self.kind, number);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.refs.add_number(self.kind, number);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VIN: &str = "3VWFE21C04M000001";
    const OTHER: &str = "3VWFE21C04M000002";

    /// What is found, each vehicle once, in order.
    fn found(add: impl FnOnce(&mut VehicleRefs)) -> (Vec<String>, Vec<String>, bool) {
        let mut refs = VehicleRefs::default();
        add(&mut refs);
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts.dedup();
            texts
        };
        let vins = refs.vins.iter().map(|vin| vin.as_str().to_owned());
        let plates = refs.plates.iter().map(|plate| plate.as_str().to_owned());
        (sorted(vins.collect()), sorted(plates.collect()), refs.is_sure)
    }

    fn refs(vins: &[&str], plates: &[&str], is_sure: bool) -> (Vec<String>, Vec<String>, bool) {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        (owned(vins), owned(plates), is_sure)
    }

    #[test]
    fn finds_vehicles_in_a_path() {
        for (path, vins, plates, is_sure) in [
            (
                "/api/v3/vehicles/3vw-fe21c04m000001/x",
                &[VIN][..],
                &["API", "V3", "VEHICLES", "X"][..],
                true,
            ),
            ("/3VWFE21C04M000001/3VW%20FE21C04M000002", &[VIN, OTHER], &[], true),
            ("/plates/abc-123/x", &[], &["ABC123", "PLATES", "X"], true),
            ("/Plate/ABC%20123", &[], &["123", "ABC", "ABC123", "PLATE"], true),
            ("/placas/%27ABC123", &[], &["ABC123", "PLACAS"], true),
            ("/vehicles/ABC123", &[], &["ABC123", "VEHICLES"], false),
            ("/vehicles/ABC%20123", &[], &["ABC123", "VEHICLES"], false),
            (
                "/vehicles/3VWFE21C04M000001%2C3VWFE21C04M000002",
                &[VIN, OTHER],
                &["VEHICLES"],
                false,
            ),
            ("/plates/", &[], &["PLATES"], false),
            ("*", &[], &[], false),
        ] {
            let found = found(|refs| {
                refs.add_path(path);
                refs.guess_plates(path);
            });
            assert_eq!(found, refs(vins, plates, is_sure), "{path}");
        }
    }

    #[test]
    fn finds_vehicles_in_a_query() {
        for (query, vins, plates, is_sure) in [
            ("vin=3vw-fe21c04m000001", &[VIN][..], &[][..], true),
            ("a=b&serie=3VW+FE21C04M000001&x", &[VIN], &[], true),
            ("3VWFE21C04M000001", &[VIN], &[], true),
            ("3VWFE21C04M000001=3VWFE21C04M000002", &[VIN, OTHER], &[], true),
            ("vins=3VWFE21C04M000001,3VWFE21C04M000002", &[VIN, OTHER], &[], false),
            ("q=%7B%22vin%22:%223VWFE21C04M000001%22%7D", &[VIN], &[], false),
            ("old%50late=abc+123", &[], &["123", "ABC", "ABC123"], true),
            ("placas=A1;B2", &[], &["A1", "B2"], false),
            ("name=ABC123&%zz=%ff", &[], &[], false),
        ] {
            assert_eq!(found(|refs| refs.add_query(query)), refs(vins, plates, is_sure), "{query}");
        }
    }

    #[test]
    fn finds_vehicles_at_any_depth_of_a_body() {
        for (json, vins, plates, is_sure) in [
            (
                r#"[{"a":{"VIN":"3vw-fe21c04m000001","n":[1,-1,1.5,null,true]}}]"#,
                &[VIN][..],
                &[][..],
                true,
            ),
            (
                r#"{"vin":"3VWFE21C04M000002","oldVin":"3VWFE21C04M000001"}"#,
                &[VIN, OTHER],
                &[],
                true,
            ),
            (
                r#"{"vin":"3VWFE21C04M000002","vins":["3VWFE21C04M000001"]}"#,
                &[VIN, OTHER],
                &[],
                true,
            ),
            (
                r#"{"vin":"3VWFE21C04M000002","vehiculo":{"serie":"3VWFE21C04M000001","placas":"p-1"}}"#,
                &[VIN, OTHER],
                &["P1"],
                true,
            ),
            (r#"{"3VWFE21C04M000001":{"color":"red"}}"#, &[VIN], &[], true),
            (r#"{"a":"3VWFE21C04M000001\n3VWFE21C04M000002"}"#, &[VIN, OTHER], &[], false),
            (r#"{"a":"{\"vin\":\"3VWFE21C04M000001\"}"}"#, &[VIN], &[], false),
            (r#""3VWFE21C04M00000\u0031""#, &[VIN], &[], true),
            (
                r#"{"plate":["a-1",{"plate":"b-2","vin":"no"}],"pl\u0061te":"c3"}"#,
                &[],
                &["A1", "B2", "C3", "NO", "PLATE", "VIN"],
                true,
            ),
            (
                r#"{"plate":{"text":"d4","of":[{"state":"e5"}]}}"#,
                &[],
                &["D4", "E5", "OF", "STATE", "TEXT"],
                true,
            ),
            (r#"{"newPlate":"d4","PLACA_ANTERIOR":"e5"}"#, &[], &["D4", "E5"], true),
            (r#"{"plate":"ABC123/DEF456"}"#, &[], &["ABC123", "ABC123DEF456", "DEF456"], true),
            (r#"{"matricula":"ABC123","place":"A1"}"#, &[], &[], false),
            ("\u{feff}{\"plate\":\"A1\"}", &[], &["A1"], true),
        ] {
            let found = found(|refs| assert!(refs.add_json(json.as_bytes()), "{json}"));
            assert_eq!(found, refs(vins, plates, is_sure), "{json}");
        }
    }

    #[test]
    fn finds_vehicles_that_are_named_by_numbers() {
        for (json, vins, plates, is_sure) in [
            (r#"{"plate":123}"#, &[][..], &["123"][..], true),
            (r#"{"plate":[0,999999999999999]}"#, &[], &["0", "999999999999999"], true),
            (r#"{"plate":-123}"#, &[], &["123"], true),
            (r#"{"plate":123.0}"#, &[], &["123"], true),
            (r#"{"plate":1e3}"#, &[], &["1000"], true),
            (r#"{"plate":12.5}"#, &[], &["125"], true),
            (r#"{"vin":12345678901234567}"#, &["12345678901234567"], &[], false),
            (r#"{"plate":1000000000000000,"vin":1}"#, &[], &[], false),
            (r#"{"plate":1e300,"vin":1e16}"#, &["10000000000000000"], &[], false),
            (r#"{"plate":true,"other":123}"#, &[], &[], false),
        ] {
            let found = found(|refs| assert!(refs.add_json(json.as_bytes()), "{json}"));
            assert_eq!(found, refs(vins, plates, is_sure), "{json}");
        }
    }

    #[test]
    fn says_when_a_body_could_not_be_read_to_its_end() {
        let deep = "[".repeat(200);
        for json in ["", "{", r#"{"plate":"A1"} x"#, r#"{"a":1e400}"#, "{'a':1}", deep.as_str()] {
            assert!(!VehicleRefs::default().add_json(json.as_bytes()), "{json}");
        }
        let found = found(|refs| assert!(!refs.add_json(br#"{"plate":"A1","#)));
        assert_eq!(found, refs(&[], &["A1"], true), "what it named until there counts");
    }

    /// A vehicle's text as somebody may spell it.
    fn spelled(text: &str, spelling: usize) -> String {
        match spelling % 5 {
            0 => text.to_owned(),
            1 => text.to_lowercase(),
            2 => format!(" {}-{}", &text[..2], &text[2..]),
            3 => format!("'{text}"),
            _ => text
                .chars()
                .map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap())
                .collect(),
        }
    }

    /// Every byte as an escape, or none but what has to be.
    fn percent_encoded(text: &str, is_all: bool) -> String {
        let is_plain = |byte: u8| !is_all && byte.is_ascii_alphanumeric();
        let encode = |byte: u8| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect()
    }

    fn json_string(text: &str, is_escaped: bool) -> String {
        match is_escaped {
            true => {
                let units = text.encode_utf16();
                let units: String = units.map(|unit| format!("\\u{unit:04x}")).collect();
                format!("\"{units}\"")
            }
            false => serde_json::to_string(text).unwrap(),
        }
    }

    /// Where and how a write names a vehicle: the number of it, the place, the spelling, whether
    /// all of it is escaped, how deep it is nested.
    type Mention = (u32, usize, usize, bool, usize);

    /// Path, query and body of a write with these mentions.
    fn written(mentions: &[Mention]) -> (String, String, String) {
        let (mut path, mut query) = ("/api/v9".to_owned(), "a=b".to_owned());
        let mut members = vec!["\"n\":[1,null,true]".to_owned()];
        for &(number, place, spelling, is_escaped, depth) in mentions {
            let vin = spelled(&vin_of(number), spelling);
            let plate = spelled(&plate_of(number), spelling);
            let (vin_in_url, plate_in_url) =
                (percent_encoded(&vin, is_escaped), percent_encoded(&plate, is_escaped));
            let (vin, plate) = (json_string(&vin, is_escaped), json_string(&plate, is_escaped));
            let plate_name = ["plate", "oldPlates", "PLACA", "placas_nuevas"][depth % 4];
            let member = match place % 8 {
                0 => {
                    path.extend(["/", &vin_in_url]);
                    continue;
                }
                1 => {
                    path.extend(["/", &plate_in_url]);
                    continue;
                }
                2 => {
                    query.extend(["&any=", &vin_in_url]);
                    continue;
                }
                3 => {
                    query.extend(["&", plate_name, "=", &plate_in_url]);
                    continue;
                }
                4 => format!("\"any\":{vin}"),
                5 => format!("\"{plate_name}\":{plate}"),
                6 => format!("{vin}:0"),
                _ => format!("\"{plate_name}\":[{{\"text\":{plate}}}]"),
            };
            let nested = (0..depth).fold(member, |inner, _| format!("\"in\":[{{{inner}}}]"));
            members.push(nested);
        }
        (path, query, format!("{{{}}}", members.join(",")))
    }

    fn vin_of(number: u32) -> String {
        format!("3VWFE21C04M{:06}", number % 1_000_000)
    }

    fn plate_of(number: u32) -> String {
        format!("AB{:05}C", number % 100_000)
    }

    proptest! {
        #[test]
        fn no_write_names_a_vehicle_that_is_not_found(
            mentions in proptest::collection::vec(
                (0..1_000_000_u32, 0..8_usize, 0..5_usize, any::<bool>(), 0..6_usize), 1..8)
        ) {
            let (path, query, body) = written(&mentions);
            let mut refs = VehicleRefs::default();
            refs.add_path(&path);
            refs.guess_plates(&path);
            refs.add_query(&query);
            prop_assert!(refs.add_json(body.as_bytes()), "{}", body);
            for &(number, place, ..) in &mentions {
                let is_found = match place % 8 {
                    0 | 2 | 4 | 6 => refs.vins.contains(&Vin::parse(&vin_of(number)).unwrap()),
                    _ => refs.plates.contains(&Plate::parse(&plate_of(number)).unwrap()),
                };
                prop_assert!(is_found, "{} in {}?{} {}", number, path, query, body);
            }
        }
    }
}
