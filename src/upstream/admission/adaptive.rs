//! How many calls Sync takes at once without becoming slower. Pure: time is an argument.
//!
//! Above what a server can do at once, calls wait for each other, and more of them at once only
//! make all of them slower. So the limit grows while latency stays what it is with half of the
//! calls, and shrinks when it grows with the load. The designs behind it are the gradient
//! controllers of Netflix' concurrency-limits and of Envoy, whose normal latency is measured at
//! times with fewer calls, too.
//!
//! But what is slow is not always slow because of the load. So nothing is ever shrunk for good
//! without an experiment: fewer calls are made for a moment, and only if they are faster, by more
//! than chance explains, the limit stays there. The same is tried now and then under a load that
//! never changes. A climb is an experiment by itself: one that ends too high goes back towards
//! where it began, and the next one begins half as soon, so that little is lost by trying.

mod sample;

use std::{mem, time::Duration};

use tokio::time::Instant;

use self::sample::Sample;

pub(in crate::upstream) use self::sample::Timing;

/// The limit, and what is known of latency.
#[derive(Debug)]
pub(super) struct Adaptive {
    most: usize,
    limit: f64,
    /// By how much it grows next, and did first on its way from where it is now.
    step: f64,
    first_step: f64,
    /// The limit at which a climb began that has not doubled it yet.
    climbs_from: Option<f64>,
    /// Calls that began since the limit is what it is.
    sample: Sample,
    changed_at: Instant,
    /// Of what ends before, the slow ones are still under way.
    settles_at: Instant,
    /// What a call took at most since the limit is what it is.
    longest: Duration,
    /// Fewer calls than now, at the end of the last experiment.
    normal: Option<Sample>,
    experiment: Option<Experiment>,
    experiments_at: Instant,
    heard_at: Instant,
}

/// Fewer calls are made for a moment. What it was like before.
#[derive(Debug)]
struct Experiment {
    limit: f64,
    sample: Sample,
    /// It ends when no call has ended for so long.
    patience: Duration,
    /// It ends with the next call after that, or when one wants to begin: of slow calls there are
    /// few.
    until: Instant,
}

/// The limit never falls below, and fewer calls at once are no load.
pub(super) const LEAST: usize = 4;

/// Each time so many calls more have ended, they are looked at.
const CALLS: usize = 15;

/// What is not known after so many calls does not matter.
const MOST_CALLS: usize = 150;

/// Beside so many old ones, new ones would change nothing for long.
const OLD_CALLS: usize = 400;

/// Calls that take so many times as long as normal may be too many, and from the second on by far.
const SLOW: f64 = 1.35;
const VERY_SLOW: f64 = 2.5;

/// So many standard errors are no chance.
const SURE: f64 = 3.0;

/// The first step up after one down: a limit that was too high is tried again after 120 calls, and
/// when it often was, after 480.
const FIRST_STEP: f64 = 1.0 / 8.0;
const LEAST_STEP: f64 = 1.0 / 32.0;

/// How often fewer calls are made for a moment.
const EXPERIMENT_EVERY: Duration = Duration::from_secs(30);

/// An experiment without calls ends after that, or after two of the longest, and so does the wait
/// for slow calls. Calls of endpoints that are not documented tell nothing if they take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Any experiment ends after four of the longest calls, and after that.
const LONGEST: Duration = Duration::from_secs(20);

impl Adaptive {
    /// At the most, which stays the limit until load shows that it is too high.
    pub(super) fn new(most: usize, now: Instant) -> Self {
        Self {
            most,
            limit: most as f64,
            step: FIRST_STEP,
            first_step: FIRST_STEP,
            climbs_from: None,
            sample: Sample::new(),
            changed_at: now,
            settles_at: now,
            longest: Duration::ZERO,
            normal: None,
            experiment: None,
            experiments_at: now,
            heard_at: now,
        }
    }

    /// There may be so many from now on. A limit that was at the most stays there.
    pub(super) fn set_most(&mut self, most: usize) {
        let before = mem::replace(&mut self.most, most) as f64;
        let bounded = |limit: f64| match limit >= before {
            true => most as f64,
            false => limit.min(most as f64),
        };
        self.climbs_from = self.climbs_from.map(bounded);
        match &mut self.experiment {
            Some(experiment) => {
                experiment.limit = bounded(experiment.limit);
                self.limit = self.limit.min(most as f64);
            }
            None => self.limit = bounded(self.limit),
        }
    }

    /// Calls at once.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Ends an experiment that nobody takes part in, or that takes too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_over = |experiment: &mut Experiment| {
            let silence = now.saturating_duration_since(self.heard_at);
            silence > experiment.patience || now > experiment.until
        };
        if let Some(Experiment { limit, sample: before, .. }) = self.experiment.take_if(is_over) {
            self.experiments_at = now + EXPERIMENT_EVERY;
            // Of what nothing is known, no more is tried for a while either.
            let is_known = self.sample.calls() >= CALLS && self.sample.compare(&before).is_some();
            self.normal = Some(if is_known { self.sample.clone() } else { before });
            self.set_limit(limit, now);
        }
    }

    /// A call has its response. `under_way`: calls at once when it began, with itself.
    pub(super) fn note(&mut self, timing: Timing, under_way: usize, now: Instant) {
        let took = now - timing.began_at();
        // Endpoints may wait for something to happen.
        if timing.is_of_any_endpoint() && took > PATIENCE {
            return;
        }
        self.expire(now);
        self.heard_at = now;
        if timing.began_at() < self.changed_at {
            return;
        }
        self.longest = self.longest.max(took);
        if now < self.settles_at {
            return;
        }
        self.sample.add(timing, took, under_way);
        if !self.sample.calls().is_multiple_of(CALLS) {
            return;
        }
        let under_way = self.sample.under_way().min(self.limit);
        match self.experiment.take() {
            Some(experiment) => self.conclude(experiment, under_way, now),
            None => self.look(under_way, now),
        }
    }

    /// Compares an experiment with what was before, if it has gone on for long enough.
    fn conclude(&mut self, before: Experiment, under_way: f64, now: Instant) {
        // Calls that wait for each other take as long as there are many of them.
        let expected = before.sample.under_way().min(before.limit) / under_way.max(1.0);
        let expected = expected.max(1.01).ln();
        let saved = self.sample.compare(&before.sample);
        let is_known = saved.is_some_and(|saved| saved.error < expected / 4.0);
        if !is_known && self.sample.calls() < MOST_CALLS {
            self.experiment = Some(before);
            return;
        }
        self.experiments_at = now + EXPERIMENT_EVERY;
        self.normal = Some(self.sample.clone());
        if saved.is_some_and(|saved| saved.exceeds(expected / 2.0, SURE)) {
            self.climbs_from = None;
            (self.step, self.first_step) = (FIRST_STEP, FIRST_STEP);
            if under_way > self.least() {
                self.try_fewer(under_way / 2.0, now);
            }
        } else {
            self.step = self.first_step;
            self.set_limit(before.limit, now);
        }
    }

    /// Compares calls with what is normal.
    fn look(&mut self, under_way: f64, now: Instant) {
        let slower = self
            .normal
            .as_ref()
            .map(|normal| normal.compare(&self.sample));
        // What is normal for other kinds of calls says nothing.
        let is_due = now >= self.experiments_at || !matches!(slower, Some(Some(_)));
        let are_slow = self.sample.has_slow();
        match slower.flatten() {
            Some(slower) if slower.exceeds(SLOW.ln(), SURE) => {
                let is_slight = slower.log < VERY_SLOW.ln();
                if let Some(from) = self.climbs_from.take() {
                    let lower = if is_slight { under_way.ceil() - 1.0 } else { under_way / 2.0 };
                    self.first_step = (self.first_step / 2.0).max(LEAST_STEP);
                    self.step = self.first_step;
                    self.set_limit(lower.max(from).floor(), now);
                } else if under_way > self.least() {
                    let share = if is_slight { 0.75 } else { 0.5 };
                    self.try_fewer(under_way * share, now);
                }
            }
            _ if are_slow && is_due && under_way > self.least() => {
                self.try_fewer(under_way / 2.0, now)
            }
            _ if under_way * 2.0 >= self.limit => self.grow(now),
            _ => {}
        }
        if self.sample.calls() >= OLD_CALLS {
            self.sample = Sample::new();
        }
    }

    fn try_fewer(&mut self, limit: f64, now: Instant) {
        let sample = mem::replace(&mut self.sample, Sample::new());
        let patience = PATIENCE.max(self.longest * 2);
        let until = now + (self.longest * 4).clamp(PATIENCE, LONGEST);
        self.experiment = Some(Experiment { limit: self.limit, sample, patience, until });
        self.set_limit(limit.ceil().max(self.least()), now);
    }

    fn grow(&mut self, now: Instant) {
        let before = self.limit.floor();
        self.set_limit((self.limit + self.step).min(self.most as f64), now);
        if self.limit < before + 1.0 {
            return;
        }
        self.step = (self.step.max(FIRST_STEP) * 2.0).min(self.limit.sqrt());
        let from = *self.climbs_from.get_or_insert(before);
        if self.limit >= from * 2.0 {
            self.climbs_from = None;
            self.first_step = FIRST_STEP;
        }
    }

    fn set_limit(&mut self, limit: f64, now: Instant) {
        let before = mem::replace(&mut self.limit, limit);
        if limit as usize != before as usize {
            self.changed_at = now;
            self.settles_at = now + mem::take(&mut self.longest).min(PATIENCE);
            self.sample = Sample::new();
        }
    }

    fn least(&self) -> f64 {
        LEAST.min(self.most) as f64
    }
}

#[cfg(test)]
mod tests;
