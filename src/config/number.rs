//! Counts and parts of one, between bounds that stand in the type.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Whole<const MIN: u32, const MAX: u32>(pub(crate) u32);

/// A part of one: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Part(pub(crate) f64);

// === impl Whole ===

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number, for counts of things in memory.
    pub(crate) fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MIN: u32, const MAX: u32>;

        impl<const MIN: u32, const MAX: u32> de::Visitor<'_> for Visitor<MIN, MAX> {
            type Value = Whole<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                self.visit_i128(number.into())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_i128(number.into())
            }

            fn visit_i128<E: de::Error>(self, number: i128) -> Result<Self::Value, E> {
                u32::try_from(number)
                    .ok()
                    .filter(|number| (MIN..=MAX).contains(number))
                    .map(Whole)
                    .ok_or_else(|| invalid(number, &self))
            }
        }

        deserializer.deserialize_u32(Visitor)
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

// === impl Part ===

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Part, E> {
                match number {
                    0 => Ok(Part(0.0)),
                    1 => Ok(Part(1.0)),
                    _ => Err(invalid(number, &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Part, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Part, E> {
                // Neither infinite nor "not a number" is in the range.
                if (0.0..=1.0).contains(&number) {
                    Ok(Part(number))
                } else {
                    Err(invalid(number, &self))
                }
            }
        }

        deserializer.deserialize_f64(Visitor)
    }
}

impl JsonSchema for Part {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Part".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

fn invalid<E: de::Error>(found: impl fmt::Display, expected: &dyn de::Expected) -> E {
    E::invalid_value(de::Unexpected::Other(&found.to_string()), expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_whole_numbers_within_their_bounds() {
        for (text, want) in [
            ("1", Ok(1)),
            ("500", Ok(500)),
            ("0", Err("invalid value: 0, expected a whole number from 1 to 500")),
            ("501", Err("invalid value: 501, expected a whole number from 1 to 500")),
            ("-1", Err("invalid value: -1, expected a whole number from 1 to 500")),
            (
                "18446744073709551615",
                Err("invalid value: 18446744073709551615, expected a whole number from 1 to 500"),
            ),
        ] {
            let value: serde_json::Value = text.parse().unwrap();
            let read = serde_json::from_value::<Whole<1, 500>>(value);
            assert_eq!(
                read.map(|whole| whole.0).map_err(|error| error.to_string()),
                want.map_err(str::to_owned)
            );
        }
    }

    #[test]
    fn keeps_parts_between_nothing_and_all() {
        for (number, fine) in [
            ("0", true),
            ("1", true),
            ("0.1", true),
            ("1.0", true),
            ("2", false),
            ("-1", false),
            ("1.01", false),
            ("-0.1", false),
            ("nan", false),
            ("inf", false),
        ] {
            let read = Part::deserialize(toml::de::ValueDeserializer::parse(number).unwrap());
            assert_eq!(read.is_ok(), fine, "{number}");
        }
    }
}
