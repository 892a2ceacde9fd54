//! Objects all of whose members stand once.
//!
//! RFC 7515 section 4 and RFC 7519 section 4 let an implementation choose between refusing a
//! name that appears twice and taking the last one. Whoever issued a token and whoever checks it
//! may choose differently, and forgers live in the gap: so a name twice is refused, also when
//! one of the two is spelt with an escape.

use std::{borrow::Cow, collections::HashMap, fmt};

use foldhash::{HashSet, HashSetExt as _};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A member's name, unescaped; borrowed if it is written without escapes.
#[derive(Deserialize)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The names of an object's members, none twice, also if one of two is written with escapes.
#[derive(Default)]
pub(crate) struct Names<'a>(Option<HashSet<Cow<'a, str>>>);

impl<'a> Names<'a> {
    /// Adds a name.
    ///
    /// # Errors
    ///
    /// If it is there already. The message does not quote it.
    pub(crate) fn add<E: Error>(&mut self, Name(name): Name<'a>) -> Result<(), E> {
        // Most objects have none to add.
        let names = self.0.get_or_insert_with(HashSet::new);
        if names.insert(name) { Ok(()) } else { Err(E::custom("a member appears twice")) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// The members of a JSON object, every name once, the values not yet looked at.
pub(crate) struct UniqueMembers<'a>(HashMap<String, &'a RawValue>);

impl<'a> UniqueMembers<'a> {
    /// Takes `json` apart: one object and nothing after it.
    pub(crate) fn parse(json: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// The member `name` as a `T`: `None` if there is none, an error if it is anything else.
    ///
    /// `null` is a value like any other, not an absent member.
    pub(crate) fn get<T: Deserialize<'a>>(&self, name: &str) -> serde_json::Result<Option<T>> {
        self.0
            .get(name)
            .map(|value| serde_json::from_str(value.get()))
            .transpose()
    }

    /// Whether there is a member `name`, whatever its value.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for UniqueMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = HashMap<String, &'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose names are all different")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = HashMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name appears twice"));
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_one_object_with_each_name_once() {
        for json in [
            r#""#,
            r#"null"#,
            r#"[]"#,
            r#""{}""#,
            r#"{"a":1"#,
            r#"{"a":1}}"#,
            r#"{"a":1}{}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            r#"{"a":01}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":null}"#,
            r#"{"a":1,"\u0061":2}"#,
            "\u{feff}{}",
            "{}\u{feff}",
        ] {
            assert!(UniqueMembers::parse(json.as_bytes()).is_err(), "{json}");
        }
        assert!(UniqueMembers::parse(b"{\"a\":\"\xff\"}").is_err(), "not UTF-8");
    }

    #[test]
    fn tells_absent_from_null_from_wrong() {
        let members = UniqueMembers::parse(br#" {"s":"x","n":null,"big":1e400} "#).unwrap();
        assert_eq!(members.get::<String>("s").unwrap().as_deref(), Some("x"));
        assert!(members.get::<String>("absent").unwrap().is_none());
        assert!(members.get::<String>("n").is_err());
        assert!(members.get::<f64>("big").is_err());
        assert!(members.contains("n") && !members.contains("absent"));
    }

    #[test]
    fn does_not_descend_into_deep_values() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(4000), "]".repeat(4000));
        assert!(UniqueMembers::parse(deep.as_bytes()).is_ok());
    }
}
