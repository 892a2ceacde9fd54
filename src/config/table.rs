//! Tables that are written as tables.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, value::MapAccessDeserializer},
};

/// A table with the keys of `T`.
///
/// A derived `Deserialize` would also read an array, its elements by position, so that
/// `server = []` would pass for a table without keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Table<T>(pub(crate) T);

/// Reads a `T` from a table only, or says that `expected` was expected.
pub(crate) fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    struct Visitor<T>(&'static str, PhantomData<T>);

    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Visitor(expected, PhantomData))
}

// === impl Table ===

impl<T> Deref for Table<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "a table").map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Keys {
        a: bool,
    }

    #[test]
    fn reads_tables_and_nothing_else() {
        for (text, fine) in [
            ("{}", true),
            ("{ a = true }", true),
            ("[]", false),
            ("[true]", false),
            ("true", false),
            ("\"a\"", false),
        ] {
            let read =
                Table::<Keys>::deserialize(toml::de::ValueDeserializer::parse(text).unwrap());
            assert_eq!(read.is_ok(), fine, "{text}");
        }
    }
}
