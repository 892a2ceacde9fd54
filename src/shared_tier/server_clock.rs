//! The clock of the server, which all replicas have in common. Pure.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct ServerClock(VecDeque<Sample>);

/// A look at it.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When it was looked at, as far as that is known.
    at: Instant,
    /// Since 1970.
    shown: Duration,
    round_trip: Duration,
}

/// Of the last so many looks, the one that took least time counts.
const SAMPLES: usize = 8;

impl ServerClock {
    /// It showed so long since 1970, when it was looked at in this time.
    pub(super) fn note(&mut self, sent_at: Instant, came_at: Instant, shown: Duration) {
        let round_trip = came_at.saturating_duration_since(sent_at);
        self.0.truncate(SAMPLES - 1);
        self.0
            .push_front(Sample { at: sent_at + round_trip / 2, shown, round_trip });
    }

    /// Milliseconds since 1970 that it shows at `instant`; `None`: it was never looked at.
    pub(super) fn at(&self, instant: Instant) -> Option<u64> {
        let Sample { at, shown, .. } = self.0.iter().min_by_key(|sample| sample.round_trip)?;
        let shows = match instant.checked_duration_since(*at) {
            Some(after) => shown.checked_add(after)?,
            None => shown.checked_sub(at.saturating_duration_since(instant))?,
        };
        u64::try_from(shows.as_millis()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_that_took_least_time_counts() {
        let (mut clock, now) = (ServerClock::default(), Instant::now());
        let [second, tenth] = [1000, 100].map(Duration::from_millis);
        assert_eq!(clock.at(now), None);
        clock.note(now, now + tenth, 100 * second);
        assert_eq!(clock.at(now + tenth / 2), Some(100_000));
        assert_eq!(clock.at(now + second), Some(100_950));
        assert_eq!(clock.at(now), Some(99_950), "also before it was looked at");
        clock.note(now + second, now + 2 * second, 200 * second);
        assert_eq!(clock.at(now + second), Some(100_950), "that took longer");
        for _ in 1..SAMPLES {
            clock.note(now + second, now + 2 * second, 200 * second);
        }
        assert_eq!(clock.at(now + second), Some(199_500), "what is long ago does not count");
    }

    #[test]
    fn no_time_is_out_of_its_reach() {
        let (mut clock, now) = (ServerClock::default(), Instant::now());
        clock.note(now, now, Duration::MAX);
        assert_eq!(clock.at(now + Duration::from_secs(1)), None);
        clock.note(now, now, Duration::ZERO);
        let long_ago = now.checked_sub(Duration::from_secs(1));
        assert!(long_ago.is_none_or(|at| clock.at(at).is_none() || clock.at(at) == Some(0)));
    }
}
