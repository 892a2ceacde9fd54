//! VIN and plate in the query of the vehicle list.
//!
//! They are filters there and may be parts of a VIN or plate, so they are cleaned, not parsed.

use std::{borrow::Cow, fmt::Write as _};

use http::Uri;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::path::{has_only_whole_escapes, replace_path_and_query};
use crate::vehicle::clean;

/// `uri` with clean values of `vin` and `plate` in its query; `None` if there is nothing to do.
///
/// Every other byte stays as it is, as do pairs that are not percent-encoded UTF-8.
pub(super) fn normalize(uri: &Uri) -> Option<Uri> {
    let query = clean_query(uri.query()?)?;
    replace_path_and_query(uri, &format!("{}?{query}", uri.path()))
}

/// `query` with clean values of `vin` and `plate`; `None` if they are clean already.
fn clean_query(query: &str) -> Option<String> {
    let mut cleaned = String::new();
    let mut copied = 0;
    let mut start = 0;
    for pair in query.split('&') {
        if let Some((key, value)) = pair.split_once('=')
            && matches!(decode(key).as_deref(), Some("vin" | "plate"))
            && let Some(typed) = decode(value)
            && let clean = clean(&typed)
            && clean != typed
        {
            let value_at = start + key.len() + 1;
            cleaned.push_str(&query[copied..value_at]);
            // Writing to a string does not fail.
            let _ = write!(cleaned, "{}", utf8_percent_encode(&clean, NON_ALPHANUMERIC));
            copied = start + pair.len();
        }
        start += pair.len() + 1;
    }
    if copied == 0 {
        return None;
    }
    cleaned.push_str(&query[copied..]);
    Some(cleaned)
}

/// What a form's key or value stands for; `None` if it is not percent-encoded UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    if !has_only_whole_escapes(text.as_bytes()) {
        return None;
    }
    let spaced: Vec<u8> = text
        .bytes()
        .map(|byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    let decoded = percent_decode(&spaced).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cleans_vin_and_plate_and_nothing_else() {
        for (typed, clean) in [
            ("vin=3vw-fe21", "vin=3VWFE21"),
            ("a=b-c&plate=abc+12%203&d=e%2Df&x", "a=b-c&plate=ABC123&d=e%2Df&x"),
            ("vin=a&vin=b-&vin=C", "vin=A&vin=B&vin=C"),
            ("%76in=a.b", "%76in=AB"),
            ("plate=%C3%B1-1", "plate=%C3%B11"),
            ("vin=a=b", "vin=A%3DB"),
            ("vin=-&plate=", "vin=&plate="),
            ("&&vin=a&", "&&vin=A&"),
        ] {
            assert_eq!(clean_query(typed).as_deref(), Some(clean), "{typed}");
        }
    }

    #[test]
    fn leaves_clean_values_foreign_keys_and_what_it_cannot_decode() {
        for query in [
            "",
            "vin",
            "vin=",
            "vin=3VW&plate=%41BC",
            "VIN=a&vins=b&customId=a-b&rfcName=x_y",
            "vin=%&plate=%f",
            "vin=%FFa",
            "vin=a;plate=b".replace("a;plate=b", "A;PLATE").as_str(),
            "%zzvin=a",
        ] {
            assert_eq!(clean_query(query), None, "{query}");
        }
    }

    #[test]
    fn keeps_scheme_authority_and_path() {
        let uri = "http://gate:8080/api/vehicles?vin=a-b".parse().unwrap();
        assert_eq!(normalize(&uri).unwrap().to_string(), "http://gate:8080/api/vehicles?vin=AB");
        assert_eq!(normalize(&"/api/vehicles".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn changes_no_other_pair_and_is_done_once(
            pairs in proptest::collection::vec(("(vin|plate|vi%6e|q|a%|)", "[a-cA-C0-9%+=;.-]{0,6}"), 0..6),
        ) {
            let query = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&");
            let once = clean_query(&query).unwrap_or_else(|| query.clone());
            prop_assert_eq!(clean_query(&once), None);
            for ((key, value), cleaned) in pairs.iter().zip(once.split('&')) {
                let (cleaned_key, cleaned_value) = cleaned.split_once('=').unwrap();
                prop_assert_eq!(cleaned_key, key);
                let is_ours = matches!(key.as_str(), "vin" | "plate" | "vi%6e");
                match decode(value).filter(|_| is_ours) {
                    Some(typed) => prop_assert_eq!(decode(cleaned_value).unwrap(), clean(&typed)),
                    None => prop_assert_eq!(cleaned_value, value),
                }
            }
        }
    }
}
