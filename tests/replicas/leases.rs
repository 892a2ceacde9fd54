//! One replica asks for what nobody has, and the others wait for it.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::join_all;
use vingate::{
    sandbox::{Faults, Only},
    vehicle::Vehicle,
};

use crate::{
    coherence::{vehicles, version},
    redis_server::{ALONE, RedisServer, Replicas},
    support::{Gateway, eventually, spelled},
    values::{TRUSTING, batch, until_asking},
};

/// Vehicles. All replicas of a test share a thread, and in a build that is not optimized a call
/// for many more would take longer than anybody waits for one.
const FLEET: usize = if cfg!(debug_assertions) { 1_000 } else { 12_000 };

async fn leased(gateway: &Gateway, outcome: &str) -> f64 {
    let series = format!("vingate_shared_leases_total{{outcome=\"{outcome}\"}}");
    gateway.metric(&series).await
}

/// How many vehicles were asked for in all, but for those that were waited for in vain: on a machine
/// that has other things to do, any call may take too long.
async fn asked(gateways: &[Gateway]) -> usize {
    let asked: usize = gateways[0].requested().iter().map(Vec::len).sum();
    let mut in_vain = 0;
    for gateway in gateways {
        in_vain += leased(gateway, "in_vain").await as usize;
    }
    println!("{asked} asked for, {in_vain} in vain");
    asked - in_vain
}

/// The names of all leases.
fn leases(replicas: &Replicas) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = replicas.redis.ask(&["KEYS", "vg1:*L"]);
    // Of any bytes, some values are named like that, too.
    names.retain(|name| name.len() > "vg1:vingate:".len() + 16);
    names
}

/// Replicas that ask for values.
async fn replicas(count: usize) -> Option<Replicas> {
    let replicas = Replicas::start(count, TRUSTING).await?;
    until_asking(&replicas).await;
    Some(replicas)
}

/// Does something while the last of the replicas waits for a call for `vehicle` that hangs.
async fn while_the_last_hangs(replicas: &Replicas, vehicle: &Vehicle, then: impl AsyncFnOnce()) {
    let hanging = Faults { only: Only::Batch, hang: true, calls: Some(1), ..Faults::default() };
    replicas.sandbox().set_faults(hanging);
    let last = replicas.all.last().unwrap();
    let then = async {
        // All call the sandbox of the first.
        replicas.all[0].until(|seen| seen.batches == 1).await;
        assert_eq!(leases(replicas).len(), 1);
        then().await;
    };
    tokio::select! {
        response = version(last, vehicle) => panic!("{response}"),
        () = then => {}
    }
}

#[tokio::test]
async fn replicas_that_begin_with_nothing_ask_once_for_each_vehicle() {
    let Some(replicas) = replicas(3).await else { return };
    replicas.sandbox().set_faults(Faults {
        only: Only::Batch,
        hold: Duration::from_millis(50),
        ..Faults::default()
    });
    let all = vehicles(&replicas.all[0], FLEET);
    let halves = all.chunks(FLEET / 2);
    let asking = replicas
        .all
        .iter()
        .flat_map(|gateway| halves.clone().map(move |half| batch(gateway, half)));
    let responses = join_all(asking).await;
    for (nth, response) in responses.iter().enumerate() {
        assert_eq!(response.body, responses[nth % 2].body);
    }
    let asked = asked(&replicas.all).await;
    assert!((FLEET..=FLEET + FLEET / 100).contains(&asked), "{asked}");
    // Nothing is left of it.
    eventually(async || leases(&replicas).is_empty()).await;
}

#[tokio::test]
async fn whoever_waits_for_a_replica_that_hangs_asks_in_the_end() {
    let Some(replicas) = replicas(3).await else { return };
    let [vehicle] = vehicles(&replicas.all[0], 1)[..] else { unreachable!() };
    let [b, c, _] = &replicas.all[..] else { unreachable!() };
    while_the_last_hangs(&replicas, &vehicle, async || {
        let (one, other) = tokio::join!(version(b, &vehicle), version(c, &vehicle));
        assert_eq!([one, other], [1, 1]);
        let in_vain = leased(b, "in_vain").await + leased(c, "in_vain").await;
        assert!(in_vain >= 1.0, "the lease was renewed");
        assert_eq!(leases(&replicas).len(), 1, "and still is");
    })
    .await;
}

#[tokio::test]
async fn another_takes_the_lease_of_a_replica_that_is_gone() {
    let Some(mut replicas) = replicas(3).await else { return };
    let [vehicle] = vehicles(&replicas.all[0], 1)[..] else { unreachable!() };
    while_the_last_hangs(&replicas, &vehicle, async || {}).await;
    // Renews nothing any more, and does not say so.
    drop(replicas.all.pop());
    let [b, c] = &replicas.all[..] else { unreachable!() };
    let (one, other) = tokio::join!(version(b, &vehicle), version(c, &vehicle));
    assert_eq!([one, other], [1, 1]);
    let calls = replicas.sandbox().calls().len();
    assert!((2..=3).contains(&calls), "{calls}");
}

#[tokio::test]
async fn whoever_waits_when_the_server_freezes_asks() {
    let Some(replicas) = replicas(2).await else { return };
    let [vehicle] = vehicles(&replicas.all[0], 1)[..] else { unreachable!() };
    let b = &replicas.all[0];
    while_the_last_hangs(&replicas, &vehicle, async || {
        let freezing = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            replicas.redis.freeze();
        };
        let (read, ()) = tokio::join!(version(b, &vehicle), freezing);
        assert_eq!(read, 1);
        replicas.redis.thaw();
    })
    .await;
}

#[tokio::test]
async fn a_call_that_fails_ends_the_lease() {
    let Some(replicas) = replicas(2).await else { return };
    let [vehicle] = vehicles(&replicas.all[0], 1)[..] else { unreachable!() };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let failing = Faults { only: Only::Batch, status: Some(400), ..Faults::default() };
    replicas.sandbox().set_faults(failing);
    a.batch(&[spelled(&vehicle)]).await.expect(400);
    eventually(async || leases(&replicas).is_empty()).await;
    replicas.sandbox().clear_faults();
    assert_eq!(version(b, &vehicle).await, 1);
    assert_eq!(leased(b, "taken").await, 1.0);
}

#[tokio::test]
async fn whoever_wants_no_cache_neither_takes_a_lease_nor_waits() {
    let Some(replicas) = replicas(2).await else { return };
    let [vehicle] = vehicles(&replicas.all[0], 1)[..] else { unreachable!() };
    let b = &replicas.all[0];
    while_the_last_hangs(&replicas, &vehicle, async || {
        for directive in ["no-cache", "no-store"] {
            let fields = [("cache-control", directive)];
            b.batch_with(&[spelled(&vehicle)], &fields)
                .await
                .expect(200);
        }
        for outcome in ["taken", "brought", "in_vain"] {
            assert_eq!(leased(b, outcome).await, 0.0, "{outcome}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_begins_anew_under_load_costs_one_call_for_each_vehicle() {
    let _alone = ALONE.write().await;
    let Some(redis) = RedisServer::start(&[]).await else { return };
    let Some(mut replicas) = Replicas::sharing(redis, 3, TRUSTING).await else { return };
    until_asking(&replicas).await;
    let all = vehicles(&replicas.all[0], FLEET);
    for gateway in &replicas.all {
        for half in all.chunks(FLEET / 2) {
            batch(gateway, half).await;
        }
    }
    let before = asked(&replicas.all).await;
    let held = async |gateway: &Gateway| gateway.metric("vingate_cache_entries").await;
    let Replicas { redis, all: gateways, .. } = &mut replicas;
    let is_over = AtomicBool::new(false);
    let load = join_all(gateways.iter().map(|gateway| {
        let (is_over, all) = (&is_over, &all);
        async move {
            let mut pieces = all.chunks(100).cycle();
            while !is_over.load(Relaxed) {
                // Whatever is not 200 ends the test.
                batch(gateway, pieces.next().unwrap()).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }));
    let restart = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        redis.restart().await;
        let mut dropped = 0.0;
        for gateway in gateways.iter() {
            // Nothing was held when it first heard of the server.
            let series = "vingate_cache_invalidations_total{cause=\"lost\"}";
            gateway.until_metric(series, 1.0).await;
            dropped += gateway.metric(series).await;
            eventually(async || held(gateway).await == FLEET as f64).await;
        }
        // What is held only shows that it was dropped when it is asked for.
        eventually(async || asked(gateways).await >= before + FLEET).await;
        is_over.store(true, Relaxed);
        dropped
    };
    let (_, dropped) = tokio::join!(load, restart);
    assert_eq!(dropped, 3.0);
    let again = asked(&replicas.all).await - before;
    assert!((FLEET..=FLEET + FLEET / 100).contains(&again), "{again}");
}
