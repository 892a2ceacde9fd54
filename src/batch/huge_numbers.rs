//! Numbers that are beyond serde's reach.
//!
//! RFC 8259 section 6 sets numbers no range, but serde refuses what is larger than an `f64`, and
//! with it the whole text. Where a string is wanted, every number is equally wrong.

/// `json` with zeros for such numbers, and everything else where it was; `None` if there are none.
pub(super) fn zeroed(json: &[u8]) -> Option<Vec<u8>> {
    let mut zeroed = None;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        let rest = &json[at..];
        let length = match byte {
            b'"' => length_of_string(rest),
            b'-' | b'0'..=b'9' => length_of_number(rest),
            _ => 1,
        };
        if is_huge(&rest[..length]) {
            let number = &mut zeroed.get_or_insert_with(|| json.to_owned())[at..at + length];
            number.fill(b' ');
            number[0] = b'0';
        }
        at += length;
    }
    zeroed
}

/// With both quotes, if there are two.
fn length_of_string(json: &[u8]) -> usize {
    // The first quote does not end it.
    let mut is_escaped = true;
    let end = json.iter().position(|&byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(json.len(), |end| end + 1)
}

fn length_of_number(json: &[u8]) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    json.iter().take_while(|byte| is_part(byte)).count()
}

/// Whether `text` is a number and cannot be read as one.
fn is_huge(text: &[u8]) -> bool {
    matches!(text, [b'-' | b'0'..=b'9', ..])
        && serde_json::from_slice::<f64>(text).is_err()
        && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_nothing_but_huge_numbers() {
        let digits = "9".repeat(400);
        let zero = format!("0{}", " ".repeat(399));
        for (json, expected) in [
            ("[1e999,-1E+999]", "[0    ,0      ]"),
            (r#"{"1e999":1e999,"a\"1e999":"1e999"}"#, r#"{"1e999":0    ,"a\"1e999":"1e999"}"#),
            (r#"["\\",1e999]"#, r#"["\\",0    ]"#),
            (&digits, &zero),
            ("1e999x", "0    x"),
        ] {
            assert_eq!(zeroed(json.as_bytes()).unwrap(), expected.as_bytes(), "{json}");
        }
        for json in ["", "-", "[1,-2.5e3,1e308,1e-999,true]", "01e999", "1e999-", "\"1e999", "\"\\"]
        {
            assert_eq!(zeroed(json.as_bytes()), None, "{json}");
        }
    }
}
