//! The one spelling of a VIN or plate: what people put between and around its characters goes.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// What becomes of an ASCII byte: itself in upper case, or [`REMOVED`].
const ASCII: [u8; 128] = ascii();

/// Marks a byte that cleaning removes. No cleaned text contains NUL: it is removed itself.
const REMOVED: u8 = 0;

/// What a spreadsheet puts before a text that could be taken for a number.
const TEXT_MARK: char = '\'';

/// Cleans a VIN or plate without checking it.
///
/// Full-width forms (U+FF01–FF5E) become ASCII. White space and what looks like it, controls (Cc),
/// formats (Cf), dashes and `. _ / *` are removed, and of what is left the apostrophes in front:
/// a spreadsheet marks a text with one. ASCII letters become upper case. Nothing else is
/// repaired: an `O` stays an `O`. Borrows when there is nothing to do.
pub fn clean(text: &str) -> Cow<'_, str> {
    let is_clean = |byte: u8| byte.is_ascii() && clean_ascii(byte) == Some(byte);
    if text.bytes().all(is_clean) && !text.starts_with(TEXT_MARK) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    cleaned.extend(cleaned_chars(text));
    Cow::Owned(cleaned)
}

/// The bytes of `text` that cleaning leaves, as far as they fit, and their number.
///
/// # Errors
///
/// The first character that is not `is_allowed`.
pub(super) fn clean_into<const N: usize>(
    text: &str,
    is_allowed: impl Fn(u8) -> bool + Copy,
) -> Result<([u8; N], usize), char> {
    let mut bytes = [0; N];
    let mut length = 0;
    for &byte in text.as_bytes() {
        if !byte.is_ascii() {
            return clean_unicode_into(text, is_allowed);
        }
        let Some(byte) = clean_ascii(byte) else {
            continue;
        };
        if length == 0 && char::from(byte) == TEXT_MARK {
            continue;
        }
        if !is_allowed(byte) {
            return Err(char::from(byte));
        }
        if let Some(place) = bytes.get_mut(length) {
            *place = byte;
        }
        length += 1;
    }
    Ok((bytes, length))
}

#[cold]
fn clean_unicode_into<const N: usize>(
    text: &str,
    is_allowed: impl Fn(u8) -> bool + Copy,
) -> Result<([u8; N], usize), char> {
    let cleaned: String = cleaned_chars(text).collect();
    let is_foreign =
        |&c: &char| !u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && is_allowed(byte));
    match cleaned.chars().find(is_foreign) {
        Some(foreign) => Err(foreign),
        None => clean_into(&cleaned, is_allowed),
    }
}

/// The characters of `text` that cleaning leaves, as it leaves them.
fn cleaned_chars(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter_map(clean_char)
        .skip_while(|&c| c == TEXT_MARK)
}

/// What cleaning makes of an ASCII byte, `None` if it is removed.
#[inline]
fn clean_ascii(byte: u8) -> Option<u8> {
    let cleaned = ASCII[usize::from(byte & 0x7f)];
    (cleaned != REMOVED).then_some(cleaned)
}

/// `c`, or the ASCII character of which it is the full-width form.
pub(super) fn fold(c: char) -> char {
    match c {
        // The block mirrors ASCII at a fixed distance.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// Whether a character is white space, or shown as if it were.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Whether a character has no look of its own although its category does not say so: the rest of
/// Unicode's `Default_Ignorable_Code_Point`.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2065}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a character is a dash to whoever types it, although its category says something else.
fn looks_like_a_dash(c: char) -> bool {
    matches!(c, '\u{2d7}' | '\u{2043}' | '\u{2212}')
}

/// What cleaning makes of a character, `None` if it is removed.
pub(super) fn clean_char(c: char) -> Option<char> {
    let folded = fold(c);
    if let Ok(byte) = u8::try_from(folded)
        && byte.is_ascii()
    {
        return clean_ascii(byte).map(char::from);
    }
    let removed = is_blank(folded)
        || is_invisible(folded)
        || looks_like_a_dash(folded)
        || matches!(
            folded.general_category(),
            GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::DashPunctuation
        );
    (!removed).then_some(folded)
}

const fn ascii() -> [u8; 128] {
    let mut table = [REMOVED; 128];
    let mut byte = 0;
    while byte < 128 {
        let at = byte as usize;
        table[at] = match byte {
            b'.' | b'_' | b'/' | b'*' | b'-' | b' ' => REMOVED,
            0x00..=0x1f | 0x7f => REMOVED,
            _ => byte.to_ascii_uppercase(),
        };
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_people_type_around_the_characters() {
        for (typed, cleaned) in [
            ("3VWFE21C04M000001", "3VWFE21C04M000001"),
            ("3vw-fe21c04m000001", "3VWFE21C04M000001"),
            (" 3VW FE2\t1C0\u{a0}4M000001\r\n", "3VWFE21C04M000001"),
            ("*3VW.FE2_1C0/4M000001*", "3VWFE21C04M000001"),
            ("3VW\u{2010}FE2\u{2013}1C0\u{2014}4M\u{2212}000001", "3VWFE21C04M000001"),
            ("\u{feff}3VW\u{200b}FE2\u{ad}1C0\u{2060}4M000001", "3VWFE21C04M000001"),
            ("３ＶＷｆｅ２１Ｃ０４Ｍ０００００１", "3VWFE21C04M000001"),
            ("ABC\u{ff0d}12\u{ff0e}3", "ABC123"),
            ("\u{ff0a}abc\u{ff3f}1\u{ff0f}2", "ABC12"),
            ("A\u{3164}B\u{2800}C\u{fe0f}1\u{34f}2\u{ffa0}3\u{e0100}", "ABC123"),
            ("ABC\u{2043}12\u{2d7}3", "ABC123"),
            ("'ABC123", "ABC123"),
            ("''ABC123", "ABC123"),
            (" *'-'ABC123", "ABC123"),
            ("\u{ff07}ABC123", "ABC123"),
            ("'", ""),
            ("ABC\0", "ABC"),
            ("\0", ""),
            ("", ""),
            (" - ", ""),
        ] {
            assert_eq!(clean(typed), cleaned, "{typed:?}");
        }
    }

    #[test]
    fn repairs_nothing_else() {
        for (typed, cleaned) in [
            ("o0i1", "O0I1"),
            ("ñ1", "ñ1"),
            ("abc#1", "ABC#1"),
            ("a'b'", "A'B'"),
            ("\u{2019}a", "\u{2019}A"),
            ("ß", "ß"),
            ("A\u{301}", "A\u{301}"),
            ("а", "а"),
        ] {
            assert_eq!(clean(typed), cleaned, "{typed:?}");
        }
    }

    #[test]
    fn borrows_what_is_clean_already() {
        assert!(matches!(clean("3VWFE21C04M000001"), Cow::Borrowed(_)));
    }

    #[test]
    fn is_idempotent_for_every_character() {
        for c in '\0'..=char::MAX {
            let once = clean(c.encode_utf8(&mut [0; 4])).into_owned();
            assert_eq!(clean(&once), once, "{c:?}");
        }
    }
}
