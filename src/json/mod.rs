//! JSON as strictly as a gateway must read it, and changed without being written again.
//!
//! Two programs that read one text differently are where forgers live. So what is read here is
//! one text in UTF-8 with nothing after it, an object where an object is wanted, and a member
//! that counts stands once. Only a byte order mark before the text is ignored, which RFC 8259
//! section 8.1 allows and some writers cannot do without.

mod edit;
mod error;
mod unique;

use std::{fmt, marker::PhantomData};

use http::HeaderValue;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

pub use self::error::NotJson;
pub(crate) use self::{
    edit::{Edits, Member, Members},
    unique::{Name, Names, UniqueMembers},
};

/// A struct that stands as an object.
///
/// What serde derives takes a list as well, its items for the members in order.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        json.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// Reads a `T` from a text that is an object.
pub(crate) fn object_from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(without_bom(json)).map(|Object(object)| object)
}

/// `json` without a byte order mark before it.
pub(crate) fn without_bom(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json)
}

/// Whether a `Content-Type` is `application/json`, whatever its parameters.
pub(crate) fn is_json(content_type: &HeaderValue) -> bool {
    let mut parts = content_type.as_bytes().split(|&byte| byte == b';');
    let media_type = parts.next().unwrap_or_default().trim_ascii();
    media_type.eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_objects_with_or_without_a_byte_order_mark() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Text<'a> {
            a: &'a str,
        }
        for json in ["{\"a\":\"b\"}", "\u{feff}{\"a\":\"b\"}", "\u{feff} {\"a\":\"b\"} "] {
            assert_eq!(object_from_slice::<Text<'_>>(json.as_bytes()).unwrap().a, "b", "{json}");
        }
        for json in [
            "",
            "\u{feff}",
            "\u{feff}\u{feff}{\"a\":\"b\"}",
            " \u{feff}{\"a\":\"b\"}",
            "[\"b\"]",
            "{\"a\":\"b\",\"a\":\"b\"}",
            "{\"a\":\"b\"}\u{feff}",
            "{\"a\":\"b\"}{}",
        ] {
            assert!(object_from_slice::<Text<'_>>(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn is_json_by_the_media_type_alone() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON ; charset=utf-8", true),
            (" application/json;a=b", true),
            ("application/jsonp", false),
            ("application/problem+json", false),
            ("text/json", false),
            ("a=b; application/json", false),
            ("", false),
        ] {
            assert_eq!(is_json(&HeaderValue::from_static(value)), expected, "{value}");
        }
    }
}
