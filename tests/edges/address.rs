//! Who a caller is: what its connection says, and what proxies say that are trusted. Nothing else.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::{
    caller::{Caller, exchange, statuses},
    support::{BATCH, Gateway, batch_body},
    upstream::{Seen, Then, Upstream},
};

const OPEN: &str = "# no accounts\n[auth]\nenabled = false\n";

/// What callers say of themselves.
const SAID: &str = "X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n\
                    X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
                    X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 192.0.2.3\r\n\
                    Forwarded: for=192.0.2.4;host=evil.example;proto=https\r\n\
                    Via: 1.1 other\r\n";

async fn gateway(toml: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{OPEN}{toml}{}", upstream.toml())).await;
    (gateway, upstream)
}

async fn ask(gateway: &Gateway, fields: &str) -> Vec<u16> {
    let request = format!("GET /a HTTP/1.1\r\nHost: gate\r\n{fields}Connection: close\r\n\r\n");
    statuses(&exchange(gateway.address, request).await)
}

fn assert_told(seen: &Seen, told: [(&str, &[&str]); 8]) {
    for (name, values) in told {
        assert_eq!(seen.field(name), values, "{name}");
    }
}

#[tokio::test]
async fn the_upstream_is_told_the_truth() {
    let (gateway, upstream) = gateway("").await;
    assert_eq!(ask(&gateway, SAID).await, [200]);
    assert_told(
        &upstream.take_seen()[0],
        [
            ("x-forwarded-for", &["127.0.0.1"]),
            ("x-forwarded-proto", &["http"]),
            ("x-forwarded-host", &["gate"]),
            ("x-forwarded-port", &[]),
            ("x-forwarded-prefix", &[]),
            ("x-real-ip", &[]),
            ("forwarded", &["for=127.0.0.1;host=\"gate\";proto=http"]),
            ("via", &["1.1 other", "1.1 vingate"]),
        ],
    );
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_continued() {
    let (gateway, upstream) = gateway("[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n").await;
    assert_eq!(ask(&gateway, SAID).await, [200]);
    assert_told(
        &upstream.take_seen()[0],
        [
            ("x-forwarded-for", &["198.51.100.1, 192.0.2.1, 192.0.2.2, 127.0.0.1"]),
            ("x-forwarded-proto", &["https, http"]),
            ("x-forwarded-host", &["evil.example, gate"]),
            ("x-forwarded-port", &["1"]),
            ("x-forwarded-prefix", &["/x"]),
            ("x-real-ip", &["192.0.2.3"]),
            (
                "forwarded",
                &["for=192.0.2.4;host=evil.example;proto=https, \
                             for=127.0.0.1;host=\"gate\";proto=http"],
            ),
            ("via", &["1.1 other", "1.1 vingate"]),
        ],
    );
}

/// The target's authority is what the caller called us, whatever `Host` says (RFC 9112
/// section 3.2.2).
#[tokio::test]
async fn an_absolute_target_names_the_host() {
    let (gateway, upstream) = gateway("").await;
    let request = "GET http://target/a HTTP/1.1\r\nHost: field\r\nConnection: close\r\n\r\n";
    exchange(gateway.address, request).await;
    assert_eq!(upstream.take_seen()[0].field("x-forwarded-host"), ["target"]);
}

#[tokio::test]
async fn no_other_name_gets_more_than_its_rate() {
    let rate = "[limit.rate]\nrequests_per_second = 1\nburst = 3\n";
    let (gateway, upstream) = gateway(rate).await;
    let mut responses = Vec::new();
    for n in 0..20 {
        let fields = format!(
            "X-Forwarded-For: 198.51.100.{n}\r\nForwarded: for=198.51.100.{n}\r\n\
             X-Real-IP: 198.51.100.{n}\r\nHost-{n}: x\r\n"
        );
        responses.extend(ask(&gateway, &fields).await);
    }
    assert_eq!(responses[..3], [200; 3]);
    let refused = responses.iter().filter(|&&status| status == 429).count();
    assert!(refused >= 15, "{responses:?}");
    assert_eq!(upstream.take_seen().len(), 20 - refused);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_a_rate_each() {
    let toml = "[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
                [limit.rate]\nrequests_per_second = 1\nburst = 1\n";
    let (gateway, _upstream) = gateway(toml).await;
    for client in ["198.51.100.1", "198.51.100.2", "2001:db8::1"] {
        let fields = format!("X-Forwarded-For: {client}\r\n");
        assert_eq!(ask(&gateway, &fields).await, [200], "{client}");
        // What stands before what the proxy has written is the client's own word.
        let fields = format!("X-Forwarded-For: 203.0.113.9, {client}\r\n");
        assert_eq!(ask(&gateway, &fields).await, [429], "{client}");
    }
}

/// Tokens that are refused count against the connection's address: one that is refused often is
/// told so, whatever it calls itself.
#[tokio::test]
async fn refused_tokens_count_against_the_address() {
    let upstream = Upstream::start().await;
    let toml = format!("[limit.rate]\nrequests_per_second = 1\nburst = 3\n{}", upstream.toml());
    let gateway = Gateway::start(&toml).await;
    let mut responses = Vec::new();
    for n in 0..10 {
        let fields =
            format!("Authorization: Bearer x{n}.y.z\r\nX-Forwarded-For: 198.51.100.{n}\r\n");
        responses.extend(ask(&gateway, &fields).await);
    }
    assert_eq!(responses[..3], [401; 3]);
    assert!(responses[3..].contains(&429), "{responses:?}");
    assert!(upstream.take_seen().is_empty());
}

/// Whoever leaves is not waited for: its call ends with it.
#[tokio::test]
async fn a_caller_that_leaves_takes_its_read_along() {
    let upstream = Upstream::start().await;
    upstream.replies("", Then::Hang);
    let toml = format!("{OPEN}{}max_in_flight = 1\n", upstream.toml());
    let gateway = Gateway::start(&toml).await;
    let mut caller = Caller::connect(gateway.address).await;
    caller.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    while upstream.take_seen().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(caller);
    upstream.replies(crate::upstream::OK, Then::Keep);
    assert_eq!(ask(&gateway, "").await, [200]);
}

/// Who puts two gateways in a circle gets an answer, and the upstream peace.
#[tokio::test]
async fn a_request_that_runs_in_a_circle_is_stopped() {
    let (gateway, upstream) = gateway("").await;
    for (via, status) in [
        ("Via: 1.1 vingate\r\n", 200),
        ("Via: 1.1 vingate, 1.1 other\r\nVia: 1.1 vingate\r\n", 502),
        ("Via: 1.1 vingate, 1.1 vingate\r\nConnection: Via\r\n", 502),
    ] {
        let request = format!("GET /a HTTP/1.1\r\nHost: a\r\n{via}Connection: close\r\n\r\n");
        let response = exchange(gateway.address, request).await;
        assert_eq!(statuses(&response), [status], "{via}");
        let is_told = response.contains("\r\nproxy-status: vingate; error=proxy_loop_detected\r\n");
        assert_eq!(is_told, status == 502, "{response}");
        assert_eq!(upstream.take_seen().len(), usize::from(status == 200), "{via}");
    }
    // The circle itself: what stands behind the gateway leads back to it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = listener.local_addr().unwrap();
    let toml = format!(
        "[upstream]\nurl = \"http://{behind}\"\nattempt_timeout = \"500ms\"\n\
         retry.max_attempts = 1\n"
    );
    let gateway = Gateway::start(&format!("{OPEN}{toml}")).await;
    let address = gateway.address;
    let circle = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut back = TcpStream::connect(address).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut stream, &mut back).await });
        }
    });
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let response = exchange(gateway.address, request).await;
    assert_eq!(statuses(&response), [502], "{response}");
    // A batch would wait for itself; it does so once, and no longer than for anybody.
    let body = batch_body(&[("3VWFE21C04M000001", "MFF956M")]);
    let request = format!(
        "GET {BATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = exchange(gateway.address, request).await;
    assert_eq!(statuses(&response), [504], "{response}");
    assert_eq!(gateway.metric("vingate_batch_chunks_total").await, 1.0);
    circle.abort();
    let requests = "vingate_http_requests_total{method=\"GET\",route=\"other\",status=\"502\"}";
    gateway.until_metric(requests, 3.0).await;
}

#[tokio::test]
async fn options_goes_as_far_as_it_may() {
    let (gateway, upstream) = gateway("").await;
    for (hops, status, seen) in [
        ("Max-Forwards: 2\r\n", 200, Some(&["1"][..])),
        ("Max-Forwards: x\r\n", 200, Some(&[])),
        ("", 200, Some(&[])),
        ("Max-Forwards: 0\r\n", 204, None),
    ] {
        let request = format!("OPTIONS /a HTTP/1.1\r\nHost: a\r\n{hops}Connection: close\r\n\r\n");
        let response = exchange(gateway.address, request).await;
        assert_eq!(statuses(&response), [status], "{hops}");
        let allow = "\r\nallow: GET, HEAD, OPTIONS, QUERY, POST, PUT, PATCH, DELETE\r\n";
        assert_eq!(response.contains(allow), status == 204, "{response}");
        let sent = upstream.take_seen().into_iter().next();
        let sent = sent.map(|sent| sent.field("max-forwards").join(" "));
        assert_eq!(sent, seen.map(|seen| seen.join(" ")), "{hops}");
    }
}
