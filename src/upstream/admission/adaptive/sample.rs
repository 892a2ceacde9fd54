//! How long calls take, and whether some take longer than others. Pure: time is an argument.

use std::{hash::BuildHasher as _, iter, time::Duration};

use foldhash::fast::FixedState;
use http::{Method, Uri};
use tokio::time::Instant;

use crate::route::Route;

/// A call that has its response.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Timing {
    kind: u8,
    began_at: Instant,
}

/// The latencies of some calls, as logarithms: so a few very long ones say little, and a difference
/// is a factor.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    kinds: Box<[Kind]>,
    /// Which kinds there are some of, a bit for each.
    used: u128,
    calls: usize,
    /// Calls at once when each began, added up.
    under_way: usize,
}

/// How much longer the calls of one sample take than those of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difference {
    /// The logarithm of the factor.
    pub(super) log: f64,
    /// Its standard error.
    pub(super) error: f64,
}

/// Calls that take about equally long: of one route, and of about as many vehicles or one of the
/// endpoints that are not documented.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    calls: f64,
    sum: f64,
    squares: f64,
}

/// Sizes of batches between one vehicle and two, two and four, ….
const SIZES_PER_DOUBLING: f64 = 2.0;

/// Sizes that are told apart: up to 512 vehicles, and none. So many endpoints are, too: some may
/// share a kind, whose latency varies more then.
const SIZES: usize = 20;

/// What is thought of the variance before anything is known of it: that latencies differ by a
/// twentieth. It counts as much as so many calls.
const PRIOR_VARIANCE: f64 = 0.05 * 0.05;
const PRIOR_CALLS: f64 = 4.0;

/// Seconds. Faster than that is nothing.
const SHORTEST: f64 = 1e-6;

/// Seconds. Calls that take less are not too many: they wait for this process, not for each other.
const QUICK: f64 = 0.01;

const KINDS: usize = Route::ALL.len() * SIZES;

const _: () = assert!(KINDS <= u128::BITS as usize);

impl Timing {
    /// Of a call for so many vehicles, or none.
    pub(in crate::upstream) fn new(
        route: Route,
        vehicles: usize,
        method: &Method,
        uri: &Uri,
        began_at: Instant,
    ) -> Self {
        let nth = match route {
            Route::Other => endpoint(method, uri.path()),
            _ => size(vehicles),
        };
        Self { kind: (route.index() * SIZES + nth) as u8, began_at }
    }

    pub(super) fn began_at(&self) -> Instant {
        self.began_at
    }

    /// Whether its endpoint is not documented.
    pub(super) fn is_of_any_endpoint(&self) -> bool {
        usize::from(self.kind) / SIZES == Route::Other.index()
    }
}

impl Sample {
    /// Of no calls.
    pub(super) fn new() -> Self {
        let kinds = vec![Kind::default(); KINDS].into();
        Self { kinds, used: 0, calls: 0, under_way: 0 }
    }

    /// Adds a call that took so long, and began when so many were under way, with itself.
    pub(super) fn add(&mut self, timing: Timing, took: Duration, under_way: usize) {
        let log = took.as_secs_f64().max(SHORTEST).ln();
        let kind = &mut self.kinds[usize::from(timing.kind)];
        kind.calls += 1.0;
        kind.sum += log;
        kind.squares += log * log;
        self.used |= 1 << timing.kind;
        self.calls += 1;
        self.under_way += under_way;
    }

    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Whether some of them are not [quick](QUICK).
    pub(super) fn has_slow(&self) -> bool {
        bits(self.used).any(|nth| !self.kinds[nth].is_quick())
    }

    /// Calls at once when they began, on average.
    pub(super) fn under_way(&self) -> f64 {
        self.under_way as f64 / self.calls.max(1) as f64
    }

    /// How much longer the calls of `other` take, of which there were more at once. Calls are
    /// compared with those of their kind, but for quick ones, so `None`: there are none of one kind in
    /// both.
    pub(super) fn compare(&self, other: &Self) -> Option<Difference> {
        let (mut weights, mut logs) = (0.0, 0.0);
        let (mut deviation, mut freedom) = (PRIOR_VARIANCE * PRIOR_CALLS, PRIOR_CALLS);
        let kinds = bits(self.used | other.used).map(|nth| (&self.kinds[nth], &other.kinds[nth]));
        for (one, other) in kinds.filter(|(_, other)| !other.is_quick()) {
            for kind in [one, other] {
                deviation += kind.deviation();
                freedom += (kind.calls - 1.0).max(0.0);
            }
            if one.calls > 0.0 && other.calls > 0.0 {
                // The inverse of the variance of the difference of both means.
                let weight = one.calls * other.calls / (one.calls + other.calls);
                weights += weight;
                logs += weight * (other.mean() - one.mean());
            }
        }
        let error = (deviation / freedom / weights).sqrt();
        (weights > 0.0).then(|| Difference { log: logs / weights, error })
    }
}

impl Difference {
    /// Whether it is more than `log`, and so many times what may be chance.
    pub(super) fn exceeds(self, log: f64, errors: f64) -> bool {
        self.log > log && self.log > self.error * errors
    }
}

impl Kind {
    fn is_quick(&self) -> bool {
        self.calls > 0.0 && self.mean() < QUICK.ln()
    }

    fn mean(&self) -> f64 {
        self.sum / self.calls
    }

    /// The squares of the distances from the mean, added up.
    fn deviation(&self) -> f64 {
        match self.calls > 1.0 {
            true => (self.squares - self.sum * self.mean()).max(0.0),
            false => 0.0,
        }
    }
}

/// The numbers of the bits that are set.
fn bits(mut set: u128) -> impl Iterator<Item = usize> {
    iter::from_fn(move || {
        let nth = set.trailing_zeros();
        set &= set.checked_sub(1)?;
        Some(nth as usize)
    })
}

/// Which size so many vehicles are.
fn size(vehicles: usize) -> usize {
    match vehicles {
        0 => 0,
        _ => (1 + ((vehicles as f64).log2() * SIZES_PER_DOUBLING) as usize).min(SIZES - 1),
    }
}

/// Which endpoint it is, as far as its path tells: parts with digits name one thing of many.
fn endpoint(method: &Method, path: &str) -> usize {
    let is_name = |part: &&[u8]| !part.iter().any(u8::is_ascii_digit);
    let names = path.as_bytes().split(|&byte| byte == b'/');
    let names = names.filter(is_name);
    let of_method = FixedState::default().hash_one(method);
    let hash = names.fold(of_method, |hash, name| FixedState::with_seed(hash).hash_one(name));
    (hash % SIZES as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of one route: their vehicles, and what they take in milliseconds.
    fn sample(calls: &[(usize, u64)]) -> Sample {
        let (mut sample, began_at) = (Sample::new(), Instant::now());
        for &(vehicles, took) in calls {
            let uri = Uri::from_static("/");
            let timing = Timing::new(Route::Batch, vehicles, &Method::GET, &uri, began_at);
            sample.add(timing, Duration::from_millis(took), 4);
        }
        sample
    }

    #[test]
    fn tells_sizes_apart() {
        assert_eq!([0, 1, 2, 3, 4, 250, 500, 10_000].map(size), [0, 1, 3, 4, 5, 16, 18, 19]);
    }

    #[test]
    fn tells_endpoints_apart_and_not_what_they_are_asked_for() {
        let one = endpoint(&Method::GET, "/api/reports/17/fines");
        assert_eq!(one, endpoint(&Method::GET, "/api/reports/a1b2/fines"));
        let others = ["/api/reports", "/api/fines", "/api/taxes", "/status"];
        let others = others.map(|path| endpoint(&Method::GET, path));
        assert!(others.iter().filter(|&&other| other == one).count() < 2, "{others:?}");
        assert!(others.iter().all(|&nth| nth < SIZES));
    }

    #[test]
    fn compares_calls_with_those_of_their_kind() {
        let before = sample(&[(1, 50), (1, 52), (500, 900), (500, 880)]);
        // Fewer small ones, each of which takes twice as long.
        let after = sample(&[(1, 102), (500, 1_780), (500, 1_780), (500, 1_780)]);
        let twice = before.compare(&after).unwrap();
        assert!((twice.log - 2_f64.ln()).abs() < 0.02, "{twice:?}");
        assert!(twice.exceeds(1.5_f64.ln(), 3.0));
        assert!(!twice.exceeds(2.5_f64.ln(), 3.0));
        assert!(before.compare(&sample(&[(20, 50)])).is_none());
        assert!(before.compare(&Sample::new()).is_none());
        let quick = sample(&[(1, 2), (1, 6)]);
        assert!(quick.compare(&quick).is_none() && !quick.has_slow() && before.has_slow());
    }

    #[test]
    fn what_varies_has_to_differ_more() {
        let varying = |factor: u64| sample(&[(1, 20 * factor), (1, 400 * factor)].repeat(8));
        let twice = varying(1).compare(&varying(2)).unwrap();
        assert!(twice.log > 0.6 && !twice.exceeds(0.0, 3.0), "{twice:?}");
        let steady = sample(&[(1, 90)].repeat(16));
        assert!(
            sample(&[(1, 50)].repeat(16))
                .compare(&steady)
                .unwrap()
                .exceeds(0.3, 3.0)
        );
    }

    #[test]
    fn takes_calls_that_take_no_time() {
        let compared = sample(&[(1, 0), (1, 0)]).compare(&sample(&[(1, 20)]));
        assert!(compared.unwrap().log.is_finite());
    }
}
