//! The limit in front of simulated upstreams.

use std::{cmp::Reverse, collections::BinaryHeap};

use http::{Method, Uri};

use super::*;
use crate::route::Route;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// As many calls as may be, always.
struct Load {
    adaptive: Adaptive,
    now: Instant,
    /// When calls come back, when they began, their vehicles, and the calls at once then.
    under_way: BinaryHeap<Reverse<(Instant, Instant, usize, usize)>>,
    calls: u64,
    /// The most at once that anybody wants.
    wanted: usize,
    /// By how much latency varies: the standard deviation of its logarithm.
    spread: f64,
    route: Route,
    random: u64,
}

impl Load {
    fn new(wanted: usize) -> Self {
        let now = Instant::now();
        let adaptive = Adaptive::new(64, now);
        Self {
            adaptive,
            now,
            under_way: BinaryHeap::new(),
            calls: 0,
            wanted,
            spread: 0.1,
            route: Route::Batch,
            random: 1,
        }
    }

    /// Evenly spread over 0 to 1.
    fn random(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) as f64 / f64::from(1_u32 << 31)
    }

    /// Log-normal around 1.
    fn variation(&mut self) -> f64 {
        // Twelve draws make a normal one (Irwin and Hall).
        let normal = (0..12).map(|_| self.random()).sum::<f64>() - 6.0;
        (normal * self.spread).exp()
    }

    /// Lets calls go on for a while. `latency`: of the number of vehicles, and of the calls at once
    /// when it begins. Gives calls a second, and the mean limit.
    fn run(
        &mut self,
        time: Duration,
        vehicles: impl Fn(f64) -> usize,
        latency: impl Fn(usize, usize) -> Duration,
    ) -> (f64, f64) {
        let (end, before) = (self.now + time, self.calls);
        let mut limits = Vec::new();
        while self.now < end {
            while self.under_way.len() < self.adaptive.limit().min(self.wanted) {
                let vehicles = vehicles(self.random());
                let at_once = self.under_way.len() + 1;
                let took = latency(vehicles, at_once).mul_f64(self.variation());
                self.under_way
                    .push(Reverse((self.now + took, self.now, vehicles, at_once)));
            }
            let Reverse((ended_at, began_at, vehicles, at_once)) = self.under_way.pop().unwrap();
            self.now = ended_at;
            self.calls += 1;
            let uri = Uri::from_static("/api/reports");
            let timing = Timing::new(self.route, vehicles, &Method::GET, &uri, began_at);
            self.adaptive.note(timing, at_once, self.now);
            limits.push(self.adaptive.limit() as f64);
            assert!((4..=64).contains(&self.adaptive.limit()));
        }
        let rate = (self.calls - before) as f64 / time.as_secs_f64();
        (rate, limits.iter().sum::<f64>() / limits.len() as f64)
    }
}

/// 50 ms, and 40 more for each call above eight.
fn knee(_: usize, at_once: usize) -> Duration {
    50 * MILLISECOND + 40 * MILLISECOND * at_once.saturating_sub(8) as u32
}

#[test]
fn settles_at_the_knee_and_recovers_when_it_goes() {
    // Of the last, the limit leaves room for more than twice as many.
    for wanted in [80, 24, 12] {
        let mut load = Load::new(wanted);
        load.run(20 * SECOND, |_| 1, knee);
        let (rate, limit) = load.run(60 * SECOND, |_| 1, knee);
        println!("{rate} calls a second at a limit of {limit}");
        assert!((6.0..=14.0).contains(&limit), "{wanted}: {limit}");
        // The best fixed limit is 8.
        assert!(rate >= 0.9 * 8.0 / 0.05, "{wanted}: {rate}");
        load.run(10 * SECOND, |_| 1, |_, _| 50 * MILLISECOND);
        let (rate, _) = load.run(60 * SECOND, |_| 1, |_, _| 50 * MILLISECOND);
        println!("{rate} calls a second");
        assert!(rate >= 0.95 * wanted.min(64) as f64 / 0.05, "{wanted}: {rate}");
        load.run(25 * SECOND, |_| 1, knee);
        let (rate, limit) = load.run(30 * SECOND, |_| 1, knee);
        println!("{rate} calls a second at a limit of {limit}, again");
        assert!(rate >= 0.9 * 8.0 / 0.05, "{wanted}: {rate}");
    }
}

/// Calls of each size are a kind of their own.
#[test]
fn finds_the_knee_of_calls_of_many_kinds() {
    for kinds in [3, 5, 8, 12] {
        let mut load = Load::new(80);
        let vehicles = |draw: f64| 1 << ((draw * kinds as f64) as usize * 3 / 4);
        load.run(30 * SECOND, vehicles, knee);
        let (rate, limit) = load.run(60 * SECOND, vehicles, knee);
        println!("{kinds} kinds: {rate} calls a second at a limit of {limit}");
        assert!(rate >= 0.9 * 8.0 / 0.05, "{kinds}: {rate}");
    }
}

#[test]
fn finds_the_knee_of_calls_whose_latency_varies() {
    for spread in [0.25, 0.5] {
        let mut load = Load::new(64);
        load.spread = spread;
        load.run(30 * SECOND, |_| 1, knee);
        let (rate, limit) = load.run(200 * SECOND, |_| 1, knee);
        println!("{spread}: {rate} calls a second at a limit of {limit}");
        assert!((6.0..=14.0).contains(&limit), "{spread}: {limit}");
    }
}

/// A limit that shrank for it would make a slow Sync slower for everybody who waits.
#[test]
fn stays_where_it_is_when_calls_are_slow_for_other_reasons() {
    for wanted in [80, 24, 4] {
        for slow in [100, 150, 900] {
            let mut load = Load::new(wanted);
            load.run(60 * SECOND, |_| 1, |_, _| 50 * MILLISECOND);
            let took = slow * MILLISECOND;
            let (rate, limit) = load.run(60 * SECOND, |_| 1, |_, _| took);
            println!("{wanted} {slow}: {rate} calls a second at a limit of {limit}");
            let best = wanted.min(64) as f64 / took.as_secs_f64();
            assert!(rate > 0.85 * best, "{wanted} {slow}: {rate} of {best}");
        }
    }
}

#[test]
fn stays_where_it_is_when_latency_varies() {
    for wanted in [80, 20] {
        for spread in [0.0, 0.25, 0.5, 0.7] {
            let mut load = Load::new(wanted);
            load.spread = spread;
            let (rate, limit) = load.run(200 * SECOND, |_| 1, |_, _| 200 * MILLISECOND);
            println!("{wanted} {spread}: {rate} calls a second at a limit of {limit}");
            // The mean of a log-normal distribution.
            let took = 0.2 * (spread * spread / 2.0).exp();
            let best = wanted.min(64) as f64 / took;
            assert!(rate > 0.9 * best, "{wanted} {spread}: {rate} of {best}");
        }
    }
}

#[test]
fn stays_where_it_is_when_some_calls_take_much_longer() {
    for (slow, took) in [(0.125, 2000), (0.5, 400), (0.5, 1000), (0.5, 4000)] {
        let mut load = Load::new(64);
        let draws = std::cell::Cell::new(1_u32);
        let latency = |_: usize, _: usize| {
            draws.set(draws.get().wrapping_mul(1_664_525).wrapping_add(1));
            match f64::from(draws.get() >> 8) / f64::from(1_u32 << 24) < slow {
                true => took * MILLISECOND,
                false => 200 * MILLISECOND,
            }
        };
        load.run(30 * SECOND, |_| 1, latency);
        let (rate, limit) = load.run(300 * SECOND, |_| 1, latency);
        println!("{slow} of {took} ms: {rate} calls a second at a limit of {limit}");
        let best = 64.0 / (0.2 + slow * (f64::from(took) / 1000.0 - 0.2));
        assert!(rate > 0.85 * best, "{slow} {took}: {rate} of {best}");
    }
}

/// In the midst of an experiment with calls that take so long.
fn experimenting(took: Duration) -> Load {
    let mut load = Load::new(64);
    load.run(SECOND, |_| 1, |_, _| took);
    let begun_at = load.now;
    while load.adaptive.experiment.is_none() {
        assert!(load.now < begun_at + 60 * SECOND, "no experiment has begun");
        load.run(MILLISECOND, |_| 1, |_, _| took);
    }
    load
}

#[test]
fn an_experiment_that_nobody_takes_part_in_ends() {
    for (took, waits, ends) in [(50 * MILLISECOND, 4, 6), (8 * SECOND, 10, 40)] {
        let mut load = experimenting(took);
        let limit = load.adaptive.limit();
        load.adaptive.expire(load.now + waits * SECOND);
        assert_eq!(load.adaptive.limit(), limit, "with slow calls it takes longer");
        load.adaptive.expire(load.now + ends * SECOND);
        assert_eq!(load.adaptive.limit(), 64);
    }
}

#[test]
fn is_no_smaller_for_larger_batches() {
    let latency = |vehicles: usize, _| MILLISECOND * (50 + 4 * vehicles as u32);
    let mut load = Load::new(64);
    load.run(30 * SECOND, |_| 10, latency);
    let (_, limit) = load.run(300 * SECOND, |_| 500, latency);
    assert!(limit > 55.0, "{limit}");
    let (_, limit) = load.run(300 * SECOND, |draw| 1 + (draw * 499.0) as usize, latency);
    assert!(limit > 55.0, "{limit}");
}

#[test]
fn finds_the_knee_of_calls_that_are_forwarded() {
    let mut load = Load::new(40);
    load.route = Route::Other;
    load.run(20 * SECOND, |_| 0, knee);
    let (rate, limit) = load.run(60 * SECOND, |_| 0, knee);
    assert!((6.0..=14.0).contains(&limit), "{limit}");
    assert!(rate >= 0.9 * 8.0 / 0.05, "{rate}");
}

/// They wait for each other in this process.
#[test]
fn leaves_quick_calls_alone() {
    let mut load = Load::new(64);
    let latency = |_: usize, at_once: usize| MILLISECOND * at_once as u32 / 8;
    let (_, limit) = load.run(60 * SECOND, |_| 1, latency);
    assert!(limit > 60.0, "{limit}");
}

#[test]
fn finds_the_knee_of_some_calls_beside_many_quick_ones() {
    let mut load = Load::new(64);
    let vehicles = |draw: f64| if draw < 0.8 { 0 } else { 500 };
    let latency = |vehicles: usize, at_once: usize| match vehicles {
        0 => 3 * MILLISECOND,
        _ => 1000 * MILLISECOND + 100 * MILLISECOND * at_once.saturating_sub(8) as u32,
    };
    load.run(60 * SECOND, vehicles, latency);
    let (_, limit) = load.run(60 * SECOND, vehicles, latency);
    assert!((4.0..=20.0).contains(&limit), "{limit}");
}

/// Of which none ends before an experiment does.
#[test]
fn tries_nothing_for_a_while_after_it_has_learned_nothing() {
    let mut load = Load::new(64);
    let (rate, limit) = load.run(1000 * SECOND, |_| 1, |_, _| 15 * SECOND);
    println!("{rate} calls a second at a limit of {limit}");
    assert!(rate > 0.7 * 64.0 / 15.0, "{rate}");
}

/// With few slow calls, an experiment does not know more for long.
#[test]
fn makes_few_slow_calls_wait_for_no_long_experiment() {
    for wanted in [9, 12, 30] {
        let mut load = Load::new(wanted);
        load.spread = 0.5;
        let (rate, limit) = load.run(100 * SECOND, |_| 1, |_, _| 800 * MILLISECOND);
        println!("{wanted}: {rate} calls a second at a limit of {limit}");
        let best = wanted as f64 / (0.8 * 0.125_f64.exp());
        assert!(rate > 0.8 * best, "{wanted}: {rate} of {best}");
    }
}

#[test]
fn learns_that_an_upstream_has_become_slower_for_good() {
    let mut load = Load::new(64);
    load.run(60 * SECOND, |_| 1, |_, _| 50 * MILLISECOND);
    load.run(100 * SECOND, |_| 1, |_, _| 150 * MILLISECOND);
    let (_, limit) = load.run(60 * SECOND, |_| 1, |_, _| 150 * MILLISECOND);
    assert!(limit > 55.0, "{limit}");
}

#[test]
fn another_most_bounds_the_limit_and_gives_it_back() {
    let mut adaptive = Adaptive::new(64, Instant::now());
    for (most, limit) in [(22, 22), (64, 64), (4, 4), (32, 32)] {
        adaptive.set_most(most);
        assert_eq!(adaptive.limit(), limit);
    }
    adaptive.limit = 10.0;
    for (most, limit) in [(64, 10), (8, 8)] {
        adaptive.set_most(most);
        assert_eq!(adaptive.limit(), limit, "what load has shown counts");
    }
}
