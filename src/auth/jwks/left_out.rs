//! Keys of a set that cannot be used, named in the log.

use std::fmt;

use tracing::warn;

use crate::vehicle::Vin;

/// Keys that a line names; the others are counted.
const MAX_SHOWN: usize = 8;

/// Keys of a set that were left out, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Each with its `kid`, or its place in the set, and the reason.
    pub(super) named: Vec<(String, String)>,
    /// Those that were not looked at.
    pub(super) beyond: usize,
}

impl LeftOut {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.named.len() + self.beyond
    }

    /// Writes a line, unless all of them are `known` already.
    pub(super) fn log_unless(&self, known: &mut Self) {
        if self == known {
            return;
        }
        known.clone_from(self);
        if self.count() > 0 {
            warn!(count = self.count(), keys = %self, "published keys left out");
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.named[..self.named.len().min(MAX_SHOWN)];
        for (nth, (key, reason)) in shown.iter().enumerate() {
            // No line shows a vehicle, whoever put it there.
            let key = if Vin::parse(key).is_ok() { "***" } else { key };
            let separator = if nth == 0 { "" } else { "; " };
            write!(f, "{separator}{key:?}: {reason}")?;
        }
        match self.count() - shown.len() {
            0 => Ok(()),
            more => write!(f, "; {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_few_and_counts_the_rest() {
        let named = |count: usize| {
            let key = |nth: usize| (format!("key-{nth}"), "no reason".to_owned());
            (0..count).map(key).collect()
        };
        let one = LeftOut { named: named(1), beyond: 0 };
        assert_eq!(one.to_string(), "\"key-0\": no reason");
        let two = LeftOut { named: named(2), beyond: 3 };
        assert_eq!(two.to_string(), "\"key-0\": no reason; \"key-1\": no reason; 3 more");
        let many = LeftOut { named: named(256), beyond: 1000 }.to_string();
        assert!(many.contains("\"key-7\"") && !many.contains("\"key-8\""), "{many}");
        assert!(many.ends_with("; 1248 more"), "{many}");
    }

    #[test]
    fn shows_no_vehicle_and_no_second_line() {
        let named = ["3VWZX21C04M000001", "a\nb"].map(|key| (key.to_owned(), "x".to_owned()));
        let shown = LeftOut { named: named.into(), beyond: 0 }.to_string();
        assert_eq!(shown, "\"***\": x; \"a\\nb\": x");
    }
}
