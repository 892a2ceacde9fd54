//! What a connection may be doing, and for how long.

use std::time::Duration;

use tokio::time::Instant;

use super::metrics::Reason;

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

/// A connection is to be closed; `None`: which is no failure, because it was idle.
pub(super) type Overdue = Option<Reason>;

impl Phase {
    /// When to look again at a connection that is in this phase at `now`: no timeout can be over
    /// before.
    pub(super) fn check(self, now: Instant, timeouts: &Timeouts) -> Result<Instant, Overdue> {
        // Another phase may begin right after this look.
        let soon = now + timeouts.shortest();
        let (deadline, overdue) = match self {
            Self::Blocked(since) => (since + timeouts.write_idle, Some(Reason::WriteTimeout)),
            // The socket has its own timeouts then.
            Self::Busy | Self::Closing(_) => return Ok(soon),
            Self::Head(since) => (since + timeouts.header, Some(Reason::HeaderTimeout)),
            Self::Idle(since) => (since + timeouts.idle, None),
        };
        if now >= deadline { Err(overdue) } else { Ok(deadline.min(soon)) }
    }
}

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
        for (phase, seconds, want) in [
            (Phase::Idle(t0), 0, Ok(t0 + after(10))),
            (Phase::Idle(t0), 55, Ok(t0 + after(60))),
            (Phase::Idle(t0), 59, Ok(t0 + after(60))),
            (Phase::Idle(t0), 60, Err(None)),
            (Phase::Head(t0), 9, Ok(t0 + after(10))),
            (Phase::Head(t0), 10, Err(Some(Reason::HeaderTimeout))),
            (Phase::Blocked(t0), 25, Ok(t0 + after(30))),
            (Phase::Blocked(t0), 31, Err(Some(Reason::WriteTimeout))),
            (Phase::Busy, 1000, Ok(t0 + after(1010))),
            (Phase::Closing(t0), 1000, Ok(t0 + after(1010))),
        ] {
            assert_eq!(phase.check(t0 + after(seconds), &TIMEOUTS), want, "{phase:?} {seconds}");
        }
    }
}
