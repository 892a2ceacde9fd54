//! The filters of the list of vehicles.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use self::Bounds::{Characters, Integer, Range};
use super::error::ApiError;

enum Bounds {
    /// A text of at most so many characters.
    Characters(usize),
    Integer,
    /// A number from 0 to this one.
    Range(i64),
}

/// The filters that select vehicles: the sandbox has these members. The values of all others are
/// only checked.
const SELECTING: [&str; 5] = ["assetStatusId", "ownerName", "plate", "taxIdentifier", "vin"];

const FILTERS: [(&str, Bounds); 26] = [
    ("assetStatusId", Range(9)),
    ("assemblyPlace", Characters(150)),
    ("axes", Characters(150)),
    ("brandName", Characters(150)),
    ("cilinders", Characters(150)),
    ("class", Characters(150)),
    ("country", Characters(150)),
    ("customId", Characters(50)),
    ("doors", Range(30)),
    ("lessorName", Characters(300)),
    ("modelName", Characters(150)),
    ("observations", Characters(150)),
    ("ownerName", Characters(150)),
    ("plate", Characters(15)),
    ("plateEntity", Characters(50)),
    ("registrationInstitution", Characters(150)),
    ("registrationSheet", Characters(150)),
    ("rfcName", Characters(300)),
    ("stateId", Integer),
    ("supplementaryData", Characters(150)),
    ("taxIdentifier", Characters(128)),
    ("type", Characters(150)),
    ("variation", Characters(150)),
    ("vehicleColor", Characters(150)),
    ("version", Characters(50)),
    ("vin", Characters(17)),
];

/// The filters of a call that select vehicles, by name, with their values.
pub(super) struct Filters(Vec<(String, String)>);

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
            let filter = FILTERS.iter().find(|(name, _)| *name == given);
            if filter.is_some_and(|(_, bounds)| !bounds.allow(&value)) {
                return Err(ApiError::bad_parameters(format!("{given} is out of bounds")));
            }
            if SELECTING.contains(&&*given) {
                selecting.push((given, value));
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
