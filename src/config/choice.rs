//! One word of a few.

use std::{borrow::Cow, fmt, marker::PhantomData};

use jsonwebtoken::Algorithm;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tracing::Level;

use crate::telemetry::{Access, Format};

/// Values that are chosen by a word.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every word with its value.
    const WORDS: &'static [(&'static str, Self)];
}

/// A `T`, written as its word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OneOf<T>(pub(crate) T);

impl Choice for Format {
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("text", Self::Text)];
}

impl Choice for Access {
    const WORDS: &'static [(&'static str, Self)] =
        &[("all", Self::All), ("errors", Self::Errors), ("off", Self::Off)];
}

impl Choice for Level {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::ERROR),
        ("warn", Self::WARN),
        ("info", Self::INFO),
        ("debug", Self::DEBUG),
        ("trace", Self::TRACE),
    ];
}

impl Choice for Algorithm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("HS256", Self::HS256),
        ("HS384", Self::HS384),
        ("HS512", Self::HS512),
        ("RS256", Self::RS256),
        ("RS384", Self::RS384),
        ("RS512", Self::RS512),
        ("PS256", Self::PS256),
        ("PS384", Self::PS384),
        ("PS512", Self::PS512),
        ("ES256", Self::ES256),
        ("ES384", Self::ES384),
        ("EdDSA", Self::EdDSA),
    ];
}

// === impl OneOf ===

impl<T: Choice> OneOf<T> {
    /// The word that stands for the value.
    pub(crate) fn as_str(self) -> &'static str {
        T::WORDS
            .iter()
            .find(|(_, value)| *value == self.0)
            .map_or("", |(word, _)| *word)
    }
}

impl<T: Choice> Serialize for OneOf<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Choice> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);

        impl<T: Choice> de::Visitor<'_> for Visitor<T> {
            type Value = OneOf<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one of")?;
                for (at, (word, _)) in T::WORDS.iter().enumerate() {
                    write!(f, "{} {word:?}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOf<T>, E> {
                T::WORDS
                    .iter()
                    .find(|(word, _)| *word == text)
                    .map(|(_, value)| OneOf(*value))
                    .ok_or_else(|| {
                        de::Error::invalid_value(de::Unexpected::Other(&format!("{text:?}")), &self)
                    })
            }
        }

        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

impl<T: Choice> JsonSchema for OneOf<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOf".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_words_and_no_other() {
        let read = |word: &str| serde_json::from_value::<OneOf<Access>>(word.into());
        for (word, access) in Access::WORDS {
            assert_eq!(read(word).unwrap().0, *access);
            assert_eq!(OneOf(*access).as_str(), *word);
        }
        assert_eq!(
            read("ALL").unwrap_err().to_string(),
            r#"invalid value: "ALL", expected one of "all", "errors", "off""#
        );
    }

    #[test]
    fn names_algorithms_as_tokens_do() {
        for (word, algorithm) in Algorithm::WORDS {
            assert_eq!(serde_json::to_value(algorithm).unwrap(), *word);
        }
    }
}
