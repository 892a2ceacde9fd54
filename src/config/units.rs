//! Durations and sizes: texts with a unit, between two bounds that stand in the type.
//!
//! The bounds are a part of the type so that the table that holds a key says all there is to say
//! about it, and the reader, the schema and the message of a refusal cannot drift apart.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub(crate) const MILLISECOND: u64 = 1;
pub(crate) const MINUTE: u64 = 60_000 * MILLISECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const TIB: u64 = 1 << 40;

/// A duration from `MIN` to `MAX` milliseconds, written `"15m"` or `"1m 30s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time<const MIN: u64, const MAX: u64>(pub(crate) Duration);

/// Bytes from `MIN` to `MAX`, written `"512MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size<const MIN: u64, const MAX: u64>(pub(crate) u64);

/// A wait that has to end, and that cannot be switched off.
pub(crate) type Timeout = Time<MILLISECOND, HOUR>;

/// The units of sizes. The first that divides a size is the one it is printed with.
const SIZE_UNITS: [(&str, u64); 10] = [
    ("TiB", TIB),
    ("GiB", GIB),
    ("MiB", MIB),
    ("KiB", KIB),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Longer texts are no durations that anyone means, and sums that overflow humantime's seconds
/// need more.
const MAX_DURATION_TEXT: usize = 20;

/// A duration with its unit; `None`: it is none.
fn duration(text: &str) -> Option<Duration> {
    // humantime lets a bare zero pass.
    if text.len() > MAX_DURATION_TEXT || text == "0" {
        return None;
    }
    humantime::parse_duration(text).ok()
}

/// Bytes, from a whole number and its unit; `None`: it is no size, or more than 2^64 - 1.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let (_, scale) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// The shortest exact text of so many bytes.
fn size_text(bytes: u64) -> String {
    let (name, scale) = SIZE_UNITS
        .into_iter()
        .find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale))
        .unwrap_or(("B", 1));
    format!("{}{name}", bytes / scale)
}

fn time_text(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

// === impl Time ===

impl<const MIN: u64, const MAX: u64> Time<MIN, MAX> {
    fn expected() -> String {
        let (min, max) = (Duration::from_millis(MIN), Duration::from_millis(MAX));
        format!("a duration from \"{}\" to \"{}\"", time_text(min), time_text(max))
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Time<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Time<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, &Self::expected(), |text| {
            let bounds = Duration::from_millis(MIN)..=Duration::from_millis(MAX);
            duration(text)
                .filter(|time| bounds.contains(time))
                .map(Self)
        })
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Time<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*(\d[\d\s]*(\.[\d\s]+)?[A-Za-zµ]+\s*)+$",
            "maxLength": MAX_DURATION_TEXT,
            "examples": ["250ms", "30s", "15m", "1h 30m"],
        })
    }
}

// === impl Size ===

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// The bytes, for lengths in memory.
    pub(crate) fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Size<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&size_text(self.0))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Size<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = format!("a size from \"{}\" to \"{}\"", size_text(MIN), size_text(MAX));
        read(deserializer, &expected, |text| {
            bytes(text)
                .filter(|bytes| (MIN..=MAX).contains(bytes))
                .map(Self)
        })
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Size<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*\d+\s*([KMGT]i?B|kB|B)\s*$",
            "examples": ["32KiB", "512MiB", "1GB"],
        })
    }
}

/// Reads a text, or says that `expected` was expected.
fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Visitor<'a, F>(&'a str, F);

    impl<T, F: Fn(&str) -> Option<T>> de::Visitor<'_> for Visitor<'_, F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).ok_or_else(|| {
                de::Error::invalid_value(de::Unexpected::Other(&format!("{text:?}")), &self)
            })
        }
    }

    deserializer.deserialize_str(Visitor(expected, parse))
}

#[cfg(test)]
mod tests;
