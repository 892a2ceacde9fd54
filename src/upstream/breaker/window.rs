//! How calls ended lately: counts in slots of time, of which the oldest are forgotten.

use std::time::Duration;

use tokio::time::Instant;

/// The calls of the last half minute.
#[derive(Debug)]
pub(super) struct Window {
    since: Instant,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which slot of time this is, from `since` on.
    number: u64,
    calls: u32,
    failures: u32,
}

const SLOTS: usize = 10;

/// Longer than an attempt takes, so that attempts that hang count together, and short enough that an
/// outage shows before many have waited for it.
const SLOT: Duration = Duration::from_secs(3);

impl Window {
    /// No calls yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, slots: [Slot::default(); SLOTS] }
    }

    /// A call ended.
    pub(super) fn note(&mut self, failed: bool, now: Instant) {
        let number = self.number(now);
        let slot = &mut self.slots[(number % SLOTS as u64) as usize];
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot.calls = slot.calls.saturating_add(1);
        slot.failures = slot.failures.saturating_add(u32::from(failed));
    }

    /// Calls, and how many of them failed.
    pub(super) fn counts(&self, now: Instant) -> (u64, u64) {
        let number = self.number(now);
        let slots = self.slots.iter();
        slots
            .filter(|slot| slot.number + SLOTS as u64 > number)
            .fold((0, 0), |(calls, failures), slot| {
                (calls + u64::from(slot.calls), failures + u64::from(slot.failures))
            })
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_secs() / SLOT.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn forgets_what_is_older_than_half_a_minute() {
        let began_at = Instant::now();
        let at = |seconds| began_at + Duration::from_secs(seconds);
        let mut window = Window::new(began_at);
        for (seconds, failed, want) in [
            (0, true, (1, 1)),
            (2, false, (2, 1)),
            (3, true, (3, 2)),
            (29, false, (4, 2)),
            (30, false, (3, 1)),
            (33, false, (3, 0)),
            (3_600, true, (1, 1)),
        ] {
            window.note(failed, at(seconds));
            assert_eq!(window.counts(at(seconds)), want, "{seconds} s");
        }
        assert_eq!(window.counts(at(3_629)), (1, 1));
        assert_eq!(window.counts(at(3_630)), (0, 0));
    }
}
