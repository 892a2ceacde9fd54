use std::fmt;

use super::{
    Invalid,
    clean::{TEXT_MARK, clean_ascii, cleaned_chars},
};

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
        let mut vin = [0; Self::LENGTH];
        let mut length = 0;
        for &byte in text.as_bytes() {
            if !byte.is_ascii() {
                return Self::parse_unicode(text);
            }
            let Some(byte) = clean_ascii(byte) else {
                continue;
            };
            if length == 0 && char::from(byte) == TEXT_MARK {
                continue;
            }
            if !is_vin_byte(byte) {
                return Err(Invalid::VinCharacter(char::from(byte)));
            }
            if let Some(place) = vin.get_mut(length) {
                *place = byte;
            }
            length += 1;
        }
        match length {
            Self::LENGTH => Ok(Self(vin)),
            0 => Err(Invalid::Empty),
            _ => Err(Invalid::VinLength(length)),
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

    #[cold]
    fn parse_unicode(text: &str) -> Result<Self, Invalid> {
        let cleaned: String = cleaned_chars(text).collect();
        match cleaned
            .chars()
            .find(|&c| !u8::try_from(c).is_ok_and(is_vin_byte))
        {
            Some(foreign) => Err(Invalid::VinCharacter(foreign)),
            None => Self::parse(&cleaned),
        }
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
