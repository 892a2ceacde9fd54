//! Many callers who want the same, and what they get when it goes wrong.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{task::JoinHandle, time::Instant};
use vingate::{
    sandbox::{Class, Faults, Mutation},
    vehicle::Vehicle,
};

use crate::support::{ALL, Dice, Gateway, Response, spelled};

/// Every failure is the last.
const ONE_TRY: &str = "[upstream.retry]\nmax_attempts = 1\n";

/// Faults that hold every call until they are cleared.
fn hang() -> Faults {
    Faults { hang: true, ..Faults::default() }
}

fn vehicles(gateway: &Gateway, count: usize) -> Vec<Vehicle> {
    gateway
        .sandbox
        .vehicles(Class::Finished)
        .take(count)
        .collect()
}

/// Asks in a task of its own.
fn ask(gateway: &Arc<Gateway>, vehicles: &[Vehicle]) -> JoinHandle<Response> {
    let (gateway, vehicles) = (Arc::clone(gateway), vehicles.to_vec());
    tokio::spawn(async move {
        let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
        gateway.batch(&spelled).await
    })
}

async fn in_flight(gateway: &Gateway, count: usize) {
    let count = count as f64;
    gateway.until_metric("vingate_http_in_flight", count).await;
}

/// Waits until so many batches have been read. Their vehicles are looked up without a pause then.
async fn looked_up(gateway: &Gateway, count: usize) {
    let count = count as f64;
    gateway
        .until_metric("vingate_batch_vehicles_count", count)
        .await;
}

/// With several threads, requests that come at the same moment claim at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn identical_cold_batches_are_one_call_on_many_threads() {
    let gateway = Arc::new(Gateway::start("").await);
    let all = vehicles(&gateway, 4000);
    for (round, vehicles) in all.chunks(200).enumerate() {
        gateway.sandbox.set_faults(hang());
        let waiting: Vec<_> = (0..16).map(|_| ask(&gateway, vehicles)).collect();
        in_flight(&gateway, 16).await;
        gateway.sandbox.clear_faults();
        for response in join_all(waiting).await {
            response.unwrap().expect(200);
        }
        assert_eq!(gateway.sandbox.counters().batches, round as u64 + 1);
    }
}

#[tokio::test]
async fn a_hundred_identical_cold_batches_are_one_call() {
    let gateway = Arc::new(Gateway::start("").await);
    let vehicles = vehicles(&gateway, 500);
    gateway.sandbox.set_faults(hang());
    let waiting: Vec<_> = (0..100).map(|_| ask(&gateway, &vehicles)).collect();
    looked_up(&gateway, 100).await;
    gateway.sandbox.clear_faults();

    let right = gateway.response_for(&vehicles, ALL);
    let mut joined = 0;
    for response in join_all(waiting).await {
        let response = response.unwrap().expect(200);
        assert!(response.body == right);
        let status = response.field("cache-status");
        if status.starts_with("vingate; fwd=miss; collapsed; ") {
            assert!(status.contains("joined=500 miss=0"), "{status}");
            joined += 1;
        } else {
            assert!(status.contains("joined=0 miss=500"), "{status}");
        }
    }
    assert_eq!(joined, 99);
    assert_eq!(gateway.sandbox.counters().batches, 1);
    assert_eq!(
        gateway
            .metric(r#"vingate_cache_vehicles_total{outcome="joined"}"#)
            .await,
        49_500.0
    );
}

#[tokio::test]
async fn overlapping_batches_ask_for_every_vehicle_once() {
    let gateway = Arc::new(Gateway::start("").await);
    let all = vehicles(&gateway, 3000);
    let mut dice = Dice::new(3);
    let batches: Vec<Vec<_>> = (0..100)
        .map(|_| {
            let mut places = HashSet::new();
            while places.len() < 300 {
                places.insert(dice.throw(all.len()));
            }
            places.into_iter().map(|place| all[place]).collect()
        })
        .collect();
    let distinct: HashSet<_> = batches.iter().flatten().collect();

    gateway.sandbox.set_faults(hang());
    let waiting: Vec<_> = batches.iter().map(|batch| ask(&gateway, batch)).collect();
    in_flight(&gateway, 100).await;
    gateway.sandbox.clear_faults();
    for (response, batch) in join_all(waiting).await.into_iter().zip(&batches) {
        assert!(response.unwrap().expect(200).body == gateway.response_for(batch, ALL));
    }
    let asked = gateway.sandbox.counters();
    println!("{} vehicles in {} calls", asked.distinct, asked.batches);
    assert_eq!(asked.distinct, distinct.len() as u64);
    assert_eq!(asked.most_requested, 1);
    assert!(asked.batches <= 70, "{} calls", asked.batches);
}

#[tokio::test]
async fn a_first_client_that_hangs_up_disturbs_nobody() {
    let gateway = Arc::new(Gateway::start("").await);
    let vehicles = vehicles(&gateway, 700);
    gateway.sandbox.set_faults(hang());
    let first = ask(&gateway, &vehicles);
    gateway.until(|seen| seen.hanging == 2).await;
    let others: Vec<_> = (0..10).map(|_| ask(&gateway, &vehicles)).collect();
    in_flight(&gateway, 11).await;
    first.abort();
    in_flight(&gateway, 10).await;
    gateway.sandbox.clear_faults();

    let right = gateway.response_for(&vehicles, ALL);
    for response in join_all(others).await {
        assert!(response.unwrap().expect(200).body == right);
    }
    assert_eq!(gateway.sandbox.counters().batches, 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_alone_has_still_filled_the_cache() {
    let gateway = Arc::new(Gateway::start("").await);
    let vehicles = vehicles(&gateway, 10);
    gateway.sandbox.set_faults(hang());
    let first = ask(&gateway, &vehicles);
    gateway.until(|seen| seen.hanging == 1).await;
    first.abort();
    in_flight(&gateway, 0).await;
    gateway.sandbox.clear_faults();
    gateway.until_metric("vingate_cache_entries", 10.0).await;
    let response = ask(&gateway, &vehicles).await.unwrap().expect(200);
    assert!(response.field("cache-status").starts_with("vingate; hit;"));
}

#[tokio::test]
async fn no_cache_joins_a_call_that_waits_for_a_permit_and_none_that_is_sent() {
    let gateway = Arc::new(Gateway::start("[upstream]\nmax_in_flight = 1").await);
    let two = vehicles(&gateway, 2);
    let anew = |vehicle: Vehicle| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let fields = [("cache-control", "no-cache")];
            gateway.batch_with(&[spelled(&vehicle)], &fields).await
        })
    };
    gateway.sandbox.set_faults(hang());
    let sent = ask(&gateway, &two[..1]);
    gateway.until(|seen| seen.hanging == 1).await;
    let waits = ask(&gateway, &two[1..]);
    gateway
        .until_metric("vingate_batch_vehicles_count", 2.0)
        .await;
    let (of_sent, of_waits) = (anew(two[0]), anew(two[1]));
    // Counted when a batch has been read, just before it is looked up.
    gateway
        .until_metric("vingate_batch_vehicles_count", 4.0)
        .await;
    gateway.sandbox.clear_faults();
    for (asking, from) in
        [(sent, "miss=1"), (waits, "miss=1"), (of_sent, "miss=1"), (of_waits, "joined=1")]
    {
        let response = asking.await.unwrap().expect(200);
        let status = response.field("cache-status");
        assert!(status.contains(from), "{status}");
    }
    // What waits for a permit shares a call.
    assert_eq!(gateway.requested(), [vec![two[0]], vec![two[1], two[0]]]);
}

#[tokio::test]
async fn one_failure_reaches_every_waiter_at_once_and_is_not_repeated() {
    let gateway = Arc::new(Gateway::start(ONE_TRY).await);
    let vehicles = vehicles(&gateway, 500);
    gateway
        .sandbox
        .set_faults(Faults { status: Some(500), calls: Some(1), ..hang() });
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let asking = ask(&gateway, &vehicles);
            tokio::spawn(async move { (asking.await.unwrap(), Instant::now()) })
        })
        .collect();
    looked_up(&gateway, 100).await;
    gateway.sandbox.clear_faults();
    let released_at = Instant::now();
    let mut last = released_at;
    for answered in join_all(waiting).await {
        let (response, at) = answered.unwrap();
        assert_eq!(response.expect(500).json()["detail"], "Fault");
        last = last.max(at);
    }
    println!("100 waiters were told within {:?}", last - released_at);
    assert_eq!(gateway.sandbox.counters().batches, 1);
    ask(&gateway, &vehicles).await.unwrap().expect(200);
    assert_eq!(gateway.sandbox.counters().batches, 2, "a failure is not remembered");
}

#[tokio::test]
async fn a_4xx_is_told_to_the_composer_and_the_others_ask_again_without_it() {
    let gateway = Arc::new(Gateway::start("").await);
    let vehicles = vehicles(&gateway, 5);
    let poison = vehicles[0];
    let refuses = Faults { vin: Some(poison.vin), status: Some(400), calls: Some(1), ..hang() };
    gateway.sandbox.set_faults(refuses);
    let composer = ask(&gateway, &vehicles);
    gateway.until(|seen| seen.hanging == 1).await;
    let others: Vec<_> = (0..10).map(|_| ask(&gateway, &vehicles[2..])).collect();
    in_flight(&gateway, 11).await;
    gateway.sandbox.clear_faults();

    assert_eq!(composer.await.unwrap().expect(400).json()["detail"], "Fault");
    for response in join_all(others).await {
        assert_eq!(response.unwrap().expect(200).text(), gateway.response_for(&vehicles[2..], ALL));
    }
    let asked = gateway.requested();
    assert_eq!(asked.len(), 2, "the others share one call");
    assert_eq!(asked[1], vehicles[2..]);
}

#[tokio::test]
async fn a_4xx_is_asked_again_once_and_then_told() {
    let gateway = Arc::new(Gateway::start("").await);
    let vehicles = vehicles(&gateway, 2);
    gateway
        .sandbox
        .set_faults(vec![Faults { status: Some(409), calls: Some(1), ..hang() }]);
    let composer = ask(&gateway, &vehicles);
    gateway.until(|seen| seen.hanging == 1).await;
    let other = ask(&gateway, &vehicles);
    in_flight(&gateway, 2).await;
    gateway
        .sandbox
        .set_faults(Faults { status: Some(422), ..Faults::default() });
    composer.await.unwrap().expect(409);
    other.await.unwrap().expect(422);
    assert_eq!(gateway.sandbox.counters().batches, 2);
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_asked_for_is_not_kept() {
    let with = |twist| Faults { mutations: vec![twist], ..Faults::default() };
    let body = |body: &str| Faults { body: Some(body.into()), ..Faults::default() };
    let status = |status| Faults { status: Some(status), ..Faults::default() };
    for (what, faults, want, is_kept) in [
        ("another order", with(Mutation::Reversed), 200, true),
        ("one is missing", with(Mutation::Missing), 200, true),
        ("spelled sloppily", with(Mutation::Sloppy), 200, true),
        ("no info", with(Mutation::InfoMissing), 200, true),
        ("info is null", with(Mutation::InfoNull), 200, true),
        ("chunked", Faults { chunked: true, ..Faults::default() }, 200, true),
        ("one unasked", with(Mutation::Extra), 200, false),
        ("one twice", with(Mutation::Twice), 200, false),
        ("info is a text", with(Mutation::InfoText), 502, false),
        ("JSON ends early", with(Mutation::Truncated), 502, false),
        ("no JSON", body("<html>"), 502, false),
        ("no list", body("{}"), 502, false),
        ("list is null", body(r#"{"vehicleData":null}"#), 502, false),
        ("an array", body("[]"), 502, false),
        ("nothing", body(""), 502, false),
        ("two texts", body(r#"{"vehicleData":[]}{}"#), 502, false),
        ("cut", Faults { cut_after: Some(1000), ..Faults::default() }, 502, false),
        ("too large", Faults { pad_to: Some(70_000), ..Faults::default() }, 502, false),
        (
            "too large, chunked",
            Faults { pad_to: Some(70_000), chunked: true, ..Faults::default() },
            502,
            false,
        ),
        ("closed", Faults { close: true, ..Faults::default() }, 502, false),
        ("201", status(201), 502, false),
        ("204", status(204), 502, false),
        ("206", status(206), 502, false),
        ("302", status(302), 502, false),
        ("304", status(304), 502, false),
        ("404", status(404), 404, false),
        ("429", status(429), 429, false),
        ("500", status(500), 500, false),
        ("503", status(503), 503, false),
    ] {
        let gateway = Gateway::start("[upstream]\nmax_answer = \"64KiB\"").await;
        let vehicles = vehicles(&gateway, 3);
        let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
        gateway.sandbox.set_faults(faults);
        let response = gateway.batch(&spelled).await;
        assert_eq!(response.status, want, "{what}: {}", response.text());
        if want == 502 {
            let problem = response.json();
            assert_eq!(problem["code"], "BadGateway", "{what}");
            assert!(
                response
                    .field("proxy-status")
                    .starts_with("vingate; error="),
                "{what}"
            );
        }
        if what == "another order" {
            assert_eq!(response.text(), gateway.response_for(&vehicles, ALL));
        }
        gateway.sandbox.clear_faults();
        let batches = gateway.sandbox.counters().batches;
        gateway.batch(&spelled).await.expect(200);
        let asked = gateway.sandbox.counters().batches - batches;
        assert_eq!(asked, u64::from(!is_kept), "{what}");
        assert_eq!(gateway.metric("vingate_cache_entries").await, 3.0, "{what}: all mended");
    }
}

#[tokio::test]
async fn serves_both_elements_of_a_vehicle_that_comes_twice_and_none_that_nobody_asked_for() {
    let gateway = Gateway::start("").await;
    let vehicles = vehicles(&gateway, 2);
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    let twisted = |twist| Faults { mutations: vec![twist], ..Faults::default() };
    gateway.sandbox.set_faults(twisted(Mutation::Twice));
    let twice = gateway.batch(&spelled).await.expect(200);
    let first = [vehicles[0], vehicles[0], vehicles[1]];
    assert_eq!(twice.text(), gateway.response_for(&first, ALL));
    gateway.sandbox.set_faults(twisted(Mutation::Extra));
    let extra = gateway.batch(&spelled).await.expect(200);
    assert_eq!(extra.text(), gateway.response_for(&vehicles, ALL));
    assert_eq!(gateway.metric("vingate_batch_unasked_elements_total").await, 1.0);
}

#[tokio::test]
async fn the_first_failure_in_order_of_mention_is_the_whole_answer() {
    let gateway = Gateway::start("").await;
    let vehicles = vehicles(&gateway, 1000);
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    let fails = |nth: usize, status, hold| Faults {
        vin: Some(vehicles[nth].vin),
        status: Some(status),
        hold: Duration::from_millis(hold),
        ..Faults::default()
    };
    gateway
        .sandbox
        .set_faults(vec![fails(0, 503, 50), fails(999, 500, 0)]);
    let response = gateway.batch(&spelled).await.expect(503);
    assert_eq!(response.json()["detail"], "Fault", "the upstream's own bytes");
}

#[tokio::test]
async fn what_was_sent_beside_a_failure_fills_the_cache_and_the_rest_is_not_sent() {
    let toml = format!("{ONE_TRY}[batch]\nchunk = 100\nmax_parallel = 2");
    let gateway = Gateway::start(&toml).await;
    let vehicles = vehicles(&gateway, 1000);
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    gateway.sandbox.set_faults(vec![
        Faults { vin: Some(vehicles[0].vin), status: Some(500), ..Faults::default() },
        Faults { vin: Some(vehicles[100].vin), ..hang() },
    ]);
    gateway.batch(&spelled).await.expect(500);
    gateway.until(|seen| seen.hanging == 1).await;
    gateway.sandbox.clear_faults();
    gateway
        .until_metric("vingate_upstream_in_flight", 0.0)
        .await;
    // The next chunk may go up before the request has seen the failure, and no other.
    let asked = gateway.sandbox.counters().batches;
    assert!(asked <= 3, "{asked} calls: what was not sent when it failed is dropped");
    let held = 100.0 * (asked - 1) as f64;
    gateway.until_metric("vingate_cache_entries", held).await;
}

#[tokio::test]
async fn a_follower_of_a_call_that_was_not_sent_asks_for_itself() {
    let toml = format!("{ONE_TRY}[batch]\nchunk = 10\nmax_parallel = 1");
    let gateway = Arc::new(Gateway::start(&toml).await);
    let vehicles = vehicles(&gateway, 40);
    gateway
        .sandbox
        .set_faults(Faults { status: Some(500), calls: Some(1), ..hang() });
    let leader = ask(&gateway, &vehicles);
    gateway.until(|seen| seen.hanging == 1).await;
    let follower = ask(&gateway, &vehicles[25..]);
    in_flight(&gateway, 2).await;
    gateway.sandbox.clear_faults();
    leader.await.unwrap().expect(500);
    let response = follower.await.unwrap().expect(200);
    assert!(response.text() == gateway.response_for(&vehicles[25..], ALL));
    assert_eq!(gateway.sandbox.counters().most_requested, 1);
}

#[tokio::test]
async fn small_look_ups_gather_while_others_are_under_way() {
    let gateway = Arc::new(Gateway::start("").await);
    let vehicles = vehicles(&gateway, 12);
    gateway.sandbox.set_faults(hang());
    let mut waiting = Vec::new();
    for (nth, vehicle) in vehicles[..2].iter().enumerate() {
        waiting.push(ask(&gateway, std::slice::from_ref(vehicle)));
        gateway.until(|seen| seen.batches == nth as u64 + 1).await;
    }
    waiting.extend(
        vehicles[2..]
            .chunks(1)
            .map(|vehicle| ask(&gateway, vehicle)),
    );
    in_flight(&gateway, 12).await;
    gateway.sandbox.clear_faults();
    for (response, vehicle) in join_all(waiting).await.into_iter().zip(&vehicles) {
        assert!(response.unwrap().expect(200).body == gateway.response_for([vehicle], ALL));
    }
    let asked = gateway.sandbox.counters();
    assert_eq!((asked.distinct, asked.most_requested), (12, 1));
    // Two at once; the others when those came back, or when they had waited for long enough.
    assert!((3..=6).contains(&asked.batches), "{} calls", asked.batches);
    let small = gateway.metric("vingate_batch_gather_seconds_count").await;
    assert_eq!(small, 12.0);
}
