//! Calls that fail and are made again.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::{Method, Request};
use vingate::sandbox::{Class, Faults, Only};

use crate::support::{ALL, Gateway, spelled};

/// The next so many calls fail with this status.
fn fail(gateway: &Gateway, status: u16, calls: u64) {
    gateway.sandbox.set_faults(Faults {
        only: Only::All,
        status: Some(status),
        calls: Some(calls),
        ..Faults::default()
    });
}

#[tokio::test]
async fn a_failure_that_passes_is_not_seen() {
    let gateway = Gateway::start("").await;
    let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(5).collect();
    for (nth, vehicle) in vehicles.iter().enumerate() {
        let faults = match nth {
            0..3 => Faults { status: Some([500, 502, 504][nth]), ..Faults::default() },
            _ => Faults { close: true, ..Faults::default() },
        };
        gateway
            .sandbox
            .set_faults(Faults { calls: Some(2), ..faults });
        let response = gateway.batch(&[spelled(vehicle)]).await.expect(200);
        assert_eq!(response.text(), gateway.response_for([vehicle], ALL));
    }
    fail(&gateway, 503, 2);
    gateway.get("/sandbox/bytes/3").await.expect(200);
    assert_eq!(gateway.metric("vingate_upstream_retries_total").await, 12.0);
}

#[tokio::test]
async fn what_might_be_done_twice_is_not_made_again() {
    let gateway = Gateway::start("").await;
    for (method, path, status) in [
        (Method::PUT, "/api/upsert-tax-identity", 500),
        (Method::POST, "/sandbox/sink", 503),
        (Method::PATCH, "/api/v2/vehicles/3VWFE21C04M000001/status", 502),
        // Nor what will be the same again.
        (Method::GET, "/api/vehicles", 404),
        (Method::GET, "/api/vehicles", 501),
    ] {
        fail(&gateway, status, 1);
        let request = Request::builder().method(method).uri(path);
        gateway.send(request, "{}").await.expect(status);
    }
    assert_eq!(gateway.metric("vingate_upstream_retries_total").await, 0.0);
}

#[tokio::test]
async fn all_waiters_of_a_flight_are_told_of_the_last_attempts_failure_at_once() {
    let gateway = Arc::new(Gateway::start("").await);
    let vehicles: Vec<_> = gateway
        .sandbox
        .vehicles(Class::Finished)
        .take(500)
        .collect();
    let fails = |status| Faults { status: Some(status), calls: Some(1), ..Faults::default() };
    gateway
        .sandbox
        .set_faults(vec![Faults { hang: true, ..fails(500) }, fails(502), fails(503)]);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let (gateway, vehicles) = (Arc::clone(&gateway), vehicles.clone());
            tokio::spawn(async move {
                let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
                gateway.batch(&spelled).await
            })
        })
        .collect();
    gateway.until_metric("vingate_http_in_flight", 50.0).await;
    // Lets the first go.
    gateway.sandbox.set_faults(vec![fails(502), fails(503)]);
    for response in join_all(waiting).await {
        response.unwrap().expect(503);
    }
    assert_eq!(gateway.sandbox.counters().batches, 3);
    assert_eq!(gateway.metric("vingate_upstream_retries_total").await, 2.0);
    // What failed is not remembered.
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    gateway.batch(&spelled).await.expect(200);
}

#[tokio::test]
async fn a_place_is_free_while_a_call_waits_to_be_made_again() {
    let gateway = Gateway::start("[upstream]\nmax_in_flight = 1").await;
    // A 429 without a time is waited for the longest.
    fail(&gateway, 429, 1);
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    let spelled = [spelled(&vehicle)];
    let (again, ()) = tokio::join!(gateway.batch(&spelled), async {
        gateway.until(|seen| seen.batches == 1).await;
        gateway.get("/sandbox/bytes/1").await.expect(200);
        assert_eq!(gateway.metric("vingate_upstream_retries_total").await, 0.0);
    });
    again.expect(200);
    assert_eq!(gateway.metric("vingate_upstream_retries_total").await, 1.0);
}

#[tokio::test]
async fn calls_that_take_too_long_become_smaller() {
    // On a busy machine more calls are late than should be; that is the breaker's business.
    let gateway =
        Gateway::start("[upstream]\nattempt_timeout = \"1s\"\nbreaker.min_requests = 1000").await;
    gateway
        .sandbox
        .set_faults(Faults { latency_per_vehicle: Duration::from_millis(5), ..Faults::default() });
    let vehicles: Vec<_> = gateway
        .sandbox
        .vehicles(Class::Finished)
        .take(1500)
        .collect();
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    let response = gateway.batch(&spelled).await.expect(200);
    assert!(response.body == gateway.response_for(&vehicles, ALL));
    let mut sizes: Vec<_> = gateway.requested().iter().map(Vec::len).collect();
    println!("{sizes:?}");
    assert_eq!(sizes[0], 500);
    gateway.sandbox.clear_faults();
    gateway.purge().await;
    gateway.batch(&spelled[..500]).await.expect(200);
    sizes = gateway.requested().iter().map(Vec::len).collect();
    assert!(sizes.pop().unwrap() < 200, "{sizes:?}");
}
