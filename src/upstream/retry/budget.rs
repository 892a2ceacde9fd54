//! How many calls may be made again: a part of those that are made at all, and always a few.
//!
//! Without it, an upstream in trouble would get several times the load that brought it there.

use parking_lot::Mutex;
use tokio::time::Instant;

/// Two buckets of retries: one that calls fill, and one that time fills.
#[derive(Debug)]
pub(super) struct Budget {
    /// What a call adds.
    per_call: u64,
    buckets: Mutex<Buckets>,
}

/// In thousandths of a retry, because parts of one would not add up.
#[derive(Debug)]
struct Buckets {
    earned: u64,
    always: u64,
    filled_at: Instant,
}

/// One retry.
const ONE: u64 = 1000;

/// The most that calls earn: a good hour does not pay for a storm.
const MAX_EARNED: u64 = 50 * ONE;

/// Retries a second that need not be earned, and the most of them at once.
const ALWAYS: u64 = 10 * ONE;

impl Budget {
    /// Allows `per_call` retries for each call.
    pub(super) fn new(per_call: f64, now: Instant) -> Self {
        let buckets = Buckets { earned: 0, always: ALWAYS, filled_at: now };
        Self { per_call: (per_call * ONE as f64).round() as u64, buckets: Mutex::new(buckets) }
    }

    /// A call is made for the first time.
    pub(super) fn earn(&self) {
        let earned = &mut self.buckets.lock().earned;
        *earned = (*earned + self.per_call).min(MAX_EARNED);
    }

    /// Takes a retry; `false`: there is none.
    pub(super) fn spend(&self, now: Instant) -> bool {
        let buckets = &mut *self.buckets.lock();
        buckets.fill(now);
        for bucket in [&mut buckets.always, &mut buckets.earned] {
            if let Some(left) = bucket.checked_sub(ONE) {
                *bucket = left;
                return true;
            }
        }
        false
    }
}

impl Buckets {
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        let filled = passed.as_micros() * u128::from(ALWAYS) / 1_000_000;
        if filled > 0 {
            // What is less than a thousandth is lost.
            self.filled_at = now;
        }
        let filled = u64::try_from(filled).unwrap_or(u64::MAX);
        self.always = self.always.saturating_add(filled).min(ALWAYS);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spent(budget: &Budget, now: Instant) -> usize {
        (0..1000).take_while(|_| budget.spend(now)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn allows_a_part_of_the_first_tries_and_always_ten_a_second() {
        for (per_call, tries, after, want) in [
            (0.2, 0, 0, 10),
            (0.2, 4, 0, 10),
            (0.2, 5, 0, 11),
            (0.2, 100, 0, 30),
            (0.1, 10, 0, 11),
            (0.1, 9, 0, 10),
            (0.0, 1000, 0, 10),
            (1.0, 7, 0, 17),
            (0.2, 1_000_000, 0, 60),
            (0.2, 0, 3_600_000, 10),
        ] {
            let now = Instant::now();
            let budget = Budget::new(per_call, now);
            (0..tries).for_each(|_| budget.earn());
            let now = now + Duration::from_millis(after);
            assert_eq!(spent(&budget, now), want, "{per_call} {tries} {after}");
            for (millis, want) in [(0, 0), (99, 0), (100, 1), (150, 0), (200, 1), (1200, 10)] {
                let now = now + Duration::from_millis(millis);
                assert_eq!(spent(&budget, now), want, "{millis} ms later");
            }
        }
    }
}
