//! The log of refusals: why and whose, without a line for each.
//!
//! Whoever runs the gateway needs to know who is refused and why, at the log's default level; who is
//! refused in a loop must not fill the disk. So a line for the same reason and client comes once in
//! [`EVERY`], and says for how many refusals it stands.

use std::{collections::HashMap, hash::Hash, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Between two lines for one reason and client.
const EVERY: Duration = Duration::from_secs(10);

/// Reasons and clients that are told apart at once. Further clients share a line for each reason.
const MAX_TRACKED: usize = 256;

/// Says when refusals are logged, by their reason and client.
#[derive(Debug)]
pub(crate) struct RefusalLog<R, C>(Mutex<Recent<R, C>>);

/// What a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind<R, C> {
    pub(crate) reason: R,
    /// `None`: clients that are not known, or too many to be told apart.
    pub(crate) client: Option<C>,
}

/// What was refused within [`EVERY`]. Pure: it is told the time and tells what to log.
#[derive(Debug)]
struct Recent<R, C> {
    tracked: HashMap<Kind<R, C>, Refusals, foldhash::fast::RandomState>,
    swept_at: Option<Instant>,
}

#[derive(Debug)]
struct Refusals {
    logged_at: Instant,
    /// Since then.
    omitted: u64,
}

impl<R: Copy + Eq + Hash, C: Copy + Eq + Hash> RefusalLog<R, C> {
    /// One more was refused. Gives the lines to be logged, each with the number of refusals that it
    /// stands for.
    pub(crate) fn note(&self, reason: R, client: Option<C>) -> Vec<(Kind<R, C>, u64)> {
        self.0.lock().note(Kind { reason, client }, Instant::now())
    }
}

impl<R, C> Default for RefusalLog<R, C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<R, C> Default for Recent<R, C> {
    fn default() -> Self {
        Self { tracked: HashMap::default(), swept_at: None }
    }
}

impl<R: Copy + Eq + Hash, C: Copy + Eq + Hash> Recent<R, C> {
    /// The lines to be logged.
    fn note(&mut self, mut kind: Kind<R, C>, now: Instant) -> Vec<(Kind<R, C>, u64)> {
        let mut lines = Vec::new();
        if self.swept_at.is_none_or(|at| now >= at + EVERY) {
            self.swept_at = Some(now);
            self.tracked.retain(|&swept, refusals| {
                let is_live = now < refusals.logged_at + EVERY;
                if !is_live && refusals.omitted > 0 && swept != kind {
                    lines.push((swept, refusals.omitted));
                }
                is_live || swept == kind
            });
        }
        if self.tracked.len() >= MAX_TRACKED && !self.tracked.contains_key(&kind) {
            kind.client = None;
        }
        match self.tracked.get_mut(&kind) {
            Some(refusals) if now < refusals.logged_at + EVERY => refusals.omitted += 1,
            tracked => {
                let omitted = tracked.map_or(0, |refusals| refusals.omitted);
                lines.push((kind, omitted + 1));
                self.tracked
                    .insert(kind, Refusals { logged_at: now, omitted: 0 });
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Reason {
        Expired,
        Audience,
        Signature,
    }

    fn kind(reason: Reason, client: u32) -> Kind<Reason, u32> {
        Kind { reason, client: Some(client) }
    }

    #[test]
    fn a_reason_and_a_client_have_one_line_in_ten_seconds_that_counts_the_rest() {
        let (mut recent, begin) = (Recent::default(), Instant::now());
        let expired = kind(Reason::Expired, 1);
        assert_eq!(recent.note(expired, begin), [(expired, 1)]);
        for millisecond in [0, 1, 9_999] {
            let now = begin + Duration::from_millis(millisecond);
            assert_eq!(recent.note(expired, now), []);
        }
        assert_eq!(recent.note(expired, begin + EVERY), [(expired, 4)]);
        assert_eq!(recent.note(expired, begin + 3 * EVERY), [(expired, 1)]);
    }

    #[test]
    fn another_reason_and_another_client_have_lines_of_their_own() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        for kind in [
            kind(Reason::Expired, 1),
            kind(Reason::Expired, 2),
            kind(Reason::Audience, 1),
            Kind { reason: Reason::Expired, client: None },
        ] {
            assert_eq!(recent.note(kind, now), [(kind, 1)]);
            assert_eq!(recent.note(kind, now), []);
        }
    }

    #[test]
    fn what_was_not_logged_is_counted_when_the_next_token_is_refused() {
        let (mut recent, begin) = (Recent::default(), Instant::now());
        let (gone, other) = (kind(Reason::Expired, 1), kind(Reason::Signature, 2));
        recent.note(gone, begin);
        recent.note(gone, begin);
        recent.note(gone, begin);
        assert_eq!(recent.note(other, begin + EVERY), [(gone, 2), (other, 1)]);
        assert_eq!(recent.tracked.len(), 1);
    }

    #[test]
    fn a_flood_of_clients_takes_bounded_memory_and_lines_and_loses_no_count() {
        let (mut recent, begin) = (Recent::default(), Instant::now());
        let mut counted = 0;
        let mut lines = 0;
        for number in 0..100_000 {
            let now = begin + Duration::from_micros(u64::from(number));
            for (_, count) in recent.note(kind(Reason::Signature, number), now) {
                counted += count;
                lines += 1;
            }
            assert!(recent.tracked.len() <= MAX_TRACKED + 1);
        }
        assert_eq!(lines, MAX_TRACKED + 1);
        for (_, count) in recent.note(kind(Reason::Expired, 0), begin + 2 * EVERY) {
            counted += count;
        }
        assert_eq!(counted, 100_001);
    }
}
