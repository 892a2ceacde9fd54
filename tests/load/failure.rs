//! One failure of the upstream is told to all who wait for it, at once.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use vingate::sandbox::{Class, Counters, Faults};

use crate::{connection::asking_for, figures::Times, process::Process, support::PATIENCE};

/// Tries of a call: one, or as many as there are by default.
const TRIES: [u64; 2] = [1, 3];

/// How often each is done.
const ROUNDS: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "opens thousands of connections"]
async fn a_failure_is_told_to_a_thousand_waiters_at_once() {
    for (vehicles, waiters) in [(1, 100), (500, 100), (1, 1000), (500, 1000)] {
        for (fails, tries) in failures() {
            let (mut last, mut cpu) = (Times::default(), Duration::ZERO);
            for _ in 0..ROUNDS {
                let (told_after, took) = fail(vehicles, waiters, &fails, tries).await;
                last.push(told_after);
                cpu += took / waiters;
            }
            let what = fails
                .status
                .map_or("closed".into(), |status| status.to_string());
            println!(
                "{what} {tries} times, {vehicles} vehicles, {waiters} waiters: the last was told after {last}; \
                 {:.1?} of CPU a waiter",
                cpu / ROUNDS
            );
        }
    }
}

#[tokio::test]
async fn a_failure_is_told_to_every_waiter() {
    for (fails, tries) in failures() {
        fail(500, 30, &fails, tries).await;
    }
}

/// The ways to fail that are not the caller's fault, each with the tries that fail so.
fn failures() -> impl Iterator<Item = (Faults, u64)> {
    let once = Faults { calls: Some(1), ..Faults::default() };
    let ways = [Faults { status: Some(500), ..once.clone() }, Faults { close: true, ..once }];
    let every = |fails: Faults| TRIES.map(|tries| (fails.clone(), tries));
    ways.into_iter().flat_map(every)
}

/// How long after the last try's failure the last waiter has its answer, and the CPU time until
/// then.
async fn fail(vehicles: usize, waiters: u32, fails: &Faults, tries: u64) -> (Duration, Duration) {
    // More waiters of one client than it may have by default.
    let mut config = "[limit]\nmax_in_flight = 8192\n".to_owned();
    if tries == 1 {
        config.push_str("[upstream.retry]\nmax_attempts = 1\n");
    }
    let process = Process::start(&config).await;
    let vehicles = process.sandbox.vehicles(Class::Finished).take(vehicles);
    let body = asking_for(&vehicles.collect::<Vec<_>>());
    let hangs = Faults { hang: true, ..fails.clone() };
    process.sandbox.set_faults(hangs.clone());
    let connections = (0..waiters).map(|_| process.connect());
    let waiting: Vec<_> = join_all(connections)
        .await
        .into_iter()
        .map(|mut connection| {
            let body = body.clone();
            tokio::spawn(async move { (connection.batch(&body).await, Instant::now()) })
        })
        .collect();
    while process.metric("vingate_http_in_flight").await < f64::from(waiters) {
        sleep(Duration::from_millis(5)).await;
    }
    // The last of them may not have been read yet.
    process.until_idle().await;
    if tries > 1 {
        // All wait for the first try, which fails now, and after it all others but the last.
        let mut then = vec![fails.clone(); tries as usize - 2];
        then.push(hangs);
        process.sandbox.set_faults(then);
        let last = |seen: &Counters| (seen.batches, seen.hanging) == (tries, 1);
        let seen = timeout(PATIENCE, process.sandbox.until(last)).await;
        let counted = process.sandbox.counters();
        seen.unwrap_or_else(|_| panic!("{tries} tries were to come, and there were {counted:?}"));
        process.until_idle().await;
    }

    let (failed_at, before) = (Instant::now(), process.cpu());
    process.sandbox.clear_faults();
    let mut last = failed_at;
    for waiter in join_all(waiting).await {
        let (response, at) = waiter.unwrap();
        match fails.status {
            Some(status) => assert_eq!(response.expect(status).json()["detail"], "Fault"),
            None => assert_eq!(response.expect(502).json()["code"], "BadGateway"),
        }
        last = last.max(at);
    }
    let took = process.cpu() - before;
    assert_eq!(process.sandbox.counters().batches, tries, "no try is one too many");
    process.connect().await.batch(&body).await.expect(200);
    (last - failed_at, took)
}
