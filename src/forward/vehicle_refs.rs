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

/// The longest text that could be a VIN or a plate, with all that may stand between its letters.
const MAX_WORD: usize = 64;

/// What a text stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A plate, a VIN, or both.
    Plate,
    /// A VIN, if it is one.
    Other,
}

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
    /// end; what it named until there counts all the same, and so does what any of its words could
    /// name: another parser may read it.
    pub(super) fn add_json(&mut self, json: &[u8]) -> bool {
        let mut read = serde_json::Deserializer::from_slice(without_bom(json));
        let walked = Walk { refs: self, kind: Kind::Other }.deserialize(&mut read);
        let is_read = walked.is_ok() && read.end().is_ok();
        if !is_read {
            self.guess_words(json);
        }
        is_read
    }

    /// Adds every text between two quotes that could be a VIN, or a plate behind a name that says so.
    fn guess_words(&mut self, json: &[u8]) {
        let mut kind = Kind::Other;
        for text in json.split(|byte| *byte == b'"') {
            if text.trim_ascii() == b":" {
                continue;
            }
            let text = match text.len() {
                ..=MAX_WORD => String::from_utf8_lossy(text),
                _ => Cow::default(),
            };
            self.add_guess(kind, &text);
            kind = Kind::of(&text);
        }
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
pub(super) mod tests;
