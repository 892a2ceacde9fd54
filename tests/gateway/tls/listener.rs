//! TLS from callers.

use http::Version;
use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Duration, Instant, sleep, timeout},
};

use super::*;

const LIST: &str = "/api/vehicles?vin=3VWFE21C04M000001";

#[tokio::test]
async fn a_request_is_answered_over_what_was_agreed_on() {
    let secured = Secured::start().await;
    for (offered, version) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let stream = secured.connect(secured.client(offered)).await.unwrap();
        let mut caller = Caller::over(stream).await.unwrap();
        for _ in 0..2 {
            let response = caller.get(LIST).await.unwrap();
            assert_eq!((response.status().as_u16(), response.version()), (200, version));
        }
        let calls = secured.gateway.sandbox.calls();
        let proto = &calls.last().unwrap().headers["x-forwarded-proto"];
        assert_eq!(proto, "https");
    }
    assert!(secured.connect(secured.client(&["spdy/3"])).await.is_err());
    assert_eq!(secured.errors("tls").await, 1.0);
}

#[tokio::test]
async fn http2_needs_no_tls_if_it_is_known_before() {
    let gateway = Gateway::start("[auth]\nenabled = false\n").await;
    let socket = TcpStream::connect(gateway.address).await.unwrap();
    let mut caller = Caller::http2(socket).await.unwrap();
    let response = caller.get(LIST).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    let calls = gateway.sandbox.calls();
    assert_eq!(calls[0].headers["x-forwarded-proto"], "http");
}

#[tokio::test]
async fn plain_http_is_turned_away_in_order() {
    let secured = Secured::start().await;
    for sent in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut socket = TcpStream::connect(secured.gateway.address).await.unwrap();
        socket.write_all(sent.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        // Not reset, so that the alert arrives.
        socket.read_to_end(&mut response).await.unwrap();
        assert_eq!((response.len(), response[0]), (7, 21), "{response:?}");
    }
    assert_eq!(secured.errors("tls").await, 2.0);
    assert!(secured.gateway.sandbox.calls().is_empty());
}

#[tokio::test]
async fn whoever_still_sends_reads_the_last_word() {
    let secured = Secured::start().await;
    let piece = [b'y'; 16 * 1024];

    // No TLS: an alert, although there is more to come.
    let mut socket = TcpStream::connect(secured.gateway.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut response = [0; 7];
    socket.read_exact(&mut response).await.unwrap();
    assert_eq!(response[0], 21);
    for _ in 0..16 {
        socket.write_all(&piece).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(socket.read(&mut response).await.unwrap(), 0, "a clean end");

    // A head that does not end: its refusal, and the end of TLS.
    let mut stream = secured.connect(secured.client(&[])).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    for _ in 0..3 {
        stream.write_all(&piece).await.unwrap();
    }
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
    for _ in 0..16 {
        stream.write_all(&piece).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"\r\n\r\n"));
    drop((socket, stream));
    for reason in ["tls", "head_too_large"] {
        let series = format!("vingate_http_connection_errors_total{{reason=\"{reason}\"}}");
        secured.gateway.until_metric(&series, 1.0).await;
    }
    assert!(secured.gateway.sandbox.calls().is_empty());
}

#[tokio::test]
async fn an_upgrade_that_is_ignored_ends_with_the_end_of_tls() {
    let secured = Secured::start().await;
    let piece = [b'y'; 16 * 1024];
    for upgrade in ["h2c", "websocket"] {
        let mut stream = secured.connect(secured.client(&[])).await.unwrap();
        let head = format!(
            "POST /a/../b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\
             Content-Length: 600000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 400");
        for _ in 0..16 {
            stream.write_all(&piece).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        // It fails where TLS ends without a close_notify.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
}

#[tokio::test]
async fn a_handshake_has_the_time_of_a_head_and_keeps_nobody_out() {
    let secured =
        Secured::with("[server]\nheader_timeout = \"700ms\"\nmax_connections = 2\n").await;
    let begun_at = Instant::now();
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let mut socket = TcpStream::connect(secured.gateway.address).await.unwrap();
        socket.write_all(&[22, 3, 1]).await.unwrap();
        stalled.push(socket);
    }
    let stream = secured.connect(secured.client(&[])).await.unwrap();
    let mut caller = Caller::over(stream).await.unwrap();
    assert_eq!(caller.get(LIST).await.unwrap().status(), 200);
    for mut socket in stalled {
        let _ = socket.read(&mut [0]).await;
    }
    assert!(begun_at.elapsed() < Duration::from_secs(5), "{:?}", begun_at.elapsed());
    let ended = secured.errors("tls").await + secured.errors("evicted").await;
    assert_eq!(ended, 3.0);
}

#[tokio::test]
async fn clients_show_a_certificate_if_one_is_asked_for() {
    let secured = Secured::with("client_ca = \"ca.pem\"\n").await;
    let known = secured.authority.issue("billing");
    let foreign = Authority::new("another").issue("billing");
    for (pair, let_in) in [(None, false), (Some(known), true), (Some(foreign), false)] {
        for protocol in ["h2", "http/1.1"] {
            let mut client = secured.client(&[protocol]);
            if let Some(pair) = &pair {
                client.client_auth_cert_resolver = certified(pair);
            }
            let stream = secured.connect(client).await.unwrap();
            let answered = match Caller::over(stream).await {
                Ok(mut caller) => caller.get(LIST).await.is_ok(),
                Err(_) => false,
            };
            assert_eq!(answered, let_in, "{protocol}");
        }
    }
    assert_eq!(secured.errors("tls").await, 4.0);
    assert_eq!(secured.gateway.sandbox.calls().len(), 2);
}

#[tokio::test]
async fn a_drain_ends_idle_connections() {
    let secured = Secured::start().await;
    let mut callers = Vec::new();
    for protocol in ["h2", "http/1.1"] {
        let stream = secured.connect(secured.client(&[protocol])).await.unwrap();
        let mut caller = Caller::over(stream).await.unwrap();
        caller.get(LIST).await.unwrap().collect().await.unwrap();
        callers.push(caller);
    }
    // Sooner than anything is cut.
    let stopped = timeout(Duration::from_secs(10), secured.gateway.stop());
    stopped.await.unwrap();
    for mut caller in callers {
        assert!(caller.get(LIST).await.is_err());
    }
}
