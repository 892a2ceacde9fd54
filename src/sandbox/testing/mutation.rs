//! What a batch response does to its elements.

use serde::{Deserialize, Serialize};

use crate::{
    sandbox::{element, fleet, scraping},
    vehicle::Vehicle,
};

/// What a batch response does to its elements. "First" is the first element it would have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mutation {
    /// An element that was not requested comes first.
    Extra,
    /// The first has no `info`.
    InfoMissing,
    /// The first has `"info":null`.
    InfoNull,
    /// The first has a text for `info`.
    InfoText,
    /// The first is left out.
    Missing,
    /// The elements come in reverse order.
    Reversed,
    /// VIN and plate of the first are in lower case and with dashes.
    Sloppy,
    /// The JSON ends in its middle; the message itself is whole.
    Truncated,
    /// The first comes a second time at the end.
    Twice,
}

impl Mutation {
    /// The body of a response to a call for `requested`, of its elements after `mutations`.
    pub(super) fn envelope(
        mutations: &[Self],
        requested: &[Vehicle],
        mut elements: Vec<(Vehicle, String)>,
    ) -> String {
        for mutation in mutations {
            mutation.apply(requested, &mut elements);
        }
        let mut body = scraping::envelope(&elements);
        if mutations.contains(&Self::Truncated) {
            let middle = body.floor_char_boundary(body.len() / 2);
            body.truncate(middle);
        }
        body
    }

    fn apply(self, requested: &[Vehicle], elements: &mut Vec<(Vehicle, String)>) {
        if self == Self::Extra {
            let extra = fleet::numbered().find(|vehicle| !requested.contains(vehicle));
            let element = |vehicle| (vehicle, element::with_info(&vehicle, "[]"));
            elements.splice(0..0, extra.map(element));
            return;
        }
        let Some((vehicle, first)) = elements.first_mut() else {
            return;
        };
        let (vin, plate) = (vehicle.vin.as_str(), vehicle.plate.as_str());
        match self {
            Self::InfoMissing => *first = element::without_info(vehicle),
            Self::InfoNull => *first = element::with_info(vehicle, "null"),
            Self::InfoText => *first = element::with_info(vehicle, "\"none\""),
            Self::Missing => drop(elements.remove(0)),
            Self::Reversed => elements.reverse(),
            Self::Sloppy => {
                let sloppy = |text: &str| {
                    let (head, tail) = text.split_at(text.len() / 2);
                    format!("\"{head}-{tail} \"").to_lowercase()
                };
                // Also in its items, where a reader may not look for them.
                *first = first
                    .replace(&format!("\"{vin}\""), &sloppy(vin))
                    .replace(&format!("\"{plate}\""), &sloppy(plate));
            }
            Self::Twice => {
                let again = elements[0].clone();
                elements.push(again);
            }
            Self::Extra | Self::Truncated => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_a_vehicle_that_was_not_requested_even_if_none_has_an_element() {
        let requested: Vec<_> = fleet::numbered().take(3).collect();
        let mut elements = Vec::new();
        Mutation::Extra.apply(&requested, &mut elements);
        assert_eq!(elements.len(), 1);
        assert!(!requested.contains(&elements[0].0));
    }

    #[test]
    fn leaves_a_response_without_elements_as_it_is() {
        use Mutation::{InfoMissing, InfoNull, InfoText, Missing, Reversed, Sloppy, Twice};
        let mutations = [InfoMissing, InfoNull, InfoText, Missing, Reversed, Sloppy, Twice];
        assert_eq!(Mutation::envelope(&mutations, &[], Vec::new()), r#"{"vehicleData":[]}"#);
    }
}
