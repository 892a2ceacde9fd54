//! How often a client is refused in a second.
//!
//! A refusal costs about as much as a hit, and who does not heed it comes again at once. So a client
//! is refused at once so many times, and from then on only so many times a second: further
//! refusals are held back. That keeps the connections of such a client quiet, at the cost of nobody
//! else: over HTTP/1, where a connection has one request at a time. What would be held for longer than
//! `HELD` is not held.

use std::{cmp, time::Duration};

use tokio::time::Instant;

/// The refusals of one client.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// When all of them are paid for: each takes a part of a second.
    paid_at: Option<Instant>,
}

/// So many are made at once, behind a pause.
const AT_ONCE: u32 = 1000;

/// The longest that one is held back: what its `Retry-After` says.
const HELD: Duration = Duration::from_secs(1);

impl Refusals {
    /// How long one more is held back, where each takes so much of a second. One that would be held
    /// for too long is not held at all, so that what is held is bounded.
    pub(crate) fn hold(&mut self, each: Duration, now: Instant) -> Duration {
        let paid_at = cmp::max(self.paid_at.unwrap_or(now), now) + each;
        let hold = paid_at.saturating_duration_since(now + AT_ONCE * each);
        if hold > HELD {
            return Duration::ZERO;
        }
        self.paid_at = Some(paid_at);
        hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Duration = Duration::from_micros(333);

    #[test]
    fn holds_back_refusals_of_who_comes_again_at_once() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let mut hold = |millis| refusals.hold(EACH, now + Duration::from_millis(millis));
        for _ in 0..1000 {
            assert_eq!(hold(0), Duration::ZERO);
        }
        // From then on 3,000 in a second, and no more than as many are held.
        for nth in 1..=3003 {
            assert_eq!(hold(0), EACH * nth);
        }
        assert_eq!(hold(0), Duration::ZERO);
        assert_eq!(hold(500), EACH * 3004 - HELD / 2);
        for _ in 0..1000 {
            assert_eq!(hold(5_000), Duration::ZERO, "it has stopped");
        }
    }
}
