//! What the latest calls took. Pure.

use std::{collections::VecDeque, time::Duration};

/// The latest calls, the last at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest(VecDeque<Duration>);

/// Calls that are remembered: an odd number, which has a median.
const REMEMBERED: usize = 31;

/// So many calls one after the other are no chance.
const IN_A_ROW: usize = 3;

/// A call that takes so many times the median is slow.
const SLOW: u32 = 2;

impl Latest {
    /// A call has come back.
    pub(super) fn note(&mut self, took: Duration) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    /// The median of all; nothing while none is known.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut sorted = Vec::from_iter(self.0.iter().copied());
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// Whether calls have become much slower.
    pub(super) fn are_slow(&self) -> bool {
        let Some(median) = self.median() else { return false };
        let mut last = self.0.iter().rev().take(IN_A_ROW);
        self.0.len() > IN_A_ROW && last.all(|&took| took > SLOW * median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_slow_when_several_in_a_row_take_twice_as_long() {
        let mut latest = Latest::default();
        assert!(!latest.are_slow());
        for (millis, are_slow) in
            [(50, false), (50, false), (50, false), (50, false), (50, false), (50, false)]
                .into_iter()
                .chain([(110, false), (110, false), (110, true), (90, false), (400, false)])
        {
            latest.note(Duration::from_millis(millis));
            assert_eq!(latest.are_slow(), are_slow, "{millis} ms");
        }
        (0..REMEMBERED).for_each(|_| latest.note(Duration::from_millis(400)));
        assert!(!latest.are_slow(), "that is how long they take");
    }
}
