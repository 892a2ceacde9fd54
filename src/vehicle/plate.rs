use std::fmt;

use super::{
    Invalid,
    clean::{clean_ascii, cleaned_chars},
};

/// A number plate: 1 to 15 of `0-9 A-Z`.
///
/// 15 is the longest that any page of the Sync documentation allows (the list filter);
/// narrower limits are left to Sync.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plate {
    /// Unused places are zero, so that derived comparisons see the text alone.
    bytes: [u8; Plate::MAX_LENGTH],
    length: u8,
}

// === impl Plate ===

impl Plate {
    /// Characters in the longest plate.
    pub const MAX_LENGTH: usize = 15;

    /// Cleans `text` (see [`clean`](super::clean())) and checks what is left.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut bytes = [0; Self::MAX_LENGTH];
        let mut length = 0;
        for &byte in text.as_bytes() {
            if !byte.is_ascii() {
                return Self::parse_unicode(text);
            }
            let Some(byte) = clean_ascii(byte) else {
                continue;
            };
            if !byte.is_ascii_alphanumeric() {
                return Err(Invalid::PlateCharacter(char::from(byte)));
            }
            if let Some(place) = bytes.get_mut(length) {
                *place = byte;
            }
            length += 1;
        }
        match u8::try_from(length) {
            Ok(0) => Err(Invalid::Empty),
            Ok(short) if length <= Self::MAX_LENGTH => Ok(Self { bytes, length: short }),
            _ => Err(Invalid::PlateLength(length)),
        }
    }

    /// The plate itself. It is personal data: not for logs, labels or errors.
    pub fn as_str(&self) -> &str {
        // ASCII is checked when the value is made, so this never falls back.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The plate's bytes, all ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The plate's bytes, then zeros.
    pub(super) fn padded(&self) -> &[u8; Self::MAX_LENGTH] {
        &self.bytes
    }

    #[cold]
    fn parse_unicode(text: &str) -> Result<Self, Invalid> {
        let cleaned: String = cleaned_chars(text).collect();
        match cleaned.chars().find(|c| !c.is_ascii_alphanumeric()) {
            Some(foreign) => Err(Invalid::PlateCharacter(foreign)),
            None => Self::parse(&cleaned),
        }
    }
}

impl fmt::Debug for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plate(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_spelling_to_one_value() {
        let want = Plate::parse("MFF956M").unwrap();
        for typed in ["MF.F956M", "mff 956-m", "*MFF956M*", "ＭＦＦ９５６Ｍ"] {
            assert_eq!(Plate::parse(typed), Ok(want), "{typed:?}");
        }
        assert_eq!(want.as_str(), "MFF956M");
    }

    #[test]
    fn allows_1_to_15_characters() {
        for (typed, parsed) in [
            ("", Err(Invalid::Empty)),
            ("--", Err(Invalid::Empty)),
            ("A", Ok("A")),
            ("ABCDEFGHIJKLMNO", Ok("ABCDEFGHIJKLMNO")),
            ("ABCDEFGHIJKLMNOP", Err(Invalid::PlateLength(16))),
            ("AB#", Err(Invalid::PlateCharacter('#'))),
            ("ÑAB", Err(Invalid::PlateCharacter('Ñ'))),
            ("\u{200b}#Ñ", Err(Invalid::PlateCharacter('#'))),
        ] {
            let plate = Plate::parse(typed);
            assert_eq!(plate.as_ref().map(Plate::as_str), parsed.as_ref().copied(), "{typed:?}");
        }
    }

    #[test]
    fn counts_a_plate_of_many_thousand_characters_without_overflow() {
        let typed = "A".repeat(70_000);
        assert_eq!(Plate::parse(&typed), Err(Invalid::PlateLength(70_000)));
    }

    #[test]
    fn never_prints_itself() {
        let plate = Plate::parse("MFF956M").unwrap();
        assert_eq!(format!("{plate:?}"), "Plate(***)");
    }
}
