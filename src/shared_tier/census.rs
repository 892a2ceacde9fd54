//! How many replicas there are. Pure: time is an argument.
//!
//! Each says again and again that it is there, in other bytes each time. Whoever sees that bytes
//! change knows that somebody wrote them, and needs no clock in common with anybody.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// The other replicas, by the names that they chose.
#[derive(Debug, Default)]
pub(super) struct Census {
    others: HashMap<Vec<u8>, Sign>,
    noted_at: Option<Instant>,
}

/// What one said last.
#[derive(Debug)]
struct Sign {
    bytes: Vec<u8>,
    seen_at: Instant,
    /// Whether it was ever seen to change.
    has_changed: bool,
}

/// Who is silent for so long is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// What somebody who is gone has said may be removed after so long.
const REMEMBERED: Duration = Duration::from_secs(60);

impl Census {
    /// These are there, each with what it says. Gives how many others are not gone.
    pub(super) fn note(&mut self, signs: Vec<(Vec<u8>, Vec<u8>)>, now: Instant) -> usize {
        let mut before = std::mem::take(&mut self.others);
        for (name, bytes) in signs {
            let sign = match before.remove(&name) {
                Some(sign) if sign.bytes == bytes => sign,
                known => Sign { bytes, seen_at: now, has_changed: known.is_some() },
            };
            self.others.insert(name, sign);
        }
        // A server that has lost what they said has not lost them.
        self.others
            .extend(before.into_iter().filter(|(_, sign)| sign.is_live(now)));
        self.noted_at = Some(now);
        self.others
            .values()
            .filter(|sign| sign.is_live(now))
            .count()
    }

    /// There is a server again: whoever was there before has to have time to say so.
    pub(super) fn resume(&mut self, now: Instant) {
        let Some(noted_at) = self.noted_at else { return };
        let live = self
            .others
            .values_mut()
            .filter(|sign| sign.is_live(noted_at));
        live.for_each(|sign| sign.seen_at = now);
    }

    /// Those who are gone for long.
    pub(super) fn gone(&self, now: Instant) -> Vec<Vec<u8>> {
        let others = self.others.iter();
        let gone = others.filter(|(_, sign)| now.duration_since(sign.seen_at) > REMEMBERED);
        gone.map(|(name, _)| name.clone()).collect()
    }
}

impl Sign {
    fn is_live(&self, now: Instant) -> bool {
        self.has_changed && now.saturating_duration_since(self.seen_at) < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn signs(signs: &[(&str, u32)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes =
            |(name, said): &(&str, u32)| (name.as_bytes().to_vec(), said.to_le_bytes().to_vec());
        signs.iter().map(bytes).collect()
    }

    #[test]
    fn counts_who_says_something_new() {
        let (mut census, now) = (Census::default(), Instant::now());
        assert_eq!(census.note(signs(&[("a", 1), ("b", 1)]), now), 0, "they may be gone");
        assert_eq!(census.note(signs(&[("a", 2), ("b", 1)]), now + SECOND), 1);
        assert_eq!(census.note(signs(&[("a", 3), ("b", 2)]), now + 2 * SECOND), 2);
        assert_eq!(census.note(signs(&[("a", 3), ("b", 3)]), now + 4 * SECOND), 1, "a is gone");
        assert!(census.gone(now + 60 * SECOND).is_empty());
        assert_eq!(census.gone(now + 63 * SECOND), [b"a"]);
    }

    #[test]
    fn a_server_that_was_lost_or_emptied_has_not_taken_them_along() {
        let (mut census, now) = (Census::default(), Instant::now());
        census.note(signs(&[("a", 1), ("b", 1)]), now);
        assert_eq!(census.note(signs(&[("a", 2), ("b", 1)]), now), 1);
        census.resume(now + 10 * SECOND);
        assert_eq!(census.note(signs(&[]), now + 10 * SECOND), 1);
        assert_eq!(census.note(signs(&[("a", 3)]), now + 11 * SECOND), 1);
        assert_eq!(census.note(signs(&[]), now + 13 * SECOND), 0);
    }
}
