//! Callers that take their time: each wait has its end, and says so where it can.
//!
//! The only tests here that wait for time to pass: tenths of a second.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    caller::{Caller, exchange, statuses},
    frames::{
        CONTINUATION, DATA, END_HEADERS, Frame, GOAWAY, HEADERS, Peer, block, frame, get, pseudo,
    },
    support::{BATCH, Gateway},
    upstream::{Then, Upstream},
};

const OPEN: &str = "# no accounts\n[auth]\nenabled = false\n";
const TIMES: &str = "[server]\nheader_timeout = \"300ms\"\nidle_timeout = \"400ms\"\n\
                     body_idle_timeout = \"300ms\"\nwrite_idle_timeout = \"300ms\"\n";
const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

/// A drop of a byte, often enough to be alive and too rare to come to an end.
const DRIP: Duration = Duration::from_millis(50);

async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{TIMES}{}", upstream.toml())).await;
    (gateway, upstream)
}

/// Sends `bytes` one by one until the gateway has closed, and gives what it said and when.
async fn drip(gateway: &Gateway, start: &str, bytes: &str) -> (String, Duration) {
    let Caller { stream } = Caller::connect(gateway.address).await;
    let (read, mut write) = stream.into_split();
    let (start, bytes) = (start.to_owned(), bytes.to_owned());
    let began_at = Instant::now();
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        write.write_all(start.as_bytes()).await.unwrap();
        for byte in bytes.bytes() {
            sleep(DRIP).await;
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        sleep(Duration::from_secs(60)).await;
    });
    let response = crate::caller::read_rest(read).await;
    sending.abort();
    (response, began_at.elapsed())
}

#[tokio::test]
async fn a_head_has_its_time_however_it_drips() {
    let (gateway, upstream) = gateway().await;
    for (name, start, bytes) in [
        ("nothing more", "GET", ""),
        ("the first line", "G", "ET /aaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("the fields", "GET /a HTTP/1.1\r\nHost: a\r\n", "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        ("blank lines", "\r\n", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"),
        ("a preface", "PRI * HTTP/2.0\r\n", ""),
    ] {
        let (response, after) = drip(&gateway, start, bytes).await;
        assert!(matches!(statuses(&response)[..], [] | [408]), "{name}: {response}");
        assert!(after < Duration::from_secs(2), "{name}: {after:?}");
    }
    assert!(upstream.take_seen().is_empty());
}

#[tokio::test]
async fn a_connection_without_a_request_has_its_time() {
    let (gateway, _upstream) = gateway().await;
    let mut fresh = Caller::connect(gateway.address).await;
    assert_eq!(fresh.rest().await, "");
    let mut kept = Caller::connect(gateway.address).await;
    kept.send(GET).await;
    assert_eq!(statuses(&kept.rest().await), [200]);
    let mut http2 = Peer::connect(gateway.address).await;
    http2.send(&get(1, "/a")).await;
    let frames = http2.rest().await;
    assert!(frames.iter().any(|frame| frame.status() == Some(200)));
    assert!(frames.iter().any(|frame| frame.error() == Some(0)), "told to go: {frames:?}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_408() {
    let (gateway, upstream) = gateway().await;
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhe";
    for (name, request) in [
        ("a length", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe".to_owned()),
        ("nothing of it", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n".to_owned()),
        ("chunks", format!("POST /a HTTP/1.1\r\nHost: a\r\n{chunked}")),
        ("chunks of a GET", format!("GET /a HTTP/1.1\r\nHost: a\r\n{chunked}")),
        (
            "a batch",
            format!(
                "GET {BATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nContent-Length: 50\r\n\r\n{{"
            ),
        ),
        (
            "an expectation",
            "PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                .to_owned(),
        ),
    ] {
        let response = exchange(gateway.address, request).await;
        let mut statuses = statuses(&response);
        statuses.retain(|&status| status != 100);
        assert_eq!(statuses, [408], "{name}: {response}");
        assert!(response.contains("\r\nconnection: close\r\n"), "{name}: {response}");
    }
    assert!(upstream.take_seen().is_empty(), "nothing whole");
}

/// Slow is not silent: a body may take as long as it needs.
#[tokio::test]
async fn a_body_that_drips_arrives() {
    let (gateway, upstream) = gateway().await;
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 16\r\n\r\n";
    let (response, after) = drip(&gateway, head, "sixteen bytes ok").await;
    assert_eq!(statuses(&response), [200]);
    assert!(after > Duration::from_millis(600), "{after:?}");
    assert_eq!(upstream.take_seen()[0].body, "sixteen bytes ok");
}

/// Not a 504: nobody upstream was slow.
#[tokio::test]
async fn a_body_that_drips_past_the_deadline_of_its_request_is_a_408() {
    let upstream = Upstream::start().await;
    let toml = upstream.toml();
    let gateway = Gateway::start(&format!("{OPEN}{toml}request_timeout = \"400ms\"\n")).await;
    let chunked = "Transfer-Encoding: chunked\r\n\r\n9\r\n";
    let length = "Content-Length: 50000\r\n\r\n";
    for (name, head, bytes) in [
        ("streamed", format!("POST /a HTTP/1.1\r\nHost: a\r\n{length}"), "yyyyyyyyyyyyyyyyyy"),
        (
            "streamed chunks",
            format!("POST /a HTTP/1.1\r\nHost: a\r\n{chunked}"),
            "yyyyyyyyy\r\n9\r\nyyyyyyyyy",
        ),
        (
            "buffered",
            "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n".to_owned(),
            "yyyyyyyyyyyyyyyyyy",
        ),
        (
            "a batch",
            format!("GET {BATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n{length}"),
            "{                  ",
        ),
        (
            "chunks of a GET",
            format!("GET /a HTTP/1.1\r\nHost: a\r\n{chunked}"),
            "yyyyyyyyy\r\n9\r\nyyyyyyyyy",
        ),
        (
            "a vehicle's upsert",
            "PUT /api/upsert-vehicle-info HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n"
                .to_owned(),
            "{                  ",
        ),
        (
            "an expectation",
            format!("PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{length}"),
            "yyyyyyyyyyyyyyyyyy",
        ),
    ] {
        let (response, _) = drip(&gateway, &head, bytes).await;
        let mut statuses = statuses(&response);
        statuses.retain(|&status| status != 100);
        assert_eq!(statuses, [408], "{name}: {response}");
        assert!(!response.contains("proxy-status"), "{name}: {response}");
        assert!(response.contains("\"RequestTimeout\""), "{name}: {response}");
        assert!(response.contains("\r\nconnection: close\r\n"), "{name}: {response}");
    }
    assert!(upstream.take_seen().is_empty(), "nothing whole");

    upstream.replies("", Then::Keep);
    let silent = exchange(
        gateway.address,
        "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\ny",
    );
    assert_eq!(statuses(&silent.await), [504], "the upstream was slow");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_has_its_time() {
    let (gateway, upstream) = gateway().await;
    let long = "y".repeat(64 << 20);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
    upstream.replies(head + &long, Then::Keep);
    let mut reader = Caller::connect(gateway.address).await;
    reader.send(GET).await;
    reader.read_to("\r\n\r\n").await;
    let series = "vingate_http_connection_errors_total{reason=\"write_timeout\"}";
    while gateway.metric(series).await < 1.0 {
        sleep(DRIP).await;
    }
    let rest = reader.rest().await;
    assert!(rest.len() < long.len(), "{} of {}", rest.len(), long.len());
}

#[tokio::test]
async fn streams_of_http2_have_their_times() {
    let (gateway, upstream) = gateway().await;
    // A head that does not end.
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&frame(HEADERS, 0, 1, &block(&pseudo("GET", "/a"))))
        .await;
    peer.send(&frame(CONTINUATION, 0, 1, b"")).await;
    let frames = peer.rest().await;
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    // A body that does not go on.
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/a"))))
        .await;
    peer.send(&frame(DATA, 0, 1, b"he")).await;
    let frames = peer.until(HEADERS, 1).await;
    assert_eq!(frames.last().and_then(Frame::status), Some(408));
    assert!(upstream.take_seen().is_empty(), "nothing whole");
}

#[tokio::test]
async fn a_stream_whose_body_drips_past_its_deadline_is_a_408_and_the_next_is_served() {
    let upstream = Upstream::start().await;
    let toml = upstream.toml();
    let gateway = Gateway::start(&format!("{OPEN}{toml}request_timeout = \"400ms\"\n")).await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/a"))))
        .await;
    peer.send(&frame(DATA, 0, 1, b"he")).await;
    let frames = peer.until(HEADERS, 1).await;
    assert_eq!(frames.last().and_then(Frame::status), Some(408));
    assert!(upstream.take_seen().is_empty(), "nothing whole");
    peer.send(&get(3, "/a")).await;
    let frames = peer.until(HEADERS, 3).await;
    assert_eq!(frames.last().and_then(Frame::status), Some(200));
}

/// Those who do nothing and those who drip keep nobody from being served.
#[tokio::test]
async fn many_slow_callers_keep_nobody_waiting() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{}", upstream.toml())).await;
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut caller = Caller::connect(gateway.address).await;
        if n % 2 == 0 {
            caller.send("GET /a HTTP/1.1\r\nHost: a\r\nX: ").await;
        }
        slow.push(caller);
    }
    for caller in slow.iter_mut().step_by(2) {
        caller.send("y").await;
    }
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let began_at = Instant::now();
    assert_eq!(statuses(&exchange(gateway.address, request).await), [200]);
    assert!(began_at.elapsed() < Duration::from_secs(1));
    assert_eq!(upstream.take_seen().len(), 1);
}
