//! Closed, open, half-open: when calls are let through, and what their ends change.

use std::{cmp, time::Duration};

use tokio::time::Instant;

use super::window::Window;
use crate::upstream::BreakerConfig;

/// What a breaker knows. Time is an argument.
#[derive(Debug)]
pub(super) struct State {
    config: BreakerConfig,
    mode: Mode,
    /// Counts the changes of mode: what was let through before the last one changes nothing.
    era: u32,
}

#[derive(Debug)]
enum Mode {
    /// Calls go.
    Closed(Window),
    /// No call goes until then, and then one.
    Open { until: Instant },
    /// One call is on its way; until then no other is.
    HalfOpen { until: Instant },
}

/// What the mode is called; the value of `vingate_upstream_breaker_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

/// A call that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era(u32);

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Failure,
    /// Its caller gave it up, or is to blame.
    GivenUp,
}

/// When to come again while a probe is on its way: nobody knows.
const SOON: Duration = Duration::from_secs(1);

// === impl State ===

impl State {
    pub(super) fn new(config: BreakerConfig, now: Instant) -> Self {
        Self { config, mode: Mode::Closed(Window::new(now)), era: 0 }
    }

    pub(super) fn name(&self) -> Name {
        match self.mode {
            Mode::Closed(_) => Name::Closed,
            Mode::Open { .. } => Name::Open,
            Mode::HalfOpen { .. } => Name::HalfOpen,
        }
    }

    /// Whether a call would be let through; else how long it is until one may be.
    pub(super) fn check(&self, now: Instant) -> Result<(), Duration> {
        match self.mode {
            Mode::Open { until } if now < until => Err(until - now),
            Mode::HalfOpen { until } if now < until => Err(cmp::min(until - now, SOON)),
            Mode::Closed(_) | Mode::Open { .. } | Mode::HalfOpen { .. } => Ok(()),
        }
    }

    /// Lets a call through, or says how long it is until one may be.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Era, Duration> {
        self.check(now)?;
        if !matches!(self.mode, Mode::Closed(_)) {
            // Of a probe that takes longer than a call may, because its caller takes its time,
            // nothing more is expected.
            self.turn(Mode::HalfOpen { until: now + self.config.probe_for });
        }
        Ok(Era(self.era))
    }

    /// A call that was let through has ended.
    pub(super) fn leave(&mut self, era: Era, end: End, now: Instant) {
        if era != Era(self.era) {
            return;
        }
        let opened = Mode::Open { until: now + self.config.open_for };
        match (&mut self.mode, end) {
            (Mode::Closed(_), End::GivenUp) => {}
            (Mode::Closed(window), End::Success | End::Failure) => {
                window.note(end == End::Failure, now);
                let (calls, failures) = window.counts(now);
                let ratio = failures as f64 / calls as f64;
                let is_telling = calls >= u64::from(self.config.min_requests);
                if end == End::Failure && is_telling && ratio >= self.config.failure_ratio {
                    self.turn(opened);
                }
            }
            (Mode::HalfOpen { .. }, End::Success) => self.turn(Mode::Closed(Window::new(now))),
            (Mode::HalfOpen { .. }, End::Failure) => self.turn(opened),
            // The next may probe.
            (Mode::HalfOpen { .. }, End::GivenUp) => self.turn(Mode::HalfOpen { until: now }),
            // No call is let through and leaves it open.
            (Mode::Open { .. }, _) => {}
        }
    }

    fn turn(&mut self, mode: Mode) {
        self.mode = mode;
        self.era = self.era.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Opens when 2 of 4 fail, for 10 s; a probe has 20 s.
    fn state() -> (State, Instant) {
        let config = BreakerConfig {
            failure_ratio: 0.5,
            min_requests: 4,
            open_for: 10 * SECOND,
            probe_for: 20 * SECOND,
        };
        let now = Instant::now();
        (State::new(config, now), now)
    }

    fn call(state: &mut State, end: End, now: Instant) {
        let era = state.enter(now).unwrap();
        state.leave(era, end, now);
    }

    fn opened() -> (State, Instant) {
        let (mut state, now) = state();
        (0..4).for_each(|_| call(&mut state, End::Failure, now));
        assert_eq!(state.name(), Name::Open);
        (state, now)
    }

    #[tokio::test(start_paused = true)]
    async fn opens_when_enough_of_enough_calls_fail() {
        use End::{Failure as F, GivenUp as G, Success as S};
        for (ends, want) in [
            (&[F, F, F][..], Name::Closed),
            (&[F, F, F, F], Name::Open),
            (&[S, S, F, F], Name::Open),
            (&[S, S, S, F, F], Name::Closed),
            (&[S, S, S, F, F, F], Name::Open),
            (&[F, F, G, G, G], Name::Closed),
            // A success never opens it.
            (&[F, F, S, S], Name::Closed),
            (&[F, F, F, S], Name::Closed),
        ] {
            let (mut state, now) = state();
            ends.iter().for_each(|&end| call(&mut state, end, now));
            assert_eq!(state.name(), want, "{ends:?}");
        }
        let (mut state, now) = state();
        (0..3).for_each(|_| call(&mut state, F, now));
        call(&mut state, F, now + 30 * SECOND);
        assert_eq!(state.name(), Name::Closed, "what is long ago is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn lets_one_call_through_when_it_has_been_open_for_long_enough() {
        let (mut state, now) = opened();
        assert_eq!(state.enter(now), Err(10 * SECOND));
        assert_eq!(state.enter(now + 9 * SECOND), Err(SECOND));
        let now = now + 10 * SECOND;
        let probe = state.enter(now).unwrap();
        assert_eq!(state.name(), Name::HalfOpen);
        assert_eq!(state.enter(now), Err(SOON));
        assert_eq!(state.check(now), Err(SOON));

        state.leave(probe, End::Failure, now + SECOND);
        assert_eq!(state.name(), Name::Open);
        assert_eq!(state.enter(now + SECOND), Err(10 * SECOND));
        let now = now + 11 * SECOND;
        let probe = state.enter(now).unwrap();
        state.leave(probe, End::Success, now);
        assert_eq!(state.name(), Name::Closed);
        (0..3).for_each(|_| call(&mut state, End::Failure, now));
        assert_eq!(state.name(), Name::Closed, "it starts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_or_takes_its_time_gives_way_to_another() {
        let (mut state, now) = opened();
        let now = now + 10 * SECOND;
        let given_up = state.enter(now).unwrap();
        state.leave(given_up, End::GivenUp, now);
        let slow = state.enter(now).unwrap();
        assert!(state.enter(now + 19 * SECOND).is_err());
        let now = now + 20 * SECOND;
        let probe = state.enter(now).unwrap();
        state.leave(slow, End::Success, now);
        assert_eq!(state.name(), Name::HalfOpen, "nobody waits for it any more");
        state.leave(probe, End::Success, now);
        assert_eq!(state.name(), Name::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_let_through_before_it_opened_changes_nothing() {
        let (mut state, now) = state();
        let early: Vec<_> = (0..9).map(|_| state.enter(now).unwrap()).collect();
        for era in early {
            state.leave(era, End::Failure, now);
        }
        assert_eq!(state.enter(now + 9 * SECOND), Err(SECOND), "open for 10 s, once");
        let (mut state, now) = opened();
        let late = Era(0);
        let probe = state.enter(now + 10 * SECOND).unwrap();
        for end in [End::Success, End::Failure, End::GivenUp] {
            state.leave(late, end, now + 10 * SECOND);
            assert_eq!(state.name(), Name::HalfOpen);
        }
        state.leave(probe, End::Success, now + 10 * SECOND);
        state.leave(late, End::Failure, now + 10 * SECOND);
        assert_eq!(state.name(), Name::Closed);
    }
}
