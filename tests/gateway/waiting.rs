//! What those get who wait for a call when it takes long, is refused at length, or the gateway
//! ends meanwhile.

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use vingate::{
    sandbox::{Class, Faults},
    vehicle::Vehicle,
};

use crate::support::{ALL, BATCH, Gateway, PATIENCE, Wire, batch_body, eventually, spelled};

fn hang() -> Faults {
    Faults { hang: true, ..Faults::default() }
}

/// So many requests for one vehicle, the first of which asks and all others wait for.
async fn waiting(gateway: &Gateway, count: usize) -> Vec<Wire> {
    gateway.sandbox.set_faults(hang());
    let (head, body) = request(gateway);
    let mut waiting = Vec::new();
    for _ in 0..count {
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(format!("{head}{body}")).await;
        waiting.push(wire);
    }
    read(gateway, count).await;
    waiting
}

/// The head and the body of a request for one vehicle.
fn request(gateway: &Gateway) -> (String, String) {
    let body = batch_body(&[spelled(&one(gateway))]);
    let head = format!(
        "GET {BATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
        gateway.own_token(),
        body.len()
    );
    (head, body)
}

fn one(gateway: &Gateway) -> Vehicle {
    gateway.sandbox.vehicles(Class::Finished).next().unwrap()
}

async fn all_are_answered(gateway: &Gateway, waiting: Vec<Wire>) {
    let right = gateway.response_for([&one(gateway)], ALL);
    for mut wire in waiting {
        assert_eq!(wire.response().await.expect(200).body, right.as_bytes());
    }
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

/// Waits until so many batches were read, which is just before they are looked up.
async fn read(gateway: &Gateway, count: usize) {
    let series = "vingate_batch_vehicles_count";
    gateway.until_metric(series, count as f64).await;
}

#[tokio::test]
async fn everybody_who_waits_has_a_deadline_of_their_own() {
    const TIME: Duration = Duration::from_secs(3);
    let gateway = Gateway::start("[upstream]\nrequest_timeout = \"3s\"").await;
    // Its time runs from its head, and its body ends when somebody else has asked already.
    let (head, body) = request(&gateway);
    let mut early = Wire::connect(gateway.address).await;
    let began_at = Instant::now();
    early.send(head).await;
    sleep_until(began_at + TIME / 2).await;
    let asking = waiting(&gateway, 1).await;
    early.send(body).await;
    read(&gateway, 2).await;

    let late = early.response().await.expect(504);
    assert!(began_at.elapsed() >= TIME);
    assert_eq!(late.json()["code"], "UpstreamTimeout");
    gateway.sandbox.clear_faults();
    all_are_answered(&gateway, asking).await;
}

#[tokio::test]
async fn a_refusal_is_passed_on_with_what_is_said_up_to_64_kib() {
    const MOST: usize = 64 * 1024;
    for (length, passed_on) in
        [(0, 0), (10, 10), (MOST - 1, MOST - 1), (MOST, MOST), (MOST + 1, MOST), (300_000, MOST)]
    {
        for (status, is_chunked) in [(400, false), (503, true)] {
            let gateway = Gateway::start("").await;
            let said: String = (0..length)
                .map(|nth| char::from(b'a' + (nth % 23) as u8))
                .collect();
            let fields = [
                ("content-type", "text/x-odd"),
                ("retry-after", "7"),
                ("set-cookie", "a=b"),
                ("x-other", "1"),
            ];
            gateway.sandbox.set_faults(Faults {
                status: Some(status),
                body: Some(said.clone()),
                chunked: is_chunked,
                headers: fields
                    .map(|(name, value)| (name.into(), value.into()))
                    .into(),
                ..Faults::default()
            });
            let response = gateway
                .batch(&[spelled(&one(&gateway))])
                .await
                .expect(status);
            let what = format!("{status} with {length} bytes");
            assert!(response.text() == said[..passed_on], "{what}: {} bytes", response.body.len());
            assert_eq!(response.field("content-length"), passed_on.to_string(), "{what}");
            assert_eq!(response.field("content-type"), "text/x-odd", "{what}");
            assert_eq!(response.field("retry-after"), "7", "{what}");
            assert_eq!(response.field("set-cookie"), "", "{what}: it is one caller's business");
            assert_eq!(response.field("x-other"), "", "{what}");
            assert_eq!(gateway.metric("vingate_cache_entries").await, 0.0, "{what}");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_breaks_off_or_stops_still_says_its_status() {
    let toml = "[upstream]\nstream_idle_timeout = \"200ms\"";
    let slow = NonZeroU64::new(1);
    for faults in [
        Faults { cut_after: Some(100), ..Faults::default() },
        Faults { bytes_per_second: slow, ..Faults::default() },
    ] {
        let gateway = Gateway::start(toml).await;
        let headers = BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]);
        let body = Some("x".repeat(1000));
        gateway
            .sandbox
            .set_faults(Faults { status: Some(422), body, headers, ..faults });
        let response = gateway.batch(&[spelled(&one(&gateway))]).await.expect(422);
        assert!(response.body.len() < 1000 && response.body.iter().all(|byte| *byte == b'x'));
    }
}

#[tokio::test]
async fn all_who_wait_for_one_call_are_answered_while_the_gateway_drains() {
    let mut gateway = Gateway::start("").await;
    let waiting = waiting(&gateway, 20).await;
    gateway.drain();
    eventually(async || TcpStream::connect(gateway.address).await.is_err()).await;
    gateway.sandbox.clear_faults();
    all_are_answered(&gateway, waiting).await;
    timeout(PATIENCE, gateway.stop()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_does_not_keep_the_gateway_from_ending() {
    let gateway = Gateway::start("").await;
    let waiting = waiting(&gateway, 2).await;
    gateway.until(|seen| seen.hanging == 1).await;
    drop(waiting);
    gateway.until_metric("vingate_http_in_flight", 0.0).await;
    assert_eq!(gateway.sandbox.counters().hanging, 1, "the call is still under way");
    // The time to drain is half a minute.
    timeout(PATIENCE / 2, gateway.stop()).await.unwrap();
}
