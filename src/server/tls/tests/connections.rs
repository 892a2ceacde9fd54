//! Connections, from the first byte of a handshake to the last answer.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    HandshakeKind,
    version::{TLS12, TLS13},
};
use tokio::time::{Duration, Instant, sleep};

use super::*;
use crate::server::{
    connection_state::Command,
    metrics::Reason,
    tests::{BIG, seconds},
};

/// The first flight of a caller that knows TLS 1.1 at most (RFC 4346).
const TLS_1_1: &[u8] = &[
    // A handshake record with a ClientHello
    22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, // of version 1.1
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31, // random
    0,  // no session
    0, 2, 0, 47, // TLS_RSA_WITH_AES_128_CBC_SHA
    1, 0, // no compression
];

/// What a fatal alert begins with (RFC 8446 §6); a byte with its meaning follows.
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2];

fn serve(listener: &Listener) -> Served {
    Served::over(Some(listener.tls()))
}

#[tokio::test(start_paused = true)]
async fn what_is_spoken_is_agreed_on() {
    let listener = Listener::new();
    for (offered, negotiated) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut served = serve(&listener);
        let mut stream = connect(listener.client(offered), &mut served)
            .await
            .unwrap();
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, negotiated.map(str::as_bytes), "{offered:?}");
        if negotiated == Some("h2") {
            let response = get_http2(stream).await;
            assert_eq!(response, "true");
        } else {
            let response = get(&mut stream, "/tls").await.unwrap();
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("true"));
        }
        served.ended(&[]).await;
    }
}

/// What HTTP/2 answers, after which the connection is closed.
async fn get_http2(stream: TlsStream<DuplexStream>) -> Bytes {
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("https://a/tls").version(Version::HTTP_2);
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let body = response.collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    body
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_spoken_than_what_was_agreed_on() {
    let listener = Listener::new();
    for (offered, sent) in [
        (&["h2"][..], "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        (&["http/1.1"], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        (&[], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    ] {
        let mut served = serve(&listener);
        let mut stream = connect(listener.client(offered), &mut served)
            .await
            .unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        assert!(response.is_empty(), "{response:?}");
        served.ended(&[Reason::Malformed]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_connection_comes_of_a_bad_handshake() {
    let listener = Listener::new();
    let huge = [&[22, 3, 1, 0xff, 0xff][..], &[0; 0xffff]].concat();
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 0x4000]].concat();
    for sent in [
        &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        TLS_1_1,
        &huge,
        &endless,
    ] {
        let served = serve(&listener);
        let (mut read, mut write) = tokio::io::split(served.client);
        let bytes = sent.to_vec();
        let sending = tokio::spawn(async move { write.write_all(&bytes).await });
        let mut response = Vec::new();
        let _ = read.read_to_end(&mut response).await;
        // Too long a message has its connection closed without a word.
        let silence = sent.len() > 0x4000 && response.is_empty();
        assert!(silence || response.len() == 7 && response.starts_with(ALERT), "{response:?}");
        let _ = sending.await.unwrap();
        served.task.await.unwrap();
        assert_eq!(served.metrics.count(Reason::Tls), 1);
    }

    let mut served = serve(&listener);
    let refused = connect(listener.client(&["spdy/3"]), &mut served).await;
    assert!(refused.is_err());
    served.ended(&[Reason::Tls]).await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_the_time_of_a_head() {
    let listener = Listener::new();
    for sent in [&b""[..], &[22], &TLS_1_1[..20]] {
        let mut served = serve(&listener);
        let opened_at = Instant::now();
        for byte in sent {
            sleep(Duration::from_millis(300)).await;
            served.client.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(served.client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(opened_at.elapsed().as_secs(), 10, "{sent:?}");
        served.ended(&[Reason::Tls]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_ends_when_the_server_wants_it_to() {
    let listener = Listener::new();
    for (command, reasons) in [
        (Command::MakeRoom, &[Reason::Evicted][..]),
        (Command::Close, &[]),
        (Command::Cut, &[Reason::Drain]),
    ] {
        let mut served = serve(&listener);
        let opened_at = Instant::now();
        served.client.write_all(&TLS_1_1[..20]).await.unwrap();
        sleep(seconds(1)).await;
        served.state.command(command);
        assert_eq!(served.client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(opened_at.elapsed().as_secs(), 1);
        served.ended(reasons).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_just_come_may_shake_hands_and_ask_while_the_server_drains() {
    let listener = Listener::new();
    let mut served = serve(&listener);
    served.state.command(Command::Drain);
    sleep(Duration::from_millis(500)).await;
    let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
    assert!(get(&mut stream, "/").await.unwrap().ends_with("hello"));
    served.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_whether_the_port_is_open_is_no_failure() {
    let listener = Listener::new();
    let mut served = serve(&listener);
    served.client.shutdown().await.unwrap();
    served.ended(&[]).await;

    let mut served = serve(&listener);
    served.client.write_all(&[22]).await.unwrap();
    served.client.shutdown().await.unwrap();
    served.ended(&[Reason::Tls]).await;
}

#[tokio::test(start_paused = true)]
async fn heads_and_pauses_are_timed_as_without_tls() {
    let listener = Listener::new();
    let mut served = serve(&listener);
    let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
    sleep(seconds(40)).await;
    let begun_at = Instant::now();
    stream.write_all(b"GET / HTTP").await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "a word of farewell");
    assert_eq!(begun_at.elapsed().as_secs(), 10);
    served.ended(&[Reason::HeaderTimeout]).await;

    let mut served = serve(&listener);
    sleep(seconds(9)).await;
    let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
    let shaken_at = Instant::now();
    let _ = stream.read(&mut [0]).await;
    assert_eq!(shaken_at.elapsed().as_secs(), 60, "the handshake is no pause");
    served.ended(&[]).await;

    let mut served = serve(&listener);
    let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let asked_at = Instant::now();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("hello"), "and a word of farewell: {response}");
    assert_eq!(asked_at.elapsed().as_secs(), 60);
    served.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_cut_says_goodbye_where_the_socket_takes_it() {
    let listener = Listener::new();
    for (path, command, reason) in
        [(None, Command::MakeRoom, Reason::Evicted), (Some("/slow"), Command::Cut, Reason::Drain)]
    {
        let mut served = serve(&listener);
        let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
        if let Some(path) = path {
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
        }
        sleep(seconds(1)).await;
        served.state.command(command);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "{command:?}");
        served.ended(&[reason]).await;
    }

    // Nobody reads, so that there is no room for a word more, and nobody waits for it.
    let mut served = serve(&listener);
    let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    served.ended(&[Reason::WriteTimeout]).await;
    let mut read = Vec::new();
    assert!(stream.read_to_end(&mut read).await.is_err(), "the response is torn");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_without_a_word_is_no_failure() {
    let listener = Listener::new();
    for path in [None, Some("/")] {
        let mut served = serve(&listener);
        let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
        if let Some(path) = path {
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.read_exact(&mut [0; 15]).await.unwrap();
        }
        sleep(seconds(1)).await;
        // No close_notify: the socket just goes.
        drop(stream.into_inner());
        served.ended(&[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_cut_when_it_takes_no_byte() {
    let listener = Listener::new();
    let mut served = serve(&listener);
    let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 15]).await.unwrap();
    let read_at = Instant::now();
    (&mut served.task).await.unwrap();
    assert_eq!(read_at.elapsed().as_secs(), 30);
    assert_eq!(served.metrics.count(Reason::WriteTimeout), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_gets_its_answer_to_the_last_byte() {
    const RECORD: usize = 16 * 1024;
    let listener = Listener::new();
    let mut served = serve(&listener);
    let mut stream = connect(listener.client(&[]), &mut served).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    stream
        .read_exact(&mut vec![0; BIG - 8 * RECORD])
        .await
        .unwrap();
    // The end of it is with TLS already: HTTP has nothing left to write.
    for _ in 0..8 {
        sleep(seconds(20)).await;
        stream.read_exact(&mut vec![0; RECORD]).await.unwrap();
    }
    sleep(seconds(20)).await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.is_empty() && rest.iter().all(|byte| *byte == b'x'));
    served.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn clients_show_a_certificate_if_one_is_asked_for() {
    let listener = Listener::with_clients();
    let foreign = Authority::new("another").issue("foreign");
    for (pair, let_in) in [
        (None, false),
        (Some(listener.authority.issue("known")), true),
        (Some(listener.authority.issue_until("expired", 2020)), false),
        (Some(foreign), false),
        (Some(Pair::alone("known")), false),
    ] {
        let mut served = serve(&listener);
        let client = listener.client(&[]);
        let client = match &pair {
            Some(pair) => with_certificate(client, pair),
            None => client,
        };
        // The client of TLS 1.3 takes the connection for made before it is.
        let mut stream = connect(client, &mut served).await.unwrap();
        let response = get(&mut stream, "/").await;
        assert_eq!(response.is_ok(), let_in, "{response:?}");
        let reasons: &[Reason] = if let_in { &[] } else { &[Reason::Tls] };
        served.ended(reasons).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_resumed_without_early_data_and_only_without_client_certificates() {
    for (listener, kind) in
        [(Listener::new(), HandshakeKind::Resumed), (Listener::with_clients(), HandshakeKind::Full)]
    {
        let tls = listener.tls();
        let pair = listener.authority.issue("known");
        let mut client = with_certificate(listener.client(&[]), &pair);
        client.enable_early_data = true;
        let client = Arc::new(client);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut served = Served::over(Some(tls.clone()));
            let mut stream = connect(Arc::clone(&client), &mut served).await.unwrap();
            get(&mut stream, "/").await.unwrap();
            let connection = stream.get_ref().1;
            assert!(!connection.is_early_data_accepted());
            kinds.extend(connection.handshake_kind());
        }
        assert_eq!(kinds[1], kind);
    }
}

#[tokio::test(start_paused = true)]
async fn both_versions_are_spoken() {
    let listener = Listener::new();
    for version in [&TLS12, &TLS13] {
        let mut served = serve(&listener);
        let client = listener.client_of(&[version], &["http/1.1"]);
        let mut stream = connect(client, &mut served).await.unwrap();
        assert!(get(&mut stream, "/").await.unwrap().ends_with("hello"));
        let spoken = stream.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(version.version));
        served.ended(&[]).await;
    }
}
