//! Callers that are told no while they still send: they get to read why.
//!
//! A socket that is closed with bytes unread is reset, and many systems drop what stands in the
//! buffers of a socket that was reset. So each case here sends on after it was answered, and
//! wants every byte taken and a clean end.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    caller::{Caller, PATIENCE, exchange, lossy, statuses},
    frames::{self, GOAWAY, PREFACE, frame},
    support::{BATCH, Gateway},
    upstream::Upstream,
};

const PIECE: [u8; 16 * 1024] = [b'y'; 16 * 1024];

/// Sends on after the answer has begun, and gives all that comes, and whether the end was clean.
async fn told(gateway: &Gateway, start: &[u8], pieces: usize) -> (String, bool) {
    let mut caller = Caller::connect(gateway.address).await;
    caller.send(start).await;
    let mut first = [0];
    let read = timeout(PATIENCE, caller.stream.read_exact(&mut first)).await;
    read.expect("no answer").unwrap();
    let mut is_clean = true;
    for _ in 0..pieces {
        is_clean &= caller.stream.write_all(&PIECE).await.is_ok();
        // So that a reset has the time to come back.
        sleep(Duration::from_millis(1)).await;
    }
    is_clean &= caller.stream.shutdown().await.is_ok();
    let mut rest = first.to_vec();
    let end = timeout(PATIENCE, caller.stream.read_to_end(&mut rest)).await;
    is_clean &= end.expect("still open").is_ok();
    (lossy(&rest), is_clean)
}

#[tokio::test]
async fn whoever_still_sends_reads_why_it_was_refused() {
    let upstream = Upstream::start().await;
    let limit = "[limit]\nmax_body = \"1KiB\"\n";
    let gateway = Gateway::start(&format!("{limit}{}", upstream.toml())).await;
    let token = gateway.authorization();
    let of = |line: &str, fields: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let long = "y".repeat(40 * 1024);
    let drained = "y".repeat(300 * 1024);
    let authorized = format!("Authorization: {token}\r\nContent-Length: 9000000");
    for (name, start, status) in [
        ("a head too large", format!("GET /a HTTP/1.1\r\nX: {long}"), 431),
        ("no HTTP", format!("hello\r\n\r\n{long}"), 400),
        ("no host", "POST /a HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n".to_owned(), 400),
        ("no token", of("POST /a", "Content-Length: 9000000") + &drained, 401),
        ("no token, and silent", of("POST /a", "Content-Length: 9000000"), 401),
        ("no token, chunks", of("POST /a", "Transfer-Encoding: chunked"), 401),
        ("a batch too large", of(&format!("GET {BATCH}"), &authorized), 413),
        ("a write too large", of("PUT /api/upsert-vehicle-info", &authorized), 413),
        ("an expectation", of("POST /a", "Expect: 100-continue\r\nContent-Length: 9000000"), 401),
    ] {
        let (response, is_clean) = told(&gateway, start.as_bytes(), 32).await;
        assert_eq!(statuses(&response), [status], "{name}: {response}");
        assert!(response.contains("\r\nconnection: close\r\n"), "{name}: {response}");
        assert!(is_clean, "{name}: reset");
        assert!(upstream.take_seen().is_empty(), "{name}");
    }
}

/// Clients that can speak other protocols too, such as Java's, say so on their first request.
#[tokio::test]
async fn an_upgrade_that_is_ignored_does_not_change_the_end() {
    let upstream = Upstream::start().await;
    let limit = "[limit]\nmax_body = \"1KiB\"\n";
    let gateway = Gateway::start(&format!("{limit}{}", upstream.toml())).await;
    let token = gateway.authorization();
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ";
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket";
    let sized = "Content-Length: 600000";
    for (name, line, fields, status) in [
        ("no token", "POST /api/upload", format!("{h2c}\r\n{sized}"), 401),
        ("no token, chunks", "POST /a", format!("{h2c}\r\nTransfer-Encoding: chunked"), 401),
        ("no token, a WebSocket", "GET /a", format!("{websocket}\r\n{sized}"), 401),
        (
            "another protocol",
            "PUT /a",
            format!("Connection: upgrade\r\nUpgrade: x\r\n{sized}"),
            401,
        ),
        ("not nominated", "POST /a", format!("Upgrade: h2c\r\n{sized}"), 401),
        ("a path", "POST /a/../b", format!("{h2c}\r\n{sized}"), 400),
        (
            "a batch too large",
            "POST /api/batch/scraping/",
            format!("{h2c}\r\n{sized}\r\nX-HTTP-Method-Override: GET\r\nAuthorization: {token}"),
            413,
        ),
        (
            "a write too large",
            "PUT /api/upsert-vehicle-info",
            format!("{h2c}\r\n{sized}\r\nAuthorization: {token}"),
            413,
        ),
    ] {
        let start = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let (response, is_clean) = told(&gateway, start.as_bytes(), 32).await;
        assert_eq!(statuses(&response), [status], "{name}: {response}");
        assert!(is_clean, "{name}: reset");
        assert!(upstream.take_seen().is_empty(), "{name}");
    }
    // And the end of a connection that is kept in between.
    let upgrade = format!("GET /a HTTP/1.1\r\nHost: a\r\n{h2c}\r\n\r\n");
    let last = format!("POST /a HTTP/1.1\r\nHost: a\r\n{sized}\r\n\r\n");
    let (responses, is_clean) = told(&gateway, (upgrade + &last).as_bytes(), 32).await;
    assert_eq!(statuses(&responses), [401, 401], "{responses}");
    assert!(is_clean, "reset");
}

/// More than any buffer on the way holds, and as fast as it goes.
#[tokio::test]
async fn a_large_body_is_taken_to_its_end() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&upstream.toml()).await;
    for _ in 0..5 {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let sending = tokio::spawn(async move {
            let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 52428800\r\n\r\n";
            write.write_all(head.as_bytes()).await?;
            for _ in 0..50 * 64 {
                write.write_all(&PIECE).await?;
            }
            write.shutdown().await
        });
        timeout(PATIENCE, sending)
            .await
            .expect("no more is taken")
            .unwrap()
            .unwrap();
        let mut response = Vec::new();
        read.read_to_end(&mut response).await.unwrap();
        assert_eq!(statuses(&lossy(&response)), [401]);
    }
}

#[tokio::test]
async fn whoever_never_stops_sending_is_the_first_to_go() {
    let upstream = Upstream::start().await;
    let one = "[server]\nmax_connections = 1\n";
    let gateway = Gateway::start(&format!("{one}{}", upstream.toml())).await;
    let mut caller = Caller::connect(gateway.address).await;
    caller
        .send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        .await;
    let began_at = Instant::now();
    let endless = async {
        while caller.stream.write_all(&PIECE).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // Nothing of it keeps others out.
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let other = async {
        assert_eq!(statuses(&exchange(gateway.address, request).await), [401]);
    };
    let both = async { tokio::join!(endless, other) };
    timeout(PATIENCE, both).await.expect("never cut");
    // The body has one second.
    assert!(began_at.elapsed() < Duration::from_secs(5), "{:?}", began_at.elapsed());
    assert!(upstream.take_seen().is_empty());
}

#[tokio::test]
async fn a_breach_of_http2_is_told_to_whoever_still_sends() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&upstream.toml()).await;
    let breach = frame(frames::DATA, 0, 0, b"x");
    let (response, is_clean) = told(&gateway, &[PREFACE, &breach].concat(), 16).await;
    assert!(is_clean, "reset");
    let header = [0, 0, 0, 0, 0];
    let is_told = response
        .as_bytes()
        .windows(6)
        .any(|bytes| bytes == [&[GOAWAY][..], &header].concat());
    assert!(is_told, "{response:?}");
    assert!(upstream.take_seen().is_empty());
}
