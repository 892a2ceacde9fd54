//! What only shows on a connection: real framing, real upgrades.

use hyper::{client, server, service::service_fn as hyper_service};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

/// A gateway between a raw client and a raw upstream.
fn wire() -> (DuplexStream, DuplexStream, Dropped) {
    let (upstream_here, upstream_there) = duplex(4096);
    let (caller_here, caller_there) = duplex(4096);
    let (forward, dropped) = forward(connected(upstream_here));
    let service = hyper_service(move |mut request: Request<hyper::body::Incoming>| {
        RequestContext::of_mut(request.extensions_mut()).route = Route::Other;
        let forward = forward.clone();
        async move {
            let response = forward.oneshot(request.map(Body::incoming)).await;
            response.or_else(|error| {
                let status = match error {
                    Error::Body(_) => 400,
                    _ => 502,
                };
                Response::builder().status(status).body(Body::empty())
            })
        }
    });
    tokio::spawn(async move {
        let connection = server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(caller_here), service);
        let _ = connection.with_upgrades().await;
    });
    (caller_there, upstream_there, dropped)
}

/// An upstream behind one HTTP/1.1 connection.
fn connected(io: DuplexStream) -> Upstream {
    let (give, taken) = oneshot::channel();
    tokio::spawn(async move {
        let (sender, connection) = client::conn::http1::handshake(TokioIo::new(io))
            .await
            .unwrap();
        let _ = give.send(sender);
        let _ = connection.with_upgrades().await;
    });
    let sender = Arc::new(tokio::sync::Mutex::new(Some(taken)));
    Fake::new(move |mut request: Request<Body>| {
        let sender = Arc::clone(&sender);
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("sync.example"));
        async move {
            let taken = sender.lock().await.take().expect("one call a test");
            let mut sender = taken.await.unwrap();
            let response = sender.send_request(request).await;
            response
                .map(|response| response.map(Body::incoming))
                .map_err(|_| upstream::Error::Timeout)
        }
    })
    .upstream()
}

/// What arrives until `end`.
async fn read_until(io: &mut DuplexStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut buf = [0; 1024];
        let length = io.read(&mut buf).await.unwrap();
        assert_ne!(length, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buf[..length]).unwrap());
    }
    text
}

/// What arrives until the other side closes.
async fn read_all(io: &mut DuplexStream) -> String {
    let mut text = String::new();
    io.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_chunked_get_body_arrives_with_its_length() {
    let (mut client, mut upstream, _) = wire();
    client
        .write_all(
            b"GET / HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        )
        .await
        .unwrap();
    let request = read_until(&mut upstream, "{}").await;
    assert!(request.contains("content-length: 2\r\n"), "{request}");
    assert!(!request.contains("transfer-encoding"), "{request}");
}

#[tokio::test]
async fn a_malformed_chunk_is_the_clients_fault_and_never_looks_whole() {
    let (mut client, mut upstream, dropped) = wire();
    client
        .write_all(
            b"POST / HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n",
        )
        .await
        .unwrap();
    let request = read_all(&mut upstream).await;
    assert!(!request.ends_with("0\r\n\r\n"), "{request}");
    let response = read_until(&mut client, "\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert_eq!(dropped.lock()[0].2, Some(20 * SECOND));
}

#[tokio::test]
async fn a_cut_response_is_cut_for_the_client_too() {
    for (framing, body) in
        [("Content-Length: 9", "1234"), ("Transfer-Encoding: chunked", "4\r\n1234\r\n")]
    {
        let (mut client, mut upstream, _) = wire();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n")
            .await
            .unwrap();
        read_until(&mut upstream, "\r\n\r\n").await;
        let response = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}");
        upstream.write_all(response.as_bytes()).await.unwrap();
        drop(upstream);
        let response = read_all(&mut client).await;
        assert!(response.contains("1234"), "{response}");
        assert!(!response.ends_with("0\r\n\r\n"), "{response}");
    }
}

#[tokio::test]
async fn a_post_streams_with_its_trailers() {
    let (mut client, mut upstream, _) = wire();
    let head = "POST / HTTP/1.1\r\nHost: g\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(b"1\r\na\r\n").await.unwrap();
    let request = read_until(&mut upstream, "\r\n1\r\na\r\n").await;
    assert!(request.contains("trailer: x-sum\r\n"), "{request}");
    client
        .write_all(b"0\r\nX-Sum: 9\r\nX-Not: 1\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_until(&mut upstream, "\r\n\r\n").await, "0\r\nx-sum: 9\r\n\r\n");
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: g\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_websocket_carries_bytes_once_both_have_agreed() {
    let (mut client, mut upstream, _) = wire();
    client.write_all(UPGRADE).await.unwrap();
    client.write_all(b"early").await.unwrap();
    let request = read_until(&mut upstream, "\r\n\r\n").await;
    assert!(request.contains("connection: upgrade\r\n"), "{request}");
    assert!(request.contains("upgrade: websocket\r\n"), "{request}");
    assert!(request.contains("sec-websocket-key: k\r\n"), "{request}");

    upstream.write_all(SWITCHED).await.unwrap();
    let response = read_until(&mut client, "\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    assert!(response.contains("upgrade: websocket\r\n"), "{response}");
    assert_eq!(read_until(&mut upstream, "early").await, "early");
    upstream.write_all(b"hello").await.unwrap();
    assert_eq!(read_until(&mut client, "hello").await, "hello");
    drop(client);
    assert_eq!(read_all(&mut upstream).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_silent_websocket_is_closed() {
    let (mut client, mut upstream, _) = wire();
    client.write_all(UPGRADE).await.unwrap();
    read_until(&mut upstream, "\r\n\r\n").await;
    upstream.write_all(SWITCHED).await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        tokio::time::sleep(59 * SECOND).await;
        upstream.write_all(b"x").await.unwrap();
        assert_eq!(read_until(&mut client, "x").await, "x");
    }
    assert_eq!(read_all(&mut client).await, "");
    assert_eq!(began.elapsed().as_secs(), 3 * 59 + 60);
}

#[tokio::test]
async fn any_other_upgrade_is_ignored() {
    for upgrade in [
        "GET / HTTP/1.1\r\nHost: g\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: g\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let (mut client, mut upstream, _) = wire();
        client.write_all(upgrade.as_bytes()).await.unwrap();
        let request = read_until(&mut upstream, "\r\n\r\n").await;
        assert!(!request.contains("upgrade"), "{request}");
        assert!(!request.contains("settings"), "{request}");
        upstream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
        assert!(
            read_until(&mut client, "ok")
                .await
                .starts_with("HTTP/1.1 200 ")
        );
    }
}
