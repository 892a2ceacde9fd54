//! Until when what others wrote is known here. Read by every look-up, so it is one number.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// Times are nanoseconds since it was made, which last for five hundred years.
#[derive(Debug)]
pub(super) struct Trust {
    started_at: Instant,
    lease: Duration,
    /// 0: not at all.
    until: AtomicU64,
    /// When the log was asked for that was read to its end last; 0: it never was.
    heard_at: AtomicU64,
}

impl Trust {
    pub(super) fn new(lease: Duration) -> Self {
        let (until, heard_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { started_at: Instant::now(), lease, until, heard_at }
    }

    pub(super) fn lasts(&self, now: Instant) -> bool {
        // What was dropped before it was extended is seen to be dropped.
        self.since_start(now) < self.until.load(Ordering::Acquire)
    }

    pub(super) fn extend(&self, until: Instant) {
        let heard_at = until.checked_sub(self.lease).unwrap_or(self.started_at);
        self.heard_at
            .store(self.since_start(heard_at), Ordering::Relaxed);
        self.until.store(self.since_start(until), Ordering::Release);
    }

    pub(super) fn revoke(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// How long ago all was known.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let heard_at = Duration::from_nanos(self.heard_at.load(Ordering::Relaxed));
        now.saturating_duration_since(self.started_at + heard_at)
    }

    fn since_start(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started_at);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasts_until_its_time_or_until_it_is_revoked() {
        let lease = Duration::from_millis(150);
        let trust = Trust::new(lease);
        let now = Instant::now();
        assert!(!trust.lasts(now), "nothing is known at first");
        trust.extend(now + lease);
        assert!(trust.lasts(now + lease / 2) && !trust.lasts(now + lease));
        assert_eq!(trust.age(now + lease), lease);
        trust.revoke();
        assert!(!trust.lasts(now));
        assert_eq!(trust.age(now + 2 * lease), 2 * lease, "that was heard all the same");
    }
}
