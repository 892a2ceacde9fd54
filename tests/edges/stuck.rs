//! Upstreams that stand still in the middle: each wait has its end, and no call keeps its place
//! for longer.

use crate::{
    caller::{Caller, exchange, statuses},
    support::{BATCH, Gateway},
    upstream::{Then, Upstream},
};

async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let toml = format!(
        "# no accounts\n[auth]\nenabled = false\n{}stream_idle_timeout = \"300ms\"\n\
         max_in_flight = 1\n",
        upstream.toml()
    );
    (Gateway::start(&toml).await, upstream)
}

/// What the only place is for afterwards.
async fn is_served(gateway: &Gateway, upstream: &Upstream) {
    gateway
        .until_metric("vingate_upstream_in_flight", 0.0)
        .await;
    upstream.replies(crate::upstream::OK, Then::Keep);
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(statuses(&exchange(gateway.address, request).await), [200]);
}

#[tokio::test]
async fn a_body_that_the_upstream_does_not_take_is_a_504_and_a_write_of_unknown_outcome() {
    let (gateway, upstream) = gateway().await;
    upstream.replies_early("", Then::Hang);
    let mut caller = Caller::connect(gateway.address).await;
    let length = 64 << 20;
    let head = format!(
        "POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nContent-Length: {length}\r\n\r\n"
    );
    caller.send(head).await;
    let (read, mut write) = caller.stream.into_split();
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = write.write_all(&vec![b'x'; length]).await;
    });
    let response = crate::caller::read_rest(read).await;
    sending.abort();
    assert_eq!(statuses(&response), [504], "{response}");
    assert!(
        response.contains("proxy-status: vingate; error=http_response_timeout\r\n"),
        "{response}"
    );
    let series = r#"vingate_upstream_requests_total{outcome="timeout",route="other"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
    let series = r#"vingate_cache_invalidations_total{cause="other_write"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
    is_served(&gateway, &upstream).await;
}

#[tokio::test]
async fn an_answer_that_stops_is_cut_for_its_caller() {
    let (gateway, upstream) = gateway().await;
    for framing in ["content-length: 9\r\n\r\n1234", "transfer-encoding: chunked\r\n\r\n4\r\n1234"]
    {
        upstream.replies(format!("HTTP/1.1 200 OK\r\n{framing}"), Then::Hang);
        let response = exchange(gateway.address, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(statuses(&response), [200]);
        assert!(response.contains("1234"), "{response}");
        assert!(!response.ends_with("0\r\n\r\n"), "{response}");
        is_served(&gateway, &upstream).await;
    }
}

#[tokio::test]
async fn a_batch_whose_answer_stops_is_a_504() {
    let (gateway, upstream) = gateway().await;
    let body = r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A1"}]}"#;
    let batch = format!(
        "GET {BATCH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for status in ["200 OK", "500 Oops"] {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 99\r\n\r\n{{");
        upstream.replies(head, Then::Hang);
        let response = exchange(gateway.address, &batch).await;
        // The words of a refusal are passed on as far as they came.
        let want = if status.starts_with("200") { 504 } else { 500 };
        assert_eq!(statuses(&response), [want], "{response}");
        is_served(&gateway, &upstream).await;
    }
}
