//! Hours of dashboards: what it saves that refreshes wait for company, and that others ride.

use super::*;

/// Vehicles of the account.
const FLEET: u32 = 12_000;

/// The cache fills before that, and what comes after it is counted.
const WARM: Duration = Duration::from_secs(1800);
const END: Duration = Duration::from_secs(1800 + 3 * 3600);

const LANE: Sizes = Sizes {
    chunk: 500,
    max_parallel: 4,
    max_in_flight: 64,
    gather_from: 0,
    refresh_wait: Duration::from_secs(5),
    ride: Duration::ZERO,
};
const TODAY: Sizes = Sizes { refresh_wait: Duration::ZERO, ..LANE };
const RIDE: Sizes = Sizes { ride: Duration::from_secs(60), ..LANE };

/// Calls and vehicles in an hour.
#[derive(Clone, Copy)]
struct Hour {
    calls: f64,
    vehicles: f64,
}

/// 85 % are finished, 10 % are absent.
fn class_of(n: u32) -> Class {
    match Chance(n.into()).bits() % 100 {
        0..85 => Class::Finished,
        85..95 => Class::Absent,
        _ => Class::Pending,
    }
}

/// Polls of `boards`, first and last vehicle each, once in `period`, and single look-ups, two in a
/// second, some vehicles far more often than others. In order of time.
fn requests(boards: &[(u32, u32)], period: Duration) -> Vec<(Duration, u32, u32)> {
    let mut chance = Chance(3);
    let mut requests = Vec::new();
    for &(first, last) in boards {
        let mut time = period.mul_f64(chance.part());
        while time < END {
            requests.push((time, first, last));
            time += period;
        }
    }
    let mut time = Duration::ZERO;
    while time < END {
        time += chance.gap(2.0);
        // The nth is asked for in proportion to 1/n; neighbours are not alike.
        let rank = f64::from(FLEET).powf(chance.part()) as u32;
        let n = rank * 7919 % FLEET;
        requests.push((time, n, n + 1));
    }
    requests.sort_unstable();
    requests
}

fn replay(requests: &[(Duration, u32, u32)], sizes: Sizes) -> Hour {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let lifetimes = vehicle_cache::Lifetimes {
            ttl: Ttl {
                finished: 900 * SECOND,
                pending: 10 * SECOND,
                failed: 10 * SECOND,
                absent: 30 * SECOND,
                jitter: 0.1,
            },
            stale: StaleWindows { while_revalidate: 300 * SECOND, if_error: 300 * SECOND },
        };
        let latency = Latency(Duration::from_millis(200));
        let (loader, seen) = simulated(sizes, lifetimes, latency, 5, class_of);
        let fleet: Vec<_> = (0..FLEET).map(vehicle).collect();
        let began_at = Instant::now();
        let read = || [&seen.calls, &seen.vehicles].map(|count| count.load(Relaxed));
        let mut at_warm = None;
        // Without a lane, refreshes had calls of their own.
        let apart = sizes.refresh_wait.is_zero();
        for &(time, first, last) in requests {
            sleep_until(began_at + time).await;
            if time >= WARM {
                at_warm.get_or_insert_with(read);
            }
            let vehicles = fleet[first as usize..last as usize].iter().copied();
            come(&loader, vehicles, apart).map(tokio::spawn);
        }
        assert_eq!(seen.twice.load(Relaxed), 0, "a vehicle stood twice in a call");
        let (before, hours) = (at_warm.unwrap(), (END - WARM).as_secs_f64() / 3600.0);
        let [calls, vehicles] = [0, 1].map(|nth| (read()[nth] - before[nth]) as f64 / hours);
        let ends = [true, false].map(|was_served| loader.0.metrics.riders_ended(was_served));
        println!(
            "{calls:.0} calls, {vehicles:.0} vehicles an hour, riders served and in vain {ends:?}"
        );
        Hour { calls, vehicles }
    })
}

/// Replays a day without and with a lane, and with riders. Gives the parts of calls that a lane saves,
/// and that riders save then.
fn saved(boards: &[(u32, u32)], period: Duration) -> (f64, f64) {
    let requests = requests(boards, period);
    let today = replay(&requests, TODAY);
    let lane = replay(&requests, LANE);
    let ride = replay(&requests, RIDE);
    assert!((lane.vehicles / today.vehicles - 1.0).abs() < 0.001);
    assert!(ride.vehicles <= 1.05 * lane.vehicles);
    (1.0 - lane.calls / today.calls, 1.0 - ride.calls / lane.calls)
}

#[test]
#[ignore = "takes minutes without optimization"]
fn six_boards_that_are_polled_every_minute() {
    let boards: Vec<_> = (0..6).map(|nth| (nth * 2000, (nth + 1) * 2000)).collect();
    let (lane, ride) = saved(&boards, 60 * SECOND);
    assert!(lane >= 0.2 && ride >= 0.1, "{lane} {ride}");
}

#[test]
#[ignore = "takes minutes without optimization"]
fn the_whole_fleet_three_times_an_hour() {
    let (lane, ride) = saved(&[(0, FLEET)], 1200 * SECOND);
    // What is polled more rarely than it lives is not served in between, and so hardly rides.
    assert!(lane >= 0.35 && ride.abs() <= 0.05, "{lane} {ride}");
}
