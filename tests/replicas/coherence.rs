//! What was written through one replica is read through the others.

use futures_util::future::join_all;
use http::{Method, Request};
use redis::Value;
use serde_json::json;
use vingate::{
    sandbox::{Class, Faults, Only},
    vehicle::Vehicle,
};

use crate::{
    redis_server::Replicas,
    support::{Gateway, JSON, Response, eventually, spelled},
};

pub(crate) async fn write(
    gateway: &Gateway,
    method: Method,
    target: &str,
    body: impl ToString,
) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", JSON);
    gateway.send(request, body.to_string()).await
}

/// Sets a vehicle's status.
pub(crate) async fn patch(gateway: &Gateway, vehicle: &Vehicle) -> Response {
    let target = format!("/api/v2/vehicles/{}/status", vehicle.vin.as_str());
    write(gateway, Method::PATCH, &target, json!({"vehicleStatusId": 3})).await
}

/// The version that a read sees of a vehicle: 1 and one more for each write of it.
pub(crate) async fn version(gateway: &Gateway, vehicle: &Vehicle) -> u64 {
    let response = gateway.batch(&[spelled(vehicle)]).await.expect(200).json();
    let version = &response["vehicleData"][0]["info"][0]["result"][0]["version"];
    version.as_u64().unwrap()
}

/// Whether it is held.
pub(crate) async fn is_held(gateway: &Gateway, vehicle: &Vehicle) -> bool {
    let fields = [("cache-control", "only-if-cached")];
    let response = gateway.batch_with(&[spelled(vehicle)], &fields).await;
    response.status == 200
}

pub(crate) fn vehicles(gateway: &Gateway, count: usize) -> Vec<Vehicle> {
    let vehicles = gateway.sandbox.vehicles(Class::Finished);
    vehicles.take(count).collect()
}

#[tokio::test]
async fn a_write_through_one_replica_is_read_through_another() {
    let Some(replicas) = Replicas::start(3, "").await else { return };
    let [a, b, c] = &replicas.all[..] else { unreachable!() };
    let two = vehicles(a, 2);
    for gateway in &replicas.all {
        for vehicle in &two {
            assert_eq!(version(gateway, vehicle).await, 1);
            assert!(is_held(gateway, vehicle).await);
        }
    }
    patch(a, &two[0]).await.expect(204);
    for gateway in [b, c, a] {
        assert_eq!(version(gateway, &two[0]).await, 2);
        assert!(is_held(gateway, &two[1]).await, "what was not written stays");
    }
    // Once its end is read, too, what was written is kept again.
    eventually(async || {
        version(b, &two[0]).await;
        is_held(b, &two[0]).await
    })
    .await;
    let body = json!({"vehicleInfo": {"vin": two[1].vin.as_str(), "plate": two[1].plate.as_str()}});
    write(b, Method::PUT, "/api/upsert-vehicle-info", body)
        .await
        .expect(200);
    for gateway in [a, c, b] {
        assert!(version(gateway, &two[1]).await > 1);
    }
    for gateway in &replicas.all {
        assert_eq!(
            gateway
                .metric("vingate_shared_unannounced_writes_total")
                .await,
            0.0
        );
    }
}

#[tokio::test]
async fn nobody_reads_what_was_before_a_write_whose_response_they_saw() {
    let Some(replicas) = Replicas::start(2, "").await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let [vehicle] = vehicles(a, 1)[..] else { unreachable!() };
    // Reads that are older than they look, so that some come after a write that they know nothing
    // of.
    replicas.sandbox().set_faults(Faults {
        only: Only::Batch,
        hold: std::time::Duration::from_millis(30),
        jitter: std::time::Duration::from_millis(30),
        ..Faults::default()
    });
    for written in 2..40 {
        let (writer, reader) = if written % 2 == 0 { (a, b) } else { (b, a) };
        let reads = (0..4).map(|_| version(reader, &vehicle));
        let (response, _) = tokio::join!(patch(writer, &vehicle), join_all(reads));
        response.expect(204);
        assert_eq!(version(reader, &vehicle).await, written);
    }
}

#[tokio::test]
async fn a_purge_and_a_refused_credential_reach_all() {
    const OWN_CREDENTIALS: &str = "# no accounts\n[auth]\nenabled = false";
    let Some(replicas) = Replicas::start(2, OWN_CREDENTIALS).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let two = vehicles(a, 2);
    let fill = async || {
        for vehicle in &two {
            version(b, vehicle).await;
        }
        assert!(is_held(b, &two[0]).await);
    };
    fill().await;
    let purge = json!({"vin": two[0].vin.as_str()}).to_string();
    let request = Request::post("/cache/purge").header("content-type", JSON);
    a.admin(request, purge).await.expect(200);
    assert!(!is_held(b, &two[0]).await && is_held(b, &two[1]).await);
    fill().await;
    a.purge().await;
    assert!(!is_held(b, &two[0]).await && !is_held(b, &two[1]).await);
    // The same client asks through the one after the other.
    let client = [("authorization", b.authorization()), ("cache-control", "no-cache")];
    for is_forwarded in [false, true] {
        replicas.sandbox().clear_faults();
        fill().await;
        let refusing = Faults { only: Only::All, status: Some(401), ..Faults::default() };
        replicas.sandbox().set_faults(refusing);
        let list = Request::get("/api/vehicles").header(client[0].0, client[0].1);
        let refused = match is_forwarded {
            true => a.send(list, "").await,
            false => a.batch_with(&[spelled(&two[0])], &client).await,
        };
        refused.expect(401);
        eventually(async || !is_held(b, &two[1]).await).await;
    }
}

#[tokio::test]
async fn a_pause_that_sync_asks_for_holds_for_all() {
    let Some(replicas) = Replicas::start(2, "").await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let two = vehicles(a, 2);
    let headers = [("retry-after".to_owned(), "200".to_owned())].into();
    let pausing = Faults { status: Some(503), headers, calls: Some(1), ..Faults::default() };
    replicas.sandbox().set_faults(pausing);
    a.batch(&[spelled(&two[0])]).await.expect(503);
    // One that was sent before it is known there that none should be is answered.
    let no_cache = [("cache-control", "no-cache")];
    eventually(async || b.batch_with(&[spelled(&two[0])], &no_cache).await.status == 503).await;
    let asked = replicas.sandbox().calls().len();
    let refused = b.batch(&[spelled(&two[1])]).await.expect(503);
    let rest: u64 = refused.field("retry-after").parse().unwrap();
    assert!((100..=200).contains(&rest), "{rest}");
    assert_eq!(replicas.sandbox().calls().len(), asked, "nothing is asked any more");
}

#[tokio::test]
async fn the_server_learns_nothing_from_what_it_keeps() {
    let Some(replicas) = Replicas::start(2, "").await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let [vehicle] = vehicles(a, 1)[..] else { unreachable!() };
    version(b, &vehicle).await;
    patch(a, &vehicle).await.expect(204);
    version(b, &vehicle).await;
    let keys: Vec<Vec<u8>> = replicas.redis.ask(&["KEYS", "*"]);
    let is_own = |key: &Vec<u8>| key.windows(11).any(|window| window == b"vg1:vingate");
    assert!(!keys.is_empty() && keys.iter().all(is_own), "{keys:?}");
    let log: Value = replicas
        .redis
        .ask(&["XRANGE", "{vg1:vingate}:log", "-", "+"]);
    let kept = format!("{log:?}");
    let mut bytes = Vec::new();
    collect(&log, &mut bytes);
    assert!(bytes.len() > 100, "{kept}");
    for text in [vehicle.vin.as_str(), vehicle.plate.as_str(), "SYNC_ALL", "PATCH"] {
        let is_there = bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes());
        assert!(!is_there, "{text}");
    }
}

/// Every byte of a value.
fn collect(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, bytes)),
        Value::BulkString(text) => bytes.extend_from_slice(text),
        _ => {}
    }
}
