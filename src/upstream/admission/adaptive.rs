//! How many calls Sync takes at once without becoming slower. Pure: time is an argument.
//!
//! Above what a server can do at once, calls wait for each other, and more of them at once only
//! make all of them slower. So the limit grows while latency stays what it was, and shrinks when it
//! grows with the load: additively near the limit that was too high, by half when it was far too
//! high. Calls are compared with calls of their kind: of the same route, and of about as many
//! vehicles, so that larger batches are no reason to make fewer calls.
//!
//! What is normal for a kind is the least median of a few calls within the last minute. Under a load
//! that never changes nothing less would ever be seen, so now and then the limit is halved for a
//! moment. The designs behind it are the gradient controllers of Netflix' concurrency-limits and of
//! Envoy, whose smallest latency is measured at times, too.

use std::time::Duration;

use tokio::time::Instant;

use crate::route::Route;

/// The limit, and what is known of latency.
#[derive(Debug)]
pub(super) struct Adaptive {
    most: usize,
    limit: f64,
    /// By how much it grows next.
    step: f64,
    /// Calls that began before say nothing of the limit as it is.
    changed_at: Instant,
    /// While it is halved to see whether that changes anything: what it was.
    halved_from: Option<f64>,
    halves_at: Instant,
    kinds: Box<[Kind]>,
    started_at: Instant,
}

/// A call that has its response.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Timing {
    pub(in crate::upstream) route: Route,
    pub(in crate::upstream) vehicles: usize,
    pub(in crate::upstream) began_at: Instant,
}

/// Calls that take equally long.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    /// What the latest calls took, in seconds.
    sample: [f64; SAMPLE],
    calls: usize,
    busy: usize,
    /// The least median of this period and of the one before.
    least: [Option<f64>; 2],
    period: u64,
}

/// The limit never falls below.
pub(super) const LEAST: usize = 4;

/// Calls whose median is looked at: a few slow ones say nothing.
const SAMPLE: usize = 11;

/// A median so many times the least is due to load, and not to chance.
const TOLERANCE: f64 = 1.5;

/// Up to so many times, one call fewer is enough.
const SLIGHT: f64 = 2.5;

/// The first step up after one down: a limit that was too high is tried again after eight medians.
const FIRST_STEP: f64 = 0.125;

/// How long a median is remembered, at least, and how often the limit is halved for a moment.
const PERIOD: Duration = Duration::from_secs(30);

/// Sizes of batches between one vehicle and two, two and four, ….
const SIZES_PER_DOUBLING: f64 = 2.0;

/// Sizes that are told apart: up to 512 vehicles, and none.
const SIZES: usize = 20;

impl Adaptive {
    /// At the most, which stays the limit until load shows that it is too high.
    pub(super) fn new(most: usize, now: Instant) -> Self {
        Self {
            most,
            limit: most as f64,
            step: FIRST_STEP,
            changed_at: now,
            halved_from: None,
            halves_at: now,
            kinds: vec![Kind::default(); Route::ALL.len() * SIZES].into(),
            started_at: now,
        }
    }

    /// There may be so many from now on. A limit that was at the most stays there.
    pub(super) fn set_most(&mut self, most: usize) {
        let is_highest = self.limit >= self.most as f64;
        self.most = most;
        self.limit = if is_highest { most as f64 } else { self.limit.min(most as f64) };
        self.halved_from = self.halved_from.map(|before| before.min(most as f64));
    }

    /// Calls at once.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A call has its response, when so many were under way.
    pub(super) fn note(&mut self, timing: Timing, under_way: usize, now: Instant) {
        let Timing { route, vehicles, began_at } = timing;
        if began_at < self.changed_at {
            return;
        }
        let is_busy = under_way as f64 * 2.0 >= self.limit;
        let period = (now - self.started_at).as_secs() / PERIOD.as_secs();
        let kind = &mut self.kinds[route.index() * SIZES + size(vehicles)];
        if let Some((ratio, was_busy)) = kind.note(now - began_at, is_busy, period)
            && was_busy
        {
            self.adjust(ratio, now);
        }
    }

    /// Latency is so many times what is normal, under load.
    fn adjust(&mut self, ratio: f64, now: Instant) {
        let least = LEAST.min(self.most) as f64;
        let before = self.limit;
        if let Some(before) = self.halved_from.take() {
            self.limit = before;
        } else if ratio > TOLERANCE {
            let smaller = match ratio < SLIGHT {
                true => (self.limit - 1.0).floor(),
                false => (self.limit * (TOLERANCE / ratio).clamp(0.5, 0.9)).floor(),
            };
            self.limit = smaller.max(least);
            self.step = FIRST_STEP;
            self.halves_at = now + PERIOD;
        } else if now >= self.halves_at && self.limit > least {
            self.halved_from = Some(self.limit);
            self.limit = (self.limit / 2.0).max(least);
            self.halves_at = now + PERIOD;
        } else {
            self.limit = (self.limit + self.step).min(self.most as f64);
            if self.limit as usize > before as usize {
                self.step = (self.step * 2.0).min(self.limit.sqrt());
            }
        }
        if self.limit as usize != before as usize {
            self.changed_at = now;
            // Samples are of one limit.
            self.kinds.iter_mut().for_each(Kind::forget_sample);
        }
    }
}

impl Kind {
    /// A call took so long. After a few: their median as a multiple of what is normal, and whether
    /// most of them came under load.
    fn note(&mut self, took: Duration, is_busy: bool, period: u64) -> Option<(f64, bool)> {
        self.sample[self.calls] = took.as_secs_f64();
        self.calls += 1;
        self.busy += usize::from(is_busy);
        if self.calls < SAMPLE {
            return None;
        }
        let (_, &mut median, _) = self
            .sample
            .select_nth_unstable_by(SAMPLE / 2, f64::total_cmp);
        let was_busy = self.busy * 2 > self.calls;
        self.forget_sample();
        let [current, last] = self.least;
        self.least = match period - self.period {
            0 => [current, last],
            1 => [None, current],
            _ => [None, None],
        };
        self.period = period;
        self.least[0] = Some(self.least[0].map_or(median, |least| least.min(median)));
        let normal = self.least.into_iter().flatten().fold(median, f64::min);
        Some((median / normal.max(f64::MIN_POSITIVE), was_busy))
    }

    fn forget_sample(&mut self) {
        (self.calls, self.busy) = (0, 0);
    }
}

/// Which size so many vehicles are.
fn size(vehicles: usize) -> usize {
    match vehicles {
        0 => 0,
        _ => (1 + ((vehicles as f64).log2() * SIZES_PER_DOUBLING) as usize).min(SIZES - 1),
    }
}

#[cfg(test)]
mod tests;
