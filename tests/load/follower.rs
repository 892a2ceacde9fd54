//! Who joins a call that another began gets its answer when the other does.

use std::time::Duration;

use tokio::time::Instant;
use vingate::{
    sandbox::{Class, Faults},
    vehicle::Vehicle,
};

use crate::{
    connection::{Connection, asking_for},
    figures::Times,
    process::Process,
};

/// How long the upstream takes: enough for a follower to come.
const CALL: Duration = Duration::from_millis(10);

#[tokio::test]
#[ignore = "takes twenty seconds"]
async fn a_follower_is_answered_with_its_leader() {
    follow(1000).await;
}

#[tokio::test]
async fn a_follower_gets_what_its_leader_gets() {
    follow(20).await;
}

/// One vehicle after the other, each asked for by two, until so many have followed. On a busy
/// machine one may come too late for that now and then.
async fn follow(rounds: usize) {
    let process = Process::start("").await;
    process
        .sandbox
        .set_faults(Faults { hold: CALL, ..Faults::default() });
    let (mut leader, mut follower) = (process.connect().await, process.connect().await);
    let vehicles = process.sandbox.vehicles(Class::Finished).take(2 * rounds);
    let (mut behind, mut calls) = (Times::default(), Times::default());
    for (nth, vehicle) in vehicles.enumerate() {
        if behind.count() == rounds {
            break;
        }
        let asked_at = Instant::now();
        let led = ask(&mut leader, vehicle);
        let followed = async {
            process
                .sandbox
                .until(|seen| seen.batches == nth as u64 + 1)
                .await;
            ask(&mut follower, vehicle).await
        };
        let ((led, led_at, _), (followed, followed_at, joined)) = tokio::join!(led, followed);
        assert_eq!(led, followed);
        calls.push(led_at - asked_at);
        if joined {
            behind.push(followed_at.saturating_duration_since(led_at));
        }
    }
    let counters = process.sandbox.counters();
    assert_eq!((counters.batches, counters.most_requested), (calls.count() as u64, 1));
    assert_eq!(behind.count(), rounds, "of {} have followed", calls.count());
    println!("follower behind its leader: {behind}; the leader's answer: {calls}");
}

/// The answer, when it was there, and whether it came from another's call.
async fn ask(connection: &mut Connection, vehicle: Vehicle) -> (bytes::Bytes, Instant, bool) {
    let response = connection.batch(&asking_for(&[vehicle])).await.expect(200);
    let joined = response.field("cache-status").contains("collapsed");
    (response.body, Instant::now(), joined)
}
