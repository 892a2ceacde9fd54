//! What callers get while no calls are made, and how it ends.

use std::sync::Arc;

use futures_util::future::join_all;
use http::{Method, Request};
use vingate::sandbox::{Class, Faults, Only};

use crate::support::{Gateway, Response, Wire, eventually, spelled};

/// Opens when half of four calls fail. Nothing stays fresh, and what is held may stand in.
fn toml(open_for: &str) -> String {
    format!(
        "[upstream.retry]\nmax_attempts = 1\n[upstream.breaker]\nmin_requests = 4\n\
         open_for = \"{open_for}\"\n[cache]\nstale_while_revalidate = \"0s\"\n[cache.ttl]\n\
         finished = \"0s\""
    )
}

const STATE: &str = "vingate_upstream_breaker_state";

fn fail(gateway: &Gateway) {
    let all = Faults { only: Only::All, status: Some(500), ..Faults::default() };
    gateway.sandbox.set_faults(all);
}

/// Fails until no call is made any more.
async fn open(gateway: &Gateway) {
    fail(gateway);
    while gateway.metric(STATE).await == 0.0 {
        gateway.get("/api/vehicles").await.expect(500);
    }
    let asked = gateway.sandbox.calls().len();
    assert!((4..=5).contains(&asked), "{asked} calls");
}

#[tokio::test]
async fn while_it_is_open_nobody_is_called_and_what_is_held_is_served() {
    let gateway = Gateway::start(&toml("1h")).await;
    let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(2).collect();
    let [held, other] = [spelled(&vehicles[0]), spelled(&vehicles[1])];
    let right = gateway.batch(&[held]).await.expect(200);
    open(&gateway).await;

    let calls = gateway.sandbox.calls().len();
    let saved = gateway.batch(&[held]).await.expect(200);
    assert_eq!(saved.body, right.body);
    assert!(
        saved
            .field("cache-status")
            .starts_with("vingate; fwd=stale; detail=")
    );
    let write = Request::builder()
        .method(Method::PUT)
        .uri("/api/upsert-tax-identity");
    let refused: [Response; 3] = [
        gateway.batch(&[held, other]).await,
        gateway.get("/api/vehicles").await,
        gateway.send(write, "{}").await,
    ];
    for response in refused {
        let response = response.expect(503);
        assert_eq!(response.json()["code"], "UpstreamUnavailable");
        let rest: u64 = response.field("retry-after").parse().unwrap();
        assert!((3_500..=3_600).contains(&rest), "{rest}");
        assert_eq!(response.field("proxy-status"), "vingate; error=destination_unavailable");
    }
    assert_eq!(gateway.sandbox.calls().len(), calls);
    // A write that was not sent has changed nothing.
    let series = r#"vingate_cache_invalidations_total{cause="tax_identity"}"#;
    assert_eq!(gateway.metric(series).await, 0.0);
}

#[tokio::test]
async fn one_probe_at_a_time_closes_it() {
    let gateway = Arc::new(Gateway::start(&toml("50ms")).await);
    open(&gateway).await;
    gateway
        .sandbox
        .set_faults(Faults { only: Only::All, hang: true, ..Faults::default() });
    let others = Arc::clone(&gateway);
    let asking = (0..20).map(|_| {
        let gateway = Arc::clone(&others);
        async move {
            // Each comes again until it is the probe, or is let through after it.
            eventually(async || gateway.get("/api/vehicles").await.status == 200).await;
        }
    });
    let ((), _) = tokio::join!(
        async {
            gateway.until(|seen| seen.hanging > 0).await;
            assert_eq!(gateway.metric(STATE).await, 2.0);
            assert_eq!(gateway.sandbox.counters().hanging, 1);
            gateway.sandbox.clear_faults();
        },
        join_all(asking)
    );
    assert_eq!(gateway.metric(STATE).await, 0.0);
}

#[tokio::test]
async fn callers_who_hang_up_or_send_nonsense_do_not_open_it() {
    let gateway = Arc::new(Gateway::start(&toml("1h")).await);
    let token = gateway.own_token();
    gateway
        .sandbox
        .set_faults(Faults { only: Only::All, hang: true, ..Faults::default() });
    for nth in 1..=8 {
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(format!(
            "GET /api/vehicles HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\r\n"
        ))
        .await;
        gateway.until(|seen| seen.others == nth).await;
    }
    gateway
        .until_metric("vingate_upstream_in_flight", 0.0)
        .await;
    gateway.sandbox.clear_faults();
    for _ in 0..8 {
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(format!(
            "POST /sandbox/sink HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\
             Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n"
        ))
        .await;
        wire.response().await.expect(400);
    }
    assert_eq!(gateway.metric(STATE).await, 0.0);
    gateway.get("/api/vehicles").await.expect(200);
}
