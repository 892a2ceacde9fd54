//! What is refused before anybody can count it as a request: every connection that ends badly is
//! counted once, with its reason.

use tokio::io::AsyncWriteExt as _;

use crate::{
    caller::{Caller, exchange, statuses},
    frames::{self, Peer},
    support::Gateway,
    upstream::{Then, Upstream},
};

const OPEN: &str = "# no accounts\n[auth]\nenabled = false\n";

async fn count(gateway: &Gateway, reason: &str) -> f64 {
    let series = format!("vingate_http_connection_errors_total{{reason=\"{reason}\"}}");
    gateway.metric(&series).await
}

/// Exactly this is counted, in the end: the answer may be there before the connection is over.
async fn counted(gateway: &Gateway, expected: &[(&str, f64)]) {
    for &(reason, number) in expected {
        let mut found = count(gateway, reason).await;
        for _ in 0..200 {
            if found >= number {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            found = count(gateway, reason).await;
        }
        assert_eq!(found, number, "{reason}");
    }
}

#[tokio::test]
async fn what_the_parser_refuses_is_counted() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{}", upstream.toml())).await;
    let large = format!("GET /a HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(64 * 1024));
    let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    for (name, request, status) in [
        ("no method", "\0\r\n\r\n", 400),
        ("no target", "GET  HTTP/1.1\r\n\r\n", 400),
        ("no version", "GET /a\r\n\r\n", 400),
        ("no field", "GET /a HTTP/1.1\r\nX\r\n\r\n", 400),
        ("no length", "GET /a HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        ("no coding", "GET /a HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n", 400),
        ("a head too large", &large, 431),
        ("too many fields", &many, 431),
    ] {
        let response = exchange(gateway.address, request).await;
        assert_eq!(statuses(&response), [status], "{name}: {response}");
        assert!(response.contains("\r\nconnection: close\r\n"), "{name}: {response}");
        assert!(response.ends_with("\r\n\r\n"), "a bare status: {response}");
    }
    counted(&gateway, &[("malformed", 6.0), ("head_too_large", 2.0)]).await;
    // A request that was read and refused is counted as one.
    exchange(gateway.address, "TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    counted(&gateway, &[("malformed", 6.0), ("head_too_large", 2.0), ("other", 0.0)]).await;
    assert!(upstream.take_seen().is_empty());
}

#[tokio::test]
async fn callers_that_go_away_are_counted() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{}", upstream.toml())).await;
    let mut half_a_head = Caller::connect(gateway.address).await;
    half_a_head.send("GET /a HTTP/1.1\r\nHo").await;
    half_a_head.stream.shutdown().await.unwrap();
    assert_eq!(half_a_head.rest().await, "");
    counted(&gateway, &[("incomplete", 1.0)]).await;
}

#[tokio::test]
async fn sockets_that_fail_are_counted() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{}", upstream.toml())).await;
    let long = "y".repeat(64 << 20);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
    upstream.replies(head + &long, Then::Keep);
    let mut caller = Caller::connect(gateway.address).await;
    caller.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    caller.read_to("\r\n\r\n").await;
    socket2::SockRef::from(&caller.stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(caller);
    counted(&gateway, &[("io", 1.0)]).await;
}

#[tokio::test]
async fn answers_that_break_off_are_counted() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{}", upstream.toml())).await;
    upstream.replies("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", Then::Close);
    exchange(gateway.address, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    counted(&gateway, &[("response", 1.0)]).await;
}

#[tokio::test]
async fn breaches_of_http2_are_counted() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{}", upstream.toml())).await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&frames::frame(frames::DATA, 0, 0, b"x")).await;
    peer.rest().await;
    // Until then the gateway lingers, so that the other end can read what it was told.
    drop(peer);
    counted(&gateway, &[("http2", 1.0)]).await;
}

#[tokio::test]
async fn those_who_take_too_long_are_counted() {
    let upstream = Upstream::start().await;
    let server = "[server]\nheader_timeout = \"100ms\"\nwrite_idle_timeout = \"100ms\"\n";
    let gateway = Gateway::start(&format!("{OPEN}{server}{}", upstream.toml())).await;
    let response = exchange(gateway.address, "GET /a HTTP/1.1\r\n").await;
    assert!(matches!(statuses(&response)[..], [] | [408]), "{response}");
    counted(&gateway, &[("header_timeout", 1.0)]).await;

    let long = "y".repeat(64 << 20);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
    upstream.replies(head + &long, Then::Keep);
    let mut reader = Caller::connect(gateway.address).await;
    reader.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    reader.read_to("\r\n\r\n").await;
    counted(&gateway, &[("write_timeout", 1.0)]).await;
}

#[tokio::test]
async fn those_who_make_room_are_counted() {
    let upstream = Upstream::start().await;
    let server = "[server]\nmax_connections = 2\n";
    let gateway = Gateway::start(&format!("{OPEN}{server}{}", upstream.toml())).await;
    let mut idle = Caller::connect(gateway.address).await;
    let _other = Caller::connect(gateway.address).await;
    let response =
        exchange(gateway.address, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(statuses(&response), [200]);
    assert_eq!(idle.rest().await, "", "the one that was idle for longest");
    counted(&gateway, &[("evicted", 1.0)]).await;
}

#[tokio::test]
async fn those_who_outlast_the_drain_are_cut() {
    let upstream = Upstream::start().await;
    let server = "[server]\ndrain_timeout = \"100ms\"\n";
    let gateway = Gateway::start(&format!("{OPEN}{server}{}", upstream.toml())).await;
    upstream.replies("", Then::Hang);
    let mut caller = Caller::connect(gateway.address).await;
    caller.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    while upstream.take_seen().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.stop().await;
    assert_eq!(caller.rest().await, "");
}
