//! How long calls of a kind take, and how long they normally do. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::route::Route;

/// A call that has its response.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Timing {
    pub(in crate::upstream) route: Route,
    pub(in crate::upstream) vehicles: usize,
    pub(in crate::upstream) began_at: Instant,
}

/// Of all kinds.
#[derive(Debug)]
pub(super) struct Latencies {
    kinds: Box<[Kind]>,
    started_at: Instant,
}

/// Of a kind.
pub(super) type KindIndex = usize;

/// Of a few calls of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Median {
    pub(super) kind: KindIndex,
    pub(super) seconds: f64,
    /// How many times as long as normal.
    pub(super) ratio: f64,
    /// Calls at once when they began, on average.
    pub(super) under_way: f64,
}

/// Calls that take equally long.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    /// What the latest calls took, in seconds.
    sample: [f64; SAMPLE],
    calls: usize,
    /// Calls at once, added up.
    under_way: usize,
    /// The least median of this period and of the one before.
    least: [Option<f64>; 2],
    period: u64,
}

/// Calls whose median is looked at: a few slow ones say nothing.
const SAMPLE: usize = 15;

/// How long a median is remembered, at least.
const PERIOD: Duration = Duration::from_secs(30);

/// Sizes of batches between one vehicle and two, two and four, ….
const SIZES_PER_DOUBLING: f64 = 2.0;

/// Sizes that are told apart: up to 512 vehicles, and none.
const SIZES: usize = 20;

impl Latencies {
    pub(super) fn new(now: Instant) -> Self {
        let kinds = vec![Kind::default(); Route::ALL.len() * SIZES].into();
        Self { kinds, started_at: now }
    }

    /// A call has its response. After a few: their median.
    pub(super) fn note(
        &mut self,
        timing: Timing,
        under_way: usize,
        now: Instant,
    ) -> Option<Median> {
        let Timing { route, vehicles, began_at } = timing;
        let index = route.index() * SIZES + size(vehicles);
        let kind = &mut self.kinds[index];
        kind.sample[kind.calls] = (now - began_at).as_secs_f64();
        kind.calls += 1;
        kind.under_way += under_way;
        if kind.calls < SAMPLE {
            return None;
        }
        let (_, &mut seconds, _) = kind
            .sample
            .select_nth_unstable_by(SAMPLE / 2, f64::total_cmp);
        let under_way = kind.under_way as f64 / SAMPLE as f64;
        kind.forget_sample();
        let normal = kind.normal(seconds, (now - self.started_at).as_secs() / PERIOD.as_secs());
        Some(Median { kind: index, seconds, ratio: seconds / normal, under_way })
    }

    /// What is counted from now on is of another limit.
    pub(super) fn forget_samples(&mut self) {
        self.kinds.iter_mut().for_each(Kind::forget_sample);
    }

    /// Whatever comes next is normal.
    pub(super) fn forget(&mut self) {
        self.kinds.fill(Kind::default());
    }
}

impl Kind {
    /// The least median within a minute, with this one.
    fn normal(&mut self, median: f64, period: u64) -> f64 {
        let [current, last] = self.least;
        let [current, last] = match period - self.period {
            0 => [current, last],
            1 => [None, current],
            _ => [None, None],
        };
        let current = current.map_or(median, |least| least.min(median));
        self.period = period;
        self.least = [Some(current), last];
        last.map_or(current, |least| least.min(current))
            .max(f64::MIN_POSITIVE)
    }

    fn forget_sample(&mut self) {
        (self.calls, self.under_way) = (0, 0);
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
mod tests {
    use super::size;

    #[test]
    fn tells_sizes_apart() {
        assert_eq!([0, 1, 2, 3, 4, 250, 500, 10_000].map(size), [0, 1, 3, 4, 5, 16, 18, 19]);
    }
}
