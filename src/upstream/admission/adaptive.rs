//! How many calls Sync takes at once without becoming slower. Pure: time is an argument.
//!
//! Above what a server can do at once, calls wait for each other, and more of them at once only
//! make all of them slower. So the limit grows while latency stays what it was, and shrinks when it
//! grows with the load: additively near the limit that was too high, by half when it was far too
//! high. Calls are compared with calls of their kind: of the same route, and of about as many
//! vehicles, so that larger batches are no reason to make fewer calls.
//!
//! What is normal for a kind is the least median of a few calls within the last minute. Under a load
//! that never changes nothing less would ever be seen, so now and then the calls at once are halved
//! for a moment. The designs behind it are the gradient controllers of Netflix' concurrency-limits
//! and of Envoy, whose smallest latency is measured at times, too.
//!
//! Two things are added to them. A climb that ends too high goes back to where it began, and the
//! next one begins half as soon: at the limit, little is lost by trying. And where a quarter of the
//! calls are as slow as all of them were, load was not the reason: what is slow is the new normal,
//! and the limit is what it was.

mod latency;

use std::time::Duration;

use tokio::time::Instant;

use self::latency::{KindIndex, Latencies, Median};

pub(in crate::upstream) use self::latency::Timing;

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
    fall: Option<Fall>,
    /// While fewer calls are made to see whether that changes anything: the limit before.
    probes_from: Option<f64>,
    probes_at: Instant,
    /// Calls that began before say nothing of the limit as it is.
    changed_at: Instant,
    latencies: Latencies,
}

/// Since when the limit has only shrunk.
#[derive(Clone, Copy, Debug)]
struct Fall {
    limit: f64,
    kind: KindIndex,
    median: f64,
    under_way: f64,
}

/// The limit never falls below, and fewer calls at once are no load.
pub(super) const LEAST: usize = 4;

/// A median so many times the least is due to load, and not to chance.
const TOLERANCE: f64 = 1.5;

/// Up to so many times, one call fewer is enough.
const SLIGHT: f64 = 2.5;

/// The first step up after one down: a limit that was too high is tried again after eight medians,
/// and when it often was, after 32.
const FIRST_STEP: f64 = 1.0 / 8.0;
const LEAST_STEP: f64 = 1.0 / 32.0;

/// How far the calls at once fall before it is asked whether that has helped.
const FELL: f64 = 0.25;

/// How often fewer calls are made for a moment.
const PROBE_EVERY: Duration = Duration::from_secs(30);

impl Adaptive {
    /// At the most, which stays the limit until load shows that it is too high.
    pub(super) fn new(most: usize, now: Instant) -> Self {
        Self {
            most,
            limit: most as f64,
            step: FIRST_STEP,
            first_step: FIRST_STEP,
            climbs_from: None,
            fall: None,
            probes_from: None,
            probes_at: now,
            changed_at: now,
            latencies: Latencies::new(now),
        }
    }

    /// There may be so many from now on. A limit that was at the most stays there.
    pub(super) fn set_most(&mut self, most: usize) {
        let is_highest = self.limit >= self.most as f64;
        self.most = most;
        let bounded = |limit: f64| limit.min(most as f64);
        self.limit = if is_highest { most as f64 } else { bounded(self.limit) };
        self.climbs_from = self.climbs_from.map(bounded);
        self.probes_from = self.probes_from.map(bounded);
        self.fall = self
            .fall
            .map(|fall| Fall { limit: bounded(fall.limit), ..fall });
    }

    /// Calls at once.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A call has its response. `under_way`: calls at once when it began, with itself.
    pub(super) fn note(&mut self, timing: Timing, under_way: usize, now: Instant) {
        if timing.began_at < self.changed_at {
            return;
        }
        let before = self.limit();
        if let Some(median) = self.latencies.note(timing, under_way, now) {
            self.adjust(median, now);
        }
        if self.limit() != before {
            self.changed_at = now;
            // Samples are of one limit.
            self.latencies.forget_samples();
        }
    }

    fn adjust(&mut self, median: Median, now: Instant) {
        let under_way = median.under_way.min(self.limit);
        let is_slow = median.ratio > TOLERANCE;
        if !is_slow {
            self.fall = None;
        }
        let probes_from = self.probes_from.take();
        if is_slow && (under_way > self.least() || self.fall.is_some()) {
            let limit = probes_from.unwrap_or(self.limit);
            self.shrink(Median { under_way, ..median }, limit);
        } else if let Some(limit) = probes_from {
            self.limit = limit;
        } else if now >= self.probes_at && under_way > self.least() {
            self.probes_from = Some(self.limit);
            self.limit = (under_way / 2.0).ceil().max(self.least());
            self.probes_at = now + PROBE_EVERY;
        } else if !is_slow && under_way * 2.0 >= self.limit {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let before = self.limit.floor();
        self.limit = (self.limit + self.step).min(self.most as f64);
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

    /// Calls take too long with so many under way. `limit`: without a probe.
    fn shrink(&mut self, median: Median, limit: f64) {
        let Median { kind, ratio, under_way, .. } = median;
        let smaller = match ratio < SLIGHT {
            true => (under_way - 1.0).ceil(),
            false => (under_way * (TOLERANCE / ratio).clamp(0.5, 0.9)).floor(),
        };
        if let Some(from) = self.climbs_from.take() {
            self.limit = smaller.max(from);
            self.first_step = (self.first_step / 2.0).max(LEAST_STEP);
            self.fall = None;
        } else {
            let median = median.seconds;
            let begun = Fall { limit, kind, median, under_way };
            let fall = *self.fall.get_or_insert(begun);
            let has_fallen = under_way <= self.least().max(fall.under_way * FELL);
            if has_fallen && kind == fall.kind && fall.is_in_vain(median, under_way) {
                self.limit = fall.limit;
                self.fall = None;
                self.latencies.forget();
            } else {
                self.limit = smaller.max(self.least());
            }
            self.first_step = FIRST_STEP;
        }
        self.step = self.first_step;
    }

    fn least(&self) -> f64 {
        LEAST.min(self.most) as f64
    }
}

impl Fall {
    /// Calls that wait for each other take as long as there are many of them. These take about as
    /// long as they did.
    fn is_in_vain(&self, median: f64, under_way: f64) -> bool {
        let share = under_way / self.under_way;
        share < 1.0 && median > self.median * f64::midpoint(share, 1.0)
    }
}

#[cfg(test)]
mod tests;
