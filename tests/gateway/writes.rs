//! What a write takes from the cache, and that no reader sees what was there before it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::{Method, Request};
use serde_json::json;
use tokio::time::sleep;
use vingate::{
    sandbox::{Class, Faults, Only},
    vehicle::Vehicle,
};

use crate::support::{ALL, Dice, Gateway, JSON, Response, eventually, spelled, vehicle};

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

fn vehicles(gateway: &Gateway, count: usize) -> Vec<Vehicle> {
    gateway
        .sandbox
        .vehicles(Class::Finished)
        .take(count)
        .collect()
}

async fn write(gateway: &Gateway, method: Method, target: &str, body: impl ToString) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", JSON);
    gateway.send(request, body.to_string()).await
}

/// Sets a vehicle's status.
async fn patch(gateway: &Gateway, vin: &str) -> Response {
    let target = format!("/api/v2/vehicles/{vin}/status");
    write(gateway, Method::PATCH, &target, json!({"vehicleStatusId": 3})).await
}

async fn put(gateway: &Gateway, vin: &str, plate: &str) -> Response {
    let body = json!({"vehicleInfo": {"vin": vin, "plate": plate}});
    write(gateway, Method::PUT, "/api/upsert-vehicle-info", body).await
}

/// Which of these vehicles are held.
async fn held(gateway: &Gateway, vehicles: &[Vehicle]) -> Vec<bool> {
    let mut held = Vec::new();
    for vehicle in vehicles {
        let fields = [("cache-control", "only-if-cached")];
        held.push(
            gateway
                .batch_with(&[spelled(vehicle)], &fields)
                .await
                .status
                == 200,
        );
    }
    held
}

/// Fills the cache with these vehicles.
async fn fill(gateway: &Gateway, vehicles: &[Vehicle]) {
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    gateway.batch(&spelled).await.expect(200);
}

/// The version that a read sees of a vehicle: 1 and one more for each write of it.
async fn version(gateway: &Gateway, vehicle: &Vehicle, fields: &[(&str, &str)]) -> u64 {
    let response = gateway.batch_with(&[spelled(vehicle)], fields).await;
    let response = response.expect(200).json();
    let version = &response["vehicleData"][0]["info"][0]["result"][0]["version"];
    version.as_u64().unwrap()
}

#[tokio::test]
async fn a_status_goes_up_clean_and_the_next_read_asks_again() {
    let gateway = Gateway::start("").await;
    let one = vehicle(ONE);
    fill(&gateway, &[one]).await;
    patch(&gateway, "3vw-fe21c04m000001").await.expect(204);
    let call = gateway.sandbox.calls().pop().unwrap();
    assert_eq!(call.target, "/api/v2/vehicles/3VWFE21C04M000001/status");

    let read = gateway.batch(&[ONE]).await.expect(200);
    assert!(read.field("cache-status").starts_with("vingate; fwd=miss;"));
    assert_eq!(read.text(), gateway.response_for([&one], ALL));
    assert_eq!(version(&gateway, &one, &[]).await, 2);
    let series = r#"vingate_cache_invalidations_total{cause="vehicle_status"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
}

#[tokio::test]
async fn a_write_drops_what_it_names_and_nothing_else() {
    let nested = |vin: &str, plate: &str| {
        json!({"a": [{"b": {"VIN": vin}}, 1, null], "c": {"plate": [plate, "x y z"]}}).to_string()
    };
    let two = vehicles(&Gateway::start("").await, 2);
    let (vin, plate) = (two[0].vin, two[0].plate);
    let stranger = vehicle(ONE);
    // The vehicle itself, one with its VIN, one with its plate, and one apart.
    let all = [
        two[0],
        Vehicle { vin, plate: stranger.plate },
        Vehicle { vin: stranger.vin, plate },
        two[1],
    ];
    let (vin, plate) = (vin.as_str().to_lowercase(), format!("{}-", plate.as_str()));
    let status = format!("/api/v2/vehicles/{vin}/status");
    let upsert = json!({"vehicleInfo": {"vin": vin, "plate": plate}}).to_string();
    let patch = json!({"vehicleStatusId": 3}).to_string();
    let tax = json!({"taxIdentifier": "X", "legalName": "Y"}).to_string();
    let sink = "/sandbox/sink";
    let other = "1HGCM82633A004352";
    let (query, form) = (format!("{sink}?vin={vin}"), format!("{sink}?old_plat%45=+{plate}"));
    let new = json!({"plate": "NEW123A"}).to_string();
    let old_vin = json!({"vin": other, "oldVin": vin}).to_string();
    let vins = json!({"vin": other, "vins": [vin]}).to_string();
    let spanish = json!({"vin": other, "vehiculo": {"serie": vin, "placas": plate}}).to_string();
    let member = json!({"vin": other, &vin: {"color": "red"}}).to_string();
    for (what, method, target, body, want) in [
        ("status", Method::PATCH, &*status, &patch, [false, false, true, true]),
        ("upsert", Method::PUT, "/api/upsert-vehicle-info", &upsert, [false, false, false, true]),
        ("nested", Method::POST, sink, &nested(&vin, &plate), [false, false, false, true]),
        ("nested vin", Method::POST, sink, &nested(&vin, ""), [false, false, true, true]),
        ("nested plate", Method::POST, sink, &nested("", &plate), [false, true, false, true]),
        ("query", Method::POST, &*query, &new, [false, false, true, true]),
        ("old VIN", Method::POST, sink, &old_vin, [false, false, true, true]),
        ("list of VINs", Method::POST, sink, &vins, [false, false, true, true]),
        ("in Spanish", Method::POST, sink, &spanish, [false, false, false, true]),
        ("name of a member", Method::POST, sink, &member, [false, false, true, true]),
        ("form in a query", Method::POST, &*form, &new, [false, true, false, true]),
        ("VIN and no JSON", Method::POST, &*query, &"vin=x".to_owned(), [false; 4]),
        ("tax", Method::PUT, "/api/upsert-tax-identity", &tax, [false; 4]),
        ("nothing named", Method::POST, sink, &"{}".to_owned(), [false; 4]),
        ("no body", Method::POST, sink, &String::new(), [false; 4]),
        ("no JSON", Method::POST, sink, &format!("vin={vin}"), [false; 4]),
        ("broken JSON", Method::POST, sink, &format!(r#"{{"vin":"{vin}","#), [false; 4]),
        ("refused", Method::PUT, "/api/upsert-vehicle-info", &"{}".to_owned(), [true; 4]),
        ("not found", Method::POST, "/api/nothing", &nested(&vin, &plate), [true; 4]),
        ("a read", Method::GET, "/api/vehicles", &nested(&vin, &plate), [true; 4]),
    ] {
        let gateway = Gateway::start("").await;
        fill(&gateway, &all).await;
        write(&gateway, method, target, body).await;
        assert_eq!(held(&gateway, &all).await, want, "{what}");
    }
}

#[tokio::test]
async fn a_harmless_write_drops_nothing() {
    let toml = "[cache]\nharmless_writes = [\"POST /sandbox/*\"]";
    let gateway = Gateway::start(toml).await;
    let two = vehicles(&gateway, 2);
    fill(&gateway, &two).await;
    let named = json!({"vin": two[0].vin.as_str()});
    for body in [named.to_string(), "{}".to_owned(), String::new()] {
        write(&gateway, Method::POST, "/sandbox/sink", body)
            .await
            .expect(200);
        assert_eq!(held(&gateway, &two).await, [true, true]);
    }
    patch(&gateway, two[0].vin.as_str()).await.expect(204);
    assert_eq!(held(&gateway, &two).await, [false, true]);
}

#[tokio::test]
async fn a_path_of_another_version_names_vehicles_too() {
    let gateway = Gateway::start("").await;
    let two = vehicles(&gateway, 2);
    fill(&gateway, &two).await;
    // Whatever it does, somebody else may answer it with a 200 some day.
    gateway
        .sandbox
        .set_faults(Faults { only: Only::All, status: Some(200), ..Faults::default() });
    let target = format!("/api/v3/vehicles/{}/owner", two[0].vin.as_str());
    write(&gateway, Method::DELETE, &target, "")
        .await
        .expect(200);
    assert_eq!(held(&gateway, &two).await, [false, true]);
    let target = format!("/api/vehicles/{}", two[1].plate.as_str());
    write(&gateway, Method::PUT, &target, json!({"plate": "NEW123A"}))
        .await
        .expect(200);
    gateway.sandbox.clear_faults();
    assert_eq!(held(&gateway, &two).await, [false, false]);
}

#[tokio::test]
async fn a_write_drops_vehicles_for_every_credential() {
    let toml = "[[account]]\nname = \"a\"\nvalue = { env = \"SYNC_A\" }\nsubjects = [\"alice\"]\n\
                [[account]]\nname = \"b\"\nvalue = { env = \"SYNC_B\" }\nsubjects = [\"*\"]\n";
    let gateway = Gateway::start(toml).await;
    let two = vehicles(&gateway, 2);
    let alice = gateway.token("alice", None);
    let spelled = two.iter().map(spelled).collect::<Vec<_>>();
    fill(&gateway, &two).await;
    let as_alice = [("authorization", &*alice)];
    gateway.batch_with(&spelled, &as_alice).await.expect(200);

    patch(&gateway, two[0].vin.as_str()).await.expect(204);
    assert_eq!(held(&gateway, &two).await, [false, true]);
    let read = gateway.batch_with(&spelled, &as_alice).await.expect(200);
    assert_eq!(read.text(), gateway.response_for(&two, "SYNC_A"));
    let status = read.field("cache-status");
    assert!(status.starts_with("vingate; fwd=partial;"), "{status}");

    // Taxes are a credential's own.
    fill(&gateway, &two).await;
    write(&gateway, Method::PUT, "/api/upsert-tax-identity", json!({"legalName": "Y"}))
        .await
        .expect(200);
    assert_eq!(held(&gateway, &two).await, [false, false]);
    let read = gateway.batch_with(&spelled, &as_alice).await.expect(200);
    assert!(read.field("cache-status").starts_with("vingate; hit;"));
}

#[tokio::test]
async fn a_write_that_names_very_many_drops_those_and_what_is_counted_is_what_is_held() {
    let gateway = Gateway::start("").await;
    let two = vehicles(&gateway, 2);
    fill(&gateway, &two).await;
    gateway.until_metric("vingate_cache_entries", 2.0).await;
    let mut named: Vec<_> = (0..1001)
        .map(|n| json!({"plate": format!("NOBODY{n}")}))
        .collect();
    for (also, entries, still_held) in [
        (json!({"vin": "1HGCM82633A004352"}), 2.0, [true, true]),
        (json!({"vin": two[0].vin.as_str()}), 1.0, [false, true]),
    ] {
        named.push(also);
        write(&gateway, Method::POST, "/sandbox/sink", json!(named))
            .await
            .expect(200);
        assert_eq!(gateway.metric("vingate_cache_entries").await, entries);
        assert_eq!(held(&gateway, &two).await, still_held);
    }

    fill(&gateway, &two).await;
    write(&gateway, Method::PUT, "/api/upsert-tax-identity", json!({"legalName": "Y"}))
        .await
        .expect(200);
    assert_eq!(held(&gateway, &two).await, [false, false]);
    gateway.until_metric("vingate_cache_entries", 0.0).await;
    assert_eq!(gateway.metric("vingate_cache_bytes").await, 0.0);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_counts_and_keeps_its_vehicles_out_for_a_while() {
    let lost = Faults { only: Only::Writes, close: true, ..Faults::default() };
    let failed = Faults { only: Only::Writes, status: Some(503), ..Faults::default() };
    let late = Faults { only: Only::Writes, hang: true, ..Faults::default() };
    let cases = [("lost", lost, 502), ("failed", failed, 503), ("late", late, 504)];
    join_all(cases.map(async |(what, faults, status)| {
        let gateway = Gateway::start("[upstream]\nattempt_timeout = \"2s\"").await;
        let two = vehicles(&gateway, 2);
        fill(&gateway, &two).await;
        gateway.sandbox.set_faults(faults);
        let response = patch(&gateway, two[0].vin.as_str()).await;
        assert_eq!(response.status, status, "{what}");
        gateway.sandbox.clear_faults();
        for _ in 0..2 {
            assert_eq!(version(&gateway, &two[0], &[]).await, 2, "{what}: it was done");
            assert_eq!(held(&gateway, &two).await, [false, true], "{what}");
        }
        eventually(async || {
            fill(&gateway, &two[..1]).await;
            held(&gateway, &two).await == [true, true]
        })
        .await;
    }))
    .await;
}

#[tokio::test]
async fn a_write_whose_client_hangs_up_runs_to_its_end_and_counts() {
    let gateway = Arc::new(Gateway::start("").await);
    let two = vehicles(&gateway, 2);
    fill(&gateway, &two).await;
    gateway
        .sandbox
        .set_faults(Faults { only: Only::Writes, hang: true, ..Faults::default() });
    let client = tokio::spawn({
        let (gateway, vin) = (Arc::clone(&gateway), two[0].vin);
        async move { patch(&gateway, vin.as_str()).await }
    });
    gateway.until(|seen| seen.hanging == 1).await;
    client.abort();
    // The write is given up, and so its outcome is unknown.
    eventually(async || held(&gateway, &two).await == [false, true]).await;
    fill(&gateway, &two).await;
    assert_eq!(held(&gateway, &two).await, [false, true], "nothing is kept meanwhile");
    gateway.sandbox.clear_faults();
    gateway
        .until_metric("vingate_upstream_in_flight", 0.0)
        .await;
    assert_eq!(version(&gateway, &two[0], &[]).await, 2);
    let series = r#"vingate_upstream_requests_total{outcome="2xx",route="vehicle_status"}"#;
    gateway.until_metric(series, 1.0).await;
}

#[tokio::test]
async fn a_read_that_was_on_its_way_when_a_write_was_answered_is_not_kept_or_joined() {
    let gateway = Arc::new(Gateway::start("").await);
    let one = vehicles(&gateway, 1)[0];
    gateway
        .sandbox
        .set_faults(Faults { hang: true, ..Faults::default() });
    let early = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move { version(&gateway, &one, &[]).await }
    });
    gateway.until(|seen| seen.hanging == 1).await;
    patch(&gateway, one.vin.as_str()).await.expect(204);
    // It asks for itself although somebody is asking already.
    let late = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move { version(&gateway, &one, &[]).await }
    });
    gateway.until(|seen| seen.hanging == 2).await;
    gateway.sandbox.clear_faults();
    assert_eq!(early.await.unwrap(), 1, "it began before the write");
    assert_eq!(late.await.unwrap(), 2);
    assert_eq!(version(&gateway, &one, &[]).await, 2);
    assert_eq!(gateway.sandbox.counters().batches, 2, "and that is kept");
}

/// What happened to one vehicle so far.
#[derive(Default)]
struct History {
    /// Writes that were begun, and those that were answered.
    begun: AtomicU64,
    answered: AtomicU64,
}

/// One client that reads and writes a vehicle a few times.
async fn act(
    gateway: &Gateway,
    vehicle: &Vehicle,
    history: &History,
    slowness: Duration,
    mut dice: Dice,
) {
    for _ in 0..3 {
        sleep(slowness * dice.throw(12) as u32 / 6).await;
        match dice.throw(10) {
            action @ 0..=2 => {
                history.begun.fetch_add(1, SeqCst);
                let (vin, plate) = spelled(vehicle);
                // A PUT changes the VIN and the plate, which counts as two.
                if action < 2 {
                    patch(gateway, vin).await.expect(204);
                    history.answered.fetch_add(1, SeqCst);
                } else {
                    history.begun.fetch_add(1, SeqCst);
                    put(gateway, vin, plate).await.expect(200);
                    history.answered.fetch_add(2, SeqCst);
                }
            }
            action => {
                let directive = match action {
                    3 => "no-cache",
                    4 => "no-store",
                    5 => "max-age=0",
                    _ => "",
                };
                let answered = history.answered.load(SeqCst);
                let seen = version(gateway, vehicle, &[("cache-control", directive)]).await;
                let begun = history.begun.load(SeqCst);
                let possible = 1 + answered..=1 + begun;
                assert!(
                    possible.contains(&seen),
                    "version {seen} is not in {possible:?} ({directive})"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_history_of_reads_and_writes_shows_a_value_older_than_the_last_write() {
    // A fast upstream, where all kinds of things come close together.
    histories(Duration::from_millis(3), 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_any_with_an_upstream_that_takes_200_ms() {
    histories(Duration::from_millis(200), 250).await;
}

/// A thousand histories, so many `at_once`, with an upstream that takes up to this long before
/// it reads what it answers, and half of it afterwards.
async fn histories(slowness: Duration, at_once: usize) {
    const HISTORIES: usize = 1000;
    let seed = match std::env::var("VINGATE_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos(),
    };
    // Shown when the test fails.
    println!("VINGATE_SEED={seed}");
    let toml = "[limit]\nmax_in_flight = 10000\n[upstream]\nmax_in_flight = 1000";
    let gateway = Gateway::start(toml).await;
    let slow = |only, part: u32| Faults {
        only,
        jitter: slowness / part,
        hold: slowness / 2 / part,
        ..Faults::default()
    };
    // Writes are done sooner, so that many are answered while a read is under way.
    gateway
        .sandbox
        .set_faults(vec![slow(Only::Batch, 1), slow(Only::Writes, 3)]);
    let mut vehicles = vehicles(&gateway, HISTORIES + 10);
    // These two get a 404 and a 409.
    vehicles.retain(|it| !["000404", "000409"].contains(&&it.vin.as_str()[11..]));
    vehicles.truncate(HISTORIES);
    let mut dice = Dice::new(u64::from(seed));
    for some in vehicles.chunks(at_once) {
        let histories: Vec<_> = some.iter().map(|_| History::default()).collect();
        let mut acting = Vec::new();
        for (vehicle, history) in some.iter().zip(&histories) {
            for _ in 0..3 {
                let own = Dice::new(dice.throw(usize::MAX) as u64);
                acting.push(act(&gateway, vehicle, history, slowness, own));
            }
        }
        join_all(acting).await;
    }
    let cached = gateway
        .metric(r#"vingate_cache_vehicles_total{outcome="hit"}"#)
        .await;
    let joined = gateway
        .metric(r#"vingate_cache_vehicles_total{outcome="joined"}"#)
        .await;
    println!("{cached} hits, {joined} joined");
    assert!(cached > 100.0 && joined > 100.0, "nothing was at stake");
}
