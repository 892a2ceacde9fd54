//! The vehicles that a write names, wherever it names them.
//!
//! Sync may add endpoints, so this knows no schema: a member called `vin` or `plate` names a
//! vehicle at any depth, in any case, because a server may read names so. What is found here
//! too much costs a call upstream; what is missed would be served although it has changed.

use std::{borrow::Cow, fmt};

use percent_encoding::percent_decode_str;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::vehicle::{Plate, Vin};

/// Vehicles by VIN or by plate; both may name the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VehicleRefs {
    /// VINs, perhaps twice.
    pub(super) vins: Vec<Vin>,
    /// Plates, perhaps twice.
    pub(super) plates: Vec<Plate>,
}

/// What a text stands for.
#[derive(Clone, Copy)]
enum Kind {
    Vin,
    Plate,
    Other,
}

// === impl VehicleRefs ===

impl VehicleRefs {
    /// Whether nothing is named.
    pub(super) fn is_empty(&self) -> bool {
        self.vins.is_empty() && self.plates.is_empty()
    }

    /// Adds what the segments of `path` name: every VIN, and a plate after `plate` or `plates`.
    pub(super) fn add_path(&mut self, path: &str) {
        let mut before = Cow::Borrowed("");
        for segment in path.split('/') {
            let segment = percent_decode_str(segment).decode_utf8_lossy();
            self.add(Kind::Vin, &segment);
            if let Kind::Plate = Kind::of(before.trim_end_matches(['s', 'S'])) {
                self.add(Kind::Plate, &segment);
            }
            before = segment;
        }
    }

    /// Adds what the members of a JSON text name. Gives `false` if it could not be read to its
    /// end; what it named until there counts all the same.
    pub(super) fn add_json(&mut self, json: &[u8]) -> bool {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let mut json = serde_json::Deserializer::from_slice(json);
        Walk { refs: self, kind: Kind::Other }
            .deserialize(&mut json)
            .is_ok()
            && json.end().is_ok()
    }

    fn add(&mut self, kind: Kind, text: &str) {
        match kind {
            Kind::Vin => self.vins.extend(Vin::parse(text)),
            Kind::Plate => self.plates.extend(Plate::parse(text)),
            Kind::Other => {}
        }
    }

    /// Adds a vehicle that is named without quotes, as a server may read it that takes numbers
    /// for texts: in decimals without an exponent, so that `1e3` and `1000.0` are 1000.
    fn add_number(&mut self, kind: Kind, number: impl ToString) {
        if !matches!(kind, Kind::Other) {
            self.add(kind, &number.to_string());
        }
    }
}

// === impl Kind ===

impl Kind {
    /// What a member of this name holds.
    fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("vin") {
            Self::Vin
        } else if name.eq_ignore_ascii_case("plate") {
            Self::Plate
        } else {
            Self::Other
        }
    }

    /// What a member holds that stands within one of kind `outer`: `{"plate":{"text":…}}`.
    fn or(self, outer: Self) -> Self {
        match self {
            Self::Other => outer,
            refs => refs,
        }
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
            let kind = Kind::of(&name).or(self.kind);
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
    use super::*;

    const VIN: &str = "3VWFE21C04M000001";
    const OTHER: &str = "3VWFE21C04M000002";

    fn refs(vins: &[&str], plates: &[&str]) -> VehicleRefs {
        VehicleRefs {
            vins: vins.iter().map(|vin| Vin::parse(vin).unwrap()).collect(),
            plates: plates
                .iter()
                .map(|plate| Plate::parse(plate).unwrap())
                .collect(),
        }
    }

    #[test]
    fn finds_vehicles_in_a_path() {
        for (path, want) in [
            ("/api/v3/vehicles/3vw-fe21c04m000001/owner", refs(&[VIN], &[])),
            ("/api/3VWFE21C04M000001/3VW%20FE21C04M000002", refs(&[VIN, OTHER], &[])),
            ("/api/plates/abc-123/x", refs(&[], &["ABC123"])),
            ("/api/Plate/ABC%20123", refs(&[], &["ABC123"])),
            ("/api/vehicles/ABC123", refs(&[], &[])),
            ("/api/plates/", refs(&[], &[])),
            ("*", refs(&[], &[])),
        ] {
            let mut found = VehicleRefs::default();
            found.add_path(path);
            assert_eq!(found, want, "{path}");
        }
    }

    #[test]
    fn finds_vehicles_at_any_depth_of_a_body() {
        let json = r#"[{"a":{"VIN":"3vw-fe21c04m000001","n":[1,-1,1.5,null,true]}},
            {"plate":["a 1",{"plate":"b-2","vin":"no vin"}],"pl\u0061te":"c3","vins":["x"]},
            {"plate":{"text":"d4","of":[{"state":"e5"}]}}]"#;
        let mut found = VehicleRefs::default();
        assert!(found.add_json(json.as_bytes()));
        assert_eq!(found, refs(&[VIN], &["A1", "B2", "C3", "D4", "E5"]));
        let mut found = VehicleRefs::default();
        assert!(found.add_json(b"\xef\xbb\xbf{\"plate\":\"A1\"}"));
        assert_eq!(found, refs(&[], &["A1"]));
    }

    #[test]
    fn finds_vehicles_that_are_named_by_numbers() {
        for (json, want) in [
            (r#"{"plate":123}"#, refs(&[], &["123"])),
            (r#"{"plate":[0,{"PLATE":999999999999999}]}"#, refs(&[], &["0", "999999999999999"])),
            (r#"{"plate":-123}"#, refs(&[], &["123"])),
            (r#"{"plate":123.0}"#, refs(&[], &["123"])),
            (r#"{"plate":1e3}"#, refs(&[], &["1000"])),
            (r#"{"plate":12.5}"#, refs(&[], &["125"])),
            (r#"{"vin":12345678901234567}"#, refs(&["12345678901234567"], &[])),
            (r#"{"plate":1000000000000000,"vin":1}"#, refs(&[], &[])),
            (r#"{"plate":1e300,"vin":1e16}"#, refs(&["10000000000000000"], &[])),
            (r#"{"plate":true,"other":123}"#, refs(&[], &[])),
        ] {
            let mut found = VehicleRefs::default();
            assert!(found.add_json(json.as_bytes()), "{json}");
            assert_eq!(found, want, "{json}");
        }
    }

    #[test]
    fn says_when_a_body_could_not_be_read_to_its_end() {
        let deep = "[".repeat(200);
        for json in ["", "{", r#"{"plate":"A1"} x"#, r#"{"a":1e400}"#, "{'a':1}", deep.as_str()] {
            assert!(!VehicleRefs::default().add_json(json.as_bytes()), "{json}");
        }
        let mut found = VehicleRefs::default();
        assert!(!found.add_json(br#"{"plate":"A1","#));
        assert_eq!(found, refs(&[], &["A1"]), "what it named until there counts");
    }
}
