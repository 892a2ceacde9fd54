//! Upstreams that do what no server should: what the caller is told of it, and that the next
//! caller gets nothing of it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::{
    caller::{Caller, exchange, lossy, statuses},
    support::Gateway,
    upstream::{OK, Then, Upstream},
};

/// Short, and long enough for a machine that does something else, too.
const TIMES: &str =
    "connect_timeout = \"500ms\"\nattempt_timeout = \"500ms\"\nstream_idle_timeout = \"500ms\"\n";

const OPEN: &str = "# no accounts\n[auth]\nenabled = false\n";
const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{}{TIMES}", upstream.toml())).await;
    (gateway, upstream)
}

/// After whatever happened, the next one gets its own answer.
async fn is_clean(gateway: &Gateway, upstream: &Upstream, name: &str) {
    upstream.replies(OK, Then::Keep);
    let response = exchange(gateway.address, GET).await;
    assert_eq!(statuses(&response), [200], "after {name}: {response}");
    assert!(response.ends_with("\r\n\r\nok"), "after {name}: {response}");
}

#[tokio::test]
async fn takes_256_headers_and_no_more() {
    let (gateway, upstream) = gateway().await;
    for (count, want) in [(101, 200), (255, 200), (256, 502)] {
        let headers: String = (0..count).map(|n| format!("x-{n}: y\r\n")).collect();
        let reply = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok");
        upstream.replies(&reply, Then::Keep);
        let response = exchange(gateway.address, GET).await;
        assert_eq!(statuses(&response), [want], "{count} and a length");
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_read_is_a_502_at_once_and_no_failure_of_the_upstream() {
    let (gateway, upstream) = gateway().await;
    let many: String = (0..300).map(|n| format!("x-{n}: y\r\n")).collect();
    for head in ["HTTP/1.1 abc OK\r\n", "HTTP/1.1 200 OK\r\nx y\r\n", "HTTP/2 200 OK\r\n"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("HTTP/1.1 200 OK\r\n{many}")])
    {
        let before = gateway.metric(RETRIES).await;
        // In all more than the breaker needs to open.
        for _ in 0..7 {
            upstream.replies(format!("{head}content-length: 2\r\n\r\nok"), Then::Keep);
            let response = exchange(gateway.address, GET).await;
            assert_eq!(statuses(&response), [502], "{head}");
        }
        assert_eq!(gateway.metric(RETRIES).await, before, "{head}");
        assert_eq!(gateway.metric("vingate_upstream_breaker_state").await, 0.0, "{head}");
        is_clean(&gateway, &upstream, &head).await;
    }
}

const RETRIES: &str = "vingate_upstream_retries_total";

/// Answers the first request of each connection, and closes it when the second is there.
async fn closes_kept_connections() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                if stream.read(&mut bytes).await? > 0 {
                    stream.write_all(OK).await?;
                }
                stream.read(&mut bytes).await
            });
        }
    });
    address
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_no_failure_of_the_upstream() {
    for (attempts, want) in [(1, &[200, 502][..]), (2, &[200, 200])] {
        let url = closes_kept_connections().await;
        let gateway = Gateway::start(&format!(
            "{OPEN}[upstream]\nurl = \"http://{url}\"\nretry.max_attempts = {attempts}\n\
             breaker.min_requests = 4\nbreaker.failure_ratio = 0.3\n"
        ))
        .await;
        for want in want.repeat(5) {
            let response = exchange(gateway.address, GET).await;
            assert_eq!(statuses(&response), [want], "{response}");
        }
        assert_eq!(gateway.metric("vingate_upstream_breaker_state").await, 0.0);
    }
}

#[tokio::test]
async fn no_answer_is_a_502_or_504_that_says_why() {
    let (gateway, upstream) = gateway().await;
    let status = |line: &str| format!("{line}\r\ncontent-length: 2\r\n\r\nok");
    let field = |field: &str| format!("HTTP/1.1 200 OK\r\n{field}\r\ncontent-length: 2\r\n\r\nok");
    let many: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let unframed = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nok");
    let (protocol, incomplete) = ("http_protocol_error", "http_response_incomplete");
    let (coding, size) = ("http_response_transfer_coding", "http_response_header_section_size");
    for (name, reply, then, want, error) in [
        ("closes at once", String::new(), Then::Close, 502, incomplete),
        ("resets", String::new(), Then::Reset, 502, "connection_terminated"),
        ("hangs", String::new(), Then::Hang, 504, "http_response_timeout"),
        ("half a head", "HTTP/1.1 200 OK\r\ncont".into(), Then::Close, 502, incomplete),
        ("half a head, and hangs", "HTTP/1.1 2".into(), Then::Hang, 504, "http_response_timeout"),
        ("no HTTP", "hello\r\n\r\n".into(), Then::Keep, 502, protocol),
        ("TLS", "\x16\x03\x01\x02\0".into(), Then::Close, 502, protocol),
        ("a status of letters", status("HTTP/1.1 abc OK"), Then::Keep, 502, protocol),
        ("a status of two digits", status("HTTP/1.1 20 OK"), Then::Keep, 502, protocol),
        ("a status of four digits", status("HTTP/1.1 2000 OK"), Then::Keep, 502, protocol),
        ("a status below 100", status("HTTP/1.1 099 OK"), Then::Keep, 502, protocol),
        ("no status", status("HTTP/1.1"), Then::Keep, 502, protocol),
        ("version 1.2", status("HTTP/1.2 200 OK"), Then::Keep, 502, protocol),
        ("version 2", status("HTTP/2 200 OK"), Then::Keep, 502, protocol),
        ("another protocol", status("ICY 200 OK"), Then::Keep, 502, protocol),
        ("a NUL in a value", field("x: a\0b"), Then::Keep, 502, protocol),
        ("a bare CR in a value", field("x: a\rset-cookie: b"), Then::Keep, 502, protocol),
        ("a fold", field("x: a\r\n b"), Then::Keep, 502, protocol),
        ("a blank before a colon", field("x : a"), Then::Keep, 502, protocol),
        ("no colon", field("x"), Then::Keep, 502, protocol),
        ("a name that is none", field("(x): a"), Then::Keep, 502, protocol),
        ("two lengths", field("content-length: 3"), Then::Keep, 502, protocol),
        ("a length that is none", unframed("content-length: x"), Then::Keep, 502, protocol),
        ("a length with a sign", unframed("content-length: +2"), Then::Keep, 502, protocol),
        ("a length below 0", unframed("content-length: -2"), Then::Keep, 502, protocol),
        (
            "a length of 2^64 + 2",
            unframed("content-length: 18446744073709551618"),
            Then::Keep,
            502,
            protocol,
        ),
        (
            "a coding that is not chunked",
            unframed("transfer-encoding: gzip"),
            Then::Close,
            502,
            coding,
        ),
        (
            "a coding before chunked",
            unframed("transfer-encoding: gzip, chunked"),
            Then::Close,
            502,
            coding,
        ),
        ("a head of a megabyte", field(&format!("x: {}", "y".repeat(1 << 20))), Then::Keep, 502, {
            size
        }),
        ("ten thousand fields", unframed(&many), Then::Keep, 502, size),
        (
            "switches protocols unasked",
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nok"
                .into(),
            Then::Keep,
            502,
            protocol,
        ),
    ] {
        upstream.replies(&reply, then);
        let response = exchange(gateway.address, GET).await;
        assert_eq!(statuses(&response), [want], "{name}: {response}");
        let told = format!("\r\nproxy-status: vingate; error={error}\r\n");
        assert!(response.contains(&told), "{name}: {response}");
        assert!(response.contains("\r\ncontent-type: application/problem+json\r\n"), "{name}");
        assert!(!response.ends_with("ok"), "{name}: {response}");
        is_clean(&gateway, &upstream, name).await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_right_behind_its_head_is_a_502_and_counted_as_one() {
    let (gateway, upstream) = gateway().await;
    let cases = [
        ("no chunk size", chunked("zz"), Then::Close),
        ("no chunk size, and hangs", chunked("zz\r\n"), Then::Hang),
        ("an empty chunk size", chunked("\r\n"), Then::Keep),
        ("a size of 2^64 + 5", chunked("10000000000000005\r\nhello"), Then::Keep),
        ("no chunk at all", chunked(""), Then::Close),
        ("a malformed trailer", chunked("0\r\nx : y\r\n\r\n"), Then::Keep),
        ("nothing of a length", "content-length: 10\r\n\r\n".into(), Then::Close),
        ("nothing of a body to the end", "\r\n".into(), Then::Reset),
    ];
    let count = cases.len();
    for (name, reply, then) in cases {
        upstream.replies(format!("HTTP/1.1 200 OK\r\n{reply}"), then);
        let response = exchange(gateway.address, GET).await;
        assert_eq!(statuses(&response), [502], "{name}: {response}");
        let said = "\r\nproxy-status: vingate; error=http_response_incomplete\r\n";
        assert!(response.contains(said), "{name}: {response}");
        is_clean(&gateway, &upstream, name).await;
    }
    let series = r#"vingate_http_requests_total{method="GET",route="other",status="502"}"#;
    assert_eq!(gateway.metric(series).await, count as f64);
}

#[tokio::test]
async fn a_head_without_a_body_yet_is_passed_on() {
    let (gateway, upstream) = gateway().await;
    upstream.replies(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        Then::Hang,
    );
    let mut caller = Caller::connect(gateway.address).await;
    caller.send(GET).await;
    let head = caller.read_to("\r\n\r\n").await;
    assert_eq!(statuses(&head), [200], "{head}");
}

#[tokio::test]
async fn a_batch_in_an_unknown_coding_is_a_502_and_not_stored() {
    use crate::support::{BATCH, JSON};
    let (gateway, upstream) = gateway().await;
    let body = r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A1"}]}"#;
    let ask = format!(
        "QUERY {BATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nContent-Type: {JSON}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let element = r#"{"vin":"3VWFE21C04M000001","plate":"A1","info":[]}"#;
    let json = format!(r#"{{"vehicleData":[{element}]}}"#);
    for coding in
        ["foo", "chunked, gzip", "identity", "gzip", "chunked\r\ntransfer-encoding: chunked"]
    {
        for then in [Then::Close, Then::Hang] {
            upstream.take_seen();
            let reply = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n{json}");
            upstream.replies(reply, then);
            let response = exchange(gateway.address, &ask).await;
            assert_eq!(statuses(&response), [502], "{coding}: {response}");
            assert!(response.contains("error=http_response_transfer_coding"), "{response}");
            assert_eq!(upstream.take_seen().len(), 1, "{coding}: asked, and once");
        }
    }
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{json}", json.len());
    upstream.replies(reply, Then::Keep);
    let response = exchange(gateway.address, &ask).await;
    assert!(response.ends_with(&json), "nothing else was stored: {response}");
    assert!(response.contains("fwd=miss"), "{response}");
}

#[tokio::test]
async fn what_breaks_off_is_never_a_whole_answer() {
    let (gateway, upstream) = gateway().await;
    let long = "y".repeat(100_000);
    for (name, reply, then) in [
        ("a length that does not come", "content-length: 10\r\n\r\nhello".into(), Then::Close),
        ("a length that is reset", "content-length: 10\r\n\r\nhello".into(), Then::Reset),
        ("a length that hangs", "content-length: 10\r\n\r\nhello".into(), Then::Hang),
        ("nothing of a length", "content-length: 10\r\n\r\n".into(), Then::Close),
        ("much of a length", format!("content-length: 100001\r\n\r\n{long}"), Then::Close),
        ("no last chunk", chunked("5\r\nhello\r\n"), Then::Close),
        ("no last chunk, and hangs", chunked("5\r\nhello\r\n"), Then::Hang),
        ("half a chunk", chunked("a\r\nhello"), Then::Close),
        ("half a last chunk", chunked("5\r\nhello\r\n0\r\n"), Then::Close),
        ("no chunk at all", chunked(""), Then::Close),
        ("a chunk without a size", chunked("5\r\nhello\r\n\r\n0\r\n\r\n"), Then::Keep),
        ("a size that is none", chunked("5\r\nhello\r\nx\r\n"), Then::Keep),
        ("a chunk longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n"), Then::Keep),
        ("a size of 2^64 + 5", chunked("10000000000000005\r\nhello"), Then::Keep),
        ("a malformed trailer", chunked("5\r\nhello\r\n0\r\nx : y\r\n\r\n"), Then::Keep),
        ("a body to the end that is reset", "\r\nhello".into(), Then::Reset),
        ("a body to the end that hangs", "\r\nhello".into(), Then::Hang),
    ] {
        upstream.replies(format!("HTTP/1.1 200 OK\r\n{reply}"), then);
        let response = exchange(gateway.address, GET).await;
        let is_cut = statuses(&response) == [502] || !is_whole(&response);
        assert!(is_cut && !response.is_empty(), "{name}: {response}");
        is_clean(&gateway, &upstream, name).await;
    }
}

#[tokio::test]
async fn what_is_only_odd_is_passed_on_in_one_reading() {
    let (gateway, upstream) = gateway().await;
    for (name, reply, then, want) in [
        ("to the end", "HTTP/1.1 200 OK\r\n\r\nhello", Then::Close, "hello"),
        ("in HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", Then::Close, "hello"),
        (
            "the same length twice",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
            Then::Keep,
            "hello",
        ),
        (
            "a list of the same length",
            "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
            Then::Keep,
            "hello",
        ),
        (
            "chunks and a length",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Then::Keep,
            "hello",
        ),
        (
            "a length and chunks",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Then::Keep,
            "hello",
        ),
        (
            "an extension",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            Then::Keep,
            "hello",
        ),
        (
            "a trailer that would be the framing",
            "HTTP/1.1 200 OK\r\ntrailer: content-length\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ncontent-length: 1\r\n\r\n",
            Then::Keep,
            "hello",
        ),
        (
            "a coding of content that is no such thing",
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
            Then::Keep,
            "hello",
        ),
        (
            "early hints",
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            Then::Keep,
            "hello",
        ),
    ] {
        upstream.replies(reply, then);
        let response = exchange(gateway.address, GET).await;
        assert_eq!(statuses(&response), [200], "{name}: {response}");
        assert!(is_whole(&response), "{name}: {response}");
        assert_eq!(content(&response), want, "{name}: {response}");
        is_clean(&gateway, &upstream, name).await;
    }
}

/// What an upstream sends more than it was asked for belongs to nobody.
#[tokio::test]
async fn bytes_after_an_answer_reach_no_other_caller() {
    let (gateway, upstream) = gateway().await;
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for (name, reply) in [
        ("a second answer", format!("{}{evil}", lossy(OK))),
        ("garbage", format!("{}evil", lossy(OK))),
        ("a blank line and an answer", format!("{}\r\n\r\n{evil}", lossy(OK))),
        ("a body of a 204", format!("HTTP/1.1 204 No Content\r\ncontent-length: 46\r\n\r\n{evil}")),
        (
            "a body of a 304",
            format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 46\r\n\r\n{evil}"),
        ),
        (
            "an answer behind chunks",
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"
            ),
        ),
        ("a 101 behind an answer", {
            format!("{}HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nevil", lossy(OK))
        }),
    ] {
        for method in ["GET", "HEAD", "POST"] {
            upstream.replies(&reply, Then::Keep);
            let first = format!("{method} /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let first = exchange(gateway.address, first).await;
            assert!(!first.contains("evil"), "{name} to {method}: {first}");
            for _ in 0..3 {
                is_clean(&gateway, &upstream, name).await;
            }
        }
    }
}

#[tokio::test]
async fn floods_of_interim_answers_end() {
    let (gateway, upstream) = gateway().await;
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    upstream.replies(interim.repeat(5_000) + &lossy(OK), Then::Keep);
    let response = exchange(gateway.address, GET).await;
    assert_eq!(statuses(&response), [200], "{response}");
    upstream.replies(interim.repeat(5_000), Then::Hang);
    let response = exchange(gateway.address, GET).await;
    assert_eq!(statuses(&response), [504], "{response}");
    is_clean(&gateway, &upstream, "a flood").await;
}

#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let (gateway, upstream) = gateway().await;
    let host = upstream.address;
    for (location, told) in [
        (format!("http://{host}/b?c#d"), "/b?c#d".to_owned()),
        ("http://elsewhere.example/b".to_owned(), "http://elsewhere.example/b".to_owned()),
        ("/b".to_owned(), "/b".to_owned()),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let head = format!("HTTP/1.1 {status} Found\r\nlocation: {location}\r\n");
            upstream.replies(format!("{head}content-length: 0\r\n\r\n"), Then::Keep);
            let response = exchange(gateway.address, GET).await;
            assert_eq!(statuses(&response), [status], "{response}");
            assert!(response.contains(&format!("\r\nlocation: {told}\r\n")), "{response}");
            assert_eq!(upstream.take_seen().len(), 1, "{location}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502() {
    let upstream = Upstream::start().await;
    let toml = format!("{OPEN}{}{TIMES}", upstream.toml());
    drop(upstream);
    let gateway = Gateway::start(&toml).await;
    let response = exchange(gateway.address, GET).await;
    assert_eq!(statuses(&response), [502], "{response}");
    assert!(response.contains("proxy-status: vingate; error=connection_refused\r\n"), "{response}");
}

#[tokio::test]
async fn an_upstream_that_does_not_let_us_in_is_a_504() {
    // Nobody accepts, and the queue of those who wait is full.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    let toml = format!("{OPEN}[upstream]\nurl = \"http://{address}\"\n{TIMES}");
    let gateway = Gateway::start(&toml).await;
    let response = exchange(gateway.address, GET).await;
    assert_eq!(statuses(&response), [504], "{response}");
    assert!(response.contains("proxy-status: vingate; error=connection_timeout\r\n"), "{response}");
}

/// The caller's body is not blamed on the upstream, nor the other way round.
#[tokio::test]
async fn a_caller_that_breaks_off_leaves_the_pool_clean() {
    let (gateway, upstream) = gateway().await;
    for body in ["hel", "", "5\r\nhello\r\n", "5\r\nhel"] {
        let framing = match body.contains("\r\n") {
            true => "Transfer-Encoding: chunked",
            false => "Content-Length: 5",
        };
        let mut caller = Caller::connect(gateway.address).await;
        caller
            .send(format!("POST /a HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}"))
            .await;
        drop(caller);
        is_clean(&gateway, &upstream, body).await;
        let seen: Vec<_> = upstream
            .take_seen()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(seen, ["GET /a"], "{body:?}");
    }
}

fn chunked(chunks: &str) -> String {
    format!("transfer-encoding: chunked\r\n\r\n{chunks}")
}

/// Whether the one answer in `text` is one that its reader would take for whole.
fn is_whole(text: &str) -> bool {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    match length {
        Some(length) => body.len() == length.parse::<usize>().unwrap(),
        None if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
        None => true,
    }
}

/// What an answer holds, without the framing.
fn content(text: &str) -> String {
    let (head, mut body) = text.split_once("\r\n\r\n").unwrap();
    if !head.contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let mut content = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        content.push_str(&rest[..size]);
        if size == 0 {
            break;
        }
        body = &rest[size + 2..];
    }
    content
}

/// The batch endpoint reads an answer to its end before it says a word.
#[tokio::test]
async fn a_batch_is_answered_whole_or_not_at_all() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{}{TIMES}", upstream.toml())).await;
    let one = [("3VWFE21C04M000001", "MFF956M")];
    let element = r#"{"vin":"3VWFE21C04M000001","plate":"MFF956M","info":[]}"#;
    let json = format!(r#"{{"vehicleData":[{element}]}}"#);
    let length = json.len();
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{json}");
    let (half, _) = json.split_at(length / 2);
    let chunk = format!("{length:x}\r\n{json}\r\n");
    for (name, reply, then, want) in [
        ("closes at once", String::new(), Then::Close, 502),
        ("resets", String::new(), Then::Reset, 502),
        ("hangs", String::new(), Then::Hang, 504),
        ("half a length", format!("content-length: {length}\r\n\r\n{half}"), Then::Close, 502),
        ("half a length, reset", format!("content-length: {length}\r\n\r\n{half}"), Then::Reset, {
            502
        }),
        (
            "half a length, and hangs",
            format!("content-length: {length}\r\n\r\n{half}"),
            Then::Hang,
            { 504 },
        ),
        (
            "a length too short",
            format!("content-length: {}\r\n\r\n{json}", length - 1),
            Then::Close,
            { 502 },
        ),
        ("no last chunk", chunked(&chunk), Then::Close, 502),
        ("a last chunk that is none", chunked(&format!("{chunk}x\r\n\r\n")), Then::Keep, 502),
        ("half of it to the end", format!("\r\n{half}"), Then::Close, 502),
        ("a coding", format!("transfer-encoding: gzip\r\n\r\n{half}"), Then::Close, 502),
    ] {
        let reply = if reply.is_empty() { reply } else { format!("HTTP/1.1 200 OK\r\n{reply}") };
        upstream.replies(reply, then);
        let response = gateway.batch(&one).await;
        assert_eq!(response.status, want, "{name}: {}", response.text());
        assert!(
            response
                .field("proxy-status")
                .starts_with("vingate; error="),
            "{name}"
        );
        upstream.replies(&whole, Then::Keep);
        let response = gateway
            .batch_with(&one, &[("cache-control", "no-store")])
            .await;
        assert_eq!(response.expect(200).text(), json, "after {name}");
    }
    for (name, reply) in [
        ("switches protocols", "101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x"),
        ("has no content", "204 No Content"),
        ("is not modified", "304 Not Modified"),
        ("is elsewhere", "302 Found\r\nlocation: /b\r\ncontent-length: 0"),
        ("is partial", "206 Partial Content\r\ncontent-length: 0"),
    ] {
        upstream.replies(format!("HTTP/1.1 {reply}\r\n\r\n"), Then::Close);
        assert_eq!(gateway.batch(&one).await.status, 502, "{name}");
    }
    assert_eq!(gateway.metric("vingate_cache_entries").await, 0.0, "nothing of it is kept");
}
