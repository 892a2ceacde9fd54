//! `GET /api/batch/scraping/`: parsed strictly, answered with elements.

use serde_json::Value;

use super::{
    account::Account, element, faults::Mutation, fleet, received::Received, response::Refusal,
};
use crate::vehicle::{Plate, Vehicle, Vin};

/// Vehicles in one call, by the documentation.
const MAX_VEHICLES: usize = 500;

/// What a sound call asks for.
pub(super) struct Asked {
    /// Who asks.
    pub(super) account: Account,
    /// In the order of the request, as often as it names them.
    pub(super) vehicles: Vec<Vehicle>,
}

/// Parses a call.
///
/// # Errors
///
/// 401 without a credential; 400 `BadRequest` for a list that is missing, empty or too long;
/// 400 `BadParameters` for a VIN or plate that is not clean and in upper case.
pub(super) fn parse(received: &Received) -> Result<Asked, Refusal> {
    let account = received.account().ok_or_else(Refusal::unauthorize)?;
    let body = received.json(Refusal::bad_request)?;
    let entries = match body.get("vehicles").and_then(Value::as_array) {
        None => return Err(Refusal::bad_request("there is no list `vehicles`")),
        Some(entries) if entries.is_empty() => {
            return Err(Refusal::bad_request("`vehicles` is empty"));
        }
        // The documentation limits the list but does not say which error that is.
        Some(entries) if entries.len() > MAX_VEHICLES => {
            return Err(Refusal::bad_request("`vehicles` has more than 500 entries"));
        }
        Some(entries) => entries,
    };
    let vehicle = |(at, entry)| {
        vehicle(entry).ok_or_else(|| {
            Refusal::bad_parameters(format!("vehicles[{at}]: vin or plate is invalid"))
        })
    };
    let vehicles = entries
        .iter()
        .enumerate()
        .map(vehicle)
        .collect::<Result<_, _>>()?;
    Ok(Asked { account, vehicles })
}

/// The answer to a call for `asked`, of the elements that there are and after the twists.
pub(super) fn join(
    asked: &[Vehicle],
    mut elements: Vec<(Vehicle, String)>,
    twists: &[Mutation],
) -> String {
    for mutation in twists {
        mutation.apply(asked, &mut elements);
    }
    let texts: Vec<_> = elements.iter().map(|(_, text)| text.as_str()).collect();
    let mut response = format!("{{\"vehicleData\":[{}]}}", texts.join(","));
    if twists.contains(&Mutation::Truncated) {
        let middle = response.floor_char_boundary(response.len() / 2);
        response.truncate(middle);
    }
    response
}

fn vehicle(entry: &Value) -> Option<Vehicle> {
    let vin = entry.get("vin")?.as_str()?;
    let plate = entry.get("plate")?.as_str()?;
    let vehicle = Vehicle { vin: Vin::parse(vin).ok()?, plate: Plate::parse(plate).ok()? };
    (vehicle.vin.as_str() == vin && vehicle.plate.as_str() == plate).then_some(vehicle)
}

// === impl Twist ===

impl Mutation {
    fn apply(self, asked: &[Vehicle], elements: &mut Vec<(Vehicle, String)>) {
        if self == Self::Extra {
            let unasked = fleet::numbered().find(|vehicle| !asked.contains(vehicle));
            let element = |vehicle| (vehicle, element::with_info(&vehicle, "[]"));
            elements.splice(0..0, unasked.map(element));
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
                // Also in its items, where nobody may look for them.
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
    fn adds_a_vehicle_that_was_not_asked_for_even_if_none_has_an_element() {
        let asked: Vec<_> = fleet::numbered().take(3).collect();
        let mut elements = Vec::new();
        Mutation::Extra.apply(&asked, &mut elements);
        assert_eq!(elements.len(), 1);
        assert!(!asked.contains(&elements[0].0));
    }

    #[test]
    fn twists_an_answer_without_elements_into_itself() {
        use Mutation::{InfoMissing, InfoNull, InfoText, Missing, Reversed, Sloppy, Twice};
        let twists = [InfoMissing, InfoNull, InfoText, Missing, Reversed, Sloppy, Twice];
        assert_eq!(join(&[], Vec::new(), &twists), r#"{"vehicleData":[]}"#);
    }
}
