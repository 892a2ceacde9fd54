//! Durations and sizes: strings with a unit, between two bounds that are part of the type.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::value::{Form, Value};

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

/// Longer strings are no sensible durations, and it takes more to overflow humantime's seconds.
const MAX_DURATION_TEXT: usize = 20;

fn duration(text: &str) -> Option<Duration> {
    // humantime accepts a bare zero.
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

impl<const MIN: u64, const MAX: u64> Time<MIN, MAX> {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(crate) const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl<const MIN: u64, const MAX: u64> Value for Time<MIN, MAX> {
    fn form() -> Form {
        let [min, max] = [MIN, MAX].map(|bound| time_text(Duration::from_millis(bound)));
        let schema = json!({
            "type": "string",
            "pattern": r"^\s*(\d[\d\s]*(\.[\d\s]+)?[A-Za-zµ]+\s*)+$",
            "maxLength": MAX_DURATION_TEXT,
            "examples": ["250ms", "30s", "15m", "1h 30m"],
        });
        Form::new(format!("a duration from \"{min}\" to \"{max}\""), schema)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let bounds = Duration::from_millis(MIN)..=Duration::from_millis(MAX);
        let time = duration(text).filter(|time| bounds.contains(time));
        time.map(Self).ok_or_else(|| format!("{text:?}"))
    }

    fn show(&self) -> Json {
        time_text(self.0).into()
    }
}

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    pub(crate) fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Value for Size<MIN, MAX> {
    fn form() -> Form {
        let [min, max] = [MIN, MAX].map(size_text);
        let schema = json!({
            "type": "string",
            "pattern": r"^\s*\d+\s*([KMGT]i?B|kB|B)\s*$",
            "examples": ["32KiB", "512MiB", "1GB"],
        });
        Form::new(format!("a size from \"{min}\" to \"{max}\""), schema)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let bytes = bytes(text).filter(|bytes| (MIN..=MAX).contains(bytes));
        bytes.map(Self).ok_or_else(|| format!("{text:?}"))
    }

    fn show(&self) -> Json {
        size_text(self.0).into()
    }
}

#[cfg(test)]
mod tests;
