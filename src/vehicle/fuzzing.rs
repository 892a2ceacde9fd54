//! VINs and plates, whatever somebody typed.

use super::{Invalid, Plate, Vin, clean};

/// Reads a text as a VIN and as a plate.
///
/// Cleaning twice is cleaning once, the spelling does not matter, and what was accepted has the
/// characters that it is to have and prints none of them.
pub fn vehicle(data: &[u8]) {
    let Ok(typed) = std::str::from_utf8(data) else { return };
    let cleaned = clean(typed);
    assert_eq!(clean(&cleaned), cleaned, "cleaned twice is something else");
    assert!(cleaned.len() <= typed.len(), "cleaning adds something");
    if typed.is_ascii() {
        assert_eq!(cleaned, clean_slowly(typed), "another reading cleans in another way");
    }

    let (vin, plate) = (Vin::parse(typed), Plate::parse(typed));
    assert_eq!(Vin::parse(&cleaned), vin, "its spelling decides what a VIN is");
    if plate != Err(Invalid::TwoPlates) {
        assert_eq!(Plate::parse(&cleaned), plate, "its spelling decides what a plate is");
    }
    if let Ok(vin) = vin {
        assert_eq!(vin.as_str(), cleaned);
        assert!(plate.is_err(), "a VIN is longer than any plate");
        assert!(vin.as_str().len() == 17 && vin.as_str().chars().all(is_plain));
        assert!(!vin.as_str().contains(['I', 'O', 'Q']));
        assert!(!format!("{vin:?}").contains(vin.as_str()));
    }
    if let Ok(plate) = plate {
        assert_eq!(plate.as_str(), cleaned);
        assert!((1..=15).contains(&plate.as_str().len()) && plate.as_str().chars().all(is_plain));
        assert_eq!(format!("{plate:?}"), "Plate(***)");
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_digit() || c.is_ascii_uppercase()
}

/// What cleaning makes of ASCII, by the letter of the rule.
fn clean_slowly(ascii: &str) -> String {
    let removed =
        |c: &char| c.is_ascii_whitespace() || c.is_ascii_control() || "-._/*".contains(*c);
    let left: String = ascii
        .to_ascii_uppercase()
        .chars()
        .filter(|c| !removed(c))
        .collect();
    left.trim_start_matches('\'').to_owned()
}
