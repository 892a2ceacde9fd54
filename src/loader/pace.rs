//! How long calls take, and how long a small look-up waits for company because of it.

use std::{cmp, time::Duration};

use crate::latest::Latest;

/// What the latest calls took.
#[derive(Debug, Default)]
pub(super) struct Pace {
    latest: Latest,
    /// The most that one waits.
    most: Duration,
}

/// The wait is this part of a call.
const PART: u32 = 4;

/// The wait behind the fastest calls. A shorter one would gather nobody.
const LEAST: Duration = Duration::from_millis(25);

impl Pace {
    /// From now on, nobody waits for longer than `most`.
    pub(super) fn limit_to(&mut self, most: Duration) {
        self.most = most;
    }

    /// A call has come back.
    pub(super) fn note(&mut self, took: Duration) {
        self.latest.note(took);
    }

    /// How long a small look-up waits: a quarter of the median call, within bounds.
    pub(super) fn patience(&self) -> Duration {
        let median = self.latest.median().unwrap_or_default();
        cmp::min(cmp::max(median / PART, LEAST), self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_quarter_of_the_median_within_bounds() {
        let millis = Duration::from_millis;
        for (most, calls, want) in [
            (100, &[][..], 25),
            (100, &[40], 25),
            (100, &[200], 50),
            (100, &[200, 20_000, 200], 50),
            (100, &[800, 800], 100),
            (10, &[800], 10),
            (0, &[800], 0),
        ] {
            let mut pace = Pace::default();
            pace.limit_to(millis(most));
            calls.iter().for_each(|&took| pace.note(millis(took)));
            assert_eq!(pace.patience(), millis(want), "{most} {calls:?}");
            // Another configuration forgets nothing.
            pace.limit_to(Duration::ZERO);
            pace.limit_to(millis(most));
            assert_eq!(pace.patience(), millis(want), "{most} {calls:?}");
        }
    }

    #[test]
    fn forgets_how_it_was() {
        let mut pace = Pace::default();
        pace.limit_to(Duration::from_secs(1));
        (0..100).for_each(|_| pace.note(Duration::from_secs(1)));
        assert_eq!(pace.patience(), Duration::from_millis(250));
        (0..16).for_each(|_| pace.note(Duration::from_millis(400)));
        assert_eq!(pace.patience(), Duration::from_millis(100));
    }
}
