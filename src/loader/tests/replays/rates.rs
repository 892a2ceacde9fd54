//! Small look-ups at one rate, none of which is held: how many calls, and how much waiting.
//!
//! The figures are those of a simulation of the rule by itself.

use super::*;

const SIZES: Sizes = Sizes {
    chunk: 500,
    max_parallel: 4,
    max_in_flight: 64,
    gather_from: 2,
    refresh_wait: Duration::from_secs(5),
    ride: Duration::ZERO,
};

/// Calls before the look-ups that are counted.
const LEARNT: u32 = 3;

/// Calls, and how long each look-up took, in order.
struct Replayed {
    calls: usize,
    took: Vec<Duration>,
}

/// Lets look-ups come in at these times.
fn replay(arrivals: impl Iterator<Item = Duration>, latency: Duration, seed: u64) -> Replayed {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let life = 900 * SECOND;
        let lifetimes = vehicle_cache::Lifetimes {
            ttl: Ttl { finished: life, pending: life, failed: life, absent: life, jitter: 0.0 },
            stale: StaleWindows { while_revalidate: Duration::ZERO, if_error: Duration::ZERO },
        };
        let (loader, seen) =
            simulated(SIZES, lifetimes, Latency(latency), seed, |_| Class::Finished);
        // So that it is known how long calls take.
        for n in 900_000..900_000 + LEARNT {
            come(&loader, [vehicle(n)].into_iter(), false)
                .unwrap()
                .await;
        }
        let began_at = Instant::now();
        let mut waiting = Vec::new();
        for (nth, arrival) in arrivals.enumerate() {
            let due = began_at + arrival;
            if due > Instant::now() {
                sleep_until(due).await;
            }
            let came = come(&loader, [vehicle(nth as u32)].into_iter(), false);
            let came = came.expect("nothing is held");
            waiting.push(tokio::spawn(async move {
                came.await;
                due.elapsed()
            }));
        }
        let mut took = Vec::new();
        for waiting in waiting {
            took.push(waiting.await.unwrap());
        }
        took.sort_unstable();
        let [calls, vehicles] =
            [&seen.calls, &seen.vehicles].map(|it| it.load(Relaxed) - LEARNT as usize);
        assert_eq!(vehicles, took.len(), "each is asked for once");
        Replayed { calls, took }
    })
}

impl Replayed {
    fn p99(&self) -> f64 {
        self.took[self.took.len() * 99 / 100].as_secs_f64() * 1000.0
    }
}

fn at_rate(rate: u32, seconds: u64, seed: u64) -> impl Iterator<Item = Duration> {
    let (mut chance, mut time) = (Chance(seed), Duration::ZERO);
    std::iter::from_fn(move || {
        time += chance.gap(rate.into());
        Some(time).filter(|&time| time < Duration::from_secs(seconds))
    })
}

fn is_near(value: f64, simulated: f64) -> bool {
    (value - simulated).abs() <= 0.2 * simulated
}

/// For each latency in milliseconds: 99 % of waits of a thousand look-ups in 50 ms, simulated.
const P99: [(u64, f64); 3] = [(50, 132.0), (200, 314.0), (800, 1020.0)];

#[test]
fn a_thousand_look_ups_in_a_twentieth_of_a_second_are_four_calls() {
    for (latency, p99) in P99 {
        let replayed = (1..=5).map(|seed| {
            let arrivals = (0..1000).map(|nth| Duration::from_micros(50 * nth));
            let replayed = replay(arrivals, Duration::from_millis(latency), seed);
            (replayed.calls as f64, replayed.p99())
        });
        let (calls, waited) = replayed.unzip();
        let (calls, waited) = (median(calls), median(waited));
        assert!(calls <= 4.0, "{latency} ms: {calls} calls");
        assert!(waited <= 1.3 * p99, "{latency} ms: {waited} ms");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// For each latency: look-ups a second, how long they come, and the simulated calls in a second and
/// 99 % of waits, in milliseconds.
type Rates = [(u32, u64, f64, f64); 4];

#[test]
#[ignore = "takes a minute without optimization"]
fn calls_and_waits_are_those_of_the_simulation() {
    let rates: [(u64, Rates); 3] = [
        (
            50,
            [
                (10, 120, 9.9, 93.0),
                (100, 30, 39.8, 106.0),
                (1000, 8, 43.0, 107.0),
                (5000, 4, 41.0, 116.0),
            ],
        ),
        (
            200,
            [
                (10, 120, 8.2, 390.0),
                (100, 30, 16.8, 393.0),
                (1000, 8, 19.9, 396.0),
                (5000, 4, 20.5, 416.0),
            ],
        ),
        (
            800,
            [
                (10, 120, 5.0, 1523.0),
                (100, 30, 9.2, 1518.0),
                (1000, 8, 10.2, 1538.0),
                (5000, 4, 10.8, 1559.0),
            ],
        ),
    ];
    for (latency, rates) in rates {
        for (rate, seconds, calls, p99) in rates {
            let replayed = (1..=5).map(|seed| {
                let arrivals = at_rate(rate, seconds, seed);
                let replayed = replay(arrivals, Duration::from_millis(latency), seed);
                (replayed.calls as f64 / seconds as f64, replayed.p99())
            });
            let (made, waited) = replayed.unzip();
            let (made, waited) = (median(made), median(waited));
            println!(
                "{latency} ms, {rate}/s: {made:.1} calls/s ({calls}), p99 {waited:.0} ms ({p99:.0})"
            );
            assert!(is_near(made, calls) && is_near(waited, p99));
        }
    }
}
