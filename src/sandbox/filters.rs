//! The filters of the list of vehicles.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use self::{
    Bounds::{Characters, Integer, Range},
    Effect::{Checked, Selects},
};
use super::error::ApiError;

enum Bounds {
    /// A text of at most so many characters.
    Characters(usize),
    Integer,
    /// A number from 0 to this one.
    Range(i64),
}

#[derive(PartialEq, Eq)]
enum Effect {
    /// It selects vehicles: the sandbox has this member.
    Selects,
    /// Its value is only checked: the sandbox has no such member.
    Checked,
}

const FILTERS: [(&str, Bounds, Effect); 26] = [
    ("assetStatusId", Range(9), Selects),
    ("assemblyPlace", Characters(150), Checked),
    ("axes", Characters(150), Checked),
    ("brandName", Characters(150), Checked),
    ("cilinders", Characters(150), Checked),
    ("class", Characters(150), Checked),
    ("country", Characters(150), Checked),
    ("customId", Characters(50), Checked),
    ("doors", Range(30), Checked),
    ("lessorName", Characters(300), Checked),
    ("modelName", Characters(150), Checked),
    ("observations", Characters(150), Checked),
    ("ownerName", Characters(150), Selects),
    ("plate", Characters(15), Selects),
    ("plateEntity", Characters(50), Checked),
    ("registrationInstitution", Characters(150), Checked),
    ("registrationSheet", Characters(150), Checked),
    ("rfcName", Characters(300), Checked),
    ("stateId", Integer, Checked),
    ("supplementaryData", Characters(150), Checked),
    ("taxIdentifier", Characters(128), Selects),
    ("type", Characters(150), Checked),
    ("variation", Characters(150), Checked),
    ("vehicleColor", Characters(150), Checked),
    ("version", Characters(50), Checked),
    ("vin", Characters(17), Selects),
];

/// The filters of a call that select vehicles, by name, with their values.
pub(super) struct Filters(Vec<(&'static str, String)>);

// === impl Filters ===

impl Filters {
    /// The filters of a query string. An empty one is none, and names that are not documented
    /// (paging and sorting have some) pass.
    ///
    /// # Errors
    ///
    /// 400 `BadParameters` for a value that is longer than documented, or not the number it has
    /// to be.
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut selecting = Vec::new();
        for (given, value) in parameters(query).filter(|(_, value)| !value.is_empty()) {
            let Some((name, bounds, effect)) = FILTERS.iter().find(|(name, ..)| *name == given)
            else {
                continue;
            };
            if !bounds.allow(&value) {
                return Err(ApiError::bad_parameters(format!("{name} is out of bounds")));
            }
            if *effect == Selects {
                selecting.push((*name, value));
            }
        }
        Ok(Self(selecting))
    }

    /// Whether all of them select a vehicle: a number is the same, a text is contained in any
    /// case.
    pub(super) fn select(&self, vehicle: &Value) -> bool {
        self.0.iter().all(|(name, value)| match vehicle.get(name) {
            Some(Value::String(text)) => text.to_lowercase().contains(&value.to_lowercase()),
            Some(member) => member.as_i64() == value.parse().ok(),
            None => false,
        })
    }
}

// === impl Bounds ===

impl Bounds {
    fn allow(&self, value: &str) -> bool {
        let number = value.parse::<i64>().ok();
        match self {
            Characters(most) => value.chars().count() <= *most,
            Integer => number.is_some(),
            Range(last) => number.is_some_and(|number| (0..=*last).contains(&number)),
        }
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(move |(name, value)| (decode(name), decode(value)))
}
