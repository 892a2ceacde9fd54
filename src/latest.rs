//! What the latest calls took. Pure.

use std::{collections::VecDeque, time::Duration};

/// The latest calls, the last at the end. So many are remembered: an odd number has a median.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latest<const REMEMBERED: usize = 31>(VecDeque<Duration>);

/// So many calls one after the other are no chance.
const IN_A_ROW: usize = 3;

/// A call that takes so many times the median is slow.
const SLOW: u32 = 2;

impl<const REMEMBERED: usize> Latest<REMEMBERED> {
    /// A call has come back.
    pub(crate) fn note(&mut self, took: Duration) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    /// The median of all; nothing while none is known.
    pub(crate) fn median(&self) -> Option<Duration> {
        let mut sorted = Vec::from_iter(self.0.iter().copied());
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// Whether calls have become much slower.
    pub(crate) fn are_slow(&self) -> bool {
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
        let mut latest = Latest::<31>::default();
        assert!(!latest.are_slow());
        for (millis, are_slow) in
            [(50, false), (50, false), (50, false), (50, false), (50, false), (50, false)]
                .into_iter()
                .chain([(110, false), (110, false), (110, true), (90, false), (400, false)])
        {
            latest.note(Duration::from_millis(millis));
            assert_eq!(latest.are_slow(), are_slow, "{millis} ms");
        }
        (0..31).for_each(|_| latest.note(Duration::from_millis(400)));
        assert!(!latest.are_slow(), "that is how long they take");
    }
}
