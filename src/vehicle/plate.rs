use std::fmt;

use super::{
    Invalid,
    clean::{clean_char, clean_into, fold, is_blank},
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

/// Characters of the shortest text that counts as one of two plates.
const MIN_PART: u8 = 5;

/// Characters up to which a text is one plate, however it is written.
const MAX_SURE: u8 = 10;

impl Plate {
    /// Characters in the longest plate.
    pub const MAX_LENGTH: usize = 15;

    /// Cleans `text` (see [`clean`](super::clean())) and checks what is left. Two plates are none.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let plate = Self::parse_one(text);
        match plate {
            // What is short, or has another character, is not two.
            Ok(Self { length: ..=MAX_SURE, .. }) => plate,
            Ok(_) | Err(Invalid::PlateLength(_)) if Self::parse_two(text).is_some() => {
                Err(Invalid::TwoPlates)
            }
            _ => plate,
        }
    }

    /// The two plates that `text` holds, with a slash, a line break or blanks between them. A part
    /// counts as a plate if it has 5 or more characters, a digit and a letter among them; together
    /// they are longer than 10, since many write one plate in two groups.
    pub fn parse_two(text: &str) -> Option<(Self, Self)> {
        let mut cleaned = String::new();
        // Where a separator was; many in a row are one, so that a long text costs no more.
        let mut cuts = Vec::new();
        for c in text.chars().map(fold) {
            if c == '/' || is_blank(c) {
                if cuts.last() != Some(&cleaned.len()) {
                    cuts.push(cleaned.len());
                }
            } else {
                cleaned.extend(clean_char(c));
            }
            if cleaned.len() > 2 * Self::MAX_LENGTH {
                return None;
            }
        }
        cuts.into_iter()
            .filter_map(|cut| {
                let (first, second) = cleaned.split_at(cut);
                Some((Self::parse_part(first)?, Self::parse_part(second)?))
            })
            .find(|(first, second)| first.length + second.length > MAX_SURE)
    }

    fn parse_part(text: &str) -> Option<Self> {
        let plate = Self::parse_one(text).ok()?;
        let has = |is_kind: fn(&u8) -> bool| plate.as_bytes().iter().any(is_kind);
        let is_likely =
            plate.length >= MIN_PART && has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase);
        is_likely.then_some(plate)
    }

    fn parse_one(text: &str) -> Result<Self, Invalid> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric();
        let (bytes, length) = clean_into(text, is_allowed).map_err(Invalid::PlateCharacter)?;
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
    fn refuses_two_plates_in_one_text() {
        for typed in [
            "99AA9A/99AA9A",
            "99AA9A / 99AA9A",
            "99-AA-9A\n99-AA-8A",
            "99aa9a\r\n99aa8a",
            "ABC123 DEF456",
            "ABC 123 DEF 456",
            "ABC 123 / DEF 456",
            "'ABC123\u{3164}DEF456",
            "ABC123\u{ff0f}DEF456",
            "ABC123\u{2028}DEF456",
            "ABC12 DEF456",
            "99AA9A/99AA9A/99AA9A",
            "99AA9A/99AA9A/99AA9A/99AA9A",
        ] {
            assert_eq!(Plate::parse(typed), Err(Invalid::TwoPlates), "{typed:?}");
        }
    }

    #[test]
    fn takes_one_plate_in_groups_for_one() {
        for (typed, parsed) in [
            ("ABC12/DEF34", Ok("ABC12DEF34")),
            ("ABC 123 D4", Ok("ABC123D4")),
            ("ABC123-DEF456", Ok("ABC123DEF456")),
            ("ABC123_DEF456", Ok("ABC123DEF456")),
            ("ABC123\u{200b}DEF456", Ok("ABC123DEF456")),
            ("ABCDEF 123456", Ok("ABCDEF123456")),
            ("ABCDEFG 12345H", Ok("ABCDEFG12345H")),
            ("A123 BCDEF4567", Ok("A123BCDEF4567")),
            ("ABC123 DEF#456", Err(Invalid::PlateCharacter('#'))),
        ] {
            let plate = Plate::parse(typed);
            assert_eq!(plate.as_ref().map(Plate::as_str), parsed.as_ref().copied(), "{typed:?}");
        }
    }

    #[test]
    fn counts_a_plate_of_many_thousand_characters_without_overflow() {
        let typed = "A".repeat(70_000);
        assert_eq!(Plate::parse(&typed), Err(Invalid::PlateLength(70_000)));
        // And looks for two plates only once, however many blanks there are.
        let typed = format!("ABC{}123DEF45", " ".repeat(2_000_000));
        assert_eq!(Plate::parse(&typed).unwrap().as_str(), "ABC123DEF45");
    }

    #[test]
    fn never_prints_itself() {
        let plate = Plate::parse("MFF956M").unwrap();
        assert_eq!(format!("{plate:?}"), "Plate(***)");
    }
}
