//! Several requests over one connection: where one ends the next begins, whatever became of it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use super::{OPEN, gateway};
use crate::{
    caller::{Caller, exchange, statuses},
    support::{BATCH, Gateway, batch_body},
    upstream::{Then, Upstream},
};

/// A body that is a request to whoever loses count.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n";
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Bytes of a head that may come, if nothing else is configured.
const MAX_HEAD: usize = 32 * 1024;

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

#[tokio::test]
async fn answers_five_hundred_in_their_order() {
    let (gateway, upstream) = gateway(OPEN).await;
    let requests: String = (0..500)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\nX-Request-Id: n{n}\r\n\r\n"))
        .collect();
    let responses = exchange(gateway.address, requests + LAST).await;
    assert_eq!(statuses(&responses), [200; 501]);
    let names: Vec<_> = responses
        .lines()
        .filter_map(|line| line.strip_prefix("x-request-id: n"))
        .collect();
    let order: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(names, order);
    let seen = upstream.take_seen();
    assert_eq!(seen.len(), 501);
    assert!(seen.iter().all(|seen| seen.connection == 0), "one after the other");
    let mut lines = seen.iter().map(|seen| seen.line.clone());
    assert!((0..500).all(|n| lines.next() == Some(format!("GET /{n}"))));
}

#[tokio::test]
async fn reads_nothing_after_the_last_request() {
    for last in [
        LAST,
        "GET /last HTTP/1.0\r\n\r\n",
        "GET /last HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, CLOSE\r\n\r\n",
    ] {
        let (gateway, upstream) = gateway(OPEN).await;
        let responses = exchange(gateway.address, format!("{last}{SMUGGLED}{SMUGGLED}")).await;
        assert_eq!(statuses(&responses), [200], "{last}");
        assert_eq!(lines(&upstream), ["GET /last"], "{last}");
    }
}

/// Bodies that nobody has a use for are read away, so that they are not the next request.
#[tokio::test]
async fn a_body_that_was_refused_is_no_request() {
    let upstream = Upstream::start().await;
    let toml = format!("[limit]\nmax_body = \"1KiB\"\n{}", upstream.toml());
    let gateway = Gateway::start(&toml).await;
    let token = gateway.authorization();
    let long = SMUGGLED.repeat(100);
    let chunked = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let sized = |head: &str, body: &str| {
        let length = body.len();
        format!("{head} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let batch = format!("{BATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: {token}");
    let of_batch = |fields: &str, body: &str| {
        let length = body.len();
        format!("GET {batch}\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
    };
    for (name, request, status) in [
        ("no token", sized("GET /a", SMUGGLED), 401),
        ("no token on a batch", sized(&format!("GET {BATCH}"), SMUGGLED), 401),
        ("no token on a write", sized("PUT /api/upsert-vehicle-info", SMUGGLED), 401),
        ("no token on a HEAD", sized("HEAD /a", SMUGGLED), 401),
        ("no token, much to read", sized("POST /a", &long), 401),
        (
            "no token, in chunks",
            format!("GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
            401,
        ),
        ("no JSON", of_batch("", SMUGGLED), 400),
        ("no media type that is read", of_batch("Content-Type: text/plain\r\n", SMUGGLED), 415),
        ("too long", of_batch("", &long), 413),
        (
            "too long, in chunks",
            format!(
                "GET {batch}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
                long.len()
            ),
            413,
        ),
        (
            "a path that is no VIN's",
            format!(
                "PATCH /api/v2/vehicles/x/status HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\
                 Content-Length: {}\r\n\r\n{SMUGGLED}",
                SMUGGLED.len()
            ),
            400,
        ),
    ] {
        let last = format!(
            "GET /last HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
        );
        let responses = exchange(gateway.address, request + &last).await;
        assert_eq!(statuses(&responses), [status, 200], "{name}: {responses}");
        assert_eq!(lines(&upstream), ["GET /last"], "{name}");
    }
}

#[tokio::test]
async fn a_body_too_long_to_be_read_away_ends_the_connection() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&upstream.toml()).await;
    let body = SMUGGLED.repeat(40_000);
    let head = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let responses = exchange(gateway.address, head + &body + LAST).await;
    assert_eq!(statuses(&responses), [401], "{responses}");
    assert_eq!(lines(&upstream), [""; 0]);
}

/// The answer comes from the cache: the body of the request was read for its key.
#[tokio::test]
async fn the_body_of_a_hit_is_no_request() {
    let gateway = Gateway::start("").await;
    gateway.batch(&[ONE]).await.expect(200);
    let before = gateway.sandbox.counters();
    let token = gateway.authorization();
    let body = format!("{} \r\n{}", batch_body(&[ONE]), "\r\n".repeat(20));
    let get = |close: &str, body: &str| {
        format!(
            "GET {BATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n{close}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let requests = get("", &body) + &get("Connection: close\r\n", &body) + SMUGGLED;
    let responses = exchange(gateway.address, requests).await;
    assert_eq!(statuses(&responses), [200, 200], "{responses}");
    assert_eq!(responses.matches("cache-status: vingate; hit").count(), 2);
    assert_eq!(gateway.sandbox.counters(), before);
}

#[tokio::test]
async fn a_body_that_the_upstream_did_not_wait_for_is_no_request() {
    let (gateway, upstream) = gateway(OPEN).await;
    // A smaller one would be whole before it is sent.
    let body = SMUGGLED.repeat(20_000 / SMUGGLED.len());
    let head = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    for (then, sent) in [
        (Then::Close, body.as_str()),
        (Then::Hang, &body),
        (Then::Close, SMUGGLED),
        (Then::Hang, SMUGGLED),
    ] {
        let refusal = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        upstream.replies_early(refusal, then);
        let mut caller = Caller::connect(gateway.address).await;
        caller.send(&head).await;
        let mut responses = caller.read_to("\r\n\r\n").await;
        caller.send(format!("{sent}{LAST}")).await;
        caller.stream.shutdown().await.unwrap();
        responses += &caller.rest().await;
        assert_eq!(statuses(&responses)[0], 403, "{then:?}: {responses}");
        let seen = lines(&upstream);
        assert!(!seen.iter().any(|line| line.contains("smuggled")), "{then:?}: {seen:?}");
    }
}

/// What a caller sends behind an upgrade may be a request to whoever does not upgrade.
#[tokio::test]
async fn bytes_behind_an_upgrade_wait_for_the_101() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = Gateway::start(&format!("{OPEN}[upstream]\nurl = \"http://{address}\"\n")).await;
    let mut caller = Caller::connect(gateway.address).await;
    let upgrade = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    caller.send(format!("{upgrade}{SMUGGLED}")).await;

    let (stream, _) = listener.accept().await.unwrap();
    let mut upstream = Caller { stream };
    upstream.read_to("\r\n\r\n").await;
    let mut byte = [0];
    let early = timeout(Duration::from_millis(200), upstream.stream.read(&mut byte)).await;
    assert!(early.is_err(), "nothing goes by before both have agreed");
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                  upgrade: websocket\r\n\r\n";
    upstream.send(format!("{agreed}hello")).await;
    assert!(
        caller
            .read_to("hello")
            .await
            .starts_with("HTTP/1.1 101 Switching Protocols\r\n")
    );
    assert_eq!(upstream.read_to(SMUGGLED).await, SMUGGLED);
    drop(upstream);
    assert_eq!(caller.rest().await, "");
}

/// Nothing of a request is copied into the head of an answer but its sane id.
#[tokio::test]
async fn no_request_splits_an_answer() {
    let (gateway, _upstream) = gateway(OPEN).await;
    for request in [
        "GET /%0d%0aX-Split:%20y HTTP/1.1\r\nHost: a\r\n",
        "GET /a?%0d%0aX-Split:%20y HTTP/1.1\r\nHost: a\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: a%0d%0aX-Split: y\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\rX-Split: y\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: <X-Split: y>\r\n",
        "GET /api/v2/vehicles/X-Split:y/status HTTP/1.1\r\nHost: a\r\n",
        "BREW /a HTTP/1.1\r\nHost: a\r\nTraceparent: X-Split: y\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nOrigin: X-Split: y\r\n",
    ] {
        let response =
            exchange(gateway.address, format!("{request}Connection: close\r\n\r\n")).await;
        let head = response.split_once("\r\n\r\n").unwrap().0.to_lowercase();
        assert!(!head.contains("x-split"), "{request:?}: {response}");
    }
}

fn lines(upstream: &Upstream) -> Vec<String> {
    upstream
        .take_seen()
        .into_iter()
        .map(|seen| seen.line)
        .collect()
}

#[tokio::test]
async fn a_head_behind_another_may_be_no_larger() {
    let (gateway, upstream) = gateway(OPEN).await;
    let head = |size: usize| {
        let (start, end) =
            ("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ", "\r\n\r\n");
        format!("{start}{}{end}", "y".repeat(size - start.len() - end.len()))
    };
    let sized = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    for first in [get, sized, chunked] {
        for (size, status) in [(MAX_HEAD, 200), (MAX_HEAD + 1, 431), (MAX_HEAD + 20_000, 431)] {
            let responses = exchange(gateway.address, format!("{first}{}", head(size))).await;
            assert_eq!(statuses(&responses), [200, status], "{first}{size}");
        }
    }
    let large = lines(&upstream);
    assert_eq!(large.iter().filter(|line| *line == "GET /large").count(), 3);
}
