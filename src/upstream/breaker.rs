//! The circuit breaker: no calls while most of them fail.
//!
//! Whoever waits for a call that will fail waits in vain, and an upstream that is down comes up
//! again sooner without them. Closed, open, half-open: here is when calls are made, and what their
//! ends change. Pure; the admission of calls holds it.

mod window;

use std::{cmp, time::Duration};

use tokio::time::Instant;

use self::window::Window;
use super::BreakerConfig;

/// What a breaker knows. Time is an argument.
#[derive(Debug)]
pub(super) struct Breaker {
    config: BreakerConfig,
    mode: Mode,
    /// Counts the changes of mode: the end of a call made before the last one changes nothing.
    generation: u32,
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

/// The changes of mode before a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u32);

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Failure,
    /// Its client gave it up, or is at fault.
    GivenUp,
}

/// When to come again while a probe is on its way: nobody knows.
const SOON: Duration = Duration::from_secs(1);

impl Breaker {
    pub(super) fn new(config: BreakerConfig, now: Instant) -> Self {
        Self { config, mode: Mode::Closed(Window::new(now)), generation: 0 }
    }

    pub(super) fn name(&self) -> Name {
        match self.mode {
            Mode::Closed(_) => Name::Closed,
            Mode::Open { .. } => Name::Open,
            Mode::HalfOpen { .. } => Name::HalfOpen,
        }
    }

    /// Whether a call may be made; else how long it is until one may.
    pub(super) fn check(&self, now: Instant) -> Result<(), Duration> {
        match self.mode {
            Mode::Open { until } if now < until => Err(until - now),
            Mode::HalfOpen { until } if now < until => Err(cmp::min(until - now, SOON)),
            Mode::Closed(_) | Mode::Open { .. } | Mode::HalfOpen { .. } => Ok(()),
        }
    }

    /// Makes a call, or says how long it is until one may be made.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Generation, Duration> {
        self.check(now)?;
        if !matches!(self.mode, Mode::Closed(_)) {
            // Of a probe that takes longer than a call may, because its client takes its time,
            // nothing more is expected.
            self.switch_to(Mode::HalfOpen { until: now + self.config.probe_for });
        }
        Ok(Generation(self.generation))
    }

    /// A call has ended.
    pub(super) fn leave(&mut self, generation: Generation, end: End, now: Instant) {
        if generation != Generation(self.generation) {
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
                    self.switch_to(opened);
                }
            }
            (Mode::HalfOpen { .. }, End::Success) => self.switch_to(Mode::Closed(Window::new(now))),
            (Mode::HalfOpen { .. }, End::Failure) => self.switch_to(opened),
            // The next may probe.
            (Mode::HalfOpen { .. }, End::GivenUp) => self.switch_to(Mode::HalfOpen { until: now }),
            // No call is made that leaves it open.
            (Mode::Open { .. }, _) => {}
        }
    }

    fn switch_to(&mut self, mode: Mode) {
        self.mode = mode;
        self.generation = self.generation.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Opens when 2 of 4 fail, for 10 s; a probe has 20 s.
    fn breaker() -> (Breaker, Instant) {
        let config = BreakerConfig {
            failure_ratio: 0.5,
            min_requests: 4,
            open_for: 10 * SECOND,
            probe_for: 20 * SECOND,
        };
        let now = Instant::now();
        (Breaker::new(config, now), now)
    }

    fn call(breaker: &mut Breaker, end: End, now: Instant) {
        let generation = breaker.enter(now).unwrap();
        breaker.leave(generation, end, now);
    }

    fn opened() -> (Breaker, Instant) {
        let (mut breaker, now) = breaker();
        (0..4).for_each(|_| call(&mut breaker, End::Failure, now));
        assert_eq!(breaker.name(), Name::Open);
        (breaker, now)
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
            let (mut breaker, now) = breaker();
            ends.iter().for_each(|&end| call(&mut breaker, end, now));
            assert_eq!(breaker.name(), want, "{ends:?}");
        }
        let (mut breaker, now) = breaker();
        (0..3).for_each(|_| call(&mut breaker, F, now));
        call(&mut breaker, F, now + 30 * SECOND);
        assert_eq!(breaker.name(), Name::Closed, "what is long ago is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn makes_one_call_when_it_has_been_open_for_long_enough() {
        let (mut breaker, now) = opened();
        assert_eq!(breaker.enter(now), Err(10 * SECOND));
        assert_eq!(breaker.enter(now + 9 * SECOND), Err(SECOND));
        let now = now + 10 * SECOND;
        let probe = breaker.enter(now).unwrap();
        assert_eq!(breaker.name(), Name::HalfOpen);
        assert_eq!(breaker.enter(now), Err(SOON));
        assert_eq!(breaker.check(now), Err(SOON));

        breaker.leave(probe, End::Failure, now + SECOND);
        assert_eq!(breaker.name(), Name::Open);
        assert_eq!(breaker.enter(now + SECOND), Err(10 * SECOND));
        let now = now + 11 * SECOND;
        let probe = breaker.enter(now).unwrap();
        breaker.leave(probe, End::Success, now);
        assert_eq!(breaker.name(), Name::Closed);
        (0..3).for_each(|_| call(&mut breaker, End::Failure, now));
        assert_eq!(breaker.name(), Name::Closed, "it starts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_or_takes_its_time_gives_way_to_another() {
        let (mut breaker, now) = opened();
        let now = now + 10 * SECOND;
        let given_up = breaker.enter(now).unwrap();
        breaker.leave(given_up, End::GivenUp, now);
        let slow = breaker.enter(now).unwrap();
        assert!(breaker.enter(now + 19 * SECOND).is_err());
        let now = now + 20 * SECOND;
        let probe = breaker.enter(now).unwrap();
        breaker.leave(slow, End::Success, now);
        assert_eq!(breaker.name(), Name::HalfOpen, "nobody waits for it any more");
        breaker.leave(probe, End::Success, now);
        assert_eq!(breaker.name(), Name::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_called_before_it_opened_changes_nothing() {
        let (mut breaker, now) = breaker();
        let early: Vec<_> = (0..9).map(|_| breaker.enter(now).unwrap()).collect();
        for generation in early {
            breaker.leave(generation, End::Failure, now);
        }
        assert_eq!(breaker.enter(now + 9 * SECOND), Err(SECOND), "open for 10 s, once");
        let (mut breaker, now) = opened();
        let late = Generation(0);
        let probe = breaker.enter(now + 10 * SECOND).unwrap();
        for end in [End::Success, End::Failure, End::GivenUp] {
            breaker.leave(late, end, now + 10 * SECOND);
            assert_eq!(breaker.name(), Name::HalfOpen);
        }
        breaker.leave(probe, End::Success, now + 10 * SECOND);
        breaker.leave(late, End::Failure, now + 10 * SECOND);
        assert_eq!(breaker.name(), Name::Closed);
    }
}
