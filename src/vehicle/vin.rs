use std::fmt;

use super::{Invalid, clean::clean_into};

/// A vehicle identification number: 17 of `0-9 A-Z` without `I`, `O`, `Q` (ISO 3779).
///
/// The check digit is not verified; many markets do not use it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vin([u8; Vin::LENGTH]);

impl Vin {
    /// Characters in every VIN.
    pub const LENGTH: usize = 17;

    /// Cleans `text` (see [`clean`](super::clean())) and checks what is left.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // As a rule it is clean already. Without a branch, its bytes are checked all at once.
        if let Ok(vin) = <[u8; Self::LENGTH]>::try_from(text.as_bytes())
            && vin
                .iter()
                .fold(true, |good, &byte| good & is_vin_byte(byte))
        {
            return Ok(Self(vin));
        }
        match clean_into(text, is_vin_byte).map_err(Invalid::VinCharacter)? {
            (vin, Self::LENGTH) => Ok(Self(vin)),
            (_, 0) => Err(Invalid::Empty),
            (_, length) => Err(Invalid::VinLength(length)),
        }
    }

    /// The VIN itself. It is personal data: not for logs, labels or errors.
    pub fn as_str(&self) -> &str {
        // ASCII is checked when the value is made, so this never falls back.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The VIN's bytes, all ASCII.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Vin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vin(***)")
    }
}

fn is_vin_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'H' | b'J'..=b'N' | b'P' | b'R'..=b'Z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_spelling_to_one_value() {
        let want = Vin::parse("3VWFE21C04M000001").unwrap();
        for typed in
            ["3vw-fe21c04m000001", " 3VW FE21C0 4M000001 ", "３ＶＷＦＥ２１Ｃ０４Ｍ０００００１"]
        {
            assert_eq!(Vin::parse(typed), Ok(want), "{typed:?}");
        }
        assert_eq!(want.as_str(), "3VWFE21C04M000001");
    }

    #[test]
    fn refuses_what_is_no_vin() {
        for (typed, why) in [
            ("", Invalid::Empty),
            (" - ", Invalid::Empty),
            ("3VWFE21C04M00000", Invalid::VinLength(16)),
            ("3VWFE21C04M0000011", Invalid::VinLength(18)),
            ("3VWFE21C04M00000O", Invalid::VinCharacter('O')),
            ("3VWFE21C04M00000i", Invalid::VinCharacter('I')),
            ("QVWFE21C04M000001", Invalid::VinCharacter('Q')),
            ("3VWFE21C04M00000#", Invalid::VinCharacter('#')),
            ("3VWFE21C04M00000ñ", Invalid::VinCharacter('ñ')),
            ("3VWFE21C04M00000\u{ff2f}", Invalid::VinCharacter('O')),
            ("\u{200b}#ñ", Invalid::VinCharacter('#')),
        ] {
            assert_eq!(Vin::parse(typed), Err(why), "{typed:?}");
        }
    }

    #[test]
    fn never_prints_itself() {
        let vin = Vin::parse("3VWFE21C04M000001").unwrap();
        assert_eq!(format!("{vin:?}"), "Vin(***)");
    }
}
