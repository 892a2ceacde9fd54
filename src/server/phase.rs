//! What a connection may be doing, and for how long.

use std::time::Duration;

use tokio::time::Instant;

/// How long each phase of a connection may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) write_idle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The other end does not take what is written to it.
    Blocked(Instant),
    /// Our end is closed, and the other end may still send.
    Closing(Instant),
    Busy,
    Head(Instant),
    /// Nothing: no request yet, or none since.
    Idle(Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing; no timeout can be over before this.
    LookAgainAt(Instant),
    /// Close it: it has been without a request for too long.
    Idle,
    /// Close it: the head of its request takes too long.
    SlowHead,
    /// Close it: it does not take its response.
    SlowReader,
}

// === impl Phase ===

impl Phase {
    /// What is to be done with a connection that is in this phase at `now`.
    pub(super) fn check(self, now: Instant, timeouts: &Timeouts) -> Verdict {
        let (deadline, late) = match self {
            Self::Blocked(since) => (since + timeouts.write_idle, Verdict::SlowReader),
            // The socket has its own timeouts then.
            Self::Busy | Self::Closing(_) => {
                return Verdict::LookAgainAt(now + timeouts.shortest());
            }
            Self::Head(since) => (since + timeouts.header, Verdict::SlowHead),
            Self::Idle(since) => (since + timeouts.idle, Verdict::Idle),
        };
        if now >= deadline {
            late
        } else {
            // Another phase may begin right after this look.
            Verdict::LookAgainAt(deadline.min(now + timeouts.shortest()))
        }
    }
}

// === impl Timeouts ===

impl Timeouts {
    /// Never zero: it is how long until the next look.
    fn shortest(&self) -> Duration {
        self.header
            .min(self.idle)
            .min(self.write_idle)
            .max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write_idle: Duration::from_secs(30),
    };

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_deadline() {
        let t0 = Instant::now();
        for (phase, seconds, verdict) in [
            (Phase::Idle(t0), 0, Verdict::LookAgainAt(t0 + after(10))),
            (Phase::Idle(t0), 55, Verdict::LookAgainAt(t0 + after(60))),
            (Phase::Idle(t0), 59, Verdict::LookAgainAt(t0 + after(60))),
            (Phase::Idle(t0), 60, Verdict::Idle),
            (Phase::Head(t0), 9, Verdict::LookAgainAt(t0 + after(10))),
            (Phase::Head(t0), 10, Verdict::SlowHead),
            (Phase::Blocked(t0), 25, Verdict::LookAgainAt(t0 + after(30))),
            (Phase::Blocked(t0), 31, Verdict::SlowReader),
            (Phase::Busy, 1000, Verdict::LookAgainAt(t0 + after(1010))),
            (Phase::Closing(t0), 1000, Verdict::LookAgainAt(t0 + after(1010))),
        ] {
            assert_eq!(phase.check(t0 + after(seconds), &TIMEOUTS), verdict, "{phase:?} {seconds}");
        }
    }
}
