//! The permits of calls to Sync: who waits for them, who leaves them to others, and who is
//! refused.

use std::sync::Arc;

use futures_util::future::join_all;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vingate::sandbox::{Class, Faults, Only};

use crate::support::{Gateway, Wire, eventually, spelled};

fn hang() -> Faults {
    Faults { only: Only::All, hang: true, ..Faults::default() }
}

#[tokio::test]
async fn only_so_many_wait_for_a_permit_and_share_a_call_and_the_rest_is_refused() {
    let gateway = Gateway::start("[upstream]\nmax_in_flight = 1\n[batch]\ngather_from = 0").await;
    gateway.sandbox.set_faults(hang());
    let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(20).collect();
    let ask = async |nth: usize| gateway.batch(&[spelled(&vehicles[nth])]).await;
    let first = async {
        let response = ask(0).await;
        assert_eq!(response.status, 200);
    };
    let others = async {
        gateway.until(|seen| seen.hanging == 1).await;
        join_all((1..18).map(ask)).await
    };
    let ((), mut responses, ()) = tokio::join!(first, others, async {
        let refused = r#"vingate_http_requests_total{method="GET",route="batch",status="503"}"#;
        gateway.until_metric(refused, 1.0).await;
        gateway.sandbox.clear_faults();
    });
    let refused = responses.iter().position(|response| response.status == 503);
    let refused = responses.swap_remove(refused.expect("one is too many"));
    assert_eq!(refused.json()["code"], "Overloaded");
    assert_eq!(refused.field("retry-after"), "1");
    assert_eq!(refused.field("proxy-status"), "vingate; error=connection_limit_reached");
    let counted = "vingate_limit_refusals_total{reason=\"queue\"}";
    assert_eq!(gateway.metric(counted).await, 1.0);
    assert!(responses.iter().all(|response| response.status == 200));
    // The first, and one with what all the others wait for.
    assert_eq!(gateway.sandbox.counters().batches, 2);
}

#[tokio::test]
async fn a_forwarded_request_that_finds_the_queue_full_is_counted() {
    let gateway = Gateway::start("[upstream]\nmax_in_flight = 1").await;
    gateway.sandbox.set_faults(hang());
    let all = join_all((0..40).map(|_| gateway.get("/sandbox/bytes/1")));
    let (responses, refused) = tokio::join!(all, async {
        let refused = "vingate_limit_refusals_total{reason=\"queue\"}";
        eventually(async || gateway.metric(refused).await > 0.0).await;
        gateway.until_metric("vingate_http_in_flight", 17.0).await;
        let refused = gateway.metric(refused).await;
        gateway.sandbox.clear_faults();
        refused
    });
    let failed = responses.iter().filter(|response| response.status == 503);
    assert_eq!(failed.count() as f64, refused);
}

#[tokio::test]
async fn a_write_that_waits_is_not_sent_when_its_caller_is_gone() {
    let gateway = Arc::new(Gateway::start("[upstream]\nmax_in_flight = 1").await);
    gateway.sandbox.set_faults(hang());
    let first = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move { gateway.get("/sandbox/bytes/1").await }
    });
    gateway
        .until_metric("vingate_upstream_in_flight", 1.0)
        .await;
    let token = gateway.own_token();
    let mut wire = Wire::connect(gateway.address).await;
    wire.send(format!(
        "PUT /api/upsert-vehicle-info HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    ))
    .await;
    gateway.until_metric("vingate_http_in_flight", 2.0).await;
    drop(wire);
    gateway.until_metric("vingate_http_in_flight", 1.0).await;
    gateway.sandbox.clear_faults();
    first.await.unwrap().expect(200);
    gateway.get("/sandbox/bytes/1").await.expect(200);
    let calls = gateway.sandbox.calls();
    assert!(calls.iter().all(|call| call.method != http::Method::PUT), "it was sent");
    let series = r#"vingate_cache_invalidations_total{cause="vehicle_upsert"}"#;
    assert_eq!(gateway.metric(series).await, 0.0);
}

#[tokio::test]
async fn a_batch_that_waits_goes_with_its_caller_and_others_ask_for_themselves() {
    let gateway = Arc::new(Gateway::start("[upstream]\nmax_in_flight = 1").await);
    gateway.sandbox.set_faults(hang());
    let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(40).collect();
    let ask = |nth: usize| {
        let (gateway, vehicle) = (Arc::clone(&gateway), vehicles[nth]);
        tokio::spawn(async move { gateway.batch(&[spelled(&vehicle)]).await })
    };
    let in_flight = async |count| gateway.until_metric("vingate_http_in_flight", count).await;
    let first = ask(0);
    gateway.until(|seen| seen.hanging == 1).await;
    // As many as may wait, twice.
    for _ in 0..2 {
        let gone: Vec<_> = (1..17).map(ask).collect();
        in_flight(17.0).await;
        gone.iter().for_each(|gone| gone.abort());
        in_flight(1.0).await;
    }
    let leader = ask(17);
    in_flight(2.0).await;
    let follower = ask(17);
    in_flight(3.0).await;
    leader.abort();
    in_flight(2.0).await;
    gateway.sandbox.clear_faults();
    first.await.unwrap().expect(200);
    follower.await.unwrap().expect(200);
    assert_eq!(gateway.sandbox.counters().batches, 2);
}

#[tokio::test]
async fn slow_uploads_and_tunnels_leave_places_to_everybody_else() {
    let gateway = Gateway::start("[upstream]\nmax_in_flight = 4").await;
    let token = gateway.own_token();
    let upload = format!(
        "POST /sandbox/sink HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\
         Content-Length: 20009\r\n\r\n{}",
        "x".repeat(20_001)
    );
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(&upload).await;
        slow.push(wire);
    }
    gateway.until_metric("vingate_http_in_flight", 8.0).await;
    gateway
        .until_metric("vingate_upstream_in_flight", 2.0)
        .await;
    for _ in 0..3 {
        gateway.get("/sandbox/bytes/1").await.expect(200);
    }
    for mut wire in slow {
        wire.send("12345678").await;
        wire.response().await.expect(200);
    }
}

#[tokio::test]
async fn a_small_body_takes_no_place_before_it_is_whole() {
    let gateway = Gateway::start("[upstream]\nmax_in_flight = 1").await;
    let token = gateway.own_token();
    let mut slow = Wire::connect(gateway.address).await;
    slow.send(format!(
        "POST /sandbox/sink HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\
         Content-Length: 9\r\n\r\nx"
    ))
    .await;
    gateway.until_metric("vingate_http_in_flight", 1.0).await;
    let other = gateway.send(Request::post("/sandbox/sink"), "123").await;
    other.expect(200);
    slow.send("12345678").await;
    slow.response().await.expect(200);
}

#[tokio::test]
async fn a_tunnel_counts_for_its_client_as_long_as_it_lives() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let toml = format!("[upstream]\nurl = \"http://{address}\"\n[limit]\nmax_in_flight = 4\n");
    let gateway = Gateway::start(&toml).await;
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\n\r\n",
        gateway.own_token()
    );
    let mut caller = Wire::connect(gateway.address).await;
    caller.send(head).await;
    let (mut upstream, _) = listener.accept().await.unwrap();
    upstream.read_u8().await.unwrap();
    upstream
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
              Upgrade: websocket\r\n\r\n",
        )
        .await
        .unwrap();
    caller.response().await.expect(101);
    // One of four is all that a client may have.
    let refused = gateway.send(Request::get("/x"), "").await.expect(503);
    assert_eq!(refused.json()["code"], "Overloaded");
    assert_eq!(gateway.metric("vingate_upstream_in_flight").await, 1.0);
    drop((caller, upstream));
    gateway
        .until_metric("vingate_upstream_in_flight", 0.0)
        .await;
    gateway.until_metric("vingate_http_in_flight", 0.0).await;
}
