//! Where in which log.

use std::{array, fmt, str::FromStr};

use crate::digest;

/// One run of one server: a log that was lost in part, or is another's, has another era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Era(u64);

/// Where an entry stands in the log: the ID of a stream's entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Position {
    /// Of the server's clock, in milliseconds since 1970.
    pub(super) milliseconds: u64,
    /// Among the entries of that millisecond.
    pub(super) sequence: u64,
}

/// How much of the log was known when a call was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    pub(super) era: Era,
    pub(super) position: Position,
}

impl Era {
    /// The era of a server, which gives itself another ID each time it starts.
    pub(super) fn of(run_id: &[u8]) -> Self {
        let digest = digest::of(run_id);
        let (words, _) = digest.as_chunks();
        Self(u64::from_le_bytes(words[0]))
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }
}

impl Position {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.milliseconds) << 64 | u128::from(self.sequence)).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self { milliseconds: (both >> 64) as u64, sequence: both as u64 }
    }
}

impl Stamp {
    pub(super) const LENGTH: usize = 24;

    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let (era, position) = bytes.split_at_mut(8);
        era.copy_from_slice(&self.era.to_bytes());
        position.copy_from_slice(&self.position.to_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let era = Era::from_bytes(array::from_fn(|nth| bytes[nth]));
        Self { era, position: Position::from_bytes(array::from_fn(|nth| bytes[8 + nth])) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (milliseconds, sequence) = text.split_once('-').ok_or(())?;
        let number = |text: &str| text.parse().map_err(drop);
        Ok(Self { milliseconds: number(milliseconds)?, sequence: number(sequence)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_the_server_writes_it() {
        for (text, is_one) in [
            ("1526919030474-55", true),
            ("0-0", true),
            ("18446744073709551615-18446744073709551615", true),
            ("18446744073709551616-0", false),
            ("1", false),
            ("1-", false),
            ("-1", false),
            ("", false),
        ] {
            let position = text.parse::<Position>();
            assert_eq!(
                position
                    .map(|position| position.to_string())
                    .ok()
                    .as_deref()
                    == Some(text),
                is_one,
                "{text}"
            );
        }
    }

    #[test]
    fn is_ordered_as_numbers_are() {
        let at = |text: &str| text.parse::<Position>().unwrap();
        assert!(at("9-0") < at("10-0"));
        assert!(at("9-9") < at("9-10"));
    }
}
