//! When small look-ups leave. Pure.
//!
//! Small look-ups of one account share calls. As long as few such calls are under way, a look-up
//! leaves at once, so that whoever is alone waits for nobody. Else those that come gather, until
//! they fill a call, one of the calls returns, or the first of them has waited for long enough.
//! That bounds the calls in a second whatever comes in, and no wait is longer than a part of the
//! call that follows it.

use std::time::Duration;

use tokio::time::Instant;

use super::Trigger;

/// What small look-ups go by at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    /// Calls of small look-ups under way from which on others gather; 0: none ever does.
    pub(super) from: usize,
    /// How long one waits for company at most.
    pub(super) patience: Duration,
}

/// The first of those that gather.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    /// Since when it waits.
    pub(super) since: Instant,
    /// Whether as many calls as that were under way when it came, or later.
    pub(super) has_waited: bool,
}

impl Terms {
    /// What lets the gathering go now, or when its time is over. `is_full`: it fills a call.
    pub(super) fn departure(
        self,
        first: First,
        is_full: bool,
        under_way: usize,
        now: Instant,
    ) -> Result<Trigger, Instant> {
        let due = first.since + self.patience;
        match () {
            () if under_way < self.from && first.has_waited => Ok(Trigger::Returned),
            () if under_way < self.from => Ok(Trigger::Idle),
            () if is_full => Ok(Trigger::Full),
            () if now >= due => Ok(Trigger::Due),
            () => Err(due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_when_there_is_room_when_it_is_full_and_when_its_time_is_over() {
        const PATIENCE: Duration = Duration::from_millis(25);
        let terms = Terms { from: 2, patience: PATIENCE };
        let since = Instant::now();
        let due = since + PATIENCE;
        let just_before = due - Duration::from_millis(1);
        for (has_waited, is_full, under_way, now, want) in [
            (false, false, 0, since, Ok(Trigger::Idle)),
            (false, true, 1, due, Ok(Trigger::Idle)),
            (true, false, 1, since, Ok(Trigger::Returned)),
            (false, false, 2, since, Err(due)),
            (true, false, 9, just_before, Err(due)),
            (true, true, 2, since, Ok(Trigger::Full)),
            (true, false, 2, due, Ok(Trigger::Due)),
        ] {
            let first = First { since, has_waited };
            let departure = terms.departure(first, is_full, under_way, now);
            assert_eq!(departure, want, "{first:?} {is_full} {under_way} {now:?}");
        }
    }
}
